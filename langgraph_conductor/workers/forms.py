"""The forms a worker may have, brought to one: a task goes in, text comes out."""

import functools
import inspect
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any, ClassVar, Protocol

from langchain_core.messages import AIMessage, BaseMessage, convert_to_messages
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.base import RunnableBindingBase
from langchain_core.runnables.config import (
    get_async_callback_manager_for_config,
    get_callback_manager_for_config,
)
from langchain_core.runnables.fallbacks import RunnableWithFallbacks
from langgraph.graph import StateGraph
from langgraph.pregel.protocol import PregelProtocol
from pydantic import BaseModel

from langgraph_conductor.driving import awithin, in_thread, patched, within
from langgraph_conductor.records import WorkerTask
from langgraph_conductor.replies import last_text, reply_text, storable
from langgraph_conductor.usage import mapping
from langgraph_conductor.workers.doors import enter_step
from langgraph_conductor.workers.failures import ModelCallError, RefusalError
from langgraph_conductor.workers.memory import remembering
from langgraph_conductor.workers.models import chat_model
from langgraph_conductor.workers.remote import is_remote, remote_calls
from langgraph_conductor.workers.sendable import SystemRole
from langgraph_conductor.workers.whole_replies import check_whole, no_answer, text_in


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


WorkerReply = str | BaseMessage | Sequence[BaseMessage] | Mapping[str, Any] | BaseModel | _Dataclass
"""What a function may return: text, a message, messages, a state with `messages`, an object that can be JSON."""

WorkerFunction = Callable[[WorkerTask], WorkerReply | Awaitable[WorkerReply]]
"""A plain or async function of a `WorkerTask`."""

WorkerRunnable = str | Runnable[Any, Any] | WorkerFunction
"""What a worker may be: a model string; a chat model, chain, compiled graph, remote graph or conductor, which all
are Runnables; or a function."""


@dataclass(frozen=True, slots=True)
class Form:
    """How one kind of worker is called.

    Args:
        call: Blocking call, or `None` if the worker can only be awaited.
        acall: The same, awaited.
        graph: The LangGraph graph behind it, if there is one, so that its state can be inspected.
    """

    call: Callable[[WorkerTask, RunnableConfig], Any] | None
    acall: Callable[[WorkerTask, RunnableConfig], Awaitable[Any]]
    graph: PregelProtocol[Any, Any, Any, Any] | None = None


def form_of(runnable: Any, name: str) -> Form:
    """The form of `runnable`.

    Raises:
        TypeError: If it is none of the forms a worker may have.
        ValueError: If it is a graph whose state has no `messages`.
    """
    if inspect.isclass(runnable):
        raise TypeError(f"worker {name!r}: {runnable.__name__} is a class; give an instance of it")
    if isinstance(runnable, StateGraph):
        raise TypeError(f"worker {name!r}: the graph is not compiled; give graph.compile()")
    if isinstance(runnable, str):
        runnable = chat_model(runnable, f"worker {name!r}")
    if (found := remembering(runnable)) is not None:
        where, why = found
        raise ValueError(
            f"worker {name!r}: what it is made of {why}{where and f' ({where})'}, so it remembers earlier rounds "
            "and steps whatever it is granted; leave its history out, or compile that graph without a "
            "checkpointer: the conductor's serves it as well"
        )
    bound = runnable
    while isinstance(bound, RunnableBindingBase | RunnableWithFallbacks):
        bound = bound.bound if isinstance(bound, RunnableBindingBase) else bound.runnable
    if isinstance(bound, PregelProtocol):
        _need_messages(bound, name)
        if is_remote(bound):
            return Form(*remote_calls(runnable, bound, name), bound)
        return Form(
            lambda task, config: runnable.invoke({"messages": list(task.messages)}, config),
            lambda task, config: runnable.ainvoke({"messages": list(task.messages)}, config),
            bound,
        )
    if isinstance(runnable, Runnable):
        prompted = _Prompted(runnable)
        return Form(prompted.call, prompted.acall)
    if callable(runnable):
        return _function(runnable, name)
    raise TypeError(
        f"worker {name!r}: a worker is a model string, a chat model, a Runnable, a graph with "
        f"`messages`, or a function of a WorkerTask, not {type(runnable).__name__}"
    )


