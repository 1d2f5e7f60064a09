"""Sessions with MCP servers, for the tools of one step.

Each session lives in a task of its own. The SDK runs it in anyio's task groups, whose failures are groups of
exceptions and whose cancellations reach whoever entered them: here neither the agent nor its caller did. So a
server that fails is told of in one sentence, one that says nothing is waited for no longer than it was given, and
what was answered before is kept.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from langchain_core.runnables import RunnableConfig

from langgraph_conductor.containment import said
from langgraph_conductor.records import WorkerTask
from langgraph_conductor.workers.exception_groups import main_cause
from langgraph_conductor.workers.failures import is_outage, wait_before_retry
from langgraph_conductor.workers.tool_names import Found, named_tools

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

READ_TIMEOUT: Final = 60.0
"""Seconds an MCP server may take to be opened, and for one reply; `read_timeout` in its mapping overrides it."""
_GRACE = 0.5
"""Seconds the SDK has beyond its own limit, and a session to say why it ended."""
_CLOSED_IN = 1.0
"""Seconds an answer waits for the sessions to be closed; the rest of it goes on behind it."""
_CLOSING = 5.0
"""Seconds a server may take to be closed before the session is cancelled."""
_ENDED: Final = {-32000, 32600, 408}
"""Codes the SDK gives itself: connection closed, session terminated, timed out. Others are a server's replies."""

Build = Callable[[list["BaseTool"], Mapping[str, str]], Any]


class ToolServerError(Exception):
    """An MCP server failed: it cannot be reached, died, refused the call, or said nothing in its time.

    An outage, and not the model's doing: an episode is not scored, and nothing of it is told to the model.
    """

    infrastructure = True


def with_mcp(
    servers: Sequence[Mapping[str, Any]],
    build: Build,
    *,
    own: Sequence[str],
    middleware: Sequence[Any],
    retries: int,
) -> Callable[[WorkerTask, RunnableConfig], Awaitable[Any]]:
    """A worker's call that opens one session with each server, for all its tool calls, and closes it after.

    A session is not shared between steps: what a server remembers would reach steps it was not granted to.

    Args:
        servers: How to connect.
        build: Makes the agent from the servers' tools, and from the names a model may also call them by.
        own: Names of the worker's other tools.
        middleware: The agent's middleware.
        retries: Times a server that is out is connected to again, while nothing has been asked.
    """

    async def acall(task: WorkerTask, config: RunnableConfig) -> Any:
        sessions: list[_Session] = []
        try:
            opening = [asyncio.ensure_future(_opened(server, retries, sessions)) for server in servers]
            try:
                found = await asyncio.gather(*opening)
            finally:
                for one in opening:
                    one.cancel()
            tools, aliases = named_tools(found, own, middleware)
            return await build(tools, aliases).ainvoke({"messages": list(task.messages)}, config)
        finally:
            await _close(sessions)

    return acall


async def _opened(server: Mapping[str, Any], retries: int, sessions: list["_Session"]) -> Found:
    """The tools of a server, asked again where it is out: nothing has run there."""
    for tries in count(1):
        session = _Session(server)
        sessions.append(session)
        try:
            return await session.open()
        except ToolServerError as error:
            cause = error.__cause__
            seconds = wait_before_retry(error, tries, retries)
            if seconds is None or cause is None or not (is_outage(cause) or _is_ended(cause)):
                raise
        await asyncio.sleep(seconds)
    raise AssertionError  # count() never ends


async def _close(sessions: Sequence["_Session"]) -> None:
    """Close the sessions; those that take longer are closed, and at last cancelled, behind what comes after."""
    closing = {asyncio.ensure_future(session.close()) for session in sessions}
    if closing:
        _BEHIND.update(closing)
        for one in closing:
            one.add_done_callback(_BEHIND.discard)
        await asyncio.wait(closing, timeout=_CLOSED_IN)


