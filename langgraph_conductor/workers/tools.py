"""Workers with tools: a chat model in LangChain's agent loop, which ends after so many turns."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from itertools import count
from typing import Any, Final

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, SystemMessage
from langchain_core.runnables import RunnableConfig

from langgraph_conductor.records import WorkerTask
from langgraph_conductor.workers.failures import wait_before_retry

MAX_TOOL_TURNS: Final = 10
READ_TIMEOUT: Final = 60.0
"""Seconds an MCP server may take for one reply; `read_timeout` in its mapping overrides it."""
_LAST_TURN: Final = "You have no tool calls left. Answer now with what you know."


def agent(
    model: BaseChatModel,
    tools: Sequence[Any],
    middleware: Sequence[Any],
    *,
    max_tool_turns: int,
    retries: int,
    name: str,
) -> Any:
    """An agent that may use `tools` for `max_tool_turns` turns and then has to answer."""
    from langchain.agents import create_agent

    own = [_tool_turns(max_tool_turns), _model_retries(retries)]
    return create_agent(model, list(tools), middleware=[*middleware, *own], name=name)


def mcp_servers(tools: Sequence[Any], name: str) -> list[Mapping[str, Any]]:
    """Those of `tools` that are connections to MCP servers, given as mappings.

    Raises:
        ValueError: If a mapping is no such connection.
        ImportError: If `langchain-mcp-adapters` is missing.
    """
    servers = [tool for tool in tools if isinstance(tool, Mapping)]
    for server in servers:
        if "transport" not in server:
            raise ValueError(
                f"worker {name!r}: a mapping among its tools is an MCP server and needs a transport, such as "
                '{"transport": "stdio", "command": "python", "args": ["server.py"]} or '
                '{"transport": "http", "url": "http://127.0.0.1:8000/mcp"}'
            )
    if servers:
        try:
            import langchain_mcp_adapters.tools  # noqa: F401
        except ImportError as error:
            raise ImportError(
                f"worker {name!r}: MCP tools need: pip install 'langgraph-conductor[mcp]'"
            ) from error
    return servers


def with_mcp(
    servers: Sequence[Mapping[str, Any]], build: Callable[[list[Any]], Any]
) -> Callable[[WorkerTask, RunnableConfig], Awaitable[Any]]:
    """A worker's call that opens one session with each server, for all its tool calls, and closes it after.

    A session is not shared between steps: what a server remembers would reach steps it was not granted to.

    Args:
        servers: How to connect.
        build: Makes the agent from the servers' tools.
    """

    async def acall(task: WorkerTask, config: RunnableConfig) -> Any:
        from langchain_mcp_adapters.sessions import create_session
        from langchain_mcp_adapters.tools import load_mcp_tools

        result: Any = None
        failure: Exception | None = None
        try:
            async with AsyncExitStack() as sessions:
                # What leaves a session as an exception comes out as a group of them: interrupts would not
                # pass and outages not be known. So it is kept, and raised after.
                try:
                    found: list[Any] = []
                    for server in servers:
                        session = await sessions.enter_async_context(create_session(_connection(server)))
                        await session.initialize()
                        found += await load_mcp_tools(session)
                    result = await build(found).ainvoke({"messages": list(task.messages)}, config)
                except Exception as error:  # noqa: BLE001 - raised below
                    failure = error
        except Exception as error:  # noqa: BLE001 - raised below
            if result is None:  # else only the closing failed, and the answer counts
                failure = failure or error
        if failure is not None:
            raise _alone(failure)
        return result

    return acall


def _connection(server: Mapping[str, Any]) -> Any:
    """What the adapter is given: without a limit, a server that dies in mid-call is waited for for ever."""
    rest = dict(server)
    limit = timedelta(seconds=rest.pop("read_timeout", READ_TIMEOUT))
    return {**rest, "session_kwargs": {"read_timeout_seconds": limit, **(rest.get("session_kwargs") or {})}}


def _alone(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _tool_turns(most: int) -> Any:
    from langchain.agents.middleware import AgentMiddleware

    class ToolTurns(AgentMiddleware):
        """Lets the model call tools for so many turns, and then asks for the answer.

        LangChain's own limits end with a notice in place of an answer, or with an error.
        """

        def wrap_model_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
            if not _used_up(request, most):
                return handler(request)
            return _without_calls(handler(_last(request)))

        async def awrap_model_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
            if not _used_up(request, most):
                return await handler(request)
            return _without_calls(await handler(_last(request)))

    return ToolTurns()


def _model_retries(retries: int) -> Any:
    from langchain.agents.middleware import AgentMiddleware

    class ModelRetries(AgentMiddleware):
        """Repeats a model call of the agent after an outage, and only that call.

        LangChain's `ModelRetryMiddleware` knows no `Retry-After`.
        """

        def wrap_model_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
            for tries in count(1):
                try:
                    return handler(request)
                except Exception as error:
                    seconds = wait_before_retry(error, tries, retries)
                    if seconds is None:
                        raise
                time.sleep(seconds)
            raise AssertionError  # count() never ends

        async def awrap_model_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
            for tries in count(1):
                try:
                    return await handler(request)
                except Exception as error:
                    seconds = wait_before_retry(error, tries, retries)
                    if seconds is None:
                        raise
                await asyncio.sleep(seconds)
            raise AssertionError  # count() never ends

    return ModelRetries()


def _used_up(request: Any, most: int) -> bool:
    turns = sum(isinstance(message, AIMessage) and bool(message.tool_calls) for message in request.messages)
    return turns >= most


def _last(request: Any) -> Any:
    # The tools stay: some providers refuse a conversation about tools they are not shown.
    said = request.system_message.text + "\n\n" if request.system_message else ""
    none = {"type": "none"} if request.model._llm_type == "anthropic-chat" else "none"
    return request.override(tool_choice=none, system_message=SystemMessage(said + _LAST_TURN))


def _without_calls(response: Any) -> Any:
    for position, message in enumerate(response.result):
        if isinstance(message, AIMessage) and message.tool_calls:  # it was told not to
            response.result[position] = AIMessage(
                message.text, id=message.id, usage_metadata=message.usage_metadata
            )
    return response
