"""The doors every model call below a step or planner goes through, however deep it is made.

They are LangChain callback handlers, which reach the models inside agents too. A call that is given callbacks
of its own does not inherit them, so they are also hooked into LangChain (`register_configure_hook`) for all that
runs in the context of the step. LangChain calls sync handlers and async ones in different ways, so there are two
over one `Accounts`: `Door`, which sees every call, and `AsyncDoor`, which waits where a call is awaited.
"""

import logging
import sys
from asyncio import CancelledError
from collections.abc import AsyncIterator, Awaitable, Generator, Iterable, Iterator
from contextvars import ContextVar
from inspect import CO_COROUTINE
from types import FrameType
from typing import Any, Final, TypeVar, cast
from uuid import UUID

from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler, BaseCallbackManager
from langchain_core.callbacks.manager import ahandle_event, handle_event
from langchain_core.messages import AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.outputs import LLMResult
from langchain_core.runnables import RunnableConfig
from langchain_core.tracers.context import register_configure_hook

from langgraph_conductor.driving import Wait, adrive, await_, drive, wait
from langgraph_conductor.workers.broken_calls import StreamedCalls
from langgraph_conductor.workers.metering import Meter
from langgraph_conductor.workers.redaction import Redactor
from langgraph_conductor.workers.streamed_usage import StreamedUsage
from langgraph_conductor.workers.unseen import unseen
from langgraph_conductor.workers.watching import Watcher

ResultT = TypeVar("ResultT")

_FRAMES_TO_MANAGER: Final = 4


def metered(config: RunnableConfig, meter: Meter, watcher: Watcher | None = None) -> RunnableConfig:
    """`config` under which every model call goes through `meter`, and no tracer is told a key.

    The call itself has to be made after `hook_doors`, so that calls with callbacks of their own are seen too.

    Args:
        config: The config of the step or planner.
        meter: Its accounts.
        watcher: Sees its tools and tokens.
    """
    # merge_configs would not do: it lays the ambient config over this one.
    callbacks, given = config.get("callbacks"), _handlers(config)
    around = [door.accounts for door in (_HOOKS[Door].get(), *_doors_in(given)) if isinstance(door, Door)]
    accounts = Accounts.within(around, meter, watcher)
    others = _without_doors(given)
    redactor = [Redactor(meter.secrets)] if others else []  # the tracers come after it, if there are any
    doors: list[BaseCallbackHandler] = [(StreamingDoor if accounts.streams else Door)(accounts)]
    if accounts.guards:
        doors += [AsyncDoor(accounts), AsyncTextDoor(accounts)]
        logging.getLogger(handle_event.__module__).addFilter(_not_ours)  # once: it is the same object
    if not isinstance(callbacks, BaseCallbackManager):
        return {**config, "callbacks": [*redactor, *others, *doors]}
    manager = callbacks.copy()
    manager.handlers = [*redactor, *others, *doors]
    manager.inheritable_handlers = [*redactor, *_without_doors(manager.inheritable_handlers), *doors]
    return {**config, "callbacks": manager}


def hook_doors(config: RunnableConfig) -> None:
    """Let the doors of a `metered` config see all calls made in this context, whatever callbacks they are given.

    The context is that of `contextvars`: tasks and LangChain's executors copy it, plain threads do not.
    """
    doors = {_kind(handler): handler for handler in _handlers(config)}
    if meter := meter_in(config):
        unseen.watch(meter)
        unseen.enter(meter, doors)
    for kind, hook in _HOOKS.items():
        hook.set(doors.get(kind))


def _kind(handler: BaseCallbackHandler) -> type:
    return Door if isinstance(handler, StreamingDoor) else type(handler)


def enter_step() -> None:
    """Let calls in empty contexts be the step's, from here on in this task or thread, which was begun for it."""
    doors = {kind: hook.get() for kind, hook in _HOOKS.items()}
    if (door := doors[Door]) is not None:
        unseen.enter(door.accounts.meters[-1], doors)


