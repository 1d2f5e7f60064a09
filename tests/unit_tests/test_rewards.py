"""Graders without a process: what counts as the answer, and how a text, an option, a number is compared."""

import asyncio
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langgraph_conductor.errors import ConfigError, GraderError
from langgraph_conductor.rewards import Task, agrade, check_grader, check_task, final_answer, grade
from langgraph_conductor.rewards.plain import value

PARIS = {"choices": ["Paris", "Rome", "New York", "B"]}
ASKED = "What is it? Put your answer into <answer>...</answer>."


def score(kind, gold, answer, wrap="<answer>{}</answer>", **about):
    return grade(wrap.replace("{}", answer), Task(ASKED, gold, kind, about=about))


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("<answer>4</answer>", "4"),
        ("<answer>4</answer> no, <ANSWER> 5 </ANSWER>", "5"),
        ("<answer>a <answer>b</answer>", "b"),
        ("<answer>4</answer> <answer>5", "4"),
        ("<answer>4", "4"),
        ("So <answer>\n4", "4"),
        ("<answer>4</answer", "4"),
        ("I use <answer>.\nThe answer is 4", "4"),
        ("the answer is 3\n<answer>4", "4"),
        ("\\boxed{3} <answer>4", "3"),
        ("< answer >4</ answer >", "4"),
        ("<answer>4</answer> or 5</answer>", "4</answer> or 5"),
        ("```xml\n<answer>\n4\n</answer>\n```", "4"),
        ("<answer>**4**</answer>", "4"),
        ("<answer>__4__</answer>", "4"),
        ("<answer>**4** or **5**</answer>", "**4** or **5**"),
        ("<answer>`4`</answer>", "4"),
        ("<answer>```\n4\n5\n```</answer>", "4\n5"),
        ("<answer>\\(4\\)</answer>", "4"),
        ("<answer>\\(4\\) or \\(5\\)</answer>", "\\(4\\) or \\(5\\)"),
        ("<answer>\\[ \\boxed{4}. \\]</answer>", "4"),
        ("<answer>$$4$$</answer>", "4"),
        ("<answer>$4$, $5$</answer>", "$4$, $5$"),
        ("<answer>\\text{4}</answer>", "4"),
        ("\\boxed{\\text{(B)}}", "(B)"),
        ("\\boxed {4}", "4"),
        ("\\boxed{4\\} 5}", "4\\} 5"),
        ("\\boxed{\\fbox{4}}", "4"),
        ("so\n#### 4", "4"),
        ("answer: 3\n#### **4**.", "4"),
        ("#### 3\nno", None),
        ("<answer>4</answer>\n#### 5", "4"),
        ("## Final Answer\n\n**4**", "4"),
        ("The answer is:\n\n$4$", "4"),
        ("The answer is:\n```\n4\n```", "4"),
        ("The answer is:\n\\[\n4\n\\]", "4"),
        ("The answer is 3. I like this answer\n4", "3. I like this answer"),
        ("```\n4\n```", "4"),
        ("<answer></answer> the answer is 4", None),
        ("<answer>$\\boxed{4}$</answer>", "4"),
        ("<answer>\\boxed{4} or \\boxed{5}</answer>", "\\boxed{4} or \\boxed{5}"),
        ("so \\boxed{3}, then \\boxed{\\frac{1}{2}}, answer: 7", "\\frac{1}{2}"),
        ("\\boxed{\\{1\\}}", "\\{1\\}"),
        ("\\boxed{} answer: 7", None),
        ("\\boxed{4", None),
        ("The answer is 4.\nI hope this helps.", "4"),
        ("answer: 3\n\n**Final Answer:** **4.**", "4"),
        ("The answer is: 4 or 5.", "4 or 5"),
        ("the answer isn't 4, I think\nnot at all", None),
        (" Paris. ", "Paris"),
        ("**Paris**", "Paris"),
        ("Let me see.\nParis", None),
        ("x" * 200, "x" * 200),
        ("x" * 201, None),
        ("<think>the answer is 3</think>4", "4"),
        ("<think>the answer is 3", None),
        ("<THINKING>the answer is 3", None),
        ("the answer is 3</think>\n\n4", "4"),
        ("<answer>3</answer></think> <answer>4</answer>", "4"),
        ("<answer>3</answer></think>", None),
        ("<answer>4\u200b2</answer>", "42"),
        ("", None),
        ("  \n ", None),
        ("x" * 64_000 + "<answer>4</answer>", None),
    ],
)
def test_final_answer(reply, answer):
    assert final_answer(reply) == answer


