"""What is kept of a step or planner that is left before its end: by an interrupt, a failure, a cancel, a kill.

It lies beside the checkpoint it began at. When it begins it leaves a mark; when it is left, what it had done. A
mark without the other tells that the process ended in the middle.
"""

import time
from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphBubbleUp

from langgraph_conductor.graph._langgraph import (
    aforget_answer,
    akeep_write,
    akept_writes,
    bare_answer,
    forget_answer,
    has_saver,
    keep_write,
    kept_writes,
)
from langgraph_conductor.records import CallRecord, PlanRecord, StepRecord, ToolRecord
from langgraph_conductor.workers.metering import Meter
from langgraph_conductor.workers.watching import Watcher

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Kept:
    """What earlier beginnings of one step or planner had done.

    Args:
        calls: Their model calls, which are paid.
        tools: Their tool calls.
        cut: How many of them ended, with their process or cancelled, while a call was in flight that may have been
            made and paid.
    """

    calls: tuple[CallRecord, ...] = ()
    tools: tuple[ToolRecord, ...] = ()
    cut: int = 0

    @classmethod
    def of(cls, written: Iterable[Mapping[str, Any]]) -> "Kept":
        """From what was written, in any order."""
        marks = list(written)
        left = [mark for mark in marks if "begun" not in mark]
        return cls(
            tuple(call for mark in left for call in mark["calls"]),
            tuple(tool for mark in left for tool in mark["tools"]),
            max(0, len(marks) - 2 * len(left)) + sum(mark.get("cut", 0) for mark in left),
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Where it lies.

    Args:
        channel: The name it has there, see `state.kept_channel`.
        depth: How many branches the node is in. It lies outside of them, where the workflow looks for it.
    """

    channel: str
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Work:
    """What one beginning has done so far.

    Args:
        watcher: Sees its tools.
        tries: The accounts of its tries, the last one still open.
    """

    watcher: Watcher
    tries: list[Meter] = field(default_factory=list)

    @property
    def calls(self) -> list[CallRecord]:
        """Its model calls."""
        return [call for meter in self.tries for call in meter.records]

    @property
    def left(self) -> dict[str, Any]:
        """What is written if it is left now."""
        cut = int(any(meter.in_flight for meter in self.tries))
        return {"calls": self.calls, "tools": list(self.watcher.tools), "cut": cut}


def kept_before(config: RunnableConfig, place: Place) -> Kept:
    """What earlier beginnings of the node of `config` had done."""
    return Kept.of(kept_writes(config, place.channel, place.depth)) if has_saver(config) else Kept()


async def akept_before(config: RunnableConfig, place: Place) -> Kept:
    """`kept_before`, awaited."""
    return Kept.of(await akept_writes(config, place.channel, place.depth)) if has_saver(config) else Kept()


def keeping(config: RunnableConfig, place: Place, work: Work, run: Callable[[], ResultT]) -> ResultT:
    """`run()`, with a mark before it; if it raises, interrupts included, what it had done is saved.

    Args:
        config: The config of the node.
        place: Where it is saved.
        work: What `run` does.
        run: The work of the node.
    """
    if not has_saver(config):
        return run()
    keep_write(config, place.channel, place.depth, _begun())
    answered = bare_answer(config)
    try:
        result = run()
    except Exception as error:
        keep_write(config, place.channel, place.depth, work.left)
        if isinstance(error, GraphBubbleUp) and answered:
            forget_answer(config)
        raise
    if answered:
        forget_answer(config)
    return result


async def akeeping(
    config: RunnableConfig, place: Place, work: Work, run: Callable[[], Awaitable[ResultT]]
) -> ResultT:
    """`keeping`, awaited; cancelling counts too."""
    if not has_saver(config):
        return await run()
    await akeep_write(config, place.channel, place.depth, _begun())
    answered = bare_answer(config)
    try:
        result = await run()
    except (Exception, CancelledError) as error:
        await akeep_write(config, place.channel, place.depth, work.left)
        if isinstance(error, GraphBubbleUp) and answered:
            await aforget_answer(config)
        raise
    if answered:
        await aforget_answer(config)
    return result


def _begun() -> dict[str, Any]:
    return {"begun": time.time()}


def add_done(record: StepRecord | PlanRecord, kept: Kept, work: Work) -> None:
    """Add to a record what only some have: tool calls, and that a call may have been made twice."""
    if tools := [*kept.tools, *work.watcher.tools]:
        record["tool_calls"] = tools
    if kept.cut:
        record["possibly_repeated"] = True
