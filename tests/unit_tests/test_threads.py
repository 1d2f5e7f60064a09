"""Threads as apps treat them: regenerated, edited, forked, pruned, seeded, long, and written by an older deployment."""

import itertools
import json
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.message import REMOVE_ALL_MESSAGES
from langgraph.types import Command, StateUpdate, interrupt

from langgraph_conductor import ACCEPT, Worker, Workflow, add_conductor, create_conductor
from langgraph_conductor.editing import edit_round, open_rounds
from langgraph_conductor.errors import SavedRunError
from langgraph_conductor.graph.workflow_node import WorkflowNode
from tests import places
from tests.helpers import Recorder, ScriptedPlanner, Tooled, ask, flow, thread, tool_call
from tests.people import APPROVE

ONE = flow(("a", "one", []))
CHAIN = flow(("a", "One.", []), ("a", "Two.", [0]))
NODE = {"plain": ("intake",), "subgraph": ("team",), "added": ("conductor",)}


@pytest.fixture(params=["plain", "subgraph", "added"])
def form(request):
    return request.param


@pytest.fixture(params=["memory", "sqlite"])
def saver(request):
    if request.param == "memory":
        yield InMemorySaver()
        return
    with closing(sqlite3.connect(":memory:", check_same_thread=False)) as connection:
        yield SqliteSaver(connection)


def app_of(form, saver, planner=None, work=None, **options):
    workers = [Worker("a", work or (lambda task: f"{task.question[0]['text'][-12:]}|{task.index}"))]
    return getattr(places, form)(saver, planner or ScriptedPlanner(CHAIN), workers, **options)


def before_the_conductor(app, form):
    """The checkpoints before a run of the conductor, the newest first."""
    history = [*app.get_state_history(thread())]
    begun = [state for state, older in itertools.pairwise(history) if older.metadata["source"] == "input"]
    assert all(state.next == NODE[form] for state in begun)
    return begun


def said(result):
    return [message.text for message in result["messages"]]


@pytest.mark.parametrize("turn", [0, 1], ids=["newest", "first"])
@pytest.mark.parametrize("rounds", [1, 2])
def test_a_turn_is_regenerated(form, saver, turn, rounds):
    planner = ScriptedPlanner(CHAIN)
    app = app_of(form, saver, planner, max_rounds=rounds)
    for text in ("hello", "again"):
        app.invoke(ask(text), thread())
    planner.requests.clear()
    result = app.invoke(None, before_the_conductor(app, form)[turn].config)
    assert len(result["messages"]) == (4 if turn == 0 else 2)
    assert result["messages"][-1].text.endswith("|1")
    assert [len(asked.rounds) for asked in planner.requests] == [*range(rounds)]
    assert app.get_state(thread()).next == ()


def test_a_turn_is_regenerated_awaited(form, tmp_path):
    async def regenerated():
        async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "runs")) as saver:
            app = app_of(form, saver)
            await app.ainvoke(ask("hello"), thread())
            history = [s async for s in app.aget_state_history(thread()) if s.next == NODE[form]]
            return await app.ainvoke(None, history[0].config)

    import asyncio

    assert said(asyncio.run(regenerated())) == ["hello", "hello|1"]


def test_a_question_is_edited_and_asked_again_from_where_it_stood(form, saver):
    app = app_of(form, saver)
    app.invoke({"messages": [HumanMessage("old", id="1")]}, thread())
    at = before_the_conductor(app, form)[0].config
    fork = app.update_state(at, {"messages": [HumanMessage("new", id="1")]})
    assert said(app.invoke(None, fork)) == ["new", "new|1"]


def test_a_later_round_is_forked(saver):
    """From before its second round a run goes on with what the first one gave."""
    asked = Recorder("a")
    app = app_of("plain", saver, work=asked, max_rounds=3)
    app.invoke(ask(), thread())
    history = [state for state in app.get_state_history(thread()) if state.next == ("round",)]
    assert [len(state.values["rounds"]) for state in history] == [2, 1, 0]
    asked.tasks.clear()
    result = app.invoke(None, history[1].config)
    assert [task.round for task in asked.tasks] == [1, 1, 2, 2]
    assert [step["text"] for record in result["rounds"] for step in record["steps"]] == [
        "a-0-0", "a-0-1", "a-1-0", "a-1-1", "a-2-0", "a-2-1",
    ]  # fmt: skip


