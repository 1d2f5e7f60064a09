"""Bugs in the user's own functions, tools, graphs and planners: told from other failures, and logged."""

import logging
from collections.abc import Iterable
from functools import partial

from langgraph_conductor.replies import storable
from langgraph_conductor.workers.failures import (
    EmptyReplyError,
    RefusalError,
    is_outage,
    kind_of,
    redacted,
    told,
    was_refused,
)
from langgraph_conductor.workers.own_code import is_of_double, place_of


def is_bug(error: BaseException) -> bool:
    """Whether `error` is no outage and no failure that models and providers have now and then."""
    if isinstance(error, EmptyReplyError | RefusalError) or is_outage(error) or kind_of(error) is not None:
        return False
    return not was_refused(error) and not (is_of_double(error) and not place_of(error))


def _clean(text: str, secrets: tuple[str, ...]) -> str:
    """`text` without keys, and without what cannot be encoded."""
    return storable(redacted(text, secrets))


def warn_of(logger: logging.Logger, what: str, error: BaseException, secrets: Iterable[str] = ()) -> None:
    """Log a failure, with its traceback if it is a bug; keys are left out.

    Args:
        logger: A logger of this package (see `package_logger`).
        what: What failed, to begin the line with.
        error: The exception, redacted.
        secrets: Keys that are known.
    """
    secrets = tuple(secrets)
    bug, where = is_bug(error), place_of(error)
    told_where = f" ({where})" if where else ""
    logger.warning(
        "%s: %s", what, f"{type(error).__name__}: {told(error, secrets)}{told_where}",
        exc_info=error if bug else None,
        extra={"conductor_clean": partial(_clean, secrets=secrets)},
    )  # fmt: skip
