"""What a model thinks aloud is left out of its text: the marks of every family, whole and as they come."""

import random

import pytest
from langchain_core.messages import AIMessage

from langgraph_conductor import PlanError, Worker, WorkerPool, create_conductor, parse_workflow
from langgraph_conductor.planners import fixed
from langgraph_conductor.planners.turns import TurnsPlanner
from langgraph_conductor.replies import reply_text
from langgraph_conductor.testing import ScriptedModel, plan_text
from langgraph_conductor.thoughts import Thoughts, drop_thinking
from tests.helpers import ask, request

HARMONY = "<|channel|>analysis<|message|>hm <b> hm<|end|>"
THOUGHT = [
    ("<think>hm</think>42", "42"),
    ("<think>hm `</think>42", "42"),
    ("<THINKING type='x'>hm</THINKING>\n\n42", "42"),
    ("<seed:think>hm<seed:cot_budget_reflect>2</seed:cot_budget_reflect></seed:think>42", "42"),
    ("<longcat_think>hm</longcat_think>42", "42"),
    ("<reasoning>hm</reasoning>42", "42"),
    ("<thought>hm</thought>42", "42"),
    ("<scratchpad>hm</scratchpad>42", "42"),
    ("[THINK]hm[/THINK]42", "42"),
    ("◁think▷hm◁/think▷42", "42"),
    ("<|begin_of_thought|>hm<|end_of_thought|>\n<|begin_of_solution|>42<|end_of_solution|>", "42"),
    ("<|START_THINKING|>hm<|END_THINKING|><|START_RESPONSE|>42<|END_RESPONSE|>", "42"),
    ("<|think|>hm<|/think|>42", "42"),
    ("<|channel>thought\nhm<channel|>42", "42"),
    ("<unused94>thought\nhm<unused95>42", "42"),
    (f"{HARMONY}<|start|>assistant<|channel|>final<|message|>42<|return|>", "42"),
    (f"<|start|>assistant{HARMONY}<|start|>assistant<|channel|>final<|message|>42", "42"),
    (
        f"{HARMONY}<|start|>assistant<|channel|>commentary<|message|>I look it up.<|end|>"
        "<|start|>assistant<|channel|>final<|message|>42",
        "42",
    ),
    (f"{HARMONY}<|channel|>final <|constrain|>json<|message|>42", "42"),
    (f"{HARMONY}42", "42"),
    ("<|start|>assistant<|message|>42<|end|>", "42"),
    ("analysisWe are asked. Easy.assistantfinal42", "42"),
    # Begun in the prompt, by the chat template.
    ("hm\n</think>\n\n42", "42"),
    ("It must be 42.</think>The answer is 42.", "The answer is 42."),
    ('so "x"\n</think>{"a": 1}', '{"a": 1}'),
    ("so it is 42 </think> The answer: 42", "The answer: 42"),
    ("hm[/THINK]42", "42"),
    ("hm</seed:think>42", "42"),
    ("hm<channel|>42", "42"),
    ("hm<|end|><|start|>assistant<|channel|>final<|message|>42", "42"),
    # Begun again, closed in other words or one time too many.
    ("<think>hm</think>no\n</think>\n42", "42"),
    ("<think>hm</thinking>42", "42"),
    ("<think>hm</think>42</think>", "42"),
    ("<think>hm</think><thinking>hm</thinking>\n42", "42"),
    ("Yes.\n<think>hm</think>\n42", "Yes.\n\n42"),
    # Never closed.
    ("<think>hm", ""),
    ("[THINK]hm", ""),
    ("◁think▷hm", ""),
    ("<|channel>thought\nhm", ""),
    (HARMONY, ""),
    ("<|channel|>analysis<|message|>hm", ""),
    ("analysisWe are", ""),
    ("The answer is 42.\n<think>Or is it", "The answer is 42."),
    (f"{HARMONY}<|start|>assistant<|channel|>final<|message|>42<|end|>{HARMONY}", "42"),
    ("hm</think>", ""),
]
SPOKEN_OF = [
    "Write `<think>` first and `</think>` last.",
    "Close it with `</think>` or ``</think>``.",
    "```xml\n<think>\nhm\n</think>\n```\nThat is all.",
    "~~~\n</think>\n~~~\nThat is all.",
    'Write "<think>" first, "</think>" last.',
    "He said \"first </think> then\" and 'so'.",
    "> <think> begins a thought.",
    "Wrap it as <think>so</think>, then close it with </think>.",
    "The tag </think> ends a thought.",
    "The tag is </think>",
    "Close it with </think>.",
    "Mistral writes [THINK] first, Kimi ◁think▷.",
    "Put `<|channel|>final<|message|>` before the answer.",
    "analysis of the data: assistantfinal",
    "<thinker>a</thinker> <rethink>b</rethink> <b>c</b>",
    "if a < b and c > d: x[0] `y",
    "The end <",
    "The end `</thi",
    "  \n x\n\n  y",
]


