"""The grader of mathematical expressions, by math-verify in a process of its own."""

import re
from typing import Final

from langgraph_conductor.rewards import plain, processes
from langgraph_conductor.rewards.task import Task

_WORD: Final = re.compile(r"\\(?:text|textbf|textit|mathrm|mbox)\s*\{([^{}]*)\}|([A-Za-z][A-Za-z ]{2,})")
_OPERATOR: Final = re.compile(r"[-+*/^\\(]")


def math(answer: str, task: Task) -> bool:
    """Whether it is equal to the right answer, as mathematics.

    Where the right answer is one number, so must the answer be, see `plain.number`: 17 * 23 is no answer to
    what 17 * 23 is. Where it is a word, the answer is that word. Else math-verify compares the two; the
    answer has to be of the same form (a number, a set, a relation, ...), and what the question says itself
    is no answer. Whether an expression is simplified is not looked at.

    Raises:
        GraderError: If no process can be started.
    """
    gold = task.answer.strip()
    if plain.value(gold) is not None:
        return plain.number(answer, task)
    word, said = _word(gold), _word(answer)
    if word is not None:
        return said == word
    if _OPERATOR.search(answer) and _squeezed(answer) in _squeezed(task.question):
        return _squeezed(answer) == _squeezed(gold)
    return processes.pool().ask("math", {"answer": answer, "gold": gold})


def _word(text: str) -> str | None:
    found = _WORD.fullmatch(text.strip().strip("$").strip())
    return plain.normal(found[1] or found[2]) if found else None


def _squeezed(text: str) -> str:
    return "".join(text.split())
