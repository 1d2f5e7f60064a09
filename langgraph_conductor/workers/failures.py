"""Why a call failed: an outage, or the model's own doing."""

import random
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, get_args

from langchain_core.exceptions import (
    ModelAPIError,
    ModelConnectionError,
    ModelRateLimitError,
    ModelTimeoutError,
)
from langchain_core.runnables.base import RunnableBindingBase
from pydantic import BaseModel, SecretStr

from langgraph_conductor.errors import BudgetExceededError, ConductorError
from langgraph_conductor.records import ErrorRecord, FailureKind

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
_LONGEST_WAIT = 60.0
_SHORTEST_SECRET = 6  # "x" and "none" are no keys, but letters of every message


_BROKEN_NAMES = {"JSONDecodeError", "UnknownApiResponseError", "ResponseValidationError"}
_UNSENT_NAMES = {"ConnectError", "ConnectionRefusedError"}


class EmptyReplyError(Exception):
    """The worker answered, but with no text."""


class ContextTooLongError(Exception):
    """The prompt is longer than the model takes; the model was not called."""


class RefusalError(Exception):
    """The model, or the provider's filter, refused to answer."""


def is_outage(error: BaseException) -> bool:
    """Whether the infrastructure is to blame: network, limits, a server's fault. Such calls may be retried.

    Providers' own exceptions are known by LangChain's error classes or by their HTTP status; wrapped
    ones by what caused them.
    """
    for seen in _chain(error):
        if getattr(seen, "infrastructure", False) is True or isinstance(seen, _OUTAGES):
            return True
        status = _status(seen)
        if status is not None:
            return status in _OUTAGE_STATUS or status >= 500
        if _named(seen, _OUTAGE_NAMES) or str(seen) == "Event loop is closed":
            return True
    return False


def mark_broken_reply(error: BaseException) -> None:
    """Mark the error of a model call as an outage if the server's reply was no valid message.

    Only the call knows it: outside of one, the same exceptions are a worker's own mistakes.
    """
    if any(_named(seen, _BROKEN_NAMES) or "Unmarshaller" in str(seen)[:80] for seen in _chain(error)):
        with suppress(AttributeError):
            error.infrastructure = True  # type: ignore[attr-defined]


def was_refused(error: BaseException) -> bool:
    """Whether a call that failed is sure not to be billed: it was never sent, or answered by an error status."""
    return any(
        isinstance(seen, ConductorError | ContextTooLongError)
        or _status(seen) is not None
        or _named(seen, _UNSENT_NAMES)
        for seen in _chain(error)
    )


_KIND_OF_STATUS: Final[Mapping[int, FailureKind]] = {
    401: "no_key", 403: "no_key", 404: "unknown_model", 408: "timeout", 429: "rate_limited", 504: "timeout",
}  # fmt: skip
_KIND_OF_BAD_REQUEST: Final[tuple[tuple[re.Pattern[str], FailureKind], ...]] = (
    (re.compile(r"api[-_ ]?key", re.IGNORECASE), "no_key"),  # Google
    (
        re.compile(r"not a valid model|model\b.{0,80}\bnot (?:exist|found)", re.IGNORECASE),
        "unknown_model",
    ),  # OpenRouter
)
_KIND_OF_NAMES: Final[tuple[tuple[set[str], FailureKind], ...]] = (
    ({"ConnectError", "ConnectTimeout", "ConnectionRefusedError", "gaierror"}, "unreachable"),
    ({"TimeoutError", "TimeoutException", "APITimeoutError", "ModelTimeoutError"}, "timeout"),
    (
        {"ConnectionError", "APIConnectionError", "ModelConnectionError", "TransportError", "URLError"},
        "unreachable",
    ),
)  # in this order: clients call a server that cannot be connected to late, and a late one unreachable


