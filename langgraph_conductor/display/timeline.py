"""When the parts of a run ran: bars on one axis of time, long pauses of the whole run cut short."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from langgraph_conductor.records import CallRecord, PlanRecord, RoundRecord, StepRecord, ToolRecord

_LONGEST_PAUSE: Final = 0.1
"""Of the time that anything ran: how much of the axis a pause may take."""

Span = tuple[float, float]
"""Where something begins, and how many seconds it takes."""


@dataclass(frozen=True, slots=True)
class Bar:
    """Planning, a step or a tool call in time.

    Args:
        kind: Which of them.
        round: Its round.
        step: The step's position in it; `None` for planning and its tools.
        name: Of the worker or the tool; empty for planning.
        ok: Whether it did not fail.
        begin: Seconds from the left end of the axis.
        seconds: How long it took.
        spans: The model calls in it of which it is known when they began.
        calls: Model calls that answered.
        call_seconds: How long these took, added up; they may have run side by side.
        tools: Calls of tools.
        repeated: Whether a call of it may have been made twice.
    """

    kind: Literal["plan", "step", "tool"]
    round: int
    step: int | None
    name: str
    ok: bool
    begin: float
    seconds: float
    spans: tuple[Span, ...] = ()
    calls: int = 0
    call_seconds: float = 0.0
    tools: int = 0
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """A time in which nothing ran and that is drawn shorter than it was.

    Args:
        at: Seconds from the left end of the axis to its middle.
        seconds: How long it was.
    """

    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """The bars of a run.

    Args:
        bars: In the order they began, tools after the step or planning that called them.
        pauses: What was cut short: a run that waited for a person, or to be resumed.
        length: Seconds from the left end of the axis to the right one.
    """

    bars: tuple[Bar, ...]
    pauses: tuple[Pause, ...]
    length: float


def timeline(rounds: Iterable[RoundRecord]) -> Timeline:
    """Planning, steps and tools of a run over time, as far as they are recorded.

    Args:
        rounds: Records of rounds. Planning in records of earlier versions does not tell when it began, and is left
            out.
    """
    groups = sorted(
        (group for record in rounds for group in _groups(record)),
        key=lambda group: (group[0].begin, group[0].round, -1 if group[0].step is None else group[0].step),
    )
    bars = [bar for group in groups for bar in group]
    ran = _joined(sorted(span for bar in bars for span in ((bar.begin, bar.seconds), *bar.spans)))
    longest = _LONGEST_PAUSE * sum(end - begin for begin, end in ran)
    shifts, pauses, moved = [], [], ran[0][0] if ran else 0.0
    for n, (begin, _) in enumerate(ran):
        idle = begin - ran[n - 1][1] if n else 0.0
        if idle > longest:
            moved += idle - longest
            pauses.append(Pause(begin - moved - longest / 2, idle))
        shifts.append((begin, moved))

    def placed(at: float) -> float:
        return at - max(shift for shift in shifts if shift[0] <= at)[1]

    shown = tuple(
        replace(bar, begin=placed(bar.begin), spans=tuple((placed(at), took) for at, took in bar.spans))
        for bar in bars
    )
    ends = [begin + took for bar in shown for begin, took in ((bar.begin, bar.seconds), *bar.spans)]
    return Timeline(shown, tuple(pauses), max(ends, default=0.0))


def _groups(record: RoundRecord) -> Iterator[list[Bar]]:
    """Planning with its tools, if it is known when it began; then each step with its tools."""
    number, plan = record["round"], record["plan"]
    if plan.get("started_at"):
        yield [_bar(plan, number, None, "", ok=plan["error"] is None), *_tools(plan, number, None)]
    for step in record["steps"]:
        own = _bar(step, number, step["index"], step["worker"], ok=step["status"] == "ok")
        yield [own, *_tools(step, number, step["index"])]


def _bar(part: PlanRecord | StepRecord, number: int, step: int | None, name: str, *, ok: bool) -> Bar:
    return Bar(
        kind="plan" if step is None else "step",
        round=number,
        step=step,
        name=name,
        ok=ok,
        begin=part.get("started_at", 0.0),
        seconds=max(0.0, part["seconds"]),
        spans=tuple(_spans(part["model_calls"])),
        calls=len(part["model_calls"]),
        call_seconds=sum(call["seconds"] for call in part["model_calls"]),
        tools=len(part.get("tool_calls", ())),
        repeated=part.get("possibly_repeated", False),
    )


def _tools(part: PlanRecord | StepRecord, number: int, step: int | None) -> list[Bar]:
    def bar(tool: ToolRecord) -> Bar:
        seconds = max(0.0, tool["seconds"])
        return Bar("tool", number, step, tool["tool"], not tool["error"], tool["started_at"], seconds)

    return sorted(map(bar, part.get("tool_calls", ())), key=lambda tool: tool.begin)


def _spans(calls: Iterable[CallRecord]) -> Iterator[Span]:
    for call in calls:
        if began := call.get("started_at"):
            yield began, max(0.0, call["seconds"])


def _joined(spans: Sequence[Span]) -> list[tuple[float, float]]:
    """From beginnings and lengths, in order: the times in which anything ran, as beginnings and ends."""
    joined: list[tuple[float, float]] = []
    for begin, seconds in spans:
        if joined and begin <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], begin + seconds)
        else:
            joined.append((begin, begin + seconds))
    return joined
