"""Groups: the same for the same step, questions without replacement, pools as offered, second rounds."""

from collections import Counter
from dataclasses import replace

import pytest
from pydantic import ValidationError

from langgraph_conductor import ChatPlanner, ConfigError, Worker, WorkerPool
from langgraph_conductor.testing import ACCEPT_TEXT, plan_text
from langgraph_conductor.train.learning.advantages import Recursion
from langgraph_conductor.train.learning.groups import (
    Adaptive,
    FirstRound,
    batches,
    first_rounds,
    load_first_rounds,
    recursive_batches,
    save_first_rounds,
)
from langgraph_conductor.train.learning.scoring import Scorer
from langgraph_conductor.train.learning.settings import Improvement
from tests import evaluations
from tests.helpers import Recorder, chat

TASKS = evaluations.tasks(10)
SMALL = Improvement(questions=4, rollouts=6)


def pool(n=4, **changes):
    return WorkerPool([Worker(f"w{i}", Recorder(reply="42"), **changes) for i in range(n)])


def shown(groups):
    return [[(ask.task.id, dict(ask.pool.ordinals), ask.previous) for ask in group] for group in groups]


def test_a_step_asks_so_many_questions_so_often_each_with_one_pool():
    for group in batches(TASKS, pool(), SMALL, seed=0)(0):
        assert len(group) == 6
        assert len({id(ask) for ask in group}) == 1
    assert len(batches(TASKS, pool(), SMALL, seed=0)(0)) == 4


def test_steps_depend_on_the_seed_and_their_number_alone():
    options = {"adaptive": Adaptive(least=2), "permute": True, "show": "described"}
    one, other = (batches(TASKS, pool(), SMALL, seed=3, **options) for _ in range(2))
    forwards = [shown(one(step)) for step in range(6)]
    assert [shown(other(step)) for step in reversed(range(6))] == forwards[::-1]
    assert shown(batches(TASKS, pool(), SMALL, seed=4, **options)(0)) != forwards[0]


def test_every_question_comes_once_before_any_comes_again():
    drawn = batches(TASKS, pool(), SMALL, seed=0)
    asked = [group[0].task.id for step in range(5) for group in drawn(step)]
    assert sorted(asked[:10]) == sorted(asked[10:]) == sorted(task.id for task in TASKS)
    assert asked[:10] != asked[10:]


def test_domains_take_turns_so_that_each_step_has_all_of_them():
    tasks = [replace(task, domain="xyz"[i // 8]) for i, task in enumerate(evaluations.tasks(24))]
    three = Improvement(questions=3, rollouts=2)

    def domains(in_turn):
        drawn = batches(tasks, pool(), three, seed=0, in_turn=in_turn)
        return [{group[0].task.domain for group in drawn(step)} for step in range(16)]

    assert all(found == {*"xyz"} for found in domains(True))
    assert any(found != {*"xyz"} for found in domains(False))
    drawn = batches(tasks, pool(), three, seed=0, in_turn=True)
    first, second = (
        [group[0].task.id for step in steps for group in drawn(step)] for steps in (range(8), range(8, 16))
    )
    assert sorted(first) == sorted(second) == sorted(task.id for task in tasks)
    assert first != second


def test_without_more_ado_the_whole_pool_is_offered_and_is_one_object():
    drawn = batches(TASKS, pool(), SMALL, seed=0)
    offered = {id(ask.pool) for step in range(5) for group in drawn(step) for ask in group}
    assert len(offered) == 1


def test_adaptive_pools_offer_some_of_the_workers_who_keep_their_numbers():
    whole = pool(5)
    drawn = batches(TASKS, whole, SMALL, seed=0, adaptive=Adaptive(least=2, most=4))
    offered = [group[0].pool for step in range(50) for group in drawn(step)]
    assert Counter(map(len, offered)).keys() == {2, 3, 4}
    assert all(one.ordinals.items() <= whole.ordinals.items() for one in offered)
    assert set().union(*(one.names for one in offered)) == set(whole.names)
    by_content = {tuple(one.ordinals): id(one) for one in offered}
    assert len({id(one) for one in offered}) == len(by_content)  # equal pools are one object


def test_one_of_the_offered_may_be_last():
    able = Worker("able", Recorder(reply="42"))
    whole = WorkerPool([*pool(6, may_be_last=False), able])
    drawn = batches(TASKS, whole, SMALL, seed=0, adaptive=Adaptive(least=1, most=2))
    assert all("able" in group[0].pool.names for step in range(20) for group in drawn(step))


def test_numbers_are_permuted_where_descriptions_are_shown():
    drawn = batches(TASKS, pool(3), SMALL, seed=0, permute=True, show="described")
    numberings = {tuple(group[0].pool.names) for step in range(20) for group in drawn(step)}
    assert len(numberings) == 6


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"permute": True}, 'show = "described"'),
        ({"tasks": TASKS[:3]}, "asks 4 questions, and there are 3"),
        ({"adaptive": Adaptive(least=5)}, "draw 5 to 4 of 4"),
        ({"adaptive": Adaptive(most=5)}, "draw 1 to 5 of 4"),
        ({"pool": pool(may_be_last=False)}, "may be last"),
    ],
)
def test_what_cannot_be_asked_is_refused(changes, why):
    tasks, workers = changes.pop("tasks", TASKS), changes.pop("pool", pool())
    with pytest.raises(ValueError, match=why):
        batches(tasks, workers, SMALL, seed=0, **changes)


