"""A policy learns from rewards alone, beyond chance; and what should not learn does not."""

import pytest

from tests.learning.conftest import SEEDS


def test_policies_get_better_than_their_start_and_than_any_single_worker(runs):
    assert sum(runs[seed, "as it is"].learnt for seed in SEEDS) >= 2


@pytest.mark.parametrize("seed", [0, 1])
def test_control_shuffled_rewards_teach_nothing(runs, seed):
    control = runs[seed, "rewards shuffled"]
    assert not control.learnt
    assert control.over_start.low <= 0


@pytest.mark.parametrize("change", ["advantages negated", "policy frozen"])
def test_the_criterion_sees_what_is_broken(runs, change):
    assert not runs[0, change].learnt


def test_negated_advantages_end_in_a_collapse_that_is_told(runs):
    assert "every plan was worth the same and not all were right" in runs[0, "advantages negated"].ended


def test_bound_to_the_grammar_no_plan_is_unreadable_and_no_sound_run_is_ended(runs):
    bound = [run for run in runs.values() if run.change != "no grammar, huge steps"]
    assert all(run.readable == 1.0 for run in bound)
    assert not any(runs[seed, "as it is"].ended for seed in SEEDS)


def test_where_the_format_is_lost_the_run_is_ended_and_told_why(runs):
    ended = runs[0, "no grammar, huge steps"].ended
    assert ended.startswith("training collapsed by step ")
    assert "of the plans could be run (limit 90%): the format is being lost" in ended
