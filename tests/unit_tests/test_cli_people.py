"""`ask` and `resume` with a person at the terminal, in a log, and token by token."""

import errno
import json
import os
import sqlite3
import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
import typer
from langgraph.types import interrupt
from typer.testing import CliRunner

from langgraph_conductor import Plan, Worker, WorkerPool, local
from langgraph_conductor.cli.app import app
from langgraph_conductor.cli.approving import answer, is_approval
from langgraph_conductor.cli.tokens import answer_as_it_comes
from langgraph_conductor.display.run_facts import asked_in_words
from langgraph_conductor.events import EVENT_VERSION
from langgraph_conductor.graph.approval import said_in
from tests.helpers import Recorder, ScriptedPlanner, chat, flow
from tests.unit_tests.test_cli import command

FIRST = flow(("a", "Do it.", []))
SECOND = flow(("b", "Do it better.", []))


@pytest.fixture
def team(monkeypatch):
    """Two workers and a planner of two plans in place of the embedded ones."""
    workers = {"a": Recorder("a", "from a"), "b": Recorder("b", "from b")}
    planner = ScriptedPlanner(Plan(FIRST, final=True), Plan(SECOND, final=True))
    monkeypatch.setattr(local, "planner", lambda: planner)
    monkeypatch.setattr(local, "workers", lambda: WorkerPool([Worker(*one) for one in workers.items()]))
    return planner, workers


@pytest.fixture
def say(monkeypatch):
    """`say(typed, *arguments)`: a command with a person who types."""

    monkeypatch.setattr("langgraph_conductor.cli.asking.at_terminal", lambda: True)
    monkeypatch.delenv("EDITOR", raising=False)
    monkeypatch.delenv("VISUAL", raising=False)
    return lambda typed, *arguments: CliRunner().invoke(
        app, list(arguments), input=typed, catch_exceptions=False
    )


def test_a_person_lets_the_workflow_run(team, say):
    done = say("a\n", "ask", "What is it?", "--approve", "--quiet")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == "from a\n"
    told = "Request:\n\n> What is it?\n\nPlan:\n\n0. a (reads the request)\n\n> Do it.\n"
    assert told in done.stderr


def test_a_person_has_it_planned_otherwise(team, say):
    planner, workers = team
    done = say("what?\nr\nUse b.\na\n", "ask", "What is it?", "--approve", "--quiet")
    assert done.stdout == "from b\n"
    assert planner.requests[1].rejected == ((FIRST, "Use b."),)
    assert workers["a"].tasks == []


def test_a_person_types_another_workflow(team, say):
    typed = json.dumps(SECOND.to_json(), indent=1)
    done = say(f"e\n{{no JSON\n\ne\n{typed}\n\n", "ask", "What is it?", "--approve", "--quiet")
    assert "that is no workflow" in done.stderr
    assert done.stdout == "from b\n"


def test_a_question_with_markup_is_read_as_it_was_written(team, say):
    done = say("s\n", "ask", "What is 2*3*4 $ in __init__?", "--approve", "--quiet")
    assert "\n> What is 2*3*4 $ in __init__?\n" in done.stderr


OLD_FORM = [
    {
        "action_request": {
            "action": "run_workflow",
            "args": {"workflow": FIRST.to_json(), "round": 0},
        },
        "config": {},
        "description": "Question: What is it?\n\n0. a: 2\\*3",
    }
]


def test_a_run_that_an_earlier_version_left_asks_in_the_old_form(monkeypatch):
    typed = iter(["e", json.dumps(SECOND.to_json()), ""])
    monkeypatch.setattr("langgraph_conductor.cli.approving._line", lambda: next(typed))
    monkeypatch.delenv("EDITOR", raising=False)
    monkeypatch.delenv("VISUAL", raising=False)
    assert is_approval(OLD_FORM)
    assert asked_in_words(OLD_FORM) == "Question: What is it?\n\n0. a: 2\\*3"
    assert said_in(answer(OLD_FORM)).workflow == SECOND


