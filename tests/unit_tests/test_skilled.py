"""The synthetic pool does what closed formulas say, on the real engine."""

from decimal import Decimal
from functools import cache
from itertools import product
from math import prod, sqrt
from statistics import fmean

import pytest
from langchain_core.messages import HumanMessage

from langgraph_conductor import Usage, create_conductor
from langgraph_conductor.episodes import Episode, run_episode
from langgraph_conductor.evals.ceilings import candidate_workflows, oracle
from langgraph_conductor.evals.profiles import profiles_of
from langgraph_conductor.evals.results import Outcome
from langgraph_conductor.evals.strategies import Strategy, majority
from langgraph_conductor.evals.votes import majority_of
from langgraph_conductor.planners import fixed
from langgraph_conductor.prompts import worker_prompt
from langgraph_conductor.replay import ReplyStore
from langgraph_conductor.rewards import Task, grade
from langgraph_conductor.testing import SkilledModel, first_part, skilled_planner, skilled_pool
from tests.closed_forms import alone, mixture, one_of, vote
from tests.helpers import ask, flow

SKILLS = {
    "ann": {"sums": 0.9, "words": 0.3},
    "ben": {"sums": 0.4, "words": 0.8},
    "eve": {"sums": 0.6, "words": 0.6},
}
MANY = 50
PRICE = {"input": 1, "output": 10}


def plain(skill, count):
    return [
        Task(f"{skill} {i}: what is it?", f"{skill}-{i}", "exact", skill, 1, (skill,)) for i in range(count)
    ]


def composed(count):
    return [
        Task(f"First sums {i}, then words.", f"whole-{i}", "exact", "sums+words", 2, ("sums", "words"),
             {"intermediate": f"part-{i}"})
        for i in range(count)
    ]  # fmt: skip


SUMS, WORDS, BOTH = plain("sums", MANY), plain("words", MANY), composed(MANY)
TASKS = [*SUMS, *WORDS, *BOTH]
POOL = skilled_pool(TASKS, SKILLS, seed=11, prices=dict.fromkeys(SKILLS, PRICE))


# ------------------------------------------------------------- closed formulas


def test_the_formula_of_the_vote_is_exact():
    """Every pattern of right and wrong answers, counted as the strategy counts them."""
    for p, n in ((0.4, 5), (0.9, 2), (0.2, 1), (0.6, 8)):
        won = 0.0
        for right in product((True, False), repeat=n):
            texts = [f"<answer>{'gold' if hit else i}</answer>" for i, hit in enumerate(right)]
            won += right[majority_of(texts)] * prod(p if hit else 1 - p for hit in right)
        assert won == pytest.approx(vote(p, n))


def test_the_accuracy_of_a_draw():
    """Without the engine, so that many are cheap."""
    model, prompts = SkilledModel(worker="ann", skills=SKILLS["ann"], tasks=POOL["ann"].model.tasks), []
    for task in (SUMS[0], BOTH[0]):
        prompts.append([HumanMessage(worker_prompt([{"type": "text", "text": task.question}], "Do it."))])
    right = [[], []]
    for number in range(800):
        drawn = model.model_copy(update={"seed": number})
        for found, prompt, gold in zip(right, prompts, ("sums-0", "whole-0"), strict=True):
            found.append(gold in drawn.invoke(prompt).text)
    assert fmean(right[0]) == near(0.9, 800)
    assert fmean(right[1]) == near(0.9 * 0.3, 800)


# ------------------------------------------------------------------ the engine


def outcome_of(strategy, tasks):
    """What a strategy does, as an evaluation would find it."""
    conductor = create_conductor(
        strategy.planner, strategy.pool, max_rounds=strategy.max_rounds, max_steps=strategy.max_steps
    )
    episodes = {}
    for task in tasks:
        result = conductor.invoke(ask(task.question))
        used = Usage.from_json(result["usage"]["workers"])
        made = Episode(task.id, result["answer"], grade(result["answer"], task), True, "fixed",
                       tuple(result["rounds"]), workers=used)  # fmt: skip
        episodes[task.id] = (made,)
    return Outcome(strategy.name, strategy.kind, episodes)


def strategy(planner, pool=POOL, **options):
    return Strategy("x", "fixed", planner, pool, **options)


