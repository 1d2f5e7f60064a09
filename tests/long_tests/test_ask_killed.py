"""`ask` that is killed in the middle of a step, and goes on in another process."""

import signal
import subprocess
import sys

import pytest

SCRIPT = """
import os, signal, sys
from pathlib import Path
from langgraph_conductor import Plan, Worker, WorkerPool, local
from langgraph_conductor.cli import main
from tests.helpers import ScriptedPlanner, flow

folder = Path(sys.argv.pop(1))

def told(name):
    with (folder / "told").open("a") as file:
        file.write(name + " ")

class Planner(ScriptedPlanner):
    def plan(self, asked):
        told("plan")
        return super().plan(asked)

def first(task):
    told("first")
    return "kept"

def second(task):
    told("second")
    if not (folder / "again").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return task.inputs[0].text + " and gone on"

local.planner = lambda: Planner(Plan(flow(("a", "one", []), ("b", "two", [0])), final=True))
local.workers = lambda: WorkerPool([Worker("a", first), Worker("b", second)])
main()
"""


@pytest.fixture
def run(tmp_path):
    def run(*arguments):
        command = [sys.executable, "-c", SCRIPT, str(tmp_path), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=300)

    return run


@pytest.mark.timeout(600)
def test_what_was_saved_is_neither_planned_nor_run_again(run, tmp_path):
    kept = ("--saver", f"sqlite:{tmp_path / 'runs.db'}", "--log", str(tmp_path / "run.jsonl"))
    done = run("ask", "What is it?", "--thread", "t", *kept)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "told").read_text() == "plan first second "
    (tmp_path / "again").touch()
    done = run("resume", "t", *kept)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "kept and gone on\n"
    assert (tmp_path / "told").read_text() == "plan first second second "
    events = (tmp_path / "run.jsonl").read_text().splitlines()
    assert [line.count('"workflow_planned"') for line in events].count(1) == 1
    assert '"answer"' in events[-1]
