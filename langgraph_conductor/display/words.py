"""The words and figures that every display shares."""

import re
from typing import Final

from langgraph_conductor.records import ErrorRecord
from langgraph_conductor.usage import Usage

REACHED: Final = {
    "unaided": "parsed unaided",
    "schema": "written under a schema",
    "repair": "parsed after repair",
    "fixed": "a fixed strategy",
    "fallback": "planning failed, fallback",
}

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """`text` without characters with which a model's words could command a terminal.

    They are controls, marks that turn the direction of text, and line separators.
    """
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def short(text: str, width: int) -> str:
    """`text` on one line of at most `width` characters."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= width else line[: width - 1] + "…"


def counted(n: int, what: str) -> str:
    """How many of what, such as `3 steps`."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def tokens(usage: Usage) -> str:
    """Tokens sent and received."""
    return f"{usage.input_tokens}+{usage.output_tokens} tokens" if usage.calls else "no model"


def money(usage: Usage) -> str:
    """US dollars, where they are known."""
    return "" if usage.usd is None else f"${usage.usd.normalize():f}"


def spent(usage: Usage, seconds: float) -> str:
    """Tokens, money and seconds."""
    return ", ".join(part for part in (tokens(usage), money(usage), f"{seconds:.1f} s") if part)


def why(error: ErrorRecord, width: int) -> str:
    """An error on one line."""
    return f"{error['type']}: {short(error['message'], width)}"
