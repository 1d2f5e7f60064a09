"""What stands directly at a box or a tag, read as it is read without one."""

import pytest

from langgraph_conductor.rewards import Task, final_answer, grade

HELD = ("\\boxed{18}", "$\\boxed{18}$", "<answer>18</answer>")
OTHER = ["-#", "minus #", "half of #", "# million", "#k", "1/#", "#/2", "2#", "\\sqrt{#}", "#\\pi", "#.5", "#5", "not #", "it isn't #", "more than #", "# or 7", "# is wrong", "-(#)", "-\\$#", "# below zero", "a debt of #", "#^2", "\\frac{#}{2}"]  # fmt: skip
SAME = ["#", "The answer is #.", "So they have # apples.", "\\[ # \\]", "9 + 9 = #", "**#**", "Thus, #!", "Total - #", "(#)", "Work: 20 - 2 = 18.\n#\n\nDone", "2. #", "#, not 20", "# \\text{ apples}", "\\$#", "> #"]  # fmt: skip


def score(reply, gold="18", grader="number", question="How many apples are left?", **about):
    return grade(reply, Task(question, gold, grader, about=about))


@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize("beside", OTHER)
def test_what_makes_another_number_counts(beside, held):
    assert score(beside.replace("#", held)) == 0.0
    assert score("The answer is " + beside.replace("#", held)) == 0.0


@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize("around", SAME)
def test_prose_and_punctuation_do_not(around, held):
    assert score(around.replace("#", held)) == 1.0


@pytest.mark.parametrize("reply", ["-\\boxed{18}", "$x = -\\boxed{18}$", "minus $\\boxed{18}$", "-<answer>18</answer>", "18 below zero", "a loss of 18"])  # fmt: skip
def test_a_sign_or_a_word_for_it_is_read(reply):
    assert score(reply, "-18", question="How much is it?") == 1.0


def test_what_is_asked_for_is_a_unit():
    assert score("\\boxed{18} dollars", question="How many dollars?") == 1.0
    assert score("\\boxed{18} cents", question="How many dollars?") == 0.0
    assert score("18 pairs", question="How many pairs are there?") == 1.0
    assert score("a loss of 18", question="How much did he lose?") == 1.0
    for many in ("tens", "score", "gross", "pairs", "basis points"):
        assert score(f"18 {many}") == 0.0


@pytest.mark.parametrize("reply", ["not \\boxed{A}", "The answer is not \\boxed{A}.", "\\boxed{A} is wrong", "\\boxed{A} or B", "<answer>A</answer> or B", "\\boxed{B} or \\boxed{A}"])  # fmt: skip
@pytest.mark.parametrize("choices", [[], ["cat", "dog"]])
def test_a_boxed_option_that_is_taken_back_is_no_choice(reply, choices):
    assert score(reply, "A", "choice", choices=choices) == 0.0
    assert score("B is not right, so \\boxed{A}", "A", "choice", choices=choices) == 1.0


@pytest.mark.parametrize(
    ("gold", "reply", "right"),
    [
        ("\\frac{1}{2}", "-\\boxed{\\frac12}", 0),
        ("\\frac{1}{2}", "2\\boxed{\\frac12}", 0),
        ("\\frac52", "2\\boxed{\\frac12}", 0),
        ("5x \\text{ cm}", "5x km", 0),
        ("90^\\circ", "90 radians", 0),
        ("90^\\circ", "\\boxed{90}^\\circ", 1),
        ("1\\frac12", "1.5", 1),
        ("1\\frac12", "5.5", 0),
        ("\\sqrt{2}", "\\sqrt{\\boxed{2}}", 1),
        ("-x", "-\\boxed{x}", 1),
    ],
)
def test_mathematics_around_a_box(gold, reply, right):
    assert score(reply, gold, "math") == right


def test_a_unit_is_no_part_of_a_text():
    assert final_answer("\\boxed{18} cm") == "18"
    assert final_answer("\\boxed{18} cm", units=True) == "18 cm"
