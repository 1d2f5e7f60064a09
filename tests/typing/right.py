"""Twenty right uses, as in a user's program: every type checker accepts each, and knows the types."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, assert_type

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langgraph.graph import MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph

from langgraph_conductor import (
    Budget,
    ChatPlanner,
    ConductorEvent,
    ConductorResult,
    Step,
    Worker,
    WorkerPool,
    WorkerTask,
    Workflow,
    add_conductor,
    create_conductor,
)
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import FakeToolCall, ScriptedModel


@dataclass
class Found:
    text: str


class Caller:
    def __call__(self, task: WorkerTask) -> str:
        return task.subtask


def plain(task: WorkerTask) -> str:
    return task.inputs[0].text


async def awaited(task: WorkerTask) -> AIMessage:
    return AIMessage(task.subtask)


def look_up(word: str) -> str:
    """Look a word up."""
    return word


model: BaseChatModel = ScriptedModel(["yes", FakeToolCall("look_up", {"word": "x"}), ValueError("no")])  # 1
graph = StateGraph(MessagesState).compile()
names: Sequence[str] = ["a", "b"]

by_name = Worker("a", "openai:gpt-5", description="Writes.", tags=["fast"], instructions="Be brief.")  # 2
chatting = Worker("b", model, tools=[look_up], history="last", timeout=30)  # 3
composed = Worker("c", model.with_retry() | StrOutputParser(), history=2)  # 4
of_graph = Worker("d", graph)  # 5
calling = Worker("e", plain)  # 6
waiting = Worker("f", awaited)  # 7
short = Worker("g", lambda task: task.inputs[0].text.upper())  # 8: `task` is a WorkerTask
an_object = Worker("h", Caller())  # 9
structured = Worker("i", lambda task: Found(task.subtask))  # 10

workflow = Workflow(
    [Step("a", "Do it.", [0][:0]), Step("b", "Check it.", [0]), Step("c", "Say it.", "all")]
)  # 11
assert_type(workflow.steps, tuple[Step, ...])

conductor = create_conductor(model, [by_name, {"name": "z", "runnable": plain}], max_rounds=2)  # 12
a_graph: CompiledStateGraph[Any, Any, Any, Any] = conductor  # 13
of_conductor = Worker("j", conductor)  # 14
planned = create_conductor(
    ChatPlanner(model, show="anonymous"), WorkerPool([chatting]), budget=Budget(calls=3)
)  # 15
alone = create_conductor(fixed.single("e"), (calling, waiting), on_step_error="raise")  # 16
builder = add_conductor(StateGraph(MessagesState), model, [short])  # 17

result = conductor.invoke({"messages": [{"role": "user", "content": "Hello!"}]})  # 18
assert_type(result, ConductorResult)
assert_type(result["answer"], str)
assert_type(result["rounds"][0]["steps"][0]["worker"], str)
assert_type(result["usage"]["wall_seconds"], float)


async def ask() -> str:
    answered = await conductor.ainvoke({"messages": [("user", "Hello!")]}, durability="sync")  # 19
    return answered["answer"]


def heard(event: ConductorEvent) -> str:  # 20
    if event["type"] == "token":
        return event["text"]
    if event["type"] == "step_started":
        return event["subtask"]
    return ""


for part in conductor.stream({"messages": []}, stream_mode="custom"):
    heard(part)