async def watched(call: Awaitable[ResultT], config: RunnableConfig) -> ResultT:
    """Await a call that is made under a `metered` config.

    LangChain tells nobody that a call of a model or tool was cancelled: its run in the trace would never end.
    """
    try:
        return await call
    except CancelledError as error:
        for door in _doors_in(_handlers(config)):
            for run_id, handlers in door.accounts.cancelled(error):
                await ahandle_event(handlers, "on_llm_error", "ignore_llm", error, run_id=run_id)
            for run_id, handlers in door.accounts.tools_in_flight():
                await ahandle_event(handlers, "on_tool_error", "ignore_agent", error, run_id=run_id)
        raise


def last_failure(config: RunnableConfig) -> BaseException | None:
    """Why the last model call under a `metered` config failed; `None` if it did not."""
    return next((door.accounts.failure for door in _doors_in(_handlers(config))), None)


def meter_in(config: RunnableConfig) -> Meter | None:
    """The accounts of the step or planner that is called under `config`."""
    return next((door.accounts.meters[-1] for door in _doors_in(_handlers(config))), None)


def _doors_in(handlers: Iterable[BaseCallbackHandler]) -> list["Door"]:
    # The innermost, which also has the accounts around its own.
    return [door for door in handlers if isinstance(door, Door)][-1:]


def _without_doors(handlers: Iterable[BaseCallbackHandler]) -> list[BaseCallbackHandler]:
    return [handler for handler in handlers if not isinstance(handler, Door | AsyncDoor)]


def _handlers(config: RunnableConfig) -> list[BaseCallbackHandler]:
    callbacks = config.get("callbacks")
    return callbacks.handlers if isinstance(callbacks, BaseCallbackManager) else callbacks or []


def _handlers_beside() -> list[BaseCallbackHandler]:
    """All handlers of the call that LangChain calls a door about.

    They are told of a refusal, since LangChain does not: a tracer's run would never end. Which handlers a call has
    only its callback manager knows, a few frames further out.
    """
    frame: FrameType | None = sys._getframe(3)  # past this function, `_begin` and the door's method
    for _ in range(_FRAMES_TO_MANAGER):
        if frame is None:
            break
        if isinstance(manager := frame.f_locals.get("self"), BaseCallbackManager):
            return manager.handlers
        frame = frame.f_back
    return []


def _not_ours(record: logging.LogRecord) -> bool:
    """LangChain warns of every error in a handler; ours are refusals, and are told in records."""
    doors = [kind.__name__ for kind in (Door, StreamingDoor, AsyncDoor, AsyncTextDoor)]
    return not (isinstance(record.args, tuple) and bool(record.args) and record.args[0] in doors)


class _Stream:
    """What is heard of one streamed call while it goes on."""

    def __init__(self) -> None:
        self.calls, self.usage = StreamedCalls(), StreamedUsage()
        self._latest: AIMessageChunk | None = None

    def hear(self, message: AIMessageChunk) -> None:
        """A chunk has come; two doors may tell of the same one."""
        if message is self._latest:
            return
        self._latest = message
        self.calls.hear(message)
        self.usage.hear(message)


