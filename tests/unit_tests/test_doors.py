"""Every model call below a step or planner is seen by its budget, whatever callbacks the call is given."""

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import langchain_core.globals
import pytest
from langchain.agents import create_agent
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler, CallbackManager
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, Generation
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_core.runnables.config import ContextThreadPoolExecutor, ensure_config
from langchain_core.tools import tool

from langgraph_conductor import Plan, Step, Worker, Workflow, create_conductor
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import ScriptedModel
from tests.helpers import ask, flow


class Heard(BaseCallbackHandler):
    def __init__(self):
        self.began, self.ended, self.failed = [], [], []

    def on_chat_model_start(self, serialized, messages, *, run_id, **about):
        self.began.append(run_id)

    def on_llm_end(self, response, *, run_id, **about):
        self.ended.append(run_id)

    def on_llm_error(self, error, *, run_id, **about):
        self.failed.append(run_id)


def in_executor(model):
    with ContextThreadPoolExecutor() as pool:
        return pool.submit(model.invoke, "q", {"callbacks": [Heard()]}).result()


def in_tool(model):
    @tool
    def look(word: str) -> str:
        """Look a word up."""
        return model.invoke(word, {"callbacks": [Heard()]}).text

    return look.invoke({"word": "q"}, {"callbacks": []})


def in_chain(model):
    return (RunnableLambda(lambda text: text) | model).invoke("q", {"callbacks": [Heard()]})


def in_agent(model):
    return create_agent(model, []).invoke({"messages": [("user", "q")]}, {"callbacks": [Heard()]})


WAYS = {
    "inherited": lambda model: model.invoke("q"),
    "given a handler": lambda model: model.invoke("q", {"callbacks": [Heard()]}),
    "given none": lambda model: model.invoke("q", {"callbacks": []}),
    "given a manager": lambda model: model.invoke("q", {"callbacks": CallbackManager([Heard()])}),
    "bound": lambda model: model.with_config(callbacks=[Heard()]).invoke("q"),
    "the model's own": lambda model: model.model_copy(update={"callbacks": [Heard()]}).invoke("q"),
    "streamed": lambda model: list(model.stream("q", {"callbacks": [Heard()]})),
    "a batch": lambda model: model.batch(["q"], {"callbacks": [Heard()]}),
    "generated": lambda model: model.generate([[HumanMessage("q")]]),
    "an executor": in_executor,
    "a tool": in_tool,
    "a chain": in_chain,
    "branches": lambda model: RunnableParallel(a=model).invoke("q", {"callbacks": [Heard()]}),
    "an agent": in_agent,
}


async def streamed(model):
    return [chunk async for chunk in model.astream("q", {"callbacks": [Heard()]})]


async def events(model):
    return [event async for event in model.astream_events("q", {"callbacks": [Heard()]})]


async def in_async_agent(model):
    return await create_agent(model, []).ainvoke({"messages": [("user", "q")]}, {"callbacks": [Heard()]})


async def in_task(model):
    return await asyncio.create_task(model.ainvoke("q", {"callbacks": [Heard()]}))


ASYNC_WAYS = {
    "inherited": lambda model: model.ainvoke("q"),
    "given a handler": lambda model: model.ainvoke("q", {"callbacks": [Heard()]}),
    "given none": lambda model: model.ainvoke("q", {"callbacks": []}),
    "bound": lambda model: model.with_config(callbacks=[Heard()]).ainvoke("q"),
    "the model's own": lambda model: model.model_copy(update={"callbacks": [Heard()]}).ainvoke("q"),
    "streamed": streamed,
    "events": events,
    "a batch": lambda model: model.abatch(["q"], {"callbacks": [Heard()]}),
    "generated": lambda model: model.agenerate([[HumanMessage("q")]]),
    "in a thread": lambda model: asyncio.to_thread(model.invoke, "q", {"callbacks": [Heard()]}),
    "a task": in_task,
    "an agent": in_async_agent,
}