_BEHIND: Final[set["asyncio.Future[None]"]] = set()
"""What is still being closed: asyncio holds tasks weakly."""


@dataclass(frozen=True, slots=True)
class _Opened:
    name: str
    tools: list[Any]


class _Session:
    """A session with one server, in a task of its own.

    Args:
        server: The mapping the user gave.
    """

    def __init__(self, server: Mapping[str, Any]) -> None:
        self.server = server
        self.limit = seconds_of(server)
        self.label = label(server)
        self._closing = asyncio.Event()
        self._opened: asyncio.Future[_Opened] = asyncio.get_running_loop().create_future()
        self._task = asyncio.ensure_future(self._hold())
        self._task.add_done_callback(_seen)

    async def _hold(self) -> None:
        from langchain_mcp_adapters.sessions import create_session
        from langchain_mcp_adapters.tools import load_mcp_tools

        async with create_session(connection(self.server)) as session:
            about = await session.initialize()
            tools = await load_mcp_tools(session, tool_interceptors=[self._call])
            self._opened.set_result(_Opened(about.serverInfo.name, tools))
            await self._closing.wait()

    async def open(self) -> Found:
        """Open it.

        Raises:
            ToolServerError: If the server cannot be reached or does not answer in its time.
            Exception: What the SDK raises for a mapping it cannot use.
        """
        waited: set[asyncio.Future[Any]] = {self._task, self._opened}
        await asyncio.wait(waited, timeout=self.limit, return_when=asyncio.FIRST_COMPLETED)
        if self._opened.done():
            opened = self._opened.result()
            if not self.server.get("name"):
                self.label = opened.name or self.label
            return Found(self.server.get("name"), opened.name, opened.tools)
        if not self._task.done():
            self._task.cancel()
            raise self._late("to start") from TimeoutError()
        cause = self._ended_by()
        if isinstance(cause, TypeError | ValueError | ImportError):
            raise cause  # a mistake in the mapping, or a missing package
        raise self._failed("could not be opened", cause) from cause

    async def _call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """One call of a tool, given up when the session ends or the server says nothing."""
        call = asyncio.ensure_future(handler(request))
        call.add_done_callback(_seen)
        try:
            await asyncio.wait(
                {call, self._task}, timeout=self.limit + _GRACE, return_when=asyncio.FIRST_COMPLETED
            )
            if not call.done():
                if self._task.done():
                    cause = self._ended_by()
                    raise self._failed("failed in the middle of a call", cause) from cause
                raise self._late("to a call") from TimeoutError()
        finally:
            call.cancel()
        error = call.exception()
        if error is None:
            return readable(call.result())
        return await self._answer_to(error)

    async def _answer_to(self, error: BaseException) -> Any:
        """What the server's own error is for the model.

        Raises:
            ToolServerError: If it is the connection's.
        """
        from mcp.shared.exceptions import McpError
        from mcp.types import CallToolResult, TextContent

        if isinstance(error, McpError) and error.error.code not in _ENDED:
            return CallToolResult(
                content=[TextContent(type="text", text=error.error.message)], isError=True
            )
        if not isinstance(error, McpError) and not is_outage(error) and not _is_ended(error):
            raise error
        if isinstance(error, McpError) and error.error.code == 408:
            raise self._late("to a call") from error
        await asyncio.wait({self._task}, timeout=_GRACE)  # it may know why
        cause = (self._task.done() and self._ended_by()) or error
        raise self._failed("failed in the middle of a call", cause) from cause

    async def close(self) -> None:
        """End it, by force where the server does not."""
        self._closing.set()
        for seconds in (_CLOSING, _CLOSED_IN):
            if not self._task.done():
                await asyncio.wait({self._task}, timeout=seconds)
                self._task.cancel()

    def _ended_by(self) -> BaseException:
        error = None if self._task.cancelled() else self._task.exception()
        return main_cause(error, is_outage) if error else ConnectionError("the session was ended")

    def _late(self, what: str) -> ToolServerError:
        return ToolServerError(
            f"the MCP server {self.label!r} gave no answer {what} within {self.limit:g} seconds"
        )

    def _failed(self, what: str, cause: BaseException) -> ToolServerError:
        return ToolServerError(f"the MCP server {self.label!r} {what}: {_why(cause)}")


