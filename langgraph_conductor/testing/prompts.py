"""Reading back what workers were shown."""

import re
from dataclasses import dataclass

from langgraph_conductor.prompts import unescape
from langgraph_conductor.records import StepOutput


@dataclass(frozen=True, slots=True)
class PromptParts:
    """What a worker was shown, read back from its prompt."""

    question: str
    subtask: str
    inputs: tuple[StepOutput, ...]
    previous: tuple[StepOutput, ...]


_TAGGED = re.compile(
    r"<(?P<tag>overall_task|previous_round|step_subtask|step_output|your_subtask)"
    r"(?P<attributes>[^>\n]*)>\n(?P<body>.*?)\n</(?P=tag)>",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')


def read_worker_prompt(prompt: str) -> PromptParts:
    """Read back what `prompts.worker_prompt` rendered: the reverse, whatever the parts hold.

    Raises:
        ValueError: If it is not a worker's prompt.
    """
    parts: dict[str, str] = {}
    inputs: tuple[StepOutput, ...] = ()
    previous: tuple[StepOutput, ...] = ()
    at, subtask = 0, ""
    while match := _TAGGED.search(prompt, at):
        at = match.end()
        tag, body = match["tag"], match["body"]
        if tag == "previous_round":
            previous = _outputs(body)
        elif tag == "step_subtask":
            subtask = body
        elif tag == "step_output":
            inputs = (*inputs, _output(match["attributes"], subtask, body))
        else:
            parts[tag] = unescape(body)
    if set(parts) != {"overall_task", "your_subtask"}:
        raise ValueError(f"not a worker's prompt: {prompt[:80]!r}")
    return PromptParts(parts["overall_task"], parts["your_subtask"], inputs, previous)


def _outputs(text: str) -> tuple[StepOutput, ...]:
    found: tuple[StepOutput, ...] = ()
    subtask = ""
    for match in _TAGGED.finditer(text):
        if match["tag"] == "step_subtask":
            subtask = match["body"]
        else:
            found = (*found, _output(match["attributes"], subtask, match["body"]))
    return found


def _output(attributes: str, subtask: str, text: str) -> StepOutput:
    values = dict(_ATTRIBUTE.findall(attributes))
    return StepOutput(
        index=int(values["step"]),
        worker=values["worker"],
        subtask=unescape(subtask),
        text=unescape(text),
        status="failed" if values["status"] == "failed" else "ok",
    )
