"""Conductors served by `langgraph dev` and driven with `langgraph-sdk` and `RemoteGraph`."""

import json
import runpy
import shutil
import time
from pathlib import Path

import pytest
from langchain.agents.middleware.human_in_the_loop import HITLRequest
from langgraph.pregel.remote import RemoteGraph
from langgraph.types import Command
from langgraph_sdk import get_sync_client
from pydantic import TypeAdapter

from langgraph_conductor import Worker, create_conductor
from langgraph_conductor.planners import fixed
from tests.helpers import ask
from tests.long_tests.dev_server import ROOT, dev_server
from tests.people import APPROVE, editing, rejecting

EXAMPLE = ROOT / "examples" / "served"

PEOPLE = ("mail", "approved", "added")
"""The conductors whose workers ask, or that ask for approval."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The example, with the graphs of the tests beside it."""
    folder = tmp_path_factory.mktemp("served") / "app"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    shutil.copy(Path(__file__).with_name("served_apps.py"), folder)
    about = json.loads((folder / "langgraph.json").read_text())
    about["graphs"] |= {name: f"./served_apps.py:{name}" for name in ("talk", "slow", *PEOPLE)}
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


PLAN = """\
**Request:**

> 12 boxes of 9 pens and 25 more, a dollar each?

**Plan:**

**0. calculator** (reads the request)

> 12 * 9 + 25

**1. buyer** (reads the request and step 0)

> Do you pay that?

**2. seller** (reads the request and step 0)

> Do you take that?

**3. notary** (reads the request and all earlier steps)

> Is it a deal?"""


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
        *PLAN.splitlines(),
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


def asks(client, thread):
    """The requests that wait in a thread, in LangChain's form, by id."""
    found = {one["id"]: one["value"] for one in client.threads.get_state(thread)["interrupts"]}
    for value in found.values():
        assert TypeAdapter(HITLRequest).validate_python(value, strict=True) == value
    return found


def steps(request):
    return [step["subtask"] for step in request["action_requests"][0]["args"]["workflow"]["steps"]]


def test_a_person_edits_the_workflow_before_it_runs(client):
    thread = new_thread(client)
    paused = client.runs.wait(thread, "sale", input=ask("How much?"))
    (request,) = [found["value"] for found in paused["__interrupt__"]]
    assert [*asks(client, thread).values()] == [request]
    workflow = request["action_requests"][0]["args"]["workflow"]
    workflow["steps"] = [{"worker": "calculator", "subtask": "2 + 3", "access": []}]
    result = client.runs.wait(thread, "sale", command={"resume": editing(workflow)})
    assert result["messages"][-1]["content"] == "5"
    assert client.threads.get(thread)["status"] == "idle"


@pytest.mark.parametrize("old", [[{"type": "accept"}], True])
def test_answers_in_the_old_form_are_understood(client, old):
    thread = new_thread(client)
    client.runs.wait(thread, "sale", input=ask("How much?"))
    client.runs.wait(thread, "sale", command={"resume": old})
    assert set(asked_in(client, thread)) == {"buyer", "seller"}


@pytest.mark.parametrize("graph", ["approved", "added"])
def test_a_wrong_answer_and_a_rejection_lead_to_another_request(client, graph):
    thread = new_thread(client)
    client.runs.wait(thread, graph, input=ask("Tell them."))
    (first,) = asks(client, thread).values()
    assert steps(first) == ["Write to Ann.", "Write to Bob.", "Sum it up."]
    client.runs.wait(thread, graph, command={"resume": editing('{"steps": [{"worker": "zoe"')})
    (again,) = asks(client, thread).values()
    assert "no JSON" in again["action_requests"][0]["description"]
    assert steps(again) == steps(first)
    client.runs.wait(thread, graph, command={"resume": rejecting("Not to Bob.")})
    (other,) = asks(client, thread).values()
    assert steps(other) == ["Write to Ann alone."]
    client.runs.wait(thread, graph, command={"resume": APPROVE})
    ((ask_id, asked),) = asks(client, thread).items()
    assert asked["action_requests"][0]["args"] == {"to": "ann"}
    result = client.runs.wait(thread, graph, command={"resume": {ask_id: APPROVE}})
    assert result["messages"][-1]["content"] == "ann: sent to ann"


