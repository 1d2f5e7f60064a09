"""What is seen while a conductor runs, from where it stands in an application."""

import asyncio
from threading import Event

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.stream import CustomTransformer

from langgraph_conductor import Worker, add_conductor, create_conductor
from langgraph_conductor.planners.turns import TurnsPlanner
from langgraph_conductor.testing import ScriptedModel, plan_text
from tests.helpers import ask

PLAN = plan_text(("drafter", "Draft it.", []), ("writer", "Write it.", [0]))
STORY = [
    "planning_started", "workflow_planned", "step_started", "step_finished", "step_started", "step_finished",
    "round_finished", "answer",
]  # fmt: skip


def parts(planner=None):
    workers = [
        Worker("drafter", ScriptedModel(replies=["one two"])),
        Worker("writer", ScriptedModel(replies=["the whole answer"])),
    ]
    return planner or ScriptedModel(replies=[PLAN]), workers


def app(name, node):
    builder = StateGraph(MessagesState)
    builder.add_node(name, node)
    builder.add_edge(START, name)
    return builder.compile()


def alone(planner=None):
    return create_conductor(*parts(planner))


def added(planner=None):
    builder = StateGraph(MessagesState)
    add_conductor(builder, *parts(planner))
    builder.add_edge(START, "conductor")
    return builder.compile()


def subgraph(planner=None):
    return app("team", alone(planner))


def deeper(planner=None):
    return app("app", added(planner))


def tool(planner=None):
    conductor = alone(planner)

    def team(question: str) -> str:
        """Ask the team."""
        return conductor.invoke(ask(question))["answer"]

    call = AIMessage("", tool_calls=[{"name": "team", "args": {"question": "?"}, "id": "1"}])
    return create_agent(ScriptedModel(replies=[call, "the agent says"]), [team])


HERE, BELOW = [alone, added], [subgraph, deeper, tool]


def streamed(graph, *, subgraphs=False, tokens=False):
    """The conductor's events, and the streamed texts by how deep they were said and in which node."""
    config = {"configurable": {"conductor": {"tokens": tokens}}}
    events, texts = [], {}
    for namespace, mode, part in (
        found if subgraphs else ((), *found)
        for found in graph.stream(ask(), config, stream_mode=["custom", "messages"], subgraphs=subgraphs)
    ):
        if mode == "custom":
            events.append((len(namespace), part))
        else:
            where = len(namespace), part[1]["langgraph_node"]
            texts[where] = texts.get(where, "") + part[0].text
    return events, texts


def types(events):
    return [event["type"] for _, event in events if event["type"] != "token"]


@pytest.mark.parametrize("make", HERE)
def test_events_of_a_conductor_of_the_graph_itself_need_no_subgraphs(make):
    events, texts = streamed(make())
    assert types(events) == STORY
    assert list(texts.values()) == ["the whole answer"]  # of messages, its one message


@pytest.mark.parametrize("make", BELOW)
def test_events_of_a_conductor_further_down_need_subgraphs(make):
    events, texts = streamed(make())
    assert events == []
    assert "the whole answer" in texts.values()
    assert {depth for depth, _ in texts} == {0}
    events, _ = streamed(make(), subgraphs=True)
    assert types(events) == STORY
    assert {depth for depth, _ in events} == {1}


@pytest.mark.parametrize("make", [*HERE, *BELOW])
def test_with_subgraphs_everybodys_tokens_are_messages(make):
    _, texts = streamed(make(), subgraphs=True)
    said = {node: text for (_, node), text in texts.items()}  # names of nodes, whatever they are below
    assert said["step_0"] == "one two"
    assert said["step_1"] == "the whole answer"
    assert said["plan"] == PLAN


