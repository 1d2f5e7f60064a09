"""The steps of a run for its page: who was asked what, was granted what, said what, and what it took."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from langgraph_conductor.display.markup import cut, in_html
from langgraph_conductor.display.run_parts import calls, described, ends, warned
from langgraph_conductor.display.words import spent
from langgraph_conductor.records import PlanRecord, RoundRecord, StepRecord
from langgraph_conductor.usage import Usage
from langgraph_conductor.workflow import Workflow

STYLE: Final = """
.step { border-top: 1px solid var(--line); padding: .2em 0 .8em; }
.step > h4 { margin: .7em 0 .3em; }
.failed-step > h4 { color: var(--bad); }
"""

MOST_GRANTED_TEXT: Final = 20_000
"""Characters of all that one step was granted; where that is more, each output is cut to its share."""

MOST_STEPS: Final = 200
"""Steps of one round that the page tells of."""

_LEAST_GRANTED: Final = 200

Named = Mapping[tuple[int, int], StepRecord]
"""All steps of a run, by round and position."""

Chosen = Collection[tuple[int, int]]
"""Outputs of earlier rounds that a step was granted one by one, by round and position."""


def step_id(number: int, step: int | None) -> str:
    """The id of the element that tells of step `step` of round `number`, or of its planning (`None`)."""
    return f"round-{number}" if step is None else f"round-{number}-step-{step}"


def steps_of(rounds: Sequence[RoundRecord]) -> str:
    """All steps of a run as HTML, round by round.

    Args:
        rounds: The rounds.
    """
    named = {(record["round"], step["index"]): step for record in rounds for step in record["steps"]}
    return "\n".join(_round(record, named) for record in rounds if record["steps"]) or "<p>No step ran.</p>"


def _round(record: RoundRecord, named: Named) -> str:
    steps, left_out = ends(record["steps"], MOST_STEPS)
    more = ""
    if left_out:
        missing = record["steps"][len(steps) - 1 : -1]
        # Links to the steps left out lead here.
        targets = "".join(
            f'<span id="{step_id(record["round"], step["index"])}"></span>' for step in missing
        )
        more = f"<p>{targets}{left_out:,} steps between the first ones and the last are left out.</p>"
    planned = Workflow.from_json(record["workflow"]).steps if record["workflow"] else ()
    told = "\n".join(
        _step(step, record["round"], named, planned[step["index"]].earlier if planned else ())
        for step in steps
    )
    return f"<h3>Round {record['round']}</h3>{more}{told}"


def _step(step: StepRecord, number: int, named: Named, chosen: Chosen) -> str:
    failed = " failed-step" if step["status"] == "failed" else ""
    places = (_place(of, index, number, chosen) for of, index in step["granted"])
    before = {
        "answered by": step["answered_by"] if step["answered_by"] != step["worker"] else "",
        "subtask": step["subtask"],
        "granted": ", ".join(["the question", *places]),
    }
    after = {
        "said": step.get("text", ""),
        "was not sent": withheld(step),
        **warned(step, step["worker"] if step["status"] == "ok" else ""),
        "called": f"{step['calls']} times" if step["calls"] > 1 else "",
        "took": spent(Usage.from_json(step["usage"]), step["seconds"]),
    }
    return (
        f'<section class="step{failed}" id="{step_id(number, step["index"])}">'
        f"<h4>{number}.{step['index']} {in_html(step['worker'])}: {in_html(step['status'])}</h4>"
        f"{described(before)}{_granted(step, number, named, chosen)}{described(after)}"
        f"{calls(step)}</section>"
    )


def withheld(record: StepRecord | PlanRecord) -> str:
    """The attachments a model was not sent, in words; empty if there was none."""
    return "; ".join(
        " ".join(part for part in (one["attachment"], one["about"] and f"({one['about']})") if part)
        + f": {one['reason']}"
        for one in record.get("withheld", ())
    )


def _granted(step: StepRecord, number: int, named: Named, chosen: Chosen) -> str:
    most = max(_LEAST_GRANTED, MOST_GRANTED_TEXT // max(1, len(step["granted"])))
    return "".join(
        _output(named.get((of, index)), step_id(of, index), _place(of, index, number, chosen), most)
        for of, index in step["granted"]
    )


def _output(given: StepRecord | None, target: str, where: str, most: int) -> str:
    if given is None:
        return f"<details><summary>{where}</summary>It is not among the rounds of this result.</details>"
    said = given.get("text", "") or f"({given['status']}, no text)"
    whole = f' <a href="#{target}">to the step</a>'
    return (
        f'<details class="granted-output"><summary>{where}: {in_html(given["worker"])}</summary>'
        f'<div class="text">{in_html(cut(said, most))}</div>{whole}</details>'
    )


def _place(of: int, index: int, number: int, chosen: Chosen) -> str:
    if of == number:
        return f"step {index}"
    return f"step {index} of round {of}" + (" (chosen)" if (of, index) in chosen else "")
