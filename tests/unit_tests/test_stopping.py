"""A run is drained or cancelled, and goes on later; nobody spends unseen in between."""

import asyncio
import threading

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl

from langgraph_conductor import Worker, create_conductor
from tests.helpers import ScriptedPlanner, ask, chain, chat, flow, thread
from tests.people import Paying, counted_once, pool
from tests.places import Call, heard

CHAIN = flow(("a", "x", []), ("b", "y", [0]), ("c", "z", "all"))


def test_a_drained_run_ends_after_the_steps_that_run_and_goes_on_later(place, call):
    control = RunControl()
    a, c, planner = Paying("a"), Paying("c"), ScriptedPlanner(CHAIN)
    b = Paying("b", lambda task: control.request_drain() or "b said")
    app = place(InMemorySaver(), planner, pool(a, b, c))
    parts = []
    with pytest.raises(GraphDrained):
        call.into(parts, app, ask(), control=control)
    assert heard(parts).of("step_finished") == [0, 1]
    assert c.tasks == []
    done = call(app, None)
    assert done.answer == "c-0-2"
    assert [output.text for output in c.tasks[0].inputs] == ["a-0-0", "b said"]
    assert [len(a.tasks), len(b.tasks), len(planner.requests)] == [1, 1, 1]
    assert done.of("step_finished") == [2]
    counted_once(done, a, b, c)


def test_a_run_that_is_drained_while_it_plans_does_not_plan_again(place, call):
    control = RunControl()

    class Draining(ScriptedPlanner):
        def plan(self, asked):
            control.request_drain()
            return super().plan(asked)

    a, b, c, planner = Paying("a"), Paying("b"), Paying("c"), Draining(CHAIN)
    app = place(InMemorySaver(), planner, pool(a, b, c))
    with pytest.raises(GraphDrained):
        call.into([], app, ask(), control=control)
    assert a.tasks == []
    done = call(app, None)
    assert [done.answer, len(planner.requests)] == ["c-0-2", 1]
    counted_once(done, a, b, c)


class Hanging:
    """A worker that pays, and the first time then waits for ever."""

    name = "b"

    def __init__(self):
        self.model, self.began, self.ended, self.times = chat("said"), asyncio.Event(), [], 0

    async def __call__(self, task):
        self.times += 1
        await self.model.ainvoke("x")
        if self.times == 1:
            self.began.set()
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                self.ended.append("cancelled")
                raise
        return "b said"


async def cancelled_when(event, app, parts=None):
    """Run until `event`, and then cancel."""

    async def running():
        async for part in app.astream(
            ask(), thread(), stream_mode=["custom", "values"], subgraphs=True, durability="sync"
        ):
            (parts if parts is not None else []).append(part)

    task = asyncio.create_task(running())
    await asyncio.wait_for(event.wait(), 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_cancelled_run_ends_at_once_and_goes_on_later(place):
    a, c, planner = Paying("a"), Paying("c"), ScriptedPlanner(CHAIN)
    b, parts = Hanging(), []
    app = place(InMemorySaver(), planner, pool(a, b, c))

    async def run():
        await cancelled_when(b.began, app, parts)
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(run()) == set()  # nothing goes on
    assert b.ended == ["cancelled"]
    assert heard(parts).of("step_finished") == [0]
    done = Call(awaited=True)(app, None)
    assert done.answer == "c-0-2"
    assert [len(a.tasks), b.times, len(planner.requests)] == [1, 2, 1]
    assert done.of("step_finished") == [1, 2]
    counted_once(done, a, b, c)


def test_a_call_that_was_cancelled_in_flight_is_marked():
    model = chat("said", latency=60.0)
    began = asyncio.Event()

    async def calls(task):
        if not began.is_set():
            asyncio.get_running_loop().call_later(0.2, began.set)
        return (await model.ainvoke("x")).text

    conductor = create_conductor(chain("a"), [Worker("a", calls)], checkpointer=InMemorySaver())
    asyncio.run(cancelled_when(began, conductor))
    model.latency = 0.0
    (step,) = asyncio.run(conductor.ainvoke(None, thread()))["rounds"][0]["steps"]
    assert step["possibly_repeated"] is True  # the provider may have answered, and sent a bill
    assert step["usage"]["calls"] == 1


def test_a_cancelled_step_with_no_call_in_flight_is_not_marked():
    b = Hanging()
    conductor = create_conductor(chain("b"), pool(b), checkpointer=InMemorySaver())
    asyncio.run(cancelled_when(b.began, conductor))
    (step,) = asyncio.run(conductor.ainvoke(None, thread()))["rounds"][0]["steps"]
    assert "possibly_repeated" not in step
    assert [call["worker"] for call in step["model_calls"]] == ["b", "b"]


def test_a_blocking_function_goes_on_in_its_thread_but_pays_no_more(place):
    model, goes_on, ended = chat("said"), threading.Event(), threading.Event()
    failures, times = [], []

    def blocks(task):
        times.append(task)
        model.invoke("first")
        if len(times) == 1:
            loop.call_soon_threadsafe(began.set)
            goes_on.wait(60)
        try:
            return model.invoke("second").text
        except Exception as error:
            failures.append(type(error).__name__)
            raise
        finally:
            ended.set()

    planner = ScriptedPlanner(flow(("b", "x", [])))
    app = place(InMemorySaver(), planner, [Worker("b", blocks)])

    async def run():
        nonlocal loop, began
        loop, began = asyncio.get_running_loop(), asyncio.Event()
        await cancelled_when(began, app)

    loop = began = None
    asyncio.run(run())
    goes_on.set()
    assert ended.wait(30)
    assert (failures, model.prompts) == (["GivenUpError"], ["first"])
    done = Call(awaited=True)(app, None)
    assert (done.answer, len(planner.requests)) == ("said", 1)
    assert done.usage["total"]["calls"] == len(model.calls) == 3


@pytest.mark.parametrize("drained", [False, True])
def test_a_blocking_stream_that_is_closed_waits_for_its_round_unless_it_is_drained(drained, place):
    """LangGraph ends no thread, so `close` returns when what runs is over and saved."""
    a, c, planner, control = Paying("a"), Paying("c"), ScriptedPlanner(CHAIN), RunControl()
    closing = threading.Event()
    b = Paying("b", lambda task: closing.wait(30) and "b said")
    app = place(InMemorySaver(), planner, pool(a, b, c))
    stream = app.stream(
        ask(), thread(), stream_mode="custom", subgraphs=True, durability="sync", control=control
    )
    next(event for _, event in stream if event["type"] == "step_started" and event["worker"] == "b")
    if drained:
        control.request_drain()
    closing.set()
    stream.close()
    assert [len(worker.tasks) for worker in (a, b, c)] == [1, 1, 0 if drained else 1]
    assert Call(awaited=False)(app, None).answer == "c-0-2"
    assert [len(worker.tasks) for worker in (a, b, c)] == [1, 1, 1]
    assert len(planner.requests) == 1