class Accounts:
    """The accounts of a step or planner and of those around it, which see the same calls.

    Args:
        meters: The outermost first.
        watchers: See the tools and tokens of each.
    """

    def __init__(self, meters: tuple[Meter, ...], watchers: tuple[Watcher, ...] = ()) -> None:
        self.meters = meters
        self.watchers = watchers
        self.guards = any(meter.guards for meter in meters)
        self.failure: BaseException | None = None
        """Why the last model call failed; `None` after one that did not."""
        self._beside: dict[UUID, list[BaseCallbackHandler]] = {}
        self._tools: dict[UUID, list[BaseCallbackHandler]] = {}
        self._streams: dict[UUID, _Stream] = {}

    @classmethod
    def within(
        cls, around: Iterable["Accounts"], meter: Meter, watcher: Watcher | None = None
    ) -> "Accounts":
        """Those of `meter`, within others."""
        around = list(around)
        meters = dict.fromkeys([*(known for one in around for known in one.meters), meter])
        watchers = dict.fromkeys(known for one in around for known in one.watchers)
        return cls((*meters,), (*watchers, *([watcher] if watcher else ())))

    @property
    def listening(self) -> tuple[Watcher, ...]:
        """The watchers, while there is something to watch: what goes on after a step is none of its run's."""
        return () if self.meters[-1].is_over else self.watchers

    @property
    def streams(self) -> bool:
        """Whether somebody wants to be told tokens."""
        return any(watcher.tokens for watcher in self.watchers)

    def heard(self, run_id: UUID, handlers: list[BaseCallbackHandler]) -> None:
        """Keep who was told that a call begins."""
        self._beside[run_id] = handlers

    def begin(
        self, run_id: UUID, messages: list[BaseMessage], about: dict[str, Any]
    ) -> Generator[Wait, None, None]:
        """Admit one call, see `Meter.begin`."""
        begun: list[Meter] = []
        try:
            for meter in self.meters:
                yield from meter.begin(run_id, messages, about)
                begun.append(meter)
        except BaseException:  # cancelled, too
            for meter in begun:
                meter.drop(run_id)
            raise

    def hear(self, run_id: UUID, chunk: Any) -> None:
        """Note what a chunk of a streamed call tells of its tool calls and its usage."""
        message = getattr(chunk, "message", None)
        if isinstance(message, AIMessageChunk) and (message.tool_call_chunks or message.usage_metadata):
            self._streams.setdefault(run_id, _Stream()).hear(message)

    def end(self, run_id: UUID, response: LLMResult) -> None:
        """Count what a call used."""
        self.failure = None
        self._beside.pop(run_id, None)
        stream = self._streams.pop(run_id, None)
        if stream is not None:
            stream.calls.mend(response)
        for meter in self.meters:
            meter.end(run_id, response, None if stream is None else stream.usage)

    def fail(self, run_id: UUID, error: BaseException) -> None:
        """Count a call that failed."""
        self.failure = error
        self._beside.pop(run_id, None)
        self._streams.pop(run_id, None)
        for meter in self.meters:
            meter.fail(run_id, error)

    def tool_begun(self, run_id: UUID, handlers: list[BaseCallbackHandler]) -> None:
        """Keep who was told that a tool is called."""
        self._tools[run_id] = handlers

    def tool_over(self, run_id: UUID) -> None:
        """Forget it."""
        self._tools.pop(run_id, None)

    def tools_in_flight(self) -> list[tuple[UUID, list[BaseCallbackHandler]]]:
        """The tools that are called and have not ended, and who is to be told; each once."""
        tools, self._tools = list(self._tools.items()), {}
        return tools

    def others(self, run_id: UUID) -> list[BaseCallbackHandler]:
        """Who else was told that a call begins, and is to be told, once, that it was not made or is over."""
        handlers = self._beside.pop(run_id, [])
        return [h for h in handlers if not (isinstance(h, Door | AsyncDoor) and h.accounts is self)]

    def cancelled(self, error: BaseException) -> list[tuple[UUID, list[BaseCallbackHandler]]]:
        """The calls in flight of a step that was cancelled, and who is to be told.

        Its own accounts keep them as they are: a call that was in flight may have been paid.
        """
        calls = [(run_id, self.others(run_id)) for run_id in self.meters[-1].in_flight]
        for run_id, _ in calls:
            for meter in self.meters[:-1]:
                meter.fail(run_id, error)
        return calls


