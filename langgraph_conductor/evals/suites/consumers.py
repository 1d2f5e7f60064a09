"""Second parts of composed questions: a skill put to the result X of the first part.

`draw` chooses what the part asks, as JSON; `text` says it; `solve` gives the answer for any X. So the right
answer, and the one that follows from a wrong X, come from the same few lines.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from langgraph_conductor.evals.suites.producers import in_base, long_date, shifted, signed
from langgraph_conductor.evals.suites.words import WORDS


@dataclass(frozen=True, slots=True)
class Second:
    """A kind of second part.

    Args:
        draw: From a generator and the right X to what is asked, as JSON.
        text: What is asked, in words; speaks of X and never tells it.
        solve: The answer, from what is asked and X. Raises `ValueError` for an X that it cannot be put to.
        grader: The grader of the answer.
    """

    draw: Callable[[random.Random, str], dict[str, Any]]
    text: Callable[[Mapping[str, Any]], str]
    solve: Callable[[Mapping[str, Any], str], str]
    grader: str


def _draw_sum(rng: random.Random, x: str) -> dict[str, Any]:
    return {"terms": [rng.choice((1, -1)) * rng.randint(11, 99) for _ in range(3)]}


def _tell_sum(asked: Mapping[str, Any]) -> str:
    return f"Compute X {' '.join(map(signed, asked['terms']))}."


def _solve_sum(asked: Mapping[str, Any], x: str) -> str:
    return str(int(x) + sum(asked["terms"]))


def _draw_equation(rng: random.Random, x: str) -> dict[str, Any]:
    # Both sides are multiples of the factor, so that the unknown is whole for every X and tells nothing of it.
    factor, times = rng.randint(2, 9), rng.randint(2, 5)
    left = rng.randint(3, 60)
    return {
        "factor": factor,
        "left": left,
        "times": factor * times,
        "right": left + factor * rng.randint(3, 40),
    }


def _tell_equation(asked: Mapping[str, Any]) -> str:
    return "Solve {factor}*k + {left} = {times}*X + {right} for k.".format(**asked)


def _solve_equation(asked: Mapping[str, Any], x: str) -> str:
    return str((asked["times"] * int(x) + asked["right"] - asked["left"]) // asked["factor"])


def _draw_base(rng: random.Random, x: str) -> dict[str, Any]:
    # A small X in a large base is written as it is: nothing would be left to do.
    return {"base": rng.choice([base for base in range(2, 10) if base <= 3 or base**2 <= int(x)])}


def _tell_base(asked: Mapping[str, Any]) -> str:
    return f"X is in base 10. Convert X to base {asked['base']}."


def _solve_base(asked: Mapping[str, Any], x: str) -> str:
    if int(x) < 0:
        raise ValueError(f"{x} is below 0")
    return in_base(int(x), asked["base"])


def _draw_date(rng: random.Random, x: str) -> dict[str, Any]:
    return {"date": str(date(2022, 1, 1) + timedelta(rng.randrange(1000)))}


def _tell_date(asked: Mapping[str, Any]) -> str:
    day = long_date(date.fromisoformat(asked["date"]))
    return f"Find the date X days after {day}, and write it as year-month-day, like 2019-03-07."


def _solve_date(asked: Mapping[str, Any], x: str) -> str:
    try:
        return str(date.fromisoformat(asked["date"]) + timedelta(int(x)))
    except OverflowError:
        raise ValueError(f"there is no date {x} days away") from None


def _draw_shift_by(rng: random.Random, x: str) -> dict[str, Any]:
    return {"phrase": " ".join(rng.sample(WORDS, 2))}


def _tell_shift_by(asked: Mapping[str, Any]) -> str:
    phrase = asked["phrase"]
    return f'Move every letter of "{phrase}" X places forward in the alphabet (after Z comes A); keep the space.'


def _solve_shift_by(asked: Mapping[str, Any], x: str) -> str:
    return shifted(asked["phrase"], int(x))


def _draw_shift(rng: random.Random, x: str) -> dict[str, Any]:
    return {"places": rng.randint(2, 24)}


def _tell_shift(asked: Mapping[str, Any]) -> str:
    return f"Move every letter of X {asked['places']} places forward in the alphabet (after Z comes A)."


def _solve_shift(asked: Mapping[str, Any], x: str) -> str:
    return shifted(x, asked["places"])


def _draw_nothing(rng: random.Random, x: str) -> dict[str, Any]:
    return {}


def _tell_backward(asked: Mapping[str, Any]) -> str:
    return "Spell X backward."


def _solve_backward(asked: Mapping[str, Any], x: str) -> str:
    return x[::-1]


def _draw_list(rng: random.Random, x: str) -> dict[str, Any]:
    return {"words": rng.sample([word for word in WORDS if word != x], 4)}


def _tell_list(asked: Mapping[str, Any]) -> str:
    words = ", ".join(asked["words"])
    return f"Sort these five words alphabetically: X, {words}. Write them with single spaces between."


def _solve_list(asked: Mapping[str, Any], x: str) -> str:
    return " ".join(sorted([x, *asked["words"]]))


OF_NUMBERS: Mapping[str, Second] = {
    "chain_sum": Second(_draw_sum, _tell_sum, _solve_sum, "number"),
    "simple_equations": Second(_draw_equation, _tell_equation, _solve_equation, "number"),
    "base_conversion": Second(_draw_base, _tell_base, _solve_base, "exact"),
    "calendar_arithmetic": Second(_draw_date, _tell_date, _solve_date, "exact"),
    "caesar_cipher": Second(_draw_shift_by, _tell_shift_by, _solve_shift_by, "exact"),
}
"""Skills put to a whole number."""

OF_WORDS: Mapping[str, Second] = {
    "caesar_cipher": Second(_draw_shift, _tell_shift, _solve_shift, "exact"),
    "spell_backward": Second(_draw_nothing, _tell_backward, _solve_backward, "exact"),
    "word_sorting": Second(_draw_list, _tell_list, _solve_list, "exact"),
}
"""Skills put to a word."""
