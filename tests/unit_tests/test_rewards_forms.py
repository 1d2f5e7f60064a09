"""Answers in the forms in which models write them, and those that only look like the right one."""

import pytest

from langgraph_conductor.rewards import Task, final_answer, grade

CITIES = {"choices": ["Paris", "London", "Rome", "Berlin"]}


def score(reply, gold="18", grader="number", question="How many are left?", **about):
    return grade(reply, Task(question, gold, grader, about=about))


TAKEN_BACK = [
    "Answer: #\nCorrection: {other}",
    "The answer is #\n\nWait, {other} is better.",
    "Answer: #\nHmm, on reflection {other} is right.",
    "The answer is #.\nNo: {other}.",
    "\\boxed{#}\nActually, {other}.",
    "\\boxed{#}. Hmm, that's wrong.",
    "\\boxed{#}\n\nThat is incorrect.",
    "<answer>#</answer>\nNo, it's {other}.",
    "<answer>#</answer>\nWait, it should be {other}.",
    "Answer: #\nI made a mistake. It is {other}.",
    "Answer: #\nEdit: {other}",
    "Answer: #\nLet me recheck. It isn't #",
    "Answer: #\n\nWait, actually the answer should be {other}.",
    '{"answer": "#", "alternative": "{other}"}',
    '{"answer": "#", "correct": false}',
    '{"answer": "#"}\n{"answer": "{other}"}',
    "\\cancel{\\boxed{#}}",
    "# instead of {other}",
]
WRONG_BY_NAME = [
    "The wrong answer is #",
    "wrong answer: #",
    "The incorrect answer is #.",
    "The least likely answer is #",
    "The worst answer is #",
    "A common wrong answer is #",
    "The second best answer is #",
    "This is not the correct answer: #",
    "Die falsche Antwort ist #",
    "\u9519\u8bef\u7b54\u6848\uff1a#",
    "\u041d\u0435\u043f\u0440\u0430\u0432\u0438\u043b\u044c\u043d\u044b\u0439 \u043e\u0442\u0432\u0435\u0442: #",
]
STATED = [
    "I reason.\nThe answer is #.<|im_end|>",
    "#</s>",
    "#<|eot_id|>\n",
    '{"answer": "#"}',
    '```json\n{"answer": "#"}\n```',
    'I reason.\n{"reasoning": "So it is.", "answer": "#", "confidence": 0.9}',
    "I reason.\nAntwort: #",
    "I reason.\nLa respuesta es #.",
    "\u6b63\u786e\u7b54\u6848\u662f\uff1a#",
    "I reason.\n\u3010\u7b54\u6848\u3011#",
    "\u041e\u0442\u0432\u0435\u0442: #",
    "\uc815\ub2f5: #",
    "\uc815\ub2f5\uc740 #\uc785\ub2c8\ub2e4.",
    "\u6b63\u89e3\u306f#\u3067\u3059\u3002",
    "I reason.\nThe answer should be #.",
    "The answer must be #",
    "The wrong answer is another one.\nThe answer is #",
    "No, not that. The answer is #.",
    "The answer is #.\n\nThat is right.",
    "The answer is #.\n\nWait, let me check that again. It is #.",
    "The answer is #.\n\nLet me double-check: yes, it is correct.\nYes.",
    "The answer is #.\n\nSorry for the long explanation.",
]
KINDS = [("number", "18", "19", {}), ("choice", "A", "B", {}), ("choice", "A", "B", CITIES), ("exact", "blue", "red", {})]  # fmt: skip


@pytest.mark.parametrize(("grader", "gold", "other", "about"), KINDS)
@pytest.mark.parametrize("reply", TAKEN_BACK + WRONG_BY_NAME)
def test_what_a_reply_takes_back_is_no_answer(reply, grader, gold, other, about):
    assert score(reply.replace("#", gold).replace("{other}", other), gold, grader, **about) == 0.0


@pytest.mark.parametrize(("grader", "gold", "other", "about"), KINDS)
@pytest.mark.parametrize("reply", STATED)
def test_what_it_states_is(reply, grader, gold, other, about):
    if grader != "exact" or " be #" not in reply:  # `the answer must be short` announces none
        assert score(reply.replace("#", gold), gold, grader, **about) == 1.0
    assert score(reply.replace("#", other), gold, grader, **about) == 0.0


