"""The report of a training: one HTML page, and its plots as files."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Final

from langgraph_conductor.display.markup import document
from langgraph_conductor.evals.report.page import in_page
from langgraph_conductor.evals.report.parts import Section, Table
from langgraph_conductor.evals.report.words import NOTHING, dollars, number, percent
from langgraph_conductor.text_files import make_folder, write_private
from langgraph_conductor.train.results.diagnostics import read_steps, summary_of
from langgraph_conductor.train.results.plots import PLOTS, draw

_SHARES: Final = {
    "parsed": "texts that are plans",
    "right": "right answers",
    "right_if_parsed": "right answers among plans",
    "dead_groups": "groups without variance",
    "unscored": "rollouts not scored",
    "accepted": "second rounds that accept",
    "right_if_accepted": "of these right",
}
_FIGURES: Final = {
    "reward": "mean reward",
    "worker_entropy": "entropy of workers, bits",
    "shape_entropy": "entropy of shapes, bits",
    "plan_entropy": "entropy of plans, bits",
}


def write_training_report(folder: str | PathLike[str], title: str = "Training") -> Path:
    """Write `training.html` and `plots/*.svg` beside the lines they are made of.

    The same lines give the same bytes.

    Args:
        folder: Where `Diagnostics` wrote.
        title: Of the page.

    Returns:
        The path of the page.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If no step was taken.
    """
    lines = read_steps(folder)
    if not lines:
        raise ValueError(f"in {folder} is no step to report; train first")
    plots = {name: svg for name in PLOTS if (svg := draw(name, lines))}
    into = Path(folder) / "plots"
    make_folder(into)
    for name, svg in plots.items():
        # In a file of its own there is no page whose colour the text could take.
        alone = svg.replace("<svg ", '<svg style="color: black; background: white" ', 1)
        write_private(into / f"{name}.svg", alone)
    path = Path(folder) / "training.html"
    write_private(path, document(title, training_html(lines, plots)))
    return path


def training_html(lines: Sequence[Mapping[str, Any]], plots: Mapping[str, str] | None = None) -> str:
    """The sections of a training for a page: figures, then plots.

    Args:
        lines: Of `steps.jsonl`, at least one.
        plots: SVG elements by name; drawn if left out.
    """
    shown = {name: draw(name, lines) for name in PLOTS} if plots is None else plots
    drawn = "\n".join(f'<div class="wide plot">{svg}</div>' for svg in shown.values() if svg)
    return in_page(_figures(summary_of(lines))) + "\n" + drawn


def _figures(summary: Mapping[str, Any]) -> Section:
    first, last, over = summary["first"], summary["last"], summary["averaged_over"]
    rows = [(said, _number(first[name]), _number(last[name])) for name, said in _FIGURES.items()]
    rows += [(said, percent(first[name]), percent(last[name])) for name, said in _SHARES.items()]
    workers = summary["workers"]
    for name in sorted({*workers["first"], *workers["last"]}):
        before, after = (percent(workers[part].get(name, 0.0)) for part in ("first", "last"))
        rows.append((f"steps given to {name}", before, after))
    usd, seconds = summary["usd"], summary["seconds"]
    says = [
        f"{summary['steps']:,} steps, {summary['rollouts']:,} plans, {summary['calls']:,} calls of workers.",
        f"Money: {_dollars(usd['paid'])} paid, {_dollars(usd['charged'])} had every reply been paid, "
        f"{_dollars(usd['lost'])} paid for steps that were lost and taken again."
        + (
            f" {summary['unpriced_calls']:,} calls have no known price."
            if summary["unpriced_calls"]
            else ""
        ),
        "Tokens: " + ", ".join(f"{name} {count:,.0f}" for name, count in summary["tokens"].items()) + ".",
        "Seconds: " + ", ".join(f"{name} {number(spent)}" for name, spent in seconds.items()) + ".",
    ]
    head = ("", "first step", "last step") if over == 1 else ("", f"first {over} steps", f"last {over}")
    return Section("What was learnt", tuple(says), (Table(head, tuple(rows)),))


def _number(value: float | None) -> str:
    return NOTHING if value is None else number(value)


def _dollars(usd: str | None) -> str:
    return dollars(None if usd is None else float(usd))
