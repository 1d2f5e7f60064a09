"""What a worker gets, what it gives, and what is remembered of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import (
    Any,
    Literal,
    NotRequired,  # pydantic needs this one before Python 3.12
)

from langchain_core.messages import BaseMessage
from typing_extensions import TypedDict

Status = Literal["ok", "failed"]

ContentBlock = dict[str, Any]
"""A content block of a LangChain message, such as `{"type": "text", "text": ...}`."""


@dataclass(frozen=True, slots=True)
class StepOutput:
    """The output of one step, as steps that are granted it see it.

    Args:
        index: Position of the step in its workflow, from 0.
        worker: Name of the worker.
        subtask: What it was asked.
        text: What it answered; empty if it failed.
        status: `"ok"`, or `"failed"` if there is no usable answer.
        round: Number of its round, from 0, where it was granted out of an earlier one by itself.
    """

    index: int
    worker: str
    subtask: str
    text: str
    status: Status = "ok"
    round: int | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON, for a state channel."""
        found = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in found.items() if name != "round" or value is not None}


@dataclass(frozen=True, slots=True)
class WorkerTask:
    """All a worker is handed for one step.

    Args:
        question: The question, as content blocks.
        subtask: The instruction for this step.
        inputs: Outputs of the steps the access list grants, in order.
        previous: Outputs of the round before, if granted, or those chosen from earlier rounds; else empty.
        index: Position of the step in its workflow, from 0.
        round: Number of the round, from 0.
        is_final: Whether this is the last step, whose output is the answer.
        messages: The same as a prompt ready for a chat model; the worker's `instructions`, if it has some, come
            first, as a system message.
    """

    question: tuple[ContentBlock, ...]
    subtask: str
    inputs: tuple[StepOutput, ...]
    previous: tuple[StepOutput, ...]
    index: int
    round: int
    is_final: bool
    messages: tuple[BaseMessage, ...]


FailureKind = Literal["no_key", "unknown_model", "unreachable", "rate_limited", "timeout", "billing"]
"""Failures users can mend: a key missing or refused, a model the provider does not know, a server that cannot be
connected to, a limit of requests, no reply in time, an account out of credit."""


class ErrorRecord(TypedDict):
    """Why a call failed."""

    type: str
    """Name of the exception's class."""
    message: str
    infrastructure: bool
    """Whether an outage is to blame (network, limits, server) and not the model."""
    kind: NotRequired[FailureKind]
    """What kind of failure it is, if it is a common one."""
    limit: NotRequired[str]
    """Of a call the budget did not allow: which of its limits."""
    where: NotRequired[str]
    """Of a failure in the user's own code: file, line and function, such as `"app/team.py:12, in shout"`."""


class ToolRecord(TypedDict):
    """One call of a tool."""

    tool: str
    """Its name."""
    input: str
    """What it was given, as JSON, cut where it is long."""
    output: str
    """What it gave, cut where it is long; empty if it failed."""
    error: str
    """Why it failed, or empty."""
    started_at: float
    """Unix time."""
    seconds: float


class CallRecord(TypedDict):
    """One model call."""

    worker: str
    """The worker it was made for; empty if for the planner."""
    model: str
    """Name of the model, as it was asked for."""
    started_at: NotRequired[float]
    """Unix time; missing in records of earlier versions."""
    seconds: float
    usage: dict[str, Any]
    at_limit: NotRequired[bool]
    """Whether the reply reached its limit of output tokens, so that it is cut; missing if not."""


class WithheldRecord(TypedDict):
    """An attachment of the question that a model was not sent; its prompt says so."""

    attachment: str
    """Its name in prompts, such as `"image 1"`."""
    about: str
    """File name, MIME type and size, as far as they are known."""
    worker: str
    """Who was asked; empty if the planner."""
    reason: str
    """Why, such as `"the model reads no images, by its profile"`."""


