"""Units and names that stand beside an answer: 42 km is not 42 cm, and z = 2x + 1 is not y = 2x + 1."""

import re
from typing import Final

_KINDS: Final = {
    "length": "mm|millimeter cm|centimeter dm|decimeter m|meter km|kilometer in|inch|inches"
    " ft|foot|feet yd|yard mi|mile",
    "mass": "mg|milligram g|gram kg|kilogram|kilo t|ton|tonne oz|ounce lb|pound",
    "time": "ms|millisecond s|sec|second min|minute h|hr|hour day week month yr|year decade century|centuries",
    "volume": "ml|milliliter cl|centiliter dl|deciliter l|liter gal|gallon qt|quart pt|pint",
    "money": "$|usd|dollar ¢|cent €|eur|euro £|gbp ¥|jpy|yen",
    "angle": "°|deg|degree rad|radian",
    "share": "%|percent",
}
_KNOWN: Final = {
    name: (kind, names.partition("|")[0])
    for kind, units in _KINDS.items()
    for names in units.split()
    for name in names.split("|")
}
"""By how it may be written: what a unit measures, and the unit. Plurals are found without an s."""

_POWERS: Final = {"square": 2, "sq": 2, "cubic": 3, "cu": 3, "2": 2, "3": 3, "²": 2, "³": 3}
_BEHIND: Final = re.compile(
    r"\s?(?:(square|cubic|sq|cu)\.?\s)?([A-Za-z]{1,12}|[$€£¥¢°%])(?:\s?\^?\s?\{?([23²³])\}?)?(?![^\W_])"
)
_TEXT: Final = re.compile(r"\\(?:text|mathrm|mbox|textrm|mathbf)\s*\{([^{}]{0,40})\}")
_AT_END: Final = re.compile(_TEXT.pattern + r"(\s*+\^\s*+\{?+\s*+[23]\s*+\}?+)?\s*+\$?+\.?+\s*+\Z")
_CIRC: Final = re.compile(r"\^\s?(?:\\circ|\{\s?\\circ\s?\})")
_FIRST: Final = re.compile(r"([$€£¥])?\s?[-+]?(?:\d[\d,]*)?\.?\d+")
_ASKED: Final = re.compile(
    r"\bhow (?:many|much)(?: (?:more|fewer|less|total|extra|additional|whole|full))*"
    r"((?: square| cubic)? [A-Za-z]+)",
    re.IGNORECASE,
)
_NAME: Final = re.compile(
    r"\s*+\$?+\s*+([A-Za-z](?:_\w|_\{\w+\}|\([a-z]\))?)\s*+(?:=|\\in\b)(?!\s*=)([^=]*)", re.ASCII
)

Unit = tuple[str, str, int]
"""What it measures, its name, its power."""


def clash(answer: str, gold: str, question: str = "") -> bool:
    """Whether an answer has another unit, or names another variable, than the right answer has.

    Where the right answer has no unit, the one that the question asks for counts ("how many minutes"), against
    units of its kind. A unit that is not known, or not there, clashes with nothing.
    """
    said, right = _unit(answer), _unit(gold)
    if right and not said and not question:
        said = _last_unit(answer)
    asked = None if right else _asked(question)
    if said and right and said != right:
        return True
    if right and right[0] == "angle" and re.search(r"^[^'\u2032\"\u2033]*\d\s?['\u2032\"\u2033]", answer):
        return True  # minutes or seconds of arc
    if said and asked and said[0] == asked[0] and said != asked:
        return True
    return _names_clash(answer, gold)


def _names_clash(answer: str, gold: str) -> bool:
    said, right = _NAME.fullmatch(answer), _NAME.fullmatch(gold)
    if said is None:
        return False
    if right is None:  # `x = 2x + 1` is an equation
        return (
            len(said[1]) == 1 and re.search(rf"(?<![A-Za-z\\]){said[1]}(?![A-Za-z])", said[2]) is not None
        )
    return "".join(re.findall(r"\w|\(", said[1])) != "".join(re.findall(r"\w|\(", right[1]))


def _unit(text: str) -> Unit | None:
    """The unit behind the first number, before it, or in LaTeX's text at the end."""
    text = _CIRC.sub("\u00b0", text)
    if found := _AT_END.search(text[-100:]):
        return _known(f"{found[1].strip()}{found[2] or ''}")
    text = _TEXT.sub(r" \1", text.replace("\\", " ") if "\\text" not in text else text)
    number = _FIRST.search(text)
    if number is None:
        return None
    return _known(text[number.end() :]) or (_known(number[1]) if number[1] else None)


def _last_unit(text: str) -> Unit | None:
    """The unit that an expression ends with, as in `5x km`."""
    found = re.search(r"(?<=[\s}])((?:square |cubic )?[A-Za-z]{1,12})\s?\.?\Z", text[-40:])
    return _known(found[1]) if found else None


def _asked(question: str) -> Unit | None:
    found = None
    for found in _ASKED.finditer(question):  # noqa: B007 - the last one counts
        pass
    return _known(found[1]) if found else None


def _known(behind: str) -> Unit | None:
    found = _BEHIND.match(behind)
    if found is None:
        return None
    word = found[2].casefold().replace("litre", "liter").replace("metre", "meter")
    if word in ("in", "a") and behind[found.end() :].strip(" ."):
        return None  # `42 in total`
    unit = _KNOWN.get(word) or _KNOWN.get(word.removesuffix("s"))
    return (*unit, _POWERS.get((found[1] or found[3] or "").casefold(), 1)) if unit else None
