"""Our tasks as tasks of Inspect: both give every answer the same score."""

import csv
import json
from pathlib import Path

import inspect_ai
import pytest

from langgraph_conductor import ConfigError, Worker, create_conductor
from langgraph_conductor.evals.inspect_ext import conductor_model, suite
from langgraph_conductor.evals.inspect_tasks import inspect_task
from langgraph_conductor.planners import fixed
from langgraph_conductor.rewards import Task, grade
from langgraph_conductor.testing import ScriptedModel

PUBLIC = Path(__file__).parents[3] / "shared" / "data"


def public(tmp_path: Path, name: str) -> str:
    """The folder of a public suite beside the repository; else one of our own in its form."""
    if (PUBLIC / name).is_dir():
        return f"{name}:{PUBLIC / name}"
    if name == "gsm8k":
        rows = [
            {"question": f"Tom has {n} nuts and finds {n}. How many?", "answer": f"{n}+{n}\n#### {2 * n}"}
            for n in range(1, 21)
        ]
        for part in ("train", "test"):
            shown = [{**row, "question": f"({part}) {row['question']}"} for row in rows]
            (tmp_path / f"{part}.jsonl").write_text("\n".join(map(json.dumps, shown)))
        return f"gsm8k:{tmp_path}"
    for part in ("dev", "test"):
        (tmp_path / part).mkdir()
        with (tmp_path / part / f"sums_{part}.csv").open("w", newline="") as file:
            for n in range(20):
                options = [n + 2, n + 3, n + 4, n + 5]
                csv.writer(file).writerow([f"({part}) What is {n} plus 3?", *options, "B"])
    return f"mmlu:{tmp_path}"


@pytest.mark.parametrize(
    ("name", "form"), [("gsm8k", "<answer>{}</answer>"), ("mmlu", "The answer is {}.")]
)
def test_inspect_and_our_graders_agree_item_by_item(tmp_path, name, form):
    task = suite(name=public(tmp_path, name), split="test")
    items = [Task.from_json(sample.metadata["task"]) for sample in task.dataset][:12]
    right = {item.id for item in items[::3]}  # 4 of 12

    def reply(messages):
        asked = str(messages[-1].text)
        item = max((i for i in items if i.question in asked), key=lambda i: len(i.question))
        if item.id in right:
            return form.format(item.answer)
        return form.format("C" if item.answer != "C" else "D") if name == "mmlu" else "I do not know."

    worker = ScriptedModel(replies=reply)
    graph = create_conductor(fixed.single("w"), [Worker("w", worker)])
    task = inspect_task(items, "items")
    (log,) = inspect_ai.eval(
        task, model=conductor_model(graph), log_dir=str(tmp_path / "logs"), display="none"
    )

    assert log.status == "success", log.error
    metrics = log.results.scores[0].metrics
    assert metrics["accuracy"].value == pytest.approx(4 / 12)
    by_id = {item.id: item for item in items}
    for sample in log.samples:
        item = by_id[sample.id]
        assert (
            sample.scores["graded"].value
            == grade(sample.output.completion, item)
            == float(item.id in right)
        )
    assert set(metrics) >= {"accuracy", "stderr", *(item.domain or "none" for item in items)}
    assert len(log.samples) == len(worker.calls) == 12


def test_mistakes_are_told_before_anything_is_asked():
    one = Task("What is 1 plus 1?", "2", "number")
    with pytest.raises(ValueError, match="no questions"):
        inspect_task([], "none")
    with pytest.raises(ValueError, match="1 questions are there twice"):
        inspect_task([one, one], "twice")
    with pytest.raises(ConfigError, match="nonsense"):
        inspect_task([Task("What?", "2", "nonsense")], "bad")
