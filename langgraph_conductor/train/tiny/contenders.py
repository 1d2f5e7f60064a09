"""What the small conductor is compared with: what is simpler, its own beginnings, and the best that could be."""

import asyncio
import random
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Final

from langchain_core.messages import BaseMessage

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
from langgraph_conductor.train.learning.asks import Ask
from langgraph_conductor.train.learning.grammar import Grammar
from langgraph_conductor.train.tiny.conducting import MOST_STEPS, workflow_of
from langgraph_conductor.train.tiny.names import (
    AGAIN,
    COMBINED,
    CONSTANT,
    FORM,
    GRPO,
    ORACLE_WORKFLOW,
    RANDOM,
    RECURSION,
    REWARD,
    STAGES,
)
from langgraph_conductor.train.tiny.naming import unseen_pool
from langgraph_conductor.train.tiny.thoughts import Thoughts
from langgraph_conductor.train.tiny.world import World
from langgraph_conductor.usage import Usage
from langgraph_conductor.workers import Worker, WorkerPool
from langgraph_conductor.workflow import Workflow

_MOST_BOUND_TOKENS: Final = 512  # who was never taught the form cuts it into many more tokens than it takes
_LIST: Final = re.compile(r"(?<![\w-])[\w-]++(?:, [\w-]++)++(?: and [\w-]++)?")


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


class Bound:
    """A planner whose plans are bound to the grammar while they are written: the model as it is, without training.

    Args:
        world: Its engine answers.
    """

    def __init__(self, world: World) -> None:
        self._engine, self._planner = world.engine, world.planner("")
        self._grammar = Grammar(world.engine.tokenizer, Thoughts.of)

    def plan(self, request: PlanRequest) -> Plan:
        """The likeliest plan that can be run."""
        messages = self._planner.render(request)
        return self._read(messages, self._ask(messages, request).result(), request)

    async def aplan(self, request: PlanRequest) -> Plan:
        """`plan`, awaited."""
        messages = self._planner.render(request)
        return self._read(messages, await asyncio.wrap_future(self._ask(messages, request)), request)

    def _ask(self, messages: Sequence[BaseMessage], request: PlanRequest) -> Future[tuple[int, ...]]:
        bound = self._grammar(Ask(Task(text_of(request.question), "", "exact"), request.pool))
        return self._engine.ask("", messages, _MOST_BOUND_TOKENS, bound)

    def _read(self, messages: Sequence[BaseMessage], tokens: tuple[int, ...], request: PlanRequest) -> Plan:
        text = self._engine.tokenizer.decode(tokens, skip_special_tokens=True)
        sent = len(self._engine.tokens(messages))
        used = Usage(calls=1, input_tokens=sent, output_tokens=len(tokens), unpriced_calls=1)
        return Plan(self._planner.parse(text, request), "schema", text, tuple(messages), usage=used)


def contenders(
    world: World, tasks: Sequence[Task], seeds: Sequence[int], constant: Workflow
) -> Iterator[Strategy]:
    """All that is not in every evaluation already.

    Args:
        world: The workers and conductors.
        tasks: What will be asked, for the ceiling.
        seeds: Of the conductors.
        constant: The best workflow that never changes, in wordings the workers were taught.
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
            CONSTANT,
            fixed.workflow(constant),
            pool,
            MOST_STEPS,
            f"chosen on training questions: {', then '.join(step.worker for step in constant.steps)}",
        ),
        (RANDOM, _random(), pool, MOST_STEPS, "one to three workers drawn for each question"),
        (
            ORACLE_WORKFLOW,
            _oracle(tasks),
            pool,
            MOST_STEPS,
            "the workers of a question's parts, known beforehand, in the order it names them",
        ),
    ):
        yield Strategy(name, "fixed", planner, offered, max_steps=steps, note=note)
    for name, stage in STAGES.items():
        show: Show = "anonymous" if name in (FORM, REWARD) else "described"
        own = OfSeed([world.planner(f"{stage}-{seed}", show) for seed in seeds])
        yield Strategy(name, "planner", own, pool, max_steps=MOST_STEPS, note=_told(seeds))
    again = OfSeed([world.planner(f"recursion-{seed}") for seed in seeds])
    note = "it may plan again, or accept its answer; it had more steps of training, on second rounds"
    yield Strategy(RECURSION, "planner", again, pool, 2, MOST_STEPS, f"{_told(seeds)}; {note}")
    grpo = OfSeed([world.planner(f"grpo-{seed}") for seed in seeds])
    note = f"{_told(seeds)}; it may plan again, which it has not learnt"
    yield Strategy(AGAIN, "planner", grpo, pool, 2, MOST_STEPS, note)
    note = "the same prompt, plans bound to the grammar while they are written"
    yield Strategy("base, untrained", "planner", Bound(world), pool, max_steps=MOST_STEPS, note=note)
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
    """A worker that was in no training: it reverses the longest list of the latest text that holds one.

    Raises:
        ValueError: If there is none.
    """
    for text in (*(output.text for output in task.inputs[::-1]), text_of(task.question)):
        lists = [re.split(", | and ", found) for found in _LIST.findall(text)]
        if lists:
            return ", ".join(max(lists, key=len)[::-1])
    raise ValueError("there is no list to put back to front")


def _random() -> FixedPlanner:
    def build(request: PlanRequest) -> Workflow:
        draw = random.Random(f"{current_replay().seed}:{text_of(request.question)}")  # noqa: S311 - no secret
        return workflow_of(draw.sample(list(request.pool.names), draw.randint(1, MOST_STEPS)))

    return FixedPlanner(build, identity=["tiny random", MOST_STEPS])


def _oracle(tasks: Sequence[Task]) -> FixedPlanner:
    known = {task.question: [part.skill for part in parts_of(task)] for task in tasks}

    def build(request: PlanRequest) -> Workflow:
        return workflow_of(known.get(text_of(request.question)) or ["smollm2"])

    return FixedPlanner(build, identity=["tiny oracle", MOST_STEPS])


def _told(seeds: Sequence[int]) -> str:
    return f"one conductor for each of the seeds {', '.join(map(str, seeds))}"
