"""Graders that need no library: the same text, one option of several, one number."""

import re
import unicodedata
from fractions import Fraction
from math import gcd
from typing import Final

from langgraph_conductor.errors import ConfigError
from langgraph_conductor.rewards.answers import unwrapped
from langgraph_conductor.rewards.task import Task

_QUOTES: Final = "\"'`“”‘’«»"


def exact(answer: str, task: Task) -> bool:
    """Whether it is the right text.

    Unicode's forms (NFKC), runs of whitespace, quotes around it and a period at its end make no
    difference; nor does case, unless `task.about["case_sensitive"]` is true.

    Raises:
        ConfigError: If the right answer is empty.
    """
    cased = bool(task.about.get("case_sensitive"))
    gold = normal(unwrapped(task.answer), cased=cased)
    if not gold:
        raise ConfigError(f"task {task.id}: a task graded by 'exact' needs an answer, not {task.answer!r}")
    return normal(answer, cased=cased) == gold


def normal(text: str, *, cased: bool = False) -> str:
    """The text as `exact` compares it."""
    text = " ".join(unicodedata.normalize("NFKC", text).split())
    text = text.strip(_QUOTES).removesuffix(".").strip(_QUOTES).strip()
    return text if cased else text.casefold()


_NAMED: Final = r"(?:(?:the )?(?:correct |right |best )?(?:option|choice|answer)(?: is)?:? )?"
_LETTER: Final = re.compile(
    _NAMED + r"(?:\(([a-z])\)|([a-z])\)?)(?:(?:[.:]|\)| -|(?<=\))) ?(.*))?", re.IGNORECASE
)
_OTHERS: Final = re.compile(r"\b(?:or|and|not|nor|either|both|but)\b|[,;/|&]|\b[A-Z]\b|\([A-Za-z]\)")


def choice(answer: str, task: Task) -> bool:
    """Whether it names the right option, and no other.

    The right answer is a letter. `A`, `(A)`, `A)`, `Option A` and `A. Paris` name the option A, and so does
    its text alone, if `task.about["choices"]` lists the options' texts in order. A text behind the letter
    must be that option's, or, where none are listed, must not hint at a second option.

    Raises:
        ConfigError: If the right answer is no letter, or there is no option for it.
    """
    gold = unwrapped(task.answer).strip("().").upper()
    choices = [normal(str(text)) for text in task.about.get("choices") or ()]
    if not re.fullmatch("[A-Z]", gold) or (choices and ord(gold) - ord("A") >= len(choices)):
        raise ConfigError(
            f"task {task.id}: the answer of a choice is an option's letter, not {task.answer!r}"
        )
    text = " ".join(unicodedata.normalize("NFKC", answer).replace("**", "").split()).strip(_QUOTES)
    found = _LETTER.fullmatch(text)
    right = choices[ord(gold) - ord("A")] if choices else None
    if found is None:
        return right is not None and normal(text) == right
    if (found[1] or found[2]).upper() != gold:
        return False
    rest = (found[3] or "").strip(" .")
    if not rest:
        return True
    return normal(rest) == right if choices else not _OTHERS.search(rest)


_NUMBER: Final = re.compile(
    r"""(?<![\w.,/^:)-])[-+]?(?:[$€£¥]\s?)?[-+]?
        (?P<whole>\d{1,3}(?:,\d{3})+|\d{1,3}(?:[ ]\d{3})+(?![ ]?\d)|\d+|(?=\.\d))
        (?P<decimals>\.\d+)?
        (?:[eE](?P<power>[-+]?\d{1,3}))?
        (?:\s?/\s?(?P<below>\d{1,30}))?
        (?![\w(^:/*+=<>!-])(?![.,]\d)""",
    re.VERBOSE | re.ASCII,
)
_FRACTION: Final = re.compile(
    r"\\[dt]?frac\s*(?:\{\s*(\d{1,30})\s*\}|(\d))\s*(?:\{\s*(\d{1,30})\s*\}|(\d))"
)
_POWER: Final = re.compile(
    r"(?<=\d)\s*(?:\\times|\\cdot|\u00d7|\*)\s*10\s*\^\s*(?:\{\s*([-+]?\d+)\s*\}|(-?\d+))"
)
_LONGEST: Final = 1000
"""Characters of an answer with one number; a longer text takes ever longer to read."""
_SPACE: Final = re.compile(r"[\u00a0\u2009\u202f]|\\[,;!]|\\ ")
_HEDGES: Final = re.compile(
    r"\b(?:or|and|not|nor|either|neither|between|than|least|most|up\s?to|except|maybe|isn|no)\b"
    r"|[<>≤≥≠~±^*|?#\\{}\[\];…]|\.\.|(?<![a-z])/|/(?![a-z])",
    re.IGNORECASE,
)


def number(answer: str, task: Task) -> bool:
    """Whether it holds exactly one number, the right one.

    Signs, thousands separators (`1,000` or `1 000`), decimals, exponents, fractions (`3/4`), currency signs,
    percent signs and words for units are understood; a percent sign is a unit too: 50% is 50. Whole numbers
    must be equal. Others may differ by a millionth of the right one, and any by `task.about["tolerance"]`.

    Raises:
        ConfigError: If the right answer is no number.
    """
    gold = value(task.answer)
    if gold is None:
        raise ConfigError(
            f"task {task.id}: the answer of grader 'number' is one number, not {task.answer!r}"
        )
    found = value(answer)
    if found is None:
        return False
    millionth = abs(gold) / 10**6 if gold.denominator != 1 else Fraction()
    return abs(found - gold) <= max(millionth, Fraction(str(task.about.get("tolerance", 0))))


def value(text: str) -> Fraction | None:
    """The one number in a text, exactly; `None` if there is none, more than one, or a hedge about it.

    A fraction that is not in lowest terms is none: `24/2` repeats the question of what 24/2 is.
    """
    if len(text) > _LONGEST:
        return None
    text = _SPACE.sub(" ", text).replace("{,}", ",").replace("\u2212", "-").replace("**", "")
    text = text.replace("\\%", "%").replace("\\$", "$").replace("^\\circ", "").replace("^{\\circ}", "")
    text = re.sub(r"\\(?:text|textbf|mathrm|mathbf|mbox)\s*\{([\w\s.]*)\}", r" \1", text.strip())
    text = re.sub(r"\\[()\[\]]", " ", text)  # LaTeX's brackets around mathematics
    text = text[1:-1] if len(text) > 2 and text[0] == text[-1] == "$" else text
    text = _FRACTION.sub(lambda m: f"{m[1] or m[2]}/{m[3] or m[4]}", text)
    text = _POWER.sub(lambda m: f"e{m[1] or m[2]}", text)
    found = list(_NUMBER.finditer(text))
    if len(found) != 1:
        return None
    rest = text[: found[0].start()] + " " + text[found[0].end() :]
    if any(c.isnumeric() for c in rest) or _HEDGES.search(rest):
        return None
    return _fraction(found[0])


def _fraction(found: "re.Match[str]") -> Fraction | None:
    digits = re.sub("[, ]", "", found["whole"]) + (found["decimals"] or "")
    above = Fraction(digits) * Fraction(10) ** int(found["power"] or 0)
    if "-" in found[0][: found.start("whole") - found.start()]:
        above = -above
    if found["below"] is None:
        return above
    below = int(found["below"])
    lowest = above.denominator == 1 and below > 1 and gcd(above.numerator, below) == 1
    return above / below if lowest else None
