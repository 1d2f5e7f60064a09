"""Composed questions: what one skill finds, another works on. A worker with one of the two cannot answer alone."""

import random
import re
from collections.abc import Iterator, Mapping
from typing import Any

from langgraph_conductor.evals.suites.consumers import OF_NUMBERS, OF_WORDS, Second
from langgraph_conductor.evals.suites.producers import NUMBERS, WORDLIKE, First, Producer
from langgraph_conductor.evals.suites.suite import FORM
from langgraph_conductor.rewards import Task

Pair = tuple[str, str]
"""Names of the first and the second skill."""

PAIRS: Mapping[Pair, tuple[Producer, Second]] = {
    (first, second): (producer, consumer)
    for producers, consumers in ((NUMBERS, OF_NUMBERS), (WORDLIKE, OF_WORDS))
    for first, producer in producers.items()
    for second, consumer in consumers.items()
    if first != second
}
"""Every pair of the suite."""

HELD_OUT: frozenset[Pair] = frozenset(
    {
        ("chain_sum", "caesar_cipher"),
        ("gsm_symbolic", "base_conversion"),
        ("simple_equations", "calendar_arithmetic"),
        ("base_conversion", "chain_sum"),
        ("calendar_arithmetic", "caesar_cipher"),
        ("letter_counting", "simple_equations"),
        ("bf", "spell_backward"),
        ("spell_backward", "word_sorting"),
    }
)
"""Pairs that occur in the test split only, so that nothing is learned from them. Each of their skills has the same
place, first or second, in some other pair as well."""


def composed(pair: Pair) -> Iterator[Task]:
    """Questions of a pair, without end; each has its own generator, so none depends on another.

    `about` of a task holds, for workers that are simulated and for reports, what no planner or worker is shown:
    `"intermediate"`, the right result X of the first part, and `"second"`, what the second part asks.
    """
    number = 0
    while True:
        # A text as seed is hashed by SHA-512: the same everywhere, and far from every other seed.
        rng = random.Random(f"{pair[0]}+{pair[1]}:{number}")  # noqa: S311 - no secret is made here
        number += 1
        task = _compose(pair, rng)
        if task.answer != task.about["intermediate"] and not _told(task):
            yield task


def second_answer(task: Task, intermediate: str) -> str:
    """What the second part of a composed task gives for a result of the first part, right or wrong.

    Args:
        task: A composed task.
        intermediate: The result of the first part.

    Raises:
        ValueError: If the task is not composed, or the second part cannot be put to that result.
    """
    pair = tuple(task.skills)
    if len(pair) != 2 or pair not in PAIRS or "second" not in task.about:
        raise ValueError(f"the task {task.id} is not a composed one: its skills are {list(pair)}")
    asked: Mapping[str, Any] = task.about["second"]
    return PAIRS[pair][1].solve(asked, intermediate)


def _compose(pair: Pair, rng: random.Random) -> Task:
    producer, second = PAIRS[pair]
    first = producer(rng)
    asked = second.draw(rng, first.result)
    return Task(
        _question(first, second.text(asked)),
        second.solve(asked, first.result),
        second.grader,
        domain="+".join(pair),
        difficulty=2,
        skills=pair,
        about={"intermediate": first.result, "second": asked},
    )


def _told(task: Task) -> bool:
    """Whether the answer stands in the question, so that copying would find it."""
    return re.search(rf"\b{re.escape(task.answer.lstrip('-'))}\b", task.question) is not None


def _question(first: First, second: str) -> str:
    return f"This question has two parts.\nFirst: {first.text}\nCall the result X.\nThen: {second}\n{FORM}"