def test_the_least_likely_one_is_the_answer_if_it_is_asked_for():
    said, asked = "The least likely answer is A", "Which is the least likely?"
    assert score(said, "A", "choice", asked, **CITIES) == 1.0
    assert score(said, "A", "choice", "Which is likely?", **CITIES) == 0.0
    assert final_answer(said) is None
    assert final_answer(said, question=asked) == "A"


def test_a_number_of_json_has_the_unit_that_stands_beside_it():
    assert score('{"answer": 18}') == 1.0
    assert score('{"answer": 18.0, "unit": "dollars"}') == 1.0
    assert score('{"answer": 18, "unit": "million"}') == 0.0
    assert score('{"answer": [18]}') == 0.0


RIGHT = {
    "18": ["18 (9 \u00d7 2)", "9 * 2 = 18", "She makes $9 \u00d7 $2 = $18.", "Total = 9 * 2 = 18", "~18", "about 18", "$18/day", "\uff11\uff18", "\u7b54\u6848\uff1a\uff11\uff18", "The answer is 18, not 17.", "The answer is not 17 but 18.", "18 miles", "18 \u044f\u0431\u043b\u043e\u043a", "18\uc870\uac01"],
    "1234567": ["1'234'567", "\\boxed{1,\\!234,\\!567}", "1\u2019234\u2019567"],
    "-18": ["\u207b18", "\u279618"],
    "1.5": ["1 1/2"],
}  # fmt: skip
WRONG = {
    "18": [
        "\u207b18", "\\boxed{18}\\,000", "\\boxed{18} 000", "\\boxed{18}{,}000", "\\boxed{18}'000", "\\boxed{18} less 1", "\\left(\\boxed{18}\\right)^2", "(\\boxed{18})^2", "\\boxed{18} mil", "\\boxed{18}\ub9cc", "\\boxed{18} \u0442\u044b\u0441",
        "18 mil", "18 Tsd.", "18 \u0442\u044b\u0441", "18\ub9cc", "18\ub9cc\uc6d0", "18 \u0623\u0644\u0641", "18 tusind", "18 nghìn", "18 \u0939\u091c\u093c\u093e\u0930", "18'500", "18, not 18", "17, not 18", "not 18 but 17", "18 (9 \u00d7 3)", "9 * 3 = 18",
        "5 + 3 = 9 * 2 = 18", "13 = 9 * 2 = 18", "-9 * 2 = 18", "18/x", "18/two", "18%%", "--18", "~~18~~", "\u221818", "18 instead of 17",
    ],
    "-3": ["--3", "-+3", "|\\boxed{-3}|"],
    "0.5": ["0.5%", "1/2%", "1 1/2"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("gold", "reply"), [(gold, reply) for gold, many in RIGHT.items() for reply in many]
)
def test_a_number_is_read(gold, reply):
    assert score(reply, gold) == 1.0


@pytest.mark.parametrize(
    ("gold", "reply"), [(gold, reply) for gold, many in WRONG.items() for reply in many]
)
def test_another_number_is_not_taken_for_it(gold, reply):
    assert score(reply, gold) == 0.0


def test_a_share_in_percent_is_right_where_percent_is_asked_for():
    assert score("0.5%", "0.5", question="How many percent?") == 1.0
    assert score("0.5%", "0.5%") == 1.0


NAMED = [
    "# \u2014 @", "**# \u2014 @**", "#\u2014@", "#\u3001@", "The correct answer is **#** (@).", "The answer is #, @.", "The answer is **#**, which is @.", "Option # (@) is correct.", "@ (#)", "The answer is @ (option #).", "The correct answer is #!", "# \u2705", "@!",
    "\\boxed{\\textbf{(#)}\\quad \\text{@}}", "\\boxed{\\textbf{(#)}~\\text{@}}", "\\boxed{\\textbf{(#)}\\ @}", "\\boxed{\\rm #}", "$\\boxed{\\textsf{#}}$", "\u300c#\u300d", "So # is the answer.", "La r\u00e9ponse est la #.", "Final answer \u2014 #", "Answer = #",
]  # fmt: skip


@pytest.mark.parametrize("reply", NAMED)
def test_an_option_is_named_by_letter_and_text(reply):
    for letter, text in zip("ABCD", CITIES["choices"], strict=True):
        said = reply.replace("#", letter).replace("@", text)
        assert score(said, "A", "choice", **CITIES) == float(letter == "A")
    if "#" in reply and "@" in reply:
        for said in (
            reply.replace("#", "A").replace("@", "Rome"),
            reply.replace("#", "B").replace("@", "Paris"),
        ):
            assert score(said, "A", "choice", **CITIES) == 0.0


@pytest.mark.parametrize(
    ("reply", "right"),
    [
        ("**A. Paris**\n\nExplanation: Options B, C and D are capitals of other countries.", 1),
        ("**A. Paris**\n\nExplanation:\n- **B. London** is the capital of the UK.", 1),
        ("The answer is A.\n\nB is incorrect. C is the capital of Italy.", 1),
        ("**A. Paris**\n\nExplanation: B is the correct answer.", 0),
        ("**A. Paris**\n\nExplanation: I was wrong.", 0),
        ("**A. Paris**\n\nExplanation: B", 0),
        ("The answer is A.\n\nB is the correct answer.", 0),
        ("The answer is A.\n\nLondon is the correct answer.", 0),
        ("The answer is A. It is not this one", 0),
        ("A is the answer to another question", 0),
        ("-A", 0),
    ],
)
def test_an_explanation_may_name_other_options_but_not_as_the_right_one(reply, right):
    assert score(reply, "A", "choice", **CITIES) == right


@pytest.mark.parametrize("rest", ["\u274c", "\u2717", "?", " perhaps", " maybe", " is a distractor", " would be a mistake", " fails", " is tempting"])  # fmt: skip
def test_a_letter_that_is_only_spoken_of_is_no_choice(rest):
    assert score(f"A{rest}", "A", "choice") == 0.0
    assert score("A is the best answer", "A", "choice") == 1.0


@pytest.mark.parametrize(
    ("gold", "right", "wrong"),
    [
        (
            "\\pm 2",
            ["2, -2", "-2, 2", "2 and -2", "\\boxed{x=2 \\text{ or } x=-2}", "\\pm2", "\u00b12"],
            ["2", "2, 2", "2, -3", "2, -2, 0", "\\pm 3", "y=2, x=-3"],
        ),
        ("2, -2", ["\\pm 2"], ["\\pm 3"]),
        ("1 \\pm \\sqrt{2}", ["1+\\sqrt{2}, 1-\\sqrt{2}"], ["1+\\sqrt{2}, 1+\\sqrt{2}"]),
        (
            "(-\\infty, 2] \\cup (3, \\infty)",
            ["(-\u221e, 2] \u222a (3, \u221e)", "(-inf, 2] U (3, inf)"],
            ["(-\u221e, 2] \u2229 (3, \u221e)", "(-\u221e, 2) \u222a (3, \u221e)"],
        ),
        ("\\{1,2,3\\}", ["1, 2, and 3", "$1$, $2$ and $3$"], ["1, 2, or 3", "1 and 2"]),
        (
            "\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}",
            ["\\begin{bmatrix}1 & 2 \\\\ 3 & 4\\end{bmatrix}"],
            ["\\begin{bmatrix}1 & 2 \\\\ 3 & 5\\end{bmatrix}", "\\begin{vmatrix}1&2\\\\3&4\\end{vmatrix}"],
        ),
        ("3+4i", ["3+4\\text{i}"], ["3+4", "3-4\\text{i}"]),
        ("1\\frac12", ["1 1/2"], ["11/2", "1/2"]),
        ("90^\\circ", ["90"], ["90'", "90\u2032"]),
        (
            "\\frac{1}{2}",
            ["\\frac12"],
            ["\\boxed{\\frac12}\\%", "0.5%", "\\boxed{\\frac12}\nActually, it is 1."],
        ),
        ("-1", ["-1"], ["--1"]),
    ],
)
def test_mathematics_is_read_as_models_write_it(gold, right, wrong):
    assert {said: score(said, gold, "math") for said in right} == dict.fromkeys(right, 1.0)
    assert {said: score(said, gold, "math") for said in wrong} == dict.fromkeys(wrong, 0.0)
