"""Rewards and advantages: a wrong cheap plan never beats a right dear one; groups compared as paper and code do."""

from decimal import Decimal
from statistics import fmean, stdev

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from langgraph_conductor import Usage
from langgraph_conductor.train.learning.advantages import (
    Recursion,
    advantages,
    advantages_of,
    hopeful_advantages,
    recursive_advantages,
    rounds_of,
)
from langgraph_conductor.train.learning.asks import Ask
from langgraph_conductor.train.learning.rewards import Rewards, cost_of, reward_of
from tests import evaluations

(TASK,) = evaluations.tasks(1)


def episode(score, *, usd="0", tokens=0, steps=1, **changes):
    usage = Usage(calls=1, output_tokens=tokens, usd=None if usd is None else Decimal(usd))
    record = evaluations.a_round(0, *["coder"] * steps)
    changes = {"planner": Usage(), "workers": usage, "rounds": (record,), **changes}
    return evaluations.episode(TASK, score, **changes)


# ------------------------------------------------------------------ rewards


def test_the_rewards_of_the_paper():
    invalid = evaluations.episode(TASK, 0.0, valid=False, reached="invalid", rounds=())
    outage = evaluations.episode(TASK, None, infra="worker coder: no connection")
    assert [reward_of(one) for one in (invalid, episode(0.0), episode(1.0), outage)] == [0, 0.5, 1, None]


def test_part_of_the_score_is_part_of_the_way():
    assert reward_of(episode(0.5)) == 0.75


def test_a_right_answer_is_worth_less_the_dearer_it_was_and_a_wrong_one_is_not():
    rewards = Rewards(cost_weight=0.2, cost="tokens", cost_scale=1000)
    right = [reward_of(episode(1.0, tokens=tokens), rewards) for tokens in (0, 500, 1000, 9000)]
    assert right == pytest.approx([1.0, 0.9, 0.8, 0.8])
    assert {reward_of(episode(0.0, tokens=tokens), rewards) for tokens in (0, 500, 9000)} == {0.5}


def test_cost_is_of_planner_and_workers():
    used = {"planner": evaluations.usage(1, 40, "0.5"), "workers": evaluations.usage(2, 60, "0.25")}
    one = episode(1.0, steps=3, **used)
    assert [cost_of(one, unit) for unit in ("usd", "tokens", "steps")] == [0.75, 100, 3]


def test_an_unknown_price_is_not_a_price_of_zero():
    unpriced = episode(1.0, workers=evaluations.usage(1, 10, None))
    with pytest.raises(ValueError, match=r"no known price, .* count \"tokens\""):
        reward_of(unpriced, Rewards(cost_weight=0.1))
    assert reward_of(unpriced) == 1.0


amounts = st.floats(-10, 10)
prices = st.floats(0, 1e9).map(lambda usd: f"{usd:.6f}")


@given(
    order=st.tuples(amounts, amounts, amounts).map(sorted),
    part=st.floats(0, 1),
    unit=st.sampled_from(["usd", "tokens", "steps"]),
    scale=st.floats(1e-6, 1e9),
    score=st.floats(0.05, 1),
    right=st.tuples(prices, st.integers(0, 10**9), st.integers(1, 5)),
    wrong=st.tuples(prices, st.integers(0, 10**9), st.integers(1, 5)),
)
def test_a_wrong_cheap_plan_never_beats_a_right_dear_one(order, part, unit, scale, score, right, wrong):
    invalid, missed, hit = order
    assume(hit - missed >= 0.01)
    rewards = Rewards(
        invalid=invalid,
        wrong=missed,
        right=hit,
        cost_weight=part * 0.9 * (hit - missed),
        cost=unit,
        cost_scale=scale,
    )
    dear, cheap = (
        episode(s, usd=usd, tokens=tokens, steps=steps)
        for s, (usd, tokens, steps) in ((score, right), (0.0, wrong))
    )
    assert reward_of(dear, rewards) > reward_of(cheap, rewards) >= rewards.invalid


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"wrong": 1.0}, "must rise"),
        ({"invalid": 0.6}, "must rise"),
        ({"right": 0.505}, "must rise"),
        ({"cost_weight": 0.46}, "more than 0.45"),
        ({"cost_weight": -0.1}, "cost_weight"),
        ({"cost_scale": 0}, "cost_scale"),
        ({"cost": "minutes"}, "cost"),
        ({"wrongg": 1}, "wrongg"),
    ],
)
def test_settings_that_could_turn_the_order_are_refused(settings, why):
    with pytest.raises(ValidationError, match=why):
        Rewards(**settings)


# ------------------------------------------------------------------ advantages


def test_advantages_are_in_deviations_of_the_group():
    rewards = [0.0, 0.5, 0.5, 1.0]
    deviation = stdev(rewards) + 1e-4
    assert advantages(rewards) == pytest.approx([(r - 0.5) / deviation for r in rewards])


def test_what_could_not_be_scored_neither_counts_nor_learns():
    assert advantages([0.0, None, 1.0, None]) == pytest.approx([*_with(advantages([0.0, 1.0]), 1, 3)])
    assert advantages([None, None]) == [0, 0]
    assert advantages([None, 1.0]) == [0, 0]
    assert advantages([]) == []


def _with(found, *places):
    found = list(found)
    for place in places:
        found.insert(place, 0.0)
    return found


@given(reward=st.floats(-10, 10), count=st.integers(1, 80))
def test_a_group_without_variance_teaches_nothing(reward, count):
    assert advantages([reward] * count) == [0.0] * count


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, None]), max_size=64))
def test_advantages_add_up_to_nothing_and_keep_the_order(rewards):
    found = advantages(rewards)
    assert sum(found) == pytest.approx(0, abs=1e-6)
    known = sorted((r, a) for r, a in zip(rewards, found, strict=True) if r is not None)
    assert [a for _, a in known] == sorted(a for _, a in known)


