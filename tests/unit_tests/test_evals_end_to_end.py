"""An evaluation from suite to report: it finds what is so, pays for nothing twice, and goes on where it was."""

import asyncio
import math
import re
from collections import Counter
from statistics import fmean
from typing import Any

import pytest
from pydantic import Field

from langgraph_conductor import ChatPlanner, Worker, WorkerPool
from langgraph_conductor.evals.evaluating import evaluate
from langgraph_conductor.evals.report import write_report
from langgraph_conductor.evals.results import Evaluation
from langgraph_conductor.evals.running import Runner
from langgraph_conductor.evals.strategies import Strategy
from langgraph_conductor.evals.suites import Suite
from langgraph_conductor.evals.summarising import summarise
from langgraph_conductor.planners import fixed
from langgraph_conductor.planners.profiles import Measured, Profiles, WorkerProfile
from langgraph_conductor.replay import ReplyStore, current_sample
from langgraph_conductor.rewards import Task
from langgraph_conductor.testing import ScriptedModel, SkilledModel, skilled_planner
from langgraph_conductor.testing.skilled import tasks_by_question

SKILLS = {"ann": {"sums": 0.95, "words": 0.1}, "ben": {"sums": 0.05, "words": 0.9}}
PRICE = {"input": 1, "output": 10}
QUICK = {"max_steps": 2, "second_rounds": False, "workflow_oracle": False}


def drawn(split, count):
    """More sums in the training split, so that ann is the best there."""
    kinds = ["sums", "words", "sums"] if split == "train" else ["sums", "words"]
    asked = [kinds[i % len(kinds)] for i in range(count)]
    return tuple(
        Task(f"{split} {i}?", f"right {i}", "exact", kind, 1, (kind,)) for i, kind in enumerate(asked)
    )


def suite_of(train, test):
    return Suite("made", {"train": drawn("train", train), "test": drawn("test", test)})


class Counted(SkilledModel):
    """A synthetic worker that counts what it answered, and may be down."""

    max_tokens: int = 30
    finished: Counter = Field(default_factory=Counter, repr=False)  # of no account for who it is
    down: Any = Field(default=lambda prompt: False, repr=False)

    def _result(self, messages, run):
        prompt = messages[-1].text
        if self.down(prompt):
            raise ConnectionError("the provider is down")
        self.finished[self.worker, prompt, current_sample()] += 1
        return super()._result(messages, run)


class Place:
    """A suite, a pool whose calls are counted, and a store."""

    def __init__(self, path, train, test, latency=0.0):
        self.suite = suite_of(train, test)
        self.tasks = [task for split in ("train", "test") for task in self.suite.tasks(split)]
        self.path = path / "replies.sqlite"
        self.models = [
            Counted(
                worker=name, seed=1, skills=skills, latency=latency, tasks=tasks_by_question(self.tasks)
            )
            for name, skills in SKILLS.items()
        ]
        self.pool = WorkerPool(Worker(m.worker, m, price=PRICE, retries=0) for m in self.models)

    @property
    def finished(self):
        return sum((model.finished for model in self.models), Counter())

    def planner(self, worth):
        return skilled_planner(self.tasks, SKILLS, worth)

    async def evaluate(self, planner=None, trained=None, limit_usd=None, on_progress=None, **options):
        """The evaluation, and its runner."""
        watched = {"on_progress": on_progress} if on_progress else {}
        with ReplyStore(self.path) as store:
            runner = Runner(store, concurrency=8, limit_usd=limit_usd, **watched)
            found = await evaluate(
                self.suite, self.pool, planner, runner, trained=trained, **{**QUICK, **options}
            )
        return found, runner


def undated(evaluation):
    data = evaluation.to_json()
    profiles = {**data["about"]["profiles"], "date": ""}
    return {**data, "about": {**data["about"], "date": "", "profiles": profiles}}


def answers(evaluation):
    return {
        outcome.strategy: {task: [one.answer for one in many] for task, many in outcome.episodes.items()}
        for outcome in evaluation.outcomes
    }


# ------------------------------------------------------------ what it finds


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return Place(tmp_path_factory.mktemp("evaluation"), train=6, test=28)


