"""The stages before learning from rewards: the tasks, and a model that knows how plans are written."""

import random
from collections.abc import Callable, Sequence
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any, Final

from langgraph_conductor.errors import ConfigError
from langgraph_conductor.evals.results import Outcome
from langgraph_conductor.evals.suites import Suite
from langgraph_conductor.planners.fixed import SOLVE
from langgraph_conductor.rewards import Task
from langgraph_conductor.train.config import TrainConfig, WarmStart
from langgraph_conductor.train.data import disagreeing, few_shots, save_tasks, tasks_of
from langgraph_conductor.train.files import write_lines
from langgraph_conductor.train.learning.asks import Ask, Example
from langgraph_conductor.train.learning.groups import batches, in_turns
from langgraph_conductor.train.learning.settings import Improvement
from langgraph_conductor.train.learning.trainer import Batches, Trainer
from langgraph_conductor.train.session import Session
from langgraph_conductor.train.warm_start import Write, random_plans, sample_plans, worth_imitating
from langgraph_conductor.workers import WorkerPool
from langgraph_conductor.workflow import Step, Workflow

_TURN: Final = 1000
"""Between the seeds of the turns of a warm start."""


def prepare_data(session: Session) -> dict[str, Any]:
    """Stage `data`: the tasks, checked, filtered and spread over domains.

    Raises:
        ConfigError: If no task is left, or an example that is shown gives one away.
    """
    path = session.folder("data") / "tasks.jsonl"
    session.by_one(path, lambda: _gather(session, path))
    return {"tasks": len(session.tasks())}


def known_tasks(session: Session) -> tuple[Task, ...]:
    """The tasks that stage `data` kept; before it, those it will choose from."""
    done = (session.folder("data") / "tasks.jsonl").is_file()
    return session.tasks() if done else _all_tasks(session)


def _all_tasks(session: Session) -> tuple[Task, ...]:
    """The training splits of the suites, domains taking turns."""
    settings = session.config.data
    suites = [
        tasks_of(name, domains=settings.domains, allow_code=settings.allow_code) for name in settings.suites
    ]
    if session.config.prompt.examples:
        few_shots(suites)
    tasks = [task for suite in suites for task in suite.tasks("train")]
    return _spread(tasks, None if settings.disagreement else settings.most, session.config.seed)


def _gather(session: Session, path: Path) -> None:
    settings = session.config.data
    tasks = _all_tasks(session)
    if settings.disagreement:
        kept = disagreeing(tasks, _alone(tasks, session))
        session.tell(f"data: the workers differ on {len(kept)} of {len(tasks)} tasks")
        tasks = _spread(kept, settings.most, session.config.seed)
    if not tasks:
        raise ConfigError(
            "[data]: no task is left to learn from; take other suites, or leave `disagreement` out"
        )
    save_tasks(Suite("tasks", {"train": tasks}), path)


def _alone(tasks: Sequence[Task], session: Session) -> list[Outcome]:
    """What each worker makes of the tasks alone."""
    outcomes = []
    samples = range(session.config.data.samples)
    for worker in (worker for worker in session.pool if worker.may_be_last):
        text = Workflow((Step(worker.name, SOLVE),)).to_text(session.pool)
        asks = [Ask(task, session.pool, seed=seed) for task in tasks for seed in samples]
        found = iter(session.score(asks, [text] * len(asks)))
        episodes = {task.id: tuple(next(found).episode for _ in samples) for task in tasks}
        outcomes.append(Outcome(f"single({worker.name})", "single", episodes))
    return outcomes


def _spread(tasks: Sequence[Task], most: int | None, seed: int) -> tuple[Task, ...]:
    """Tasks in a random order in which domains take turns; no question twice."""
    draw = random.Random(f"data:{seed}")  # noqa: S311 - no secret is made here
    return tuple(in_turns({(task.domain, task.id): task for task in tasks}.values(), draw)[:most])


