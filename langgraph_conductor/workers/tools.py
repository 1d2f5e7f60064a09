"""What a worker is given beside its model: tools, MCP servers, middleware; each is checked."""

import inspect
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from langgraph_conductor.workers.tool_servers import READ_TIMEOUT

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool  # slow to import, and few workers have tools

_LONGEST_TIMEOUT: Final = 86_400 * 365
_LONGEST_SERVER_NAME: Final = 32
_SERVER_NAME: Final = re.compile(rf"[A-Za-z][A-Za-z0-9_-]{{0,{_LONGEST_SERVER_NAME - 1}}}\Z")


def checked_tools(tools: Any, name: str) -> list[Any]:
    """The tools of a worker but for the MCP servers among them, functions made tools.

    Raises:
        ValueError: If one is no tool.
    """
    if not isinstance(tools, list | tuple):
        raise ValueError(f"worker {name!r}: tools must be a list, not {type(tools).__name__}")
    return [_tool(given, name) for given in tools if not isinstance(given, Mapping)]


def _tool(given: Any, name: str) -> "BaseTool":
    from langchain_core.tools import BaseTool, tool

    if isinstance(given, BaseTool):
        return given
    if not inspect.isroutine(given):
        raise ValueError(
            f"worker {name!r}: a tool is a LangChain tool, a function with a docstring, or a mapping that is a "
            f"connection to an MCP server, not {given!r}"
        )
    try:
        return tool(given)
    except Exception as error:
        raise ValueError(
            f"worker {name!r}: the function {given.__name__!r} cannot be a tool: {error}"
        ) from error


def checked_middleware(middleware: Any, name: str) -> list[Any]:
    """The middleware of a worker.

    Raises:
        ValueError: If it is something else.
    """
    if not isinstance(middleware, list | tuple):
        raise ValueError(f"worker {name!r}: middleware must be a list, not {type(middleware).__name__}")
    if middleware:
        from langchain.agents.middleware import AgentMiddleware

        for given in middleware:
            if not isinstance(given, AgentMiddleware):
                raise ValueError(f"worker {name!r}: {given!r} is no LangChain AgentMiddleware")
    return list(middleware)


def only_awaited(tools: Sequence["BaseTool"]) -> bool:
    """Whether a tool has no blocking form."""
    return any(
        getattr(given, "coroutine", None) is not None and getattr(given, "func", None) is None
        for given in tools
    )


_TRANSPORTS: Final = {
    "stdio": "command", "http": "url", "streamable_http": "url", "sse": "url", "websocket": "url",
}  # fmt: skip
"""Ways to an MCP server, and what each cannot do without."""


def mcp_servers(tools: Sequence[Any], name: str) -> list[Mapping[str, Any]]:
    """Those of `tools` that are connections to MCP servers, given as mappings.

    Raises:
        ValueError: If a mapping is no such connection.
        ImportError: If `langchain-mcp-adapters` is missing.
    """
    servers = [given for given in tools if isinstance(given, Mapping)]
    for server in servers:
        _check_server(server, f"worker {name!r}")
    named = Counter(server["name"] for server in servers if server.get("name") is not None)
    if twice := [called for called, times in named.items() if times > 1]:
        raise ValueError(
            f"worker {name!r}: {named[twice[0]]} of its MCP servers have the name {twice[0]!r}"
        )
    if servers:
        try:
            import langchain_mcp_adapters.tools  # noqa: F401
        except ImportError as error:
            raise ImportError(
                f"worker {name!r}: MCP tools need: pip install 'langgraph-conductor[mcp]'"
            ) from error
    return servers


def _check_server(server: Mapping[str, Any], what: str) -> None:
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
    called = server.get("name")
    if called is not None and not (isinstance(called, str) and _SERVER_NAME.match(called)):
        raise ValueError(
            f"{what}: the name of an MCP server stands before its tools' names (`name_tool`); use letters, "
            f"digits, `_` and `-`, a letter first, at most {_LONGEST_SERVER_NAME} of them, not {called!r}"
        )
    limit = server.get("read_timeout", READ_TIMEOUT)
    if type(limit) not in (int, float) or not 0 < limit < _LONGEST_TIMEOUT:
        raise ValueError(f"{what}: read_timeout must be a number of seconds above 0, not {limit!r}")
