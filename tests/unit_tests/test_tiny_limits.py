"""What the small proof's figures do not show: the shipped page and card say it, and it is what their figures give."""

import json

import pytest

from langgraph_conductor.evals.report.page import in_page
from langgraph_conductor.evals.report.parts import Table
from langgraph_conductor.evals.suites.suite import Suite
from langgraph_conductor.evals.suites.tiny import tiny_suite
from langgraph_conductor.evals.summarising import summarise
from langgraph_conductor.local import shipped
from langgraph_conductor.rewards import Task
from langgraph_conductor.train.results.publish import model_card
from langgraph_conductor.train.tiny import names
from langgraph_conductor.train.tiny.card import facts_of
from langgraph_conductor.train.tiny.limits import PAGE, Found, found_in, found_on, limits, main
from langgraph_conductor.train.tiny.overlap import (
    READINGS,
    in_characters,
    in_words,
    nearest,
    shared,
    skeleton,
)
from langgraph_conductor.train.tiny.recipe import Recipe
from langgraph_conductor.train.tiny.stored import tables_of
from tests import evaluations

SUITE = tiny_suite()
ASKED = SUITE.tasks("test")


@pytest.fixture(scope="module")
def shown():
    """The section that the shipped page's tables give."""
    return limits(found_on(PAGE.read_text()), SUITE, Recipe())


def test_what_the_shipped_page_says(shown):
    """Worked out by hand from its tables: 2 of 16, 6 of 20 and 4 of 20 with the new worker, and so on."""
    assert figure(shown, "57 skeletons") == "212 of 212"
    assert figure(shown, "need the new worker").startswith("21.4 % of 56")  # 12
    assert figure(shown, "chains never trained of 2 / 3") == "45.0 % of 20 / 0.0 % of 20"
    assert figure(shown, "renamed") == "49.0 %"
    assert figure(shown, f"{names.GRPO} less SFT") == "+5.2 [-1.4, +11.8], not shown"
    assert figure(shown, f"less {names.AGAIN}").endswith(", shown")


def figure(section, what):
    (found,) = [row[1] for row in section.tables[0].rows if what in row[0]]
    return found


def test_the_shipped_page_has_the_section_that_its_own_tables_give(shown):
    assert in_page(shown) in PAGE.read_text()


def test_the_shipped_card_is_the_one_that_the_page_gives(shown):
    head, *rows = tables_of(PAGE.read_text())["The table"]
    facts = facts_of(Table(tuple(head), tuple(map(tuple, rows))), shown, SUITE, Recipe(), [0, 1, 2])
    hashes = json.loads((shipped.FOLDER / shipped.MANIFEST).read_text())["adapters"]
    assert (shipped.FOLDER / "README.md").read_text() == model_card(facts, hashes)


def test_a_claim_about_conductors_alone_says_that_it_is_about_these():
    page = PAGE.read_text()
    assert names.COMPLEMENTARY in page
    for claim in (
        "RL adds to the warm start:",
        "It adds to second rounds",
        "By reward alone: above random routing",
    ):
        (line,) = [one.split("</li>")[0] for one in page.split("<li>") if one.startswith(claim)]
        assert "for these conductors" in line


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Tom has 12 boxes of 9 pens and 25 more pens. How many in all?", "P has N B of N T and N more T. How many in all?"),
        ("Put forty-two, nineteen and sixty-one in rising order.", "Put N, N in rising order."),
        ("Write as digits and signs: ninety-nine minus eleven", "Write as digits and signs: N S N"),
        ("What is (12 + 13) * 4?", "What is (N S N) S N?"),
        ("What is the capital of South Korea? Say it in a sentence.", "What is the capital of N? Say it in a sentence."),
    ],
)  # fmt: skip
def test_a_skeleton_is_what_is_left_without_the_fillings(question, expected):
    assert skeleton(question) == expected


def test_other_wordings_share_no_skeleton():
    learnt = [Task("Reverse the order of: 11, 22, 33", "33, 22, 11", "exact")]
    asked = [Task(text, "", "exact") for text in ("Reverse the order of: 4, 5", "Turn around: 11, 22, 33")]
    assert shared(asked, learnt) == (2, 1, 1)


