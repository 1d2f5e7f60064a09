"""How the rounds of a run were planned, for its page: what the planner wrote, and what a person said of it."""

from collections.abc import Mapping
from typing import Any, Final

from langgraph_conductor.display.drawing import drawn
from langgraph_conductor.display.markup import in_html
from langgraph_conductor.display.run_parts import calls, described, warned
from langgraph_conductor.display.words import REACHED, short, spent
from langgraph_conductor.records import PlanRecord
from langgraph_conductor.usage import Usage
from langgraph_conductor.workflow import Workflow

_SAID: Final = {"accept": "let it run", "edit": "edited it", "stop": "ended the run"}
_REASON: Final = 100


def planning(plan: PlanRecord) -> str:
    """How a round was planned, and what planning took, in words."""
    usage = Usage.from_json(plan["usage"])
    return f"{REACHED.get(plan['reached'], plan['reached'])}; {spent(usage, plan['seconds'])}"


def approval(plan: PlanRecord) -> str:
    """What a person said of the workflow, in words; empty if nobody was asked."""
    said = plan.get("approval")
    return _SAID[said["said"]] if said else ""


def plan_text(plan: PlanRecord) -> str:
    """What the planner wrote, what a person had otherwise, and why another planned in its place, as HTML."""
    terms = {**warned(plan), "text": plan["text"]}
    replies = {
        f"{i}, {attempt['mode']}": f"{attempt['text']}\n{attempt['error'] or ''}".strip()
        for i, attempt in enumerate(plan["attempts"])
    }
    title = f"{len(replies)} replies of the planner"
    earlier = _details(title, described(replies)) if len(replies) > 1 else ""
    return f"{described(terms)}{_otherwise(plan)}{earlier}{calls(plan)}"


def _otherwise(plan: PlanRecord) -> str:
    """The workflows that a person did not let run."""
    rejected = "".join(
        _details(
            f"rejected workflow {i}: {short(one['reason'], _REASON)}",
            described({"reason": one["reason"]}) + _workflow(one["workflow"]),
        )
        for i, one in enumerate(plan.get("rejected", ()))
    )
    said = plan.get("approval")
    planned = said.get("planned") if said else None
    return rejected + (_details("the workflow as it was planned", _workflow(planned)) if planned else "")


def _workflow(given: Mapping[str, Any]) -> str:
    workflow = Workflow.from_json(given)
    subtasks = {f"{i} {step.worker}": step.subtask for i, step in enumerate(workflow.steps)}
    return drawn(workflow) + described(subtasks)


def _details(title: str, inside: str) -> str:
    return f"<details><summary>{in_html(title)}</summary>{inside}</details>"