@pytest.mark.parametrize(
    "other",
    [
        "Which?", None, [], ["x"], {}, {"action_requests": []}, {"action_requests": ["x"]},
        {"action_requests": [{"name": "send_mail", "args": {}}]}, [{"action_request": {"action": "x"}}],
        {"action_requests": [{"name": "run_workflow", "args": None}]},
        {"action_requests": [{"name": "run_workflow", "args": {"workflow": 7}}]},
        {"action_requests": [{"name": "run_workflow", "args": {"workflow": {}}}] * 2},
    ],
)  # fmt: skip
def test_what_else_is_asked_is_no_approval(other):
    assert not is_approval(other)
    assert isinstance(asked_in_words(other), str)


def test_what_tools_of_agents_ask_is_told_as_it_is():
    mails = [{"name": "mail", "args": {}, "description": f"Send 2\\*3 to {who}?"} for who in "ab"]
    asked = {"action_requests": mails, "review_configs": []}
    assert asked_in_words(asked) == "Send 2\\*3 to a?\n\nSend 2\\*3 to b?"
    assert asked_in_words({"type": "tool_approval", "name": "m", "description": "Send?"}) == "Send?"


def test_a_person_edits_it_in_an_editor(team, say, monkeypatch, tmp_path):
    script = tmp_path / "edit.py"
    script.write_text(
        "import sys, pathlib\nfile = pathlib.Path(sys.argv[1])\n"
        "file.write_text(file.read_text().replace('\"a\"', '\"b\"').replace('Do it.', 'Do it so.'))\n"
    )
    monkeypatch.setenv("EDITOR", f"{sys.executable} {script}")
    done = say("e\n", "ask", "What is it?", "--approve", "--quiet")
    assert done.stdout == "from b\n"
    assert [task.subtask for task in team[1]["b"].tasks] == ["Do it so."]


@pytest.mark.parametrize(
    ("editor", "reason"),
    [
        ("false", "exit status 1"),
        ("/nonexistent/vi", "No such file"),
        ("vi 'unclosed", "No closing quotation"),
        ("rm", "No such file"),
        ("{latin}", "can't decode"),
    ],
)  # fmt: skip
def test_an_editor_that_fails_leads_back_to_the_menu(team, say, monkeypatch, tmp_path, editor, reason):
    script = tmp_path / "latin.sh"
    script.write_text("#!/bin/sh\nprintf '\\351' > \"$1\"\n")
    script.chmod(0o755)
    monkeypatch.setenv("EDITOR", editor.format(latin=script))
    done = say("e\na\n", "ask", "What is it?", "--approve", "--quiet")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == "from a\n"
    assert "gave no workflow" in done.stderr
    assert reason in done.stderr
    assert len(team[0].requests) == 1


def test_a_person_who_stops_the_run_is_told_and_pays_no_worker(team, say):
    done = say("s\n", "ask", "What is it?", "--approve", "--quiet")
    assert done.exit_code == 1
    assert "note: the run was ended by a person" in done.stderr
    assert team[1]["a"].tasks == []


def test_nobody_can_be_asked_without_a_terminal(team):
    done = command("ask", "What is it?", "--approve")
    assert done.exit_code == 2
    assert "stdin is none" in done.stderr
    assert team[0].requests == []


def test_a_run_that_waits_goes_on_in_another_process(team, say, tmp_path, monkeypatch):
    kept = ("--saver", f"sqlite:{tmp_path / 'runs.db'}")
    done = say(
        "", "ask", "What is it?", "--approve", "--quiet", "--thread", "t", *kept
    )  # the terminal is closed
    assert done.exit_code == 1
    assert (
        "waits for an answer to: Request: > What is it? Plan: 0. a (reads the request)"
        in command("show", "t", *kept).stdout
    )
    done = say("", "ask", "Another?", "--thread", "t", *kept)
    assert f"langgraph-conductor resume t --saver sqlite:{tmp_path / 'runs.db'}" in done.stderr
    done = say("a\n", "resume", "t", "--quiet", *kept)
    assert done.stdout == "from a\n"
    assert len(team[0].requests) == 1
    done = say("", "resume", "t", *kept)
    assert done.exit_code == 1
    assert "is over; `show` shows it" in done.stderr
    done = say(
        "a\n", "ask", "And then?", "--quiet", "--thread", "t", *kept
    )  # the next turn of the conversation
    assert done.stdout == "from b\n"
    assert "And then?" in json.dumps(team[0].requests[1].question)


