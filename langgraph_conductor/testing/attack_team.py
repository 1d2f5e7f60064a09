"""A conductor of scripted models, a tool and a person, of whom one says a text; and what is seen of it."""

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.tools import StructuredTool
from langgraph.types import Command

from langgraph_conductor.testing.attack_drawings import Printer, drawings, timed
from langgraph_conductor.testing.attack_traces import Seen, Turn, logged
from langgraph_conductor.testing.plans import ACCEPT_TEXT, plan_text
from langgraph_conductor.testing.scripted import ScriptedModel
from langgraph_conductor.workers import Worker

MakeConductor = Callable[[BaseChatModel, list[Worker]], Any]
"""Builds what is attacked from a planner's model and workers: a graph, as `create_conductor` returns one."""

ROUTES: Final = (
    "worker to worker",
    "tool to worker",
    "question to planner",
    "planner to display",
    "error to log",
    "whole question",
    "worker to answer",
    "worker to tool",
    "tool name to display",
    "planner to repair",
    "person to planner",
)
"""Ways of a text: from who says it to who is shown it.

- `"worker to worker"`: a worker's output, which another one and the planner of the next round read; in a second
  turn, the assistant's earlier message.
- `"tool to worker"`: what a tool gives, and what the worker with the tool answers then.
- `"question to planner"`: in the question, behind other words; in a second turn, in the conversation.
- `"planner to display"`: in a subtask.
- `"error to log"`: in what the planner's model raises, so that a worker answers alone.
- `"whole question"`: the question is nothing but the text; so it may pass for a whole conversation.
- `"worker to answer"`: the last worker's output, which is the answer, and which the planner of the next round
  reads; in a second turn, the assistant's earlier message.
- `"worker to tool"`: what a worker's model gives its tool.
- `"tool name to display"`: the name of a tool, as somebody's MCP server may choose it.
- `"planner to repair"`: in replies of the planner that cannot be used, which are quoted when it is asked again.
- `"person to planner"`: in a workflow that a person rejects, and in what the person wishes instead. Conductors
  that ask nobody (`approve=True`) do not have it.
"""

ASKS: Final = "person to planner"
NAME: Final = "tool name to display"
_REPAIR: Final = "planner to repair"
_REMEMBERED: Final = ("worker to worker", "question to planner", "whole question", "worker to answer")
_ELSEWHERE: Final = "as usual"
"""What is said on the other ways: it stays when the harmless text gives way to a hostile one."""

_MOST_QUESTIONS: Final = 8
_QUOTED: Final = 72
"""Characters of a worker's name that are quoted whole when there is no such worker."""
_OF_PLANS: Final = re.compile('model_id|subtasks|access_list|steps|"(?:worker|subtask|access)"')


