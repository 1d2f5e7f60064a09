"""The plots, as SVG for a page: nothing loaded, the same bytes each time, legible on light and dark."""

import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from io import StringIO
from typing import Any, Final

from langgraph_conductor.display.markup import clean
from langgraph_conductor.evals.report.words import percent
from langgraph_conductor.evals.stats import Estimate
from langgraph_conductor.evals.summary import StrategySummary, Summary

try:
    from matplotlib import rc_context
    from matplotlib.figure import Figure
except ImportError as error:
    raise ImportError("reports draw with matplotlib: pip install 'langgraph-conductor[eval]'") from error

_INK: Final = "#010203"
"""Stands for the page's own text colour, which it is replaced by: so plots follow light and dark."""

COLOURS: Final = (
    "#2f7fd0",
    "#e07b1f",
    "#1f9e77",
    "#cc5f9e",
    "#8a6fd1",
    "#b39b12",
    "#d1483f",
    "#3fa8b5",
    "#8d6e5a",
    "#7f8c8d",
)

_BY_KIND: Final = {
    "single": COLOURS[0],
    "floor": COLOURS[9],
    "fixed": COLOURS[2],
    "planner": COLOURS[1],
}

_SETTINGS: Final[Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.parse_math": False,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}

_NAME: Final = 32
"""Most characters of a name in a plot."""


def draw(name: str, summary: Summary) -> str:
    """One plot as an SVG element; empty if there is nothing to draw.

    Args:
        name: `"cost"`, `"forest"`, `"domains"` or `"workers"`.
        summary: What to draw.
    """
    return as_svg(name, lambda: _PLOTS[name](summary))


def as_svg(name: str, build: Callable[[], Figure | None]) -> str:
    """A figure as an SVG element in the page's style; empty if there is none.

    Args:
        name: Of the plot, different for each of a page.
        build: Makes the figure.
    """
    # The salt makes ids the same each time and different between the plots of a page.
    with rc_context({**_SETTINGS, "svg.hashsalt": name}), warnings.catch_warnings():
        # Signs that matplotlib's own font lacks are drawn by the reader's, as text stays text.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = build()
        if figure is None:
            return ""
        out = StringIO()
        figure.savefig(out, format="svg", transparent=True, bbox_inches="tight", metadata=_NO_METADATA)
    return _for_a_page(out.getvalue(), name)


_NO_METADATA: Final = {"Date": None, "Creator": None, "Format": None, "Type": None}


def _for_a_page(svg: str, name: str) -> str:
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    # Without these the numbered ids of two plots would be the same.
    svg = re.sub(r'(?<=[ ])id="([^"]*)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'href="#([^"]*)"', rf'href="#{name}-\1"', svg)
    return re.sub(r"url\(#([^()]*)\)", rf"url(#{name}-\1)", svg)


def new_figure(width: float, height: float) -> tuple[Figure, Any]:
    """A figure of so many inches, and its axes."""
    figure = Figure(figsize=(width, height))
    return figure, figure.subplots()


def _short(name: str) -> str:
    name = " ".join(clean(name).split())
    return name if len(name) <= _NAME else name[: _NAME - 1] + "…"


def _label(one: StrategySummary) -> str:
    name = _short(one.strategy)
    return f"{name} ({one.kind})" if one.kind in ("floor", "ceiling") else name


def _whiskers(found: Iterable[Estimate]) -> tuple[list[float], list[float]]:
    # An interval of rounded figures may miss its middle by a hair, which matplotlib refuses.
    both = [(max(0.0, (e.value or 0) - e.low), max(0.0, e.high - (e.value or 0))) for e in found]
    return [100 * low for low, _ in both], [100 * high for _, high in both]


