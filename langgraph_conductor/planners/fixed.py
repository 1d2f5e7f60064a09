"""Hand-written strategies as planners: each only returns a workflow.

They run on the same engine, accounting and records as a trained planner, so comparisons are fair.
They ask no model and want no second round (`Plan.final`), unless `reviewed` asks for one.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from langgraph_conductor.planners.protocol import Plan, Planner, PlanRequest
from langgraph_conductor.workers import WorkerPool
from langgraph_conductor.workflow import ALL, Step, Workflow, brief

SOLVE: Final = "Answer the question."
COMBINE: Final = "Several answers are given. Weigh them critically and combine them into the best answer."
USE: Final = "Outputs of other steps are given. Use what is right in them and answer the question."
REVIEW: Final = (
    "An earlier round has answered the question. Look for mistakes in its work and in its answer. Then give the "
    "complete answer, corrected if that is needed."
)


_MOST: Final = 1_000
"""Most proposals, layers or steps of a strategy."""


class FixedPlanner:
    """A planner that calls no model.

    Args:
        build: Gives the workflow for a request; or the one workflow for all.
        identity: JSON that differs wherever the workflows may; a reply store keeps runs under it. Left out,
            it is the one workflow, if there is one.
    """

    def __init__(
        self, build: Callable[[PlanRequest], Workflow] | Workflow, *, identity: Any = None
    ) -> None:
        self._build = build
        self.identity = build.to_json() if isinstance(build, Workflow) else identity

    def check(self, pool: WorkerPool) -> None:
        """Refuse a pool the one workflow cannot run with.

        Raises:
            PlanError: If a worker is not in the pool, or may not be last.
        """
        if isinstance(self._build, Workflow):
            pool.check(self._build)

    def plan(self, request: PlanRequest) -> Plan:
        """The workflow.

        Raises:
            PlanError: If a named worker is not in the pool.
        """
        workflow = self._build if isinstance(self._build, Workflow) else self._build(request)
        request.pool.check(workflow)
        return Plan(workflow, final=True)

    async def aplan(self, request: PlanRequest) -> Plan:
        """`plan`; nothing is awaited."""
        return self.plan(request)


def workflow(steps: Workflow) -> FixedPlanner:
    """One workflow for every question."""
    return FixedPlanner(steps)


def single(worker: str, subtask: str = SOLVE) -> FixedPlanner:
    """One worker answers alone."""
    return workflow(Workflow((Step(worker, subtask),)))


def self_consistency(n: int, worker: str, judge: str | None = None) -> FixedPlanner:
    """One worker answers `n` times independently; `judge` (itself by default) gives the majority's answer.

    Source: Wang et al. 2022, self-consistency (arXiv 2203.11171). The vote is taken by a model, because
    free text has no equality.
    """
    _at_least(n, 2, "n")
    answers = [Step(worker, SOLVE) for _ in range(n)]
    vote = f"{n} independent answers are given. Give the answer most of them agree on, and only it."
    return workflow(Workflow((*answers, Step(judge or worker, vote, tuple(range(n))))))


def self_reflection(k: int, worker: str) -> FixedPlanner:
    """One worker answers, then `k` times looks for mistakes and improves its latest answer.

    Source: Madaan et al. 2023, Self-Refine (arXiv 2303.17651).
    """
    _at_least(k, 1, "k")
    again = "Look for mistakes in the given answer. Then give the corrected, complete answer."
    reflections = [Step(worker, again, (i,)) for i in range(k)]
    return workflow(Workflow((Step(worker, SOLVE), *reflections)))


def mixture_of_agents(proposers: Sequence[str], layers: int, aggregator: str) -> FixedPlanner:
    """`layers` layers of proposers, each reading the whole layer before; one aggregator at the end.

    Source: Wang et al. 2024, Mixture-of-Agents (arXiv 2406.04692).
    """
    _at_least(layers, 1, "layers")
    _at_least(len(proposers), 1, "the number of proposers")
    improve = "Several answers are given. Weigh them critically and give your own, better answer."
    steps: list[Step] = []
    before: tuple[int, ...] = ()
    for layer in range(layers):
        first = len(steps)
        steps += [Step(name, improve if layer else SOLVE, before) for name in proposers]
        before = tuple(range(first, len(steps)))
    return workflow(Workflow((*steps, Step(aggregator, COMBINE, before))))


def random_router(seed: int) -> FixedPlanner:
    """A worker drawn at random answers alone; the same question and seed give the same worker."""

    def build(request: PlanRequest) -> Workflow:
        draw = random.Random(f"{seed}:{request.question!r}")  # noqa: S311 - no secret is made here
        able = [worker.name for worker in request.pool if worker.may_be_last]
        return Workflow((Step(draw.choice(able), SOLVE),))

    return FixedPlanner(build, identity=["random router", seed])


def random_workflow(seed: int, max_steps: int = 5) -> FixedPlanner:
    """A valid workflow drawn at random; the same question and seed give the same one.

    The number of steps is drawn evenly from 1 to `max_steps`, each worker evenly from those that may stand
    there, and every earlier step is granted with probability 1/2.
    """
    _at_least(max_steps, 1, "max_steps")

    def build(request: PlanRequest) -> Workflow:
        draw = random.Random(f"workflow:{seed}:{request.question!r}")  # noqa: S311 - no secret is made here
        able = [worker.name for worker in request.pool if worker.may_be_last]
        count = draw.randint(1, max_steps)
        steps = []
        for i in range(count):
            worker = draw.choice(able if i == count - 1 else request.pool.names)
            access = tuple(j for j in range(i) if draw.random() < 0.5)
            steps.append(Step(worker, USE if access else SOLVE, access))
        return Workflow(tuple(steps))

    return FixedPlanner(build, identity=["random workflow", seed, max_steps])


class ReviewedPlanner:
    """A planner whose first answer is looked over in a second round, see `reviewed`."""

    def __init__(self, planner: Planner, worker: str | None = None, subtask: str = REVIEW) -> None:
        self.planner = planner
        self.worker = worker
        self.subtask = subtask
        # What a conductor looks for on a planner whose model costs money.
        self.model: Any = getattr(planner, "model", None)
        self.prices: Any = getattr(planner, "prices", None)
        self.show: Any = getattr(planner, "show", None)
        known = getattr(planner, "identity", None)
        self.identity: Any = known and ["reviewed", known, worker, subtask]

    def check(self, pool: WorkerPool) -> None:
        """Refuse a pool the planner or the reviewer does not fit.

        Raises:
            PlanError: If a worker is not in the pool, or may not be last.
        """
        if check := getattr(self.planner, "check", None):
            check(pool)
        if self.worker is not None:
            pool.check(Workflow((Step(self.worker, self.subtask),)))

    def plan(self, request: PlanRequest) -> Plan:
        """The planner's plan as long as there is no answer, then the review.

        Raises:
            PlanError: As the planner does, or if the reviewer is not in the pool.
        """
        return self._review(request) or replace(self.planner.plan(request), final=False)

    async def aplan(self, request: PlanRequest) -> Plan:
        """`plan`, awaited."""
        return self._review(request) or replace(await self.planner.aplan(request), final=False)

    def is_answer(self, workflow: Workflow) -> bool:
        """Of the review it is one, else the planner says it."""
        says = getattr(self.planner, "is_answer", None)
        return says is None or workflow.steps[-1].subtask == self.subtask or bool(says(workflow))

    def _review(self, request: PlanRequest) -> Plan | None:
        earlier = request.previous
        if earlier is None or earlier["workflow"] is None:
            return None
        worker = self.worker or Workflow.from_json(earlier["workflow"]).steps[-1].worker
        workflow = Workflow((Step(worker, self.subtask, ALL),))
        request.pool.check(workflow)
        return Plan(workflow, final=True)


def reviewed(planner: Planner, worker: str | None = None, subtask: str = REVIEW) -> ReviewedPlanner:
    """`planner`, then a second round in which one step checks the answer and gives the corrected one.

    It needs a conductor with `max_rounds=2`.

    Args:
        planner: Plans the first round.
        worker: Who checks; the worker of the first round's last step if left out.
        subtask: What it is told; it reads the whole first round.
    """
    return ReviewedPlanner(planner, worker, subtask)


def _at_least(value: int, least: int, what: str) -> None:
    if value < least:
        raise ValueError(f"{what} must be at least {least}, not {value}")
    if value > _MOST:  # the steps are built at once
        raise ValueError(f"{what} must be at most {_MOST:,}, not {brief(value)}")


__all__ = [
    "FixedPlanner",
    "ReviewedPlanner",
    "mixture_of_agents",
    "random_router",
    "random_workflow",
    "reviewed",
    "self_consistency",
    "self_reflection",
    "single",
    "workflow",
]
