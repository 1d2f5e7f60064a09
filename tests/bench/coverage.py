"""Whether an evaluation finds what is so: a synthetic pool of known accuracies, questions of the suite "skills".

For each of 20 seeds, tasks are drawn and every strategy runs on the real path: `Runner`, `run_episode`, a reply
store, `summarise`. Each figure with a closed form has a 95 % interval, and it is counted in how many seeds the
interval holds the truth. The truth is that of the drawn tasks, the mean of their chances. The intervals also
allow for other tasks, so that they are a little wide where tasks differ: coverage may exceed 95 %.

Limits are what chance allows: of n outcomes that each go well with chance p, the fewest that are not rarer than
one in a thousand (`fewest`). So an interval of 95 % must hold the truth in at least 15 of 20 seeds, and a
difference that is not there may be shown in at most 5. One that is there must be shown as often as the power
says: that of the normal distribution at the level 5 % over the number of comparisons, than which Holm's is never
stricter. All draws are hashes of the seed: the figures are the same each time.
"""

import asyncio
import gc
import logging
import random
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from math import comb, isclose, sqrt
from multiprocessing import get_context
from pathlib import Path
from statistics import NormalDist, fmean

from langgraph_conductor.evals.ceilings import oracle
from langgraph_conductor.evals.results import Evaluation, Outcome
from langgraph_conductor.evals.running import Runner
from langgraph_conductor.evals.stats import wilson
from langgraph_conductor.evals.summarising import summarise
from langgraph_conductor.evals.summary import StrategySummary, Summary
from langgraph_conductor.planners import fixed
from langgraph_conductor.prompts import worker_prompt
from langgraph_conductor.replay import ReplyStore
from langgraph_conductor.rewards import Task
from tests.bench.synthetic import (
    NULLS,
    OUTAGES,
    REFERENCE,
    SKILLS,
    VALID,
    VOTES,
    all_tasks,
    chances,
    strategies,
)

SEEDS, TASKS = 20, 100


@dataclass
class Found:
    """What one seed gave."""

    holds: dict[str, bool] = field(default_factory=dict)
    verdicts: dict[str, str] = field(default_factory=dict)
    power: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    """Exact figures that are not exact."""

    def interval(self, name: str, low: float, high: float, truth: float) -> None:
        self.holds[name] = low - 1e-9 <= truth <= high + 1e-9

    def share(self, name: str, count: int, n: int, truth: float) -> None:
        self.interval(name, *wilson(count, n), truth)

    def exact(self, name: str, measured: float | None, truth: float) -> None:
        if measured is None or not isclose(measured, truth, rel_tol=1e-9, abs_tol=1e-12):
            self.wrong.append(f"{name}: {measured}, not {truth}")


def fewest(n: int, chance: float) -> int:
    """The fewest of `n` that go well, unless something happens that is rarer than 1 in 1000."""
    below, least = 0.0, -1
    while below <= 0.001:
        least += 1
        below += comb(n, least) * chance**least * (1 - chance) ** (n - least)
    return least


async def evaluated(seed: int, tasks: tuple[Task, ...]) -> tuple[Evaluation, Outcome]:
    """Every strategy once, and the reference with two samples."""
    made = strategies(seed, tasks)
    reference = next(one for one in made if one.name == REFERENCE)
    with tempfile.TemporaryDirectory() as folder, ReplyStore(Path(folder) / "replies.sqlite") as store:
        outcomes = [await Runner(store).run(strategy, tasks) for strategy in made]
        twice = await Runner(store, samples=2).run(reference, tasks)
    singles = [outcome for outcome in outcomes if outcome.kind == "single"]
    outcomes.append(oracle("worker oracle", singles))
    return Evaluation("skills", "test", tasks, tuple(outcomes), REFERENCE), twice


