import asyncio
import json
import logging
from dataclasses import dataclass
from typing import TypedDict

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.runtime import get_runtime
from langgraph.store.memory import InMemoryStore

from langgraph_conductor import (
    ACCEPT,
    Plan,
    PlanError,
    Usage,
    Worker,
    WorkerError,
    WorkerPool,
    add_conductor,
    create_conductor,
)
from langgraph_conductor.events import EVENT_VERSION
from langgraph_conductor.graph.compiler import WorkflowGraphs
from langgraph_conductor.graph.ledgers import Ledgers
from langgraph_conductor.graph.round import build_round
from langgraph_conductor.graph.run_context import RunContext, handed_down
from langgraph_conductor.graph.workflow_node import WorkflowNode
from langgraph_conductor.options import Options
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import ACCEPT_TEXT, ScriptedModel, plan_text, read_worker_prompt
from tests.helpers import Recorder, ScriptedPlanner, ask, flow, request, thread
from tests.unit_tests.test_planners import POOL, an_earlier_round


def two_workers():
    return Recorder("a"), Recorder("b")


def conductor_of(planner, *recorders, **options):
    workers = [Worker(recorder.name, recorder) for recorder in recorders]
    return create_conductor(planner, workers, **options)


FIRST = flow(("a", "first subtask", []), ("b", "second subtask", [0]))
AGAIN = flow(("a", "new subtask", "all"), ("b", "blind subtask", []), ("b", "final subtask", [0, 1]))


def test_a_planned_team_answers(run):
    planner = ScriptedModel(replies=[plan_text(("coder", "Write it.", []), ("critic", "Judge it.", "all"))])
    coder, critic = ScriptedModel(replies=["print(1)"]), ScriptedModel(replies=["It prints 1."])
    conductor = create_conductor(planner, [Worker("coder", coder), Worker("critic", critic)])
    result = run(conductor, ask("What does it print?"))
    assert result["answer"] == "It prints 1."
    message = result["messages"][-1]
    assert len(result["messages"]) == 2
    assert (type(message), message.text, message.name) == (AIMessage, "It prints 1.", "conductor")
    (record,) = result["rounds"]
    assert record["plan"]["reached"] == "unaided"
    assert [s["worker"] for s in record["steps"]] == ["coder", "critic"]
    assert record["steps"][1]["granted"] == [[0, 0]]
    assert record["steps"][0]["text"] == "print(1)"
    assert read_worker_prompt(critic.prompts[0]).inputs[0].text == "print(1)"
    assert "final answer" in critic.prompts[0]
    assert "final answer" not in coder.prompts[0]
    usage = result["usage"]
    assert Usage.from_json(usage["planner"]).calls == 1
    assert Usage.from_json(usage["workers"]).calls == 2
    both = Usage.from_json(usage["planner"]) + Usage.from_json(usage["workers"])
    assert Usage.from_json(usage["total"]).total_tokens == both.total_tokens > 0
    assert message.response_metadata["conductor"]["steps"] == 2


def test_everything_in_our_channels_is_json(run):
    saver = InMemorySaver()
    conductor = conductor_of(
        ScriptedPlanner(FIRST, AGAIN), *two_workers(), max_rounds=2, checkpointer=saver
    )
    run(conductor, ask(), thread())
    checked = 0
    for saved in saver.list(None):
        for channel, value in saved.checkpoint["channel_values"].items():
            ours = channel not in ("messages", "__start__") and not channel.startswith(("join:", "branch:"))
            if ours:
                assert json.loads(json.dumps(value)) == value
                checked += 1
    assert checked > 20


# ------------------------------------------------------------------ rounds


