"""What planners reply."""

import json
from typing import Any

from langgraph_conductor.testing.answers import FakeReply, FakeToolCall
from langgraph_conductor.testing.requests import ProviderRequest
from langgraph_conductor.workflow import Workflow


def plan_text(*steps: tuple[str, str, Any], reasoning: str = "I have thought about it.") -> str:
    """A planner's reply with these (worker, subtask, access) steps.

    Example:
        ```python
        from langgraph_conductor import parse_workflow
        from langgraph_conductor.testing import plan_text

        text = plan_text(("coder", "Write it.", []), ("critic", "Check it.", "all"))
        assert parse_workflow(text, ["coder", "critic"]).steps[1].access == "all"
        ```
    """
    data = [{"worker": w, "subtask": s, "access": a} for w, s, a in steps]
    return f"{reasoning}\n\n{Workflow.from_json({'steps': data}).to_text()}"


ACCEPT_TEXT = "The answer stands.\n\nmodel_id = []\nsubtasks = []\naccess_list = []"
"""A planner's reply that accepts the earlier answer."""


def plan_or_answer(request: ProviderRequest) -> str | FakeReply:
    """A two-step plan where the schema of a workflow is asked for, on any wire; else a short answer.

    The first worker on offer does the work and the last one checks it.
    """
    asked = request.asked
    workers = _workers(asked.schema) if asked else []
    if not asked or not workers:
        return f"An answer of {request.model}."
    plan = {
        "reasoning": "Two are enough.",
        "steps": [
            {"worker": workers[0], "subtask": "Do it.", "access": []},
            {"worker": workers[-1], "subtask": "Check it and answer.", "access": "all"},
        ],
    }
    text = json.dumps(plan)
    if asked.tool is None:
        return text
    return FakeReply(
        tool_calls=(FakeToolCall(asked.tool, plan),),
        input_tokens=request.words,
        output_tokens=len(text.split()),
    )


def _workers(schema: Any) -> list[Any]:
    """The workers a workflow's schema offers; empty where it is the schema of something else."""
    for key in ("properties", "steps", "items", "properties", "worker", "enum"):
        schema = schema.get(key) if isinstance(schema, dict) else None
    return list(schema or [])
