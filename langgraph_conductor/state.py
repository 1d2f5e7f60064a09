"""The channels of the three graphs. All hold JSON only, but `messages`."""

from collections.abc import Sequence
from typing import (
    Annotated,
    Any,
    Final,
    NotRequired,  # pydantic needs this one before Python 3.12
)

from langchain_core.messages import AnyMessage
from langgraph.channels import UntrackedValue
from langgraph.graph.message import add_messages
from langgraph.types import Interrupt
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from langgraph_conductor.records import CallRecord, ContentBlock, PlanRecord, Rejected, RoundRecord

QUESTION: Final = "question"
ROUND: Final = "round"
PREVIOUS: Final = "previous"


def spec_channel(index: int) -> str:
    """The channel with step `index`'s worker, subtask and access; read by that step alone."""
    return f"spec_{index}"


def out_channel(index: int) -> str:
    """The channel with step `index`'s output; read by the steps that are granted it."""
    return f"out_{index}"


def record_channel(index: int | str) -> str:
    """The channel with step `index`'s record; read by nobody inside the workflow."""
    return f"record_{index}"


def earlier_channel(index: int) -> str:
    """The channel with the outputs of earlier rounds that were chosen for step `index`; read by it alone."""
    return f"earlier_{index}"


def stands_channel(index: int) -> str:
    """The channel with the output and record that step `index` has from before an edit; it does not run then."""
    return f"stands_{index}"


def kept_channel(index: int | str) -> str:
    """Beside the channels: that step `index` was begun, and what it had done when it was left before its end."""
    return f"kept_{index}"


def newest(_: Any, new: Any) -> Any:
    """A reducer: what was written last."""
    return new


class ConductorInput(TypedDict, total=False):
    """What a conductor is given."""

    messages: Annotated[list[AnyMessage], add_messages]


class ConductorOutput(TypedDict, total=False):
    """What a conductor gives back."""

    messages: Annotated[list[AnyMessage], add_messages]
    """The conversation with one new AI message: the answer."""
    answer: str
    rounds: list[RoundRecord]
    """What was planned and run, round by round."""
    usage: dict[str, Any]
    """Usage as JSON: of the `planner`, the `workers` and in `total`; `by_worker`, `by_round`; `wall_seconds`."""
    stopped: str
    """Why the run made no further call, if its budget ended it; else empty."""


class RunUsage(TypedDict):
    """What a run used, each part as `Usage.to_json()`."""

    planner: dict[str, Any]
    workers: dict[str, Any]
    total: dict[str, Any]
    by_worker: dict[str, dict[str, Any]]
    """By the worker's name; the planner is not in it."""
    by_round: list[dict[str, Any]]
    wall_seconds: float


class ConductorResult(TypedDict):
    """What `invoke` and `ainvoke` of a conductor return when its run is over, as type checkers see it.

    A run that pauses for a person (`approve`, a tool's interrupt) returns `__interrupt__` and what there is.
    """

    messages: list[AnyMessage]
    """The conversation with one new AI message: the answer."""
    answer: str
    rounds: list[RoundRecord]
    """What was planned and run, round by round."""
    usage: RunUsage
    stopped: str
    """Why the run made no further call, if its budget ended it; else empty."""
    __interrupt__: NotRequired[Sequence[Interrupt]]
    """What a person is asked."""


class ConductorState(ConductorOutput, total=False):
    """All channels of a conductor."""

    question: list[ContentBlock]
    run: dict[str, Any]
    """What the run began with: see `ledgers.new_run`."""


class Standing(TypedDict):
    """What is left of a workflow that a person edited while it ran."""

    steps: dict[str, Any]
    """By index: the `output` and `record` of each step that does not run again."""
    discarded: list[CallRecord]
    """The model calls of those that do."""


class RoundInput(TypedDict, total=False):
    """What a round is given. The question and the rounds before are handed down beside it: `graph.run_context`."""

    run: dict[str, Any]
    round: int
    """Its number, from 0."""


class PlanInput(RoundInput, total=False):
    """What planning is given: a round's input, and what came of planning it before."""

    plan: PlanRecord
    rejected: list[Rejected]


class RoundState(PlanInput, total=False):
    """All channels of one round, and what it gives back."""

    workflow: dict[str, Any] | None
    """What is to be run; `None` if the earlier answer was accepted."""
    stands: Standing
    """What a person's edit left of the steps that had run."""
    final: bool
    is_answer: bool
    ran: str
    """The namespace of the workflow that ran, where its outputs are stored."""
    record: Annotated[RoundRecord, UntrackedValue]
    """The round as it is added to `rounds`, where it is stored; it is not stored here as well."""
