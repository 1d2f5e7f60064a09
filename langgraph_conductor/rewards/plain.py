"""Graders that need no library: the same text, one option of several, one number."""

import re
from fractions import Fraction
from math import gcd
from typing import Final

from langgraph_conductor.errors import ConfigError
from langgraph_conductor.foreign_text import normalized
from langgraph_conductor.rewards.answers import unwrapped
from langgraph_conductor.rewards.task import Task
from langgraph_conductor.rewards.units import clash

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
    text = " ".join(normalized("NFKC", text).split())
    text = text.strip(_QUOTES).removesuffix(".").strip(_QUOTES).strip()
    return text if cased else text.casefold()


_LETTER: Final = "[^\\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
"""A letter, digit or underscore that belongs to a number it touches, as East Asian counters do not."""
_NUMBER: Final = re.compile(
    rf"""(?<!{_LETTER})(?<![.,/^:)-])[-+]?(?:[$€£¥]\s?)?[-+]?
        (?P<whole>[0-9]{{1,3}}(?:,[0-9]{{3}})+|[0-9]{{1,3}}(?:[ ][0-9]{{3}})+(?![ ]?[0-9])|[0-9]+|(?=\.[0-9]))
        (?P<decimals>\.[0-9]+)?
        (?:[eE](?P<power>[-+]?[0-9]{{1,3}}))?
        (?:\s?/\s?(?P<below>[0-9]{{1,30}}))?
        (?!{_LETTER}|[(^:/*+=<>!-])(?![.,][0-9])""",
    re.VERBOSE,
)
_FRACTION: Final = re.compile(
    r"(?:(?<![0-9.,])([0-9]{1,30})\s*)?\\[dt]?frac\s*(?:\{\s*([0-9]{1,30})\s*\}|([0-9]))\s*(?:\{\s*([0-9]{1,30})\s*\}|([0-9]))"
)
_POWER: Final = re.compile(
    r"(?<=[0-9])\s*(?:\\times|\\cdot|\u00d7|\*)\s*10\s*\^\s*(?:\{\s*([-+]?[0-9]{1,30})\s*\}|(-?[0-9]{1,30}))"
)
_LONGEST: Final = 1000
"""Characters of an answer with one number; a longer text takes ever longer to read."""
_SPACE: Final = re.compile(r"[\u00a0\u2009\u202f]|\\[,;!]|\\ ")
_MINUS: Final = re.compile("[\u2010-\u2013\u2212\ufe63\uff0d]|\\A\u2014(?=[$€£¥]?[0-9.])")
_SAID_MINUS: Final = re.compile(
    r"(\A|[=:]|\b(?:is|be|are|was|equals|of)\b)\s*(?:minus|negative)\s+(?=[$€£¥]?\s?[0-9.])", re.IGNORECASE
)
_SCALES: Final = re.compile(
    r"\b(?:(?:m|b|tr|quadr|quint)ill?i[oó]n(?:es|en|s)?|milliard\w*|hundreds?|thousands?|lakhs?|crores?|dozens?|grand|bn|mln?"
    r"|mio|(?:ten|hundred|thousand|million|billion)ths?)\b",
    re.IGNORECASE,
)
_SMALL: Final = (
    r"(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|sixty|seventy"
    r"|eighty|ninety|\w{2,5}teen|x|y|z|n|k|pi)"
)
_HEDGES: Final = re.compile(
    r"\b(?:or|and|not|nor|either|neither|between|than|least|most|up\s?to|except|excluding|maybe|perhaps|possibly|might"
    r"|isn|no|but|unless|instead|wrong|incorrect|false|cannot|never|hardly|without|\w{2,7}n['’]t"
    r"|minus|negative|plus|divided|multiplied|doubled?|twice|thrice|tripled?|half|halves|halved|squared|cubed"
    r"|(?:square|cube|third|quarter|fifth|quarters|fraction|multiple|power|percent|reciprocal|inverse|opposite) of"
    r"|root|sqrt|cbrt|factorial|modulo|mod|log|ln|sin|cos|tan|exp|pi|infinity|point)\b"
    r"|[%\u00b0] of\b|\bpercent of\b"
    r"|[<>≤≥≠~±^*|?#\\{}\[\];…+π‰√∛∜负負半约約]|\.\.|(?<![a-z])/|/(?![a-z])",
    re.IGNORECASE,
)
_BEFORE: Final = re.compile(
    r"(?:\b(?:about|around|approximately|approx\.?|roughly|nearly|almost|over|under|above|below|beyond|within|exceed\w*"
    r"|before|after|until|less|" + _SMALL + r")|(?<!\w)-|[^\s=:$(]\(|\(-)\s*-?[$€£¥]?\s?\Z",
    re.IGNORECASE,
)
"""What makes another number of the one behind it."""
_AFTER: Final = re.compile(
    r"\s*(?:-\s*)?" + _SMALL + r"\b|\s+(?:times|over|by)\s+" + _SMALL + r"\b|\s*-\s*\w\b|\s+i\b|\s+e\b",
    re.IGNORECASE,
)
_COUNTED: Final = re.compile(
    r"(?<=[0-9}])\s+(tens|scores?|gross|pairs?|basis\s+points?|bps)\b", re.IGNORECASE
)
"""What is counted by the several, behind a number."""
_DEBT: Final = re.compile(
    r"\b(?:loss|debt|deficit|shortfall) of\b|\bbelow (?:zero|freezing|sea level)\b|\bin (?:debt|the red)\b",
    re.IGNORECASE,
)
_ASKED_DEBT: Final = re.compile(
    r"\b(?:los[est]\w*|debts?|ow(?:e|es|ed|ing)|deficit|shortfall|below|red)\b", re.IGNORECASE
)
_SHORT_SCALE: Final = re.compile(r"\s?(?:[kmb]|mm|tn|tr)\b", re.IGNORECASE)


