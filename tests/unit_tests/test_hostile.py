"""Uses that once broke a promise: agents, retries, hand-overs, streaming, changed arguments."""

import asyncio

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from langgraph_conductor import ACCEPT, Plan, Usage, Worker, WorkerError, compile_workflow, create_conductor
from langgraph_conductor.planners import Attempt, fixed
from langgraph_conductor.testing import ScriptedModel
from langgraph_conductor.workers.failures import is_outage
from tests.helpers import Recorder, ScriptedPlanner, ask, flow, question, thread


class ToolModel(ScriptedModel):
    def bind_tools(self, tools, **kwargs):
        return self


def tool_call(name, **arguments):
    return AIMessage("", tool_calls=[{"name": name, "args": arguments, "id": "1"}])


def one(worker, **options):
    return create_conductor(fixed.single("w"), [Worker("w", worker)], **options)


@pytest.mark.parametrize("hosted", [False, True])
async def test_event_streams_run_the_conductor_to_its_answer(hosted):
    conductor = create_conductor(
        ScriptedPlanner(flow(("w", "x", []), ("w", "y", "all"))),
        [Worker("w", ScriptedModel(replies=["yes"]))],
    )
    if hosted:
        builder = StateGraph(MessagesState)
        builder.add_node("conductor", conductor)
        builder.add_edge(START, "conductor")
        conductor = builder.compile(checkpointer=InMemorySaver())
    events = [e async for e in conductor.astream_events(ask(), thread(), version="v2")]
    assert events[-1]["data"]["output"]["messages"][-1].text == "yes"
    names = [e["name"] for e in events if e["event"] == "on_chat_model_end"]
    assert len(names) == 2


def test_a_question_answered_before_an_outage_is_not_asked_again(run):
    tries = []

    def call(task):
        said = interrupt("approve?")
        tries.append(said)
        if len(tries) == 1:
            raise ConnectionError("down")
        return f"with {said}"

    conductor = one(call, checkpointer=InMemorySaver())
    assert run(conductor, ask(), thread())["__interrupt__"]
    result = run(conductor, Command(resume="yes"), thread())
    assert result["answer"] == "with yes"
    assert tries == ["yes", "yes"]


def test_an_agent_is_not_begun_anew_after_an_outage(run):
    paid = []

    @tool
    def pay(amount: int) -> str:
        """Pay."""
        paid.append(amount)
        return "paid"

    model = ToolModel(replies=[tool_call("pay", amount=5), ConnectionError("down"), AIMessage("done")])
    with pytest.raises(WorkerError, match="ConnectionError") as caught:
        run(one(create_agent(model, [pay])), ask())
    assert paid == [5]
    assert caught.value.infrastructure


def test_an_agent_that_hands_over_fails_its_step_and_others_answer(run):
    @tool
    def leave() -> Command:
        """Leave."""
        return Command(goto="other", graph=Command.PARENT)

    agent = create_agent(ToolModel(replies=[tool_call("leave")]), [leave])
    workflow = flow(("agent", "x", []), ("b", "y", [0]))
    conductor = create_conductor(
        fixed.workflow(workflow), [Worker("agent", agent), Worker("b", Recorder("b"))]
    )
    result = run(conductor, ask())
    assert result["answer"] == "b-0-1"
    assert "cannot hand over" in result["rounds"][0]["steps"][0]["error"]["message"]
    with pytest.raises(WorkerError, match=r"step 0 .* cannot hand over"):
        run(one(agent, on_step_error="raise"), ask())


def test_a_tool_that_returns_directly_is_the_answer(run):
    @tool(return_direct=True)
    def look() -> str:
        """Look."""
        return "THE ANSWER"

    reply = AIMessage("Let me look.", tool_calls=[{"name": "look", "args": {}, "id": "1"}])
    assert run(one(create_agent(ToolModel(replies=[reply]), [look])), ask())["answer"] == "THE ANSWER"


