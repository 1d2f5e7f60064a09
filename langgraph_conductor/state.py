"""The channels of the three graphs. All hold JSON only, but `messages`."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

from langchain_core.messages import AnyMessage
from langgraph.channels import DeltaChannel
from langgraph.errors import InvalidUpdateError
from langgraph.graph.message import add_messages
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


def _newest(_: Any, writes: Sequence[Any]) -> Any:
    return writes[-1]


class Newest(DeltaChannel[Any]):
    """A channel with one writer that holds the newest value, and stores it once.

    LangGraph stores what a channel holds with every superstep that follows, in SQLite as often as in PostgreSQL
    with every write of it. What workers say is long, and is read back from where it was written instead.

    Args:
        reducer: Keeps the newest.
        typ: Of the value.
        snapshot_frequency: After how many writes it is stored with the superstep as well.
    """

    def __init__(
        self,
        reducer: Callable[[Any, Sequence[Any]], Any] = _newest,
        typ: type[Any] | None = None,
        *,
        snapshot_frequency: int = 1_000_000,
    ) -> None:
        super().__init__(reducer, typ, snapshot_frequency=snapshot_frequency)

    def from_checkpoint(self, checkpoint: Any) -> "Newest":
        """As it was; empty, and no empty list, before the first write."""
        found = super().from_checkpoint(checkpoint)
        if checkpoint is self.checkpoint():  # nothing is stored with a superstep
            found.value = checkpoint
        return found

    def update(self, values: Sequence[Any]) -> bool:
        """Take a write.

        Raises:
            InvalidUpdateError: If there are several at once.
        """
        if len(values) > 1:
            raise InvalidUpdateError(
                f"channel {self.key!r} has one writer, and was written {len(values)} times at once"
            )
        return super().update(values)


class ConductorInput(TypedDict, total=False):
    """What a conductor is given."""

    messages: Annotated[list[AnyMessage], add_messages]


class ConductorOutput(TypedDict, total=False):
    """What a conductor gives back."""

    messages: Annotated[list[AnyMessage], add_messages]
    """The conversation with one new AI message: the answer."""
    answer: Annotated[str, Newest()]
    rounds: Annotated[list[RoundRecord], Newest()]
    """What was planned and run, round by round."""
    usage: dict[str, Any]
    """Usage as JSON: of the `planner`, the `workers` and in `total`; `by_worker`, `by_round`; `wall_seconds`."""
    stopped: str
    """Why the run made no further call, if its budget ended it; else empty."""


class ConductorState(ConductorOutput, total=False):
    """All channels of a conductor."""

    question: list[ContentBlock]
    run: dict[str, Any]
    """The name of the run's ledger, and its budget."""


class Standing(TypedDict):
    """What is left of a workflow that a person edited while it ran."""

    steps: dict[str, Any]
    """By index: the `output` and `record` of each step that does not run again."""
    discarded: list[CallRecord]
    """The model calls of those that do."""


class RoundState(TypedDict, total=False):
    """All channels of one round."""

    question: list[ContentBlock]
    rounds: Annotated[list[RoundRecord], Newest()]
    """The rounds before; this one is added at its end."""
    run: dict[str, Any]
    workflow: dict[str, Any] | None
    """What is to be run; `None` if the earlier answer was accepted."""
    plan: PlanRecord
    stands: Standing
    """What a person's edit left of the steps that had run."""
    rejected: list[Rejected]
    """Workflows of this round that a person had planned anew."""
    final: bool
    is_answer: bool


class RoundInput(TypedDict, total=False):
    """What a round is given."""

    question: list[ContentBlock]
    rounds: list[RoundRecord]
    run: dict[str, Any]


class PlanInput(RoundInput, total=False):
    """What planning is given: a round's input, and what came of planning it before."""

    plan: PlanRecord
    rejected: list[Rejected]


class RoundOutput(TypedDict, total=False):
    """What a round gives back."""

    rounds: list[RoundRecord]
