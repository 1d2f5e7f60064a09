"""Limits of a provider: windows of time, turns, and places."""

import contextvars
import time

import pytest

from langgraph_conductor.workers import Limiter
from langgraph_conductor.workers.limits import Slots, Window


def test_a_window_frees_what_is_old_enough():
    window = Window(10, seconds=60)
    window.book(4, 100.0)
    window.book(5, 110.0)
    assert window.wait(1, 111.0) == 0
    assert window.wait(2, 111.0) == 49.0  # until the first is out
    assert window.wait(5, 111.0) == 49.0
    assert window.wait(6, 111.0) == 59.0  # until both are
    assert window.wait(99, 111.0) == 59.0  # and what never fits waits until it is empty
    assert window.wait(5, 160.0) == 0  # the first is out now
    assert window.wait(6, 160.0) == 10.0
    assert window.wait(99, 170.0) == 0


def test_a_reply_is_taken_to_be_as_long_as_usual():
    limiter = Limiter(tokens_per_minute=1000)

    def booked(cap):
        call = limiter.begin(10, cap)
        amount = call.tokens.amount
        limiter.end(call, 0, 0)  # takes nothing, teaches nothing
        return amount

    assert (booked(None), booked(20), booked(900)) == (510, 30, 510)
    limiter.end(limiter.begin(10, None), 0, 100)
    assert (booked(None), booked(20)) == (110, 30)
    limiter.end(limiter.begin(10, None), 0, 200)
    assert booked(None) == 130
    call = limiter.begin(10, 20)
    for unknown in ((None, 5), (5, None)):
        limiter.end(call, *unknown)
    assert call.tokens.amount == 30


def test_the_longest_wait_counts():
    limiter = Limiter(requests_per_minute=1, tokens_per_minute=1000)
    call = limiter.begin(100, 0)
    assert (call.request.amount, call.tokens.amount) == (1, 100)
    assert 59 < limiter.begin(0, 0).seconds <= 60
    tokens = Limiter(tokens_per_minute=100)
    tokens.hold(3)
    assert 2 < tokens.begin(100, 0).seconds <= 3


@pytest.mark.parametrize(("wished", "seconds"), [(5, 10), (30, 30), (80, 60)])  # 60 at most
def test_a_provider_that_asks_to_wait_is_heeded_for_a_minute_at_most(wished, seconds):
    limiter = Limiter(requests_per_minute=1)
    limiter._requests.book(1, time.monotonic() - 50)  # ten seconds are left of it
    limiter.hold(wished)
    assert seconds - 1 < limiter.begin(0, 0).seconds <= seconds


def test_whoever_comes_later_waits_for_its_turn_and_not_for_a_time():
    limiter = Limiter(tokens_per_minute=100)
    limiter.hold(30)
    first, second, third = (limiter.begin(10, 0) for _ in range(3))
    assert (second.seconds, second.future.done()) == (None, False)
    assert limiter.begin(10, 0, second.future) == second  # asked too early: its turn is kept
    again = limiter.begin(10, 0, first.future)
    assert 29 < again.seconds <= 30
    assert again.future is not first.future
    limiter.give_up(None)
    limiter.give_up(second.future)
    assert not third.future.done()
    limiter.give_up(again.future)
    assert third.future.done()


def test_what_a_limiter_takes():
    free = Limiter(requests_per_minute=7)
    assert repr(free) == "Limiter(requests_per_minute=7)"
    assert free.enter() is None
    free.leave(None)
    for bad in (True, 0, -1, float("inf")):
        with pytest.raises(ValueError, match=r"tokens_per_minute must be a number above 0"):
            Limiter(tokens_per_minute=bad)
    with pytest.raises(ValueError, match="max_concurrency must be a whole number from 1 up"):
        Limiter(max_concurrency=True)


def test_part_of_a_placed_task_needs_no_place():
    limiter = Limiter(max_concurrency=1)
    limiter.leave(None)  # had no place
    place = limiter.enter()
    inner = contextvars.copy_context()
    inner.run(limiter.mark_placed)
    assert inner.run(limiter.enter) is None
    other = limiter.enter()
    assert not other.done()
    limiter.leave(place)
    assert other.done()


def test_whoever_gave_up_is_passed_over_and_frees_no_place():
    slots = Slots(1)
    first, second, third, fourth = (slots.enter() for _ in range(4))
    second.cancel()
    slots.leave(first)
    assert third.done()
    slots.leave(second)  # it never had one
    assert not fourth.done()
    slots.leave(third)
    assert fourth.done()
