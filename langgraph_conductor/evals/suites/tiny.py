"""The suite `"tiny"`: questions of seven skills, alone and in chains, small enough for the embedded pool.

The embedded specialists and their conductor learnt from its training split.
"""

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Final

from langgraph_conductor.evals.suites.suite import Split, Suite, split_of
from langgraph_conductor.evals.suites.tiny_questions import COMPOSED, HELD_OUT, SKILLS, questions
from langgraph_conductor.evals.suites.unsolvable import unsolvable
from langgraph_conductor.rewards import Task

NAME: Final = "tiny"
REVISION: Final = 2
"""Counts up when the questions change on purpose: figures of different revisions cannot be compared."""

_SINGLE: Final[Mapping[Split, int]] = {"train": 400, "validation": 12, "test": 16}
_COMPOSED: Final[Mapping[Split, int]] = {"train": 600, "validation": 16, "test": 20}
_HELD_OUT: Final[Mapping[Split, int]] = {"test": 20}
_FACTS: Final[Mapping[Split, int]] = {"train": 60, "validation": 12, "test": 16}
"""There are not as many capitals as numbers."""
_UNSOLVABLE: Final = 12


def tiny_suite() -> Suite:
    """Make the suite; it is the same each time and everywhere."""
    found: dict[str, list[Task]] = {"train": [], "validation": [], "test": []}
    for skill in SKILLS:
        _take(found, (skill,), _FACTS if skill == "smollm2" else _SINGLE)
    for pair in COMPOSED:
        _take(found, pair, _COMPOSED)
    for chain in HELD_OUT:
        _take(found, chain, _HELD_OUT, by_hash=False)
    hopeless = unsolvable(form="")
    found["test"] += [next(hopeless) for _ in range(_UNSOLVABLE)]
    # In the order of their hashes the first n of a split are a mixture of all.
    splits = {split: tuple(sorted(tasks, key=lambda task: task.id)) for split, tasks in found.items()}
    return Suite(
        NAME, splits, {"revision": REVISION, "held_out": ["+".join(skills) for skills in HELD_OUT]}
    )


def _take(
    found: Mapping[str, list[Task]],
    skills: Sequence[str],
    wanted: Mapping[Split, int],
    *,
    by_hash: bool = True,
) -> None:
    missing = dict(wanted)
    seen: set[str] = set()
    tasks = questions(skills)
    for _ in count():
        task = next(tasks)
        split: Split = split_of(task) if by_hash else "test"
        if missing.get(split) and task.question not in seen:
            seen.add(task.question)
            found[split].append(task)
            missing[split] -= 1
        if not any(missing.values()):
            return
