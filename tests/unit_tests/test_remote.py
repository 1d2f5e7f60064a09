"""Graphs behind HTTP as workers: what they are sent, and how their questions come back."""

import json
from types import SimpleNamespace

import pytest
from langchain_core.messages import HumanMessage, message_to_dict
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.pregel.remote import RemoteGraph
from langgraph.types import Command, interrupt

from langgraph_conductor import Worker, create_conductor
from langgraph_conductor.graph import _langgraph
from langgraph_conductor.planners import fixed
from langgraph_conductor.workers import remote
from tests.helpers import ask, flow, thread


class Part(SimpleNamespace):
    def _replace(self, **changes):
        return Part(**{**vars(self), **changes})


def jsonable(value):
    return json.loads(
        json.dumps(
            value,
            default=lambda one: (
                {"role": one.type, **message_to_dict(one)["data"]}
                if hasattr(one, "content")
                else {"value": one.value, "id": one.id}
            ),
        )
    )


class Far:
    """A LangGraph server's API over a local graph, as far as `RemoteGraph` uses it."""

    def __init__(self, node):
        builder = StateGraph(MessagesState)
        builder.add_node("far", node)
        builder.add_edge(START, "far")
        self.saved = builder.compile(checkpointer=InMemorySaver())
        self.unsaved = builder.compile()
        self.sent = []

    def stream(self, thread_id, input, command, config, **_):  # noqa: A002 - the SDK's name
        self.sent.append({"thread": thread_id, "command": command, **config})
        graph = self.saved if thread_id else self.unsaved
        given = input if command is None else Command(resume=command["resume"])
        if input is not None:
            given = {"messages": jsonable(input["messages"])}
        where = {"configurable": {"thread_id": thread_id}, "metadata": config.get("metadata") or {}}
        for mode, data in graph.stream(given, where, stream_mode=["updates", "values"]):
            yield Part(event=mode, data=jsonable(data))

    def get_state(self, thread_id, **_):
        state = self.saved.get_state({"configurable": {"thread_id": thread_id}})
        if not state.config["configurable"].get("checkpoint_id"):
            raise NotFoundError
        tasks = [
            {"id": t.id, "name": t.name, "error": None, "interrupts": jsonable(list(t.interrupts)), "state": None,
             "checkpoint": None} for t in state.tasks
        ]  # fmt: skip
        return {
            "values": jsonable(state.values), "next": list(state.next), "tasks": tasks,
            "checkpoint": {"thread_id": thread_id, "checkpoint_ns": "", "checkpoint_id": "1"},
            "metadata": state.metadata, "created_at": "", "parent_checkpoint": None,
        }  # fmt: skip

    def graph(self):
        far = self

        class Awaited:
            async def stream(self, **given):
                for part in far.stream(**given):
                    yield part

            async def get_state(self, **given):
                return far.get_state(**given)

        return RemoteGraph(
            "far",
            client=SimpleNamespace(runs=Awaited(), threads=Awaited()),
            sync_client=SimpleNamespace(runs=self, threads=self),
        )


class NotFoundError(Exception):
    status_code = 404


def says_what_it_reads(state):
    return {"messages": [("ai", f"read {len(state['messages'])}: {state['messages'][-1].text[-200:]}")]}


@pytest.mark.parametrize("saver", [None, InMemorySaver])
def test_a_remote_graph_gets_what_its_step_was_granted_and_no_more(saver, run):
    far = Far(says_what_it_reads)
    conductor = create_conductor(
        fixed.workflow(flow(("far", "One.", []), ("far", "Two.", []), ("far", "Three.", []))),
        [Worker("far", far.graph())],
        checkpointer=saver and saver(),
    )
    config = {"configurable": {"thread_id": "secret-thread", "user": "u1"}, "metadata": {"team": "t1"}}
    for _ in range(2):
        result = run(conductor, ask(), config)
    assert all(step["text"].startswith("read 1: ") for step in result["rounds"][0]["steps"])
    threads = [sent["thread"] for sent in far.sent]
    assert len(set(threads)) == (1 if saver is None else 6)
    assert (threads[0] is None) == (saver is None)
    for sent in far.sent:
        assert sent["configurable"] == {"user": "u1"}
        assert sent["metadata"].items() >= {"team": "t1"}.items()
        assert "secret-thread" not in repr(sent)


