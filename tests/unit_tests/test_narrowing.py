"""Whoever resumes a run, answers its questions or writes to its thread can lower what the developer set, never raise it."""

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from langgraph_conductor import Budget, Worker
from tests import places
from tests.helpers import Recorder, ScriptedPlanner, ask, chat, flow, thread
from tests.people import APPROVE, editing

ONE = flow(("a", "one", []))
TWO = flow(("a", "one", []), ("b", "two", [0]))


@pytest.fixture(params=["plain", "subgraph", "added"])
def form(request):
    return request.param


def app_of(form, *plans, **options):
    asked = Recorder("a"), Recorder("b")
    workers = [Worker(one.name, one) for one in asked]
    return getattr(places, form)(InMemorySaver(), ScriptedPlanner(*plans), workers, **options), asked


BEGUN = [
    ({"max_rounds": 1}, 1),
    ({"max_rounds": 2}, 2),
    ({"by_name": {"conductor": {"max_rounds": 2}}}, 2),
]


@pytest.mark.parametrize(("begun", "rounds"), BEGUN)
@pytest.mark.parametrize("later", [None, {}, {"tokens": False}], ids=str)
def test_a_run_that_is_resumed_in_its_first_round_keeps_what_it_began_with(form, run, begun, rounds, later):
    app, (a, _) = app_of(form, ONE, approve=True)
    run(app, ask(), thread(**begun))
    for _ in range(4):
        if app.get_state(thread()).next:
            run(app, Command(resume=APPROVE), thread(**(later or {})))
    assert [task.round for task in a.tasks] == [*range(rounds)]


def test_a_budget_a_run_began_with_holds_for_all_its_rounds(form, run):
    model = chat("x")
    workers = [Worker("a", model)]
    app = getattr(places, form)(InMemorySaver(), ScriptedPlanner(ONE), workers, max_rounds=9, approve=True)
    run(app, ask(), thread(budget={"calls": 3}))
    for _ in range(9):
        if app.get_state(thread()).next:
            run(app, Command(resume=APPROVE), thread())
    assert len(model.calls) == 3


def test_workers_a_run_began_without_stay_away(form, run):
    app, (a, b) = app_of(form, ONE, ONE, max_rounds=2, approve=True)
    run(app, ask(), thread(exclude=["a"]))
    for _ in range(4):
        if app.get_state(thread()).next:
            run(app, Command(resume=APPROVE), thread())
    assert a.tasks == []
    assert b.tasks


@pytest.mark.parametrize(
    ("most", "begun"), [({"max_steps": 2}, {}), ({}, {"max_steps": 2})], ids=["built", "called"]
)
def test_who_approves_cannot_have_more_steps_done_than_a_planner(form, run, most, begun):
    app, (a, b) = app_of(form, TWO, approve=True, **most)
    run(app, ask(), thread(**begun))
    many = flow(*(("a", f"{i}", []) for i in range(3)))
    run(app, Command(resume=editing(many.to_json())), thread())
    (asked,) = app.get_state(thread(), subgraphs=True).interrupts
    assert "the workflow has 3 steps, and 2 are allowed" in asked.value["action_requests"][0]["description"]
    assert (a.tasks, b.tasks) == ([], [])
    run(app, Command(resume=editing(ONE.to_json())), thread())
    assert [task.subtask for task in a.tasks] == ["one"]


def test_a_fixed_workflow_that_is_longer_may_be_edited_at_its_length(form, run):
    app, (a, _) = app_of(form, TWO, approve=True, max_steps=1)
    run(app, ask(), thread())
    other = flow(("a", "this", []), ("a", "that", [0]))
    run(app, Command(resume=editing(other.to_json())), thread())
    assert [task.subtask for task in a.tasks] == ["this", "that"]


@pytest.mark.parametrize("stored", [None, {"calls": 50}, {"tokens": 10**6}], ids=str)
def test_what_is_written_to_a_thread_does_not_lift_the_budget(run, stored):
    model = chat("x")
    options = {"max_rounds": 9, "budget": Budget(calls=1, tokens=10**5)}
    app = places.plain(InMemorySaver(), ScriptedPlanner(ONE), [Worker("a", model)], **options)
    run(app, ask(), thread(), interrupt_after=["intake"])
    begun = app.get_state(thread()).values["run"]
    app.update_state(thread(), {"run": {**begun, "id": "another", "budget": stored}}, as_node="intake")
    run(app, None, thread())
    assert len(model.calls) == 1
