"""An episode: one question planned, run and graded once. Evaluation and training both go through here."""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from langchain_core.language_models import BaseChatModel
from langgraph.graph.state import CompiledStateGraph

from langgraph_conductor.budget import Budget
from langgraph_conductor.dialect import parse_workflow
from langgraph_conductor.errors import BudgetExceededError, PlanError, WorkerError
from langgraph_conductor.graph import create_conductor
from langgraph_conductor.graph.accounts import is_infra, told
from langgraph_conductor.options import Options, is_round
from langgraph_conductor.planners.protocol import Attempt, Plan, Planner, PlanRequest, planner_of
from langgraph_conductor.records import ErrorRecord, RoundRecord
from langgraph_conductor.replay import (
    PLANNER,
    Expenses,
    Replay,
    ReplayedPlanner,
    ReplyStore,
    current_replay,
    replayed_pool,
    replaying,
)
from langgraph_conductor.replay.identity import planner_identity, pool_identity
from langgraph_conductor.replay.shapes import RUN, fault
from langgraph_conductor.replay.store import RUNS, key_of
from langgraph_conductor.rewards.task import Task
from langgraph_conductor.usage import Usage
from langgraph_conductor.workers import WorkerPool
from langgraph_conductor.workflow import Workflow

_MOST_CONDUCTORS: Final = 64
_FORMAT: Final = 1
"""Raised when runs that were kept before no longer are what a run would be."""
_INTERRUPTED: Final = (
    "a worker or planner waits for a person (`interrupt`), and in an episode there is none"
)


@dataclass(frozen=True, slots=True)
class Episode:
    """What became of one task.

    Args:
        task: Id of the task.
        answer: The answer; empty if there is none.
        score: 1.0 if it is right, 0.0 if not. `None` if the infrastructure failed: then nobody knows.
        valid: Whether every round was planned by the planner itself, so that no fallback took its place.
        reached: How the last round was planned, as in `PlanRecord`; `"invalid"` if a given plan text
            could not be used, and nothing was run.
        rounds: The records of its own rounds.
        planner: What the planner used.
        workers: What the workers used.
        wall_seconds: Seconds it takes if nothing has to queue: planning, and the longest chain of steps.
        seed: Which sample it is.
        infra: What failed, if the infrastructure did.
        error: Why there is no answer, if something else is to blame.
        stopped: Why the budget ended it, if it did.
    """

    task: str
    answer: str
    score: float | None
    valid: bool
    reached: str
    rounds: tuple[RoundRecord, ...] = ()
    planner: Usage = field(default_factory=Usage)
    workers: Usage = field(default_factory=Usage)
    wall_seconds: float = 0.0
    seed: int = 0
    infra: str = ""
    error: str = ""
    stopped: str = ""

    @property
    def usage(self) -> Usage:
        """What planner and workers used together."""
        return self.planner + self.workers

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        data = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            **data,
            "rounds": list(self.rounds),
            "planner": self.planner.to_json(),
            "workers": self.workers.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Episode":
        """The inverse of `to_json`."""
        used = {name: Usage.from_json(data[name]) for name in ("planner", "workers")}
        return cls(**{**data, **used, "rounds": tuple(data["rounds"])})


