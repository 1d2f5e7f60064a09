"""A small world in which conducting can be learnt: six kinds of question, and four workers with one skill each.

The workers are numbers to the policy. Only reward tells it who can do what: no two of them overlap, and none can
answer a composed question alone.
"""

import random
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice

from langgraph_conductor import WorkerPool
from langgraph_conductor.rewards import Task
from langgraph_conductor.testing import first_part, skilled_pool
from langgraph_conductor.testing.skilled import INTERMEDIATE

TRAINING, HELD_OUT = 100, 40
"""Questions of each kind."""
MAX_STEPS = 2
SKILLS = {"ann": "backwards", "ben": "adding", "cem": "initials", "dora": "sorting"}
ANSWER = "Answer the question. Go on from a result that is given."
WORDS = (
    "apple", "bread", "cloud", "door", "earth", "flame", "glass", "honey", "island", "jacket", "kettle", "lemon",
    "mirror", "night", "ocean", "paper", "queen", "river", "stone", "tiger", "uncle", "valley", "water", "yellow",
)  # fmt: skip


def _words(draw: random.Random, count: int) -> str:
    return " ".join(draw.sample(WORDS, count))


def _sum(draw: random.Random) -> tuple[str, str]:
    wording = draw.choice(("Add {} and {}", "Work out {} plus {}"))
    while True:
        numbers = draw.sample(range(10, 60), 2)
        total = str(sum(numbers))
        if total != total[::-1]:  # else it would be right backwards too, and the adder alone as well
            return wording.format(*numbers), total


def _order(draw: random.Random) -> tuple[str, str]:
    words = _words(draw, 3)
    wording = draw.choice(("Sort {} by the alphabet", "Put {} in order"))
    return wording.format(words), " ".join(sorted(words.split()))


def _initials(words: str) -> str:
    return "".join(word[0] for word in words.split())


def _single(skill: str, question: str, answer: str) -> Task:
    return Task(question, answer, "exact", skill, 1, (skill,))


def _composed(skills: tuple[str, str], question: str, part: str, answer: str) -> Task:
    return Task(question, answer, "exact", "+".join(skills), 2, skills, {INTERMEDIATE: part})


def _adding(draw: random.Random) -> Task:
    text, total = _sum(draw)
    return _single("adding", f"{text}.", total)


def _sorting(draw: random.Random) -> Task:
    text, ordered = _order(draw)
    return _single("sorting", f"{text}.", ordered)


def _taking_initials(draw: random.Random) -> Task:
    words = _words(draw, 3)
    wording = draw.choice(("Give the initials of {}.", "Say how each of {} begins."))
    return _single("initials", wording.format(words), _initials(words))


def _turning_round(draw: random.Random) -> Task:
    words = _words(draw, 2)
    wording = draw.choice(("Write {} backwards.", "Spell {} from the end."))
    return _single("backwards", wording.format(words), words[::-1])


def _sum_turned_round(draw: random.Random) -> Task:
    text, total = _sum(draw)
    return _composed(("adding", "backwards"), f"{text}, then write it backwards.", total, total[::-1])


def _initials_in_order(draw: random.Random) -> Task:
    text, ordered = _order(draw)
    return _composed(
        ("sorting", "initials"), f"{text}, then give the initials.", ordered, _initials(ordered)
    )


KINDS = (_adding, _sorting, _taking_initials, _turning_round, _sum_turned_round, _initials_in_order)


@cache
def questions(split: str) -> tuple[Task, ...]:
    """The questions of `"train"` or `"test"`; none is in both."""
    first, last = (0, TRAINING) if split == "train" else (TRAINING, TRAINING + HELD_OUT)
    return tuple(task for kind in KINDS for task in islice(_ever_new(kind), first, last))


def _ever_new(kind: Callable[[random.Random], Task]) -> Iterator[Task]:
    draw, known = random.Random(kind.__name__), set()
    while True:
        task = kind(draw)
        if task.id not in known:
            known.add(task.id)
            yield task


@cache
def menu() -> tuple[str, ...]:
    """What a step may be asked: the answer, or the first part of one of the composed kinds."""
    return ANSWER, *dict.fromkeys(first_part(task) for task in questions("train") if task.difficulty == 2)


@cache
def pool() -> WorkerPool:
    """Four workers, each sure in one skill and lost in the others."""
    known = [*questions("train"), *questions("test")]
    return skilled_pool(known, {name: {skill: 1.0} for name, skill in SKILLS.items()})
