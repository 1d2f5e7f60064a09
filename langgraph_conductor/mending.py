# ruff: noqa: RUF001 - quotation marks of many languages are what is read
"""Mends of plans that can mean one thing only: bare TeX in JSON, lists without their last sign, other layouts."""

import json
import re
from typing import Any, Final

from langgraph_conductor.literals import TEX, LiteralError, LiteralReader

# Behind a list and before the next label, where they do not belong to the list.
_BETWEEN = re.compile(r"(?<![\s,\uff0c;`*#>-])[\s,\uff0c;`*#>-]*+(?:\$?\\[a-z]{2,10}\{)?\Z")
_MARGIN: Final = 60
_QUOTES: Final = "\"'“‘„‚«‹「『"
_LABEL: Final = r"model\\{0,2}[_ -]?ids?|sub[_ -]?tasks?|access\\{0,2}[_ -]?lists?"
# A heading of its own line, and the list below it.
_HEADING = re.compile(
    rf"^[ \t]{{0,8}}[#*\d.` -]{{0,8}}({_LABEL})[*:` ]{{0,6}}\n(?=\s{{0,8}}\[)", re.IGNORECASE | re.MULTILINE
)
_MARKDOWN = re.compile(rf"(?:{_LABEL})[*`]{{0,4}}\s{{0,8}}[:=]\s{{0,8}}\\\[", re.IGNORECASE)
_INNER = re.compile(
    r"[\"'](?:arguments|args|input|parameters|plan|workflow|steps)[\"']\s{0,8}:\s{0,8}(?=\")"
)
_MOST_INNER: Final = 4
_STRING = json.decoder.JSONDecoder(strict=False)


def json_of_plan(text: str) -> Any:
    r"""What JSON says, where TeX commands with one backslash (`\frac`, `\neq`) are what they are in TeX.

    Raises:
        ValueError: If it is no JSON.
        RecursionError: If it is nested too deep.
    """
    try:
        return json.loads(re.sub(r"\\.", _as_tex, text, flags=re.DOTALL))
    except ValueError:
        return json.loads(text)


def _as_tex(match: re.Match[str]) -> str:
    return "\\" + match[0] if TEX.match(match.string, match.start()) else match[0]


def mended(
    text: str, *, texts: bool, error: LiteralError | None = None
) -> tuple[list[Any] | None, LiteralError | None]:
    """A broken list that lacks nothing but its last sign, or has one quote too many; and what is wrong with it.

    Args:
        text: From where the list begins up to the next label. A string without an end reads on into the next list,
            and what is found wrong there is not what is wrong.
        texts: Whether it is a list of texts.
        error: What was found wrong in the whole text.
    """
    text = _without_end(text)
    for quote in ("'", '"', "\u300c", "\u300e"):
        # The quote may be that of the next label.
        if text.endswith(quote) and (shorter := _without_end(text[:-1])).endswith(("]", "}", ")")):
            text = shorter
    found = _read(text)
    if isinstance(found, LiteralError) and found.unclosed and found.opened == len(text) - 1:
        text = _without_end(text[:-1])
        found = _read(text)
    if isinstance(found, list):
        return found, None  # it was read on into what follows
    error = found if found.unclosed or error is None else error
    candidates = []
    if texts and found.unclosed:
        at = found.opened
        if text[at + 1 :].lstrip()[:1] in _QUOTES and text[at + 1 :].strip():
            candidates.append(text[:at] + text[at + 1 :].lstrip())
        if text.endswith(("]", "\uff3d")):
            candidates.append(f"{text[:-1].rstrip()}{found.unclosed}]")
    if not found.unclosed and text[:1] == "[":
        candidates.append(text[:-1] + "]" if text.endswith("}") else text + "]")
    for candidate in candidates if has_texts(text) or not texts else ():
        value = _read(candidate)
        if isinstance(value, list) and (not texts or all(type(item) is str for item in value)):
            return value, None
    return None, error


def has_texts(text: str) -> bool:
    """Whether a string may be written in `text`: without one, nothing is mended that a string broke."""
    return any(quote in text for quote in _QUOTES)


def _read(text: str) -> list[Any] | LiteralError:
    """The list that is the whole of `text`, or why there is none."""
    try:
        value, end = LiteralReader(text).read(0)
    except LiteralError as error:
        return error
    if not isinstance(value, list) or end < len(text):
        return LiteralError("the list does not end where it should", end)
    return value


def _without_end(text: str) -> str:
    return text[:-_MARGIN] + _BETWEEN.sub("", text[-_MARGIN:])


def in_other_words(text: str) -> list[str]:
    """What a text without a readable plan may say: JSON in a string, lists below headings, escaped markdown."""
    found = []
    if text.lstrip()[:1] == '"':
        found += _string_at(text, len(text) - len(text.lstrip()))
    for number, match in enumerate(_INNER.finditer(text)):
        if number == _MOST_INNER:
            break
        found += _string_at(text, match.end())
    plain = text
    if _MARKDOWN.search(plain):
        plain = re.sub(r"\\([\[\]_])", r"\1", plain)
    plain = _HEADING.sub(r"\1 = ", plain)
    return found if plain == text else [*found, plain]


def _string_at(text: str, at: int) -> list[str]:
    try:
        said, _ = _STRING.raw_decode(text, at)
    except (ValueError, RecursionError):
        return []
    return [said] if isinstance(said, str) else []
