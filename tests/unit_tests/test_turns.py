"""One step at a time: roles, what a turn is shown, and how a run ends."""

import json

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from langgraph_conductor import (
    Plan,
    PlanError,
    PlanRequest,
    Step,
    Worker,
    WorkerPool,
    Workflow,
    create_conductor,
)
from langgraph_conductor.planners.turns import _ROLES, TurnsPlanner
from langgraph_conductor.testing import ScriptedModel
from tests.helpers import Recorder, ScriptedPlanner, ask, question, thread
from tests.people import APPROVE
from tests.unit_tests.test_planners import SchemaModel


def turn(worker, role, subtask="Do it.", reads=()):
    return json.dumps(
        {"reasoning": "r", "worker": worker, "role": role, "subtask": subtask, "reads": list(reads)}
    )


def team(*turns, verdicts=("Fine.\nACCEPTED",), **options):
    said = iter(verdicts)
    workers = {"a": Recorder("a"), "b": Recorder("b"), "judge": Recorder("judge", lambda _: next(said))}
    model = ScriptedModel(replies=list(turns))
    pool = [Worker(name, recorder) for name, recorder in workers.items()]
    return model, workers, create_conductor(TurnsPlanner(model), pool, **{"max_rounds": 9} | options)


def test_think_work_verify(run):
    model, workers, conductor = team(
        turn("a", "think"), turn("b", "work", reads=[0]), turn("judge", "verify", reads=[1])
    )
    result = run(conductor, ask())
    assert result["answer"] == "b-1-0"
    assert [r.get("is_answer", True) for r in result["rounds"]] == [False, True, False, True]
    assert [r["accepted"] for r in result["rounds"]] == [False, False, False, True]
    assert len(model.prompts) == 3  # the end takes no call
    (thought,), (worked,), (judged,) = (workers[name].tasks for name in ("a", "b", "judge"))
    assert [thought.is_final, worked.is_final, judged.is_final] == [False, True, False]
    assert [(o.round, o.text) for o in worked.previous] == [(0, "a-0-0")]
    assert [(o.round, o.text) for o in judged.previous] == [(1, "b-1-0")]
    assert thought.previous == ()
    assert "a-0-0" not in judged.messages[0].text  # it was not granted that turn
    assert [s["granted"] for r in result["rounds"] for s in r["steps"]] == [[], [[0, 0]], [[1, 0]]]


def test_the_coordinator_reads_what_came_back():
    model, _, conductor = team(turn("a", "work"), turn("judge", "verify"))
    conductor.invoke(ask("How many?"))
    assert "How many?" in model.prompts[0]
    assert "a-0-0" not in model.prompts[0]
    assert "a-0-0" in model.prompts[1]
    assert "At most 9 turns are left" in model.prompts[0]
    assert "At most 8 turns are left" in model.prompts[1]


def test_a_verifier_that_rejects_goes_on():
    _, _, conductor = team(
        turn("a", "work"), turn("judge", "verify", reads=[0]), turn("b", "work", reads=[0, 1]),
        turn("judge", "verify", reads=[2]),
        verdicts=["It might be ACCEPTED, but no.\nREJECTED: too short", "ACCEPTED"],
    )  # fmt: skip
    result = conductor.invoke(ask())
    assert result["answer"] == "b-2-0"
    assert len(result["rounds"]) == 5


def test_the_last_turn_ends_the_run_with_the_newest_work():
    _, _, conductor = team(turn("a", "work"), turn("b", "think"), max_rounds=2)
    assert conductor.invoke(ask())["answer"] == "a-0-0"
    _, _, conductor = team(turn("b", "think"), max_rounds=1)  # better than nothing
    assert conductor.invoke(ask())["answer"] == "b-0-0"


@pytest.mark.parametrize(
    ("reply", "wrong"),
    [
        ("no object", "no JSON object"),
        (turn("zoe", "work"), "there is no worker 'zoe'"),
        (turn("a", "sing"), "must be think, work or verify"),
        (turn("judge", "verify"), "no work yet"),
        (turn("a", "work", reads=[3]), "there is no turn 3 to read; there are: none yet"),
        (turn("a", "work", " "), "the subtask is empty"),
        (turn("a", "work").replace("[]", '"all"'), "reads must be a list"),
    ],
)
def test_what_cannot_be_used_is_asked_for_again(reply, wrong):
    model, _, conductor = team(reply, turn("a", "work"), max_rounds=1)
    assert conductor.invoke(ask())["answer"] == "a-0-0"
    assert wrong in model.prompts[1]


def test_it_can_be_bound_to_a_schema():
    planner = TurnsPlanner(SchemaModel(replies=[turn("a", "work")]))
    plan = planner.plan(PlanRequest(question(), WorkerPool([Worker("a", Recorder("a"))])))
    assert plan.reached == "schema"
    assert plan.workflow.steps[0].worker == "a"
    assert planner.model.schemas[-1]["properties"]["worker"]["enum"] == ["a"]


# ------------------------------------------------------------------ chosen earlier outputs


def test_a_step_reads_the_chosen_outputs_of_earlier_rounds_and_no_others(run):
    a, b = Recorder("a"), Recorder("b")
    two = Workflow((Step("a", "x"), Step("b", "y", (0,))))
    last = Workflow((Step("a", "z", (), ((0, 1), (1, 0))),))
    planner = ScriptedPlanner(two, two, Plan(last))
    conductor = create_conductor(planner, [Worker("a", a), Worker("b", b)], max_rounds=3)
    result = run(conductor, ask())
    task = a.tasks[-1]
    assert [(o.round, o.index, o.text) for o in task.previous] == [(0, 1, "b-0-1"), (1, 0, "a-1-0")]
    assert "a-0-0" not in task.messages[0].text
    assert 'round="0" step="1" worker="b"' in task.messages[0].text
    assert result["rounds"][2]["steps"][0]["granted"] == [[0, 1], [1, 0]]
    assert Workflow.from_json(json.loads(json.dumps(result["rounds"][2]["workflow"]))) == last


def test_outputs_that_are_not_there_are_refused_before_anybody_is_called():
    a = Recorder("a")
    conductor = create_conductor(
        ScriptedPlanner(Workflow((Step("a", "z", (), ((0, 0),)),))), [Worker("a", a)]
    )
    result = conductor.invoke(ask())
    assert "no step 0 in a round 0 before this one" in result["rounds"][0]["plan"]["error"]["message"]
    for wrong in ([0], [(0, -1)], [(0, "x")], "all"):
        with pytest.raises(PlanError, match="earlier must"):
            Step("a", "z", (), wrong)


@pytest.mark.parametrize(
    ("role", "becomes", "answer"), [("think", "work", "a-0-0"), ("work", "think", "b-1-0")]
)
def test_the_role_of_a_turn_is_that_of_what_ran(role, becomes, answer, run):
    _, _, conductor = team(
        turn("a", role), turn("b", "work" if becomes == "think" else "think"), approve=True,
        checkpointer=InMemorySaver(), max_rounds=2,
    )  # fmt: skip
    run(conductor, ask(), thread())
    edited = Workflow((Step("a", f"{_ROLES[becomes]} it all."),))
    run(conductor, Command(resume=edited), thread())
    assert run(conductor, Command(resume=APPROVE), thread())["answer"] == answer


def test_work_that_failed_cannot_be_accepted(run):
    model, workers, conductor = team(
        turn("a", "work"), turn("judge", "verify"), turn("b", "work"), max_rounds=2
    )
    workers["a"].reply = PermissionError("no")
    assert run(conductor, ask())["answer"] == "b-1-0"
    assert "no work yet that could be verified" in model.prompts[-1]
