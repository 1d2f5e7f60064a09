"""A person lets a workflow run, edits it, has another one planned, or ends the run."""

import json

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphDrained
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt.interrupt import HumanInterrupt
from langgraph.runtime import RunControl
from langgraph.types import Command
from pydantic import TypeAdapter

from langgraph_conductor import Budget, Step, Usage, Worker, Workflow, add_conductor, create_conductor
from langgraph_conductor.editing import edit_round, open_rounds
from langgraph_conductor.graph.approval import MOST_REJECTIONS, said_in
from langgraph_conductor.testing import ScriptedModel, plan_text
from tests.helpers import Recorder, ScriptedPlanner, ask, flow, thread

ONE = flow(("a", "one", []))
TWO = flow(("a", "one", []), ("b", "two", [0]))


def conductor_of(planner, *recorders, **options):
    workers = [Worker(recorder.name, recorder) for recorder in recorders]
    return create_conductor(
        planner, workers, **{"approve": True, "checkpointer": InMemorySaver()} | options
    )


def asked(result):
    (pause,) = result["__interrupt__"]
    (request,) = pause.value
    return request


def test_nothing_runs_before_a_person_lets_it(run):
    a, b = Recorder("a"), Recorder("b")
    planner = ScriptedPlanner(TWO)
    conductor = conductor_of(planner, a, b)
    request = asked(run(conductor, ask("Why?"), thread()))
    assert not a.tasks
    TypeAdapter(HumanInterrupt).validate_python(request)
    assert request["action_request"] == {
        "action": "run_workflow",
        "args": {"workflow": TWO.to_json(), "round": 0},
    }
    assert all(request["config"].values())
    for part in ("Why?", "0. a: one", "1. b: two"):
        assert part in request["description"]
    result = run(conductor, Command(resume=[{"type": "accept", "args": None}]), thread())
    assert result["answer"] == "b-0-1"
    assert result["rounds"][0]["plan"]["approval"] == {"said": "accept"}
    assert len(planner.requests) == 1


@pytest.mark.parametrize(
    "edit",
    [
        {
            "type": "edit",
            "args": {"action": "run_workflow", "args": {"workflow": ONE.to_json(), "round": 0}},
        },
        {"type": "edit", "args": {"workflow": json.dumps(ONE.to_json())}},
        {"type": "edit", "args": ONE.to_json()},
        ONE.to_json(),
        ONE,
    ],
)
def test_an_edited_workflow_runs_in_its_place(edit):
    a, b = Recorder("a"), Recorder("b")
    conductor = conductor_of(ScriptedPlanner(TWO), a, b)
    conductor.invoke(ask(), thread())
    result = conductor.invoke(Command(resume=edit), thread())
    assert (result["answer"], b.tasks) == ("a-0-0", [])
    (record,) = result["rounds"]
    assert record["workflow"] == ONE.to_json()
    assert record["plan"]["approval"] == {"said": "edit", "planned": TWO.to_json()}


def test_another_one_is_planned_and_the_planner_is_told_why(run):
    model = ScriptedModel(replies=[plan_text(("a", "one", [])), plan_text(("b", "two", []))])
    conductor = conductor_of(model, Recorder("a"), Recorder("b"))
    run(conductor, ask(), thread())
    request = asked(run(conductor, Command(resume=[{"type": "response", "args": "let b do it"}]), thread()))
    assert request["action_request"]["args"]["workflow"]["steps"][0]["worker"] == "b"
    assert "let b do it" in model.prompts[1]
    assert '"one"' in model.calls[1][-2].text  # it sees its own first plan
    result = run(conductor, Command(resume={"type": "accept"}), thread())
    plan = result["rounds"][0]["plan"]
    assert plan["rejected"] == [{"workflow": flow(("a", "one", [])).to_json(), "reason": "let b do it"}]
    assert [len(plan["model_calls"]), len(plan["attempts"])] == [2, 2]
    assert Usage.from_json(result["usage"]["planner"]).calls == 2
    assert result["answer"] == "b-0-0"