def test_a_later_round_grants_history_only_to_all_and_gives_the_new_subtask(run):
    a, b = two_workers()
    planner = ScriptedPlanner(FIRST, AGAIN)
    result = run(conductor_of(planner, a, b, max_rounds=2), ask())
    by_subtask = {task.subtask: task for task in a.tasks + b.tasks}
    granted, blind, final = (by_subtask[s.subtask] for s in AGAIN.steps)
    assert [(o.index, o.subtask, o.text) for o in granted.previous] == [
        (0, "first subtask", "a-0-0"),
        (1, "second subtask", "b-0-1"),
    ]
    assert blind.previous == final.previous == ()
    assert [o.text for o in final.inputs] == ["a-1-0", "b-1-1"]
    assert read_worker_prompt(granted.messages[0].text).subtask == "new subtask"
    assert "first subtask" not in blind.messages[0].text + final.messages[0].text
    assert (granted.round, granted.is_final, final.is_final) == (1, False, True)
    assert result["rounds"][1]["steps"][0]["granted"] == [[0, 0], [0, 1]]
    assert result["answer"] == "b-1-2"
    earlier = planner.requests[1].rounds[0]
    assert earlier["workflow"] == FIRST.to_json()
    assert earlier["answer"] == "b-0-1"


def test_an_accepted_answer_stands(run):
    a, b = two_workers()
    planner = ScriptedPlanner(FIRST, ACCEPT, AGAIN)
    result = run(conductor_of(planner, a, b, max_rounds=5), ask())
    assert result["answer"] == "b-0-1"
    assert [r["accepted"] for r in result["rounds"]] == [False, True]
    assert len(planner.requests) == 2
    assert len(a.tasks + b.tasks) == 2


def test_a_model_accepts_with_three_empty_lists(run):
    model = ScriptedModel(replies=[plan_text(("a", "Do it.", [])), ACCEPT_TEXT])
    result = run(create_conductor(model, [Worker("a", Recorder("a"))], max_rounds=3), ask())
    assert len(model.calls) == 2
    assert result["rounds"][1]["accepted"]
    assert Usage.from_json(result["usage"]["planner"]).calls == 2  # accepting is paid for too
    assert "<previous_answer>\na-0-0\n</previous_answer>" in model.prompts[1]


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_the_router_stops_at_max_rounds_whatever_the_planner_says(rounds, run):
    planner = ScriptedPlanner(FIRST)
    result = run(conductor_of(planner, *two_workers(), max_rounds=rounds), ask())
    assert len(result["rounds"]) == len(planner.requests) == rounds


def test_a_final_plan_ends_the_run(run):
    planner = ScriptedPlanner(Plan(FIRST, final=True))
    assert len(run(conductor_of(planner, *two_workers(), max_rounds=4), ask())["rounds"]) == 1


def test_a_later_round_that_fails_leaves_the_earlier_answer(run):
    planner = ScriptedPlanner(flow(("a", "x", [])), flow(("b", "y", [])))
    result = run(conductor_of(planner, Recorder("a"), Recorder("b", ValueError("no")), max_rounds=2), ask())
    assert result["answer"] == "a-0-0"
    assert result["rounds"][1]["steps"][0]["status"] == "failed"


def test_history_after_a_failed_round_is_the_latest_that_ran(run):
    a = Recorder("a")
    planner = ScriptedPlanner(flow(("a", "x", [])), ACCEPT)
    run(conductor_of(planner, a, max_rounds=3), ask())
    assert a.tasks[0].previous == ()


def test_options_of_one_run(run):
    planner = ScriptedPlanner(FIRST)
    conductor = conductor_of(planner, *two_workers())
    config = {"configurable": {"conductor": {"max_rounds": 3, "max_steps": 2}}}
    assert len(run(conductor, ask(), config)["rounds"]) == 3
    assert planner.requests[0].max_steps == 2
    for wrong in ({"max_round": 1}, {"max_rounds": 0}, {"max_steps": True}, 3):
        with pytest.raises(ValueError, match=r"may hold|whole number"):
            run(conductor, ask(), {"configurable": {"conductor": wrong}})
    assert len(planner.requests) == 3  # refused before the planner was asked


