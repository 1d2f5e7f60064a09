"""What a planner is asked and what it returns."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, Protocol, runtime_checkable
from weakref import ReferenceType, ref

from langchain_core.messages import BaseMessage

from langgraph_conductor.budget import BudgetLeft
from langgraph_conductor.dialect import ACCEPT, Accept
from langgraph_conductor.errors import PlanError
from langgraph_conductor.records import ContentBlock, RoundRecord, WithheldRecord, latest_answered
from langgraph_conductor.usage import Usage
from langgraph_conductor.workers import WorkerPool
from langgraph_conductor.workers.composed import is_configurable, models_in
from langgraph_conductor.workers.held_keys import held_keys
from langgraph_conductor.workers.known_secrets import with_environment
from langgraph_conductor.workflow import Workflow

Reached = Literal["unaided", "schema", "repair", "fixed"]


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What a planner is asked.

    Args:
        question: The question, as content blocks.
        pool: The workers it may choose from, as offered.
        max_steps: Most steps of a workflow read from text.
        rounds: The rounds so far, oldest first; empty in the first.
        budget: What is left of the run's budget, if it has one.
        rounds_left: Most rounds there can be from here on, this one counted, if that is known.
        rejected: Workflows of this round that a person did not let run, and what is wanted instead.
    """

    question: tuple[ContentBlock, ...]
    pool: WorkerPool
    max_steps: int = 5
    rounds: tuple[RoundRecord, ...] = ()
    budget: BudgetLeft | None = None
    rejected: tuple[tuple[Workflow, str], ...] = ()
    rounds_left: int | None = None

    @property
    def may_accept(self) -> bool:
        """Whether there is an earlier answer to accept."""
        return self.previous is not None

    @property
    def previous(self) -> RoundRecord | None:
        """The latest round that gave an answer."""
        return latest_answered(self.rounds)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One reply of a planner.

    Args:
        mode: `"text"` (plain text was asked for) or `"schema"` (decoding was bound to a JSON schema).
        text: The reply.
        error: Why it could not be used; empty if it could.
    """

    mode: Literal["text", "schema"]
    text: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a planner returns: a workflow, or that the earlier answer stands.

    Args:
        workflow: What is to be run, or `ACCEPT`.
        reached: How: by the first plain reply (`"unaided"`), the first reply under a schema
            (`"schema"`), a later reply (`"repair"`), or without a model (`"fixed"`).
        text: The reply it was read from.
        messages: The prompt that was sent.
        attempts: Every reply, the last one being `text`.
        usage: Use of the planner's model. Calls of LangChain models are counted by the conductor
            itself; this is for planners that call something else, and the two are never added.
        final: Whether no further planner call is wanted after this round.
        withheld: Attachments of the question that the planner's model was not sent.
    """

    workflow: Workflow | Accept
    reached: Reached = "fixed"
    text: str = ""
    messages: tuple[BaseMessage, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    usage: Usage = field(default_factory=Usage)
    final: bool = False
    withheld: tuple[WithheldRecord, ...] = ()

    def __post_init__(self) -> None:
        typed = {"text": str, "usage": Usage, "attempts": tuple}
        for name, kind in typed.items():
            if not isinstance(getattr(self, name), kind):
                raise TypeError(f"Plan.{name} must be {kind.__name__}, not {getattr(self, name)!r:.80}")
        if not all(isinstance(attempt, Attempt) for attempt in self.attempts):
            raise TypeError("Plan.attempts must hold Attempt objects")

    @property
    def accept(self) -> bool:
        """Whether the earlier answer stands."""
        return self.workflow is ACCEPT


class PlanningError(PlanError):
    """No reply of the planner could be used.

    Attributes:
        attempts: Every reply and what was wrong with it.
        usage: What they used.
    """

    def __init__(self, last: PlanError, attempts: tuple[Attempt, ...], usage: Usage) -> None:
        super().__init__(last.reason, step=last.step, text=last.text)
        self.attempts = attempts
        self.usage = usage


@runtime_checkable
class Planner(Protocol):
    """Anything that plans. Implement both methods; `aplan` may call `plan`.

    A planner that knows beforehand which workers it will name may also have `check(pool)`, which
    raises `PlanError`: then a conductor that could never work is refused when it is built. One whose
    model costs money may have `prices` (see `prices.price_table`) and `model`, a chat model. One whose
    workflows may only help to find the answer may have `is_answer(workflow)`, which says whether what a
    workflow ends with is one; a person's edit is put to it, too.
    """

    def plan(self, request: PlanRequest) -> Plan:
        """Plan one round.

        Raises:
            PlanError: If no usable plan came out; the conductor then falls back to one worker.
        """
        ...

    async def aplan(self, request: PlanRequest) -> Plan:
        """`plan`, awaited."""
        ...


class _Searched(NamedTuple):
    """What was found in a planner, and how often it was looked through."""

    planner: ReferenceType[Any]
    model: Any
    held: tuple[str, ...]
    times: int


_SEARCHED: Final[dict[int, _Searched]] = {}


def secrets_of_planner(planner: Any, *, planned: bool = False, failed: bool = False) -> tuple[str, ...]:
    """The keys that a planner and its models hold.

    To look through all that a planner refers to takes a tenth of a second, so it is done before its first plan and
    after it, since its clients may be made with that, and of others only where one fails.

    Args:
        planner: The planner.
        planned: Whether it has made a plan.
        failed: Whether an error of it is told.
    """
    model = getattr(planner, "model", None)
    before = _SEARCHED.get(id(planner))
    if before is None or before.planner() is not planner or before.model is not model:
        before = None
    times = before.times if before else 0
    if before and not failed and times >= 1 + planned:
        return with_environment(before.held)
    held = tuple(held_keys(planner, model, *models_in(model)))
    with suppress(TypeError):  # nothing can refer to it weakly
        place, searched = id(planner), _SEARCHED
        forget = ref(planner, lambda _: searched.pop(place, None))
        _SEARCHED[place] = _Searched(forget, model, held, times + 1)
    return with_environment(held)


def planner_of(planner: Any) -> Planner:
    """`planner` itself, or a `ChatPlanner` over the model it names, is or is composed of.

    Raises:
        TypeError: If it is neither.
    """
    from langgraph_conductor.planners.chat import ChatPlanner

    # To ask a configurable model what it can do is to make the model, which may be possible only for a call.
    if not is_configurable(planner) and isinstance(planner, Planner) and not isinstance(planner, type):
        return planner
    return ChatPlanner(planner)
