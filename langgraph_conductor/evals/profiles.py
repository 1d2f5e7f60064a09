"""Profiles of workers, from what they did alone."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from statistics import fmean

from langgraph_conductor.episodes import Episode
from langgraph_conductor.evals.results import Outcome
from langgraph_conductor.planners.profiles import Measured, Profiles, WorkerProfile
from langgraph_conductor.rewards import Task, final_answer

_SINGLE = re.compile(r"single\((.+)\)\Z")


def profiles_of(
    outcomes: Iterable[Outcome],
    tasks: Iterable[Task],
    *,
    suite: str = "",
    split: str = "",
    date: str | None = None,
) -> Profiles:
    """Profiles of the workers, from the outcomes of kind `"single"`; other kinds are passed over.

    Episodes the infrastructure failed are left out: they say nothing of the worker. A worker of which nothing
    else is known has no profile.

    Args:
        outcomes: Of strategies named `"single(worker)"`.
        tasks: What was asked; their domains are the profiles'. Episodes of other tasks are left out.
        suite: Name of the suite.
        split: Which part of it; the training split, if the others are to be reported.
        date: Day of the measurement; today if left out.

    Raises:
        ValueError: If an outcome of kind `"single"` names no worker.
    """
    domains = {task.id: task.domain for task in tasks}
    workers = {}
    for outcome in outcomes:
        if outcome.kind == "single" and (profile := _profile(outcome, domains)):
            workers[_worker(outcome)] = profile
    return Profiles(workers, suite, split, datetime.now(UTC).date().isoformat() if date is None else date)


def _worker(outcome: Outcome) -> str:
    if found := _SINGLE.match(outcome.strategy):
        return found[1]
    raise ValueError(f'a strategy of kind "single" is named "single(worker)", not {outcome.strategy!r}')


def _profile(outcome: Outcome, domains: Mapping[str, str]) -> WorkerProfile | None:
    by_domain: dict[str, list[list[Episode]]] = {}
    for task, episodes in outcome.episodes.items():
        known = [episode for episode in episodes if episode.score is not None]
        if known and task in domains:
            by_domain.setdefault(domains[task], []).append(known)
    if not by_domain:
        return None
    overall = _measured([item for items in by_domain.values() for item in items])
    return WorkerProfile(overall, {name: _measured(by_domain[name]) for name in sorted(by_domain) if name})


def _measured(items: Sequence[Sequence[Episode]]) -> Measured:
    """Of the episodes of each task: the task is the unit, since samples of one task are alike."""
    episodes = [episode for item in items for episode in item]
    seconds = sorted(episode.wall_seconds for episode in episodes)
    return Measured(
        n=len(items),
        accuracy=fmean(fmean(episode.score or 0.0 for episode in item) for item in items),
        tokens=fmean(episode.usage.total_tokens for episode in episodes),
        seconds=fmean(seconds),
        p95_seconds=seconds[math.ceil(0.95 * len(seconds)) - 1],
        readable=fmean(final_answer(episode.answer) is not None for episode in episodes),
        usd=_mean_usd(episodes),
    )


def _mean_usd(episodes: Sequence[Episode]) -> Decimal | None:
    if any(episode.usage.unpriced_calls for episode in episodes):
        return None
    total = sum((episode.usage.usd or Decimal(0) for episode in episodes), Decimal(0))
    return round(total / len(episodes), 12).normalize() if total else Decimal(0)
