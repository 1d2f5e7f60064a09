"""The agent loop of workers with tools, and agents as workers: their limits, turns, broken calls, cancellation."""

import asyncio
from itertools import count

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    HumanInTheLoopMiddleware,
    ModelRetryMiddleware,
    PIIMiddleware,
    SummarizationMiddleware,
)
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, AIMessageChunk, ToolMessage
from langchain_core.outputs import ChatGenerationChunk
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command

from langgraph_conductor import Worker, WorkerPool, create_conductor
from langgraph_conductor.planners import fixed
from tests.helpers import ask, flow, thread
from tests.unit_tests.test_tools import Tooled


def searching(turns, answer="found it"):
    """A model that calls `search` for so many turns, whatever it is shown."""
    turn = count()

    def reply(messages):
        if "no tool calls left" in messages[0].text:
            return "asked to answer"
        number = next(turn)
        call = {"name": "search", "args": {"word": str(number)}, "id": f"c{number}"}
        return AIMessage("", tool_calls=[call]) if number < turns else answer

    return Tooled(replies=reply)


def search(word: str) -> str:
    """Search for a word."""
    return f"found {word}"


def graph_around(agent):
    builder = StateGraph(MessagesState)
    builder.add_node("inner", agent)
    builder.add_edge(START, "inner")
    return builder.compile()


def as_function(agent):
    return lambda task: agent.invoke({"messages": list(task.messages)})["messages"][-1].text


@pytest.mark.parametrize("form", ["agent", "inner", "function"])
def test_an_agent_runs_under_its_own_limit(form, run):
    agent = create_agent(searching(30), [search])
    worker = {"agent": agent, "inner": graph_around(agent), "function": as_function(agent)}[form]
    assert run(create_conductor(fixed.single("w"), [Worker("w", worker)]), ask())["answer"] == "found it"


@pytest.mark.parametrize("own", [None, 7])
@pytest.mark.parametrize("callers", [None, 9, 40])
def test_limits_are_what_langgraph_makes_of_them_in_a_node(own, callers, run):
    """Compared with the agent as a node of a plain graph."""

    def agent():
        built = create_agent(searching(12), [search])
        return built if own is None else built.with_config({"recursion_limit": own})

    config = {} if callers is None else {"recursion_limit": callers}

    def outcome(graph):
        try:
            result = run(graph, ask(), config)
        except Exception as error:
            return "GraphRecursionError" in repr(error) + str(error)
        return result["messages"][-1].text

    assert outcome(create_conductor(fixed.single("w"), [Worker("w", agent())])) == outcome(
        graph_around(agent())
    )


def test_middleware_that_is_a_node_costs_no_turns(run):
    pii = PIIMiddleware("email", apply_to_tool_results=True, apply_to_output=True)
    worker = Worker("w", searching(9), tools=[search], middleware=[pii])
    assert run(create_conductor(fixed.single("w"), [worker]), ask())["answer"] == "found it"


@pytest.mark.parametrize("limit", [8, 15, 25])
def test_before_the_callers_limit_ends_the_loop_the_model_has_to_answer(limit, run):
    model = searching(100)
    worker = Worker("w", model, tools=[search], max_tool_turns=90)
    result = run(create_conductor(fixed.single("w"), [worker]), ask(), {"recursion_limit": limit})
    assert result["answer"] == "asked to answer"
    assert len(model.calls) >= limit / 4  # and not long before


def test_turns_are_counted_where_middleware_removes_them_from_the_conversation(run):
    summarizing = SummarizationMiddleware(
        Tooled(replies=["summary"]), trigger=("messages", 4), keep=("messages", 2)
    )
    model = searching(50)
    worker = Worker("w", model, tools=[search], max_tool_turns=3, middleware=[summarizing])
    assert run(create_conductor(fixed.single("w"), [worker]), ask())["answer"] == "asked to answer"
    assert len(model.calls) == 4


def test_turns_are_counted_across_interrupts_and_anew_in_each_step(run):
    yes = Command(resume={"decisions": [{"type": "approve"}]})
    models = searching(50)
    worker = Worker(
        "w",
        models,
        tools=[search],
        max_tool_turns=2,
        middleware=[HumanInTheLoopMiddleware({"search": True})],
    )
    conductor = create_conductor(
        fixed.workflow(flow(("w", "x", []), ("w", "y", [0]))), [worker], checkpointer=InMemorySaver()
    )
    asked = 0
    result = run(conductor, ask(), thread())
    while "__interrupt__" in result:
        asked += 1
        assert asked < 10
        result = run(conductor, yes, thread())
    assert (asked, result["answer"]) == (4, "asked to answer")