def test_options_do_not_reach_a_conductor_that_is_a_worker(run):
    inner_planner = ScriptedPlanner(flow(("a", "x", [])))
    inner = conductor_of(inner_planner, Recorder("a"))
    outer = create_conductor(ScriptedPlanner(flow(("inner", "y", []))), [Worker("inner", inner)])
    run(outer, ask(), {"configurable": {"conductor": {"max_rounds": 2}}})
    assert len(inner_planner.requests) == 2  # one a round of the outer, and not two


# --------------------------------------------------------------- never empty


def test_a_plan_that_cannot_be_read_falls_back_to_the_first_worker(run, caplog):
    model = ScriptedModel(replies=["no plan"])
    a, b = two_workers()
    with caplog.at_level(logging.WARNING):
        result = run(create_conductor(model, [Worker("a", a), Worker("b", b)]), ask())
    assert result["answer"] == "a-0-0"
    plan = result["rounds"][0]["plan"]
    assert plan["reached"] == "fallback"
    assert len(plan["attempts"]) == 3
    assert "no workflow found" in plan["error"]["message"]
    assert Usage.from_json(plan["usage"]).calls == 3
    assert "planning failed" in caplog.text


def test_the_fallback_can_be_chosen_and_must_be_able_to_end(run):
    a, b = two_workers()
    result = run(conductor_of(ScriptedPlanner(ConnectionError("down")), a, b, fallback="b"), ask())
    assert result["answer"] == "b-0-0"
    assert result["rounds"][0]["plan"]["error"]["infrastructure"]
    with pytest.raises(ValueError, match="fallback 'c' must be"):
        conductor_of(ScriptedPlanner(FIRST), a, b, fallback="c")
    workers = [Worker("a", a, may_be_last=False), Worker("b", b)]
    assert run(create_conductor(ScriptedPlanner(ValueError("x")), workers), ask())["answer"] == "b-0-0"
    with pytest.raises(ValueError, match="no worker may be last"):
        create_conductor(ScriptedPlanner(FIRST), workers[:1])


def test_planning_that_fails_later_keeps_the_answer(run):
    planner = ScriptedPlanner(FIRST, TimeoutError("slow"))
    result = run(conductor_of(planner, *two_workers(), max_rounds=3), ask())
    assert result["answer"] == "b-0-1"
    assert result["rounds"][1]["accepted"]
    assert result["rounds"][1]["plan"]["reached"] == "fallback"


@pytest.mark.parametrize(
    "wrong", [Plan("text"), Plan(ACCEPT), Plan(flow(("nobody", "x", []))), None, "text"], ids=str
)
def test_a_planner_that_returns_nonsense_falls_back(wrong, run):
    result = run(conductor_of(ScriptedPlanner(wrong), *two_workers()), ask())
    assert result["answer"] == "a-0-0"
    assert result["rounds"][0]["plan"]["reached"] == "fallback"


def test_the_last_non_empty_output_counts_when_the_last_step_fails(run):
    result = run(conductor_of(ScriptedPlanner(FIRST), Recorder("a"), Recorder("b", ValueError())), ask())
    assert result["answer"] == "a-0-0"


def test_one_typed_error_carries_every_cause(run):
    planner = ScriptedPlanner(FIRST, ValueError("no plan"))
    a, b = Recorder("a", KeyError("one")), Recorder("b", ConnectionError("two"))
    conductor = create_conductor(planner, [Worker("a", a), Worker("b", b, retries=0)], max_rounds=2)
    with pytest.raises(WorkerError, match="no worker gave an answer") as caught:
        run(conductor, ask())
    assert (
        "KeyError: 'one' (tests/helpers.py:" in caught.value.causes[0]
    )  # the place of a bug in one's own code
    assert tuple(cause.partition(" (tests/")[0] for cause in caught.value.causes) == (
        "round 0, step 0 (a): KeyError: 'one'",
        "round 0, step 1 (b): ConnectionError: two",
        "round 1, planner: ValueError: no plan",
        "round 1, step 0 (a): KeyError: 'one'",
    )


