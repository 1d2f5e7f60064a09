"""What the small conductor is compared with: what is simpler, its own beginnings, and the best that could be."""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from langgraph_conductor.evals import Strategy
from langgraph_conductor.evals.suites.tiny_questions import parts_of
from langgraph_conductor.local.specialists import GENERALIST, specialist
from langgraph_conductor.planners import Plan, Planner, PlanRequest, fixed
from langgraph_conductor.planners.fixed import FixedPlanner
from langgraph_conductor.planners.showing import Show
from langgraph_conductor.prompts import text_of
from langgraph_conductor.records import WorkerTask
from langgraph_conductor.replay import current_replay
from langgraph_conductor.rewards import Task
from langgraph_conductor.train.tiny.conducting import MOST_STEPS, workflow_of
from langgraph_conductor.train.tiny.naming import unseen_pool
from langgraph_conductor.train.tiny.world import World
from langgraph_conductor.workers import Worker, WorkerPool
from langgraph_conductor.workflow import Workflow

SFT: Final = "SFT"
GRPO: Final = "SFT + GRPO"
RECURSION: Final = "SFT + GRPO + recursion, 2 rounds"
FORM: Final = "anonymous: form only"
REWARD: Final = "anonymous: form + GRPO"
MIXTURE: Final = "mixture of agents"
COMBINED: Final = f"{MIXTURE}, combined by the generalist"
"""The generalist was taught all skills: of all aggregators it should know best which answer is right."""
ORACLE_WORKFLOW: Final = "oracle workflow"

_LIST: Final = re.compile(r"\w+(?:, \w+)+(?: and \w+)?")

STAGES: Final[Mapping[str, str]] = {SFT: "sft", GRPO: "grpo", FORM: "form", REWARD: "reward"}
"""Which adapter plans: the folder's name, less the seed."""


class OfSeed:
    """A planner that is another one for each sample: conductors of several seeds as the samples of one.

    Args:
        planners: The planners, by seed from 0 up.
    """

    def __init__(self, planners: Sequence[Planner]) -> None:
        self.planners = tuple(planners)

    def plan(self, request: PlanRequest) -> Plan:
        """What the planner of this sample plans."""
        return self._own().plan(request)

    async def aplan(self, request: PlanRequest) -> Plan:
        """`plan`, awaited."""
        return await self._own().aplan(request)

    def _own(self) -> Planner:
        return self.planners[current_replay().seed % len(self.planners)]


def contenders(world: World, tasks: Sequence[Task], seeds: Sequence[int]) -> Iterator[Strategy]:
    """All that is not in every evaluation already.

    Args:
        world: The workers and conductors.
        tasks: What will be asked, for the ceiling.
        seeds: Of the conductors.
    """
    pool = world.pool()
    model = world.model_of(GENERALIST, 48)
    wide = pool.joined_by(
        Worker(GENERALIST, specialist(model), description="every skill of the specialists")
    )
    proposers = list(pool.names)
    mixed = fixed.mixture_of_agents(proposers, 1, GENERALIST)
    for name, planner, offered, steps, note in (
        (
            "generalist",
            fixed.single(GENERALIST),
            wide,
            1,
            "one adapter, taught all that the specialists were",
        ),
        (COMBINED, mixed, wide, len(wide), "all of the pool propose"),
        (
            ORACLE_WORKFLOW,
            _oracle(tasks),
            pool,
            MOST_STEPS,
            "a ceiling: the right workers, known beforehand",
        ),
    ):
        yield Strategy(name, "fixed", planner, offered, max_steps=steps, note=note)
    for name, stage in STAGES.items():
        show: Show = "anonymous" if name in (FORM, REWARD) else "described"
        own = OfSeed([world.planner(f"{stage}-{seed}", show) for seed in seeds])
        yield Strategy(name, "planner", own, pool, max_steps=MOST_STEPS, note=_told(seeds))
    again = OfSeed([world.planner(f"recursion-{seed}") for seed in seeds])
    note = "it may plan again, or accept its answer"
    yield Strategy(RECURSION, "planner", again, pool, 2, MOST_STEPS, f"{_told(seeds)}; {note}")
    untrained = world.planner("", structured=True)
    note = "the same prompt, plans bound to the schema"
    yield Strategy("base, untrained", "planner", untrained, pool, max_steps=MOST_STEPS, note=note)
    first = OfSeed([world.planner(f"grpo-{seeds[0]}")])
    for name, offered, note in _variants(world, pool):
        note = f"{_told(seeds[:1])}; {note}"
        yield Strategy(f"{GRPO}, {name}", "planner", first, offered, max_steps=MOST_STEPS, note=note)


def _variants(world: World, pool: WorkerPool) -> Iterator[tuple[str, WorkerPool, str]]:
    yield "permuted", pool.permuted(7), "the same workers under other numbers"
    draw = random.Random("variants")  # noqa: S311 - no secret is made here
    renamed, _ = unseen_pool(world.model_of, draw)
    yield "renamed", renamed, "names and descriptions that are in no training data"
    yield "one removed", pool.without("story"), "without the worker that reads stories"
    new = Worker("Quentin", turned, description="puts what is listed back to front")
    note = "the worker that reverses is gone, and a new one that can is described as nobody in the training data"
    yield "one new", pool.without("reverser").joined_by(new), note


def turned(task: WorkerTask) -> str:
    """A worker that was in no training: it reverses the latest list it finds.

    Raises:
        ValueError: If there is none.
    """
    for text in (*(output.text for output in task.inputs[::-1]), text_of(task.question)):
        if found := _LIST.findall(text):
            return ", ".join(re.split(", | and ", found[-1])[::-1])
    raise ValueError("there is no list to put back to front")


def _oracle(tasks: Sequence[Task]) -> FixedPlanner:
    known = {task.question: [part.skill for part in parts_of(task)] for task in tasks}

    def build(request: PlanRequest) -> Workflow:
        return workflow_of(known.get(text_of(request.question)) or ["smollm2"])

    return FixedPlanner(build, identity=["tiny oracle", MOST_STEPS])


def _told(seeds: Sequence[int]) -> str:
    return f"one conductor for each of the seeds {', '.join(map(str, seeds))}"
