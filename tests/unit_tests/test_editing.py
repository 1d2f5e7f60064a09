"""A run that waits is edited from outside and runs on, wherever the conductor stands."""

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt

from langgraph_conductor import Budget, PlanError, Step, Worker, Workflow, create_conductor
from langgraph_conductor.editing import edit_round, open_rounds
from tests.helpers import Recorder, ScriptedPlanner, ask, flow, thread
from tests.people import APPROVE, Paying, counted_once, ids, pool, several
from tests.places import added, plain, subgraph, worker

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
    assert asked.value["action_requests"][0]["args"]["workflow"] == new.to_json()
    done = call(app, Command(resume={asked.id: APPROVE}))
    assert (done.answer, len(planner.requests)) == ("b-0-0", 1)
    counted_once(done, a, b)


def test_what_was_let_run_is_edited_without_asking_again(place, call):
    (a, p, c), _, app = chained(place, approve=True)
    call(app, ask())
    call(app, Command(resume=APPROVE))
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


def test_a_round_can_be_edited_twice(place, call):
    (a, p, q), planner, app = several(place)
    call(app, ask())
    call.edit(call.open_round(app), outputs={1: "by hand"})
    call.edit(call.open_round(app), outputs={2: "by hand, too"})
    done = call(app, None)
    assert read(a) == ["a-0-0", "by hand", "by hand, too", "q-0-3"]
    assert [len(a.tasks), len(p.tasks), len(q.tasks), len(planner.requests)] == [2, 2, 1, 1]
    counted_once(done, a, p, q)


def test_the_records_say_what_a_person_wrote(call):
    _, _, app = chained(plain)
    call(app, ask())
    call.edit(call.open_round(app), outputs={0: "better", 1: "by hand"})
    (record,) = call(app, None).result["rounds"]
    assert [step.get("edited") for step in record["steps"]] == [True, True, None]
    assert [step["text"] for step in record["steps"]] == ["better", "by hand", "c-0-2"]
    assert [step["usage"]["calls"] for step in record["steps"]] == [1, 0, 1]
    assert [made["worker"] for made in record["discarded"]] == ["p"]  # it was paid before it asked
    call(app, ask(), thread("two"))
    found = open_rounds(app, thread("two"))[-1]
    call.edit(found, workflow=flow(("c", "alone", [])))
    (record,) = call(app, None, thread("two")).result["rounds"]
    assert record["plan"]["approval"] == {"said": "edit", "planned": CHAIN.to_json()}
    assert [made["worker"] for made in record["discarded"]] == ["p", "a"]


@pytest.mark.parametrize("fresh", [False, True])
def test_what_was_paid_before_an_edit_counts_against_the_budget(fresh, call):
    saver, workers = InMemorySaver(), [Paying("a"), Paying("p", lambda t: interrupt("?")), Paying("c")]

    def conductor():
        return plain(saver, ScriptedPlanner(CHAIN), pool(*workers), budget={"calls": 3})

    app = conductor()
    call(app, ask())
    app = conductor() if fresh else app
    call.edit(call.open_round(app), workflow=flow(("c", "one", []), ("c", "two", [0])))
    result = call(app, None).result
    assert result["answer"] == "c-0-0"  # 2 calls were made before, so that one is left
    assert "3 calls" in result["stopped"]
    assert result["usage"]["total"]["calls"] == 3


def test_what_is_open_is_told_outermost_first():
    app = worker(
        InMemorySaver(),
        ScriptedPlanner(CHAIN),
        pool(Paying("a"), Paying("p", lambda t: interrupt("?")), Paying("c")),
    )
    app.invoke(ask(), thread())
    outer, inner = open_rounds(app, thread())
    assert (outer.path, inner.path) == (("round",), ("round", "workflow", "step_0", "round"))
    assert [step.worker for step in outer.workflow.steps] == ["team"]
    edit_round(outer, outputs={0: "never mind"})
    assert app.invoke(None, thread())["answer"] == "never mind"
    assert open_rounds(app, thread()) == []


def test_what_does_not_fit_is_refused_and_changes_nothing():
    (a, _, c), _, app = chained(plain)
    app.invoke(ask(), thread())
    (found,) = open_rounds(app, thread())
    with pytest.raises(PlanError, match="zoe"):
        edit_round(found, workflow=flow(("zoe", "x", [])))
    with pytest.raises(ValueError, match="no step 3: the workflow has steps 0 to 2"):
        edit_round(found, outputs={3: "x"})
    with pytest.raises(ValueError, match="nothing to change"):
        edit_round(found)
    with pytest.raises(ValueError, match="step 0 would have said nothing"):
        edit_round(found, outputs={0: " "})
    (same,) = open_rounds(app, thread())
    assert same.outputs == found.outputs
    assert app.invoke(Command(resume="yes"), thread())["answer"] == "c-0-2"
    assert [len(a.tasks), len(c.tasks)] == [1, 1]
    with pytest.raises(ValueError, match="no checkpointer"):
        open_rounds(create_conductor(ScriptedPlanner(CHAIN), pool(a, Paying("p"), c)), thread())
    assert open_rounds(app, thread("another")) == []


