"""Remote graphs as workers: what travels to a server, and how its questions to people come back."""

import sys
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphInterrupt
from langgraph.types import Command, Interrupt, interrupt

from langgraph_conductor.driving import adrive, drive
from langgraph_conductor.records import WorkerTask
from langgraph_conductor.workers.memory import StepSaver

_OURS: Final = ("thread_id", "checkpoint_id", "checkpoint_map", "conductor")
_HOSTS: Final = ("thread_id", "checkpoint_ns", "langgraph_")
"""Beginnings of the metadata that says where in the host's graph a step is."""
_STREAM: Final = "__pregel_stream"
_NOT_FOUND: Final = 404


def is_remote(graph: Any) -> bool:
    """Whether a graph is behind LangGraph's server."""
    module = sys.modules.get("langgraph.pregel.remote")  # imported by whoever made one
    return module is not None and isinstance(graph, module.RemoteGraph)


class _Run(NamedTuple):
    """A run of the remote graph to be made."""

    input: Any
    config: RunnableConfig


class _State(NamedTuple):
    """The state of a remote thread to be asked for."""

    config: RunnableConfig


def call(runnable: Any, remote: Any, task: WorkerTask, config: RunnableConfig) -> Any:
    """Run a remote graph for a step.

    It gets the prompt of the step and what the user configured, on a thread of the step's own. The host's thread
    stays at home: all steps would share it, and read what they are not granted. If the graph asks a person
    something, whoever runs the conductor is asked, and the answer goes back to the same thread.

    Args:
        runnable: The remote graph, bound to options or not.
        remote: The same, unbound.
        task: What is asked.
        config: The config of the step.

    Raises:
        RuntimeError: If it asks a person, and the conductor has no checkpointer to wait with.
    """

    def do(wanted: _Run | _State) -> Any:
        try:
            if isinstance(wanted, _State):
                return remote.get_state(wanted.config)
            return runnable.invoke(wanted.input, wanted.config)
        except GraphInterrupt as asked:
            return asked

    return drive(_logic(task, config), do)


async def acall(runnable: Any, remote: Any, task: WorkerTask, config: RunnableConfig) -> Any:
    """`call`, awaited."""

    async def do(wanted: _Run | _State) -> Any:
        try:
            if isinstance(wanted, _State):
                return await remote.aget_state(wanted.config)
            return await runnable.ainvoke(wanted.input, wanted.config)
        except GraphInterrupt as asked:
            return asked

    return await adrive(_logic(task, config), do)


def _logic(task: WorkerTask, config: RunnableConfig) -> Generator[_Run | _State, Any, Any]:
    thread = _thread(config)
    config = _narrowed(config, thread)
    questions: Sequence[Interrupt] = ()
    if thread is not None:
        # A step that was resumed begins anew: its graph may wait where it was left.
        try:
            state = yield _State({"configurable": {"thread_id": thread}})
            questions = [asked for waiting in state.tasks for asked in waiting.interrupts]
        except Exception as error:
            if getattr(getattr(error, "response", None), "status_code", None) != _NOT_FOUND:
                raise
    given: Any = {"messages": list(task.messages)}
    while True:
        if questions:
            given = Command(resume={asked.id: interrupt(asked.value) for asked in questions})
        result = yield _Run(given, config)
        questions = _questions(result)
        if not questions:
            return result
        if thread is None:
            raise RuntimeError(
                "the remote graph asks a person something, and the conductor cannot wait for the answer: give it "
                "a checkpointer, and call it with a thread_id"
            )


def _questions(result: Any) -> Sequence[Interrupt]:
    if isinstance(result, GraphInterrupt):
        return list(result.args[0])
    asked = result.get("__interrupt__") if isinstance(result, Mapping) else None
    return [one if isinstance(one, Interrupt) else Interrupt(**one) for one in asked or ()]


def _thread(config: RunnableConfig) -> str | None:
    """The thread of a step on the server: the same one when the step is resumed, and nobody else's."""
    configurable = config.get("configurable") or {}
    host = configurable.get("thread_id")
    if host is None or not any(isinstance(value, StepSaver) for value in configurable.values()):
        return None
    return str(uuid5(NAMESPACE_URL, f"langgraph-conductor:{host}:{configurable.get('checkpoint_ns', '')}"))


def _narrowed(config: RunnableConfig, thread: str | None) -> RunnableConfig:
    """What a server is told: the user's own options and tags, and a thread."""
    configurable = {
        key: value
        for key, value in (config.get("configurable") or {}).items()
        if key == _STREAM or not (key in _OURS or key.startswith("__"))
    }
    if thread is not None:
        configurable["thread_id"] = thread
    metadata = {k: v for k, v in (config.get("metadata") or {}).items() if not k.startswith(_HOSTS)}
    narrowed: RunnableConfig = {**config, "configurable": configurable, "metadata": metadata}
    narrowed.pop("recursion_limit", None)  # of the host's graph; the server's has its own
    return narrowed
