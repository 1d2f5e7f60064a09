"""Keeps what a step or planner had paid when it is left before its end: by an interrupt, a failure, a cancel."""

from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from langchain_core.runnables import RunnableConfig

from langgraph_conductor.graph._langgraph import akeep_write, has_saver, keep_write
from langgraph_conductor.records import CallRecord
from langgraph_conductor.workers.metering import Meter

ResultT = TypeVar("ResultT")


def paid_in(tries: Sequence[Meter]) -> list[CallRecord]:
    """The model calls of all tries."""
    return [call for meter in tries for call in meter.records]


def keeping_spent(
    config: RunnableConfig, channel: str, tries: Sequence[Meter], run: Callable[[], ResultT]
) -> ResultT:
    """`run()`; if it raises, interrupts included, what was paid until then is saved.

    Args:
        config: The config of the node.
        channel: Where it is saved, see `state.spent_channel`.
        tries: The accounts, which `run` may add to.
        run: The work of the node.
    """
    try:
        return run()
    except Exception:
        if (paid := paid_in(tries)) and has_saver(config):
            keep_write(config, channel, paid)
        raise


async def akeeping_spent(
    config: RunnableConfig, channel: str, tries: Sequence[Meter], run: Callable[[], Awaitable[ResultT]]
) -> ResultT:
    """`keeping_spent`, awaited; cancelling counts too."""
    try:
        return await run()
    except (Exception, CancelledError):
        if (paid := paid_in(tries)) and has_saver(config):
            await akeep_write(config, channel, paid)
        raise
