"""How long a provider asks to wait before the next call, in every form in which it may say so."""

import math
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from langgraph_conductor.containment import said
from langgraph_conductor.workers.error_bodies import bodies, fault_in, headers_of, http_status, words_in

_LONGEST: Final = 86_400.0
_MOST_WORDS: Final = 20_000
_EPOCH: Final = 10**9
"""A reset as large is a point of time, in seconds since 1970; in milliseconds where it is 1000 times so."""
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(\d{1,8}(?:\.\d{1,12})?)(ms|s|m|h|d)")
_SAID = re.compile(
    r"(?:try|trying|try again|wait|available|resets?)(?: after| in| for)?:? "
    r"(?:((?:\d{1,8}(?:\.\d{1,12})?(?:ms|[smhd])){1,5})"
    r"|(\d{1,8}(?:\.\d{1,12})?) (millisecond|second|sec|minute|hour))",
    re.IGNORECASE,
)
_RESETS: Final = ("requests", "tokens", "input-tokens", "output-tokens")


def wait_asked(errors: Iterable[BaseException]) -> float | None:
    """Seconds that the provider asks to wait, at most a day; `None` if it does not say.

    Read are, in this order: the headers `retry-after-ms` and `Retry-After` (seconds, or a date: RFC 9110),
    Google's `RetryInfo`, waits in bodies of errors, the resets of limits that are used up (`x-ratelimit-reset-*`,
    `anthropic-ratelimit-*-reset`), and sentences such as "Please try again in 6s".

    Args:
        errors: The failure, and what caused it.
    """
    errors = list(errors)
    for read in (_of_headers, _of_bodies, _of_resets, _of_words):
        for error in errors:
            waits = [seconds for seconds in read(error) if math.isfinite(seconds)]
            if waits:
                return min(max(0.0, *waits), _LONGEST)
    return None


def _of_headers(error: BaseException) -> Iterator[float]:
    for headers in headers_of(error):
        for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
            value = _header(headers, name)
            if (seconds := _seconds(value, unit)) is not None:
                yield seconds
                return


def _of_bodies(error: BaseException) -> Iterator[float]:
    for body in bodies(error):
        fault = fault_in(body)
        for holder in (body, fault, fault.get("metadata")):
            if not isinstance(holder, Mapping):
                continue
            for name, unit in (
                ("retry_after_ms", 0.001),
                ("retry_after", 1.0),
                ("retry_after_seconds", 1.0),
            ):
                if (seconds := _seconds(holder.get(name), unit)) is not None:
                    yield seconds
        details = fault.get("details")
        for detail in details if isinstance(details, list) else ():
            delay = detail.get("retryDelay") if isinstance(detail, Mapping) else None
            if (seconds := _duration(delay)) is not None:
                yield seconds


def _of_resets(error: BaseException) -> Iterator[float]:
    for headers in headers_of(error):
        for family in ("x-ratelimit", "anthropic-ratelimit"):
            for what in _RESETS:
                names = (
                    (f"{family}-remaining-{what}", f"{family}-reset-{what}")
                    if family == "x-ratelimit"
                    else (f"{family}-{what}-remaining", f"{family}-{what}-reset")
                )
                left, reset = (_header(headers, name) for name in names)
                if _is_used_up(left) and (seconds := _reset(reset)) is not None:
                    yield seconds
        left, reset = (
            _header(headers, f"x-ratelimit-{name}") for name in ("remaining", "reset")
        )  # OpenRouter's
        if _is_used_up(left) and (seconds := _reset(reset)) is not None:
            yield seconds


def _is_used_up(left: Any) -> bool:
    """Whether nothing is left of a limit; one of which that is not told may be what was reached."""
    return left is None or str(left).strip() == "0"


def _of_words(error: BaseException) -> Iterator[float]:
    texts = [words_in(body) for body in bodies(error)]
    for text in texts or ([said(error)] if http_status(error) is not None else []):
        for compact, number, unit in _SAID.findall(text[:_MOST_WORDS]):
            if compact:
                yield _duration(compact.lower()) or 0.0
            else:
                yield float(number) * _UNITS["ms" if unit.lower().startswith("milli") else unit[0].lower()]


def _header(headers: Any, name: str) -> Any:
    with suppress(Exception):
        value = headers.get(name)
        if value is None and isinstance(headers, Mapping):  # plain ones know the case they were written in
            value = next((v for k, v in headers.items() if str(k).lower() == name), None)
        return value
    return None


def _seconds(value: Any, unit: float = 1.0) -> float | None:
    """Seconds, or seconds until a date."""
    from email.utils import parsedate_to_datetime  # seldom needed, and slow to import

    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    with suppress(ValueError):
        seconds = float(value) * unit
        return max(0.0, seconds) if math.isfinite(seconds) else None
    try:
        until = parsedate_to_datetime(str(value))
    except (ValueError, TypeError, OverflowError):
        return _duration(value)
    until = until if until.tzinfo else until.replace(tzinfo=UTC)  # "-0000", or the form of asctime
    return max(0.0, (until - datetime.now(UTC)).total_seconds())


def _duration(value: Any) -> float | None:
    """Seconds of "4s", "6m0s", "250ms"."""
    if not isinstance(value, str) or not 0 < len(value) <= 40:
        return None
    parts = _DURATION.findall(value)
    if "".join(number + unit for number, unit in parts) != value.strip():
        return None
    return math.fsum(float(number) * _UNITS[unit] for number, unit in parts)


def _reset(value: Any) -> float | None:
    """Seconds until a limit is reset: told in seconds, as a duration, as a point of time."""
    if (seconds := _duration(value)) is not None:
        return seconds
    with suppress(ValueError, TypeError, OverflowError):
        number = float(value)
        if number >= _EPOCH:
            number = number / (1000 if number >= _EPOCH * 1000 else 1) - time.time()
        return max(0.0, number) if math.isfinite(number) else None
    with suppress(ValueError, TypeError):
        until = datetime.fromisoformat(str(value))
        until = until if until.tzinfo else until.replace(tzinfo=UTC)
        return max(0.0, (until - datetime.now(UTC)).total_seconds())
    return None
