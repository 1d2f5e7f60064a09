"""What an evaluation found: every episode of every strategy."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, Literal

from langgraph_conductor.episodes import Episode
from langgraph_conductor.errors import ConfigError
from langgraph_conductor.rewards import Task
from langgraph_conductor.text_files import read_json, read_text, write_private

Kind = Literal["single", "floor", "fixed", "planner", "ceiling"]
"""`single`: one worker alone. `floor`: random. `fixed`: hand-written. `planner`: plans per question. `ceiling`:
an oracle that looks at the scores, which no system can reach."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one strategy did.

    Args:
        strategy: Its name, such as `"single(coder)"` or `"described, 2 rounds"`.
        kind: What sort of strategy it is.
        episodes: By id of the task, one episode for each sample, in order.
        note: A sentence on how it was made, such as how a size was chosen.
    """

    strategy: str
    kind: Kind
    episodes: Mapping[str, tuple[Episode, ...]]
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        episodes = {task: [episode.to_json() for episode in many] for task, many in self.episodes.items()}
        return {"strategy": self.strategy, "kind": self.kind, "note": self.note, "episodes": episodes}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Outcome":
        """The inverse of `to_json`."""
        episodes = {
            task: tuple(Episode.from_json(one) for one in many) for task, many in data["episodes"].items()
        }
        return cls(data["strategy"], data["kind"], episodes, data.get("note", ""))


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluation found.

    Args:
        suite: Name of the suite.
        split: Which part of it.
        tasks: The tasks that were asked, in order.
        outcomes: What each strategy did, in the order of the report.
        reference: Name of the strategy the others are compared with: the single worker that was best on
            the *training* split, so that it is not chosen by what is reported.
        comparisons: Further pairs of names (`a`, `b`) to be compared.
        about: What else a reader needs to repeat it: versions, seeds, date, options.
        complete: Whether every strategy was asked every task; `False` if a limit ended it early.
    """

    suite: str
    split: str
    tasks: tuple[Task, ...]
    outcomes: tuple[Outcome, ...]
    reference: str = ""
    comparisons: tuple[tuple[str, str], ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    complete: bool = True

    def outcome(self, strategy: str) -> Outcome:
        """The outcome of one strategy.

        Raises:
            KeyError: If there is none of that name.
        """
        for outcome in self.outcomes:
            if outcome.strategy == strategy:
                return outcome
        known = ", ".join(outcome.strategy for outcome in self.outcomes)
        raise KeyError(f"there is no strategy {strategy!r} in this evaluation; there are {known}")

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "suite": self.suite,
            "split": self.split,
            "tasks": [task.to_json() for task in self.tasks],
            "outcomes": [outcome.to_json() for outcome in self.outcomes],
            "reference": self.reference,
            "comparisons": [list(pair) for pair in self.comparisons],
            "about": dict(self.about),
            "complete": self.complete,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Evaluation":
        """The inverse of `to_json`."""
        return cls(
            data["suite"],
            data["split"],
            tuple(Task.from_json(task) for task in data["tasks"]),
            tuple(Outcome.from_json(outcome) for outcome in data["outcomes"]),
            data["reference"],
            tuple((a, b) for a, b in data["comparisons"]),
            data["about"],
            data["complete"],
        )

    def save(self, path: str | PathLike[str]) -> None:
        """Write it as one JSON file, a new one for its owner alone."""
        write_private(path, json.dumps(self.to_json(), ensure_ascii=False))

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "Evaluation":
        """Read what `save` wrote.

        Raises:
            OSError: If the file cannot be read.
            ConfigError: If it holds something else.
        """
        try:
            return cls.from_json(read_json(read_text(path)))
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise ConfigError(
                f"{path}: is no evaluation, or damaged: {type(error).__name__}: {error}"
            ) from error
