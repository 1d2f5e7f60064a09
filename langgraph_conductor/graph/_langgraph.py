"""Every import of LangGraph's private parts, and nothing else that depends on them.

`tests/unit_tests/test_langgraph_private.py` names each when it moves. Why each is needed:

* `RunnableCallable` makes one node out of a blocking and an async function without adding a level to
  the trace (`RunnableLambda` adds one). `langchain.agents.create_agent` imports it too.
* `CONFIG_KEY_READ` is the door through which code inside a node can read every channel of its graph;
  there is no public way to narrow it.
* `CONFIG_KEY_CHECKPOINTER` is how a graph hands its saver to a subgraph; state inspection of a graph
  that is compiled at run time has to read the checkpoint before the graph exists.
* `CONFIG_KEY_CHECKPOINT_MAP` tells a node at which checkpoint its graph is.
* `CONFIG_KEY_RUNTIME` holds the stream writer of the node that runs.
* `CONFIG_KEY_SCRATCHPAD`, `NULL_TASK_ID` and `RESUME` lead to an answer that was given without an id. When it
  was taken below, LangGraph keeps it at the outermost checkpoint, and hands it to whoever asks next.
* `CONFIG_KEY_STREAM` is where a graph that is called in a node streams to, and `StreamProtocol` its form.
* `_reset_interrupt_counter` makes a repeated call reuse the answers people gave to its interrupts, as
  LangGraph's own retries do.
* `_CHANNEL_BRANCH_TO` names the channel by which an edge leads to a node: where no graph is at hand, as for what
  shows a saved run, a checkpoint tells by it which node comes next.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any
from uuid import uuid4

from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config
from langgraph._internal._constants import (  # noqa: TID251 - the one place
    CONFIG_KEY_CHECKPOINT_MAP,
    CONFIG_KEY_CHECKPOINTER,
    CONFIG_KEY_READ,
    CONFIG_KEY_RUNTIME,
    CONFIG_KEY_SCRATCHPAD,
    CONFIG_KEY_STREAM,
    NULL_TASK_ID,
    RESUME,
)
from langgraph._internal._runnable import RunnableCallable  # noqa: TID251 - the one place
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.graph.state import _CHANNEL_BRANCH_TO
from langgraph.pregel._retry import _reset_interrupt_counter
from langgraph.pregel.protocol import StreamProtocol

from langgraph_conductor.driving import patched
from langgraph_conductor.foreign_text import package_logger
from langgraph_conductor.workers.memory import StepSaver

logger = package_logger(__name__)

_NOT_FORGOTTEN = (
    "an answer that was taken could not be marked so, and may be given to the next question: %s"
)
_NOT_KEPT = "what was paid could not be saved (%s): %s"


def node(
    name: str,
    call: Callable[[Any, RunnableConfig], Any],
    acall: Callable[[Any, RunnableConfig], Awaitable[Any]],
) -> Runnable[Any, Any]:
    """A graph node with a blocking and an async form."""
    runnable: Runnable[Any, Any] = RunnableCallable(call, acall, name=name, trace=False)
    return runnable


def router(name: str, choose: Callable[[Any, RunnableConfig], Any]) -> Runnable[Any, Any]:
    """The choice on a conditional edge; it decides nothing worth a run of its own in the trace."""
    runnable: Runnable[Any, Any] = RunnableCallable(choose, name=name, trace=False)
    return runnable


def stream_writer(config: RunnableConfig) -> Callable[[Any], None] | None:
    """The writer of the `custom` stream of the graph a node runs in, from the node's config."""
    runtime = (config.get("configurable") or {}).get(CONFIG_KEY_RUNTIME)
    return None if runtime is None else runtime.stream_writer


def without_inner_state(config: RunnableConfig) -> RunnableConfig:
    """`config` under which graphs that are called do not tell LangGraph's server of their state.

    What is told of it is taken for the state of the thread: the server takes the last checkpoint of the `debug`
    stream (langchain-ai/deepagents#2781), and `useStream` of its JavaScript client the last of `values`, even if
    they are of a graph inside. A user interface would show a worker's prompt in place of the conversation, also as
    the title of the thread, and no messages while it asks for approval. The other stream modes, `checkpoints`,
    `tasks`, `updates` and `messages` among them, and streams outside of a server stay as they are.
    """
    configurable = config.get("configurable") or {}
    runtime, stream = configurable.get(CONFIG_KEY_RUNTIME), configurable.get(CONFIG_KEY_STREAM)
    if runtime is None or runtime.server_info is None or stream is None:
        return config

    def put(chunk: Any) -> None:
        _, mode, part = chunk
        if mode != "values" and not (mode == "debug" and part["type"] == "checkpoint"):
            stream(chunk)

    return patched(config, configurable={CONFIG_KEY_STREAM: StreamProtocol(put, stream.modes)})


def write_at(writer: Callable[[Any], None], namespace: str, event: Any) -> None:
    """Write to a stream as from `namespace`; run it in a copy of the context."""
    var_child_runnable_config.set({"configurable": {"checkpoint_ns": namespace}})
    writer(event)


def replayed(config: RunnableConfig) -> RunnableConfig:
    """`config` under which `interrupt()` counts from the first again, for a call that is repeated."""
    return _reset_interrupt_counter(config)


def bare_answer(config: RunnableConfig) -> bool:
    """Whether the run was resumed with an answer without an id."""
    scratchpad = config.get("configurable", {}).get(CONFIG_KEY_SCRATCHPAD)
    return scratchpad is not None and scratchpad.get_null_resume() is not None