def streamed(text, sizes):
    """What is kept of a text that comes in pieces."""
    thoughts, kept = Thoughts(), []
    pieces, at = [], 0
    while at < len(text):
        pieces.append(text[at : at + (size := next(sizes))])
        at += size
    for number, piece in enumerate([*pieces, ""]):
        for part in thoughts.more(piece, over=number == len(pieces)):
            if part is None:
                kept.clear()
            else:
                kept.append(part)
    return "".join(kept)


def sizes_of(seed):
    drawn = random.Random(seed)
    while True:
        yield drawn.randint(1, seed)


@pytest.mark.parametrize(("text", "kept"), THOUGHT)
def test_thoughts_are_left_out(text, kept):
    assert reply_text(text) == reply_text(AIMessage(text)) == kept


@pytest.mark.parametrize("text", SPOKEN_OF)
def test_a_text_that_speaks_of_the_marks_keeps_them(text):
    assert drop_thinking(text) == text


@pytest.mark.parametrize("text", [*(text for text, _ in THOUGHT), *SPOKEN_OF])
def test_in_pieces_it_is_the_same(text):
    assert [streamed(text, sizes_of(seed)) for seed in range(1, 12)] == [drop_thinking(text)] * 11


@pytest.mark.parametrize("text", [text for text, _ in THOUGHT[:22]])
def test_no_thought_is_given_and_taken_back_where_its_beginning_is_marked(text):
    thoughts = Thoughts()
    given = [part for sign in text for part in thoughts.more(sign)]
    assert None not in given
    assert "hm" not in "".join(given)


def test_what_was_begun_in_the_prompt_is_taken_back():
    thoughts = Thoughts()
    assert thoughts.more("It must be 42.") == ["It must be 42."]
    assert thoughts.more("</think>The answer") == [None, "The answer"]


# ------------------------------------------------------------------ plans

DRAFT = plan_text(("a", "Draft.", []))
PLAN = plan_text(("b", "Do it.", []))
POOL = WorkerPool([Worker("a", lambda task: "A"), Worker("b", lambda task: "B")])
IN_THOUGHTS = [
    f"<seed:think>{DRAFT}</seed:think>{PLAN}",
    f"[THINK]{DRAFT}[/THINK]{PLAN}",
    f"Okay. <think>{DRAFT}</think>{PLAN}",
    f"{DRAFT}</think>{PLAN}",
    f"◁think▷{DRAFT}◁/think▷\n{PLAN}",
    f"<|channel|>analysis<|message|>{DRAFT}<|end|><|start|>assistant<|channel|>final<|message|>{PLAN}",
    f"<|channel>thought\n{DRAFT}<channel|>{PLAN}",
]
ONLY_THOUGHTS = [
    f"<think>{DRAFT}",
    f"Okay.\n<think>\n{DRAFT}",
    f"Okay. [THINK]{DRAFT}",
    f"◁think▷{DRAFT}",
    f"<|channel|>analysis<|message|>{DRAFT}",
    f"<|channel>thought\n{DRAFT}",
]


@pytest.mark.parametrize("text", IN_THOUGHTS)
def test_a_draft_in_thoughts_is_no_plan(text):
    assert parse_workflow(text, POOL).steps[0].worker == "b"


@pytest.mark.parametrize("text", ONLY_THOUGHTS)
def test_a_draft_in_thoughts_that_never_end_is_no_plan(text):
    with pytest.raises(PlanError):
        parse_workflow(text, POOL)


@pytest.mark.parametrize("text", ONLY_THOUGHTS)
def test_it_is_asked_for_again(run, text):
    model = ScriptedModel(replies=[text, PLAN])
    result = run(create_conductor(model, list(POOL)), ask())
    assert (result["answer"], result["rounds"][0]["plan"]["reached"]) == ("B", "repair")


def test_subtasks_may_speak_of_thoughts():
    subtask = "Explain what <think> and </think> do, and [THINK]."
    assert parse_workflow(plan_text(("a", subtask, [])), POOL).steps[0].subtask == subtask


def test_a_turn_in_thoughts_is_no_turn():
    turn = '{{"reasoning": "", "worker": "{}", "role": "work", "subtask": "Do it.", "reads": []}}'
    planner = TurnsPlanner(ScriptedModel())
    asked = request(POOL)
    said = f"<think>{turn.format('a')}</think>{turn.format('b')}\n<think>{turn.format('a')}"
    assert planner.parse(said, asked).steps[0].worker == "b"
    with pytest.raises(PlanError):
        planner.parse(f"[THINK]{turn.format('a')}", asked)


def test_thoughts_are_in_no_answer(run):
    worker = Worker("a", ScriptedModel(replies=["It is easy. </think>42"]))
    assert run(create_conductor(fixed.single("a"), [worker]), ask())["answer"] == "42"
