"""Runs shown after they ran: `ask --html` and `show`."""

import json
import operator
import os
import sqlite3
import stat
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated
from uuid import UUID

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, Send, interrupt
from ormsgpack import OPT_NON_STR_KEYS, Ext, packb, unpackb

from langgraph_conductor import ACCEPT, Worker, WorkerPool, add_conductor, create_conductor, local
from langgraph_conductor.cli.savers import Place
from langgraph_conductor.cli.showing import _newest, run_of, saved_run
from langgraph_conductor.display.retelling import retold
from langgraph_conductor.editing import edit_round, open_rounds
from langgraph_conductor.testing import ScriptedModel, plan_text
from tests.helpers import Recorder, ScriptedPlanner, ask, flow, thread
from tests.people import Paying, paid, pool
from tests.unit_tests.test_cli import command


@pytest.fixture
def saver(tmp_path):
    with SqliteSaver.from_conn_string(str(tmp_path / "runs.db")) as made:
        yield made


@pytest.fixture
def show(tmp_path):
    return lambda name, *more: command("show", name, "--saver", f"sqlite:{tmp_path / 'runs.db'}", *more)


def pausing(task):
    return (
        f"told {interrupt('may I?')}"
        if task.index == 1 and task.round == 1
        else f"said-{task.round}{task.index}"
    )


def pausing_conductor(saver=None):
    planner = ScriptedPlanner(
        flow(("a", "zero", [])), flow(("a", "one", []), ("a", "two", [0]), ("a", "three", "all")), ACCEPT
    )
    return create_conductor(planner, [Worker("a", pausing)], max_rounds=3, checkpointer=saver)


def test_ask_writes_the_page(monkeypatch, tmp_path):
    monkeypatch.setattr(local, "planner", lambda: ScriptedModel(replies=[plan_text(("a", "Do it.", []))]))
    monkeypatch.setattr(local, "workers", lambda: WorkerPool([Worker("a", lambda t: "from a")]))
    done = command("ask", "What is it?", "--quiet", "--html", str(tmp_path / "run.html"))
    assert done.stdout == "from a\n"
    page = (tmp_path / "run.html").read_text()
    assert '<h2>Question</h2>\n<div class="text">What is it?' in page
    assert "Do it." in page


def test_ask_refuses_a_page_it_could_not_write_before_it_asks(monkeypatch, tmp_path):
    worker = Recorder("a")
    monkeypatch.setattr(local, "planner", lambda: ScriptedPlanner(flow(("a", "x", []))))
    monkeypatch.setattr(local, "workers", lambda: WorkerPool([Worker("a", worker)]))
    done = command("ask", "What is it?", "--html", str(tmp_path / "none" / "run.html"))
    assert done.exit_code == 2
    assert worker.tasks == []


def test_a_finished_run_is_shown(saver, show, tmp_path):
    planner = ScriptedPlanner(flow(("a", "do", [])), ACCEPT)
    conductor = create_conductor(
        planner, [Worker("a", lambda t: "done <i>")], max_rounds=2, checkpointer=saver
    )
    conductor.invoke(ask("First?"), thread("one"))
    done = show("one", "--html", str(tmp_path / "run.html"))
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("question: First?\n")
    assert "answer: done <i>" in done.stdout
    assert "state:" not in done.stdout
    assert "the earlier answer is kept" in done.stdout
    page = (tmp_path / "run.html").read_text()
    assert "done &lt;i&gt;" in page
    assert "accepted by the planner" in page


def test_an_interrupted_run_is_shown_as_far_as_it_came(saver, show, tmp_path):
    conductor = pausing_conductor(saver)
    conductor.invoke(ask(), thread("two"), durability="sync")
    done = show("two", "--html", str(tmp_path / "run.html"))
    assert done.exit_code == 0, done.stderr
    assert "state: there is no answer yet" in done.stdout
    assert "waits for an answer to: may I?" in done.stdout
    assert "round 1: not over: 1 of 3 steps are" in done.stdout
    assert "said:    said-10" in done.stdout
    page = (tmp_path / "run.html").read_text()
    assert page.count("not run") == 2
    assert "said-00" in page
    assert "said-10" in page
    conductor.invoke(Command(resume="yes"), thread("two"), durability="sync")
    done = show("two")
    assert "answer: said-12" in done.stdout
    assert "told yes" in done.stdout
    assert "waits" not in done.stdout


