"""`langgraph-conductor ask`: runs a conductor and shows its progress on stderr."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer
from langgraph.graph.state import CompiledStateGraph

from langgraph_conductor import Budget
from langgraph_conductor.cli.exits import say
from langgraph_conductor.config import ConductorConfig, read_conductor
from langgraph_conductor.display import live
from langgraph_conductor.display.live import Show
from langgraph_conductor.display.words import why

_NOTE = 300


def configured(path: str | None) -> ConductorConfig:
    """What a configuration file says; without one, the embedded models."""
    if path is not None:
        return read_conductor(path)
    from langgraph_conductor import local

    return ConductorConfig("the embedded models", local.planner(), local.workers(), None, {"max_steps": 3})


def check_choice(
    config: ConductorConfig, workers: list[str] | None, exclude: list[str] | None
) -> dict[str, Any]:
    """The workers of this run, as options of it.

    Raises:
        typer.BadParameter: If one is not there, or none is left that could end a workflow.
    """
    chosen: dict[str, Any] = {}
    if workers:
        chosen["workers"] = workers
    if exclude:
        chosen["exclude"] = exclude
    try:
        config.workers.offered(**chosen)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return chosen


def limited(budget: Budget | None, usd: str | None, seconds: float | None) -> Budget | None:
    """The file's budget with the limits of this run in the place of its own.

    Raises:
        typer.BadParameter: If a limit does not fit.
    """
    limits = {name: value for name, value in (("usd", usd), ("seconds", seconds)) if value is not None}
    if not limits:
        return budget
    try:
        return Budget(**{**(asdict(budget) if budget else {}), **limits})
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def check_writable(file: Path) -> None:
    """Refuse a file that could not be written after the run.

    Raises:
        typer.BadParameter: If its folder is not there, or does not let it be written.
    """
    if not file.parent.is_dir():
        raise typer.BadParameter(
            f"there is no folder {str(file.parent)!r} to write {file.name!r} to; make it"
        )
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise typer.BadParameter(f"{str(file)!r} may not be written; choose another file")


def run(
    conductor: CompiledStateGraph[Any, Any, Any, Any],
    question: str,
    options: Mapping[str, Any],
    *,
    quiet: bool = False,
) -> dict[str, Any]:
    """The conductor's result; its progress is shown on stderr while it runs.

    Args:
        conductor: What `create_conductor` gave.
        question: What to ask it.
        options: Options of this run.
        quiet: Whether to show no progress.
    """
    from rich.console import Console

    with nullcontext(_ignore) if quiet else live(Console(stderr=True)) as show:
        # Awaited, since workers with MCP tools have no other way, and a running call can be cancelled.
        result = asyncio.run(_run(conductor, question, options, show))
    for record in result["rounds"]:
        if error := record["plan"]["error"]:
            then = "the earlier answer was kept" if record["accepted"] else "one worker answered alone"
            say(f"note: round {record['round']} could not be planned, {then}: {why(error, _NOTE)}")
    if result["stopped"]:
        say(f"note: {result['stopped']}")
    return result


async def _run(
    conductor: CompiledStateGraph[Any, Any, Any, Any],
    question: str,
    options: Mapping[str, Any],
    show: Show,
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    parts: AsyncIterator[Any] = conductor.astream(
        {"messages": [{"role": "user", "content": question}]},
        {"configurable": {"conductor": dict(options)}},
        stream_mode=["custom", "values"],
    )
    async for mode, part in parts:
        if mode == "custom":
            show(part)
        else:
            result = part
    return result


def _ignore(_: Any) -> None:
    return None