def prune(saver):
    """Keep the newest checkpoint of each namespace, as retention jobs do."""
    if isinstance(saver, SqliteSaver):
        with saver.cursor() as cursor:
            for table in ("writes", "checkpoints"):
                cursor.execute(
                    f"DELETE FROM {table} WHERE checkpoint_id < (SELECT max(c.checkpoint_id) FROM checkpoints c "
                    f"WHERE c.thread_id = {table}.thread_id AND c.checkpoint_ns = {table}.checkpoint_ns)"
                )
        return
    for spaces in saver.storage.values():
        for space, stored in spaces.items():
            for old in sorted(stored)[:-1]:
                del stored[old]
                for key in [key for key in saver.writes if key[1:] == (space, old)]:
                    del saver.writes[key]


@pytest.mark.parametrize("rounds", [1, 2])
def test_a_thread_whose_older_checkpoints_are_gone_goes_on(form, saver, rounds):
    app = app_of(form, saver, max_rounds=rounds)
    app.invoke(ask("one"), thread())
    kept = app.get_state(thread()).values
    prune(saver)
    state = app.get_state(thread())
    assert (state.next, state.values) == ((), kept)
    assert said(app.invoke(ask("two"), thread()))[-1].endswith("|1")


@pytest.mark.parametrize("waits_in", [0, 1])
def test_a_run_that_waits_goes_on_from_the_newest_checkpoints_alone(form, saver, waits_in):
    def work(task):
        if task.round == waits_in and task.index == 1:
            return f"{task.inputs[0].text}, {interrupt('?')}"
        return f"said {task.round}"

    planner = ScriptedPlanner(CHAIN)
    app = app_of(form, saver, planner, work, max_rounds=waits_in + 1)
    app.invoke(ask("one"), thread(), durability="sync")
    prune(saver)
    assert len(app.get_state(thread()).interrupts) == 1
    result = app.invoke(Command(resume="yes"), thread(), durability="sync")
    assert said(result)[-1] == f"said {waits_in}, yes"
    assert len(planner.requests) == waits_in + 1


SEEDED = {"messages": [HumanMessage("old question"), AIMessage("old answer")]}


@pytest.mark.parametrize("node", ["added:conductor", "subgraph:team", "plain:round", "plain:answer"])
def test_a_thread_is_seeded_in_the_name_of_the_conductor(saver, node):
    form, _, node = node.partition(":")
    app = app_of(form, saver)
    app.update_state(thread(), SEEDED, as_node=node)
    assert app.get_state(thread()).next == ()
    *before, answer = said(app.invoke(ask("new"), thread()))
    assert before == ["old question", "old answer", "new"]
    assert answer.endswith("|1")


def test_a_thread_is_seeded_in_several_supersteps(saver):
    """As LangGraph's server does it with `supersteps`."""
    app = app_of("added", saver)
    given = [
        [StateUpdate(ask("old"), "__start__")],
        [StateUpdate({"messages": [AIMessage("said")]}, "conductor")],
    ]
    app.bulk_update_state(thread(), given)
    assert app.get_state(thread()).next == ()
    assert said(app.invoke(ask("new"), thread()))[:3] == ["old", "said", "new"]


def test_a_conductor_is_skipped_by_hand(saver):
    """Someone answers in its place, and what comes after it goes on."""
    builder = StateGraph(MessagesState)
    add_conductor(builder, ScriptedPlanner(ONE), [Worker("a", Recorder("a"))], then="after")
    builder.add_node("after", lambda state: {"messages": [AIMessage("after")]})
    builder.add_edge(START, "conductor")
    app = builder.compile(checkpointer=saver, interrupt_before=["conductor"])
    app.invoke(ask(), thread())
    app.update_state(thread(), {"messages": [AIMessage("by hand")]}, as_node="conductor")
    assert app.get_state(thread()).next == ("after",)
    assert said(app.invoke(None, thread()))[1:] == ["by hand", "after"]