def test_answers_of_several_lines_need_no_tag_if_so_many_are_expected():
    assert final_answer("1 2\n2 1", lines=2) == "1 2\n2 1"
    assert final_answer("The answer is:\n1 2\n2 1\nBye", lines=2) == "1 2\n2 1"
    assert final_answer("1 2\n2 1\n1 2", lines=2) is None


@given(st.text())
def test_a_tagged_answer_is_found_whatever_stands_before_it(text):
    inner = text.replace("<", "").replace(">", "")
    # What stands on its line may belong to it, and what comes after may take it back.
    assert final_answer(f"{inner}\n\n<answer>17</answer>") == "17"
    assert final_answer(f"{inner}\n\n<answer>17</answer>\n\nThat is all.") == "17"


RIGHT = {
    ("exact", "Hello world"): ["hello  World.", '"Hello world"', "\uff28ello world", "hello\u00a0world", "hel\u200blo world"],
    ("choice", "A"): ["A", "a", "(A)", "A)", "A.", "A. Paris", "Option A", "(A) Paris", "Paris", "paris.", "the correct answer is A", "A - Paris", "**A**", "**A.** Paris", "\\text{A}", "\\text{(A) Paris}"],
    ("choice", "D"): ["D", "D. B"],
    ("number", "42"): ["The answer is 42.", "$42", "42.0", "**42**", "\\boxed{42}", "4.2e1", "42%", "42 \\%", "x = 42", "42 (forty-two)", "She has 42 apples in total.", "42 times", "42 more", "42 square meters", "42\u500b", "42 in.", "about 42", "~42", "\u2248 42"],
    ("number", "-3"): ["-3", "\u22123", "\u20133", "\uff0d3", "minus 3", "negative 3", "The answer is minus 3.", "x = -3"],
    ("number", "1000"): ["1,000", "1 000", "$1,000.00"],
    ("number", "42 cm"): ["42", "42 cm", "42 centimeters", "42 centimetres", "42\\text{ cm}", "42 wide"],
    ("number", "y = 42"): ["42", "y = 42", "y=42"],
    ("number", "12"): ["12", "+12", "12.0", "$12", "12 dollars", "12%", "x = 12", "12 km/h", "12\\text{ cm}", "€ 12", "1.2e1", "1.2 \\times 10^1", "12^\\circ", "\\(12\\) apples", "\\mathbf{12}"],
    ("number", "-3.5"): ["-3.5", "\u22123.5", "-7/2", "-\\frac{7}{2}", "-$3.50"],
    ("number", "1234567"): ["1,234,567", "1 234 567", "1{,}234{,}567", "$1,234,567.00"],
    ("number", "0"): ["0", "-0", "0.0"],
    ("number", "1000000.5"): ["1000000.6"],
}  # fmt: skip
WRONG = {
    ("exact", "Hello world"): ["hello", "not hello world", "hello world or bye", "helloworld", "h\u0435llo world"],
    ("choice", "A"): ["B", "A or B", "A, B", "A/B", "AB", "A and B", "not A", "A. Rome", "B. Paris", "Paris or Rome", "A B C D", "(A) (B)", "A. Paris or Rome", "\u0410", "all of the above", "A?", "A but B", "(A", "A.B", "A: B", "none", "A dog"],
    ("choice", "D"): ["B", "A"],
    ("number", "2"): ["2\u03c0", "2 \u03c0", "2 pi", "2\u207f", "2\u00e9"],
    ("number", "42"): [
        "minus 42", "negative 42", "- 42", "\u221242", "\u201342", "\u201442", "-(42)", "f(42)", "sin(42)", "sqrt(42)", "\u221a42", "log 42", "square root of 42", "42 million", "42 millions", "42 thousand", "42 dozen", "$42k", "$42 k", "$42 M",
        "42 hundredths", "42 two", "42 point five", "42 times two", "half of 42", "half 42", "42 and a half", "a third of 42", "double 42", "twice 42", "42 squared", "42 factorial", "nearly 42", "over 42", "under 42", "x + 42", "42 + x", "42 - x",
        "x - y = 42", "-x = 42", "42 x", "42i", "42 i", "42 is wrong", "can't be 42", "it isn\u2019t 42", "anything but 42", "never 42", "42\u2030", "the opposite of 42", "9**9**9", "10**400", "1e999", "\ud800", "42\0\ud8003", "(" * 500,
    ],
    ("number", "42 cm"): ["42 km", "42\\text{ km}", "42 m", "42 square cm", "42 cm^2", "42 kg"],
    ("number", "$42"): ["\u20ac42", "42 cents"],
    ("number", "y = 42"): ["x = 42"],
    ("number", "12"): [
        "112", "121", "12.5", "12 or 13", "13, 12", "12 13", "12 12", "12/13", "1/12", "-12", "1 2", "1,2", "12,0", "12-13", "10-20", "12..13", "not 12", "neither 12", "less than 12", "at most 12",
        "up to 12", "<12", "\u226512", "~~12~~", "12?", "12|", "12e3", "x12", "12x", "12:30", "24/2", "12/1", "6*2", "6+6", "12=12", "13=12", "12!", "3^2", "12(13)", "12\u00b2", "\u00bd", "12 \u00bd", "\u0661\u0662", "12\u200b3",
        "\\{12,13\\}", "[12]", "nan", "inf", "1e400", "1e999999999", "9" * 5000, "twelve", " ".join(map(str, range(1001))), "[" + ",".join(map(str, range(1001))) + "]",
    ],
    ("number", "-3.5"): ["3.5", "-3", "-14/4"],
    ("number", "1234567"): ["1,234", "1,23,4567", "1.234.567", "234,567", "11,234,567"],
    ("number", "0"): ["nan", "1e-9", "0 or 1", "x"],
    ("number", "1000000"): ["1000000.5"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "gold", "answer"), [(*key, a) for key, many in RIGHT.items() for a in many]
)
def test_right_answers(kind, gold, answer):
    assert score(kind, gold, answer, **(PARIS if kind == "choice" else {})) == 1.0


