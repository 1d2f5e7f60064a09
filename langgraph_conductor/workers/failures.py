"""Why a call failed: an outage, or the model's own doing."""

import random
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, cast, get_args

from langchain_core.exceptions import (
    ModelAPIError,
    ModelConnectionError,
    ModelRateLimitError,
    ModelRefusalError,
    ModelTimeoutError,
)

from langgraph_conductor.containment import said
from langgraph_conductor.errors import BudgetExceededError, ConductorError
from langgraph_conductor.records import ErrorRecord, FailureKind
from langgraph_conductor.replies import storable
from langgraph_conductor.workers.billing import OUT_OF_CREDIT, is_answered, lacks_credit
from langgraph_conductor.workers.broken_replies import BROKEN_NAMES, is_broken_reply, is_filtered
from langgraph_conductor.workers.error_bodies import (
    bodies,
    fault_in,
    http_status,
    is_trouble,
    kept,
    message_in,
    status_in,
)
from langgraph_conductor.workers.exception_groups import members
from langgraph_conductor.workers.known_secrets import redacted as redacted
from langgraph_conductor.workers.known_secrets import secrets_of as secrets_of
from langgraph_conductor.workers.known_secrets import without as without
from langgraph_conductor.workers.own_code import place_of
from langgraph_conductor.workers.retry_after import wait_asked

_OUTAGES = (
    ConnectionError,
    TimeoutError,
    ModelAPIError,
    ModelConnectionError,
    ModelRateLimitError,
    ModelTimeoutError,
)
_OUTAGE_NAMES = {
    "TransportError", "URLError", "ClientConnectionError", "ClientPayloadError", "BrokenResourceError",
    "ClosedResourceError",
}  # fmt: skip
"""Of anyio (a session that is gone); of httpx and httpx2, which also have the timeouts; of urllib; of aiohttp."""
_ENDED: Final = {"Event loop is closed", "Connection closed", "Session terminated"}
"""What asyncio, and the SDK of MCP servers, say in exceptions of general types."""
_LONGEST = 2000
_DEEPEST = 5
_LONGEST_WAIT = 60.0
_UNSENT_NAMES = {"ConnectError", "ConnectionRefusedError", "ClientConnectorError"}


class EmptyReplyError(Exception):
    """The worker answered, but with no text."""


class ContextTooLongError(Exception):
    """The prompt is longer than the model takes; the model was not called."""


class RefusalError(Exception):
    """The model, or the provider's filter, refused to answer."""


class CutOffError(Exception):
    """The reply is not whole: its stream ended before its end, or it says itself that the server broke it off."""

    infrastructure = True


class ModelCallError(Exception):
    """The agent's middleware gave up calling its model, and put a notice in place of an answer."""


def refusal_in(error: Exception) -> Exception | None:
    """The failure that a client tells by an exception of its own, where a reply was filtered or cut; else `None`.

    Azure's raises a `ValueError` for a filtered reply, openai's under a schema errors of its own.
    """
    if isinstance(error, EmptyReplyError | RefusalError):
        return None
    words, name = said(error), type(error).__name__
    codes = {fault_in(body).get("code") for body in _read_bodies(error)}
    new: Exception | None = None
    if (
        is_filtered(error)
        or name == "ContentFilterFinishReasonError"
        or "content_filter" in map(str, codes)
    ):
        new = RefusalError(f"the provider's filter refused: {words}")
    elif isinstance(error, ModelRefusalError):
        new = RefusalError(f"the model refused: {words}")
    elif name == "LengthFinishReasonError":
        new = EmptyReplyError(
            f"the reply was cut at its limit of output tokens; raise max_tokens ({words})"
        )
    return new


def is_outage(error: BaseException) -> bool:
    """Whether the infrastructure is to blame: network, limits, a server's fault, an account without credit.

    Such calls may be retried, but for the last (`wait_before_retry` tells). Providers' own exceptions are known by
    LangChain's error classes or by their HTTP status; wrapped ones by what caused them; replies of status 200 that
    are none by where a client stumbled over them.
    """
    for seen in _chain(error):
        if kept(seen, "infrastructure") is True or isinstance(seen, _OUTAGES) or _lacks_credit(seen):
            return True
        status = _status(seen)
        if status is not None:
            return is_trouble(status)
        if _named(seen, _OUTAGE_NAMES) or said(seen) in _ENDED:
            return True
        if is_broken_reply(seen) or _is_told_in_stream(seen):
            return True
    return False