def test_a_small_difference_of_costs_stays_small_where_advantages_are_not_scaled():
    costs = [1.0, 0.97, 1.0, 0.97]  # all right, two of them with a step more
    answers = [1.0, 0.5, 1.0, 0.5]
    assert advantages(costs) == pytest.approx(
        advantages(answers), rel=0.01
    )  # as GRPO has it, they weigh as much
    assert advantages(costs, scaled=False) == pytest.approx([0.015, -0.015] * 2)
    assert advantages([0.5, None, 1.0], scaled=False) == [-0.25, 0.0, 0.25]
    assert advantages([0.7] * 3, scaled=False) == [0.0] * 3
    found = recursive_advantages(REWARDS, ROUNDS, Recursion(), scaled=False)
    assert found == pytest.approx(advantages([0.125, 0.25, 0.5, 1.0], scaled=False))
    record = evaluations.a_round(0, "coder")
    group = [Ask(TASK, None), Ask(TASK, None), Ask(TASK, None, (record,)), Ask(TASK, None, (record,))]
    apart = advantages_of(Recursion(normalise="per_round"), scaled=False)
    assert apart(group, REWARDS) == pytest.approx([-0.0625, 0.0625, -0.25, 0.25])


ROUNDS = [0, 0, 1, 1]
REWARDS = [0.5, 1.0, 0.5, 1.0]


def test_the_papers_recursion_compares_discounted_first_rounds_with_the_whole_group():
    found = recursive_advantages(REWARDS, ROUNDS, Recursion())
    assert found == pytest.approx(advantages([0.125, 0.25, 0.5, 1.0]))


def test_the_codes_recursion_blends_and_compares_each_round_with_itself():
    recursion = Recursion(discount=0.2, discounting="blend", normalise="per_round")
    # The second rounds go on from the first ones in turn: 0.8 * 0.5 + 0.2 * 1.0, 0.8 * 1.0 + 0.2 * 0.5.
    found = recursive_advantages(REWARDS, ROUNDS, recursion, parents=[None, None, 1, 0])
    assert found == pytest.approx([*advantages([0.6, 0.9]), *advantages([0.5, 1.0])])


def test_a_blend_takes_the_mean_of_several_second_rounds_and_leaves_out_the_unscored():
    recursion = Recursion(discount=0.2, discounting="blend")
    rewards, rounds = [0.5, 1.0, 1.0, 0.0, None], [0, 0, 1, 1, 1]
    found = recursive_advantages(rewards, rounds, recursion, parents=[None, None, 0, 0, 1])
    assert found == pytest.approx(advantages([0.5, 1.0, 1.0, 0.0, None]))
    found = recursive_advantages(rewards, rounds, recursion, parents=[None, None, 0, 1, 1])
    assert found == pytest.approx(advantages([0.8 * 0.5 + 0.2, 0.8, 1.0, 0.0, None]))


def test_a_group_in_which_nobody_was_right_is_told_what_there_was_to_be_won():
    assert advantages([0.5] * 4) == [0.0] * 4
    found = hopeful_advantages([0.5] * 4, 0.5, 1.0)
    assert found == [found[0]] * 4
    assert found[0] < 0
    unlike = hopeful_advantages([0.0, 0.5, None, 0.5], 0.5, 1.0)
    assert unlike[0] < unlike[1] == unlike[3] == unlike[2] == 0


@given(st.lists(st.sampled_from([0.0, 0.5, 0.96, 1.0, None]), min_size=1, max_size=16))
def test_where_somebody_was_right_hope_changes_nothing(rewards):
    if any(reward is not None and reward > 0.5 for reward in rewards):
        assert hopeful_advantages(rewards, 0.5, 1.0) == advantages(rewards)


def test_a_scale_compared_per_round_is_laid_on_the_advantages():
    found = recursive_advantages(REWARDS, ROUNDS, Recursion(normalise="per_round"))
    own = advantages([0.5, 1.0])
    assert found == pytest.approx([0.25 * own[0], 0.25 * own[1], *own])


def test_advantages_of_groups_know_the_rounds_from_what_was_asked():
    record = evaluations.a_round(0, "coder")
    group = [Ask(TASK, None), Ask(TASK, None), Ask(TASK, None, (record,)), Ask(TASK, None, (record,))]
    assert rounds_of(group) == ROUNDS
    assert advantages_of(Recursion())(group, REWARDS) == recursive_advantages(REWARDS, ROUNDS, Recursion())


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match='use "scale"'):
        advantages_of(Recursion(discounting="blend"))
    with pytest.raises(ValueError, match="a round, and a parent"):
        recursive_advantages([1.0], [0, 1], Recursion())
    with pytest.raises(ValueError, match="a round, and a parent"):
        recursive_advantages([1.0], [0], Recursion(), parents=[])
    for settings in ({"share": 0}, {"share": 1}, {"discount": 0}, {"iterations": 0}, {"rounds": 2}):
        with pytest.raises(ValidationError):
            Recursion(**settings)


def test_discounted_first_rounds_lie_below_the_mean_as_a_whole_and_that_is_only_noise():
    """With the same answers in both rounds: no first round is pushed over another by it."""
    found = recursive_advantages([0.5, 1.0] * 2, ROUNDS, Recursion())
    assert fmean(found[:2]) < 0 < fmean(found[2:])
    shift = fmean(found[:2])
    assert (found[1] - shift) == pytest.approx(shift - found[0])
