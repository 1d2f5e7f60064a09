"""The doors every model call below a step or planner goes through, however deep it is made.

They sit in LangChain's callbacks, which reach the models inside agents too. LangChain calls sync handlers
and async ones in different ways, so there are two over one `Meter`: `Door`, which sees every call, and
`AsyncDoor`, which does the waiting where a call is awaited.
"""

import logging
from asyncio import CancelledError
from collections.abc import Awaitable
from inspect import CO_COROUTINE, currentframe
from typing import Any, TypeVar
from uuid import UUID

from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler, BaseCallbackManager
from langchain_core.callbacks.manager import ahandle_event, handle_event
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.outputs import LLMResult
from langchain_core.runnables import RunnableConfig

from langgraph_conductor.driving import adrive, await_, drive, wait
from langgraph_conductor.workers.metering import Meter
from langgraph_conductor.workers.redaction import Redactor

ResultT = TypeVar("ResultT")


def metered(config: RunnableConfig, meter: Meter) -> RunnableConfig:
    """`config` under which every model call goes through `meter`, and no tracer is told a key.

    Args:
        config: The config of the step or planner.
        meter: Its accounts.
    """
    # merge_configs would not do: it lays the ambient config over this one.
    callbacks = config.get("callbacks")
    given = callbacks.handlers if isinstance(callbacks, BaseCallbackManager) else callbacks or []
    redactor = [Redactor(meter.secrets)] if given else []  # the tracers come after it, if there are any
    others = [*redactor, *given]
    doors: list[BaseCallbackHandler] = [Door(meter, others)]
    if meter.guards:
        doors.append(AsyncDoor(meter, others))
        logging.getLogger(handle_event.__module__).addFilter(_not_ours)  # once: it is the same object
    if not isinstance(callbacks, BaseCallbackManager):
        return {**config, "callbacks": [*others, *doors]}
    manager = callbacks.copy()
    manager.handlers = [*others, *doors]
    manager.inheritable_handlers = [*redactor, *manager.inheritable_handlers, *doors]
    return {**config, "callbacks": manager}


async def watched(call: Awaitable[ResultT], config: RunnableConfig) -> ResultT:
    """Await a call that is made under a `metered` config.

    LangChain tells nobody that a model call was cancelled, and its run in the trace would never end.
    """
    try:
        return await call
    except CancelledError as error:
        for door in _doors_in(config):
            for run_id in door.meter.in_flight:
                await ahandle_event(door.others, "on_llm_error", "ignore_llm", error, run_id=run_id)
        raise


def _doors_in(config: RunnableConfig) -> list["Door"]:
    callbacks = config.get("callbacks")
    given = callbacks.handlers if isinstance(callbacks, BaseCallbackManager) else callbacks or []
    return [door for door in given if isinstance(door, Door)][-1:]  # the innermost; others watch their own


def _not_ours(record: logging.LogRecord) -> bool:
    """LangChain warns of every error in a handler; ours are refusals, and are told in records."""
    doors = (Door.__name__, AsyncDoor.__name__)
    return not (isinstance(record.args, tuple) and bool(record.args) and record.args[0] in doors)


class Door(BaseCallbackHandler):
    """Sees every call; makes the ones that are not awaited wait."""

    run_inline = True  # the sums are ready when the call returns, also under asyncio
    raise_error = True

    def __init__(self, meter: Meter, others: list[BaseCallbackHandler]) -> None:
        self.meter = meter
        self.others = others

    def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[list[BaseMessage]], *, run_id: UUID, **about: Any
    ) -> None:
        """A call begins (called by LangChain)."""
        caller = currentframe()
        caller = caller.f_back if caller else None
        if self.meter.guards and caller and caller.f_code.co_flags & CO_COROUTINE:
            return  # an awaited call: `AsyncDoor` is asked next, and may wait without blocking
        begun = self.meter.begin(run_id, [m for batch in messages for m in batch], about)
        try:
            drive(begun, wait)
        except Exception as error:
            told = {
                "run_id": run_id,
                "parent_run_id": about.get("parent_run_id"),
                "tags": about.get("tags"),
            }
            handle_event(self.others, "on_llm_error", "ignore_llm", error, **told)
            raise

    def on_llm_start(
        self, serialized: dict[str, Any], prompts: list[str], *, run_id: UUID, **about: Any
    ) -> None:
        """The same of a model that is no chat model."""
        self.on_chat_model_start(serialized, [_as_messages(prompts)], run_id=run_id, **about)

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_: Any) -> None:
        """A call is answered."""
        self.meter.end(run_id, response)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """A call has failed."""
        self.meter.fail(run_id, error)


class AsyncDoor(AsyncCallbackHandler):
    """Makes awaited calls wait. Not inline: LangChain would leave other handlers' coroutines un-awaited."""

    raise_error = True

    def __init__(self, meter: Meter, others: list[BaseCallbackHandler]) -> None:
        self.meter = meter
        self.others = others

    async def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[list[BaseMessage]], *, run_id: UUID, **about: Any
    ) -> None:
        """An awaited call begins (called by LangChain)."""
        begun = self.meter.begin(run_id, [m for batch in messages for m in batch], about)
        try:
            await adrive(begun, await_)
        except Exception as error:
            told = {
                "run_id": run_id,
                "parent_run_id": about.get("parent_run_id"),
                "tags": about.get("tags"),
            }
            await ahandle_event(self.others, "on_llm_error", "ignore_llm", error, **told)
            raise

    async def on_llm_start(
        self, serialized: dict[str, Any], prompts: list[str], *, run_id: UUID, **about: Any
    ) -> None:
        """The same of a model that is no chat model."""
        await self.on_chat_model_start(serialized, [_as_messages(prompts)], run_id=run_id, **about)


def _as_messages(prompts: list[str]) -> list[BaseMessage]:
    return [HumanMessage(prompt) for prompt in prompts]
