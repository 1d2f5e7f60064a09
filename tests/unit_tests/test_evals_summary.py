"""The numbers of an evaluation, against numbers worked out apart."""

import json
import random
from dataclasses import replace
from decimal import Decimal

import pytest

from langgraph_conductor import Usage
from langgraph_conductor.evals.comparing import verdict
from langgraph_conductor.evals.results import Evaluation, Outcome
from langgraph_conductor.evals.stats import Paired, paired, wilson
from langgraph_conductor.evals.summarising import summarise
from tests.evaluations import a_round, episode, evaluation, outcome, tasks, usage


def only(found):
    (one,) = found.strategies
    return one


def test_accuracy_counts_tasks_and_leaves_infrastructure_out():
    asked = tasks(10)
    found = only(
        summarise(evaluation(asked, outcome("a", "planner", asked, [1, 1, 1, 0, 0, None, None, 1, 1, 1])))
    )
    assert (found.accuracy.value, found.accuracy.n) == (0.75, 8)
    assert (found.accuracy.low, found.accuracy.high) == pytest.approx(wilson(6, 8))
    assert (found.asked, found.samples, found.scored, found.infra) == (10, 10, 8, 2)


def test_samples_are_averaged_in_their_task():
    asked = tasks(3)
    found = only(summarise(evaluation(asked, outcome("a", "planner", asked, [[1, 1], [1, 0], [0, None]]))))
    assert found.accuracy.value == pytest.approx((1 + 0.5 + 0) / 3)
    assert (found.accuracy.n, found.samples, found.infra) == (3, 6, 1)


def test_a_domain_has_its_own_accuracy():
    asked = tasks(6)  # domains 0 1 2 0 1 2
    found = summarise(evaluation(asked, outcome("a", "planner", asked, [1, 0, None, 1, 1, None])))
    domains = only(found).domains
    assert {name: (one.value, one.n) for name, one in domains.items()} == {
        "algebra": (1.0, 2),
        "dates": (0.5, 2),
        "logic": (None, 0),
    }
    assert found.domains == {"algebra": 2, "dates": 2, "logic": 2}


def made(asked, *episodes):
    return Outcome("a", "planner", {task.id: (one,) for task, one in zip(asked, episodes, strict=True)})


def test_plans():
    asked = tasks(5)
    two = (a_round(0, "coder"), a_round(1, accepted=True))
    again = (a_round(0, "coder"), a_round(1, "coder", "critic"))
    fallback = (a_round(0, "coder", reached="fallback"),)
    found = only(
        summarise(
            evaluation(
                asked,
                made(
                    asked,
                    episode(asked[0], 1.0, rounds=two),
                    episode(asked[1], 0.0, rounds=again, reached="repair"),
                    episode(asked[2], 1.0, rounds=fallback, valid=False, reached="fallback"),
                    episode(
                        asked[3],
                        0.0,
                        rounds=(),
                        valid=False,
                        reached="invalid",
                        error="no plan",
                        stopped="usd",
                    ),
                    episode(
                        asked[4],
                        None,
                        rounds=(),
                        valid=False,
                        reached="fallback",
                        infra="outage",
                        stopped="usd",
                    ),
                ),
            )
        )
    )
    assert (found.valid, found.scored) == (2, 4)  # an outage is not the planner's fault
    assert (found.accuracy_if_valid.value, found.accuracy_if_valid.n) == (0.5, 2)
    assert found.reached == {"fallback": 1, "invalid": 1, "repair": 1, "unaided": 1}
    assert found.rounds == {"0": 1, "1": 1, "2": 2}
    assert (found.second_rounds, found.accepted) == (2, 1)
    assert (found.errors, found.stopped, found.infra) == (1, 2, 1)


def test_use():
    asked = tasks(4)
    walls, costs = (1.0, 2.0, 3.0, 40.0), ("0.1", "0.2", "0.3", "0.4")
    rounds = [a_round(0, *["coder"] * n) for n in (1, 2, 3, 2)]
    episodes = [
        episode(
            task, 1.0, wall_seconds=walls[i], rounds=(rounds[i],), planner=usage(i, 10 * i, "0.001"), workers=usage(i + 1, 100, costs[i])
        )
        for i, task in enumerate(asked)
    ]  # fmt: skip
    use = only(summarise(evaluation(asked, made(asked, *episodes)))).use
    assert (use.planner_tokens, use.worker_tokens, use.tokens) == (15, 100, 115)
    assert (use.planner_usd, use.worker_usd) == pytest.approx((0.001, 0.25))
    assert use.usd == pytest.approx(0.251)
    assert (use.planner_calls, use.worker_calls, use.steps) == (1.5, 2.5, 2.0)
    assert (use.wall_mean, use.wall_p95, use.unpriced_calls) == (11.5, 40.0, 0)


