"""Tools of MCP servers: sessions that belong to one step, and servers that fail."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from langgraph_conductor.workers.failures import redacted, wait_before_retry

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

READ_TIMEOUT: Final = 60.0
"""Seconds an MCP server may take for one reply; `read_timeout` in its mapping overrides it."""
OPENING_TIMEOUT: Final = 30.0
"""Seconds a server may take to start or to be connected to, where its `read_timeout` is less."""
CLOSING_TIMEOUT: Final = 5.0
"""Seconds the sessions of a step may take to close; then they are left to themselves."""
_LONGEST_TIMEOUT: Final = 86_400 * 365
_LONGEST_NAME: Final = 64
_TRANSPORTS: Final = {
    "stdio": "command", "http": "url", "streamable_http": "url", "sse": "url", "websocket": "url",
}  # fmt: skip
"""Ways to an MCP server, and what each cannot do without."""
_MODELS_FAULTS: Final = frozenset({-32602, -32601})
"""JSON-RPC errors that say what was wrong with a call: its parameters, its method."""
_CONSEQUENCES: Final = frozenset(
    {
        "BrokenResourceError",
        "ClosedResourceError",
        "EndOfStream",
        "CancelledError",
        "McpError",
        "GeneratorExit",
    }
)
"""Names of errors that say that a connection is over, and not why."""

_abandoned: Final[set["asyncio.Task[None]"]] = set()
"""Sessions that did not close in time; a task that nobody holds may vanish."""


class McpServerError(Exception):
    """An MCP server could not be reached, failed, or did not answer in time. It is no fault of the model.

    Attributes:
        infrastructure: Always true: an outage, see `is_outage`.
    """

    infrastructure = True


def mcp_servers(tools: Sequence[Any], name: str) -> list[Mapping[str, Any]]:
    """Those of `tools` that are connections to MCP servers, given as mappings.

    Raises:
        ValueError: If a mapping is no such connection, or two have the same `name`.
        ImportError: If `langchain-mcp-adapters` is missing.
    """
    servers = [given for given in tools if isinstance(given, Mapping)]
    for server in servers:
        _check(server, f"worker {name!r}")
    named = Counter(server["name"] for server in servers if "name" in server)
    if twice := [called for called, times in named.items() if times > 1]:
        raise ValueError(f"worker {name!r}: two of its MCP servers have the name {twice[0]!r}")
    if servers:
        try:
            import langchain_mcp_adapters.tools  # noqa: F401
        except ImportError as error:
            raise ImportError(
                f"worker {name!r}: MCP tools need: pip install 'langgraph-conductor[mcp]'"
            ) from error
    return servers


def _check(server: Mapping[str, Any], what: str) -> None:
    if "transport" not in server:
        raise ValueError(
            f"{what}: a mapping among its tools is an MCP server and needs a transport, such as "
            '{"transport": "stdio", "command": "python", "args": ["server.py"]} or '
            '{"transport": "http", "url": "http://127.0.0.1:8000/mcp"}'
        )
    transport = str(server["transport"])
    if transport not in _TRANSPORTS:
        from langgraph_conductor.tables import unknown  # brings the TOML reader, which few need

        raise ValueError(f"{what}: {unknown('transport', transport, _TRANSPORTS)}")
    needed = _TRANSPORTS[transport]
    if not isinstance(server.get(needed), str) or not server[needed]:
        raise ValueError(f"{what}: an MCP server with transport {transport!r} needs `{needed}`, a string")
    limit = server.get("read_timeout", READ_TIMEOUT)
    if type(limit) not in (int, float) or not 0 < limit < _LONGEST_TIMEOUT:
        raise ValueError(f"{what}: read_timeout must be a number of seconds above 0, not {limit!r}")
    name = server.get("name", "server")
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", name):
        raise ValueError(
            f"{what}: the name of an MCP server is of letters, digits, `_` and `-`, 32 at most, not {name!r}"
        )


@asynccontextmanager
async def mcp_tools(
    servers: Sequence[Mapping[str, Any]], taken: Iterable[str], retries: int
) -> AsyncIterator[list["BaseTool"]]:
    """The tools of `servers`, while one session with each is open.

    The sessions live in a task of their own. A session has to be closed by the task that opened it, and a
    transport that breaks cancels that task and raises a group of errors: none of this is to reach who uses the
    tools. What a tool call raises is raised where it is called; closing takes `CLOSING_TIMEOUT` seconds at most,
    and what fails in it changes nothing of what was answered.

    Args:
        servers: How to connect.
        taken: Names that the tools may not have. A tool of such a name, or of one that another server has too,
            gets the server's name before its own, as in `weather_search`.
        retries: Times a server behind HTTP is connected to again after an outage, as long as no tool has run.

    Raises:
        McpServerError: If a server cannot be connected to.
    """
    for tries in count(1):
        sessions = _Sessions(servers)
        try:
            found = await sessions.open()
            break
        except McpServerError as error:
            seconds = wait_before_retry(error, tries, retries) if error.__cause__ is not None else None
            if seconds is None:
                raise
        finally:
            if not sessions.opened:
                await sessions.close()
        await asyncio.sleep(seconds)
    try:
        yield _named(found, set(taken))
    finally:
        await sessions.close()


class _Sessions:
    """One session with each server, opened, held and closed in a task."""

    def __init__(self, servers: Sequence[Mapping[str, Any]]) -> None:
        self._servers = [_Server(server, _label(server)) for server in servers]
        self._over = asyncio.Event()
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._found: list[tuple[str, list[BaseTool]]] = []
        self._opening = self._servers[0]
        self._keeper: asyncio.Task[None] | None = None
        self.opened = False

    async def open(self) -> list[tuple[str, list["BaseTool"]]]:
        """The tools of each server, with its label.

        Raises:
            McpServerError: If one cannot be connected to, in its time.
        """
        self._keeper = asyncio.get_running_loop().create_task(self._keep())
        limit = sum(max(server.limit, OPENING_TIMEOUT) for server in self._servers)
        await asyncio.wait({self._keeper, self._ready}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        if self._ready.done():
            self.opened = True
            return self._found
        if not self._keeper.done():
            raise McpServerError(f"{self._opening.said} could not be connected to within {limit:g} seconds")
        failure = None if self._keeper.cancelled() else self._keeper.exception()
        raise self._opening.error(failure, "could not be connected to")

    async def close(self) -> None:
        """Close all, or leave them after `CLOSING_TIMEOUT` seconds."""
        self._over.set()
        keeper = self._keeper
        if keeper is None or keeper.done():
            return
        _abandoned.add(keeper)
        keeper.add_done_callback(_forget)
        if not self.opened:
            keeper.cancel()
        try:
            await asyncio.wait({keeper}, timeout=CLOSING_TIMEOUT)
        finally:
            if not keeper.done():
                keeper.cancel()

    async def _keep(self) -> None:
        from langchain_mcp_adapters.sessions import create_session
        from langchain_mcp_adapters.tools import load_mcp_tools

        async with AsyncExitStack() as stack:
            for server in self._servers:
                self._opening = server
                session = await stack.enter_async_context(create_session(server.connection()))
                await session.initialize()
                tools = await load_mcp_tools(session, tool_interceptors=[server.called])
                self._found.append((server.label, tools))
            self._ready.set_result(None)
            await self._over.wait()


def _forget(keeper: "asyncio.Task[None]") -> None:
    _abandoned.discard(keeper)
    if not keeper.cancelled():
        keeper.exception()  # seen, and of no interest: the step is over


class _Server:
    """A server as a step knows it."""

    def __init__(self, given: Mapping[str, Any], label: str) -> None:
        self.label = label
        self.said = f"the MCP server {label!r}"
        self.limit = float(given.get("read_timeout", READ_TIMEOUT))
        self._given = given
        self._status: Any = None

    def connection(self) -> Any:
        """What the adapter is given."""
        rest = {"args": [], **self._given} if self._given["transport"] == "stdio" else dict(self._given)
        for ours in ("read_timeout", "name"):
            rest.pop(ours, None)
        if rest["transport"] in ("http", "streamable_http", "sse"):
            rest["httpx_client_factory"] = self._watched(rest.get("httpx_client_factory"))
        return rest

    def _watched(self, factory: Any) -> Any:
        """A maker of HTTP clients that remember an error status: the SDK logs it, and closes the connection."""
        from mcp.shared._httpx_utils import create_mcp_http_client

        async def see(response: Any) -> None:
            if response.status_code >= 400 and response.request.method == "POST":
                self._status = response

        def make(*args: Any, **kwargs: Any) -> Any:
            client = (factory or create_mcp_http_client)(*args, **kwargs)
            client.event_hooks["response"].append(see)
            return client

        return make

    async def called(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        """Make one tool call (called by the adapter).

        Raises:
            McpServerError: If the server is gone, or fails for a reason that is not in the call.
        """
        from mcp.shared.exceptions import McpError
        from mcp.types import CallToolResult, TextContent

        try:
            async with asyncio.timeout(
                self.limit
            ):  # a server that dies in mid-call may never be heard of again
                result = await handler(request)
        except TimeoutError as error:
            raise self.error(
                error, f"did not answer the tool {request.name!r} within {self.limit:g} s"
            ) from error
        except McpError as error:
            if error.error.code in _MODELS_FAULTS:
                return CallToolResult(content=[TextContent(type="text", text=str(error))], isError=True)
            raise self.error(error, f"failed while it ran the tool {request.name!r}") from error
        except Exception as error:
            raise self.error(error, f"failed while it ran the tool {request.name!r}") from error
        if isinstance(result, CallToolResult):
            return result.model_copy(update={"content": [_readable(part) for part in result.content]})
        return result

    def error(self, failure: BaseException | None, what: str) -> McpServerError:
        """One sentence for what may be a group of errors, and the one that says most as its cause."""
        said = f"{self.said} {what}"
        if self._status is not None:
            error = McpServerError(f"{said}: it answered with HTTP status {self._status.status_code}")
            error.response = self._status  # type: ignore[attr-defined]  # for its status and `Retry-After`
            error.__cause__ = failure
            return error
        cause = None if failure is None else _cause(failure)
        why = "" if cause is None else redacted(str(cause) or type(cause).__name__)
        error = McpServerError(f"{said}: {why}" if why else said)
        error.__cause__ = cause if self._given["transport"] != "stdio" else None
        return error


def _readable(part: Any) -> Any:
    """A part of a tool's result as the adapter can take it: of audio it raises, and the answer would be lost."""
    from mcp.types import AudioContent, TextContent

    if not isinstance(part, AudioContent):
        return part
    size = len(part.data) * 3 // 4
    return TextContent(
        type="text", text=f"[audio ({part.mimeType}, {size:,} bytes), which cannot be shown to you]"
    )


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _cause(error: BaseException) -> BaseException:
    """Of the errors in a group, the first that says why."""
    leaves = list(_leaves(error))
    return next((leaf for leaf in leaves if type(leaf).__name__ not in _CONSEQUENCES), leaves[0])