def accuracy(outcome):
    return fmean(episode.score for many in outcome.episodes.values() for episode in many)


def near(expected, n=MANY, sigmas=3.5):
    return pytest.approx(expected, abs=sigmas * sqrt(max(expected * (1 - expected), 0.05) / n))


@cache
def single(worker):
    return outcome_of(Strategy(f"single({worker})", "single", fixed.single(worker), POOL), [*SUMS, *WORDS])


def scores(outcome, tasks):
    return [outcome.episodes[task.id][0].score for task in tasks]


def test_a_worker_alone_is_as_good_as_it_was_made():
    for worker, skills in SKILLS.items():
        assert fmean(scores(single(worker), SUMS)) == near(skills["sums"])
        assert fmean(scores(single(worker), WORDS)) == near(skills["words"])


def test_workers_are_independent_and_so_the_oracle_is_a_closed_formula():
    best = oracle("oracle", [single(worker) for worker in SKILLS])
    assert fmean(scores(best, SUMS)) == near(one_of(0.9, 0.4, 0.6))
    assert fmean(scores(best, WORDS)) == near(one_of(0.3, 0.8, 0.6))
    both_right = fmean(
        a * b for a, b in zip(scores(single("ben"), SUMS), scores(single("eve"), SUMS), strict=True)
    )
    assert both_right == near(0.4 * 0.6)


def test_the_random_router_is_the_mean_worker():
    assert accuracy(outcome_of(strategy(fixed.random_router(3)), SUMS)) == near(fmean((0.9, 0.4, 0.6)))


def test_the_majority():
    # Votes of a worker below one half help too: wrong answers never agree.
    voted = outcome_of(majority(5, "ben", POOL), SUMS)
    assert accuracy(voted) == near(vote(0.4, 5))
    assert accuracy(voted) > 0.55 > 0.4


def test_the_mixture():
    mixed = fixed.mixture_of_agents(list(SKILLS), 1, "eve")
    assert accuracy(outcome_of(strategy(mixed), WORDS)) == near(mixture((0.3, 0.8, 0.6), 0.6))


def test_a_chain_is_as_good_as_its_checker_and_reflection_as_the_worker():
    workflows = dict(candidate_workflows(POOL))
    chain = outcome_of(strategy(fixed.workflow(workflows["chain(ann, ben)"])), SUMS)
    assert accuracy(chain) == near(0.4)
    reflected = outcome_of(strategy(fixed.reviewed(fixed.single("eve")), max_rounds=2), SUMS)
    assert accuracy(reflected) == near(0.6)
    first = [many[0].rounds[0]["answer"] for many in reflected.episodes.values()]
    anew = [a != many[0].answer for a, many in zip(first, reflected.episodes.values(), strict=True)]
    assert fmean(anew) > 0.25


def test_a_composed_task_is_split_or_it_is_not():
    whole = outcome_of(strategy(fixed.single("ann")), BOTH)
    assert accuracy(whole) == near(alone(SKILLS, "ann", BOTH[0]))
    split = outcome_of(strategy(skilled_planner(TASKS, SKILLS, "better")), BOTH)
    assert accuracy(split) == near(0.9 * 0.8)
    steps = [many[0].rounds[0]["steps"] for many in split.episodes.values()]
    assert [step["worker"] for step in steps[0]] == ["ann", "ben"]
    for task, (first, last) in zip(BOTH, steps, strict=True):  # a wrong first part is never mended
        if task.about["intermediate"] not in first["text"]:
            assert grade(last["text"], task) == 0.0


def test_planners_are_worth_what_they_are_made_for():
    tasks = [*SUMS[:35], *WORDS[:35]]
    found = {worth: accuracy(outcome_of(strategy(skilled_planner(TASKS, SKILLS, worth)), tasks))
             for worth in ("better", "equal", "worse")}  # fmt: skip
    assert found["better"] == near(fmean((0.9, 0.8)), 70)
    assert found["worse"] == near(fmean((0.4, 0.3)), 70)
    best = max(SKILLS, key=lambda worker: fmean(alone(SKILLS, worker, task) for task in TASKS))
    assert found["equal"] == near(fmean(SKILLS[best].values()), 70)
    with pytest.raises(ValueError, match="worth is one of better, equal, worse"):
        skilled_planner(TASKS, SKILLS, "good")


