"""Runs that are kept in PostgreSQL: shown, and gone on with, at the command line."""

import pytest

from langgraph_conductor import Plan, Worker, WorkerPool, local
from tests.helpers import Recorder, ScriptedPlanner, ask, flow, thread
from tests.unit_tests.test_cli import command
from tests.unit_tests.test_cli_show import pausing_conductor


def test_an_interrupted_run_is_shown_and_nothing_is_changed(postgres, tmp_path):
    from langgraph.checkpoint.postgres import PostgresSaver

    with PostgresSaver.from_conn_string(postgres) as saver:
        saver.setup()
        pausing_conductor(saver).invoke(ask("In a database?"), thread("shown"), durability="sync")
        before = saver.conn.execute("select count(*) as n from checkpoint_writes").fetchone()
        done = command("show", "shown", "--saver", postgres, "--html", str(tmp_path / "run.html"))
        assert saver.conn.execute("select count(*) as n from checkpoint_writes").fetchone() == before
    assert done.exit_code == 0, done.stderr
    assert "question: In a database?" in done.stdout
    assert "waits for an answer to: may I?" in done.stdout
    assert "round 1: not over: 1 of 3 steps are" in done.stdout
    assert "said-10" in (tmp_path / "run.html").read_text()
    assert "holds no thread 'none'" in command("show", "none", "--saver", postgres).stderr


def test_what_shows_runs_can_write_nothing(postgres):
    import psycopg

    from langgraph_conductor.cli.savers import Place, reading
    from langgraph_conductor.errors import ConductorError

    with pytest.raises(ConductorError, match="read-only") as raised, reading(Place.of(postgres)) as saver:
        saver.conn.execute("create table nothing (x int)")
    assert isinstance(raised.value.__cause__, psycopg.errors.ReadOnlySqlTransaction)


def test_a_run_is_kept_and_gone_on_with(postgres, monkeypatch):
    planner, down = ScriptedPlanner(Plan(flow(("a", "one", []), ("b", "two", [0])), final=True)), [True]
    first = Recorder("a", "kept")

    def second(task):
        if down:
            raise KeyboardInterrupt
        return f"{task.inputs[0].text} and gone on"

    monkeypatch.setattr(local, "planner", lambda: planner)
    monkeypatch.setattr(local, "workers", lambda: WorkerPool([Worker("a", first), Worker("b", second)]))
    done = command("ask", "What is it?", "--quiet", "--saver", postgres, "--thread", "asked")
    assert done.exit_code == 130
    assert "note: to go on: langgraph-conductor resume asked --saver postgresql://" in done.stderr
    down.clear()
    done = command("resume", "asked", "--quiet", "--saver", postgres)
    assert done.stdout == "kept and gone on\n", done.stderr
    assert len(planner.requests) == len(first.tasks) == 1


def test_a_server_that_is_not_there_is_one_line(postgres):
    done = command("show", "t", "--saver", "postgresql://me:secret@127.0.0.1:1/none")
    assert done.exit_code == 1
    assert "postgresql://127.0.0.1:1/none cannot be read" in done.stderr
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr
