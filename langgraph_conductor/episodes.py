"""An episode: one question planned, run and graded once. Evaluation and training both go through here."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from langgraph_conductor.records import RoundRecord
from langgraph_conductor.usage import Usage


@dataclass(frozen=True, slots=True)
class Episode:
    """What became of one task.

    Args:
        task: Id of the task.
        answer: The answer; empty if there is none.
        score: 1.0 if it is right, 0.0 if not. `None` if the infrastructure failed: then nobody knows.
        valid: Whether every round was planned by the planner itself, so that no fallback took its place.
        reached: How the last round was planned, as in `PlanRecord`; `"invalid"` if a given plan text
            could not be used, and nothing was run.
        rounds: The records of its own rounds.
        planner: What the planner used.
        workers: What the workers used.
        wall_seconds: Seconds it takes if nothing has to queue: planning, and the longest chain of steps.
        seed: Which sample it is.
        infra: What failed, if the infrastructure did.
        error: Why there is no answer, if something else is to blame.
        stopped: Why the budget ended it, if it did.
    """

    task: str
    answer: str
    score: float | None
    valid: bool
    reached: str
    rounds: tuple[RoundRecord, ...] = ()
    planner: Usage = field(default_factory=Usage)
    workers: Usage = field(default_factory=Usage)
    wall_seconds: float = 0.0
    seed: int = 0
    infra: str = ""
    error: str = ""
    stopped: str = ""

    @property
    def usage(self) -> Usage:
        """What planner and workers used together."""
        return self.planner + self.workers

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        data = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            **data,
            "rounds": list(self.rounds),
            "planner": self.planner.to_json(),
            "workers": self.workers.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Episode":
        """The inverse of `to_json`."""
        used = {name: Usage.from_json(data[name]) for name in ("planner", "workers")}
        return cls(**{**data, **used, "rounds": tuple(data["rounds"])})
