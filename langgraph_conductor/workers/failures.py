"""Why a call failed: an outage, or the model's own doing."""

import math
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, cast, get_args

from langchain_core.exceptions import (
    ModelAPIError,
    ModelConnectionError,
    ModelRateLimitError,
    ModelTimeoutError,
)

from langgraph_conductor.containment import said
from langgraph_conductor.errors import BudgetExceededError, ConductorError
from langgraph_conductor.records import ErrorRecord, FailureKind
from langgraph_conductor.replies import storable
from langgraph_conductor.workers.exception_groups import members
from langgraph_conductor.workers.known_secrets import redacted as redacted
from langgraph_conductor.workers.known_secrets import secrets_of as secrets_of
from langgraph_conductor.workers.known_secrets import without as without

_OUTAGES = (
    ConnectionError,
    TimeoutError,
    ModelAPIError,
    ModelConnectionError,
    ModelRateLimitError,
    ModelTimeoutError,
)
_OUTAGE_STATUS = {408, 409, 425, 429}
_OUTAGE_NAMES = {
    "TransportError", "URLError", "ClientConnectionError", "ClientPayloadError", "BrokenResourceError",
    "ClosedResourceError",
}  # fmt: skip
"""Of anyio (a session that is gone); of httpx, which also has the timeouts; of urllib; of aiohttp."""
_ENDED: Final = {"Event loop is closed", "Connection closed", "Session terminated"}
"""What asyncio, and the SDK of MCP servers, say in exceptions of general types."""
_LONGEST = 2000
_DEEPEST = 5
_LONGEST_WAIT = 60.0
_LONGEST_HOLD = 86_400.0
_FIRST_FAILURE = 400
_NOTHING: Final = object()
_STATUS_OF_TYPE: Final[Mapping[str, int]] = {
    "api_error": 500, "overloaded_error": 529, "rate_limit_error": 429, "rate_limit_exceeded": 429,
    "server_error": 500, "timeout_error": 504,
}  # fmt: skip
"""Anthropic's and OpenAI's words for a status, in an error that comes in a stream begun with 200."""

_BROKEN_NAMES = {"JSONDecodeError", "UnknownApiResponseError", "ResponseValidationError"}
_UNSENT_NAMES = {"ConnectError", "ConnectionRefusedError", "ClientConnectorError"}


class EmptyReplyError(Exception):
    """The worker answered, but with no text."""


class ContextTooLongError(Exception):
    """The prompt is longer than the model takes; the model was not called."""


class RefusalError(Exception):
    """The model, or the provider's filter, refused to answer."""


class ModelCallError(Exception):
    """The agent's middleware gave up calling its model, and put a notice in place of an answer."""


def is_outage(error: BaseException) -> bool:
    """Whether the infrastructure is to blame: network, limits, a server's fault. Such calls may be retried.

    Providers' own exceptions are known by LangChain's error classes or by their HTTP status; wrapped
    ones by what caused them.
    """
    for seen in _chain(error):
        if _kept(seen, "infrastructure") is True or isinstance(seen, _OUTAGES):
            return True
        status = _status(seen)
        if status is not None:
            return _is_trouble(status)
        if _named(seen, _OUTAGE_NAMES) or said(seen) in _ENDED:
            return True
    return False


def mark_broken_reply(error: BaseException) -> None:
    """Mark the error of a model call as an outage if the server's reply was no valid message.

    Only the call knows it: outside of one, the same exceptions are a worker's own mistakes.
    """
    for seen in _chain(error):
        broken = _named(seen, _BROKEN_NAMES) or "Unmarshaller" in said(seen)[:80]
        # LangChain raises the error in an OpenAI reply of status 200 as a ValueError of its body.
        body = seen.args[0] if seen.args and _http_status(seen) is None else None
        if broken or _is_trouble(_status_in(body)):
            with suppress(AttributeError):
                error.infrastructure = True  # type: ignore[attr-defined]


