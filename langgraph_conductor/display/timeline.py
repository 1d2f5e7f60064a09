"""When the steps of a run ran: bars on one axis of time, long pauses of the whole run cut short."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from langgraph_conductor.records import RoundRecord

_LONGEST_PAUSE: Final = 0.1
"""Of the time that anything ran: how much of the axis a pause may take."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One step in time.

    Args:
        round: Its round.
        step: Its position in it.
        worker: Name of the worker.
        ok: Whether it has an answer.
        begin: Seconds from the left end of the axis.
        seconds: How long it took.
        calls: Model calls that answered.
        call_seconds: How long these took, added up; they may have run side by side.
    """

    round: int
    step: int
    worker: str
    ok: bool
    begin: float
    seconds: float
    calls: int
    call_seconds: float


@dataclass(frozen=True, slots=True)
class Pause:
    """A time in which no step ran and that is drawn shorter than it was.

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
        bars: In the order they began.
        pauses: What was cut short: planning, or a run that waited to be resumed.
        length: Seconds from the left end of the axis to the right one.
    """

    bars: tuple[Bar, ...]
    pauses: tuple[Pause, ...]
    length: float


def timeline(rounds: Iterable[RoundRecord]) -> Timeline:
    """The steps of a run over time, as far as they are recorded.

    Args:
        rounds: Records of rounds.
    """
    told = [(record["round"], step) for record in rounds for step in record["steps"]]
    told.sort(key=lambda one: (one[1]["started_at"], one[0], one[1]["index"]))
    spans = _joined([(step["started_at"], max(0.0, step["seconds"])) for _, step in told])
    longest = _LONGEST_PAUSE * sum(end - begin for begin, end in spans)
    shifts, pauses, moved = [], [], spans[0][0] if spans else 0.0
    for n, (begin, _) in enumerate(spans):
        idle = begin - spans[n - 1][1] if n else 0.0
        if idle > longest:
            moved += idle - longest
            pauses.append(Pause(begin - moved - longest / 2, idle))
        shifts.append((begin, moved))
    bars = [
        Bar(
            round=number,
            step=step["index"],
            worker=step["worker"],
            ok=step["status"] == "ok",
            begin=step["started_at"] - max(shift for shift in shifts if shift[0] <= step["started_at"])[1],
            seconds=max(0.0, step["seconds"]),
            calls=len(step["model_calls"]),
            call_seconds=sum(call["seconds"] for call in step["model_calls"]),
        )
        for number, step in told
    ]
    return Timeline(tuple(bars), tuple(pauses), max((bar.begin + bar.seconds for bar in bars), default=0.0))


def _joined(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """From beginnings and lengths, in order: the times in which anything ran, as beginnings and ends."""
    joined: list[tuple[float, float]] = []
    for begin, seconds in spans:
        if joined and begin <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], begin + seconds)
        else:
            joined.append((begin, begin + seconds))
    return joined
