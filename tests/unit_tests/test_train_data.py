"""Data: splits kept, tasks on which workers differ, examples that give nothing away."""

import pytest

from langgraph_conductor import ConfigError, Worker, WorkerPool
from langgraph_conductor.evals import Runner, Strategy, Suite, load_suite
from langgraph_conductor.evals.suites import SPLITS
from langgraph_conductor.planners import fixed
from langgraph_conductor.planners.examples import EXAMPLES
from langgraph_conductor.prompts import Example
from langgraph_conductor.replay import ReplyStore
from langgraph_conductor.rewards import Task
from langgraph_conductor.train.data import disagreeing, few_shots, save_tasks, tasks_of
from tests import evaluations

TASKS = evaluations.tasks(12)
SUITE = Suite("numbers", {"train": TASKS[:6], "validation": TASKS[6:9], "test": TASKS[9:]})


def test_tasks_stay_in_their_splits():
    assert tasks_of(SUITE) == SUITE
    kept = tasks_of(SUITE, domains=["algebra", "logic"])
    for split in SPLITS:
        assert kept.tasks(split) == tuple(t for t in SUITE.tasks(split) if t.domain != "dates")
    assert kept.about["domains"] == ["algebra", "logic"]


def test_saved_tasks_are_read_as_they_were(tmp_path):
    path = tmp_path / "numbers.jsonl"
    save_tasks(SUITE, path)
    assert tasks_of(path).splits == SUITE.splits


def test_a_named_suite():
    assert tasks_of("starter") == load_suite("starter")


def test_what_cannot_be_learnt_from_is_refused():
    with pytest.raises(ConfigError, match=r"'music'; there are algebra, dates, logic"):
        tasks_of(SUITE, domains=["music"])
    with pytest.raises(ConfigError, match="no task to train on"):
        tasks_of(Suite("empty", {"test": TASKS}))
    with pytest.raises(ConfigError, match="is one number, not 'some'"):
        tasks_of(Suite("odd", {"train": (Task("How many?", "some", "number"),)}))


# ------------------------------------------------------------------ where workers differ


def test_tasks_on_which_workers_differ_are_kept_in_order():
    outcomes = [
        evaluations.outcome("single(a)", "single", TASKS[:6], [1.0, 1.0, 0.0, 0.0, None, 1.0]),
        evaluations.outcome("single(b)", "single", TASKS[:6], [1.0, 0.0, 1.0, 0.0, 1.0, None]),
    ]
    assert disagreeing(TASKS, outcomes) == TASKS[1:3]


def test_of_several_samples_the_majority_counts():
    outcomes = [
        evaluations.outcome(
            "single(a)", "single", TASKS[:3], [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [1.0, 0.0]]
        ),
        evaluations.outcome(
            "single(b)", "single", TASKS[:3], [[0.0, None, 0.0], [1.0, 0.0, 1.0], [0.0, 0.0]]
        ),
    ]
    assert disagreeing(TASKS, outcomes) == TASKS[:1]


async def test_outcomes_of_a_runner_tell_where_workers_differ():
    def zero(task):
        return "0"

    def down(task):
        raise ConnectionError("no route")

    pool = WorkerPool(
        [Worker("zero", zero), Worker("none", lambda task: "none"), Worker("down", down, retries=0)]
    )
    with ReplyStore(":memory:") as store:
        runner = Runner(store)
        singles = [Strategy(f"single({name})", "single", fixed.single(name), pool) for name in pool.names]
        outcomes = [await runner.run(one, TASKS[:4], "train") for one in singles]
    assert disagreeing(TASKS, outcomes) == TASKS[:1]


# ------------------------------------------------------------------ examples


def test_the_packages_examples_are_of_no_suite_of_the_package():
    suites = [load_suite("starter"), load_suite("skills"), SUITE]
    assert few_shots(suites) == EXAMPLES


def test_a_draw_of_examples_is_the_same_for_the_same_seed():
    drawn = {seed: few_shots([SUITE], count=2, seed=seed) for seed in range(9)}
    assert drawn[0] == few_shots([SUITE], count=2, seed=0)
    assert len({tuple(one.question for one in some) for some in drawn.values()}) > 1
    assert all(len(some) == 2 and all(one in EXAMPLES for one in some) for some in drawn.values())
    with pytest.raises(ValueError, match="4 examples, not 5"):
        few_shots([SUITE], count=5)


def example(question="How do I fold a boat?", subtask="Say how.", reasoning="Paper."):
    return Example(question, reasoning, ((0, subtask, []),))


@pytest.mark.parametrize(
    "known",
    [
        example("Which Algebra would help me?"),
        example(subtask="Do the mini sudoku."),
        example(reasoning="It is all a matter of dates."),
    ],
)
def test_an_example_that_names_a_domain_or_skill_is_refused(known):
    task = Task("Fill it.", "1", "exact", domain="puzzles", skills=("mini_sudoku",))
    with pytest.raises(ConfigError, match=r"names '(algebra|mini sudoku|dates)'"):
        few_shots([SUITE, Suite("grids", {"test": (task,)})], [known])
    assert few_shots([Suite("grids", {"test": TASKS[:0]})], [known]) == (known,)


def test_an_example_that_is_a_question_of_a_suite_is_refused():
    question = "A farmer has three fields and sows two of them with rye; how many are left?"
    suite = Suite("farm", {"test": (Task(question, "1", "number", domain="farming"),)})
    close = "My farmer has three fields and sows two of them with oats. What now?"
    for asked in (question, question.upper(), close):
        with pytest.raises(ConfigError, match="farmer has three fields and sows two of"):
            few_shots([suite], [example(asked)])
    with pytest.raises(ConfigError, match="shares 'what is 3'"):
        few_shots([SUITE], [example("What is 3?")])
    assert few_shots([suite], [example("A farmer has three fields. Which way shall the fence go?")])
