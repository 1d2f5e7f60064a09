"""Statistics: against scipy, published examples, and by simulation."""

import itertools
import math
import random
import time

import numpy as np
import pytest
from scipy import stats as scipy_stats

from langgraph_conductor.evals.stats import (
    entropy,
    holm,
    mean_interval,
    of_few,
    paired,
    pareto,
    sign_flip,
    smallest_detectable,
)
from langgraph_conductor.intervals import wilson


@pytest.mark.parametrize(
    ("k", "n", "low", "high"), [(27, 30, 0.744, 0.965), (28, 30, 0.787, 0.982), (170, 198, 0.803, 0.900)]
)
def test_wilson_of_worked_examples(k, n, low, high):
    assert wilson(k, n) == pytest.approx((low, high), abs=5e-4)


def test_wilson_is_scipys_and_stays_inside():
    for n in (1, 2, 7, 40):
        for k in range(n + 1):
            theirs = scipy_stats.binomtest(k, n).proportion_ci(method="wilson")
            assert wilson(k, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert wilson(0, 5)[0] == 0
    assert wilson(5, 5)[1] == 1
    assert wilson(0, 0) == (0.0, 1.0)
    with pytest.raises(ValueError, match="from 0 to 3, not 4"):
        wilson(4, 3)


def test_one_sample_an_item_is_wilson():
    found = mean_interval([[1.0]] * 27 + [[0.0]] * 3)
    assert (found.low, found.high) == pytest.approx(wilson(27, 30))
    assert (found.value, found.n) == (0.9, 30)


def test_samples_of_an_item_are_no_new_items():
    once = mean_interval([[1.0], [0.0]] * 20)
    # Eight times the same tells nothing new.
    again = mean_interval([[1.0] * 8, [0.0] * 8] * 20)
    assert (again.low, again.high, again.n) == pytest.approx((once.low, once.high, 40))
    # Samples that vary freely do, nearly up to as many items: that they do is known from 20 items.
    free = mean_interval([[1.0, 0.0]] * 20)
    sure = 40 * (scipy_stats.norm.ppf(0.975) / scipy_stats.t.ppf(0.975, 19)) ** 2
    assert (free.low, free.high) == pytest.approx(wilson(sure / 2, sure), abs=1e-5)
    # Of one item, however often, nothing is learned about others.
    one = mean_interval([[1.0] * 8 + [0.0] * 2])
    assert (one.low, one.high) == pytest.approx(wilson(0.8, 1))
    assert mean_interval([[1.0, 0.0, 1.0], [], [0.0]]).value == pytest.approx(1 / 3)  # items weigh the same
    assert mean_interval([[], []]).value is None
    assert mean_interval([[1.0, 1.0]] * 30).low == pytest.approx(wilson(30, 30)[0])


def test_coverage_of_a_mean_of_several_samples():
    rng = np.random.default_rng(1)
    for n, k, spread in (
        (2, 8, 0.5),
        (3, 10, 0.5),
        (5, 16, 1.0),
        (10, 16, 1.0),
        (30, 4, 0.5),
        (100, 8, 2.0),
    ):
        held = 0
        for _ in range(300):
            rates = rng.beta(4 * spread, 1 * spread, n)
            found = mean_interval([list(map(float, rng.random(k) < rate)) for rate in rates])
            held += found.low <= 0.8 <= found.high
        assert held / 300 >= 0.92, (n, k)


def pairs(a_only, b_only, both, neither):
    a = [1.0] * a_only + [0.0] * b_only + [1.0] * both + [0.0] * neither
    b = [0.0] * a_only + [1.0] * b_only + [1.0] * both + [0.0] * neither
    return a, b


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [
        # The limits that are published for method 10.
        ((12, 2, 36, 0), 0.0569, 0.3404),
        ((1, 0, 0, 29), -0.0832, 0.1667),
        ((0, 0, 30, 0), -0.1135, 0.1135),
    ],
)
def test_paired_interval_of_worked_examples(table, low, high):
    found = paired(*pairs(*table))
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-4)