def test_raising_steps_stop_the_run(run):
    conductor = conductor_of(
        ScriptedPlanner(FIRST), Recorder("a", ValueError("x")), Recorder("b"), on_step_error="raise"
    )
    with pytest.raises(WorkerError, match=r"step 0 \(a\) failed"):
        run(conductor, ask())


# -------------------------------------------------------------- conversation


def test_three_turns(run):
    a = Recorder("a")
    conductor = conductor_of(fixed.single("a"), a)
    turns = [
        SystemMessage("Be kind."),
        HumanMessage("Say good morning."),
        AIMessage("Good morning!"),
        HumanMessage("now do it in French"),
    ]
    run(conductor, {"messages": turns})
    prompt = a.tasks[0].messages[0].text
    for part in ("Be kind.", "Say good morning.", "Good morning!"):
        assert part in prompt
    assert "<newest_request>\nnow do it in French\n</newest_request>" in prompt


def test_a_second_turn_on_a_thread_starts_clean(run):
    planner = ScriptedPlanner(FIRST, AGAIN, FIRST, AGAIN)
    a, b = two_workers()
    conductor = conductor_of(planner, a, b, max_rounds=2, checkpointer=InMemorySaver())
    run(conductor, ask("one"), thread())
    result = run(conductor, ask("two"), thread())
    assert [r["round"] for r in result["rounds"]] == [0, 1]
    assert [len(asked.rounds) for asked in planner.requests] == [0, 1, 0, 1]
    assert len(result["messages"]) == 4
    second_turn = [t for t in a.tasks + b.tasks if "two" in t.messages[0].text and t.round == 0]
    assert second_turn
    assert all(task.previous == () for task in second_turn)
    assert Usage.from_json(result["usage"]["workers"]).busy_seconds < 5
    text = second_turn[0].question[0]["text"]
    assert "one" in text  # the conversation goes on
    assert "b-1-2" in text


def test_get_question_overrides_the_conversation(run):
    a = Recorder("a")
    conductor = conductor_of(fixed.single("a"), a, get_question=lambda s: s["messages"][0].text.upper())
    run(conductor, {"messages": [HumanMessage("one"), AIMessage("x"), HumanMessage("two")]})
    assert a.tasks[0].question == ({"type": "text", "text": "ONE"},)


@pytest.mark.parametrize("given", [{"messages": []}, {}, {"messages": [AIMessage("x")]}])
def test_no_question_is_refused_before_anything_is_paid(given, run):
    planner = ScriptedPlanner(FIRST)
    with pytest.raises(Exception, match=r"there is no question|Must write to at least one"):
        run(conductor_of(planner, *two_workers()), given)
    assert planner.requests == []


# ------------------------------------------------------ durability, inspection


def test_resuming_plans_nothing_twice_and_repeats_no_finished_step(run):
    broken = [True]

    def call(task):
        if task.index == 1 and broken:
            raise OSError("disk full")
        return f"{task.round}-{task.index}"

    a, b = Recorder("a"), Recorder("b", call)
    planner = ScriptedPlanner(flow(("a", "x", []), ("b", "y", [0])))
    conductor = conductor_of(planner, a, b, on_step_error="raise", checkpointer=InMemorySaver())
    with pytest.raises(WorkerError):
        run(conductor, ask(), thread(), durability="sync")
    broken.clear()
    result = run(conductor, None, thread())
    assert result["answer"] == "0-1"
    assert len(planner.requests) == 1
    assert len(a.tasks) == 1


