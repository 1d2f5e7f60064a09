"""A person is asked: whatever asks, wherever the conductor stands, blocking and awaited."""

import pytest
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt

from langgraph_conductor import Worker
from langgraph_conductor.editing import aedit_round, aopen_rounds
from tests.helpers import ScriptedPlanner, Tooled, ask, flow, thread
from tests.people import APPROVE, Paying, counted_once, editing, ids, paid, pool, rejecting, several
from tests.places import heard

TWO = flow(("a", "one", []), ("b", "two", [0]))


# --- approve -------------------------------------------------------------------------------------


def test_a_workflow_is_let_run(place, call):
    a, b, planner = Paying("a"), Paying("b"), ScriptedPlanner(TWO)
    app = place(InMemorySaver(), planner, pool(a, b), approve=True)
    paused = call(app, ask())
    (asked,) = paused.open
    assert asked.value["action_requests"][0]["args"]["workflow"] == TWO.to_json()
    assert paid(a, b) == 0
    assert not paused.of("step_started")
    done = call(app, Command(resume={asked.id: APPROVE}))
    assert (done.answer, done.open) == ("b-0-1", [])
    assert [len(a.tasks), len(b.tasks), len(planner.requests)] == [1, 1, 1]
    assert done.of("step_finished") == [0, 1]
    counted_once(done, a, b)


def test_a_workflow_is_edited(place, call):
    a, b, planner = Paying("a"), Paying("b"), ScriptedPlanner(TWO)
    app = place(InMemorySaver(), planner, pool(a, b), approve=True)
    call(app, ask())
    done = call(app, Command(resume=editing(flow(("a", "alone", [])).to_json())))
    assert done.answer == "a-0-0"
    assert [task.subtask for task in a.tasks] == ["alone"]
    assert [len(b.tasks), len(planner.requests)] == [0, 1]
    counted_once(done, a, b)


def test_a_workflow_is_rejected_and_the_next_one_let_run(place, call):
    a, b = Paying("a"), Paying("b")
    planner = ScriptedPlanner(flow(("b", "no", [])), flow(("a", "better", [])))
    app = place(InMemorySaver(), planner, pool(a, b), approve=True)
    call(app, ask())
    again = call(app, Command(resume=rejecting("not b")))
    assert [e["reason"] for e in again.events if e["type"] == "workflow_rejected"] == ["not b"]
    assert planner.requests[1].rejected[0][1] == "not b"
    done = call(app, Command(resume=APPROVE))
    assert done.answer == "a-0-0"
    assert [len(a.tasks), len(b.tasks), len(planner.requests)] == [1, 0, 2]
    counted_once(done, a, b)


def test_a_run_is_ended(place, call):
    a, b, planner = Paying("a"), Paying("b"), ScriptedPlanner(TWO)
    app = place(InMemorySaver(), planner, pool(a, b), approve=True)
    call(app, ask())
    done = call(app, Command(resume=False))
    assert [paid(a, b), len(planner.requests), done.open] == [0, 1, []]
    assert not done.of("step_started")
    assert next(e["stopped"] for e in done.events if e["type"] == "answer")


# --- a worker asks -------------------------------------------------------------------------------


def test_a_function_asks(place, call):
    a, b = Paying("a"), Paying("b", lambda task: f"told {interrupt('Which?')}")
    c, planner = Paying("c"), ScriptedPlanner(flow(("a", "x", []), ("b", "y", [0]), ("c", "z", [1])))
    app = place(InMemorySaver(), planner, pool(a, b, c))
    paused = call(app, ask())
    assert [one.value for one in paused.open] == ["Which?"]
    assert paused.of("step_finished") == [0]
    done = call(app, Command(resume="this"))
    assert done.answer == "c-0-2"
    assert [output.text for output in c.tasks[0].inputs] == ["told this"]
    assert [len(w.tasks) for w in (a, b, c)] == [1, 2, 1]  # the one that asked begins anew
    assert [len(planner.requests), paid(a, b, c)] == [1, 4]
    assert done.of("step_finished") == [1, 2]
    counted_once(done, a, b, c)