def method_10(f, g, e, h):
    """Newcombe's formulas as he writes them, for both right (e), one of them (f, g), none (h)."""
    n = e + f + g + h
    one, other = (scipy_stats.binomtest(k, n).proportion_ci(method="wilson") for k in (e + f, e + g))
    p1, p2 = (e + f) / n, (e + g) / n
    product, cross = (e + f) * (g + h) * (e + g) * (f + h), e * h - f * g
    phi = 0.0
    if product:
        phi = (cross if cross < 0 else max(cross - n / 2, 0)) / math.sqrt(product)
    dl1, du1, dl2, du2 = p1 - one.low, one.high - p1, p2 - other.low, other.high - p2
    down = math.sqrt(dl1**2 - 2 * phi * dl1 * du2 + du2**2)
    up = math.sqrt(dl2**2 - 2 * phi * dl2 * du1 + du1**2)
    return p1 - p2 - down, p1 - p2 + up


def test_paired_interval_is_method_10():
    for table in itertools.product((0, 1, 7), (0, 3, 8), (0, 2, 30), (1, 5, 20)):
        found = paired(*pairs(*table))
        assert (found.low, found.high) == pytest.approx(method_10(*table), abs=1e-9), table


def test_paired_test_is_mcnemars():
    for a_only, b_only in itertools.product((0, 1, 4, 9), (0, 3, 10)):
        found = paired(*pairs(a_only, b_only, 20, 5))
        expected = scipy_stats.binomtest(a_only, a_only + b_only).pvalue if a_only + b_only else 1.0
        assert found.p == pytest.approx(expected)
        assert (found.a_ahead, found.b_ahead, found.n) == (a_only, b_only, 25 + a_only + b_only)
        assert found.difference == pytest.approx((a_only - b_only) / found.n)
    assert paired(*pairs(4, 3, 10, 10)).p == 1.0


def test_paired_is_antisymmetric():
    a, b = pairs(9, 2, 20, 5)
    one, other = paired(a, b), paired(b, a)
    assert (one.difference, one.low, one.high) == pytest.approx(
        (-other.difference, -other.high, -other.low)
    )
    assert one.p == other.p


def test_items_without_a_score_are_left_out_of_the_pair():
    found = paired([1.0, None, 0.0, None], [0.0, 1.0, None, None])
    assert (found.n, found.left_out, found.difference) == (1, 3, 1.0)
    none = paired([None], [1.0])
    assert (none.n, none.p, none.low, none.high, none.detectable) == (0, 1.0, -1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="zip"):
        paired([1.0], [])


def brute_force(differences):
    size = len(differences)
    observed = abs(sum(differences))
    sums = (
        abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
        for signs in itertools.product((1, -1), repeat=size)
    )
    return sum(total >= observed - 1e-9 for total in sums) / 2**size


def test_the_interval_of_few_is_students():
    """By hand: mean 4, deviation 2, t(2) = 4.302653; and as scipy has it."""
    low, high = of_few([2, 4, 6])
    assert (low, high) == pytest.approx((4 - 4.302653 * 2 / math.sqrt(3), 4 + 4.302653 * 2 / math.sqrt(3)))
    values = [0.05, 0.08, 0.03, -0.01]
    expected = scipy_stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert of_few(values) == pytest.approx((expected.low, expected.high))
    with pytest.raises(ValueError, match="at least two"):
        of_few([1.0])


def test_sign_flips_are_all_counted():
    draw = random.Random(3)
    for samples in (2, 3, 4, 7, 11, 13, 16, 64):
        differences = [draw.randint(-samples, samples) / samples for _ in range(9)]
        assert sign_flip(differences) == pytest.approx(brute_force(differences))
    assert sign_flip([]) == sign_flip([0.0, 0.0]) == 1.0
    assert sign_flip([0.25] * 6) == pytest.approx(2 / 2**6)
    assert sign_flip([1 / 11, -1 / 13, 0.5]) == 1.0 * brute_force([1 / 11, -1 / 13, 0.5])  # off the grid


def test_sign_flips_of_many_tasks_take_no_time():
    rng = np.random.default_rng(2)
    for n, samples in ((10_000, 1), (2_000, 11)):
        differences = (rng.binomial(samples, 0.52, n) - rng.binomial(samples, 0.5, n)) / samples
        began = time.process_time()
        p = sign_flip(differences.tolist())
        assert time.process_time() - began < 2
        normal = 2 * scipy_stats.norm.sf(abs(differences.sum()) / math.sqrt((differences**2).sum()))
        assert p == pytest.approx(normal, abs=0.01)