def _label(server: Mapping[str, Any]) -> str:
    """What a server is called: its name, the host it is at, or the script or program it runs."""
    if "name" in server:
        return str(server["name"])
    if server["transport"] != "stdio":
        return urlsplit(server["url"]).hostname or "server"
    words = [*map(str, server.get("args") or ())]
    script = next((word for word in words if re.search(r"\.\w{1,4}\Z", word) and "=" not in word), "")
    return PurePath(script or server["command"]).stem or "server"


def _named(found: Sequence[tuple[str, list["BaseTool"]]], taken: set[str]) -> list["BaseTool"]:
    """All tools, with names that no two have."""
    times = Counter(tool.name for _, tools in found for tool in tools)
    names = taken | set(times)
    kept: list[BaseTool] = []
    for label, tools in found:
        for tool in tools:
            if tool.name not in taken and times[tool.name] == 1:
                kept.append(tool)
                continue
            name = _free(f"{label}_{tool.name}", names)
            names.add(name)
            kept.append(tool.model_copy(update={"name": name}))
    return kept


def _free(wished: str, names: set[str]) -> str:
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", wished)
    for number in count(1):
        end = "" if number == 1 else f"_{number}"
        if (name := plain[: _LONGEST_NAME - len(end)] + end) not in names:
            return name
    raise AssertionError  # count() never ends