def test_a_graph_with_a_memory_of_its_own_is_refused():
    with pytest.raises(ValueError, match="remembers earlier rounds"):
        Worker("w", create_agent(ToolModel(), [], checkpointer=True))


def test_an_agent_with_fallbacks_answers(run):
    broken = create_agent(ToolModel(replies=[ValueError("no")]), [])
    good = create_agent(ToolModel(replies=["from the second"]), [])
    assert run(one(broken.with_fallbacks([good])), ask())["answer"] == "from the second"


def test_a_worker_that_changes_its_task_changes_it_for_itself_alone(run):
    def scribble(task):
        task.question[0]["text"] += " SECRET"
        return "done"

    reader = Recorder("reader")
    workers = [Worker("scribble", scribble), Worker("reader", reader)]
    workflow = flow(("scribble", "x", []), ("scribble", "y", [0]), ("reader", "z", [1]))

    class Scribbler(ScriptedPlanner):
        def plan(self, asked):
            asked.question[0]["text"] += " SECRET"
            for earlier in asked.rounds:
                earlier["answer"] = "SECRET"
            return super().plan(asked)

    result = run(create_conductor(Scribbler(workflow, workflow), workers, max_rounds=2), ask())
    assert "SECRET" not in "".join(task.messages[0].text for task in reader.tasks)
    assert result["rounds"][0]["answer"] == "reader-0-2"


def test_a_planner_that_accepts_cannot_change_what_happened(run):
    class Scribbler(ScriptedPlanner):
        def plan(self, asked):
            for earlier in asked.rounds:
                earlier["answer"] = "SECRET"
            return super().plan(asked)

    planner = Scribbler(flow(("w", "x", [])), ACCEPT)
    result = run(create_conductor(planner, [Worker("w", Recorder("w"))], max_rounds=2), ask())
    assert result["rounds"][1]["accepted"]
    assert result["rounds"][0]["answer"] == result["answer"] == "w-0-0"


def test_a_repeated_call_gets_a_fresh_task(run):
    seen = []

    def call(task):
        seen.append(task.question[0]["text"])
        task.question[0]["text"] = "changed"
        if len(seen) == 1:
            raise ConnectionError("down")
        return "done"

    run(one(call), ask("first"))
    assert seen == ["first", "first"]


class HasFunc:
    async def func(self, task):
        return "no"

    def __call__(self, task):
        return "called"


class Static:
    __call__ = staticmethod(lambda task: "static")


async def later(task):
    return "later"


@pytest.mark.parametrize(("function", "answer"), [(HasFunc(), "called"), (Static(), "static")])
def test_odd_callables_answer(function, answer, run):
    assert run(one(function), ask())["answer"] == answer


def test_a_function_that_returns_a_coroutine_is_awaited_or_says_so():
    conductor = one(lambda task: later(task))
    assert asyncio.run(conductor.ainvoke(ask()))["answer"] == "later"
    with pytest.raises(WorkerError, match="call the conductor with `ainvoke`"):
        conductor.invoke(ask())


def test_drawing_a_workflow_does_not_draw_it_into_workers():
    inner = create_conductor(fixed.single("x"), [Worker("x", Recorder())], name="inner")
    outer = create_conductor(fixed.single("team"), [Worker("team", inner)])
    config = {
        "configurable": {"conductor": {"workflow": flow(("team", "q", []), ("team", "r", [0])).to_json()}}
    }
    steps = [name for name in outer.get_graph(config, xray=True).nodes if name.count("step_") == 2]
    assert len(steps) == 2  # one placeholder in each of the two inner conductors
    with pytest.raises(ValueError, match="no worker 'ghost'"):
        outer.get_graph({"configurable": {"conductor": {"workflow": flow(("ghost", "q", []))}}}, xray=True)
    with pytest.raises(ValueError, match="option `workflow`"):
        outer.get_graph({"configurable": {"conductor": {"workflow": "abc"}}}, xray=True)


@pytest.mark.parametrize("fields", [{"text": None}, {"usage": None}, {"attempts": ({"text": "a"},)}])
def test_a_plan_with_wrong_fields_is_refused(fields):
    with pytest.raises(TypeError, match="Plan\\."):
        Plan(flow(("a", "x", [])), **fields)