def test_an_edit_that_could_not_run_is_refused():
    (a, *_), _, app = chained(plain)
    app.invoke(ask(), thread())
    (found,) = open_rounds(app, thread(exclude=["c"]))
    with pytest.raises(PlanError, match="no worker 'c'"):
        edit_round(found, workflow=flow(("c", "x", [])))
    with pytest.raises(PlanError, match="no step 0 in a round 5"):
        edit_round(found, workflow=Workflow((Step("a", "x", earlier=((5, 0),)),)))
    assert app.invoke(Command(resume="yes"), thread())["answer"] == "c-0-2"
    assert len(a.tasks) == 1
    with pytest.raises(ValueError, match="no thread to look at"):
        open_rounds(app, {})


def test_a_step_that_becomes_the_last_one_is_asked_again_as_that(call):
    (a, p, _), _, app = chained(plain)
    call(app, ask())
    call.edit(call.open_round(app), workflow=flow(("a", "x", [])))
    done = call(app, None)
    assert [task.is_final for task in a.tasks] == [False, True]
    counted_once(done, a, p)


def test_what_a_person_wrote_is_the_last_step_of_a_shorter_workflow_too(call):
    (a, *_), _, app = chained(plain)
    call(app, ask())
    call.edit(call.open_round(app), outputs={0: "by hand"})
    call(app, None)
    call.edit(call.open_round(app), workflow=flow(("a", "x", [])))
    assert call(app, None).answer == "by hand"
    assert len(a.tasks) == 1


def test_a_refused_step_that_a_person_wrote_does_not_end_the_run():
    a, b, p = Paying("a"), Paying("b"), Recorder("p", lambda task: interrupt("?"))
    plan = flow(("a", "x", []), ("b", "y", [0]), ("p", "?", [1]))
    options = {"budget": Budget(calls=1), "max_rounds": 2}
    app = plain(InMemorySaver(), ScriptedPlanner(plan, flow(("b", "z", []))), pool(a, b, p), **options)
    app.invoke(ask(), thread())
    edit_round(*open_rounds(app, thread()), outputs={1: "by hand", 2: "told"})
    result = app.invoke(None, thread())
    (_, wrote, _), second = (record["steps"] for record in result["rounds"])
    assert (wrote["status"], wrote["error"], wrote.get("refusal")) == ("ok", None, None)
    assert second[0]["status"] == "failed"  # it was begun, under the same budget
    assert "1 call" in result["stopped"]


# --- LangGraph's own way -------------------------------------------------------------------------


def innermost(app):
    state = app.get_state(thread(), subgraphs=True)
    while state.tasks and hasattr(state.tasks[0].state, "tasks"):
        state = state.tasks[0].state
    return state


def by_hand(index, text):
    return {f"out_{index}": {"index": index, "worker": "p", "subtask": "s", "text": text, "status": "ok"}}


@pytest.mark.parametrize("where", [plain, subgraph, added])
def test_update_state_writes_the_output_of_a_step_that_waits(where, call):
    (a, p, c), planner, app = chained(where)
    call(app, ask())
    call.update(app, innermost(app).config, by_hand(1, "by hand"), as_node="step_1")
    done = call(app, None)
    assert done.answer == "c-0-2"
    assert read(c) == ["a-0-0", "by hand"]
    assert [len(a.tasks), len(p.tasks), len(planner.requests)] == [1, 1, 1]


@pytest.mark.parametrize("where", [plain, subgraph, added])
def test_update_state_changes_the_output_and_the_subtask_before_a_step_that_waits(where, call):
    (a, p, c), planner, app = chained(where)
    call(app, ask())
    inner = innermost(app)
    output = {**inner.values["out_0"], "text": "better"}
    spec = {**inner.values["spec_1"], "subtask": "another"}
    call.update(app, inner.config, {"out_0": output, "spec_1": spec}, as_node="step_0")
    assert [one.value for one in call(app, None).open] == ["another"]
    assert read(p) == ["better"]
    assert call(app, Command(resume="yes")).answer == "c-0-2"
    assert read(c) == ["better", "told yes"]
    assert [len(a.tasks), len(planner.requests)] == [1, 1]


@pytest.mark.parametrize("where", [plain, subgraph, added])
def test_update_state_replaces_the_workflow(where, call):
    (a, p, c), planner, app = chained(where)
    call(app, ask())
    state = app.get_state(thread(), subgraphs=True)
    while state.next != ("workflow",):
        state = state.tasks[0].state
    call.update(app, state.config, {"workflow": flow(("c", "alone", [])).to_json()}, as_node="plan")
    assert call(app, None).answer == "c-0-0"
    assert [len(a.tasks), len(p.tasks), len(c.tasks), len(planner.requests)] == [1, 1, 1, 1]


def test_update_state_beside_others_that_wait_says_what_it_did(call):
    waiting = [Worker("p", lambda task: interrupt(task.subtask))]
    both = flow(("p", "one", []), ("p", "two", []), ("p", "three", [0, 1]))
    app = plain(InMemorySaver(), ScriptedPlanner(both), waiting)
    call(app, ask())
    call.update(app, innermost(app).config, by_hand(1, "by hand"), as_node="step_1")
    with pytest.raises(PlanError, match=r"steps \[0, 2\] have not run.*langgraph_conductor.editing"):
        call(app, None)