def test_a_run_that_waits_says_so_without_a_terminal(team, say, tmp_path, monkeypatch):
    kept = ("--saver", f"sqlite:{tmp_path / 'runs.db'}")
    say("", "ask", "What is it?", "--approve", "--quiet", "--thread", "t", *kept)
    monkeypatch.setattr("langgraph_conductor.cli.asking.at_terminal", lambda: False)
    done = command("resume", "t", "--quiet", *kept)
    assert done.exit_code == 1
    assert "waits for a person, and stdin is no terminal" in done.stderr
    assert command("resume", "none", *kept).exit_code == 1


def test_a_run_that_failed_as_a_whole_is_over_and_its_thread_goes_on(team, tmp_path):
    kept = ("--saver", f"sqlite:{tmp_path / 'runs.db'}")
    planner, workers = team
    workers["a"].reply = workers["b"].reply = PermissionError("the disk is locked")
    failed = command("ask", "What is it?", "--quiet", "--thread", "t", *kept)
    assert failed.exit_code == 1
    assert "no worker gave an answer" in failed.stderr
    workers["a"].reply = workers["b"].reply = "mended"
    shown = command("show", "t", *kept)
    assert "state: it failed as a whole: no worker gave an answer; round 0, step 0 (a)" in shown.stdout
    tasks = len(workers["a"].tasks)
    done = command("resume", "t", "--quiet", *kept)
    assert done.exit_code == 1
    assert "the run of thread 't' failed as a whole, and nothing of it is tried again" in done.stderr
    assert "PermissionError: the disk is locked" in done.stderr
    assert (
        f"langgraph-conductor ask QUESTION --thread t --saver sqlite:{tmp_path / 'runs.db'}" in done.stderr
    )
    assert (len(workers["a"].tasks), len(planner.requests)) == (tasks, 1)
    done = command("ask", "And now?", "--quiet", "--thread", "t", *kept)
    assert (done.exit_code, done.stdout) == (0, "mended\n"), done.stderr
    asked = json.dumps(planner.requests[1].question)
    assert "What is it?" in asked
    assert "And now?" in asked
    shown = command("show", "t", *kept)
    assert "answer: mended" in shown.stdout
    assert "state:" not in shown.stdout


def test_a_run_whose_budget_left_it_without_an_answer_is_over(monkeypatch, tmp_path):
    kept = ("--quiet", "--thread", "t", "--saver", f"sqlite:{tmp_path / 'runs.db'}")
    priced = Worker("a", chat("yes"), price={"input": 1, "output": 1_000_000})
    monkeypatch.setattr(local, "planner", lambda: ScriptedPlanner(flow(("a", "x", []))))
    monkeypatch.setattr(local, "workers", lambda: WorkerPool([priced]))
    assert command("ask", "What is it?", *kept, "--limit-usd", "0.5").exit_code == 7
    done = command("resume", "t", *kept[0:1], *kept[3:])
    assert done.exit_code == 7
    assert "no worker gave an answer within the budget" in done.stderr
    assert command("ask", "And now?", *kept).stdout == "yes\n"


def test_a_run_that_waits_after_a_round_without_an_answer_is_not_over(monkeypatch, say, tmp_path):
    class Asking(ScriptedPlanner):
        def plan(self, asked):
            if asked.rounds:
                assert interrupt("once more?") == "yes"
            return super().plan(asked)

    kept = ("--quiet", "--saver", f"sqlite:{tmp_path / 'runs.db'}")
    planner = Asking(flow(("a", "x", [])), flow(("b", "y", [])))
    pool = [Worker("a", Recorder("a", ValueError("no")), retries=0), Worker("b", lambda task: "at last")]
    monkeypatch.setattr(local, "planner", lambda: planner)
    monkeypatch.setattr(local, "workers", lambda: WorkerPool(pool))
    say("", "ask", "What is it?", "--max-rounds", "2", "--thread", "t", *kept)  # the terminal is closed
    assert "is not over; go on with it" in say("", "ask", "Another?", "--thread", "t", *kept).stderr
    assert say("yes\n", "resume", "t", "--max-rounds", "2", *kept).stdout == "at last\n"


