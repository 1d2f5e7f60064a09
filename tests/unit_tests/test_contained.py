"""What a step or planner calls cannot end the program: only `KeyboardInterrupt` and a real cancellation pass."""

import asyncio
import sys
from contextvars import Context

import pytest
from langchain.agents import create_agent
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph

from langgraph_conductor import Worker, create_conductor
from langgraph_conductor.containment import acontained, contained
from langgraph_conductor.errors import GraderError
from langgraph_conductor.planners import fixed
from langgraph_conductor.rewards import Task, grade
from langgraph_conductor.testing import ScriptedModel
from tests.helpers import Tooled, ask, beside, thread, tool_call


class OwnError(BaseException):
    """One of the user's."""


ENDS = [
    SystemExit(2),
    SystemExit(503),  # no HTTP status
    SystemExit("usage: sk-abcdefgh12345678"),
    GeneratorExit(),
    asyncio.CancelledError(),
    OwnError("own"),
    BaseExceptionGroup("both", [SystemExit(1), ValueError("x")]),
]


def raising(error):
    def work(_):
        raise error

    return work


def araising(error):
    async def work(_):
        await asyncio.sleep(0)
        raise error

    return work


@pytest.mark.parametrize("error", ENDS, ids=repr)
@pytest.mark.parametrize("who", ["planner", "worker"])
def test_what_a_model_raises_is_told_as_what_it_is(error, who, run):
    model = ScriptedModel(replies=raising(error))
    good = Worker("good", lambda task: "ok")
    if who == "planner":
        result = run(create_conductor(model, [good]), ask())
        said = result["rounds"][0]["plan"]["error"]
    else:
        pool = [Worker("bad", model, retries=0), good]
        result = run(create_conductor(beside("bad", "good"), pool), ask())
        said = result["rounds"][0]["steps"][0]["error"]
    assert result["answer"] == "ok"
    assert f"{type(error).__name__} was raised" in str(said)
    assert "generations" not in str(said)


def steps_of(result):
    return [(step["worker"], step["status"], step["calls"]) for step in result["rounds"][0]["steps"]]


@pytest.mark.parametrize("error", ENDS, ids=repr)
@pytest.mark.parametrize("options", [{}, {"timeout": 60}], ids=["alone", "timed"])
def test_a_worker_that_ends_its_program_is_a_failed_step(error, options, run):
    pool = [Worker("bad", raising(error), **options), Worker("good", lambda t: "ok")]
    result = run(create_conductor(beside("bad", "good"), pool), ask())
    assert result["answer"] == "ok"
    assert steps_of(result) == [("bad", "failed", 1), ("good", "ok", 1)]  # not asked again
    told = result["rounds"][0]["steps"][0]["error"]
    assert (told["type"], told["infrastructure"]) == ("RuntimeError", False)
    assert type(error).__name__ in told["message"]
    assert "abcdefgh" not in told["message"]


@pytest.mark.parametrize("error", ENDS, ids=repr)
def test_an_async_worker_that_ends_its_program_is_a_failed_step(error):
    pool = [Worker("bad", araising(error)), Worker("good", lambda t: "ok")]
    result = asyncio.run(create_conductor(beside("bad", "good"), pool).ainvoke(ask()))
    assert steps_of(result) == [("bad", "failed", 1), ("good", "ok", 1)]


def test_a_streamed_run_goes_on_past_it():
    conductor = create_conductor(
        beside("bad", "good"), [Worker("bad", raising(SystemExit(2))), Worker("good", lambda t: "ok")]
    )
    parts = list(conductor.stream(ask(), stream_mode="values"))
    assert parts[-1]["answer"] == "ok"


def test_a_nested_conductor_goes_on_past_it(run):
    team = create_conductor(
        beside("bad", "good"), [Worker("bad", raising(SystemExit(2))), Worker("good", lambda t: "ok")]
    )
    assert run(create_conductor(fixed.single("team"), [Worker("team", team)]), ask())["answer"] == "ok"


@pytest.mark.parametrize("error", ENDS, ids=repr)
def test_a_planner_that_ends_its_program_is_helped_out_for(error, run):
    class Own:
        def plan(self, request):
            raise error

        async def aplan(self, request):
            raise error

    result = run(create_conductor(Own(), [Worker("w", lambda t: "ok")]), ask())
    assert result["answer"] == "ok"
    assert result["rounds"][0]["plan"]["reached"] == "fallback"


@tool
def look() -> str:
    """Look."""
    sys.exit(4)


@tool("look")
async def async_look() -> str:
    """Look."""
    sys.exit(4)


def test_a_tool_that_ends_its_program_fails_its_step(run):
    model = Tooled(replies=[tool_call(1), "never"])
    pool = [Worker("bad", model, tools=[look]), Worker("good", lambda t: "ok")]
    result = run(create_conductor(beside("bad", "good"), pool), ask())
    assert steps_of(result) == [("bad", "failed", 1), ("good", "ok", 1)]


def test_an_async_tool_that_ends_its_program_fails_its_step():
    model = Tooled(replies=[tool_call(1), "never"])
    pool = [Worker("bad", model, tools=[async_look]), Worker("good", lambda t: "ok")]
    result = asyncio.run(create_conductor(beside("bad", "good"), pool).ainvoke(ask()))
    assert steps_of(result) == [("bad", "failed", 1), ("good", "ok", 1)]


