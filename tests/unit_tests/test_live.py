"""The live view: what it shows at each moment of a run, without a terminal."""

import io

import pytest
from rich.console import Console

from langgraph_conductor import Worker, create_conductor
from langgraph_conductor.display import Progress, live
from langgraph_conductor.display.live import tree
from langgraph_conductor.display.progress import line
from langgraph_conductor.display.retelling import retold
from langgraph_conductor.testing import ACCEPT_TEXT, ScriptedModel, plan_text
from langgraph_conductor.usage import Usage
from tests.helpers import Recorder, ask, flow

PLANNED = {
    "type": "workflow_planned", "round": 0, "reached": "schema", "error": None, "seconds": 1.5,
    "workflow": flow(("a", "Draft [bold]it[/bold].", []), ("b", "Check it.", []), ("a", "Join.", [0, 1])).to_json(),
    "usage": Usage(calls=1, input_tokens=100, output_tokens=20).to_json(),
}  # fmt: skip


def started(step, worker):
    return {
        "type": "step_started",
        "round": 0,
        "step": step,
        "worker": worker,
        "subtask": PLANNED["workflow"]["steps"][step]["subtask"] if step < 3 else "x",
        "granted": [],
        "final": step == 2,
    }


def finished(step, worker, **changes):
    return {
        "type": "step_finished", "round": 0, "step": step, "worker": worker, "answered_by": worker, "status": "ok",
        "text": "t", "error": None, "seconds": 2.0,
        "usage": Usage(calls=1, input_tokens=7, output_tokens=3).to_json() | {"usd": "0.0200"}, **changes,
    }  # fmt: skip


def shown(progress, now, **options):
    console = Console(record=True, width=100, file=io.StringIO())
    console.print(tree(progress, now, **options))
    return console.export_text()


def row(text, start):
    return next(found for found in text.splitlines() if start in found)


def test_each_moment_of_a_run():
    progress = Progress(began=10.0)
    assert "● planner: running, 2.5 s" in shown(progress, 12.5)

    progress = progress.after(PLANNED, 13.0)
    text = shown(progress, 13.0)
    assert "✓ planner: written under a schema, 100+20 tokens, 1.5 s" in text
    assert "· step 0: a  Draft [bold]it[/bold].  waiting" in text
    assert "· step 2: a  Join.  waiting for step 0, 1" in text

    progress = progress.after(started(0, "a"), 14.0).after(started(1, "b"), 14.5)
    text = shown(progress, 17.0)
    assert row(text, "step 0").endswith("running, 3.0 s")
    assert row(text, "step 1").endswith("● step 1: b  Check it.  running, 2.5 s")
    assert row(text, "step 2").endswith("waiting for step 0, 1")

    why = {"type": "TimeoutError", "message": "no answer\nwithin 2 seconds", "infrastructure": True}
    progress = progress.after(finished(0, "a"), 18.0)
    progress = progress.after(finished(1, "b", status="failed", text="", error=why), 18.0)
    text = shown(progress, 18.0)
    assert "✓ step 0: a  Draft [bold]it[/bold].  done, 7+3 tokens, $0.02, 2.0 s" in text
    assert "✗ step 1: b  Check it.  failed, 7+3 tokens, $0.02, 2.0 s" in text
    assert "TimeoutError: no answer within 2 seconds" in text
    assert "conductor  114+26 tokens, $0.04" in text

    progress = progress.after(finished(2, "a", answered_by="b", error=why), 19.0)
    assert "b answered, because: TimeoutError" in shown(progress, 19.0)
    assert "planner: running" not in shown(progress, 19.0)
    progress = progress.after({"type": "round_finished", "round": 0, "answer": "t"}, 20.0)
    assert "round 1" in shown(progress, 21.0)
    assert "planner: running, 1.0 s" in shown(progress, 21.0)
    assert "round 1" not in shown(progress, 21.0, over=True)

    accepted = PLANNED | {"round": 1, "workflow": None}
    text = shown(progress.after(accepted, 22.0), 22.0, over=True)
    assert text.index("round 0") < text.index("step 2") < text.index("round 1")
    assert "✓ planner: the earlier answer is kept, written under a schema" in text


def test_a_failed_planner_is_said():
    error = {"type": "APIConnectionError", "message": "Connection error.", "infrastructure": True}
    failed = PLANNED | {
        "reached": "fallback",
        "error": error,
        "workflow": flow(("a", "Answer.", [])).to_json(),
    }
    text = shown(Progress().after(failed, 0.0), 0.0)
    assert "✗ planner: planning failed, fallback" in text
    assert "APIConnectionError: Connection error." in text
    assert "round 0: 1 step, planning failed, fallback" in line(failed)
    assert line(failed).endswith(": APIConnectionError: Connection error.")


def test_words_of_models_cannot_command_the_terminal():
    evil = PLANNED | {"workflow": flow(("a", "red \x1b[31m and \x07 bell", [])).to_json()}
    for text in (shown(Progress().after(evil, 0.0), 0.0), line(started(0, "a") | {"subtask": "\x1b[2J"})):
        assert "\x1b" not in text
        assert "\x07" not in text


