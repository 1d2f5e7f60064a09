"""What strategies cost, and how many answers a vote is given for it."""

from decimal import Decimal

import pytest

from langgraph_conductor import Usage, Worker, WorkerPool
from langgraph_conductor.evals.costs import mean_cost, unit_between, unit_of, used_by
from langgraph_conductor.evals.evaluating import MOST_VOTES, _equal_cost
from tests.evaluations import outcome, tasks, usage
from tests.helpers import Recorder

ASKED = tasks(4)
FREE = Usage()
POOL = WorkerPool([Worker("a", Recorder("a"))])


def of(name, kind="planner", scores=(1, 1, 0, 0), workers=None, planner=FREE):
    return outcome(name, kind, ASKED, list(scores), workers=workers or usage(), planner=planner)


def sizes(*planners, workers=None):
    alone = of("single(a)", "single", workers=workers or usage(1, 100, "0.01"))
    return _equal_cost([alone, *planners], "single(a)", "a", POOL)


def test_the_unit_is_money_only_if_all_of_it_is_known():
    paid, unknown = of("x", workers=usage(1, 100, "0.01")), of("y", workers=usage(1, 100, None))
    free, idle = of("z", workers=usage(1, 100, "0")), of("f", workers=FREE)
    assert [unit_of(some) for some in ([paid, free], [paid, unknown], [free], [idle])] == [
        "money", "tokens", "tokens", "steps"
    ]  # fmt: skip
    assert used_by(paid).usd == Decimal("0.04")


def test_between_a_free_worker_and_a_planner_that_costs_it_is_tokens():
    free, paid = of("single(a)", "single", workers=usage(1, 50, "0")), of("p", planner=usage(1, 10, "0.01"))
    assert unit_between(free, paid) == "tokens"
    assert unit_between(paid, free) == "money"
    assert unit_between(of("f", "single", workers=FREE), paid) == "steps"
    vote = sizes(of("p", workers=usage(1, 170, "0.02")), workers=usage(1, 50, "0"))["p"]
    assert (vote.name, "p (in tokens)" in vote.note) == ("majority(a, 4)", True)


def test_what_an_outage_broke_off_makes_no_strategy_cheaper():
    whole = of("p", workers=usage(3, 300, "0.03"))
    broken = of("p", scores=(1, None, None, None), workers=usage(3, 300, "0.03"))
    for task in ASKED[1:]:  # refused at once: nothing was used
        lost = of("p", scores=[None] * 4, workers=FREE)
        broken = type(broken)("p", "planner", {**broken.episodes, task.id: lost.episodes[task.id]})
    for unit, cost in (("money", "0.03"), ("tokens", 300), ("steps", 1)):
        assert mean_cost(broken, unit) == mean_cost(whole, unit) == Decimal(cost)
    assert sizes(broken)["p"].name == sizes(whole)["p"].name == "majority(a, 3)"
    assert mean_cost(of("p", scores=[None] * 4), "tokens") == 0


def test_what_the_planner_itself_uses_counts():
    assert (
        sizes(of("p", workers=usage(1, 100, "0.01"), planner=usage(1, 5, "0.031")))["p"].max_steps == 5 + 1
    )


def test_planners_of_one_cost_share_a_vote_and_its_note_names_both():
    votes = sizes(
        of("p", workers=usage(1, 1, "0.02")), of("q", workers=usage(1, 150, None)), of("f", "fixed")
    )
    assert list(votes) == ["p", "q"]
    assert votes["p"] == votes["q"]
    assert votes["p"].note.endswith("sized by the cost of p (in money), q (in tokens)")


@pytest.mark.parametrize(
    ("tokens", "told"), [(6400, "(in tokens)"), (9950, "(in tokens, which 100 would cost)")]
)
def test_a_vote_has_a_most_and_says_so(tokens, told):
    vote = sizes(of("p", workers=usage(1, tokens, None)))["p"]
    assert (vote.name, told in vote.note) == (f"majority(a, {MOST_VOTES})", True)
