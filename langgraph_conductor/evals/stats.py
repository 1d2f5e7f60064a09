"""Intervals, tests and the smallest difference that could be seen, with the item as the unit.

Several samples of one item are averaged first: they are not independent. Sources: E. Miller, "Adding Error Bars to
Evals" (arXiv 2411.00640), for the item as unit; the rest is named where it is used.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev
from typing import Final

from langgraph_conductor.intervals import Z, wilson

_POWER: Final = NormalDist().inv_cdf(0.8)

_COARSE: Final = 64
_GRID: Final = 5040
"""Differences are counted in the largest parts, from 1 down to 1 / `_COARSE`, that fit all; else in these."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share and its 95 % interval.

    Args:
        value: From 0 to 1; `None` if there is nothing to judge by.
        low: Lower end of the interval.
        high: Upper end of the interval.
        n: Items it rests on.
    """

    value: float | None
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Paired:
    """Two strategies on the same items.

    Args:
        n: Items both have a score for.
        left_out: Items that one of them has no score for.
        difference: Mean of `a - b` over the items, from -1 to 1.
        low: Lower end of its 95 % interval.
        high: Upper end of its 95 % interval.
        p: Exact two-sided p of "whose score is whose does not matter".
        a_ahead: Items on which `a` scored higher. With `b_ahead`, the discordant ones.
        b_ahead: Items on which `b` scored higher.
        detectable: The smallest true difference found with 80 % power, from 0 to 1.
    """

    n: int
    left_out: int
    difference: float
    low: float
    high: float
    p: float
    a_ahead: int
    b_ahead: int
    detectable: float


def mean_interval(items: Sequence[Sequence[float]]) -> Estimate:
    """The mean over items of the mean over each item's samples, with its 95 % interval.

    It is Wilson's interval at the effective sample size: how many independent samples would vary as much as the
    items' means do, fewer where few items tell how much they vary (Korn and Graubard 1998, by Student's t), at
    least the items and at most the samples. For one 0/1 sample per item that is Wilson's interval of the items.

    Args:
        items: The scores of each item's samples, from 0 to 1; items without any are left out.
    """
    given = [samples for samples in items if samples]
    if not given:
        return Estimate(None, 0.0, 1.0, 0)
    means = [fmean(samples) for samples in given]
    mean, n = fmean(means), len(given)
    effective = _effective_size(means, sum(map(len, given)))
    return Estimate(mean, *wilson(mean * effective, effective), n)


def paired(a: Sequence[float | None], b: Sequence[float | None], samples: int = 1) -> Paired:
    """How much better `a` is than `b` on the same items.

    The interval is Newcombe's (1998, "Improved confidence intervals for the difference between binomial
    proportions based on paired data", method 10); items that are means of samples enter it with their effective
    size. The test is the exact sign-flip test, which for 0/1 items is the exact McNemar test. It is a little
    stricter than the interval, so claim a difference only where both do.

    Args:
        a: Score of each item, from 0 to 1, the mean if there are several samples; `None` if unknown.
        b: The same of the other strategy, in the same order.
        samples: Samples per item, at most.

    Raises:
        ValueError: If the lengths differ.
    """
    both = [(x, y) for x, y in zip(a, b, strict=True) if x is not None and y is not None]
    left_out, n = len(a) - len(both), len(both)
    if not both:
        return Paired(0, left_out, 0.0, -1.0, 1.0, 1.0, 0, 0, 1.0)
    differences = [x - y for x, y in both]
    low, high = difference_interval(a, b, samples)
    spread = math.sqrt(fmean(d * d for d in differences))
    return Paired(
        n=n,
        left_out=left_out,
        difference=fmean(differences),
        low=low,
        high=high,
        p=sign_flip(differences),
        a_ahead=sum(d > 0 for d in differences),
        b_ahead=sum(d < 0 for d in differences),
        detectable=smallest_detectable(n, spread, samples),
    )


def difference_interval(
    a: Sequence[float | None], b: Sequence[float | None], samples: int = 1
) -> tuple[float, float]:
    """The interval of `paired` alone, which takes no time."""
    both = [(x, y) for x, y in zip(a, b, strict=True) if x is not None and y is not None]
    return _newcombe([x for x, _ in both], [y for _, y in both], samples) if both else (-1.0, 1.0)


def of_few(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of a mean by Student's t: of few values, such as the difference of each seed.

    Args:
        values: At least two.

    Raises:
        ValueError: If there are fewer.
    """
    if len(values) < 2:
        raise ValueError("one value says nothing of how much others would differ: at least two are needed")
    mean, half = fmean(values), _student(len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return mean - half, mean + half


def sign_flip(differences: Sequence[float]) -> float:
    """Exact two-sided p that the differences' signs are as by chance; McNemar's exact test if they are -1, 0, 1.

    All sign patterns are counted, none is drawn: the distribution of the sum is built up one difference at a
    time, on a grid. It fits any number of samples up to 64; where outages left unlike numbers of them,
    differences off the finer grid are rounded to it, which keeps the test valid.

    Args:
        differences: One per item, from -1 to 1.

    Raises:
        ImportError: If numpy is not installed.
    """
    try:
        import numpy as np
    except ImportError as error:
        raise ImportError("the exact test needs numpy: pip install 'langgraph-conductor[eval]'") from error

    steps = _on_grid([d for d in differences if round(d * _GRID)])
    if not steps:
        return 1.0
    unit = math.gcd(*steps)
    sizes = [abs(step) // unit for step in steps]
    observed, most = abs(sum(steps)) // unit, sum(sizes)
    chance = np.zeros(most + 1)  # of the sum of the sizes that fall to one side
    chance[0], reach = 1.0, 0
    for size in sizes:
        before = chance[: reach + 1] / 2
        reach += size
        chance[: reach + 1 - size] = before
        chance[reach + 1 - size : reach + 1] = 0.0
        chance[size : reach + 1] += before
    sums = np.abs(2 * np.arange(most + 1) - most)
    return min(1.0, float(chance[sums >= observed].sum()))


def smallest_detectable(n: int, spread: float, samples: int = 1) -> float:
    """The smallest true difference a two-sided test at 5 % finds with 80 % power.

    `2.8 * spread / sqrt(n)`, but at least `2.8**2 / n / samples`: a difference needs as many discordant samples,
    which spread.

    Args:
        n: Items.
        spread: Standard deviation of the items' differences if the true one is zero; for 0/1 items
            the square root of the share of discordant ones.
        samples: Samples per item, at most.

    Returns:
        From 0 to 1.
    """
    reach = (Z + _POWER) / math.sqrt(n)
    return min(1.0, max(reach * spread, reach**2 / samples))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values adjusted for how many there are (Holm 1979), in their order."""
    adjusted, floor = [1.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        floor = max(floor, min(1.0, p_values[i] * (len(p_values) - rank)))
        adjusted[i] = floor
    return adjusted


def entropy(shares: Mapping[str, float]) -> float:
    """How evenly shares that add up to 1 are spread, in bits: 0 for one alone, log2(k) for k equal ones."""
    return sum(-share * math.log2(share) for share in shares.values() if share > 0)


def pareto(costs: Sequence[float], accuracies: Sequence[float]) -> list[bool]:
    """Whether each is on the front: no other is as cheap and as accurate, and better in one of the two."""
    points = list(zip(costs, accuracies, strict=True))
    return [
        not any(c <= cost and a >= accuracy and (c, a) != (cost, accuracy) for c, a in points)
        for cost, accuracy in points
    ]


def _on_grid(differences: Sequence[float]) -> list[int]:
    for parts in (*range(1, _COARSE + 1), _GRID):
        steps = [round(d * parts) for d in differences]
        if all(abs(d * parts - step) < 1e-9 for d, step in zip(differences, steps, strict=True)):
            break
    return steps


def _effective_size(means: Sequence[float], samples: int) -> float:
    mean, n = fmean(means), len(means)
    variance = fmean((x - mean) ** 2 for x in means)
    if n == 1 or mean < 1e-9 or mean > 1 - 1e-9:  # the items are all we know
        return n
    alike = samples if variance <= 1e-12 else min(n * mean * (1 - mean) / variance, samples)
    return max(alike * (Z / _student(n - 1)) ** 2, n)


def _student(freedom: int) -> float:
    """The 97.5 % quantile of Student's t."""
    from scipy.stats import t  # slow to import, and needed for several samples alone

    return float(t.ppf(0.975, freedom))


def _newcombe(a: Sequence[float], b: Sequence[float], samples: int) -> tuple[float, float]:
    n, one, other = len(a), fmean(a), fmean(b)
    (low_a, high_a), (low_b, high_b) = (
        wilson(mean * size, size)
        for mean, size in ((one, _effective_size(a, n * samples)), (other, _effective_size(b, n * samples)))
    )
    covariance = fmean((x - one) * (y - other) for x, y in zip(a, b, strict=True))
    # Method 10 takes half a sample off a positive association.
    shared = max(0.0, covariance - 1 / (2 * n * samples)) if covariance > 0 else covariance
    spreads = math.sqrt(fmean((x - one) ** 2 for x in a) * fmean((y - other) ** 2 for y in b))
    together = max(-1.0, min(1.0, shared / spreads)) if spreads > 1e-12 else 0.0

    def reach(own: float, others: float) -> float:
        return math.sqrt(max(0.0, own**2 - 2 * together * own * others + others**2))

    difference = one - other
    return difference - reach(one - low_a, high_b - other), difference + reach(high_a - one, other - low_b)
