"""What the HTTP clients of models made from strings see to, beneath the providers' own clients.

An error in a whole reply of status 200 gets the status it speaks of, so that each client raises its own typed
error, with what the body says. A stream of Chat Completions that says `[DONE]` is over, also if no chunk gave a
finish reason: one is added, since only here the two are seen. An error in a stream of OpenRouter, whose client
drops its words, is raised with them. All this is done in httpx's and httpx2's event hooks.
"""

import importlib
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from functools import cache
from typing import Any, Final

from langgraph_conductor.workers.error_bodies import fault_in, is_trouble, message_in, status_in

CONNECT_SECONDS: Final = 10.0
"""Most seconds until a connection is made, where the user sets no time limit."""

_MOST_BYTES: Final = 1_000_000
_REPLY: Final = ("choices", "candidates", "content", "output")
_FINISHED = re.compile(rb'"finish_reason" ?: ?"')


class ErrorInStreamError(Exception):
    """A provider told of an error in a stream it had begun with status 200.

    Attributes:
        body: What it told.
        infrastructure: `True`, unless it blames the request.
    """

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.body = dict(body)
        code = fault_in(body).get("code")
        status = status_in(body)
        self.infrastructure = status is None or is_trouble(status)
        super().__init__(
            (message_in(body) or "an error without a message") + (f" ({code})" if code else "")
        )


def hooks(
    *, awaited: bool, chat: bool = False, openrouter: bool = False, limited: bool = True
) -> dict[str, list[Any]]:
    """Event hooks of a client.

    Args:
        awaited: Whether it is an async one.
        chat: Whether it streams Chat Completions.
        openrouter: Whether errors in its streams are to be raised here.
        limited: Whether connections have to be made within `CONNECT_SECONDS`.
    """

    def on_request(request: Any) -> None:
        seconds = request.extensions.get("timeout")
        if limited and isinstance(seconds, dict):
            connect = seconds.get("connect")
            seconds = {**seconds, "connect": min(CONNECT_SECONDS, connect or CONNECT_SECONDS)}
            request.extensions = {**request.extensions, "timeout": seconds}

    def on_response(response: Any) -> None:
        if _is_json(response):
            response.read()
            _give_status(response)
        elif chat and _is_stream(response):
            kinds = _streams(type(response).__module__.partition(".")[0])
            response.stream = kinds[0](response.stream, openrouter=openrouter)

    async def on_request_awaited(request: Any) -> None:
        on_request(request)

    async def on_response_awaited(response: Any) -> None:
        if _is_json(response):
            await response.aread()
            _give_status(response)
        elif chat and _is_stream(response):
            kinds = _streams(type(response).__module__.partition(".")[0])
            response.stream = kinds[1](response.stream, openrouter=openrouter)

    if awaited:
        return {"request": [on_request_awaited], "response": [on_response_awaited]}
    return {"request": [on_request], "response": [on_response]}


def hook(client: Any, found: Mapping[str, list[Any]]) -> None:
    """Add hooks to those of a client."""
    client.event_hooks = {
        event: [*client.event_hooks.get(event, ()), *ours] for event, ours in found.items()
    }


def _is_json(response: Any) -> bool:
    return response.status_code == 200 and "json" in response.headers.get("content-type", "")


def _is_stream(response: Any) -> bool:
    kind = response.headers.get("content-type", "")
    return (
        response.status_code == 200
        and "event-stream" in kind
        and "content-encoding" not in response.headers
    )


def _give_status(response: Any) -> None:
    content = response.content
    if len(content) > _MOST_BYTES or b'"error"' not in content:
        return
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return
    body = body[0] if isinstance(body, list) and body else body
    if isinstance(body, dict) and body.get("error") and not any(body.get(part) for part in _REPLY):
        if body.get("object") == "response":  # openai's client reads `status: failed` itself
            return
        blamed = "invalid" in str(fault_in(body).get("type")).lower()
        response.status_code = status_in(body) or (400 if blamed else 502)


class _ChatEnd:
    """Sees to the end of a stream of Chat Completions, line by line."""

    def __init__(self, *, openrouter: bool) -> None:
        self._openrouter = openrouter
        self._rest = b""
        self._finished = False
        self._last: dict[str, Any] = {}

    def more(self, data: bytes) -> bytes:
        """What to hand on of the bytes that came: all lines that are whole.

        Raises:
            ErrorInStreamError: If OpenRouter tells of one.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        return b"".join(self._seen(line) + line + b"\n" for line in lines)

    def rest(self) -> bytes:
        """What is left at the end."""
        return self._rest

    def _seen(self, line: bytes) -> bytes:
        """What to put before a line."""
        if not line.startswith(b"data:"):
            return b""
        said = line[5:].strip()
        if said.startswith(b"[DONE]"):
            if self._finished or not self._last:
                return b""
            end = {"index": 0, "delta": {}, "finish_reason": "stop"}
            return b"data: " + json.dumps({**self._last, "choices": [end]}).encode() + b"\n\n"
        if _FINISHED.search(said):
            self._finished = True
        failed = self._openrouter and b'"error"' in said
        if (failed or not self._last) and (chunk := _object(said)):
            if failed and chunk.get("error"):
                raise ErrorInStreamError(chunk)
            if chunk.get("choices"):
                self._last = {name: value for name, value in chunk.items() if name != "usage"}
        return b""


def _object(said: bytes) -> dict[str, Any]:
    try:
        value = json.loads(said)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


@cache
def _streams(package: str) -> tuple[Any, Any]:
    """The byte streams of httpx or httpx2, around others, in which the end is seen to."""
    library: Any = importlib.import_module(package)

    class Seen(library.SyncByteStream):  # type: ignore[misc]
        def __init__(self, inner: Any, *, openrouter: bool) -> None:
            self._inner, self._end = inner, _ChatEnd(openrouter=openrouter)

        def __iter__(self) -> Iterator[bytes]:
            for data in self._inner:
                yield self._end.more(data)
            yield self._end.rest()

        def close(self) -> None:
            self._inner.close()

    class SeenAwaited(library.AsyncByteStream):  # type: ignore[misc]
        def __init__(self, inner: Any, *, openrouter: bool) -> None:
            self._inner, self._end = inner, _ChatEnd(openrouter=openrouter)

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for data in self._inner:
                yield self._end.more(data)
            yield self._end.rest()

        async def aclose(self) -> None:
            await self._inner.aclose()

    return Seen, SeenAwaited