def test_a_second_turn_on_a_thread_shows_nothing_of_the_first(saver, show):
    conductor = create_conductor(
        ScriptedPlanner(flow(("a", "x", []))), [Worker("a", Recorder("a", lambda t: f"reply {len(t.question[0]['text'])}"))],
        checkpointer=saver,
    )  # fmt: skip
    conductor.invoke(ask("One?"), thread("t"))
    first = show("t").stdout
    conductor.invoke(ask("And what of two?"), thread("t"))
    second = show("t").stdout
    assert "answer: reply 4\n" in first
    assert "answer: reply 4\n" not in second
    assert second.count("round 0:") == 1


def test_a_conductor_inside_an_app_is_found(saver, show):
    builder = StateGraph(MessagesState)
    builder.add_node("help", pausing_conductor())
    builder.add_edge(START, "help")
    app = builder.compile(checkpointer=saver)
    app.invoke(ask("In an app?"), thread("app"), durability="sync")
    done = show("app")
    assert "question: In an app?" in done.stdout
    assert "round 1: not over: 1 of 3 steps are" in done.stdout
    assert "waits for an answer to: may I?" in done.stdout


def added(saver, **options):
    builder = StateGraph(MessagesState)
    planner = ScriptedPlanner(flow(("a", "one", [])), flow(("a", "two", []), ("asks", "three", [0])))
    workers = [
        Worker("a", lambda t: f"said-{t.round}{t.index}"),
        Worker("asks", lambda t: interrupt("may I?")),
    ]
    add_conductor(builder, planner, workers, name="team", max_rounds=2, **options)
    builder.add_edge(START, "team")
    return builder.compile(checkpointer=saver)


def test_a_conductor_that_was_added_to_an_app_is_shown(saver, show):
    app = added(saver)
    app.invoke(ask("In a graph?"), thread("t"), durability="sync")
    done = show("t")
    assert "question: In a graph?" in done.stdout
    assert "waits for an answer to: may I?" in done.stdout
    assert "round 1: not over: 1 of 2 steps are" in done.stdout
    assert "said-00" in done.stdout
    app.invoke(Command(resume="yes"), thread("t"), durability="sync")
    done = show("t")
    assert "answer: yes" in done.stdout
    assert "state:" not in done.stdout
    app.invoke(ask("And now?"), thread("t"), durability="sync")
    done = show("t")
    assert "question: And now?\n" in done.stdout
    assert "state: there is no answer yet" in done.stdout
    assert "\nanswer: \n" in done.stdout


def test_a_person_who_ended_the_run_of_an_added_conductor_is_told(saver, show):
    app = added(saver, approve=True)
    app.invoke(ask("May it?"), thread("t"), durability="sync")
    assert (
        "waits for an answer to: Request: > May it? Plan: 0. a (reads the request) > one"
        in show("t").stdout
    )
    app.invoke(Command(resume="ignore"), thread("t"), durability="sync")
    assert "stopped: the run was ended by a person" in show("t").stdout


def test_the_outermost_conductor_is_shown(saver, show):
    outer = create_conductor(
        ScriptedPlanner(flow(("a", "ask the team", []), ("team", "answer", [0]))),
        [Worker("a", lambda t: "hm"), Worker("team", pausing_conductor())], checkpointer=saver,
    )  # fmt: skip
    outer.invoke(ask("Who?"), thread("t"), durability="sync")
    done = show("t")
    assert "question: Who?" in done.stdout
    assert "round 0: not over: 1 of 2 steps are" in done.stdout
    assert "ask the team" in done.stdout


def test_a_new_turn_that_is_not_planned_yet_shows_nothing_of_the_turn_before(saver, show):
    conductor = create_conductor(
        ScriptedPlanner(flow(("a", "x", []))), [Worker("a", lambda t: "y")], checkpointer=saver
    )
    conductor.invoke(ask("One?"), thread("t"), durability="sync")
    conductor.invoke(ask("Two?"), thread("t"), interrupt_before=["round"], durability="sync")
    done = show("t")
    assert "Two?" in done.stdout
    assert "state: there is no answer yet" in done.stdout
    assert "round 0" not in done.stdout


