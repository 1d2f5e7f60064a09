"""What a run has done so far, folded from its events; and the same as one plain line an event.

progress = Progress()
for event in conductor.stream(..., stream_mode="custom"):
    progress = progress.after(event, time.monotonic())
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from langgraph_conductor.display.words import REACHED, short, spent, why
from langgraph_conductor.events import (
    Event,
    Fallback,
    RoundFinished,
    StepFinished,
    StepStarted,
    Token,
    TokensRetracted,
    ToolFinished,
    ToolStarted,
    WorkflowPlanned,
)
from langgraph_conductor.usage import Usage
from langgraph_conductor.workflow import Workflow

_WIDTH = 200
_SAYING = 1_000

StepState = Literal["waiting", "running", "done", "failed"]


@dataclass(frozen=True, slots=True)
class StepProgress:
    """One step so far.

    Args:
        worker: Name of the worker.
        subtask: What it is asked.
        reads: Positions of the steps it may read.
        state: Where it stands.
        began: The clock at its start.
        seconds: How long it took, once it is over.
        usage: What it used, once it is over.
        note: What else is to be said: why it failed, or who answered instead.
        final: Whether its output is the answer; told once it runs.
        doing: While it runs: the end of what it has said so far, or the tool it calls.
    """

    worker: str
    subtask: str
    reads: tuple[int, ...] = ()
    state: StepState = "waiting"
    began: float = 0.0
    seconds: float = 0.0
    usage: Usage = field(default_factory=Usage)
    note: str = ""
    final: bool = False
    doing: str = ""


@dataclass(frozen=True, slots=True)
class RoundProgress:
    """One round so far.

    Args:
        planned: How it was planned.
        seconds: How long planning took.
        usage: What planning used.
        failure: Why the planner failed, if it did.
        accepted: Whether the earlier answer was kept.
        steps: Its steps.
        over: Whether all of them are.
    """

    planned: str
    seconds: float
    usage: Usage
    failure: str
    accepted: bool
    steps: tuple[StepProgress, ...]
    over: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """A run so far.

    Args:
        began: The clock at the start of what is going on now, if that is planning.
        rounds: Its rounds, the last of which may still run.
    """

    began: float = 0.0
    rounds: tuple[RoundProgress, ...] = ()

    @property
    def planning(self) -> bool:
        """Whether the next round is being planned, or the run is over."""
        return not self.rounds or self.rounds[-1].over

    @property
    def usage(self) -> Usage:
        """What all calls that are over used."""
        steps = (step.usage for part in self.rounds for step in part.steps)
        return sum(steps, sum((part.usage for part in self.rounds), Usage()))

    def after(self, event: Event, now: float) -> "Progress":
        """The run after one more event.

        Args:
            event: The event.
            now: The clock, in seconds.
        """
        if event["type"] == "workflow_planned":
            return replace(self, rounds=(*self.rounds, _planned(event)))
        if not self.rounds:  # a resumed run does not plan again
            return self
        *before, current = self.rounds
        if event["type"] == "workflow_rejected":
            return replace(self, began=now, rounds=tuple(before))
        if event["type"] == "round_finished":
            return replace(self, began=now, rounds=(*before, replace(current, over=True)))
        if (
            event["type"] != "step_started"
            and event["type"] != "step_finished"
            and event["type"] != "token"
            and event["type"] != "tokens_retracted"
            and event["type"] != "tool_started"
            and event["type"] != "tool_finished"
        ):
            return self
        if event["step"] is None:  # the planner
            return self
        steps = list(current.steps)
        if event["type"] == "step_started":
            # A person may have made it another workflow than was planned, of more steps or fewer.
            steps += [StepProgress("", "")] * (event["step"] + 1 - len(steps))
            steps = steps[: event["step"] + 1] if event["final"] else steps
        if event["step"] >= len(steps):  # a resumed run
            return self
        steps[event["step"]] = _after(steps[event["step"]], event, now)
        return replace(self, rounds=(*before, replace(current, steps=tuple(steps))))


def _planned(event: WorkflowPlanned) -> RoundProgress:
    workflow = Workflow.from_json(event["workflow"]) if event["workflow"] else None
    steps = enumerate(workflow.steps) if workflow else ()
    return RoundProgress(
        planned=REACHED.get(event["reached"], event["reached"]),
        seconds=event["seconds"],
        usage=Usage.from_json(event["usage"]),
        failure=why(event["error"], _WIDTH) if event["error"] else "",
        accepted=workflow is None,
        steps=tuple(
            StepProgress(step.worker, step.subtask, workflow.reads(i)) for i, step in steps if workflow
        ),
        over=workflow is None,
    )


def _after(
    step: StepProgress,
    event: StepStarted | StepFinished | Token | TokensRetracted | ToolStarted | ToolFinished,
    now: float,
) -> StepProgress:
    match event["type"]:
        case "step_started":
            return replace(
                step,
                worker=event["worker"],
                subtask=event["subtask"],
                state="running",
                began=now,
                final=event["final"],
                doing="",
            )
        case "token":
            return replace(step, doing=(step.doing + event["text"])[-_SAYING:])
        case "tool_started":
            return replace(step, doing=f"{_tool(event)}({short(event['input'], _WIDTH)})")
        case "tool_finished" | "tokens_retracted":
            return replace(step, doing="")
        case "step_finished":
            return replace(
                step,
                state="done" if event["status"] == "ok" else "failed",
                seconds=event["seconds"],
                usage=Usage.from_json(event["usage"]),
                note=_note(event),
                doing="",
            )


def _note(event: StepFinished) -> str:
    if event["error"] is None:
        return ""
    reason = why(event["error"], _WIDTH)
    return f"{event['answered_by']} answered, because: {reason}" if event["status"] == "ok" else reason


def line(event: Event) -> str:
    """One event on one plain line; nothing of those that would only make it longer."""
    match event["type"]:
        case "workflow_planned":
            return _planned_line(event)
        case "round_finished":
            return _round_line(event)
        case "workflow_rejected":
            then = "another one is planned" if event["again"] else "the run ends"
            said = f": {short(event['reason'], _WIDTH)}" if event["reason"] else ""
            return f"round {event['round']}: a person did not let the workflow run, {then}{said}"
        case "step_started":
            return f"{_where(event)}: started: {short(event['subtask'], _WIDTH)}"
        case "step_finished":
            state = "done" if event["status"] == "ok" else "failed"
            note = _note(event)
            cost = spent(Usage.from_json(event["usage"]), event["seconds"])
            return f"{_where(event)}: {state}, {cost}{f': {note}' if note else ''}"
        case "tool_finished":
            told = f"failed: {event['error']}" if event["error"] else f"{event['seconds']:.1f} s"
            return (
                f"{_where(event)}: {_tool(event)}({short(event['input'], _WIDTH)}): {short(told, _WIDTH)}"
            )
        case "fallback" if event["step"] is not None:
            return f"{_where(event)}: {event['instead']} is asked instead: {why(event['error'], _WIDTH)}"
        case "budget" if event["refusal"]:
            return f"round {event['round']}: {why(event['refusal'], _WIDTH)}"
    return ""


def _tool(event: ToolStarted | ToolFinished) -> str:
    """The name of a tool, which somebody's MCP server may have chosen."""
    return short(event["tool"], _WIDTH)


def _where(event: StepStarted | StepFinished | ToolFinished | Fallback) -> str:
    if event["step"] is None:
        return f"round {event['round']}, planner"
    return f"round {event['round']}, step {event['step']} ({event['worker']})"


def _planned_line(event: WorkflowPlanned) -> str:
    now = _planned(event)
    if now.accepted:
        what = "the earlier answer is kept"
    else:
        what = f"{len(now.steps)} step{'' if len(now.steps) == 1 else 's'}"
    failure = f": {now.failure}" if now.failure else ""
    cost = f", {spent(now.usage, now.seconds)}" if now.usage.calls else ""
    return f"round {event['round']}: {what}, {now.planned}{cost}{failure}"


def _round_line(event: RoundFinished) -> str:
    return f"round {event['round']}: " + ("answered" if event["answer"] else "no step gave an answer")