@pytest.mark.parametrize(
    ("kind", "gold", "answer"), [(*key, a) for key, many in WRONG.items() for a in many]
)
def test_wrong_answers_and_hedges(kind, gold, answer):
    assert score(kind, gold, answer, **(PARIS if kind == "choice" else {})) == 0.0


# Options as in MMLU: with signs, several lines, signs of sentences, letters, and words that announce an answer.
OPTIONS = [
    ["0.85", "-1.4", "1.65", "-0.7"],
    ["-\\frac{1}{256}", "\\frac{1}{256}", "$-16$", "16"],
    ["Sort the list.\n Then remove it.", "Sort the list.\n Then keep it.", "Sort the list.", "Remove it."],
    [". . . asthma.", "...a gout", "12, 27, 42...", "Vega A*"],
    ["AA", "Aa", "aa", "x**2"],
    [".5, 0.4", "5, 0.4", "6'", '6"'],
    ["(i) and (iii) only", "(i), (ii) and (iii) only", "i", "-i"],
    ["The answer is: A.", "The correct answer is none of these", "Answer: B", "The answer is"],
    ["long " * 60, "longer " * 60, "A dog", "A. and B."],
]
PHRASES = [
    "The final answer is: **{L}) {t}**", "**{L}. {t}**", "ANSWER: {L}. {t}", "Answer: {L}) {t}", "<answer>{L}. {t}</answer>", "({L}) {t}", "{L}. {t}", "{L}", "({L})", "{L})", "\\boxed{{{L}}}", "\\boxed{{\\text{{({L})}}}}",
    "\\boxed{{\\textbf{{({L}) }}}}", "I think so.\n\nThe correct answer is {L}: {t}", "**Answer:** {L} - {t}", "The answer is ({L}).", "Option {L} is correct.", "I choose {L}.", "{L} is the right answer", "[{L}]", "The correct option is **{L}**",
]  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS, ids=lambda some: some[0][:10])
@pytest.mark.parametrize("phrase", PHRASES)
def test_the_right_option_scores_and_no_other_does_however_it_is_said(phrase, options):
    for gold in "ABCD":
        task = Task("Which of these is it?", gold, "choice", about={"choices": options})
        said = {L: phrase.format(L=L, t=t) for L, t in zip("ABCD", options, strict=True)}
        assert {L: grade(reply, task) for L, reply in said.items()} == {L: float(gold == L) for L in "ABCD"}


