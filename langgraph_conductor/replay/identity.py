"""What workers and planners are, as JSON: what their replies are kept under.

It is what may change what they say, and not where they are, how long they are waited for, or with which key.
"""

import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Final

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, messages_to_dict
from langchain_core.runnables import RunnableLambda, RunnableSequence
from langchain_core.runnables.base import RunnableBindingBase
from langchain_core.runnables.fallbacks import RunnableWithFallbacks

from langgraph_conductor.planners import ChatPlanner, Planner
from langgraph_conductor.prompts import PROMPT_VERSION
from langgraph_conductor.workers import Worker, WorkerPool

_NOT_WHAT: Final = (
    "url",
    "base",
    "endpoint",
    "timeout",
    "retries",
    "header",
    "key",
    "stream",
    "client",
    "cache",
)
"""Words in the names of a model's parameters that say where and how it is called."""


def worker_identity(worker: Worker) -> dict[str, Any]:
    """What a worker is."""
    model = worker.models[0] if isinstance(worker.runnable, str) and worker.models else worker.runnable
    return {
        "name": worker.name,
        "version": worker.version,
        "runnable": _runnable(model),
        "tools": [_tool(tool) for tool in worker.tools],
        "middleware": [_kind(part) for part in worker.middleware],
    }


def pool_identity(pool: WorkerPool) -> list[dict[str, Any]]:
    """What a pool is: its workers, and all that planners and accounts know of them."""
    return [
        {
            **worker_identity(worker),
            "ordinal": ordinal,
            "description": worker.description,
            "may_be_last": worker.may_be_last,
            "fallback": worker.fallback,
            "max_input_tokens": worker.max_input_tokens,
            "prices": {name: repr(price) for name, price in worker.prices.items()},
        }
        for ordinal, worker in ((n, pool[name]) for n, name in pool.ordinals.items())
    ]


def planner_identity(planner: Planner) -> Any:
    """What a planner is; `None` if nothing tells.

    A planner of one's own may have an `identity`, JSON that differs wherever its plans may.
    """
    if isinstance(planner, ChatPlanner):
        return {
            "planner": _kind(planner),
            "prompts": PROMPT_VERSION,
            "model": _runnable(planner.model),
            "show": planner.show,
            "structured": planner.structured,
            "max_subtask_chars": planner.max_subtask_chars,
            "prefill": planner.prefill,
            "profiles": planner.profiles and planner.profiles.to_json(),
            "examples": [repr(example) for example in planner.examples],
            "prices": {name: repr(price) for name, price in planner.prices.items()},
        }
    return getattr(planner, "identity", None)


def messages_identity(messages: Sequence[BaseMessage]) -> list[Any]:
    """Messages as JSON."""
    said = messages_to_dict(messages)
    return [[one["type"], one["data"]["content"], one["data"].get("tool_calls") or []] for one in said]


def _runnable(runnable: Any) -> Any:
    if isinstance(runnable, RunnableBindingBase):
        return {"bound": _runnable(runnable.bound), "with": _plain(runnable.kwargs)}
    if isinstance(runnable, RunnableWithFallbacks):
        return {"any of": [_runnable(one) for one in (runnable.runnable, *runnable.fallbacks)]}
    if isinstance(runnable, RunnableSequence):
        return {"chain": [_runnable(one) for one in runnable.steps]}
    if isinstance(runnable, RunnableLambda):
        return _runnable(getattr(runnable, "func", None) or getattr(runnable, "afunc", None))
    if isinstance(runnable, BaseChatModel):
        told = {name: value for name, value in runnable._identifying_params.items() if _says_what(name)}
        about = {name: value for name, value in runnable._get_ls_params().items() if value is not None}
        return {"model": _kind(runnable), "parameters": _plain(told), "about": _plain(about)}
    if isinstance(runnable, functools.partial):
        return {"function": _runnable(runnable.func), "with": _plain([runnable.args, runnable.keywords])}
    if inspect.isroutine(runnable):
        return {"function": f"{runnable.__module__}.{runnable.__qualname__}"}
    return {"object": _kind(runnable), "name": str(getattr(runnable, "name", None) or "")}


def _says_what(parameter: str) -> bool:
    return not any(word in parameter.lower() for word in _NOT_WHAT)


def _tool(tool: Any) -> Any:
    if isinstance(tool, Mapping):  # a connection to an MCP server
        return _plain(
            {name: value for name, value in tool.items() if name in ("transport", "command", "args")}
        )
    described = getattr(tool, "description", None) or inspect.getdoc(tool) or ""
    name = getattr(tool, "name", None) or getattr(tool, "__name__", _kind(tool))
    return {"tool": str(name), "description": str(described), "args": _plain(getattr(tool, "args", None))}


def _plain(value: Any) -> Any:
    """`value` as JSON, with the kind of whatever is none: an address in memory would differ each time."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = [_plain(item) for item in value]
        return sorted(items, key=repr) if isinstance(value, set | frozenset) else items
    if inspect.isclass(value):
        return f"{value.__module__}.{value.__qualname__}"
    return _kind(value)


def _kind(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"
