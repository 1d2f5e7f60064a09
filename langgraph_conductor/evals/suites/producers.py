"""First parts of composed questions: a skill whose result, a whole number or a word, a second part works on."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from string import ascii_uppercase

from langgraph_conductor.evals.suites.gym import entry
from langgraph_conductor.evals.suites.words import WORDS


@dataclass(frozen=True, slots=True)
class First:
    """A first part.

    Args:
        text: What to do, in words.
        result: Its right result: digits, or a word in lower case.
    """

    text: str
    result: str


Producer = Callable[[random.Random], First]
"""Draws a first part."""


def chain_sum(rng: random.Random) -> First:
    """A sum of four numbers of two digits; the result is positive."""
    while True:
        terms = [rng.randint(10, 99), *(rng.choice((1, -1)) * rng.randint(10, 99) for _ in range(3))]
        if sum(terms) >= 10:
            return First(f"Compute {terms[0]} {' '.join(map(signed, terms[1:]))}.", str(sum(terms)))


def simple_equations(rng: random.Random) -> First:
    """A linear equation with one unknown."""
    factor, root, shift = rng.randint(3, 12), rng.randint(11, 99), rng.randint(5, 80) * rng.choice((1, -1))
    return First(f"Solve {factor}*n {signed(shift)} = {factor * root + shift} for n.", str(root))


def base_conversion(rng: random.Random) -> First:
    """A number in another base, to be written in base 10."""
    base, number = rng.choice((2, 3, 4, 5, 6, 7, 8, 9)), rng.randint(40, 400)
    return First(f"Convert the base-{base} number {in_base(number, base)} to base 10.", str(number))


def letter_counting(rng: random.Random) -> First:
    """How often a letter occurs in a row of words: 4 to 16 times, each as likely."""
    wanted = rng.randint(4, 16)
    while True:
        words = rng.sample(WORDS, rng.randint(10, 18))
        text = " ".join(words)
        fitting = [letter for letter in sorted(set(text) - {" "}) if text.count(letter) == wanted]
        if fitting:
            letter = rng.choice(fitting)
            return First(f'Count how many times the letter "{letter}" occurs in "{text}".', str(wanted))


def calendar_arithmetic(rng: random.Random) -> First:
    """The days between two dates."""
    start, days = date(2021, 1, 1) + timedelta(rng.randrange(1000)), rng.randint(20, 200)
    end = start + timedelta(days)
    return First(
        f"Count the days from {long_date(start)} to {long_date(end)}, not counting the first.", str(days)
    )


def caesar_cipher(rng: random.Random) -> First:
    """A word in Caesar's cipher with a known shift, to be read."""
    word, shift = rng.choice(WORDS), rng.randint(2, 24)
    told = f"Every letter of a word was moved {shift} places forward in the alphabet (after Z comes A)"
    return First(f"{told}, which gave {shifted(word, shift).upper()}. Find the word.", word)


def spell_backward(rng: random.Random) -> First:
    """A word to be spelled backward."""
    word = rng.choice(WORDS)
    return First(f'Spell the word "{word}" backward.', word[::-1])


def gsm_symbolic(rng: random.Random) -> First:
    """A word problem of reasoning-gym whose result is a whole number from 10 to 2,000."""
    form = " Give the result as your final answer. Do not include units."
    while True:
        drawn = entry("gsm_symbolic", rng.randrange(2**31))
        text, result = drawn["question"], drawn["answer"]
        if text.endswith(form) and result.isdigit() and 10 <= int(result) <= 2000:
            return First(f"Solve this problem: {text.removesuffix(form)}", result)


def bf(rng: random.Random) -> First:
    """A small program of reasoning-gym that prints a word."""
    while True:
        drawn = entry("bf", rng.randrange(2**31), difficulty=1)
        program, word = drawn["metadata"]["bf_program"], drawn["answer"]
        if word.isalpha() and word.islower():
            return First(f"Find the word that this BF (Brainf*ck) program prints: {program}", word)


_MONTHS = (  # `calendar.month_name` speaks the language of the machine
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def signed(number: int) -> str:
    """A number as a further term of a sum: `"+ 5"`, `"- 5"`."""
    return f"{'-' if number < 0 else '+'} {abs(number)}"


def long_date(day: date) -> str:
    """A date without room for doubt, such as `"14 March 2024"`."""
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def in_base(number: int, base: int) -> str:
    """A number from 0 up in a base from 2 to 10."""
    digits = ""
    while True:
        number, digit = divmod(number, base)
        digits = f"{digit}{digits}"
        if not number:
            return digits


def shifted(text: str, places: int) -> str:
    """Letters moved forward in the alphabet, which goes round; all else stays, and so does the case."""
    upper = ascii_uppercase[places % 26 :] + ascii_uppercase[: places % 26]
    return text.translate(str.maketrans(ascii_uppercase + ascii_uppercase.lower(), upper + upper.lower()))


NUMBERS: Mapping[str, Producer] = {
    "chain_sum": chain_sum,
    "gsm_symbolic": gsm_symbolic,
    "simple_equations": simple_equations,
    "base_conversion": base_conversion,
    "calendar_arithmetic": calendar_arithmetic,
    "letter_counting": letter_counting,
}
"""Skills whose result is a whole number."""

WORDLIKE: Mapping[str, Producer] = {
    "caesar_cipher": caesar_cipher,
    "spell_backward": spell_backward,
    "bf": bf,
}
"""Skills whose result is a word."""