def asking(state):
    first = interrupt("first?")
    return {"messages": [("ai", f"{first} and {interrupt(f'after {first}?')} of {len(state['messages'])}")]}


def test_what_a_remote_graph_asks_comes_back_and_the_answers_reach_it(run):
    far = Far(asking)
    conductor = create_conductor(
        fixed.single("far"), [Worker("far", far.graph())], checkpointer=InMemorySaver()
    )
    paused = run(conductor, ask(), thread())
    assert [one.value for one in paused["__interrupt__"]] == ["first?"]
    paused = run(conductor, Command(resume="tea"), thread())
    assert [one.value for one in paused["__interrupt__"]] == ["after tea?"]
    result = run(conductor, Command(resume={paused["__interrupt__"][0].id: "milk"}), thread())
    assert result["answer"] == "tea and milk of 1"
    assert len({sent["thread"] for sent in far.sent}) == 1
    assert [(sent["command"] or {}).get("resume") for sent in far.sent] == [None, "tea", "milk"]


def test_parallel_remote_steps_ask_apart(run):
    far = Far(lambda state: {"messages": [("ai", f"told {interrupt(state['messages'][-1].text[-40:])}")]})
    conductor = create_conductor(
        fixed.workflow(flow(("far", "One.", []), ("far", "Two.", []), ("last", "End.", [0, 1]))),
        [Worker("far", far.graph()), Worker("last", lambda task: " ".join(i.text for i in task.inputs))],
        checkpointer=InMemorySaver(),
    )
    paused = run(conductor, ask(), thread())
    answers = {one.id: "1" if "One" in one.value else "2" for one in paused["__interrupt__"]}
    assert len(answers) == 2
    assert run(conductor, Command(resume=answers), thread())["answer"] == "told 1 told 2"


def test_two_questions_at_once_are_asked_one_after_the_other(run):
    builder = StateGraph(MessagesState)
    for name in ("a", "b"):
        builder.add_node(name, lambda state, n=name: {"messages": [("ai", f"{n}={interrupt(n)}")]})
        builder.add_edge(START, name)
    far = Far(says_what_it_reads)
    far.saved = builder.compile(checkpointer=InMemorySaver())
    conductor = create_conductor(
        fixed.single("far"), [Worker("far", far.graph())], checkpointer=InMemorySaver()
    )
    asked, result = [], run(conductor, ask(), thread())
    while "__interrupt__" in result:
        asked.append(result["__interrupt__"][0].value)
        result = run(conductor, Command(resume=f"yes {asked[-1]}"), thread())
    assert sorted(asked) == ["a", "b"]
    said = jsonable(far.saved.get_state({"configurable": {"thread_id": far.sent[0]["thread"]}}).values)
    assert {m["content"] for m in said["messages"][1:]} == {"a=yes a", "b=yes b"}


def test_answers_that_cannot_be_told_apart_are_refused():
    assert [remote._delivered(given, 1, 0, "w") for given in (1, 2, 3)] == [0, 1, 2]
    assert [remote._delivered(given, 2, 1, "w") for given in (2, 3)] == [1, 1]
    with pytest.raises(NotImplementedError, match="asks 2 questions at once, for the second time"):
        remote._delivered(3, 2, 0, "w")


def test_a_remote_graph_with_a_thread_of_its_own_is_refused():
    graph = Far(says_what_it_reads).graph()
    with pytest.raises(ValueError, match="worker 'far': the remote graph is bound to a thread"):
        Worker("far", graph.with_config({"configurable": {"thread_id": "7"}}))


def test_langgraphs_keys_are_what_they_were():
    assert remote.SCRATCHPAD_KEY == _langgraph.CONFIG_KEY_SCRATCHPAD
    assert remote.SAVER_KEY == _langgraph.CONFIG_KEY_CHECKPOINTER


def test_no_remote_graph_is_seen_where_there_is_none():
    assert not remote.is_remote(HumanMessage("x"))
