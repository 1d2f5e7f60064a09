"""Scoring: every text runs as the planner reads it, equal plans run once, limits and failures are told."""

import asyncio
import threading
from dataclasses import replace
from decimal import Decimal

import pytest

from langgraph_conductor import Budget, BudgetExceededError, ChatPlanner, Worker, WorkerPool
from langgraph_conductor.budget import Ledger
from langgraph_conductor.errors import GraderError
from langgraph_conductor.replay import Expenses, ReplyStore, current_sample
from langgraph_conductor.rewards import Task
from langgraph_conductor.testing import ACCEPT_TEXT, ScriptedModel, plan_text
from langgraph_conductor.train.learning.asks import Ask
from langgraph_conductor.train.learning.rewards import Rewards
from langgraph_conductor.train.learning.scoring import Scorer
from tests.helpers import PRICE, Recorder, called, chat

TASK = Task("What is 6 * 7?", "42", "number", domain="sums")
OTHER = Task("What is 6 * 8?", "48", "number", domain="sums")


def by_number(*steps, before="I think so."):
    ids, subtasks, access = (list(part) for part in zip(*steps, strict=True))
    return f"{before}\n\nmodel_id = {ids}\nsubtasks = {subtasks}\naccess_list = {access}"


RIGHT, WRONG = by_number((0, "Do it.", [])), by_number((1, "Do it.", []))


def planner(show="anonymous", **options):
    return ChatPlanner(chat(), show=show, structured=False, **options)


def two(**changes):
    """A worker that is right, one that is wrong, and what they were asked."""
    right, wrong = Recorder("right", "42"), Recorder("wrong", "41")
    return WorkerPool([Worker("right", right, **changes), Worker("wrong", wrong)]), right, wrong


@pytest.fixture
def store(tmp_path):
    with ReplyStore(tmp_path / "replies.sqlite") as store:
        yield store


# ------------------------------------------------------------------ what a text is worth


def test_texts_are_worth_what_became_of_them():
    pool, right, wrong = two()
    asks = [Ask(TASK, pool)] * 4
    with Scorer(planner()) as scorer:
        found = scorer.run(asks, [RIGHT, "Nothing.", WRONG, by_number((7, "Do it.", []))])
    assert [one.reward for one in found] == [1.0, 0.0, 0.5, 0.0]
    assert [one.episode.reached for one in found] == ["unaided", "invalid", "unaided", "invalid"]
    assert "7" in found[3].episode.error
    assert [one.seconds > 0 for one in found] == [True, False, True, False]
    assert (len(right.tasks), len(wrong.tasks)) == (1, 1)


def test_settings_of_rewards_are_used():
    pool, *_ = two()
    rewards = Rewards(wrong=0.25, cost_weight=0.5, cost="steps", cost_scale=5)
    with Scorer(planner(), rewards=rewards) as scorer:
        found = scorer.run(
            [Ask(TASK, pool)] * 3, [RIGHT, WRONG, by_number((1, "Do it.", []), (0, "Do it.", []))]
        )
    assert [one.reward for one in found] == pytest.approx([0.9, 0.25, 0.8])


def test_an_outage_is_nobodys_fault():
    pool = WorkerPool([Worker("down", Recorder(reply=ConnectionError("no route")), retries=0)])
    with Scorer(planner()) as scorer:
        (found,) = scorer.run([Ask(TASK, pool)], [RIGHT])
    assert found.reward is None
    assert "no route" in found.episode.infra


def test_a_second_round_may_accept_or_plan_again():
    pool, *_ = two()
    with Scorer(planner()) as scorer:
        right, wrong = scorer.run([Ask(TASK, pool)] * 2, [RIGHT, WRONG])
        after = [Ask(TASK, pool, one.episode.rounds) for one in (right, wrong)]
        found = scorer.run(
            [*after, *after, Ask(TASK, pool)], [ACCEPT_TEXT] * 2 + [WRONG, RIGHT, ACCEPT_TEXT]
        )
    # Nothing can be accepted in a first round.
    assert [one.reward for one in found] == [1.0, 0.5, 0.5, 1.0, 0.0]
    assert [one.episode.rounds[-1]["accepted"] for one in found[:4]] == [True, True, False, False]
    assert [one.episode.rounds[-1]["round"] for one in found[:4]] == [1, 1, 1, 1]


# ------------------------------------------------------------------ as the planner reads it


@pytest.mark.parametrize(("show", "reward"), [("described", 1.0), ("anonymous", 0.0)])
def test_a_planner_that_was_shown_no_names_cannot_use_them(show, reward):
    pool, *_ = two()
    with Scorer(planner(show)) as scorer:
        (found,) = scorer.run([Ask(TASK, pool)], [plan_text(("right", "Do it.", []))])
    assert found.reward == reward


def test_numbers_are_those_of_the_pool_as_offered():
    """Excluded: a gap, which is no worker. Permuted: the number that was shown."""
    pool, *_ = two()
    cut = pool.without("right")
    turned = next(p for seed in range(9) if (p := pool.permuted(seed)).ordinals[0] == "wrong")
    with Scorer(planner("described")) as scorer:
        found = scorer.run([Ask(TASK, p) for p in (pool, cut, turned)], [RIGHT] * 3)
    assert [one.reward for one in found] == [1.0, 0.0, 0.5]
    assert "0" in found[1].episode.error