def kind_of(error: BaseException) -> FailureKind | None:
    """Which of the common failures it is, by HTTP status or the names of exceptions; `None` if none of them."""
    chain = list(_chain(error))
    for seen in chain:
        if (kind := getattr(seen, "kind", None)) in get_args(FailureKind):
            return kind
        if (status := _status(seen)) == 400:
            return next((kind for text, kind in _KIND_OF_BAD_REQUEST if text.search(str(seen))), None)
        if status is not None:
            return _KIND_OF_STATUS.get(status)
    return next((kind for names, kind in _KIND_OF_NAMES if any(_named(s, names) for s in chain)), None)


def wait_before_retry(error: BaseException, tries: int, retries: int) -> float | None:
    """Seconds to wait before a call is repeated; `None` if it should not be.

    The provider's `Retry-After` counts; else waits grow, at random, so that callers spread out. A
    provider that asks for more than a minute has none to spare for this run.

    Args:
        error: Why the call failed.
        tries: Calls made so far.
        retries: Times it may be repeated.
    """
    if tries > retries or not is_outage(error):
        return None
    asked = retry_after(error)
    if asked is not None and asked > _LONGEST_WAIT:
        return None
    jitter = random.uniform(0, min(20.0, 0.5 * 2**tries))  # noqa: S311 - spreads load, hides nothing
    return jitter if asked is None else asked + min(1.0, jitter * 0.1)


def retry_after(error: BaseException) -> float | None:
    """Seconds the provider asks to wait (HTTP `Retry-After`, RFC 9110), if it does."""
    for seen in _chain(error):
        headers: Any = getattr(getattr(seen, "response", None), "headers", None)
        value = headers.get("retry-after") if hasattr(headers, "get") else None
        if value is None:
            continue
        try:
            return max(0.0, float(value))
        except ValueError:
            pass
        try:
            until = parsedate_to_datetime(value)
        except ValueError:
            return None
        return max(0.0, (until - datetime.now(UTC)).total_seconds())
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    for _ in range(_DEEPEST):
        if seen is None:
            return
        yield seen
        seen = seen.__cause__


def _named(error: BaseException, names: set[str]) -> bool:
    return any(kind.__name__ in names for kind in type(error).__mro__)


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


def error_record(error: BaseException, secrets: Iterable[str] = ()) -> ErrorRecord:
    """The record of a failure, without `secrets`."""
    message = redacted(str(error), secrets)
    if len(message) > _LONGEST:
        message = message[:_LONGEST] + " […]"
    record: ErrorRecord = {
        "type": type(error).__name__,
        "message": message,
        "infrastructure": is_outage(error),
    }
    if kind := kind_of(error):
        record["kind"] = kind
    if isinstance(error, BudgetExceededError):
        record["limit"] = error.limit
    return record


_SECRETS: Final = re.compile(
    r"(?P<before>\b[Bb]earer\s+|\b[Bb]asic\s+|[?&]key=|(?i:\b(?:api[-_ ]?key|authorization|access[-_]token))"
    r"(?:\s+provided)?[\"']?\s*[=:]\s*[\"']?)(?![Bb]earer\b|[Bb]asic\b)[A-Za-z0-9_\-.*~+/]{6,}=*"
    r"|\b(?:sk|pk|rk|gsk|xai|lsv2|hf|r8|ghp)[-_][A-Za-z0-9_\-*]{8,}"
    r"|\bAIza[A-Za-z0-9_\-]{20,}|\bAKIA[A-Z0-9]{12,}"
)


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without `secrets` and whatever looks like a key; some providers repeat the key in their errors."""
    for secret in secrets:
        text = text.replace(secret, "[redacted]")
    return _SECRETS.sub(lambda match: f"{match['before'] or ''}[redacted]", text)


def secrets_of(model: Any) -> tuple[str, ...]:
    """The keys a model holds, so that they can be kept out of records."""
    while isinstance(model, RunnableBindingBase):
        model = model.bound
    if not isinstance(model, BaseModel):
        return ()
    values = (getattr(model, name, None) for name in type(model).model_fields)
    return tuple(
        secret
        for value in values
        if isinstance(value, SecretStr) and len(secret := value.get_secret_value()) >= _SHORTEST_SECRET
    )
