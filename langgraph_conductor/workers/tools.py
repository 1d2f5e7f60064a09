"""Workers with tools: a chat model in LangChain's agent loop, which ends after so many turns."""

import asyncio
import inspect
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial, wraps
from itertools import count
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig

from langgraph_conductor.containment import acontained, contained
from langgraph_conductor.records import WorkerTask
from langgraph_conductor.workers.failures import wait_before_retry
from langgraph_conductor.workers.mcp import mcp_tools
from langgraph_conductor.workers.sendable import sendable
from langgraph_conductor.workers.tool_turns import tool_turns
from langgraph_conductor.workers.whole_replies import check_whole

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool  # slow to import, and few workers have tools

MAX_TOOL_TURNS: Final = 10


def agent(
    model: BaseChatModel,
    tools: Sequence["BaseTool"],
    *,
    middleware: Sequence[Any],
    max_tool_turns: int,
    retries: int,
    name: str,
    instructions: str = "",
) -> Any:
    """An agent that may use `tools` for `max_tool_turns` turns and then has to answer.

    Raises:
        ValueError: If two tools have one name.
    """
    from langchain.agents import create_agent

    names = Counter(given.name for given in tools)
    if twice := [called for called, times in names.items() if times > 1]:
        raise ValueError(
            f"worker {name!r}: {names[twice[0]]} of its tools are called {twice[0]!r}; a model could not tell "
            "them apart, so rename one or leave it out"
        )
    own = [tool_turns(max_tool_turns), _model_retries(retries), sendable()]
    loop = create_agent(
        model,
        [*map(_contained, tools)],
        system_prompt=instructions or None,
        middleware=[*middleware, *own],
        name=name,
    )
    # Turns end the loop: LangGraph's limit of supersteps, of which middleware takes some in each turn, is not to.
    return loop.with_config(recursion_limit=(max_tool_turns + 2) * (len(loop.nodes) + 1) + 9_999)


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


def with_mcp(
    servers: Sequence[Mapping[str, Any]],
    build: Callable[[list[Any]], Any],
    *,
    taken: Sequence[str],
    retries: int,
) -> Callable[[WorkerTask, RunnableConfig], Awaitable[Any]]:
    """A worker's call that opens one session with each server, for all its tool calls, and closes it after.

    A session is not shared between steps: what a server remembers would reach steps it was not granted to.

    Args:
        servers: How to connect.
        build: Makes the agent from the servers' tools.
        taken: Names of its other tools.
        retries: Times a server is connected to again, see `mcp_tools`.
    """

    async def acall(task: WorkerTask, config: RunnableConfig) -> Any:
        async with mcp_tools(servers, taken, retries) as found:
            return await build(found).ainvoke({"messages": list(task.messages)}, config)

    return acall


def _contained(given: "BaseTool") -> "BaseTool":
    """The tool, where `SystemExit` of its function is the tool's own failure, which callbacks are told of."""
    changed: dict[str, Any] = {}
    if (func := getattr(given, "func", None)) is not None:
        changed["func"] = wraps(func)(_blocking(func))
    if (coroutine := getattr(given, "coroutine", None)) is not None:
        changed["coroutine"] = wraps(coroutine)(_awaitable(coroutine))
    return given.model_copy(update=changed) if changed else given


def _blocking(func: Callable[..., Any]) -> Callable[..., Any]:
    def called(*args: Any, **kwargs: Any) -> Any:
        return contained(partial(func, *args, **kwargs))

    return called


def _awaitable(coroutine: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def called(*args: Any, **kwargs: Any) -> Any:
        return await acontained(partial(coroutine, *args, **kwargs))

    return called


def _model_retries(retries: int) -> Any:
    from langchain.agents.middleware import AgentMiddleware

    class ModelRetries(AgentMiddleware):
        """Repeats a model call of the agent after an outage, and only that call; no tool runs of a cut reply.

        LangChain's `ModelRetryMiddleware` knows no `Retry-After`.
        """

        def wrap_model_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
            for tries in count(1):
                try:
                    return _whole(handler(request))
                except Exception as error:
                    seconds = wait_before_retry(error, tries, retries)
                    if seconds is None:
                        raise
                time.sleep(seconds)
            raise AssertionError  # count() never ends

        async def awrap_model_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
            for tries in count(1):
                try:
                    return _whole(await handler(request))
                except Exception as error:
                    seconds = wait_before_retry(error, tries, retries)
                    if seconds is None:
                        raise
                await asyncio.sleep(seconds)
            raise AssertionError  # count() never ends

    return ModelRetries()


def _whole(response: Any) -> Any:
    """The response, each of its tool calls with an id, which some servers leave out.

    Raises:
        CutOffError: If a reply was cut off.
    """
    for position, message in enumerate(response.result):
        check_whole(message)
        if isinstance(message, AIMessage) and any(not call.get("id") for call in message.tool_calls):
            calls = [{**call, "id": call.get("id") or f"call_{uuid4().hex}"} for call in message.tool_calls]
            response.result[position] = message.model_copy(update={"tool_calls": calls})
    return response
