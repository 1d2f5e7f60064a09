"""The suite `"starter"`: easy questions for a first try and for small pools.

It needs no other package and no file. A question asks for a short answer and says nothing of tags, so that workers
that are plain functions can read it. The right answers are worked out here, not by such workers.
"""

import random
from collections.abc import Iterator
from typing import Final

from langgraph_conductor.evals.suites.facts import FACTS
from langgraph_conductor.evals.suites.suite import Suite, in_splits, take
from langgraph_conductor.evals.suites.unsolvable import unsolvable
from langgraph_conductor.evals.suites.words import WORDS
from langgraph_conductor.rewards import Task

NAME: Final = "starter"
REVISION: Final = 1
"""Counts up when the questions change on purpose: figures of different revisions cannot be compared."""

ARITHMETIC, WORDWORK, TWO_STEP, UNSOLVABLE = 90, 90, 45, 15
"""How many questions of each kind; there is one for each of `FACTS`, too."""

IN_DIGITS: Final = "Give the number in digits."

_DISTINCT: Final = tuple(word for word in WORDS if len(set(word)) == len(word))
"""Without a letter that occurs twice, so that nobody can ask whether it counts twice."""


def starter_suite() -> Suite:
    """Make the suite; it is the same each time and everywhere."""
    found: dict[str, Task] = {}
    take(found, ARITHMETIC, _arithmetic())
    take(found, WORDWORK, _words())
    take(found, len(FACTS), _facts())
    take(found, TWO_STEP, _two_step())
    take(found, UNSOLVABLE, unsolvable(form=""))
    # In the order of their hashes the first n of a split are a mixture of all.
    tasks = sorted(found.values(), key=lambda task: task.id)
    return Suite(NAME, in_splits(tasks), {"revision": REVISION})


def _arithmetic() -> Iterator[Task]:
    for rng in _draws("arithmetic"):
        a, b, c = rng.randint(12, 99), rng.randint(12, 999), rng.randint(3, 99)
        share, whole = rng.randrange(5, 96, 5), 20 * rng.randint(2, 60)
        text, answer = rng.choice(
            (
                (f"What is {a} * {b} - {c}?", a * b - c),
                (f"How much is {b} - {a} * {c}?", b - a * c),
                (f"What is ({a} + {b}) * {c}?", (a + b) * c),
                (f"Compute {a} * ({b} - {c}) + {whole}.", a * (b - c) + whole),
                (f"What is {a * c} / {c} + {b}?", a + b),
                (f"What is {share}% of {whole}?", share * whole // 100),
                (f"How much is {b} plus {whole} minus {a}?", b + whole - a),
            )
        )
        yield Task(text, str(answer), "number", domain="arithmetic", skills=("arithmetic",))


def _words() -> Iterator[Task]:
    for rng in _draws("words"):
        word, several = rng.choice(_DISTINCT), rng.sample(WORDS, rng.randint(3, 6))
        if several == sorted(several):  # else the question would hold its answer
            several.reverse()
        letter = rng.choice(several[0])
        text, answer, grader = rng.choice(
            (
                (f"Spell '{word}' backwards.", word[::-1], "exact"),
                (f"Reverse the word '{word}'.", word[::-1], "exact"),
                (f"Sort these words: {', '.join(several)}", ", ".join(sorted(several)), "exact"),
                (f"Write '{' '.join(several)}' in capital letters.", " ".join(several).upper(), "exact"),
                (f"How many letters are in the word '{word}'?", str(len(word)), "number"),
                (f"Count the words in: {' '.join(several)}", str(len(several)), "number"),
                (
                    f"How many times does the letter {letter} occur in '{' '.join(several)}'?",
                    str(" ".join(several).count(letter)),
                    "number",
                ),
            )
        )
        about = {"case_sensitive": True} if answer.isupper() else {}
        yield Task(text, answer, grader, domain="words", skills=("words",), about=about)


def _facts() -> Iterator[Task]:
    for text, answer in FACTS:
        yield Task(f"{text} {IN_DIGITS}", str(answer), "number", domain="facts", skills=("facts",))


def _two_step() -> Iterator[Task]:
    """What one skill finds, the other works on."""
    for rng in _draws("two-step"):
        word, factor, other = rng.choice(_DISTINCT), rng.randint(12, 99), rng.randint(100, 999)
        place = rng.randint(1, len(word))
        letters = f"the number of letters in the word '{word}'"
        difference = f"Work out {other} - {other - place} and call it n."
        text, answer, *skills = rng.choice(
            (
                (f"Multiply {letters} by {factor}.", str(len(word) * factor), "words", "arithmetic"),
                (f"Add {letters} to {other}.", str(len(word) + other), "words", "arithmetic"),
                (f"{difference} What is letter n of '{word}'?", word[place - 1], "arithmetic", "words"),
            )
        )
        grader = "number" if answer.isdecimal() else "exact"
        yield Task(text, answer, grader, domain="two-step", difficulty=2, skills=tuple(skills))


def _draws(kind: str) -> Iterator[random.Random]:
    """A generator for each question, so that none depends on another."""
    number = 0
    while True:
        # A text as seed is hashed by SHA-512: the same everywhere, and far from every other seed.
        yield random.Random(f"starter {kind}:{number}")  # noqa: S311 - no secret is made here
        number += 1
