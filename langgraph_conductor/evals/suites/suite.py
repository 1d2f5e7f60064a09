"""A suite: the tasks an evaluation asks, in three parts that share no question."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from langgraph_conductor.rewards import Task

Split = Literal["train", "validation", "test"]
"""`train`: to learn from. `validation`: to choose by. `test`: to report."""

SPLITS: tuple[Split, ...] = get_args(Split)

FORM = "Put the final answer, and nothing else, between <answer> and </answer>."
"""The last line of every question."""


@dataclass(frozen=True, slots=True, repr=False)
class Suite:
    """Tasks in three splits.

    Args:
        name: Its name, such as `"skills"`.
        splits: The tasks of each split, in order; a split that is left out is empty.
        about: What a reader needs to get the same tasks again: source, versions, seeds.

    Raises:
        ValueError: If a split has another name, or a question occurs twice.
    """

    name: str
    splits: Mapping[str, tuple[Task, ...]]
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.splits) - set(SPLITS))
        if unknown:
            raise ValueError(f"a suite has no split {unknown[0]!r}; its splits are {', '.join(SPLITS)}")
        seen: set[str] = set()
        for task in (task for tasks in self.splits.values() for task in tasks):
            if task.question in seen:
                raise ValueError(
                    f"a question occurs twice in the suite {self.name!r}: {task.question!r:.120}"
                )
            seen.add(task.question)

    def __repr__(self) -> str:
        counts = ", ".join(f"{split}: {len(tasks)} tasks" for split, tasks in self.splits.items())
        return f"<Suite {self.name!r}, {counts or 'no tasks'}>"

    def tasks(self, split: str) -> tuple[Task, ...]:
        """The tasks of one split, in order.

        Raises:
            ValueError: If there is no split of that name.
        """
        if split not in SPLITS:
            raise ValueError(f"there is no split {split!r}; there are {', '.join(SPLITS)}")
        return tuple(self.splits.get(split, ()))


def split_of(task: Task) -> Split:
    """The split of a question by its own hash: 60 % train, 20 % validation, 20 % test.

    It depends on nothing but the question's text, so that more or other questions move none.
    """
    return ("train", "train", "train", "validation", "test")[int(task.id, 16) % 5]


def in_splits(
    tasks: Iterable[Task], split: Callable[[Task], Split] = split_of
) -> dict[str, tuple[Task, ...]]:
    """The tasks by split, each in the order given."""
    found: dict[str, list[Task]] = {name: [] for name in SPLITS}
    for task in tasks:
        found[split(task)].append(task)
    return {name: tuple(some) for name, some in found.items()}


def take(found: dict[str, Task], count: int, tasks: Iterable[Task]) -> None:
    """Add the next `count` tasks whose questions are new; no answer is that of more than an eighth of them.

    So guessing what is often right does not pay.

    Args:
        found: The tasks by question; more are put in.
        count: How many, at least 8.
        tasks: Where they are from.

    Raises:
        RuntimeError: If there are too few.
    """
    answers: Counter[str] = Counter()
    for task in tasks:
        if task.question not in found and answers[task.answer] < count // 8:
            found[task.question] = task
            answers[task.answer] += 1
        if answers.total() == count:
            return
    raise RuntimeError(
        f"only {answers.total()} of {count} tasks could be made; whatever makes them must make more"
    )
