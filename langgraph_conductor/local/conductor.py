"""The embedded conductor's own words: a prompt cut to what a model of 135 million parameters can learn.

It writes the paper's three lists. In front of them it says for each step what is to be done and repeats the
line of the worker it means, as the paper's conductor thinks before its lists. So each decision is a small one:
from the question to the subtask, from there to a description, and by going on with that line to the number.
"""

from typing import Any, Final

from langchain_core.messages import BaseMessage, SystemMessage

from langgraph_conductor.local.labels import in_its_place
from langgraph_conductor.planners import ChatPlanner, PlanRequest
from langgraph_conductor.prompts import text_of
from langgraph_conductor.workers import WorkerPool
from langgraph_conductor.workflow import Workflow

MOST_PLAN_TOKENS: Final = 128
"""A plan of three steps has about 110."""

_SYSTEM: Final = "Plan."


class EmbeddedPlanner(ChatPlanner):
    """A `ChatPlanner` with a prompt of a few lines, for the embedded conductor and its training."""

    def __init__(self, model: Any, /, **options: Any) -> None:
        super().__init__(model, **{"structured": False, "examples": (), **options})

    def render(self, request: PlanRequest) -> list[BaseMessage]:
        """The workers, the earlier round if there is one, and the question."""
        lines = _lines(request.pool, anonymous=self.show == "anonymous")
        previous = self._previous(request)
        if previous:
            lines += [
                "Plan before:",
                in_its_place(previous[0]),
                f"Answer before: {in_its_place(previous[1])}",
            ]
        lines.append(f"Question: {text_of(request.question)}")
        return [SystemMessage(_SYSTEM), self.asking("\n".join(lines), request)]


def plan_text(workflow: Workflow, pool: WorkerPool, *, anonymous: bool = False) -> str:
    """The text in which the embedded conductor writes a workflow.

    Args:
        workflow: The workflow.
        pool: The workers as they were offered.
        anonymous: Whether it was shown their numbers alone; then it thinks of the parts of the task instead.

    Raises:
        PlanError: If a worker of the workflow is not offered.
    """
    numbers = {name: number for number, name in pool.ordinals.items()}
    lists = workflow.to_text(pool.ordinals)
    if anonymous:
        thought = " ".join(step.subtask for step in workflow.steps)
    else:
        thought = "\n".join(
            f"{step.subtask} {line_of(pool, numbers[step.worker])}" for step in workflow.steps
        )
    return f"{thought}\n{lists}"


def _lines(pool: WorkerPool, *, anonymous: bool) -> list[str]:
    if anonymous:
        return ["Workers: " + " ".join(map(str, pool.ordinals))]
    return [line_of(pool, number) for number in pool.ordinals]


def line_of(pool: WorkerPool, number: int) -> str:
    """The line in which a worker is offered."""
    worker = pool[pool.ordinals[number]]
    return f"{worker.description}: {worker.name} {number}"
