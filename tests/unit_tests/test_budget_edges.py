"""Budgets where calls end in odd ways: given up, cancelled, nested, interrupted, resumed."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from langchain.agents import create_agent
from langchain_core.language_models import LLM
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt

from langgraph_conductor import Budget, BudgetExceededError, Worker, compile_workflow, create_conductor
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import ScriptedModel
from langgraph_conductor.workers import Limiter
from tests.helpers import ScriptedPlanner, Tooled, ask, beside, called, chain, chat, flow, thread, tool_call


def within_seconds(seconds, function):
    """`function()`, or a failure if it hangs."""
    done = []
    thread = threading.Thread(target=lambda: done.append(function()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert done, "it hangs"
    return done[0]


def outcome(run, *args):
    try:
        return run(*args)
    except Exception as error:
        return error


def test_a_try_that_was_given_up_keeps_its_worst_case_and_nobody_waits_for_it(run):
    slow = chat(latency=2)
    worker = Worker("a", slow, timeout=0.2, retries=1)
    conductor = create_conductor(chain("a"), [worker], budget=Budget(calls=1))
    error = within_seconds(5, lambda: outcome(run, conductor, ask()))
    assert isinstance(error, BudgetExceededError)
    assert called(slow) <= 1


def test_calls_that_a_worker_cancels_itself_are_not_waited_for():
    slow, fast = chat(latency=5), chat("fast")

    async def impatient(task):
        try:
            await asyncio.wait_for(slow.ainvoke("x"), 0.1)
        except TimeoutError:
            return (await fast.ainvoke("y")).text

    one = create_conductor(chain("f"), [Worker("f", impatient)], budget=Budget(calls=1))
    two = create_conductor(chain("f"), [Worker("f", impatient)], budget=Budget(calls=2))
    assert isinstance(
        within_seconds(5, lambda: outcome(asyncio.run, one.ainvoke(ask()))), BudgetExceededError
    )
    assert within_seconds(5, lambda: asyncio.run(two.ainvoke(ask())))["answer"] == "fast"


def test_a_model_inside_a_model_does_not_wait_for_itself(run):
    inner = chat("inner")

    def through(messages):
        return inner.invoke(messages).text

    outer = ScriptedModel(replies=through, max_tokens=10, model_name="outer")
    conductor = create_conductor(chain("a"), [Worker("a", outer)], budget=Budget(calls=1))
    assert isinstance(within_seconds(5, lambda: outcome(run, conductor, ask())), BudgetExceededError)


class Completion(LLM):
    """A model that is no chat model."""

    @property
    def _llm_type(self):
        return "completion"

    def _call(self, prompt, stop=None, run_manager=None, **kwargs):
        return "completed"


def test_models_that_are_no_chat_models_wait_without_blocking_the_loop(run):
    plan = fixed.workflow(flow(("a", "x", []), ("b", "y", []), ("a", "z", [0, 1])))
    workers = [Worker(n, Completion()) for n in "ab"]
    conductor = create_conductor(plan, workers, budget=Budget(calls=2))
    result = within_seconds(5, lambda: run(conductor, ask()))
    assert result["answer"] == "completed"
    assert "2 calls" in result["stopped"]


def test_what_the_outer_budget_refuses_the_inner_has_not_spent(run):
    model = chat("short answer")

    def once_more(task):
        try:
            return model.invoke("long " * 500).text
        except Exception:
            return model.invoke("short").text

    inner = create_conductor(chain("f"), [Worker("f", once_more)], budget=Budget(calls=1))
    outer = create_conductor(chain("inner"), [Worker("inner", inner, max_input_tokens=300)])
    assert within_seconds(5, lambda: run(outer, ask()))["answer"] == "short answer"


def test_a_thread_that_was_left_behind_pays_no_further_call():
    model = Tooled(replies=[tool_call(1)], latency=0.15, max_tokens=10)

    def look() -> str:
        """Look."""
        return "nothing"

    pool = [Worker("agent", create_agent(model, [look]), timeout=0.3), Worker("b", lambda t: "b")]
    create_conductor(chain("agent", "b"), pool, budget=Budget(calls=50)).invoke(ask())
    made = called(model)
    time.sleep(0.6)
    assert called(model) <= made + 1


def test_a_refusal_ends_no_timeout(run):
    slow, uncapped = chat(latency=1.5), ScriptedModel()
    worker = Worker("a", uncapped.with_fallbacks([slow]), timeout=0.4, retries=0)
    pool = [worker, Worker("b", lambda t: "b")]
    budget = Budget(tokens=100_000)
    with pytest.raises(ValueError, match="no output cap"):
        create_conductor(chain("a", "b"), pool, budget=budget)

    def hidden(task):
        return uncapped.with_fallbacks([slow]).invoke("x").text

    pool = [Worker("a", hidden, timeout=0.4, retries=0), Worker("b", lambda t: "b")]
    result = run(create_conductor(chain("a", "b"), pool, budget=budget), ask())
    assert result["rounds"][0]["steps"][0]["error"]["type"] == "TimeoutError"


def test_a_model_below_a_capped_one_has_a_cap_of_its_own(run):
    below = ScriptedModel()

    def dig() -> str:
        """Dig."""
        return below.invoke("deeper").text

    above = Tooled(replies=[tool_call_of("dig"), "done"], max_tokens=5)
    pool = [Worker("a", above, tools=[dig]), Worker("b", lambda t: "b")]
    result = run(create_conductor(chain("a", "b"), pool, budget=Budget(tokens=8000)), ask())
    assert called(below) == 0
    assert result["answer"] == "b"


def tool_call_of(name):
    return AIMessage("", tool_calls=[{"name": name, "args": {}, "id": "1"}])


def test_a_refusal_that_was_swallowed_is_still_told(run):
    model = chat()

    def careful(task):
        try:
            return model.invoke("x").text + model.invoke("y").text
        except BudgetExceededError:
            return "made do"

    result = run(create_conductor(chain("f"), [Worker("f", careful)], budget=Budget(calls=1)), ask())
    assert result["answer"] == "made do"
    assert "1 call" in result["stopped"]


def test_what_the_first_paid_is_not_laid_on_its_fallback(run):
    empty = ScriptedModel(replies=[AIMessage("", usage_metadata={"input_tokens": 5, "output_tokens": 9,
                                                                 "total_tokens": 14})])  # fmt: skip
    pool = [Worker("a", empty, fallback="b"), Worker("b", chat("word"))]
    usage = run(create_conductor(chain("a"), pool), ask())["usage"]
    assert usage["by_worker"]["a"]["output_tokens"] == 9
    assert usage["by_worker"]["b"]["output_tokens"] == 1
    assert usage["workers"]["output_tokens"] == 10


@pytest.mark.parametrize("fresh", [False, True])
def test_what_was_paid_before_an_interrupt_is_not_forgotten(fresh, run):
    model, saver = chat("said"), InMemorySaver()

    def asks(task):
        model.invoke("first")
        answer = interrupt("Which?")
        return f"{answer} {model.invoke('second').text}"

    def conductor():
        return create_conductor(
            chain("p", "b"), [Worker("p", asks), Worker("b", chat("last"))],
            budget=Budget(calls=3), checkpointer=saver,
        )  # fmt: skip

    made = conductor()
    run(made, ask(), thread())
    result = run(conductor() if fresh else made, Command(resume="this"), thread())
    # The node begins anew, so its first call is made twice: 3 calls are all there are.
    assert called(model) == 3
    assert result["answer"] == "this said"
    assert "3 calls" in result["stopped"]
    assert result["usage"]["total"]["calls"] == 3
    assert len(result["rounds"][0]["steps"][0]["model_calls"]) == 3


def test_a_run_is_resumed_with_the_budget_it_began_with_or_a_lower_one(run):
    model, saver = chat("said"), InMemorySaver()

    def asks(task):
        return interrupt("Which?")

    plan = fixed.workflow(flow(("a", "x", []), ("p", "y", [0]), ("a", "z", [1])))
    conductor = create_conductor(plan, [Worker("a", model), Worker("p", asks)], checkpointer=saver)

    def begun(name):
        config = thread(name, budget={"calls": 2})
        run(conductor, ask(), config)
        return thread(name)

    same = run(conductor, Command(resume="yes"), begun("one"))
    assert (same["stopped"], same["answer"]) == ("", "said")
    begun("two")
    with pytest.raises(ValueError, match=r"only be lowered: 2 calls are set, and 3 calls were"):
        run(conductor, Command(resume="yes"), thread("two", budget={"calls": 3}))
    less = run(conductor, Command(resume="yes"), thread("two", budget={"calls": 1, "tokens": 10**6}))
    assert "1 call" in less["stopped"]


def test_seconds_bound_the_waiting_too(run):
    limiter = Limiter(max_concurrency=1)
    taken = limiter.enter()
    pool = [Worker("quick", lambda t: "quick"), Worker("slow", lambda t: "late", limiter=limiter)]
    conductor = create_conductor(chain("quick", "slow"), pool, budget=Budget(seconds=0.3))
    result = within_seconds(5, lambda: run(conductor, ask()))
    limiter.leave(taken)
    assert result["answer"] == "quick"
    assert "0.3 seconds" in result["stopped"]


def test_a_file_by_its_url_has_no_known_size(run):
    question = [{"type": "text", "text": "Read."}, {"type": "file", "url": "https://x/y.pdf"}]
    model = chat()
    conductor = create_conductor(chain("a"), [Worker("a", model)], budget=Budget(tokens=10_000))
    with pytest.raises(Exception, match="sent by reference"):
        run(conductor, {"messages": [{"role": "user", "content": question}]})
    assert called(model) == 0


def test_a_blocking_call_that_would_stop_its_own_loop_is_refused():
    quick, slow = chat("quick"), chat("slow", latency=0.3)

    async def blocks(task):
        await asyncio.sleep(0.1)
        return quick.invoke("x").text

    async def waits(task):
        return (await slow.ainvoke("y")).text

    plan = fixed.workflow(flow(("a", "x", []), ("b", "y", []), ("c", "z", [0, 1])))
    pool = [Worker("a", waits), Worker("b", blocks), Worker("c", lambda t: "end")]
    conductor = create_conductor(plan, pool, budget=Budget(calls=1))
    result = within_seconds(5, lambda: asyncio.run(conductor.ainvoke(ask())))
    assert result["answer"] == "end"
    error = result["rounds"][0]["steps"][1]["error"]
    assert error["type"] == "BlockedLoopError"
    assert "ainvoke" in error["message"]


def test_blocking_runs_wait_where_a_loop_happens_to_run():
    """As in a notebook: nothing that is waited for needs that loop."""
    conductor = create_conductor(
        beside("a", "b"), [Worker(n, chat(latency=0.05)) for n in "ab"], budget=Budget(usd=15, allow_unbounded=True)
    )  # fmt: skip

    async def notebook():
        return conductor.invoke(ask())

    assert within_seconds(5, lambda: asyncio.run(notebook()))["stopped"] == ""


def test_blocking_workers_do_not_use_up_the_threads_that_others_need():
    quick = chat("quick")

    def blocks(task):
        time.sleep(0.1)
        return quick.invoke("x").text

    names = [f"s{i}" for i in range(4)]
    pool = [*(Worker(n, blocks) for n in names), Worker("m", chat("model", latency=0.02))]
    conductor = create_conductor(beside("m", *names), pool, budget=Budget(calls=1))

    async def with_few_threads():
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
        return await conductor.ainvoke(ask())

    result = within_seconds(8, lambda: asyncio.run(with_few_threads()))
    assert result["usage"]["total"]["calls"] == 1


def test_models_inside_models_of_two_steps_do_not_wait_for_each_other():
    def wrapped(name):
        inner = chat("inner")

        def through(messages):
            time.sleep(0.2)
            return inner.invoke(messages).text

        return ScriptedModel(replies=through, max_tokens=10, model_name=name)

    pool = [Worker(n, wrapped(n)) for n in "ab"]
    conductor = create_conductor(beside("a", "b"), pool, budget=Budget(calls=2))
    assert within_seconds(6, lambda: outcome(conductor.invoke, ask()))


def test_a_call_that_was_given_up_while_it_waited_is_never_made():
    model, limiter = chat(), Limiter(requests_per_minute=1000)
    limiter.hold(0.6)
    conductor = create_conductor(
        chain("a"), [Worker("a", model, limiter=limiter)], budget=Budget(seconds=0.2)
    )
    with pytest.raises(BudgetExceededError):
        conductor.invoke(ask())
    time.sleep(0.8)
    assert called(model) == 0


@pytest.mark.parametrize("fresh", [False, True])
def test_what_finished_steps_had_spent_counts_once(fresh, run):
    model, saver = chat("said"), InMemorySaver()

    def asks(task):
        model.invoke("before")
        return interrupt(task.subtask)

    plan = fixed.workflow(flow(("p", "one", []), ("p", "two", []), ("a", "last", [0, 1])))

    def conductor():
        pool = [Worker("p", asks), Worker("a", model)]
        return create_conductor(plan, pool, budget=Budget(calls=6), checkpointer=saver)

    made = conductor()
    paused = run(made, ask(), thread())
    for question in paused["__interrupt__"]:  # one by one, by id
        made = conductor() if fresh else made
        result = run(made, Command(resume={question.id: "yes"}), thread())
    # 2 before the interrupts, then each begins anew (the second perhaps twice), then the last.
    assert result["answer"] == "said"
    assert result["usage"]["total"]["calls"] == called(model)
    assert result["stopped"] == ""


def test_what_a_cancelled_step_had_paid_is_not_forgotten():
    model, saver = chat("said"), InMemorySaver()
    slow = threading.Event()

    async def pays_and_hangs(task):
        text = (await model.ainvoke("x")).text
        if not slow.is_set():
            await asyncio.sleep(30)
        return text

    conductor = create_conductor(
        chain("a"), [Worker("a", pays_and_hangs)], budget=Budget(calls=5), checkpointer=saver
    )

    async def cancelled():
        task = asyncio.create_task(conductor.ainvoke(ask(), thread(), durability="sync"))
        await asyncio.sleep(0.3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(cancelled())
    slow.set()
    result = asyncio.run(conductor.ainvoke(None, thread()))
    assert result["usage"]["total"]["calls"] == called(model) == 2


@pytest.mark.parametrize("fresh", [False, True])
def test_what_a_planner_had_paid_before_it_asked_counts(fresh, run):
    model, saver = chat("p"), InMemorySaver()

    class Asking(ScriptedPlanner):
        def plan(self, asked):
            model.invoke("p")
            interrupt("Which?")
            return super().plan(asked)

    def conductor():
        return create_conductor(
            Asking(flow(("a", "x", []))), [Worker("a", chat("done"))], budget=Budget(calls=3), checkpointer=saver
        )  # fmt: skip

    made = conductor()
    run(made, ask(), thread())
    result = run(conductor() if fresh else made, Command(resume="this"), thread())
    assert result["usage"]["planner"]["calls"] == called(model) == 2
    assert result["usage"]["total"]["calls"] == 3
    assert result["stopped"] == ""


def test_a_compiled_workflow_keeps_what_it_paid_too(run):
    model = chat("said")

    def asks(task):
        model.invoke("x")
        return interrupt("Which?")

    graph = compile_workflow(flow(("p", "x", [])), [Worker("p", asks)], checkpointer=InMemorySaver())
    run(graph, {"question": [{"type": "text", "text": "q"}]}, thread())
    result = run(graph, Command(resume="yes"), thread())
    assert result["record_0"]["usage"]["calls"] == called(model) == 2


def test_a_saver_that_fails_hides_no_interrupt(run, caplog):
    class Failing(InMemorySaver):
        def put_writes(self, config, writes, task_id, task_path=""):
            if writes[0][0].startswith("kept_"):
                raise RuntimeError("closed")
            super().put_writes(config, writes, task_id, task_path)

        async def aput_writes(self, config, writes, task_id, task_path=""):
            self.put_writes(config, writes, task_id, task_path)

    def asks(task):
        chat().invoke("x")
        return interrupt("Which?")

    conductor = create_conductor(chain("p"), [Worker("p", asks)], checkpointer=Failing())
    paused = run(conductor, ask(), thread())
    assert paused["__interrupt__"][0].value == "Which?"
    assert "could not be saved" in caplog.text
