"""What of a training needs no torch: its tasks, its order, its forecast, its accounts."""

import json
from decimal import Decimal

import pytest
from typer.testing import CliRunner

from langgraph_conductor import ConfigError, Usage, Worker, WorkerPool
from langgraph_conductor.cli.app import app
from langgraph_conductor.evals.suites import load_suite
from langgraph_conductor.rewards import Task
from langgraph_conductor.testing import SkilledModel, skilled_pool
from langgraph_conductor.train.config import Shape, TrainConfig
from langgraph_conductor.train.learning.settings import Lora
from langgraph_conductor.train.memory import GIB, adapter_parameters, memory, parameters, setups, shape_of
from langgraph_conductor.train.spending import Spending
from langgraph_conductor.train.stages import expected, train

TASKS = [
    Task(f"Question {n} of {skill}?", str(n), "exact", domain=skill)
    for n in range(4)
    for skill in ("adding", "spelling", "any")
]
QWEN = Shape(layers=28, hidden=3584, heads=28, kv_heads=4, mlp=18944, vocabulary=152064)


class Capped(SkilledModel):
    max_tokens: int = 100


def pool(price="1"):
    """Each is right on a domain of its own, and both on "any"; 100 tokens at most."""
    skills = {"ann": {"adding": 1.0, "any": 1.0}, "ben": {"spelling": 1.0, "any": 1.0}}
    return WorkerPool(
        Worker(one.name, Capped(**dict(one.model)), price=price and {"input": "0", "output": price})
        for one in skilled_pool(TASKS, skills)
    )


