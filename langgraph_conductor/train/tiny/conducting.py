"""What the small conductor learns from: plans that were tried at random and were right, and rewards."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Final

from langgraph_conductor.local.conductor import plan_text
from langgraph_conductor.local.pool import POOL, ModelOf
from langgraph_conductor.local.specialists import SUBTASKS
from langgraph_conductor.rewards import Task
from langgraph_conductor.train.asks import Ask, Example, Group
from langgraph_conductor.train.tiny.naming import renamed_pool
from langgraph_conductor.train.tiny.questions import parts_of
from langgraph_conductor.train.trainer import Batches, Score
from langgraph_conductor.workers import WorkerPool
from langgraph_conductor.workflow import ALL, Step, Workflow

MOST_STEPS: Final = 3

PAIRS_TRIED: Final = 24
"""Workflows of two steps tried for a question, of the 42 there are; all of one step are."""


def workflow_of(kinds: Sequence[str]) -> Workflow:
    """These workers one after the other, each in its one wording, each granted all that was said before."""
    return Workflow(tuple(Step(kind, SUBTASKS[kind], ALL if i else ()) for i, kind in enumerate(kinds)))


def tried(task: Task, seed: int = 0) -> list[Workflow]:
    """Workflows to be tried for a question: each worker alone, and pairs drawn at random."""
    draw = random.Random(f"tried {task.id}:{seed}")  # noqa: S311 - no secret is made here
    pairs = draw.sample(list(permutations(POOL, 2)), PAIRS_TRIED)
    return [workflow_of(kinds) for kinds in [*((kind,) for kind in POOL), *pairs]]


def right_plans(tasks: Sequence[Task], pool: WorkerPool, score: Score, seed: int = 0) -> list[Example]:
    """What was right when it ran, one workflow a question: of the shortest, the one that was tried first."""
    asks, texts = [], []
    for task in tasks:
        ask = Ask(task, pool)
        for workflow in tried(task, seed):
            asks.append(ask)
            texts.append(plan_text(workflow, pool))
    found: dict[str, Example] = {}
    for ask, text, scored in zip(asks, texts, score(asks, texts), strict=True):
        if scored.episode.score == 1.0:
            found.setdefault(ask.task.id, Example(ask, text))
    return list(found.values())


def varied(
    examples: Sequence[Example], workflows: Sequence[Workflow], model_of: ModelOf, times: int, seed: int = 0
) -> list[Example]:
    """Each example under other names, numbers, wordings and companions, `times` over."""
    draw = random.Random(f"varied:{seed}")  # noqa: S311 - no secret is made here
    found = []
    for _ in range(times):
        for example, workflow in zip(examples, workflows, strict=True):
            pool, named = renamed_pool(model_of, draw, needed=[step.worker for step in workflow.steps])
            called = Workflow(tuple(replace(step, worker=named[step.worker]) for step in workflow.steps))
            found.append(Example(Ask(example.ask.task, pool), plan_text(called, pool)))
    draw.shuffle(found)
    return found


def random_routing(tasks: Sequence[Task], pool: WorkerPool, seed: int = 0) -> Iterator[Example]:
    """Plans that teach the form alone: the parts' wordings, any workers; a third have the wrong number of steps.

    Nothing of it was run, and nothing of it says who can do what.
    """
    draw = random.Random(f"random routing:{seed}")  # noqa: S311 - no secret is made here
    for task in tasks:
        subtasks = [SUBTASKS[part.skill] for part in parts_of(task)]
        if draw.random() < 1 / 3:
            subtasks = subtasks[:-1] or [*subtasks, draw.choice(list(SUBTASKS.values()))]
        steps = [
            Step(draw.choice(pool.names), subtask, ALL if i and draw.random() < 0.8 else ())
            for i, subtask in enumerate(subtasks)
        ]
        yield Example(Ask(task, pool), plan_text(Workflow(tuple(steps)), pool, anonymous=True))


def renamed_batches(
    tasks: Sequence[Task], model_of: ModelOf, questions: int, rollouts: int, *, seed: int, version: str
) -> Batches:
    """Groups for learning from rewards: each question with names, numbers and companions of its own."""

    def batch(step: int) -> Sequence[Group]:
        groups = []
        for place in range(step * questions, (step + 1) * questions):
            epoch, at = divmod(place, len(tasks))
            order = list(range(len(tasks)))
            random.Random(f"order:{seed}:{epoch}").shuffle(order)  # noqa: S311 - no secret is made here
            task = tasks[order[at]]
            draw = random.Random(f"names:{seed}:{place}")  # noqa: S311 - no secret is made here
            pool, _ = renamed_pool(
                model_of, draw, needed=[part.skill for part in parts_of(task)], version=version
            )
            groups.append([Ask(task, pool)] * rollouts)
        return groups

    return batch


Chosen = Callable[[Sequence[Task], int], Sequence[Task]]


def mixed(tasks: Sequence[Task], count: int, composed: float = 0.5) -> list[Task]:
    """The first `count` tasks with a share of composed ones, evenly from each domain."""
    by_domain: dict[str, list[Task]] = {}
    for task in tasks:
        by_domain.setdefault(task.domain, []).append(task)
    many = [domain for domain in sorted(by_domain) if "+" in domain]
    single = [domain for domain in sorted(by_domain) if "+" not in domain and domain != "unsolvable"]
    found: list[Task] = []
    for domains, wanted in ((many, round(count * composed)), (single, count - round(count * composed))):
        for n in range(wanted):
            rest = by_domain[domains[n % len(domains)]]
            found.append(rest[n // len(domains) % len(rest)])
    return found
