"""One implementation for sync and async: logic as a generator that yields what is to be called.

The generator does everything but the call itself; `drive` makes the calls blocking, `adrive` awaits
them. A call's result is sent back in, its exception thrown in.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from threading import Thread
from typing import Any, TypeVar

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import patch_config, set_config_context

from langgraph_conductor.containment import (
    AWAITED,
    Cancellations,
    acontained,
    contained,
    contained_tasks,
)

AskT = TypeVar("AskT")
ResultT = TypeVar("ResultT")


def drive(logic: Generator[AskT, Any, ResultT], call: Callable[[AskT], Any]) -> ResultT:
    """Run `logic`, answering each thing it yields with `call`."""
    try:
        asked = next(logic)
        while True:
            try:
                answer = call(asked)
            except Exception as error:  # noqa: BLE001 - handed to the logic, which decides
                asked = logic.throw(error)
            else:
                asked = logic.send(answer)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    finally:
        logic.close()  # its own `finally` runs now, also when it is cancelled


async def adrive(logic: Generator[AskT, Any, ResultT], call: Callable[[AskT], Awaitable[Any]]) -> ResultT:
    """`drive`, awaited. Where the task is cancelled, whatever a call comes to, nothing more is asked."""
    cancellations = Cancellations()
    try:
        asked = next(logic)
        while True:
            try:
                answer = await call(asked)
            except Exception as error:  # noqa: BLE001 - handed to the logic, which decides
                cancellations.check()
                asked = logic.throw(error)
            else:
                cancellations.check()
                asked = logic.send(answer)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    finally:
        logic.close()  # its own `finally` runs now, also when it is cancelled


def within(config: RunnableConfig, call: Callable[..., ResultT], *args: Any) -> ResultT:
    """`contained(call, *args)` with `config` as the ambient one, which models called inside it pick up."""
    with set_config_context(config) as context:
        return context.run(contained, call, *args)


async def awithin(
    config: RunnableConfig, call: Callable[..., Coroutine[Any, Any, ResultT]], *args: Any
) -> ResultT:
    """`within`, awaited."""
    loop = asyncio.get_running_loop()
    with set_config_context(config) as context, contained_tasks(loop):
        context.run(AWAITED.set, True)
        return await loop.create_task(acontained(call, *args), context=context)


@dataclass(frozen=True, slots=True)
class Wait:
    """Something to wait for.

    Args:
        future: Done when the waiting is over; `None` to wait for the time alone.
        seconds: Wait no longer; `None` for as long as it takes.
    """

    future: Future[None] | None = None
    seconds: float | None = None


class BlockedLoopError(RuntimeError):
    """A blocking call on the event loop's thread would have to wait for what that loop itself has to do."""


def wait(what: Wait) -> None:
    """Wait, blocking.

    Raises:
        BlockedLoopError: If it would block the event loop of an awaited run.
    """
    if what.future is not None and what.future.done():
        return
    if AWAITED.get() and _on_event_loop():
        raise BlockedLoopError(
            "a blocking call inside an async function would have to wait for its turn; await it (`ainvoke`)"
        )
    if what.future is None:
        time.sleep(what.seconds or 0.0)
        return
    with suppress(NotYet):
        what.future.result(what.seconds)


def _on_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def await_(what: Wait) -> None:
    """Wait, letting others run."""
    if what.future is None:
        await asyncio.sleep(what.seconds or 0.0)
        return
    await asyncio.wait({asyncio.wrap_future(what.future)}, timeout=what.seconds)


def patched(config: RunnableConfig, **changes: Any) -> RunnableConfig:
    """`patch_config`, which leaves the limit of supersteps open where it is.

    LangChain fills in its default of 25, which LangGraph takes for what the caller wants, over the limit that
    an agent was built with (9,999 in `create_agent`).
    """
    patched = patch_config(config, **changes)
    if "recursion_limit" not in config:
        patched.pop("recursion_limit", None)
    return patched


def inherited(config: RunnableConfig) -> RunnableConfig:
    """`config` for a graph that is called where `config` is the ambient one: its callbacks are there already.

    Given twice, LangGraph merges them through a set, and their order is lost (`BaseCallbackManager.merge`).
    """
    return {key: value for key, value in config.items() if key != "callbacks"}  # type: ignore[return-value]


class LateError(Exception):
    """A call was given up because it took too long."""


def timed(seconds: Callable[[], float], call: Callable[[], ResultT]) -> ResultT:
    """`call()`, given up after a time. It goes on in its thread then, since threads cannot be stopped.

    Args:
        seconds: How long it may still take, asked again whenever that is over.
        call: What to call.

    Raises:
        LateError: If it takes longer.
    """
    if seconds() <= 0:
        raise LateError
    result = _begun(call)
    while not result.done():
        if (left := seconds()) <= 0:
            raise LateError
        with suppress(NotYet):
            return result.result(left)
    return result.result()


async def in_thread(call: Callable[..., ResultT], *args: Any) -> ResultT:
    """`call(*args)` in a thread of its own: in the loop's pool it could wait for what waits for the pool."""

    def raisable() -> ResultT:
        try:
            return call(*args)
        except StopIteration as error:  # no awaited future can raise it
            raise RuntimeError(f"the worker raised {type(error).__name__}") from error

    return await asyncio.wrap_future(_begun(raisable))


def _begun(call: Callable[[], ResultT]) -> Future[ResultT]:
    """What `call()` will give or raise; it runs in a daemon thread of its own, in this context."""
    result: Future[ResultT] = Future()
    result.set_running_or_notify_cancel()  # from now on, whoever waits cannot cancel it

    def run() -> None:
        try:
            result.set_result(call())
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            result.set_exception(error)

    Thread(target=copy_context().run, args=(run,), daemon=True).start()
    return result


async def atimed(seconds: Callable[[], float], call: Callable[[], Awaitable[ResultT]]) -> ResultT:
    """`timed`, awaited; what takes too long is cancelled."""
    if seconds() <= 0:
        raise LateError
    task = asyncio.ensure_future(call())
    try:
        while not task.done():
            if (left := seconds()) <= 0:
                raise LateError
            await asyncio.wait({task}, timeout=left)
        return task.result()
    finally:
        if task.cancel():
            await asyncio.wait({task}, timeout=1.0)  # so that it can say what it had used
