"""Progress, as typed JSON events in LangGraph's `custom` stream.

    for event in conductor.stream(question, stream_mode="custom"):
        print(event["type"], event)

A conductor's events are in the stream of the graph it stands in: of its own, if it is called alone, or of the
graph it was added to (`add_conductor`). A conductor that is a subgraph, or works for another one, is heard by
those who ask for the streams of subgraphs (`subgraphs=True`).
"""

from typing import Any, Final, Literal

from typing_extensions import TypedDict

from langgraph_conductor.records import ErrorRecord, StepRecord

EVENT_VERSION: Final = 1
"""Grows with every change that a reader of events would notice; new types and new keys are none."""


class _Stamped(TypedDict, total=False):
    version: int
    """`EVENT_VERSION`; there in every event that is sent."""
    time: float
    """Unix time; there in every event that is sent."""


class PlanningStarted(_Stamped):
    """A round begins."""

    type: Literal["planning_started"]
    round: int


class WorkflowPlanned(_Stamped):
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


class WorkflowRejected(_Stamped):
    """A person did not let the workflow of a round run."""

    type: Literal["workflow_rejected"]
    round: int
    workflow: dict[str, Any]
    reason: str
    """What the person wants instead; may be empty."""
    again: bool
    """Whether another one is planned; else the run ends."""


class StepStarted(_Stamped):
    """A worker begins its subtask."""

    type: Literal["step_started"]
    round: int
    step: int
    worker: str
    subtask: str
    granted: list[list[int]]
    final: bool
    """Whether it is the last step, whose output is the answer."""


class Token(_Stamped):
    """A model has said a little more; told where the option `tokens` asks for it.

    What a model thinks aloud is not told. A step whose model does not stream tells its whole text at its end.
    """

    type: Literal["token"]
    round: int
    step: int | None
    """`None` for the planner."""
    worker: str
    """Empty for the planner."""
    text: str
    final: bool
    """Whether it is of the last step, whose output is the answer."""


class TokensRetracted(_Stamped):
    """All tokens that were told of a step, or of the planner, in this round so far are void; clear them.

    The call they came from failed and is repeated, or another worker is asked; or they were not the answer after
    all: thoughts, words before a tool call, an earlier try. What counts follows, if anything does: together, the
    tokens of a step since the last of these events are its text.
    """

    type: Literal["tokens_retracted"]
    round: int
    step: int | None
    """`None` for the planner."""
    worker: str
    """Empty for the planner."""
    final: bool
    """As in `Token`."""
    reason: Literal["failed", "replaced"]
    """Whether the call failed, or other text takes the place of what it said."""


class ToolStarted(_Stamped):
    """A worker, or the planner, calls a tool."""

    type: Literal["tool_started"]
    round: int
    step: int | None
    worker: str
    tool: str
    input: str
    """As in `ToolRecord`."""


class ToolFinished(_Stamped):
    """The tool is done."""

    type: Literal["tool_finished"]
    round: int
    step: int | None
    worker: str
    tool: str
    input: str
    output: str
    error: str
    seconds: float


class Fallback(_Stamped):
    """Somebody failed for good, and another is asked."""

    type: Literal["fallback"]
    round: int
    step: int | None
    """`None` if the planner failed."""
    worker: str
    """Who failed; empty for the planner."""
    instead: str
    """Who is asked; empty if the earlier answer is kept."""
    error: ErrorRecord


class StepFinished(_Stamped):
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


class BudgetTold(_Stamped):
    """What is left of the run's budget, after a plan or a step."""

    type: Literal["budget"]
    round: int
    left: dict[str, Any]
    """Of each limit there is: `usd` as text, `tokens`, `calls`, `seconds`."""
    refusal: ErrorRecord | None
    """Why no further call is made, once one was refused."""


class RoundFinished(_Stamped):
    """All steps of a round are done."""

    type: Literal["round_finished"]
    round: int
    answer: str


class Answered(_Stamped):
    """The run is over."""

    type: Literal["answer"]
    text: str
    rounds: int
    usage: dict[str, Any]
    """As in the conductor's result."""
    stopped: str
    """Why it ended before its time, or empty."""


Event = (
    PlanningStarted
    | WorkflowPlanned
    | WorkflowRejected
    | StepStarted
    | Token
    | TokensRetracted
    | ToolStarted
    | ToolFinished
    | Fallback
    | StepFinished
    | BudgetTold
    | RoundFinished
    | Answered
)


ConductorEvent = Event
"""Any event of a conductor; `event["type"]` tells type checkers which. The name to annotate with:
`event: ConductorEvent`."""


def step_finished(number: int, record: StepRecord, text: str) -> StepFinished:
    """What is told of a step that is over.

    Args:
        number: Its round.
        record: Its record.
        text: What it said.
    """
    return StepFinished(
        type="step_finished",
        round=number,
        step=record["index"],
        worker=record["worker"],
        answered_by=record["answered_by"],
        status=record["status"],
        text=text,
        error=record["error"],
        usage=record["usage"],
        seconds=record["seconds"],
    )