def test_a_fresh_conductor_resumes_from_the_saver(tmp_path):
    """The plan and the finished step are read from disk; neither planner nor first worker is asked again."""
    from langgraph.checkpoint.sqlite import SqliteSaver

    workflow = flow(("a", "x", []), ("b", "y", [0]))
    with SqliteSaver.from_conn_string(str(tmp_path / "db")) as saver:
        dead = conductor_of(
            ScriptedPlanner(workflow),
            Recorder("a"),
            Recorder("b", OSError()),
            on_step_error="raise",
            checkpointer=saver,
        )
        with pytest.raises(WorkerError):
            dead.invoke(ask(), thread(), durability="sync")
    with SqliteSaver.from_conn_string(str(tmp_path / "db")) as saver:
        planner, a, b = ScriptedPlanner(AssertionError("planned again")), *two_workers()
        fresh = conductor_of(planner, a, b, on_step_error="raise", checkpointer=saver)
        state = fresh.get_state(thread(), subgraphs=True).tasks[0].state.tasks[0].state
        assert state.next == ("step_1",)
        assert state.values["out_0"]["text"] == "a-0-0"
        assert fresh.invoke(None, thread())["answer"] == "b-0-1"
    assert (planner.requests, a.tasks, len(b.tasks)) == ([], [], 1)
    assert [o.text for o in b.tasks[0].inputs] == ["a-0-0"]


def paused(workers=None, **options):
    from langgraph.types import interrupt

    workers = workers or [
        Worker("a", lambda t: f"a-{t.round}"),
        Worker("person", lambda t: f"person said {interrupt({'please': t.subtask})}"),
    ]
    workflow = flow(
        ("a", "prepare", []), ("person", "decide", [0]), ("person", "sign", [0]), ("a", "end", "all")
    )
    return create_conductor(ScriptedPlanner(workflow), workers, checkpointer=InMemorySaver(), **options)


def test_parallel_interrupts_in_a_run_time_graph_are_answered_by_id(run):
    from langgraph.types import Command

    conductor = paused(max_rounds=2)
    result = run(conductor, ask(), thread())
    for number in range(2):
        open_ones = {i.value["please"]: i.id for i in result["__interrupt__"]}
        assert set(open_ones) == {"decide", "sign"}
        answers = {identity: f"{what} {number}" for what, identity in open_ones.items()}
        result = run(conductor, Command(resume=answers), thread())
    assert [s["text"] for s in result["rounds"][1]["steps"]] == [
        "a-1", "person said decide 1", "person said sign 1", "a-1",
    ]  # fmt: skip
    assert len(conductor.nodes) == 4


def namespace(state):
    kept = {key: state.config["configurable"][key] for key in ("thread_id", "checkpoint_ns")}
    return {"configurable": kept}


def test_the_run_time_graph_is_seen_by_state_history_and_updates():
    conductor = paused()
    conductor.invoke(ask(), thread())
    outer = conductor.get_state(thread(), subgraphs=True)
    inner = outer.tasks[0].state.tasks[0].state
    assert set(inner.next) == {"step_1", "step_2"}
    assert inner.values["out_0"]["text"] == "a-0"
    assert [s["subtask"] for s in (inner.values[f"spec_{i}"] for i in range(4))] == [
        "prepare",
        "decide",
        "sign",
        "end",
    ]
    history = list(conductor.get_state_history(namespace(inner)))
    assert [set(state.next) for state in history] == [{"step_1", "step_2"}, {"step_0"}, {"__start__"}]
    changed = inner.values["out_0"] | {"text": "edited"}
    conductor.update_state(inner.config, {"out_0": changed}, as_node="step_0")
    edited = conductor.get_state(namespace(inner)).values["out_0"]["text"]
    assert edited == "edited"