def warm_start(session: Session) -> dict[str, Any]:
    """Stage `warm_start`: plans are sampled, run, and those that were right are imitated.

    With several turns, each writes its plans with the model of the turn before; what is learnt from is the plans
    of all turns, and the model begins anew.

    Raises:
        ConfigError: If no plan was right.
    """
    settings = session.config.warm_start or WarmStart()
    folder = session.folder("warm_start")
    examples: list[Example] = []
    for turn in range(settings.turns):
        last = turn == settings.turns - 1
        place = folder if last else folder / f"turn_{turn}"
        before = folder / f"turn_{turn - 1}" / "weights" if turn else None
        known = {(example.ask.task.id, example.text) for example in examples}
        found = _examples(session, settings, turn, folder / f"turn_{turn}", before)
        examples += [one for one in found if (one.ask.task.id, one.text) not in known]
        if not (place / "weights").is_dir():
            trainer = session.trainer(None, imitation=settings.imitation)
            trainer.imitate(examples, place / "checkpoints")
            session.keep(trainer, place / "weights")
    return {"examples": len(examples)}


def _examples(
    session: Session, settings: WarmStart, turn: int, place: Path, before: Path | None
) -> list[Example]:
    """The plans of one turn that are worth imitating."""
    asked, count = warm_start_batches(session.tasks(), session.pool, session.config, turn)
    path = place / "examples.jsonl"

    def tell(line: str) -> None:
        session.tell(f"warm_start, turn {turn + 1} of {settings.turns}, {line}")

    def sample() -> None:
        write = _writer(session, settings, turn, before)
        samples = sample_plans(asked, count, write, session.score, place / "samples", tell)
        _, chosen = worth_imitating(samples, asked, settings)
        if not chosen:
            raise ConfigError(
                f"none of {len(samples)} plans of the warm start was right, so there is nothing to imitate; see "
                f'{place / "samples"}; take more samples, `source = "random"` with fitting `subtasks`, '
                "or easier tasks"
            )
        several = sum(one.steps > 1 for one in chosen)
        tell(f"{len(chosen)} plans to imitate, {several} of several steps")
        write_lines(path, (one.to_json() for one in chosen))

    session.by_one(path, sample)
    samples = sample_plans(asked, count, _nothing_left, session.score, place / "samples", tell)
    return worth_imitating(samples, asked, settings)[0]


def warm_start_batches(
    tasks: Sequence[Task], pool: WorkerPool, config: TrainConfig, turn: int
) -> tuple[Batches, int]:
    """What a turn of the warm start asks, and in how many batches."""
    settings = config.warm_start or WarmStart()
    questions = min(len(tasks), config.improvement("grpo").questions)
    sizes = Improvement(questions=questions, rollouts=settings.samples)
    prompt = config.prompt
    seed = config.seed + _TURN * (turn + 1)
    asked = batches(tasks, pool, sizes, seed=seed, permute=prompt.permute, show=prompt.show)
    return asked, ceil(settings.questions / questions)


def _writer(session: Session, settings: WarmStart, turn: int, before: Path | None) -> Write:
    config = session.config
    if settings.source == "random" and turn == 0:
        return random_plans(settings, config.seed, anonymous=config.prompt.show == "anonymous")
    return writer(session, before)


def writer(session: Session, weights: Path | None) -> Write:
    """Writes plans with the model as `weights` has it, as it is sampled in learning; it is loaded when asked."""
    learning = session.config.improvement("grpo")
    loaded: Callable[[], Trainer] = cache(lambda: session.trainer(weights))

    def write(asks: Sequence[Ask], batch: int) -> Sequence[str]:
        return loaded().sample(
            asks,
            temperature=learning.temperature,
            max_tokens=learning.max_tokens,
            seed=session.config.seed * 1_000_003 + batch,
        )

    return write


def _nothing_left(asks: Sequence[Ask], batch: int) -> Sequence[str]:
    raise AssertionError  # every batch was written by the first process