def test_settings_in_the_wrong_order_are_refused():
    with pytest.raises(ValidationError, match="less than least"):
        Adaptive(least=3, most=2)


# ------------------------------------------------------------------ second rounds


def stored(task, *, right, worker="w0"):
    record = evaluations.a_round(0, worker, answer=task.answer if right else "no")
    return FirstRound(task.id, record, 1.0 if right else 0.5, right, {0: worker})


def test_first_rounds_are_collected_kept_and_read_again(tmp_path):
    workers = WorkerPool([Worker("a", Recorder(reply="0")), Worker("b", Recorder(reply="no")),
                          Worker("down", Recorder(reply=ConnectionError()), retries=0)])  # fmt: skip
    drawn = batches(TASKS[:1], workers, Improvement(questions=1, rollouts=4), seed=0)
    (group,) = drawn(0)
    texts = [*(plan_text((name, "Do it.", [])) for name in ("a", "b", "down")), "no plan"]
    with Scorer(ChatPlanner(chat(), structured=False)) as scorer:
        scored = scorer.run(group, texts)
        found = first_rounds(group, scored)
        assert [(one.right, one.reward, one.record["answer"]) for one in found] == [
            (True, 1.0, "0"),
            (False, 0.5, "no"),
        ]
        path = tmp_path / "first.jsonl"
        save_first_rounds(found, path)
        assert load_first_rounds(path) == found

        # And they can be gone on from.
        later = recursive_batches(load_first_rounds(path), TASKS[:1], workers, Improvement(questions=1, rollouts=4),
                                  Recursion(), seed=0)  # fmt: skip
        (group,) = later(0)
        second = [ask for ask in group if ask.previous]
        scored = scorer.run(second, [ACCEPT_TEXT] * 2)
        assert sorted(one.reward for one in scored) == [0.5, 1.0]
        assert first_rounds(second, scored) == []


def test_a_line_that_is_no_first_round_is_named(tmp_path):
    path = tmp_path / "first.jsonl"
    save_first_rounds([stored(TASKS[0], right=True)], path)
    path.write_text(path.read_text() + '{"task": 1}\n')
    with pytest.raises(ConfigError, match=r"first.jsonl, line 2"):
        load_first_rounds(path)


def later_groups(found, tasks=TASKS, improvement=SMALL, steps=4, **changes):
    recursion = changes.pop("recursion", Recursion())
    drawn = recursive_batches(found, tasks, pool(), improvement, recursion, seed=1, **changes)
    return [group for step in range(steps) for group in drawn(step)]


def test_half_of_each_group_goes_on_from_a_round_of_its_own_question():
    found = [stored(task, right=right) for task in TASKS for right in (True, False)]
    by_record = {id(one.record): one.task for one in found}
    for group in later_groups(found):
        assert [len(ask.previous) for ask in group] == [0, 0, 0, 1, 1, 1]
        assert {by_record[id(ask.previous[0])] for ask in group[3:]} == {group[0].task.id}
        assert len({id(ask.pool) for ask in group}) == 1


def test_a_share_other_than_half():
    found = [stored(task, right=True) for task in TASKS]
    for group in later_groups(
        found, recursion=Recursion(share=0.75), improvement=Improvement(questions=2, rollouts=8)
    ):
        assert sum(bool(ask.previous) for ask in group) == 6


def test_right_and_wrong_first_answers_take_turns_and_few_come_again():
    found = [stored(task, right=right) for task in TASKS for right in (True, True, True, False)]
    right = {id(one.record): one.right for one in found}
    improvement = Improvement(questions=2, rollouts=16)
    for group in later_groups(found, improvement=improvement):
        verdicts = [right[id(ask.previous[0])] for ask in group[8:]]
        assert sum(verdicts) == 4
        assert verdicts[0] != verdicts[1]
        again = Counter(id(ask) for ask in group[8:])  # the same start is the same ask
        assert sorted(again.values()) == [1, 1, 2, 4]


def test_questions_without_a_round_to_go_on_from_are_left_out():
    found = [stored(task, right=True) for task in TASKS[:5]]
    found += [stored(task, right=True, worker="gone") for task in TASKS[5:]]
    asked = {group[0].task.id for group in later_groups(found)}
    assert asked == {task.id for task in TASKS[:5]}
    with pytest.raises(ValueError, match="there are 3 with a first round"):
        later_groups(found[:3])


def test_a_group_holds_first_and_second_rounds():
    found = [stored(task, right=True) for task in TASKS]
    with pytest.raises(ValueError, match="without first or second"):
        later_groups(found, recursion=Recursion(share=0.05))


def test_second_rounds_are_the_same_for_the_same_step():
    found = [stored(task, right=right) for task in TASKS for right in (True, False)]
    assert shown(later_groups(found)) == shown(later_groups(found))