def agent_that_asks(name="b"):
    """A worker whose model calls a tool that asks a person; the model is paid."""

    def look(what: str) -> str:
        """Ask a person."""
        return f"told {interrupt(what)}"

    def reply(messages):
        if messages[-1].type == "tool":
            return messages[-1].text
        return AIMessage("", tool_calls=[{"name": "look", "args": {"what": "Which?"}, "id": "1"}])

    model = Tooled(replies=reply, max_tokens=10)
    return model, Worker(name, model, tools=[look])


def test_a_tool_of_an_agent_asks(place, call):
    a, c = Paying("a"), Paying("c")
    model, agent = agent_that_asks()
    planner = ScriptedPlanner(flow(("a", "x", []), ("b", "y", [0]), ("c", "z", [1])))
    app = place(InMemorySaver(), planner, [*pool(a), agent, *pool(c)])
    paused = call(app, ask())
    assert [one.value for one in paused.open] == ["Which?"]
    assert (paused.of("step_finished"), paused.of("tool_finished", "error")) == ([0], [])
    done = call(app, Command(resume="this"))
    assert done.answer == "c-0-2"
    assert [output.text for output in c.tasks[0].inputs] == ["told this"]
    assert len(model.calls) == 2  # the call before the tool is not made again
    assert [len(a.tasks), len(c.tasks), len(planner.requests)] == [1, 1, 1]
    assert done.of("tool_finished", "output") == ["told this"]
    assert done.usage["total"]["calls"] == len(model.calls) + paid(a, c)


# --- several at once -----------------------------------------------------------------------------


def all_well(done, workers, planner):
    a, _, q = workers
    assert done.answer == "a-0-4"
    assert {output.subtask: output.text for output in a.tasks[-1].inputs} == {
        "x": "a-0-0", "first": "told 1", "second": "told 2", "plain": "q-0-3",
    }  # fmt: skip
    assert [len(a.tasks), len(q.tasks), len(planner.requests)] == [2, 1, 1]
    counted_once(done, *workers)


def test_several_are_answered_at_once(place, call):
    workers, planner, app = several(place)
    paused = call(app, ask())
    assert set(ids(paused)) == {"first", "second"}
    assert sorted(paused.of("step_finished")) == [0, 3]
    done = call(app, Command(resume={ids(paused)["first"]: "1", ids(paused)["second"]: "2"}))
    all_well(done, workers, planner)
    assert len(workers[1].tasks) == 4
    assert sorted(done.of("step_finished")) == [1, 2, 4]


@pytest.mark.parametrize("order", [["first", "second"], ["second", "first"]])
def test_several_are_answered_one_by_one_in_any_order(order, place, call):
    workers, planner, app = several(place)
    answers = {"first": "1", "second": "2"}
    paused = call(app, ask())
    known = ids(paused)
    halfway = call(app, Command(resume={known[order[0]]: answers[order[0]]}))
    assert ids(halfway) == {order[1]: known[order[1]]}  # it keeps its id
    done = call(app, Command(resume={known[order[1]]: answers[order[1]]}))
    all_well(done, workers, planner)
    assert sorted(halfway.of("step_finished") + done.of("step_finished")) == [1, 2, 4]


async def test_over_several_processes_with_sqlite(place, tmp_path):
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    everybody = []

    async def fresh(then):
        """What a process does with a database that others wrote."""
        async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "db")) as saver:
            workers, planner, app = several(place, saver)
            everybody.extend(workers)
            return await then(app), workers, planner

    def running(given):
        options = {"stream_mode": ["custom", "values"], "subgraphs": True, "durability": "sync"}

        async def run(app):
            return heard([part async for part in app.astream(given, thread(), **options)])

        return run

    async def edited(app):
        found = (await aopen_rounds(app, thread(), conductor=getattr(app, "team", None)))[-1]
        await aedit_round(found, outputs={0: "better"})

    paused, _, _ = await fresh(running(ask()))
    known = ids(paused)
    halfway, _, _ = await fresh(running(Command(resume={known["second"]: "2"})))
    assert ids(halfway) == {"first": known["first"]}
    await fresh(edited)
    paused, (a, _, q), planner = await fresh(running(None))
    assert [len(a.tasks), len(q.tasks), planner.requests] == [0, 1, []]  # the edited output stands
    answers = {one.id: one.value for one in paused.open}
    done, (a, p, q), planner = await fresh(running(Command(resume=answers)))
    assert [output.text for output in a.tasks[0].inputs] == ["better", "told first", "told second", "q-0-3"]
    assert [len(a.tasks), len(p.tasks), len(q.tasks), planner.requests] == [1, 2, 0, []]
    counted_once(done, *everybody)