def forget_answer(config: RunnableConfig) -> None:
    """Keep an answer without an id that was taken from being handed to another question when the run goes on."""
    try:
        saver_in(config).put_writes(_at_outermost(config), [(RESUME, None)], NULL_TASK_ID)
    except Exception as error:  # noqa: BLE001 - what comes of the node matters more
        logger.warning(_NOT_FORGOTTEN, error)


async def aforget_answer(config: RunnableConfig) -> None:
    """`forget_answer`, awaited."""
    try:
        await saver_in(config).aput_writes(_at_outermost(config), [(RESUME, None)], NULL_TASK_ID)
    except Exception as error:  # noqa: BLE001 - what comes of the node matters more
        logger.warning(_NOT_FORGOTTEN, error)


def _at_outermost(config: RunnableConfig) -> RunnableConfig:
    """The checkpoint of the graph that was called, from the config of a node below it."""
    configurable = config["configurable"]
    checkpoint = configurable[CONFIG_KEY_CHECKPOINT_MAP][""]
    where = {"checkpoint_ns": "", "checkpoint_id": checkpoint}
    return {"configurable": {"thread_id": configurable["thread_id"], **where}}


def _at_checkpoint(config: RunnableConfig, depth: int) -> RunnableConfig:
    """The checkpoint of the graph a node runs in, or of one `depth` graphs further out, from the node's config."""
    configurable = config["configurable"]
    namespace = configurable.get("checkpoint_ns", "")
    for _ in range(depth + 1):
        namespace = namespace.rpartition("|")[0]
    checkpoint = (configurable.get(CONFIG_KEY_CHECKPOINT_MAP) or {}).get(namespace)
    where = {"checkpoint_ns": namespace, "checkpoint_id": checkpoint}
    return {"configurable": {"thread_id": configurable["thread_id"], **where}}


def keep_write(config: RunnableConfig, channel: str, depth: int, value: Any) -> None:
    """Save something of a node that is left before its end, beside the checkpoint it began at, or one further out.

    It is a write of a task that no graph has, so LangGraph keeps it, and applies it to nothing.
    """
    try:
        saver_in(config).put_writes(_at_checkpoint(config, depth), [(channel, value)], uuid4().hex)
    except Exception as error:  # noqa: BLE001 - why the node is left matters more
        logger.warning(_NOT_KEPT, channel, error)


async def akeep_write(config: RunnableConfig, channel: str, depth: int, value: Any) -> None:
    """`keep_write`, awaited."""
    try:
        await saver_in(config).aput_writes(_at_checkpoint(config, depth), [(channel, value)], uuid4().hex)
    except Exception as error:  # noqa: BLE001 - why the node is left matters more
        logger.warning(_NOT_KEPT, channel, error)


def kept_writes(config: RunnableConfig, channel: str, depth: int) -> list[Any]:
    """What `keep_write` had saved of this node, if it is begun anew."""
    return _of_channel(saver_in(config).get_tuple(_at_checkpoint(config, depth)), channel)


async def akept_writes(config: RunnableConfig, channel: str, depth: int) -> list[Any]:
    """`kept_writes`, awaited."""
    return _of_channel(await saver_in(config).aget_tuple(_at_checkpoint(config, depth)), channel)


def _of_channel(saved: CheckpointTuple | None, channel: str) -> list[Any]:
    return [value for _, name, value in (saved.pending_writes if saved else None) or () if name == channel]


def has_saver(config: RunnableConfig | None) -> bool:
    """Whether the parent graph handed a saver down."""
    return bool(((config or {}).get("configurable") or {}).get(CONFIG_KEY_CHECKPOINTER))


def is_nested(config: RunnableConfig | None) -> bool:
    """Whether the graph of a node is called inside another one."""
    return "|" in str(((config or {}).get("configurable") or {}).get("checkpoint_ns") or "")


def saver_in(config: RunnableConfig) -> BaseCheckpointSaver[Any]:
    """The saver the parent graph handed down."""
    saver: BaseCheckpointSaver[Any] = config["configurable"][CONFIG_KEY_CHECKPOINTER]
    return saver


def inner_config(saver: BaseCheckpointSaver[Any], thread: str, namespace: str) -> RunnableConfig:
    """The config under which a graph looks at its own state in `namespace`, wherever it lies."""
    where = {CONFIG_KEY_CHECKPOINTER: saver, "thread_id": thread, "checkpoint_ns": namespace}
    return {"configurable": where}


def comes_next(saved: CheckpointTuple, node: str) -> bool:
    """Whether a graph that was left at this checkpoint goes on with `node`."""
    return _CHANNEL_BRANCH_TO.format(node) in (saved.checkpoint.get("updated_channels") or ())


def scoped(config: RunnableConfig, channels: Iterable[str], without: Iterable[str]) -> RunnableConfig:
    """`config` through which only `channels` can be read, and without some configurable keys.

    Raises (from the reader in it):
        PermissionError: If another channel is read.
    """
    granted = frozenset(channels)
    configurable: Mapping[str, Any] = config.get("configurable", {})
    read = configurable.get(CONFIG_KEY_READ)

    def read_granted(select: str | list[str], fresh: bool = False) -> Any:
        asked = {select} if isinstance(select, str) else set(select)
        if not asked <= granted:
            raise PermissionError(f"this step is not granted {sorted(asked - granted)}")
        return read(select, fresh) if read else None

    saver = configurable.get(CONFIG_KEY_CHECKPOINTER)
    if saver is not None:  # what is called here remembers within the step alone
        saver = StepSaver(saver, configurable["checkpoint_ns"])
    given = {CONFIG_KEY_READ: read_granted, CONFIG_KEY_CHECKPOINTER: saver}
    narrowed = patched(config, configurable=given)
    for key in without:
        narrowed["configurable"].pop(key, None)
    return narrowed
