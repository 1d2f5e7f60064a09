"""What no planner over a stated set of workflows can beat, and the best workflow that never changes.

The set is `candidate_workflows`. Its best member *on the training split* is the best constant workflow, a fair
rival. The best of all per question is the workflow oracle, a ceiling: it looks at the scores, so that where
answers are drawn at random it also profits from luck.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Final

from langgraph_conductor.episodes import Episode
from langgraph_conductor.evals.results import Outcome
from langgraph_conductor.planners import fixed
from langgraph_conductor.workers import WorkerPool
from langgraph_conductor.workflow import Step, Workflow

MAX_PAIRED: Final = 6
"""In a pool of up to so many workers, all ordered pairs are candidates."""

WORK_OUT: Final = "Work the question out step by step, and say what the answer is and how sure it is."
CHECK: Final = (
    "Another model's work on the question is given, and may be wrong. Check every step of it, mend what is wrong, "
    "and answer the question."
)


def candidate_workflows(pool: WorkerPool, max_steps: int = 5) -> tuple[tuple[str, Workflow], ...]:
    """The stated set of workflows, with their names, always in the same order.

    Each worker that may be last alone; each reflecting once on its own answer; each ordered pair of a worker that
    works the question out and one that checks and answers; and each as the aggregator of all of them. In a
    pool of more than `MAX_PAIRED` workers the pairs are those of neighbours in the pool, both ways round, so that
    the set grows with the pool and not with its square. Where there are more proposers than
    `max_steps` leaves room for, the first in the pool propose.

    Args:
        pool: The workers.
        max_steps: Most steps of a workflow; what needs more is left out.

    Returns:
        n (n + 2) pairs of name and workflow for n <= `MAX_PAIRED` workers that may all be last, if
        `max_steps` is 3 or more.
    """
    able = tuple(worker.name for worker in pool if worker.may_be_last)
    found = [*_alone(able), *(_chains(pool, able) if max_steps > 1 else ()), *_mixtures(able, max_steps)]
    return tuple((name, workflow) for name, workflow in found if len(workflow.steps) <= max_steps)


def _alone(able: Sequence[str]) -> Iterator[tuple[str, Workflow]]:
    for name in able:
        yield f"single({name})", Workflow((Step(name, fixed.SOLVE),))


def _chains(pool: WorkerPool, able: Sequence[str]) -> Iterator[tuple[str, Workflow]]:
    names = pool.names
    for name in able:
        yield f"reflection({name})", _chain(name, name)
    if len(names) <= MAX_PAIRED:
        pairs = [(a, b) for a in names for b in names if a != b]
    else:
        pairs = [pair for a, b in pairwise([*names, names[0]]) for pair in ((a, b), (b, a))]
    for a, b in pairs:
        if b in able:
            yield f"chain({a}, {b})", _chain(a, b)


def _chain(first: str, second: str) -> Workflow:
    return Workflow((Step(first, WORK_OUT), Step(second, CHECK, (0,))))


def _mixtures(able: Sequence[str], max_steps: int) -> Iterator[tuple[str, Workflow]]:
    proposers = able[: max(max_steps - 1, 0)]
    if len(proposers) < 2:
        return
    answers = tuple(Step(name, fixed.SOLVE) for name in proposers)
    for name in able:
        everything = tuple(range(len(answers)))
        yield f"mixture({name})", Workflow((*answers, Step(name, fixed.COMBINE, everything)))


def oracle(name: str, outcomes: Sequence[Outcome], note: str = "") -> Outcome:
    """The best episode of several strategies for each task and sample, and the cheapest of equally good ones.

    Cheap is what cost less money; where money is not known of all of them, what took fewer tokens. Where none was
    right and the infrastructure failed one, nobody knows whether that would have been: there is no score. Else a
    ceiling could lie below a strategy it is taken over, which is not charged with its own outages.

    Args:
        name: Name of the ceiling, such as `"worker oracle"`.
        outcomes: What to choose from; tasks and samples that one of them lacks are left out, since a
            ceiling over fewer strategies is another one.
        note: A sentence on it; by default, what it is taken over.

    Raises:
        ValueError: If there is no outcome.
    """
    if not outcomes:
        raise ValueError("an oracle needs at least one outcome to choose from")
    first, *others = outcomes
    common = [task for task in first.episodes if all(task in other.episodes for other in others)]
    best = {
        task: tuple(
            _best(same) for same in zip(*(outcome.episodes[task] for outcome in outcomes), strict=False)
        )
        for task in common
    }
    told = f"the best of {len(outcomes)} strategies for each question, seen from its score"
    return Outcome(name, "ceiling", best, note or told)


def _best(episodes: Sequence[Episode]) -> Episode:
    top = max((episode.score for episode in episodes if episode.score is not None), default=0.0)
    lost = next((episode for episode in episodes if episode.score is None), None)
    if lost is not None and top < 1:
        return lost
    best = [episode for episode in episodes if episode.score == top]
    priced = all(episode.usage.unpriced_calls == 0 for episode in best)
    return min(best, key=lambda one: (one.usage.usd or Decimal(0)) if priced else one.usage.total_tokens)