def test_a_text_alone_is_told_from_others_by_all_that_tells_them_apart():
    for options, gold, right, wrong in (
        (OPTIONS[4], "A", ["AA", "**AA**"], ["Aa", "aa"]),
        (OPTIONS[0], "D", ["-0.7", "\u22120.7"], ["0.7", "-1.4", "- 0.7 or 1"]),
        (OPTIONS[6], "C", ["i"], ["-i", "(i)?"]),
    ):
        task = Task("Which?", gold, "choice", about={"choices": options})
        assert [grade(reply, task) for reply in right + wrong] == [1.0] * len(right) + [0.0] * len(wrong)
    mixed = Task("Which?", "D", "choice", about={"choices": OPTIONS[0]})
    assert [grade(f"Answer: {a}", mixed) for a in ("D) 0.7", "D) -1.4", "C) -0.7", "D. -0.7 or -1.4")] == [
        0.0
    ] * 4


CITIES = ["Paris", "Rome", "New York", "Oslo"]
# A letter with its reasons, in other words, in JSON.
REASONED = [
    "A\n\nExplanation: Paris is large.",
    "A. Paris\n\nThis is because B and C are incorrect.",
    "Reasoning.\n\n(A)",
    "The answer is A because Rome is smaller.",
    "The answer is A, not C.",
    "My answer: A. I'm confident.",
    "So, option A is right.",
    "Ans: A",
    "**Ans:** A",
    "Selected: A",
    "答案：A",
    "答案是\uff08A\uff09。",
    "答案: A",
    "Die richtige Antwort ist A.",
    "La réponse est A.",
    "La respuesta correcta es A.",
    "La risposta è A.",
    "✅ **A. Paris**",
    "- A",
    '{"answer": "A"}',
    '{"reason": "x", "answer": "A. Paris"}',
    'Here:\n```json\n{\n "answer": "A"\n}\n```',
    '<answer>{"answer": "A"}</answer>',
    "A, because Paris is.",
    "<answer>A because so</answer>",
    "I reason.\n\n**A. Paris**",
    "A is correct because Paris it is.",
    "A\nParis is not small.",
    "B or not?\n\nAnswer: A",
    "(A) Paris, since it is.",
    "B is incorrect.\n\n(A)",
    "Answer: A. Paris. This is the capital.",
    "Option A\n\nParis is the capital of France.",
    "Thus, A.",
    "Reasons.\nAns: A\n",
]
# A letter that is taken back, that has a second one beside it, that is an article or only quoted.
TORN = [
    "A\n\nThe answer is B.",
    "A\n\nB",
    "A\nB\nC\nD",
    "A) Paris\nB) Rome\nC) New York\nD) Oslo",
    "A. is wrong\n\nfoo",
    "not A\n\nfoo",
    "A or B\n\nfoo",
    "Either A or B.\n\n(A) or (B)",
    "A contract is void.\n\nMore.",
    "A\n\nOption B is right.",
    "A\n\nis wrong",
    "A\nor B",
    "A\n\nWait, Rome is.",
    "A because B is right",
    "The answer is A, not A.",
    "The answer is A, or B because",
    "A dog is here because of it.",
    '"A"\n\nis quoted',
    "❌ A",
    "- A\n- B",
    "Let me see:\n\n(A)",
    "It is not this.\n\n(A)",
    "B.\n\nReason.\n\n(A)",
    '{"answer": "B"}\nA',
    '{"answer":"A","answer":"B"}',
    '{"answer":["A","B"]}',
    "Ans: A or B",
    "Ans: A\nAns: B",
    "答案不是A",
    "答案：A或B",
    "Die Antwort ist nicht A.",
    "Selected: A, B",
    "A. Rome\n\nThis is because",
    "A\n\nRome",
    "A\n\nThe capital is Rome.",
    "The answer is A. I mean B.",
    "The answer is A. No, B.",
    "A. I'm wrong.",
    "A. I think B",
    "A\n\nIt's b",
    "A\n\n(b)",
    "A, not C, but D",
    "A because it can't be. Actually Rome",
    "A. Paris or Rome\n\nx",
    "A?\n\nyes",
    "A:\nThis one fails.",
    "A\n\nA is not right.",
    "A\n\nB is not wrong.",
    "A\n\nI pick Rome.",
    "The answer is A because no answer fits. All of the above.",
    "The answer is A because that is incorrect",
    "> A. Paris\n> B. Rome\n\nx",
    "A. Paris\n\nB. Rome",
    "I considered A.\n\n(B)",
    "A, not B, contract",
    "'A. Paris' is what they say.\n\nHm.",
]
ONLY_TEXTS_TELL = [
    "A dog is here because of it.",
    "A. Rome\n\nThis is because",
    "A\n\nRome",
    "A\n\nThe capital is Rome.",
    "A\n\nI pick Rome.",
]