def tried(way, model):
    def work(task):
        try:
            for _ in range(6):
                way(model)
        except Exception as error:
            return f"refused: {type(error).__name__}"
        return "done"

    return work


def atried(way, model):
    async def work(task):
        try:
            for _ in range(6):
                await way(model)
        except Exception as error:
            return f"refused: {type(error).__name__}"
        return "done"

    return work


def counted(result, model, most):
    assert result["answer"] == "refused: BudgetExceededError"
    assert result["stopped"]
    assert (len(model.calls), result["usage"]["workers"]["calls"]) == (most, most)
    assert len(result["rounds"][0]["steps"][0]["model_calls"]) == most


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_budget_sees_a_call_however_it_is_made(way, run):
    model = ScriptedModel(replies=["hi"], max_tokens=10)
    worker = Worker("w", tried(way, model))
    counted(run(create_conductor(fixed.single("w"), [worker], budget={"calls": 2}), ask()), model, 2)


@pytest.mark.parametrize("way", ASYNC_WAYS.values(), ids=ASYNC_WAYS)
def test_a_budget_sees_an_awaited_call_however_it_is_made(way):
    model = ScriptedModel(replies=["hi"], max_tokens=10)
    conductor = create_conductor(
        fixed.single("w"), [Worker("w", atried(way, model))], budget={"calls": 2, "seconds": 60}
    )
    counted(asyncio.run(conductor.ainvoke(ask())), model, 2)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_calls_are_counted_without_a_budget_too(way):
    model = ScriptedModel(replies=["hi"])
    result = create_conductor(fixed.single("w"), [Worker("w", tried(way, model))]).invoke(ask())
    assert (len(model.calls), result["usage"]["workers"]["calls"]) == (6, 6)


def test_a_planners_calls_are_seen_too(run):
    model = ScriptedModel(replies=["hi"], max_tokens=10)

    class Own:
        def plan(self, request):
            for _ in range(6):
                model.invoke("q", {"callbacks": []})
            return Plan(Workflow((Step("w", "x"),)))

        async def aplan(self, request):
            for _ in range(6):
                await model.ainvoke("q", {"callbacks": []})
            return Plan(Workflow((Step("w", "x"),)))

    result = run(create_conductor(Own(), [Worker("w", lambda t: "free")], budget={"calls": 2}), ask())
    assert (len(model.calls), result["usage"]["planner"]["calls"]) == (2, 2)
    assert result["answer"] == "free"


@pytest.mark.parametrize(
    "budgets", [({"calls": 2}, None), (None, {"calls": 2}), ({"calls": 2}, {"calls": 2})]
)
@pytest.mark.parametrize("given", [None, {"callbacks": []}, {"callbacks": [Heard()]}])
def test_a_nested_conductors_calls_count_once_in_both(budgets, given, run):
    outer, inner = budgets
    model = ScriptedModel(replies=["hi"], max_tokens=10)
    team = create_conductor(
        fixed.single("w"), [Worker("w", tried(WAYS["given none"], model))], budget=inner
    )
    seen = []

    def ask_team(task):
        found = team.invoke({"messages": [("user", "q")]}, given)
        seen.append(found["usage"]["workers"]["calls"])
        return found["answer"]

    conductor = create_conductor(fixed.single("team"), [Worker("team", ask_team)], budget=outer)
    result = run(conductor, ask())
    assert (len(model.calls), seen, result["usage"]["workers"]["calls"]) == (2, [2], 2)


@pytest.mark.parametrize("awaited", [False, True])
def test_who_listens_to_a_call_alone_hears_how_it_ends(awaited):
    heard, model = Heard(), ScriptedModel(replies=["hi"], max_tokens=10)
    given = {"callbacks": [heard]}
    ways = tried(lambda m: m.invoke("q", given), model), atried(lambda m: m.ainvoke("q", given), model)
    worker = Worker("w", ways[awaited])
    conductor = create_conductor(fixed.single("w"), [worker], budget={"calls": 2})
    asyncio.run(conductor.ainvoke(ask())) if awaited else conductor.invoke(ask())
    assert (len(heard.began), heard.ended, heard.failed) == (3, heard.began[:2], heard.began[2:])


