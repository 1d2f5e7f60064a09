"""Memory of graphs that work for a conductor: none of it may reach what a step was not granted.

A LangGraph graph that was compiled with `checkpointer=True` keeps one history a thread, for the place where it is
called: a node, and not a worker. Whoever stands there in a later step, round or turn would be prompted with what
others were told there. Graphs like that are refused where a worker is seen to call them when it is built
(`remembering`). Those that functions and tools call out of sight remember within one step alone (`StepSaver`).
"""

import inspect
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from functools import partial
from types import FunctionType, MethodType
from typing import Any, Final

from langchain_core.language_models import BaseLanguageModel
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.history import RunnableWithMessageHistory
from langchain_core.tools import BaseTool
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.pregel import Pregel

from langgraph_conductor.workers.invoking import invoked
from langgraph_conductor.workers.reading import (
    attribute,
    bound_names,
    held_by,
    is_a,
    items,
    member,
    pairs,
    parts_of_partial,
)

_MOST_PARTS: Final = 5_000
_AFTER: Final = "|"
"""Stands between the parts of a checkpoint namespace."""
_TASK: Final = ":"
"""Stands between a node's name and the id of its task in such a part."""


def remembering(runnable: Any) -> tuple[str, str] | None:
    """The first part of `runnable` that remembers earlier calls by itself: where it is, and why it does.

    Looked through are the nodes of graphs, at any depth; all that LangChain's runnables are made of, such as the
    fallbacks of one; and the runnables that a function invokes where its own code shows it, such as `GRAPH.invoke`
    or `self.graph.stream`. Not the tools of agents, nor what a function only names, passes on, or calls by way of
    another: what those call remembers within a step, see `StepSaver`. No code of the user's is run.
    """
    waiting: list[tuple[str, Any]] = [("", runnable)]
    seen: dict[int, Any] = {}  # holds what is looked at: the address of what is gone may be another's
    for path, part in waiting:
        if id(part) in seen or len(seen) >= _MOST_PARTS:
            continue
        seen[id(part)] = part
        if is_a(part, Pregel) and attribute(part, "checkpointer") is True:
            return path, "was compiled with checkpointer=True"
        if is_a(part, RunnableWithMessageHistory):
            return path, "keeps the messages of a session (RunnableWithMessageHistory)"
        with suppress(Exception):  # another thread may change what is read
            waiting += [(f"{path}, {name}".removeprefix(", "), inner) for name, inner in _parts(part)]
    return None


def _parts(part: Any) -> Iterator[tuple[str, Any]]:
    """What a runnable, a function or a container of them is made of, by name."""
    if is_a(part, BaseLanguageModel, BaseTool):
        return
    if is_a(part, Pregel):
        nodes = pairs(attribute(part, "nodes"))
        yield from ((f"node {name!r}", attribute(node, "bound")) for name, node in nodes)
    elif is_a(part, Runnable):
        yield from ((name, value) for name, value in held_by(part) if _may_hold(value))
    elif is_a(part, dict):
        yield from ((f"[{key!r}]", value) for key, value in pairs(part))
    elif is_a(part, list, tuple):
        yield from ((f"[{i}]", value) for i, value in enumerate(items(part) or ()))
    else:
        given: dict[str, Any] = {}
        while is_a(part, partial):
            part, arguments, keywords = parts_of_partial(part)
            given = bound_names(part, arguments, keywords) | given
        name = _name_of(part)
        yield from ((f"invoked in {name!r}", found) for found in invoked(part, given))


_HOLDERS: Final = (Runnable, dict, list, tuple, partial, FunctionType, MethodType)


def _may_hold(value: Any) -> bool:
    return is_a(value, *_HOLDERS) or type(member(type(value), "__call__")) is FunctionType


def _name_of(function: Any) -> str:
    function = function.__func__ if type(function) is MethodType else function
    return function.__name__ if type(function) is FunctionType else type(function).__name__


