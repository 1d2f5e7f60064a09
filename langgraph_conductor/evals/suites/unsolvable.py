"""Questions that nobody can answer: what a system spends where nothing helps, and whether a grader leaks."""

import random
from collections.abc import Iterator

from langgraph_conductor.evals.suites.suite import FORM
from langgraph_conductor.rewards import Task

DOMAIN = "unsolvable"

_QUESTIONS = (
    "A code of six digits lies in the sealed envelope number {}. Nobody has opened it. What is the code?",
    "The safe number {} was locked with six digits drawn by lot and written down nowhere. Which are they?",
    "A machine drew a ticket of six digits for visitor {} and kept it to itself. What does the ticket say?",
)


def unsolvable(form: str = FORM) -> Iterator[Task]:
    """Questions without end; the right answer is drawn from a generator that the question does not determine.

    Args:
        form: The last line of each; none if empty.
    """
    number = 0
    while True:
        rng = random.Random(f"unsolvable:{number}")  # noqa: S311 - nobody is kept out by it
        text = _QUESTIONS[number % len(_QUESTIONS)].format(rng.randint(1000, 9999))
        yield Task(f"{text}\n{form}".rstrip(), f"{rng.randrange(10**6):06}", "exact", domain=DOMAIN)
        number += 1
