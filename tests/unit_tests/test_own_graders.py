"""Graders of a user's own: run in processes that can be killed, without keys, and imported only where that is allowed."""

import asyncio
import json
import os
import subprocess
import sys
import textwrap

import psutil
import pytest
from typer.testing import CliRunner

from langgraph_conductor import Worker, WorkerPool, run_episode
from langgraph_conductor.cli.app import app
from langgraph_conductor.errors import ConfigError, GraderError
from langgraph_conductor.evals.suites import load_suite
from langgraph_conductor.planners import fixed
from langgraph_conductor.rewards import Task, agrade, check_grader, grade, processes
from langgraph_conductor.train.data import save_tasks, tasks_of

HERE = "tests.unit_tests.own_graders"


def own(name, **options):
    return Task("What?", "yes", f"{HERE}:{name}", **options)


def test_it_is_called_with_reply_and_task():
    assert grade("a\ud800\0", own("parts", about={"n": [1]})) == 1.0
    assert grade("b", own("parts", about={"n": [1]})) == 0.0
    assert asyncio.run(agrade("b", own("half"))) == 0.5


def test_what_it_prints_is_no_score():
    assert [grade(said, own("noisy")) for said in ("yes", "no", "yes")] == [1.0, 0.0, 1.0]


def test_it_gets_no_keys(monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "secret")
    monkeypatch.setattr(processes, "_OWN_POOLS", {})
    try:
        assert grade("yes", own("sees_a_key")) == 0.0
    finally:
        processes.own_pool().close()


@pytest.mark.parametrize(
    ("name", "answer", "says"),
    [
        ("leaves", "x", "SystemExit"),
        ("leaves_at_once", "x", "ended its process"),
        ("interrupts", "x", "KeyboardInterrupt"),
        ("reads", "x", "EOFError"),
        ("recurses", "x", "RecursionError"),
        ("fails_silently", "x", "SilentError"),
        ("waits", "x", "gave a coroutine"),
        ("gives", "nan", "gave nan; a score is from 0 to 1"),
        ("gives", "inf", "gave inf"),
        ("gives", "more", "gave 1.5"),
        ("gives", "less", "gave -0.1"),
        ("gives", "big", "OverflowError"),
        ("gives", "text", "gave a str"),
        ("gives", "nothing", "gave a NoneType"),
        ("gives", "many", "gave a list"),
        ("gives", "unknown", "KeyError"),
    ],
)
def test_a_failure_of_its_own_is_no_score_and_no_end(name, answer, says):
    with pytest.raises(GraderError, match=rf"{name}' failed on task [0-9a-f]+.*{says}") as caught:
        grade(answer, own(name))
    assert len(str(caught.value)) < 600
    assert grade("yes", own("half")) == 0.5


def test_its_failure_does_not_tell_the_key_it_holds():
    with pytest.raises(GraderError, match=r"401 for \[redacted\]y") as caught:
        grade("x", own("tells_its_key"))
    assert "zzcanary" not in str(caught.value)


def test_one_that_hangs_is_killed_with_what_it_started(tmp_path):
    pool = processes.Pool(1)
    try:
        for name, answer, limit in (("hangs", "x", 0.5), ("starts_another", str(tmp_path / "pid"), 3.0)):
            given = {"grader": f"{HERE}:{name}", "answer": answer, "task": own(name).to_json()}
            with pytest.raises(GraderError, match=rf"longer than {limit:g} seconds"):
                pool.own("own", given, limit)
        (pid,) = [int((tmp_path / "pid").read_text())]
        _, alive = psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=10)
        assert not alive or all(one.status() == psutil.STATUS_ZOMBIE for one in alive)
    finally:
        pool.close()


def test_its_module_is_not_imported_here():
    sys.modules.pop(HERE, None)
    assert grade("yes", own("half")) == 0.5
    assert HERE not in sys.modules


def test_the_other_graders_have_processes_of_their_own():
    assert grade("yes", own("half")) == 0.5
    assert grade("\\frac{2}{\\sqrt{2}}", Task("?", "\\sqrt{2}", "math")) == 1.0
    assert not set(processes.pool().pids) & set(processes.own_pool().pids)


def test_a_program_that_is_run_has_no_graders():
    with pytest.raises(ConfigError, match="put it into a module"):
        check_grader("__main__:f")


def test_what_is_no_json_is_refused():
    with pytest.raises(ValueError, match="`about` a task is a JSON object"):
        grade("yes", own("half", about={"x": object()}))


def test_a_module_that_ends_the_program_is_no_grader(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(processes, "_OWN_POOLS", {})
    (tmp_path / "leaving.py").write_text("raise SystemExit(0)")
    try:
        with pytest.raises(ConfigError, match="cannot be imported: SystemExit"):
            check_grader("leaving:f")
    finally:
        processes.own_pool().close()


def suite_file(folder, **fields):
    path = folder / "suite.jsonl"
    path.write_text(json.dumps({"question": "What?", "answer": "yes", "split": "train", **fields}))
    return path


@pytest.mark.parametrize(
    "grader", ["shutil:rmtree", f"{HERE}:half", "os:system", "nowhere:f", "gym2:x", ":f"]
)
def test_a_file_runs_no_code_unasked(tmp_path, grader):
    path = suite_file(tmp_path, grader=grader)
    for load in (load_suite, tasks_of):
        with pytest.raises(
            ConfigError, match=rf"line 1: grader '{grader}' is code.*--allow-code.*allow_code=True"
        ):
            load(path)


def test_a_file_may_be_allowed_to(tmp_path):
    path = suite_file(tmp_path, grader=f"{HERE}:half")
    (task,) = load_suite(path, allow_code=True).tasks("train")
    assert grade("yes", task) == 0.5
    save_tasks(tasks_of(path, allow_code=True), tmp_path / "saved.jsonl")
    with pytest.raises(ConfigError, match="is code"):
        load_suite(tmp_path / "saved.jsonl")
    with pytest.raises(ConfigError, match="cannot be imported"):
        load_suite(suite_file(tmp_path, grader="nowhere:f"), allow_code=True)


CONFIG = """
[[workers]]
name = "w"
model = "openai:gpt-5-mini"
"""


@pytest.mark.parametrize("command", ["eval", "profile"])
def test_commands_refuse_code_before_anybody_is_asked(tmp_path, monkeypatch, command):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.toml").write_text(textwrap.dedent(CONFIG))
    spot = tmp_path / "touched"
    path = suite_file(tmp_path, grader=f"{HERE}:touches", answer=str(spot))
    result = CliRunner().invoke(app, [command, str(path), "--config", "c.toml"])
    assert result.exit_code == 3, result.output
    assert "--allow-code" in result.output
    assert not spot.exists()
    assert not list(tmp_path.glob("**/*.sqlite"))


def test_an_episode_is_graded_with_it():
    pool = WorkerPool([Worker("w", lambda task: "yes")])
    episode = asyncio.run(run_episode(own("half"), fixed.single("w"), pool))
    assert episode.score == 0.5
    with pytest.raises(ConfigError, match="cannot be imported"):
        asyncio.run(run_episode(Task("What?", "yes", "nowhere:f"), fixed.single("w"), pool))


def test_the_current_folder_is_searched_as_it_is_in_the_program(tmp_path):
    (tmp_path / "mine.py").write_text("def f(answer, task):\n    return 0.25\n")
    script = "import sys; sys.path[0] = ''; from langgraph_conductor.rewards import *; print(grade('x', Task('?', '', 'mine:f')))"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, env=env
    )
    assert out.stdout == "0.25\n", out.stderr
