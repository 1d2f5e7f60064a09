"""The agent loop of workers with tools: how many turns it has, which calls run, what is repeated.

A turn is one reply of the model that calls tools. They are counted in the state of the agent: middleware may take
messages out of the conversation, and so that an interrupted loop goes on counting.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial, wraps
from itertools import count
from typing import TYPE_CHECKING, Annotated, Any, Final, NotRequired
from uuid import uuid4

from langchain_core.messages import AIMessage, BaseMessage, SystemMessage, ToolCall, ToolMessage
from langgraph.managed.is_last_step import RemainingStepsManager
from langgraph.types import Command

from langgraph_conductor.containment import Cancellations, acontained, contained
from langgraph_conductor.tags import escape
from langgraph_conductor.workers.failures import wait_before_retry
from langgraph_conductor.workers.sendable import sendable
from langgraph_conductor.workers.whole_replies import check_whole

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool  # slow to import, and few workers have tools

MAX_TOOL_TURNS: Final = 10
_TURNS: Final = "conductor_tool_turns"
_LAST_TURN: Final = "You have no tool calls left. Answer now with what you know."
_BROKEN: Final = (
    "This call was not made: its arguments are no JSON object ({why}). "
    "Call the tool again with whole arguments."
)
_MOST_SHOWN: Final = 200
_BLOCKS_OF_CALLS: Final = frozenset({"tool_use", "tool_call", "function_call", "invalid_tool_call"})


def loop_agent(
    model: Any,
    tools: "Sequence[BaseTool]",
    *,
    middleware: Sequence[Any],
    max_tool_turns: int,
    retries: int,
    name: str,
    instructions: str = "",
    aliases: Mapping[str, str] | None = None,
) -> Any:
    """An agent that may use `tools` for `max_tool_turns` turns and then has to answer.

    Raises:
        ValueError: If two tools have one name.

    Args:
        model: A chat model.
        tools: Its tools.
        middleware: LangChain's, of the user.
        max_tool_turns: Turns in which it may call tools.
        retries: Times a model call is repeated after an outage.
        name: The agent's name.
        instructions: Its system prompt; may be empty.
        aliases: Names by which a model may also call tools, and the tools' own.
    """
    from langchain.agents import create_agent

    names = Counter(given.name for given in tools)
    if twice := [called for called, times in names.items() if times > 1]:
        raise ValueError(
            f"worker {name!r}: {names[twice[0]]} of its tools are called {twice[0]!r}; a model could not tell "
            "them apart, so rename one or leave it out"
        )
    turns = _tool_turns(max_tool_turns, aliases or {})
    built = create_agent(
        model,
        [*map(_contained, tools)],
        system_prompt=instructions or None,
        middleware=[*middleware, turns, _model_retries(retries), sendable()],
        name=name,
    )
    turns.steps_kept = 2 * len(built.nodes)  # one more turn, and the answer after it
    return built


def _tool_turns(most: int, aliases: Mapping[str, str]) -> Any:
    from langchain.agents.middleware import AgentMiddleware, AgentState
    from langchain.agents.middleware.types import ExtendedModelResponse, PrivateStateAttr

    class TurnsState(AgentState):
        """What is counted."""

        conductor_tool_turns: NotRequired[Annotated[int, PrivateStateAttr]]
        conductor_steps_left: NotRequired[Annotated[int, PrivateStateAttr, RemainingStepsManager]]

    class ToolTurns(AgentMiddleware):
        """Lets the model call tools for so many turns, and then asks for the answer.

        LangChain's own limits end with a notice in place of an answer, or with an error. The same is done before
        the limit of supersteps that the caller set for the run would end the loop.
        """

        state_schema = TurnsState
        steps_kept = 0

        def wrap_model_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
            request, last = self._begun(request)
            return self._ended(request, handler(request), last=last)

        async def awrap_model_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
            request, last = self._begun(request)
            return self._ended(request, await handler(request), last=last)

        def _begun(self, request: Any) -> tuple[Any, bool]:
            left = request.state.get("conductor_steps_left")
            last = _turns(request) >= most or (left is not None and left < self.steps_kept)
            request = _escaped(request)
            return (_last(request) if last else request), last

        def _ended(self, request: Any, response: Any, *, last: bool) -> Any:
            if last:
                return _without_calls(response)
            response.result = [part for message in response.result for part in _answered(message, aliases)]
            if not any(isinstance(said, AIMessage) and said.tool_calls for said in response.result):
                return response
            counted: Command[Any] = Command(update={_TURNS: _turns(request) + 1})
            return ExtendedModelResponse(model_response=response, command=counted)

    return ToolTurns()


def _turns(request: Any) -> int:
    turns: int = request.state.get(_TURNS, 0)
    return turns


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
            cancellations = Cancellations()
            for tries in count(1):
                try:
                    return _whole(await handler(request))
                except Exception as error:
                    cancellations.check()
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


def _escaped(request: Any) -> Any:
    """The request with no tag of the prompt in what tools said; the stored conversation stays as it is."""
    messages = [_with_plain_text(m) if isinstance(m, ToolMessage) else m for m in request.messages]
    return request if messages == request.messages else request.override(messages=messages)


def _with_plain_text(message: ToolMessage) -> ToolMessage:
    content: Any = message.content
    plain = escape(content) if isinstance(content, str) else [_plain_part(part) for part in content]
    return message if plain == content else message.model_copy(update={"content": plain})


def _plain_part(part: Any) -> Any:
    if isinstance(part, str):
        return escape(part)
    return {**part, "text": escape(part["text"])} if isinstance(part.get("text"), str) else part


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


def _answered(message: BaseMessage, aliases: Mapping[str, str]) -> list[BaseMessage]:
    """The message, and for each of its calls with broken arguments the result that says so.

    The calls stay in the conversation, with empty arguments: providers refuse a result without its call, and some
    refuse a call with broken JSON.
    """
    if not isinstance(message, AIMessage):
        return [message]
    renamed = [{**call, "name": aliases.get(call["name"], call["name"])} for call in message.tool_calls]
    if not message.invalid_tool_calls:
        return [
            message if renamed == message.tool_calls else message.model_copy(update={"tool_calls": renamed})
        ]
    broken = [
        ToolCall(
            name=aliases.get(name := call.get("name") or "unknown", name),
            args={},
            id=call.get("id") or f"broken_{message.id}_{position}",
            type="tool_call",
        )
        for position, call in enumerate(message.invalid_tool_calls)
    ]
    told = [
        ToolMessage(
            _BROKEN.format(why=repr(str(call.get("args"))[:_MOST_SHOWN])),
            tool_call_id=made["id"],
            name=made["name"],
            status="error",
        )
        for call, made in zip(message.invalid_tool_calls, broken, strict=True)
    ]
    ids = {call["id"] for call in broken}
    said = message.model_copy(
        update={
            "content": _mended(message.content, ids),
            "tool_calls": [*renamed, *broken],
            "invalid_tool_calls": [],
            "additional_kwargs": {k: v for k, v in message.additional_kwargs.items() if k != "tool_calls"},
        }
    )
    return [said, *told]


def _mended(content: Any, broken: set[str | None]) -> Any:
    """A message's content, where blocks that are calls of these ids have empty arguments."""
    if isinstance(content, str):
        return content
    return [_mended_block(block, broken) if isinstance(block, dict) else block for block in content]


def _mended_block(block: dict[str, Any], broken: set[str | None]) -> dict[str, Any]:
    if block.get("type") not in _BLOCKS_OF_CALLS or not {block.get("id"), block.get("call_id")} & broken:
        return block
    kept = {key: value for key, value in block.items() if key not in ("partial_json", "error")}
    if kept["type"] == "invalid_tool_call":
        kept["type"] = "tool_call"
    empty: dict[str, Any] = {"input": {}, "args": {}, "arguments": "{}"}
    return {key: empty.get(key, value) for key, value in kept.items()}


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
