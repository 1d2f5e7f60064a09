"""The embedded workers that are plain functions, and what the untuned model is sent."""

import pytest

from langgraph_conductor.local.exact import calculator, wordsmith
from langgraph_conductor.local.talker import talker, talker_prompt
from langgraph_conductor.records import StepOutput, WorkerTask
from langgraph_conductor.testing import ScriptedModel

FORM = "Put the final answer, and nothing else, between <answer> and </answer>."
STORY = "Tom has 4 bags of 5 pens and 7 more pens. How many in all?"


def task(question, subtask="Answer the question.", *granted, is_final=True, previous=()):
    def output(index, text):
        return StepOutput(index=index, worker="w", subtask="s", text=text, status="ok")

    return WorkerTask(
        question=[{"type": "text", "text": question}],
        subtask=subtask,
        inputs=tuple(output(i, text) for i, text in enumerate(granted)),
        previous=tuple(output(i, text) for i, text in enumerate(previous)),
        index=len(granted),
        round=0,
        is_final=is_final,
        messages=(),
    )


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (task("What is 3 * 4?"), "12"),
        (task("What is 3 * 4?", "Compute 5 + 5."), "12"),  # the user's wording, not the planner's
        (task("What is 3 * 4 and who says so?", "Compute 3 * 4."), "12"),
        (task("What is 3 * 4?", "Compute 5 + 5.", is_final=False), "10"),  # a part of it
        (task(STORY, "Calculate.", "4 * 5 + 7"), "27"),
        (task(STORY, "Calculate.", "nothing", "4 * 5 + 7"), "27"),
        (task(STORY, "Calculate.", "1 + 1", "4 * 5 + 7"), "27"),  # the latest
        (task(STORY, "Calculate.", "4 * 5 + 7", is_final=False), "27"),
        (task(STORY, "Compute 2 * 27", "4 * 5 + 7"), "54"),
        (task("How much is 2 + 2?", "Calculate.", "4 bags"), "4"),
        (task(STORY, "Calculate.", previous=("4 * 5 + 7",)), "27"),
    ],
)
def test_the_calculator_reads_the_question_the_subtask_or_what_it_was_granted(asked, said):
    assert calculator(asked) == said


def test_the_calculator_says_where_it_looked():
    with pytest.raises(ValueError, match=r"expression in 'Calculate' or the question or what"):
        calculator(task(STORY, "Calculate", "27 pens"))
    with pytest.raises(ValueError, match=r"in 'Calculate' or the question$"):
        calculator(task(STORY, "Calculate"))


def test_lines_on_form_are_passed_over():
    problem = "State the final answer to the following arithmetic problem: 52 + 66 - 41 + 51 ="
    assert calculator(task(f"{problem}\n{FORM}")) == "128"
    assert wordsmith(task(f"Spell 'river' backwards.\n{FORM}")) == "revir"
    with pytest.raises(ValueError, match="no single arithmetic expression"):
        calculator(task(f"{problem}\nThen add 3.\n{FORM}"))


def test_the_wordsmith_works_on_what_it_was_granted_too():
    assert wordsmith(task("Do it.", "Go on.", "Reverse the word 'abc'.")) == "cba"


def sent(asked):
    return talker_prompt(asked)[-1].content


def test_the_untuned_model_sees_the_question_it_is_told_to_answer():
    assert sent(task(f"What do cows eat?\n{FORM}")) == "What do cows eat?\nAnswer the question."
    assert sent(task("Tell me: what do cows eat?", "What do cows eat?")) == "What do cows eat?"
    assert (
        sent(task("Cows?", "What do they eat?", "Cows are animals."))
        == "Cows?\nCows are animals.\nWhat do they eat?"
    )


def test_the_untuned_model_is_a_worker():
    model = ScriptedModel(replies=["Grass."])
    assert talker(model)(task("What do cows eat?")) == "Grass."
