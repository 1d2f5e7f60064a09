"""Diagnostics: every figure by hand, lines that survive a kill, plots and their page."""

import json
import re
from decimal import Decimal
from xml.etree import ElementTree as ET

import pytest

from langgraph_conductor import Usage
from langgraph_conductor.evals.stats import entropy
from langgraph_conductor.replay import Expenses
from langgraph_conductor.train.learning.asks import Ask, Scored
from langgraph_conductor.train.learning.trainer import Step
from langgraph_conductor.train.results.diagnostics import Diagnostics, line_of, read_steps, summary_of
from langgraph_conductor.train.results.plots import PLOTS, draw
from langgraph_conductor.train.results.report import write_training_report
from tests import evaluations
from tests.evaluations import a_round, episode

ALGEBRA, DATES, _ = evaluations.tasks(3)
SECONDS = {"planning": 1.0, "executing": 2.0, "training": 0.5}


def ran(task, score, *workers, **changes):
    number = changes.pop("number", 0)
    record = a_round(number, *workers, **changes)
    return episode(task, score, rounds=(record,), planner=Usage())


def invalid(task):
    return episode(task, 0.0, valid=False, reached="invalid", rounds=(), planner=Usage(), workers=Usage())


REWARDS = {0.0: 0.5, 1.0: 1.0, None: None}


def scored(one):
    return Scored(REWARDS[one.score] if one.valid else 0.0, one)


def a_step(number=0, *groups, previous=(), **changes):
    """Groups of (task, episodes)."""
    groups = groups or ((ALGEBRA, [ran(ALGEBRA, 1.0, "coder"), ran(ALGEBRA, 0.0, "critic")]),)
    asks = [[Ask(task, None, previous)] * len(some) for task, some in groups]
    return Step(
        number,
        asks,
        [["text"] * len(some) for _, some in groups],
        [[scored(one) for one in some] for _, some in groups],
        changes.pop("tokens", 10),
        SECONDS,
        {"loss": 0.1, "entropy": 1.5, "gradient": 0.3, "learning_rate": 1e-6},
    )


# ------------------------------------------------------------------ figures


def test_the_figures_of_a_step():
    line = line_of(
        a_step(
            7,
            (
                ALGEBRA,
                [
                    ran(ALGEBRA, 1.0, "coder", "critic"),
                    ran(ALGEBRA, 0.0, "coder"),
                    invalid(ALGEBRA),
                    ran(ALGEBRA, None, "coder"),
                ],
            ),
            (DATES, [ran(DATES, 1.0, "critic")] * 4),
        )
    )
    assert (line["step"], line["rollouts"]) == (7, 8)
    assert line["reward"] == pytest.approx((1 + 0.5 + 0 + 4) / 7, abs=1e-6)
    assert line["reward_by_domain"] == {"algebra": 0.5, "dates": 1.0}
    assert line["parsed"] == 7 / 8
    assert line["right"] == pytest.approx(5 / 7, abs=1e-6)
    assert line["right_if_parsed"] == pytest.approx(5 / 6, abs=1e-6)
    assert line["steps"] == {"1": 6, "2": 1}
    assert line["workers"] == {"coder": 3 / 8, "critic": 5 / 8}
    assert line["worker_entropy"] == pytest.approx(entropy({"coder": 3 / 8, "critic": 5 / 8}))
    assert line["shape_entropy"] == pytest.approx(entropy({"one": 6 / 7, "two": 1 / 7}))
    assert line["plan_entropy"] == pytest.approx(entropy({"a": 4 / 7, "b": 2 / 7, "c": 1 / 7}))
    assert line["dead_groups"] == 0.5
    assert line["unscored"] == 1 / 8
    assert (line["accepted"], line["right_if_accepted"]) == (None, None)
    assert line["tokens"] == {"policy": 10, "workers": 7 * 200}
    assert line["calls"] == 14
    assert line["seconds"] == SECONDS
    assert line["learning"]["entropy"] == 1.5
    assert json.loads(json.dumps(line)) == line


def test_second_rounds_that_accept():
    earlier = a_round(0, "coder")

    def kept(score):
        return ran(ALGEBRA, score, number=1, accepted=True, answer="")

    line = line_of(
        a_step(0, (ALGEBRA, [kept(1.0), kept(0.0), ran(ALGEBRA, 1.0, "critic", number=1), invalid(ALGEBRA)]),
               previous=(earlier,))
    )  # fmt: skip
    assert (line["accepted"], line["right_if_accepted"]) == (0.5, 0.5)
    assert line["steps"] == {"0": 2, "1": 1}
    assert line["workers"] == {"critic": 1.0}
    assert line["reward_by_round"] == {"1": 0.625}


def test_a_step_of_which_nothing_is_known():
    line = line_of(a_step(0, (ALGEBRA, [ran(ALGEBRA, None)] * 2)))
    assert (line["reward"], line["right"], line["right_if_parsed"]) == (None, None, None)
    assert (line["unscored"], line["dead_groups"], line["reward_by_domain"]) == (1.0, 1.0, {})


# ------------------------------------------------------------------ kept, and gone on with


def test_steps_are_written_as_they_are_taken(tmp_path):
    watch = Diagnostics(tmp_path / "new" / "folder")
    for number in range(3):
        watch(a_step(number))
        assert [line["step"] for line in read_steps(watch.folder)] == list(range(number + 1))
        assert json.loads((watch.folder / "summary.json").read_text())["steps"] == number + 1