def broken(args='{"word": "te', ident="b1"):
    call = {"name": "search", "args": args, "id": ident, "error": None, "type": "invalid_tool_call"}
    return AIMessage("", invalid_tool_calls=[call])


def test_a_call_with_broken_arguments_is_not_made_and_the_model_is_told(run):
    ran, prompts = [], []

    def search(word: str = "") -> str:
        """Search."""
        ran.append(word)
        return "seen"

    good = {"name": "search", "args": {"word": "tea"}, "id": "g1"}

    def reply(messages):
        prompts.append(messages)
        if len(prompts) == 1:
            return AIMessage("", tool_calls=[good], invalid_tool_calls=broken().invalid_tool_calls)
        return "done"

    worker = Worker("w", Tooled(replies=reply), tools=[search])
    assert run(create_conductor(fixed.single("w"), [worker]), ask())["answer"] == "done"
    assert ran == ["tea"]
    said = next(message for message in prompts[1] if isinstance(message, AIMessage))
    assert [(call["id"], call["args"]) for call in said.tool_calls] == [("g1", {"word": "tea"}), ("b1", {})]
    results = {m.tool_call_id: (m.status, m.text) for m in prompts[1] if isinstance(m, ToolMessage)}
    assert results["g1"] == ("success", "seen")
    assert results["b1"][0] == "error"
    assert '{"word": "te' in results["b1"][1]


def test_broken_calls_are_turns(run):
    model = Tooled(
        replies=lambda messages: "my answer" if "no tool calls left" in messages[0].text else broken()
    )
    worker = Worker("w", model, tools=[search], max_tool_turns=2)
    assert run(create_conductor(fixed.single("w"), [worker]), ask())["answer"] == "my answer"
    assert len(model.calls) == 3


class CutOff(Tooled):
    """Streams the pieces of calls, the first time; says what it was told, the second."""

    pieces: list
    streaming: bool = False

    def _stream(self, messages, *args, **kwargs):
        told = [message.text for message in messages if isinstance(message, ToolMessage)]
        if told:
            chunks = [AIMessageChunk(" | ".join(told))]
        else:
            chunks = [AIMessageChunk("", tool_call_chunks=[piece]) for piece in self.pieces]
        yield from (ChatGenerationChunk(message=chunk) for chunk in chunks)

    async def _astream(self, *args, **kwargs):
        for chunk in self._stream(*args, **kwargs):
            yield chunk


def piece(args, index=0, ident=None, name=None):
    return {"type": "tool_call_chunk", "name": name, "args": args, "id": ident, "index": index}


WHOLE = [piece('{"word": ', 0, "c1", "search"), piece('"tea"}')]
CUT = [piece('{"word": "te', 1, "c2", "search"), piece("a", 1)]


@pytest.mark.parametrize(
    ("pieces", "words"),
    [(WHOLE, ["tea"]), (CUT, []), ([*WHOLE, *CUT], ["tea"]), ([piece("[1", 0, "c1", "search")], [])],
)
def test_a_call_that_is_cut_off_in_a_stream_is_not_made(pieces, words, run):
    ran = []

    def search(word: str = "") -> str:
        """Search."""
        ran.append(word)
        return "seen"

    worker = Worker("w", CutOff(pieces=pieces, streaming=True), tools=[search])
    answer = run(create_conductor(fixed.single("w"), [worker]), ask())["answer"]
    assert ran == words
    assert ("This call was not made" in answer) == (pieces is not WHOLE)


@pytest.mark.parametrize("form", ["agent", "inner"])
def test_an_agent_of_the_users_makes_no_call_that_is_cut_off(form, run):
    ran = []

    def search(word: str = "") -> str:
        """Search."""
        ran.append(word)
        return "seen"

    agent = create_agent(CutOff(pieces=CUT, streaming=True), [search])
    pool = [Worker("w", agent if form == "agent" else graph_around(agent)), Worker("b", lambda t: "b")]
    result = run(create_conductor(fixed.workflow(flow(("w", "x", []), ("b", "y", [0]))), pool), ask())
    assert ran == []
    assert result["rounds"][0]["steps"][0]["status"] == "failed"


