"""Other names, other words, other numbers for the same workers: a conductor should read who is there."""

import random
from collections.abc import Iterable, Mapping
from typing import Final

from langgraph_conductor.local.pool import POOL, ModelOf, worker
from langgraph_conductor.workers import WorkerPool

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "digits": ("digits", "numerals", "transcriber", "figures"),
    "sorter": ("sorter", "orderer", "ranker", "arranger"),
    "initials": ("initials", "letters", "acronyms", "capitals"),
    "reverser": ("reverser", "flipper", "turner", "mirror"),
    "story": ("story", "modeller", "formula", "reader"),
    "calculator": ("calculator", "abacus", "reckoner", "arithmetic"),
    "smollm2": ("smollm2", "speaker", "facts", "encyclopedia"),
}
"""Names that say what a worker does."""

DESCRIPTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "digits": (
        POOL["digits"],
        "turns numbers in words into digits",
        "number words to numerals",
        "spells numbers in digits",
    ),
    "sorter": (
        POOL["sorter"],
        "puts numbers in rising order",
        "orders numbers, smallest first",
        "arranges numbers by size",
    ),
    "initials": (
        POOL["initials"],
        "gives the initials of words",
        "first letter of each word",
        "says with which letters words begin",
    ),
    "reverser": (
        POOL["reverser"],
        "says a list from last to first",
        "turns a list around",
        "lists things in the opposite order",
    ),
    "story": (
        POOL["story"],
        "turns a story into an expression",
        "reads a tale and writes its sum",
        "finds the sum in a story",
    ),
    "calculator": (
        POOL["calculator"],
        "works out sums exactly",
        "computes expressions",
        "exact results of sums",
    ),
    "smollm2": (POOL["smollm2"], "knows facts and talks", "answers general questions", "general knowledge"),
}
"""Wordings that are trained on."""

UNSEEN_DESCRIPTIONS: Final[Mapping[str, str]] = {
    "digits": "writes numbers that are spelled out as figures",
    "sorter": "brings numbers into ascending order",
    "initials": "picks the letter each word starts with",
    "reverser": "puts a list back to front",
    "story": "translates a word problem into a formula",
    "calculator": "evaluates arithmetic without mistakes",
    "smollm2": "a small chat model that knows the world",
}
"""Wordings that are in no training data."""

PEOPLE: Final = (
    "Ada", "Bob", "Cleo", "Dirk", "Emma", "Finn", "Gina", "Hugo", "Iris", "Jack", "Kira", "Lars",
    "Mona", "Nils", "Olga", "Paul", "Rosa", "Seth", "Tina", "Udo", "Vera", "Walt", "Yuri", "Zara",
)  # fmt: skip
UNSEEN_PEOPLE: Final = (
    "Alma", "Boris", "Celia", "Dario", "Elsa", "Felix", "Greta", "Henri", "Ilse", "Jonas", "Karin",
    "Louis", "Marta", "Noah", "Paula", "Ralf",
)  # fmt: skip
"""Names that say nothing of a worker; these are in no training data."""


def drawn_pool(
    model_of: ModelOf,
    draw: random.Random,
    *,
    needed: Iterable[str] = (),
    version: str = "",
) -> tuple[WorkerPool, dict[str, str]]:
    """The embedded workers, half of the time as they are served, else under other names and in other words.

    Then names, words and order are drawn anew, and some workers are left out.

    Args:
        model_of: As of `local.workers`.
        draw: The generator.
        needed: Workers that are not left out.
        version: As of `Worker`.

    Returns:
        The pool, and who is called what.
    """
    if draw.random() < 0.5:
        return _pool(model_of, {kind: kind for kind in POOL}, POOL, version)
    people = draw.sample(PEOPLE, len(POOL))
    by_person = draw.random() < 0.5
    named = {kind: people.pop() if by_person else draw.choice(NAMES[kind]) for kind in POOL}
    spare = [kind for kind in POOL if kind not in set(needed)]
    left_out = set(draw.sample(spare, draw.choice((0, 0, 1, 2)))) if len(spare) > 2 else set()
    kinds = [kind for kind in POOL if kind not in left_out]
    draw.shuffle(kinds)
    words = {kind: draw.choice(DESCRIPTIONS[kind]) for kind in kinds}
    return _pool(model_of, {kind: named[kind] for kind in kinds}, words, version)


def unseen_pool(
    model_of: ModelOf, draw: random.Random, version: str = ""
) -> tuple[WorkerPool, dict[str, str]]:
    """The embedded workers under names and in words that are in no training data, in an order drawn anew."""
    kinds = list(POOL)
    draw.shuffle(kinds)
    people = draw.sample(UNSEEN_PEOPLE, len(kinds))
    return _pool(model_of, dict(zip(kinds, people, strict=True)), UNSEEN_DESCRIPTIONS, version)


def _pool(
    model_of: ModelOf, named: Mapping[str, str], words: Mapping[str, str], version: str
) -> tuple[WorkerPool, dict[str, str]]:
    pool = WorkerPool(
        worker(
            kind, name, model_of=model_of, description=words[kind], version=version and f"{kind} {version}"
        )
        for kind, name in named.items()
    )
    return pool, dict(named)