def test_a_run_can_be_ended_and_keeps_an_earlier_answer(run):
    a = Recorder("a")
    conductor = conductor_of(ScriptedPlanner(ONE), a)
    run(conductor, ask(), thread())
    result = run(conductor, Command(resume=[{"type": "ignore", "args": None}]), thread())
    assert (result["answer"], a.tasks) == ("", [])
    assert "ended by a person" in result["stopped"]
    assert result["messages"][-1].text == result["stopped"]
    later = conductor_of(ScriptedPlanner(ONE, TWO), a, Recorder("b"), max_rounds=3)
    run(later, ask(), thread("later"))
    run(later, Command(resume=True), thread("later"))
    result = run(later, Command(resume=False), thread("later"))
    assert result["answer"] == result["messages"][-1].text == "a-0-0"
    assert [len(r["steps"]) for r in result["rounds"]] == [1, 0]


def test_rejections_end(run):
    planner = ScriptedPlanner(ONE)
    conductor = conductor_of(planner, Recorder("a"))
    run(conductor, ask(), thread())
    for _ in range(MOST_REJECTIONS):
        assert "__interrupt__" in run(
            conductor, Command(resume={"type": "response", "args": "no"}), thread()
        )
    result = run(conductor, Command(resume={"type": "response", "args": "no"}), thread())
    assert result["stopped"]
    assert len(planner.requests) == MOST_REJECTIONS + 1
    assert [reason for _, reason in planner.requests[-1].rejected] == ["no"] * MOST_REJECTIONS


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (
            {
                "type": "edit",
                "args": {"workflow": {"steps": [{"worker": "zoe", "subtask": "x", "access": []}]}},
            },
            "zoe",
        ),
        ({"type": "edit", "args": {"workflow": {"steps": []}}}, "at least one step"),
        ({"type": "edit", "args": {"workflow": "{"}}, "no JSON"),
        ({"type": "edit", "args": None}, "an edit gives"),
        ({"type": "edit", "args": "[" * 100_000}, "no JSON"),
        (Workflow((Step("a", "x", earlier=((5, 0),)),)), "no step 0 in a round 5"),
        ({"type": "response", "args": " "}, "what is to be planned otherwise"),
        ({"type": "perhaps"}, "answer with"),
        (7, "answer with"),
        ([], "answer with"),
    ],
)
def test_an_answer_that_cannot_be_used_is_asked_for_again(answer, wrong):
    a = Recorder("a")
    conductor = conductor_of(ScriptedPlanner(ONE), a)
    conductor.invoke(ask(), thread())
    request = asked(conductor.invoke(Command(resume=answer), thread()))
    assert wrong in request["description"]
    assert not a.tasks
    assert conductor.invoke(Command(resume="accept"), thread())["answer"] == "a-0-0"


def test_only_some_workflows_are_asked_about():
    seen = []
    conductor = conductor_of(
        ScriptedPlanner(ONE, TWO),
        Recorder("a"),
        Recorder("b"),
        approve=lambda w: bool(seen.append(w)) or len(w.steps) > 1,
    )
    assert conductor.invoke(ask(), thread("one"))["answer"] == "a-0-0"
    assert "__interrupt__" in conductor.invoke(ask(), thread("two"))
    assert seen == [ONE, TWO]


def test_what_was_said_of_a_workflow_once_is_not_asked_again(run):
    calls, a = [], Recorder("a")
    conductor = conductor_of(
        ScriptedPlanner(ONE), a, approve=lambda _: bool(calls.append(1)) or len(calls) == 1
    )
    asked(run(conductor, ask(), thread()))
    assert "ended by a person" in run(conductor, Command(resume={"type": "ignore"}), thread())["stopped"]
    assert [len(calls), a.tasks] == [1, []]


def test_where_the_rule_fails_a_person_is_asked_and_the_plan_is_kept(run, caplog):
    a, planner = Recorder("a"), ScriptedPlanner(ONE)
    conductor = conductor_of(planner, a, approve=lambda workflow: workflow.price > 1)
    asked(run(conductor, ask(), thread()))
    assert "`approve` failed" in caplog.text
    assert run(conductor, Command(resume=True), thread())["answer"] == "a-0-0"
    assert len(planner.requests) == 1