async def run_episode(
    task: Task,
    planner: Planner | BaseChatModel | str,
    pool: WorkerPool,
    *,
    previous: "Episode | Sequence[RoundRecord] | None" = None,
    seed: int = 0,
    store: ReplyStore | None = None,
    max_steps: int = 5,
    max_rounds: int = 1,
    budget: Budget | None = None,
    fallback: str | None = None,
    expenses: Expenses | None = None,
) -> Episode:
    """Plan one task, run the plan, and grade the answer once.

    Args:
        task: The question and what its answer is checked by.
        planner: Who plans; or a plan's *text*, as a model in training wrote it. A text that cannot be
            used scores 0 and calls nobody.
        pool: The workers.
        previous: An earlier episode of the same task, or its rounds: this one goes on from them, as a later
            round. A plan may then accept the earlier answer.
        seed: Which sample this is. With a store, an episode of the same seed gets the same replies.
        store: Where replies are kept. Left out, everybody is asked.
        max_steps: Most steps of a workflow read from text.
        max_rounds: Most rounds of this episode; a given text is one.
        budget: What the episode may use. Replies from the store count, and are admitted, as if made now.
        fallback: Who answers alone where planning fails.
        expenses: Sums up what is really paid, over many episodes, and may limit it.

    Returns:
        The episode. If the infrastructure failed anywhere (an outage, a refused key, a model that is not
        there, a person who is waited for), it has no score.

    Raises:
        BudgetExceededError: If the limit of `expenses` refused a call: there is no episode then.
        StoreError: If the store cannot be read, what it holds is damaged, or it could not keep what was paid
            before; nobody is asked then. What this episode itself pays is handed on, kept or not.
        ConfigError: If the task's grader is unknown.
        GraderError: If the grader itself could not run.
        ValueError: If an option does not fit.
        PlanError: If a fixed strategy names a worker that is not there.
    """
    from langgraph_conductor.rewards import agrade, check_grader
    from langgraph_conductor.rewards.grading import is_own

    if is_own(task.grader):  # it is imported, in a process
        await asyncio.to_thread(check_grader, task.grader)
    else:
        check_grader(task.grader)
    earlier = tuple(previous.rounds if isinstance(previous, Episode) else previous or ())
    text = planner if isinstance(planner, str) else None
    rounds = len(earlier) + (max_rounds if text is None else 1)
    options = Options(max_steps, rounds, budget)
    expenses = expenses or Expenses()
    chosen: Planner = _GIVEN if text is not None else planner_of(planner)
    for record in earlier:
        if not is_round(record):
            raise ValueError(f"`previous` is an episode or a list of records of rounds, not {record!r:.80}")
    replay = Replay(seed, store, expenses, earlier=earlier)
    try:
        replay.plan = None if text is None else _read(text, pool, options, earlier)
    except PlanError as error:
        return Episode(task.id, "", 0.0, valid=False, reached="invalid", seed=seed, error=str(error))
    key = _key(task, text, chosen, pool, seed, fallback, options, earlier) if store else ""
    if store is not None:
        store.check()
    known = _kept(store, key, task) if store and key else None
    if known is None:
        with replaying(replay):
            ran = await _run(task, _conductor(chosen, pool, fallback), options)
        episode = Episode.from_json(json.loads(json.dumps(ran.to_json())))  # as it will be read again
        if store and key and not episode.infra:
            store.keep_run(key, episode.to_json())
    else:
        episode = known
        expenses.add(replayed=episode.usage)
    if episode.infra:
        return episode
    return replace(episode, score=await agrade(episode.answer, task) if episode.answer else 0.0)


def _kept(store: ReplyStore, key: str, task: Task) -> Episode | None:
    """The episode that was run before.

    Raises:
        StoreError: If it is not what was written.
    """
    if (found := store.run(key)) is None:
        return None
    wrong = fault(RUN, found)
    if wrong or found["task"] != task.id:
        raise store.damaged(RUNS, key, wrong or "it is of another task")
    return Episode.from_json(found)


def _read(text: str, pool: WorkerPool, options: Options, earlier: tuple[RoundRecord, ...]) -> Plan:
    may_accept = PlanRequest((), pool, rounds=earlier).may_accept
    plan = parse_workflow(text, pool.ordinals, max_steps=options.max_steps, allow_accept=may_accept)
    if isinstance(plan, Workflow):
        pool.check(plan)
    return Plan(plan, "unaided", text, attempts=(Attempt("text", text),), final=True)


class _Given:
    """A planner whose one plan is the episode's own."""

    def plan(self, request: PlanRequest) -> Plan:
        if (plan := current_replay().plan) is None:
            raise PlanError("no plan was given")
        return plan

    async def aplan(self, request: PlanRequest) -> Plan:
        return self.plan(request)


_GIVEN: Final = _Given()


def _conductor(
    planner: Planner, pool: WorkerPool, fallback: str | None
) -> CompiledStateGraph[Any, Any, Any, Any]:
    """The conductor of many episodes: compiling it takes as long as running it."""
    built: OrderedDict[Any, CompiledStateGraph[Any, Any, Any, Any]]
    built = pool.memo.setdefault("conductors", OrderedDict())
    key = (planner, fallback)
    if key not in built:
        built[key] = create_conductor(ReplayedPlanner(planner), replayed_pool(pool), fallback=fallback)
        if len(built) > _MOST_CONDUCTORS:
            built.popitem(last=False)
    return built[key]