def mark_broken_reply(error: BaseException) -> None:
    """Mark the error of a model call as an outage if the server's reply was no valid message.

    Only the call knows it: outside of one, the same exceptions are a worker's own mistakes.
    """
    for seen in _chain(error):
        broken = _named(seen, BROKEN_NAMES) or "Unmarshaller" in said(seen)[:80]
        # LangChain raises the error in an OpenAI reply of status 200 as a ValueError of its body.
        body = seen.args[0] if seen.args and http_status(seen) is None else None
        if broken or is_trouble(status_in(body)):
            with suppress(AttributeError):
                error.infrastructure = True  # type: ignore[attr-defined]


def _is_told_in_stream(error: BaseException) -> bool:
    """Whether a server told, in a reply it had begun with status 200, that it failed, without saying how."""
    module = type(error).__module__.partition(".")[0]
    if module == "ollama" and kept(error, "status_code") == -1:
        return True
    if module not in ("openai", "anthropic") or type(error).__name__ not in ("APIError", "APIStatusError"):
        return False
    return not any(_blames_request(fault_in(body)) for body in bodies(error))


def _blames_request(fault: Mapping[str, Any]) -> bool:
    told = f"{fault.get('type')} {fault.get('code')}".lower()
    return "invalid" in told or "badrequest" in told or "filter" in told or "context_length" in told


def _lacks_credit(error: BaseException) -> bool:
    return lacks_credit(error, answered=is_answered(error) or is_broken_reply(error))


def was_refused(error: BaseException) -> bool:
    """Whether a call that failed is sure not to be billed: it was never sent, or answered by an error status."""
    return any(
        isinstance(seen, ConductorError | ContextTooLongError)
        or http_status(seen) is not None
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
        kind: Any = kept(seen, "kind")
        if type(kind) is str and kind in get_args(FailureKind):
            return cast("FailureKind", kind)
        if _lacks_credit(seen):
            return "billing"
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
    if tries > retries or not is_outage(error) or kind_of(error) == "billing":
        return None
    asked = retry_after(error)
    if asked is not None and asked > _LONGEST_WAIT:
        return None
    jitter = random.uniform(0, min(20.0, 0.5 * 2**tries))  # noqa: S311 - spreads load, hides nothing
    return jitter if asked is None else asked + min(1.0, jitter * 0.1)


def retry_after(error: BaseException) -> float | None:
    """Seconds the provider asks to wait, in whichever form it says so, see `wait_asked`; `None` if it does not."""
    return wait_asked(_chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what caused it; of a group of errors each of them, and what caused it."""
    for one in members(error):
        seen: BaseException | None = one
        for _ in range(_DEEPEST):
            if seen is None:
                break
            yield from members(seen)
            seen = seen.__cause__


def _named(error: BaseException, names: Collection[str]) -> bool:
    return any(kind.__name__ in names for kind in type(error).__mro__)


def _status(error: BaseException) -> int | None:
    """The HTTP status of the failure, or what its body says in the place of one."""
    status = http_status(error)
    return status if status is not None else next(filter(None, map(status_in, _read_bodies(error))), None)


def _read_bodies(error: BaseException) -> Iterator[Mapping[str, Any]]:
    """The bodies of an error that are certain to be a server's: anyone may raise an exception with a mapping."""
    return bodies(error) if is_answered(error) or is_broken_reply(error) else iter(())


def told(error: BaseException, secrets: Iterable[str] = ()) -> str:
    """What `error` says, in words that help, without `secrets` and what no database takes."""
    return storable(redacted(_words(error), secrets))


def _words(error: BaseException) -> str:
    words = said(error)
    if kind_of(error) == "billing":
        return f"{OUT_OF_CREDIT} ({words})"
    broken = [seen for seen in _chain(error) if is_broken_reply(seen) or _named(seen, BROKEN_NAMES)]
    if not broken or http_status(error) is not None:
        return words
    for body in bodies(broken[-1]):
        if message := message_in(body):
            code = fault_in(body).get("code")
            return f"the server told of an error in a reply of status 200: {message}" + (
                f" ({code})" if code else ""
            )
    return f"the server sent, with status 200, what is no reply or an empty one ({words or type(error).__name__})"


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
    if not record["infrastructure"] and "kind" not in record and (where := place_of(error)):
        record["where"] = where
    return record
