"""One implementation for sync and async: logic as a generator that yields what is to be called.

The generator does everything but the call itself; `drive` makes the calls blocking, `adrive` awaits
them. A call's result is sent back in, its exception thrown in.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, TypeVar

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import set_config_context

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


async def adrive(logic: Generator[AskT, Any, ResultT], call: Callable[[AskT], Awaitable[Any]]) -> ResultT:
    """`drive`, awaited."""
    try:
        asked = next(logic)
        while True:
            try:
                answer = await call(asked)
            except Exception as error:  # noqa: BLE001 - handed to the logic, which decides
                asked = logic.throw(error)
            else:
                asked = logic.send(answer)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


def within(config: RunnableConfig, call: Callable[..., ResultT], *args: Any) -> ResultT:
    """`call(*args)` with `config` as the ambient one, which models called inside it pick up."""
    with set_config_context(config) as context:
        return context.run(call, *args)


async def awithin(config: RunnableConfig, awaited: Coroutine[Any, Any, ResultT]) -> ResultT:
    """`within`, awaited."""
    with set_config_context(config) as context:
        return await asyncio.get_running_loop().create_task(awaited, context=context)
