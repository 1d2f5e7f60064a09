"""Checkpoints that earlier versions stored are shown and resumed by this one (`tests/make_checkpoint.py` made them)."""

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.types import Command, interrupt

from langgraph_conductor.cli.savers import Place
from langgraph_conductor.cli.showing import saved_run
from langgraph_conductor.errors import SavedRunError
from tests.helpers import ask, thread
from tests.make_checkpoint import ADDED, KILLED, PLANS, QUESTION, WAITING, conductor

FIXTURES = Path(__file__).parents[1] / "fixtures"
STORED = ["checkpoint_v2"]
REFUSED = ["checkpoint_v1"]
ASKED = "Which colour do you see?"
FIRST_ROUND = ["seen in round 0", "seen in round 0"]


@pytest.fixture
def copied(tmp_path):
    return lambda name: Path(shutil.copy(FIXTURES / name / "runs.sqlite", tmp_path))


@pytest.fixture(params=STORED)
def file(request, copied):
    return copied(request.param)


@pytest.fixture(params=REFUSED)
def old_file(request, copied):
    return copied(request.param)


@contextmanager
def saving(file):
    with closing(sqlite3.connect(file, check_same_thread=False)) as connection:
        yield SqliteSaver(connection)


@pytest.fixture
def saver(file):
    with saving(file) as saver:
        yield saver


def person(task):
    return interrupt(ASKED)


def texts(record):
    return [step["text"] for step in record["steps"]]


def test_every_stored_format_is_tried():
    assert sorted(path.name for path in FIXTURES.glob("checkpoint_v*")) == [*REFUSED, *STORED]
    assert all((FIXTURES / name / "runs.sqlite").stat().st_size < 400_000 for name in (*REFUSED, *STORED))


@pytest.mark.parametrize(("name", "given"), [(WAITING, Command(resume="blue")), (KILLED, None)])
def test_a_run_of_a_format_that_is_no_longer_read_is_refused_before_anything_is_paid(old_file, name, given):
    called = []
    with saving(old_file) as saver:
        graph = conductor(saver, called, lambda task: "red")
        assert graph.get_state(thread(name), subgraphs=True).next == ("round",)
        with pytest.raises(
            SavedRunError, match=r"begun by an earlier version.*a new message on this thread"
        ):
            graph.invoke(given, thread(name))
        assert called == []
        result = graph.invoke(ask("And now?"), thread(name))  # what it says helps
    assert called[:2] == ["Look at the tower.", "Say its colour."]
    assert result["answer"] == "seen in round 1 and red"


def test_the_command_refuses_it_too(old_file):
    with pytest.raises(SavedRunError, match="earlier version"):
        saved_run(Place.of(f"sqlite:{old_file}"), WAITING)


def test_an_added_conductor_goes_on_in_its_second_round(saver):
    called = []
    graph = conductor(saver, called, person, added=True)
    assert graph.get_state(thread(ADDED), subgraphs=True).interrupts[0].value == ASKED
    result = graph.invoke(Command(resume="blue"), thread(ADDED), durability="sync")
    assert called == ["Ask a person.", "Decide."]
    assert result["messages"][-1].text == "seen in round 1 and blue"


@pytest.mark.parametrize("name", [WAITING, KILLED])
def test_it_is_shown_down_to_the_step_it_was_left_in(saver, name):
    state = conductor(saver, [], person).get_state(thread(name), subgraphs=True)
    assert state.next == ("round",)
    assert [texts(record) for record in state.values["rounds"]] == [FIRST_ROUND]
    assert state.values["question"] == [{"type": "text", "text": QUESTION}]
    one_round = state.tasks[0].state
    assert one_round.next == ("workflow",)
    assert one_round.values["workflow"] == PLANS[1].to_json()
    workflow = one_round.tasks[0].state
    assert workflow.next == ("step_1",)
    assert workflow.values["out_0"]["text"] == "seen in round 1"
    assert "out_1" not in workflow.values
    assert workflow.values["spec_1"]["subtask"] == "Ask a person."
    assert [found.value for found in state.interrupts] == ([ASKED] if name == WAITING else [])


def test_a_run_that_waits_goes_on_with_the_answer(saver):
    called = []
    result = conductor(saver, called, person).invoke(
        Command(resume="blue"), thread(WAITING), durability="sync"
    )
    assert called == ["Ask a person.", "Decide."]
    assert [texts(record) for record in result["rounds"]] == [
        FIRST_ROUND, ["seen in round 1", "blue", "seen in round 1 and blue"]
    ]  # fmt: skip
    assert result["answer"] == result["messages"][-1].text == "seen in round 1 and blue"
    assert not any(step.get("possibly_repeated") for record in result["rounds"] for step in record["steps"])


def test_a_run_that_was_killed_goes_on_and_says_what_may_have_been_repeated(saver):
    called = []
    result = conductor(saver, called, lambda task: "red").invoke(None, thread(KILLED), durability="sync")
    assert called == ["Ask a person.", "Decide."]
    assert result["answer"] == "seen in round 1 and red"
    assert [[bool(step.get("possibly_repeated")) for step in record["steps"]] for record in result["rounds"]] == [
        [False, False], [False, True, False]
    ]  # fmt: skip


def test_it_is_resumed_awaited_too(file):
    called = []

    async def resumed():
        async with AsyncSqliteSaver.from_conn_string(str(file)) as saver:
            graph = conductor(saver, called, lambda task: "red")
            return await graph.ainvoke(None, thread(KILLED), durability="sync")

    assert asyncio.run(resumed())["answer"] == "seen in round 1 and red"
    assert called == ["Ask a person.", "Decide."]


def test_the_command_shows_it(file):
    rounds = saved_run(Place.of(f"sqlite:{file}"), WAITING)["rounds"]
    assert [texts(record) for record in rounds] == [FIRST_ROUND, ["seen in round 1"]]


def test_the_newest_is_what_this_version_stores(tmp_path):
    """Channels and namespaces as in the newest folder: if this fails, make one of the next number."""
    made = [sys.executable, "-m", "tests.make_checkpoint", str(tmp_path / "made")]
    subprocess.run(
        made, cwd=Path(__file__).parents[2], check=True
    )  # it forks, which threads of tests would not like

    def shape(path):
        with closing(sqlite3.connect(path)) as connection:
            stored = connection.execute("SELECT thread_id, checkpoint_ns, channel FROM writes").fetchall()
        graphs = {
            (run, "|".join(p.split(":")[0] for p in space.split("|")), channel)
            for run, space, channel in stored
        }
        with closing(sqlite3.connect(path, check_same_thread=False)) as connection:
            for one in SqliteSaver(connection).list(None):
                space = one.config["configurable"]["checkpoint_ns"]
                place = "|".join(part.split(":")[0] for part in space.split("|"))
                held = one.checkpoint["channel_values"]
                graphs |= {
                    (one.config["configurable"]["thread_id"], place, f"held {name}") for name in held
                }
        return graphs

    assert shape(tmp_path / "made" / "runs.sqlite") == shape(FIXTURES / STORED[-1] / "runs.sqlite")