def study(seed: int) -> Found:
    """One seed."""
    tasks = tuple(random.Random(seed).sample(all_tasks(), TASKS))
    evaluation, twice = asyncio.run(evaluated(seed, tasks))
    summary, truth, found = summarise(evaluation), chances(tasks), Found()
    by_name = {one.strategy: one for one in (*summary.strategies, *summary.ceilings)}
    for name, one in by_name.items():
        if name != "outages":
            found.interval(f"accuracy: {name}", one.accuracy.low, one.accuracy.high, fmean(truth[name]))
            found.exact(f"outages of {name}", one.infra, 0)
    groups(found, by_name, tasks, truth)
    shares(found, by_name, evaluation, truth)
    differences(found, summary, evaluation, truth)
    again(found, twice, tasks, truth[REFERENCE])
    uses(found, by_name, evaluation)
    found.exact("complete", summary.complete, True)
    return found


def groups(
    found: Found,
    by_name: Mapping[str, StrategySummary],
    tasks: Sequence[Task],
    truth: Mapping[str, Sequence[float]],
) -> None:
    for worker in SKILLS:
        name = f"single({worker})"
        for group, measured in by_name[name].domains.items():
            expected = fmean(p for p, task in zip(truth[name], tasks, strict=True) if task.domain == group)
            if group == "unsolvable":  # a leak in a grader would show here
                found.exact(f"{name} in {group}", measured.value, 0.0)
            else:
                found.interval(f"accuracy in {group}: {name}", measured.low, measured.high, expected)


def shares(
    found: Found,
    by_name: Mapping[str, StrategySummary],
    evaluation: Evaluation,
    truth: Mapping[str, Sequence[float]],
) -> None:
    """Validity, outages, and which workers are asked."""
    router = by_name["random router"]
    for worker in SKILLS:
        steps = round(router.shares.get(worker, 0.0) * TASKS)
        found.share(f"share of the random router: {worker}", steps, TASKS, 1 / len(SKILLS))
    sometimes, down = by_name["sometimes valid"], by_name["outages"]
    found.share("share of valid plans", sometimes.valid, sometimes.scored, VALID)
    found.share("share of outages", down.infra, down.samples, OUTAGES)
    found.exact("outages and scores", down.infra + down.scored, TASKS)
    for name, one, of, chosen in (
        ("accuracy given a valid plan", sometimes.accuracy_if_valid, "sometimes valid", "single(ben)"),
        ("accuracy without the outages", down.accuracy, "outages", REFERENCE),
    ):
        episodes = evaluation.outcome(of).episodes
        counted = [
            p
            for p, task in zip(truth[chosen], evaluation.tasks, strict=True)
            if episodes[task.id][0].score is not None and episodes[task.id][0].valid
        ]
        found.interval(name, one.low, one.high, fmean(counted))


def differences(
    found: Found, summary: Summary, evaluation: Evaluation, truth: Mapping[str, Sequence[float]]
) -> None:
    """Intervals of differences, verdicts, and the power they had by the normal distribution."""
    asked = NormalDist().inv_cdf(1 - 0.025 / len(summary.comparisons))  # Holm is never stricter
    for one in summary.comparisons:
        episodes = evaluation.outcome(one.a).episodes
        pairs = [
            (p, q)
            for p, q, task in zip(truth[one.a], truth[one.b], evaluation.tasks, strict=True)
            if episodes[task.id][0].score is not None
        ]
        difference = fmean(p - q for p, q in pairs)
        found.interval(f"difference: {one.a}", one.paired.low, one.paired.high, difference)
        found.verdicts[one.a] = one.verdict
        error = sqrt(sum(p * (1 - p) + q * (1 - q) for p, q in pairs)) / len(pairs)
        found.power[one.a] = NormalDist().cdf(abs(difference) / error - asked)


def again(found: Found, twice: Outcome, tasks: tuple[Task, ...], truth: Sequence[float]) -> None:
    """The reference with two samples for each task; and one of them against the other."""
    once = Evaluation("skills", "test", tasks, (twice,))
    accuracy = summarise(once).strategies[0].accuracy
    found.interval("accuracy: two samples", accuracy.low, accuracy.high, fmean(truth))
    first, second = (
        Outcome(name, "fixed", {task: (many[i],) for task, many in twice.episodes.items()})
        for i, name in enumerate(("first", "second"))
    )
    (against,) = summarise(Evaluation("skills", "test", tasks, (first, second), "first")).comparisons
    found.interval("difference: itself", against.paired.low, against.paired.high, 0.0)
    found.verdicts["itself"] = against.verdict


