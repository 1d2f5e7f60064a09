"""What a conductor hands down to its round, its workflow and their steps beside their state.

It travels in a context variable: LangGraph stores what is in a graph's state at every level and superstep, and
streams what is in `configurable` to clients. When a run is resumed, the conductor's node begins again at the state
it had, and hands down the same.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from langgraph_conductor.budget import Ledger
from langgraph_conductor.graph.event_stream import EventStream
from langgraph_conductor.graph.kept import Kept
from langgraph_conductor.records import ContentBlock, RoundRecord


@dataclass(frozen=True, slots=True)
class RunContext:
    """What is handed down.

    Args:
        question: The question of the run.
        rounds: The rounds before this one.
        stream: Where events go; `None` for the graph that runs.
        ledger: The accounts of the run, if it has a budget.
        kept: What the steps of this round had done when they were left, by index; `None` if nobody looked.
        failed: Is told why a step failed.
    """

    question: Sequence[ContentBlock] = ()
    rounds: Sequence[RoundRecord] = ()
    stream: EventStream | None = None
    ledger: Ledger | None = None
    kept: Mapping[int, Kept] | None = None
    failed: Callable[[Exception], None] | None = None


_NOTHING = RunContext()
_CURRENT: ContextVar[RunContext] = ContextVar("conductor_run", default=_NOTHING)


def current() -> RunContext:
    """The context of the run; an empty one outside of a conductor."""
    return _CURRENT.get()


@contextmanager
def handed_down(context: RunContext) -> Iterator[RunContext]:
    """Hand `context` down to all that runs inside."""
    before = _CURRENT.get()
    _CURRENT.set(context)
    try:
        yield context
    finally:
        _CURRENT.set(before)  # no token: a generator may be closed in another context than it began in


@contextmanager
def taken() -> Iterator[RunContext]:
    """Take what was handed down, so that a worker or planner that is called inside finds nothing of it."""
    context = current()
    with handed_down(_NOTHING):
        yield context
