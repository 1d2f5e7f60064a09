"""The savers of the kill tests: opened, made to stand still at a save, and read to see what they hold of a run."""

import asyncio
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    closing,
    contextmanager,
)
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from tests.long_tests.calls import Call, reached
from tests.long_tests.team import AGENT, AGENT_AGAIN, INNER, INNER_PLANNER, PLANNER, TOOL


def opened(address: str) -> AbstractContextManager[Any]:
    """The saver at an address: a PostgreSQL one, or the path of a SQLite file."""
    return PostgresSaver.from_conn_string(address) if "://" in address else _sqlite(address)


def aopened(address: str) -> AbstractAsyncContextManager[Any]:
    """`opened`, for awaited runs."""
    return AsyncPostgresSaver.from_conn_string(address) if "://" in address else _asqlite(address)


@contextmanager
def _sqlite(path: str) -> Iterator[SqliteSaver]:
    with closing(sqlite3.connect(path, check_same_thread=False)) as connection:
        yield SqliteSaver(connection)


@asynccontextmanager
async def _asqlite(path: str) -> AsyncIterator[AsyncSqliteSaver]:
    async with AsyncSqliteSaver.from_conn_string(path) as saver:
        yield saver


@dataclass(frozen=True)
class Save:
    """A save that a run stands still at: before a checkpoint is stored, of which kind of graph, in which step of it.

    Args:
        graphs: Names of the nodes that lead to the graph, such as `round|workflow`.
        step: LangGraph's number of its superstep; -1 is the graph's input.
    """

    graphs: str
    step: int


def standing_still(
    saver: BaseCheckpointSaver[Any], gates: list[Save], log: Path
) -> BaseCheckpointSaver[Any]:
    """`saver`, which never stores the checkpoints of `gates`; it is changed."""
    kind = type(saver)

    def halted(config: Any, metadata: Any) -> bool:
        at = Save(_graphs(config["configurable"].get("checkpoint_ns", "")), metadata["step"])
        if at in gates:
            reached(log, (at.graphs.replace("|", "-"), at.step)).touch()
        return at in gates

    class Halting(kind):
        def put(self, config: Any, checkpoint: Any, metadata: Any, versions: Any) -> Any:
            if halted(config, metadata):
                time.sleep(3600)
            return super().put(config, checkpoint, metadata, versions)

        async def aput(self, config: Any, checkpoint: Any, metadata: Any, versions: Any) -> Any:
            if halted(config, metadata):
                await asyncio.sleep(3600)
            return await super().aput(config, checkpoint, metadata, versions)

    saver.__class__ = Halting
    return saver


def _graphs(namespace: str) -> str:
    return "|".join(part.split(":")[0] for part in namespace.split("|"))


@dataclass(frozen=True)
class Saved:
    """What a saver holds of a run.

    Args:
        calls: The calls whose results are saved, each by itself.
        steps: (round, step) of the steps whose results are saved.
        running: (round, step) of those that were begun and are not over; planning is step -1.
    """

    calls: frozenset[Call]
    steps: frozenset[tuple[int, int]]
    running: frozenset[tuple[int, int]]

    def holds(self, call: Call) -> bool:
        """Whether a call must not be made again."""
        return call in self.calls or (call.round, call.step) in self.steps


def saved(saver: BaseCheckpointSaver[Any], thread: str) -> Saved:
    """What a saver holds of a thread with one run of `team.conductor`."""
    spaces: dict[str, list[CheckpointTuple]] = {}
    for found in saver.list({"configurable": {"thread_id": thread}}):
        spaces.setdefault(found.config["configurable"]["checkpoint_ns"], []).append(found)
    written = {space: _written(found) for space, found in spaces.items()}
    calls: set[Call] = set()
    steps: set[tuple[int, int]] = set()
    running: set[tuple[int, int]] = set()
    numbers: dict[str, int] = {}  # the round of each namespace
    for space in sorted(spaces, key=lambda space: space.count("|")):
        began = next((found for found in spaces[space] if found.metadata.get("source") == "input"), None)
        start = began.checkpoint["channel_values"].get("__start__") if began else None
        here, parts = written[space], space.split("|")
        if start is None or not space or (len(parts) > 2 and "|".join(parts[:2]) not in numbers):
            continue  # nothing finds what lies below a graph that has no checkpoint
        if len(parts) == 1:
            numbers[space] = number = start["round"]
            if "plan" in here:
                calls.add(Call(PLANNER, number, -1))
                steps.add((number, -1))
            elif _cut(here.get("kept_planner", [])):
                running.add((number, -1))
            continue
        if len(parts) == 2:
            numbers[space] = start["round"]
        number = numbers["|".join(parts[:2])]
        inner = [part for part in parts[2:] if not part.startswith("branch_")]
        if not inner:  # the workflow, or a branch of it
            steps |= {(number, index) for index in _numbered(here, "record")}
            kept = [index for index in _numbered(here, "kept") if _cut(here[f"kept_{index}"])]
            running |= {(number, index) for index in kept}
        else:
            where = number, int(inner[0].split(":")[0].removeprefix("step_"))
            calls |= _inside(here, parts, where)
    return Saved(frozenset(calls), frozenset(steps), frozenset(running - steps))


def _written(found: list[CheckpointTuple]) -> dict[str, list[Any]]:
    """All that was ever written to each channel of a namespace."""
    written: dict[str, list[Any]] = {}
    for one in found:
        for channel, value in one.checkpoint["channel_values"].items():
            written.setdefault(channel, []).append(value)
        for _, channel, value in one.pending_writes or ():
            written.setdefault(channel, []).append(value)
    return written


def _numbered(written: dict[str, list[Any]], kind: str) -> list[int]:
    return [int(name.split("_")[1]) for name in written if re.fullmatch(rf"{kind}_\d+", name)]


def _cut(marks: list[Any]) -> bool:
    return sum("begun" in mark for mark in marks) > sum("begun" not in mark for mark in marks)


def _inside(here: dict[str, list[Any]], parts: list[str], where: tuple[int, int]) -> set[Call]:
    """The calls inside a step whose results are saved."""
    last = parts[-1].split(":")[0]
    if last == "round" and "plan" in here:
        return {Call(INNER_PLANNER, *where)}
    if last == "workflow" and "record_0" in here:
        return {Call(INNER, *where)}
    messages = [
        m for value in here.get("messages", []) for m in (value if isinstance(value, list) else [value])
    ]
    calls = set()
    for message in messages:
        kind = getattr(message, "type", "")
        if kind == "ai":
            calls.add(Call(AGENT if message.tool_calls else AGENT_AGAIN, *where))
        if kind == "tool":
            calls.add(Call(TOOL, *where))
    return {call for call in calls if last.startswith("step_")}