def uses(found: Found, by_name: Mapping[str, StrategySummary], evaluation: Evaluation) -> None:
    """Steps, calls, tokens and money, which follow from who was asked and who was right."""
    two = fmean(len(task.skills) == 2 for task in evaluation.tasks)
    amounts = {
        "majority": (VOTES + 1, VOTES),  # counting calls no model
        "mixture": (len(SKILLS) + 1, len(SKILLS) + 1),
        "chain(ben, eve)": (2, 2),
        "better": (1 + two, 1 + two),
    }
    for name, one in by_name.items():
        if one.kind != "ceiling":
            steps, calls = amounts.get(name, (1, 1))
            found.exact(f"steps of {name}", one.use and one.use.steps, steps)
            found.exact(f"calls of {name}", one.use and one.use.worker_calls, calls)
    for difficulty, steps in by_name["better"].steps_by_difficulty.items():
        found.exact("steps by difficulty", steps, int(difficulty))
    for worker in SKILLS:
        sent = said = 0
        for task in evaluation.tasks:
            question = ({"type": "text", "text": task.question},)
            right = evaluation.outcome(f"single({worker})").episodes[task.id][0].score
            sent += len(worker_prompt(question, fixed.SOLVE, is_final=True).split())
            said += len(f"I am {worker} and thought about it. {task.answer if right else 'wrong'}".split())
        use = by_name[f"single({worker})"].use
        found.exact(f"tokens of {worker}", use and use.tokens, (sent + said) / TASKS)
        found.exact(f"dollars of {worker}", use and use.usd, (sent + 10 * said) / 1e6 / TASKS)


def _prepare() -> None:
    """In a process that only studies: plans that fail are no news, and little garbage is there to collect."""
    logging.disable(logging.WARNING)
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def main() -> bool:
    with ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=_prepare) as pool:
        found = list(pool.map(study, range(SEEDS)))
    print(f"coverage: {SEEDS} seeds, {TASKS} tasks of the suite, {len(SKILLS)} workers of known accuracy")
    good = [_intervals(found), _verdicts(found)]
    wrong = sorted({line for one in found for line in one.wrong})
    print(f"  steps, calls, tokens, money and counts that are not exact: {len(wrong)}  (limit 0)")
    for line in wrong[:10]:
        print(f"    {line}")
    return all(good) and not wrong


def _intervals(found: Sequence[Found]) -> bool:
    held = Counter(name for one in found for name, holds in one.holds.items() if holds)
    asked = Counter(name for one in found for name in one.holds)
    good = True
    for name, n in asked.items():
        least = fewest(n, 0.95)
        good &= held[name] >= least
        print(f"  {name:<44} {held[name]:>2} of {n}  (limit {least})")
    total, least = asked.total(), fewest(asked.total(), 0.95)
    print(
        f"  all {len(asked)} figures: {held.total()} of {total}, {held.total() / total:.1%}  (limit {least})"
    )
    return good and held.total() >= least


def _verdicts(found: Sequence[Found]) -> bool:
    good = True
    for name in ("better", "worse"):
        power = min(one.power[name] for one in found)
        right, least = sum(one.verdicts[name] == name for one in found), fewest(len(found), power)
        good &= right >= least and power > 0.95
        print(
            f"  {name} by construction, found {name}: {right} of {len(found)}  (power {power:.4f}, limit {least})"
        )
    shown = 0
    for name in (*NULLS, "itself"):
        none = sum(one.verdicts[name] == "no difference shown" for one in found)
        least = fewest(len(found), 0.95)
        shown += len(found) - none
        good &= none >= least
        print(
            f"  {name}: no difference by construction, none shown: {none} of {len(found)}  (limit {least})"
        )
    n = len(found) * (len(NULLS) + 1)
    print(f"  differences shown where there are none: {shown} of {n}, {shown / n:.1%}  (level 5 %)")
    return good


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
