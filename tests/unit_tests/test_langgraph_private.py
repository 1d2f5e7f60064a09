"""Each private or unpromised part of LangGraph we stand on; a failing test names the one that moved."""

from typing import TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.pregel.protocol import PregelProtocol
from langgraph.types import Command, interrupt

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
    _langgraph.keep_write(config, "spent_0", 0, [1])
    (newest, *older) = saver.list(thread())
    kept = [
        write for saved in (newest, *older) for write in saved.pending_writes or () if write[1] == "spent_0"
    ]
    assert [write[2] for write in kept] == [[1]]


def test_config_key_runtime_holds_the_stream_writer():
    """If this fails, progress events are lost."""
    runtime = config_inside_a_node()["configurable"][_langgraph.CONFIG_KEY_RUNTIME]
    assert callable(runtime.stream_writer)


def test_config_key_stream_is_where_graphs_inside_stream_to():
    """If this fails, a server takes the state of a graph inside for that of the thread."""

    def work(state: State, config: RunnableConfig) -> State:
        inner = StateGraph(State).add_node("inside", lambda state: {"a": 1}).add_edge(START, "inside")
        return inner.compile().invoke(state, _langgraph.without_inner_state(config))

    app = StateGraph(State).add_node("work", work).add_edge(START, "work").compile()
    modes = ["values", "updates", "debug"]

    def told(**configurable: str) -> set[tuple[str, str]]:
        parts = app.stream({"a": 0}, {"configurable": configurable}, stream_mode=modes, subgraphs=True)
        return {(mode, part["type"] if mode == "debug" else "") for space, mode, part in parts if space}

    kept = {("updates", ""), ("debug", "task"), ("debug", "task_result")}
    assert told(graph_id="g") == kept
    assert told() >= {("values", ""), *kept}


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


def test_a_graph_that_remembers_does_so_under_its_namespace_without_the_ids_of_tasks():
    """If this fails, `StepSaver` no longer keeps what a graph remembers with the step that called it."""
    builder = StateGraph(State)
    builder.add_node("a", lambda state: {"a": 1})
    builder.add_edge(START, "a")
    outer = StateGraph(State)
    outer.add_node("inner", builder.compile(checkpointer=True))
    outer.add_edge(START, "inner")
    saver = InMemorySaver()
    outer.compile(checkpointer=saver).invoke({"a": 0}, thread())
    assert {saved.config["configurable"]["checkpoint_ns"] for saved in saver.list(thread())} == {
        "",
        "inner",
    }


def test_pregel_protocol_is_what_a_subgraph_node_must_be():
    """If this fails, `WorkflowNode` misses a method of LangGraph's graph protocol."""
    from langgraph_conductor.graph.workflow_node import WorkflowNode

    assert issubclass(WorkflowNode, PregelProtocol)
    assert not WorkflowNode.__abstractmethods__


def test_a_graph_looks_at_its_own_state_where_it_is_told_to():
    """If this fails, `langgraph_conductor.editing` finds no conductor inside a tool, or a worker."""
    saver, builder = InMemorySaver(), StateGraph(State)
    builder.add_node("peek", lambda state: {"b": 1})
    builder.add_edge(START, "peek")
    graph = builder.compile()
    here = _langgraph.inner_config(saver, "t", "outer:1")
    graph.update_state(here, {"a": 2}, as_node="peek")
    assert graph.get_state(here).values == {"a": 2}
    assert {saved.config["configurable"]["checkpoint_ns"] for saved in saver.list(thread())} == {"outer:1"}


def test_a_checkpoint_tells_which_node_comes_next():
    """If this fails, `show`, `ask` and `resume` take a run that failed as a whole for one that can go on."""
    saver, builder = InMemorySaver(), StateGraph(State)
    builder.add_node("one", lambda state: {"a": 1})
    builder.add_node("two", lambda state: {"b": 1})
    builder.add_edge(START, "one")
    builder.add_conditional_edges("one", lambda state: "two", ["two"])
    graph = builder.compile(checkpointer=saver)
    for given, stop, node in (({"a": 0}, ["two"], "two"), (None, [], "")):
        graph.invoke(given, thread(), interrupt_before=stop)
        saved = saver.get_tuple(thread())
        assert [name for name in ("one", "two") if _langgraph.comes_next(saved, name)] == [node][
            : bool(node)
        ]


def test_an_answer_without_an_id_is_forgotten_once_it_is_taken():
    """If this fails, a person's answer may be handed to another question; see `forget_answer`."""
    seen = []

    def asks(state: State, config: RunnableConfig) -> State:
        seen.append(_langgraph.bare_answer(config))
        answer = interrupt("one?")
        _langgraph.forget_answer(config)
        return {"a": answer}

    inner, outer = StateGraph(State), StateGraph(State)
    inner.add_node("asks", asks)
    inner.add_node("then", lambda state: {"b": interrupt("two?")})
    inner.add_edge(START, "asks")
    inner.add_edge("asks", "then")
    outer.add_node("inner", inner.compile())
    outer.add_edge(START, "inner")
    graph = outer.compile(checkpointer=InMemorySaver())
    graph.invoke({"a": 0}, thread())
    graph.invoke(Command(resume=1), thread())
    assert seen == [False, True]
    assert [one.value for one in graph.invoke(None, thread())["__interrupt__"]] == ["two?"]
    assert graph.invoke(Command(resume=2), thread()) == {"a": 1, "b": 2}
