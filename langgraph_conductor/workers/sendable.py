"""Messages as a model takes them: valid text, and where it knows no system role, none of it."""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from langgraph_conductor.containment import said
from langgraph_conductor.replies import storable
from langgraph_conductor.workers.exception_groups import causes

_NO_SYSTEM: Final = re.compile(
    r"\bsystem[ _-]?(?:role|message|prompt|instruction)s?\b[^.\n]{0,60}(?:\bnot|n't|\bun)\s?(?:supp|allow|enabled)"
    r"|\brole\b[^.\n]{0,20}\bsystem\b[^.\n]{0,40}(?:\bnot|n't|\bun)\s?(?:supported|allowed|enabled)"
    r"|(?:n't|\bnot|\bno)\s(?:allow|support|accept)\w{0,3}\b[^.\n]{0,40}\bsystem\b"
    r"|\bdeveloper (?:instruction|message|role)s?\b[^.\n]{0,30}\bnot\b"
    r"|\b(?:unsupported|invalid|unknown|unexpected|unrecognized)\b[^.\n]{0,30}\brole\b[^\n]{0,30}\bsystem\b"
    r"|\bonly user\b[^.\n]{0,40}\broles?\b|\broles must alternate\b|\bfirst message must\b[^.\n]{0,30}\buser\b",
    re.IGNORECASE,
)


def refuses_system(error: BaseException) -> bool:
    """Whether a server refused a request because its model knows no system role, as chat templates of Gemma do."""
    return any(_NO_SYSTEM.search(said(seen)) for seen in causes(error))


def without_system(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """`messages` with what the system says at the beginning of the first user message: roles have to alternate."""
    system = "\n\n".join(str(one.text) for one in messages if isinstance(one, SystemMessage))
    rest = [one for one in messages if not isinstance(one, SystemMessage)]
    if not system:
        return rest
    if not rest or not isinstance(rest[0], HumanMessage):
        return [HumanMessage(system), *rest]
    first = rest[0]
    content: Any = first.content
    if isinstance(content, str):
        joined: Any = f"{system}\n\n{content}"
    else:
        joined = [{"type": "text", "text": system}, *content]
    return [first.model_copy(update={"content": joined}), *rest[1:]]


def has_system(messages: Sequence[BaseMessage]) -> bool:
    """Whether the system says something in them."""
    return any(isinstance(one, SystemMessage) for one in messages)


class SystemRole:
    """Whether a model takes the system role, as it is learnt from what it refuses."""

    def __init__(self) -> None:
        self._refused = False

    def sent(self, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
        """`messages` in the roles that the model takes."""
        return without_system(messages) if self._refused else list(messages)

    def learns(self, messages: Sequence[BaseMessage], error: Exception) -> bool:
        """Whether `error`, of a call with `messages`, tells that it does not, which is news."""
        if self._refused or not has_system(messages) or not refuses_system(error):
            return False
        self._refused = True
        return True


def valid(message: BaseMessage) -> BaseMessage:
    """A message all of whose texts can be encoded, the arguments of tool calls too; itself if they can already."""
    changed = {
        name: clean
        for name in _TEXTS
        if (value := getattr(message, name, None)) and (clean := _valid(value)) is not value
    }
    return message.model_copy(update=changed) if changed else message


_TEXTS: Final = ("content", "additional_kwargs", "tool_calls", "invalid_tool_calls", "name")


def _valid(data: Any) -> Any:
    if isinstance(data, str):
        clean = storable(data)
        return data if clean == data else clean
    if isinstance(data, list):
        items = [_valid(item) for item in data]
        return data if all(map(lambda a, b: a is b, items, data)) else items
    if isinstance(data, dict):
        fields = {_valid(name): _valid(value) for name, value in data.items()}
        same = all(name in fields and fields[name] is value for name, value in data.items())
        return data if same else fields
    return data


def sendable() -> Any:
    """Middleware of an agent: what its model is sent and says is valid text, in the roles that it knows."""
    from langchain.agents.middleware import AgentMiddleware

    class Sendable(AgentMiddleware):
        """Stands next to the model, so that it sees what other middleware made of the messages."""

        def __init__(self) -> None:
            super().__init__()
            self._role = SystemRole()

        def wrap_model_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
            try:
                return _said(handler(self._sent(request)))
            except Exception as error:
                if not self._role.learns(_all_of(request), error):
                    raise
            return _said(handler(self._sent(request)))

        async def awrap_model_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
            try:
                return _said(await handler(self._sent(request)))
            except Exception as error:
                if not self._role.learns(_all_of(request), error):
                    raise
            return _said(await handler(self._sent(request)))

        def _sent(self, request: Any) -> Any:
            sent = [valid(message) for message in self._role.sent(_all_of(request))]
            system = request.system_message
            if system is not None and sent and isinstance(sent[0], SystemMessage):
                return request.override(messages=sent[1:])
            return request.override(messages=sent, system_message=None)

    return Sendable()


def _all_of(request: Any) -> list[BaseMessage]:
    """The messages of a request, what the system says first."""
    system = request.system_message
    return [*request.messages] if system is None else [system, *request.messages]


def _said(response: Any) -> Any:
    for position, message in enumerate(response.result):
        response.result[position] = valid(message)
    return response