@pytest.mark.parametrize("terms", READINGS.values(), ids=READINGS)
def test_the_nearest_is_the_question_itself_and_of_equals_the_first(terms):
    by_domain = {task.domain: task for task in SUITE.tasks("train")[:200]}
    learnt = list(by_domain.values())
    assert len(learnt) == 12
    assert nearest(learnt, learnt, terms) == learnt
    again = [Task(task.question, "another", "exact") for task in learnt]
    assert nearest(learnt, [*again, *learnt], terms) == again


def test_rare_words_count_more_and_unknown_ones_nothing():
    learnt = [
        Task(text, "", "exact") for text in ("the red cat", "the red dog", "the red hen", "the blue cow")
    ]
    (found,) = nearest([Task("the red cow xyzzy", "", "exact")], learnt, in_words)
    assert found is learnt[3]
    assert in_characters("abcd") == ["abc", "bcd", "abcd"]


def made(**right):
    """An evaluation of conductors of two seeds, right where the rules say."""
    rules = {
        names.GRPO: lambda task, seed: seed == 0 or "+" not in task.domain,
        names.SFT: lambda task, seed: "+" not in task.domain,
        f"{names.GRPO}, one new": lambda task, seed: (
            "reverser" not in task.domain or task.domain == "reverser"
        ),
        f"{names.GRPO}, one removed": lambda task, seed: "story" not in task.domain,
        **right,
    }
    outcomes = [
        evaluations.outcome(
            name, "planner", ASKED, [[float(rule(task, seed)) for seed in (0, 1)] for task in ASKED]
        )
        for name, rule in rules.items()
    ]
    return evaluations.evaluation(ASKED, *outcomes)


def test_an_evaluation_gives_what_its_page_does():
    evaluation = made()
    section = limits(found_in(evaluation, summarise(evaluation)), SUITE, Recipe())
    assert figure(section, "chains never trained of 2 / 3") == "50.0 % of 20 / 50.0 % of 20"
    assert figure(section, "need the new worker") == "28.6 % of 56 / 64.3 % of 56"
    assert figure(section, "questions that need it") == "0.0 % of 36 / 72.2 % of 36"
    assert figure(section, "do not need it").startswith("100.0 % of 216 / ")
    assert figure(section, f"{names.GRPO} less {names.SFT}").endswith(", not shown")
    assert figure(section, f"{names.REWARD} less {names.FORM}") == "\N{EN DASH}"  # nobody ran them
    always = made(**{names.SFT: lambda task, seed: False, names.GRPO: lambda task, seed: True})
    assert figure(
        limits(found_in(always, summarise(always)), SUITE, Recipe()), f"{names.GRPO} less {names.SFT}"
    ).endswith(", shown")


def test_of_what_was_not_asked_nothing_is_said():
    few = Suite(SUITE.name, {"train": SUITE.tasks("train"), "test": ASKED[:4]}, SUITE.about)
    evaluation = evaluations.evaluation(
        ASKED[:4], evaluations.outcome(names.GRPO, "planner", ASKED[:4], [[1.0, 0.0]] * 4)
    )
    recipe = Recipe(single_tried=14, composed_tried=2)
    section = limits(found_in(evaluation, summarise(evaluation)), few, recipe)
    assert "nearest of 16 training questions" in section.tables[0].rows[2][0]
    assert figure(section, "renamed") == "\N{EN DASH}"


def test_the_rival_is_estimated_by_what_the_oracle_makes_of_right_plans():
    whole = Found({}, {names.ORACLE_WORKFLOW: {task.domain: 1.0 for task in ASKED}}, {}, {})
    *_, by_skeletons = figure(limits(whole, SUITE, Recipe()), "right answers, not run yet").split(" / ")
    assert by_skeletons == "80.3 %"  # 212 of 264


def test_the_command_prints_all_of_it_and_names_what_is_no_page(shown, tmp_path, capsys):
    assert main([]) == 0
    said = capsys.readouterr().out
    for part in (*shown.sentences, *(f"{what}: {figure}" for what, figure in shown.tables[0].rows)):
        assert part in said
    other = tmp_path / "other.html"
    other.write_text("<h2>Who works</h2><table><tr><th>strategy</th></tr></table>")
    assert main([str(other)]) == 2
    assert "no page of the small proof: it has no table 'Sample by sample" in capsys.readouterr().err
    assert main([str(tmp_path / "none.html")]) == 2
