"""What an evaluation chooses: on the training split alone, and never by the answers of what it reports."""

from dataclasses import replace

import pytest

from langgraph_conductor import ChatPlanner, Worker, WorkerPool
from langgraph_conductor.evals.evaluating import _best, _outages, evaluate
from langgraph_conductor.evals.results import Outcome
from langgraph_conductor.evals.running import Runner
from langgraph_conductor.evals.suites import Suite
from langgraph_conductor.planners import Measured, Profiles, WorkerProfile
from langgraph_conductor.replay import ReplyStore
from langgraph_conductor.rewards import Task
from langgraph_conductor.testing import ScriptedModel
from tests.evaluations import episode, outcome, tasks, usage


def suite_of(test_answers, train=4):
    """In training `ann` says what is right; the answers of the test are given."""
    return Suite(
        "made",
        {
            "train": tuple(Task(f"train {i}?", "ann's", "exact") for i in range(train)),
            "test": tuple(Task(f"test {i}?", answer, "exact") for i, answer in enumerate(test_answers)),
        },
    )


async def chosen(path, suite):
    """What was chosen or shown, and everything that was asked."""
    asked = []

    def says(name):
        def answer(task):
            asked.append((name, task.messages[-1].text))
            return f"{name}'s"

        return answer

    pool = WorkerPool([Worker(name, says(name)) for name in ("eve", "ann", "ben")])
    model = ScriptedModel(replies=['model_id = [0]\nsubtasks = ["Do it."]\naccess_list = [[]]'])
    with ReplyStore(path) as store:
        found = await evaluate(suite, pool, ChatPlanner(model), Runner(store, concurrency=1), max_steps=2)
    names = [(one.strategy, one.note) for one in found.outcomes]
    return found, (found.reference, found.comparisons, names), sorted(asked), model.prompts


async def test_no_answer_of_the_test_split_bears_on_a_choice_or_a_prompt(tmp_path):
    found, *one = await chosen(tmp_path / "1", suite_of(["ben's"] * 3))
    other, *two = await chosen(tmp_path / "2", suite_of(["eve's", "ann's", "none"]))
    assert found.reference == "single(ann)"
    assert "single(ann)," in dict(one[0][2])["best constant workflow"]
    scores = [
        [e.score for e in o.outcome("single(ben)").episodes.values() for e in e] for o in (found, other)
    ]
    assert scores == [[1.0] * 3, [0.0] * 3]

    def untimed(prompts):  # seconds are measured
        return [
            line.split(", 100%")[0].split(" s an answer")[0].rsplit(",", 1)[0]
            for p in prompts
            for line in p.splitlines()
        ]

    assert one[0] == two[0]
    assert one[1] == two[1]
    assert untimed(one[2]) == untimed(two[2])


async def test_one_training_task_is_enough_and_none_is_refused(tmp_path):
    found, *_ = await chosen(tmp_path / "1", suite_of(["ben's"], train=1))
    assert (found.reference, found.about["tasks"]) == ("single(ann)", {"test": 1, "train": 1})
    with pytest.raises(ValueError, match="no train tasks"):
        await chosen(tmp_path / "2", suite_of(["ben's"], train=0))


def scores_of(found, name):
    return [one.score for many in found.outcome(name).episodes.values() for one in many]


async def test_the_best_constant_workflow_is_run_and_lies_below_the_oracle_over_all_of_them(tmp_path):
    def says(name):  # eve mends what she is given; right in the test is somebody else for each question
        def answer(task):
            if name == "eve" and task.inputs and "train" in task.question[0]["text"]:
                return "ann's"
            return f"{name}'s after {task.inputs[0].worker}" if task.inputs else f"{name}'s"

        return answer

    pool = WorkerPool([Worker(name, says(name)) for name in ("ben", "eve")])
    suite = suite_of(["ben's", "eve's after ann", "eve's after ben", "nobody's"])
    suite = replace(
        suite, splits={**suite.splits, "train": (*suite.tasks("train"), Task("t?", "ben's", "exact"))}
    )
    with ReplyStore(tmp_path / "s") as store:
        found = await evaluate(
            suite,
            pool,
            None,
            Runner(store),
            max_steps=2,
            second_rounds=True,
        )
    constant = found.outcome("best constant workflow")
    assert (found.reference, constant.kind) == ("single(ben)", "fixed")
    assert constant.note.startswith("reflection(eve), the best of 6 on the training split")
    assert {len(e.rounds[0]["steps"]) for many in constant.episodes.values() for e in many} == {2}
    right = {task.id: task.answer for task in found.tasks}

    def by_task(name):
        return {right[id_]: many[0].score for id_, many in found.outcome(name).episodes.items()}

    assert sum(scores_of(found, "best constant workflow")) == 0
    assert by_task("worker oracle") == {
        "ben's": 1,
        "eve's after ann": 0,
        "eve's after ben": 0,
        "nobody's": 0,
    }
    assert by_task("workflow oracle") == {**by_task("worker oracle"), "eve's after ben": 1}
    pairs = dict(found.comparisons)
    assert pairs["single(eve), 2 rounds"] == "single(eve)"