def test_numbers_dealt_anew_are_refused_for_who_knows_nothing_else():
    pool, right, _ = two()
    turned = next(p for seed in range(9) if (p := pool.permuted(seed)).ordinals[0] == "wrong")
    with Scorer(planner()) as scorer:
        scorer.run([Ask(TASK, pool.without("wrong"))], [RIGHT])
        with pytest.raises(ValueError, match=r"worker 0 was 'right' and now is 'wrong'.*described"):
            scorer.run([Ask(TASK, turned)], [RIGHT])
    assert len(right.tasks) == 1


def test_a_worker_barred_from_being_last_is():
    pool, *_ = two(may_be_last=False)
    with Scorer(planner()) as scorer:
        found = scorer.run(
            [Ask(TASK, pool)] * 2, [RIGHT, by_number((0, "Do it.", []), (1, "Say it.", [0]))]
        )
    assert [one.reward for one in found] == [0.0, 0.5]


def test_most_steps():
    pool, *_ = two()
    long = by_number((1, "Do it.", []), (0, "Do it.", []))
    for most, reward in ((1, 0.0), (2, 1.0)):
        with Scorer(planner(), max_steps=most) as scorer:
            assert scorer.run([Ask(TASK, pool)], [long])[0].reward == reward


def test_texts_are_what_was_written_behind_the_prefill():
    pool, *_ = two()
    with Scorer(planner(prefill="model_id =")) as scorer:
        rest = " [0]\nsubtasks = ['Do it.']\naccess_list = [[]]"
        assert scorer.run([Ask(TASK, pool)], [rest])[0].reward == 1.0


def test_records_hold_the_text_as_it_was_written():
    pool, *_ = two()
    texts = [by_number((0, "Do it.", []), before=before) for before in ("One.", "Two.")]
    with Scorer(planner()) as scorer:
        found = scorer.run([Ask(TASK, pool)] * 2, texts)
    assert [one.episode.rounds[0]["plan"]["text"] for one in found] == texts


# ------------------------------------------------------------------ once


def sampled(task):
    """Says which sample it is asked for."""
    return str(current_sample().seed)


def test_equal_plans_of_a_batch_run_once_and_are_paid_once():
    model = chat("42")
    pool = WorkerPool([Worker("a", model, price=PRICE)])
    texts = [by_number((0, "Do it.", []), before=before) for before in ("One.", "Two.", "Two.")]
    with Scorer(planner()) as scorer:
        found = scorer.run([Ask(TASK, pool)] * 3 + [Ask(OTHER, pool)], [*texts, texts[0]])
    assert called(model) == 2  # once for each question
    one = found[0].episode.usage.usd
    assert one is not None
    assert one > 1
    assert {scored.episode.usage.usd for scored in found[:3]} == {one}  # each is charged
    assert scorer.expenses.paid.usd == one + found[3].episode.usage.usd


def test_plans_that_differ_in_pool_round_or_sample_run_for_themselves():
    pool, right, _ = two()
    with Scorer(planner()) as scorer:
        (first,) = scorer.run([Ask(TASK, pool)], [RIGHT])
        asks = [
            Ask(TASK, pool),
            Ask(TASK, pool.without("wrong")),
            Ask(TASK, pool, first.episode.rounds),
            Ask(TASK, pool, seed=1),
        ]
        scorer.run(asks * 2, [RIGHT] * 8)
    assert len(right.tasks) == 1 + 4


@pytest.mark.parametrize(
    ("replies", "samples"), [("shared", ["7", "7", "7"]), ("per_rollout", ["7", "8", "7"])]
)
def test_replies_are_shared_or_drawn_for_each_rollout(replies, samples, store):
    pool = WorkerPool([Worker("a", sampled, version="1")])
    asks = [Ask(TASK, pool), Ask(TASK, pool), Ask(OTHER, pool)]
    with Scorer(planner(), seed=7, replies=replies, store=store) as scorer:
        for _ in range(2):  # the samples of a later batch are the same
            found = scorer.run(asks, [RIGHT] * 3)
            assert [one.episode.answer for one in found] == samples
            assert [one.episode.seed for one in found] == list(map(int, samples))
    assert store.counts() == {"a": len(set(zip([1, 1, 2], samples, strict=True)))}


def test_with_a_store_different_plans_share_the_reply_to_the_same_prompt(store):
    model = chat("42")
    pool = WorkerPool([Worker("a", model)])
    twice = by_number((0, "Do it.", []), (0, "Say it.", []))
    with Scorer(planner(), store=store) as scorer:
        scorer.run([Ask(TASK, pool)] * 2, [by_number((0, "Do it.", []), (0, "Read it.", [0])), twice])
    assert called(model) == 3  # "Do it." once


# ------------------------------------------------------------------ limits and failures