def _seen(task: "asyncio.Future[Any]") -> None:
    """Look at what a task raised: asyncio would complain of an exception that nobody was told of."""
    with suppress(asyncio.CancelledError):
        task.exception()


def _is_ended(error: BaseException) -> bool:
    code = getattr(getattr(error, "error", None), "code", None)
    return code in _ENDED or type(error).__name__ in (
        "ClosedResourceError",
        "BrokenResourceError",
        "EndOfStream",
    )


def _why(cause: BaseException) -> str:
    """What a cause says in one line; of a reply its status, and where it came from."""
    response = getattr(cause, "response", None)
    if (status := getattr(response, "status_code", None)) is not None:
        return f"it answered {status} {getattr(response, 'reason_phrase', '')} at {getattr(response, 'url', '')}"
    words = " ".join(said(cause).split())
    name = type(cause).__name__
    return words if name == "McpError" and words else f"{name}: {words}" if words else name


def label(server: Mapping[str, Any]) -> str:
    """A server in an error: its name, or where it is, without what may be a key."""
    if server.get("name"):
        return str(server["name"])
    if "url" in server:
        where = urlsplit(str(server["url"]))
        return where.netloc.rpartition("@")[2] or where.path
    script = next(iter(server.get("args") or ()), "")  # what follows may be anything
    shown = [server["command"], *([script] if re.fullmatch(r"[\w./@][\w./@-]*", str(script)) else [])]
    return " ".join(PurePath(part).name for part in shown)


def seconds_of(server: Mapping[str, Any]) -> float:
    """Seconds one reply of a server may take."""
    given = (server.get("session_kwargs") or {}).get("read_timeout_seconds")
    if "read_timeout" not in server and isinstance(given, timedelta):
        return given.total_seconds()
    return float(server.get("read_timeout", READ_TIMEOUT))


def connection(server: Mapping[str, Any]) -> Any:
    """What the adapter is given: without a limit, a server that dies in mid-call is waited for for ever."""
    rest = {"args": [], **server} if server["transport"] == "stdio" else dict(server)
    for ours in ("read_timeout", "name"):
        rest.pop(ours, None)
    limit = timedelta(seconds=seconds_of(server))
    return {**rest, "session_kwargs": {"read_timeout_seconds": limit, **(rest.get("session_kwargs") or {})}}


def readable(result: Any) -> Any:
    """A tool's result with words in place of what no model reads from a tool: audio, files, links, unknown kinds.

    LangChain's adapter raises for audio, and clients of models raise for files.
    """
    if (content := getattr(result, "content", None)) is None or not hasattr(result, "isError"):
        return result  # an answer of an interceptor
    return result.model_copy(update={"content": [_readable_part(part) for part in content]})


def _readable_part(part: Any) -> Any:
    from mcp.types import TextContent

    words = None
    if part.type == "audio":
        words = f"[audio, {part.mimeType}, {_size(part.data)}: not shown]"
    elif part.type == "resource_link":
        about = ", ".join(filter(None, (part.mimeType, part.description)))
        words = f"[resource {part.name}: {part.uri}{about and f' ({about})'}]"
    elif part.type == "resource" and not hasattr(part.resource, "text"):
        kind = part.resource.mimeType or "unknown kind"
        if not kind.startswith("image/"):
            words = f"[file {part.resource.uri}, {kind}, {_size(part.resource.blob)}: not shown]"
    elif part.type not in ("text", "image", "resource"):
        words = f"[{part.type}: not shown]"
    return part if words is None else TextContent(type="text", text=words)


def _size(base64: str) -> str:
    return f"{len(base64) * 3 // 4} bytes"
