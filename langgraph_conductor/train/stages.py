"""The stages of a training, run one by one; each goes on where it was broken off, and is skipped once it is done.

FOLDER/spent/               what was used so far
FOLDER/replies.sqlite       replies of workers
FOLDER/data/                tasks.jsonl
FOLDER/warm_start/          plans that were run, those learnt from, weights/
FOLDER/grpo/ adapt/ recursion/   steps.jsonl, summary.json, training.html, checkpoints/, weights/
FOLDER/export/              adapters and their card
"""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from langgraph_conductor.errors import ConfigError
from langgraph_conductor.train.config import Stage, TrainConfig
from langgraph_conductor.train.forecast import Forecast, check_money, forecast
from langgraph_conductor.train.improving import adapt, asked, grpo, recursion
from langgraph_conductor.train.preparing import known_tasks, prepare_data, warm_start
from langgraph_conductor.train.results.diagnostics import SUMMARY
from langgraph_conductor.train.session import Session
from langgraph_conductor.workers import WorkerPool


def train(
    config: TrainConfig,
    *,
    stage: Stage | None = None,
    first: Stage | None = None,
    pool: WorkerPool | None = None,
    may_exceed: bool = False,
    tell: Callable[[str], None] = print,
) -> Path:
    """Run the stages that are not done.

    Args:
        config: What is trained, and how.
        stage: Run this one alone; those before it have to be done.
        first: Begin this one and all after it anew; what they made is put aside.
        pool: The workers; those of the configuration if left out.
        may_exceed: Start though more is forecast than the limit allows; the limit ends it then.
        tell: Is told how it goes, in lines.

    Returns:
        The folder of the training.

    Raises:
        ConfigError: If something does not fit together, or too much would be paid; before anything is.
        BudgetExceededError: If the limit was reached. What was done is kept; with a higher one it goes on.
    """
    session = Session.of(config, pool, tell)
    for name in {stage, first} - {None}:
        if name not in config.stages:
            raise ConfigError(f"there is no section [{name}]; the stages are {', '.join(config.stages)}")
    if first and session.processes > 1:
        raise ConfigError("--from is for one process; begin anew with it, and go on with several")
    anew = config.stages[config.stages.index(first) :] if first else ()
    chosen = (stage,) if stage else config.stages
    todo = [name for name in chosen if name in anew or not session.is_done(name)]
    for name in config.stages[: config.stages.index(chosen[0])]:
        if todo and not session.is_done(name):
            raise ConfigError(f"stage {chosen[0]} needs stage {name}, which is not done; leave out --stage")
    tasks = known_tasks(session)
    for name in todo:
        if name in ("grpo", "adapt"):
            asked(session, name, tasks)  # what does not fit together is found before anything is paid
    if todo:
        check_money(forecast(session, todo), may_exceed=may_exceed)
    for name in anew:
        session.put_aside(name)
    with session.opened():
        for name in chosen:
            session.tell(f"{name}: {_ran(session, name) if name in todo else 'done before'}")
    return session.root


def expected(config: TrainConfig, *, pool: WorkerPool | None = None) -> Forecast:
    """What the stages that are not done will ask and cost; nothing is called.

    Raises:
        ConfigError: If something does not fit together.
    """
    session = Session.of(config, pool, lambda _: None)
    return forecast(session, [name for name in config.stages if not session.is_done(name)])


def _ran(session: Session, stage: Stage) -> str:
    session.tell(f"{stage}: begins")
    if session.is_first:
        session.begin(stage)
    facts = _STAGES[stage](session)
    if session.is_first:
        session.end(stage, facts)
    return ", ".join(["done", *(f"{name.replace('_', ' ')} {value}" for name, value in facts.items())])


def _export(session: Session) -> dict[str, Any]:
    folder = session.folder("export")
    session.by_one(folder / "README.md", lambda: _publish(session, folder))
    return {"folder": str(folder)}


def _publish(session: Session, folder: Path) -> None:
    from langgraph_conductor.train.results.publish import Facts, publish

    config = session.config
    weights = session.weights_before("export")
    if weights is None:
        raise ConfigError("[export]: nothing was trained; add [warm_start] or [grpo]")
    if not (weights / "adapter_config.json").is_file():
        # All weights were trained: they are a model as transformers, vLLM and llama.cpp's converter read it.
        shutil.copytree(weights, folder / "conductor", dirs_exist_ok=True)
        (folder / "README.md").write_text(
            f"A conductor, trained from {config.model.name}.\n", encoding="utf-8"
        )
        return
    tasks = session.tasks()
    domains = sorted({task.domain for task in tasks} - {""})
    facts = Facts(
        title=f"A conductor of {len(session.pool)} workers",
        base=config.model.name,
        data=f"{len(tasks)} tasks of {', '.join(config.data.suites)}"
        + (f", of the domains {', '.join(domains)}." if domains else "."),
        seeds=(config.seed,),
        settings=config.model_dump(mode="json", exclude_none=True, include=_TOLD),
        figures=_figures(session),
        notes=_notes(session),
    )
    publish({"conductor": weights}, _base(config.model.name, folder), folder, facts)


def _base(model: str, folder: Path) -> Path:
    """A folder with the model's `config.json`."""
    if Path(model).is_dir():
        return Path(model)
    from transformers import AutoConfig

    AutoConfig.from_pretrained(model).save_pretrained(folder / "base")
    return folder / "base"


def _notes(session: Session) -> tuple[str, ...]:
    if session.config.prompt.show == "described":
        return ("It is shown its workers' names and descriptions, so their numbering may change.",)
    numbered = ", ".join(f"{number}: {name}" for number, name in session.pool.ordinals.items())
    return (f"It knows its workers by number alone, and they must be offered under these: {numbered}.",)


def _figures(session: Session) -> list[dict[str, Any]]:
    rows = []
    for stage in session.config.stages:
        path = session.folder(stage) / SUMMARY
        if path.is_file():
            summary = json.loads(path.read_text(encoding="utf-8"))
            row: dict[str, Any] = {"stage": stage, "steps": summary["steps"]}
            for figure in ("reward", "parsed", "right"):
                for part in ("first", "last"):
                    value = summary[part][figure]
                    row[f"{figure}, {part}"] = "" if value is None else f"{value:.3f}"
            rows.append(row)
    return rows


_TOLD: Final = {
    "trainer", "seed", "replies", "model", "prompt", "rewards", "warm_start", "grpo", "adapt", "recursion"
}  # fmt: skip
_STAGES: Final[Mapping[Stage, Callable[[Session], dict[str, Any]]]] = {
    "data": prepare_data,
    "warm_start": warm_start,
    "grpo": grpo,
    "adapt": adapt,
    "recursion": recursion,
    "export": _export,
}