@pytest.mark.parametrize("given", [("--thread", "t"), ("--saver", "sqlite:x.db")])
def test_a_saver_needs_a_thread(team, given):
    done = command("ask", "What is it?", *given)
    assert done.exit_code == 2
    assert team[0].requests == []


def test_the_log_has_an_event_on_each_line_and_grows(team, tmp_path):
    file = tmp_path / "run.jsonl"
    for _ in range(2):
        assert command("ask", "Wie heißt es?", "--quiet", "--log", str(file)).exit_code == 0
    events = [json.loads(line) for line in file.read_text(encoding="ascii").splitlines()]
    kinds = [
        "planning_started",
        "workflow_planned",
        "step_started",
        "step_finished",
        "round_finished",
        "answer",
    ]
    assert [event["type"] for event in events] == kinds * 2
    assert {event["version"] for event in events} == {EVENT_VERSION}
    assert command("ask", "x", "--log", str(tmp_path / "none" / "run.jsonl")).exit_code == 2


def test_an_event_is_in_the_log_before_the_next_thing_is_done(team, tmp_path, monkeypatch):
    file, seen = tmp_path / "run.jsonl", []

    def looks(task):
        seen.extend(json.loads(line)["type"] for line in file.read_text().splitlines())
        return "seen"

    monkeypatch.setattr(local, "workers", lambda: WorkerPool([Worker("a", looks)]))
    command("ask", "What is it?", "--quiet", "--log", str(file))
    assert seen[:2] == ["planning_started", "workflow_planned"]


def test_the_answer_comes_token_by_token(monkeypatch, tmp_path):
    monkeypatch.setattr(local, "planner", lambda: ScriptedPlanner(flow(("a", "x", []), ("b", "y", [0]))))
    pool = [Worker("a", chat("not the answer")), Worker("b", chat("one two three"))]
    monkeypatch.setattr(local, "workers", lambda: WorkerPool(pool))
    log = tmp_path / "run.jsonl"
    done = command("ask", "What is it?", "--quiet", "--tokens", "--log", str(log))
    assert done.stdout == "one two three\n"
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert [e["text"] for e in events if e["type"] == "token" and e["step"] == 1] == [
        "one ",
        "two ",
        "three",
    ]
    for off in (("--quiet",), ("--quiet", "--no-tokens")):
        log.unlink()
        assert command("ask", "What is it?", *off, "--log", str(log)).stdout == "one two three\n"
        assert "token" not in log.read_text().replace("_tokens", "")
    assert (
        json.loads(command("ask", "What is it?", "--json", "--tokens").stdout)["answer"] == "one two three"
    )


def test_what_was_streamed_and_is_not_the_answer_is_put_right():
    written = []
    show = answer_as_it_comes(written.append)
    show({"type": "step_started", "round": 0, "step": 1, "final": True})
    show({"type": "token", "round": 0, "step": 0, "text": "no"})
    show({"type": "token", "round": 0, "step": 1, "text": "half\x1b"})
    show({"type": "fallback", "round": 0, "step": 1})
    show({"type": "token", "round": 0, "step": 1, "text": "whole"})
    show({"type": "answer", "text": "whole"})
    assert "".join(written) == "half\ufffd\n\nwhole\n"
    written.clear()
    show = answer_as_it_comes(written.append)
    show({"type": "answer", "text": "of a function"})
    assert "".join(written) == "of a function\n"


# ------------------------------------------------------------------- what cannot be written

FULL = OSError(errno.ENOSPC, "No space left on device")


def full(*_, **__):
    raise FULL


@pytest.mark.parametrize("form", [(), ("--quiet",), ("--json",)])
def test_an_answer_is_printed_though_its_page_cannot_be_written(team, tmp_path, monkeypatch, form):
    monkeypatch.setattr("langgraph_conductor.cli.reporting.write_private", full)
    done = command("ask", "What is it?", *form, "--html", str(tmp_path / "run.html"))
    assert "from a" in done.stdout
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].startswith("error: the page could not be written: [Errno 28]")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device there")
@pytest.mark.parametrize("option", ["--html", "--log"])
def test_a_full_device_never_loses_the_answer(team, option):
    done = command("ask", "What is it?", "--quiet", option, "/dev/full")
    assert (done.stdout, done.exit_code) == ("from a\n", 1)
    assert "No space left on device" in done.stderr


