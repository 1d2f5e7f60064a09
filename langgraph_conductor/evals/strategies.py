"""What an evaluation runs: one list of strategies, each a planner and the pool it plans for."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from os import PathLike
from typing import Final

from langgraph_conductor.evals.results import Kind
from langgraph_conductor.evals.votes import VOTE, vote_worker
from langgraph_conductor.planners import ChatPlanner, Planner, TurnsPlanner, fixed
from langgraph_conductor.planners.profiles import Profiles
from langgraph_conductor.prompts import WORKER_FINAL
from langgraph_conductor.workers import WorkerPool
from langgraph_conductor.workflow import Step, Workflow

VOTER: Final = f"{fixed.SOLVE} {WORKER_FINAL}"
"""What each of several voters is told: the winner's text goes to the user, though no voter is the last step. So it
is told, and costs, what a worker alone is."""


@dataclass(frozen=True, slots=True)
class Strategy:
    """One way to answer questions, ready to be run.

    Args:
        name: Its name in the report, such as `"single(coder)"`.
        kind: What sort of strategy it is.
        planner: Who plans.
        pool: The workers it runs with.
        max_rounds: Most rounds.
        max_steps: Most steps of a planned workflow. A fixed one has as many as it has.
        note: A sentence on how it was made.
    """

    name: str
    kind: Kind
    planner: Planner
    pool: WorkerPool
    max_rounds: int = 1
    max_steps: int = 5
    note: str = ""


def strategies(
    pool: WorkerPool,
    chat_planner: Planner | None = None,
    profiles: Profiles | str | PathLike[str] | None = None,
    trained: Planner | None = None,
    *,
    best: str | None = None,
    votes: int | None = None,
    seed: int = 0,
    max_steps: int = 5,
    second_rounds: bool = True,
    turns: bool = False,
) -> tuple[Strategy, ...]:
    """The strategies an evaluation compares.

    Args:
        pool: The workers.
        chat_planner: A `ChatPlanner`, of which an anonymous and a described variant are run, and both with
            `profiles` if there are any. A `TurnsPlanner` has as many turns as plans may have steps. A planner of
            another class runs as it is.
        profiles: Measured profiles, or their file.
        trained: A planner trained to conduct; runs as it is.
        best: The worker that was best alone on the training split. Without it there is no self-reflection
            and no majority, and mixture of agents is combined by the first worker.
        votes: Answers a majority of the best worker is taken of; none if left out.
        seed: Of the random strategies.
        max_steps: Most steps of planned and of random workflows.
        second_rounds: Whether each is also run with a second round: planners plan again or accept; for all
            others one worker reviews the answer.
        turns: Whether a `ChatPlanner` is also run turn by turn, as a `TurnsPlanner` of the same model.

    Raises:
        ValueError: If `best` is not in the pool or may not be last, or none may be.
    """
    able = _able(pool)
    if best is not None and best not in able:
        raise ValueError(f"the best worker must be one of {', '.join(able)}, not {best!r}")
    found: list[Strategy] = []
    for strategy in _without_model(pool, best, votes, seed, max_steps):
        found.append(strategy)
        if second_rounds:
            found.append(_reviewed(strategy, best))
    if isinstance(chat_planner, TurnsPlanner) or (turns and type(chat_planner) is ChatPlanner):
        found.append(_turn_by_turn(chat_planner, pool, max_steps))
    for name, planner, note in _planners(chat_planner, profiles, trained):
        found.append(Strategy(name, "planner", planner, pool, 1, max_steps, note))
        if second_rounds:
            found.append(
                Strategy(
                    f"{name}, 2 rounds",
                    "planner",
                    planner,
                    pool,
                    2,
                    max_steps,
                    f"{note}; it may plan again",
                )
            )
    return tuple(found)


def _without_model(
    pool: WorkerPool, best: str | None, votes: int | None, seed: int, max_steps: int
) -> Iterator[Strategy]:
    able = _able(pool)
    for name in able:
        alone = f"{name} answers alone"
        yield Strategy(f"single({name})", "single", fixed.single(name), pool, max_steps=1, note=alone)
    drawn = f"drawn anew for each question, seed {seed}"
    yield Strategy(
        "random router", "floor", fixed.random_router(seed), pool, max_steps=1, note=f"a worker {drawn}"
    )
    anything = fixed.random_workflow(seed, max_steps)
    yield Strategy(
        "random workflow", "floor", anything, pool, max_steps=max_steps, note=f"a workflow {drawn}"
    )
    if best is not None:
        reflecting = fixed.self_reflection(1, best)
        note = f"{best} answers, then looks for mistakes in its answer and improves it"
        yield Strategy(f"self-reflection({best})", "fixed", reflecting, pool, max_steps=2, note=note)
        if votes is not None:
            yield majority(votes, best, pool)
    if len(able) > 1:
        mixed = fixed.mixture_of_agents(able, 1, best or able[0])
        note = f"{len(able)} proposers, combined by {best or able[0]}"
        yield Strategy("mixture of agents", "fixed", mixed, pool, max_steps=len(able) + 1, note=note)


def _reviewed(strategy: Strategy, best: str | None) -> Strategy:
    # The worker that only counts cannot review; the one whose answers it counts does.
    worker = best if VOTE in strategy.pool.names else None
    kind: Kind = "fixed" if strategy.kind == "single" else strategy.kind
    note = f"{strategy.note}; then one more step reviews the answer"
    planner = fixed.reviewed(strategy.planner, worker)
    name = f"{strategy.name}, 2 rounds"
    return Strategy(name, kind, planner, strategy.pool, 2, strategy.max_steps, note)


def _planners(
    chat: Planner | None, profiles: Profiles | str | PathLike[str] | None, trained: Planner | None
) -> Iterator[tuple[str, Planner, str]]:
    if type(chat) is ChatPlanner:  # a subclass may word its prompt itself
        yield "anonymous", chat.showing("anonymous"), "prompted; workers are numbers"
        yield "described", chat.showing("described"), "prompted; workers have names and descriptions"
        if profiles is not None:
            profiles = Profiles.of(profiles)
            measured = "prompted; workers have measured profiles"
            yield "anonymous + profiles", chat.showing("anonymous", profiles), measured
            yield "described + profiles", chat.showing("described", profiles), measured
    elif chat is not None and not isinstance(chat, TurnsPlanner):
        yield "prompted", chat, "prompted; the planner as it was given"
    if trained is not None:
        yield "trained", trained, "trained to conduct"


def _turn_by_turn(chat: ChatPlanner, pool: WorkerPool, turns: int) -> Strategy:
    """One step a round, each decided on once the one before has been read; each is a call of the planner too."""
    planner = chat if isinstance(chat, TurnsPlanner) else TurnsPlanner.like(chat.showing("described"))
    note = f"prompted; decides on one step at a time, at most {turns} of them"
    return Strategy("turn by turn", "planner", planner, pool, turns, 1, note)


def majority(n: int, worker: str, pool: WorkerPool) -> Strategy:
    """`n` independent answers of one worker, and the answer most of them agree on, counted without a model.

    Source: Wang et al. 2022, self-consistency (arXiv 2203.11171).

    Args:
        n: Answers; with 1 the worker answers alone.
        worker: Who answers.
        pool: The workers. The strategy's own pool has one more, which counts (`evals.votes`).

    Raises:
        ValueError: If `n` is below 1.
        PlanError: If the worker is not in the pool.
    """
    if type(n) is not int or n < 1:
        raise ValueError(f"a majority needs at least 1 answer, not {n!r}")
    answers = [Step(worker, VOTER if n > 1 else fixed.SOLVE) for _ in range(n)]
    count = [Step(VOTE, "Count the votes.", tuple(range(n)))] if n > 1 else []
    workflow = Workflow((*answers, *count))
    voting = pool.joined_by(vote_worker())
    voting.check(workflow)
    note = f"{n} answer{'s' if n > 1 else ''} of {worker}, counted without a model"
    return Strategy(
        f"majority({worker}, {n})", "fixed", fixed.workflow(workflow), voting, max_steps=n + 1, note=note
    )


def votes_for(cost_of_planner: Decimal | float, cost_of_one_answer: Decimal | float) -> int:
    """How many answers of one worker cost what a planned question costs; at least 1.

    Rounded up, so that a vote never has less to spend than the planner it is compared with.

    Args:
        cost_of_planner: Mean cost of a question under the planner, its workers included, in any unit.
        cost_of_one_answer: Mean cost of one answer, in the same unit.

    Raises:
        ValueError: If an answer costs nothing, or a cost is not a number from 0 up.
    """
    planned, answer = Decimal(str(cost_of_planner)), Decimal(str(cost_of_one_answer))
    if not (planned.is_finite() and answer.is_finite() and planned >= 0 and answer > 0):
        raise ValueError(
            "the costs must be numbers, that of an answer above 0, not "
            f"{cost_of_planner!r} and {cost_of_one_answer!r}; where money is unknown, compare tokens"
        )
    return max(1, math.ceil(planned / answer))


def _able(pool: WorkerPool) -> Sequence[str]:
    able = [worker.name for worker in pool if worker.may_be_last]
    if not able:
        raise ValueError("none of the workers may be last, so no workflow could end")
    return able
