"""The embedded workers that are plain functions: exact arithmetic, exact operations on words."""

from collections.abc import Callable

from langgraph_conductor.local.calculator import calculate, find_expression
from langgraph_conductor.local.talker import asked
from langgraph_conductor.local.wordsmith import transform
from langgraph_conductor.prompts import text_of
from langgraph_conductor.records import WorkerTask


def calculator(task: WorkerTask) -> str:
    """Exact arithmetic: the expression of the question, the subtask, or an output it was granted.

    Raises:
        ValueError: If none holds one, or it has no exact value.
    """
    found = _first(find_expression, task)
    if found is None:
        places = "the question" if not task.inputs else "the question or what it was granted"
        raise ValueError(f"found no single arithmetic expression in {task.subtask!r} or {places}")
    return calculate(found)


def wordsmith(task: WorkerTask) -> str:
    """An exact operation on words: the one the question asks for, or else the subtask.

    Raises:
        ValueError: If neither asks for one it knows.
    """

    def known(text: str) -> str | None:
        try:
            return transform(text)
        except ValueError:
            return None

    return _first(known, task) or transform(task.subtask)


def _first(read: Callable[[str], str | None], task: WorkerTask) -> str | None:
    # The question before the subtask: the planner's wording of it may be wrong, the user's is not.
    # But in a workflow of several steps the subtask says which part of the question is meant, and an output
    # it was granted, the latest first, is what the steps before made of it.
    question = asked(text_of(task.question))
    granted = [output.text for output in (*task.previous, *task.inputs)][::-1]
    alone = task.is_final and not task.inputs
    texts = [question, task.subtask, *granted] if alone else [task.subtask, *granted, question]
    return next((found for text in texts if (found := read(text)) is not None), None)