@pytest.mark.parametrize("writes_were_saved", [True, False])
def test_a_run_that_was_killed_at_any_moment_is_shown_with_each_round_once(saver, writes_were_saved):
    plans = flow(("a", "0", []), ("a", "0", [0])), flow(("a", "1", [])), ACCEPT
    conductor = create_conductor(
        ScriptedPlanner(*plans), [Worker("a", lambda t: "said")], max_rounds=3, checkpointer=saver
    )
    conductor.invoke(ask(), thread("t"), durability="sync")
    saved = list(saver.list(thread("t")))
    sizes = []
    for moment, last in enumerate(saved):
        last = last if writes_were_saved else last._replace(pending_writes=[])
        result = run_of(_newest([last, *saved[moment + 1 :]]))
        if result is None:
            continue
        rounds = result["rounds"]
        assert [record["round"] for record in rounds] == list(range(len(rounds)))
        for record in rounds:
            subtasks = {step["subtask"] for step in (record["workflow"] or {"steps": []})["steps"]}
            assert subtasks == (set() if record["accepted"] else {str(record["round"])})
            is_over = record["workflow"] and len(record["steps"]) == len(record["workflow"]["steps"])
            assert record["answer"] == ("said" if is_over else "")
        before = [write for one in saved[moment + 1 :] for write in one.pending_writes or ()]
        # in whichever graph they were noted
        assert len(rounds) >= max((len(value) for _, name, value in before if name == "rounds"), default=0)
        sizes.append(len(rounds))
    assert sizes == sorted(sizes, reverse=True)  # newest first
    assert sizes[0] == 3


def test_a_step_that_stopped_the_run_leaves_the_others_shown(saver, show):
    conductor = create_conductor(
        ScriptedPlanner(flow(("a", "one", []), ("b", "two", [0]))),
        [Worker("a", lambda t: "first"), Worker("b", Recorder("b", ValueError("no")), retries=0)],
        on_step_error="raise", checkpointer=saver,
    )  # fmt: skip
    with pytest.raises(Exception, match="step 1"):
        conductor.invoke(ask(), thread("t"), durability="sync")
    done = show("t")
    assert "round 0: not over: 1 of 2 steps are" in done.stdout
    assert "said:    first" in done.stdout


def said(round_):
    return {step["index"]: step["text"] for step in round_["steps"]}


def asking_in_a_branch(saver, **options):
    """A step that pays, and then asks a person, as the second of a branch."""
    a, p = Paying("a", lambda task: task.subtask.upper()), Paying("p", lambda task: interrupt("may I?"))
    forked = flow(("a", "slow", []), ("a", "first", []), ("p", "second", [1]), ("a", "join", [0, 2]))
    return (a, p), create_conductor(ScriptedPlanner(forked), pool(a, p), checkpointer=saver, **options)


def found(tmp_path):
    """The newest round of the thread, and what is retold of its steps."""
    result = saved_run(Place.of(f"sqlite:{tmp_path / 'runs.db'}"), "t")
    told = [event["text"] for event in retold(result["rounds"]) if event["type"] == "step_finished"]
    return result, result["rounds"][-1], told


def test_steps_that_are_over_in_branches_are_shown_and_every_paid_call_counts(saver, show, tmp_path):
    workers, conductor = asking_in_a_branch(saver)
    conductor.invoke(ask(), thread("t"), durability="sync")
    result, last, told = found(tmp_path)
    assert said(last) == {0: "SLOW", 1: "FIRST"}
    assert told == ["SLOW", "FIRST"]
    assert result["usage"]["total"]["calls"] == paid(*workers) == 3
    assert result["usage"]["by_worker"]["p"]["calls"] == 1  # it was paid before it asked
    assert "round 0: not over: 2 of 4 steps are" in show("t").stdout
    conductor.invoke(Command(resume="yes"), thread("t"), durability="sync")
    result, last, _ = found(tmp_path)
    assert said(last) == {0: "SLOW", 1: "FIRST", 2: "yes", 3: "JOIN"}
    assert result["usage"]["total"]["calls"] == paid(*workers)


def test_steps_that_are_over_in_a_branch_in_a_branch_are_shown(saver, tmp_path):
    nested = flow(
        ("a", "slow", []), ("a", "first", []), ("a", "b", [1]), ("a", "c", [1]), ("p", "deep", [3]), ("a", "d", [2, 4]),
        ("a", "join", [0, 5]),
    )  # fmt: skip
    workers = [Worker("a", lambda task: task.subtask.upper()), Worker("p", lambda task: interrupt("?"))]
    conductor = create_conductor(ScriptedPlanner(nested), workers, checkpointer=saver)
    conductor.invoke(ask(), thread("t"), durability="sync")
    assert said(found(tmp_path)[1]) == {0: "SLOW", 1: "FIRST", 2: "B", 3: "C"}