def limited(usd):
    return Expenses(Ledger(Budget(usd=usd)))


def test_a_limit_ends_the_batch_and_says_so(store):
    model = chat("42", max_tokens=1)
    pool = WorkerPool([Worker("a", model, price=PRICE)])
    tasks = [replace(TASK, question=f"{TASK.question} ({i})") for i in range(4)]
    expenses = limited("2.5")
    asks = [Ask(task, pool) for task in tasks]
    with Scorer(planner(), store=store, expenses=expenses, concurrency=1) as scorer:
        with pytest.raises(
            BudgetExceededError, match=r"ended a batch of 4 plans after 2, .* higher limit"
        ) as told:
            scorer.run(asks, [RIGHT] * 4)
        assert told.value.limit == "usd"
        assert expenses.paid.usd <= Decimal("2.5")
        assert scorer.run(asks[:2], [RIGHT] * 2)[1].reward == 1.0  # what was paid is in the store
    with Scorer(planner(), store=store, expenses=limited("2.5"), concurrency=4) as scorer:
        assert [one.reward for one in scorer.run(asks, [RIGHT] * 4)] == [1.0] * 4
    assert called(model) == 4


def test_a_limit_that_cannot_bound_a_worker_is_refused_before_the_first_call():
    model = chat("42")
    pool = WorkerPool([Worker("a", model)])
    for options, advice in (
        ({"expenses": limited("1")}, "price"),
        ({"rewards": Rewards(cost_weight=0.1)}, "tokens"),
    ):
        with (
            Scorer(planner(), **options) as scorer,
            pytest.raises(ValueError, match=rf"'a' has no known price.*{advice}"),
        ):
            scorer.run([Ask(TASK, pool)], [RIGHT])
    assert called(model) == 0


def crash(answer, task):
    raise ZeroDivisionError("the grader is broken")


def test_a_grader_that_crashes_is_loud():
    pool, *_ = two()
    asks = [Ask(TASK, pool), Ask(replace(OTHER, grader=f"{__name__}:crash"), pool)]
    with Scorer(planner()) as scorer:
        with pytest.raises(GraderError, match="the grader is broken"):
            scorer.run(asks, [RIGHT, RIGHT])
        assert scorer.run(asks[:1], [RIGHT])[0].reward == 1.0  # and it can be gone on


def test_what_does_not_belong_together_is_refused():
    pool, *_ = two()
    with Scorer(planner()) as scorer, pytest.raises(ValueError, match="one text for each ask, not 2 for 1"):
        scorer.run([Ask(TASK, pool)], [RIGHT, WRONG])
    for options in ({"concurrency": 0}, {"max_steps": 0}, {"replies": "none"}):
        with pytest.raises(ValueError, match=next(iter(options))):
            Scorer(planner(), **options)


# ------------------------------------------------------------------ where it runs


async def test_it_runs_inside_a_running_loop_and_can_be_awaited():
    pool, *_ = two()
    with Scorer(planner()) as scorer:
        assert scorer.run([Ask(TASK, pool)], [RIGHT])[0].reward == 1.0
        (found,) = await scorer.score([Ask(TASK, pool)], [RIGHT])
        assert found.reward == 1.0


def test_all_episodes_run_in_one_loop_which_ends_with_the_scorer():
    loops = []

    async def tells(task):
        loops.append(asyncio.get_running_loop())
        return "42"

    pool = WorkerPool([Worker("a", tells)])
    with Scorer(planner()) as scorer:
        scorer.run([Ask(TASK, pool)], [RIGHT])
        asyncio.run(scorer.score([Ask(OTHER, pool)], [RIGHT]))
        assert [thread.name for thread in threading.enumerate()].count("scorer") == 1
    assert len(loops) == 2
    assert loops[0] is loops[1]
    assert loops[0].is_closed()
    assert "scorer" not in [thread.name for thread in threading.enumerate()]
    scorer.close()  # a second time does nothing


def test_not_more_episodes_than_allowed_run_at_once():
    now = most = 0

    async def slow(task):
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        return "42"

    pool = WorkerPool([Worker("a", slow)])
    asks = [Ask(replace(TASK, question=f"{TASK.question} ({i})"), pool) for i in range(8)]
    with Scorer(planner(), concurrency=3) as scorer:
        scorer.run(asks, [RIGHT] * 8)
    assert most == 3


async def test_who_stops_waiting_stops_the_batch():
    begun, ended = threading.Event(), threading.Event()

    async def endless(task):
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return "42"

    pool = WorkerPool([Worker("a", endless)])
    with Scorer(planner()) as scorer:
        waiting = asyncio.create_task(scorer.score([Ask(TASK, pool)], [RIGHT]))
        await asyncio.to_thread(begun.wait, 10)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await asyncio.to_thread(ended.wait, 10)


def test_the_policys_own_model_is_never_called():
    model = ScriptedModel(replies=["x"])
    pool, *_ = two()
    with Scorer(ChatPlanner(model, show="anonymous", structured=False)) as scorer:
        scorer.run([Ask(TASK, pool)] * 2, [RIGHT, "x"])
    assert called(model) == 0