def configured(folder, **changes):
    rows = [{**task.to_json(), "split": "train"} for task in TASKS]
    (folder / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = 'folder = "run"\n[model]\nname = "some/model"\n[data]\nsuites = ["tasks.jsonl"]\n'
    (folder / "train.toml").write_text(text)
    return TrainConfig.load(folder / "train.toml", changes)


def data_of(folder):
    return load_suite(folder / "run" / "data" / "tasks.jsonl").tasks("train")


def test_tasks_are_spread_over_domains(tmp_path):
    told = []
    train(configured(tmp_path, **{"data.most": 6}), pool=pool(), tell=told.append)
    assert sorted(task.domain for task in data_of(tmp_path)) == [
        "adding",
        "adding",
        "any",
        "any",
        "spelling",
        "spelling",
    ]
    assert told == ["data: begins", "data: done, tasks 6"]
    train(configured(tmp_path, **{"data.most": 6}), pool=pool(), tell=told.append)
    assert told[-1] == "data: done before"


def test_tasks_on_which_workers_differ(tmp_path):
    changes = {"data.disagreement": True, "limit_usd": "1"}
    config = configured(tmp_path, **changes)
    (part,) = expected(config, pool=pool()).parts
    assert part.workflows == 24
    train(config, pool=pool(), tell=print)
    assert {task.domain for task in data_of(tmp_path)} == {"adding", "spelling"}
    spent = Spending(tmp_path / "run" / "spent", None)
    assert spent.workflows == spent.paid.calls == 24


def test_another_making_is_refused_and_put_aside(tmp_path):
    train(configured(tmp_path), pool=pool(), tell=print)
    with pytest.raises(ConfigError, match="--from data"):
        train(configured(tmp_path, **{"data.most": 3}), pool=pool(), tell=print)
    with pytest.raises(ConfigError, match="other settings or workers"):
        train(configured(tmp_path), pool=pool("2"), tell=print)
    train(configured(tmp_path, concurrency=2), pool=pool(), tell=print)  # changes nothing of what is learnt
    changes = {"data.most": 3, "grpo.questions": 9}
    with pytest.raises(ConfigError, match="a step asks 9"):
        train(configured(tmp_path, **changes), first="data", pool=pool(None), tell=print)
    assert (tmp_path / "run" / "data" / "done.json").is_file()  # nothing was put aside for it
    train(configured(tmp_path, **{"data.most": 3}), first="data", pool=pool(), tell=print)
    assert len(data_of(tmp_path)) == 3
    assert (tmp_path / "run" / "data.1" / "tasks.jsonl").is_file()


def test_stages_come_in_order(tmp_path):
    config = configured(tmp_path, **{"grpo.questions": 2})
    with pytest.raises(ConfigError, match="grpo needs stage data"):
        train(config, stage="grpo", pool=pool(None), tell=print)
    with pytest.raises(ConfigError, match=r"no section \[adapt\]"):
        train(config, stage="adapt", pool=pool(None), tell=print)
    with pytest.raises(ConfigError, match="add \\[pool\\]"):
        train(config, tell=print)


def test_what_cannot_be_asked_is_found_before_anything_is_paid(tmp_path):
    for changes, said in (
        ({"grpo.questions": 13}, r"\[grpo\]: a step asks 13 questions"),
        ({"adapt.least": 3, "grpo.questions": 2}, r"\[adapt\]: cannot draw 3 to 2 of 2"),
    ):
        with pytest.raises(ConfigError, match=said):
            train(configured(tmp_path, limit_usd="1000", **changes), pool=pool(), tell=print)
    assert not (tmp_path / "run" / "data").exists()


def test_the_forecast_counts_what_is_asked_and_paid(tmp_path):
    changes = {
        "warm_start.questions": 10, "warm_start.samples": 4, "grpo.steps": 5, "grpo.questions": 4, "grpo.rollouts": 8,
        "adapt.steps": 3, "recursion.iterations": 2, "recursion.questions": 8, "recursion.first_rounds": 4,
        "assumed.steps": 2, "assumed.reply_tokens": 50,
    }  # fmt: skip
    config = configured(tmp_path, **changes, limit_usd="1000")
    found = expected(config, pool=pool())
    workflows = {"warm_start": 12 * 4, "grpo": 160, "adapt": 96, "recursion": 64 + 32}
    assert {part.stage: part.workflows for part in found.parts} == workflows
    # Two steps of 50 likely and 100 possible tokens, at a dollar for a million of them; prompts are free.
    assert found.usd == sum(workflows.values()) * 2 * 50 * Decimal("0.000001")
    assert sum(part.worst for part in found.parts) == 2 * found.usd
    assert any("fits" in line or "unknown" in line for line in found.lines())

    with pytest.raises(ConfigError, match="there is no limit"):
        train(configured(tmp_path, **changes), pool=pool(), tell=print)
    with pytest.raises(ConfigError, match=r"limit_usd is \$0.00"):
        train(configured(tmp_path, **changes, limit_usd="0.001"), pool=pool(), tell=print)
    with pytest.raises(ConfigError, match="no known price"):
        train(configured(tmp_path, **changes, limit_usd="1"), pool=pool(None), tell=print)
    assert "unknown" in "\n".join(expected(configured(tmp_path, **changes), pool=pool(None)).lines())


def test_what_was_measured_is_what_is_forecast(tmp_path):
    config = configured(
        tmp_path, **{"data.disagreement": True, "limit_usd": "9", "data.samples": 3, "grpo.questions": 2}
    )
    train(config, stage="data", pool=pool(), tell=print)
    (part,) = expected(config, pool=pool()).parts
    spent = Spending(tmp_path / "run" / "spent", None)
    assert part.each.measured == spent.workflows == 72
    assert part.each.usd == spent.charged.usd / 72


def test_processes_share_what_is_left(tmp_path):
    first = Spending(tmp_path, Decimal(10))
    first.expenses.add(paid=Usage(calls=1, usd=Decimal(2)))
    first.save()
    shares = [Spending(tmp_path, Decimal(10), process, 4) for process in range(4)]
    assert [share.expenses.ledger.budget.usd for share in shares] == [
        Decimal(4)
    ] * 4  # 2 paid and 2 of the 8 left
    shares[3].expenses.add(paid=Usage(calls=1, usd=Decimal(1)))
    shares[3].save()
    assert Spending(tmp_path, Decimal(10)).paid.usd == 3


def test_memory_of_a_7b(tmp_path):
    assert parameters(QWEN) == pytest.approx(7.6156e9, rel=1e-3)  # the model card: 7.61 billion
    assert adapter_parameters(QWEN, Lora(rank=16)) == pytest.approx(40.4e6, rel=1e-2)  # as PEFT counts them
    config = configured(tmp_path, **{"model.shape": QWEN.model_dump(), "vllm.gpu_memory": 0.2})
    adapter, whole = setups(config)
    on_one, on_two = (memory(QWEN, config, setup) for setup in (adapter, whole))
    assert on_one.fits
    assert on_two.fits
    assert on_two.optimiser == pytest.approx(2 * on_two.weights)
    assert not memory(QWEN, config, type(whole)("one", 1, 80, None, 0.2, 1, 2)).fits
    assert on_one.weights / GIB == pytest.approx(14.3, abs=0.3)


def test_the_shape_is_read_from_the_folder(tmp_path):
    (tmp_path / "toy").mkdir()
    sizes = {
        "num_hidden_layers": 2,
        "hidden_size": 64,
        "num_attention_heads": 4,
        "intermediate_size": 96,
        "vocab_size": 10,
    }
    (tmp_path / "toy" / "config.json").write_text(json.dumps(sizes))
    config = configured(tmp_path, **{"model.name": "toy"})
    assert shape_of(config) == Shape(layers=2, hidden=64, heads=4, kv_heads=4, mlp=96, vocabulary=10)


def test_the_command(tmp_path):
    run = CliRunner().invoke
    shown = run(app, ["train", "--example"])
    (tmp_path / "paper.toml").write_text(shown.stdout)
    assert TrainConfig.load(tmp_path / "paper.toml").grpo.steps == 200
    configured(tmp_path)
    (tmp_path / "conductor.toml").write_text('[[workers]]\nname = "sums"\nlocal = "calculator"\n')
    with (tmp_path / "train.toml").open("a") as file:
        file.write('[pool]\nconfig = "conductor.toml"\n[grpo]\nquestions = 2\n')
    file = str(tmp_path / "train.toml")
    told = run(app, ["train", "--config", file, "--forecast", "--set", "grpo.steps=3"])
    assert told.exit_code == 0
    assert "384" in told.stdout  # 3 x 2 x 64
    wrong = run(app, ["train", "--config", file, "--set", "grpo.stepps=3"])
    assert wrong.exit_code == 3
    assert "did you mean 'steps'" in wrong.stderr
    assert run(app, ["train"]).exit_code == 2