@pytest.fixture(scope="module")
def found(place):
    return asyncio.run(place.evaluate(place.planner("better"), place.planner("equal")))


def test_the_better_planner_is_found_better_and_the_equal_one_is_not(found):
    evaluation, _ = found
    summary = summarise(evaluation)
    assert evaluation.reference == summary.reference == "single(ann)"  # the best on the training split
    verdicts = {one.a: one.verdict for one in summary.comparisons if one.b == "single(ann)"}
    assert verdicts["prompted"] == "better"
    assert verdicts["trained"] == "no difference shown"
    accuracy = {one.strategy: one.accuracy.value for one in summary.strategies}
    assert accuracy["prompted"] > 0.8 > accuracy["trained"]
    assert evaluation.complete
    assert summary.complete


def test_a_majority_is_given_what_the_planner_costs(found):
    evaluation, _ = found
    use = {one.strategy: one.use for one in summarise(evaluation).strategies}
    for planner in ("prompted", "trained"):
        (vote,) = [b for a, b in evaluation.comparisons if a == planner]
        n = math.ceil(use[planner].usd / use["single(ann)"].usd)
        assert vote == f"majority(ann, {n})"
        assert use[vote].worker_calls == n
        assert use[vote].usd >= use[planner].usd
        assert evaluation.outcome(vote).note.startswith(
            f"{n} answers of ann, counted without a model; sized"
        )


def test_a_vote_costs_what_the_worker_costs_so_often(found):
    evaluation, _ = found
    use = {one.strategy: one.use for one in summarise(evaluation).strategies}
    (vote,) = [b for a, b in evaluation.comparisons if a == "prompted"]
    assert use[vote].usd >= use[vote].worker_calls * use["single(ann)"].usd
    (told,) = [one.note for one in evaluation.outcomes if one.strategy == vote]
    assert "sized by the cost of prompted (in money)" in told


def test_the_report_is_written(found, tmp_path):
    evaluation, _ = found
    markdown, page, data = write_report(evaluation, tmp_path / "report")
    assert "prompted" in markdown.read_text(encoding="utf-8")
    assert "<svg" in page.read_text(encoding="utf-8")
    assert Evaluation.load(data).to_json() == evaluation.to_json()


async def test_a_second_run_pays_nothing_and_finds_the_same(place, found):
    evaluation, runner = found
    called = place.finished.total()
    assert runner.expenses.paid.calls == called > 0
    again, free = await place.evaluate(place.planner("better"), place.planner("equal"))
    assert place.finished.total() == called
    assert (free.expenses.paid.calls, free.expenses.paid.usd) == (0, None)
    assert undated(again) == undated(evaluation)


async def test_profiles_are_measured_on_train_and_shown_to_the_planner(tmp_path):
    place = Place(tmp_path, train=4, test=2)
    model = ScriptedModel(replies=['model_id = [0]\nsubtasks = ["Do it."]\naccess_list = [[]]'])
    evaluation, _ = await place.evaluate(ChatPlanner(model, price=PRICE))
    names = [outcome.strategy for outcome in evaluation.outcomes]
    assert {"anonymous", "described", "anonymous + profiles", "described + profiles"} <= set(names)
    measured = evaluation.about["profiles"]
    assert (measured["split"], measured["workers"]["ann"]["overall"]["n"]) == ("train", 4)

    single = Strategy("single(ann)", "single", fixed.single("ann"), place.pool)
    with ReplyStore(place.path) as store:  # the same answers, read again
        alone = await Runner(store).run(single, place.suite.tasks("train"))
    right = fmean(episode.score for many in alone.episodes.values() for episode in many)
    assert measured["workers"]["ann"]["overall"]["accuracy"] == right
    told = [prompt for prompt in model.prompts if f"right {right:.0%}" in prompt]
    assert len(told) == 2 * 2  # two variants, each test question once
    assert all(task.question in "".join(told) for task in place.suite.tasks("test"))
    assert len(model.calls) == 4 * 2
    assert not any(
        task.question in prompt for task in place.suite.tasks("train") for prompt in model.prompts
    )


