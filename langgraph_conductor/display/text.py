"""A run as plain text: the workflow, each step, the answer, what it took."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from langgraph_conductor.records import PlanRecord, RoundRecord, StepRecord
from langgraph_conductor.usage import Usage
from langgraph_conductor.workflow import Workflow

_REACHED: Final = {
    "unaided": "parsed unaided",
    "schema": "written under a schema",
    "repair": "parsed after repair",
    "fixed": "a fixed strategy",
    "fallback": "planning failed, fallback",
}


def describe(result: Mapping[str, Any], *, width: int = 400) -> str:
    """What a conductor's result tells, as lines of plain text.

    Args:
        result: What `invoke` of a conductor returned.
        width: Most characters shown of one output.
    """
    lines: list[str] = []
    for record in result["rounds"]:
        lines += _round(record, width)
    lines += ["", f"answer: {result['answer']}", "", _used(result["usage"])]
    return "\n".join(lines)


def _round(record: RoundRecord, width: int) -> Iterator[str]:
    plan = record["plan"]
    yield f"round {record['round']}: {_planned(plan)}"
    if plan["error"]:
        yield f"  why: {plan['error']['type']}: {plan['error']['message']}"
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
    cost = f", {_tokens(usage)}, {plan['seconds']:.1f} s" if usage.calls else ""
    return f"{_REACHED.get(plan['reached'], plan['reached'])}{cost}"


def _step(step: StepRecord, own_round: int, width: int) -> Iterator[str]:
    usage = Usage.from_json(step["usage"])
    yield f"  step {step['index']}: {step['worker']}  [{_tokens(usage)}, {step['seconds']:.1f} s]"
    yield f"    asked:   {_short(step['subtask'], width)}"
    yield f"    granted: {_granted(step['granted'], own_round)}"
    if step["error"]:
        yield f"    failed:  {step['error']['type']}: {_short(step['error']['message'], width)}"
    else:
        yield f"    said:    {_short(step['text'], width)}"


def _granted(names: list[list[int]], own_round: int) -> str:
    shown = [f"step {s}" if r == own_round else f"step {s} of round {r}" for r, s in names]
    return ", ".join(["the question", *shown])


def _used(usage: Mapping[str, Any]) -> str:
    planner, workers = Usage.from_json(usage["planner"]), Usage.from_json(usage["workers"])
    parts = [f"{_calls(planner)} of the planner", f"{_calls(workers)} of workers"]
    total = Usage.from_json(usage["total"])
    money = f", ${total.usd}" if total.usd is not None else ""
    if total.usd is not None and total.unpriced_calls:
        money += f" and {total.unpriced_calls} calls without a known price"
    return f"used: {', '.join(parts)}{money}, {usage['wall_seconds']:.1f} s"


def _calls(usage: Usage) -> str:
    tokens = f" ({_tokens(usage)})" if usage.calls else ""
    return f"{usage.calls} call{'' if usage.calls == 1 else 's'}{tokens}"


def _tokens(usage: Usage) -> str:
    if not usage.calls:
        return "no model"
    return f"{usage.input_tokens}+{usage.output_tokens} tokens"


def _short(text: str, width: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"
