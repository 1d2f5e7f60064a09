"""The turns of a worker with tools: how many it has, and calls that cannot be made."""

from collections.abc import Awaitable, Callable, Generator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from langgraph_conductor.driving import adrive, drive
from langgraph_conductor.tags import escape

if TYPE_CHECKING:
    from langchain.agents.middleware import AgentMiddleware  # slow to import, and few workers have tools

MAX_REPEATS: Final = 2
"""Times a reply is asked for again because the arguments of its tool calls cannot be read."""
_LAST_TURN: Final = "You have no tool calls left. Answer now with what you know."
_TURNS: Final = "tool_turns"


class _Call(NamedTuple):
    """A model call to be made."""

    request: Any


def tool_turns(most: int) -> "AgentMiddleware[Any, Any]":
    """Middleware that lets the model call tools for `most` turns, and then asks for the answer.

    LangChain's own limits end with a notice in place of an answer, or with an error. Turns are counted in the
    agent's state: other middleware may summarise or trim the messages.

    A tool call whose arguments are no JSON is not made: the model is told, and may write it again.
    """
    made: AgentMiddleware[Any, Any] = _kind()(most)
    return made


@cache
def _kind() -> Any:
    from typing import Annotated, NotRequired

    from langchain.agents.middleware import AgentMiddleware, AgentState
    from langchain.agents.middleware.types import PrivateStateAttr

    class ToolTurnsState(AgentState[Any]):
        """Counts the turns in which tools were called."""

        tool_turns: NotRequired[Annotated[int, PrivateStateAttr]]

    class ToolTurns(AgentMiddleware[Any, Any]):
        """See `tool_turns`."""

        state_schema = ToolTurnsState

        def __init__(self, most: int) -> None:
            super().__init__()
            self._most = most

        def after_model(self, state: Any, runtime: Any) -> dict[str, Any] | None:
            last = state["messages"][-1]
            called = isinstance(last, AIMessage) and bool(last.tool_calls)
            return {_TURNS: state.get(_TURNS, 0) + 1} if called else None

        def wrap_model_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
            return drive(_asked(request, self._most), lambda call: handler(call.request))

        async def awrap_model_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
            return await adrive(_asked(request, self._most), lambda call: handler(call.request))

    return ToolTurns


def _asked(request: Any, most: int) -> Generator[_Call, Any, Any]:
    """The model's reply, with tool calls that can be made, and none after the last turn."""
    request = _escaped(request)
    if request.state.get(_TURNS, 0) >= most:
        return _without_calls((yield _Call(_last(request))))
    for _ in range(MAX_REPEATS):
        response = yield _Call(request)
        said = _broken(response)
        if said is None:
            return response
        request = request.override(messages=[*request.messages, *_told_of(said)])
    response = yield _Call(request)
    return response if _broken(response) is None else _without_calls(response)


def _broken(response: Any) -> AIMessage | None:
    """The message of a response that calls a tool with arguments that cannot be read, if there is one."""
    said = (m for m in response.result if isinstance(m, AIMessage) and m.invalid_tool_calls)
    return next(said, None)


def _told_of(said: AIMessage) -> list[BaseMessage]:
    # In words: a call without a result, or one whose arguments are no JSON, is refused by some providers.
    faults = [
        f"The arguments of your call of {call.get('name') or 'a tool'} are no complete JSON: {call.get('args')!r}."
        for call in said.invalid_tool_calls
    ]
    return [
        AIMessage(said.text.strip() or "(a tool call that could not be read)"),
        HumanMessage(
            escape("\n".join([*faults, "No tool was run. Make your calls again, with complete JSON."]))
        ),
    ]


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
    messages: Sequence[BaseMessage] = response.result
    for position, message in enumerate(messages):
        if isinstance(message, AIMessage) and (message.tool_calls or message.invalid_tool_calls):
            response.result[position] = AIMessage(  # it was told not to, or cannot write them
                message.text,
                id=message.id,
                usage_metadata=message.usage_metadata,
                response_metadata=message.response_metadata,
            )
    return response
