"""What workers and planners are, as JSON: what their replies are kept under.

It is what may change what they say, and not where they are, how long they are waited for, or with which key.
"""

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from weakref import WeakKeyDictionary

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, messages_to_dict
from langchain_core.runnables import RunnableSequence
from langchain_core.runnables.base import RunnableBindingBase
from langchain_core.runnables.fallbacks import RunnableWithFallbacks
from pydantic_core import PydanticUndefined

from langgraph_conductor.planners import ChatPlanner, Planner
from langgraph_conductor.planners.chat import Learned
from langgraph_conductor.prompts import PROMPT_VERSION
from langgraph_conductor.replay.code import digest_of, kind_of, name_of
from langgraph_conductor.workers import Worker, WorkerPool
from langgraph_conductor.workers.failures import secrets_of
from langgraph_conductor.workers.redaction import hidden

_WHERE: Final = re.compile(
    r"(.*_)?(api_key|api_base|base_url|api_url|endpoint|proxy|organization|timeout|max_retries|credentials"
    r"|client|client_args|project|location|http_socket_options)|stream|streaming|stream_usage|disable_streaming"
    r"|app_url|app_title|app_categories|session_id|trace|server|include_response_headers|tiktoken_model_name|name"
)
"""Names of models' parameters that say where and how they are called."""
_DIGESTS: "WeakKeyDictionary[Worker, dict[str, Any]]" = WeakKeyDictionary()
"""What workers were when they were first seen: one that counts its calls is no other after each."""


def worker_identity(worker: Worker) -> dict[str, Any]:
    """What a worker is; no key of its own is in it.

    Functions, graphs, tools and middleware are known by a digest of their code and what it holds, taken when
    the worker is first seen; or, if it has a `version`, by their names and that.
    """
    model = worker.models[0] if isinstance(worker.runnable, str) and worker.models else worker.runnable
    identity = {
        "name": worker.name,
        "version": worker.version,
        "runnable": _runnable(model),
        "tools": [_tool(tool) for tool in worker.tools],
        "middleware": [kind_of(part) for part in worker.middleware],
        "max_tool_turns": worker.max_tool_turns,
    }
    if worker.instructions:
        identity["instructions"] = worker.instructions  # said only then, so that what is kept stays known
    if worker.history != "all":
        identity["history"] = worker.history
    if not worker.version:
        if worker not in _DIGESTS:
            _DIGESTS[worker] = _code(worker, model)
        identity["code"] = _DIGESTS[worker]
    told: dict[str, Any] = hidden(identity, worker.secrets)
    return told


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
        identity = {
            "planner": kind_of(planner),
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
        if not planner.show_previous_plan:
            identity["show_previous_plan"] = False  # said only then, so that what is kept stays known
        if planner.instructions is not None:
            identity["instructions"] = planner.instructions
        if type(planner) is not ChatPlanner:
            identity["code"] = digest_of(planner, _known)
        elif not isinstance(planner.model, BaseChatModel):  # what its parsers, say, make of replies
            identity["code"] = digest_of(planner.model, _known)
        return hidden(identity, secrets_of(planner.model))
    return getattr(planner, "identity", None)


def messages_identity(messages: Sequence[BaseMessage]) -> list[Any]:
    """Messages as JSON."""
    said = messages_to_dict(messages)
    return [[one["type"], one["data"]["content"], one["data"].get("tool_calls") or []] for one in said]


def _code(worker: Worker, model: Any) -> dict[str, str]:
    """Digests of what only code tells."""
    parts = {"runnable": model, "tools": worker.tools, "middleware": worker.middleware}
    return {
        name: digest_of(part, _known)
        for name, part in parts.items()
        if part and not isinstance(part, BaseChatModel)
    }


def _known(value: Any) -> Any:
    """The identity of what has one, wherever it is found in something else."""
    if isinstance(value, BaseChatModel):
        return _runnable(value)
    if isinstance(value, Worker):
        return worker_identity(value)
    if isinstance(value, Mapping) and "transport" in value:
        return _tool(value)
    if isinstance(value, Learned):  # it changes while a planner is at work, and the planner stays the same
        return "learned"
    return None


def _runnable(runnable: Any) -> Any:
    if isinstance(runnable, RunnableBindingBase):
        return {"bound": _runnable(runnable.bound), "with": _plain(runnable.kwargs)}
    if isinstance(runnable, RunnableWithFallbacks):
        return {"any of": [_runnable(one) for one in (runnable.runnable, *runnable.fallbacks)]}
    if isinstance(runnable, RunnableSequence):
        return {"chain": [_runnable(one) for one in runnable.steps]}
    if isinstance(runnable, BaseChatModel):
        told = {**_set_fields(runnable), **runnable._identifying_params}
        told = {name: value for name, value in told.items() if not _WHERE.fullmatch(name)}
        about = {name: value for name, value in runnable._get_ls_params().items() if value is not None}
        return {"model": kind_of(runnable), "parameters": _plain(told), "about": _plain(about)}
    if inspect.isroutine(runnable):
        return {"function": name_of(runnable)}
    return {"object": kind_of(runnable), "name": str(getattr(runnable, "name", None) or "")}


def _set_fields(model: BaseChatModel) -> dict[str, Any]:
    """The fields that differ from their defaults; not those a class calls inner (`exclude`, `repr=False`)."""
    fields = {
        name: (getattr(model, name, None), field.get_default(call_default_factory=False))
        for name, field in type(model).model_fields.items()
        if field.repr and not field.exclude
    }
    return {
        name: value
        for name, (value, default) in fields.items()
        if value is not None
        and value != default
        and not (default in (None, PydanticUndefined) and value == {})
    }


def _tool(tool: Any) -> Any:
    if isinstance(tool, Mapping):  # a connection to an MCP server
        return _plain(
            {name: value for name, value in tool.items() if name in ("transport", "command", "args")}
        )
    return str(getattr(tool, "name", None) or getattr(tool, "__name__", kind_of(tool)))


def _plain(value: Any) -> Any:
    """`value` as JSON, with a digest of whatever is none: an address in memory would differ each time."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return f"{kind_of(value)} {digest_of(value, _known)}"
