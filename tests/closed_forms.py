"""How often strategies are right over a synthetic pool (`testing.skilled`), by formula."""

from collections.abc import Sequence
from itertools import product
from math import comb, prod

from langgraph_conductor.rewards import Task
from langgraph_conductor.testing.skilled import INTERMEDIATE, Skills


def alone(skills: Skills, worker: str, task: Task) -> float:
    """A worker is right where it is right in every skill the task needs."""
    return prod(skills[worker].get(skill, 0.0) for skill in task.skills or (task.domain,))


def one_of(*chances: float) -> float:
    """At least one is right: an oracle's pick of single answers."""
    return 1 - prod(1 - p for p in chances)


def vote(p: float, n: int) -> float:
    """The majority of n answers of which no two wrong ones are equal, ties to the earliest.

    Two right ones already win. A lone right one wins if it is the first.
    """
    none, lone = (1 - p) ** n, comb(n, 1) * p * (1 - p) ** (n - 1)
    return 1 - none - lone + lone / n


def mixture(proposers: Sequence[float], aggregator: float) -> float:
    """Two right proposals agree; otherwise nothing does, and the aggregator answers itself."""
    agree = 0.0
    for right in product((0, 1), repeat=len(proposers)):
        if sum(right) > 1:
            agree += prod(p if hit else 1 - p for p, hit in zip(proposers, right, strict=True))
    return agree + (1 - agree) * aggregator


def by_experts(skills: Skills, task: Task) -> float:
    """The better planner: the best at each skill of a task in two parts, else the best worker."""
    if len(task.skills) == 2 and INTERMEDIATE in task.about:
        return prod(max(own.get(skill, 0.0) for own in skills.values()) for skill in task.skills)
    return max(alone(skills, worker, task) for worker in skills)
