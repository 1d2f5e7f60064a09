"""What stands of a workflow that was begun, when a person puts another one or other outputs in its place."""

import time
from collections.abc import Mapping
from typing import Any

from langgraph_conductor.graph.left import Done
from langgraph_conductor.records import StepOutput, StepRecord
from langgraph_conductor.state import Standing
from langgraph_conductor.usage import Usage
from langgraph_conductor.workflow import Workflow


def standing(
    done: Done, was: Workflow, now: Workflow | None, outputs: Mapping[int, str] | None = None
) -> Standing:
    """What stands of `was` in `now`: the steps that are the same, and read the same.

    Args:
        done: What had run of the workflow that was, or stood already.
        was: It.
        now: What takes its place; `None` if that is to be planned.
        outputs: A person's texts in place of what steps have said, by index.
    """
    outputs = outputs or {}
    steps: dict[str, Any] = {}
    same, kept = set[int](), set[int]()  # steps with the output they had; with the record they had
    for index, step in enumerate(now.steps if now else ()):
        stood = done.steps.get(index)
        if stood and now and _alike(was, now, index, stood["record"]) and same.issuperset(now.reads(index)):
            steps[str(index)] = stood
            same.add(index)
            kept.add(index)
        if index in outputs:
            said = StepOutput(index, step.worker, step.subtask, outputs[index], "ok").to_json()
            record = stood["record"] if stood and index in kept else by_hand(index, said)
            steps[str(index)] = {"output": said, "record": _mended(record)}
            same.discard(index)
    void = [stood["record"] for index, stood in done.steps.items() if index not in kept]
    calls = [call for record in void for call in record["model_calls"]]
    return {"steps": steps, "discarded": [*done.calls, *calls]}


def _alike(was: Workflow, now: Workflow, index: int, record: StepRecord) -> bool:
    """Whether a step is the same; as the last one too, since a worker is told so, and answers otherwise."""
    ends = [index == len(workflow.steps) - 1 for workflow in (was, now)]
    same_end = ends[0] == ends[1] or record.get("edited", False)
    return was.steps[index : index + 1] == now.steps[index : index + 1] and same_end


def _mended(record: StepRecord) -> StepRecord:
    """The record of a step that failed no more."""
    mended: StepRecord = {**record, "status": "ok", "error": None, "edited": True}
    mended.pop("refusal", None)
    return mended


def by_hand(index: int, output: Mapping[str, Any]) -> StepRecord:
    """The record of a step whose output a person wrote before it had one."""
    return {
        "index": index,
        "worker": output["worker"],
        "answered_by": output["worker"],
        "subtask": output["subtask"],
        "granted": [],
        "status": output["status"],
        "calls": 0,
        "error": None,
        "usage": Usage().to_json() | {"busy_seconds": 0.0},
        "model_calls": [],
        "started_at": time.time(),
        "seconds": 0.0,
        "edited": True,
    }
