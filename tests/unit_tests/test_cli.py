import json
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from langgraph_conductor import LocalModelError, Worker, WorkerPool, create_conductor, local
from langgraph_conductor.cli.app import app
from langgraph_conductor.display import describe
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import ACCEPT_TEXT, ScriptedModel, plan_text
from tests.helpers import Recorder, ScriptedPlanner, ask, flow


@pytest.fixture
def scripted(monkeypatch):
    """`ask` with scripted models in place of the embedded ones."""

    def use(*replies, workers=None):
        pool = workers or [Worker("a", ScriptedModel(replies=["from a"])), Worker("b", lambda t: "from b")]
        monkeypatch.setattr(local, "planner", lambda: ScriptedModel(replies=list(replies)))
        monkeypatch.setattr(local, "workers", lambda: WorkerPool(pool))

    return use


def command(*arguments):
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def test_ask_prints_the_run_plainly(scripted):
    scripted(plan_text(("a", "Do it.", []), ("b", "Check it.", [0])))
    done = command("ask", "What is it?")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("round 0: parsed unaided, ")
    assert "  workflow: step 0, then step 1" in lines
    assert "    granted: the question, step 0" in lines
    assert "answer: from b" in lines
    assert "\x1b" not in done.stdout


def test_ask_as_json_and_its_options(scripted):
    scripted(plan_text(("a", "Do it.", [])), ACCEPT_TEXT)
    done = command("ask", "What is it?", "--json", "--max-rounds", "4")
    told = json.loads(done.stdout)
    assert told["answer"] == "from a"
    assert [r["accepted"] for r in told["rounds"]] == [False, True]
    scripted(plan_text(("a", "x", []), ("a", "y", [])))
    told = json.loads(command("ask", "What is it?", "--json", "--max-steps", "1").stdout)
    assert told["rounds"][0]["plan"]["reached"] == "fallback"
    assert "2 steps are too many" in told["rounds"][0]["plan"]["error"]["message"]


def test_errors_are_one_line_and_exit_code_1(scripted, monkeypatch):
    scripted("x", workers=[Worker("a", Recorder("a", ValueError("broken")))])
    done = command("ask", "What is it?")
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("error: no worker gave an answer; round 0, planner: ")
    assert "Traceback" not in done.stderr
    assert command("ask", " ").exit_code == 1

    def missing():
        raise LocalModelError("there is no model; do this")

    monkeypatch.setattr(local, "planner", missing)
    assert command("ask", "hi").stderr == "error: there is no model; do this\n"


def test_bad_options_are_refused():
    for arguments in (
        ["ask"],
        ["ask", "x", "--max-steps", "0"],
        ["ask", "x", "--max-rounds", "no"],
        ["nope"],
    ):
        done = command(*arguments)
        assert done.exit_code == 2
        assert "Traceback" not in done.stderr


def test_without_typer_it_names_the_extra():
    script = "import sys; sys.modules['typer'] = None; from langgraph_conductor.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install 'langgraph-conductor[cli,local]'" in done.stderr


# ------------------------------------------------------------------- describe


def test_describe_tells_rounds_grants_failures_and_money():
    planner = ScriptedPlanner(
        flow(("a", "one", []), ("b", "two", []), ("a", "three", [0, 1])),
        flow(("a", "four", "all")),
        KeyError("x"),
    )
    workers = [
        Worker("a", ScriptedModel(replies=["yes " * 400]), price={"input": 1, "output": 1}),
        Worker("b", Recorder("b", ValueError("no"))),
    ]
    text = describe(create_conductor(planner, workers, max_rounds=3).invoke(ask()))
    for part in (
        "  workflow: step 0 beside step 1, then step 2",
        "    failed:  ValueError: no",
        "    granted: the question, step 0 of round 0, step 1 of round 0, step 2 of round 0",
        "round 2: planning failed, fallback",
        "  why: KeyError: 'x'",
        "  the earlier answer is kept",
        "$0.00",
        "…",
    ):
        assert part in text
    assert max(map(len, text.splitlines()[:-4])) < 420


def test_describe_word_for_word():
    model = ScriptedModel(replies=["one two"])
    planner = ScriptedModel(replies=[plan_text(("a", "Say it.", []), ("f", "Check it.", [0])), ACCEPT_TEXT])
    workers = [Worker("a", model), Worker("f", lambda t: "three")]
    result = create_conductor(planner, workers, max_rounds=2).invoke(ask())
    told = re.sub(r"[0-9]+\+", "N+", re.sub(r"[0-9]+\.[0-9] s", "T s", describe(result)))
    assert told == "\n".join(
        [
            "round 0: parsed unaided, N+19 tokens, T s",
            "  workflow: step 0, then step 1",
            "  step 0: a  [N+2 tokens, T s]",
            "    asked:   Say it.",
            "    granted: the question",
            "    said:    one two",
            "  step 1: f  [no model, T s]",
            "    asked:   Check it.",
            "    granted: the question, step 0",
            "    said:    three",
            "round 1: parsed unaided, N+12 tokens, T s",
            "  the earlier answer is kept",
            "",
            "answer: three",
            "",
            "used: 2 calls (N+31 tokens) of the planner, 1 call (N+2 tokens) of workers, T s",
        ]
    )


def test_describe_says_what_has_no_price():
    workers = [Worker("a", ScriptedModel(), price={"input": 1, "output": 1}), Worker("b", ScriptedModel())]
    planner = fixed.workflow(flow(("a", "one", []), ("b", "two", [])))
    assert "and 1 call without a known price" in describe(create_conductor(planner, workers).invoke(ask()))
