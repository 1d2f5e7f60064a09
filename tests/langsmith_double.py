"""A loopback LangSmith that takes in traces, over each of the wires its SDK speaks.

Which one the SDK speaks depends on what `GET /info` tells it. A run may arrive whole or in parts: they
are merged by its id.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, Literal

import langsmith.utils
import pytest
import zstandard
from langchain_core.tracers.langchain import wait_for_all_tracers
from langsmith import run_trees

Wire = Literal["zstd", "multipart", "batch"]
WIRES: tuple[Wire, ...] = ("zstd", "multipart", "batch")


@dataclass(frozen=True)
class SentRequest:
    """One request: its body as it came, decompressed."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class TracedRun:
    """A run and the runs within it, in the order in which they began."""

    data: dict[str, Any]
    children: "tuple[TracedRun, ...]"

    @property
    def label(self) -> str:
        return f"{self.data['run_type']}:{self.data['name']}"

    def lines(self, depth: int = 0) -> list[str]:
        """The run's label and, indented, those of the runs within it."""
        below = [line for child in self.children for line in child.lines(depth + 1)]
        return ["  " * depth + self.label, *below]


class FakeLangSmith:
    """The server; a context manager. Reading `runs`, `tree` or `lines` first waits until all is sent."""

    def __init__(self, wire: Wire = "zstd") -> None:
        self.wire = wire
        self._requests: list[SentRequest] = []
        self._runs: dict[str, dict[str, Any]] = {}
        self._ended: dict[str, set[str]] = {}
        self._lock = Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "FakeLangSmith":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def requests(self) -> tuple[SentRequest, ...]:
        """All that was sent."""
        wait_for_all_tracers()
        return tuple(self._requests)

    @property
    def runs(self) -> dict[str, dict[str, Any]]:
        """The runs by id, all that was said about each put together."""
        wait_for_all_tracers()
        return {name: dict(run) for name, run in self._runs.items()}

    def tree(self) -> tuple[TracedRun, ...]:
        """The runs that have no parent, each with the runs within it."""
        ordered = sorted(self.runs.values(), key=lambda run: run["dotted_order"])

        def within(parent: str | None) -> tuple[TracedRun, ...]:
            return tuple(
                TracedRun(run, within(run["id"])) for run in ordered if run.get("parent_run_id") == parent
            )

        return within(None)

    def lines(self) -> list[str]:
        """The tree as text, a run a line: two spaces per level, then `run_type:name`."""
        return [line for run in self.tree() for line in run.lines()]

    def named(self, name: str) -> list[dict[str, Any]]:
        """The runs of that name, in the order in which they began."""
        found = [run for run in self.runs.values() if run["name"] == name]
        return sorted(found, key=lambda run: run["dotted_order"])

    def sent(self, text: str) -> bool:
        """Whether `text` occurs in any body or header that was sent, but for the header with the key."""
        headers = [
            value for r in self.requests for name, value in r.headers.items() if name.lower() != "x-api-key"
        ]
        return text.encode() in b"\n".join(r.body for r in self.requests) or text in "\n".join(headers)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                double._requests.append(SentRequest("GET", self.path, dict(self.headers), b""))
                self._tell(200, double._info())

            def do_POST(self) -> None:
                request = SentRequest(self.command, self.path, dict(self.headers), self._body())
                with double._lock:
                    double._requests.append(request)
                    double._take_in(request, self.headers["content-type"])
                self._tell(202, {"message": "ok"})

            def _body(self) -> bytes:
                if self.headers.get("transfer-encoding") == "chunked":
                    raw = b"".join(self._chunks())
                else:
                    raw = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "zstd":
                    return zstandard.ZstdDecompressor().decompressobj().decompress(raw)
                return raw

            def _chunks(self) -> Iterator[bytes]:
                while size := int(self.rfile.readline(), 16):
                    yield self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()

            def _tell(self, status: int, data: Any) -> None:
                content = json.dumps(data).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.send_header("connection", "close")
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: Any) -> None:
                pass

        return Handler

    def _info(self) -> dict[str, Any]:
        limits = {
            "scale_up_qsize_trigger": 1000, "scale_up_nthreads_limit": 4, "scale_down_nempty_trigger": 4,
            "size_limit": 100, "size_limit_bytes": 20_000_000,
        }  # fmt: skip
        return {
            "version": "0.0.0",
            "instance_flags": {"zstd_compression_enabled": self.wire == "zstd"},
            "batch_ingest_config": {"use_multipart_endpoint": self.wire != "batch", **limits},
        }

    def _take_in(self, request: SentRequest, content_type: str) -> None:
        path = request.path.partition("?")[0]
        if path.endswith("/runs/multipart"):
            for part in _parts(request.body, content_type):
                kind, run, *field = str(part.get_param("name", header="content-disposition")).split(".", 2)
                if kind in ("post", "patch"):
                    value = json.loads(part.get_payload(decode=True))
                    self._merge(kind, run, {field[0]: value} if field else value)
        elif path.endswith("/runs/batch"):
            batch = json.loads(request.body)
            for kind in ("post", "patch"):
                for run in batch.get(kind, ()):
                    self._merge(kind, run["id"], run)

    def _merge(self, kind: str, run: str, news: dict[str, Any]) -> None:
        known, ended = self._runs.setdefault(run, {"id": run}), self._ended.setdefault(run, set())
        told = {key: value for key, value in news.items() if value is not None}
        # The SDK may send how a run ended before how it began: the end stands.
        known.update({key: value for key, value in told.items() if kind == "patch" or key not in ended})
        ended.update(told if kind == "patch" else ())


def _parts(body: bytes, content_type: str) -> Iterator[Message]:
    head = b"Content-Type: " + content_type.encode() + b"\r\n\r\n"
    yield from BytesParser(policy=HTTP).parsebytes(head + body).iter_parts()


@contextmanager
def traced(wire: Wire = "zstd", *, key: str = "fake-langsmith-key") -> Iterator[FakeLangSmith]:
    """All that runs within is traced to a `FakeLangSmith`; nothing of it is left afterwards."""
    with FakeLangSmith(wire) as double, pytest.MonkeyPatch.context() as patch:
        for name in (
            "LANGSMITH_TRACING_MODE",
            "LANGSMITH_OTEL_ENABLED",
            "LANGSMITH_OTEL_ONLY",
            "LANGSMITH_PROJECT",
        ):
            patch.delenv(name, raising=False)
        patch.setenv("LANGSMITH_TRACING", "true")
        patch.setenv("LANGSMITH_ENDPOINT", double.url)
        patch.setenv("LANGSMITH_API_KEY", key)
        patch.setattr(run_trees, "_CLIENT", None)
        _forget_environment()
        try:
            yield double
        finally:
            wait_for_all_tracers()
            if run_trees._CLIENT is not None:
                run_trees._CLIENT.close()
            patch.undo()
            _forget_environment()


def _forget_environment() -> None:
    """LangSmith remembers the environment it first saw."""
    for name in ("get_env_var", "get_tracer_project"):
        getattr(langsmith.utils, name).cache_clear()
