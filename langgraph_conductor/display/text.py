"""A run as plain text: the workflow, each step, the answer, what it took."""

from collections.abc import Iterator, Mapping
from typing import Any

from langgraph_conductor.display.words import REACHED, money, printable, short, spent, tokens, why
from langgraph_conductor.records import PlanRecord, RoundRecord, StepRecord
from langgraph_conductor.usage import Usage
from langgraph_conductor.workflow import Workflow


def describe(result: Mapping[str, Any], *, width: int = 400) -> str:
    """What a conductor's result tells, as lines of plain text.

    Args:
        result: What `invoke` of a conductor returned.
        width: Most characters shown of one output.
    """
    lines: list[str] = []
    for record in result["rounds"]:
        lines += _round(record, width)
    lines += ["", f"answer: {result['answer']}", ""]
    if stopped := result.get("stopped"):
        lines.append(f"stopped: {stopped}")
    lines.append(used_in_words(result["usage"]))
    return printable("\n".join(lines))  # also names, which a file that is read may have any of


def _round(record: RoundRecord, width: int) -> Iterator[str]:
    plan = record["plan"]
    yield f"round {record['round']}: {_planned(plan)}"
    if plan["error"]:
        yield f"  why: {why(plan['error'], width)}"
    if record["accepted"]:
        yield "  the earlier answer is kept"
    if record["workflow"]:
        levels = Workflow.from_json(record["workflow"]).levels()
        order = ", then ".join(" beside ".join(f"step {i}" for i in level) for level in levels)
        yield f"  workflow: {order}"
    for step in record["steps"]:
        yield from _step(step, record["round"], width)


def _planned(plan: PlanRecord) -> str:
    usage = Usage.from_json(plan["usage"])
    cost = f", {spent(usage, plan['seconds'])}" if usage.calls else ""
    return f"{REACHED.get(plan['reached'], plan['reached'])}{cost}"


def _step(step: StepRecord, own_round: int, width: int) -> Iterator[str]:
    usage = Usage.from_json(step["usage"])
    yield f"  step {step['index']}: {step['worker']}  [{spent(usage, step['seconds'])}]"
    yield f"    asked:   {short(step['subtask'], width)}"
    yield f"    granted: {_granted(step['granted'], own_round)}"
    if step["error"]:
        yield f"    failed:  {why(step['error'], width)}"
    if step["answered_by"] != step["worker"]:
        yield f"    instead: {step['answered_by']}"
    if step["status"] == "ok":
        yield f"    said:    {short(step['text'], width)}"


def _granted(names: list[list[int]], own_round: int) -> str:
    shown = [f"step {s}" if r == own_round else f"step {s} of round {r}" for r, s in names]
    return ", ".join(["the question", *shown])


def used_in_words(usage: Mapping[str, Any]) -> str:
    """What a run took: calls, tokens, money and seconds, on one line.

    Args:
        usage: The result's `usage`.
    """
    planner, workers = Usage.from_json(usage["planner"]), Usage.from_json(usage["workers"])
    parts = [f"{_calls(planner)} of the planner", f"{_calls(workers)} of workers"]
    total = Usage.from_json(usage["total"])
    if total.usd is not None:
        unpriced = total.unpriced_calls
        calls = f"{unpriced} call{'' if unpriced == 1 else 's'}"
        parts.append(money(total) + (f" and {calls} without a known price" if unpriced else ""))
    return f"used: {', '.join(parts)}, {usage['wall_seconds']:.1f} s"


def _calls(usage: Usage) -> str:
    shown = f" ({tokens(usage)})" if usage.calls else ""
    return f"{usage.calls} call{'' if usage.calls == 1 else 's'}{shown}"
