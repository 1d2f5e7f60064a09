"""What failed, task by task, for a page: question, right answer, answer, plan and the drawn workflow."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from langgraph_conductor.display.drawing import workflow_svg
from langgraph_conductor.display.markup import cut, in_html
from langgraph_conductor.display.words import REACHED, spent, why
from langgraph_conductor.episodes import Episode
from langgraph_conductor.evals.report.words import counted
from langgraph_conductor.evals.results import Evaluation, Outcome
from langgraph_conductor.records import RoundRecord, StepRecord
from langgraph_conductor.rewards import Task
from langgraph_conductor.usage import Usage

MOST_ITEMS: Final = 40
"""Items of one strategy and kind that a page shows; the rest are in `evaluation.json`."""

MOST_TEXT: Final = 700
"""Characters of one text that a page shows."""


@dataclass(frozen=True, slots=True)
class _Item:
    """A task, the first sample that went wrong, and how many did."""

    task: Task
    episode: Episode
    failed: int
    samples: int


def failed_items(evaluation: Evaluation) -> str:
    """The wrong answers of every strategy, then the failures of the infrastructure, as HTML.

    Args:
        evaluation: What was found.
    """
    parts = ["<h2>Wrong answers</h2>"]
    parts += _of_all(evaluation, infrastructure=False) or ["<p>There are none.</p>"]
    parts.append("<h2>Infrastructure failures</h2><p>Nobody knows what would have been answered.</p>")
    parts += _of_all(evaluation, infrastructure=True) or ["<p>There are none.</p>"]
    return "\n".join(parts)


def _of_all(evaluation: Evaluation, *, infrastructure: bool) -> list[str]:
    # A ceiling repeats the episodes of others.
    systems = [outcome for outcome in evaluation.outcomes if outcome.kind != "ceiling"]
    return [
        text for one in systems if (text := _of_one(one, evaluation.tasks, infrastructure=infrastructure))
    ]


def _of_one(outcome: Outcome, tasks: Sequence[Task], *, infrastructure: bool) -> str:
    items = [item for task in tasks if (item := _item(outcome, task, infrastructure=infrastructure))]
    if not items:
        return ""
    shown = (
        [items[i * len(items) // MOST_ITEMS] for i in range(MOST_ITEMS)]
        if len(items) > MOST_ITEMS
        else items
    )
    rest = ""
    if len(shown) < len(items):
        rest = (
            f"<p>{len(shown)} of {len(items):,} are shown, evenly spread; all are in evaluation.json.</p>"
        )
    inside = "\n".join(map(_details, shown))
    title = f"{in_html(outcome.strategy)}: {counted(len(items), 'task')}"
    return f'<details class="strategy"><summary>{title}</summary>{rest}\n{inside}</details>'


def _item(outcome: Outcome, task: Task, *, infrastructure: bool) -> _Item | None:
    samples = outcome.episodes.get(task.id, ())
    failed = [
        episode
        for episode in samples
        if (episode.score is None if infrastructure else episode.score is not None and episode.score < 1)
    ]
    return _Item(task, failed[0], len(failed), len(samples)) if failed else None


def _details(item: _Item) -> str:
    task, episode = item.task, item.episode
    times = f" ({item.failed} of {item.samples} samples)" if item.samples > 1 else ""
    about = ", ".join(
        part for part in (task.domain, f"difficulty {task.difficulty}", f"task {task.id}") if part
    )
    texts = {
        "question": task.question,
        "right answer": task.answer,
        "answer": episode.answer or "(none)",
        "infrastructure": episode.infra,
        "why there is none": episode.error,
        "ended by budget": episode.stopped,
    }
    used = spent(episode.usage, episode.wall_seconds)
    rounds = (
        "\n".join(map(_round, episode.rounds))
        or f"<p>No round was run; plan: {_reached(episode.reached)}.</p>"
    )
    return (
        f"<details><summary>{in_html(cut(' '.join(task.question.split()), 120))}{times}</summary>"
        f"<p>{in_html(about)}; used {in_html(used)}</p>{_texts(texts)}{rounds}</details>"
    )


def _round(record: RoundRecord) -> str:
    plan = record["plan"]
    kept = "<p>The earlier answer was kept.</p>" if record["accepted"] else ""
    texts = {
        "planner's text": plan["text"],
        "why a fallback planned": why(plan["error"], MOST_TEXT) if plan["error"] else "",
    }
    used = in_html(spent(Usage.from_json(plan["usage"]), plan["seconds"]))
    steps = "".join(_step(step, record["round"]) for step in record["steps"])
    listed = f'<ol start="0">{steps}</ol>' if steps else ""
    return (
        f"<h4>Round {record['round']}: {_reached(plan['reached'])} ({used})</h4>{kept}{_texts(texts)}"
        f"{workflow_svg(record)}{listed}"
    )


def _reached(reached: str) -> str:
    return in_html(REACHED.get(reached, reached))


def _step(step: StepRecord, own_round: int) -> str:
    grants = groupby(step["granted"], key=lambda name: name[0])
    granted = ["the question"]
    for number, names in grants:
        where = "" if number == own_round else f" of round {number}"
        granted += [f"step {index}{where}" for _, index in names]
    texts = {
        "subtask": step["subtask"],
        "granted": ", ".join(granted),
        "output": step.get("text", ""),
        "failed": why(step["error"], MOST_TEXT) if step["error"] else "",
        "answered by": step["answered_by"] if step["answered_by"] != step["worker"] else "",
        "used": spent(Usage.from_json(step["usage"]), step["seconds"]),
    }
    return f"<li><b>{in_html(step['worker'])}</b>{_texts(texts)}</li>"


def _texts(texts: Mapping[str, str]) -> str:
    return f"<dl>{''.join(_terms(texts))}</dl>"


def _terms(texts: Mapping[str, str]) -> Iterator[str]:
    for name, text in texts.items():
        if text:
            yield f"<dt>{name}</dt><dd>{in_html(cut(text, MOST_TEXT))}</dd>"