class Stubborn(AgentMiddleware):
    """Turns every failure of a model call into another one, as SDKs do while they are closed."""

    async def awrap_model_call(self, request, handler):
        try:
            return await handler(request)
        except asyncio.CancelledError:
            raise ExceptionGroup("closing", [ConnectionError("broken"), ValueError("too")]) from None


@pytest.mark.parametrize("kind", ["raises", "returns", "middleware"])
async def test_cancelling_wins_over_whatever_a_worker_makes_of_it(kind):
    at_work, after = asyncio.Event(), Tooled(replies=["paid"])

    async def slow(word: str = "") -> str:
        """Search slowly."""
        at_work.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if kind == "raises":
                raise ConnectionError("closed") from None
        return "swallowed"

    class Slow(Tooled):
        async def _agenerate(self, *args, **kwargs):
            await slow()

    call = AIMessage("", tool_calls=[{"name": "slow", "args": {}, "id": "1"}])
    if kind == "middleware":
        worker = Worker("w", Slow(), middleware=[Stubborn()])
    else:
        worker = Worker("w", Tooled(replies=[call, "paid"]), tools=[slow])
    pool = [worker, Worker("b", after)]
    conductor = create_conductor(fixed.workflow(flow(("w", "x", []), ("b", "y", [0]))), pool)
    running = asyncio.ensure_future(conductor.ainvoke(ask()))
    await at_work.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert after.calls == []
    assert kind == "middleware" or len(worker.model.calls) == 1


async def test_a_time_limit_inside_a_worker_is_no_cancellation():
    async def late(task):
        try:
            async with asyncio.timeout(0):
                await asyncio.sleep(60)
        except TimeoutError:
            return "gave up by itself"

    result = await create_conductor(fixed.single("w"), WorkerPool([Worker("w", late)])).ainvoke(ask())
    assert result["answer"] == "gave up by itself"


class Heard(BaseCallbackHandler):
    def __init__(self):
        self.begun, self.failed = [], []

    def on_tool_start(self, *_, run_id, **__):
        self.begun.append(run_id)

    def on_tool_error(self, error, *, run_id, **_):
        self.failed.append((run_id, type(error).__name__))


async def test_the_run_of_a_tool_ends_when_its_step_is_cancelled():
    at_work, heard = asyncio.Event(), Heard()

    async def slow() -> str:
        """Wait."""
        at_work.set()
        await asyncio.sleep(60)

    call = AIMessage("", tool_calls=[{"name": "slow", "args": {}, "id": "1"}])
    conductor = create_conductor(fixed.single("w"), [Worker("w", Tooled(replies=[call]), tools=[slow])])
    running = asyncio.ensure_future(conductor.ainvoke(ask(), {"callbacks": [heard]}))
    await at_work.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert heard.failed == [(heard.begun[0], "CancelledError")]


@pytest.mark.parametrize("form", ["tools", "agent"])
@pytest.mark.parametrize(
    ("failure", "is_outage"), [(ConnectionError("cut"), True), (ValueError("own"), False)]
)
def test_a_retry_middlewares_notice_is_no_answer(form, failure, is_outage, run):
    giving_up = ModelRetryMiddleware(max_retries=1, initial_delay=0, jitter=False)
    model = Tooled(replies=[failure])
    if form == "tools":
        worker = Worker("w", model, tools=[search], middleware=[giving_up], retries=0)
    else:
        worker = Worker("w", create_agent(model, [search], middleware=[giving_up]))
    conductor = create_conductor(
        fixed.workflow(flow(("w", "x", []), ("b", "y", [0]))), [worker, Worker("b", lambda t: "b")]
    )
    step = run(conductor, ask())["rounds"][0]["steps"][0]
    assert step["status"] == "failed"
    assert (step["error"]["type"], step["error"]["infrastructure"]) == ("ModelCallError", is_outage)
    assert type(failure).__name__ in step["error"]["message"]


def test_a_model_may_say_that_a_call_failed(run):
    said = AIMessage(
        "Model call failed after 2 attempts with an ant.", response_metadata={"model_name": "m"}
    )
    worker = Worker("w", create_agent(Tooled(replies=[said]), [search]))
    assert run(create_conductor(fixed.single("w"), [worker]), ask())["answer"] == said.text
