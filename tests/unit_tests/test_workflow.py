import asyncio
from collections import UserList
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langgraph_conductor import ACCEPT, PlanError, Step, Workflow, parse_workflow
from tests.helpers import flow

NAMES = ["coder", "critic-2", "re_searcher"]


@st.composite
def workflows(draw):
    steps = []
    for i in range(draw(st.integers(1, 6))):
        subtask = draw(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(
                str.strip
            )
        )
        access = draw(st.just("all") | (st.lists(st.integers(0, i - 1), max_size=4) if i else st.just([])))
        steps.append(Step(draw(st.sampled_from(NAMES)), subtask, access))
    return Workflow(tuple(steps))


@given(workflows())
def test_text_and_json_give_the_same_workflow_back(workflow):
    for text in (
        workflow.to_text(),
        workflow.to_text(NAMES),
        "Thoughts.\n```\n" + workflow.to_text() + "\n```",
    ):
        assert parse_workflow(text, NAMES, max_steps=6) == workflow
    assert Workflow.from_json(workflow.to_json()) == workflow
    assert hash(Workflow.from_json(workflow.to_json())) == hash(workflow)


@given(workflows())
def test_levels_and_critical_path_agree_with_the_access_lists(workflow):
    level = {i: depth for depth, group in enumerate(workflow.levels()) for i in group}
    assert sorted(level) == list(range(len(workflow.steps)))
    for i in level:
        assert level[i] == 1 + max((level[j] for j in workflow.reads(i)), default=-1)
    path = workflow.critical_path()
    assert len(path) == len(workflow.levels())
    assert all(a in workflow.reads(b) for a, b in pairwise(path))


def test_critical_path_counts_seconds():
    workflow = flow(("a", "x", []), ("a", "y", []), ("a", "z", [0, 1]))
    assert workflow.critical_path([1, 5, 1]) == (1, 2)
    assert workflow.critical_path([5, 1, 1]) == (0, 2)


def test_canonical_text():
    workflow = flow(("coder", 'Say "a<b"', []), ("critic", "Check.", [0]), ("coder", "End\nit.", "all"))
    assert workflow.to_text(["critic", "coder"]) == (
        "model_id = [1, 0, 1]\n"
        'subtasks = ["Say \\"a<b\\"", "Check.", "End\\nit."]\n'
        'access_list = [[], [0], ["all"]]'
    )
    assert workflow.to_text({3: "coder", 7: "critic"}).startswith("model_id = [3, 7, 3]\n")
    with pytest.raises(PlanError, match="'coder' is not among"):
        workflow.to_text(["critic"])


def test_a_subtask_about_think_tags_survives():
    workflow = flow(("coder", "Explain <think> and </THINK> tags.", []))
    assert parse_workflow(workflow.to_text(), NAMES) == workflow


def test_access_is_kept_sorted_without_doubles():
    assert Step("a", "x", [2, 0, 2]).access == (0, 2)
    assert Step("a", "x", ["all"]).access == Step("a", "x", [0, "all"]).access == "all"
    assert flow(("a", "x", "all"), ("a", "y", "all")).reads(1) == (0,)


@pytest.mark.parametrize(
    ("steps", "step", "reason"),
    [
        ([], None, "at least one step"),
        ([("a", " ", [])], None, "subtask is empty"),
        ([("", "x", [])], None, "must be a name"),
        ([("a", "x", [True])], None, "whole positions"),
        ([("a", "x", [1.0])], None, "whole positions"),
        ([("a", "x", "none")], None, 'or "all"'),
        ([("a", "x", None)], None, "list of positions"),
        ([("a", "\ud800", [])], None, "surrogate"),
        ([("a", "a\0b", [])], None, "NUL"),
        ([("a", "x", b"\0")], None, "list of positions"),
        ([("a", "x", ["all", 99.5])], None, "whole positions"),
        ([("a", "x" * 9, ["y" * 10_000])], None, "…"),
        ([("a", "x", [0])], 0, "the first step can read no other"),
        ([("a", "x", []), ("a", "y", [1])], 1, "only step 0"),
        ([("a", "x", []), ("a", "y", []), ("a", "z", [-1])], 2, "only steps 0 to 1"),
    ],
)
def test_refused(steps, step, reason):
    with pytest.raises(PlanError, match=reason) as caught:
        flow(*steps)
    assert caught.value.step == step


def test_from_json_names_the_step():
    good = {"worker": "a", "subtask": "x", "access": []}
    with pytest.raises(PlanError, match=r"step 1: needs exactly the keys"):
        Workflow.from_json({"steps": [good, {"worker": "a"}]})
    with pytest.raises(PlanError, match="expected"):
        Workflow.from_json({"steps": "abc"})