def _key(
    task: Task,
    text: str | None,
    planner: Planner,
    pool: WorkerPool,
    seed: int,
    fallback: str | None,
    options: Options,
    earlier: tuple[RoundRecord, ...],
) -> str:
    """What the run is kept under; empty if nothing tells what the planner is."""
    identity = planner_identity(planner) if text is None else {"text": text}
    if identity is None:
        return ""
    if "identity" not in pool.memo:
        pool.memo["identity"] = pool_identity(pool)
    who = pool.memo["identity"]
    return key_of(
        "run",
        _FORMAT,
        task.question,
        identity,
        who,
        seed,
        fallback,
        {**_json(options), "rounds": [*earlier]},
    )


def _json(options: Options) -> dict[str, Any]:
    budget = options.budget and options.budget.to_json()
    sizes = {"max_steps": options.max_steps, "max_rounds": options.max_rounds}
    return {**sizes, "budget": budget}


async def _run(task: Task, conductor: CompiledStateGraph[Any, Any, Any, Any], options: Options) -> Episode:
    replay = current_replay()
    result: Mapping[str, Any] = {}
    error = stopped = ""
    try:
        # Streamed, since its records are wanted also where it ends without an answer.
        async for values in conductor.astream(
            {"messages": [{"role": "user", "content": task.question}]},
            {"configurable": {"conductor": _json(options)}},
            stream_mode="values",
        ):
            result = values
    except BudgetExceededError as refusal:
        stopped = str(refusal)
    except WorkerError as failure:
        error = str(failure)
    if isinstance(replay.ended, BudgetExceededError):
        raise BudgetExceededError(str(replay.ended), limit=replay.ended.limit)
    if replay.ended is not None:
        raise replay.ended
    waits = result.get("__interrupt__")
    records = (result.get("rounds") or ())[len(replay.earlier) :]
    rounds = tuple(_timed(record, replay) for record in records)
    return Episode(
        task=task.id,
        answer=result.get("answer") or "",
        score=None,
        valid=all(record["plan"]["error"] is None for record in rounds),
        reached=rounds[-1]["plan"]["reached"] if rounds else "",
        rounds=rounds,
        planner=_sum(record["plan"] for record in rounds),
        workers=_sum(step for record in rounds for step in record["steps"]),
        wall_seconds=sum(map(_seconds, rounds)),
        seed=replay.seed,
        infra=next(filter(None, map(_infra, rounds)), _INTERRUPTED if waits else replay.infra),
        error=error,
        stopped=stopped or result.get("stopped") or "",
    )


def _timed(record: RoundRecord, replay: Replay) -> RoundRecord:
    """The record with the seconds replies took when they were given, without queues and replays."""

    def timed(part: Any, place: int) -> Any:
        seconds = replay.seconds.get((record["round"], place), 0.0)
        return {**part, "seconds": seconds, "usage": {**part["usage"], "busy_seconds": seconds}}

    steps = [timed(step, step["index"]) for step in record["steps"]]
    plan = timed(record["plan"], PLANNER)
    whole: RoundRecord = {**record, "plan": plan, "steps": steps}
    whole["wall_seconds"] = _seconds(whole) - plan["seconds"]
    return whole


def _seconds(record: RoundRecord) -> float:
    """Planning, and the longest chain of steps."""
    took = [step["seconds"] for step in record["steps"]]
    if record["workflow"] is None or not took:
        return record["plan"]["seconds"]
    chain = Workflow.from_json(record["workflow"]).critical_path(took)
    return record["plan"]["seconds"] + sum(took[i] for i in chain)


def _sum(parts: Iterable[Mapping[str, Any]]) -> Usage:
    return sum((Usage.from_json(part["usage"]) for part in parts), Usage())


def _infra(record: RoundRecord) -> str:
    """What of the infrastructure failed in a round, if something did; also where a fallback helped out."""
    parts = [("the planner", record["plan"]), *((f"worker {s['worker']}", s) for s in record["steps"])]
    for who, part in parts:
        error: ErrorRecord | None = part["error"]
        if error and is_infra(error):
            return f"{who}: {told(error)}"
    return ""
