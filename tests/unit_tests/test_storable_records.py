"""Whatever errors, tools, planners and people say, records, events and messages can be stored as UTF-8 without NUL."""

import json
import logging

import pytest
from langchain.agents import create_agent
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from langgraph_conductor import Plan, Worker, create_conductor
from langgraph_conductor.errors import WorkerError
from langgraph_conductor.planners import fixed
from langgraph_conductor.planners.protocol import Attempt
from langgraph_conductor.workers.watching import Watcher
from tests.helpers import ScriptedPlanner, Tooled, ask, beside, flow, thread, tool_call
from tests.people import rejecting

ODD = "x \ud83d \x00 y"
CLEAN = "x \ufffd \ufffd y"


def fails(*_):
    raise ValueError(ODD)


def streamed(conductor):
    """The events of a run, and its result."""
    events, result = [], {}
    for mode, part in conductor.stream(ask(), thread(), stream_mode=["custom", "values"]):
        if mode == "custom":
            events.append(part)
        else:
            result = part
    return events, result


def check(told):
    text = json.dumps(told, ensure_ascii=False)
    text.encode()
    assert "\\u0000" not in text
    return text


def pool(bad):
    return [Worker("bad", bad, retries=0), Worker("good", lambda t: "ok")]


def test_an_error_of_a_worker():
    events, result = streamed(create_conductor(beside("bad", "good"), pool(fails)))
    assert CLEAN in check(events)
    check(result["rounds"])
    assert result["rounds"][0]["steps"][0]["error"]["message"] == CLEAN


def test_an_error_that_ends_the_run():
    with pytest.raises(WorkerError) as caught:
        create_conductor(fixed.single("bad"), pool(fails)).invoke(ask())
    assert CLEAN in str(caught.value)
    check([str(caught.value), *caught.value.errors])


def look(text: str) -> str:
    """Look."""
    if text == "fail":
        raise ValueError(ODD)
    return ODD


@pytest.mark.parametrize("given", ["fail", ODD])
def test_what_tools_are_given_give_and_raise(given):
    call = tool_call(1)
    call.tool_calls[0].update(name="look", args={"text": given})
    agent = create_agent(Tooled(replies=[call, "over"]), [look])
    events, result = streamed(create_conductor(beside("bad", "good"), pool(agent)))
    assert CLEAN in check(events)
    assert CLEAN in check(result["rounds"])


def test_a_backslash_before_u0000_is_no_nul():
    watcher = Watcher(lambda *_: None)
    watcher.on_tool_start({"name": "t"}, "", run_id=1, inputs={"a": "\\u0000 \\\0"})
    watcher.on_tool_end("", run_id=1)
    assert json.loads(watcher.tools[0]["input"]) == {"a": "\\u0000 \\\ufffd"}


def test_an_error_of_a_planner(caplog):
    class Own:
        def plan(self, request):
            raise ValueError(ODD)

        async def aplan(self, request):
            raise NotImplementedError

    with caplog.at_level(logging.WARNING):
        events, result = streamed(create_conductor(Own(), pool(lambda t: "ok")))
    assert CLEAN in check(events)
    assert CLEAN in check(result["rounds"])
    assert CLEAN in caplog.text


def test_the_attempts_of_a_planner():
    plan = Plan(flow(("good", "x", [])), "repaired", ODD, attempts=(Attempt("text", ODD, ODD),))
    _, result = streamed(create_conductor(ScriptedPlanner(plan), pool(lambda t: "ok")))
    check(result["rounds"])
    assert result["rounds"][0]["plan"]["attempts"] == [{"mode": "text", "text": CLEAN, "error": CLEAN}]


def test_what_a_person_answers():
    planner = ScriptedPlanner(flow(("good", "x", [])))
    conductor = create_conductor(planner, pool(fails), approve=True, checkpointer=InMemorySaver())
    conductor.invoke(ask(), thread())
    again = conductor.invoke(Command(resume={"type": ODD}), thread())
    check([one.value for one in again["__interrupt__"]])
    conductor.invoke(Command(resume=rejecting(ODD)), thread())
    result = conductor.invoke(Command(resume=True), thread())
    check(result["rounds"])
    assert result["rounds"][0]["plan"]["rejected"][0]["reason"] == CLEAN