def test_a_log_that_fails_in_mid_run_is_told_once_and_ends_nothing(team, tmp_path, monkeypatch):
    written = []

    @contextmanager
    def failing(path):
        def write(event):
            if written:
                raise FULL
            written.append(event)

        yield write

    monkeypatch.setattr("langgraph_conductor.cli.asking.event_log", failing)
    done = command("ask", "What is it?", "--quiet", "--log", str(tmp_path / "run.jsonl"))
    assert (done.stdout, done.exit_code, len(written)) == ("from a\n", 1, 1)
    assert done.stderr.count("cannot be written any more") == 1


def test_progress_that_cannot_be_shown_ends_nothing(team, monkeypatch):
    monkeypatch.setattr("langgraph_conductor.cli.asking.live", lambda *_, **__: nullcontext(full))
    done = command("ask", "What is it?")
    assert done.exit_code == 0
    assert done.stdout == "from a\n"


def test_an_answer_goes_to_stderr_where_stdout_takes_nothing(team, monkeypatch):
    echo = typer.echo

    def broken(text="", *, err=False, **options):
        if not err:
            raise FULL
        echo(text, err=err, **options)

    monkeypatch.setattr("typer.echo", broken)
    done = command("ask", "What is it?", "--quiet")
    assert done.exit_code == 1
    assert done.stderr.endswith(
        "error: stdout could not be written: [Errno 28] No space left on device\nfrom a\n"
    )


@pytest.mark.parametrize("option", ["--html", "--log"])
@pytest.mark.parametrize("place", ["folder", "none/file", "folder/../pipe", "file/below"])
def test_a_file_that_could_not_be_written_is_refused_before_anything_is_paid(team, tmp_path, option, place):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    done = command("ask", "What is it?", option, str(tmp_path / place))
    assert done.exit_code == 2
    assert team[1]["a"].tasks == []


@pytest.mark.parametrize("option", ["--html", "--log"])
def test_a_full_folder_is_refused_before_anything_is_paid(team, tmp_path, option, monkeypatch):
    monkeypatch.setattr("langgraph_conductor.text_files.tempfile.TemporaryFile", full)
    done = command("ask", "What is it?", option, str(tmp_path / "file"))
    assert done.exit_code == 2
    assert team[1]["a"].tasks == []


@pytest.mark.parametrize("at", range(1, 9))
@pytest.mark.parametrize("method", ["aput", "aput_writes"])
def test_a_saver_that_fails_once_there_is_an_answer_does_not_lose_it(
    team, tmp_path, monkeypatch, at, method
):
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    own, calls = getattr(AsyncSqliteSaver, method), []

    async def failing(self, *given, **named):
        if team[1]["a"].tasks:
            calls.append(1)
        if len(calls) >= at:
            raise sqlite3.OperationalError("database or disk is full")
        return await own(self, *given, **named)

    monkeypatch.setattr(AsyncSqliteSaver, method, failing)
    done = command(
        "ask", "What is it?", "--json", "--saver", f"sqlite:{tmp_path / 'runs.db'}", "--thread", "t"
    )
    if len(calls) < at:
        assert done.exit_code == 0
    elif done.stdout:
        told = json.loads(done.stdout)
        assert (told["answer"], done.exit_code) == ("from a", 1)
        assert "was not saved" in done.stderr
    else:  # it failed in the step itself
        assert at <= 2
        assert "error: sqlite:" in done.stderr


@pytest.mark.parametrize("given_up", [KeyboardInterrupt, typer.Abort])
def test_who_gives_up_while_asked_is_told_how_to_go_on(team, say, tmp_path, monkeypatch, given_up):
    def leave(_):
        raise given_up

    monkeypatch.setattr("langgraph_conductor.cli.asking.answer", leave)
    kept = f"sqlite:{tmp_path / 'my runs.db'}"
    done = say("", "ask", "What is it?", "--approve", "--quiet", "--thread", "t", "--saver", kept)
    assert done.exit_code == (130 if given_up is KeyboardInterrupt else 1)
    assert f"note: to go on: langgraph-conductor resume t --saver '{kept}'" in done.stderr