def test_p95_leaves_one_in_twenty_above():
    asked = tasks(40)
    episodes = [episode(task, 1.0, wall_seconds=float(i)) for i, task in enumerate(asked)]
    assert only(summarise(evaluation(asked, made(asked, *episodes)))).use.wall_p95 == 37.0


def test_what_an_outage_used_is_no_figure_of_a_question():
    asked = tasks(2)
    episodes = episode(asked[0], 1.0), episode(asked[1], None, workers=usage(99, 9999, None))
    use = only(summarise(evaluation(asked, made(asked, *episodes)))).use
    assert (use.worker_tokens, use.worker_usd, use.unpriced_calls) == (200, pytest.approx(0.02), 0)
    nothing = only(summarise(evaluation(asked, outcome("a", "planner", asked, [None, None]))))
    assert (nothing.use, nothing.accuracy.value, nothing.front) == (None, None, "")


def test_an_unknown_price_is_unknown_and_never_zero():
    asked = tasks(2)
    some = Usage(calls=2, input_tokens=10, usd=Decimal("0.5"), unpriced_calls=1)
    episodes = episode(asked[0], 1.0, workers=usage()), episode(asked[1], 1.0, workers=some)
    found = summarise(evaluation(asked, made(asked, *episodes)))
    use = only(found).use
    assert (use.worker_usd, use.usd, use.unpriced_calls) == (None, None, 1)
    assert use.planner_usd == pytest.approx(0.001)
    assert found.currency == "tokens"
    # Without calls there is nothing to pay, which is known.
    free = summarise(evaluation(asked, outcome("a", "single", asked, [1, 1], planner=Usage())))
    assert (only(free).use.planner_usd, free.currency) == (0.0, "usd")


def test_steps_and_shares():
    asked = tasks(4)  # difficulties 1 2 1 2
    rounds = ["ab", "aaa", "b", "aab"]
    episodes = [
        episode(task, 1.0, rounds=(a_round(0, *workers),))
        for task, workers in zip(asked, rounds, strict=True)
    ]
    found = only(summarise(evaluation(asked, made(asked, *episodes))))
    assert found.steps_by_difficulty == {"1": 1.5, "2": 3.0}
    assert found.shares == pytest.approx({"a": 6 / 9, "b": 3 / 9})
    assert found.entropy == pytest.approx(0.9183, abs=1e-4)


def test_an_outage_is_in_no_count_but_its_own():
    asked = tasks(2)
    lost = episode(asked[1], None, rounds=(a_round(0, "other"),), reached="repair", error="no answer")
    found = only(summarise(evaluation(asked, made(asked, episode(asked[0], 1.0), lost))))
    assert (found.valid, found.scored, found.errors, found.infra) == (1, 1, 0, 1)
    assert (found.reached, found.shares) == ({"unaided": 1}, {"coder": 1.0})


def test_a_second_round_is_the_second_of_several():
    asked = tasks(1)
    rounds = (a_round(0, "coder"), a_round(1, accepted=True), a_round(2, "coder"))
    found = only(summarise(evaluation(asked, made(asked, episode(asked[0], 1.0, rounds=rounds)))))
    assert (found.second_rounds, found.accepted, found.rounds) == (1, 1, {"3": 1})


def test_calls_without_a_price_are_the_planners_too():
    asked = tasks(1)
    use = only(
        summarise(evaluation(asked, made(asked, episode(asked[0], 1.0, planner=usage(2, 9, None)))))
    ).use
    assert (use.unpriced_calls, use.planner_usd, use.worker_usd) == (2, None, pytest.approx(0.02))


def test_every_sample_has_steps_and_tells_of_a_difference():
    asked = tasks(4)
    long, short = a_round(0, "a", "a", "a"), a_round(0, "a")
    several = {
        task.id: (episode(task, 1.0, rounds=(long,)), episode(task, 0.0, rounds=(short,))) for task in asked
    }
    one, other = Outcome("a", "planner", several), outcome("b", "single", asked, [[0, 0], [1, 0]] * 2)
    found = summarise(evaluation(asked, one, other, reference="b"))
    assert found.strategies[0].steps_by_difficulty == {"1": 2.0, "2": 2.0}
    assert found.comparisons[0].paired == paired([0.5] * 4, [0, 0.5, 0, 0.5], 2)
    assert found.comparisons[0].paired != paired([0.5] * 4, [0, 0.5, 0, 0.5], 1)