def test_an_equal_planner_draws_for_itself():
    best = outcome_of(strategy(skilled_planner(SUMS, SKILLS, "equal")), SUMS)  # of the sums alone: ann
    assert {step["worker"] for many in best.episodes.values() for step in many[0].rounds[0]["steps"]} == {
        "ann"
    }
    assert scores(best, SUMS) != scores(single("ann"), SUMS)


def test_the_best_constant_workflow_of_the_training_split():
    pool = skilled_pool(TASKS, {"ann": {"sums": 0.9}, "ben": {"sums": 0.2}}, seed=4)
    train, test = SUMS[:25], SUMS[25:]
    found = {
        name: accuracy(outcome_of(strategy(fixed.workflow(workflow), pool), train))
        for name, workflow in candidate_workflows(pool)
    }
    assert set(found) == {
        "single(ann)", "single(ben)", "reflection(ann)", "reflection(ben)", "chain(ann, ben)", "chain(ben, ann)",
        "mixture(ann)", "mixture(ben)",
    }  # fmt: skip
    formulas = {"single(ben)": 0.2, "chain(ann, ben)": 0.2, "mixture(ben)": mixture((0.9, 0.2), 0.2),
                "mixture(ann)": mixture((0.9, 0.2), 0.9), "reflection(ann)": 0.9, "chain(ben, ann)": 0.9}  # fmt: skip
    for name, expected in formulas.items():
        assert found[name] == near(expected, len(train)), name
    best = max(found, key=found.get)
    assert best in ("single(ann)", "reflection(ann)", "chain(ben, ann)", "mixture(ann)")
    chosen = fixed.workflow(dict(candidate_workflows(pool))[best])
    assert accuracy(outcome_of(strategy(chosen, pool), test)) == near(0.9, len(test))


# ------------------------------------------------------------------ randomness


async def test_samples_are_independent_and_runs_repeatable():
    voting = majority(3, "eve", POOL)

    async def texts(seed):
        found = [await run_episode(task, voting.planner, voting.pool, seed=seed) for task in SUMS[:15]]
        return [step["text"] for episode in found for step in episode.rounds[0]["steps"][:3]]

    zero, one = await texts(0), await texts(1)
    assert await texts(0) == zero
    assert [a == b for a, b in zip(zero, one, strict=True)].count(False) > 15
    wrong = [text for text in (*zero, *one) if "sums" not in text]
    assert len(set(wrong)) == len(wrong) > 20  # no two wrong answers agree


async def test_kept_replies_and_new_ones_are_the_same(tmp_path):
    """Also where another strategy was the first to ask for them."""
    mixed = fixed.workflow(flow(("ann", "Answer the question.", []), ("eve", "Answer the question.", [])))
    apart = [await run_episode(SUMS[0], planner, POOL) for planner in (fixed.single("eve"), mixed)]
    with ReplyStore(tmp_path / "store") as store:
        kept = [
            await run_episode(SUMS[0], planner, POOL, store=store)
            for planner in (mixed, fixed.single("eve"))
        ]
    assert kept[0].answer == apart[1].answer == kept[1].answer == apart[0].answer


def test_another_seed_gives_other_answers_and_the_same_seed_the_same():
    def answers(seed):
        planner = fixed.self_consistency(3, "eve")
        conductor = create_conductor(planner, skilled_pool(SUMS, SKILLS, seed))
        return [
            [s["text"] for s in conductor.invoke(ask(t.question))["rounds"][0]["steps"]] for t in SUMS[:8]
        ]

    once = answers(1)
    assert once == answers(1)
    assert once != answers(2)
    assert any(len(set(texts[:3])) > 1 for texts in once)  # equal steps of one workflow draw apart


# -------------------------------------------------------------- what is granted


def given(workflow, task, skills):
    conductor = create_conductor(fixed.workflow(workflow), skilled_pool([task], skills))
    return conductor.invoke(ask(task.question))["rounds"][0]["steps"]


SURE = {"knows": {"sums": 1.0, "words": 1.0}, "never": {}, "second": {"words": 1.0}}


