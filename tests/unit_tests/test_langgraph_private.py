"""Each private or unpromised part of LangGraph we stand on; a failing test names the one that moved."""

from typing import TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.pregel.protocol import PregelProtocol

from langgraph_conductor.graph import _langgraph
from tests.helpers import thread


class State(TypedDict, total=False):
    a: int
    b: int


def config_inside_a_node() -> RunnableConfig:
    seen = []

    def peek(state: State, config: RunnableConfig) -> State:
        seen.append(config)
        read = config["configurable"][_langgraph.CONFIG_KEY_READ]
        assert read("b") == 2
        return {"a": 1}

    class Only(TypedDict):
        a: int

    builder = StateGraph(State)
    builder.add_node("peek", peek, input_schema=Only)
    builder.add_edge(START, "peek")
    builder.compile(checkpointer=InMemorySaver()).invoke({"a": 0, "b": 2}, thread())
    return seen[0]


def test_config_key_read_reads_any_channel():
    """If this fails, `scoped` no longer narrows the door that lets a node read what it is not granted."""
    assert _langgraph.CONFIG_KEY_READ == "__pregel_read"
    config_inside_a_node()


def test_config_key_checkpointer_holds_the_saver():
    """If this fails, state inspection of run-time graphs cannot find their checkpoints."""
    assert isinstance(_langgraph.saver_in(config_inside_a_node()), InMemorySaver)


def test_config_key_checkpoint_map_tells_the_checkpoint_of_the_graph():
    """If this fails, what a step had paid before an interrupt is forgotten in another process."""
    config = config_inside_a_node()
    saver = _langgraph.saver_in(config)
    _langgraph.keep_write(config, "spent_0", [1])
    (newest, *older) = saver.list(thread())
    kept = [
        write for saved in (newest, *older) for write in saved.pending_writes or () if write[1] == "spent_0"
    ]
    assert [write[2] for write in kept] == [[1]]


def test_config_key_runtime_holds_the_stream_writer():
    """If this fails, progress events are lost."""
    runtime = config_inside_a_node()["configurable"][_langgraph.CONFIG_KEY_RUNTIME]
    assert callable(runtime.stream_writer)


def test_runnable_callable_takes_a_blocking_and_an_async_function_and_adds_no_trace():
    """If this fails, `node` needs another way to have both forms without a level in the trace."""
    runnable = _langgraph.node("n", lambda s, config: {"a": 1}, lambda s, config: None)
    assert isinstance(runnable, _langgraph.RunnableCallable)
    assert runnable.trace is False
    assert (runnable.name, runnable.invoke({}, {})) == ("n", {"a": 1})


def test_resetting_the_interrupt_counter_counts_from_the_first_again():
    """If this fails, a worker that is retried asks people again what they have answered."""
    config = config_inside_a_node()
    key = "__pregel_scratchpad"
    assert config["configurable"][key].interrupt_counter() == 0
    assert config["configurable"][key].interrupt_counter() == 1
    assert _langgraph.replayed(config)["configurable"][key].interrupt_counter() == 0


def test_pregel_protocol_is_what_a_subgraph_node_must_be():
    """If this fails, `WorkflowNode` misses a method of LangGraph's graph protocol."""
    from langgraph_conductor.graph.workflow_node import WorkflowNode

    assert issubclass(WorkflowNode, PregelProtocol)
    assert not WorkflowNode.__abstractmethods__