@pytest.mark.parametrize("reply", REASONED)
def test_an_option_is_read_with_its_reasons(reply):
    for gold in "ABCD":
        task = Task("Which?", gold, "choice", about={"choices": CITIES})
        assert grade(reply, task) == float(gold == "A")
    if reply != "(A) Paris, since it is.":  # a comma may begin a second option
        assert score("choice", "A", reply, wrap="{}") == 1.0


@pytest.mark.parametrize("reply", TORN)
def test_an_option_whose_reasons_leave_doubt_is_not_read(reply):
    assert score("choice", "A", reply, wrap="{}", choices=CITIES) == 0.0
    if reply not in ONLY_TEXTS_TELL:
        assert score("choice", "A", reply, wrap="{}") == 0.0


def test_what_is_stated_last_counts_and_not_what_stood_first():
    task = Task("Which?", "B", "choice", about={"choices": CITIES})
    for reply in (
        "A\n\nThe answer is B.",
        "Ans: A\nAns: B",
        "Answer: A\n答案：B",
        "A. Paris\n\nAntwort: B",
    ):
        assert grade(reply, task) == 1.0
        assert score("choice", "A", reply, wrap="{}", choices=CITIES) == 0.0
    stated = {"A\n\nThe answer is B.", "Ans: A\nAns: B"}
    for reply in TORN:
        for gold in "BCD" if reply not in stated else "CD":
            assert score("choice", gold, reply, wrap="{}", choices=CITIES) == 0.0, reply


def test_lines_of_another_option_are_no_reasons():
    options = OPTIONS[2]
    for gold, text in (("C", options[0]), ("C", options[1]), ("A", options[1])):
        assert score("choice", gold, f"{gold}. {text}", wrap="{}", choices=options) == 0.0
    assert score("choice", "A", f"A. {options[0]}\n\nThis is shorter.", wrap="{}", choices=options) == 1.0


def test_an_option_that_is_a_question_is_read_with_its_reasons():
    asked = ["Is it red?", "Is it blue?"]
    assert score("choice", "A", "A. Is it red?\n\nThis fits.", wrap="{}", choices=asked) == 1.0
    assert score("choice", "A", "A. Is it blue?\n\nThis fits.", wrap="{}", choices=asked) == 0.0