@pytest.mark.parametrize(
    ("make", "subgraphs"), [*((make, False) for make in HERE), *((make, True) for make in BELOW)]
)
def test_tokens_are_events_for_those_who_ask_and_the_answers_are_told_apart(make, subgraphs):
    events, _ = streamed(make(), subgraphs=subgraphs, tokens=True)
    told = [event for _, event in events if event["type"] == "token"]
    by = {None: "", 0: "", 1: ""}
    for event in told:
        by[event["step"]] += event["text"]
    assert by == {None: PLAN, 0: "one two", 1: "the whole answer"}
    assert {event["final"] for event in told if event["step"] == 1} == {True}
    assert not any(event["final"] for event in told if event["step"] != 1)
    # They come while the step runs, not after it.
    at = [event["type"] for _, event in events]
    assert at.index("token") < at.index("workflow_planned")
    assert at[-4:] == ["token", "step_finished", "round_finished", "answer"]


def test_a_turn_that_is_no_answer_has_no_final_tokens():
    turn = '{{"reasoning": "", "worker": "{}", "role": "{}", "subtask": "Do it.", "reads": []}}'
    planner = TurnsPlanner(
        ScriptedModel(replies=[turn.format("adder", "work"), turn.format("judge", "verify")])
    )
    workers = [
        Worker("adder", ScriptedModel(replies=["five"])),
        Worker("judge", ScriptedModel(replies=["right\nACCEPTED"])),
    ]
    events, _ = streamed(create_conductor(planner, workers, max_rounds=2), tokens=True)
    final = {event["worker"]: event["final"] for _, event in events if event["type"] == "token"}
    assert final == {"": False, "adder": True, "judge": False}


class Held(ScriptedModel):
    """A planner's model that answers when it is let go."""

    def _generate(self, *args, **kwargs):
        assert self.metadata["go"].wait(30)
        return super()._generate(*args, **kwargs)

    async def _agenerate(self, *args, **kwargs):
        assert await asyncio.to_thread(self.metadata["go"].wait, 30)
        return await super()._agenerate(*args, **kwargs)


@pytest.mark.parametrize("make", [*HERE, *BELOW])
@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_the_first_event_comes_before_the_planner_has_answered(make, mode):
    go = Event()
    graph = make(Held(replies=[PLAN], metadata={"go": go}))

    async def listen():
        options = {"stream_mode": "custom", "subgraphs": True}
        if mode == "sync":
            for _, event in graph.stream(ask(), **options):
                yield event
        else:
            async for _, event in graph.astream(ask(), **options):
                yield event

    before = []
    async for event in listen():
        if not go.is_set():
            before.append(event["type"])
            go.set()
    assert before == ["planning_started"]


# ------------------------------------------------------------------ LangChain's event streams


@pytest.mark.parametrize("make", [alone, added, subgraph])
async def test_events_of_version_2(make):
    events = [event async for event in make().astream_events(ask(), version="v2")]

    def said(**about):
        return "".join(
            event["data"]["chunk"].text
            for event in events
            if event["event"] == "on_chat_model_stream" and about.items() <= event["metadata"].items()
        )

    assert said(conductor_role="planner") == PLAN
    assert said(conductor_worker="drafter", conductor_step=0) == "one two"
    assert said(conductor_worker="writer", conductor_step=1) == "the whole answer"
    runs = {event["run_id"]: event for event in events if event["event"].endswith("_start")}
    root, *_ = runs
    assert all(root in event["parent_ids"] for run, event in runs.items() if run != root)
    ended = events[-1]
    assert (ended["event"], ended["run_id"]) == ("on_chain_end", root)
    assert ended["data"]["output"]["messages"][-1].text == "the whole answer"


@pytest.mark.filterwarnings("ignore:The v3 streaming protocol")
@pytest.mark.parametrize("make", HERE)
def test_events_of_version_3(make):
    config = {"configurable": {"conductor": {"tokens": True}}}
    with make().stream_events(ask(), config, version="v3", transformers=[CustomTransformer]) as run:
        told = list(run.custom)
        output = run.output
    assert [event["type"] for event in told if event["type"] != "token"] == STORY
    assert "".join(event["text"] for event in told if event.get("final") and "text" in event) == (
        "the whole answer"
    )
    assert output["messages"][-1].text == "the whole answer"
    assert output["messages"][-1].response_metadata["conductor"]["usage"]["total"]["calls"] == 3