class Counting(InMemorySaver):
    """A saver that counts how often it is read."""

    reads = 0

    def get_tuple(self, config):
        self.reads += 1
        return super().get_tuple(config)

    def list(self, *args, **kwargs):
        self.reads += 1
        return super().list(*args, **kwargs)


def test_a_turn_reads_as_often_as_the_turn_before_however_old_its_thread(form):
    saver = Counting()
    app = app_of(form, saver)
    reads = []
    for turn in range(6):
        saver.reads = 0
        app.invoke(ask(f"turn {turn}"), thread())
        turn_reads, saver.reads = saver.reads, 0
        app.get_state(thread())
        reads.append((turn_reads, saver.reads))
    assert len(set(reads[1:])) == 1
    assert reads[-1][1] == 1


def waiting_in_round_1(task):
    return interrupt("?") if task.round == 1 else f"said {task.round}"


def test_a_question_that_is_edited_while_a_later_round_waits_is_asked_anew(run):
    planner = ScriptedPlanner(ONE)
    app = app_of("added", InMemorySaver(), planner, waiting_in_round_1, max_rounds=2)
    run(app, {"messages": [HumanMessage("old", id="1")]}, thread())
    app.update_state(thread(), {"messages": [HumanMessage("new", id="1")]})
    run(app, None, thread())
    assert [(len(r.rounds), r.question[0]["text"]) for r in planner.requests] == [
        (0, "old"), (1, "old"), (0, "new"), (1, "new"),
    ]  # fmt: skip


@pytest.mark.parametrize("waits", ["approval", "worker"])
@pytest.mark.parametrize("change", ["edited", "added"])
def test_a_question_that_is_changed_while_a_run_waits_is_the_one_that_is_answered(form, run, waits, change):
    """`create_conductor` alone goes on with `round`, which has to look whether what it was asked still stands."""
    planner, saver = ScriptedPlanner(ONE), InMemorySaver()

    def work(task):
        return interrupt("?") if waits == "worker" else task.question[0]["text"][-30:]

    app = app_of(form, saver, planner, work, approve=waits == "approval")
    run(app, {"messages": [HumanMessage("old", id="1")]}, thread())
    app.update_state(thread(), {"messages": [HumanMessage("new", id="1" if change == "edited" else "2")]})
    run(app, None, thread())
    assert "new" in planner.requests[-1].question[0]["text"]
    answer = APPROVE if waits == "approval" else "by hand"
    run(app, Command(resume=answer), thread())
    assert len(planner.requests) == 2
    assert "new" in app.get_state(thread()).values["messages"][-1].text or waits == "worker"


def test_another_change_while_the_first_round_waits_is_no_new_question(saver):
    """LangGraph begins the node anew after any change from outside; the run is the same."""
    planner = ScriptedPlanner(ONE)
    app = app_of("plain", saver, planner, lambda task: interrupt("?"))
    app.invoke(ask("old"), thread())
    before = app.get_state(thread()).values["run"]
    app.update_state(thread(), {"messages": [AIMessage("a remark")]})
    app.invoke(None, thread())
    assert app.get_state(thread()).values["run"] == before


@pytest.mark.parametrize("finished", [0, 1])
def test_a_thread_is_seeded_in_the_name_of_intake(saver, finished):
    """What is written in the name of the node before the round is what is asked."""
    planner = ScriptedPlanner(ONE)
    app = app_of("plain", saver, planner)
    for _ in range(finished):
        app.invoke(ask("first"), thread())
    app.update_state(thread(), ask("seeded"), as_node="intake")
    app.invoke(None, thread())
    assert len(planner.requests) == finished + 1
    assert "seeded" in planner.requests[-1].question[0]["text"]


@pytest.mark.parametrize(
    "forged", [{"run": "x"}, {"run": {"id": "x"}}, {"rounds": "x"}, {"rounds": [{}]}], ids=str
)
def test_a_state_that_is_none_is_refused_in_words(run, forged):
    app = app_of("plain", InMemorySaver(), max_rounds=2)
    run(app, ask(), thread(), interrupt_after=["intake"])
    app.update_state(thread(), forged, as_node="intake")
    with pytest.raises(SavedRunError):
        run(app, None, thread())