def test_what_stands_after_an_edit_is_shown_and_every_paid_call_counts(saver, show, tmp_path):
    workers, conductor = asking_in_a_branch(saver)
    conductor.invoke(ask(), thread("t"), durability="sync")
    edit_round(open_rounds(conductor, thread("t"))[0], outputs={0: "EDITED"})
    result, last, told = found(tmp_path)
    assert said(last) == {0: "EDITED", 1: "FIRST"}
    assert [bool(step.get("edited")) for step in last["steps"]] == [True, False]
    assert told == ["EDITED", "FIRST"]
    assert result["usage"]["total"]["calls"] == paid(*workers) == 3
    edit_round(open_rounds(conductor, thread("t"))[0], outputs={1: "OTHER"})
    assert said(found(tmp_path)[1]) == {0: "EDITED", 1: "OTHER"}
    conductor.invoke(None, thread("t"), durability="sync")
    result, last, _ = found(tmp_path)  # it runs again, and waits
    assert said(last) == {0: "EDITED", 1: "OTHER"}
    assert result["usage"]["total"]["calls"] == paid(*workers) == 4
    assert "round 0: not over: 2 of 4 steps are" in show("t").stdout


def test_what_a_person_wrote_before_the_workflow_may_run_is_shown(saver, tmp_path):
    _, conductor = asking_in_a_branch(saver, approve=True)
    conductor.invoke(ask(), thread("t"), durability="sync")
    edit_round(open_rounds(conductor, thread("t"))[0], outputs={1: "BY HAND"})
    assert said(found(tmp_path)[1]) == {1: "BY HAND"}
    conductor.invoke(None, thread("t"), durability="sync")  # it asks again
    assert said(found(tmp_path)[1]) == {1: "BY HAND"}


def test_calls_of_what_an_edit_made_void_count_while_the_run_waits(saver, tmp_path):
    (a, p), conductor = asking_in_a_branch(saver)
    conductor.invoke(ask(), thread("t"), durability="sync")
    other = flow(("a", "other", []), ("a", "first", []), ("p", "second", [1]), ("a", "join", [0, 2]))
    edit_round(open_rounds(conductor, thread("t"))[0], workflow=other)
    result, last, _ = found(tmp_path)
    assert said(last) == {1: "FIRST"}
    assert result["usage"]["by_worker"]["a"]["calls"] == paid(a) == 2
    assert result["usage"]["total"]["calls"] == paid(a, p) == 3


def test_showing_changes_nothing(saver, show, tmp_path):
    create_conductor(
        ScriptedPlanner(flow(("a", "x", []))), [Worker("a", lambda t: "y")], checkpointer=saver
    ).invoke(ask(), thread("t"))
    before = (
        list(saver.conn.execute("select * from checkpoints")),
        list(saver.conn.execute("select * from writes")),
    )
    assert show("t").exit_code == 0
    after = (
        list(saver.conn.execute("select * from checkpoints")),
        list(saver.conn.execute("select * from writes")),
    )
    assert before == after


def test_what_cannot_be_shown_says_why(saver, show, tmp_path):
    saver.setup()
    builder = StateGraph(MessagesState)
    builder.add_node("other", lambda state: {"messages": ["hello"]})
    builder.add_edge(START, "other")
    builder.compile(checkpointer=saver).invoke(ask(), thread("other"))
    assert "holds no thread 'none'" in show("none").stderr
    assert "holds no run of a conductor" in show("other").stderr
    assert show("other").exit_code == 1
    (tmp_path / "junk").write_text("no database at all, but long enough to be looked at" * 20)
    with sqlite3.connect(tmp_path / "empty.db") as made:
        made.execute("create table t (x)")
    made.close()
    for name in ("junk", "empty.db"):
        done = command("show", "t", "--saver", f"sqlite:{tmp_path / name}")
        assert done.exit_code == 1
        assert "cannot be read as a file of SqliteSaver" in done.stderr
        assert "Traceback" not in done.stderr
    assert command("show", "t", "--saver", f"sqlite:{tmp_path / 'none.db'}").exit_code == 2
    assert not (tmp_path / "none.db").exists()
    assert command("show", "t", "--saver", str(tmp_path / "runs.db")).exit_code == 2