@pytest.mark.parametrize("asks", [True, False])
def test_a_run_that_was_left_before_it_asked_is_asked_about(asks):
    control, saver, a = RunControl(), InMemorySaver(), Recorder("a")

    class Draining(ScriptedPlanner):
        def plan(self, request):
            control.request_drain()
            return super().plan(request)

    planner = Draining(ONE)
    with pytest.raises(GraphDrained):
        conductor_of(planner, a, checkpointer=saver).invoke(ask(), thread(), control=control)
    goes_on = conductor_of(planner, a, checkpointer=saver, approve=asks)
    assert asked(goes_on.invoke(None, thread()))["action_request"]["action"] == "run_workflow"
    assert goes_on.invoke(Command(resume=True), thread())["answer"] == "a-0-0"
    assert len(planner.requests) == 1


@pytest.mark.parametrize(
    ("answer", "then"),
    [
        ({"type": "response", "args": "another"}, flow(("b", "other", []))),
        ({"type": "edit", "args": {"workflow": flow(("b", "other", [])).to_json()}}, ONE),
    ],
)
def test_what_a_person_wrote_for_one_workflow_does_not_go_into_another(answer, then, run):
    a, b = Recorder("a"), Recorder("b")
    conductor = conductor_of(ScriptedPlanner(TWO, then), a, b)
    run(conductor, ask(), thread())
    edit_round(*open_rounds(conductor, thread()), outputs={0: "by hand"})
    run(conductor, None, thread())
    result = run(conductor, Command(resume=answer), thread())
    result = run(conductor, Command(resume="accept"), thread()) if "__interrupt__" in result else result
    (step,) = result["rounds"][0]["steps"]
    assert (result["answer"], step["worker"], len(b.tasks)) == ("b-0-0", "b", 1)


def test_what_a_person_wrote_stays_where_the_edited_workflow_has_the_step(run):
    a, b = Recorder("a"), Recorder("b")
    conductor = conductor_of(ScriptedPlanner(TWO), a, b)
    run(conductor, ask(), thread())
    edit_round(*open_rounds(conductor, thread()), outputs={0: "by hand"})
    run(conductor, None, thread())
    edited = flow(("a", "one", []), ("b", "otherwise", [0]))
    result = run(conductor, Command(resume=edited), thread())
    assert [step["text"] for step in result["rounds"][0]["steps"]] == ["by hand", "b-0-1"]
    assert [a.tasks, b.tasks[0].inputs[0].text] == [[], "by hand"]


def test_in_a_graph_it_was_added_to(run):
    builder = StateGraph(MessagesState)
    add_conductor(builder, ScriptedPlanner(ONE), [Worker("a", Recorder("a"))], approve=True)
    builder.add_edge(START, "conductor")
    app = builder.compile(checkpointer=InMemorySaver())
    assert asked(run(app, ask(), thread()))["action_request"]["action"] == "run_workflow"
    assert run(app, Command(resume=[{"type": "accept"}]), thread())["messages"][-1].text == "a-0-0"


def test_events_tell_of_rejections():
    conductor = conductor_of(ScriptedPlanner(ONE), Recorder("a"))
    conductor.invoke(ask(), thread())
    told = list(
        conductor.stream(Command(resume={"type": "response", "args": "no"}), thread(), stream_mode="custom")
    )
    assert [e["type"] for e in told] == ["workflow_rejected", "planning_started", "workflow_planned"]
    assert (told[0]["reason"], told[0]["again"]) == ("no", True)


def test_planning_that_was_rejected_counts_against_the_budget():
    model = ScriptedModel(replies=[plan_text(("a", "one", []))])
    conductor = conductor_of(model, Recorder("a"), budget=Budget(calls=1))
    conductor.invoke(ask(), thread())
    result = conductor.invoke(Command(resume={"type": "response", "args": "no"}), thread())
    # No second call is let through, so the fallback is offered to the person.
    assert asked(result)["action_request"]["args"]["workflow"]["steps"][0]["subtask"] != "one"
    assert len(model.prompts) == 1


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="approve must be True, False or a function"):
        conductor_of(ScriptedPlanner(ONE), Recorder("a"), approve="yes")
    with pytest.raises(ValueError, match="answer with"):
        said_in(None)
