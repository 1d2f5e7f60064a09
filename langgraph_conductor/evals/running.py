"""Runs strategies over tasks: many episodes at once, stopped at a limit of money, gone on with from the store."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from langgraph_conductor.budget import Budget, Ledger
from langgraph_conductor.episodes import Episode, run_episode
from langgraph_conductor.errors import BudgetExceededError
from langgraph_conductor.evals.forecast import Forecast
from langgraph_conductor.evals.results import Outcome
from langgraph_conductor.evals.strategies import Strategy
from langgraph_conductor.graph.checks import check_bounds
from langgraph_conductor.replay import Expenses, ReplyStore
from langgraph_conductor.rewards import Task
from langgraph_conductor.usage import Usage


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a strategy is.

    Args:
        phase: What it is run for: `"train"` or the split that is reported.
        strategy: Its name.
        done: Episodes that are over.
        total: Episodes in all.
        right: Episodes whose answer was right.
        infra: Episodes without a score, since the infrastructure failed.
        errors: Episodes without an answer for another reason than an outage or the budget.
        failure: What failed in the latest of either.
        paid: What was really paid so far, by all strategies.
        replayed: What replies from the store would have cost.
    """

    phase: str
    strategy: str
    done: int
    total: int
    right: int
    infra: int
    errors: int
    failure: str
    paid: Usage
    replayed: Usage


def _ignore(_: Progress | Forecast) -> None:
    return None


@dataclass(slots=True)
class Runner:
    """Runs strategies over tasks.

    Args:
        store: Where replies and runs are kept. A run that was broken off goes on where it was: nothing
            that is kept is asked again, and episodes in which the infrastructure failed are.
        samples: Episodes for each task, with seeds from `seed` up.
        seed: The first seed.
        concurrency: Episodes at once. Limits of workers hold across all of them.
        budget: What each episode may use.
        limit_usd: What all of them together may really pay; replies from the store cost nothing. Every
            model call's worst case has to fit (`Budget`).
        on_progress: Told after each episode.
        fallback: The worker that answers alone where planning fails; by default the first of the pool.
        on_forecast: Told what an evaluation will ask before its first call, and again before more than that is
            asked: a majority vote is sized by what a planner has cost. What it raises ends the evaluation there.
    """

    store: ReplyStore
    samples: int = 1
    seed: int = 0
    concurrency: int = 32
    budget: Budget | None = None
    limit_usd: str | None = None
    on_progress: Callable[[Progress], None] = _ignore
    fallback: str | None = None
    on_forecast: Callable[[Forecast], None] = _ignore
    stopped: str = field(default="", init=False)
    """Why the limit ended it, if it did; nothing more is run then."""
    expenses: Expenses = field(init=False)

    def __post_init__(self) -> None:
        for name in ("samples", "concurrency"):
            if type(getattr(self, name)) is not int or getattr(self, name) < 1:
                raise ValueError(f"{name} must be a whole number from 1 up, not {getattr(self, name)!r}")
        self.expenses = Expenses(None if self.limit_usd is None else Ledger(Budget(usd=self.limit_usd)))

    def check(self, strategy: Strategy) -> None:
        """Refuse a strategy whose calls the limit, or the budget of an episode, could not bound.

        Raises:
            ValueError: If a model has no output cap, or no known price.
        """
        limit = self.expenses.ledger
        for budget in (self.budget, limit.budget if limit else None):
            check_bounds(budget, strategy.planner, strategy.pool)

    async def run(self, strategy: Strategy, tasks: Sequence[Task], phase: str = "test") -> Outcome:
        """Run a strategy over tasks.

        Args:
            strategy: What to run.
            tasks: What to ask it.
            phase: What for, to be shown.

        Returns:
            Its outcome; if the limit ended it, without the episodes that were not run.

        Raises:
            ValueError: See `check`.
            Exception: Whatever `run_episode` raises.
        """
        self.check(strategy)
        tally = _Tally(len(tasks) * self.samples)
        waiting = iter([(task, n) for task in tasks for n in range(self.samples)])
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self.concurrency, tally.total)):
                    group.create_task(self._work(strategy, waiting, tally, phase))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        done = tally.episodes
        episodes = {
            task.id: tuple(done[task.id, n] for n in range(self.samples) if (task.id, n) in done)
            for task in tasks
        }
        kept = {task: many for task, many in episodes.items() if many}
        return Outcome(strategy.name, strategy.kind, kept, strategy.note)

    async def _work(
        self, strategy: Strategy, waiting: Iterator[tuple[Task, int]], tally: "_Tally", phase: str
    ) -> None:
        for task, n in waiting:
            if self.stopped:
                return
            try:
                episode = await run_episode(
                    task,
                    strategy.planner,
                    strategy.pool,
                    seed=self.seed + n,
                    store=self.store,
                    max_steps=strategy.max_steps,
                    max_rounds=strategy.max_rounds,
                    budget=self.budget,
                    fallback=self.fallback,
                    expenses=self.expenses,
                )
            except BudgetExceededError as refusal:
                self.stopped = str(refusal)
                return
            tally.add(task, n, episode)
            paid, replayed = self.expenses.paid, self.expenses.replayed
            done = len(tally.episodes)
            self.on_progress(
                Progress(
                    phase,
                    strategy.name,
                    done,
                    tally.total,
                    tally.right,
                    tally.infra,
                    tally.errors,
                    tally.failure,
                    paid,
                    replayed,
                )
            )


@dataclass(slots=True)
class _Tally:
    total: int
    right: int = 0
    infra: int = 0
    errors: int = 0
    failure: str = ""
    episodes: dict[tuple[str, int], Episode] = field(default_factory=dict)

    def add(self, task: Task, n: int, episode: Episode) -> None:
        self.episodes[task.id, n] = episode
        self.right += episode.score == 1.0
        self.infra += episode.score is None
        self.errors += episode.score is not None and bool(episode.error)
        self.failure = episode.infra or episode.error or self.failure