def test_a_tool_of_an_agent_too():
    pool = [
        Worker("bad", create_agent(Tooled(replies=[tool_call(1), "never"]), [look])),
        Worker("good", lambda t: "ok"),
    ]
    result = create_conductor(beside("bad", "good"), pool).invoke(ask())
    assert steps_of(result) == [("bad", "failed", 1), ("good", "ok", 1)]


def exits(*_):
    sys.exit(3)


async def aexits(*_):
    await asyncio.sleep(0)
    sys.exit(3)


def graph_of(*nodes):
    graph = StateGraph(MessagesState)
    for number, node in enumerate(nodes):
        graph.add_node(str(number), node)
        graph.add_edge(START, str(number))
    return graph.compile()


def function(inner):
    async def work(task):
        return str(await inner())

    return work


FORMS = {
    "lambda": lambda: RunnableLambda(exits),
    "async lambda": lambda: RunnableLambda(aexits),
    "sequence": lambda: RunnableLambda(str) | RunnableLambda(exits),
    "model": lambda: Tooled(replies=[SystemExit(3)]),
    "agent": lambda: create_agent(Tooled(replies=[tool_call(1), "never"]), [look]),
    "async agent": lambda: create_agent(Tooled(replies=[tool_call(1), "never"]), [async_look]),
    "graph": lambda: graph_of(exits),
    "two nodes": lambda: graph_of(aexits, lambda state: None),
    "team": lambda: create_conductor(fixed.single("i"), [Worker("i", RunnableLambda(exits), retries=0)]),
    "gather": lambda: function(lambda: asyncio.gather(aexits(), asyncio.sleep(0))),
    "task": lambda: function(lambda: asyncio.create_task(aexits())),
    "wait_for": lambda: function(lambda: asyncio.wait_for(aexits(), 60)),
    "to_thread": lambda: function(lambda: asyncio.to_thread(exits)),
    "in an empty context": lambda: function(lambda: asyncio.create_task(aexits(), context=Context())),
    "own exception": lambda: function(lambda: asyncio.gather(araising(OwnError("own"))(0))),
    "closed": lambda: function(lambda: asyncio.gather(araising(GeneratorExit())(0))),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("options", [{}, {"timeout": 60}], ids=["alone", "timed"])
def test_a_task_inside_an_awaited_step_cannot_end_the_program(form, options):
    pool = [Worker("bad", FORMS[form](), retries=0, **options), Worker("good", lambda t: "ok")]
    result = asyncio.run(create_conductor(beside("bad", "good"), pool).ainvoke(ask()))
    assert result["answer"] == "ok"
    assert [step["status"] for step in result["rounds"][0]["steps"]] == ["failed", "ok"]


def test_a_task_inside_an_awaited_planner_cannot_either():
    class Own:
        def plan(self, request):
            raise NotImplementedError

        async def aplan(self, request):
            await asyncio.gather(aexits())

    result = asyncio.run(create_conductor(Own(), [Worker("w", lambda t: "ok")]).ainvoke(ask()))
    assert result["rounds"][0]["plan"]["reached"] == "fallback"


def test_functions_of_the_conductor_cannot_end_the_program_either(run):
    from langgraph.checkpoint.memory import InMemorySaver

    asked = create_conductor(
        fixed.single("w"),
        [Worker("w", lambda t: "ok")],
        approve=raising(SystemExit(2)),
        checkpointer=InMemorySaver(),
    )
    assert run(asked, ask(), thread())["__interrupt__"]
    puzzled = create_conductor(
        fixed.single("w"), [Worker("w", lambda t: "ok")], get_question=raising(SystemExit(2))
    )
    with pytest.raises(RuntimeError, match="SystemExit was raised: 2"):
        run(puzzled, ask())


def ending(answer, task):
    sys.exit(2)


def test_a_grader_that_ends_its_program_could_not_run():
    with pytest.raises(GraderError, match="SystemExit"):
        grade("x", Task(question="q", answer="x", grader=f"{__name__}:ending"))


@pytest.mark.parametrize("timeout", [None, 60])
def test_ctrl_c_passes(timeout, run):
    for error in (KeyboardInterrupt(), BaseExceptionGroup("g", [KeyboardInterrupt()])):
        pool = [Worker("w", raising(error), timeout=timeout)]
        with pytest.raises(KeyboardInterrupt):
            run(create_conductor(fixed.single("w"), pool), ask())


@pytest.mark.parametrize("late", [asyncio.CancelledError(), SystemExit(2), OwnError("x")])
def test_a_real_cancellation_wins(late):
    begun = asyncio.Event()

    async def work(_):
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            raise late

    async def cancelled():
        conductor = create_conductor(fixed.single("w"), [Worker("w", work)])
        task = asyncio.create_task(conductor.ainvoke(ask()))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())


def test_a_coroutine_that_is_closed_ends():
    async def forever():
        await asyncio.sleep(60)

    waiting = acontained(forever)

    async def begin():
        waiting.send(None)

    asyncio.run(begin())
    waiting.close()  # would say that it ignored GeneratorExit


def test_failures_keep_where_they_come_from():
    with pytest.raises(RuntimeError) as caught:
        contained(raising(SystemExit(7)), None)
    assert isinstance(caught.value.__context__, SystemExit)
    with pytest.raises(ValueError, match="as it is"):
        contained(raising(ValueError("as it is")), None)
