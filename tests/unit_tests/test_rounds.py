"""Rounds, their records and events: history, fallbacks, usage, time."""

import time

import pytest
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt

from langgraph_conductor import Plan, Usage, Worker, create_conductor
from langgraph_conductor.graph.clock import wall_seconds
from langgraph_conductor.graph.workflow_node import previous_outputs
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import ScriptedModel, plan_text
from tests.helpers import Recorder, ScriptedPlanner, Tooled, ask, flow, thread
from tests.unit_tests.test_conductor import AGAIN, FIRST, conductor_of, two_workers


def test_the_third_round_reads_the_second_and_names_it(run):
    a, b = two_workers()
    planner = ScriptedPlanner(FIRST, AGAIN, AGAIN)
    result = run(conductor_of(planner, a, b, max_rounds=3), ask())
    third = next(t for t in a.tasks if t.round == 2)
    assert [o.text for o in third.previous] == ["a-1-0", "b-1-1", "b-1-2"]
    steps = result["rounds"][2]["steps"]
    assert steps[0]["granted"] == [[1, 0], [1, 1], [1, 2]]
    assert steps[2]["granted"] == [[2, 0], [2, 1]]
    assert [r["round"] for r in result["rounds"]] == [0, 1, 2]
    about = result["messages"][-1].response_metadata["conductor"]
    assert (about["rounds"], about["steps"], about["usage"]) == (3, 8, result["usage"])


def test_history_is_the_round_whose_answer_the_planner_sees():
    failed = {"index": 0, "worker": "a", "subtask": "x", "text": "", "status": "failed"}
    ran = {"round": 0, "answer": "y", "steps": [failed, failed | {"index": 1, "text": "y", "status": "ok"}]}
    later = [{"round": 1, "answer": "", "steps": [failed]}, {"round": 2, "answer": "", "steps": []}]
    history = previous_outputs([ran, *later])
    assert history["round"] == 0
    assert [o["status"] for o in history["outputs"]] == ["failed", "ok"]
    assert previous_outputs(later) is None


def test_usage_adds_up_over_rounds(run):
    planner = ScriptedPlanner(FIRST, FIRST)
    workers = [Worker("a", ScriptedModel()), Worker("b", ScriptedModel())]
    result = run(create_conductor(planner, workers, max_rounds=2), ask())
    assert result["usage"]["workers"]["calls"] == result["usage"]["total"]["calls"] == 4
    assert result["messages"][-1].response_metadata["conductor"]["usage"] == result["usage"]


def test_a_planner_that_asks_no_langchain_model_reports_its_own_usage(run):
    planner = ScriptedPlanner(Plan(FIRST, usage=Usage(calls=3, input_tokens=7)))
    result = run(conductor_of(planner, *two_workers()), ask())
    assert (result["usage"]["planner"]["calls"], result["usage"]["planner"]["input_tokens"]) == (3, 7)


def test_seconds_are_recorded_of_planner_steps_and_run(run):
    planner = ScriptedModel(
        replies=[plan_text(("a", "x", []), ("b", "y", []), ("a", "z", [0]))], latency=0.05
    )
    workers = [Worker("a", ScriptedModel(latency=0.1)), Worker("b", ScriptedModel())]
    result = run(create_conductor(planner, workers), ask())
    (record,) = result["rounds"]
    assert record["plan"]["seconds"] >= 0.05
    assert record["plan"]["usage"]["busy_seconds"] == pytest.approx(record["plan"]["seconds"], abs=1e-5)
    first, _, last = record["steps"]
    assert first["seconds"] >= 0.1
    assert first["started_at"] + 0.1 <= last["started_at"] + 0.02  # the start and not the end
    assert 0.2 <= record["wall_seconds"] < 5
    assert record["wall_seconds"] == pytest.approx(
        last["started_at"] + last["seconds"] - min(s["started_at"] for s in record["steps"])
    )
    assert result["usage"]["wall_seconds"] == pytest.approx(
        record["wall_seconds"] + record["plan"]["seconds"]
    )


def test_wall_seconds_reach_from_the_first_start_to_the_last_end():
    from langgraph_conductor.graph.workflow_node import _round_record

    times = [(100.0, 9.0), (101.0, 2.0)]
    result = {}
    for i, (begin, seconds) in enumerate(times):
        result |= {f"record_{i}": {"started_at": begin, "seconds": seconds}, f"out_{i}": {"text": "x"}}
    state = {"workflow": {"steps": [{}, {}]}, "plan": {}}
    assert _round_record(state, result)["wall_seconds"] == 9.0


def test_an_interrupt_of_the_planner_passes(run):
    class Asking:
        def plan(self, asked):
            return Plan(FIRST if interrupt("plan?") == "yes" else None)

        async def aplan(self, asked):
            return self.plan(asked)

    a, b = two_workers()
    conductor = conductor_of(Asking(), a, b, checkpointer=InMemorySaver())
    assert run(conductor, ask(), thread())["__interrupt__"][0].value == "plan?"
    assert a.tasks == []
    result = run(conductor, Command(resume="yes"), thread())
    assert result["rounds"][0]["plan"]["reached"] == "fixed"


