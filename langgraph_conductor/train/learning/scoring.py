"""Scoring plan texts by running them: what a policy's text is worth is what became of it."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from threading import Lock, Thread
from types import TracebackType
from typing import Literal, Protocol

from langgraph_conductor.dialect import Accept
from langgraph_conductor.episodes import Episode, run_episode
from langgraph_conductor.errors import BudgetExceededError, PlanError
from langgraph_conductor.graph.checks import check_bounds
from langgraph_conductor.planners import PlanRequest, fixed
from langgraph_conductor.records import RoundRecord
from langgraph_conductor.replay import Expenses, ReplyStore
from langgraph_conductor.replies import storable
from langgraph_conductor.train.learning.asks import Ask, Scored
from langgraph_conductor.train.learning.rewards import Rewards, reward_of
from langgraph_conductor.usage import Usage
from langgraph_conductor.workers import WorkerPool
from langgraph_conductor.workers.worker import cost_of
from langgraph_conductor.workflow import Workflow

_ACCEPTED = "model_id = []\nsubtasks = []\naccess_list = []"


class Reader(Protocol):
    """What reads plans, such as a `ChatPlanner`."""

    def parse(self, text: str, request: PlanRequest) -> Workflow | Accept:
        """The workflow in `text`.

        Raises:
            PlanError: If there is none these workers can run.
        """
        ...


class Scorer:
    """Runs plan texts and says what each was worth: a `trainer.Score`.

    All episodes run in one event loop in a thread of its own, which lives as long as the scorer, since clients of
    models belong to the loop they were first used in. Use it in a `with` block, or `close` it.

    Plans of one batch that are the same workflow (for the same question, pool, earlier rounds and seed) run once
    and are paid once; each of their rollouts has the whole episode, and is charged all of it.

    Args:
        planner: Reads the texts, as it reads those of the model it plans with. If it has a `prefill`, texts are
            what was written behind that.
        rewards: Settings; the paper's if left out.
        store: Where replies are kept.
        concurrency: Episodes at once, over all batches. Limits of workers hold too.
        expenses: Sums up what is really paid, and may limit it. They are in `expenses` in any case.
        max_steps: Most steps of a plan.
        replies: Whether rollouts of a question are given the same reply of a worker to the same prompt
            (`"shared"`: less noise, less to pay; across different plans that takes a store), or each a reply of
            its own (`"per_rollout"`: a plan is also worth how surely it works).
        seed: The first sample of workers' replies. The sample of an episode is this and its ask's `seed`, and for
            replies per rollout how many rollouts of the same question come before it in the batch.

    Raises:
        ValueError: If an option does not fit.
    """

    def __init__(
        self,
        planner: Reader,
        *,
        rewards: Rewards | None = None,
        store: ReplyStore | None = None,
        concurrency: int = 32,
        expenses: Expenses | None = None,
        max_steps: int = 5,
        replies: Literal["shared", "per_rollout"] = "shared",
        seed: int = 0,
    ) -> None:
        for name, value in (("concurrency", concurrency), ("max_steps", max_steps)):
            if type(value) is not int or value < 1:
                raise ValueError(f"{name} must be a whole number from 1 up, not {value!r}")
        if replies not in ("shared", "per_rollout"):
            raise ValueError(f'replies must be "shared" or "per_rollout", not {replies!r}')
        self.planner = planner
        self.rewards = rewards or Rewards()
        self.store = store
        self.concurrency = concurrency
        self.expenses = expenses or Expenses()
        self.max_steps = max_steps
        self.replies = replies
        self.seed = seed
        self._background = _Background(concurrency)
        self._numbers: dict[int, str] = {}

    def __enter__(self) -> "Scorer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End what still runs, and the thread."""
        self._background.close()

    def run(self, asks: Sequence[Ask], texts: Sequence[str]) -> list[Scored]:
        """Run one text for each ask, at once; also where the caller is inside an event loop, which then waits.

        Args:
            asks: What was asked.
            texts: What was written, in the same order.

        Returns:
            What each was worth, in the same order.

        Raises:
            BudgetExceededError: If the limit of the expenses refused a call. Episodes under way were brought to
                their end and none was begun after that; what they were told is in the store, if there is one.
            GraderError: If a grader itself failed.
            StoreError: If the store failed.
            ValueError: If the lengths differ, the planner knows workers by number alone and these have others than
                before, the limit could not bound a worker's calls, or rewards count cost in USD and a worker has
                no known price.
            Exception: Whatever else `run_episode` raises.
        """
        future = self._submit(asks, texts)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def score(self, asks: Sequence[Ask], texts: Sequence[str]) -> list[Scored]:
        """`run`, awaited in any event loop."""
        return await asyncio.wrap_future(self._submit(asks, texts))

    def _submit(self, asks: Sequence[Ask], texts: Sequence[str]) -> "Future[list[Scored]]":
        if len(asks) != len(texts):
            raise ValueError(f"give one text for each ask, not {len(texts)} for {len(asks)}")
        for pool in {id(ask.pool): ask.pool for ask in asks}.values():
            self._check_numbers(pool)
            self._check_costs(pool)
        batch = _Batch(self, asks, texts)
        loop, gate = self._background.opened()
        return asyncio.run_coroutine_threadsafe(batch.run(gate), loop)

    def read(self, ask: Ask, text: str) -> str:
        """The plan in its canonical form, so that equal plans are seen to be equal.

        Raises:
            PlanError: If there is none these workers can run.
        """
        whole = getattr(self.planner, "prefill", "") + text
        plan = self.planner.parse(whole, ask.request(self.max_steps))
        return plan.to_text(ask.pool) if isinstance(plan, Workflow) else _ACCEPTED

    def _check_numbers(self, pool: WorkerPool) -> None:
        """Refuse workers renumbered behind the back of a planner that knows them by number alone."""
        if getattr(self.planner, "show", "") != "anonymous":
            return
        for number, name in pool.ordinals.items():
            known = self._numbers.setdefault(number, name)
            if known != name:
                raise ValueError(
                    f"worker {number} was {known!r} and now is {name!r}, but the planner knows workers by number "
                    'alone; show descriptions (show="described") or do not permute'
                )

    def _check_costs(self, pool: WorkerPool) -> None:
        """Refuse workers whose calls a limit could not bound, or whose cost rewards could not count."""
        ledger = self.expenses.ledger
        check_bounds(None if ledger is None else ledger.budget, fixed.single(pool.names[0]), pool)
        if not self.rewards.cost_weight or self.rewards.cost != "usd":
            return
        unknown = Usage(calls=1, unpriced_calls=1)
        for worker in pool:
            for model in worker.models:
                if cost_of(unknown, model, worker.prices).usd is None:
                    raise ValueError(
                        f"rewards count cost in USD, and worker {worker.name!r} has no known price; give it a "
                        '`price`, or count "tokens" or "steps"'
                    )