class Door(BaseCallbackHandler):
    """Sees every call; makes the ones that are not awaited wait.

    LangChain takes its time for every handler, so this one also hears what a `Watcher` is told.
    """

    run_inline = True  # the sums are ready when the call returns, also under asyncio
    raise_error = True

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts

    @property
    def ignore_chain(self) -> bool:
        """Whether LangChain leaves it alone with what is neither model nor tool."""
        return True

    @property
    def ignore_agent(self) -> bool:
        """Whether it does with tools: their runs have to end, also in a step that is cancelled."""
        return False

    def on_tool_start(self, serialized: dict[str, Any], input_str: str, **about: Any) -> None:
        """A tool is called (called by LangChain)."""
        self.accounts.tool_begun(about["run_id"], _handlers_beside())
        for watcher in self.accounts.listening:
            watcher.on_tool_start(serialized, input_str, **about)

    def on_tool_end(self, output: Any, **about: Any) -> None:
        """It has given something."""
        self.accounts.tool_over(about["run_id"])
        for watcher in self.accounts.listening:
            watcher.on_tool_end(output, **about)

    def on_tool_error(self, error: BaseException, **about: Any) -> None:
        """It has failed, or paused."""
        self.accounts.tool_over(about["run_id"])
        for watcher in self.accounts.listening:
            watcher.on_tool_error(error, **about)

    def on_llm_new_token(self, token: Any, **about: Any) -> None:
        """A model that streams has said a little more."""
        self.accounts.hear(about["run_id"], about.get("chunk"))
        for watcher in self.accounts.listening:
            watcher.on_llm_new_token(token, **about)

    def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[list[BaseMessage]], *, run_id: UUID, **about: Any
    ) -> None:
        """A call begins."""
        self._begin(run_id, [m for batch in messages for m in batch], about)

    def on_llm_start(
        self, serialized: dict[str, Any], prompts: list[str], *, run_id: UUID, **about: Any
    ) -> None:
        """The same of a model that is no chat model."""
        self._begin(run_id, _as_messages(prompts), about)

    def _begin(self, run_id: UUID, messages: list[BaseMessage], about: dict[str, Any]) -> None:
        self.accounts.heard(run_id, _handlers_beside())
        if self.accounts.guards and sys._getframe(2).f_code.co_flags & CO_COROUTINE:
            return  # an awaited call: `AsyncDoor` is asked next, and may wait without blocking
        try:
            drive(self.accounts.begin(run_id, messages, about), wait)
        except Exception as error:
            others, told = self.accounts.others(run_id), _told(run_id, about)
            handle_event(others, "on_llm_error", "ignore_llm", error, **told)
            raise

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_: Any) -> None:
        """A call is answered."""
        self._is_over(run_id)
        self.accounts.end(run_id, response)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """A call has failed."""
        self._is_over(run_id, failed=True)
        self.accounts.fail(run_id, error)

    def _is_over(self, run_id: UUID, *, failed: bool = False) -> None:
        for watcher in self.accounts.listening:
            watcher.on_llm_over(run_id, failed=failed)


class StreamingDoor(Door):
    """A door for whose sake models stream, also where they are invoked.

    LangChain has them stream where a handler has these two methods, as LangGraph's of `messages` does: the
    protocol `_StreamingCallbackHandler` is checked by what an object has.
    """

    def tap_output_iter(self, run_id: UUID, output: Iterator[ResultT]) -> Iterator[ResultT]:
        """The output itself."""
        return output

    def tap_output_aiter(self, run_id: UUID, output: AsyncIterator[ResultT]) -> AsyncIterator[ResultT]:
        """The output itself."""
        return output


class AsyncDoor(AsyncCallbackHandler):
    """Makes awaited calls wait. Not inline: LangChain would leave other handlers' coroutines un-awaited."""

    raise_error = True

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts

    async def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[list[BaseMessage]], *, run_id: UUID, **about: Any
    ) -> None:
        """An awaited call begins (called by LangChain)."""
        await self._begin(run_id, [m for batch in messages for m in batch], about)

    async def _begin(self, run_id: UUID, messages: list[BaseMessage], about: dict[str, Any]) -> None:
        try:
            await adrive(self.accounts.begin(run_id, messages, about), await_)
        except Exception as error:
            others, told = self.accounts.others(run_id), _told(run_id, about)
            await ahandle_event(others, "on_llm_error", "ignore_llm", error, **told)
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


class _Hook:
    """The door of one kind, as LangChain asks for it: by the context, or where that is empty by what runs."""

    def __init__(self, kind: type) -> None:
        self.kind = kind
        self._var: ContextVar[Any] = ContextVar(kind.__name__, default=None)
        self.set = self._var.set

    def get(self, default: Any = None) -> Any:
        """The door, if there is one."""
        door = self._var.get()
        return unseen.door(self.kind) or default if door is None else door


_HOOKS: Final[dict[type, _Hook]] = {kind: _Hook(kind) for kind in (Door, AsyncDoor, AsyncTextDoor)}
"""The doors of the step that runs in a context. LangChain adds them to the handlers of a call that lacks them."""
for _hook in _HOOKS.values():
    register_configure_hook(cast("ContextVar[Any]", _hook), inheritable=True)


def _told(run_id: UUID, about: dict[str, Any]) -> dict[str, Any]:
    return {"run_id": run_id, "parent_run_id": about.get("parent_run_id"), "tags": about.get("tags")}


def _as_messages(prompts: list[str]) -> list[BaseMessage]:
    return [HumanMessage(prompt) for prompt in prompts]
