"""Progress, as typed JSON events in LangGraph's `custom` stream.

    for namespace, event in conductor.stream(..., stream_mode="custom", subgraphs=True):
        print(event["type"], event)

Events come from inside the conductor's subgraphs, so `subgraphs=True` is needed to see them.
"""

from typing import Any, Literal

from typing_extensions import TypedDict

from langgraph_conductor.records import ErrorRecord


class WorkflowPlanned(TypedDict):
    """A round has its workflow; no worker has run for it yet."""

    type: Literal["workflow_planned"]
    round: int
    workflow: dict[str, Any] | None
    """`None` if the earlier answer was accepted."""
    reached: str
    """How: see `PlanRecord.reached`."""
    error: ErrorRecord | None
    """Why the fallback planned instead."""
    usage: dict[str, Any]
    seconds: float


class WorkflowRejected(TypedDict):
    """A person did not let the workflow of a round run."""

    type: Literal["workflow_rejected"]
    round: int
    workflow: dict[str, Any]
    reason: str
    """What the person wants instead; may be empty."""
    again: bool
    """Whether another one is planned; else the run ends."""


class StepStarted(TypedDict):
    """A worker begins its subtask."""

    type: Literal["step_started"]
    round: int
    step: int
    worker: str
    subtask: str
    granted: list[list[int]]


class StepFinished(TypedDict):
    """A worker is done."""

    type: Literal["step_finished"]
    round: int
    step: int
    worker: str
    answered_by: str
    """The worker that was asked last: `worker`, or its fallback."""
    status: str
    text: str
    error: ErrorRecord | None
    usage: dict[str, Any]
    seconds: float


class RoundFinished(TypedDict):
    """All steps of a round are done."""

    type: Literal["round_finished"]
    round: int
    answer: str


Event = WorkflowPlanned | WorkflowRejected | StepStarted | StepFinished | RoundFinished
