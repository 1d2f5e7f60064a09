"""Text that models, tools, users and files wrote, on its way to a terminal, a log line or JSON.

What such a text may hold beside its words is the same everywhere: controls that command a terminal, line breaks
that begin a log line of their own, marks that turn the direction of what is read, and signs nobody sees.
"""

import json
import logging
import re
import traceback
import unicodedata
from typing import Any, Final, Literal

# Controls but for tab and line feed; marks of direction; line separators; format signs that nobody sees, but for
# the joiners U+200C and U+200D, which scripts and emoji need, and for signs of their category that are seen (of
# numbers in Arabic, Syriac and Kaithi) or lay out hieroglyphs; tags (U+E0000), in which whole texts can be hidden.
_UNSEEN: Final = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_CONTROL: Final = re.compile(f"[{_UNSEEN}]")
_NOT_IN_JSON: Final = re.compile(f"[{_UNSEEN}\u200c\u200d]")
_LONGEST: Final = 2_000
"""Characters of one foreign text in a log line."""
_FRAMES: Final = 20
_MOST_MARKS: Final = 30
"""Marks on one letter, as in Unicode's stream-safe text (UAX 15); no script comes near."""
_MANY: Final = re.compile(rf"[^\x00-\x7f]{{{_MOST_MARKS + 1},}}+")


def printable(text: str) -> str:
    """`text` without characters with which a model's words could command a terminal.

    They are controls, marks that turn the direction of text, line separators, and signs that are not seen.
    """
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def normalized(form: Literal["NFKC", "NFKD"], text: str) -> str:
    """`text` in a normal form of Unicode, in linear time; marks beyond the 30th on one letter are left out.

    Python alone sorts the marks of a letter by insertion, and lets no other thread run meanwhile.
    """
    return unicodedata.normalize(form, _MANY.sub(_with_few_marks, text))


def _with_few_marks(found: re.Match[str]) -> str:
    kept, marks = [], 0
    for sign in found[0]:
        marks = marks + 1 if unicodedata.combining(sign) else 0
        if marks <= _MOST_MARKS:
            kept.append(sign)
    return "".join(kept)


def on_one_line(text: str, most: int) -> str:
    """`text` on one line of at most `most` characters, which commands nothing."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= most else line[: most - 1] + "…"


def shown_briefly(given: Any) -> str:
    """What was given in place of something else, for the message of an error: at most 200 characters."""
    try:
        return f"{given!r:.200}"
    except RecursionError:
        return f"a {type(given).__name__} that is nested too deeply to be shown"


def json_of(data: Any, *, indent: int | None = None) -> str:
    r"""Data as JSON that may be printed: what commands a terminal or is not seen is written as `\u....`.

    Raises:
        TypeError: If it is no JSON.
    """
    # Line feeds and blanks, all that JSON has outside of strings, are none of them.
    return _NOT_IN_JSON.sub(_by_number, json.dumps(data, ensure_ascii=False, indent=indent))


def _by_number(match: re.Match[str]) -> str:
    halves = match[0].encode("utf-16-be").hex()
    return "".join(f"\\u{halves[at : at + 4]}" for at in range(0, len(halves), 4))


class _OneLine(logging.Filter):
    """Puts what others wrote on the line of its record, with nothing in it that could be taken for another one.

    The message's own words are ours and stay as they are; its arguments and what an exception says are cleaned.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(map(_clean, record.args))
        if isinstance(record.exc_info, tuple) and record.exc_info[1] is not None:
            # Formatters take it as it is. Lines of code may hold a key, which `redact` does not reach.
            clean = record.__dict__.pop("conductor_clean", str)
            record.exc_text = clean(_told(record.exc_info[1]))
        return True


def package_logger(name: str) -> logging.Logger:
    """The logger of one of this package's modules: foreign text in its lines stays on its line.

    Args:
        name: The module's name.
    """
    logger = logging.getLogger(name)
    if not any(isinstance(one, _OneLine) for one in logger.filters):
        logger.addFilter(_OneLine())
    return logger


def _clean(value: Any) -> Any:
    return value if isinstance(value, int | float) else on_one_line(str(value), _LONGEST)


def _told(error: BaseException) -> str:
    """A traceback whose exceptions' own words are cleaned, the causes first."""
    from langgraph_conductor.containment import said  # brings asyncio, and commands speak before that

    parts: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(parts) < _FRAMES:
        frames = "".join(traceback.format_tb(seen.__traceback__, limit=-_FRAMES))
        parts.append(
            f"Traceback (most recent call last):\n{frames}{type(seen).__name__}: {_clean(said(seen))}"
        )
        seen = seen.__cause__
    return "\ncause of:\n".join(reversed(parts))
