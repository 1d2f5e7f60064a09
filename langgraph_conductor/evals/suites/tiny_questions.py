"""Questions of seven skills, and questions that take two or three of them one after the other.

Every question comes with its *parts*: which skill, and what it should say. Specialists are taught them, and the
best that a workflow could do is measured with them. A conductor is taught by what was right when it ran.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from langgraph_conductor.evals.suites.words import WORDS
from langgraph_conductor.rewards import Task

SKILLS: Final = ("digits", "sorter", "initials", "reverser", "story", "calculator", "smollm2")
"""Each named as the worker that has it."""

COMPOSED: Final = (
    ("digits", "sorter"), ("sorter", "reverser"), ("reverser", "initials"), ("story", "calculator"),
    ("digits", "calculator"),
)  # fmt: skip
"""Skills one after the other, in training and test."""

HELD_OUT: Final = (("digits", "reverser"), ("digits", "sorter", "reverser"))
"""Those that are in the test split alone. None has the answer of a chain in training, as initials of what is
reversed are reversed initials."""


class Part(NamedTuple):
    """One skill's part of a question.

    Args:
        skill: The skill.
        answer: What is right.
    """

    skill: str
    answer: str


PARTS: Final = "parts"
"""Where `Task.about` keeps the parts, as lists."""


def parts_of(task: Task) -> tuple[Part, ...]:
    """The parts of a question of this module."""
    return tuple(Part(*part) for part in task.about.get(PARTS, ()))


def questions(skills: Sequence[str]) -> Iterator[Task]:
    """Questions of these skills, without end, the same each time.

    Raises:
        KeyError: If there is no such combination.
    """
    make = _MAKERS[tuple(skills)]
    number = 0
    while True:
        # A text as seed is hashed by SHA-512: the same everywhere, and far from every other seed.
        rng = random.Random(f"tiny {'+'.join(skills)}:{number}")  # noqa: S311 - no secret is made here
        text, *parts = make(rng)
        answer = parts[-1]
        told = [Part(skill, said) for skill, said in zip(skills, parts, strict=True)]
        yield Task(
            text,
            answer,
            "number" if skills[-1] == "calculator" else "exact",
            domain="+".join(skills),
            difficulty=len(skills),
            skills=tuple(skills),
            about={PARTS: [list(part) for part in told]},
        )
        number += 1


_ONES: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS: Final = ["-", "-", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_PEOPLE: Final = (
    "Tom", "Ann", "Ben", "Eva", "Sam", "Mia", "Leo", "Ida", "Max", "Zoe", "Jim", "Amy", "Dan", "Kim",
    "Joe", "Liz",
)  # fmt: skip
_THINGS: Final = (
    "pens", "cups", "eggs", "nuts", "keys", "caps", "toys", "pins", "nails", "coins", "cards", "books",
    "balls", "seeds", "shells", "stamps",
)  # fmt: skip
_BOXES: Final = (
    "boxes", "bags", "jars", "tins", "sacks", "packs", "crates", "trays",
)  # fmt: skip


def in_words(number: int) -> str:
    """A number from 0 to 99 in words."""
    if number < 20:
        return _ONES[number]
    tens, ones = divmod(number, 10)
    return _TENS[tens] + (f"-{_ONES[ones]}" if ones else "")


def _listed(items: Sequence[object]) -> str:
    return ", ".join(map(str, items))


def _said(items: Sequence[object]) -> str:
    return ", ".join(map(str, items[:-1])) + f" and {items[-1]}"


def _numbers(rng: random.Random) -> list[int]:
    """Three or four numbers that are in neither order."""
    while True:
        drawn = rng.sample(range(10, 100), rng.choice((3, 3, 4)))
        if drawn not in (sorted(drawn), sorted(drawn, reverse=True)):
            return drawn


def _words(rng: random.Random) -> list[str]:
    """Three or four words whose first letters read differently backwards."""
    while True:
        drawn = rng.sample(WORDS, rng.choice((3, 3, 4)))
        first = [word[0] for word in drawn]
        if first != first[::-1]:
            return drawn


def _initials_of(words: Sequence[str]) -> str:
    return _listed([word[0] for word in words])


def _digits(rng: random.Random) -> tuple[str, ...]:
    if rng.random() < 0.3:
        sign, word, a, b = _sum(rng)
        return f"Write as digits and signs: {in_words(a)} {word} {in_words(b)}", f"{a} {sign} {b}"
    numbers = _numbers(rng)
    words = [in_words(n) for n in numbers]
    text = rng.choice(
        (
            f"Write these numbers as digits: {_listed(words)}",
            f"Write {_said(words)} in digits.",
            f"Which numbers are these, in digits: {_listed(words)}",
        )
    )
    return text, _listed(numbers)


def _sum(rng: random.Random) -> tuple[str, str, int, int]:
    sign, word = rng.choice((("+", "plus"), ("-", "minus"), ("*", "times")))
    a, b = rng.randint(12, 99), rng.randint(11, 99)
    a, b = (max(a, b), min(a, b)) if sign == "-" else (a, b)
    return sign, word, a, b


def _sorter(rng: random.Random) -> tuple[str, ...]:
    numbers = _numbers(rng)
    text = rng.choice(
        (
            f"Sort from small to large: {_listed(numbers)}",
            f"Put {_said(numbers)} in rising order.",
            f"Order these numbers, the smallest first: {_listed(numbers)}",
        )
    )
    return text, _listed(sorted(numbers))


def _initials(rng: random.Random) -> tuple[str, ...]:
    words = _words(rng)
    text = rng.choice(
        (
            f"Take the first letters of: {_listed(words)}",
            f"With which letters do {_said(words)} begin?",
            f"Give the initials of {_listed(words)}",
        )
    )
    return text, _initials_of(words)


def _reverser(rng: random.Random) -> tuple[str, ...]:
    items = _words(rng) if rng.random() < 0.6 else _numbers(rng)
    text = rng.choice(
        (
            f"Reverse the order of: {_listed(items)}",
            f"List these from the last to the first: {_listed(items)}",
            f"Say {_said(items)} in the opposite order.",
        )
    )
    return text, _listed(items[::-1])


def _tale(rng: random.Random) -> tuple[str, str, int]:
    """A story, the sum it asks for, and its result."""
    who, things, boxes = rng.choice(_PEOPLE), rng.choice(_THINGS), rng.choice(_BOXES)
    a, b, c = rng.randint(3, 29), rng.randint(3, 39), rng.randint(2, 49)
    least = min(a * b - 1, c)
    return rng.choice(
        (
            (
                f"{who} has {a} {boxes} of {b} {things} and {c} more {things}.",
                f"{a} * {b} + {c}",
                a * b + c,
            ),
            (
                f"{who} has {a} {boxes} of {b} {things} and loses {least} {things}.",
                f"{a} * {b} - {least}",
                a * b - least,
            ),
            (
                f"{who} has {c} {things} and buys {a} {boxes} of {b} {things}.",
                f"{c} + {a} * {b}",
                c + a * b,
            ),
            (
                f"{who} finds {a} {things}, then {b} {things}, then {c} {things}.",
                f"{a} + {b} + {c}",
                a + b + c,
            ),
        )
    )


def _story(rng: random.Random) -> tuple[str, ...]:
    tale, told, _ = _tale(rng)
    asked = rng.choice(
        ("Write the sum for this.", "Which sum is this? Do not work it out.", "Write it as a sum.")
    )
    return f"{tale} {asked}", told


def _story_calculator(rng: random.Random) -> tuple[str, ...]:
    tale, told, result = _tale(rng)
    asked = rng.choice(("How many are there now?", "How many does that make?", "How many in all?"))
    return f"{tale} {asked}", told, str(result)


def _calculator(rng: random.Random) -> tuple[str, ...]:
    a, b, c = rng.randint(12, 99), rng.randint(12, 99), rng.randint(3, 99)
    told, result = rng.choice(
        (
            (f"{a} * {b} - {c}", a * b - c),
            (f"{a} + {b} * {c}", a + b * c),
            (f"({a} + {b}) * {c}", (a + b) * c),
            (f"{a} * {b} + {c}", a * b + c),
            (f"{a} + {b} - {c}", a + b - c),
        )
    )
    return rng.choice((f"What is {told}?", f"Compute {told}.", f"How much is {told}?")), str(result)


_CAPITALS: Final = {
    "France": "Paris", "Italy": "Rome", "Spain": "Madrid", "Germany": "Berlin", "Japan": "Tokyo",
    "China": "Beijing", "Russia": "Moscow", "Egypt": "Cairo", "Greece": "Athens", "Portugal": "Lisbon",
    "Poland": "Warsaw", "Austria": "Vienna", "Norway": "Oslo", "Sweden": "Stockholm", "Finland": "Helsinki",
    "Denmark": "Copenhagen", "Ireland": "Dublin", "England": "London", "Hungary": "Budapest", "Cuba": "Havana",
    "Peru": "Lima", "Chile": "Santiago", "Canada": "Ottawa", "Mexico": "Mexico City", "Kenya": "Nairobi",
    "India": "New Delhi", "Iran": "Tehran", "Iraq": "Baghdad", "Turkey": "Ankara", "Belgium": "Brussels",
    "Argentina": "Buenos Aires", "Thailand": "Bangkok", "South Korea": "Seoul", "Vietnam": "Hanoi",
    "Nepal": "Kathmandu", "Ukraine": "Kyiv", "Croatia": "Zagreb", "Iceland": "Reykjavik", "Cyprus": "Nicosia",
    "Ghana": "Accra", "Romania": "Bucharest", "Bulgaria": "Sofia", "Serbia": "Belgrade", "Libya": "Tripoli",
    "Tunisia": "Tunis", "Algeria": "Algiers", "Ethiopia": "Addis Ababa", "Uganda": "Kampala",
    "Colombia": "Bogota", "Venezuela": "Caracas", "Ecuador": "Quito", "Uruguay": "Montevideo",
    "Indonesia": "Jakarta", "Philippines": "Manila", "Pakistan": "Islamabad", "Afghanistan": "Kabul",
    "Jordan": "Amman", "Lebanon": "Beirut", "Syria": "Damascus", "Israel": "Jerusalem", "Latvia": "Riga",
    "Estonia": "Tallinn", "Lithuania": "Vilnius", "Armenia": "Yerevan", "Georgia": "Tbilisi",
    "Mongolia": "Ulaanbaatar", "Jamaica": "Kingston", "Haiti": "Port-au-Prince", "Panama": "Panama City",
    "Zimbabwe": "Harare", "Zambia": "Lusaka", "Senegal": "Dakar", "Morocco": "Rabat", "Malta": "Valletta",
}  # fmt: skip


def _smollm2(rng: random.Random) -> tuple[str, ...]:
    country, capital = rng.choice(sorted(_CAPITALS.items()))
    asked = rng.choice(("Say it in a sentence.", "Answer in a whole sentence."))
    return f"What is the capital of {country}? {asked}", f"The capital of {country} is {capital}."


def _digits_sorter(rng: random.Random) -> tuple[str, ...]:
    numbers = _numbers(rng)
    words = [in_words(n) for n in numbers]
    text = rng.choice(
        (
            f"Write as digits, then sort from small to large: {_listed(words)}",
            f"Put {_said(words)} in rising order, in digits.",
            f"Order these numbers, the smallest first, in digits: {_listed(words)}",
        )
    )
    return text, _listed(numbers), _listed(sorted(numbers))


def _sorter_reverser(rng: random.Random) -> tuple[str, ...]:
    numbers = _numbers(rng)
    text = rng.choice(
        (
            f"Sort from small to large, then reverse the order: {_listed(numbers)}",
            f"Put {_said(numbers)} in rising order, then list them from the last to the first.",
            "Order these numbers, the smallest first, and say the result in the opposite order: "
            f"{_listed(numbers)}",
        )
    )
    return text, _listed(sorted(numbers)), _listed(sorted(numbers, reverse=True))


def _reverser_initials(rng: random.Random) -> tuple[str, ...]:
    words = _words(rng)
    text = rng.choice(
        (
            f"Reverse the order, then take the first letters: {_listed(words)}",
            f"Say {_said(words)} in the opposite order, then give the initials.",
            f"List these from the last to the first and take the first letters: {_listed(words)}",
        )
    )
    return text, _listed(words[::-1]), _initials_of(words[::-1])


def _digits_calculator(rng: random.Random) -> tuple[str, ...]:
    sign, word, a, b = _sum(rng)
    result = {"+": a + b, "-": a - b, "*": a * b}[sign]
    told = f"{in_words(a)} {word} {in_words(b)}"
    text = rng.choice((f"What is {told}?", f"How much is {told}?", f"Compute {told}."))
    return text, f"{a} {sign} {b}", str(result)


def _digits_reverser(rng: random.Random) -> tuple[str, ...]:
    numbers = _numbers(rng)
    words = [in_words(n) for n in numbers]
    text = rng.choice(
        (
            f"Write as digits, then reverse the order: {_listed(words)}",
            f"Say {_said(words)} in the opposite order, in digits.",
        )
    )
    return text, _listed(numbers), _listed(numbers[::-1])


def _digits_sorter_reverser(rng: random.Random) -> tuple[str, ...]:
    numbers = _numbers(rng)
    words = [in_words(n) for n in numbers]
    text = rng.choice(
        (
            f"Write as digits, then sort from small to large, then reverse the order: {_listed(words)}",
            f"Put {_said(words)} in rising order, in digits, then list them from the last to the first.",
        )
    )
    return text, _listed(numbers), _listed(sorted(numbers)), _listed(sorted(numbers, reverse=True))


_MAKERS: Final[Mapping[tuple[str, ...], Callable[[random.Random], tuple[str, ...]]]] = {
    ("digits",): _digits,
    ("sorter",): _sorter,
    ("initials",): _initials,
    ("reverser",): _reverser,
    ("story",): _story,
    ("calculator",): _calculator,
    ("smollm2",): _smollm2,
    ("digits", "sorter"): _digits_sorter,
    ("sorter", "reverser"): _sorter_reverser,
    ("reverser", "initials"): _reverser_initials,
    ("story", "calculator"): _story_calculator,
    ("digits", "calculator"): _digits_calculator,
    ("digits", "reverser"): _digits_reverser,
    ("digits", "sorter", "reverser"): _digits_sorter_reverser,
}

SLOTS: Final[Mapping[str, tuple[str, ...]]] = {
    "N": (*map(in_words, range(100)), *WORDS, *_CAPITALS),
    "P": _PEOPLE,
    "T": _THINGS,
    "B": _BOXES,
    "S": ("plus", "minus", "times"),
}
"""The words that questions are filled with, under a letter each; all others are the question's own."""
