"""How much of the test split is worded as training is, and how far that alone gets: no model is asked here."""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from langgraph_conductor.evals.suites.tiny_questions import SLOTS
from langgraph_conductor.rewards import Task

Terms = Callable[[str], Sequence[str]]
"""What of a question is counted."""

_NUMBER: Final = re.compile(r"\b\d+\b")
_SIGN: Final = re.compile(r"(?<= )[-+*](?= )")
_LISTED: Final = re.compile(r"N(?:(?:, | and )N)+")
_FILLING: Final = {word: letter for letter, words in SLOTS.items() for word in words}
_PHRASE: Final = re.compile("|".join(re.escape(filling) for filling in _FILLING if " " in filling))
_TEXT: Final = re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)*")
_WORD: Final = re.compile(r"\w+")


class Shared(NamedTuple):
    """Questions and their skeletons.

    Args:
        asked: Questions.
        known: Those of them whose skeleton is one of the training questions'.
        skeletons: Different skeletons of the training questions.
    """

    asked: int
    known: int
    skeletons: int


def skeleton(question: str) -> str:
    """The question without its fillings: numbers, words, names, signs. Lists of any length are alike."""
    text = _PHRASE.sub(lambda found: _FILLING[found[0]], _NUMBER.sub("N", question))
    text = _TEXT.sub(lambda found: _FILLING.get(found[0], found[0]), text)
    return _LISTED.sub("N, N", _SIGN.sub("S", text))


def shared(asked: Sequence[Task], learnt: Sequence[Task]) -> Shared:
    """How many questions share their skeleton with one that was learnt from."""
    known = {skeleton(task.question) for task in learnt}
    return Shared(len(asked), sum(skeleton(task.question) in known for task in asked), len(known))


def in_words(question: str) -> list[str]:
    """Its words and numbers."""
    return _WORD.findall(question.lower())


def in_characters(question: str) -> list[str]:
    """All that stands side by side in it, from three to five characters long."""
    text = question.lower()
    return [text[i : i + size] for size in (3, 4, 5) for i in range(len(text) - size + 1)]


def in_skeletons(question: str) -> list[str]:
    """The words of its skeleton."""
    return in_words(skeleton(question))


READINGS: Final[Mapping[str, Terms]] = {
    "words": in_words,
    "characters": in_characters,
    "skeletons": in_skeletons,
}
"""What may be counted, by name."""


def nearest(asked: Sequence[Task], learnt: Sequence[Task], terms: Terms) -> list[Task]:
    """For each question the nearest that was learnt from, by the cosine of TF-IDF vectors; of equals the first.

    Args:
        asked: The questions.
        learnt: Where to look, at least one.
        terms: What is counted.
    """
    import numpy as np

    counts = [Counter(terms(task.question)) for task in learnt]
    spread = Counter(term for found in counts for term in found)
    weights = {term: math.log((1 + len(learnt)) / (1 + n)) + 1 for term, n in spread.items()}
    places = {term: place for place, term in enumerate(weights)}

    def matrix(rows: Sequence[Mapping[str, int]]) -> Any:
        made = np.zeros((len(rows), len(places)))
        for row, found in enumerate(rows):
            known = {
                term: (1 + math.log(n)) * weights[term] for term, n in found.items() if term in weights
            }
            length = math.hypot(*known.values()) or 1.0
            made[row, [places[term] for term in known]] = [weight / length for weight in known.values()]
        return made

    alike = matrix([Counter(terms(task.question)) for task in asked]) @ matrix(counts).T
    # Rounded, or the order of sums would choose between questions that are equally near.
    return [learnt[int(place)] for place in np.round(alike, 9).argmax(axis=1)]
