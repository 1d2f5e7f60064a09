"""What the error of a provider's client carries: the body that was answered, its status, its headers."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

_LONGEST: Final = 100_000
"""Characters of a body that are read as JSON."""
_MOST_PARTS: Final = 20
_FIRST_FAILURE: Final = 400
_OUTAGES: Final = frozenset({408, 409, 425, 429})
_NOTHING: Final = object()

_STATUS_OF_WORD: Final[Mapping[str, int]] = {
    "api_error": 500, "internal_error": 500, "internal_server_error": 500, "server_error": 500, "internal": 500,
    "model_error": 500, "processing_error": 500, "upstream_error": 502, "bad_gateway": 502, "stream_error": 502,
    "overloaded": 529, "overloaded_error": 529, "service_unavailable": 503, "service_unavailable_error": 503,
    "unavailable": 503, "engine_overloaded_error": 503,
    "rate_limit_error": 429, "rate_limit_exceeded": 429, "rate_limited": 429, "too_many_requests": 429,
    "resource_exhausted": 429, "insufficient_quota": 429, "throttlingexception": 429,
    "modelnotreadyexception": 429, "modeltimeoutexception": 504, "modelstreamerrorexception": 502,
    "modelerrorexception": 502, "serviceunavailableexception": 503, "internalserverexception": 500,
    "timeout": 504, "timeout_error": 504, "deadline_exceeded": 504, "gateway_timeout": 504,
    "authentication_error": 401, "invalid_api_key": 401, "unauthenticated": 401,
    "permission_error": 403, "permission_denied": 403, "billing_error": 402, "payment_required": 402,
    "accessdeniedexception": 403, "not_found_error": 404, "not_found": 404, "model_not_found": 404,
}  # fmt: skip
"""Words of providers for a status, where an error comes in a reply that was begun with 200; AWS's at the end."""


def kept(error: Any, name: str, default: Any = None) -> Any:
    """The attribute of an error, or of a part of one; `default` where asking for it fails, as properties may."""
    try:
        return getattr(error, name, default)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - also `SystemExit`, which nobody asked for here
        return default


def http_status(error: BaseException) -> int | None:
    """The HTTP status of a failure; `None` if it has none, or that of a success, in which an error was told."""
    response = kept(error, "response")
    for status in (kept(error, "status_code"), kept(response, "status_code")):
        if type(status) is int and 100 <= status < 600:
            return status if status >= _FIRST_FAILURE else None
    code = kept(error, "code")  # Google's; OpenAI's is a part of the body
    code = kept(kept(error, "error"), "code") if code is None else code  # of MCP
    failed = (
        type(code) is int and _FIRST_FAILURE <= code < 600 and kept(error, "body", _NOTHING) is _NOTHING
    )
    if failed:
        return int(code)
    named = _STATUS_OF_WORD.get(type(error).__name__.lower())  # AWS names its exceptions so
    if named is None and isinstance(response, Mapping):  # botocore's
        named = next(filter(None, map(status_in, bodies(error))), None)
    return named


def bodies(error: BaseException) -> Iterator[Mapping[str, Any]]:
    """The JSON objects that an error holds of what was answered: its body, its details, what could not be read."""
    for name in ("body", "details"):
        yield from _objects(kept(error, name))
    told = kept(error, "response")
    if isinstance(told, Mapping) and isinstance(fault := told.get("Error"), Mapping):  # botocore's
        yield {"code": fault.get("Code"), "message": fault.get("Message")}
    for argument in kept(error, "args", ())[:2]:
        if isinstance(argument, Mapping):
            yield argument
        elif isinstance(message := kept(argument, "message"), str):  # openai's `ResponseError`
            yield {"code": kept(argument, "code"), "message": message}
    yield from _unread(error)


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, str) and value[:_LONGEST].lstrip()[:1] in ("{", "[") and len(value) <= _LONGEST:
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return
    values = value if isinstance(value, list) else [value]
    yield from (one for one in values[:_MOST_PARTS] if isinstance(one, Mapping))


def _unread(error: BaseException) -> Iterator[Mapping[str, Any]]:
    """What pydantic could not make a reply of (OpenRouter's client)."""
    tell = kept(error, "errors") if type(error).__name__ == "ValidationError" else None
    if not callable(tell):
        return
    try:
        faults = tell()
    except Exception:  # noqa: BLE001 - nothing is known then
        return
    for one in faults[:_MOST_PARTS] if isinstance(faults, list) else ():
        given = one.get("input") if isinstance(one, Mapping) else None
        if isinstance(given, Mapping) and given.get("error"):
            yield given


def fault_in(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a body that tells of the failure."""
    inner = body.get("error")
    if isinstance(inner, str) and inner:
        return {**body, "message": inner}
    return inner if isinstance(inner, Mapping) else body


def status_in(body: Any) -> int | None:
    """The status that the body of an error speaks of."""
    if not isinstance(body, Mapping):
        return None
    fault = fault_in(body)
    for word in (fault.get("code"), fault.get("type"), fault.get("status"), fault.get("status_code")):
        if not isinstance(word, int | str):
            continue
        if (status := _STATUS_OF_WORD.get(str(word).lower())) is not None:
            return status
        if str(word).isascii() and str(word).isdigit() and _FIRST_FAILURE <= int(word) < 600:
            return int(word)
    return None


def words_in(body: Mapping[str, Any]) -> str:
    """All a body says of the failure, as one text: codes, types, the message, and a provider's own inside it."""
    fault = fault_in(body)
    metadata = fault.get("metadata")
    raw = (
        metadata.get("raw") if isinstance(metadata, Mapping) else None
    )  # OpenRouter's: what the model's host said
    parts = [fault.get(name) for name in ("code", "type", "status", "message", "reason", "detail")]
    return " ".join(str(part)[:_LONGEST] for part in (*parts, raw) if isinstance(part, str | int))


def message_in(body: Mapping[str, Any]) -> str:
    """The sentence in which a body tells of the failure; empty if there is none."""
    message = fault_in(body).get("message")
    return message if isinstance(message, str) else ""


def is_trouble(status: int | None) -> bool:
    """Whether an HTTP status blames the server, or the moment, and not the request."""
    return status is not None and (status in _OUTAGES or status >= 500)


def headers_of(error: BaseException) -> Iterator[Any]:
    """The headers of the answer an error tells of: httpx's and httpx2's, `requests`', and mappings."""
    response = kept(error, "response")
    for holder in (
        kept(response, "headers"),
        kept(error, "headers"),
        kept(kept(error, "raw_response"), "headers"),
    ):
        if hasattr(holder, "get"):
            yield holder
    told = response.get("ResponseMetadata") if isinstance(response, Mapping) else None
    if isinstance(told, Mapping) and isinstance(of_aws := told.get("HTTPHeaders"), Mapping):
        yield of_aws
    for body in bodies(error):
        metadata = fault_in(body).get("metadata")
        inner = metadata.get("headers") if isinstance(metadata, Mapping) else None  # OpenRouter's
        if isinstance(inner, Mapping):
            yield inner