@dataclass
class Team:
    """A conductor of scripted models, of which one says the text.

    Args:
        make: Builds it.
        route: The way of the text.
        printers: Make texts of results, as the app prints them.
    """

    make: MakeConductor
    route: str
    printers: Sequence[Printer] = ()
    text: str = "quite ordinary"
    plans: int = 0
    asked: int = 0
    wished: bool = False
    conductor: Any = field(init=False)

    def __post_init__(self) -> None:
        self.planner = ScriptedModel(replies=self._plan)
        self.speaker = ScriptedModel(replies=lambda _: self._at("worker to worker"))
        self.looker = ScriptedModel(replies=self._look)
        self.reader = ScriptedModel(replies=lambda _: self._at("worker to answer", but="It is four."))
        self.conductor = self._conductor()

    def _conductor(self) -> Any:
        workers = [
            Worker("speaker", self.speaker, description="Speaks.", retries=0),
            Worker("looker", self.looker, tools=[self._tool()], description="Looks things up.", retries=0),
            Worker("reader", self.reader, description="Reads.", retries=0),
        ]
        return self.make(self.planner, workers)

    def forms(self, text: str) -> tuple[str, ...]:
        """The text as it is said on the way: whole, and where only a part or another form of it can be, that."""
        return (text, _head(text), _no_plan(text)) if self.route == _REPAIR else (text,)

    def run(self, text: str) -> tuple[Seen, dict[str, float]]:
        """What is seen when the text is said, and what each part took of the processor, in seconds.

        Raises:
            TypeError: If it is no conductor.
            Exception: Whatever the conductor raises.
        """
        self.text, self.asked = text, 0
        if self.route == NAME:
            self.conductor = self._conductor()
        models = (self.planner, self.speaker, self.looker, self.reader)
        for model in models:
            model.calls.clear()
        seconds: dict[str, float] = {}
        turns: list[tuple[Mapping[str, Any], list[Any]]] = []
        with logged() as lines:
            for messages in self._turns():
                self.plans, self.wished = 0, False
                turns.append(timed(seconds, "run", partial(self._turn, messages)))
        if not all(isinstance(result.get("rounds"), list) for result, _ in turns):
            raise TypeError("it returns no `rounds`, as a conductor does")
        drawn = [Turn(*turn, drawings(*turn, self.printers)) for turn in turns]
        for turn in drawn:
            for part, took in turn.drawn.seconds.items():
                seconds[part] = seconds.get(part, 0.0) + took
        workers = [prompt for model in models[1:] for prompt in model.calls]
        return Seen(drawn, list(self.planner.calls), workers, lines), seconds

    def _turns(self) -> list[list[Any]]:
        said = {"role": "user", "content": f"What is it? {self._at('question to planner')}"}
        if self.route == "whole question":
            said["content"] = self.text
        if self.route not in _REMEMBERED:
            return [[said]]
        by_assistant = self.route in ("worker to worker", "worker to answer")
        answer = {"role": "assistant", "content": self.text if by_assistant else _ELSEWHERE}
        return [[said], [said, answer, {"role": "user", "content": "And now?"}]]

    def _turn(self, messages: list[Any]) -> tuple[Mapping[str, Any], list[Any]]:
        config = {"configurable": {"thread_id": uuid.uuid4().hex}}
        result, events = self._streamed({"messages": messages}, config)
        while result.get("__interrupt__"):
            self.asked += 1
            if self.asked > _MOST_QUESTIONS:
                raise RuntimeError("it asks again and again for a person's word")
            result, more = self._streamed(Command(resume=self._said()), config)
            events += more
        return result, events

    def _said(self) -> dict[str, Any]:
        """What a person says of a workflow."""
        if self.wished or self.route != ASKS:
            return {"decisions": [{"type": "approve"}]}
        self.wished = True
        return {"decisions": [{"type": "reject", "message": self.text}]}

    def _streamed(self, given: Any, config: Any) -> tuple[Mapping[str, Any], list[Any]]:
        result: Mapping[str, Any] = {}
        events = []
        for mode, part in self.conductor.stream(given, config, stream_mode=["custom", "values"]):
            if mode == "custom":
                events.append(part)
            else:
                result = part
        return result, events

    def _at(self, route: str, but: str = _ELSEWHERE) -> str:
        return self.text if self.route == route else but

    def _plan(self, _: list[BaseMessage]) -> Any:
        self.plans += 1
        if self.route == "error to log" and self.plans == 1:
            return RuntimeError(f"refused: {self.text}")
        number = self.plans
        if self.route == _REPAIR:
            if number == 1:
                return plan_text((f"nobody {_head(self.text)}", self._asked(self.text), []))
            if number == 2:
                return f"I cannot say. {_no_plan(self.text)}"
            number -= 2
        if self.route == ASKS:
            if number == 1:
                return self._steps(self.text)
            number -= 1
        return ACCEPT_TEXT if number > 1 else self._steps(self._at("planner to display"))

    def _steps(self, text: str) -> str:
        return plan_text(
            ("looker", "Look it up.", []),
            ("speaker", self._asked(text), []),
            ("reader", "Read and answer.", "all"),
        )

    def _asked(self, text: str) -> str:
        return f"Say it. {text}".replace("\0", "")

    def _look(self, messages: list[BaseMessage]) -> Any:
        found = [message for message in messages if isinstance(message, ToolMessage)]
        if not found:
            asked = {"what": self._at("worker to tool", but="it")}
            return AIMessage(
                "", tool_calls=[{"name": self._at(NAME, but="look"), "args": asked, "id": "1"}]
            )
        return f"I found: {self._at('tool to worker')}"

    def _tool(self) -> Any:
        def look(what: str) -> str:
            """Look something up."""
            return self._at("tool to worker")

        return StructuredTool.from_function(look, name=self._at(NAME, but="look"))


def _head(text: str) -> str:
    """As much of its beginning as is quoted whole in an error."""
    text = text.replace("\0", "")
    size = min(len(text), _QUOTED)
    while len(repr(text[:size])) > _QUOTED:
        size -= 1
    return text[:size]


def _no_plan(text: str) -> str:
    """The text, in which no planner's parser finds a plan."""
    return _OF_PLANS.sub("word", text)
