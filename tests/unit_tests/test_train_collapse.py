"""A training that has collapsed is ended, and one that has not goes on."""

import pytest

from langgraph_conductor import WorkerPool
from langgraph_conductor.episodes import Episode
from langgraph_conductor.errors import TrainingCollapsedError
from langgraph_conductor.rewards import Task
from langgraph_conductor.train.learning.asks import Ask, Scored
from langgraph_conductor.train.learning.collapse import CollapseDetector, Limits
from langgraph_conductor.train.learning.trainer import Step
from tests.helpers import Recorder

POOL = WorkerPool([{"name": name, "runnable": Recorder()} for name in ("ann", "ben")])
ASK = Ask(Task("What is it?", "it", "exact"), POOL)


def rollout(reward, worker="ann"):
    """A plan that was no plan (0), wrong (0.5), right (1), or could not be scored (None)."""
    score = None if reward is None else float(reward == 1)
    rounds = () if reward == 0 else ({"steps": [{"worker": worker}]},)
    return Scored(reward, Episode("t", "it", score, valid=reward != 0, reached="unaided", rounds=rounds))


MIXED = [rollout(1, "ann"), rollout(0.5, "ben")]
LOST = [rollout(0)] * 2
WRONG = [rollout(0.5, "ann"), rollout(0.5, "ben")]
SOLVED = [rollout(1, "ann"), rollout(1, "ben")]
NARROW = [rollout(1, "ann"), rollout(0.5, "ann")]
OUTAGE = [rollout(None)] * 2


def train(detector, *steps, ask=ASK):
    """Steps of learning, each a list of groups; the number of the one that ended it, and why."""
    for number, groups in enumerate(steps):
        asked = [[ask] * len(group) for group in groups]
        try:
            detector(Step(number, asked, [["text"] * len(group) for group in groups], groups, 1, {}))
        except TrainingCollapsedError as error:
            return error.step, str(error)
    return None


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([[MIXED, LOST, WRONG]] * 3, "only 67% of the plans could be run"),
        ([[WRONG, WRONG]] * 3, "in 100% of the groups"),
        ([[MIXED, LOST]] * 2 + [[LOST, LOST]], "since step 0 only"),
    ],
)
def test_a_collapse_is_told_with_what_was_seen_and_what_to_do(steps, said):
    number, message = train(CollapseDetector(Limits(window=3)), *steps)
    assert number == 2
    assert message.startswith("training collapsed by step 2: since step 0 ")
    assert said in message
    assert message.endswith("or a longer warm start.")


@pytest.mark.parametrize(
    "steps",
    [
        [[MIXED, WRONG]] * 9,
        [[SOLVED, SOLVED]] * 9,  # nothing to learn either, but nothing left to learn
        [[MIXED, SOLVED], [LOST, LOST], [MIXED, MIXED], [MIXED, MIXED]],  # one bad step is noise
        [[OUTAGE, OUTAGE]] * 9,  # nobody's fault
        [[MIXED, OUTAGE]] * 9,
        [[WRONG, WRONG]] * 2,  # too early to tell
    ],
)
def test_what_is_no_collapse(steps):
    assert train(CollapseDetector(Limits(window=3, least_readable=0.6)), *steps) is None


def test_a_window_moves():
    number, message = train(CollapseDetector(Limits(window=3)), *[[MIXED]] * 6, *[[WRONG]] * 9)
    assert (number, "since step 6 in 100%" in message) == (8, True)


def test_one_worker_alone_is_a_collapse_where_it_does_not_pay():
    never_better, better = [[MIXED]] * 3 + [[NARROW]] * 3, [[MIXED]] * 3 + [[NARROW, [rollout(1)] * 2]] * 3
    number, message = train(CollapseDetector(Limits(window=3)), *never_better)
    assert number == 5
    assert "nearly every step goes to one worker (0.00 bits, limit 0.1), and 50% is right" in message
    assert train(CollapseDetector(Limits(window=3)), *better) is None
    alone = Ask(ASK.task, POOL.only("ann"))
    assert train(CollapseDetector(Limits(window=3)), *never_better, ask=alone) is None


def test_each_limit_can_be_switched_off():
    off = Limits(window=1, least_readable=0, most_dead=1, least_entropy=0)
    assert train(CollapseDetector(off), [LOST], [WRONG], [NARROW], [NARROW]) is None
