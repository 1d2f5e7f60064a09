"""From an evaluation to its numbers."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from statistics import fmean

from langgraph_conductor.episodes import Episode
from langgraph_conductor.evals.comparing import compare, currency_of, scores, with_front
from langgraph_conductor.evals.results import Evaluation, Outcome
from langgraph_conductor.evals.stats import Estimate, entropy, mean_interval
from langgraph_conductor.evals.summary import StrategySummary, Summary, Use
from langgraph_conductor.rewards import Task


def summarise(evaluation: Evaluation) -> Summary:
    """The numbers of an evaluation.

    Args:
        evaluation: What was found.

    Raises:
        ValueError: If a strategy has episodes of a task that is not the evaluation's, or two strategies or tasks
            have one name.
    """
    _check(evaluation)
    tasks = {task.id: task for task in evaluation.tasks}
    found = [_strategy(outcome, tasks) for outcome in evaluation.outcomes]
    systems = [one for one in found if one.kind != "ceiling"]
    currency = currency_of(systems)
    comparisons, left_out = compare(evaluation)
    return Summary(
        suite=evaluation.suite,
        split=evaluation.split,
        tasks=len(tasks),
        domains=dict(sorted(Counter(task.domain for task in tasks.values()).items())),
        complete=evaluation.complete and _whole(evaluation),
        reference=evaluation.reference,
        currency=currency,
        strategies=tuple(with_front(systems, evaluation, currency)),
        ceilings=tuple(one for one in found if one.kind == "ceiling"),
        comparisons=comparisons,
        left_out=left_out,
        about=dict(evaluation.about),
    )


def _check(evaluation: Evaluation) -> None:
    ids = [task.id for task in evaluation.tasks]
    names = [outcome.strategy for outcome in evaluation.outcomes]
    for what, given in (("task", ids), ("strategy", names)):
        if twice := [name for name, count in Counter(given).items() if count > 1]:
            raise ValueError(f"the evaluation has the {what} {twice[0]!r} twice; each must be there once")
    for outcome in evaluation.outcomes:
        if strange := set(outcome.episodes) - set(ids):
            raise ValueError(
                f"{outcome.strategy!r} has episodes of task {min(strange)!r}, which is not in the evaluation"
            )


def _whole(evaluation: Evaluation) -> bool:
    """Whether every strategy has as many samples of every task as any has of one."""
    systems = [outcome.episodes for outcome in evaluation.outcomes if outcome.kind != "ceiling"]
    counts = {len(episodes.get(task.id, ())) for episodes in systems for task in evaluation.tasks}
    return len(counts) < 2 and 0 not in counts


def _strategy(outcome: Outcome, tasks: Mapping[str, Task]) -> StrategySummary:
    every = [episode for task in tasks for episode in outcome.episodes.get(task, ())]
    scored = [episode for episode in every if episode.score is not None]
    steps = Counter(
        step["worker"] for episode in scored for record in episode.rounds for step in record["steps"]
    )
    shares = {
        worker: count / steps.total()
        for worker, count in sorted(steps.items(), key=lambda s: (-s[1], s[0]))
    }
    seconds = [episode.rounds[1] for episode in scored if len(episode.rounds) > 1]
    return StrategySummary(
        strategy=outcome.strategy,
        kind=outcome.kind,
        note=outcome.note,
        asked=sum(bool(outcome.episodes.get(task)) for task in tasks),
        samples=len(every),
        infra=len(every) - len(scored),
        errors=sum(bool(episode.error) for episode in scored),
        stopped=sum(bool(episode.stopped) for episode in every),
        accuracy=_accuracy(outcome, tasks),
        valid=sum(episode.valid for episode in scored),
        scored=len(scored),
        accuracy_if_valid=_accuracy(outcome, tasks, only=lambda episode: episode.valid),
        reached=dict(sorted(Counter(episode.reached for episode in scored).items())),
        use=_use(scored) if scored else None,
        steps_by_difficulty=_steps_by_difficulty(outcome, tasks),
        shares=shares,
        entropy=entropy(shares),
        rounds={str(n): count for n, count in sorted(Counter(len(e.rounds) for e in scored).items())},
        second_rounds=len(seconds),
        accepted=sum(record["accepted"] for record in seconds),
        domains={
            domain: _accuracy(outcome, [id_ for id_, task in tasks.items() if task.domain == domain])
            for domain in sorted({task.domain for task in tasks.values()})
        },
    )


def _accuracy(
    outcome: Outcome, tasks: Iterable[str], only: Callable[[Episode], bool] = lambda _: True
) -> Estimate:
    kept = ([episode for episode in outcome.episodes.get(task, ()) if only(episode)] for task in tasks)
    return mean_interval([scores(episodes) for episodes in kept])


def _use(scored: Sequence[Episode]) -> Use:
    def mean(figure: Callable[[Episode], float]) -> float:
        return fmean(map(figure, scored))

    walls = sorted(episode.wall_seconds for episode in scored)
    return Use(
        planner_tokens=mean(lambda e: e.planner.total_tokens),
        worker_tokens=mean(lambda e: e.workers.total_tokens),
        planner_usd=_mean_usd(
            [e.planner.usd for e in scored], sum(e.planner.unpriced_calls for e in scored)
        ),
        worker_usd=_mean_usd(
            [e.workers.usd for e in scored], sum(e.workers.unpriced_calls for e in scored)
        ),
        unpriced_calls=sum(episode.usage.unpriced_calls for episode in scored),
        planner_calls=mean(lambda e: e.planner.calls),
        worker_calls=mean(lambda e: e.workers.calls),
        steps=mean(_steps),
        wall_mean=fmean(walls),
        wall_p95=walls[math.ceil(0.95 * len(walls)) - 1],
    )


def _mean_usd(amounts: Sequence[Decimal | None], unpriced: int) -> float | None:
    # Without calls there is no price, and nothing to pay.
    return None if unpriced else float(sum((usd or Decimal() for usd in amounts), Decimal()) / len(amounts))


def _steps(episode: Episode) -> int:
    return sum(len(record["steps"]) for record in episode.rounds)


def _steps_by_difficulty(outcome: Outcome, tasks: Mapping[str, Task]) -> dict[str, float]:
    steps: dict[int, list[int]] = {}
    for id_, task in tasks.items():
        scored = [episode for episode in outcome.episodes.get(id_, ()) if episode.score is not None]
        steps.setdefault(task.difficulty, []).extend(map(_steps, scored))
    return {str(difficulty): fmean(many) for difficulty, many in sorted(steps.items()) if many}