def test_a_database_is_named_without_its_password(monkeypatch):
    place = Place.of("postgresql://me:secret@db.example:5433/runs?sslmode=require")
    assert str(place) == "postgresql://db.example:5433/runs"
    monkeypatch.setitem(sys.modules, "psycopg", None)
    done = command("show", "t", "--saver", "postgresql://me:secret@127.0.0.1/runs")
    assert done.exit_code == 4
    assert "pip install 'langgraph-conductor[postgres]'" in done.stderr
    for wrong in ("mysql://me:secret@127.0.0.1/runs", "sqlite:", "runs.db"):
        done = command("show", "t", "--saver", wrong)
        assert done.exit_code == 2
        assert "secret" not in done.stderr


# ------------------------------------------------------------------- files that somebody else has written


def evil(trace):
    """A checkpoint's values that would run code, or build what is none of LangGraph's types, if they were believed."""
    call = ("os", "system", f"touch {trace}")
    return {
        "os.system": Ext(0, packb(call)),
        "subprocess.call": Ext(1, packb(("subprocess", "call", [["touch", str(trace)]]))),
        "builtins.exec": Ext(2, packb(("builtins", "exec", {"source": f"open({str(trace)!r}, 'w')"}))),
        "pathlib.Path.write_text": Ext(3, packb(("pathlib", "Path", str(trace), "write_text"))),
        "os.mkdir": Ext(4, packb(("os", "mkdir", {"path": str(trace)}))),
        "os.makedirs": Ext(5, packb(("os", "makedirs", {"name": str(trace)}, "x"))),
        "posix.system": [{"inside": Ext(0, packb(("posix", "system", f"touch {trace}")))}],
    }


@pytest.fixture
def saved(saver):
    planner = ScriptedPlanner(flow(("a", "do", [])))
    create_conductor(planner, [Worker("a", lambda t: "done")], checkpointer=saver).invoke(
        ask(), thread("t")
    )

    def spoil(change):
        """Change the newest checkpoint of the outermost graph: `change(values) -> (type, bytes)`."""
        row = "WHERE checkpoint_ns = '' ORDER BY checkpoint_id DESC LIMIT 1"
        (held,) = saver.conn.execute(f"SELECT checkpoint FROM checkpoints {row}").fetchone()
        checkpoint = unpackb(held, ext_hook=lambda code, data: Ext(code, data), option=OPT_NON_STR_KEYS)
        kind, data = change(checkpoint)
        saver.conn.execute(
            f"UPDATE checkpoints SET type = ?, checkpoint = ? WHERE rowid = (SELECT rowid FROM checkpoints {row})",
            (kind, data),
        )
        saver.conn.commit()

    return spoil


@pytest.mark.parametrize("name", evil(""))
@pytest.mark.parametrize("verb", ["show", "resume", "ask"])
def test_what_a_tampered_checkpoint_names_is_not_run(saved, tmp_path, name, verb, monkeypatch):
    trace = tmp_path / "trace"

    def change(checkpoint):
        checkpoint["channel_values"]["stopped"] = evil(trace)[name]
        return "msgpack", packb(checkpoint, option=OPT_NON_STR_KEYS)

    saved(change)
    monkeypatch.setattr(local, "planner", lambda: ScriptedPlanner(flow(("a", "x", []))))
    monkeypatch.setattr(local, "workers", lambda: WorkerPool([Worker("a", lambda t: "again")]))
    place = ("--saver", f"sqlite:{tmp_path / 'runs.db'}")
    given = {"show": ("show", "t"), "resume": ("resume", "t"), "ask": ("ask", "More?", "--thread", "t")}[
        verb
    ]
    done = command(*given, *place)
    assert not trace.exists()
    assert f"names {name}: nothing of that was imported or run" in done.stderr
    assert "allowed_msgpack_modules" not in done.stderr
    assert done.exit_code == (verb == "resume"), done.stderr  # the run is over
    if verb == "show":
        assert "answer: done" in done.stdout


def test_what_tampered_writes_name_is_not_run(saved, saver, show, tmp_path):
    trace = tmp_path / "trace"
    data = packb(Ext(0, packb(("os", "system", f"touch {trace}"))))
    insert = (
        "INSERT INTO writes (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, value)"
    )
    chosen = (
        "SELECT thread_id, checkpoint_ns, checkpoint_id, 'x', 9, 'answer', 'msgpack', ? FROM checkpoints"
    )
    saver.conn.execute(f"{insert} {chosen}", (data,))
    saver.conn.commit()
    done = show("t")
    assert not trace.exists()
    assert "names os.system" in done.stderr


