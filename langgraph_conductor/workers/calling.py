"""How a worker is called: its place among the tasks at once, its tries, its time."""

import time
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, NamedTuple, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphBubbleUp, ParentCommand

from langgraph_conductor.budget import Ledger
from langgraph_conductor.driving import (
    LateError,
    Wait,
    atimed,
    await_,
    awithin,
    inherited,
    patched,
    timed,
    wait,
    within,
)
from langgraph_conductor.records import WorkerTask
from langgraph_conductor.workers.doors import hook_doors, last_failure, watched
from langgraph_conductor.workers.failures import (
    EmptyReplyError,
    ModelCallError,
    retry_after,
    wait_before_retry,
)
from langgraph_conductor.workers.metering import Meter
from langgraph_conductor.workers.unseen import unseen
from langgraph_conductor.workers.worker import Worker

ResultT = TypeVar("ResultT")


class Ask(NamedTuple):
    """One call of a worker, as the logic wants it made."""

    worker: Worker
    task: WorkerTask
    config: RunnableConfig
    meter: Meter


Wanted = Ask | Wait
"""What the logic yields: a call, or something to wait for."""


class HandOverError(Exception):
    """The worker is an agent that wants to go on in another node (`Command(graph=PARENT)`)."""


def meter_of(worker: Worker, ledger: Ledger | None) -> Meter:
    """The accounts of one try of `worker`."""
    return Meter(
        worker=worker.name,
        prices=worker.prices,
        ledger=ledger,
        limiter=worker.limiter,
        max_input_tokens=worker.max_input_tokens,
        own=worker.bounds,
        others=worker.other_bounds,
        secrets=worker.secrets,
    )


def answer(worker: Worker, ask: Callable[[], Ask], ledger: Ledger | None) -> Generator[Wanted, Any, str]:
    """The worker's answer, in its turn, asked again after outages.

    Args:
        worker: Who is asked.
        ask: Makes a call, each time with accounts and a task of its own: an earlier one may have changed
            the task, and may go on in a thread that was left behind.
        ledger: The run's budget; its time bounds the waiting.
    """
    limiter = worker.limiter
    place = limiter.enter() if limiter else None
    # A graph is not begun anew: it would repeat what its tools did.
    retries = worker.retries if worker.form.graph is None else 0
    try:
        if place is not None:
            yield Wait(place, _seconds(ledger))
            if not place.done():
                raise late(None, ledger)
        for tries in count(1):
            if limiter and limiter.held and not limiter.counts_calls:  # else each call waits for itself
                yield Wait(seconds=_at_most(limiter.held, _seconds(ledger)))
            asked, given_up = ask(), True
            try:
                text = str((yield asked))
                given_up = False
                return text
            except ParentCommand:
                raise HandOverError("a worker cannot hand over to a node outside itself") from None
            except GraphBubbleUp:
                raise
            except Exception as failure:
                if isinstance(failure, ModelCallError):
                    failure.__cause__ = last_failure(asked.config)  # tells an outage from a mistake
                if limiter and (wished := retry_after(failure)):
                    limiter.hold(wished)
                seconds = wait_before_retry(failure, tries, retries)
                left = _seconds(ledger)
                if seconds is None or (left is not None and seconds >= left):
                    raise
            finally:
                unseen.leave(asked.meter)
                asked.meter.close(given_up=given_up)
            yield Wait(seconds=seconds)
    finally:
        if limiter:
            limiter.leave(place)
    raise AssertionError  # count() never ends


def _at_most(seconds: float, left: float | None) -> float:
    return seconds if left is None else min(seconds, left)


def _seconds(ledger: Ledger | None) -> float | None:
    return ledger.left.seconds if ledger else None


def call(wanted: Wanted) -> str | None:
    """Do what the logic wants, blocking."""
    if isinstance(wanted, Wait):
        wait(wanted)
        return None
    worker, task, config, meter = wanted

    def run() -> str:
        _mark_placed(worker)
        with _judging(meter):
            text = worker.call(task, _named(worker, config))
            meter.check_whole(text)
            return text

    return in_time(worker.timeout, meter, config, run)


async def acall(wanted: Wanted) -> str | None:
    """`call`, awaited."""
    if isinstance(wanted, Wait):
        await await_(wanted)
        return None
    worker, task, config, meter = wanted

    async def run() -> str:
        _mark_placed(worker)
        with _judging(meter):
            text = await watched(worker.acall(task, _named(worker, config)), config)
            meter.check_whole(text)
            return text

    return await ain_time(worker.timeout, meter, config, run)


@contextmanager
def _judging(meter: Meter) -> Iterator[None]:
    """Blame a server that sent nothing, and not the worker that so has no text."""
    try:
        yield
    except EmptyReplyError as failure:
        blamed = meter.blamed(failure)
        if blamed is failure:
            raise
        raise blamed from failure


def in_time(
    timeout: float | None, meter: Meter, config: RunnableConfig, run: Callable[[], ResultT]
) -> ResultT:
    """`run()` under `config`, given up when its own time or the budget's is over.

    Raises:
        TimeoutError: If it takes longer than `timeout` seconds.
        BudgetExceededError: If the budget's time is over.
    """

    def seen() -> ResultT:
        hook_doors(config)
        return run()

    left = time_left(timeout, meter)
    if left is None:
        return within(config, seen)
    try:
        return timed(left, lambda: within(config, seen))
    except LateError as error:
        raise late(timeout, meter.ledger) from error


async def ain_time(
    timeout: float | None,
    meter: Meter,
    config: RunnableConfig,
    run: Callable[[], Coroutine[Any, Any, ResultT]],
) -> ResultT:
    """`in_time`, awaited."""

    async def seen() -> ResultT:
        hook_doors(config)
        return await run()

    left = time_left(timeout, meter)
    if left is None:
        return await awithin(config, seen)
    try:
        return await atimed(left, lambda: awithin(config, seen))
    except LateError as error:
        raise late(timeout, meter.ledger) from error


def time_left(timeout: float | None, meter: Meter) -> Callable[[], float] | None:
    """Tells how many seconds a call that begins now still has; `None` if nothing limits it."""
    ledger = meter.ledger
    limited = ledger is not None and ledger.budget.seconds is not None
    if timeout is None and not limited:
        return None
    began, waited = time.monotonic(), meter.waited

    def left() -> float:
        lefts = []
        if timeout is not None:
            lefts.append(timeout - (time.monotonic() - began) + (meter.waited - waited))
        if ledger is not None and (seconds := ledger.left.seconds) is not None:
            lefts.append(seconds)
        return min(lefts)

    return left


def late(timeout: float | None, ledger: Ledger | None) -> Exception:
    """What a call that was given up on is called: the budget's time, or the worker's own."""
    if ledger is not None and ledger.left.seconds == 0:
        return ledger.refuse(f"the budget of {ledger.budget.seconds:g} seconds is over", "seconds")
    return TimeoutError(f"no answer within {timeout:g} seconds")


def _mark_placed(worker: Worker) -> None:
    if worker.limiter:
        worker.limiter.mark_placed()


def _named(worker: Worker, config: RunnableConfig) -> RunnableConfig:
    # The name is for the worker's own run; in the ambient config it would name every call inside.
    named = patched(config, run_name=worker.name)
    return named if worker.form.graph is None else inherited(named)
