"""The grader of mathematical expressions, by math-verify in a process of its own."""

import re
from dataclasses import replace
from typing import Final

from langgraph_conductor.rewards import plain, processes
from langgraph_conductor.rewards.answers import unwrapped
from langgraph_conductor.rewards.task import Task
from langgraph_conductor.rewards.units import clash

_WORD: Final = re.compile(r"\\(?:text|textbf|textit|mathrm|mbox)\s*\{([^{}]*)\}|([A-Za-z][A-Za-z ]{2,})")
_OPERATOR: Final = re.compile(r"[-+*/^\\(]")
_DECORATION: Final = re.compile(r"[\s{}()\[\]$*]|\\(?:(?:left|right|cdot|times|displaystyle)\b|[,;!: ])")
_NEUTRAL: Final = re.compile(r"^0\+|[-+]0$|\^1$|/1$")
_TOWER: Final = re.compile(
    r"\d\s*+(?:\^|\*\*)[{(\s]*+-?\d++[})\s]*+(?:\^|\*\*)|(?:\^|\*\*)[{(\s]*+-?\d{4}|\d{400}"
)
"""A power of a power, or one that fills the memory: no answer needs it whose right answer has none."""
_PLUS_MINUS: Final = re.compile(r"\\pm(?![A-Za-z])|\u00b1")
_BETWEEN: Final = re.compile(r"[,;]|\b(?:and|or)\b")
_BRACE: Final = re.compile(r"\\(?:text|mathrm|mbox|textrm)\s?\{\s?,?\s?(and|or)\s?\}|\\q?quad\b")
_LONGEST: Final = 1000
"""Characters of an answer; a longer one is no simpler than the question."""


def math(answer: str, task: Task) -> bool:
    """Whether it is equal to the right answer, as mathematics.

    Where the right answer is one number, so must the answer be, see `plain.number`: 17 * 23 is no answer to
    what 17 * 23 is. Where it is a word, the answer is that word. Else math-verify compares the two; the
    answer has to be of the same form (a number, a set, a relation, ...), must have no other unit and name no
    other variable (`units.clash`), and what the question says itself is no answer. Whether an expression is
    simplified is not looked at.

    Raises:
        GraderError: If no process can be started.
    """
    word = _word(task.answer)
    if word is not None:
        return _as_word(answer) == word
    gold = unwrapped(task.answer)
    right, said = _roots(gold), _roots(answer)
    if right and said and ("pm" in gold or "\u00b1" in gold or "pm" in answer or "\u00b1" in answer):
        return _same_roots(said, right, task)
    if plain.value(gold) is not None:
        return plain.number(answer, task)
    if len(answer) > max(_LONGEST, 2 * len(gold)):
        return False
    if clash(answer, gold) or (_TOWER.search(answer) and not _TOWER.search(gold)):
        return False
    if _OPERATOR.search(answer) and _squeezed(answer) in _squeezed(task.question):
        return _squeezed(answer) == _squeezed(gold)
    return processes.pool().ask("math", {"answer": answer, "gold": gold})


def _roots(text: str) -> tuple[str, str] | None:
    """The two values that a text gives, by a plus-minus sign or one after the other."""
    text = _BRACE.sub(r" \1 ", text)
    if len(text) > _LONGEST or re.search(r"\\mp|\u2213|\d,\d{3}|\\begin", text):
        return None
    parts = _PLUS_MINUS.split(text)
    if len(parts) == 2:
        before, after = parts
        plus = "" if not before.strip() or before.rstrip().endswith("=") else "+"
        return f"{before}{plus}{after.lstrip()}", f"{before}-{after.lstrip()}"
    parts = _BETWEEN.split(text)
    if len(parts) != 2 or re.search(r"[()\[\]|]", text):
        return None
    return parts[0].strip(" $"), parts[1].strip(" $")


def _same_roots(said: tuple[str, str], right: tuple[str, str], task: Task) -> bool:
    """Whether two values are the right two, in any order."""

    def same(one: str, other: str) -> bool:
        return bool(one and other) and math(one, replace(task, answer=other))

    one, two = said
    return any(same(one, first) and same(two, second) for first, second in (right, right[::-1]))


def _word(gold: str) -> str | None:
    found = _WORD.fullmatch(gold.strip().strip("$").strip())
    return _as_word(found[1] or found[2]) if found else None


def _as_word(text: str) -> str:
    return plain.normal(unwrapped(text)).strip("() ")


def _squeezed(text: str) -> str:
    """Without what makes no difference to a reader, so that no copy passes for an answer by a `+0`."""
    return _NEUTRAL.sub("", _DECORATION.sub("", text))