def test_a_reply_of_many_lines_is_read_in_time():
    for unit in ("A.\n", "A because ", "B is wrong. ", "A, "):
        began = time.process_time()
        score("choice", "A", "A\n\n" + unit * (60_000 // len(unit)), wrap="{}", choices=CITIES)
        assert time.process_time() - began < 5


@pytest.mark.parametrize("choices", [5, "abcd", {"A": "x"}])
def test_options_that_are_no_list_are_told(choices):
    with pytest.raises(ConfigError, match="list of the options"):
        check_task(Task("Which?", "A", "choice", about={"choices": choices}))


@pytest.mark.parametrize("rest", ["this option is wrong", "incorrect", "this is not it", "it can't be this", "that one is false", "is ruled out", "no", "wrong", "cannot be"])  # fmt: skip
def test_a_letter_that_is_taken_back_is_no_choice(rest):
    assert score("choice", "B", f"B. {rest}") == 0.0
    assert score("choice", "B", f"B {rest}", wrap="{}") == 0.0


def test_a_choice_without_texts_keeps_what_options_say():
    for rest in ("False", "is correct", "the red one", "- blue"):
        assert score("choice", "B", f"B. {rest}") == 1.0


def test_a_unit_that_is_asked_for_is_no_other_number():
    def said(question, gold, answer):
        return grade(answer, Task(question, gold, "number"))

    assert said("How many million people live there?", "42", "42 million") == 1.0
    assert said("What is it, in millions?", "42", "42 million") == 1.0
    assert said("How many people live there?", "42", "42 million") == 0.0
    assert said("How many dozens?", "3", "3 dozen") == 1.0
    assert said("How many minutes are 3 hours?", "180", "180 minutes") == 1.0
    assert said("How many minutes are 3 hours?", "180", "180 hours") == 0.0
    assert said("How many cents?", "42", "$42") == 0.0
    assert said("How many square meters?", "42", "42 meters") == 0.0
    assert said("How many cats?", "42", "42 dogs") == 1.0  # what is no known unit is not judged


@pytest.mark.parametrize(
    "tolerance", ["1e999999999", pytest.param(10**5000, id="huge"), "1/0", None, [], float("inf")]
)
def test_a_tolerance_that_is_none_is_told_at_once(tolerance):
    with pytest.raises(ValueError, match=r"tolerance|`about` a task is a JSON object"):
        grade("5", Task("?", "5", "number", about={"tolerance": tolerance}))


@pytest.mark.parametrize("kind", ["exact", "choice", "number", "math"])
@pytest.mark.parametrize("answer", ["10**400", "1e999999", "9**9**9", "9" * 50_000, "[" * 20_000, "\\frac{" * 5_000, "\0", "\ud800", "\ud800\udfff" * 9, "\ufdfa" * 15_000, "-" * 60_000, "is " * 20_000, "a n't" * 12_000, "+-" * 30_000, "n" * 60_000])  # fmt: skip
def test_no_answer_makes_a_grader_fail_or_slow(kind, answer):
    gold, about = INVARIANT[kind]
    task = Task(ASKED, gold, kind, about=about)
    began = time.process_time()
    for wrap in ("{}", "<answer>{}</answer>", "The answer is {}"):
        assert grade(wrap.replace("{}", answer), task) == 0.0
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    "answer", ["B or A", "B, A", "B. not A", "B (C)", "B: C", "B (or c)", "BC", "B. Either B or C"]
)
def test_a_choice_without_texts_takes_no_second_option(answer):
    assert score("choice", "B", answer) == 0.0
    assert score("choice", "B", "B. the red one") == 1.0


@pytest.mark.parametrize(("kind", "gold"), [("exact", "$5$"), ("exact", "**a** b"), ("exact", "`x`"), ("exact", "\\text{B}"), ("exact", "<b>."), ("choice", "(B)"), ("choice", "\\text{B}"), ("number", "\\(5\\)")])  # fmt: skip
def test_a_right_answer_in_markdown_or_latex_is_right_as_it_stands(kind, gold):
    assert score(kind, gold, gold) == 1.0


@pytest.mark.parametrize("answer", ["1" + " 111" * 15_000 + " 1111", "1,111" * 12_000, "12" + " " * 60_000 + "x", "\\[" * 30_000, "`" * 60_000, "< " * 30_000, "\\boxed{" * 8_000])  # fmt: skip
@pytest.mark.parametrize("kind", ["exact", "choice", "number"])
def test_no_text_takes_long_to_read(kind, answer):
    began = time.process_time()
    assert score(kind, "B" if kind == "choice" else "12", answer) == 0.0
    assert time.process_time() - began < 1


def test_options_that_graders_honour():
    assert score("exact", "Abc", "abc") == 1.0
    assert score("exact", "Abc", "abc", case_sensitive=True) == 0.0
    assert score("number", "10", "10.4", tolerance=0.5) == 1.0
    assert score("number", "10", "10.6", tolerance=0.5) == 0.0


INVARIANT = {"exact": ("blue whale", {}), "choice": ("B", {"choices": ["red", "blue", "green"]}), "number": ("42", {}), "math": ("\\sqrt{2}", {})}  # fmt: skip


@pytest.mark.parametrize("kind", INVARIANT)
def test_invariants(kind):
    gold, about = INVARIANT[kind]
    task = Task(ASKED, gold, kind, about=about)
    for reply in (
        gold,
        f"<answer>{gold}</answer>",
        f"The answer is {gold}.",
        f"<answer>1</answer><answer>{gold}</answer>",
    ):
        assert grade(reply, task) == 1.0, reply
    long = "junk " * 20_000
    payload = "__import__('os').system('touch X')"
    for reply in (
        "", " \n", "junk", ASKED, f"<answer>{ASKED}</answer>", "<answer></answer>", "\\boxed{}", "your answer", long,
        gold * (100_000 // len(gold)), f"{long}<answer>{gold}</answer>", f"answer: {gold} or other",
        f"<answer>{gold}</answer> <answer>other</answer>", f"<answer>not {gold}</answer>", f"<answer>{payload}</answer>",
        f"<answer>{gold} {gold}x</answer>", f"<think>{gold}</think>", f"It may be {gold},\nor not.", "1 = 1",
    ):  # fmt: skip
        assert grade(reply, task) == 0.0, reply[:80]


def test_repeating_the_question_is_no_answer():
    task = Task("What number is 5?", "5", "number")
    assert grade("What number is 5?", task) == 0.0
    assert grade("5", task) == 1.0
    task = Task("Double 5 ", "5", "number")
    assert [grade(reply, task) for reply in ("double 5.", "It is 5", "5")] == [0.0, 1.0, 1.0]


@given(st.integers(-(10**12), 10**12), st.integers(-(10**12), 10**12))
def test_numbers_are_equal_only_to_themselves(a, b):
    assert value(f"{a:,}") == a
    task = Task("?", str(a), "number")
    assert grade(f"It is {b} apples", task) == float(a == b)
    assert grade(f"{a} {b}x", task) == 0.0


@given(st.text())
def test_reading_a_number_never_fails(text):
    value(text)


@pytest.mark.parametrize(("kind", "gold"), [("number", "many"), ("number", "1 or 2"), ("choice", "Paris"), ("choice", "E"), ("exact", " . ")])  # fmt: skip
def test_tasks_that_do_not_fit_their_grader_are_told(kind, gold):
    with pytest.raises(ConfigError, match="task"):
        score(kind, gold, "1", **PARIS)
    with pytest.raises(ConfigError, match="task"):
        check_task(Task("Which?", gold, kind, about=PARIS))


def test_a_task_is_checked_with_its_own_answer():
    for grader, gold in (("exact", "“Paris.”"), ("number", "$1,000.50"), ("choice", "(B)")):
        check_task(Task("Which?", gold, grader))
    with pytest.raises(ConfigError, match=r"finds its own answer wrong: '\(B'"):
        check_task(Task("Which?", "(B", "choice"))
    with pytest.raises(ConfigError, match="about"):
        check_task(Task("How much?", "1", "number", about={"tolerance": "1/0"}))
    with pytest.raises(ConfigError, match="no grader"):
        check_task(Task("How much?", "1", "numbre"))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("fuzzy", "'exact', 'choice', 'number', 'math'"),
        ("gym:countdown", "executes code"),
        ("gym:word_ladder", "same seed"),
        ("gym:figlet_font", "not checked"),
        ("gym:nothing", "not checked"),
        ("nowhere:f", "cannot be imported.*PYTHONPATH"),
        ("json:nothing", "cannot be imported"),
        ("json:__name__", "no function"),
        (":f", "cannot be imported"),
    ],
)
def test_graders_that_are_refused(name, why):
    with pytest.raises(ConfigError, match=why):
        check_grader(name)
    with pytest.raises(ConfigError, match=why):
        grade("1", Task("?", "1", name))


def test_a_missing_package_is_told_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setattr("langgraph_conductor.rewards.grading.find_spec", lambda name: None)
    for name in ("math", "gym:chain_sum"):
        with pytest.raises(ImportError, match=r"pip install 'langgraph-conductor\[eval\]'"):
            check_grader(name)


def half(answer, task):
    return {"raise": 1 / 2, "more": 2.0}.get(answer, 0.5) if answer != "error" else 1 / 0


def test_a_grader_of_the_users_own():
    task = Task("?", "1", f"{__name__}:half")
    assert grade("<answer>x</answer>", task) == 0.5
    assert grade("x" * 64_001, task) == 0.0
    for reply, why in (("more", "from 0 to 1"), ("error", f"on task {task.id}.*ZeroDivisionError")):
        with pytest.raises(GraderError, match=why):
            grade(reply, task)


def test_agrade():
    assert asyncio.run(agrade("12", Task("?", "12", "number"))) == 1.0


def test_importing_graders_is_light():
    script = "import langgraph_conductor.rewards, sys; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert not {"sympy", "reasoning_gym", "math_verify", "numpy"} & set(out.split())