def test_what_a_cut_reply_used_is_counted(run):
    usage = Usage(calls=2, input_tokens=1000)
    plan = Plan(flow(("w", "x", [])), usage=usage, attempts=(Attempt("text", "cut", "why"),))
    result = run(create_conductor(ScriptedPlanner(plan), [Worker("w", Recorder())]), ask())
    assert result["usage"]["planner"]["input_tokens"] == 1000


def test_an_outage_in_a_nested_conductor_is_one_outside_too(run):
    def down(task):
        raise ConnectionError("down")

    inner = create_conductor(fixed.single("x"), [Worker("x", down, retries=0)])
    with pytest.raises(WorkerError) as caught:
        run(one(inner), ask())
    assert caught.value.infrastructure
    with pytest.raises(WorkerError) as caught:
        run(one(Recorder("w", KeyError("bug"))), ask())
    assert not caught.value.infrastructure


def test_outages_are_known_when_wrapped():
    import httpx

    request = httpx.Request("GET", "http://127.0.0.1")
    assert is_outage(httpx.ConnectError("x"))
    assert is_outage(
        httpx.HTTPStatusError("x", request=request, response=httpx.Response(503, request=request))
    )
    assert not is_outage(
        httpx.HTTPStatusError("x", request=request, response=httpx.Response(404, request=request))
    )
    wrapped = RuntimeError("wrapped")
    wrapped.__cause__ = TimeoutError()
    assert is_outage(wrapped)
    wrapped.code = 1
    assert is_outage(wrapped)
    own = RuntimeError("no HTTP status")
    own.code = 1001
    assert not is_outage(own)


@pytest.mark.parametrize("error", [StopIteration(), StopAsyncIteration()])
def test_stop_iteration_is_an_ordinary_failure(error):
    async def call(task):
        raise error

    with pytest.raises(WorkerError, match=f"raised {type(error).__name__}"):
        asyncio.run(one(call).ainvoke(ask()))
    if isinstance(error, StopIteration):
        with pytest.raises(WorkerError, match="raised StopIteration"):
            one(Recorder("w", error)).invoke(ask())


def test_an_edited_output_of_an_interrupted_step_lets_its_reader_run():
    graph = compile_workflow(
        flow(("p", "x", []), ("r", "y", [0])),
        [Worker("p", lambda t: interrupt("?")), Worker("r", lambda t: t.inputs[0].text)],
        checkpointer=InMemorySaver(),
    )
    graph.invoke({"question": list(question())}, thread())
    output = {"index": 0, "worker": "p", "subtask": "x", "text": "by hand", "status": "ok"}
    graph.update_state(thread(), {"out_0": output}, as_node="step_0")
    assert graph.get_state(thread()).next == ("step_1",)
    assert graph.invoke(None, thread())["out_1"]["text"] == "by hand"


def test_a_compiled_workflow_takes_text_and_says_what_it_misses(run):
    recorder = Recorder("w")
    graph = compile_workflow(flow(("w", "x", [])), [Worker("w", recorder)])
    run(graph, {"question": "Why?"})
    assert recorder.tasks[0].question == question("Why?")
    with pytest.raises(ValueError, match="there is no question: give"):
        run(graph, {"round": 0})


def test_a_tool_message_in_the_middle_is_no_answer():
    from langgraph_conductor.replies import last_text

    assert last_text([AIMessage("x"), ToolMessage("t", tool_call_id="1"), AIMessage("y")]) == "y"


def test_one_worker_without_a_list_is_refused():
    with pytest.raises(TypeError, match="give a list of workers"):
        create_conductor(fixed.single("w"), Worker("w", Recorder()))
    with pytest.raises(ValueError, match="may_be_last must be"):
        Worker("w", Recorder(), may_be_last="no")
    with pytest.raises(ValueError, match="retries must be"):
        Worker("w", Recorder(), retries=True)