class _Prompted:
    """A runnable that is sent the prompt; without a system role once its model has refused it.

    Args:
        runnable: From messages to text.
    """

    def __init__(self, runnable: Runnable[Any, Any]) -> None:
        self._runnable = runnable
        self._role = SystemRole()

    def call(self, task: WorkerTask, config: RunnableConfig) -> Any:
        """Call it."""
        try:
            return self._runnable.invoke(self._role.sent(task.messages), config)
        except Exception as error:
            if not self._role.learns(task.messages, error):
                raise
        return self._runnable.invoke(self._role.sent(task.messages), config)

    async def acall(self, task: WorkerTask, config: RunnableConfig) -> Any:
        """`call`, awaited."""
        try:
            return await self._runnable.ainvoke(self._role.sent(task.messages), config)
        except Exception as error:
            if not self._role.learns(task.messages, error):
                raise
        return await self._runnable.ainvoke(self._role.sent(task.messages), config)


def text_of_result(result: Any) -> str:
    """The text a worker's result stands for, never empty.

    A graph's state counts by its `structured_response` (as JSON), else by its last non-empty AI text; an object,
    such as structured output and parsers give, by its JSON. A message that only calls tools is no answer.

    Raises:
        CutOffError: If the last message shows that it is not whole.
        EmptyReplyError: If there is no text.
        RefusalError: If a message says that the model refused.
        ModelCallError: If the last message is a middleware's notice that the model could not be called.
        TypeError: If the result can hold no text.
    """
    if isinstance(result, Mapping) and "messages" in result:  # those of a graph behind HTTP come as JSON
        result = {**result, "messages": convert_to_messages(result["messages"])}
    if (last := _last_said(result)) is not None and (reason := _refusal(last)) is not None:
        raise RefusalError(reason)
    if last is not None and _is_notice(last):
        raise ModelCallError(reply_text(last))
    check_whole(last)
    text = _text(result)
    if not text:
        raise no_answer(last)
    return text


def _text(result: Any) -> str:
    if isinstance(result, str):
        return reply_text(result)
    if isinstance(result, BaseMessage):
        return text_in(result)
    if isinstance(result, Mapping) and "messages" in result:
        structured = result.get("structured_response")
        return last_text(result["messages"]) if structured is None else storable(_json(structured))
    if isinstance(result, Mapping) and "raw" in result and "parsed" in result:  # of `include_raw`
        return _text(result["raw"] if result["parsed"] is None else result["parsed"])
    if isinstance(result, Mapping) and {"role", "content"} <= result.keys():
        return text_of_result(convert_to_messages([dict(result)])[0])
    if isinstance(result, list) and all(isinstance(item, BaseMessage) for item in result):
        return last_text(result)
    if isinstance(result, Mapping | BaseModel) or (is_dataclass(result) and not isinstance(result, type)):
        return storable(_json(result))
    raise TypeError(
        "a worker must give a string, a message, a state with `messages`, or an object that can be JSON, "
        f"not {type(result).__name__}"
    )


def _last_said(result: Any) -> BaseMessage | None:
    if isinstance(result, BaseMessage):
        return result
    if isinstance(result, Mapping) and isinstance(raw := result.get("raw"), BaseMessage):
        return raw
    messages = result.get("messages") if isinstance(result, Mapping) else result
    said = reversed(messages) if isinstance(messages, list) else ()
    return next((message for message in said if isinstance(message, AIMessage)), None)


def _is_notice(message: BaseMessage) -> bool:
    """Whether LangChain's `ModelRetryMiddleware` wrote it after its last try, and no model."""
    by_model = message.response_metadata or getattr(message, "usage_metadata", None)
    return not by_model and _NOTICE.match(reply_text(message)) is not None


_NOTICE = re.compile(r"Model call failed after \d+ attempts? with \w+")