def test_mermaid_draws_every_step_and_grant_and_escapes():
    text = flow(("a", 'x "<b>" ' + "long " * 40, []), ("b", "y", [0])).to_mermaid()
    assert text.splitlines()[0] == "flowchart TD"
    assert "    s0 --> s1" in text
    assert '"<' not in text
    assert "…" in text


@pytest.mark.parametrize(
    "hostile",
    [
        "%%{init:{'themeCSS':'*{display:none}'}}%% #quot; pay",
        'x"]\n    s9["other',
        "%% comment",
        "#lt;b#gt; #35; #x3c;",
        "`md` {a} ; click s0 href",
        "style s0:#fff;",
        "\ufb02\u00b0lt\u00b6\u00df",
        "&lt;b&gt; \u202e \x1b[2J \x9b",
    ],
)
def test_nothing_of_a_subtask_or_name_speaks_to_mermaid(hostile):
    import html
    import re

    lines = flow((f"w {hostile}", hostile, []), ("b", "second", [0])).to_mermaid().split("\n")
    assert lines[2:] == ['    s1["1 · b: second"]', "    s0 --> s1"]
    label = re.fullmatch(r'    s0\["([^"]*)"\]', lines[1])[1]
    assert not re.search(
        r"""[%;#"`{}<>&\x00-\x1f\x7f-\x9f\u202e\ufb02\u00b6]""", re.sub(r"#(?:\d+|[a-z]+);", "", label)
    )
    # Mermaid's entities are HTML's, with # for & and numbers without &#.
    shown = html.unescape(re.sub(r"#(\w+);", lambda m: f"&{'#' * m[1].isdigit()}{m[1]};", label))
    assert " ".join(hostile.split())[:60] in shown or "\ufffd" in shown


def test_mermaid_shows_ordinary_text_as_it_is():
    drawn = flow(("co_der-2", "Write f(x) = x + 1, über 日本; see Zürich!", [])).to_mermaid()
    assert 'co_der-2: Write f(x) = x + 1, über 日本#59; see Zürich!"]' in drawn


def test_accept_is_one_object():
    import copy
    import pickle

    assert pickle.loads(pickle.dumps(ACCEPT)) is ACCEPT is copy.deepcopy(ACCEPT)


def test_access_is_sorted_and_json_keys_are_exact():
    from langgraph_conductor import Step, Workflow
    from langgraph_conductor.workflow import step_from_json

    assert Step("a", "x", [9, 8, 33, 1, 1]).access == (1, 8, 9, 33)
    item = {"worker": "a", "subtask": "x", "access": [], "tools": []}
    with pytest.raises(PlanError, match="step 2: needs exactly"):
        step_from_json(item, 2)
    with pytest.raises(PlanError, match="step 1: the subtask is empty"):
        step_from_json({"worker": "a", "subtask": " ", "access": []}, 1)
    with pytest.raises(PlanError, match="expected a Step, got tuple"):
        Workflow((("a", "x", ()),))
    with pytest.raises(PlanError, match="must be a name, not 3"):
        Step(3, "x")
    shown = flow(("a", 'Say </THINK> <Think> é & "b"', []))
    assert "é" in shown.to_text()
    assert "#amp;" in shown.to_mermaid()


def test_keyboard_interrupts_are_not_handed_to_the_logic():
    from langgraph_conductor.driving import adrive, drive

    def logic():
        try:
            yield "asked"
        except BaseException:
            return "swallowed"

    def call(asked):
        raise KeyboardInterrupt

    async def acall(asked):
        raise asyncio.CancelledError

    with pytest.raises(KeyboardInterrupt):
        drive(logic(), call)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(adrive(logic(), acall))


def test_sequences_and_sets_are_accepted_and_kept_as_tuples():
    steps = UserList(
        [Step("a", "x"), Step("b", "y", UserList([0])), Step("c", "z", {0: 1}.keys(), UserList([[0, 1]]))]
    )
    workflow = Workflow(steps)
    assert workflow.steps == tuple(steps)
    assert [step.access for step in workflow.steps] == [(), (0,), (0,)]
    assert workflow.steps[2].earlier == ((0, 1),)
    assert hash(workflow) == hash(Workflow(list(steps)))
    for wrong in ("ab", b"\x00", iter(())):
        with pytest.raises(PlanError, match="must be"):
            Workflow(wrong)
        with pytest.raises(PlanError, match="access must be"):
            Step("a", "x", wrong)
