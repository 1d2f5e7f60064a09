# ruff: noqa: RUF001 - quotation marks of many languages are what is read
"""Reads one bracketed literal out of free text, forgivingly and in linear time.

Planners write Python lists, JSON arrays and things in between: smart quotes, full-width signs, trailing commas,
comments, bare words, raw line breaks and apostrophes inside strings, a `)` for a `]`. Nothing is ever evaluated.
"""

import re
from collections.abc import Container
from typing import Any, Final

MAX_DEPTH: Final = 6

_BLANK = re.compile(r"(?:[\s`]|(?:#|//)[^\n]*|/\*(?:[^*]|\*(?!/)){0,500}\*/)*")
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?")
_WORD = re.compile(r"[^\W\d][\w.-]*")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
# TeX that a planner forgot to escape: \\frac is no form feed, \\times no tab. Words that also begin a line of
# plain text (`\\ne`, `\\nexists`) count only before what a formula goes on with.
_TEX_T = (
    r"an[hg]?|au|ag|binom|ext[A-Za-z]*|frac|heta|herefore|hickapprox|hicksim|hinspace|ilde|imes|itle|op?"
    r"|riangle[a-z]*|woheadrightarrow|woheadleftarrow"
)
_TEX_N = (
    r"abla|atural|cong|earrow|ewcommand|ewline|eg|eq|eqq|geq|geqslant|gtr|Leftarrow|leftarrow|leq|leqslant|mid|olimits"
    r"|onumber|orm|ormalsize|ot|otin|prec|Rightarrow|rightarrow|sim|subseteq|succ|supseteq|u|vdash|vDash|warrow"
)
_TEX_N_BEFORE = r"(?:e|exists|i|less|parallel|subset|supset)(?=[ ]?[-\d\\]|[ ][A-Za-z](?![A-Za-z)]))"
_TEX_R = (
    r"angle|brace|brack|ceil|ef|enewcommand|estriction|floor|group|ho|ight[A-Za-z]*|m|oot|times|ule|Vert"
    r"|vert|lap"
)
TEX = re.compile(
    rf"\\(?:[bf](?=[A-Za-z])|(?:t(?:{_TEX_T})|n(?:{_TEX_N})|r(?:{_TEX_R}))(?![A-Za-z])|n{_TEX_N_BEFORE})"
)
_SIMPLE: Final = {
    "n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0",
    "\\": "\\", "'": "'", '"': '"', "/": "/", "\n": "",
}  # fmt: skip
_LISTS: Final = "[(\uff3b\uff08【"
_ENDS: Final = "])\uff3d\uff09】"
_COMMAS: Final = ",\uff0c、"
_COLONS: Final = ":："
_CLOSING: Final = {
    '"': '"', "'": "'", "«": "»", "»": "«", "‹": "›", "›": "‹", "„": "“", "‚": "‘",
    "“": "”", "”": "”", "‘": "’", "’": "’", "「": "」", "『": "』", "\uff02": "\uff02",
}  # fmt: skip
# German and Polish writers open alike, and close each in their own way.
_LOW: Final = {"„": re.compile("[“”]"), "‚": re.compile("[‘’]")}
_NESTED: Final = {"「": re.compile("[「」]"), "『": re.compile("[『』]")}


class Word(str):
    """A word that stood without quotes, such as `all` or a worker's name."""

    __slots__ = ()


class LiteralError(ValueError):
    """The literal is broken; the message says where, in words of the text.

    Attributes:
        position: Where.
        unclosed: The quote that opens a string which never ends, if that is what is wrong.
        opened: Where that string begins.
    """

    def __init__(self, message: str, position: int, unclosed: str = "", opened: int = -1) -> None:
        self.position = position
        self.unclosed = unclosed
        self.opened = opened
        super().__init__(message)


