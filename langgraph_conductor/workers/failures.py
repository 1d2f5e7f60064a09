"""Why a call failed: an outage, or the model's own doing."""

from langchain_core.exceptions import (
    ModelAPIError,
    ModelConnectionError,
    ModelRateLimitError,
    ModelTimeoutError,
)

from langgraph_conductor.records import ErrorRecord

_OUTAGES = (
    ConnectionError,
    TimeoutError,
    ModelAPIError,
    ModelConnectionError,
    ModelRateLimitError,
    ModelTimeoutError,
)
_OUTAGE_STATUS = {408, 409, 425, 429}
_OUTAGE_NAMES = {"TransportError", "URLError"}  # of httpx, which also has the timeouts, and of urllib
_LONGEST = 2000
_DEEPEST = 5


class EmptyReplyError(Exception):
    """The worker answered, but with no text."""


def is_outage(error: BaseException) -> bool:
    """Whether the infrastructure is to blame: network, limits, a server's fault. Such calls may be retried.

    Providers' own exceptions are known by LangChain's error classes or by their HTTP status; wrapped
    ones by what caused them.
    """
    seen: BaseException | None = error
    for _ in range(_DEEPEST):
        if seen is None:
            break
        if getattr(seen, "infrastructure", False) is True or isinstance(seen, _OUTAGES):
            return True
        status = _status(seen)
        if status is not None:
            return status in _OUTAGE_STATUS or status >= 500
        if any(kind.__name__ in _OUTAGE_NAMES for kind in type(seen).__mro__):
            return True
        seen = seen.__cause__
    return False


def _status(error: BaseException) -> int | None:
    for holder, name in (
        (error, "status_code"),
        (getattr(error, "response", None), "status_code"),
        (error, "code"),
    ):
        status = getattr(holder, name, None)
        if type(status) is int and 100 <= status < 600:
            return status
    return None


def error_record(error: BaseException) -> ErrorRecord:
    """The record of a failure."""
    message = str(error)
    if len(message) > _LONGEST:
        message = message[:_LONGEST] + " […]"
    return {"type": type(error).__name__, "message": message, "infrastructure": is_outage(error)}
