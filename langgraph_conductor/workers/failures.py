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
_LONGEST = 2000


class EmptyReplyError(Exception):
    """The worker answered, but with no text."""


def is_outage(error: BaseException) -> bool:
    """Whether the infrastructure is to blame: network, limits, a server's fault. Such calls may be retried.

    Providers' own exceptions are known by LangChain's error classes or by their `status_code`.
    """
    if isinstance(error, _OUTAGES):
        return True
    status = getattr(error, "status_code", None)
    return isinstance(status, int) and (status in _OUTAGE_STATUS or status >= 500)


def error_record(error: BaseException) -> ErrorRecord:
    """The record of a failure."""
    message = str(error)
    if len(message) > _LONGEST:
        message = message[:_LONGEST] + " […]"
    return {"type": type(error).__name__, "message": message, "infrastructure": is_outage(error)}