async def test_the_same_awaited():
    conductor = paused()
    await conductor.ainvoke(ask(), thread())
    outer = await conductor.aget_state(thread(), subgraphs=True)
    inner = outer.tasks[0].state.tasks[0].state
    assert set(inner.next) == {"step_1", "step_2"}
    assert len([s async for s in conductor.aget_state_history(namespace(inner))]) == 3
    await conductor.aupdate_state(
        inner.config, {"out_0": inner.values["out_0"] | {"text": "e"}}, as_node="step_0"
    )
    assert (await conductor.aget_state(namespace(inner))).values["out_0"]["text"] == "e"


def test_the_state_of_a_graph_inside_a_worker_is_seen():
    inner = paused()
    inner.checkpointer = None
    outer = create_conductor(
        ScriptedPlanner(flow(("team", "go", []))), [Worker("team", inner)], checkpointer=InMemorySaver()
    )
    outer.invoke(ask(), thread())
    state = outer.get_state(thread(), subgraphs=True)
    names = []
    while state is not None and state.tasks:
        names.append(state.next[0])
        state = state.tasks[0].state
    assert names == ["round", "workflow", "step_0", "round", "workflow", "step_1"]


@pytest.mark.parametrize("worker", ["b", "nobody"])
def test_an_edited_plan_runs_in_place_of_the_old_and_is_checked(worker, run):
    graphs = WorkflowGraphs(WorkerPool([Worker(name, Recorder(name)) for name in "ab"]))
    workflows = WorkflowNode(graphs, Ledgers(), Options())
    one_round = build_round(ScriptedPlanner(FIRST), workflows, Ledgers(), fallback="a", options=Options())
    one_round.checkpointer = InMemorySaver()
    with handed_down(RunContext([{"type": "text", "text": "q"}])):
        run(one_round, {"round": 0}, thread(), interrupt_before=["workflow"])
        one_round.update_state(
            thread(), {"workflow": flow((worker, "edited", [])).to_json()}, as_node="plan"
        )
        if worker == "nobody":
            with pytest.raises(PlanError, match="no worker 'nobody'"):
                run(one_round, None, thread())
        else:
            (step,) = run(one_round, None, thread())["record"]["steps"]
            assert (step["subtask"], step["text"]) == ("edited", "b-0-0")


def test_finished_rounds_stay_in_the_history():
    conductor = conductor_of(
        ScriptedPlanner(FIRST, AGAIN), *two_workers(), max_rounds=2, checkpointer=InMemorySaver()
    )
    conductor.invoke(ask(), thread())
    shapes = []
    for state in conductor.get_state_history(thread()):
        if state.next == ("round",):
            round_state = conductor.get_state(state.config, subgraphs=True).tasks[0].state
            shapes.append(len(round_state.values["workflow"]["steps"]))
    assert shapes == [3, 2]


def test_drawing():
    conductor = conductor_of(ScriptedPlanner(FIRST), *two_workers())
    edges = {(e.source, e.target, e.conditional) for e in conductor.get_graph().edges}
    assert ("round", "round", True) in edges  # the self-edge
    assert ("round", "answer", True) in edges
    config = {"configurable": {"conductor": {"workflow": AGAIN.to_json()}}}
    drawn = conductor.get_graph(config, xray=True)
    steps = [name for name in drawn.nodes if "step_" in name]
    assert [name.rpartition(":")[2] for name in steps] == ["step_0", "step_1", "step_2"]
    assert drawn.nodes[steps[1]].metadata["conductor_worker"] == "b"
    assert asyncio.run(conductor.aget_graph(config, xray=True)).draw_mermaid() == drawn.draw_mermaid()


# ------------------------------------------------------------- in other graphs


def test_as_a_node_of_a_messages_app(run):
    a = Recorder("a")
    builder = StateGraph(MessagesState)
    builder.add_node(
        "conductor", conductor_of(ScriptedPlanner(FIRST, AGAIN), a, Recorder("b"), max_rounds=2)
    )
    builder.add_edge(START, "conductor")
    builder.add_edge("conductor", END)
    app = builder.compile(checkpointer=InMemorySaver())
    for turn in (1, 2):
        result = run(app, ask(f"turn {turn}"), thread())
    assert set(result) == {"messages"}
    assert [m.type for m in result["messages"]] == ["human", "ai", "human", "ai"]
    assert result["messages"][-1].name == "conductor"
    assert [t.previous for t in a.tasks if t.round == 0] == [(), ()]