def _cost(summary: Summary) -> Figure | None:
    usd = summary.currency == "usd"
    shown = [one for one in summary.strategies if one.use and one.accuracy.value is not None]
    if not shown:
        return None
    figure, axes = new_figure(8, 4.6)
    points = []
    for one in shown:
        cost = _cost_of(one, usd)
        right = 100 * (one.accuracy.value or 0)
        points.append((cost, right))
        whiskers = [[w[0]] for w in _whiskers([one.accuracy])]
        face = _BY_KIND[one.kind] if one.front == "on the front" else "none"
        colour = _BY_KIND[one.kind]
        axes.errorbar(
            [cost], [right], yerr=whiskers, fmt="o", color=colour, mfc=face, ms=7, capsize=3, lw=1
        )
        axes.annotate(_label(one), (cost, right), xytext=(7, 4), textcoords="offset points", fontsize=8)
    front = sorted(point for point, one in zip(points, shown, strict=True) if one.front == "on the front")
    axes.step([x for x, _ in front], [y for _, y in front], where="post", color=_INK, lw=0.8, ls=":")
    for ceiling in summary.ceilings:
        if ceiling.accuracy.value is not None:
            axes.axhline(100 * ceiling.accuracy.value, color=_INK, lw=0.8, ls="--")
            where = (0.0, 100 * ceiling.accuracy.value)
            axes.annotate(
                _label(ceiling), where, xytext=(3, 3), xycoords=("axes fraction", "data"),
                textcoords="offset points", fontsize=8,
            )  # fmt: skip
    costs = [cost for cost, _ in points]
    if min(costs) > 0 and max(costs) > 20 * min(costs):
        axes.set_xscale("log")
    axes.margins(x=0.15)
    axes.set_xlabel("US dollars a question" if usd else "tokens a question")
    axes.set_ylabel("right, % (95 % interval)")
    axes.set_title("Accuracy against cost; filled: on the front", fontsize=10)
    return figure


def _cost_of(one: StrategySummary, usd: bool) -> float:
    if one.use is None:
        return 0.0
    return (one.use.usd or 0.0) if usd else one.use.tokens


def _forest(summary: Summary) -> Figure | None:
    shown = [one for one in summary.comparisons if one.paired.n]
    if not shown:
        return None
    figure, axes = new_figure(8, 0.9 + 0.36 * len(shown))
    for row, one in enumerate(shown):
        colour = {"better": COLOURS[2], "worse": COLOURS[6]}.get(one.verdict, COLOURS[9])
        axes.plot([100 * one.paired.low, 100 * one.paired.high], [row, row], color=colour, lw=2)
        axes.plot([100 * one.paired.difference], [row], "o", color=colour)
    axes.axvline(0, color=_INK, lw=0.8)
    axes.set_yticks(range(len(shown)), [f"{_short(one.a)} \N{MINUS SIGN} {_short(one.b)}" for one in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlabel("difference in points (95 % interval); grey: no difference shown")
    return figure


def _domains(summary: Summary) -> Figure | None:
    every: Sequence[StrategySummary] = (*summary.strategies, *summary.ceilings)
    domains = [*summary.domains]
    if not every or not domains:
        return None
    figure, axes = new_figure(1.6 + 0.95 * len(domains), 0.9 + 0.34 * len(every))
    values = [[100 * (one.domains[domain].value or 0) for domain in domains] for one in every]
    axes.pcolormesh(
        values, cmap="YlGnBu", vmin=0, vmax=160, edgecolors="white", linewidth=1
    )  # 160: dark text stays legible
    for row, one in enumerate(every):
        for column, domain in enumerate(domains):
            found = percent(one.domains[domain].value).removesuffix(" %")
            axes.text(column + 0.5, row + 0.5, found, ha="center", va="center", color="#111111", fontsize=8)
    axes.set_xticks(
        [i + 0.5 for i in range(len(domains))],
        [_short(domain) or "(none)" for domain in domains],
        rotation=30,
        ha="right",
    )
    axes.set_yticks([i + 0.5 for i in range(len(every))], [_label(one) for one in every])
    axes.set_ylim(len(every), 0)
    axes.tick_params(length=0)
    axes.set_title("Right by domain, %", fontsize=10)
    return figure


def _workers(summary: Summary) -> Figure | None:
    shown = [one for one in summary.strategies if one.shares]
    workers = sorted({worker for one in shown for worker in one.shares})
    if not shown:
        return None
    figure, axes = new_figure(8, 0.9 + 0.3 * len(shown))
    left = [0.0] * len(shown)
    for i, worker in enumerate(workers):
        widths = [100 * one.shares.get(worker, 0.0) for one in shown]
        colour, hatch = COLOURS[i % len(COLOURS)], "" if i < len(COLOURS) else "//"
        axes.barh(range(len(shown)), widths, left=left, color=colour, hatch=hatch, label=in_legend(worker))
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axes.set_yticks(range(len(shown)), [_short(one.strategy) for one in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of all steps, %")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, fontsize=8)
    return figure


def in_legend(worker: str) -> str:
    """A worker's name for a legend."""
    # A legend leaves out what begins with an underscore.
    return "\u200b" + _short(worker) if worker.startswith("_") else _short(worker)


_PLOTS: Final[dict[str, Callable[[Summary], Figure | None]]] = {
    "cost": _cost,
    "forest": _forest,
    "domains": _domains,
    "workers": _workers,
}