DAMAGED = {
    "pickle": lambda checkpoint: ("pickle", b"cos\nsystem\n(S'false'\ntR."),
    "no msgpack": lambda checkpoint: ("msgpack", b"\xc1\xff\x00"),
    "empty": lambda checkpoint: ("msgpack", b""),
    "null": lambda checkpoint: ("null", b""),
    "text": lambda checkpoint: ("msgpack", packb("hello")),
    "deep": lambda checkpoint: ("json", b"[" * 200_000),
    "no rounds": lambda checkpoint: ("msgpack", packb({**checkpoint, "channel_values": {**checkpoint["channel_values"], "rounds": [7]}})),
    "odd steps": lambda checkpoint: ("msgpack", packb({**checkpoint, "channel_values": {**checkpoint["channel_values"], "rounds": [{"round": "x", "steps": None}]}})),
    "no values": lambda checkpoint: ("msgpack", packb({"v": 1})),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
@pytest.mark.parametrize("verb", ["show", "resume"])
def test_a_damaged_checkpoint_is_one_clear_line(saved, tmp_path, damage, verb):
    saved(damage)
    done = command(verb, "t", "--saver", f"sqlite:{tmp_path / 'runs.db'}")
    assert done.exit_code == 1
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith(("note", "starting"))]
    assert line.startswith(("error: sqlite:", "error: thread 't' holds no run"))


def test_what_langgraph_and_people_keep_by_default_is_read(saver, show):
    """Messages with all they have, interrupts, sends, dates, decimals and sets."""

    class State(MessagesState):
        held: Annotated[list, operator.add]

    builder = StateGraph(State)
    builder.add_node("help", pausing_conductor())
    held = [
        {1, 2},
        Decimal("0.1"),
        datetime(2026, 1, 2, tzinfo=UTC),
        UUID(int=7),
        Send("help", {"x": 1}),
        Path("a"),
    ]
    builder.add_node("more", lambda state: {"held": held})
    builder.add_edge(START, "more")
    builder.add_edge("more", "help")
    app = builder.compile(checkpointer=saver)
    call = {"name": "f", "args": {"x": 1}, "id": "c", "type": "tool_call"}
    earlier = [
        HumanMessage("One?"),
        AIMessage("", tool_calls=[call]),
        ToolMessage("1", tool_call_id="c"),
        HumanMessage("Two?"),
    ]
    app.invoke({"messages": earlier}, thread("t"), durability="sync")
    done = show("t")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "waits for an answer to: may I?" in done.stdout


def test_values_of_other_types_are_shown_as_data(saver, show):
    class State(MessagesState):
        own: Own

    builder = StateGraph(State)
    builder.add_node("help", pausing_conductor())
    builder.add_node("own", lambda state: {"own": Own(5)})
    builder.add_edge(START, "own")
    builder.add_edge("own", "help")
    builder.compile(checkpointer=saver).invoke(ask("In an app?"), thread("t"), durability="sync")
    done = show("t")
    assert "waits for an answer to: may I?" in done.stdout
    assert f"names {Own.__module__}.Own" in done.stderr


@dataclass
class Own:
    value: int


@pytest.mark.skipif(sys.platform == "win32", reason="modes are those of POSIX")
def test_what_is_written_is_its_owners_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(local, "planner", lambda: ScriptedPlanner(flow(("a", "x", []))))
    monkeypatch.setattr(local, "workers", lambda: WorkerPool([Worker("a", modes_of(tmp_path))]))
    before = os.umask(0)
    try:
        done = command("ask", "Q?", "--html", f"{tmp_path}/run.html", "--log", f"{tmp_path}/run.jsonl",
                       "--saver", f"sqlite:{tmp_path}/runs.db", "--thread", "t")  # fmt: skip
    finally:
        os.umask(before)
    assert done.exit_code == 0, done.stderr
    seen = json.loads(done.stdout)
    assert {"runs.db", "runs.db-wal", "runs.db-shm", "run.jsonl"} <= set(seen)
    assert {*seen.values()} == {0o600}
    assert stat.S_IMODE((tmp_path / "run.html").stat().st_mode) == 0o600


def modes_of(folder):
    return lambda task: json.dumps({p.name: stat.S_IMODE(p.stat().st_mode) for p in folder.iterdir()})