def test_a_handler_hears_each_event_once_and_in_its_place():
    said = []

    class Told(BaseCallbackHandler):
        def __init__(self, name):
            self.name = name

        def on_chat_model_start(self, *_, **__):
            said.append(f"{self.name} start")

        def on_llm_new_token(self, token, **_):
            said.append(f"{self.name} {token}")

        def on_llm_end(self, *_, **__):
            said.append(f"{self.name} end")

    model = ScriptedModel(replies=["hi"], callbacks=[Told("own")])

    def work(task):
        said.clear()
        return "".join(chunk.text for chunk in model.stream("q", {"callbacks": [Told("a"), Told("b")]}))

    work(None)
    alone = list(said)
    create_conductor(fixed.single("w"), [Worker("w", work)], budget={"calls": 9}).invoke(ask())
    assert said == alone


def test_tools_given_callbacks_of_their_own_are_recorded():
    model = ScriptedModel(replies=["hi"])
    result = create_conductor(
        fixed.single("w"), [Worker("w", lambda t: f"{in_tool(model)}!")], budget={"calls": 9}
    ).invoke(ask())
    calls = result["rounds"][0]["steps"][0]["tool_calls"]
    assert [(call["tool"], call["output"]) for call in calls] == [("look", "hi")]


def test_calls_outside_of_a_conductor_are_left_alone():
    model = ScriptedModel(replies=["hi"], max_tokens=10)
    conductor = create_conductor(fixed.single("w"), [Worker("w", model)], budget={"calls": 1})
    before = contextvars.copy_context()
    conductor.invoke(ask())
    handlers = CallbackManager.configure().handlers
    assert handlers == [] == before.run(lambda: CallbackManager.configure().handlers)
    assert model.invoke("q", {"callbacks": [Heard()]}).text == "hi"


def test_steps_beside_one_another_have_accounts_of_their_own(run):
    models = {name: ScriptedModel(replies=[name], max_tokens=10) for name in "ab"}
    pool = [
        Worker(name, lambda t, m=model: m.invoke("q", {"callbacks": []}).text)
        for name, model in models.items()
    ]
    plan = flow(("a", "x", []), ("b", "y", []))
    result = run(create_conductor(fixed.workflow(plan), pool, budget={"calls": 5}), ask())
    steps = result["rounds"][0]["steps"]
    assert [(s["usage"]["calls"], len(s["model_calls"])) for s in steps] == [(1, 1), (1, 1)]


# --- what is no call, what is left before its end, what goes on after a step ------------------------


@pytest.mark.parametrize("how", ["invoke", "stream", "generate", "agent"])
def test_what_langchains_cache_gives_costs_nothing(how, run):
    model = ScriptedModel(replies=["hi there"], max_tokens=10, cache=InMemoryCache())
    ways = {
        "invoke": lambda: model.invoke("q"),
        "stream": lambda: list(model.model_copy(update={"disable_streaming": True}).stream("q")),
        "generate": lambda: model.generate([[HumanMessage("q")]]),
        "agent": lambda: in_agent(model),
    }
    worker = Worker(
        "w", lambda task: [ways[how]() for _ in range(4)] and "done", price={"input": 1, "output": 9}
    )
    result = run(create_conductor(fixed.single("w"), [worker], budget={"calls": 2}), ask())
    paid = len(model.calls)
    (step,) = result["rounds"][0]["steps"]
    assert len(step["model_calls"]) == result["usage"]["total"]["calls"] == paid < 3
    assert Decimal(step["usage"]["usd"]) == sum(Decimal(c["usage"]["usd"]) for c in step["model_calls"]) > 0