def test_steps_of_all_rounds_count():
    asked = tasks(1)
    rounds = (a_round(0, "a", "b"), a_round(1, "b"))
    found = only(summarise(evaluation(asked, made(asked, episode(asked[0], 1.0, rounds=rounds)))))
    assert (found.use.steps, found.shares) == (3, {"b": 2 / 3, "a": 1 / 3})


def drawn(n, *rates, seed=1):
    draw = random.Random(seed)
    return [[float(draw.random() < rate) for _ in range(n)] for rate in rates]


def test_a_better_planner_is_found_and_an_equal_one_is_not():
    asked = tasks(150)
    single, better, equal, worse = drawn(150, 0.6, 0.9, 0.6, 0.2)
    found = summarise(
        evaluation(
            asked,
            outcome("single(a)", "single", asked, single),
            outcome("better", "planner", asked, better),
            outcome("equal", "planner", asked, equal),
            outcome("worse", "floor", asked, worse),
            outcome("oracle", "ceiling", asked, [1.0] * 150),
            reference="single(a)",
            comparisons=(("better", "equal"), ("better", "single(a)")),
        )
    )
    verdicts = {(one.a, one.b): one.verdict for one in found.comparisons}
    assert verdicts == {
        ("better", "single(a)"): "better",
        ("equal", "single(a)"): "no difference shown",
        ("worse", "single(a)"): "worse",
        ("better", "equal"): "better",
    }
    first = found.comparisons[0]
    assert first.paired == paired(better, single)
    ordered = sorted(one.paired.p for one in found.comparisons)
    assert min(one.adjusted for one in found.comparisons) == pytest.approx(4 * ordered[0])
    assert max(one.adjusted for one in found.comparisons) == pytest.approx(ordered[-1])
    assert [one.strategy for one in found.ceilings] == ["oracle"]
    assert "oracle" not in [one.strategy for one in found.strategies]
    assert found.ceilings[0].front == ""
    assert found.left_out == ()


def test_a_question_is_asked_once_whichever_way_round():
    asked = tasks(3)
    made = [outcome(name, "planner", asked, [1, 0, 1]) for name in "abc"]
    wanted = (("b", "a"), ("a", "b"), ("a", "c"), ("c", "b"), ("a", "c"))
    found = summarise(evaluation(asked, *made, reference="a", comparisons=wanted))
    assert [(one.a, one.b) for one in found.comparisons] == [("b", "a"), ("c", "a"), ("c", "b")]


def test_equal_strategies_are_seldom_told_apart():
    asked = tasks(60)
    shown = 0
    for seed in range(40):
        a, b = drawn(60, 0.5, 0.5, seed=seed)
        found = summarise(
            evaluation(
                asked, outcome("a", "single", asked, a), outcome("b", "planner", asked, b), reference="a"
            )
        )
        shown += found.comparisons[0].verdict != "no difference shown"
    assert shown <= 5  # 2 are to be expected; more than 5 once in a hundred times


@pytest.mark.parametrize(
    ("low", "high", "adjusted", "expected"),
    [
        (0.01, 0.2, 0.049, "better"),
        (0.01, 0.2, 0.05, "no difference shown"),
        (-0.2, -0.01, 0.01, "worse"),
        (-0.2, -0.01, 0.05, "no difference shown"),
        (-0.01, 0.2, 0.01, "no difference shown"),
        (0.0, 0.2, 0.01, "no difference shown"),
    ],
)
def test_a_verdict_needs_interval_and_p(low, high, adjusted, expected):
    pair = Paired(50, 0, (low + high) / 2, low, high, adjusted, 9, 2, 0.1)
    assert verdict(pair, adjusted) == expected


def test_pairs_leave_out_what_either_side_has_no_score_for():
    asked = tasks(4)
    found = summarise(
        evaluation(
            asked,
            outcome("a", "single", asked, [1, 1, None, 0]),
            outcome("b", "planner", asked, [1, 0, 1, [None, None]]),
            reference="a",
        )
    )
    pair = found.comparisons[0].paired
    assert (pair.n, pair.left_out, pair.difference, pair.a_ahead, pair.b_ahead) == (2, 2, -0.5, 0, 1)


