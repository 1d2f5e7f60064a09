"""Twenty wrong uses: every type checker refuses each; the comment says how mypy does."""

from langchain_core.messages import AIMessage
from langgraph.graph import MessagesState, StateGraph

from langgraph_conductor import (
    ChatPlanner,
    ConductorEvent,
    Step,
    Worker,
    WorkerTask,
    Workflow,
    add_conductor,
    create_conductor,
)
from langgraph_conductor.testing import ScriptedModel


def two(task: WorkerTask, more: str) -> str:
    return more


def number(task: WorkerTask) -> int:
    return 3


def text(task: str) -> str:
    return task


model = ScriptedModel(["ok"])
worker = Worker("w", model)
conductor = create_conductor(model, [worker])
result = conductor.invoke({"messages": []})

Worker("x", 17)  # wrong: arg-type
Worker(17, model)  # wrong: arg-type
Worker("x", None)  # wrong: arg-type
Worker("x", [model])  # wrong: arg-type
Worker("x", StateGraph(MessagesState))  # wrong: arg-type
Worker("x", two)  # wrong: arg-type
Worker("x", number)  # wrong: arg-type
Worker("x", text)  # wrong: arg-type
Worker("x", lambda task: task.nothing)  # wrong: attr-defined
Worker("x", model, history="some")  # wrong: arg-type
Worker("x", model, instructions=3)  # wrong: arg-type
Worker("x", model, timeout="soon")  # wrong: arg-type
create_conductor(model, worker)  # wrong: arg-type
create_conductor(model, [worker, "x"])  # wrong: list-item
create_conductor(model, [worker], on_step_error="ignore")  # wrong: arg-type
add_conductor(conductor, model, [worker])  # wrong: arg-type
ChatPlanner(3)  # wrong: arg-type
Workflow(["x"])  # wrong: list-item
Step("w", "Do it.", "some")  # wrong: arg-type
result["answers"]  # wrong: typeddict-item


def heard(event: ConductorEvent) -> AIMessage:
    if event["type"] == "token":
        return AIMessage(event["text"])
    return AIMessage("")
