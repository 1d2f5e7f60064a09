"""Conductors served by `langgraph dev` and driven with `langgraph-sdk` and `RemoteGraph`."""

import json
import runpy
import shutil
import time
from pathlib import Path

import pytest
from langgraph.pregel.remote import RemoteGraph
from langgraph.types import Command
from langgraph_sdk import get_sync_client

from langgraph_conductor import Worker, create_conductor
from langgraph_conductor.planners import fixed
from tests.helpers import ask
from tests.long_tests.dev_server import ROOT, dev_server

EXAMPLE = ROOT / "examples" / "served"
ACCEPT = [{"type": "accept"}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The example, with the graphs of the tests beside it."""
    folder = tmp_path_factory.mktemp("served") / "app"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    shutil.copy(Path(__file__).with_name("served_apps.py"), folder)
    about = json.loads((folder / "langgraph.json").read_text())
    about["graphs"] |= {name: f"./served_apps.py:{name}" for name in ("talk", "slow")}
    (folder / "langgraph.json").write_text(json.dumps(about))
    return folder


@pytest.fixture(scope="module")
def url(folder):
    with dev_server(folder) as url:
        yield url


@pytest.fixture
def client(url):
    with get_sync_client(url=url) as client:
        yield client


def new_thread(client):
    return client.threads.create()["thread_id"]


def asked_in(client, thread):
    return {found["value"]["who"]: found["id"] for found in client.threads.get_state(thread)["interrupts"]}


def innermost(state):
    while state["tasks"] and state["tasks"][0]["state"]:
        state = state["tasks"][0]["state"]
    return state


def test_the_example_is_driven_to_its_end(url, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["drive.py", url])
    runpy.run_path(str(EXAMPLE / "drive.py"), run_name="__main__")
    assert capsys.readouterr().out.splitlines() == [
        "event: workflow_planned",
        "Question: 12 boxes of 9 pens and 25 more, a dollar each?",
        "",
        "0. calculator: 12 * 9 + 25",
        "1. buyer: Do you pay that?",
        "2. seller: Do you take that?",
        "3. notary: Is it a deal?",
        "event: step_finished calculator 133",
        "waiting: step_1, step_2",
        "buyer is asked: 133: Do you pay that?",
        "seller is asked: 133: Do you take that?",
        "Sold for 133.",
    ]


@pytest.mark.parametrize("subgraphs", [False, True])
def test_events_and_tokens_are_streamed(client, subgraphs):
    events, texts = [], {}
    for part in client.runs.stream(
        None, "talk", input=ask(), stream_mode=["custom", "messages-tuple"], stream_subgraphs=subgraphs,
        config={"configurable": {"conductor": {"tokens": True}}},
    ):  # fmt: skip
        kind, *below = part.event.split("|")
        if kind == "custom":
            assert not below  # the conductor is the graph that is served, so its events need no subgraphs
            events.append(part.data)
        elif kind == "messages":
            message, about = part.data
            where = len(below), about["langgraph_node"]
            texts[where] = texts.get(where, "") + message["content"]
    told = [event["type"] for event in events if event["type"] != "token"]
    assert told[:2] == ["planning_started", "workflow_planned"]
    assert told[-2:] == ["round_finished", "answer"]
    answer = "".join(event["text"] for event in events if event["type"] == "token" and event["final"])
    assert answer == texts[(0, "answer")] == "the whole answer"
    assert (texts.get((2, "step_0")), texts.get((2, "step_1"))) == (
        ("one two", "the whole answer") if subgraphs else (None, None)
    )


def test_a_person_edits_the_workflow_before_it_runs(client):
    thread = new_thread(client)
    paused = client.runs.wait(thread, "sale", input=ask("How much?"))
    ((request,),) = [found["value"] for found in paused["__interrupt__"]]
    assert request["config"] == dict.fromkeys(
        ("allow_accept", "allow_edit", "allow_respond", "allow_ignore"), True
    )
    action = request["action_request"]
    action["args"]["workflow"]["steps"] = [{"worker": "calculator", "subtask": "2 + 3", "access": []}]
    result = client.runs.wait(thread, "sale", command={"resume": [{"type": "edit", "args": action}]})
    assert result["messages"][-1]["content"] == "5"
    assert client.threads.get(thread)["status"] == "idle"


@pytest.mark.parametrize("order", [("buyer", "seller"), ("seller", "buyer")])
def test_parallel_interrupts_are_answered_by_id_one_after_the_other(client, order):
    thread = new_thread(client)
    client.runs.wait(thread, "sale", input=ask("How much?"))
    client.runs.wait(thread, "sale", command={"resume": ACCEPT})
    asked = asked_in(client, thread)
    assert set(asked) == {"buyer", "seller"}
    first, second = order
    client.runs.wait(thread, "sale", command={"resume": {asked[first]: "yes"}})
    assert set(asked_in(client, thread)) == {second}
    result = client.runs.wait(thread, "sale", command={"resume": {asked[second]: "no"}})
    assert result["messages"][-1]["content"] == "No deal."


def test_the_graph_made_at_run_time_is_seen_while_it_waits_for_people(client):
    thread = new_thread(client)
    client.runs.wait(thread, "sale", input=ask("How much?"))
    client.runs.wait(thread, "sale", command={"resume": ACCEPT})
    inside = innermost(client.threads.get_state(thread, subgraphs=True))
    assert inside["next"] == ["step_1", "step_2"]
    assert inside["values"]["out_0"]["text"] == "133"
    assert inside["values"]["spec_3"]["worker"] == "notary"
    found = client.threads.get_state(thread, checkpoint=inside["checkpoint"])  # addressed by itself
    assert found["next"] == ["step_1", "step_2"]


def test_a_run_is_cancelled_and_goes_on_later(client, folder):
    thread = new_thread(client)
    run = client.runs.create(thread, "slow", input=ask())
    notes = folder / "notes"
    until = time.monotonic() + 60
    while not (notes.exists() and "begun" in notes.read_text()):
        assert time.monotonic() < until
        time.sleep(0.1)
    client.runs.cancel(thread, run["run_id"], wait=True)
    assert client.runs.get(thread, run["run_id"])["status"] == "interrupted"
    assert notes.read_text().split() == ["first", "begun", "cancelled"]
    inside = innermost(client.threads.get_state(thread, subgraphs=True))
    assert inside["next"] == ["step_1"]
    assert inside["values"]["out_0"]["text"] == "done first"
    (folder / "go").touch()
    result = client.runs.wait(thread, "slow", input=None)
    assert result["answer"] == "done first, and waited"
    assert notes.read_text().split() == ["first", "begun", "cancelled", "begun"]  # step 0 ran once


# ------------------------------------------------------------------ RemoteGraph


def test_interrupts_come_and_are_answered_through_a_remote_graph(client):
    remote = RemoteGraph("sale", sync_client=client)
    config = {"configurable": {"thread_id": new_thread(client)}}
    paused = remote.invoke(ask("How much?"), config)
    ((request,),) = [found["value"] for found in paused["__interrupt__"]]
    assert request["action_request"]["action"] == "run_workflow"
    remote.invoke(Command(resume=ACCEPT), config)
    state = remote.get_state(config, subgraphs=True)
    people = {found.value["who"]: found.id for task in state.tasks for found in task.interrupts}
    inside = state
    while inside.tasks[0].state:
        inside = inside.tasks[0].state
    assert inside.next == ("step_1", "step_2")
    result = remote.invoke(Command(resume=dict.fromkeys(people.values(), "yes")), config)
    assert result["messages"][-1]["content"] == "Sold for 133."


def test_a_remote_graph_streams_its_conductors_events(client):
    remote = RemoteGraph("talk", sync_client=client)
    told = [event["type"] for event in remote.stream(ask(), stream_mode="custom")]
    assert (told[0], told[-1]) == ("planning_started", "answer")


def test_a_remote_conductor_is_a_worker(client):
    far = RemoteGraph("talk", sync_client=client)
    conductor = create_conductor(fixed.single("far"), [Worker("far", far)])
    assert conductor.invoke(ask())["answer"] == "the whole answer"
