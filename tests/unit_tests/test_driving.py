"""Logic that is driven blocking or awaited; waiting, time limits and the ambient config."""

import asyncio
import contextvars
import threading
import time
from concurrent.futures import Future

import pytest
from langchain_core.runnables.config import ensure_config

from langgraph_conductor.driving import (
    LateError,
    Wait,
    adrive,
    atimed,
    await_,
    awithin,
    drive,
    inherited,
    timed,
    wait,
    within,
)


def asks(*things):
    """Logic that asks for things, and gives the answers and the errors it got."""
    got = []
    try:
        for thing in things:
            try:
                got.append((yield thing))
            except LookupError as caught:
                got.append(caught)
        return got
    finally:
        got.append("closed")


def both_ways(logic, call):
    async def acall(asked):
        return call(asked)

    yield lambda: drive(logic(), call)
    yield lambda: asyncio.run(adrive(logic(), acall))


async def as_coroutine(call):
    return await call()


def test_answers_and_errors_go_back_to_the_logic():
    def call(asked):
        if asked == 2:
            raise KeyError(asked)
        return asked * 10

    for run in both_ways(lambda: asks(1, 2, 3), call):
        first, failed, third, closed = run()
        assert (first, failed.args, third, closed) == (10, (2,), 30, "closed")
    for run in both_ways(lambda: asks(), call):
        assert run() == ["closed"]


def test_logic_is_closed_when_it_is_broken_off():
    closed = []

    def logic():
        try:
            yield 1
        finally:
            closed.append(1)

    def broken(asked):
        raise KeyboardInterrupt

    running, awaited = logic(), logic()  # held, so that nobody else closes them
    with pytest.raises(KeyboardInterrupt):
        drive(running, broken)
    assert closed == [1]

    async def cancelled(asked):
        raise asyncio.CancelledError

    async def main():
        with pytest.raises(asyncio.CancelledError):
            await adrive(awaited, cancelled)

    asyncio.run(main())
    assert closed == [1, 1]


def test_waiting_ends_with_the_future_or_the_time():
    def both(what):
        began = time.monotonic()
        wait(what)
        asyncio.run(await_(what))
        return time.monotonic() - began

    done, never = Future(), Future()
    done.set_result(None)
    assert both(Wait(done, 5)) < 1
    assert both(Wait(done)) < 1
    assert both(Wait()) < 1
    assert 0.1 <= both(Wait(never, 0.05)) < 1
    assert 0.1 <= both(Wait(seconds=0.05)) < 1
    threading.Timer(0.05, never.set_result, [None]).start()
    assert both(Wait(never)) < 1


def test_a_call_in_time_gives_its_result_or_its_error():
    async def answer():
        return "there"

    async def fail():
        raise KeyError("gone")

    assert timed(lambda: 1.0, lambda: "there") == "there"
    assert asyncio.run(as_coroutine(lambda: atimed(lambda: 1.0, answer))) == "there"
    with pytest.raises(KeyError, match="gone"):
        timed(lambda: 1.0, lambda: {}["gone"])
    with pytest.raises(KeyError, match="gone"):
        asyncio.run(as_coroutine(lambda: atimed(lambda: 1.0, fail)))


def test_a_timed_call_sees_its_context_and_does_not_hold_the_process():
    word = contextvars.ContextVar("word")
    word.set("ambient")
    assert timed(lambda: 1.0, lambda: (word.get(), threading.current_thread().daemon)) == ("ambient", True)


def test_a_call_is_not_made_when_its_time_is_over():
    made = []

    async def call():
        made.append(1)

    for over in (lambda: 0.0, lambda: -1.0):
        with pytest.raises(LateError):
            timed(over, lambda: made.append(1))
        with pytest.raises(LateError):
            asyncio.run(as_coroutine(lambda over=over: atimed(over, call)))
    assert made == []


def test_time_is_asked_for_again_when_it_seems_over():
    def grants(*seconds):
        left = list(seconds)
        return lambda: left.pop(0) if len(left) > 1 else left[0]

    async def short():
        await asyncio.sleep(0.1)
        return "there"

    async def long():
        await asyncio.sleep(30)

    over = threading.Event()

    assert timed(grants(1, 0.02, 0.02, 5), lambda: time.sleep(0.1) or "there") == "there"
    assert asyncio.run(as_coroutine(lambda: atimed(grants(1, 0.02, 0.02, 5), short))) == "there"
    began = time.monotonic()
    with pytest.raises(LateError):
        timed(grants(1, 0.02, 0.02, 0), lambda: over.wait(20))
    with pytest.raises(LateError):
        asyncio.run(as_coroutine(lambda: atimed(grants(1, 0.02, 0.02, 0), long)))
    assert time.monotonic() - began < 5
    over.set()


def test_what_takes_too_long_is_cancelled_and_may_say_so():
    said = []

    async def slow():
        try:
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0.01)
            said.append("used so much")

    async def main():
        left = iter((1, 0.02, 0))
        with pytest.raises(LateError):
            await atimed(lambda: next(left), slow)
        assert said == ["used so much"]

    asyncio.run(main())


def test_a_config_is_the_ambient_one_inside_a_call():
    def tags(more=""):
        return [*ensure_config().get("tags", []), more]

    async def atags(more=""):
        return tags(more)

    assert within({"tags": ["t"]}, tags, "x") == ["t", "x"]
    assert asyncio.run(awithin({"tags": ["t"]}, atags, "x")) == ["t", "x"]
    assert tags() == [""]
    assert inherited({"tags": ["t"], "callbacks": []}) == {"tags": ["t"]}