def test_a_terminal_without_signs_gets_letters():
    progress = Progress().after(PLANNED, 0.0).after(started(0, "a"), 0.0)
    text = shown(progress, 0.0, ascii_only=True)
    assert "* step 0" in text
    assert ". step 1" in text
    assert "●" not in text


@pytest.fixture
def conductor():
    planner = ScriptedModel(replies=[plan_text(("a", "Do it.", []), ("b", "Check it.", [0])), ACCEPT_TEXT])
    workers = [
        Worker("a", ScriptedModel(replies=["one two"])),
        Worker("b", Recorder("b", ValueError("no"))),
    ]
    return create_conductor(planner, workers, max_rounds=2)


def told_by(conductor, console):
    with live(console) as show:
        for _, event in conductor.stream(ask(), stream_mode="custom", subgraphs=True):
            show(event)
    return console.file.getvalue()


def test_a_run_on_a_pipe_is_a_line_an_event(conductor):
    lines = told_by(conductor, Console(file=io.StringIO())).splitlines()
    assert [each.partition(",")[0] for each in lines] == [
        "round 0: 2 steps",
        "round 0", "round 0", "round 0", "round 0",
        "round 0: answered",
        "round 1: the earlier answer is kept",
    ]  # fmt: skip
    assert lines[1] == "round 0, step 0 (a): started: Do it."
    assert lines[2].startswith("round 0, step 0 (a): done, ")
    assert lines[4].endswith(": ValueError: no")
    assert "\x1b" not in "".join(lines)


def test_a_run_on_a_terminal_ends_with_the_whole_tree(conductor):
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None, _environ={})
    last = told_by(conductor, console).rpartition("conductor  ")[2]
    for part in ("✓ planner: parsed unaided", "✓ step 0: a  Do it.  done", "✗ step 1: b", "round 1"):
        assert part in last
    assert "running" not in last


def test_a_dumb_terminal_gets_lines(conductor):
    console = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    told = told_by(conductor, console)
    assert "round 0: 2 steps" in told
    assert "\x1b" not in told


def token(step, text):
    return {"type": "token", "round": 0, "step": step, "worker": "a", "text": text}


def test_a_running_step_shows_what_it_says_and_the_answer_in_full():
    progress = Progress().after(PLANNED, 0.0).after(started(0, "a"), 0.0)
    for text in ["first ", *["so on "] * 20, "\x1b[2Jlast"]:
        progress = progress.after(token(0, text), 1.0).after(token(None, "of the planner"), 1.0)
    text = shown(progress, 2.0)
    assert "so on �[2Jlast" in text
    assert "first" not in text  # of a step that is no answer, the last words are enough
    assert "of the planner" not in text
    tool = {
        "type": "tool_started",
        "round": 0,
        "step": 0,
        "worker": "a",
        "tool": "search",
        "input": '{"q": "x"}',
    }
    assert 'search({"q": "x"})' in shown(progress.after(tool, 3.0), 3.0)
    progress = progress.after(started(2, "a"), 4.0)
    for text in ["The first line.\n", "The last line."]:
        progress = progress.after(token(2, text), 4.0)
    text = shown(progress, 5.0)
    assert "The first line." in text
    assert "The last line." in text
    text = shown(progress.after(finished(2, "a"), 6.0), 6.0)
    assert "The last line." not in text


def test_a_run_that_goes_on_shows_what_was_done_before(conductor):
    records = conductor.invoke(ask())["rounds"]
    told = [*retold(records)]
    progress = Progress()
    for event in told:
        progress = progress.after(event, 0.0)
    text = shown(progress, 0.0, over=True)
    for part in (
        "✓ step 0: a  Do it.  done",
        "✗ step 1: b",
        "ValueError: no",
        "round 1",
        "the earlier answer is kept",
    ):
        assert part in text
    unfinished = records[0] | {"steps": records[0]["steps"][:1]}
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None, _environ={})
    with live(console, earlier=retold([unfinished])) as show:
        show(started(1, "b"))
    last = console.file.getvalue().rpartition("conductor  ")[2]
    assert "✓ step 0: a  Do it.  done" in last
    assert "● step 1: b" in last


def test_a_person_may_make_it_another_workflow_than_was_planned():
    begun = {**started(0, "c"), "subtask": "Do it otherwise."}
    progress = Progress().after(PLANNED, 1.0).after(begun, 2.0)
    assert "step 0: c  Do it otherwise." in shown(progress, 2.0)
    assert len(progress.rounds[0].steps) == 3
    shorter = Progress().after(PLANNED, 1.0).after({**begun, "final": True}, 2.0)
    assert [step.worker for step in shorter.rounds[0].steps] == ["c"]
    longer = progress.after({**started(4, "d"), "subtask": "Join.", "final": True}, 3.0)
    assert longer.rounds[0].steps[4].subtask == "Join."
    assert len(longer.rounds[0].steps) == 5


def test_before_the_first_answer_nothing_is_said_of_models():
    assert shown(Progress(), 0.0).splitlines()[0].strip() == "conductor"
