"""How long the steps of a round took together, whatever became of the machine's clock meanwhile."""

from collections.abc import Sequence
from typing import Final

from langgraph_conductor.records import StepRecord

_SLACK: Final = 1.0
"""Seconds that may pass between steps, for LangGraph's own work."""


def wall_seconds(steps: Sequence[StepRecord], number: int) -> float:
    """Seconds from the first step's start to the last one's end.

    Starts are Unix time, since steps of a resumed run may have run in several processes, whose monotonic clocks do
    not compare; what each step took is from a monotonic clock. So starts are believed only as far as they fit: no
    round is shorter than its longest chain of steps, and none in which a step is always at work is longer than all
    of them one after another. Where they do not fit, since the clock was set or the run was paused (by a person's
    approval, a kill), it is the longest chain of steps.

    Args:
        steps: Records of the steps, in order; of a round that is not over, of those that are.
        number: Of their round.
    """
    if not steps:
        return 0.0
    ends: dict[int, float] = {}
    for position, step in enumerate(steps):
        reads = (ends.get(i, 0.0) for of, i in step.get("granted", ()) if of == number)
        ends[step.get("index", position)] = max(reads, default=0.0) + step["seconds"]
    began = min(step["started_at"] for step in steps)
    told = max(step["started_at"] + step["seconds"] for step in steps) - began
    least, most = max(ends.values()), sum(step["seconds"] for step in steps) + _SLACK
    return told if least <= told <= most else least
