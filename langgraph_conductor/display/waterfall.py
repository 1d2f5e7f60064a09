"""A timeline drawn as SVG: a row per step, its bar where it ran."""

import math
from collections.abc import Callable, Iterator
from typing import Final

from langgraph_conductor.display.markup import in_html
from langgraph_conductor.display.timeline import Bar, Pause, Timeline

STYLE: Final = """
.falls text { fill: currentColor; font-size: 12px; }
.falls .small { font-size: 11px; opacity: .8; }
.falls line { stroke: var(--line); }
.falls .pause { stroke: currentColor; stroke-dasharray: 3 3; }
.falls .ok { fill: #2f7fd0; }
.falls .failed { fill: var(--bad); }
"""

MOST_BARS: Final = 200
"""Steps that are drawn."""

_NAMES, _AXIS, _NOTES = 230, 560, 250
_ROW, _TOP, _BAR = 22, 34, 14
_NAME: Final = 20
_THINNEST: Final = 2.0


def waterfall_svg(line: Timeline, target: Callable[[int, int], str]) -> str:
    """The drawn timeline; empty if no step ran.

    Args:
        line: The timeline. Of more than `MOST_BARS` steps the first ones are drawn.
        target: Gives the id of the element that tells more of a round's step, which its name links to.
    """
    bars = line.bars[:MOST_BARS]
    if not bars:
        return ""
    wide, high = _NAMES + _AXIS + _NOTES, _TOP + _ROW * len(bars) + 4
    # If no time passed, everything stands at the left end.
    scale = _AXIS / line.length if line.length else 0.0
    parts = [_tick(at, scale, high) for at in _ticks(line.length)]
    parts += [_pause(pause, scale, high) for pause in line.pauses]
    parts += [part for n, bar in enumerate(bars) for part in _bar(bar, n, scale, target)]
    size = f'width="{wide}" height="{high}" viewBox="0 0 {wide} {high}"'
    return f'<svg class="falls" {size} role="img" aria-label="steps over time">{"".join(parts)}</svg>'


def seconds(value: float) -> str:
    """A duration, in the largest unit of which there is one at least."""
    for unit, length in (("h", 3600), ("min", 60)):
        if value >= length:
            return f"{value / length:.1f} {unit}"
    return f"{value:.1f} s" if value >= 1 else f"{1000 * value:.0f} ms"


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


def _bar(bar: Bar, row: int, scale: float, target: Callable[[int, int], str]) -> Iterator[str]:
    x, y = _NAMES + bar.begin * scale, _TOP + row * _ROW
    wide = max(_THINNEST, bar.seconds * scale)
    name = bar.worker if len(bar.worker) <= _NAME else bar.worker[: _NAME - 1] + "…"
    label = f"{bar.round}.{bar.step} {name}"
    note = seconds(bar.seconds) + ("" if bar.ok else ", failed")
    if bar.calls:
        calls = f"{bar.calls} model call{'' if bar.calls == 1 else 's'}"
        note += f"; {calls}, {seconds(bar.call_seconds)}"
    text = y + _BAR - 3
    kind = "ok" if bar.ok else "failed"
    yield f'<a href="#{in_html(target(bar.round, bar.step))}"><text x="4" y="{text}">{in_html(label)}</text></a>'
    yield (
        f'<rect class="{kind}" x="{x:.1f}" y="{y}" width="{wide:.1f}" height="{_BAR}" rx="2">'
        f"<title>{in_html(f'round {bar.round}, step {bar.step}: {note}')}</title></rect>"
    )
    yield f'<text class="small" x="{_NAMES + _AXIS + 8}" y="{text}">{in_html(note)}</text>'