@dataclass(slots=True)
class _Run:
    """One episode, of one rollout or several.

    Args:
        ask: What was asked.
        text: The plan, in its canonical form.
        seed: The sample of its workers' replies.
        episode: What happened, once it has.
        seconds: How long it took.
    """

    ask: Ask
    text: str
    seed: int
    episode: Episode | None = None
    seconds: float = 0.0


class _Batch:
    """Texts that are scored together; those that are the same plan have one run."""

    def __init__(self, scorer: Scorer, asks: Sequence[Ask], texts: Sequence[str]) -> None:
        self._scorer, self._texts = scorer, texts
        self._refusal: BudgetExceededError | None = None
        self._runs: list[_Run] = []
        distinct: dict[object, _Run] = {}
        before: Counter[str] = Counter()
        for ask, text in zip(asks, texts, strict=True):
            task, seed = ask.task.id, scorer.seed + ask.seed
            if scorer.replies == "per_rollout":
                seed += before[task]
                before[task] += 1
            try:
                run = _Run(ask, scorer.read(ask, text), seed)
            except PlanError as error:
                episode = Episode(task, "", 0.0, False, "invalid", seed=seed, error=str(error))
                self._runs.append(_Run(ask, text, seed, episode))
                continue
            who = tuple((number, id(ask.pool[name])) for number, name in ask.pool.ordinals.items())
            key = task, run.text, who, tuple(map(id, ask.previous)), seed
            self._runs.append(distinct.setdefault(key, run))

    async def run(self, gate: asyncio.Semaphore) -> list[Scored]:
        todo = list({id(run): run for run in self._runs if run.episode is None}.values())
        try:
            async with asyncio.TaskGroup() as group:
                for run in todo:
                    group.create_task(self._run(run, gate))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        if self._refusal is not None:
            done = sum(run.episode is not None for run in todo)
            raise BudgetExceededError(
                f"the limit ended a batch of {len(todo)} plans after {done}, and nothing is learnt from it; go on "
                f"with a higher limit: {self._refusal}",
                limit=self._refusal.limit,
            )
        return [self._scored(run, text) for run, text in zip(self._runs, self._texts, strict=True)]

    async def _run(self, run: _Run, gate: asyncio.Semaphore) -> None:
        async with gate:
            if self._refusal is not None:
                return
            start = time.perf_counter()
            try:
                run.episode = await run_episode(
                    run.ask.task,
                    run.text,
                    run.ask.pool,
                    previous=run.ask.previous,
                    seed=run.seed,
                    store=self._scorer.store,
                    max_steps=self._scorer.max_steps,
                    expenses=self._scorer.expenses,
                )
            except BudgetExceededError as refusal:
                self._refusal = refusal
            run.seconds = time.perf_counter() - start

    def _scored(self, run: _Run, text: str) -> Scored:
        assert run.episode is not None  # noqa: S101 - else the batch was refused
        return Scored(
            reward_of(run.episode, self._scorer.rewards), _as_written(run.episode, text), run.seconds
        )


def _as_written(episode: Episode, text: str) -> Episode:
    """The episode, with the plan's text as it was written and not its canonical form."""
    written = storable(text)
    attempts = [{"mode": "text", "text": written, "error": ""}]

    def told(record: RoundRecord) -> RoundRecord:
        return {**record, "plan": {**record["plan"], "text": written, "attempts": attempts}}

    return replace(episode, rounds=tuple(map(told, episode.rounds)))


class _Background:
    """An event loop in a thread of its own, from its first use to `close`."""

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self._lock = Lock()
        self._thread: Thread | None = None

    def opened(self) -> tuple[asyncio.AbstractEventLoop, asyncio.Semaphore]:
        """The loop, and what lets so many episodes run in it at once."""
        with self._lock:
            if self._thread is None:
                begun: Future[None] = Future()
                # A daemon, so that a program whose scorer was never closed can end.
                self._thread = Thread(target=self._serve, args=(begun,), name="scorer", daemon=True)
                self._thread.start()
                begun.result()
            return self._loop, self._gate

    def close(self) -> None:
        """End what still runs, and the thread."""
        with self._lock:
            if self._thread is not None:
                self._loop.call_soon_threadsafe(self._closed.set)
                self._thread.join()
                self._thread = None

    def _serve(self, begun: "Future[None]") -> None:
        async def until_closed() -> None:
            self._loop = asyncio.get_running_loop()
            self._gate = asyncio.Semaphore(self._concurrency)
            self._closed = asyncio.Event()
            begun.set_result(None)
            await self._closed.wait()

        asyncio.run(until_closed())  # ends what is left when it returns