def test_an_awaited_answer_of_the_cache_costs_nothing():
    model = ScriptedModel(replies=["hi there"], max_tokens=10, cache=InMemoryCache())

    async def work(task):
        for _ in range(3):
            await model.ainvoke("q")
        return "done"

    worker = Worker("w", work, price={"input": 1, "output": 9})
    result = asyncio.run(create_conductor(fixed.single("w"), [worker], budget={"calls": 2}).ainvoke(ask()))
    assert (result["stopped"], result["usage"]["total"]["calls"], len(model.calls)) == ("", 1, 1)


class OfTexts(InMemoryCache):
    """Gives `Generation`, as caches do that keep no messages."""

    def lookup(self, prompt, llm_string):
        found = super().lookup(prompt, llm_string)
        return found and [Generation(text=one.text) for one in found]


class Warm(InMemoryCache):
    """Was filled by another process, which kept no ids."""

    def lookup(self, prompt, llm_string):
        return [ChatGeneration(message=AIMessage("warm"))]


@pytest.mark.parametrize(("cache", "made"), [(InMemoryCache, 1), (OfTexts, 1), (Warm, 0)])
@pytest.mark.parametrize("identity", [None, "resp_1"])
@pytest.mark.parametrize("form", ["model", "bound", "function"])
@pytest.mark.parametrize("everywhere", [False, True])
def test_what_any_cache_gives_costs_nothing(cache, made, identity, form, everywhere, run, monkeypatch):
    used = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    model = ScriptedModel(
        replies=lambda _: AIMessage("hi", id=identity, usage_metadata=used),
        cache=None if everywhere else cache(),
    )
    monkeypatch.setattr(langchain_core.globals, "_llm_cache", cache() if everywhere else None)
    worker = {"model": model, "bound": model.bind(stop=["END"]), "function": lambda _: model.invoke("q")}[
        form
    ]
    # The same steps ask the same.
    team = create_conductor(
        fixed.workflow(flow(("w", "q", []))), [Worker("w", worker, price={"input": 1, "output": 1})],
        budget={"calls": 1},
    )  # fmt: skip
    totals = [run(team, ask())["usage"]["total"] for _ in range(2)]
    assert [(total["calls"], total["unpriced_calls"]) for total in totals] == [(made, 0), (0, 0)]
    assert (totals[1]["usd"], len(model.calls)) == ("0", made)


@pytest.mark.parametrize(
    ("cost", "identity", "cached"),
    [
        *((cost, identity, False) for cost in (0, 0.0) for identity in (None, "resp", "run", "lc_run-")),
        (0, None, True), (0.0, None, True), (0.0, "resp", True),
    ],
)  # fmt: skip
def test_calls_that_a_provider_gives_away_keep_to_the_budget(cost, identity, cached, run):
    used = {"input_tokens": 10, "output_tokens": 20, "total_tokens": 30, "total_cost": cost}
    # Chunks, put together, would lose the cost.
    model = ScriptedModel(cache=InMemoryCache() if cached else None, disable_streaming=True)
    model.replies = lambda _: AIMessage(
        "hi", id=identity and f"{identity}-{len(model.calls)}", usage_metadata=used
    )
    steps = fixed.workflow(flow(*(("w", f"Do {i}.", []) for i in range(5))))
    worker = Worker("w", model, price={"input": 1, "output": 10}, max_concurrency=1)
    result = run(create_conductor(steps, [worker], budget={"calls": 2}), ask())
    total = result["usage"]["total"]
    assert (len(model.calls), total["calls"], total["input_tokens"], total["usd"]) == (
        2,
        2,
        20,
        "0.00042",
    )
    assert result["stopped"]


def closed(model):
    stream = model.stream("q")
    next(stream)
    stream.close()


def left(model):
    for _ in model.stream("q"):
        break


def kept_open(model, streams=[]):  # noqa: B006 - so that it is not closed before the step ends
    streams.append(model.stream("q"))
    next(streams[-1])


async def aclosed(model):
    stream = model.astream("q")
    await anext(stream)
    await stream.aclose()


async def aleft(model):
    async for _ in model.astream("q"):
        break


