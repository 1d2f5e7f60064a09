"""Plots of a training: what `diagnostics` wrote, over the steps."""

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from langgraph_conductor.evals.report.plots import COLOURS, as_svg, in_legend, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Lines = Sequence[Mapping[str, Any]]
"""The lines of `steps.jsonl`."""

_SMOOTH: Final = 20
"""A thick line is the mean of at most so many steps, the thin one behind it is each step."""


def draw(name: str, lines: Lines) -> str:
    """One plot as an SVG element; empty if there is nothing to draw.

    Args:
        name: One of `PLOTS`.
        lines: What to draw.
    """
    return as_svg(f"training-{name}", lambda: PLOTS[name](lines) if lines else None)


def _rewards(lines: Lines) -> "Figure | None":
    shown = {
        "reward": [line["reward"] for line in lines],
        "plans that parse": [line["parsed"] for line in lines],
        "right": [line["right"] for line in lines],
        "right among plans": [line["right_if_parsed"] for line in lines],
    }
    return _curves(lines, shown, "share, and mean reward", "Reward, and what it is made of")


def _domains(lines: Lines) -> "Figure | None":
    names = sorted({name for line in lines for name in line["reward_by_domain"]})
    shown = {name: [line["reward_by_domain"].get(name) for line in lines] for name in names}
    return _curves(lines, shown, "mean reward", "Reward by domain")


def _collapse(lines: Lines) -> "Figure | None":
    shown = {
        "groups without variance": [line["dead_groups"] for line in lines],
        "not scored": [line["unscored"] for line in lines],
        "second rounds that accept": [line["accepted"] for line in lines],
    }
    return _curves(lines, shown, "share", "Groups that teach nothing, and rollouts nobody could score")


def _entropies(lines: Lines) -> "Figure | None":
    shown = {
        "workers": [line["worker_entropy"] for line in lines],
        "shapes": [line["shape_entropy"] for line in lines],
        "plans (shapes with workers)": [line["plan_entropy"] for line in lines],
        "policy, a token (in nats)": [line["learning"].get("entropy") for line in lines],
    }
    return _curves(lines, shown, "bits", "Entropies: what falls to 0 has collapsed")


def _optimiser(lines: Lines) -> "Figure | None":
    shown = {
        "loss": [line["learning"].get("loss") for line in lines],
        "norm of the gradient": [line["learning"].get("gradient") for line in lines],
    }
    return _curves(lines, shown, "", "What the optimiser saw")


def _workers(lines: Lines) -> "Figure | None":
    names = sorted({name for line in lines for name in line["workers"]})
    shares = {in_legend(name): [100 * line["workers"].get(name, 0.0) for line in lines] for name in names}
    return _stack(lines, shares, "share of all steps, %", "Who is asked")


def _steps(lines: Lines) -> "Figure | None":
    sizes = sorted({int(size) for line in lines for size in line["steps"]})
    counted = [sum(line["steps"].values()) or 1 for line in lines]
    shares = {
        "accepts" if size == 0 else f"{size} step{'s' if size > 1 else ''}": [
            100 * line["steps"].get(str(size), 0) / count
            for line, count in zip(lines, counted, strict=True)
        ]
        for size in sizes
    }
    return _stack(lines, shares, "share of all plans, %", "How long plans are")


def _seconds(lines: Lines) -> "Figure | None":
    names = list(dict.fromkeys(name for line in lines for name in line["seconds"]))
    spent = {name: [line["seconds"].get(name, 0.0) for line in lines] for name in names}
    return _stack(lines, spent, "seconds a step", "Where the time goes")


def _money(lines: Lines) -> "Figure | None":
    shown = {
        kind: list(accumulate(float(line["usd"][kind] or 0) for line in lines))
        for kind in ("charged", "paid", "lost")
    }
    shown = {kind: sums for kind, sums in shown.items() if sums[-1] > 0}
    return _curves(lines, shown, "US dollars so far", "Money", smooth=False)


def _curves(
    lines: Lines,
    shown: Mapping[str, Sequence[float | None]],
    unit: str,
    title: str,
    *,
    smooth: bool = True,
) -> "Figure | None":
    """A line for each name; one that never has a value is left out."""
    kept = {name: values for name, values in shown.items() if any(value is not None for value in values)}
    if not kept:
        return None
    figure, axes = new_figure(8, 3)
    for i, (name, values) in enumerate(kept.items()):
        known = [
            (line["step"], value) for line, value in zip(lines, values, strict=True) if value is not None
        ]
        at, heights = [step for step, _ in known], [value for _, value in known]
        colour, style = COLOURS[i % len(COLOURS)], "-" if i < len(COLOURS) else "--"
        if smooth and len(heights) > 2:
            axes.plot(at, heights, color=colour, lw=0.6, alpha=0.4)
            heights = _smoothed(heights)
        marker = "o" if len(heights) < 3 else ""
        axes.plot(at, heights, color=colour, lw=1.8, ls=style, marker=marker, label=in_legend(name))
    return _finished(figure, axes, unit, title)


def _stack(lines: Lines, shown: Mapping[str, Sequence[float]], unit: str, title: str) -> "Figure | None":
    """Bars, one on the other, for each step."""
    if not any(any(values) for values in shown.values()):
        return None
    figure, axes = new_figure(8, 3)
    at, bottom = [line["step"] for line in lines], [0.0] * len(lines)
    for i, (name, values) in enumerate(shown.items()):
        colour, hatch = COLOURS[i % len(COLOURS)], "" if i < len(COLOURS) else "//"
        axes.bar(at, values, bottom=bottom, width=1.0, color=colour, hatch=hatch, label=name)
        bottom = [low + value for low, value in zip(bottom, values, strict=True)]
    return _finished(figure, axes, unit, title)


def _finished(figure: "Figure", axes: Any, unit: str, title: str) -> "Figure":
    axes.set_xlabel("step")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_ylabel(unit)
    axes.set_title(title, fontsize=10)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, fontsize=8)
    return figure


def _smoothed(values: Sequence[float]) -> list[float]:
    """At each place the mean of what came before it, at most `_SMOOTH` or a tenth of all, and of it."""
    width = max(2, min(_SMOOTH, len(values) // 10))
    parts = [values[max(0, i + 1 - width) : i + 1] for i in range(len(values))]
    return [sum(part) / len(part) for part in parts]


PLOTS: Final[Mapping[str, "Callable[[Lines], Figure | None]"]] = {
    "reward": _rewards,
    "domains": _domains,
    "groups": _collapse,
    "entropy": _entropies,
    "workers": _workers,
    "steps": _steps,
    "optimiser": _optimiser,
    "seconds": _seconds,
    "money": _money,
}
"""The plots, in the order of the report."""
