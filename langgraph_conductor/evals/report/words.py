"""Texts and figures as a report writes them; whatever came from a model or a file is made harmless here."""

import html
import re
from typing import Final

from langgraph_conductor.display.markup import clean
from langgraph_conductor.evals.stats import Estimate

UNKNOWN: Final = "unknown"

NOTHING: Final = "\N{EN DASH}"
"""A cell there is nothing to write in."""

_MARKUP: Final = re.compile(r"([\\`*_|~]|](?=[(\[:]))")
_AT_BEGIN: Final = re.compile(r"^(\d*)([-+.)=]|#+)(?=\s|$)")  # lists and headings


def in_markdown(text: object) -> str:
    """`text` on one line of Markdown, in a table's cell or outside, where nothing of it is markup."""
    line = " ".join(clean(text).split())
    line = _MARKUP.sub(r"\\\1", html.escape(line, quote=False))
    line = line.replace("&lt; ", "< ")  # no tag begins so, and `p < 0.05` is read in terminals
    if line.count("$") > 1:  # else no formula can lie between them
        line = line.replace("$", r"\$")
    return _AT_BEGIN.sub(r"\1\\\2", line)


def percent(value: float | None) -> str:
    """A share."""
    return NOTHING if value is None else f"{100 * value:.1f} %"


def estimate(found: Estimate) -> str:
    """A share with its interval, in percent."""
    if found.value is None:
        return NOTHING
    return f"{100 * found.value:.1f} % [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def points(difference: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    shown = f"{100 * difference:+.1f}"
    return "0.0" if shown in ("+0.0", "-0.0") else shown


def chance(p: float) -> str:
    """A p value."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def p_equals(p: float) -> str:
    """A p value in a sentence."""
    return f"p {chance(p)}" if p < 0.001 else f"p = {chance(p)}"


def dollars(usd: float | None) -> str:
    """US dollars, to two figures that count; never 0 where they are unknown."""
    if usd is None:
        return UNKNOWN
    if usd <= 0:
        return "$0"
    shown = f"{usd:.2f}" if usd >= 1 else f"{float(f'{usd:.3g}'):.10f}".rstrip("0")
    return f"${shown}"


def number(value: float) -> str:
    """A mean: one figure after the point, or two if it is small."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def counted(count: int, thing: str, things: str = "") -> str:
    """`1 task`, `2 tasks`."""
    return f"{count:,} {thing if count == 1 else things or thing + 's'}"