def counted_once(result, model):
    (step,) = result["rounds"][0]["steps"]
    used = step["usage"]
    assert (used["calls"], used["unpriced_calls"], used["output_tokens"]) == (1, 1, 0)
    assert len(step["model_calls"]) == len(model.calls) == result["usage"]["total"]["calls"] == 1


@pytest.mark.parametrize("budget", [None, {"calls": 1}])
@pytest.mark.parametrize("way", [closed, left, kept_open])
def test_a_stream_that_is_not_read_to_its_end_counts(way, budget, run):
    model = ScriptedModel(replies=["hi there you"], max_tokens=10)
    worker = Worker("w", lambda task: way(model) or "done", price={"input": 1, "output": 9})
    counted_once(run(create_conductor(fixed.single("w"), [worker], budget=budget), ask()), model)


@pytest.mark.parametrize("budget", [None, {"calls": 1}])
@pytest.mark.parametrize("way", [aclosed, aleft])
def test_an_awaited_stream_that_is_not_read_to_its_end_counts(way, budget):
    model = ScriptedModel(replies=["hi there you"], max_tokens=10)

    async def work(task):
        await way(model)
        return "done"

    worker = Worker("w", work, price={"input": 1, "output": 9})
    conductor = create_conductor(fixed.single("w"), [worker], budget=budget)
    counted_once(asyncio.run(conductor.ainvoke(ask())), model)


class Batcher:
    """A client that all share, whose task is begun by whoever asks first."""

    def __init__(self, model):
        self.model, self.task = model, None

    async def ask(self, task):
        if self.task is None:
            self.waiting = asyncio.Queue()
            self.task = asyncio.create_task(self.serve())
        answer = asyncio.get_running_loop().create_future()
        await self.waiting.put((answer, ensure_config()))
        return await answer

    async def serve(self):
        while True:
            answer, config = await self.waiting.get()
            try:
                callbacks = config["callbacks"] if self.model.model_name == "told" else None
                answer.set_result((await self.model.ainvoke("q", {"callbacks": callbacks})).text)
            except Exception as error:
                answer.set_exception(error)


@pytest.mark.parametrize("name", ["alone", "told"])
@pytest.mark.parametrize("budget", [None, {"calls": 9}])
def test_a_task_that_a_step_began_for_all_serves_later_steps(name, budget):
    model = ScriptedModel(replies=["hi"], max_tokens=10, model_name=name)
    batcher = Batcher(model)
    plan = flow(("a", "x", []), ("b", "x", []), ("a", "x", []))
    conductor = create_conductor(
        fixed.workflow(plan), [Worker(n, batcher.ask, retries=0) for n in "ab"], budget=budget
    )

    async def twice():
        results = [await conductor.ainvoke(ask(), {"max_concurrency": 1}) for _ in range(2)]
        batcher.task.cancel()
        return results

    for number, result in enumerate(asyncio.run(twice())):
        steps = result["rounds"][0]["steps"]
        assert [step["status"] for step in steps] == ["ok"] * 3
        if name == "told":
            assert [step["usage"]["calls"] for step in steps] == [1, 1, 1]
        else:
            assert sum(step["usage"]["calls"] for step in steps) <= (0 if number else 3)
    assert len(model.calls) == 6


def test_a_thread_that_a_step_began_for_all_serves_later_steps(run):
    model = ScriptedModel(replies=["hi"], max_tokens=10)
    with ThreadPoolExecutor(1) as pool:
        contexts = []

        def work(task):
            contexts.append(contextvars.copy_context())
            return pool.submit(contexts[0].run, model.invoke, "q").result().text

        conductor = create_conductor(fixed.single("w"), [Worker("w", work, retries=0)], budget={"calls": 1})
        results = [run(conductor, ask()) for _ in range(3)]
    assert [result["answer"] for result in results] == ["hi"] * 3
    assert [result["usage"]["total"]["calls"] for result in results] == [1, 0, 0]
