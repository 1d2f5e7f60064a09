"""A chat model that gives scripted replies, with no network."""

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from threading import Lock
from typing import Any, Final

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolCall
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import Field, PrivateAttr

from langgraph_conductor.testing.answers import FakeReply, FakeToolCall
from langgraph_conductor.testing.in_process import InProcessModel

Reply = str | AIMessage | FakeToolCall | FakeReply | BaseException
"""What a scripted model answers; an exception is raised."""

Replies = Reply | Sequence[Reply] | Callable[[list[BaseMessage]], Reply]
"""One reply, replies in order, or a function that makes them."""


class ScriptedModel(InProcessModel):
    """A chat model that gives scripted replies and remembers what it was sent.

    It takes tools, as models of agents do; a `FakeToolCall` is a reply that calls one, a `FakeReply` or an
    `AIMessage` one that may call several. Tokens are counted as words, unless the reply tells its own.

    Args:
        replies: One reply, or replies in order, the last one repeated for ever; or a function from the
            messages to a reply. An exception is raised.
        latency: Seconds each call takes.
        max_tokens: Most words of a reply; longer ones are cut, as providers do.
        model_name: Its name, for prices and traces.

    Example:
        ```python
        from langgraph_conductor.testing import ScriptedModel

        model = ScriptedModel(["first", "second"])
        assert model.invoke("hi").text == "first"
        assert model.prompts == ["hi"]
        ```
    """

    replies: Sequence[Any] | Callable[[list[BaseMessage]], Any] = Field(default=("ok",), repr=False)
    max_tokens: int | None = None
    model_name: str = "scripted"
    calls: list[list[BaseMessage]] = Field(default_factory=list, repr=False)
    """The messages of every call."""

    def __init__(self, replies: Replies = ("ok",), **fields: Any) -> None:
        super().__init__(replies=_checked(replies), **fields)

    def __repr__(self) -> str:
        what = "a function" if callable(self.replies) else f"{len(self.replies)} replies"
        return f"ScriptedModel({what}, model_name={self.model_name!r}, called {len(self.calls)} times)"

    __str__ = __repr__

    _lock: Lock = PrivateAttr(default_factory=Lock)

    @property
    def prompts(self) -> list[str]:
        """The text of the last message of every call."""
        return [str(messages[-1].text) for messages in self.calls]

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model_name, "max_tokens": self.max_tokens}

    def bind_tools(
        self, tools: Sequence[Any], *, tool_choice: str | None = None, **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """The model with these tools on offer (called by agents)."""
        offered = [convert_to_openai_tool(tool) for tool in tools]
        return self.bind(tools=offered, **({"tool_choice": tool_choice} if tool_choice else {}), **kwargs)

    def _answer(self, messages: list[BaseMessage]) -> AIMessage:
        with self._lock:
            number = len(self.calls)
            self.calls.append(messages)
        if callable(self.replies):
            reply = self.replies(messages)
        else:
            reply = self.replies[min(number, len(self.replies) - 1)]
        if isinstance(reply, BaseException):
            raise reply
        if isinstance(reply, FakeToolCall | FakeReply):
            reply = _message(reply, number)
        if not isinstance(reply, str | AIMessage):
            raise TypeError(f"a reply of ScriptedModel is {_REPLY}, not {reply!r:.200}")
        if isinstance(reply, AIMessage) and (reply.usage_metadata or not reply.tool_calls):
            return reply
        sent = sum(len(str(message.text).split()) for message in messages)
        if isinstance(reply, AIMessage):
            said = len(json.dumps([call["args"] for call in reply.tool_calls]).split())
            return reply.model_copy(update={"usage_metadata": _usage(sent, said)})
        words = reply.split()
        if self.max_tokens is not None and len(words) > self.max_tokens:
            words = words[: self.max_tokens]
            reply = " ".join(words)
        return AIMessage(reply, usage_metadata=_usage(sent, len(words)))

    def _result(self, messages: list[BaseMessage], run: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._answer(messages))])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        if self.latency:
            time.sleep(self.latency)
        message = self._answer(messages)
        for word in re.findall(r"\S+\s*|\s+", str(message.text)):
            chunk = ChatGenerationChunk(message=AIMessageChunk(content=word))
            if run_manager:
                run_manager.on_llm_new_token(word, chunk=chunk)
            yield chunk
        calls = [
            tool_call_chunk(name=call["name"], args=json.dumps(call["args"]), id=call["id"], index=number)
            for number, call in enumerate(message.tool_calls)
        ]
        last = AIMessageChunk(
            content="", tool_call_chunks=calls, usage_metadata=message.usage_metadata, chunk_position="last"
        )
        yield ChatGenerationChunk(message=last)


def _usage(sent: int, said: int) -> UsageMetadata:
    return UsageMetadata(input_tokens=sent, output_tokens=said, total_tokens=sent + said)


_REPLY: Final = "a text, an AIMessage, a FakeToolCall, a FakeReply or an exception"


def _checked(replies: Any) -> Any:
    """Replies as a sequence or a function.

    Raises:
        ValueError: If there is none.
        TypeError: If one is none.
    """
    if isinstance(replies, Reply):
        return (replies,)
    if callable(replies):
        return replies
    if not isinstance(replies, Sequence):
        raise TypeError(
            f"ScriptedModel takes a reply, a list of replies or a function, not {replies!r:.200}"
        )
    if not replies:
        raise ValueError("ScriptedModel needs at least one reply")
    for reply in replies:
        if not isinstance(reply, Reply):
            raise TypeError(f"a reply of ScriptedModel is {_REPLY}, not {reply!r:.200}")
    return replies


def _message(reply: FakeToolCall | FakeReply, number: int) -> AIMessage:
    if isinstance(reply, FakeToolCall):
        return AIMessage("", tool_calls=_calls((reply,), number))
    finish = {"finish_reason": reply.finish} if reply.finish != "stop" else {}
    return AIMessage(
        reply.text,
        tool_calls=_calls(reply.tool_calls, number),
        usage_metadata=_usage(reply.input_tokens, reply.output_tokens),
        additional_kwargs={"refusal": reply.refusal} if reply.refusal else {},
        response_metadata=finish,
    )


def _calls(calls: Sequence[FakeToolCall], number: int) -> list[ToolCall]:
    return [
        ToolCall(
            name=call.name, args=dict(call.args), id=call.id or f"call_{number}_{at}", type="tool_call"
        )
        for at, call in enumerate(calls)
    ]