DISCORDANCE = [
    (0.0, 0.0, 0.9),
    (0.02, 0.02, 0.9),
    (0.1, 0.05, 0.8),
    (0.2, 0.1, 0.5),
    (0.3, 0.3, 0.2),
    (0.3, 0.0, 0.1),
]


def test_paired_interval_covers_and_seldom_contradicts_the_test():
    rng = np.random.default_rng(7)
    apart, tables, runs = 0, 0, 150
    for n, (a_only, b_only, both) in itertools.product((20, 60, 200), DISCORDANCE):
        held = 0
        for counts in rng.multinomial(n, [a_only, b_only, both, 1 - a_only - b_only - both], runs):
            found = paired(*pairs(*map(int, counts)))
            held += found.low - 1e-12 <= a_only - b_only <= found.high + 1e-12
            outside, tested = not found.low <= 0 <= found.high, found.p < 0.05
            apart += outside != tested
            assert outside or not tested  # the test is the stricter one
        tables += runs
        # 150 runs of a true 95 % fall below this one time in a thousand.
        assert held / runs >= 0.893, (n, a_only, b_only, held / runs)
        if n == 60:
            assert held / runs >= 0.92
    assert apart / tables < 0.06


@pytest.mark.parametrize(("n", "k"), [(20, 8), (40, 4), (100, 2)])
def test_paired_interval_of_means_covers_and_seldom_contradicts_the_test(n, k):
    rng = np.random.default_rng(11)
    held, apart, runs = 0, 0, 300
    for _ in range(runs):
        easy = rng.beta(2, 1, n)
        a, b = (rng.binomial(k, rate) / k for rate in (np.minimum(1, easy + 0.1 * (1 - easy)), easy))
        found = paired(a.tolist(), b.tolist(), k)
        held += found.low <= 0.1 / 3 <= found.high  # E[1 - easy] = 1/3
        apart += (found.low <= 0 <= found.high) != (found.p >= 0.05)
    assert held / runs >= 0.925
    assert apart / runs < 0.05


def test_smallest_detectable():
    # Textbook: 2.8 standard errors.
    for n, expected in ((30, 0.18), (198, 0.070), (500, 0.044), (1000, 0.031)):
        assert smallest_detectable(n, 0.35, samples=4) == pytest.approx(expected, abs=1.5e-3)
    assert smallest_detectable(120, 0.0) == pytest.approx(
        7.85 / 120, abs=1e-3
    )  # about 8 discordant items, all one way
    assert smallest_detectable(3, 1.0) == 1.0
    # Where items hardly differ, each sample is another chance to.
    assert paired([0.5] * 40, [0.5] * 40, 4).detectable == pytest.approx(7.85 / 160, abs=1e-3)
    # Items that never differed so far say little, if they are few.
    assert paired([1.0] * 20, [1.0] * 20).detectable == pytest.approx(0.392, abs=1e-3)


def test_the_detectable_difference_is_found_as_often_as_said():
    rng = np.random.default_rng(5)
    n, discordant = 200, 0.2
    gap = smallest_detectable(n, math.sqrt(discordant))
    chances = [(discordant + gap) / 2, (discordant - gap) / 2, 0.5, 1 - 0.5 - discordant]
    found = [paired(*pairs(*map(int, counts))).p < 0.05 for counts in rng.multinomial(n, chances, 300)]
    assert 0.70 <= np.mean(found) <= 0.88  # the exact test falls a little short of 0.8


def test_holm():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_entropy():
    assert entropy({"a": 1.0}) == 0.0
    assert entropy({"a": 0.25, "b": 0.25, "c": 0.25, "d": 0.25, "e": 0.0}) == 2.0
    assert entropy({"a": 0.7, "b": 0.3}) == pytest.approx(scipy_stats.entropy([0.7, 0.3], base=2))
    assert entropy({}) == 0


def test_pareto():
    assert pareto([1, 2, 3, 3], [0.5, 0.4, 0.9, 0.8]) == [True, False, True, False]
    assert pareto([1, 1], [0.5, 0.5]) == [True, True]  # neither is better in anything
    assert pareto([1, 2], [0.5, 0.5]) == [True, False]
