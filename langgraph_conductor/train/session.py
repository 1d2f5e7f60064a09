"""What the stages share: folder, workers, accounts, and the model as an earlier stage left it."""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from langgraph_conductor.config import read_conductor
from langgraph_conductor.errors import ConfigError
from langgraph_conductor.evals.suites import load_suite
from langgraph_conductor.graph.checks import check_bounds
from langgraph_conductor.planners import ChatPlanner, fixed
from langgraph_conductor.replay import ReplyStore
from langgraph_conductor.replay.identity import pool_identity
from langgraph_conductor.rewards import Task
from langgraph_conductor.text_files import make_folder
from langgraph_conductor.train.config import STAGES, Stage, TrainConfig
from langgraph_conductor.train.files import read_object, write_json
from langgraph_conductor.train.learning.scoring import Scorer
from langgraph_conductor.train.learning.settings import Imitation, Improvement
from langgraph_conductor.train.learning.trainer import Score, Trainer
from langgraph_conductor.train.policy import load_policy, planner_in_training, renderer
from langgraph_conductor.train.spending import Spending
from langgraph_conductor.workers import WorkerPool

_BEGUN: Final = "begun.json"
_DONE: Final = "done.json"
_WITHOUT_EFFECT: Final = ("save_minutes", "allow_code")
"""Settings that change nothing of what is made."""
_SHARED: Final = {"trainer", "replies", "model", "prompt", "rewards"}
"""What every stage that has to do with the model is made from."""
_PATIENCE: Final = 1.0
"""Seconds between two looks for what another process makes."""


