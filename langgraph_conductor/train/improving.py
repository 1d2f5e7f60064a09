"""The stages that learn from rewards: GRPO, with all workers, with some of them, and with second rounds."""

from collections.abc import Sequence
from contextlib import suppress
from math import ceil
from pathlib import Path
from typing import Any

from langgraph_conductor.rewards import Task
from langgraph_conductor.train.config import SecondRounds, Stage
from langgraph_conductor.train.learning.advantages import advantages_of
from langgraph_conductor.train.learning.collapse import CollapseDetector
from langgraph_conductor.train.learning.groups import (
    FirstRound,
    batches,
    first_rounds,
    load_first_rounds,
    recursive_batches,
    save_first_rounds,
)
from langgraph_conductor.train.learning.trainer import Batches, Step
from langgraph_conductor.train.preparing import writer
from langgraph_conductor.train.results.diagnostics import Diagnostics, read_steps
from langgraph_conductor.train.session import Session


def grpo(session: Session) -> dict[str, Any]:
    """Stage `grpo`: every question is offered every worker."""
    return _improve(session, "grpo", asked(session, "grpo", session.tasks()))


def adapt(session: Session) -> dict[str, Any]:
    """Stage `adapt`: each question is offered some of the workers, drawn at random."""
    return _improve(session, "adapt", asked(session, "adapt", session.tasks()))


def recursion(session: Session) -> dict[str, Any]:
    """Stage `recursion`: a share of each group goes on from first rounds that were run before."""
    config = session.config
    settings = config.recursion or SecondRounds()
    stored = _first_rounds(session, settings, session.folder("recursion") / "first_rounds")
    improvement = config.improvement("recursion")
    with session.naming("recursion"):
        again = recursive_batches(
            stored,
            session.tasks(),
            session.pool,
            improvement,
            settings,
            seed=_seed(session, "recursion"),
            permute=config.prompt.permute,
            show=config.prompt.show,
        )
    return _improve(
        session, "recursion", again, advantages=advantages_of(settings, scaled=improvement.scale_rewards)
    )


def asked(session: Session, stage: Stage, tasks: Sequence[Task]) -> Batches:
    """What each step of `grpo` or `adapt` asks.

    Raises:
        ConfigError: If tasks, workers and settings do not fit together.
    """
    config = session.config
    with session.naming(stage):
        return batches(
            tasks,
            session.pool,
            config.improvement(stage),
            seed=_seed(session, stage),
            adaptive=config.adapt if stage == "adapt" else None,
            permute=config.prompt.permute,
            show=config.prompt.show,
        )


def _seed(session: Session, stage: Stage) -> int:
    return session.config.seed * 10 + session.config.stages.index(stage)


def _improve(session: Session, stage: Stage, batches: Batches, **options: Any) -> dict[str, Any]:
    folder = session.folder(stage)
    diagnostics = Diagnostics(folder, session.spending.expenses) if session.is_first else None
    improvement, limits = session.config.improvement(stage), session.config.collapse
    collapsed = CollapseDetector(limits) if limits else None

    def watch(step: Step) -> None:
        if diagnostics is not None:
            diagnostics(step)
            session.tell(f"{stage}, step {step.number + 1} of {improvement.steps}: {_line(folder)}")
        if collapsed is not None:
            collapsed(step)

    weights = folder / "weights"
    if not weights.is_dir():
        trainer = session.trainer(
            session.weights_before(stage), improvement=improvement, watch=watch, **options
        )
        trainer.improve(batches, session.score, folder / "checkpoints")
        session.keep(trainer, weights)
    if diagnostics is not None:
        with suppress(ImportError):  # the plots are the extra `eval`'s
            diagnostics.report()
    return {"steps": improvement.steps}


def _line(folder: Path) -> str:
    last = read_steps(folder)[-1]
    shown = {
        "reward": last["reward"],
        "parsed": last["parsed"],
        "right": last["right"],
        "dead": last["dead_groups"],
    }
    figures = [f"{name} {value:.3f}" for name, value in shown.items() if value is not None]
    paid = last["usd"]["paid"]
    return ", ".join([*figures, f"paid ${paid}" if paid else "", f"{sum(last['seconds'].values()):.0f} s"])


def first_round_batches(session: Session, tasks: int) -> tuple[int, int]:
    """Questions of a batch of first rounds, and how many batches."""
    settings = session.config.recursion or SecondRounds()
    questions = min(tasks, session.config.improvement("grpo").questions)
    return questions, ceil(min(settings.questions or tasks, tasks) / questions)


def _first_rounds(session: Session, settings: SecondRounds, folder: Path) -> list[FirstRound]:
    """First rounds of the model as it is, run; a file for each batch."""
    config, tasks = session.config, session.tasks()
    questions, count = first_round_batches(session, len(tasks))
    sizes = config.improvement("grpo").model_copy(
        update={"questions": questions, "rollouts": settings.first_rounds}
    )
    begun = batches(
        tasks,
        session.pool,
        sizes,
        seed=_seed(session, "recursion") + 1,
        permute=config.prompt.permute,
        show=config.prompt.show,
    )
    write = writer(session, session.weights_before("recursion"))
    stored: list[FirstRound] = []
    for number in range(count):
        path = folder / f"{number:05}.jsonl"

        def sample(number: int = number, path: Path = path) -> None:
            asks = [ask for group in begun(number) for ask in group]
            found = first_rounds(asks, session.score(asks, write(asks, number)))
            save_first_rounds(found, path)
            session.tell(f"recursion, first rounds, batch {number + 1} of {count}: {len(found)}")

        session.by_one(path, sample)
        stored += load_first_rounds(path)
    return stored
