"""The doors every model call below a step or planner goes through, however deep it is made.

They sit in LangChain's callbacks, which reach the models inside agents too. LangChain calls sync handlers
and async ones in different ways, so there are two over one `Meter`: `Door`, which sees every call, and
`AsyncDoor`, which does the waiting where a call is awaited.
"""

import logging
from asyncio import CancelledError
from collections.abc import Awaitable
from inspect import CO_COROUTINE, currentframe
from types import FrameType
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
from langgraph_conductor.workers.watching import Watcher

ResultT = TypeVar("ResultT")


def metered(config: RunnableConfig, meter: Meter, watcher: Watcher | None = None) -> RunnableConfig:
    """`config` under which every model call goes through `meter`, and no tracer is told a key.

    Args:
        config: The config of the step or planner.
        meter: Its accounts.
        watcher: Sees its tools and tokens.
    """
    # merge_configs would not do: it lays the ambient config over this one.
    callbacks, given = config.get("callbacks"), _handlers(config)
    redactor = [Redactor(meter.secrets)] if given else []  # the tracers come after it, if there are any
    others = [*redactor, *given]
    for around in given:
        if isinstance(around, Door):
            around.meter.inner.add(meter)
    doors: list[BaseCallbackHandler] = [Door(meter, others, watcher)]
    if meter.guards:
        doors += [AsyncDoor(meter, others), AsyncTextDoor(meter, others)]
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


def meter_in(config: RunnableConfig) -> Meter | None:
    """The accounts of the step or planner that is called under `config`."""
    return next((door.meter for door in _doors_in(config)), None)


def _doors_in(config: RunnableConfig) -> list["Door"]:
    # The innermost; others watch their own.
    return [door for door in _handlers(config) if isinstance(door, Door)][-1:]


def _handlers(config: RunnableConfig) -> list[BaseCallbackHandler]:
    callbacks = config.get("callbacks")
    return callbacks.handlers if isinstance(callbacks, BaseCallbackManager) else callbacks or []


def _not_ours(record: logging.LogRecord) -> bool:
    """LangChain warns of every error in a handler; ours are refusals, and are told in records."""
    doors = [kind.__name__ for kind in (Door, AsyncDoor, AsyncTextDoor)]
    return not (isinstance(record.args, tuple) and bool(record.args) and record.args[0] in doors)


class Door(BaseCallbackHandler):
    """Sees every call; makes the ones that are not awaited wait.

    LangChain takes its time for every handler, so this one also hears what a `Watcher` is told.
    """

    run_inline = True  # the sums are ready when the call returns, also under asyncio
    raise_error = True

    def __init__(
        self, meter: Meter, others: list[BaseCallbackHandler], watcher: Watcher | None = None
    ) -> None:
        self.meter = meter
        self.others = others
        self._watcher = watcher

    @property
    def ignore_chain(self) -> bool:
        """Whether LangChain leaves it alone with what is neither model nor tool."""
        return True

    @property
    def ignore_agent(self) -> bool:
        """Whether it does with tools."""
        return self._watcher is None

    def on_tool_start(self, serialized: dict[str, Any], input_str: str, **about: Any) -> None:
        """A tool is called (called by LangChain)."""
        if self._watcher:
            self._watcher.on_tool_start(serialized, input_str, **about)

    def on_tool_end(self, output: Any, **about: Any) -> None:
        """It has given something."""
        if self._watcher:
            self._watcher.on_tool_end(output, **about)

    def on_tool_error(self, error: BaseException, **about: Any) -> None:
        """It has failed, or paused."""
        if self._watcher:
            self._watcher.on_tool_error(error, **about)

    def on_llm_new_token(self, token: Any, **about: Any) -> None:
        """A model that streams has said a little more."""
        if self._watcher:
            self._watcher.on_llm_new_token(token, **about)

    def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[list[BaseMessage]], *, run_id: UUID, **about: Any
    ) -> None:
        """A call begins."""
        self._begin(run_id, [m for batch in messages for m in batch], about, currentframe())

    def _begin(
        self, run_id: UUID, messages: list[BaseMessage], about: dict[str, Any], called: FrameType | None
    ) -> None:
        # A frame that is kept in a variable of its own holds itself, and all of the run, until it is collected.
        caller = called and called.f_back
        if self.meter.guards and caller and caller.f_code.co_flags & CO_COROUTINE:
            return  # an awaited call: `AsyncDoor` is asked next, and may wait without blocking
        begun = self.meter.begin(run_id, messages, about)
        try:
            drive(begun, wait)
        except Exception as error:
            told = _told(run_id, about)
            handle_event(self.others, "on_llm_error", "ignore_llm", error, **told)
            raise

    def on_llm_start(
        self, serialized: dict[str, Any], prompts: list[str], *, run_id: UUID, **about: Any
    ) -> None:
        """The same of a model that is no chat model."""
        self._begin(run_id, _as_messages(prompts), about, currentframe())

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_: Any) -> None:
        """A call is answered."""
        self._is_over(run_id)
        self.meter.end(run_id, response)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """A call has failed."""
        self._is_over(run_id)
        self.meter.fail(run_id, error)

    def _is_over(self, run_id: UUID) -> None:
        if self._watcher:
            self._watcher.on_llm_over(run_id)


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
        await self._begin(run_id, [m for batch in messages for m in batch], about)

    async def _begin(self, run_id: UUID, messages: list[BaseMessage], about: dict[str, Any]) -> None:
        try:
            await adrive(self.meter.begin(run_id, messages, about), await_)
        except Exception as error:
            told = _told(run_id, about)
            await ahandle_event(self.others, "on_llm_error", "ignore_llm", error, **told)
            raise


class AsyncTextDoor(AsyncDoor):
    """The same for models that are no chat models. Inline: where any handler is, LangChain asks no other."""

    run_inline = True
    ignore_chat_model = True

    async def on_llm_start(
        self, serialized: dict[str, Any], prompts: list[str], *, run_id: UUID, **about: Any
    ) -> None:
        """An awaited call begins (called by LangChain)."""
        await self._begin(run_id, _as_messages(prompts), about)


def _told(run_id: UUID, about: dict[str, Any]) -> dict[str, Any]:
    return {"run_id": run_id, "parent_run_id": about.get("parent_run_id"), "tags": about.get("tags")}


def _as_messages(prompts: list[str]) -> list[BaseMessage]:
    return [HumanMessage(prompt) for prompt in prompts]
