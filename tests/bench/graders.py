"""The graders `choice` and `number` on every question of MMLU and GSM8K, where these are at hand.

The folders, in the form the authors publish them, are named by CONDUCTOR_MMLU and CONDUCTOR_GSM8K.
"""

import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from zlib import crc32

from langgraph_conductor.evals.suites import SPLITS, load_suite
from langgraph_conductor.rewards import Task, grade

CHOICES = (
    "The final answer is: **{letter}) {text}**",
    "**{letter}. {text}**",
    "ANSWER: {letter}. {text}",
)
"""Said of each option of each question."""

REASONED = (
    "{letter}\n\nExplanation: it follows.",
    "{letter}. {text}\n\nThis is because the others are wrong.",
    "Let me think about it.\n\n({letter})",
    '{{"answer": "{letter}"}}',
    "The answer is {letter} because it fits best.",
    "The answer is {letter}, not {other}.",
    "My answer: {letter}. I'm confident.",
    "So, option {letter} is right.",
    "Ans: {letter}",
    "答案是\uff08{letter}\uff09。",
    "Die richtige Antwort ist {letter}.",
    "✅ **{letter}. {text}**",
    "- {letter}",
)
TORN = (
    "{letter}\n\nThe answer is {other}.",
    "{other}\n\n{letter}",
    "Either {letter} or {other}.\n\nI cannot tell.",
    "{letter}. is wrong\n\nIt fails.",
    "The answer is {letter}, or {other} because it fits.",
    "{letter}\n\nWait, that is wrong.",
)
NUMBERS = ("The answer is {}.", "#### {}", "**Answer:** \\boxed{{{}}}")
Said = tuple[str, float]
"""A reply, and the score it must have."""


def choices(task: Task) -> Iterator[Said]:
    turn = crc32(task.question.encode())  # all phrasings on all questions would take an hour
    for letter, text in zip("ABCD", task.about["choices"], strict=True):
        other = "BCDA"["ABCD".index(letter)]
        for phrase in (*CHOICES, REASONED[turn % len(REASONED)]):
            yield phrase.format(letter=letter, text=text, other=other), float(letter == task.answer)
        if letter == task.answer:
            yield TORN[turn % len(TORN)].format(letter=letter, other=other), 0.0


def numbers(task: Task) -> Iterator[Said]:
    gold = Fraction(task.answer)
    whole = gold.denominator == 1
    right = {task.answer, f"{int(gold):,}" if whole else task.answer}
    near = {
        str(gold + 1) if whole else f"{task.answer}5",
        f"{task.answer}π",
        f"half of {task.answer}",
        f"{task.answer} or 7",
    }
    near |= {f"-{task.answer}", f"minus {task.answer}"} if gold > 0 else {str(abs(gold) + 1)}
    for phrase in NUMBERS:
        yield from ((phrase.format(said), 1.0) for said in right)
        yield from ((phrase.format(said), 0.0) for said in near)


def measured(kind: str, variable: str, replies: Callable[[Task], Iterator[Said]]) -> bool:
    folder = os.environ.get(variable)
    if not folder:
        print(f"graders: {kind} was not read: {variable} names no folder")
        return True
    suite = load_suite(f"{kind}:{folder}")
    tasks = [task for split in SPLITS for task in suite.tasks(split)]
    said = lost = passed = 0
    for task in tasks:
        for reply, score in replies(task):
            found = grade(reply, task)
            said += 1
            lost += found < score
            passed += found > score
    print(
        f"graders: {kind}, {len(tasks)} questions, {said} replies: {lost} right ones lost, {passed} wrong ones passed  (limit 0)"
    )
    return not lost and not passed and bool(tasks)


def main() -> bool:
    return all([measured("mmlu", "CONDUCTOR_MMLU", choices), measured("gsm8k", "CONDUCTOR_GSM8K", numbers)])


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
