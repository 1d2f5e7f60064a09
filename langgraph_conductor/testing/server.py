"""The HTTP side of the fake providers: sending replies, and breaking them."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR, socket
from threading import Event, Thread
from typing import Any

from langgraph_conductor.testing.faults import Fault
from langgraph_conductor.testing.wire import Frame

Answer = Callable[["Exchange", str, bytes], None]
"""Answers one exchange, given the path and the body that came."""

_PATIENCE = 10.0
"""Seconds `stop` waits for a thread that is busy in the test's own code."""


class LoopbackServer(ThreadingHTTPServer):
    """A threaded server on a free port of 127.0.0.1 that can be stopped whatever its threads are doing.

    Args:
        answer: Answers each request.
        keep_alive: Whether a connection outlives its reply.
    """

    daemon_threads = True
    request_queue_size = 256  # the default of 5 makes many clients at once wait for a second

    def __init__(self, answer: Answer, *, keep_alive: bool) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.answer = answer
        self.keep_alive = keep_alive
        self.closing = Event()
        self._open: dict[Thread, socket] = {}
        self._listener = Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        """The address, with no path."""
        return f"http://127.0.0.1:{self.server_port}"

    def start(self) -> None:
        """Begin to answer."""
        self._listener.start()

    def stop(self) -> None:
        """Drop every connection, wake every sleeper and wait until no thread is left."""
        self.closing.set()
        self.shutdown()
        self._listener.join()
        for thread, connection in list(self._open.items()):
            with suppress(OSError):  # it has ended meanwhile
                connection.shutdown(SHUT_RDWR)
            thread.join(_PATIENCE)
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection in a thread that `stop` can find."""
        thread = Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
        self._open[thread] = request
        self._open = {thread: open_ for thread, open_ in self._open.items() if open_.fileno() >= 0}
        thread.start()


class Exchange(BaseHTTPRequestHandler):
    """One connection, and the ways to answer on it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: LoopbackServer
    until_last_bytes = ExitStack()
    """Closed just before a client can know that it has all, so that it never asks again too early."""

    def do_GET(self) -> None:
        """Answer a GET."""
        self.server.answer(self, self.path, b"")

    def do_POST(self) -> None:
        """Answer a POST."""
        self.server.answer(self, self.path, self.rfile.read(int(self.headers.get("content-length", 0))))

    def do_DELETE(self) -> None:
        """Answer a DELETE."""
        self.server.answer(self, self.path, b"")

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def handle(self) -> None:
        """Answer until the client leaves, which it may do at any time."""
        with suppress(ConnectionError):
            super().handle()

    def send_json(self, status: int, data: Any, headers: Mapping[str, str] | None = None) -> None:
        """Send a whole reply."""
        self._send(status, json.dumps(data).encode(), headers or {})

    def send_nothing(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        """Send a reply without a body."""
        self._send(status, b"", headers or {})

    def send_reply(self, data: Any, fault: Fault | None) -> None:
        """Send a reply that is not streamed, as whole as `fault` lets it be."""
        content = json.dumps(data).encode()
        if fault and fault.name == "malformed_json":
            content = b'{"broken": ' + content[: len(content) // 2]
        breaks = fault and fault.after is not None and fault.ends and not fault.inside
        half = len(content) // 2 if breaks else None
        self._send(200, content[:half], {}, length=len(content))
        if fault and half is not None and self._goes_on_after_break(fault):
            self.until_last_bytes.close()
            self.wfile.write(content[half:])

    def send_text(self, text: str, content_type: str) -> None:
        """Send what is no reply, with status 200."""
        self._send(200, text.encode(), {"Content-Type": content_type})

    def send_stream(self, frames: Iterable[Frame], fault: Fault | None, told: Frame | None = None) -> None:
        """Stream a reply as server-sent events, as whole as `fault` lets it be; `told` tells of an error in it.

        In chunks, so that a client can tell a dropped connection from the end.
        """
        self._head(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})
        left = fault.after if fault else None
        whole = list(_whole_until(frames, fault, told))
        for frame in whole:
            if fault and frame.said and left is not None and fault.ends and told is None:
                if left == 0 and not self._goes_on_after_break(fault):
                    return
                left -= 1
            data = frame.encode()
            if fault and fault.name == "malformed_json":
                data = replace(frame, data='{"broken": ').encode()
            if frame is whole[-1]:
                self.until_last_bytes.close()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.write(b"0\r\n\r\n")

    def _goes_on_after_break(self, fault: Fault) -> bool:
        if fault.silence is not None and not self.server.closing.wait(fault.silence):
            return True
        self.close_connection = True
        return False

    def _send(
        self, status: int, content: bytes, headers: Mapping[str, str], length: int | None = None
    ) -> None:
        size = len(content) if length is None else length
        self._head(status, {"Content-Type": "application/json", **headers, "Content-Length": str(size)})
        if len(content) == size:
            self.until_last_bytes.close()
        self.wfile.write(content)

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if not self.server.keep_alive:
            self.send_header("Connection", "close")
        self.end_headers()


def _whole_until(frames: Iterable[Frame], fault: Fault | None, told: Frame | None) -> Iterator[Frame]:
    """The frames, up to where a stream stops as if it were over, or tells of an error."""
    if fault is None or (fault.ends and told is None):
        yield from frames
        return
    left = fault.after or 0
    for frame in frames:
        left -= frame.said
        if left < 0 or frame.ends:
            break
        yield frame
    if told is not None:
        yield told