@dataclass
class Session:
    """One run of stages.

    Args:
        config: What is trained, and how.
        pool: The workers.
        tell: Is told how it goes, in lines.
        process: Which process this is, from 0.
        processes: How many there are, started by `accelerate launch` or `torchrun`.
    """

    config: TrainConfig
    pool: WorkerPool
    tell: Callable[[str], None]
    process: int = 0
    processes: int = 1
    score: Score = field(init=False)
    """Runs plans, and counts what that takes; in a session that is open."""

    @classmethod
    def of(cls, config: TrainConfig, pool: WorkerPool | None, tell: Callable[[str], None]) -> "Session":
        """A session, its workers checked; only the first of several processes tells how it goes.

        Raises:
            ConfigError: If there are no workers, or the limit could not bound their calls.
        """
        if pool is None:
            if config.pool is None:
                raise ConfigError("there are no workers; add [pool] with config, a conductor.toml")
            pool = read_conductor(config.pool.config).workers
        if config.pool and config.pool.workers:
            try:
                pool = pool.only(*config.pool.workers)
            except ValueError as error:
                raise ConfigError(f"[pool], `workers`: {error}") from error
        process, processes = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        session = cls(config, pool, _silent if process else tell, process, processes)
        ledger = session.spending.expenses.ledger
        try:
            check_bounds(ledger.budget if ledger else None, fixed.random_router(0), pool)
        except ValueError as error:
            raise ConfigError(f"`limit_usd` could not be held: {error}") from error
        return session

    @property
    def root(self) -> Path:
        """The folder of the training."""
        return Path(self.config.folder)

    @cached_property
    def spending(self) -> Spending:
        """The accounts."""
        return Spending(self.root / "spent", self.config.limit_usd, self.process, self.processes)

    @cached_property
    def planner(self) -> ChatPlanner:
        """The prompts and the parser."""
        recursion = self.config.recursion
        return planner_in_training(self.config.prompt, recursion is None or recursion.show_plan)

    @property
    def is_first(self) -> bool:
        """Whether this is the first process, or the only one."""
        return self.process == 0

    def folder(self, stage: Stage) -> Path:
        """The folder of a stage."""
        return self.root / stage

    def tasks(self) -> tuple[Task, ...]:
        """The tasks that stage `data` kept."""
        path = self.folder("data") / "tasks.jsonl"
        return load_suite(path, allow_code=self.config.data.allow_code).tasks("train")

    @contextmanager
    def opened(self) -> Iterator["Session"]:
        """With workers that can be called, all in one event loop: clients of models belong to theirs."""
        config = self.config
        make_folder(self.root)
        with (
            ReplyStore(self.root / "replies.sqlite") as store,
            Scorer(
                self.planner,
                rewards=config.rewards,
                store=store,
                concurrency=max(1, config.concurrency // self.processes),
                expenses=self.spending.expenses,
                max_steps=config.prompt.max_steps,
                replies=config.replies,
                seed=config.seed,
            ) as scorer,
        ):
            self.score = self.spending.counting(scorer.run)
            yield self

    def trainer(
        self,
        weights: Path | None,
        *,
        imitation: Imitation | None = None,
        improvement: Improvement | None = None,
        **options: Any,
    ) -> Trainer:
        """The trainer that is configured, its model as `weights` has it, or as it came."""
        config = self.config
        model, tokenizer, fresh = load_policy(config.model, weights)
        options |= {
            "lora": config.model.lora if fresh else None,
            "imitation": imitation,
            "improvement": improvement,
            "seed": config.seed,
        }
        render = renderer(self.planner, tokenizer, config.prompt.max_steps)
        if config.trainer == "plain":
            from langgraph_conductor.train.trainers.plain import PlainTrainer

            return PlainTrainer(model, tokenizer, render, sample_rows=config.compute.sample_rows, **options)
        from langgraph_conductor.train.trainers.trl import TrlTrainer

        return TrlTrainer(model, tokenizer, render, compute=config.compute, vllm=config.vllm, **options)

    def weights_before(self, stage: Stage) -> Path | None:
        """What the latest stage before this one saved, if one did."""
        earlier = [one for one in self.config.stages if STAGES.index(one) < STAGES.index(stage)]
        saved = (self.folder(one) / "weights" for one in reversed(earlier))
        return next((path for path in saved if path.is_dir()), None)

    def keep(self, trainer: Trainer, weights: Path) -> None:
        """Save what was learnt, in one move; the checkpoints, which are larger, are not needed any more."""
        part = weights.with_name(weights.name + ".part")
        if self.is_first:
            shutil.rmtree(part, ignore_errors=True)
        trainer.save(part)

        def move() -> None:
            part.replace(weights)
            shutil.rmtree(weights.with_name("checkpoints"), ignore_errors=True)

        self.by_one(weights, move)

    def by_one(self, path: Path, work: Callable[[], None]) -> None:
        """Have the first process do something that ends in a file; the others wait for the file.

        Not by a collective operation: those give up after minutes, and workers may take hours.
        """
        if self.is_first:
            if not path.exists():
                work()
        else:
            while not path.exists():
                time.sleep(_PATIENCE)

    @contextmanager
    def naming(self, stage: Stage) -> Iterator[None]:
        """Say of settings that do not fit together which stage they are of.

        Raises:
            ConfigError: In place of a `ValueError`, which is its cause.
        """
        try:
            yield
        except ConfigError:
            raise
        except ValueError as error:
            raise ConfigError(f"[{stage}]: {error}") from error

    def digest(self, stage: Stage) -> str:
        """What a stage is made from: its settings, those all share, the workers, and the stage before."""
        config = self.config
        own = config.model_dump(mode="json")[stage]
        made_of = [stage, config.seed, pool_identity(self.pool), own]
        if stage == "data":
            own["suites"] = [_content(name) for name in config.data.suites]
        else:
            shared = config.model_dump(mode="json", include=_SHARED)
            shared["model"] |= {"name": Path(config.model.name).name, "shape": None}
            written = {"questions", "temperature", "max_tokens"} if stage == "warm_start" else None
            learning = config.improvement(stage).model_dump(mode="json", include=written)
            earlier = [one for one in config.stages if STAGES.index(one) < STAGES.index(stage)]
            made_of += [shared, learning, *map(self.digest, earlier[-1:])]
        text = json.dumps(_lasting(made_of), sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def is_done(self, stage: Stage) -> bool:
        """Whether a stage came to its end.

        Raises:
            ConfigError: If it was begun with other settings, tasks or workers.
        """
        for name in (_DONE, _BEGUN):
            path = self.folder(stage) / name
            if path.is_file():
                if read_object(path).get("digest") != self.digest(stage):
                    raise ConfigError(
                        f"{path.parent} was made with other settings or workers, and would not fit; put "
                        f"them back, give another folder, or begin that stage anew with --from {stage}"
                    )
                return name == _DONE
        return False

    def begin(self, stage: Stage) -> None:
        """Mark a stage as begun."""
        write_json(self.folder(stage) / _BEGUN, {"digest": self.digest(stage)})

    def end(self, stage: Stage, facts: dict[str, Any]) -> None:
        """Mark a stage as done."""
        write_json(self.folder(stage) / _DONE, {"digest": self.digest(stage), **facts})

    def put_aside(self, stage: Stage) -> None:
        """Make room for a stage to begin anew; what it made is kept beside it."""
        folder = self.folder(stage)
        if folder.is_dir():
            number = next(n for n in range(1, 10_000) if not folder.with_name(f"{stage}.{n}").exists())
            folder.rename(folder.with_name(f"{stage}.{number}"))


def _content(suite: str) -> str:
    """What tells a suite from others: of a file what it holds, not where it lies."""
    path = Path(suite)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else path.name


def _lasting(settings: Any) -> Any:
    """Settings without those that change nothing of what is made."""
    if isinstance(settings, dict):
        return {key: _lasting(value) for key, value in settings.items() if key not in _WITHOUT_EFFECT}
    return [_lasting(one) for one in settings] if isinstance(settings, list) else settings


def _silent(_: str) -> None:
    return None