# --- an answer without an id ---------------------------------------------------------------------


def test_an_answer_is_taken_once_also_where_the_run_is_continued(place, call):
    """LangGraph alone hands it to the next question: it lies at the outermost checkpoint until that moves on."""
    a, b = Paying("a"), Paying("b", lambda task: interrupt(task.subtask))
    planner = ScriptedPlanner(flow(("a", "x", []), ("b", "one?", [0]), ("b", "two?", [1])))
    app = place(InMemorySaver(), planner, pool(a, b), approve=True)
    call(app, ask())
    paused = call(app, Command(resume=APPROVE))
    assert [one.value for one in paused.open] == ["one?"]
    assert [one.value for one in call(app, None).open] == ["one?"]
    assert [one.value for one in call(app, Command(resume="1")).open] == ["two?"]
    assert [one.value for one in call(app, None).open] == ["two?"]
    assert call(app, Command(resume="2")).answer == "2"
    assert [output.text for output in b.tasks[-1].inputs] == ["1"]


def test_one_who_asks_twice_is_not_given_the_first_answer_twice(place, call):
    b = Paying("b", lambda task: f"{interrupt('one?')} {interrupt('two?')}")
    app = place(InMemorySaver(), ScriptedPlanner(flow(("b", "x", []))), pool(b))
    call(app, ask())
    assert [one.value for one in call(app, Command(resume="1")).open] == ["two?"]
    assert [one.value for one in call(app, None).open] == ["two?"]
    assert call(app, Command(resume="2")).answer == "1 2"


# --- what cannot be used -------------------------------------------------------------------------


def test_without_a_checkpointer_approval_is_refused_before_anything_is_planned(place, call):
    a, planner = Paying("a"), ScriptedPlanner(TWO)
    app = place(None, planner, pool(a, Paying("b")), approve=lambda workflow: False)
    with pytest.raises(Exception, match="give the graph that is called, the outermost one, a checkpointer"):
        call(app, ask(), durability=None)
    assert [planner.requests, a.tasks] == [[], []]


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (editing(flow(("zoe", "x", [])).to_json()), "zoe"),
        (editing({"steps": [{"worker": "a"}]}), "needs exactly the keys"),
        ({"type": "perhaps"}, "answer with"),
        ("{", "answer with"),
    ],
)
def test_an_answer_that_cannot_be_used_is_asked_for_again(answer, wrong, place, call):
    a, b, planner = Paying("a"), Paying("b"), ScriptedPlanner(TWO)
    app = place(InMemorySaver(), planner, pool(a, b), approve=True)
    call(app, ask())
    (again,) = call(app, Command(resume=answer)).open
    assert wrong in again.value["action_requests"][0]["description"]
    assert again.value["action_requests"][0]["args"]["workflow"] == TWO.to_json()  # nothing is lost
    assert [paid(a, b), len(planner.requests)] == [0, 1]
    done = call(app, Command(resume={again.id: APPROVE}))
    assert done.answer == "b-0-1"
    assert next(e for e in done.events if e["type"] == "answer")["rounds"] == 1
    counted_once(done, a, b)


def test_an_id_that_nobody_asked_under_answers_nothing(place, call):
    workers, planner, app = several(place)
    known = ids(call(app, ask()))
    again = call(app, Command(resume={"0" * 32: "x", known["first"]: "1"}))
    assert ids(again) == {"second": known["second"]}
    again = call(app, Command(resume={known["first"]: "another"}))  # it was answered already
    assert ids(again) == {"second": known["second"]}
    all_well(call(app, Command(resume={known["second"]: "2"})), workers, planner)


def test_one_answer_for_several_questions_is_refused(place, call):
    workers, planner, app = several(place)
    known = ids(call(app, ask()))
    with pytest.raises(RuntimeError, match="you must specify the interrupt id"):
        call(app, Command(resume="yes"))
    all_well(call(app, Command(resume={known["first"]: "1", known["second"]: "2"})), workers, planner)
