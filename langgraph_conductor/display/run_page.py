"""A run as one HTML page: its rounds, its steps over time, and what each step was granted, said and cost.

The page is whole in itself: no scripts, and nothing it loads. Making it contacts nobody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Final

from langgraph_conductor.display import run_parts, run_steps, waterfall
from langgraph_conductor.display.drawing import workflow_svg
from langgraph_conductor.display.markup import cut, document, in_html, table
from langgraph_conductor.display.run_facts import RunFacts, facts_of, verdict
from langgraph_conductor.display.run_parts import MOST_TEXT, described
from langgraph_conductor.display.run_plans import approval, plan_text, planning
from langgraph_conductor.display.run_steps import step_id, steps_of
from langgraph_conductor.display.timeline import timeline
from langgraph_conductor.display.words import counted, money, printable, short, spent, tokens
from langgraph_conductor.records import RoundRecord
from langgraph_conductor.text_files import write_private
from langgraph_conductor.usage import Usage

_STYLE: Final = """
.text { white-space: pre-wrap; background: var(--soft); padding: .5em .8em; }
.sum { display: flex; flex-wrap: wrap; gap: .3em 1.6em; padding: 0; list-style: none; opacity: .85; }
.rounds { display: grid; gap: 1rem; }
.rounds, .falls-box { overflow-x: auto; }
.rounds dd { max-height: 24rem; overflow: auto; }
.rounds > section { border: 1px solid var(--line); border-radius: 6px; padding: 0 1em .6em; min-width: 0; }
a { color: inherit; }
:target { outline: 2px solid currentColor; outline-offset: 4px; }
@media (min-width: 45rem) {
  .rounds { grid-auto-flow: column; grid-auto-columns: minmax(20rem, 1fr); }
  .rounds dl { grid-template-columns: 5rem 1fr; }
}
"""

_TITLE: Final = 70
_FRAME: Final = 640
"""Height of the page in a notebook, in pixels."""


def run_page(result: Mapping[str, Any]) -> str:
    """A conductor's run as one HTML page, for any browser, light or dark.

    Whatever models wrote stands there as text and never as markup. Long texts are cut in their middle, and the
    page says how much is left out.

    Args:
        result: What `invoke` of a conductor returned, of an interrupted run too; or the values of its state.

    Returns:
        The page.

    Raises:
        ValueError: If it is no result of a conductor.
    """
    facts = facts_of(result)
    parts = [
        _opening(facts),
        f"<h2>Rounds</h2>\n{_rounds(facts)}",
        f"<h2>Time</h2>\n{_time(facts.rounds)}",
        f"<h2>Steps</h2>\n{steps_of(facts.rounds)}",
        f"<h2>Use</h2>\n{_used(facts.usage)}",
    ]
    title = f"Run: {short(facts.question, _TITLE) or 'no question'}"
    return document(title, "\n".join(parts), _STYLE + waterfall.STYLE + run_parts.STYLE + run_steps.STYLE)


def write_run_page(result: Mapping[str, Any], path: str | PathLike[str]) -> Path:
    """Write `run_page(result)` to a file.

    Args:
        result: What `invoke` of a conductor returned.
        path: The file; a new one is its owner's alone, one that is there is replaced and keeps its mode.

    Returns:
        The file.

    Raises:
        ValueError: If it is no result of a conductor.
        OSError: If the file cannot be written.
    """
    write_private(path, run_page(result))
    return Path(path)


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as notebooks show it: put `RunView(result)` last in a cell.

    Args:
        result: What `invoke` of a conductor returned, of an interrupted run too; or the values of its state.

    Raises:
        ValueError: If it is no result of a conductor.
    """

    result: Mapping[str, Any] = field(repr=False)

    def __post_init__(self) -> None:
        facts_of(self.result)  # refused here, where the mistake is

    def _repr_html_(self) -> str:
        # In a frame of its own, so that the page's style stays out of the notebook; the empty sandbox
        # forbids scripts there whatever the notebook allows.
        return (
            f'<iframe sandbox="" srcdoc="{in_html(run_page(self.result))}" title="run of a conductor" '
            f'style="width: 100%; height: {_FRAME}px; border: 0"></iframe>'
        )