async def test_tasks_are_drawn_by_their_hash(tmp_path):
    suite = suite_of([str(i) for i in range(9)])
    with ReplyStore(tmp_path / "s") as store:
        pool = WorkerPool([Worker("a", lambda task: "x")])
        found = await evaluate(
            suite, pool, None, Runner(store), items=3, train_items=2, second_rounds=False
        )
    assert [task.id for task in found.tasks] == sorted(task.id for task in suite.tasks("test"))[:3]
    assert found.about["tasks"] == {"test": 3, "train": 2}


@pytest.mark.parametrize("split", ["test", "validation"])
async def test_profiles_of_the_reported_split_are_refused(tmp_path, split):
    profile = {"a": WorkerProfile(Measured(3, 1.0, 1, 1, 1, 1))}
    pool = WorkerPool([Worker("a", lambda task: "x")])
    suite = Suite("made", {"train": tasks(2), split: tasks(3)[2:]})
    with ReplyStore(tmp_path / "s") as store:
        with pytest.raises(
            ValueError, match=f"measured on the {split} split of .made., which is what is reported"
        ):
            await evaluate(
                suite, pool, None, Runner(store), profiles=Profiles(profile, "made", split), split=split
            )
        for other in (Profiles(profile, "made", "train"), Profiles(profile, "elsewhere", split)):
            found = await evaluate(suite, pool, None, Runner(store), profiles=other, split=split)
            assert found.about["profiles"] == other.to_json()


def test_the_best_is_the_most_accurate_then_the_cheapest_then_the_first():
    asked = tasks(4)
    low, dear, cheap = (
        outcome(name, "single", asked, scores, workers=usage(1, 10, usd), planner=usage(0, 0, "0"))
        for name, scores, usd in (("low", [1, 0, 0, 0], "0.01"), ("dear", [1, 1, 0, 0], "0.03"), ("cheap", [0, 1, 1, 0], "0.02"))
    )  # fmt: skip
    assert _best([low, dear, cheap], 4).strategy == "cheap"
    assert _best([low, dear], 4).strategy == "dear"
    assert _best([dear, replace(dear, strategy="again")], 4).strategy == "dear"


def test_thirds_in_another_order_are_no_lead():
    asked = tasks(4)
    one = [[1, 0, 0], [1, 1, 0], [1, 0, 0], [1, 1, 0]]
    a = outcome("a", "single", asked, [one[i] for i in (0, 1, 2, 3)], workers=usage(1, 10, "0.03"))
    for order in ((0, 2, 1, 3), (1, 3, 0, 2), (1, 0, 3, 2), (3, 0, 2, 1)):
        b = outcome("b", "single", asked, [one[i] for i in order], workers=usage(1, 10, "0.02"))
        assert _best([a, b], 4).strategy == _best([b, a], 4).strategy == "b"


def test_outages_help_nobody_to_be_chosen_and_are_counted():
    asked = tasks(4)
    lucky = outcome("lucky", "single", asked, [1, None, None, [None, 1]])
    steady = outcome("steady", "single", asked, [1, 1, 0, 0])
    assert _best([lucky, steady], 4).strategy == "steady"
    fewer = Outcome("fewer", "single", {asked[0].id: (episode(asked[0], 1.0),)})  # the rest was not asked
    assert _best([fewer, steady], 4).strategy == "steady"
    assert (_outages(lucky), _outages(steady)) == (3, 0)
