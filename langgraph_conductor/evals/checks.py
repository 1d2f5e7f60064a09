"""What an evaluation refuses, before much is paid."""

from collections.abc import Sequence
from typing import Final

from langgraph_conductor.errors import WorkerError
from langgraph_conductor.evals.results import Outcome
from langgraph_conductor.evals.strategies import Strategy
from langgraph_conductor.evals.suites import Split, Suite
from langgraph_conductor.evals.votes import VOTE
from langgraph_conductor.planners.profiles import Profiles
from langgraph_conductor.workers import WorkerPool

_MADE: Final = ("best constant workflow", "worker oracle", "workflow oracle")
_MADE_OF: Final = ("majority(", "self-reflection(")
"""How strategies are called that are made on the way, and how those of the best worker begin."""


def fitting(profiles: Profiles, suite: Suite, split: Split, pool: WorkerPool) -> Profiles:
    """The profiles, if planners may be shown them.

    Raises:
        ValueError: If they were measured on what is reported, or on no worker of the pool.
    """
    if (profiles.suite, profiles.split) == (suite.name, split):
        raise ValueError(
            f"the profiles were measured on the {split} split of {suite.name!r}, which is what is reported; "
            "measure them on another split, or leave them out"
        )
    if not set(pool.names) & set(profiles.workers):
        raise ValueError(
            f"the profiles are of {', '.join(profiles.workers) or 'nobody'}, and none of them is in the pool: "
            f"{', '.join(pool.names)}; measure this pool, or leave them out"
        )
    return profiles


def check_names(pool: WorkerPool, own: Sequence[Strategy], extra: Sequence[Strategy]) -> None:
    """Refuse names that are taken, which would else be found after much was paid.

    Args:
        pool: The workers.
        own: The evaluation's strategies.
        extra: The user's.

    Raises:
        ValueError: If a worker has the name of the one that counts votes, or a strategy that of another.
    """
    if VOTE in pool.names:
        raise ValueError(f"a worker cannot be called {VOTE!r}: the one that counts votes is; rename it")
    if hidden := [strategy.name for strategy in extra if strategy.kind == "ceiling"]:
        raise ValueError(f"{hidden[0]!r} is run, so it is no ceiling; give it another kind")
    taken = {strategy.name for strategy in own} | {*_MADE}
    for strategy in extra:
        if strategy.name in taken or strategy.name.startswith(_MADE_OF):
            raise ValueError(f"another strategy is called {strategy.name!r}; give yours another name")
        taken.add(strategy.name)


def need_scores(outcomes: Sequence[Outcome]) -> None:
    """See that somebody answered: else nothing can be chosen or measured.

    Raises:
        WorkerError: If no episode has a score.
    """
    episodes = [one for outcome in outcomes for many in outcome.episodes.values() for one in many]
    if any(episode.score is not None for episode in episodes):
        return
    steps = [step for episode in episodes for record in episode.rounds for step in record["steps"]]
    raise WorkerError(
        f"the infrastructure failed every worker, so there is nothing to measure: {episodes[0].infra}",
        infrastructure=True,
        errors=[step["error"] for step in steps if step["error"]],
    )
