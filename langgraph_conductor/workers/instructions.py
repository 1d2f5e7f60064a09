"""A worker's own instructions: a system message for models, the beginning of the prompt for what has its own."""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from langgraph_conductor.containment import said
from langgraph_conductor.tags import escape

_NO: Final = r"(?:not|n't|unable to|un)[ -]?(?:be )?(?:support|allow|enable|accept|permit)"
_REFUSED: Final = re.compile(
    rf"\bsystem['\"]? (?:role|message|prompt|instruction)s?\b.{{0,40}}{_NO}"
    rf"|{_NO}.{{0,40}}\bsystem\b"
    r"|developer instruction is not enabled|roles must alternate",
    re.IGNORECASE,
)
"""How servers refuse the role: OpenAI's o1, Gemma at Google, templates in vLLM and llama.cpp, Bedrock."""
_LONGEST: Final = 4_000
_DEEPEST: Final = 5


def instructed(
    messages: Sequence[BaseMessage], instructions: str, *, in_prompt: bool
) -> tuple[BaseMessage, ...]:
    """A worker's prompt with its instructions.

    Args:
        messages: The prompt.
        instructions: The instructions; may be empty.
        in_prompt: Whether they begin the text of the prompt, for graphs, which have system prompts of their own;
            else they are a system message before it.
    """
    if not instructions:
        return tuple(messages)
    if in_prompt:
        return _joined(escape(instructions), messages)
    return (SystemMessage(instructions), *messages)


def _joined(words: str, messages: Sequence[BaseMessage]) -> tuple[BaseMessage, ...]:
    """Messages whose first one begins with `words`."""
    first, *rest = messages or [HumanMessage("")]
    content: Any = first.content
    if isinstance(content, str):
        content = f"{words}\n\n{content}" if content else words
    elif content and isinstance(content[0], dict) and content[0].get("type") == "text":
        content = [{**content[0], "text": f"{words}\n\n{content[0]['text']}"}, *content[1:]]
    else:
        content = [{"type": "text", "text": words}, *content]
    return (first.model_copy(update={"content": content}), *rest)


class SystemRole:
    """Calls of one model. One that refuses system messages is asked again with their words in the next message."""

    def __init__(self) -> None:
        self.refused = False

    def call(self, invoke: Callable[..., Any], messages: Sequence[BaseMessage], config: Any) -> Any:
        """`invoke(messages, config)`."""
        given = self._given(messages)
        try:
            return invoke(given, config)
        except Exception as error:
            if not self._refuses(given, error):
                raise
        return invoke(self._given(messages), config)

    async def acall(
        self, ainvoke: Callable[..., Awaitable[Any]], messages: Sequence[BaseMessage], config: Any
    ) -> Any:
        """`call`, awaited."""
        given = self._given(messages)
        try:
            return await ainvoke(given, config)
        except Exception as error:
            if not self._refuses(given, error):
                raise
        return await ainvoke(self._given(messages), config)

    def request(self, request: Any) -> Any:
        """A request of LangChain's agent loop, with its system message as the model takes it."""
        if not self.refused or request.system_message is None:
            return request
        messages = list(_joined(str(request.system_message.text), request.messages))
        return request.override(system_message=None, messages=messages)

    def _given(self, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
        if not self.refused or not messages or not isinstance(messages[0], SystemMessage):
            return list(messages)
        return list(_joined(str(messages[0].text), messages[1:]))

    def _refuses(self, given: Sequence[BaseMessage], error: Exception) -> bool:
        return bool(given) and isinstance(given[0], SystemMessage) and self.learns(error)

    def learns(self, error: Exception) -> bool:
        """Whether `error` tells that the model takes no system message, which is news."""
        if self.refused or not refuses_system(error):
            return False
        self.refused = True
        return True


def system_role_middleware() -> Any:
    """`SystemRole` for the model of LangChain's agent loop."""
    from langchain.agents.middleware import AgentMiddleware

    role = SystemRole()

    class SystemRoleMiddleware(AgentMiddleware):
        """Asks a model that refuses system messages again without one."""

        def wrap_model_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
            try:
                return handler(role.request(request))
            except Exception as error:
                if request.system_message is None or not role.learns(error):
                    raise
            return handler(role.request(request))

        async def awrap_model_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
            try:
                return await handler(role.request(request))
            except Exception as error:
                if request.system_message is None or not role.learns(error):
                    raise
            return await handler(role.request(request))

    return SystemRoleMiddleware()


def refuses_system(error: BaseException) -> bool:
    """Whether a server says that its model takes no system message."""
    seen: BaseException | None = error
    for _ in range(_DEEPEST):
        if seen is None:
            return False
        if _REFUSED.search(said(seen)[:_LONGEST]):
            return True
        seen = seen.__cause__
    return False