@pytest.mark.parametrize("text", ["\ud83d half", "\0 and \ud800", "\u202e", "é", ""], ids=ascii)
def test_a_question_of_odd_signs_is_the_same_when_it_is_read_back(form, saver, text):
    planner = ScriptedPlanner(ONE)
    app = app_of(form, saver, planner, waiting_in_round_1, max_rounds=2)
    image = {"type": "image_url", "image_url": {"url": "data:,x"}}
    content = [{"type": "text", "text": f"What? {text}"}, image]
    app.invoke({"messages": [{"role": "user", "content": content}]}, thread())
    app.invoke(Command(resume="by hand"), thread())
    assert [len(asked.rounds) for asked in planner.requests] == [0, 1]


class Labelled(MessagesState):
    label: str


def test_another_change_while_a_later_round_waits_loses_nothing(run):
    planner, saver = ScriptedPlanner(ONE), InMemorySaver()
    builder = StateGraph(Labelled)
    add_conductor(builder, planner, [Worker("a", waiting_in_round_1)], max_rounds=2)
    builder.add_edge(START, "conductor")
    app = builder.compile(checkpointer=saver)
    run(app, ask("old"), thread())
    app.update_state(thread(), {"label": "x"})
    run(app, None, thread())
    assert [len(r.rounds) for r in planner.requests] == [0, 1, 1]
    app.invoke(Command(resume="yes"), thread())
    assert app.get_state(thread()).values["messages"][-1].text == "yes"


@pytest.mark.parametrize("all_of_it", [False, True])
def test_a_node_beside_it_trims_the_history_and_the_run_goes_on(run, all_of_it):
    planner = ScriptedPlanner(ONE)
    builder = StateGraph(MessagesState)
    add_conductor(builder, planner, [Worker("a", Recorder("a"))], max_rounds=2)

    def trim(state):
        gone = REMOVE_ALL_MESSAGES if all_of_it else state["messages"][0].id
        return {"messages": [RemoveMessage(gone)]}

    builder.add_node("trim", trim)
    builder.add_edge(START, "conductor")
    builder.add_edge(START, "trim")
    app = builder.compile(checkpointer=InMemorySaver())
    run(app, {"messages": [("user", "first"), ("ai", "yes"), ("user", "second")]}, thread())
    assert [len(r.rounds) for r in planner.requests] == [0, 1]
    assert planner.requests[0].question == planner.requests[1].question


def test_the_same_words_in_a_new_turn_begin_a_new_run(run):
    planner = ScriptedPlanner(ONE, ACCEPT, ONE, ACCEPT)
    app = app_of("added", InMemorySaver(), planner, max_rounds=2)
    for _ in range(2):
        run(app, ask("again"), thread())
    assert [len(r.rounds) for r in planner.requests] == [0, 1, 0, 1]


@pytest.mark.parametrize("mode", ["debug", "checkpoints", "tasks", "updates", "values"])
def test_what_is_streamed_to_clients_is_json_and_holds_nothing_private(form, mode):
    app = app_of(form, InMemorySaver(), max_rounds=2, budget={"calls": 9})
    seen = 0
    for _, part in app.stream(ask(), thread(tokens=True), stream_mode=mode, subgraphs=True):
        told = json.dumps(
            part, default=lambda value: value.model_dump() if hasattr(value, "model_dump") else None
        )
        assert "__conductor" not in told
        config = (
            part.get("config") or part.get("payload", {}).get("config") or {}
            if isinstance(part, dict)
            else {}
        )
        assert set(config.get("configurable", {})) <= {
            "thread_id", "checkpoint_ns", "checkpoint_id", "checkpoint_map", "conductor",
        }  # fmt: skip
        json.dumps(config)
        seen += 1
    assert seen


def states_told(app, config, mode):
    """The namespaces of the states that are streamed, and the messages of each."""
    told = []
    for space, part in app.stream(ask("What?"), config, stream_mode=mode, subgraphs=True):
        if mode != "debug" or part["type"] == "checkpoint":
            values = {"debug": lambda p: p["payload"]["values"], "checkpoints": lambda p: p["values"]}
            told.append((space, values.get(mode, lambda p: p)(part).get("messages")))
    return told


