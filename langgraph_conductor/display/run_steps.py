"""The steps of a run for its page: who was asked what, was granted what, said what, and what it took."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeVar

from langgraph_conductor.display.markup import cut, in_html, table
from langgraph_conductor.display.waterfall import seconds
from langgraph_conductor.display.words import REACHED, money, spent, tokens, why
from langgraph_conductor.records import CallRecord, PlanRecord, RoundRecord, StepRecord
from langgraph_conductor.usage import Usage

STYLE: Final = """
.step { border-top: 1px solid var(--line); padding: .2em 0 .8em; }
.step > h4 { margin: .7em 0 .3em; }
.failed-step > h4 { color: var(--bad); }
.step details { margin-left: 9rem; }
"""

MOST_TEXT: Final = 20_000
"""Characters of one text that the page shows."""

MOST_GRANTED_TEXT: Final = 20_000
"""Characters of all that one step was granted; where that is more, each output is cut to its share."""

MOST_STEPS: Final = 200
"""Steps of one round that the page tells of."""

MOST_CALLS: Final = 50
"""Model calls of one step that the page lists."""

_LEAST_GRANTED: Final = 200
_WHY: Final = 2_000

Named = Mapping[tuple[int, int], StepRecord]
"""All steps of a run, by round and position."""

_T = TypeVar("_T")


def step_id(number: int, step: int) -> str:
    """The id of the element that tells of step `step` of round `number`."""
    return f"round-{number}-step-{step}"


def steps_of(rounds: Sequence[RoundRecord]) -> str:
    """All steps of a run as HTML, round by round.

    Args:
        rounds: The rounds.
    """
    named = {(record["round"], step["index"]): step for record in rounds for step in record["steps"]}
    return "\n".join(_round(record, named) for record in rounds if record["steps"]) or "<p>No step ran.</p>"


def planning(plan: PlanRecord) -> str:
    """How a round was planned, and what planning took, in words."""
    usage = Usage.from_json(plan["usage"])
    return f"{REACHED.get(plan['reached'], plan['reached'])}; {spent(usage, plan['seconds'])}"


def plan_text(plan: PlanRecord) -> str:
    """What the planner wrote, and why another planned in its place, as HTML."""
    terms = {"failed": why(plan["error"], _WHY) if plan["error"] else "", "text": plan["text"]}
    earlier = ""
    if len(plan["attempts"]) > 1:
        replies = {
            f"{i}, {attempt['mode']}": f"{attempt['text']}\n{attempt['error'] or ''}".strip()
            for i, attempt in enumerate(plan["attempts"])
        }
        title = f"{len(replies)} replies of the planner"
        earlier = f"<details><summary>{title}</summary>{described(replies)}</details>"
    return f"{described(terms)}{earlier}{_calls(plan['model_calls'])}"


def described(terms: Mapping[str, str]) -> str:
    """Texts under their names, as HTML; empty ones are left out."""
    shown = "".join(
        f"<dt>{in_html(name)}</dt><dd>{in_html(cut(text, MOST_TEXT))}</dd>"
        for name, text in terms.items()
        if text
    )
    return f"<dl>{shown}</dl>" if shown else ""


def _round(record: RoundRecord, named: Named) -> str:
    steps, left_out = _ends(record["steps"], MOST_STEPS)
    more = ""
    if left_out:
        missing = record["steps"][len(steps) - 1 : -1]
        # Links to the steps left out lead here.
        targets = "".join(
            f'<span id="{step_id(record["round"], step["index"])}"></span>' for step in missing
        )
        more = f"<p>{targets}{left_out:,} steps between the first ones and the last are left out.</p>"
    told = "\n".join(_step(step, record["round"], named) for step in steps)
    return f"<h3>Round {record['round']}</h3>{more}{told}"


def _step(step: StepRecord, number: int, named: Named) -> str:
    failed = " failed-step" if step["status"] == "failed" else ""
    before = {
        "answered by": step["answered_by"] if step["answered_by"] != step["worker"] else "",
        "subtask": step["subtask"],
        "granted": ", ".join(
            ["the question", *(_place(of, index, number) for of, index in step["granted"])]
        ),
    }
    after = {
        "said": step.get("text", ""),
        # A worker may have failed and its fallback have answered.
        "failed": why(step["error"], _WHY) if step["error"] else "",
        "called": f"{step['calls']} times" if step["calls"] > 1 else "",
        "took": spent(Usage.from_json(step["usage"]), step["seconds"]),
    }
    return (
        f'<section class="step{failed}" id="{step_id(number, step["index"])}">'
        f"<h4>{number}.{step['index']} {in_html(step['worker'])}: {in_html(step['status'])}</h4>"
        f"{described(before)}{_granted(step, number, named)}{described(after)}"
        f"{_calls(step['model_calls'])}</section>"
    )


def _granted(step: StepRecord, number: int, named: Named) -> str:
    most = max(_LEAST_GRANTED, MOST_GRANTED_TEXT // max(1, len(step["granted"])))
    return "".join(_output(of, index, number, named, most) for of, index in step["granted"])


def _output(of: int, index: int, number: int, named: Named, most: int) -> str:
    where = _place(of, index, number)
    given = named.get((of, index))
    if given is None:
        return f"<details><summary>{where}</summary>It is not among the rounds of this result.</details>"
    said = given.get("text", "") or f"({given['status']}, no text)"
    whole = f' <a href="#{step_id(of, index)}">to the step</a>'
    return (
        f'<details class="granted-output"><summary>{where}, {in_html(given["worker"])}</summary>'
        f'<div class="text">{in_html(cut(said, most))}</div>{whole}</details>'
    )


def _place(of: int, index: int, number: int) -> str:
    return f"step {index}" if of == number else f"step {index} of round {of}"


def _calls(calls: Sequence[CallRecord]) -> str:
    if not calls:
        return ""
    listed, left_out = _ends(calls, MOST_CALLS)
    more = (
        f"<p>{left_out:,} calls between the first ones and the last are left out.</p>" if left_out else ""
    )
    rows = table(("model", "asked by", "tokens", "money", "time"), map(_call, listed))
    title = f"{len(calls):,} model call{'' if len(calls) == 1 else 's'}"
    return f"<details><summary>{title}</summary>{rows}{more}</details>"


def _call(call: CallRecord) -> Iterator[str]:
    used = Usage.from_json(call["usage"])
    yield from (call["model"], call["worker"] or "planner", tokens(used), money(used) or "price unknown")
    yield seconds(call["seconds"])


def _ends(items: Sequence[_T], most: int) -> tuple[Sequence[_T], int]:
    """The first items and the last one, `most` in all, and how many are left out."""
    if len(items) <= most:
        return items, 0
    return [*items[: most - 1], items[-1]], len(items) - most