def test_what_was_really_paid_and_what_was_charged(tmp_path):
    expenses = Expenses()
    expenses.add(paid=evaluations.usage(1, 10, "5"))  # before
    watch = Diagnostics(tmp_path, expenses)
    for number, usd in enumerate(("0.25", "0")):
        expenses.add(paid=evaluations.usage(1, 10, usd))
        watch(a_step(number))
    assert [line["usd"] for line in read_steps(tmp_path)] == [
        {"paid": "0.25", "charged": "0.04", "lost": "0"},
        {"paid": "0.00", "charged": "0.04", "lost": "0"},
    ]
    assert summary_of(read_steps(tmp_path))["usd"] == {"paid": "0.25", "charged": "0.08", "lost": "0"}


def test_where_nobody_knows_what_was_paid_it_is_not_said_to_be_nothing(tmp_path):
    unpriced = Expenses()
    unpriced.add(paid=evaluations.usage(1, 10, None))
    for name, expenses in (("none", None), ("unpriced", unpriced)):
        watch = Diagnostics(tmp_path / name, expenses)
        watch(a_step())
        assert summary_of(read_steps(watch.folder))["usd"]["paid"] is None
        assert "unknown paid" in watch.report().read_text()


def test_after_a_kill_steps_are_neither_doubled_nor_lost(tmp_path):
    expenses = Expenses()
    watch = Diagnostics(tmp_path, expenses)
    for number in range(5):
        expenses.add(paid=evaluations.usage(1, 10, "1"))
        watch(a_step(number))

    expenses = Expenses()  # of the process that goes on, from a checkpoint after step 2
    watch = Diagnostics(tmp_path, expenses)
    assert len(read_steps(tmp_path)) == 5
    expenses.add(paid=evaluations.usage(1, 10, "3"))
    watch(a_step(3, tokens=99))
    lines = read_steps(tmp_path)
    assert [line["step"] for line in lines] == [0, 1, 2, 3]
    assert [line["tokens"]["policy"] for line in lines] == [10, 10, 10, 99]
    watch(a_step(4))
    assert [line["step"] for line in read_steps(tmp_path)] == [0, 1, 2, 3, 4]
    # What the lost steps 3 and 4 had cost is not forgotten.
    assert summary_of(read_steps(tmp_path))["usd"]["lost"] == "2"

    watch = Diagnostics(tmp_path)
    watch(a_step(3))
    total = summary_of(read_steps(tmp_path))["usd"]
    assert Decimal(total["paid"]) + Decimal(total["lost"]) == 5 + 3


def test_a_summary_is_of_the_first_and_last_tenth():
    lines = [
        {**line_of(a_step(n)), "reward": float(n), "usd": {"paid": None, "charged": None, "lost": "0"}}
        for n in range(20)
    ]
    lines[0]["workers"] = {"coder": 1.0}
    summary = summary_of(lines)
    assert (summary["first"]["reward"], summary["last"]["reward"]) == (0.5, 18.5)
    assert summary["workers"]["first"] == {"coder": 0.75, "critic": 0.25}
    assert summary["seconds"] == {"planning": 20.0, "executing": 40.0, "training": 10.0}
    assert (summary["rollouts"], summary["averaged_over"]) == (40, 2)
    assert summary_of([]) == {"steps": 0}


# ------------------------------------------------------------------ shown


@pytest.fixture
def trained(tmp_path):
    expenses = Expenses()
    watch = Diagnostics(tmp_path, expenses)
    for number in range(12):
        expenses.add(paid=evaluations.usage(1, 10, "0.01"))
        watch(
            a_step(
                number, (ALGEBRA, [ran(ALGEBRA, 1.0, "coder", "<critic>"), ran(ALGEBRA, 0.0, "_hidden")])
            )
        )
    return watch


def test_the_page_shows_every_plot_and_loads_nothing(trained):
    path = trained.report()
    page = path.read_text()
    assert page.count("<svg") == len(PLOTS)
    assert "&lt;critic&gt;" in page
    assert "<critic>" not in page
    assert not re.search(r"<script|https?://(?!www\.w3\.org)", page)
    assert "first 1 steps" not in page
    assert "12 steps, 24 plans" in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    before = page
    assert write_training_report(trained.folder).read_text() == before


def test_plots_are_files_too(trained):
    trained.report()
    files = sorted((trained.folder / "plots").glob("*.svg"))
    assert [path.stem for path in files] == sorted(PLOTS)
    for path in files:
        assert ET.parse(path).getroot().tag.endswith("svg")


def test_what_has_no_values_is_not_drawn(trained):
    lines = read_steps(trained.folder)
    assert "second rounds that accept" not in draw("groups", lines)
    without = [
        {**line, "usd": {"paid": None, "charged": None, "lost": "0"}, "learning": {}} for line in lines
    ]
    assert draw("money", without) == draw("optimiser", without) == draw("reward", []) == ""
    assert "policy" not in draw("entropy", without)


def test_one_step_is_enough_for_a_page(tmp_path):
    watch = Diagnostics(tmp_path)
    watch(a_step())
    assert "first step" in watch.report().read_text()


def test_no_step_is_no_page(tmp_path):
    with pytest.raises(ValueError, match="no step to report"):
        Diagnostics(tmp_path).report()
