"""A double of an MCP server, over stdio or HTTP, which fails on demand the way servers of tools fail."""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event, Lock
from typing import Any, Final, Literal, cast

Failing = Literal["dies", "hangs"] | int
"""How it fails: `"dies"` (the process ends, the connection is cut and no further one accepted), `"hangs"` (no
answer), or the HTTP status it answers with (over HTTP)."""

_ACCEPTED: Final = 202
_NO_STREAM: Final = 405
_SESSION: Final = {"Mcp-Session-Id": "1"}
_METHOD_NOT_FOUND: Final = -32601
_INVALID_PARAMS: Final = -32602


class Failed(Exception):  # noqa: N818 - an instruction to whoever serves
    """The double is to fail now."""

    def __init__(self, how: Failing) -> None:
        super().__init__(str(how))
        self.how = how


class FakeMcpServer:
    """A double of an MCP server, for tests of workers with tools and of what becomes of their failures.

    ```python
    from langgraph_conductor import Worker
    from langgraph_conductor.testing import FakeMcpServer, ScriptedModel

    model = ScriptedModel("done")
    server = FakeMcpServer("wiki", tools=["search"], faults={"search": "dies"})
    worker = Worker("w", model, tools=[server.stdio()])
    with server.http() as connection:
        worker = Worker("w", model, tools=[connection])
    ```

    Args:
        name: What it calls itself.
        tools: Names of its tools. Each takes any arguments.
        results: By tool, what it gives: a text, a list of MCP content blocks (`{"type": "audio", ...}`), or a
            whole result (`{"content": [...], "isError": True}`) or error (`{"code": -32602, "message": ...}`).
            Left out, a tool says how it was called, how many calls came before, and in which process.
        faults: By moment, how it fails: `"start"` (the session's opening), `"close"` (its end), or a tool's name.
            A list is worked off, one failure each time, with `None` for none; a single one is for good.
        seconds: By tool, how long it works.

    Raises:
        ValueError: If a fault is for no moment there is.
    """

    def __init__(
        self,
        name: str = "double",
        *,
        tools: Sequence[str] = ("echo",),
        results: Mapping[str, Any] | None = None,
        faults: Mapping[str, Failing | Sequence[Failing | None]] | None = None,
        seconds: Mapping[str, float] | None = None,
    ) -> None:
        self.name = name
        self.tools = tuple(tools)
        self.results = dict(results or {})
        self.faults = {at: [*f] if isinstance(f, list | tuple) else f for at, f in (faults or {}).items()}
        self.seconds = dict(seconds or {})
        if unknown := {*self.faults} - {"start", "close", *self.tools}:
            raise ValueError(f"faults: {sorted(unknown)} are neither start, close nor tools of this server")
        self.calls: list[tuple[str, dict[str, Any]]] = []
        """Tool and arguments of each call; over stdio they stay in the server's process."""
        self.opened = 0
        """Sessions that were asked for, over HTTP."""
        self._lock = Lock()

    def stdio(self, **options: Any) -> dict[str, Any]:
        """The mapping for `Worker(tools=[...])` that runs it as a process, with more keys in it if given."""
        made = {key: getattr(self, key) for key in ("name", "tools", "results", "faults", "seconds")}
        # As a file of its own, which imports nothing but Python's library: it is there at once.
        arguments = [__file__, json.dumps(made)]
        return {"transport": "stdio", "command": sys.executable, "args": arguments, **options}

    @contextmanager
    def http(self, **options: Any) -> Iterator[dict[str, Any]]:
        """Serve it on loopback (streamable HTTP), and give the mapping for `Worker(tools=[...])`."""
        from langgraph_conductor.testing.server import (  # not for a process over stdio
            Exchange,
            LoopbackServer,
        )

        dead = Event()

        def answered(exchange: Exchange, _: str, body: bytes) -> None:
            if dead.is_set():
                exchange.close_connection = True
                return
            try:
                reply = self._over_http(exchange.command, body)
            except Failed as failed:
                if isinstance(failed.how, int):
                    exchange.send_json(failed.how, {"error": "on demand"}, _SESSION)
                    return
                if failed.how == "hangs":
                    served.closing.wait()
                elif failed.how == "dies":
                    dead.set()
                exchange.close_connection = True
                return
            if isinstance(reply, int):
                exchange.send_nothing(reply, _SESSION)
            else:
                exchange.send_json(200, reply, _SESSION)

        served = LoopbackServer(answered, keep_alive=True)
        served.start()
        try:
            yield {"transport": "http", "url": f"{served.url}/mcp", **options}
        finally:
            served.stop()

    def _over_http(self, command: str, body: bytes) -> dict[str, Any] | int:
        """The reply to a request, or the status of one without a body."""
        if command == "GET":
            return _NO_STREAM
        if command == "DELETE":
            self.fail("close")
            return _ACCEPTED
        message = json.loads(body)
        if message.get("method") == "initialize":
            self.opened += 1
        reply = self.answer(message)
        return _ACCEPTED if reply is None else reply

    def answer(self, message: Mapping[str, Any]) -> dict[str, Any] | None:
        """The reply to a message of the protocol; `None` to one that wants none.

        Raises:
            Failed: If it is to fail now.
        """
        method, params = message.get("method"), message.get("params") or {}
        if "id" not in message:
            return None
        reply = {"jsonrpc": "2.0", "id": message["id"]}
        if method == "initialize":
            self.fail("start")
            about = {"name": self.name, "version": "1"}
            version = params.get("protocolVersion")
            return reply | {
                "result": {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": about}
            }
        if method == "tools/list":
            schema = {"type": "object", "properties": {}, "additionalProperties": True}
            return reply | {
                "result": {
                    "tools": [
                        {"name": t, "description": f"The tool {t}.", "inputSchema": schema}
                        for t in self.tools
                    ]
                }
            }
        if method != "tools/call":
            return reply | {"error": {"code": _METHOD_NOT_FOUND, "message": f"there is no {method}"}}
        return reply | self._called(str(params.get("name")), params.get("arguments") or {})

    def _called(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if tool not in self.tools:
            return {"error": {"code": _INVALID_PARAMS, "message": f"there is no tool {tool}"}}
        with self._lock:
            self.calls.append((tool, arguments))
            number = len(self.calls)
        time.sleep(self.seconds.get(tool, 0))
        self.fail(tool)
        result = self.results.get(tool)
        if result is None:
            result = f"{tool} {json.dumps(arguments)} (call {number} of process {os.getpid()})"
        if isinstance(result, str):
            result = [{"type": "text", "text": result}]
        if isinstance(result, Mapping):
            return {"error": result} if "code" in result else {"result": result}
        return {"result": {"content": result}}

    def fail(self, moment: str) -> None:
        """Fail, if this is the moment to.

        Raises:
            Failed: Then.
        """
        with self._lock:
            how = self.faults.get(moment)
            if isinstance(how, list):
                how = how.pop(0) if how else None
        if how is not None:
            raise Failed(cast("Failing", how))


def main() -> None:
    """Serve over stdio what the first argument, in JSON, describes."""
    made = json.loads(sys.argv[1])
    double = FakeMcpServer(made.pop("name"), **made)
    for line in sys.stdin:
        try:
            reply = double.answer(json.loads(line))
        except Failed as failed:
            if failed.how == "hangs":
                Event().wait()
            os._exit(1)
        if reply is not None:
            sys.stdout.write(json.dumps(reply) + "\n")
            sys.stdout.flush()
    try:
        double.fail("close")
    except Failed as failed:
        if failed.how == "hangs":
            Event().wait()


if __name__ == "__main__":
    main()
