"""The embedded specialists: adapters of the embedded model, each taught one skill, and how they are asked.

They were trained by `langgraph_conductor.train.tiny`; what they are sent here is what they were trained on.
"""

from collections.abc import Callable, Mapping
from typing import Final

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from langgraph_conductor.local.labels import in_its_place
from langgraph_conductor.prompts import text_of
from langgraph_conductor.records import WorkerTask

SPECIALISTS: Final[Mapping[str, str]] = {
    "digits": "writes number words as digits",
    "sorter": "sorts numbers from small to large",
    "initials": "takes the first letters of words",
    "reverser": "reverses the order of a list",
    "story": "writes the sum that a story asks for",
}
"""What each is taught, as planners are told."""

GENERALIST: Final = "generalist"
"""The adapter that was taught everything the specialists were, with as much training as all of them together."""

SUBTASKS: Final[Mapping[str, str]] = {
    "digits": "Write the numbers as digits.",
    "sorter": "Sort the numbers.",
    "initials": "Take the first letters.",
    "reverser": "Reverse the order.",
    "story": "Write the sum.",
    "calculator": "Calculate.",
    "smollm2": "Answer the question.",
}
"""The wording of each skill's subtask in what the conductor learnt from: one, so that replies can be kept."""

MOST_TOKENS: Final = 40
"""Of a specialist's reply; the longest that is right has about 30."""

_SYSTEM: Final = "Do your part."


def specialist_prompt(task: WorkerTask) -> list[BaseMessage]:
    """What a specialist is sent: the question, the outputs it was granted, and its subtask."""
    lines = [text_of(task.question)]
    lines += [
        f"Given: {in_its_place(output.text)}" for output in (*task.previous, *task.inputs) if output.text
    ]
    return [
        SystemMessage(_SYSTEM),
        HumanMessage("\n".join([*lines, f"Your part: {in_its_place(task.subtask)}"])),
    ]


def specialist(chat: BaseChatModel) -> Callable[[WorkerTask], str]:
    """A worker over `chat`, the embedded model with an adapter."""

    def work(task: WorkerTask) -> str:
        return str(chat.invoke(specialist_prompt(task)).text).strip()

    return work
