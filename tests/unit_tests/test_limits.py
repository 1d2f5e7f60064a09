"""Limits hold: tasks at once, calls and tokens per minute, over threads and event loops alike."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from langgraph_conductor import Budget, Worker, create_conductor
from langgraph_conductor.driving import Wait
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import ScriptedModel
from langgraph_conductor.workers import Limiter
from langgraph_conductor.workers.limits import Slots, Window
from tests.helpers import ask, flow


class Crowd:
    """A function worker that knows how many of it ran at once."""

    def __init__(self, seconds=0.03):
        self.now = self.peak = self.total = 0
        self.seconds = seconds
        self.lock = threading.Lock()

    def __call__(self, task):
        with self.lock:
            self.now += 1
            self.total += 1
            self.peak = max(self.peak, self.now)
        time.sleep(self.seconds)
        with self.lock:
            self.now -= 1
        return "done"


def beside(*names):
    return fixed.workflow(flow(*((name, "x", []) for name in names)))


def test_tasks_at_once(run):
    crowd = Crowd()
    conductor = create_conductor(beside(*"a" * 6), [Worker("a", crowd, max_concurrency=2)])
    run(conductor, ask())
    assert (crowd.peak, crowd.total) == (2, 6)


def test_one_limiter_over_workers_threads_and_loops():
    crowd, shared = Crowd(), Limiter(max_concurrency=3)
    workers = [Worker(name, crowd, limiter=shared) for name in "ab"]
    conductor = create_conductor(beside(*"ab" * 3), workers)
    with ThreadPoolExecutor(4) as threads:
        blocking = [threads.submit(conductor.invoke, ask()) for _ in range(2)]
        awaited = [threads.submit(lambda: asyncio.run(conductor.ainvoke(ask()))) for _ in range(2)]
        for one in [*blocking, *awaited]:
            assert one.result(20)["answer"] == "done"
    assert (crowd.peak, crowd.total) == (3, 24)


def test_a_conductor_whose_own_workers_share_its_limiter_does_not_wait_for_itself(run):
    shared = Limiter(max_concurrency=1)
    inner = create_conductor(fixed.single("w"), [Worker("w", Crowd(0), limiter=shared)])
    outer = create_conductor(fixed.single("inner"), [Worker("inner", inner, limiter=shared)])
    assert run(outer, ask())["answer"] == "done"


def test_places_are_given_back_after_failures_and_cancelling():
    def broken(task):
        raise RuntimeError("no")

    limiter = Limiter(max_concurrency=1)
    pool = [Worker("bad", broken, limiter=limiter), Worker("good", lambda t: "good", limiter=limiter)]
    conductor = create_conductor(fixed.workflow(flow(("bad", "x", []), ("good", "y", []))), pool)
    assert conductor.invoke(ask())["answer"] == "good"

    async def hang(task):
        await asyncio.sleep(30)

    slow = create_conductor(fixed.single("hang"), [Worker("hang", hang, limiter=limiter)])

    async def cancelled():
        runs = [asyncio.create_task(slow.ainvoke(ask())) for _ in range(3)]  # one works, two wait
        await asyncio.sleep(0.2)
        for one in runs:
            one.cancel()
        await asyncio.gather(*runs, return_exceptions=True)

    asyncio.run(cancelled())
    assert conductor.invoke(ask())["answer"] == "good"


def test_calls_per_minute(run):
    began = []

    def note(messages):
        began.append(time.monotonic())
        return "ok"

    model = ScriptedModel(replies=note)
    limiter = Limiter(requests_per_minute=3)
    limiter._requests._seconds = 0.5
    conductor = create_conductor(beside(*"a" * 7), [Worker("a", model, limiter=limiter)])
    run(conductor, ask())
    assert len(began) == 7
    # Noted by the models, which a busy machine starts late.
    assert all(later - earlier >= 0.2 for earlier, later in zip(began, began[3:], strict=False))
    assert began[-1] - began[0] < 2.9


def test_limits_reach_the_calls_inside_agents(run):
    from langchain.agents import create_agent

    model = ScriptedModel()
    limiter = Limiter(requests_per_minute=1)
    limiter._requests._seconds = 0.3
    agent = create_agent(model, [])
    began = time.monotonic()
    run(create_conductor(beside("a", "a"), [Worker("a", agent, limiter=limiter)]), ask())
    assert time.monotonic() - began >= 0.3


def test_waiting_for_a_limit_is_not_counted_as_the_workers_time(run):
    limiter = Limiter(requests_per_minute=1)
    limiter._requests._seconds = 2.0
    workers = [Worker("a", ScriptedModel(), limiter=limiter, timeout=1.5, retries=0)]
    result = run(create_conductor(beside("a", "a"), workers), ask())
    assert [s["status"] for s in result["rounds"][0]["steps"]] == ["ok", "ok"]


def test_tokens_are_reserved_and_then_corrected():
    limiter = Limiter(tokens_per_minute=1000)
    first = limiter.begin(300, 100)
    assert not isinstance(first, Wait)
    limiter.end(first, 500, 100)  # it took more than was thought
    second = limiter.begin(300, 100)
    assert not isinstance(second, Wait)
    waiting = limiter.begin(300, 0)
    assert isinstance(waiting, Wait)
    assert 59 < waiting.seconds <= 60
    limiter.end(second, 0, 0)  # refused by the provider: it took nothing
    assert waiting.future.done()
    assert not isinstance(limiter.begin(300, 0, waiting.future), Wait)
    again = limiter.begin(200, 0)
    assert isinstance(again, Wait)  # 900 are used
    limiter.give_up(again.future)
    assert not isinstance(limiter.begin(100, 0), Wait)


def test_calls_go_by_turn_so_that_large_ones_are_not_passed_over_for_ever():
    limiter = Limiter(tokens_per_minute=1000)
    small = limiter.begin(200, 0)
    large = limiter.begin(900, 0)
    behind = limiter.begin(50, 0)
    assert isinstance(behind, Wait)  # it would fit
    limiter.end(small, 0, 0)
    assert large.future.done()
    assert not behind.future.done()
    assert not isinstance(limiter.begin(900, 0, large.future), Wait)
    assert behind.future.done()
    assert not isinstance(limiter.begin(50, 0, behind.future), Wait)


def test_what_is_larger_than_the_window_goes_alone():
    limiter = Limiter(tokens_per_minute=100)
    assert not isinstance(limiter.begin(5000, 0), Wait)
    assert isinstance(limiter.begin(1, 0), Wait)


def test_less_than_one_call_a_minute():
    limiter = Limiter(requests_per_minute=0.5)
    assert not isinstance(limiter.begin(0, 0), Wait)
    assert 119 < limiter.begin(0, 0).seconds <= 120


def test_all_calls_wait_where_the_provider_asks_for_it():
    limiter = Limiter(requests_per_minute=100)
    limiter.hold(5)
    limiter.hold(1)
    assert 4 < limiter.begin(0, 0).seconds <= 5


def test_no_stretch_of_time_holds_more_than_the_window():
    window = Window(5, seconds=1.0)
    now, booked = 0.0, []
    for step in range(300):
        wait = window.wait(1 + step % 3, now)
        now += wait if wait > 0 else 0.01
        if not wait:
            booked.append((now, 1 + step % 3))
            window.book(1 + step % 3, now)
    assert len(booked) > 50
    for begin, _ in booked:
        assert sum(amount for at, amount in booked if begin <= at < begin + 1.0) <= 5


def test_places_go_by_turn():
    slots = Slots(1)
    first, second, third = (slots.enter() for _ in range(3))
    assert [p.done() for p in (first, second, third)] == [True, False, False]
    slots.leave(second)  # gives up
    slots.leave(first)
    assert third.done()
    slots.leave(third)
    assert slots.enter().done()


@pytest.mark.parametrize(
    "wrong",
    [{"max_concurrency": 0}, {"max_concurrency": 1.5}, {"requests_per_minute": 0},
     {"tokens_per_minute": "9"}, {"requests_per_minute": float("nan")}, {"limiter": 3},
     {"limiter": Limiter(max_concurrency=1), "max_concurrency": 1}, {"timeout": 0}, {"timeout": True},
     {"fallback": "w"}, {"fallback": ""}, {"max_input_tokens": 0}, {"max_tool_turns": -1}],
)  # fmt: skip
def test_wrong_limits_are_refused(wrong):
    with pytest.raises(ValueError, match="worker 'w'"):
        Worker("w", lambda t: "", **wrong)


def test_a_limiter_shows_its_limits():
    assert repr(Limiter(max_concurrency=2, tokens_per_minute=1e5)) == (
        "Limiter(max_concurrency=2, tokens_per_minute=100000)"
    )


def test_timeouts_are_outages_and_are_retried(run, monkeypatch):
    monkeypatch.setattr("langgraph_conductor.workers.failures.random.uniform", lambda a, b: 0.0)
    calls = []

    def slow_once(task):
        calls.append(1)
        if len(calls) == 1:
            time.sleep(0.6)
        return "there"

    result = run(create_conductor(fixed.single("w"), [Worker("w", slow_once, timeout=0.2)]), ask())
    assert result["answer"] == "there"
    assert result["rounds"][0]["steps"][0]["calls"] == 2


def test_a_prompt_that_is_too_long_fails_before_it_is_paid(run):
    short, long = ScriptedModel(), ScriptedModel(replies=["from long"])
    workers = [Worker("short", short, max_input_tokens=50, fallback="long"), Worker("long", long)]
    result = run(create_conductor(fixed.single("short"), workers), ask("word " * 500))
    step = result["rounds"][0]["steps"][0]
    assert short.calls == []
    assert step["answered_by"] == "long"
    assert step["error"]["type"] == "ContextTooLongError"
    assert not step["error"]["infrastructure"]
    profiled = ScriptedModel(profile={"max_input_tokens": 50})
    assert Worker("w", profiled).bounds.max_input_tokens == 50


def test_a_wish_to_wait_holds_for_tasks_too(run):
    limiter = Limiter(max_concurrency=2)
    limiter.hold(0.3)
    began = time.monotonic()
    conductor = create_conductor(fixed.single("w"), [Worker("w", ScriptedModel(), limiter=limiter)])
    assert run(conductor, ask())["answer"] == "ok"
    assert time.monotonic() - began >= 0.3
    limiter.hold(30)
    hurried = create_conductor(
        beside("w", "b"), [Worker("w", ScriptedModel(), limiter=limiter), Worker("b", lambda t: "b")],
        budget=Budget(seconds=0.3),
    )  # fmt: skip
    began = time.monotonic()
    assert run(hurried, ask())["answer"] == "b"
    assert time.monotonic() - began < 5
