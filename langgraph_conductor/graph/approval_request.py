"""The request for approval that a person reads, in the form of LangChain's human-in-the-loop middleware.

Form: `HITLRequest` in `langchain.agents.middleware.human_in_the_loop`. Runs that were left by
earlier versions wait with the deprecated one, `langgraph.prebuilt.interrupt.HumanInterrupt`, which is still read.
"""

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from langgraph_conductor.prompts import text_of, worker_request
from langgraph_conductor.records import ContentBlock
from langgraph_conductor.workflow import ALL, Step, Workflow

if TYPE_CHECKING:  # importing LangChain's agents takes longer than this whole package
    from langchain.agents.middleware.human_in_the_loop import HITLRequest

ACTION: Final = "run_workflow"
"""Name of the action that a person is asked to let happen."""

_MOST_CHARS: Final = 2_000
_LEFT_OUT: Final = " [...]"
# What Markdown would take for markup, and show otherwise than it was written, not at all, or fetch. Signs between
# blanks and underscores inside a word are none, so most texts stay as they are.
_MARKUP: Final = re.compile(
    r"\\(?=[!-/:-@\[-`{-~])|\*(?!(?<=\s.)\s)|_(?!(?<=[^\W_].)[^\W_])|[`$|]|~(?=~)|(?<=~)~|<(?=[\w/!?])"
    r"|\](?=[(\[:])|!(?=\[)|&(?=#?\w+;)"
)
_ESCAPED: Final = re.compile(r"\\([!-/:-@\[-`{-~])")
_HEADING: Final = re.compile(r"^\*\*(.*)\*\*", re.MULTILINE)


def approval_request(
    workflow: Workflow, number: int, question: Iterable[ContentBlock], wrong: str = ""
) -> "HITLRequest":
    """The value of the interrupt that asks whether a workflow may run.

    Args:
        workflow: What would run.
        number: The round, from 0.
        question: The question of the run; of a conversation the newest request is shown.
        wrong: Why the answer before could not be used, if there was one.
    """
    return {
        "action_requests": [
            {
                "name": ACTION,
                "args": {"workflow": workflow.to_json(), "round": number},
                "description": _description(workflow, number, [*question], wrong),
            }
        ],
        # No "respond": to a person it would be a second field for what the reason of "reject" says.
        "review_configs": [{"action_name": ACTION, "allowed_decisions": ["approve", "edit", "reject"]}],
    }


def _description(workflow: Workflow, number: int, question: list[ContentBlock], wrong: str) -> str:
    text, part = map(str.strip, worker_request(text_of(question)))
    if len(text) > _MOST_CHARS:
        text = text[:_MOST_CHARS] + _LEFT_OUT
    kinds = [f"[{block.get('type')}]" for block in question if block.get("type") != "text"]
    parts = ["**That answer could not be used:**", _quoted(wrong)] if wrong else []
    parts += ["**Request:**", _quoted("\n".join([*([text] if text else []), *kinds]))]
    if part:  # this conductor is a worker of another one
        parts += ["**Part of it to be done:**", _quoted(part)]
    parts.append(f"**Plan of round {number}:**" if number else "**Plan:**")
    for index, step in enumerate(workflow.steps):
        parts += [
            f"**{index}. {_literal(step.worker)}** (reads {_read(step, index, number)})",
            _quoted(step.subtask),
        ]
    return "\n\n".join(parts)


def _read(step: Step, index: int, number: int) -> str:
    """What a step may read, in words."""
    parts = ["the request"]
    if step.access == ALL:
        parts += ["all earlier steps"] if index else []
        parts += [f"all of round {number - 1}"] if number else []
    elif step.access:
        numbers = ", ".join(map(str, step.access))
        parts.append(f"step{'s' if len(step.access) > 1 else ''} {numbers}")
    parts += [f"step {earlier} of round {before}" for before, earlier in step.earlier]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _quoted(text: str) -> str:
    """A text of a user or a model as a block quote, which nothing in it can end."""
    return "\n".join(f"> {line}".rstrip() for line in _literal(text).splitlines() or [""])


def _literal(text: str) -> str:
    """The Markdown that shows `text` as it was written."""
    return _MARKUP.sub(lambda found: f"\\{found[0]}", text)


def plain(description: str) -> str:
    """The description of a request for approval without its markup, for a terminal.

    Args:
        description: As `approval_request` made it.
    """
    return _ESCAPED.sub(r"\1", _HEADING.sub(r"\1", description))


def workflow_asked_about(value: Any) -> Mapping[str, Any] | None:
    """The workflow, as JSON, that an interrupt asks about; `None` if it asks something else.

    Args:
        value: The value of the interrupt, in today's form or in the deprecated one.
    """
    if isinstance(value, Mapping):
        requests, key = value.get("action_requests"), "name"
    else:
        requests, key = value, "action"
    if not isinstance(requests, list | tuple) or len(requests) != 1 or not isinstance(requests[0], Mapping):
        return None
    action = requests[0] if key == "name" else requests[0].get("action_request")
    if not isinstance(action, Mapping) or action.get(key) != ACTION:
        return None
    args = action.get("args")
    workflow = args.get("workflow") if isinstance(args, Mapping) else None
    return workflow if isinstance(workflow, Mapping) else None
