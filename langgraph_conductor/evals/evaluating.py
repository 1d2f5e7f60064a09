"""An evaluation: chosen on the training split, measured on another."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from typing import Final

from langchain_core.language_models import BaseChatModel

from langgraph_conductor.display.words import counted
from langgraph_conductor.evals.ceilings import candidate_workflows, oracle
from langgraph_conductor.evals.checks import check_names, fitting, need_scores
from langgraph_conductor.evals.costs import mean_cost, unit_between, unit_of, used_by
from langgraph_conductor.evals.forecast import LIKELY_VOTES, forecast
from langgraph_conductor.evals.profiles import profiles_of
from langgraph_conductor.evals.results import Evaluation, Outcome
from langgraph_conductor.evals.running import Runner
from langgraph_conductor.evals.strategies import Strategy, majority, strategies, votes_for
from langgraph_conductor.evals.suites import Split, Suite
from langgraph_conductor.evals.votes import MOST_VOTES
from langgraph_conductor.planners import ChatPlanner, Planner, fixed
from langgraph_conductor.planners.profiles import Profiles
from langgraph_conductor.planners.protocol import planner_of
from langgraph_conductor.replay.identity import pool_identity
from langgraph_conductor.rewards import Task, check_task
from langgraph_conductor.usage import Usage
from langgraph_conductor.workers import WorkerPool

_VERSIONS: Final = ("langgraph-conductor", "langgraph", "langchain-core", "reasoning-gym", "math-verify")


async def evaluate(
    suite: Suite,
    pool: WorkerPool,
    planner: Planner | BaseChatModel | str | None,
    runner: Runner,
    *,
    trained: Planner | BaseChatModel | str | None = None,
    extra: Sequence[Strategy] = (),
    profiles: Profiles | str | PathLike[str] | None = None,
    split: Split = "test",
    items: int | None = None,
    train_items: int | None = None,
    max_steps: int = 5,
    second_rounds: bool = True,
    turns: bool = False,
    workflow_oracle: bool = True,
) -> Evaluation:
    """Ask every strategy the same tasks.

    What is chosen (the best worker, the best constant workflow) or measured for planners (profiles) is chosen on
    the training split and never on what is reported. A majority vote is given as many answers of the best
    worker as each planner costs.

    Args:
        suite: Where the tasks are from.
        pool: The workers.
        planner: A planner, or the model for a `ChatPlanner`, which is run anonymous, described, and with measured
            profiles. `None` compares what needs no planner. Plans of another class are not kept: repeated,
            it plans anew.
        runner: Runs them; if its limit ends the evaluation, what was done so far is the result.
        trained: A planner that was trained to conduct.
        extra: Strategies of your own, compared like all others; those of kind `"planner"` also with a
            majority vote that costs as much.
        profiles: Measured profiles, or their file, not of the split that is reported; left out, those of the
            planner; if it has none, they are measured on the training split.
        split: The split that is reported.
        items: Most tasks of it, drawn by hash.
        train_items: Most tasks of the training split, drawn by hash; as many as `items` if left out.
        max_steps: Most steps of a workflow.
        second_rounds: Whether each strategy is also run with a second round.
        turns: Whether a `ChatPlanner` is also run turn by turn, see `strategies`.
        workflow_oracle: Whether every candidate workflow is run on the reported split, for the ceiling over them.

    Raises:
        ConfigError: If a task cannot be graded (`check_task`).
        ValueError: If an option does not fit, or the limit could not bound a model's calls.
        WorkerError: If the infrastructure failed every episode of every worker on the training split.
    """
    if split == "train":
        raise ValueError('strategies are chosen on the training split; report "validation" or "test"')
    tasks = _drawn(suite, split, items)
    training = _drawn(suite, "train", items if train_items is None else train_items)
    for task in (*training, *tasks):
        check_task(task)
    planner = None if planner is None else planner_of(planner)
    given = profiles or (planner.profiles if type(planner) is ChatPlanner else None)
    known = None if given is None else fitting(Profiles.of(given), suite, split, pool)
    candidates = _candidates(pool, max_steps)
    offered = partial(
        strategies,
        pool,
        planner,
        trained=None if trained is None else planner_of(trained),
        seed=runner.seed,
        max_steps=max_steps,
        second_rounds=second_rounds,
        turns=turns,
    )
    check_names(pool, [*offered(profiles=known or Profiles({})), *candidates], extra)
    for strategy in (*candidates, *offered(), *extra):
        runner.check(strategy)  # all of them, before the first is paid
    able = next(one for one in candidates if one.kind == "single")
    likely = [*offered(profiles=known or Profiles({}), best=_singles(pool)[able.name]), *extra]
    others = [one for one in candidates if one.kind != "single"]
    beyond = others if workflow_oracle else others[-1:]  # the best constant workflow is one of them
    expected = _tell_forecast(runner, candidates, training, [*likely, *beyond], tasks, split)

    alone = [await runner.run(one, training, "train") for one in candidates if one.kind == "single"]
    if not runner.stopped:
        need_scores(alone)
    tried = alone + [await runner.run(one, training, "train") for one in candidates if one.kind != "single"]
    best, constant = _best(alone, len(training)), _best(tried, len(training))
    worker = _singles(pool)[best.strategy]
    # Without a date, which planners are shown: repeated tomorrow, their prompts are the same.
    measured = known or profiles_of(alone, training, suite=suite.name, split="train", date="")
    chosen = replace(
        candidates[tried.index(constant)],
        name="best constant workflow",
        kind="fixed",
        note=f"{constant.strategy}, the best of {len(tried)} on the training split",
    )

    todo = [*offered(profiles=measured, best=worker), chosen, *extra]
    outcomes = [await runner.run(strategy, tasks, split) for strategy in todo]
    equal = _equal_cost(outcomes, best.strategy, worker, pool)
    votes = {strategy.name: strategy for strategy in equal.values()}
    _tell_dearer_votes(runner, [*votes.values()], tasks, expected)
    outcomes += [await runner.run(strategy, tasks, split) for strategy in votes.values()]
    singles = [outcome for outcome in outcomes if outcome.strategy in _singles(pool)]
    ceilings = [oracle("worker oracle", singles)]
    if workflow_oracle:
        ran = [await runner.run(candidate, tasks, split) for candidate in candidates]
        ceilings.append(oracle("workflow oracle", ran))
    return Evaluation(
        suite.name,
        split,
        tasks,
        tuple(outcome for outcome in (*outcomes, *ceilings) if outcome.episodes),
        reference=best.strategy,
        comparisons=_comparisons(outcomes, {name: strategy.name for name, strategy in equal.items()}),
        about={
            "date": datetime.now(UTC).date().isoformat(),
            "versions": dict(_versions()),
            "suite": dict(suite.about),
            "workers": pool_identity(pool),
            "tasks": {split: len(tasks), "train": len(training)},
            "options": {"seed": runner.seed, "samples": runner.samples, "max_steps": max_steps},
            "training": {"outages": sum(map(_outages, tried))},
            "profiles": measured.to_json(),
            "charged": sum(map(used_by, outcomes), Usage()).to_json(),
            "stopped": runner.stopped,
        },
        complete=not runner.stopped,
    )


async def measure(
    suite: Suite, pool: WorkerPool, runner: Runner, *, split: Split = "validation", items: int | None = None
) -> Profiles:
    """Ask each worker alone, and measure it.

    Args:
        suite: Where the tasks are from.
        pool: The workers; those that may not be last are not asked.
        runner: Runs them.
        split: The split to measure on; `"test"` is not for it.
        items: Most tasks of it, drawn by hash.

    Raises:
        ConfigError: If a task cannot be graded (`check_task`).
        ValueError: If an option does not fit, or the limit could not bound a model's calls.
        WorkerError: If the infrastructure failed every episode.
    """
    if split == "test":
        raise ValueError(
            'planners would know what they are tested with; measure on "train" or "validation"'
        )
    tasks = _drawn(suite, split, items)
    for task in tasks:
        check_task(task)
    alone = [strategy for strategy in strategies(pool, second_rounds=False) if strategy.kind == "single"]
    for strategy in alone:
        runner.check(strategy)
    what = counted(len(tasks), f"{split} question")
    runner.on_forecast(forecast(what, [(alone, tasks)], runner.samples, runner.concurrency))
    outcomes = [await runner.run(strategy, tasks, split) for strategy in alone]
    if not runner.stopped:
        need_scores(outcomes)
    return profiles_of(outcomes, tasks, suite=suite.name, split=split)


def _tell_forecast(
    runner: Runner,
    candidates: Sequence[Strategy],
    training: Sequence[Task],
    reported: Sequence[Strategy],
    tasks: Sequence[Task],
    split: Split,
) -> int:
    """Tell what is to come, and return how many answers of majority votes are in it for each question."""
    planners = [one for one in reported if one.kind == "planner"]
    single = next(one for one in candidates if one.kind == "single")
    votes = [replace(single, name="majority", kind="fixed", max_steps=LIKELY_VOTES) for _ in planners]
    most = [replace(single, name="majority", kind="fixed", max_steps=MOST_VOTES) for _ in planners]
    what = f"{counted(len(training), 'train question')} and {counted(len(tasks), f'{split} question')}"
    groups = [(candidates, training), (reported, tasks)]
    found = forecast(what, [*groups, (votes, tasks)], runner.samples, runner.concurrency)
    bound = forecast(what, [*groups, (most, tasks)], runner.samples, runner.concurrency)
    runner.on_forecast(replace(found, most_calls=bound.most_calls))
    return len(votes) * LIKELY_VOTES


def _tell_dearer_votes(
    runner: Runner, votes: Sequence[Strategy], tasks: Sequence[Task], expected: int
) -> None:
    """Tell of majority votes that are larger than was forecast: what planners cost is known only now."""
    answers = [
        replace(vote, max_steps=max(1, vote.max_steps - 1)) for vote in votes
    ]  # the last step counts
    if not runner.stopped and sum(vote.max_steps for vote in answers) > expected:
        what = f"majority votes, sized by what the planners cost, on {counted(len(tasks), 'question')}"
        runner.on_forecast(forecast(what, [(answers, tasks)], runner.samples, runner.concurrency))


def _drawn(suite: Suite, split: Split, items: int | None) -> tuple[Task, ...]:
    """The first `items` tasks by hash, which is a draw at random that is the same every time.

    Raises:
        ValueError: If there is none.
    """
    tasks = sorted(suite.tasks(split), key=lambda task: task.id)[:items]
    if not tasks:
        needed = (
            "it is needed to choose strategies on" if split == "train" else "there is nothing to report"
        )
        raise ValueError(f"the suite {suite.name!r} has no {split} tasks; {needed}")
    return tuple(tasks)


def _candidates(pool: WorkerPool, max_steps: int) -> list[Strategy]:
    """The candidate workflows as strategies; profiles are measured on those of one worker alone."""
    singles = _singles(pool)
    return [
        Strategy(
            name,
            "single" if name in singles else "fixed",
            fixed.workflow(workflow),
            pool,
            max_steps=len(workflow.steps),
        )
        for name, workflow in candidate_workflows(pool, max_steps)
    ]


def _singles(pool: WorkerPool) -> dict[str, str]:
    return {f"single({worker.name})": worker.name for worker in pool}


def _best(outcomes: Sequence[Outcome], tasks: int) -> Outcome:
    """The most accurate one, the cheaper of equals. An episode without a score helps nobody."""

    def merit(outcome: Outcome) -> tuple[float, Decimal]:
        right = sum(
            sum(episode.score or 0.0 for episode in many) / len(many) for many in outcome.episodes.values()
        )
        # Rounded: thirds add up to a little more or less by their order, and that is no lead.
        return round(right / tasks, 9), -mean_cost(outcome, unit_of(outcomes))

    return max(outcomes, key=merit)


def _outages(outcome: Outcome) -> int:
    return sum(episode.score is None for many in outcome.episodes.values() for episode in many)


def _equal_cost(
    outcomes: Sequence[Outcome], single: str, worker: str, pool: WorkerPool
) -> dict[str, Strategy]:
    """For each planner, a majority vote of the best worker that costs as much, up to `MOST_VOTES`."""
    answer = next(outcome for outcome in outcomes if outcome.strategy == single)
    sizes: dict[str, int] = {}
    equal_to: dict[int, list[str]] = {}
    for outcome in outcomes:
        if outcome.kind != "planner" or not outcome.episodes:
            continue
        unit = unit_between(answer, outcome)
        if one := mean_cost(answer, unit):
            enough = votes_for(mean_cost(outcome, unit), one)
            sizes[outcome.strategy] = votes = min(enough, MOST_VOTES)
            most = "" if votes == enough else f", which {enough:,} would cost"
            equal_to.setdefault(votes, []).append(f"{outcome.strategy} (in {unit}{most})")
    made = {}
    for votes, planners in equal_to.items():
        vote = majority(votes, worker, pool)
        made[votes] = replace(vote, note=f"{vote.note}; sized by the cost of {', '.join(planners)}")
    return {planner: made[votes] for planner, votes in sizes.items()}


def _comparisons(outcomes: Sequence[Outcome], equal: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Planners against votes that cost as much, second rounds against first, profiles against none."""
    names = [outcome.strategy for outcome in outcomes]
    pairs = [*equal.items()]
    for more in (", 2 rounds", " + profiles"):
        pairs += [(name + more, name) for name in names if name + more in names]
    return tuple(pairs)


def _versions() -> Iterator[tuple[str, str]]:
    for name in _VERSIONS:
        with suppress(PackageNotFoundError):
            yield name, version(name)
