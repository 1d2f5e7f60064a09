"""The paper's settings, with random weights, through every stage on the CPU: broken off, limited, with outages."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from langgraph_conductor import BudgetExceededError, ConfigError, Worker, WorkerPool
from langgraph_conductor.rewards import Task
from langgraph_conductor.testing import skilled_pool
from langgraph_conductor.testing.skilled import SkilledModel
from langgraph_conductor.train.config import TrainConfig
from langgraph_conductor.train.diagnostics import read_steps
from langgraph_conductor.train.session import Session
from langgraph_conductor.train.stages import train
from tests.train_tests.toys import save_toy

SKILLS = {"ann": {"sums": 1.0}, "ben": {"words": 1.0}}
PRICES = {name: {"input": "1", "output": "10"} for name in SKILLS}
TASKS = [Task(f"Question {n} of {skill}?", str(n), "exact", domain=skill) for n in range(6) for skill in ("sums", "words")]
CHANGES = {
    "prompt.examples": False,  # as many tokens as the rest together
    "data.most": 8,
    "warm_start.source": "random",
    "warm_start.questions": 8,
    "warm_start.most_steps": 1,
    "warm_start.keep": 4,
    "warm_start.subtasks": ["Solve it."],
    "warm_start.imitation.batch": 4,
    "warm_start.imitation.epochs": 30,
    "warm_start.imitation.learning_rate": 0.01,
    "grpo.steps": 2,
    "grpo.questions": 2,
    "grpo.rollouts": 4,
    "grpo.max_tokens": 48,
    "adapt.least": 1,
    "adapt.steps": 2,
    "recursion.iterations": 2,
    "recursion.questions": 4,
    "recursion.first_rounds": 4,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_toy(tmp_path_factory.mktemp("model"))


def configured(folder: Path, model: Path, **changes: Any) -> TrainConfig:
    """The paper's file in `folder`, with tasks, the toy, and small numbers."""
    paper = files("langgraph_conductor.train").joinpath("paper.toml").read_text(encoding="utf-8")
    (folder / "train.toml").write_text(paper.replace("[vllm]", "[vllm_left_out]"), encoding="utf-8")
    rows = [{**task.to_json(), "split": "train"} for task in TASKS]
    (folder / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "train.toml").write_text(paper.partition("[vllm]")[0], encoding="utf-8")
    return TrainConfig.load(folder / "train.toml", {**CHANGES, "model.name": str(model), **changes})


def steps_of(folder: Path, stage: str) -> list[Any]:
    return read_steps(folder / "runs" / "conductor" / stage)
