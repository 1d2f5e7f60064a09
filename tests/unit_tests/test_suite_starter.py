"""The suite for first tries: steady, with right answers, and readable by the small pool it is for."""

import ast
import hashlib
import re
import sys
from collections import Counter

import pytest

from langgraph_conductor.evals.suites import SPLITS, load_suite, split_of
from langgraph_conductor.evals.suites.facts import FACTS
from langgraph_conductor.local.calculator import calculate, find_expression
from langgraph_conductor.local.wordsmith import transform
from langgraph_conductor.rewards import check_grader, grade


@pytest.fixture(scope="module")
def tasks():
    suite = load_suite("starter")
    return [task for split in SPLITS for task in suite.tasks(split)]


def of(tasks, domain):
    return [task for task in tasks if task.domain == domain]


def test_it_is_the_same_everywhere(tasks):
    digest = hashlib.sha256("".join(task.digest for task in tasks).encode()).hexdigest()[:16]
    assert digest == "6be27fad22965fe7"


def test_it_needs_no_other_package(monkeypatch):
    for name in ("reasoning_gym", "numpy", "sympy", "math_verify"):
        monkeypatch.setitem(sys.modules, name, None)
    assert load_suite("starter").tasks("test")


def test_size_parts_and_splits(tasks):
    assert Counter(task.domain for task in tasks) == {
        "arithmetic": 90, "words": 90, "facts": 60, "two-step": 45, "unsolvable": 15,
    }  # fmt: skip
    suite = load_suite("starter")
    assert all(split_of(task) == split for split in SPLITS for task in suite.tasks(split))
    for split in SPLITS:
        assert {task.domain for task in suite.tasks(split)} == {task.domain for task in tasks}
    first = Counter(task.domain for task in suite.tasks("test")[:40])
    assert len(first) == 5, "the first of a split are a mixture"


def test_right_answers_score_one_and_the_question_and_nothing_zero(tasks):
    for task in tasks:
        check_grader(task.grader)
        assert "\n" not in task.question
        assert grade(task.answer, task) == 1.0, task
        assert grade(f"<answer>{task.answer}</answer>", task) == 1.0
        assert grade("", task) == 0.0
        assert grade(task.question, task) == 0.0, task


def test_no_answer_stands_in_its_question(tasks):
    for task in tasks:
        if len(task.answer) > 1 and task.domain != "arithmetic":
            assert not re.search(rf"\b{re.escape(task.answer)}\b", task.question), task


def test_a_sentence_with_the_right_number_is_right(tasks):
    leap = next(task for task in tasks if "leap year" in task.question)
    assert grade("A leap year has 366 days.", leap) == 1.0
    assert grade("A leap year has 365 days.", leap) == 0.0
    assert grade("A leap year has 366 days, not 365.", leap) == 1.0
    for task in of(tasks, "facts"):
        assert grade(f"The number is {task.answer}.", task) == 1.0


def test_capital_letters_must_be_capital(tasks):
    capital = next(task for task in tasks if "capital letters" in task.question)
    assert grade(capital.answer, capital) == 1.0
    assert grade(capital.answer.lower(), capital) == 0.0


def test_answers_cannot_be_guessed(tasks):
    for domain in {task.domain for task in tasks}:
        some = of(tasks, domain)
        assert Counter(task.answer for task in some).most_common(1)[0][1] <= len(some) // 8


def test_arithmetic_worked_out_from_its_words(tasks):
    for task in of(tasks, "arithmetic"):
        text = re.sub(r"^(What is|How much is|Compute) |[?.]$", "", task.question)
        text = re.sub(r"(\d+)% of (\d+)", r"\1 * \2 / 100", text).replace("plus", "+").replace("minus", "-")
        assert value(ast.parse(text, mode="eval").body) == int(task.answer), task


def value(node):
    if isinstance(node, ast.Constant):
        return node.value
    left, right = value(node.left), value(node.right)
    kinds = {ast.Add: left + right, ast.Sub: left - right, ast.Mult: left * right}
    return left / right if isinstance(node.op, ast.Div) else kinds[type(node.op)]


def test_two_steps_worked_out_from_their_words(tasks):
    kinds = Counter()
    for task in of(tasks, "two-step"):
        (word,) = re.findall("'([a-z]+)'", task.question)
        numbers = [int(number) for number in re.findall(r"\d+", task.question)]
        kinds[task.question.split()[0]] += 1
        if len(numbers) == 2:
            assert task.answer == word[numbers[0] - numbers[1] - 1]
            assert word.count(task.answer) == 1
        else:
            times = task.question.startswith("Multiply")
            assert int(task.answer) == (numbers[0] * len(word) if times else numbers[0] + len(word))
        assert task.difficulty == len(task.skills) == 2
    assert kinds.keys() == {"Multiply", "Add", "Work"}


def test_facts_are_asked_once():
    assert len({question for question, _ in FACTS}) == len(FACTS)


def test_the_embedded_functions_read_what_they_are_for_and_nothing_else(tasks):
    def read(task):
        found = find_expression(task.question)
        try:
            return calculate(found) if found else transform(task.question)
        except ValueError:
            return None

    for task in tasks:
        able = task.domain in ("arithmetic", "words")
        answer = read(task)
        assert (answer is not None) == able, task
        assert not able or grade(answer, task) == 1.0, task
