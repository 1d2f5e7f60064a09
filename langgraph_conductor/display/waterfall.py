"""A timeline drawn as SVG: a row for each planning, step and tool call, its bar where it ran."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Final

from langgraph_conductor.display.markup import in_html
from langgraph_conductor.display.timeline import Bar, Pause, Timeline
from langgraph_conductor.display.words import counted

STYLE: Final = """
.falls text { fill: currentColor; font-size: 12px; }
.falls .small { font-size: 11px; opacity: .8; }
.falls line { stroke: var(--line); }
.falls .pause { stroke: currentColor; stroke-dasharray: 3 3; }
.falls .plan, .key .plan { fill: #8f7bd6; }
.falls .ok, .key .ok { fill: #7fb2e6; }
.falls .tool, .key .tool { fill: #2f9e74; }
.falls .failed, .key .failed { fill: var(--bad); }
.falls .call, .key .call { fill: #1d5fa8; }
.key { display: flex; flex-wrap: wrap; gap: .2em 1.2em; margin: .4em 0; font-size: .85em; }
.key svg { margin-right: .4em; }
"""

MOST_BARS: Final = 200
"""Rows that are drawn."""

MOST_TOOLS: Final = 12
"""Tool calls of one step that are drawn."""

_KEY: Final = {
    "plan": "planning", "ok": "step", "call": "model call", "tool": "tool call", "failed": "failed",
}  # fmt: skip
_NAMES, _AXIS, _NOTES = 230, 560, 310
_ROW, _TOP, _BAR = 22, 34, 14
_INSET: Final = 4
_NAME: Final = 24
_THINNEST: Final = 2.0

Target = Callable[[int, int | None], str]
"""Gives the id of the element that tells more of a step of a round, or of its planning (`None`)."""


def waterfall(line: Timeline, target: Target) -> str:
    """The drawn timeline with a key to its colours and what is left out of it; empty if nothing ran.

    Args:
        line: The timeline. At most `MOST_BARS` rows are drawn, and of each step at most `MOST_TOOLS` tool calls.
        target: Where the names of the rows link to.
    """
    rows = [bar for _, group in groupby(line.bars, _owner) for bar in _few_tools([*group])]
    hidden, left = len(line.bars) - len(rows), len(rows) - MOST_BARS
    more = f"<p>Of each step {MOST_TOOLS} tool calls are drawn, {hidden:,} are not.</p>" if hidden else ""
    more += f"<p>{left:,} later rows of {len(rows):,} are not drawn.</p>" if left > 0 else ""
    shown = rows[:MOST_BARS]
    return f'{_key(shown)}<div class="falls-box">{_svg(line, shown, target)}</div>{more}' if shown else ""


def seconds(value: float) -> str:
    """A duration, in the largest unit of which there is one at least."""
    for unit, length in (("h", 3600), ("min", 60)):
        if value >= length:
            return f"{value / length:.1f} {unit}"
    return f"{value:.1f} s" if value >= 1 else f"{1000 * value:.0f} ms"


def _owner(bar: Bar) -> tuple[int, int | None]:
    return bar.round, bar.step


def _few_tools(group: Sequence[Bar]) -> Sequence[Bar]:
    return group[: 1 + MOST_TOOLS]


def _kind(bar: Bar) -> str:
    return "failed" if not bar.ok else "ok" if bar.kind == "step" else bar.kind


def _key(bars: Sequence[Bar]) -> str:
    used = {*map(_kind, bars)} | ({"call"} if any(bar.spans for bar in bars) else set())
    size = 'width="12" height="12"'
    shown = (
        f'<span><svg {size} aria-hidden="true"><rect class="{kind}" {size} rx="2"/></svg>{name}</span>'
        for kind, name in _KEY.items()
        if kind in used
    )
    return f'<div class="key">{"".join(shown)}</div>'


def _svg(line: Timeline, bars: Sequence[Bar], target: Target) -> str:
    wide, high = _NAMES + _AXIS + _NOTES, _TOP + _ROW * len(bars) + 4
    # If no time passed, everything stands at the left end.
    scale = _AXIS / line.length if line.length else 0.0
    parts = [_tick(at, scale, high) for at in _ticks(line.length)]
    parts += [_pause(pause, scale, high) for pause in line.pauses]
    parts += [part for n, bar in enumerate(bars) for part in _bar(bar, n, scale, target)]
    size = f'width="{wide}" height="{high}" viewBox="0 0 {wide} {high}"'
    return f'<svg class="falls" {size} role="img" aria-label="steps over time">{"".join(parts)}</svg>'


def _ticks(length: float) -> list[float]:
    """Round moments, six at most."""
    if length <= 0:
        return [0.0]
    rough = length / 5
    power = 10.0 ** math.floor(math.log10(rough))
    apart = next(step * power for step in (1, 2, 5, 10) if step * power >= rough * 0.999)
    return [n * apart for n in range(int(length / apart + 1e-9) + 1)]


def _tick(at: float, scale: float, high: float) -> str:
    x = _NAMES + at * scale
    return (
        f'<line x1="{x:.1f}" y1="18" x2="{x:.1f}" y2="{high}"/>'
        f'<text class="small" x="{x:.1f}" y="12" text-anchor="middle">{seconds(at)}</text>'
    )


def _pause(pause: Pause, scale: float, high: float) -> str:
    x = _NAMES + pause.at * scale
    return (
        f'<line class="pause" x1="{x:.1f}" y1="30" x2="{x:.1f}" y2="{high}"/>'
        f'<text class="small" x="{x:.1f}" y="27" text-anchor="middle">{seconds(pause.seconds)} pause</text>'
    )


def _bar(bar: Bar, row: int, scale: float, target: Target) -> Iterator[str]:
    y = _TOP + row * _ROW
    text = _BAR - 3
    label, note = in_html(_label(bar)), in_html(_note(bar))
    tool = bar.kind == "tool"
    # A frame of its own cuts a long name off at the axis.
    yield (
        f'<svg x="0" y="{y}" width="{_NAMES - 6}" height="{_ROW}"><a href="#{target(bar.round, bar.step)}">'
        f'<text x="{24 if tool else 4}" y="{text}">{label}</text></a></svg>'
    )
    title = f"<title>{label}: {note}</title>"
    yield _rect(_kind(bar), bar.begin, bar.seconds, y, scale, title, inset=tool)
    for begin, took in bar.spans:
        yield _rect("call", begin, took, y, scale, inset=True)
    yield f'<text class="small" x="{_NAMES + _AXIS + 8}" y="{y + text}">{note}</text>'


def _rect(
    kind: str, begin: float, took: float, y: float, scale: float, inside: str = "", *, inset: bool = False
) -> str:
    high, down = (_BAR - 2 * _INSET, _INSET) if inset else (_BAR, 0)
    x, wide = _NAMES + begin * scale, max(_THINNEST, took * scale)
    place = f'x="{x:.1f}" y="{y + down}" width="{wide:.1f}" height="{high}" rx="2"'
    return f'<rect class="{kind}" {place}>{inside}</rect>'


def _label(bar: Bar) -> str:
    name = bar.name if len(bar.name) <= _NAME else bar.name[: _NAME - 1] + "…"
    if bar.kind == "tool":
        return name
    return f"{bar.round} planning" if bar.step is None else f"{bar.round}.{bar.step} {name}"


def _note(bar: Bar) -> str:
    parts = [
        seconds(bar.seconds) + ("" if bar.ok else ", failed") + (", maybe repeated" if bar.repeated else "")
    ]
    if bar.calls:
        parts.append(f"{counted(bar.calls, 'model call')}, {seconds(bar.call_seconds)}")
    if bar.tools:
        parts.append(counted(bar.tools, "tool call"))
    return "; ".join(parts)