def test_events_tell_the_story_in_order():
    conductor = conductor_of(ScriptedPlanner(FIRST), *two_workers())
    events = list(conductor.stream(ask(), stream_mode="custom"))
    assert [e["type"] for e in events] == [
        "planning_started", "workflow_planned", "step_started", "step_finished", "step_started", "step_finished",
        "round_finished", "answer",
    ]  # fmt: skip
    assert events[1]["workflow"] == FIRST.to_json()
    assert events[4]["granted"] == [[0, 0]]
    assert [e["final"] for e in events if e["type"] == "step_started"] == [False, True]
    assert events[-2]["answer"] == events[-1]["text"] == "b-0-1"
    assert {e["version"] for e in events} == {EVENT_VERSION}
    assert [e["time"] for e in events] == sorted(e["time"] for e in events)
    json.dumps(events)


def test_events_are_where_the_conductor_stands():
    def types(app, **kwargs):
        found = list(app.stream(ask(), stream_mode="custom", **kwargs))
        return [part[1]["type"] if kwargs else part["type"] for part in found if not kwargs or not part[0]]

    builder = StateGraph(MessagesState)
    add_conductor(
        builder,
        ScriptedPlanner(FIRST),
        [Worker("a", Recorder("a")), Worker("b", Recorder("b"))],
        name="team",
    )
    builder.add_edge(START, "team")
    told = types(builder.compile())
    assert told[0] == "planning_started"
    assert told[-1] == "answer"
    assert types(builder.compile(), subgraphs=True) == told
    # Of a conductor that works for another one, those are told who ask for subgraphs.
    inner = conductor_of(ScriptedPlanner(FIRST), *two_workers())
    outer = create_conductor(fixed.single("team"), [Worker("team", inner)])
    assert [e["step"] for e in outer.stream(ask(), stream_mode="custom") if "step" in e] == [0, 0]
    deeper = [e for ns, e in outer.stream(ask(), stream_mode="custom", subgraphs=True) if ns]
    assert [e["type"] for e in deeper] == told


async def test_events_and_tokens_stream_async():
    model = ScriptedModel(replies=["one two three"])
    conductor = create_conductor(fixed.single("m"), [Worker("m", model)])
    parts = [p async for p in conductor.astream(ask(), stream_mode=["custom", "messages"], subgraphs=True)]
    tokens = [p[2][0].text for p in parts if p[1] == "messages" and p[2][1].get("conductor_worker") == "m"]
    assert "".join(tokens[:3]) == "one two three"
    assert [p[2]["type"] for p in parts if p[1] == "custom"][-1] == "answer"


@dataclass
class Context:
    tenant: str


def test_context_store_callbacks_tags_and_metadata_reach_workers(run):
    seen = {}

    class Watcher(BaseCallbackHandler):
        def on_chat_model_start(self, serialized, messages, *, tags=None, metadata=None, **kwargs):
            seen["tags"], seen["metadata"] = set(tags), metadata

    model = ScriptedModel()

    def call(task):
        runtime = get_runtime(Context)
        seen["tenant"] = runtime.context.tenant
        seen["stored"] = runtime.store.get(("n",), "k").value
        return model.invoke("x").text

    store = InMemoryStore()
    store.put(("n",), "k", {"v": 1})
    conductor = create_conductor(
        fixed.single("w"), [Worker("w", call)], context_schema=Context, store=store
    )
    config = {"callbacks": [Watcher()], "tags": ["mine"], "metadata": {"who": "me"}}
    run(conductor, ask(), config, context=Context("acme"))
    assert seen["tenant"] == "acme"
    assert seen["stored"] == {"v": 1}
    assert "mine" in seen["tags"]
    assert seen["metadata"]["who"] == "me"
    assert seen["metadata"]["conductor_worker"] == "w"


