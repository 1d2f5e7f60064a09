"""Bugs in the user's own code are heard: in the log, in records and in errors, with file and line."""

import json
import logging
import os

import pytest
from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph

from langgraph_conductor import Worker, WorkerError, add_conductor, create_conductor
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import ScriptedModel
from langgraph_conductor.workers.bugs import is_bug
from langgraph_conductor.workers.failures import EmptyReplyError, RefusalError, error_record
from langgraph_conductor.workers.own_code import is_own, place_of
from tests.helpers import ScriptedPlanner, ask, flow

HERE = "tests/unit_tests/test_bugs.py"
KEY = "zq-8fd0c6d41b7e4f5fa3"


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    monkeypatch.chdir(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def helper(task):
    return task.nothing_of_that_name


def broken(task):
    return helper(task)


async def broken_async(task):
    return helper(task)


def forgetful(task):
    task.subtask.upper()


def says_more(task):
    try:
        return helper(task)
    except AttributeError as error:
        raise RuntimeError("no luck") from error


class Caller:
    def __call__(self, task):
        return 17


def tool(x: str) -> str:
    """A tool."""
    raise ZeroDivisionError(x)


def line_of(function, after=1):
    return function.__code__.co_firstlineno + after


def calling_a_tool():
    call = AIMessage("", tool_calls=[{"name": "tool", "args": {"x": "y"}, "id": "1"}])
    return ScriptedModel(replies=[call, "done"])


def graph_of(node):
    builder = StateGraph(MessagesState)
    builder.add_node("own", node)
    builder.add_edge(START, "own")
    return builder.compile()


OWN = {
    "a function": (lambda: Worker("w", broken), "AttributeError", f"{line_of(helper)}, in helper"),
    "one that returns nothing": (lambda: Worker("w", forgetful), "TypeError", f"{line_of(forgetful, 0)}, in forgetful"),
    "an object": (lambda: Worker("w", Caller()), "TypeError", f"{line_of(Caller.__call__, 0)}, in Caller.__call__"),
    "a graph": (lambda: Worker("w", graph_of(broken)), "AttributeError", f"{line_of(helper)}, in helper"),
    "a tool": (lambda: Worker("w", calling_a_tool(), tools=[tool]), "ZeroDivisionError", f"{line_of(tool, 2)}, in tool"),
    "another error's cause": (lambda: Worker("w", says_more), "RuntimeError", f"{line_of(says_more, 4)}, in says_more"),
}  # fmt: skip


def bugs_in(caplog):
    return [r for r in caplog.records if r.name.startswith("langgraph_conductor") and r.exc_info]


@pytest.mark.parametrize("form", OWN)
def test_a_bug_is_logged_once_with_its_place(form, run, caplog):
    make, kind, place = OWN[form]
    planner = ScriptedPlanner(flow(("w", "x", []), ("ok", "y", [0])))
    result = run(create_conductor(planner, [make(), Worker("ok", lambda task: "fine")]), ask())
    assert result["answer"] == "fine"
    assert result["rounds"][0]["steps"][0]["error"]["where"] == f"{HERE}:{place}"
    (told,) = bugs_in(caplog)
    assert told.levelno == logging.WARNING
    assert told.getMessage().startswith(f"worker 'w' failed in step 0 of round 0: {kind}: ")
    assert told.getMessage().endswith(f"({HERE}:{place})")
    assert "Traceback (most recent call last)" in told.exc_text


@pytest.mark.parametrize("form", OWN)
def test_a_run_without_an_answer_names_the_place_and_chains_the_cause(form, run, caplog):
    make, kind, place = OWN[form]
    with pytest.raises(WorkerError) as caught:
        run(create_conductor(fixed.single("w"), [make()]), ask())
    assert f"({HERE}:{place})" in str(caught.value)
    assert type(caught.value.__cause__).__name__ == kind
    assert len(bugs_in(caplog)) == 1


@pytest.mark.parametrize("form", OWN)
def test_a_raised_bug_is_not_logged_as_well(form, run, caplog):
    make, kind, place = OWN[form]
    with pytest.raises(WorkerError) as caught:
        run(create_conductor(fixed.single("w"), [make()], on_step_error="raise"), ask())
    assert str(caught.value).endswith(f"({HERE}:{place})")
    assert caught.value.errors[0]["where"] == f"{HERE}:{place}"
    assert type(caught.value.__cause__).__name__ == kind
    assert not bugs_in(caplog)


async def test_an_async_function_with_a_bug(caplog):
    conductor = create_conductor(fixed.single("w"), [Worker("w", broken_async)])
    with pytest.raises(WorkerError, match="in helper"):
        await conductor.ainvoke(ask())
    assert len(bugs_in(caplog)) == 1


def test_in_a_graph_it_was_added_to_and_inside_another_conductor_it_is_heard_once(run, caplog):
    builder = StateGraph(MessagesState)
    workers = [Worker("w", broken, fallback="ok"), Worker("ok", lambda task: "fine")]
    add_conductor(builder, fixed.single("w"), workers)
    builder.add_edge(START, "conductor")
    assert run(builder.compile(), ask())["messages"][-1].text == "fine"
    assert len(bugs_in(caplog)) == 1
    caplog.clear()
    inner = create_conductor(fixed.single("w"), [Worker("w", broken)], name="inner")
    with pytest.raises(WorkerError, match="in helper") as caught:
        run(create_conductor(fixed.single("inner"), [Worker("inner", inner)]), ask())
    assert len(bugs_in(caplog)) == 1
    assert caught.value.infrastructure is False


def test_of_a_worker_and_its_fallback_the_one_that_is_not_raised_is_logged(run, caplog):
    workers = [Worker("w", broken, fallback="v"), Worker("v", forgetful)]
    with pytest.raises(WorkerError, match="in helper"):
        run(create_conductor(fixed.single("w"), workers, on_step_error="raise"), ask())
    (told,) = bugs_in(caplog)
    assert told.getMessage().startswith("worker 'v' failed")


def test_a_bug_in_a_planner_of_ones_own_is_heard(run, caplog):
    class Planner:
        def plan(self, request):
            return helper(request)

        async def aplan(self, request):
            return helper(request)

    result = run(create_conductor(Planner(), [Worker("w", lambda task: "fine")]), ask())
    (told,) = bugs_in(caplog)
    assert told.getMessage().startswith("planning failed, worker 'w' answers alone: AttributeError: ")
    assert result["rounds"][0]["plan"]["error"]["where"] == f"{HERE}:{line_of(helper)}, in helper"


@pytest.mark.parametrize(
    "failure", [ConnectionError("gone"), TimeoutError("late"), EmptyReplyError("x"), RefusalError("no")]
)
def test_outages_and_failures_of_models_are_no_bugs(failure, run, caplog):
    def fails(task):
        raise failure

    workers = [Worker("w", fails, retries=0, fallback="ok"), Worker("ok", lambda task: "fine")]
    assert run(create_conductor(fixed.single("w"), workers), ask())["answer"] == "fine"
    assert not bugs_in(caplog)
    assert not is_bug(failure)


def test_an_outage_names_no_place():
    def fails():
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError) as caught:
        fails()
    assert "where" not in error_record(caught.value)
    assert "in test_an_outage_names_no_place.fails" not in place_of(caught.value)