@pytest.mark.parametrize("mode", ["debug", "values", "checkpoints"])
@pytest.mark.parametrize("served", [True, False])
def test_no_state_from_inside_is_taken_for_that_of_a_served_thread(form, mode, served):
    """While an agent waits, the last one is its own, with the worker's prompt as the first message."""

    def look():
        """Look."""
        return "seen"

    middleware = [HumanInTheLoopMiddleware({"look": True})]
    agent = create_agent(Tooled(replies=[tool_call(1)]), [look], middleware=middleware)
    app = app_of(form, InMemorySaver(), work=agent)
    config = thread()
    config["configurable"] |= {"graph_id": "g", "assistant_id": "a"} if served else {}  # as the server does
    told = states_told(app, config, mode)
    (asked,) = app.get_state(config, subgraphs=True).interrupts
    assert asked.value["action_requests"][0]["name"] == "look"
    prompts = [m for _, messages in told for m in messages or () if m.text.startswith("You are one of")]
    if served and mode != "checkpoints":
        assert not prompts
        assert told[-1][1][0].text == "What?"
        assert not [space for space, _ in told if len(space) > (form == "subgraph")]
    else:
        assert prompts


def test_the_question_is_stored_at_one_level(tmp_path, form):
    """Not again by each round, and by each workflow with every one of its supersteps."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "iVBOR" * 100}}
    asked = {"messages": [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, image]}]}
    with closing(sqlite3.connect(tmp_path / "runs", check_same_thread=False)) as connection:
        app = app_of(form, SqliteSaver(connection), work=Recorder("a"), max_rounds=2)
        app.invoke(asked, thread(), durability="sync")
        rows = "SELECT checkpoint_ns, checkpoint FROM checkpoints UNION ALL SELECT checkpoint_ns, value FROM writes"
        inside = [
            space.split("|")[-1].split(":")[0]
            for space, blob in connection.execute(rows)
            if b"iVBOR" in blob
        ]
    assert set(inside) == ({"", "team"} if form == "subgraph" else {""})


@pytest.mark.parametrize("plans", [(CHAIN, CHAIN), (CHAIN, ACCEPT)], ids=["ran", "accepted"])
@pytest.mark.parametrize("form", ["plain", "added"])
def test_a_round_that_was_over_and_not_noted_is_taken_from_its_workflow(form, plans, run, monkeypatch):
    """The process ended between the last checkpoint of the round and the next one of the conductor."""
    taken = WorkflowNode.record, WorkflowNode.arecord
    asked, planner, killed = Recorder("a"), ScriptedPlanner(*plans), []

    def record(node, ended, config):
        if ended.get("record"):
            killed.append(ended["round"])
            raise RuntimeError("killed")
        return taken[0](node, ended, config)

    async def arecord(node, ended, config):
        if ended.get("record"):
            record(node, ended, config)
        return await taken[1](node, ended, config)

    monkeypatch.setattr(WorkflowNode, "record", record)
    monkeypatch.setattr(WorkflowNode, "arecord", arecord)
    app = app_of(form, InMemorySaver(), planner, asked, max_rounds=2)
    given = ask()
    for _ in range(2):  # in either round
        with pytest.raises(RuntimeError, match="killed"):
            run(app, given, thread(), durability="sync")
        given = None
    result = run(app, None, thread(), durability="sync")
    assert killed == [0, 1]
    assert len(planner.requests) == 2
    assert len(asked.tasks) == (4 if plans[1] is CHAIN else 2)
    assert result["messages"][-1].text == ("a-1-1" if plans[1] is CHAIN else "a-0-1")


TEAM = flow(("scout", "Look.", []), ("boss", "Sign.", [0]), ("clerk", "File.", [1]))


def deployed(form, saver, paid, *names, plan=TEAM, approve=False):
    """The app as it is deployed with these workers."""

    def worker(name):
        def work(task):
            paid.append(name)
            return interrupt("Sign?") if name == "boss" else f"{name} of {len(task.inputs)}"

        return Worker(name, work, fallback="clerk" if name == "boss" and "clerk" in names else None)

    return getattr(places, form)(
        saver, ScriptedPlanner(plan), [worker(name) for name in names], approve=approve
    )


def test_an_app_without_a_worker_resumes_what_needs_it_no_more(form, saver):
    paid = []
    deployed(form, saver, paid, "scout", "boss", "clerk").invoke(ask(), thread())
    now = deployed(form, saver, paid, "boss", "clerk")
    assert now.get_state(thread(), subgraphs=True).interrupts[0].value == "Sign?"
    assert [*now.get_state_history(thread())]
    result = now.invoke(Command(resume="signed"), thread())
    assert said(result)[-1] == "clerk of 1"
    assert paid == ["scout", "boss", "boss", "clerk"]


@pytest.mark.parametrize("gone", ["boss", "clerk"])
def test_an_app_without_a_worker_that_is_needed_says_which_and_pays_nothing(form, saver, run, gone):
    if isinstance(saver, SqliteSaver):
        run = lambda graph, *args: graph.invoke(*args)  # noqa: E731 - SqliteSaver cannot be awaited
    paid = []
    deployed(form, saver, paid, "scout", "boss", "clerk").invoke(ask(), thread())
    paid.clear()
    now = deployed(form, saver, paid, *({"scout", "boss", "clerk"} - {gone}))
    now.get_state(thread(), subgraphs=True)
    with pytest.raises(
        SavedRunError, match=rf"step . of a saved run needs the worker '{gone}'.*edit_round"
    ):
        run(now, Command(resume="signed"), thread())
    assert paid == []
    whole = deployed(form, saver, paid, "scout", "boss", "clerk")  # the one remedy
    assert said(run(whole, Command(resume="signed"), thread()))[-1] == "clerk of 1"


def test_a_step_whose_worker_is_gone_is_given_to_another(form, saver):
    """The other remedy: what is over stays, also what a worker said that is gone."""
    paid = []
    deployed(form, saver, paid, "scout", "boss", "clerk").invoke(ask(), thread())
    paid.clear()
    now = deployed(form, saver, paid, "clerk")
    (found,) = open_rounds(now, thread())
    steps = found.workflow.steps
    edit_round(found, workflow=Workflow((steps[0], replace(steps[1], worker="clerk"), steps[2])))
    assert said(now.invoke(None, thread()))[-1] == "clerk of 1"
    assert paid == ["clerk", "clerk"]


def test_a_plan_that_waits_to_be_approved_and_cannot_run_is_refused_by_name(form, saver):
    paid = []
    deployed(form, saver, paid, "scout", "boss", "clerk", approve=True).invoke(ask(), thread())
    now = deployed(form, saver, paid, "scout", "boss", approve=True)
    now.invoke(Command(resume=APPROVE), thread())
    (asked,) = now.get_state(thread(), subgraphs=True).interrupts
    told = asked.value["action_requests"][0]["description"]
    assert "could not be used:**\n\n> step 2: there is no worker 'clerk'; choose from" in told
    assert paid == []
    edit = {"type": "edit", "args": {"workflow": flow(("scout", "Look.", [])).to_json()}}
    assert said(now.invoke(Command(resume=edit), thread()))[-1] == "scout of 0"


def test_what_a_conductor_left_that_was_wired_otherwise_is_refused_in_words(saver):
    """Both forms may have nodes of the same name, and so find what the other stored."""
    asks = lambda task: interrupt("Sign?")  # noqa: E731
    builder = StateGraph(MessagesState)
    builder.add_node("conductor", create_conductor(ScriptedPlanner(ONE), [Worker("a", asks)]))
    builder.add_edge(START, "conductor")
    builder.compile(checkpointer=saver).invoke(ask(), thread())
    now = places.added(saver, ScriptedPlanner(ONE), [Worker("a", lambda task: "done")])
    with pytest.raises(SavedRunError, match=r"in another way.*ask anew"):
        now.invoke(Command(resume="signed"), thread())
    assert said(now.invoke(ask("again"), thread()))[-1] == "done"  # the remedy