class LiteralReader:
    """Reads lists, tuples (as lists) and objects at given places of one text.

    All reads together touch at most a fixed multiple of the text's length, so that text made to be
    read again and again from nested beginnings costs no more than plain junk.

    Args:
        text: The whole text.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._work = 4 * len(text) + 1000

    def read(self, start: int) -> tuple[Any, int]:
        """The value that begins at `start` and the position after it.

        Lists become `list`, objects `dict`, strings `str`, bare words `Word`, numbers `int` or
        `float`.

        Raises:
            LiteralError: If it does not end or is not a literal.
        """
        position = start
        try:
            value, position = self._value(start, 0)
        except LiteralError as error:
            position = error.position
            raise
        finally:
            self._work -= position - start
        return value, position

    def _value(self, at: int, depth: int) -> tuple[Any, int]:
        sign = self.text[at : at + 1]
        if sign and sign in _LISTS + "{":
            if depth >= MAX_DEPTH:
                raise self._broken(at, "lists are nested too deep")
            return self._object(at, depth) if sign == "{" else self._list(at, depth)
        if sign and sign in _CLOSING:
            return self._strings(at)
        if match := _NUMBER.match(self.text, at):
            return _number(match[0]), match.end()
        if match := _WORD.match(self.text, at):
            return Word(match[0]), match.end()
        raise self._broken(at, "expected a value")

    def _list(self, at: int, depth: int) -> tuple[list[Any], int]:
        items: list[Any] = []
        square = self.text[at] in "[\uff3b【"
        at = self._blank(at + 1)
        while not self._is(at, _ENDS):
            item, at = self._value(at, depth + 1)
            items.append(item)
            at = self._separator(at, _ENDS, "]" if square else ")")
        if (
            depth == 0
            and square != (self.text[at] in "]\uff3d】")
            and self._is(self._blank(at + 1), _COMMAS + _ENDS)
        ):
            raise self._broken(at, f"the list goes on behind a `{self.text[at]}` that closes nothing,")
        return items, at + 1

    def _object(self, at: int, depth: int) -> tuple[dict[str, Any], int]:
        items: dict[str, Any] = {}
        at = self._blank(at + 1)
        while self.text[at : at + 1] != "}":
            key, at = self._value(at, depth + 1)
            at = self._blank(at)
            if not isinstance(key, str) or not self._is(at, _COLONS):
                raise self._broken(at, 'expected "key": value')
            items[key], at = self._value(self._blank(at + 1), depth + 1)
            at = self._separator(at, "}", "}")
        return items, at + 1

    def _separator(self, end: int, closing: str, named: str) -> int:
        at = self._blank(end)
        if self._is(at, _COMMAS):
            return self._blank(at + 1)
        if not self._is(at, closing):
            # A closing quote that touches a word is none, or that of a string before it is missing.
            quotes = end == at < len(self.text) and self._is(at - 1, _CLOSING.values())
            quotes = quotes and self.text[at] != "}"
            hint = (
                " (quotes inside a string need a backslash, and each string its closing quote)"
                if quotes
                else ""
            )
            raise self._broken(at, f"expected `,` or `{named}`{hint}")
        return at

    def _is(self, at: int, signs: Container[str]) -> bool:
        return at < len(self.text) and self.text[at] in signs

    def _strings(self, at: int) -> tuple[str, int]:
        """Neighbouring strings count as one, as in Python."""
        parts: list[str] = []
        end = at
        while self.text[at : at + 1] in _CLOSING and at < len(self.text):
            part, end = self._string(at)
            parts.append(part)
            at = self._blank(end)
        return "".join(parts), end

    def _string(self, at: int) -> tuple[str, int]:
        opening = self.text[at]
        quote = _CLOSING[opening]
        if opening in "\"'" and self.text.startswith(opening * 3, at):
            quote = opening * 3
        begin = search = at + len(quote)
        if opening in _NESTED:
            return self._nested(at)
        if opening in _LOW and (closing := _LOW[opening].search(self.text, begin)):
            return _unescape(self.text[begin : closing.start()]), closing.end()
        while (end := self.text.find(quote, search)) >= 0:
            if not _is_escaped(self.text, end, begin) and not self._apostrophe(end, quote):
                return _unescape(self.text[begin:end]), end + len(quote)
            search = end + 1
        raise self._endless(at, quote)

    def _nested(self, at: int) -> tuple[str, int]:
        """A string in quotes of which an inner one opens and closes as well."""
        opening, depth = self.text[at], 0
        for quote in _NESTED[opening].finditer(self.text, at):
            depth += 1 if quote[0] == opening else -1
            if depth == 0:
                return _unescape(self.text[at + 1 : quote.start()]), quote.end()
        raise self._endless(at, _CLOSING[opening])

    def _endless(self, at: int, quote: str) -> LiteralError:
        begins = self.text[at : at + 30].replace("\n", " ")
        why = f"the string that begins with `{begins}` never ends: its closing quote is missing"
        return LiteralError(why, len(self.text), quote, at)

    def _apostrophe(self, at: int, quote: str) -> bool:
        # A closing quote is never followed by a letter, so in 'the user's name' the middle one is none.
        return quote in ("'", "’") and self.text[at + 1 : at + 2].isalnum()

    def _blank(self, at: int) -> int:
        match = _BLANK.match(self.text, at)
        return match.end() if match else at

    def _broken(self, at: int, why: str) -> LiteralError:
        if at >= len(self.text):
            return LiteralError(f"{why}, but the text ends", at)
        return LiteralError(f"{why} at `{' '.join(self.text[at : at + 20].split())}`", at)

    @property
    def exhausted(self) -> bool:
        """Whether the work all reads may do together is used up."""
        return self._work <= 0


def _is_escaped(text: str, at: int, begin: int) -> bool:
    first = at
    while first > begin and text[first - 1] == "\\":
        first -= 1
    return (at - first) % 2 == 1


def _unescape(raw: str) -> str:
    if "\\" not in raw:
        return raw

    def one(match: re.Match[str]) -> str:
        if TEX.match(raw, match.start()):
            return match[0]
        code = match[1] or match[2] or match[3]
        if code is None:
            return _SIMPLE.get(match[4], match[0])
        number = int(code, 16)
        return chr(number) if number < 0x110000 else match[0]

    text = _ESCAPE.sub(one, raw)
    # JSON writes signs beyond the basic plane as two halves.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _number(text: str) -> int | float:
    if text.lstrip("+-").isdigit():
        return int(text) if len(text) < 20 else float("inf")
    return float(text)