# ------------------------------------------------------- where it was broken off


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """A small evaluation in one go: its place, what it found, and what it cost."""
    place = Place(tmp_path_factory.mktemp("straight"), train=3, test=4)
    evaluation, runner = asyncio.run(place.evaluate(place.planner("better")))
    return place, evaluation, runner.expenses.paid.usd


async def test_a_limit_ends_it_and_a_higher_one_goes_on(straight, tmp_path):
    whole, expected, usd = straight
    place, calls = Place(tmp_path, train=3, test=4), [0]
    for share in (0.2, 0.4):  # in training, and in the test
        limit = f"{float(usd) * share:.6f}"
        broken, runner = await place.evaluate(place.planner("better"), limit_usd=limit)
        assert not broken.complete
        assert not summarise(broken).complete
        assert "the budget of $" in broken.about["stopped"]
        assert float(runner.expenses.paid.usd) <= float(limit)
        calls.append(place.finished.total())
        write_report(broken, tmp_path / "broken")
    assert 0 < calls[1] < calls[2] < whole.finished.total()

    resumed, runner = await place.evaluate(place.planner("better"), limit_usd="1")
    assert resumed.complete
    assert answers(resumed) == answers(expected)
    assert place.finished == whole.finished  # each call once, in all three runs together
    assert set(place.finished.values()) == {1}


async def test_a_cancelled_run_goes_on_without_repeating_a_finished_call(straight, tmp_path):
    whole, expected, _ = straight
    place = Place(tmp_path, train=3, test=4, latency=0.002)

    def cancel(progress):
        if progress.phase == "test" and progress.strategy == "random router" and progress.done == 2:
            running.cancel()

    running = asyncio.ensure_future(place.evaluate(place.planner("better"), on_progress=cancel))
    with pytest.raises(asyncio.CancelledError):
        await running
    before = place.finished
    assert 0 < before.total() < whole.finished.total()
    with ReplyStore(place.path) as store:
        kept = sum(store.counts().values())

    resumed, runner = await place.evaluate(place.planner("better"))
    assert resumed.complete
    assert answers(resumed) == answers(expected)
    assert runner.expenses.paid.calls == whole.finished.total() - kept
    assert before.total() - kept <= 8  # what was on its way when it was cancelled


async def test_outages_are_apart_and_asked_again(tmp_path):
    place = Place(tmp_path, train=3, test=4)
    lost = {task.question for task in place.suite.tasks("test")[:2]}
    for model in place.models:
        model.down = lambda prompt: any(question in prompt for question in lost)
    first, _ = await place.evaluate(place.planner("better"))
    for one in summarise(first).strategies:
        assert (one.infra, one.scored, one.accuracy.n) == (2, 2, 2)
    assert first.complete

    for model in place.models:
        model.down = lambda prompt: False
    second, _ = await place.evaluate(place.planner("better"))
    assert all(one.infra == 0 and one.scored == 4 for one in summarise(second).strategies)
    assert set(place.finished.values()) == {1}  # what was answered is not asked again
    third, runner = await place.evaluate(place.planner("better"))
    assert runner.expenses.paid.calls == 0
    assert undated(third) == undated(second)


# ------------------------------------------------------------ from Python


async def refused(tmp_path, match, pool=None, **options):
    """The evaluation is refused, and nobody was asked."""
    place = Place(tmp_path, train=3, test=3)
    place.pool = pool or place.pool
    with pytest.raises(ValueError, match=match):
        await place.evaluate(**options)
    assert not place.finished


def mine(pool, name="mine", kind="planner"):
    return Strategy(name, kind, fixed.single("ben"), pool, max_steps=1)