def test_keys_are_in_neither_the_line_nor_the_traceback(run, caplog, monkeypatch):
    monkeypatch.setenv("OWN_API_KEY", KEY)

    def leaks(task):
        raise ValueError("zq-8fd0c6d41b7e4f5fa3 is refused")

    with pytest.raises(WorkerError):
        run(create_conductor(fixed.single("w"), [Worker("w", leaks)]), ask())
    (told,) = bugs_in(caplog)
    shown = logging.Formatter().format(told)
    assert "[redacted]" in shown
    assert KEY not in shown
    assert KEY not in json.dumps([str(value) for value in told.__dict__.values()])


def test_what_is_the_users_own():
    import langgraph.graph.state

    import langgraph_conductor.workflow

    assert is_own(__file__)
    assert is_own("<ipython-input-3-1a2b>")
    for module in (json, langgraph.graph.state, langgraph_conductor.workflow):
        assert not is_own(module.__file__)
    assert not is_own("<frozen importlib._bootstrap>")


def test_a_file_elsewhere_is_told_by_its_folder(tmp_path):
    code = compile("def f(task):\n    return task.nothing\n", str(tmp_path / "app" / "team.py"), "exec")
    found = {}
    exec(code, found)
    with pytest.raises(AttributeError) as caught:
        found["f"](1)
    assert place_of(caught.value) == "app/team.py:2, in f"
