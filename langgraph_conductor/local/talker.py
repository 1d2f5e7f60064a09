"""The embedded model as it is, without an adapter: facts and talk."""

from collections.abc import Callable
from typing import Final

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from langgraph_conductor.prompts import text_of
from langgraph_conductor.records import WorkerTask
from langgraph_conductor.tags import escape

MOST_TOKENS: Final = 160
"""Of a reply."""

_SYSTEM: Final = "Answer briefly in English."


def talker_prompt(task: WorkerTask) -> list[BaseMessage]:
    """What the untuned model is sent.

    The full prompt of a worker is too much for it: what it was granted and its subtask, and the question, if the
    subtask only speaks of it ("Answer the question.").
    """
    question = asked(text_of(task.question))
    told = task.subtask.rstrip(".?! ").casefold() in question.casefold()
    texts = [*(escape(output.text) for output in task.inputs if output.text), task.subtask]
    texts = texts if told else [question, *texts]
    return [SystemMessage(_SYSTEM), HumanMessage("\n".join(texts))]


def talker(chat: BaseChatModel) -> Callable[[WorkerTask], str]:
    """A worker over `chat`, the embedded model."""

    def talk(task: WorkerTask) -> str:
        return str(chat.invoke(talker_prompt(task)).text)

    return talk


def asked(question: str) -> str:
    """The question without lines on the form of its answer, such as those of evaluations: they speak of a tag."""
    lines = question.splitlines()
    return "\n".join(line for line in lines if "</answer>" not in line) or question
