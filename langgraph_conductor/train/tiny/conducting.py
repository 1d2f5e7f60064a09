"""What the small conductor learns from: plans that were tried at random and were right, and rewards."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any, Final

from langgraph_conductor.evals.suites.tiny_questions import parts_of
from langgraph_conductor.local.conductor import plan_text
from langgraph_conductor.local.pool import POOL, ModelOf
from langgraph_conductor.local.specialists import SUBTASKS
from langgraph_conductor.records import RoundRecord
from langgraph_conductor.rewards import Task
from langgraph_conductor.train.learning.asks import Ask, Example, Group
from langgraph_conductor.train.learning.groups import question_at
from langgraph_conductor.train.learning.trainer import Batches, Score
from langgraph_conductor.train.tiny.naming import drawn_pool
from langgraph_conductor.workers import WorkerPool
from langgraph_conductor.workflow import ALL, Step, Workflow

MOST_STEPS: Final = 3

ACCEPTED: Final = "accept\nmodel_id = []\nsubtasks = []\naccess_list = []"
"""The plan that keeps the answer of the round before."""

PAIRS_TRIED: Final = 24
"""Workflows of two steps tried for a question, of the 42 there are; all of one step are."""


def workflow_of(kinds: Sequence[str]) -> Workflow:
    """These workers one after the other, each in its one wording, each granted all that was said before."""
    return Workflow(tuple(Step(kind, SUBTASKS[kind], ALL if i else ()) for i, kind in enumerate(kinds)))


def alone() -> list[Workflow]:
    """Each worker alone."""
    return [workflow_of((kind,)) for kind in POOL]


def chains() -> list[Workflow]:
    """Each two workers, one after the other."""
    return [workflow_of(kinds) for kinds in permutations(POOL, 2)]


def pairs(task: Task, seed: int = 0) -> list[Workflow]:
    """Workflows of two steps, drawn at random for a question."""
    draw = random.Random(f"tried {task.id}:{seed}")  # noqa: S311 - no secret is made here
    return draw.sample(chains(), PAIRS_TRIED)


def best_constant(tasks: Sequence[Task], pool: WorkerPool, score: Score) -> Workflow:
    """Of all workflows of one step, and of two in the workers' own wordings, the one that is right most often.

    Args:
        tasks: Questions to choose on.
        pool: The workers.
        score: Runs plans.

    Returns:
        It; of equally good ones the shortest.
    """
    candidates = [*alone(), *chains()]
    asks = [Ask(task, pool) for _ in candidates for task in tasks]
    texts = [plan_text(candidate, pool) for candidate in candidates for _ in tasks]
    scored = [one.episode.score or 0.0 for one in score(asks, texts)]
    right = [sum(scored[i * len(tasks) : (i + 1) * len(tasks)]) for i in range(len(candidates))]
    return candidates[right.index(max(right))]


@dataclass(frozen=True, slots=True)
class Found:
    """What trying showed of a question.

    Args:
        task: The question.
        right: A round that was right: of the shortest workflows, the first.
        wrong: A round that was not, if one gave an answer at all.
    """

    task: Task
    right: RoundRecord
    wrong: RoundRecord | None

    @property
    def workflow(self) -> Workflow:
        """What was right."""
        return _workflow(self.right)

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {"task": self.task.to_json(), "right": self.right, "wrong": self.wrong}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Found":
        """The inverse of `to_json`."""
        return cls(Task.from_json(data["task"]), data["right"], data["wrong"])


def sought(tasks: Sequence[Task], pool: WorkerPool, score: Score, seed: int = 0) -> list[Found]:
    """Try workflows: each worker alone, and where nobody was right, pairs at random.

    Returns:
        What was found of those questions of which one was right.
    """
    right: dict[str, RoundRecord] = {}
    wrong: dict[str, list[RoundRecord]] = {}

    def tried(some: Sequence[tuple[Task, Workflow]]) -> None:
        asks = [Ask(task, pool) for task, _ in some]
        for ask, scored in zip(asks, score(asks, [plan_text(one, pool) for _, one in some]), strict=True):
            episode = scored.episode
            if episode.score == 1.0:
                right.setdefault(ask.task.id, episode.rounds[0])
            elif episode.score == 0.0 and episode.answer:
                wrong.setdefault(ask.task.id, []).append(episode.rounds[0])

    tried([(task, workflow) for task in tasks for workflow in alone()])
    tried([(task, workflow) for task in tasks if task.id not in right for workflow in pairs(task, seed)])
    draw = random.Random(f"wrong:{seed}")  # noqa: S311 - no secret is made here
    return [
        Found(task, right[task.id], draw.choice(wrong[task.id]) if task.id in wrong else None)
        for task in tasks
        if task.id in right
    ]


def varied(found: Sequence[Found], model_of: ModelOf, times: int, seed: int = 0) -> list[Example]:
    """What was right, `times` over, every time with workers that are drawn anew.

    One in four is a second round: after what was right the answer is accepted, after what was wrong comes what
    was right.
    """
    draw = random.Random(f"varied:{seed}")  # noqa: S311 - no secret is made here
    shown = []
    for _ in range(times):
        for one in found:
            earlier = draw.choice((None, None, None, draw.choice((one.right, one.wrong))))
            records = [record for record in (one.right, earlier) if record]
            needed = {step["worker"] for record in records for step in record["steps"]}
            pool, named = drawn_pool(model_of, draw, needed=needed)
            ask = Ask(one.task, pool, (_called(earlier, named),) if earlier else ())
            workflow = _workflow(_called(one.right, named))
            shown.append(Example(ask, ACCEPTED if earlier is one.right else plan_text(workflow, pool)))
    draw.shuffle(shown)
    return shown


def _workflow(record: RoundRecord) -> Workflow:
    return Workflow.from_json(record["workflow"] or {})


def _called(record: RoundRecord, named: Mapping[str, str]) -> RoundRecord:
    """The round with its workers under their new names."""
    workflow = record["workflow"] or {"steps": []}
    steps = [{**step, "worker": named[step["worker"]]} for step in workflow["steps"]]
    return {
        **record,
        "workflow": {**workflow, "steps": steps},
        "steps": [{**step, "worker": named[step["worker"]]} for step in record["steps"]],
    }


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


def drawn_batches(
    tasks: Sequence[Task], model_of: ModelOf, questions: int, rollouts: int, *, seed: int, version: str
) -> Batches:
    """Groups for learning from rewards: each question with workers that are drawn anew."""

    def batch(step: int) -> Sequence[Group]:
        groups = []
        for place in range(step * questions, (step + 1) * questions):
            task = question_at(tasks, place, seed, in_turn=True)
            draw = random.Random(f"names:{seed}:{place}")  # noqa: S311 - no secret is made here
            pool, _ = drawn_pool(
                model_of, draw, needed=[part.skill for part in parts_of(task)], version=version
            )
            groups.append([Ask(task, pool)] * rollouts)
        return groups

    return batch


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