def test_what_is_granted_decides_what_is_needed():
    task, part = BOTH[0], first_part(BOTH[0])
    steps = given(flow(("knows", part, []), ("second", "Go on.", [0])), task, SURE)
    assert "part-0" in steps[0]["text"]
    assert grade(steps[1]["text"], task) == 1.0
    wrong = given(flow(("never", part, []), ("knows", "Go on.", [0])), task, SURE)
    assert grade(wrong[1]["text"], task) == 0.0
    ignored = given(flow(("never", part, []), ("knows", "Go on.", [])), task, SURE)
    assert grade(ignored[1]["text"], task) == 1.0
    outvoted = flow(("never", part, []), ("knows", part, []), ("knows", part, []), ("second", "Go.", "all"))
    assert grade(given(outvoted, task, SURE)[3]["text"], task) == 1.0


def test_a_subtask_that_names_both_skills_or_the_second_asks_for_the_whole():
    for subtask in ("Do the words part.", "Do sums, then words.", "Do it.", "Do sumsum."):
        assert grade(given(flow(("knows", subtask, [])), BOTH[0], SURE)[0]["text"], BOTH[0]) == 1.0
    with pytest.raises(ValueError, match="has no first part"):
        first_part(SUMS[0])


def test_two_that_agree_outvote_one_and_a_tie_leaves_the_worker_to_itself():
    agree = flow(("knows", "x", []), ("knows", "x", []), ("never", "x", []), ("never", "Combine.", "all"))
    assert grade(given(agree, SUMS[0], SURE)[3]["text"], SUMS[0]) == 1.0
    tie = flow(("knows", "x", []), ("never", "x", []), ("never", "Combine.", "all"))
    assert grade(given(tie, SUMS[0], SURE)[2]["text"], SUMS[0]) == 0.0


def test_a_skill_that_is_not_named_is_lacked_and_a_domain_stands_in_for_it():
    sealed = Task("What is in the envelope?", "7", "number", "unsolvable")
    assert grade(given(flow(("knows", "x", [])), sealed, SURE)[0]["text"], sealed) == 0.0
    told = {"seer": {"unsolvable": 1.0}}
    assert grade(given(flow(("seer", "x", [])), sealed, told)[0]["text"], sealed) == 1.0


# ---------------------------------------------------------------- accounts, refusals


def test_tokens_money_and_seconds_are_accounted():
    result = create_conductor(fixed.single("ann"), POOL).invoke(ask(SUMS[0].question))
    used = Usage.from_json(result["usage"]["workers"])
    assert (used.calls, used.unpriced_calls) == (1, 0)
    assert used.output_tokens > 5
    assert used.usd == (used.input_tokens + 10 * used.output_tokens) * Decimal("0.000001")
    slow = skilled_pool(SUMS, SKILLS, latency={"ann": 0.05})
    step = create_conductor(fixed.single("ann"), slow).invoke(ask(SUMS[0].question))["rounds"][0]["steps"][
        0
    ]
    assert step["seconds"] >= 0.05
    assert Usage.from_json(step["usage"]).unpriced_calls == 1


def test_profiles_of_the_pool_are_its_skills():
    profiles = profiles_of([single(worker) for worker in SKILLS], [*SUMS, *WORDS]).workers
    for worker, skills in SKILLS.items():
        assert profiles[worker].overall.n == 2 * MANY
        for skill, expected in skills.items():
            low, high = profiles[worker].domains[skill].interval
            assert low - 0.05 < expected < high + 0.05
        assert profiles[worker].overall.usd > 0
        assert profiles[worker].overall.readable == 1.0


def test_refusals():
    with pytest.raises(ValueError, match=r"worker 'a': the accuracy in 's' is from 0 to 1, not 90"):
        skilled_pool(SUMS, {"a": {"s": 90}})
    with pytest.raises(ValueError, match="no worker 'b'; the workers are a"):
        skilled_pool(SUMS, {"a": {}}, prices={"b": {"input": 1, "output": 1}})
    conductor = create_conductor(fixed.single("a"), skilled_pool(SUMS, {"a": {}}), on_step_error="raise")
    with pytest.raises(Exception, match="knows no task with the question"):
        conductor.invoke(ask("Another?"))