def test_runs_are_named_after_workers_and_nest(run):
    runs = {}

    class Tree(BaseCallbackHandler):
        def on_chain_start(self, serialized, inputs, *, run_id, parent_run_id=None, name=None, **kwargs):
            runs[run_id] = (name, parent_run_id)

        def on_chat_model_start(
            self, serialized, messages, *, run_id, parent_run_id=None, name=None, **kwargs
        ):
            runs[run_id] = (name or "model", parent_run_id)

    planner = ScriptedModel(replies=[plan_text(("worker", "x", []))])
    conductor = create_conductor(planner, [Worker("worker", ScriptedModel())])
    run(conductor, ask(), {"callbacks": [Tree()]})

    def path(name):
        at = next(identity for identity, (known, _) in runs.items() if known == name)
        names = []
        while at in runs:
            names.append(runs[at][0])
            at = runs[at][1]
        return names[::-1]

    assert path("worker") == ["conductor", "round", "round", "workflow", "workflow", "step_0", "worker"]
    assert path("model") == ["conductor", "round", "round", "plan", "model"]


@pytest.mark.parametrize(
    "strategy",
    [
        fixed.single("ghost"),
        fixed.mixture_of_agents(["a", "ghost"], 1, "b"),
        fixed.self_reflection(1, "ghost"),
    ],
)
def test_a_strategy_with_a_wrong_name_is_refused_when_built(strategy):
    with pytest.raises(PlanError, match="there is no worker 'ghost'; choose from a, b"):
        conductor_of(strategy, *two_workers())


def test_bad_options():
    for options, match in [
        ({"max_steps": 0}, "max_steps"),
        ({"max_rounds": 1.5}, "max_rounds"),
        ({"on_step_error": "ignore"}, "on_step_error"),
        ({"name": "a b"}, "conductor name"),
    ]:
        with pytest.raises(ValueError, match=match):
            conductor_of(ScriptedPlanner(FIRST), *two_workers(), **options)


def test_its_schemas_can_be_served():
    conductor = conductor_of(ScriptedPlanner(FIRST), *two_workers())
    assert list(conductor.get_input_jsonschema()["properties"]) == ["messages"]
    assert {"messages", "rounds", "usage", "answer", "stopped"} == set(
        conductor.get_output_jsonschema()["properties"]
    )


def test_a_typed_dict_host_keeps_its_own_question_key(run):
    class Host(TypedDict):
        messages: list
        question: str

    builder = StateGraph(Host)
    builder.add_node("conductor", conductor_of(fixed.single("a"), Recorder("a")))
    builder.add_edge(START, "conductor")
    result = run(builder.compile(), {"messages": [HumanMessage("hi")], "question": "mine"})
    assert result["question"] == "mine"


def test_all_grants_every_earlier_step():
    workflow = flow(("a", "x", []), ("a", "y", []), ("a", "z", "all"))
    assert workflow.reads(2) == (0, 1)


def test_the_planner_sees_the_latest_answer():
    asked = request(POOL, rounds=(an_earlier_round("old"), an_earlier_round("new"), an_earlier_round("")))
    assert asked.previous["answer"] == "new"


def test_a_fallback_that_may_not_be_last_is_refused():
    workers = [Worker("a", Recorder("a"), may_be_last=False), Worker("b", Recorder("b"))]
    with pytest.raises(ValueError, match="fallback 'a' must be"):
        create_conductor(fixed.single("b"), workers, fallback="a")


def test_the_context_schema_is_that_of_the_graph():
    from tests.unit_tests.test_conductor import Context

    assert conductor_of(fixed.single("a"), Recorder("a"), context_schema=Context).context_schema is Context
