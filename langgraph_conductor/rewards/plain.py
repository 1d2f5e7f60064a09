"""Graders that need no library: the same text, one option of several, one number."""

import re
import unicodedata
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
        (?P<whole>[0-9]{{1,3}}(?:,[0-9]{{3}})+|[0-9]{{1,3}}(?:['\u2019][0-9]{{3}})+
            |[0-9]{{1,3}}(?:[ ][0-9]{{3}})+(?![ ]?[0-9])|[0-9]+|(?=\.[0-9]))
        (?P<decimals>\.[0-9]+)?
        (?:[eE](?P<power>[-+]?[0-9]{{1,3}}))?
        (?:\s?/\s?(?P<below>[0-9]{{1,30}}))?
        (?!{_LETTER}|[(^:*+=<>!-]|/(?!\s?[A-Za-z]{{2}}))(?![.,'\u2019][0-9])""",
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
_WIDE: Final = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
"""Full-width signs, as they are written among East Asian ones."""
_SPACE: Final = re.compile(r"[\u00a0\u2009\u202f]|\\[,;!]|\\ ")
_MINUS: Final = re.compile(
    "[\u2010-\u2013\u2212\u207b\u208b\u02d7\u2796\ufe63\uff0d]|\\A\u2014(?=[$€£¥]?[0-9.])"
)
_SAID_MINUS: Final = re.compile(
    r"(\A|[=:]|\b(?:is|be|are|was|equals|of)\b)\s*(?:minus|negative)\s+(?=[$€£¥]?\s?[0-9.])", re.IGNORECASE
)
_SCALES: Final = re.compile(
    r"\b(?:(?:m|b|tr|quadr|quint)ill?i[oó]n(?:es|en|er|s)?|milliard\w*|hundreds?|thousands?|lakhs?|crores?|dozens?|grand|bn|mln?"
    r"|mio|(?:ten|hundred|thousand|million|billion)ths?"
    # thousands and more in other languages
    r"|mil|mille|mila|milhar\w*|millar\w*|milh(?:ões|ão)|bilh(?:ões|ão)|millon\w*|milion\w*|miliard\w*|miljo\w+|miljard\w*|mrd|mld"
    r"|tausend\w*|tsd|hundert|dutzend|duizend|tusen\w*|tusind\w*|þúsund\w*|tuhat\w*|tuhan\w+|tuhansi\w*|tys|tysi\w+|tis[íi]c\w*|ezer"
    r"|bin|milyon|milyar|ribu|juta|miliar|elfu|libo|nghìn|ngàn|triệu|tỷ|тыс\w*|миллион\w*|миллиард\w*|млн|млрд|тисяч\w*|мільйон\w*"
    r"|хиляд\w*|хиљад\w*|χιλι\w+|εκατομμ\w+|אלף|אלפים|מיליון|ألف|آلاف|الف|مليون|مليار|هزار|میلیون|میلیارد)\b"
    r"|ह[ज़]़?ार|लाख|करोड़|হাজার|লক্ষ|ஆயிரம்|พัน|หมื่น|แสน|ล้าน",
    re.IGNORECASE,
)
_MYRIADS: Final = re.compile(r"\s?[천만억조](?=\W|\Z|원|달러|명|개|불|엔|유로|위안|톤|마리|대|장|번)")
"""Korean for thousands and more, behind a number."""
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
    r"|[%\u00b0] of\b|\bpercent of\b|%\s?%"
    r"|[<>≤≥≠~±^*|?#\\{}\[\];…+π‰√∛∜负負半约約]|\.\.|(?<![a-z])/|/(?![a-z])",
    re.IGNORECASE,
)
_BEFORE: Final = re.compile(
    r"(?:\b(?:nearly|almost|over|under|above|below|beyond|within|exceed\w*"
    r"|before|after|until|less|" + _SMALL + r")|(?<!\w)-|[^\s=:$(]\(|\(-)\s*-?[$€£¥]?\s?\Z",
    re.IGNORECASE,
)
"""What makes another number of the one behind it."""
_AFTER: Final = re.compile(
    r"\s*(?:[-/]\s*)?" + _SMALL + r"\b|\s+(?:times|over|by)\s+" + _SMALL + r"\b|\s*-\s*\w\b|\s+i\b|\s+e\b",
    re.IGNORECASE,
)
_COUNTED: Final = re.compile(
    r"(?<=[0-9}])\s+(tens|scores?|gross|pairs?|basis\s+points?|bps)\b", re.IGNORECASE
)
"""What is counted by the several, behind a number."""
_AROUND: Final = re.compile(
    r"(?<![~\w\d])(?:~|\u2248|\\approx\b|\\sim\b)\s?(?=[-$\u20ac\u00a3\u00a5]{0,2}[0-9.])"
)
"""A rounded number is the number."""
_N: Final = r"[$\u20ac\u00a3\u00a5]?[0-9][0-9,]{0,20}(?:\.[0-9]{1,20})?"
_SUM: Final = re.compile(
    rf"(?<![\w.,+*/^(\u00d7\u00f7\u00b7-])(?<![+*/^(\u00d7\u00f7\u00b7-]\s)({_N}(?:\s?[-+*/x\u00d7\u00f7\u00b7]\s?{_N}){{1,12}}+)\s?=\s?(?={_N})"
)
"""A computation before its result."""
_ASIDE: Final = re.compile(rf"\s?\(\s?({_N}(?:\s?[-+*/x\u00d7\u00f7\u00b7]\s?{_N}){{1,12}})\s?\)\s?\.?\Z")
"""The computation behind its result."""
_UNLIKE: Final = re.compile(rf",? (?:and )?not ([-]?{_N})%?\Z|\bnot ([-]?{_N}),? but (?=[-]?{_N})")
"""Another number that is said to be wrong."""
_MIXED: Final = re.compile(
    r"(?<![\w.,/+*=-])([-]?)([0-9]{1,9}) ([0-9]{1,9})/([0-9]{1,9})(?![\w/]|[.,][0-9])"
)
"""A whole number and a fraction, such as 1 1/2."""
_HAT: Final = frozenset("=\u2248\u2192\u21d2\u27f9\u2234\u2261+~<>|^")
_PERCENT: Final = re.compile(r"%|\bper ?cent|\bpct\b", re.IGNORECASE)
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
    answer = answer.translate(_WIDE)
    if (
        0 < abs(gold) < 1
        and _PERCENT.search(answer)
        and not _PERCENT.search(f"{task.answer} {task.question}")
    ):
        return False  # 0.5% is not 0.5
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
    text = text.translate(_WIDE).replace("{,}", ",").replace(",\\!", ",").replace("**", "")
    text = _SPACE.sub(" ", text.strip())
    text = _SAID_MINUS.sub(r"\1 -", _MINUS.sub("-", text))
    text = text.replace("\\%", "%").replace("\\$", "$").replace("^\\circ", "").replace("^{\\circ}", "")
    text = re.sub(r"\\(?:text|textbf|mathrm|mathbf|mbox)\s*\{([\w\s.]*)\}", r" \1", text.strip())
    text = re.sub(r"\\[()\[\]]", " ", text)  # LaTeX's brackets around mathematics
    text = text[1:-1] if len(text) > 2 and text[0] == text[-1] == "$" else text
    text = _FRACTION.sub(_slashed, text)
    text = _POWER.sub(lambda m: f"e{m[1] or m[2]}", text)
    text = _plainly(text.strip().removesuffix(".").rstrip())
    found = list(_NUMBER.finditer(text))
    if len(found) != 1:
        return None
    before, after = text[: found[0].start()], text[found[0].end() :]
    after = after[1:] if re.match(r"/\s?[A-Za-z]", after) else after  # $18/day
    rest = f"{before} {after}"
    if any(c.isnumeric() for c in rest) or _HEDGES.search(rest) or _SCALES.search(rest):
        return None
    if _BEFORE.search(before) or _AFTER.match(after) or _COUNTED.search(text) or _MYRIADS.match(after):
        return None
    signs = found[0][0][: found[0].start("whole") - found[0].start()]
    if signs.count("-") + signs.count("+") > 1:
        return None
    if (
        before
        and before[-1] not in _HAT
        and unicodedata.category(before[-1]) in ("Sm", "Sk", "Pd", "Lm", "Mn")
    ):
        return None  # a sign of which nothing is known
    if any(sign in found[0][0] for sign in "$€£¥") and _SHORT_SCALE.match(after):
        return None
    return None if _equation(before) else _fraction(found[0])


def _plainly(text: str) -> str:
    """A text without a computation that has the number as its result, and other numbers that it says it is not."""
    text = _AROUND.sub("", text)
    text = _SUM.sub(lambda sum_: "" if _result(sum_[1]) == _leading(text[sum_.end() :]) else sum_[0], text)
    if (aside := _ASIDE.search(text)) and _result(aside[1]) == _trailing(text[: aside.start()]):
        text = text[: aside.start()]
    unlike = _UNLIKE.search(text)
    if unlike:
        rest = text[: unlike.start()] + text[unlike.end() :]
        kept = re.search(_N, rest)
        if kept and _result(kept[0]) != _result((unlike[1] or unlike[2]).lstrip("-")):
            text = rest
    return _MIXED.sub(_improper, text)


def _improper(mixed: "re.Match[str]") -> str:
    sign, whole, above, below = mixed[1], *map(int, mixed.groups()[1:])
    return f"{sign}{whole * below + above}/{below}" if 0 < above < below else mixed[0]


def _leading(text: str) -> Fraction | None:
    found = re.match(_N, text)
    return _result(found[0]) if found else None


def _trailing(text: str) -> Fraction | None:
    found = re.search(_N + r"\Z", text[-40:])
    return _result(found[0]) if found else None


def _result(computation: str) -> Fraction | None:
    """What a sum of products of numbers is."""
    total, term, sign = Fraction(), None, "+"
    for part in re.findall(r"[0-9][0-9,]*(?:\.[0-9]+)?|[-+*/x\u00d7\u00f7\u00b7]", computation):
        if not part[0].isdigit():
            if part in "+-":
                total, term = total + (term or 0), None
            sign = part
            continue
        number_ = Fraction(part.replace(",", ""))
        if term is None:
            term = -number_ if sign == "-" else number_
        elif sign in "/\u00f7":
            if not number_:
                return None
            term /= number_
        else:
            term *= number_
    return total + (term or 0)


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
    digits = re.sub("[, '\u2019]", "", found["whole"]) + (found["decimals"] or "")
    above = Fraction(digits) * Fraction(10) ** int(found["power"] or 0)
    if "-" in found[0][: found.start("whole") - found.start()]:
        above = -above
    if found["below"] is None:
        return above
    below = int(found["below"])
    lowest = above.denominator == 1 and below > 1 and gcd(above.numerator, below) == 1
    return above / below if lowest else None
