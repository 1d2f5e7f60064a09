"""The `[[workers]]` and `[limiters]` of a `conductor.toml`."""

import warnings
from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any, Final

from langchain_core.language_models import BaseChatModel

from langgraph_conductor.tables import (
    NUMBER,
    TABLE,
    TABLES,
    TEXT,
    TEXTS,
    WHOLE,
    YES_NO,
    Kind,
    Kinds,
    Table,
    unknown,
)
from langgraph_conductor.workers.config_secrets import filled, refuse_secrets
from langgraph_conductor.workers.limits import Limiter
from langgraph_conductor.workers.models import chat_model
from langgraph_conductor.workers.pool import WorkerPool
from langgraph_conductor.workers.worker import Worker

FILE: Final[Kinds] = {
    "planner": TABLE,
    "conductor": TABLE,
    "budget": TABLE,
    "limiters": TABLE,
    "workers": TABLES,
}
LIMITER: Final[Kinds] = {
    "max_concurrency": WHOLE,
    "requests_per_minute": NUMBER,
    "tokens_per_minute": NUMBER,
}
HISTORY: Final = Kind(
    '"all", "last" or a whole number', lambda value: value in ("all", "last") or WHOLE.fits(value)
)
WORKER: Final[Kinds] = {
    "name": TEXT,
    "model": TEXT,
    "local": TEXT,
    "options": TABLE,
    "description": TEXT,
    "instructions": TEXT,
    "history": HISTORY,
    "tags": TEXTS,
    "tools": TABLES,
    "max_tool_turns": WHOLE,
    "limiter": TEXT,
    **LIMITER,
    "timeout": NUMBER,
    "retries": WHOLE,
    "fallback": TEXT,
    "price": TABLE,
    "max_input_tokens": WHOLE,
    "may_be_last": YES_NO,
    "version": TEXT,
}
_MCP: Final[Kinds] = {"name": TEXT, "transport": TEXT, "read_timeout": NUMBER}
_HTTP: Final[Kinds] = {**_MCP, "url": TEXT, "headers": TABLE}
TRANSPORTS: Final[Mapping[str, Kinds]] = {
    "stdio": {**_MCP, "command": TEXT, "args": TEXTS, "env": TABLE, "cwd": TEXT},
    "http": _HTTP,
    "streamable_http": _HTTP,
    "sse": _HTTP,
    "websocket": {**_MCP, "url": TEXT},
}
"""What a connection to an MCP server may hold."""

Embedded = Callable[..., Worker]
"""Makes an embedded worker: `local.worker`, which lies in a higher floor and is handed down."""


def read_config(path: str | PathLike[str]) -> Table:
    """A configuration file whose tables are known and which holds no key.

    Raises:
        ConfigError: If that is not so.
    """
    table = Table.of_file(path)
    refuse_secrets(table)
    table.check(FILE)
    return table


def pool_of(file: Table, embedded: Embedded | None = None) -> WorkerPool:
    """The workers of a configuration file.

    Args:
        file: What `read_config` gave.
        embedded: `local.worker`, where workers with `local` are allowed.

    Raises:
        ConfigError: If something there is wrong.
        ImportError: If a model or MCP tools need a package that is not installed.
    """
    tables = file.values.get("workers")
    if not tables:
        raise file.error('there is no worker; add [[workers]] with name and model, such as "openai:gpt-5"')
    limiters = _limiters(file)
    workers: list[Worker] = []
    for number, values in enumerate(tables):
        shown = f" {values['name']!r}" if isinstance(values.get("name"), str) else ""
        table = Table(file.file, f"[[workers]] {number}{shown}", values)
        table.check(WORKER, required=["name"])
        if any(worker.name == values["name"] for worker in workers):
            raise table.error("another worker has this name; names must be unique", "name")
        workers.append(_worker(table, limiters, embedded))
    with file.naming("workers"):
        return WorkerPool(workers)


def model_of(table: Table, what: str) -> BaseChatModel:
    """The chat model that `model` and `options` of a table name.

    Args:
        table: The table, checked.
        what: What the model is for, to begin an error with.

    Raises:
        ConfigError: If it cannot be used, or its class does not know an option.
        ImportError: If its package is missing.
    """
    given = table.part("options", f"{table.name}, options")
    with table.naming("model"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LangChain's, of unknown options, which are refused below
        model = chat_model(table.values["model"], what, **filled(dict(given.values)))
    fields = type(model).model_fields
    known = sorted({*fields, *(field.alias for field in fields.values() if field.alias)})
    for key in given.values:
        if key not in known:
            raise given.error(unknown(f"option of {type(model).__name__}", key, known), key)
    return model


def _limiters(file: Table) -> dict[str, Limiter]:
    limiters = {}
    for name, values in file.values.get("limiters", {}).items():
        table = Table(file.file, f"[limiters.{name}]", values)
        if not isinstance(values, dict):
            raise table.error(f"must be a table with {', '.join(LIMITER)}")
        table.check(LIMITER)
        with table.naming():
            limiters[name] = Limiter(**values)
    return limiters


def _worker(table: Table, limiters: Mapping[str, Limiter], embedded: Embedded | None) -> Worker:
    values = table.values
    options = table.without("name", "model", "local", "options")
    if "limiter" in options and options["limiter"] not in limiters:
        raise table.error(unknown("limiter", options["limiter"], limiters), "limiter")
    if "limiter" in options:
        options["limiter"] = limiters[options["limiter"]]
    if ("model" in values) == ("local" in values):
        raise table.error('needs either `model`, such as "openai:gpt-5", or `local`, such as "calculator"')
    if "model" in values:
        if "tools" in options:
            options["tools"] = _mcp_servers(table)
        model = model_of(table, f"worker {values['name']!r}")
        with table.naming():
            return Worker(values["name"], model, **options)
    for key in ("options", "tools"):
        if key in values:
            raise table.error("is for workers with `model`", key)
    if embedded is None:
        raise table.error(
            "embedded workers need WorkerPool.from_config(path, embedded=langgraph_conductor.local.worker)",
            "local",
        )
    with table.naming():
        return embedded(values["local"], values["name"], **options)


def _mcp_servers(table: Table) -> list[dict[str, Any]]:
    servers = []
    for number, values in enumerate(table.values["tools"]):
        server = Table(table.file, f"{table.name}, tools {number}", values)
        transport = values.get("transport")
        if not isinstance(transport, str) or transport not in TRANSPORTS:
            raise server.error(unknown("transport", str(transport), TRANSPORTS), "transport")
        server.check(TRANSPORTS[transport], required=["command" if transport == "stdio" else "url"])
        with server.naming():
            servers.append(filled(values))
    return servers
