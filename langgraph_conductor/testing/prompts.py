"""Reading back what workers were shown."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from langgraph_conductor.records import StepOutput
from langgraph_conductor.tags import unescape, unescape_question


@dataclass(frozen=True, slots=True)
class PromptParts:
    """What a worker was shown, read back from its prompt."""

    question: str
    subtask: str
    inputs: tuple[StepOutput, ...]
    previous: tuple[StepOutput, ...]


_OPENED = re.compile(r"<(overall_task|previous_round|step_subtask|step_output|your_subtask)([^<>\n]*)>\n")
_ATTRIBUTE = re.compile(r'(?<!\w)(\w++)="([^"]*)"')


def read_worker_prompt(prompt: str) -> PromptParts:
    """Read back what `prompts.worker_prompt` rendered: the reverse, whatever the parts hold.

    Raises:
        ValueError: If it is not a worker's prompt.
    """
    parts: dict[str, str] = {}
    inputs: tuple[StepOutput, ...] = ()
    previous: tuple[StepOutput, ...] = ()
    subtask = ""
    for tag, attributes, body in _tagged(prompt):
        if tag == "previous_round":
            previous = _outputs(body)
        elif tag == "step_subtask":
            subtask = body
        elif tag == "step_output":
            inputs = (*inputs, _output(attributes, subtask, body))
        else:
            parts[tag] = unescape_question(body) if tag == "overall_task" else unescape(body)
    if set(parts) != {"overall_task", "your_subtask"}:
        raise ValueError(f"not a worker's prompt: {prompt[:80]!r}")
    return PromptParts(parts["overall_task"], parts["your_subtask"], inputs, previous)


def _outputs(text: str) -> tuple[StepOutput, ...]:
    found: tuple[StepOutput, ...] = ()
    subtask = ""
    for tag, attributes, body in _tagged(text):
        if tag == "step_subtask":
            subtask = body
        else:
            found = (*found, _output(attributes, subtask, body))
    return found


def _tagged(text: str) -> Iterator[tuple[str, str, str]]:
    """The outermost parts of a text, in order: tag, attributes, what is between."""
    at = 0
    never_closed: set[str] = set()
    while opened := _OPENED.search(text, at):
        at, tag = opened.end(), opened[1]
        # A part may be empty: then its two line breaks are one after the other.
        end = -1 if tag in never_closed else text.find(f"\n</{tag}>", at)
        if end < 0:
            never_closed.add(tag)  # not looked for again at every beginning
            continue
        yield tag, opened[2], text[at:end]
        at = end


def _output(attributes: str, subtask: str, text: str) -> StepOutput:
    values = dict(_ATTRIBUTE.findall(attributes))
    return StepOutput(
        index=int(values["step"]),
        worker=values["worker"],
        subtask=unescape(subtask),
        text=unescape(text),
        status="failed" if values["status"] == "failed" else "ok",
    )
