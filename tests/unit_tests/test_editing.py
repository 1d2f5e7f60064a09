"""A run that waits is edited from outside and runs on, wherever the conductor stands."""

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt

from tests.helpers import ScriptedPlanner, ask, flow
from tests.people import Paying, counted_once, ids, pool, several

CHAIN = flow(("a", "x", []), ("p", "may I?", [0]), ("c", "z", [0, 1]))


def chained(place, **options):
    a, p, c = Paying("a"), Paying("p", lambda task: f"told {interrupt(task.subtask)}"), Paying("c")
    planner = ScriptedPlanner(CHAIN)
    return (a, p, c), planner, place(InMemorySaver(), planner, pool(a, p, c), **options)


def read(worker):
    return [output.text for output in worker.tasks[-1].inputs]


def test_the_output_of_a_step_that_is_over(place, call):
    (a, p, c), planner, app = chained(place)
    call(app, ask())
    found = call.open_round(app)
    assert (found.workflow, found.outputs, found.runs) == (CHAIN, {0: "a-0-0"}, True)
    call.edit(found, outputs={0: "better"})
    again = call(app, None)
    assert [one.value for one in again.open] == ["may I?"]
    assert read(p) == ["better"]
    done = call(app, Command(resume="yes"))
    assert read(c) == ["better", "told yes"]
    assert [len(a.tasks), len(planner.requests)] == [1, 1]
    assert done.of("step_finished") == [1, 2]
    counted_once(done, a, p, c)


def test_the_output_of_a_step_that_waits(place, call):
    (a, p, c), planner, app = chained(place)
    call(app, ask())
    call.edit(call.open_round(app), outputs={1: "by hand"})
    done = call(app, None)
    assert (done.answer, done.open) == ("c-0-2", [])
    assert read(c) == ["a-0-0", "by hand"]
    assert [len(a.tasks), len(p.tasks), len(planner.requests)] == [1, 1, 1]
    counted_once(done, a, p, c)


def test_the_workflow_while_it_runs(place, call):
    (a, p, c), planner, app = chained(place)
    call(app, ask())
    new = flow(("a", "x", []), ("c", "in its place", [0]))
    call.edit(call.open_round(app), workflow=new)
    done = call(app, None)
    assert (done.answer, done.open) == ("c-0-1", [])
    assert [len(w.tasks) for w in (a, p, c)] == [1, 1, 1]  # the first step is as it was, and stands
    assert len(planner.requests) == 1
    assert done.of("step_finished") == [1]
    counted_once(done, a, p, c)


def test_the_subtask_of_a_step_to_come(place, call):
    (a, p, c), planner, app = chained(place)
    call(app, ask())
    call.edit(
        call.open_round(app), workflow=flow(("a", "x", []), ("p", "may I?", [0]), ("c", "other", [1]))
    )
    assert call(app, None).open
    done = call(app, Command(resume="yes"))
    assert [task.subtask for task in c.tasks] == ["other"]
    assert read(c) == ["told yes"]
    assert [len(a.tasks), len(planner.requests)] == [1, 1]
    counted_once(done, a, p, c)


def test_a_workflow_that_waits_to_be_let_run_is_asked_about_anew(place, call):
    a, b, planner = Paying("a"), Paying("b"), ScriptedPlanner(flow(("a", "one", [])))
    app = place(InMemorySaver(), planner, pool(a, b), approve=True)
    call(app, ask())
    new = flow(("b", "instead", []))
    found = call.open_round(app)
    assert (found.runs, found.outputs) == (False, {})
    call.edit(found, workflow=new)
    (asked,) = call(app, None).open
    assert asked.value[0]["action_request"]["args"]["workflow"] == new.to_json()
    done = call(app, Command(resume={asked.id: "accept"}))
    assert (done.answer, len(planner.requests)) == ("b-0-0", 1)
    counted_once(done, a, b)


def test_what_was_let_run_is_edited_without_asking_again(place, call):
    (a, p, c), _, app = chained(place, approve=True)
    call(app, ask())
    call(app, Command(resume="accept"))
    call.edit(call.open_round(app), outputs={1: "by hand"})
    done = call(app, None)
    assert (done.answer, len(p.tasks)) == ("c-0-2", 1)
    counted_once(done, a, p, c)


def test_steps_that_wait_beside_the_edited_one_still_wait(place, call):
    (a, p, q), planner, app = several(place)
    call(app, ask())
    call.edit(call.open_round(app), outputs={1: "by hand"})
    halfway = call(app, None)
    assert set(ids(halfway)) == {"second"}
    done = call(app, Command(resume={ids(halfway)["second"]: "2"}))
    assert read(a) == ["a-0-0", "by hand", "told 2", "q-0-3"]
    assert [len(a.tasks), len(q.tasks), len(planner.requests)] == [2, 1, 1]
    counted_once(done, a, p, q)


def test_a_step_that_read_what_is_edited_runs_again_and_stays_in_the_usage(place, call):
    (a, p, q), planner, app = several(place)
    call(app, ask())
    call.edit(call.open_round(app), outputs={0: "better"})
    paused = call(app, None)
    assert read(q) == ["better"]
    done = call(app, Command(resume={one.id: one.value for one in paused.open}))
    assert [len(a.tasks), len(q.tasks), len(planner.requests)] == [2, 2, 1]
    counted_once(done, a, p, q)