def test_comparisons_that_cannot_be_made_are_told():
    asked = tasks(2)
    a, oracle = outcome("a", "single", asked, [1, 0]), outcome("o", "ceiling", asked, [1, 1])
    found = summarise(evaluation(asked, a, oracle, comparisons=(("a", "o"), ("a", "gone"), ("a", "a"))))
    assert found.comparisons == ()
    assert found.left_out == (
        "a is not compared with o: o is a ceiling, not a system",
        "a is not compared with gone: gone was not run",
        "a is not compared with itself",
    )
    late = summarise(evaluation(asked, a, reference="gone"))
    assert late.left_out == ("a is not compared with gone: gone was not run",)


def test_the_front_needs_a_shown_lead_to_rule_out():
    asked = tasks(100)
    cheap, dear = usage(1, 10, "0.01"), usage(1, 100, "0.10")

    def of(name, right, worker, kind="planner"):
        scores = [1.0] * right + [0.0] * (100 - right)
        return outcome(name, kind, asked, scores, workers=worker)

    found = summarise(
        evaluation(
            asked,
            of("cheap good", 80, cheap),
            of("dear near", 78, dear),
            of("dear bad", 40, dear),
            of("dearest best", 95, usage(1, 100, "0.11")),
            of("oracle", 100, usage(0, 0, "0"), "ceiling"),
        )
    )
    assert {one.strategy: one.front for one in found.strategies} == {
        "cheap good": "on the front",
        "dear near": "not ruled out",
        "dear bad": "dominated",
        "dearest best": "on the front",
    }
    assert found.currency == "usd"


def test_the_front_is_in_tokens_where_a_price_is_unknown_or_all_is_free():
    asked = tasks(4)
    told = outcome("a", "single", asked, [1, 1, 1, 0], workers=usage(1, 1000, "0.0001"))
    untold = outcome("b", "single", asked, [1, 1, 1, 0], workers=usage(1, 10, None))
    found = summarise(evaluation(asked, told, untold))
    assert found.currency == "tokens"
    assert [one.front for one in found.strategies] == ["not ruled out", "on the front"]
    free = outcome("a", "single", asked, [1, 1, 1, 0], workers=usage(1, 10, "0"), planner=Usage())
    assert summarise(evaluation(asked, free)).currency == "tokens"


def test_an_incomplete_evaluation_is_told():
    asked = tasks(4)
    whole = outcome("a", "single", asked, [1, 1, 0, 0])
    half = Outcome(
        "b", "planner", dict(list(outcome("b", "planner", asked, [1, 1, 0, 0]).episodes.items())[:2])
    )
    assert summarise(evaluation(asked, whole)).complete
    assert not summarise(evaluation(asked, whole, complete=False)).complete
    found = summarise(evaluation(asked, whole, half, reference="a"))
    assert not found.complete
    assert [one.asked for one in found.strategies] == [4, 2]
    assert (found.comparisons[0].paired.n, found.comparisons[0].paired.left_out) == (2, 2)
    # Less often is not whole either; an outage was asked.
    twice = outcome("a", "single", asked, [[1, 1], [None, 1], [0, 0], [0, 1]])
    assert summarise(evaluation(asked, twice)).complete
    assert not summarise(
        evaluation(asked, twice, outcome("b", "planner", asked, [[1, 1]] * 3 + [1]))
    ).complete
    assert not summarise(evaluation(asked, replace(whole, episodes={}))).complete


def test_contradictions_are_refused():
    asked = tasks(2)
    a = outcome("a", "single", asked, [1, 0])
    with pytest.raises(ValueError, match="strategy 'a' twice"):
        summarise(evaluation(asked, a, a))
    with pytest.raises(ValueError, match="twice"):
        summarise(evaluation((*asked, asked[0]), a))
    with pytest.raises(ValueError, match=r"'a' has episodes of task .* not in the evaluation"):
        summarise(evaluation(asked[:1], a))


def test_it_is_json_and_survives_saving(tmp_path):
    asked = tasks(6)
    one = evaluation(
        asked,
        outcome("a", "single", asked, [1, 0, 1, None, [1, 0], 1]),
        outcome("b", "planner", asked, [1, 1, 1, 1, 0, 0], workers=usage(1, 5, None)),
        reference="a",
        about={"seed": 3},
    )
    found = summarise(one)
    data = found.to_json()
    assert json.loads(json.dumps(data, allow_nan=False))["strategies"][0]["accuracy"]["n"] == 5
    one.save(tmp_path / "e.json")
    assert summarise(Evaluation.load(tmp_path / "e.json")) == found


def test_nothing_at_all():
    found = summarise(evaluation(()))
    assert (found.tasks, found.strategies, found.comparisons, found.complete) == (0, (), (), True)
