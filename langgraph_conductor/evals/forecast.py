"""What an evaluation will ask, and what that is likely to cost: known before the first call is paid."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from langgraph_conductor.evals.strategies import Strategy
from langgraph_conductor.evals.votes import VOTE
from langgraph_conductor.planners import Planner
from langgraph_conductor.planners.fixed import SOLVE
from langgraph_conductor.rewards import Task
from langgraph_conductor.usage import Usage
from langgraph_conductor.workers import WorkerPool
from langgraph_conductor.workers.composed import models_in
from langgraph_conductor.workers.worker import cost_of
from langgraph_conductor.workflow import Step, Workflow

REPLY_TOKENS: Final = 500
"""Assumed length of a reply."""
LIKELY_STEPS: Final = 3
"""Assumed steps of a workflow that a planner writes."""
LIKELY_VOTES: Final = 1 + LIKELY_STEPS
"""Assumed size of a majority vote: as many answers as a planned question has calls."""

_PLAN_TOKENS: Final = 1500
"""Assumed length of a planner's prompt."""
_MOST_PLANS: Final = 3
"""A plan that cannot be read is asked for again, at most twice."""
_SAMPLED: Final = 16
"""Questions the price of an answer is the mean of."""
_SECONDS: Final = 5.0
"""Assumed time of a call to a server; as many run side by side as there are episodes at once."""
_EMBEDDED_SECONDS: Final = 0.5
"""Assumed time of a call to the embedded model, which answers a few at once on this machine's own cores."""
_EMBEDDED: Final = "langgraph_conductor.local."


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is to come, of all strategies together.

    Agents may call their models more often, and failed calls are repeated: neither is counted.

    Args:
        what: What it is of, such as `"12 train and 12 test questions"`.
        strategies: Runs of a strategy over the questions of a split.
        episodes: Questions asked, over all of them.
        calls: Calls of workers and planners that are likely, without those another strategy has paid.
        most_calls: Most calls.
        usd: Their likely price in US dollars, as far as it is known.
        unpriced_calls: Likely calls of models whose price is unknown.
        seconds: Their likely time; a rough guess until the first have answered.
    """

    what: str
    strategies: int
    episodes: int
    calls: int
    most_calls: int
    usd: Decimal
    unpriced_calls: int
    seconds: float


@dataclass(frozen=True, slots=True)
class _Each:
    """One likely call: money, the share without a known price, and seconds."""

    usd: Decimal = Decimal()
    unpriced: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Part:
    """What one strategy asks of each question: calls of the planner and of workers, likely and at most."""

    plans: int
    most_plans: int
    steps: float
    most_steps: int


def forecast(
    what: str, groups: Iterable[tuple[Sequence[Strategy], Sequence[Task]]], samples: int, concurrency: int
) -> Forecast:
    """What it takes to ask strategies questions.

    Args:
        what: What it is a forecast of.
        groups: Strategies, and the tasks each of them is asked. A second round is paid alone where the strategy
            without it is asked the same.
        samples: Episodes for each task.
        concurrency: Episodes at once.
    """
    total = Forecast(what, 0, 0, 0, 0, Decimal(), 0, 0.0)
    for strategies, tasks in groups:
        names = {strategy.name for strategy in strategies}
        episodes = len(tasks) * samples
        for strategy in strategies:
            part = _part(strategy, names)
            answer = _answer(strategy.pool, tasks, concurrency)
            plan = _plan(strategy.planner, concurrency)
            calls = round(episodes * (part.plans + part.steps))
            unpriced = round(episodes * (part.plans * plan.unpriced + part.steps * answer.unpriced))
            total = replace(
                total,
                strategies=total.strategies + 1,
                episodes=total.episodes + episodes,
                calls=total.calls + calls,
                most_calls=total.most_calls + episodes * (part.most_plans + part.most_steps),
                usd=total.usd + episodes * (part.plans * plan.usd + Decimal(part.steps) * answer.usd),
                unpriced_calls=total.unpriced_calls + unpriced,
                seconds=total.seconds
                + episodes * (part.plans * plan.seconds + part.steps * answer.seconds),
            )
    return total


def _part(strategy: Strategy, names: set[str]) -> _Part:
    more = strategy.max_rounds - 1
    if strategy.kind == "planner":
        # The first round of the strategy with two is that of the one without, and is read from the store.
        rounds = more if strategy.name.removesuffix(", 2 rounds") in names - {strategy.name} else 1 + more
        steps = min(LIKELY_STEPS, strategy.max_steps)
        return _Part(rounds, _MOST_PLANS * rounds, steps * rounds, strategy.max_steps * rounds)
    if more and strategy.name.removesuffix(", 2 rounds") in names:
        return _Part(0, 0, more, more)  # reviews alone
    likely = (
        (1 + strategy.max_steps) / 2 if strategy.name.startswith("random workflow") else strategy.max_steps
    )
    return _Part(0, 0, likely + more, strategy.max_steps + more)


def _answer(pool: WorkerPool, tasks: Sequence[Task], concurrency: int) -> _Each:
    """One worker's answer, the mean over those that may be last."""
    able = [worker for worker in pool if worker.may_be_last and worker.name != VOTE]
    asked = tasks[: max(1, _SAMPLED // len(able))]
    found = []
    for worker in able:
        if _is_embedded(worker.runnable):
            found.append(_Each(seconds=_EMBEDDED_SECONDS))
            continue
        alone = Workflow((Step(worker.name, SOLVE),))
        for task in asked:
            used = pool.estimate(alone, task.question, reply_tokens=REPLY_TOKENS).likely
            found.append(_each(used, used.calls * _SECONDS / concurrency))
    return _mean(found)


def _each(used: Usage, seconds: float) -> _Each:
    return _Each(used.usd or Decimal(), float(used.unpriced_calls), seconds)


def _mean(found: Sequence[_Each]) -> _Each:
    n = max(1, len(found))
    return _Each(
        sum((one.usd for one in found), Decimal()) / n,
        sum(one.unpriced for one in found) / n,
        sum(one.seconds for one in found) / n,
    )


def _plan(planner: Planner, concurrency: int) -> _Each:
    model = next(iter(models_in(getattr(planner, "model", None))), None)
    if model is None:
        return _Each()
    if _is_embedded(model):
        return _Each(seconds=_EMBEDDED_SECONDS)
    prices: Any = getattr(planner, "prices", None) or {}
    usage = Usage(calls=1, input_tokens=_PLAN_TOKENS, output_tokens=REPLY_TOKENS, unpriced_calls=1)
    return _each(cost_of(usage, model, prices), _SECONDS / concurrency)


def _is_embedded(runnable: Any) -> bool:
    """Whether it is one of the embedded models, which cost nothing."""
    kinds: tuple[Any, ...] = (runnable, *type(runnable).__mro__)
    return any(str(getattr(kind, "__module__", "")).startswith(_EMBEDDED) for kind in kinds)