def _opening(facts: RunFacts) -> str:
    waiting = "".join(
        f'<p class="warning">The run waits for an answer to: {in_html(cut(asked, MOST_TEXT))}</p>'
        for asked in facts.waits_for
    )
    stopped = (
        f'<p class="warning">Ended by its budget: {in_html(printable(facts.stopped))}</p>'
        if facts.stopped
        else ""
    )
    answer = _text(facts.answer) if facts.answer else "<p>There is none so far.</p>"
    question = _text(facts.question) if facts.question else "<p>The result does not hold it.</p>"
    return f"{_summed(facts)}{waiting}{stopped}<h2>Question</h2>\n{question}\n<h2>Answer</h2>\n{answer}"


def _summed(facts: RunFacts) -> str:
    total = Usage.from_json(facts.usage["total"])
    parts = [
        counted(len(facts.rounds), "round"),
        counted(sum(len(record["steps"]) for record in facts.rounds), "step"),
        counted(total.calls, "model call"),
        tokens(total) if total.calls else "",
        _paid(total),
        waterfall.seconds(facts.usage["wall_seconds"]),
    ]
    return f'<ul class="sum">{"".join(f"<li>{in_html(part)}</li>" for part in parts if part)}</ul>'


def _text(text: str) -> str:
    return f'<div class="text">{in_html(cut(text, MOST_TEXT))}</div>'


def _rounds(facts: RunFacts) -> str:
    if not facts.rounds:
        return "<p>No round is over.</p>"
    shown = "\n".join(_round(record, facts.rounds) for record in facts.rounds)
    return f'<div class="rounds">{shown}</div>'


def _round(record: RoundRecord, rounds: Sequence[RoundRecord]) -> str:
    number = record["round"]
    workers = sum((Usage.from_json(step["usage"]) for step in record["steps"]), Usage())
    terms = {
        "planned": planning(record["plan"]),
        "a person": approval(record["plan"]),
        "came to": verdict(record, rounds),
    }
    if record["steps"]:
        terms["workers"] = spent(workers, record["wall_seconds"])
    drawn = workflow_svg(record, lambda step: step_id(number, step))
    wrote = plan_text(record["plan"])
    head = f'<section id="{step_id(number, None)}"><h3>Round {number}</h3>'
    return f"{head}{described(terms)}{drawn}{wrote}</section>"


def _time(rounds: Sequence[RoundRecord]) -> str:
    return waterfall.waterfall(timeline(rounds), step_id) or "<p>Nothing ran.</p>"


def _used(usage: Mapping[str, Any]) -> str:
    named = {"planner": usage["planner"], "workers": usage["workers"], "total": usage["total"]}
    named |= {f"worker {name}" if name else "nobody": used for name, used in usage["by_worker"].items()}
    rows = [(name, *_figures(Usage.from_json(used))) for name, used in named.items()]
    head = ("", "model calls", "tokens sent", "received", "money", "busy")
    wall = f"<p>Wall time of planning and running: {waterfall.seconds(usage['wall_seconds'])}.</p>"
    return table(head, rows) + wall


def _figures(used: Usage) -> tuple[str, ...]:
    unknown = used.calls > 0 and not used.is_told
    sent, received = ("unknown",) * 2 if unknown else (f"{used.input_tokens:,}", f"{used.output_tokens:,}")
    return f"{used.calls:,}", sent, received, _paid(used), waterfall.seconds(used.busy_seconds)


def _paid(used: Usage) -> str:
    unpriced = f"{used.unpriced_calls:,} without a known price" if used.unpriced_calls else ""
    return ", ".join(part for part in (money(used), unpriced) if part)
