"""Answers as a field of JSON, and what an endpoint leaves behind a reply."""

import json
import re
from typing import Any, Final

KEYS: Final = frozenset(
    {"answer", "final answer", "correct answer", "choice", "option", "letter", "selected", "result"}
)
_REASONS: Final = re.compile(
    r"(?:reason|explanation|explain|rationale|thought|thinking|steps?\b|work|confidence|certainty|probability|score"
    r"|justification|analysis|calculation|chain|question|task|id\b|type\b|language|note|comment|summary|evidence|proof)"
)
"""Keys whose values are no second answer."""

_UNITS: Final = frozenset({"unit", "units", "currency"})
_FENCE: Final = "```"
_END: Final = re.compile(
    r"(?:<[|\uff5c][^\n<>|\uff5c]{1,64}[|\uff5c]>|</s>|<(?:eos|end_of_turn|endoftext|eot|im_end)>)\Z",
    re.IGNORECASE,
)
"""A token of a chat template that ends a message."""


def without_end_marks(text: str) -> str:
    """The text without tokens such as `<|im_end|>` at its end, which a template should have taken."""
    text = text.rstrip()
    while (start := text.rfind("<", max(0, len(text) - 80))) >= 0 and _END.match(text, start):
        text = text[:start].rstrip()
    return text


def stated(text: str, *, units: bool = False) -> str | None:
    """The answer that JSON states, if the text is an object or ends with one, fenced or on lines of its own.

    Returns:
        `None` if there is no such object; an empty text if it names a second answer, or says the one is wrong.
    """
    pairs = _object(text)
    if pairs is None:
        return None
    named = [(key.strip().casefold().replace("_", " "), value) for key, value in pairs]
    said = [value for key, value in named if key in KEYS]
    if not said:
        return None
    if len(said) > 1 or type(said[0]) not in (str, _Number):
        return ""
    unit = ""
    for key, value in named:
        if key in _UNITS and isinstance(value, str):
            unit = f" {value}" if units else ""
        elif key not in KEYS and not _REASONS.match(key) and value not in (None, True, ""):
            return ""
    return f"{said[0]}{unit}"


class _Number(str):
    """A number as it is written."""

    __slots__ = ()


def _object(text: str) -> tuple[tuple[str, Any], ...] | None:
    """The fields of the object that the text is or ends with."""
    before = ""
    if text.endswith(_FENCE):
        before, _, text = text[: -len(_FENCE)].rpartition(_FENCE)
        text = text.removeprefix("json")
    text = text.strip()
    if text.endswith("}") and not text.startswith("{"):
        before, line, text = text.partition("\n{")
        text = f"{{{text}" if line else ""
    if '{"' in before or not (text.startswith("{") and text.endswith("}")):
        return None
    try:
        pairs = json.loads(text, object_pairs_hook=tuple, parse_int=_Number, parse_float=_Number)
    except (ValueError, RecursionError):
        return None
    return pairs if isinstance(pairs, tuple) else None
