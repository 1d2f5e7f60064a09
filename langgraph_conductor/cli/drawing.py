"""`langgraph-conductor draw`: a workflow as Mermaid text, read from a file or planned now."""

from collections.abc import Mapping
from typing import Any

from langgraph_conductor import (
    BudgetExceededError,
    PlanError,
    Worker,
    WorkerError,
    Workflow,
    parse_workflow,
)
from langgraph_conductor.cli.streams import read_stdin
from langgraph_conductor.config import ConductorConfig
from langgraph_conductor.text_files import read_json, read_text

_MOST_STEPS = 1000


def read_workflow(name: str) -> Workflow:
    """The workflow in a file: its JSON, the output of `ask --json`, or a planner's text.

    Args:
        name: The file, or `-` for stdin.

    Raises:
        PlanError: If there is none.
    """
    text = read_stdin() if name == "-" else read_text(name)
    try:
        data = read_json(text)
    except ValueError:
        data = None
    if isinstance(data, Mapping):
        if "rounds" in data:
            return Workflow.from_json(_of_answer(data["rounds"]))
        if isinstance(data.get("workflow"), Mapping):
            return Workflow.from_json(data["workflow"])
    read = parse_workflow(text, None, max_steps=_MOST_STEPS)
    if not isinstance(read, Workflow):
        raise PlanError("there is no workflow to draw")
    return read


def _of_answer(rounds: Any) -> Any:
    """The workflow of the latest round that gave an answer, else the latest one."""
    listed = rounds if isinstance(rounds, list) else []
    with_one = [r for r in listed if isinstance(r, Mapping) and r.get("workflow")]
    if not with_one:
        raise PlanError("no round of this output has a workflow")
    answered = [r for r in with_one if r.get("answer")]
    return (answered or with_one)[-1]["workflow"]


def planned(config: ConductorConfig, question: str) -> Workflow:
    """The workflow planned for a question; no worker is called.

    Raises:
        WorkerError: If the planner failed.
        BudgetExceededError: If the budget did not allow it to be asked.
    """
    # The planner sees the same workers, under the same budget, but they answer at no cost.
    stand_ins = [
        Worker(
            worker.name,
            lambda task: "not asked",
            description=worker.description,
            tags=sorted(worker.tags),
            price=worker.prices or None,
            may_be_last=worker.may_be_last,
        )
        for worker in config.workers
    ]
    conductor = config.build(workers=stand_ins, max_rounds=1)
    record = conductor.invoke({"messages": [{"role": "user", "content": question}]})["rounds"][0]
    if error := record["plan"]["error"]:
        why = f"planning failed: {error['type']}: {error['message']}"
        if "limit" in error:
            raise BudgetExceededError(why, limit=error["limit"])
        raise WorkerError(why, errors=[error])
    return Workflow.from_json(record["workflow"] or {})
