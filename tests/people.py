"""Workers that are paid, workflows in which several ask a person, and what a person answers."""

from typing import Any

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import interrupt

from langgraph_conductor import Worker, WorkerTask
from tests.helpers import Recorder, ScriptedPlanner, chat, flow
from tests.places import Heard

APPROVE = {"decisions": [{"type": "approve"}]}
"""The answer that lets a workflow run, as LangChain's human-in-the-loop middleware is answered."""
SIDE = flow(
    ("a", "x", []), ("p", "first", [0]), ("p", "second", [0]), ("q", "plain", [0]), ("a", "end", "all")
)
"""Two steps ask a person, beside one that does not."""


def rejecting(message: str) -> dict[str, Any]:
    """The answer that has another workflow planned."""
    return {"decisions": [{"type": "reject", "message": message}]}


def editing(workflow: Any) -> dict[str, Any]:
    """The answer that has `workflow`, an object, JSON or its text, run in place of the planned one."""
    action = {"name": "run_workflow", "args": {"workflow": workflow}}
    return {"decisions": [{"type": "edit", "edited_action": action}]}


class Paying(Recorder):
    """A worker that pays for a call of a model, and remembers its tasks."""

    def __init__(self, name: str, reply: Any = None) -> None:
        super().__init__(name, reply)
        self.model = chat("said")

    def __call__(self, task: WorkerTask) -> str:
        self.model.invoke("x")
        return super().__call__(task)


def paid(*workers: Paying) -> int:
    return sum(len(worker.model.calls) for worker in workers)


def pool(*workers: Any) -> list[Worker]:
    return [Worker(worker.name, worker) for worker in workers]


def counted_once(heard: Heard, *workers: Paying) -> None:
    """Every paid call is counted, and none twice."""
    usage = heard.usage
    assert usage["total"]["calls"] == usage["workers"]["calls"] == paid(*workers)
    assert sum(used["calls"] for used in usage["by_worker"].values()) == paid(*workers)


def several(place: Any, saver: Any = None) -> Any:
    a, q = Paying("a"), Paying("q")
    p = Paying("p", lambda task: f"told {interrupt(task.subtask)}")
    planner = ScriptedPlanner(SIDE)
    return (a, p, q), planner, place(saver or InMemorySaver(), planner, pool(a, p, q))


def ids(heard: Heard) -> dict[Any, str]:
    """The ids of open interrupts, by what is asked."""
    return {one.value: one.id for one in heard.open}
