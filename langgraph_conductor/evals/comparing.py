"""Who is better than whom, and who is worth its cost."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import permutations
from statistics import fmean
from typing import Final

from langgraph_conductor.episodes import Episode
from langgraph_conductor.evals.results import Evaluation, Outcome
from langgraph_conductor.evals.stats import Paired, difference_interval, holm, paired, pareto
from langgraph_conductor.evals.summary import Comparison, Currency, Front, StrategySummary, Verdict
from langgraph_conductor.rewards import Task

SIGNIFICANT: Final = 0.05
"""Holm-adjusted p under which a difference is shown, if its interval agrees."""


def scores(episodes: Iterable[Episode]) -> list[float]:
    """The scores of one task's samples, without those that the infrastructure failed."""
    return [episode.score for episode in episodes if episode.score is not None]


def _means(outcome: Outcome, tasks: Iterable[Task]) -> list[float | None]:
    given = [scores(outcome.episodes.get(task.id, ())) for task in tasks]
    return [fmean(samples) if samples else None for samples in given]


def side_by_side(
    evaluation: Evaluation, a: str, b: str, tasks: Iterable[Task] | None = None
) -> tuple[list[float | None], list[float | None], int]:
    """What `paired` takes: the means of two strategies on the same tasks, all if left out, and their samples.

    Raises:
        KeyError: If one of them was not run.
    """
    outcomes = evaluation.outcome(a), evaluation.outcome(b)
    samples = max((len(many) for outcome in outcomes for many in outcome.episodes.values()), default=1)
    asked = evaluation.tasks if tasks is None else tuple(tasks)
    one, other = (_means(outcome, asked) for outcome in outcomes)
    return one, other, max(samples, 1)


def compare(evaluation: Evaluation) -> tuple[tuple[Comparison, ...], tuple[str, ...]]:
    """Every comparison that was asked for, and sentences on those that cannot be made."""
    kinds = {outcome.strategy: outcome.kind for outcome in evaluation.outcomes}
    wanted = list(evaluation.comparisons)
    if evaluation.reference:
        others = [
            name for name, kind in kinds.items() if kind != "ceiling" and name != evaluation.reference
        ]
        wanted = [(name, evaluation.reference) for name in others] + wanted
    pairs: list[tuple[str, str]] = []
    left_out = []
    for a, b in dict.fromkeys(wanted):
        unknown = [name for name in (a, b) if name not in kinds]
        oracle = [name for name in (a, b) if kinds.get(name) == "ceiling"]
        if unknown:
            left_out.append(f"{a} is not compared with {b}: {unknown[0]} was not run")
        elif oracle:
            left_out.append(f"{a} is not compared with {b}: {oracle[0]} is a ceiling, not a system")
        elif a == b:
            left_out.append(f"{a} is not compared with itself")
        elif (b, a) not in pairs:  # the same question, asked the other way round, is not asked again
            pairs.append((a, b))
    found = [paired(*side_by_side(evaluation, a, b)) for a, b in pairs]
    adjusted = holm([pair.p for pair in found])
    compared = (
        Comparison(a, b, pair, p, verdict(pair, p))
        for (a, b), pair, p in zip(pairs, found, adjusted, strict=True)
    )
    return tuple(compared), tuple(left_out)


def verdict(pair: Paired, adjusted: float) -> Verdict:
    """What a comparison shows: a difference only if interval and adjusted p agree on it.

    Args:
        pair: The comparison.
        adjusted: Its p, adjusted for how many comparisons there are.
    """
    if adjusted < SIGNIFICANT and pair.low > 0:
        return "better"
    if adjusted < SIGNIFICANT and pair.high < 0:
        return "worse"
    return "no difference shown"


def currency_of(systems: Sequence[StrategySummary]) -> Currency:
    """What the cost of these strategies can be counted in."""
    amounts = [one.use.usd for one in systems if one.use]
    return "usd" if None not in amounts and any(amounts) else "tokens"


def with_front(
    systems: Sequence[StrategySummary], evaluation: Evaluation, currency: Currency
) -> list[StrategySummary]:
    """The same with `front` filled in; see `Front` for the rule."""
    costs, accuracies = {}, {}
    for one in systems:
        if one.use and one.accuracy.value is not None:
            costs[one.strategy] = one.use.tokens if currency == "tokens" else one.use.usd or 0.0
            accuracies[one.strategy] = one.accuracy.value
    on_front = dict(zip(costs, pareto([*costs.values()], [*accuracies.values()]), strict=True))
    beaten = set()
    for loser, winner in permutations(costs, 2):
        if not on_front[loser] and loser not in beaten and costs[winner] <= costs[loser]:
            low, _ = difference_interval(*side_by_side(evaluation, winner, loser))
            if low >= 0:
                beaten.add(loser)

    def front(name: str) -> Front:
        if name not in costs:
            return ""
        return "on the front" if on_front[name] else "dominated" if name in beaten else "not ruled out"

    return [replace(one, front=front(one.strategy)) for one in systems]
