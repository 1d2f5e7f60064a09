import json

import pytest

from langgraph_conductor import ConfigError, Worker, WorkerPool, parse_workflow
from langgraph_conductor.rewards import Task
from langgraph_conductor.testing import skilled_pool
from langgraph_conductor.train.config import Prompt, WarmStart
from langgraph_conductor.train.learning.asks import Ask
from langgraph_conductor.train.learning.groups import batches
from langgraph_conductor.train.learning.scoring import Scorer
from langgraph_conductor.train.learning.settings import Improvement
from langgraph_conductor.train.policy import planner_in_training
from langgraph_conductor.train.warm_start import Sample, random_plans, sample_plans, worth_imitating

TASKS = [
    Task(f"Question {n} of {skill}?", str(n), "exact", domain=skill)
    for n in range(3)
    for skill in ("a", "b")
]
POOL = skilled_pool(TASKS, {"ann": {"a": 1.0}, "ben": {"b": 1.0}})
SETTINGS = WarmStart(subtasks=("Do it.", "Solve it."), subtasks_reading=("Go on.",), samples=8, keep=2)
ASKED = batches(TASKS, POOL, Improvement(questions=3, rollouts=8), seed=0)


def silent(_):
    return None


@pytest.mark.parametrize("anonymous", [True, False])
def test_random_plans_are_valid_and_varied(anonymous):
    pool = WorkerPool([*POOL, Worker("draft", lambda task: "", may_be_last=False)]).permuted(1)
    asks = [Ask(TASKS[0], pool)] * 60
    texts = random_plans(SETTINGS, 0, anonymous=anonymous)(asks, 3)
    plans = [
        parse_workflow(text, pool.ordinals if anonymous else pool.names, max_steps=3) for text in texts
    ]
    for plan in plans:
        pool.check(plan)
    assert {len(plan.steps) for plan in plans} == {1, 2, 3}
    assert {step.worker for plan in plans for step in plan.steps} == set(pool.names)
    assert {bool(step.access) for plan in plans for step in plan.steps[1:]} == {True, False}
    assert texts == random_plans(SETTINGS, 0, anonymous=anonymous)(asks, 3)
    assert texts != random_plans(SETTINGS, 0, anonymous=anonymous)(asks, 4)


def test_what_was_right_is_kept_and_nothing_runs_twice(tmp_path):
    write = random_plans(SETTINGS, 0, anonymous=True)
    with Scorer(planner_in_training(Prompt())) as scorer:
        samples = sample_plans(ASKED, 2, write, scorer.run, tmp_path, silent)

    def never(*_):
        raise AssertionError

    assert sample_plans(ASKED, 2, never, never, tmp_path, silent) == samples
    (tmp_path / "00001.jsonl").unlink()  # as a kill leaves it
    with Scorer(planner_in_training(Prompt())) as scorer:
        assert sample_plans(ASKED, 2, write, scorer.run, tmp_path, silent) == samples

    examples, chosen = worth_imitating(samples, ASKED, SETTINGS)
    able = {"a": "ann", "b": "ben"}
    assert len(examples) == len(chosen) > 6
    for example in examples:
        plan = parse_workflow(example.text, POOL.ordinals, max_steps=3)
        assert able[example.ask.task.domain] == plan.steps[-1].worker
    per_question = [sum(one.task == task.id for one in chosen) for task in TASKS]
    assert max(per_question) <= 2
    assert any(one.ran and not one.right for one in samples)

    form = worth_imitating(samples, ASKED, SETTINGS.model_copy(update={"worth": "ran", "keep": 8}))[1]
    assert {one.right for one in form} == {True, False}


def test_other_tasks_are_refused(tmp_path):
    with Scorer(planner_in_training(Prompt())) as scorer:
        sample_plans(ASKED, 1, random_plans(SETTINGS, 0, anonymous=True), scorer.run, tmp_path, silent)
    other = batches(TASKS, POOL, Improvement(questions=3, rollouts=8), seed=1)
    with pytest.raises(ConfigError, match="other tasks or workers"):
        sample_plans(other, 1, lambda asks, _: [], lambda asks, texts: [], tmp_path, silent)
    (tmp_path / "00000.jsonl").write_text(json.dumps({"text": "x"}) + "\n")
    with pytest.raises(ConfigError, match="something else"):
        sample_plans(ASKED, 1, lambda asks, _: [], lambda asks, texts: [], tmp_path, silent)


def test_unlike_plans_come_first():
    shapes = ['[["ann", []]]', '[["ann", []]]', '[["ann", []], ["ben", "all"]]']
    samples = [
        Sample(0, place, TASKS[0].id, {}, f"text {place}", True, True, shape, "")
        for place, shape in enumerate(shapes)
    ]
    again = Sample(0, 3, TASKS[0].id, {}, "text 0", True, True, shapes[0], "")
    _, chosen = worth_imitating([*samples, again], ASKED, SETTINGS)
    assert [one.place for one in chosen] == [0, 2]
    _, chosen = worth_imitating([*samples, again], ASKED, SETTINGS.model_copy(update={"keep": 9}))
    assert [one.place for one in chosen] == [0, 2, 1]  # the same text is kept once
