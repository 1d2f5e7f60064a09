"""The words and figures that every display shares."""

from typing import Final

from langgraph_conductor.foreign_text import on_one_line, printable
from langgraph_conductor.records import ErrorRecord
from langgraph_conductor.usage import Usage

__all__ = ["REACHED", "counted", "money", "printable", "short", "spent", "tokens", "why"]

REACHED: Final = {
    "unaided": "parsed unaided",
    "schema": "written under a schema",
    "repair": "parsed after repair",
    "fixed": "a fixed strategy",
    "fallback": "planning failed, fallback",
}


def short(text: str, width: int) -> str:
    """`text` on one line of at most `width` characters."""
    return on_one_line(text, width)


def counted(n: int, what: str) -> str:
    """How many of what, such as `3 steps`."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def tokens(usage: Usage) -> str:
    """Tokens sent and received, as far as they are known."""
    if not usage.calls:
        return "no model"
    return f"{usage.input_tokens}+{usage.output_tokens} tokens" if usage.is_told else "tokens unknown"


def money(usage: Usage) -> str:
    """US dollars, where they are known."""
    return "" if usage.usd is None else f"${usage.usd.normalize():f}"


def spent(usage: Usage, seconds: float) -> str:
    """Tokens, money and seconds."""
    return ", ".join(part for part in (tokens(usage), money(usage), f"{seconds:.1f} s") if part)


def why(error: ErrorRecord, width: int) -> str:
    """An error on one line."""
    return f"{error['type']}: {short(error['message'], width)}"
