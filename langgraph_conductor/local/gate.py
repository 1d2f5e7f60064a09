"""A door before a server on loopback: web pages, and other users of the machine, are not let through.

A browser can send a request to any port of the machine it runs on, in the name of any page that is open in it, and
DNS rebinding makes such a port look like the page's own site. llama.cpp's server asks for a key, but not at every
address, and believes every `Host` and `Origin`. So every request passes here first: a loopback `Host`, no foreign
`Origin`, the key of this start.
"""

import asyncio
import hmac
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, Literal
from urllib.parse import urlsplit

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
_MOST_HEAD: Final = 1 << 16
_PIECE: Final = 1 << 16
_PATIENCE: Final = 30.0
"""Seconds a client has for the head of its request."""
_REASONS: Final = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 502: "Bad Gateway"}
_LINGER: Final = 2.0


class Gate:
    """Listens on a free port of 127.0.0.1 in a thread of its own, until the process ends.

    Args:
        port: Of the server behind it, on 127.0.0.1.
        key: What requests must bear, as `Authorization: Bearer KEY`.
    """

    def __init__(self, port: int, key: str) -> None:
        self.port = 0
        self._behind, self._key = port, key.encode()
        listening = threading.Event()
        threading.Thread(
            target=asyncio.run, args=[self._serve(listening)], name="gate", daemon=True
        ).start()
        listening.wait()
        if not self.port:
            raise OSError("no port of 127.0.0.1 can be listened at")

    async def _serve(self, listening: threading.Event) -> None:
        try:
            server = await asyncio.start_server(self._handle, "127.0.0.1", 0, limit=_MOST_HEAD)
            self.port = server.sockets[0].getsockname()[1]
        finally:
            listening.set()
        await server.serve_forever()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, TimeoutError):  # whoever asked has gone
                if await self._answer(reader, writer):
                    return
                # Of a refused request the rest is read, else the refusal may be lost with it.
                await writer.drain()
                writer.write_eof()
                async with asyncio.timeout(_LINGER):
                    while await reader.read(_PIECE):
                        pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the request was passed on."""
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _PATIENCE)
            first, *lines = head[:-4].split(b"\r\n")
            headers = [*_headers(lines)]
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, ValueError):
            return _refuse(writer, 400, "this is no request")
        if refusal := self._refusal(headers):
            return _refuse(writer, *refusal)
        try:
            answers, behind = await asyncio.open_connection("127.0.0.1", self._behind)
        except OSError:
            return _refuse(writer, 502, "the server does not answer")
        # One request a connection, so that none passes unseen behind the first.
        kept = [line for line, (name, _) in zip(lines, headers, strict=True) if name != b"connection"]
        behind.write(b"\r\n".join([first, *kept, b"Connection: close", b"", b""]))
        sending = asyncio.create_task(_pass_on(reader, behind))
        receiving = asyncio.create_task(_pass_on(answers, writer))
        try:
            # Over when all is answered; or when the client goes, and then the server notices that it has.
            await asyncio.wait([sending, receiving], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, receiving):
                task.cancel()
            behind.close()
        return True

    def _refusal(self, headers: list[tuple[bytes, bytes]]) -> tuple[int, str] | None:
        def all_of(name: bytes) -> list[bytes]:
            return [value for own, value in headers if own == name]

        hosts, origins, keys = map(all_of, (b"host", b"origin", b"authorization"))
        if len(hosts) != 1 or not _is_loopback(f"//{hosts[0].decode('latin-1')}"):
            return 403, "only 127.0.0.1 and localhost are served here"
        own = {f"http://{name}:{self.port}".encode() for name in _LOOPBACK}
        if any(origin.lower() not in own for origin in origins):
            return 403, "web pages are not served here"
        if len(keys) != 1 or not hmac.compare_digest(keys[0], b"Bearer " + self._key):
            return 401, "the key of this start of the server is missing or wrong"
        return None


def _headers(lines: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Names in lower case, and values.

    Raises:
        ValueError: If a line is none.
    """
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or name != name.strip():  # also a line that goes on with the one before
            raise ValueError("no header")
        yield name.lower(), value.strip()


def _is_loopback(address: str) -> bool:
    try:
        parts = urlsplit(address)
        found = parts.netloc.removesuffix(f":{parts.port}") if parts.port is not None else parts.netloc
    except ValueError:
        return False
    return found.lower() in _LOOPBACK


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await source.read(_PIECE):
            target.write(piece)
            await target.drain()


def _refuse(writer: asyncio.StreamWriter, status: int, why: str) -> Literal[False]:
    body = f'{{"error": {{"message": "{why}", "type": "refused", "code": {status}}}}}'.encode()
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode() + body)
    return False