class StepRecord(TypedDict):
    """What one step did and cost. What it was granted is named, not copied."""

    index: int
    worker: str
    subtask: str
    granted: list[list[int]]
    """(round, step) of every output it could read."""
    status: Status
    text: NotRequired[str]
    """Its output. Only in `rounds`; while the workflow runs, it lies in the step's own channel."""
    answered_by: str
    """The worker that was asked last: `worker`, or its fallback."""
    calls: int
    """Times a worker was tried, retries and the fallback included."""
    error: ErrorRecord | None
    usage: dict[str, Any]
    """`Usage.to_json()` of the step, retries and what was used before interrupts included."""
    model_calls: list[CallRecord]
    """Every model call that answered, agents' inner ones included."""
    tool_calls: NotRequired[list[ToolRecord]]
    """Every call of a tool, in the order they ended; missing if there was none."""
    note: NotRequired[str]
    """What is to be known of an output that is there: that its limit of output tokens cut it."""
    withheld: NotRequired[list[WithheldRecord]]
    """Attachments of the question that a worker that was asked was not sent; missing if there was none."""
    refusal: NotRequired[ErrorRecord]
    """Why no further call was made in the run, if its budget has ended by now."""
    edited: NotRequired[bool]
    """Whether a person wrote its output."""
    possibly_repeated: NotRequired[bool]
    """Whether the step was killed or cancelled while it ran, so that a call in flight may have been made, and
    paid, once more."""
    started_at: float
    """Unix time."""
    seconds: float


class Approval(TypedDict):
    """What a person said of the workflow of a round before it ran."""

    said: Literal["accept", "edit", "stop"]
    """`"stop"`: it was not run, and the run ended."""
    planned: NotRequired[dict[str, Any]]
    """The workflow as it was planned, where another one ran or none."""


class Rejected(TypedDict):
    """A workflow that a person had planned anew."""

    workflow: dict[str, Any]
    reason: str
    """What the person wants instead."""


class PlanRecord(TypedDict):
    """How a round was planned."""

    reached: str
    """`"unaided"`, `"schema"`, `"repair"`, `"fixed"` or `"fallback"`."""
    text: str
    """The planner's last reply."""
    attempts: list[dict[str, Any]]
    """Every reply: `mode`, `text`, `error`."""
    error: ErrorRecord | None
    """Why the fallback planned instead."""
    usage: dict[str, Any]
    model_calls: list[CallRecord]
    tool_calls: NotRequired[list[ToolRecord]]
    withheld: NotRequired[list[WithheldRecord]]
    """As in `StepRecord`, of the planner's model."""
    refusal: NotRequired[ErrorRecord]
    possibly_repeated: NotRequired[bool]
    """As in `StepRecord`."""
    started_at: NotRequired[float]
    """Unix time; missing in records of earlier versions."""
    rejected: NotRequired[list[Rejected]]
    """Workflows of this round that a person had planned anew, oldest first; their planning is counted here too."""
    approval: NotRequired[Approval]
    seconds: float


class RoundRecord(TypedDict):
    """One round: what was planned and what came of it."""

    round: int
    accepted: bool
    """Whether the planner kept the answer of the round before; then there are no steps."""
    workflow: dict[str, Any] | None
    """`Workflow.to_json()`."""
    plan: PlanRecord
    steps: list[StepRecord]
    answer: str
    """The last non-empty output, or `""` if every step failed."""
    final: bool
    """Whether no further planning is wanted."""
    stopped: NotRequired[str]
    """Why no further round was begun although one was wanted."""
    discarded: NotRequired[list[CallRecord]]
    """Model calls of steps that a person's edit made void, and in a round that is not over, of steps that are not;
    they were paid, and are in the usage."""
    is_answer: NotRequired[bool]
    """`False` if its output helps to find the answer, but is none."""
    wall_seconds: float
    """From the first step's start to the last one's end."""


def without_steps(number: int, plan: PlanRecord, *, accepted: bool) -> RoundRecord:
    """The record of a round in which nothing ran: the last one."""
    return {
        "round": number,
        "accepted": accepted,
        "workflow": None,
        "plan": plan,
        "steps": [],
        "answer": "",
        "final": True,
        "wall_seconds": 0.0,
    }


def latest_answered(rounds: Sequence[RoundRecord]) -> RoundRecord | None:
    """The latest round that gave an answer: what a planner is shown, `all` grants, and the run returns.

    If none was meant to, the latest one that said anything.
    """
    said = [record for record in rounds if record["answer"]]
    meant = [record for record in said if record.get("is_answer", True)]
    found = meant or said
    return found[-1] if found else None