def number(answer: str, task: Task) -> bool:
    """Whether it holds exactly one number, the right one.

    Signs, thousands separators (`1,000` or `1 000`), decimals, exponents, fractions (`3/4`), currency signs,
    percent signs and words for units are understood; a percent sign is a unit too: 50% is 50. A word that makes
    another number of it (`42 million`, `half of 42`, `2π`) makes it wrong, unless it is the unit that is asked for
    ("how many million"). So does a unit that is known and another than the right answer's or, where that has
    none, than the one of its kind that is asked for. Whole numbers must be equal. Others may differ by a millionth
    of the right one, and any by `task.about["tolerance"]`.

    Raises:
        ConfigError: If the right answer is no number, or the tolerance is none.
    """
    gold = value(task.answer)
    if gold is None:
        raise ConfigError(
            f"task {task.id}: the answer of grader 'number' is one number, not {task.answer!r:.80}"
        )
    tolerance = _tolerance(task)
    found = value(_unscaled(answer, task))
    if found is None or clash(answer, task.answer, task.question):
        return False
    if _DEBT.search(answer) and not _ASKED_DEBT.search(task.question):
        found = -found
    millionth = abs(gold) / 10**6 if gold.denominator != 1 else Fraction()
    return abs(found - gold) <= max(millionth, tolerance)


def _tolerance(task: Task) -> Fraction:
    given = task.about.get("tolerance", 0)
    try:
        return Fraction(str(float(given)))
    except (ArithmeticError, TypeError, ValueError):
        raise ConfigError(
            f"task {task.id}: its `about` does not fit grader 'number': `tolerance` is a number, "
            f"not {_shown(given)}"
        ) from None


def _shown(given: object) -> str:
    return "one of so many digits" if isinstance(given, int) else repr(given)[:80]


def _unscaled(answer: str, task: Task) -> str:
    """Without a word such as "million" if it is asked how many millions, or the right answer has it as well."""
    if len(answer) > _LONGEST:
        return answer
    counted = _COUNTED.search(answer)
    if counted and re.search(
        rf"\b{re.escape(counted[1].removesuffix('s'))}s?\b", task.question, re.IGNORECASE
    ):
        answer = _COUNTED.sub("", answer, count=1)
    if (found := _SCALES.search(answer)) is None:
        return answer
    word = re.escape(found[0].removesuffix("s"))
    asked = re.search(rf"\b(?:how many|number of|in) {word}s?\b", task.question, re.IGNORECASE)
    return _SCALES.sub("", answer, count=1) if asked else answer


def value(text: str) -> Fraction | None:
    """The one number in a text, exactly; `None` if there is none, more than one, or a hedge about it.

    A fraction that is not in lowest terms is none: `24/2` repeats the question of what 24/2 is.
    """
    if len(text) > _LONGEST:
        return None
    text = _SPACE.sub(" ", text.strip()).replace("{,}", ",").replace("**", "")
    text = _SAID_MINUS.sub(r"\1 -", _MINUS.sub("-", text))
    text = text.replace("\\%", "%").replace("\\$", "$").replace("^\\circ", "").replace("^{\\circ}", "")
    text = re.sub(r"\\(?:text|textbf|mathrm|mathbf|mbox)\s*\{([\w\s.]*)\}", r" \1", text.strip())
    text = re.sub(r"\\[()\[\]]", " ", text)  # LaTeX's brackets around mathematics
    text = text[1:-1] if len(text) > 2 and text[0] == text[-1] == "$" else text
    text = _FRACTION.sub(_slashed, text)
    text = _POWER.sub(lambda m: f"e{m[1] or m[2]}", text)
    found = list(_NUMBER.finditer(text))
    if len(found) != 1:
        return None
    before, after = text[: found[0].start()], text[found[0].end() :]
    rest = f"{before} {after}"
    if any(c.isnumeric() for c in rest) or _HEDGES.search(rest) or _SCALES.search(rest):
        return None
    if _BEFORE.search(before) or _AFTER.match(after) or _COUNTED.search(text):
        return None
    if any(sign in found[0][0] for sign in "$€£¥") and _SHORT_SCALE.match(after):
        return None
    return None if _equation(before) else _fraction(found[0])


def _slashed(fraction: "re.Match[str]") -> str:
    """A fraction of LaTeX with a slash; one and a half is 3/2."""
    whole, above, below = fraction[1], fraction[2] or fraction[3], fraction[4] or fraction[5]
    if whole is None:
        return (
            f" {above}/{below}"
            if fraction.string[fraction.start() - 1 : fraction.start()].isdigit()
            else f"{above}/{below}"
        )
    if not 0 < int(above) < int(below):
        return f"{whole} {above}/{below}"
    return f"{int(whole) * int(below) + int(above)}/{below}"


def _equation(before: str) -> bool:
    """Whether what is equal to the number is more than a name: -x = 42 says that x is -42."""
    left, equal, _ = before.rpartition("=")
    return bool(equal) and re.search(r"[-+*/^=]\s*+\w{0,20}+\s*+\Z|(?<!\w)-", left) is not None


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
