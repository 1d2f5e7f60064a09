"""Exceptions that came of others, and groups of them, as anyio's task groups raise: which is the one to tell."""

from collections.abc import Callable, Iterator

from langgraph.errors import GraphBubbleUp

_MOST = 1_000
_DEEPEST = 10


def members(error: BaseException) -> Iterator[BaseException]:
    """The exceptions in a group, however nested, in their order; the exception itself if it is no group."""
    waiting = [error]
    for _ in range(_MOST):
        if not waiting:
            return
        seen = waiting.pop(0)
        if isinstance(seen, BaseExceptionGroup):
            waiting[:0] = seen.exceptions
        else:
            yield seen


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came of, the outermost first; of a group the first in it."""
    seen: BaseException | None = error
    for _ in range(_DEEPEST):
        if seen is None:
            return
        yield seen
        if isinstance(seen, BaseExceptionGroup) and seen.exceptions:
            seen = seen.exceptions[0]
        else:
            seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)


def main_cause(error: BaseException, weighs: Callable[[BaseException], bool]) -> BaseException:
    """The exception of a group that says most about why all was ended.

    Args:
        error: A group, or any other exception, which is its own cause.
        weighs: Tells what is preferred. Interrupts of LangGraph go before all else, since they are no failures.
    """
    if not isinstance(error, BaseExceptionGroup):
        return error
    found = list(members(error))
    for preferred in (
        lambda one: isinstance(one, GraphBubbleUp),
        weighs,
        lambda one: isinstance(one, Exception),
    ):
        if (first := next(filter(preferred, found), None)) is not None:
            return first
    return found[0] if found else error