@pytest.mark.parametrize("graph", PEOPLE)
def test_a_user_interface_shows_the_users_words_while_agents_ask(client, graph):
    """As agent-chat-ui: it streams `values` and messages, those of subgraphs too; its titles are of `threads.search`."""
    thread = client.threads.create(graph_id=graph)["thread_id"]

    def streamed(**given):
        modes = ["values", "messages-tuple", "updates"]
        for part in client.runs.stream(thread, graph, stream_mode=modes, stream_subgraphs=True, **given):
            kind, *below = part.event.split("|")
            if kind == "values":
                assert not below
                shown = part.data["messages"]
                assert shown[0]["content"] == "Tell them."
                assert not [one for one in shown if "You are one of several" in one["content"]]
            elif kind == "messages":
                assert part.data[0]["type"] != "human"

    def title():
        (found,) = [one for one in client.threads.search(limit=100) if one["thread_id"] == thread]
        return found["values"]["messages"][0]["content"]

    streamed(input=ask("Tell them."))
    if graph != "mail":
        assert title() == "Tell them."
        streamed(command={"resume": APPROVE})
    assert title() == "Tell them."
    assert client.threads.get(thread)["status"] == "interrupted"
    found = asks(client, thread)
    assert {one["id"] for asked in client.threads.get(thread)["interrupts"].values() for one in asked} == {
        *found
    }
    for asked in found.values():
        assert "overall_task" not in asked["action_requests"][0]["description"]
    assert sorted(asked["action_requests"][0]["args"]["to"] for asked in found.values()) == ["ann", "bob"]
    streamed(command={"resume": dict.fromkeys(found, APPROVE)})
    assert title() == "Tell them."
    last = client.threads.get_state(thread)["values"]["messages"][-1]["content"]
    assert last == "ann: sent to ann; bob: sent to bob"


def test_one_answer_for_two_requests_is_refused_and_loses_nothing(client):
    """User interfaces that send no ids; those that do go on where the run stands."""
    thread = new_thread(client)
    client.runs.wait(thread, "mail", input=ask("Tell them."))
    found = asks(client, thread)
    refused = client.runs.wait(thread, "mail", command={"resume": APPROVE}, raise_error=False)
    assert "must specify the interrupt id" in refused["__error__"]["message"]
    assert asks(client, thread) == found
    first, second = found
    client.runs.wait(thread, "mail", command={"resume": {first: APPROVE}})
    assert asks(client, thread) == {second: found[second]}
    to = found[second]["action_requests"][0]["args"]["to"]
    result = client.runs.wait(thread, "mail", command={"resume": {second: rejecting("Not to them.")}})
    assert f"{to}: User rejected" in result["answer"]


@pytest.mark.parametrize("graph", ["approved", "added"])
def test_an_answer_is_made_anew_from_before_it(client, graph):
    thread = new_thread(client)
    client.runs.wait(thread, graph, input=ask("Tell them."))

    def answered(decision):
        """The messages after Ann's mail alone was let be planned, and `decision` was taken on it."""
        (request,) = asks(client, thread).values()
        assert len(steps(request)) == 3
        alone = {"steps": [{"worker": "ann", "subtask": "Write.", "access": []}]}
        client.runs.wait(thread, graph, command={"resume": editing(alone)})
        (ask_id,) = asks(client, thread)
        result = client.runs.wait(thread, graph, command={"resume": {ask_id: decision}})
        return [message["content"] for message in result["messages"]]

    assert answered(APPROVE) == ["Tell them.", "ann: sent to ann"]
    history = [state for state in client.threads.get_history(thread) if state["values"].get("messages")]
    before = [state for state in history if len(state["values"]["messages"]) == 1][-1]
    client.runs.wait(thread, graph, input=None, checkpoint=before["checkpoint"])
    question, answer = answered(rejecting("Not to her."))
    assert (question, "Not to her." in answer) == ("Tell them.", True)


@pytest.mark.parametrize("order", [("buyer", "seller"), ("seller", "buyer")])
def test_parallel_interrupts_are_answered_by_id_one_after_the_other(client, order):
    thread = new_thread(client)
    client.runs.wait(thread, "sale", input=ask("How much?"))
    client.runs.wait(thread, "sale", command={"resume": APPROVE})
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
    client.runs.wait(thread, "sale", command={"resume": APPROVE})
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
    (request,) = [found["value"] for found in paused["__interrupt__"]]
    assert request["action_requests"][0]["name"] == "run_workflow"
    remote.invoke(Command(resume=APPROVE), config)
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
