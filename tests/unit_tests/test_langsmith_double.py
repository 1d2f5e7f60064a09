"""The LangSmith double takes in the same tree over each wire."""

import time

import pytest
from langgraph.graph import START, MessagesState, StateGraph
from langsmith import run_trees

from langgraph_conductor.testing import ScriptedModel
from tests.langsmith_double import WIRES, traced


def graph():
    model = ScriptedModel(replies=["Good day!"])
    builder = StateGraph(MessagesState)
    builder.add_node("greet", lambda state: {"messages": [model.invoke(state["messages"])]})
    builder.add_edge(START, "greet")
    return builder.compile(name="app")


def ways_of(langsmith):
    """Path and encoding of what was posted."""
    return {
        (r.path.rpartition("/")[2], r.headers.get("Content-Encoding", r.headers.get("content-encoding")))
        for r in langsmith.requests
        if r.method == "POST"
    }


def wait_until_heard(wire):
    """Until the client has heard that the server takes compressed runs, it sends them plainly."""
    client = run_trees.get_cached_client()
    end = time.monotonic() + 30
    while wire == "zstd" and client.compressed_traces is None and time.monotonic() < end:
        time.sleep(0.01)


@pytest.mark.parametrize("wire", WIRES)
def test_the_tree_arrives(wire):
    with traced(wire, key="ls-secret") as langsmith:
        wait_until_heard(wire)
        graph().invoke({"messages": ["Hello?"]}, {"tags": ["mine"]})
        assert langsmith.lines() == ["chain:app", "  chain:greet", "    llm:ScriptedModel"]
        [model] = langsmith.named("ScriptedModel")
        assert model["extra"]["metadata"]["usage_metadata"]["total_tokens"] == 3
        assert model["end_time"]
        assert langsmith.sent("Good day!")
        assert not langsmith.sent("ls-secret")
        wanted = ("batch" if wire == "batch" else "multipart", "zstd" if wire == "zstd" else None)
        assert ways_of(langsmith) == {wanted}


def test_nothing_is_traced_before_or_after():
    with traced() as langsmith:
        pass
    graph().invoke({"messages": ["Hello?"]})
    assert langsmith.requests == ()
