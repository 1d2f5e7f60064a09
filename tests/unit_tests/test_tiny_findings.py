"""What the small proof says of itself, on evaluations with known answers; and stages that are kept."""

import json

import pytest

from langgraph_conductor.errors import ConfigError
from langgraph_conductor.evals.suites.tiny import tiny_suite
from langgraph_conductor.evals.summarising import summarise
from langgraph_conductor.train.tiny import names
from langgraph_conductor.train.tiny.findings import GROUPS, SINGLE_PICK, answers, table
from langgraph_conductor.train.tiny.keeping import Stage, is_done, keep
from tests import evaluations

ASKED = tiny_suite().tasks("test")
SKILLS = ("digits", "sorter", "initials", "reverser", "story", "calculator", "smollm2")


def found(**right):
    """An evaluation in which each strategy is right with the tasks its rule says."""
    rules = {
        names.GRPO: lambda task: "+" in task.domain or task.domain in SKILLS[1:],
        names.SFT: lambda task: task.domain in SKILLS,
        names.AGAIN: lambda task: True,
        names.RECURSION: lambda task: True,
        names.FORM: lambda task: False,
        names.REWARD: lambda task: task.domain in SKILLS,
        "generalist": lambda task: False,
        names.MIXTURE: lambda task: False,
        names.COMBINED: lambda task: False,
        names.CONSTANT: lambda task: False,
        SINGLE_PICK: lambda task: task.domain in SKILLS,
        **{f"single({skill})": (lambda task, skill=skill: task.domain == skill) for skill in SKILLS},
        **right,
    }
    planned = {names.SFT, names.GRPO, names.AGAIN, names.RECURSION, names.FORM, names.REWARD}
    outcomes = [
        evaluations.outcome(
            name,
            "ceiling" if name == SINGLE_PICK else "planner" if name in planned else "fixed",
            ASKED,
            [[float(rule(task))] * 2 for task in ASKED],
            workers=evaluations.usage(2, 5000 if name == names.MIXTURE else 200),
        )
        for name, rule in rules.items()
    ]
    return evaluations.evaluation(ASKED, *outcomes, reference="single(sorter)")


def said(evaluation, claim):
    (line,) = [line for line in answers(evaluation).sentences if line.startswith(claim)]
    return line


def test_what_is_better_beyond_chance_is_said_to_be_and_nothing_else():
    evaluation = found()
    assert ": yes (" in said(evaluation, "RL adds to the warm start, on composed questions")
    assert ": not shown (" in said(evaluation, "It adds to second rounds that were not learnt")
    assert ": yes (" in said(evaluation, "Above the oracle single pick, on composed questions")
    assert ": yes (" in said(evaluation, "By reward alone: above random routing")
    assert said(evaluation, "At most a quarter").endswith("yes (4.8 %).")
    worse = found(**{names.GRPO: lambda task: False})
    assert ": no, worse (" in said(worse, "RL adds to the warm start:")
    assert ": no, worse (" in said(worse, "Above the best single worker")


def test_a_small_lead_that_chance_may_give_is_not_said_to_be_shown():
    """Better on six questions: the interval leaves zero out, the p adjusted for all claims does not."""
    few = {task.id for task in ASKED[:6]}
    evaluation = found(**{names.SFT: lambda task: False, names.GRPO: lambda task: task.id in few})
    assert ": not shown (" in said(evaluation, "RL adds to the warm start:")


def test_a_skill_on_which_it_is_below_its_own_worker_is_named():
    (skills, seeds) = answers(found()).tables
    below = {row[0]: row[-1] for row in skills.rows}
    assert below == {skill: "yes" if skill == "digits" else "no" for skill in SKILLS}
    assert len(seeds.head) == 3  # two samples
    assert {row[0] for row in seeds.rows} >= {names.GRPO, names.REWARD}


def test_the_table_has_a_column_for_each_group_and_a_row_for_everybody():
    evaluation = found()
    made = table(evaluation, summarise(evaluation))
    assert len(made.rows) == len(evaluation.outcomes)
    rows = {row[0]: dict(zip(made.head, row, strict=True)) for row in made.rows}
    head = {name: next(column for column in made.head if column.startswith(f"{name} (")) for name in GROUPS}
    assert rows[names.SFT][head["one skill"]].startswith("100.0 %")
    assert rows[names.SFT][head["two skills"]].startswith("0.0 %")
    assert rows[names.GRPO][head["chains never trained"]].startswith("100.0 %")
    assert rows[names.GRPO][head["unsolvable"]].startswith("0.0 %")
    counts = [sum(map(among, ASKED)) for among in GROUPS.values()]
    assert counts[0] == sum(counts[1:]) == len(ASKED)
    assert rows[SINGLE_PICK]["right if planned"] == "\N{EN DASH}"


def writing(text):
    return lambda folder: (folder / "made.txt").write_text(text) and None


def test_a_stage_is_run_once_and_after_those_it_needs(tmp_path):
    first, second = (
        Stage("first", (), {"n": 1}, writing("one")),
        Stage("second", ("first",), {}, writing("two")),
    )
    with pytest.raises(ConfigError, match="second needs first, which is not done"):
        keep(second, tmp_path)
    assert keep(first, tmp_path)
    assert keep(second, tmp_path)
    assert not keep(first, tmp_path)
    assert not keep(second, tmp_path)


def test_a_stage_that_broke_off_goes_on(tmp_path):
    def broken(folder):
        (folder / "half.txt").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        keep(Stage("long", (), {}, broken), tmp_path)
    assert not is_done(tmp_path / "long")
    seen = []
    assert keep(
        Stage("long", (), {}, lambda folder: seen.extend(path.name for path in folder.iterdir())), tmp_path
    )
    assert set(seen) == {"half.txt", "stage.json"}


def test_what_was_made_from_something_else_is_not_taken_for_what_is_asked(tmp_path):
    keep(Stage("first", (), {"rate": 1}, writing("one")), tmp_path)
    keep(Stage("second", ("first",), {}, writing("two")), tmp_path)
    with pytest.raises(ConfigError, match=r"first was made from something else \(other rate\); delete it"):
        keep(Stage("first", (), {"rate": 2}, writing("one")), tmp_path)
    (tmp_path / "first" / "made.txt").write_text("one, made anew")
    with pytest.raises(ConfigError, match=r"second was made from something else \(other first\)"):
        keep(Stage("second", ("first",), {}, writing("two")), tmp_path)
    assert keep(Stage("second", ("first",), {}, writing("new"), renewed=True), tmp_path)
    assert (tmp_path / "second" / "made.txt").read_text() == "new"
    assert json.loads((tmp_path / "second" / "stage.json").read_text())["done"]