def _refusal(message: BaseMessage) -> str | None:
    """Why the model refused, by the signs the providers give; `None` if it did not."""
    said = message.additional_kwargs.get("refusal")
    for block in message.content if isinstance(message.content, list) else ():
        if isinstance(block, Mapping) and block.get("type") == "refusal":
            said = said or block.get("refusal")
    about = message.response_metadata or {}
    incomplete = mapping(about.get("incomplete_details")).get("reason")
    blocked = mapping(about.get("prompt_feedback")).get("block_reason")
    reason = str(about.get("stop_reason") or about.get("finish_reason") or incomplete or "").lower()
    if said or blocked:
        return f"the model refused: {said or blocked}"
    if reason in _REFUSED or (reason in _BLOCKED and not reply_text(message)):
        return f"the model refused ({reason})"
    return None


_REFUSED = {"refusal"}
_BLOCKED = {
    "safety", "content_filter", "content_filtered", "guardrail_intervened", "prohibited_content", "blocklist",
    "spii", "recitation", "language", "image_safety", "model_armor",
}  # fmt: skip


def _function(function: Callable[[WorkerTask], Any], name: str) -> Form:
    inner = function.func if isinstance(function, functools.partial) else function
    target = inner if inspect.isroutine(inner) else getattr(inner, "__call__", inner)  # noqa: B004
    if inspect.isgeneratorfunction(target) or inspect.isasyncgenfunction(target):
        raise TypeError(f"worker {name!r}: a function that yields cannot be a worker; return the text")
    _need_one_argument(function if inner is not function else target, name)

    def blocking(task: WorkerTask) -> Any:
        enter_step()
        result = function(task)
        if inspect.iscoroutine(result):
            result.close()
            raise TypeError(async_only(name))
        return result

    def in_step(task: WorkerTask) -> Any:
        enter_step()
        return function(task)

    async def awaited(task: WorkerTask) -> Any:
        enter_step()
        if inspect.iscoroutinefunction(target):
            return await function(task)
        result = await in_thread(in_step, task)
        return await result if inspect.isawaitable(result) else result

    # LangChain gives runs to Runnables only: a function's is made here, and what it calls goes below.
    def call(task: WorkerTask, config: RunnableConfig) -> Any:
        manager = get_callback_manager_for_config(config)
        run = manager.on_chain_start(None, {"subtask": task.subtask}, name=name)
        try:
            result = within(patched(config, callbacks=run.get_child()), blocking, task)
        except BaseException as error:
            run.on_chain_error(error)
            raise
        run.on_chain_end({"output": result})
        return result

    async def acall(task: WorkerTask, config: RunnableConfig) -> Any:
        manager = get_async_callback_manager_for_config(config)
        run = await manager.on_chain_start(None, {"subtask": task.subtask}, name=name)
        try:
            result = await awithin(patched(config, callbacks=run.get_child()), awaited, task)
        except BaseException as error:
            await run.on_chain_error(error)
            raise
        await run.on_chain_end({"output": result})
        return result

    return Form(None if inspect.iscoroutinefunction(target) else call, acall)


def _need_one_argument(function: Callable[..., Any], name: str) -> None:
    try:
        inspect.signature(function).bind(None)
    except ValueError:
        pass  # a builtin that does not tell
    except TypeError:
        raise TypeError(f"worker {name!r}: the function must take one argument, the WorkerTask") from None


def async_only(name: str) -> str:
    """The message for an async-only worker in a blocking call."""
    return (
        f"worker {name!r} is an async function, or has async tools; "
        "call the conductor with `ainvoke` or `astream`"
    )


def _need_messages(graph: PregelProtocol[Any, Any, Any, Any], name: str) -> None:
    channels = getattr(graph, "channels", None)  # a remote graph does not say
    if channels is not None and "messages" not in channels:
        raise ValueError(
            f"worker {name!r}: a graph used as a worker needs `messages` in its state; "
            "wrap it in a function of a WorkerTask to map other keys"
        )


def _json(structured: Any) -> str:
    if isinstance(structured, BaseModel):
        return structured.model_dump_json()
    if is_dataclass(structured) and not isinstance(structured, type):
        structured = asdict(structured)
    structured = dict(structured) if isinstance(structured, Mapping) else structured
    return json.dumps(structured, ensure_ascii=False, default=_part)


def _part(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)