def was_refused(error: BaseException) -> bool:
    """Whether a call that failed is sure not to be billed: it was never sent, or answered by an error status."""
    return any(
        isinstance(seen, ConductorError | ContextTooLongError)
        or _http_status(seen) is not None
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
        kind: Any = _kept(seen, "kind")
        if type(kind) is str and kind in get_args(FailureKind):
            return cast("FailureKind", kind)
        if (status := _status(seen)) == 400:
            return next((kind for text, kind in _KIND_OF_BAD_REQUEST if text.search(said(seen))), None)
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
    from email.utils import parsedate_to_datetime  # seldom needed, and slow to import

    for seen in _chain(error):
        headers: Any = _kept(_kept(seen, "response"), "headers")
        value = headers.get("retry-after") if hasattr(headers, "get") else None
        if value is None:
            continue
        with suppress(ValueError, TypeError):
            seconds = float(value)
            return min(max(0.0, seconds), _LONGEST_HOLD) if math.isfinite(seconds) else None
        try:
            until = parsedate_to_datetime(value)
        except (ValueError, TypeError, OverflowError):
            return None
        until = until if until.tzinfo else until.replace(tzinfo=UTC)  # "-0000", or the form of asctime
        return min(max(0.0, (until - datetime.now(UTC)).total_seconds()), _LONGEST_HOLD)
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what caused it; of a group of errors each of them, and what caused it."""
    for one in members(error):
        seen: BaseException | None = one
        for _ in range(_DEEPEST):
            if seen is None:
                break
            yield from members(seen)
            seen = seen.__cause__


def _named(error: BaseException, names: set[str]) -> bool:
    return any(kind.__name__ in names for kind in type(error).__mro__)


def _kept(error: Any, name: str, default: Any = None) -> Any:
    """The attribute of an error, or of a part of one; `default` where asking for it fails, as properties may."""
    try:
        return getattr(error, name, default)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - also `SystemExit`, which nobody asked for here
        return default


def _status(error: BaseException) -> int | None:
    """The HTTP status of the failure, or what its body says in the place of one."""
    status = _http_status(error)
    return status if status is not None else _status_in(_kept(error, "body"))


def _http_status(error: BaseException) -> int | None:
    response = _kept(error, "response")
    for status in (_kept(error, "status_code"), _kept(response, "status_code")):
        if type(status) is int and 100 <= status < 600:
            return status if status >= _FIRST_FAILURE else None  # an error told in the stream of a success
    code = _kept(error, "code")  # Google's; OpenAI's is a part of the body
    code = _kept(_kept(error, "error"), "code") if code is None else code  # of MCP
    failed = (
        type(code) is int and _FIRST_FAILURE <= code < 600 and _kept(error, "body", _NOTHING) is _NOTHING
    )
    return code if failed else None


def _status_in(body: Any) -> int | None:
    """The status that the body of an error speaks of."""
    if not isinstance(body, Mapping):
        return None
    inner = body.get("error")
    fault = inner if isinstance(inner, Mapping) else body
    for word in (fault.get("code"), fault.get("type")):
        if isinstance(word, int | str) and str(word) in _STATUS_OF_TYPE:
            return _STATUS_OF_TYPE[str(word)]
        status = int(word) if isinstance(word, int | str) and re.fullmatch(r"[45]\d\d", str(word)) else None
        if status is not None:
            return status
    return None


def _is_trouble(status: int | None) -> bool:
    return status is not None and (status in _OUTAGE_STATUS or status >= 500)


def told(error: BaseException, secrets: Iterable[str] = ()) -> str:
    """What `error` says, without `secrets` and what no database takes."""
    return storable(redacted(said(error), secrets))


def error_record(error: BaseException, secrets: Iterable[str] = ()) -> ErrorRecord:
    """The record of a failure, without `secrets`."""
    message = told(error, secrets)
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
