"""Public fakes and readers for tests of code that uses this package. No network, no randomness."""

import asyncio
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import Field, PrivateAttr

from langgraph_conductor.prompts import unescape
from langgraph_conductor.records import StepOutput
from langgraph_conductor.workflow import Workflow

Reply = str | AIMessage | BaseException
"""What a scripted model answers; an exception is raised."""


class ScriptedModel(BaseChatModel):
    """A chat model that gives scripted replies and remembers what it was sent.

    Args:
        replies: Replies in order, the last one repeated for ever; or a function from the messages to a
            reply.
        latency: Seconds each call takes.

    Example:
        ```python
        from langgraph_conductor.testing import ScriptedModel

        model = ScriptedModel(replies=["first", "second"])
        assert model.invoke("hi").text == "first"
        assert model.prompts == ["hi"]
        ```
    """

    replies: Sequence[Any] | Callable[[list[BaseMessage]], Any] = Field(default=("ok",))
    latency: float = 0.0
    calls: list[list[BaseMessage]] = Field(default_factory=list)
    """The messages of every call."""

    _lock: Lock = PrivateAttr(default_factory=Lock)

    @property
    def prompts(self) -> list[str]:
        """The text of the last message of every call."""
        return [str(messages[-1].text) for messages in self.calls]

    @property
    def _llm_type(self) -> str:
        return "scripted"

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
        if isinstance(reply, AIMessage):
            return reply
        sent = sum(len(str(message.text).split()) for message in messages)
        said = len(reply.split())
        return AIMessage(
            reply,
            usage_metadata=UsageMetadata(input_tokens=sent, output_tokens=said, total_tokens=sent + said),
        )

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        if self.latency:
            time.sleep(self.latency)
        return ChatResult(generations=[ChatGeneration(message=self._answer(messages))])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        if self.latency:
            await asyncio.sleep(self.latency)
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
        yield ChatGenerationChunk(
            message=AIMessageChunk(content="", usage_metadata=message.usage_metadata, chunk_position="last")
        )


def plan_text(*steps: tuple[str, str, Any], reasoning: str = "I have thought about it.") -> str:
    """A planner's reply with these (worker, subtask, access) steps.

    Example:
        ```python
        from langgraph_conductor import parse_workflow
        from langgraph_conductor.testing import plan_text

        text = plan_text(("coder", "Write it.", []), ("critic", "Check it.", "all"))
        assert parse_workflow(text, ["coder", "critic"]).steps[1].access == "all"
        ```
    """
    data = [{"worker": w, "subtask": s, "access": a} for w, s, a in steps]
    return f"{reasoning}\n\n{Workflow.from_json({'steps': data}).to_text()}"


ACCEPT_TEXT = "The answer stands.\n\nmodel_id = []\nsubtasks = []\naccess_list = []"
"""A planner's reply that accepts the earlier answer."""


@dataclass(frozen=True, slots=True)
class PromptParts:
    """What a worker was shown, read back from its prompt."""

    question: str
    subtask: str
    inputs: tuple[StepOutput, ...]
    previous: tuple[StepOutput, ...]


_TAGGED = re.compile(
    r"<(?P<tag>overall_task|previous_round|step_subtask|step_output|your_subtask)"
    r"(?P<attributes>[^>\n]*)>\n(?P<body>.*?)\n</(?P=tag)>",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')


def read_worker_prompt(prompt: str) -> PromptParts:
    """Read back what `prompts.worker_prompt` rendered: the reverse, whatever the parts hold.

    Raises:
        ValueError: If it is not a worker's prompt.
    """
    parts: dict[str, str] = {}
    inputs: tuple[StepOutput, ...] = ()
    previous: tuple[StepOutput, ...] = ()
    at, subtask = 0, ""
    while match := _TAGGED.search(prompt, at):
        at = match.end()
        tag, body = match["tag"], match["body"]
        if tag == "previous_round":
            previous = _outputs(body)
        elif tag == "step_subtask":
            subtask = body
        elif tag == "step_output":
            inputs = (*inputs, _output(match["attributes"], subtask, body))
        else:
            parts[tag] = unescape(body)
    if set(parts) != {"overall_task", "your_subtask"}:
        raise ValueError(f"not a worker's prompt: {prompt[:80]!r}")
    return PromptParts(parts["overall_task"], parts["your_subtask"], inputs, previous)


def _outputs(text: str) -> tuple[StepOutput, ...]:
    found: tuple[StepOutput, ...] = ()
    subtask = ""
    for match in _TAGGED.finditer(text):
        if match["tag"] == "step_subtask":
            subtask = match["body"]
        else:
            found = (*found, _output(match["attributes"], subtask, match["body"]))
    return found


def _output(attributes: str, subtask: str, text: str) -> StepOutput:
    values = dict(_ATTRIBUTE.findall(attributes))
    return StepOutput(
        index=int(values["step"]),
        worker=values["worker"],
        subtask=unescape(subtask),
        text=unescape(text),
        status="failed" if values["status"] == "failed" else "ok",
    )