class StepSaver(BaseCheckpointSaver[Any]):
    """A saver for what is called in a step, in which graphs with a memory of their own remember that step alone.

    LangGraph saves what a graph with `checkpointer=True` remembers under its namespace without the ids of tasks,
    so that it is the same in each step of that number, in every round and turn. Here the ids of the step, and of
    what is around it, stay in it. All else is saved where it would be.

    Args:
        saver: Where things are saved.
        namespace: The step's checkpoint namespace.
    """

    def __init__(self, saver: BaseCheckpointSaver[Any], namespace: str) -> None:
        super().__init__(serde=saver.serde)
        self.saver = saver
        self.namespace = namespace
        self._bare = _AFTER.join(part.partition(_TASK)[0] for part in namespace.split(_AFTER))
        self._takes_path = "task_path" in inspect.signature(saver.put_writes).parameters

    @property
    def config_specs(self) -> list[Any]:
        """The saver's."""
        return self.saver.config_specs

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint of `config`, or the newest."""
        found = self.saver.get_tuple(self._held(config))
        return found and _found(config, found)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """`get_tuple`, awaited."""
        found = await self.saver.aget_tuple(self._held(config))
        return found and _found(config, found)

    def list(self, config: RunnableConfig | None, **given: Any) -> Iterator[CheckpointTuple]:
        """Checkpoints, newest first."""
        for found in self.saver.list(config and self._held(config), **self._before(given)):
            yield found if config is None else _found(config, found)

    async def alist(self, config: RunnableConfig | None, **given: Any) -> AsyncIterator[CheckpointTuple]:
        """`list`, async."""
        async for found in self.saver.alist(config and self._held(config), **self._before(given)):
            yield found if config is None else _found(config, found)

    def put(self, config: RunnableConfig, *args: Any, **kwargs: Any) -> RunnableConfig:
        """Save a checkpoint."""
        return _at(config, self.saver.put(self._held(config), *args, **kwargs))

    async def aput(self, config: RunnableConfig, *args: Any, **kwargs: Any) -> RunnableConfig:
        """`put`, awaited."""
        return _at(config, await self.saver.aput(self._held(config), *args, **kwargs))

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Save what a task wrote."""
        path = [task_path] if self._takes_path else []
        self.saver.put_writes(self._held(config), writes, task_id, *path)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """`put_writes`, awaited."""
        path = [task_path] if self._takes_path else []
        await self.saver.aput_writes(self._held(config), writes, task_id, *path)

    def get_delta_channel_history(self, *, config: RunnableConfig, channels: Sequence[str]) -> Any:
        """What `DeltaChannel`s are rebuilt from."""
        return self.saver.get_delta_channel_history(config=self._held(config), channels=channels)

    async def aget_delta_channel_history(self, *, config: RunnableConfig, channels: Sequence[str]) -> Any:
        """`get_delta_channel_history`, awaited."""
        return await self.saver.aget_delta_channel_history(config=self._held(config), channels=channels)

    def get_next_version(self, current: Any, channel: None) -> Any:
        """The version that comes after `current`."""
        return self.saver.get_next_version(current, channel)

    def with_allowlist(self, extra_allowlist: Any) -> "StepSaver":
        """The same over the saver that has it."""
        return StepSaver(self.saver.with_allowlist(extra_allowlist), self.namespace)

    def _before(self, given: dict[str, Any]) -> dict[str, Any]:
        return {**given, "before": self._held(given["before"])} if given.get("before") else given

    def _held(self, config: RunnableConfig) -> RunnableConfig:
        """`config` with the namespace under which it is saved."""
        namespace = _namespace(config)
        if namespace != self._bare and not namespace.startswith(self._bare + _AFTER):
            return config
        return _placed(config, self.namespace + namespace.removeprefix(self._bare))


def _namespace(config: RunnableConfig) -> str:
    return str(config.get("configurable", {}).get("checkpoint_ns") or "")


def _placed(config: RunnableConfig, namespace: str) -> RunnableConfig:
    return {**config, "configurable": {**config["configurable"], "checkpoint_ns": namespace}}


def _at(asked: RunnableConfig, config: RunnableConfig) -> RunnableConfig:
    """`config` with the namespace that was asked for."""
    return _placed(config, _namespace(asked))


def _found(asked: RunnableConfig, found: CheckpointTuple) -> CheckpointTuple:
    if "checkpoint_ns" not in asked.get("configurable", {}):
        return found  # of every namespace
    parent = found.parent_config
    return found._replace(config=_at(asked, found.config), parent_config=parent and _at(asked, parent))