def test_a_paused_second_turn_shows_nothing_of_the_first(run):
    asked = []

    def person(task):
        asked.append(task)
        return "one" if len(asked) == 1 else interrupt("?")

    conductor = create_conductor(fixed.single("p"), [Worker("p", person)], checkpointer=InMemorySaver())
    run(conductor, ask("one"), thread())
    run(conductor, ask("two"), thread())
    values = conductor.get_state(thread()).values
    assert (values["answer"], values["usage"], values["rounds"]) == ("", {}, [])


def test_planning_may_recover_after_a_fallback(run):
    planner = ScriptedPlanner(ValueError("x"), FIRST)
    result = run(conductor_of(planner, *two_workers(), max_rounds=2), ask())
    assert [r["plan"]["reached"] for r in result["rounds"]] == ["fallback", "fixed"]


def test_a_failed_plan_keeps_what_the_planner_said(run):
    model = ScriptedModel(replies=[plan_text(("a", "x", [])), "no\0 plan \ud800"])
    result = run(create_conductor(model, [Worker("a", Recorder("a"))], max_rounds=2), ask())
    plan = result["rounds"][1]["plan"]
    assert plan["text"] == "no\ufffd plan \ufffd"
    assert [a["text"] for a in plan["attempts"]] == [plan["text"]] * 3
    assert result["rounds"][1]["round"] == 1
    first = run(create_conductor(ScriptedModel(replies=["no plan"]), [Worker("a", Recorder("a"))]), ask())
    assert first["rounds"][0]["plan"]["text"] == "no plan"


def test_events_carry_what_they_name():
    planner = ScriptedPlanner(FIRST, FIRST, ValueError("x"))
    workers = [Worker("a", ScriptedModel(replies=["said"])), Worker("b", Recorder("b", ValueError("no")))]
    conductor = create_conductor(planner, workers, max_rounds=3)
    events = [e for _, e in conductor.stream(ask(), stream_mode="custom", subgraphs=True)]
    planned, started, finished, _, failed, ended = events[8:14]
    assert [e["round"] for e in (planned, started, finished, failed, ended)] == [1] * 5
    assert (started["subtask"], started["worker"], started["step"]) == ("first subtask", "a", 0)
    assert (finished["text"], finished["status"], finished["usage"]["calls"]) == ("said", "ok", 1)
    assert finished["seconds"] > 0
    assert failed["status"] == "failed"
    (last,) = [e for e in events if e["type"] == "workflow_planned" and e["round"] == 2]
    assert (planned["reached"], last["reached"], last["workflow"]) == ("fixed", "fallback", None)


@pytest.mark.parametrize("step", [-7200.0, 7200.0])
def test_a_clock_that_is_set_while_a_round_runs_changes_no_duration(run, monkeypatch, step):
    """The clock is set by the first step, while a tool runs in it and before the second one begins."""
    now = time.time
    shift = []
    monkeypatch.setattr(time, "time", lambda: now() + sum(shift))

    @tool
    def look(x: str) -> str:
        """Look up."""
        shift.append(step)
        return x

    call = AIMessage("", tool_calls=[{"name": "look", "args": {"x": "y"}, "id": "c"}])
    workers = [Worker("a", Tooled(replies=[call, "done"]), tools=[look]), Worker("b", lambda task: "b")]
    planner = ScriptedPlanner(flow(("a", "x", []), ("b", "y", [0]), ("b", "z", [1])))
    result = run(create_conductor(planner, workers), ask())
    assert shift == [step]
    (record,) = result["rounds"]
    seconds = [s["seconds"] for s in record["steps"]]
    (called,) = record["steps"][0]["tool_calls"]
    parts = [record["plan"], *record["steps"], *record["steps"][0]["model_calls"], called]
    assert all(0 <= part["seconds"] < 600 for part in parts)
    assert sum(seconds) - 0.01 <= record["wall_seconds"] < sum(seconds) + 600
    assert 0 <= result["usage"]["wall_seconds"] < 1200


def timed(*steps):
    return [
        {"index": i, "started_at": begin, "seconds": seconds, "granted": [[0, j] for j in reads]}
        for i, (begin, seconds, reads) in enumerate(steps)
    ]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([(100.0, 2.0, []), (100.0, 3.0, []), (103.5, 1.0, [0, 1])], 4.5),  # as the clock says
        ([(100.0, 2.0, []), (102.25, 3.0, [])], 5.25),  # one waited for the other, though it reads nothing
        ([(9000.0, 2.0, []), (1802.0, 3.0, [0])], 5.0),  # set back by 2 h
        ([(100.0, 2.0, []), (7302.0, 3.0, [0])], 5.0),  # set forward, or paused in between
        ([(100.0, 2.0, []), (100.5, 3.0, [0])], 5.0),  # set back a little
        ([(9000.0, 2.0, []), (1800.0, 3.0, [])], 3.0),
        ([], 0.0),
    ],
)
def test_wall_seconds_are_those_of_the_clock_as_far_as_it_can_be_believed(steps, expected):
    assert wall_seconds(timed(*steps), 0) == pytest.approx(expected)


def test_wall_seconds_of_a_later_round_do_not_take_earlier_steps_for_its_own():
    steps = timed((100.0, 2.0, []), (50.0, 3.0, [0]))
    assert wall_seconds(steps, 1) == pytest.approx(3.0)
