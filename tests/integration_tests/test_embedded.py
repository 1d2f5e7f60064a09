"""The embedded models for real: the command, the demo, the examples. `make` has fetched the model."""

import json
import runpy
from pathlib import Path

import pytest
from typer.testing import CliRunner

from langgraph_conductor.cli.app import app

ROOT = Path(__file__).parents[2]


def command(*arguments):
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def test_ask_answers_exactly_and_tells_as_json():
    done = command("ask", "What is 48 * 271?", "--json", "--max-steps", "2", "--max-rounds", "1")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert set(told) == {"answer", "rounds", "usage", "stopped"}
    (record,) = told["rounds"]
    assert record["plan"]["reached"] in ("schema", "repair")
    assert record["workflow"]["steps"]
    assert told["usage"]["planner"]["calls"] >= 1
    assert told["answer"]


def test_the_demo_answers_everything_and_its_exact_results_are_right():
    from langgraph_conductor.cli import demo

    said = []
    assert demo.run(said.append)
    text = "\n".join(said)
    assert text.count("question:") == len(demo.QUESTIONS) >= 3
    assert text.count("answer:") == len(demo.QUESTIONS)
    for part in (
        "workflow:",
        "asked:",
        "granted: the question, step 0, step 1",
        "said:",
        "tokens",
        "used:",
    ):
        assert part in text
    for part in ("plans that ran:", "under a schema", "by repair", "by fallback", "exact results checked:"):
        assert part in said[-3] + said[-2] + said[-1]


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.stem)
def test_examples_run(example, capsys):
    runpy.run_path(str(example), run_name="__main__")
    assert capsys.readouterr().out.strip()


def test_a_worker_of_the_embedded_pool_uses_its_grants():
    from langgraph_conductor import compile_workflow, local
    from tests.helpers import flow, question

    workflow = flow(("calculator", "Compute 2 * 391", []), ("wordsmith", "Reverse the word 'abc'.", []),
                    ("smollm2", "Say one of these.", [0, 1]))  # fmt: skip
    given = {"question": list(question("One way is 17 * 23 km. What is 'abc' backwards?"))}
    result = compile_workflow(workflow, local.workers()).invoke(given)
    assert [result[f"out_{i}"]["text"] for i in range(2)] == ["782", "cba"]  # the subtask says which part
    assert result["record_2"]["usage"]["output_tokens"] > 0


def test_three_workers_that_differ():
    from langgraph_conductor import local

    pool = local.workers()
    assert pool.names == ("calculator", "wordsmith", "smollm2")
    assert all(worker.description for worker in pool)


def test_workers_say_what_they_cannot_do():
    from langgraph_conductor import compile_workflow, local
    from tests.helpers import flow, question

    for worker in ("calculator", "wordsmith"):
        graph = compile_workflow(flow((worker, "Sing.", [])), local.workers())
        record = graph.invoke({"question": list(question("Sing!"))})["record_0"]
        assert record["status"] == "failed"
        assert record["error"]["type"] == "ValueError"
