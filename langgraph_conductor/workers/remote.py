"""Graphs behind HTTP (LangGraph's `RemoteGraph`) as workers.

By itself a remote graph is sent the caller's thread and all that is JSON of its config: steps would share one
remote thread, and read there what they were not granted. Here each step has a thread of its own where its run is
saved, known again when it is resumed, and none where it is not. What the remote graph asks is asked by the step,
as `interrupt` does, and the answer goes to the thread that waits for it.
"""

import sys
from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Any, Final, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphInterrupt
from langgraph.types import Command, interrupt

from langgraph_conductor.driving import adrive, drive
from langgraph_conductor.records import WorkerTask

SCRATCHPAD_KEY: Final = "__pregel_scratchpad"
"""Where LangGraph holds the answers a node was given."""
SAVER_KEY: Final = "__pregel_checkpointer"
STREAM_KEY: Final = "__pregel_stream"
_KEPT_KEYS: Final = frozenset({STREAM_KEY, "checkpoint_ns"})
"""Of those that are not the user's: `RemoteGraph` itself uses them, and sends neither."""
_PRIVATE_KEYS: Final = frozenset({"conductor", "thread_id", "run_id", "graph_id", "assistant_id"})
_PRIVATE_PREFIXES: Final = ("__", "langgraph_", "checkpoint_")
_ANSWERED: Final = "conductor_answered"
"""In the metadata of a remote checkpoint: how many answers its thread had been given when it came to be."""
_NOT_FOUND: Final = 404


class _Wanted(NamedTuple):
    """A call of the remote graph: a run with this input, or else a look at its state."""

    config: RunnableConfig
    input: Any = None
    is_run: bool = True


def is_remote(graph: Any) -> bool:
    """Whether it is a `RemoteGraph`, without importing that."""
    module = sys.modules.get("langgraph.pregel.remote")
    return module is not None and isinstance(graph, module.RemoteGraph)


def remote_calls(
    runnable: Any, graph: Any, name: str
) -> tuple[
    Callable[[WorkerTask, RunnableConfig], Any], Callable[[WorkerTask, RunnableConfig], Awaitable[Any]]
]:
    """How a remote graph is called as a worker, blocking and awaited.

    Args:
        runnable: The graph, or a runnable around it.
        graph: The graph.
        name: The worker's name.

    Raises:
        ValueError: If the graph is bound to a thread.
    """
    bound = [getattr(runnable, "config", None), getattr(graph, "config", None)]
    if any(((config or {}).get("configurable") or {}).get("thread_id") for config in bound):
        raise ValueError(
            f"worker {name!r}: the remote graph is bound to a thread, so all steps would read and write one "
            "conversation whatever they are granted; leave `thread_id` out of its config"
        )

    def call(task: WorkerTask, config: RunnableConfig) -> Any:
        def made(wanted: _Wanted) -> Any:
            if wanted.is_run:
                return runnable.invoke(wanted.input, wanted.config)
            return graph.get_state(wanted.config)

        return drive(_asking(task.messages, config, name), made)

    async def acall(task: WorkerTask, config: RunnableConfig) -> Any:
        async def made(wanted: _Wanted) -> Any:
            if wanted.is_run:
                return await runnable.ainvoke(wanted.input, wanted.config)
            return await graph.aget_state(wanted.config)

        return await adrive(_asking(task.messages, config, name), made)

    return call, acall


def _asking(
    messages: tuple[BaseMessage, ...], config: RunnableConfig, name: str
) -> Generator[_Wanted, Any, Any]:
    """Run the remote graph, or go on where it waits for the answer this step was given."""
    thread = _thread(config, name)
    given = _answers_given(config) if thread else 0
    answered, pending = 0, None
    if given and (state := (yield from _state_of(config, thread))) is not None:
        pending = list(state.interrupts)
        answered = _delivered(given, len(pending), int((state.metadata or {}).get(_ANSWERED, 0)), name)
        if not pending and not state.next:
            return state.values  # it was over, and the run ended before that was saved
        for _ in range(answered):
            interrupt(None)  # takes an answer that the thread already has
    begun = [
        message.model_copy(update={"id": str(uuid5(NAMESPACE_URL, f"{thread} {position}"))})
        if thread
        else message
        for position, message in enumerate(messages)
    ]  # with ids, so that a run that is begun again does not add them again
    wanted: Any = {"messages": begun} if pending is None else None
    while True:
        if pending:
            answers = {one.id: interrupt(one.value) for one in pending}
            answered += len(answers)
            wanted = Command(resume=next(iter(answers.values())) if len(answers) == 1 else answers)
        try:
            return (yield _Wanted(_sent(config, thread, answered), wanted))
        except GraphInterrupt as asked:
            if thread is None:
                raise
            pending = list(asked.args[0])


def _delivered(given: int, pending: int, at_checkpoint: int, name: str) -> int:
    """How many of the answers a step was given have reached the remote thread.

    Raises:
        NotImplementedError: If several questions that were asked at once were followed by several more at once, in
            one superstep of the remote graph: nothing tells then which answer is whose.
    """
    if pending <= 1:
        return given - pending
    if given - at_checkpoint > pending:
        raise NotImplementedError(
            f"worker {name!r}: the remote graph asks {pending} questions at once, for the second time in one "
            "superstep, and it cannot be known which answers are new; let its parallel nodes ask once each"
        )
    return at_checkpoint


def _state_of(config: RunnableConfig, thread: str | None) -> Generator[_Wanted, Any, Any]:
    """The state of the step's thread; `None` if there is no such thread yet."""
    where: RunnableConfig = {"configurable": {"thread_id": thread}}
    try:
        return (yield _Wanted(where, is_run=False))
    except Exception as error:
        response = getattr(error, "response", None)
        if _NOT_FOUND in (getattr(error, "status_code", None), getattr(response, "status_code", None)):
            return None
        raise


def _thread(config: RunnableConfig, name: str) -> str | None:
    """The remote thread of this step: the same when it is resumed, no other step's; `None` if nothing is saved."""
    configurable: Mapping[str, Any] = config.get("configurable") or {}
    if not configurable.get(SAVER_KEY) or not configurable.get("thread_id"):
        return None
    place = f"{configurable['thread_id']}\n{configurable.get('checkpoint_ns')}\n{name}"
    return str(uuid5(NAMESPACE_URL, place))


def _answers_given(config: RunnableConfig) -> int:
    scratchpad = (config.get("configurable") or {}).get(SCRATCHPAD_KEY)
    if scratchpad is None:
        return 0
    return len(scratchpad.resume) + (scratchpad.get_null_resume(False) is not None)


def _sent(config: RunnableConfig, thread: str | None, answered: int) -> RunnableConfig:
    """`config` as the remote graph gets it: the user's part of it, and the step's own thread."""
    configurable = {
        key: value
        for key, value in (config.get("configurable") or {}).items()
        if key in _KEPT_KEYS or not _is_private(key)
    }
    metadata = {key: value for key, value in (config.get("metadata") or {}).items() if not _is_private(key)}
    if thread is not None:
        configurable["thread_id"] = thread
        metadata[_ANSWERED] = answered
    return {**config, "configurable": configurable, "metadata": metadata}


def _is_private(key: str) -> bool:
    return key in _PRIVATE_KEYS or key.startswith(_PRIVATE_PREFIXES)