async def test_a_strategy_of_ones_own_is_compared_and_gets_its_vote(tmp_path):
    place = Place(tmp_path, train=6, test=6)
    evaluation, _ = await place.evaluate(extra=[mine(place.pool)])
    assert evaluation.outcome("mine").kind == "planner"
    assert answers(evaluation)["mine"] == answers(evaluation)["single(ben)"]
    compared = {(one.a, one.b) for one in summarise(evaluation).comparisons}
    assert ("mine", "single(ann)") in compared
    assert any(a == "mine" and b.startswith("majority(ann, ") for a, b in compared)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("single(ann)", "planner"), ("random router", "floor"), ("chain(ann, ben)", "fixed"), ("described", "planner"),
        ("described + profiles", "planner"), ("best constant workflow", "fixed"), ("worker oracle", "fixed"),
        ("majority(ann, 3)", "fixed"), ("self-reflection(ben)", "fixed"), ("seen", "ceiling"),
    ],
)  # fmt: skip
async def test_names_that_are_taken_are_refused_before_anything_is_paid(tmp_path, name, kind):
    planner = ScriptedModel()
    own = mine(WorkerPool([Worker("ben", ScriptedModel())]), name, kind)
    await refused(tmp_path, f"{re.escape(repr(name))}.*give", planner=planner, extra=[own])


async def test_two_strategies_of_one_name_are_refused(tmp_path):
    own = mine(WorkerPool([Worker("ben", ScriptedModel())]))
    await refused(tmp_path, "another strategy is called 'mine'", extra=[own, own])


async def test_a_model_is_a_planner_and_not_a_text_to_run(tmp_path):
    place = Place(tmp_path, train=3, test=3)
    model = ScriptedModel(replies=['model_id = [1]\nsubtasks = ["Answer."]\naccess_list = [[]]'])
    evaluation, _ = await place.evaluate(model, trained=model)
    every = [one for many in evaluation.outcome("described").episodes.values() for one in many]
    assert all(one.valid and one.answer for one in every)
    assert evaluation.outcome("trained").kind == "planner"


def profiles_of_split(split, *workers):
    some = Measured(5, 0.5, 10.0, 1.0, 1.0, 1.0)
    return Profiles({name: WorkerProfile(some) for name in workers}, "made", split)


async def test_profiles_measured_on_what_is_reported_are_refused(tmp_path):
    leaking = profiles_of_split("test", "ann")
    await refused(tmp_path, "measured on the test split of 'made'", profiles=leaking)
    by_file = tmp_path / "profiles.json"
    leaking.save(by_file)
    await refused(tmp_path, "measured on the test split of 'made'", profiles=by_file)
    planner = ChatPlanner(ScriptedModel(), profiles=leaking)
    await refused(tmp_path, "measured on the test split of 'made'", planner=planner)


async def test_profiles_of_another_pool_are_refused(tmp_path):
    await refused(
        tmp_path,
        "of cid, and none of them is in the pool: ann, ben",
        profiles=profiles_of_split("train", "cid"),
    )


async def test_the_planners_own_profiles_are_the_ones_compared(tmp_path):
    place = Place(tmp_path, train=3, test=2)
    model = ScriptedModel(replies=['model_id = [0]\nsubtasks = ["Answer."]\naccess_list = [[]]'])
    own = profiles_of_split("validation", "ann")
    evaluation, _ = await place.evaluate(ChatPlanner(model, profiles=own))
    assert evaluation.about["profiles"] == own.to_json()


async def test_a_vote_is_never_of_more_than_64_answers_and_says_so(tmp_path):
    place = Place(tmp_path, train=3, test=1)
    model = ScriptedModel(replies=["right 0"])
    dear = WorkerPool([Worker("ben", model, price={"input": 5000, "output": 5000})])
    evaluation, _ = await place.evaluate(extra=[mine(dear)])
    (vote,) = [b for a, b in evaluation.comparisons if a == "mine"]
    assert vote == "majority(ann, 64)"
    assert re.search(r"mine \(in money, which [\d,]+ would cost\)", evaluation.outcome(vote).note)


async def test_a_strategy_of_ones_own_is_held_to_the_limit(tmp_path):
    free = WorkerPool([Worker("ben", ScriptedModel(max_tokens=10))])
    await refused(tmp_path, "no known price", extra=[mine(free)], limit_usd="5")


async def test_a_task_that_cannot_be_graded_is_refused_before_anything_is_paid(tmp_path):
    place = Place(tmp_path, train=3, test=3)
    wrong = Task("How many?", "a few", "number")
    place.suite = Suite("made", {"train": drawn("train", 3), "test": (*drawn("test", 3), wrong)})
    with pytest.raises(ValueError, match="one number, not 'a few'"):
        await place.evaluate()
    assert not place.finished
