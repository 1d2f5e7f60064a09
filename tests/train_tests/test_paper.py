"""The paper's settings, with random weights, through every stage on the CPU: killed, limited, with outages."""

import json
import os
import signal
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from langgraph_conductor import BudgetExceededError, ConfigError, Worker, WorkerPool
from langgraph_conductor.rewards import Task
from langgraph_conductor.testing import SkilledModel, skilled_pool
from langgraph_conductor.train.config import STAGES, TrainConfig
from langgraph_conductor.train.results.diagnostics import read_steps
from langgraph_conductor.train.stages import train
from tests.train_tests.toys import save_toy

SKILLS = {"ann": {"sums": 1.0}, "ben": {"words": 1.0}}
TASKS = [
    Task(f"Question {n} of {skill}?", str(n), "exact", domain=skill)
    for n in range(6)
    for skill in ("sums", "words")
]
OUT = "Question 3 of sums?"
CHANGES = {
    "limit_usd": "100",
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
    "grpo.steps": 3,
    "grpo.questions": 2,
    "grpo.rollouts": 8,
    "grpo.max_tokens": 32,
    "grpo.learning_rate": 0.0001,
    "grpo.temperature": 0.5,
    "grpo.save_minutes": 0.0001,
    "adapt.least": 1,
    "adapt.steps": 2,
    "recursion.iterations": 2,
    "recursion.questions": 4,
    "recursion.first_rounds": 8,
}


class Unreachable(SkilledModel):
    """A model with a cap, whose server is down for one question."""

    max_tokens: int = 50

    def _result(self, messages: list[Any], run: Any) -> Any:
        if OUT in str(messages[-1].text):
            raise ConnectionError("the server is down")
        return super()._result(messages, run)


def pool() -> WorkerPool:
    """Workers of known skill that cost money and fail."""
    return WorkerPool(
        Worker(
            worker.name,
            Unreachable(**dict(worker.model)),
            retries=0,
            price={"input": "1", "output": "10"},
        )
        for worker in skilled_pool(TASKS, SKILLS)
    )


def configured(folder: Path, **changes: Any) -> TrainConfig:
    """The paper's file in `folder`, with tasks, the toy, and small numbers."""
    paper = files("langgraph_conductor.train").joinpath("paper.toml").read_text(encoding="utf-8")
    without_vllm = paper.partition("[vllm]")[0] + "[assumed]" + paper.partition("[assumed]")[2]
    (folder / "train.toml").write_text(without_vllm, encoding="utf-8")
    rows = [{**task.to_json(), "split": "train"} for task in TASKS]
    (folder / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return TrainConfig.load(folder / "train.toml", {**CHANGES, "model.name": "toy", **changes})


def killed_in_grpo(folder: Path) -> None:
    """Train in this process, which is killed after the second step."""

    def tell(line: str) -> None:
        if line.startswith("grpo, step 2 of 3"):
            os.kill(os.getpid(), signal.SIGKILL)

    train(configured(folder), pool=pool(), tell=tell)


def paid(folder: Path) -> float:
    accounts = json.loads((folder / "runs/conductor/spent/0.json").read_text())
    return float(accounts["paid"]["usd"])


def test_every_stage(tmp_path: Path) -> None:
    save_toy(tmp_path / "toy")
    here = f"from tests.train_tests.test_paper import *; killed_in_grpo(Path({str(tmp_path)!r}))"
    killed = subprocess.run([sys.executable, "-c", here], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    root = tmp_path / "runs" / "conductor"
    assert len(read_steps(root / "grpo")) == 2

    # A limit that the next plan that runs will break: the stage ends, and nothing is lost.
    before = paid(tmp_path)
    with pytest.raises(ConfigError, match="likely to cost"):
        train(configured(tmp_path, limit_usd=f"{before + 1e-6:.7f}"), pool=pool(), tell=print)
    with pytest.raises(BudgetExceededError):
        train(
            configured(tmp_path, limit_usd=f"{before + 1e-6:.7f}"), pool=pool(), tell=print, may_exceed=True
        )
    assert paid(tmp_path) == before

    told: list[str] = []
    train(configured(tmp_path), pool=pool(), tell=told.append)
    assert "warm_start: done before" in told
    assert not any(line.startswith("grpo, step 1 of 3") for line in told)  # a checkpoint had it
    for stage, steps in {"grpo": 3, "adapt": 2, "recursion": 2}.items():
        assert [line["step"] for line in read_steps(root / stage)] == list(range(steps))
    assert all((root / stage / "done.json").is_file() for stage in STAGES)
    lines = [line for stage in ("grpo", "adapt", "recursion") for line in read_steps(root / stage)]
    assert any(line["parsed"] > 0 for line in lines)
    assert any(line["right"] for line in lines)
    assert any(line["unscored"] for line in lines)  # the server that is down is nobody's fault
    assert {"0", "1"} <= {
        number for line in read_steps(root / "recursion") for number in line["reward_by_round"]
    }

    shipped = AutoModelForCausalLM.from_pretrained(root / "export" / "conductor")
    warm = AutoModelForCausalLM.from_pretrained(root / "warm_start" / "weights")
    assert shipped.dtype == torch.bfloat16
    assert any(not torch.equal(a, b) for a, b in zip(shipped.parameters(), warm.parameters(), strict=True))

    again: list[str] = []
    train(configured(tmp_path), pool=pool(), tell=again.append)
    assert again == [f"{stage}: done before" for stage in STAGES]
    with pytest.raises(ConfigError, match="other settings"):
        train(configured(tmp_path, **{"grpo.steps": 4}), pool=pool(), tell=print)


def test_an_adapter_is_exported_for_both_servers(tmp_path: Path) -> None:
    save_toy(tmp_path / "toy")
    config = configured(
        tmp_path, **{"model.lora.rank": 2, "warm_start.imitation.epochs": 1, "trainer": "plain"}
    )
    config = config.model_copy(update={"grpo": None, "adapt": None, "recursion": None})
    root = train(config, pool=pool(), tell=print)
    assert (root / "export" / "conductor" / "adapter_model.safetensors").is_file()
    assert (root / "export" / "conductor.gguf").is_file()
    assert "0: ann, 1: ben" in (root / "export" / "README.md").read_text(encoding="utf-8")
