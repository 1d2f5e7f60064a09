"""`conductor.toml`: a conductor as a file.

    [planner]
    model = "openai:gpt-5-mini"
    [[workers]]
    name = "coder"
    model = "openai:gpt-5"
    description = "Writes and repairs code."

Every mistake in it is one `ConfigError` that says where it is and what is allowed.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Final

from langgraph_conductor.budget import Budget
from langgraph_conductor.errors import ConfigError
from langgraph_conductor.graph import ConductorGraph, create_conductor
from langgraph_conductor.planners import ChatPlanner, Planner, TurnsPlanner, fixed
from langgraph_conductor.tables import (
    MONEY,
    NUMBER,
    TABLE,
    TEXT,
    TEXTS,
    WHOLE,
    YES_NO,
    Kinds,
    Table,
    unknown,
)
from langgraph_conductor.workers import Worker, WorkerPool
from langgraph_conductor.workers.config import model_of, pool_of, read_config

PLANNER: Final[Kinds] = {
    "model": TEXT,
    "options": TABLE,
    "show": TEXT,
    "structured": YES_NO,
    "prefill": TEXT,
    "price": TABLE,
    "retries": WHOLE,
    "timeout": NUMBER,
    "max_subtask_chars": WHOLE,
    "profiles": TEXT,
    "show_previous_plan": YES_NO,
    "instructions": TEXT,
}
STRATEGIES: Final[Mapping[str, Kinds]] = {
    "single": {"worker": TEXT, "subtask": TEXT},
    "self_consistency": {"n": WHOLE, "worker": TEXT, "judge": TEXT},
    "self_reflection": {"k": WHOLE, "worker": TEXT},
    "mixture_of_agents": {"proposers": TEXTS, "layers": WHOLE, "aggregator": TEXT},
    "random_router": {"seed": WHOLE},
    "random_workflow": {"seed": WHOLE, "max_steps": WHOLE},
    "local": {},
}
"""The fixed strategies of `planners.fixed` and the embedded planner, with their arguments."""
TURNS: Final = "turns"
"""The strategy of `TurnsPlanner`, which needs a model and takes all that a planner with one takes."""
MAX_TURNS: Final = 8
"""Most turns where a file with this strategy says no `max_rounds`; one round would be a single turn."""
CONDUCTOR: Final[Kinds] = {
    "max_steps": WHOLE,
    "max_rounds": WHOLE,
    "fallback": TEXT,
    "on_step_error": TEXT,
    "name": TEXT,
}
BUDGET: Final[Kinds] = {
    "usd": MONEY,
    "tokens": WHOLE,
    "calls": WHOLE,
    "seconds": NUMBER,
    "allow_unbounded": YES_NO,
}


@dataclass(frozen=True, slots=True)
class ConductorConfig:
    """What a configuration file says, built but not yet put together.

    Args:
        file: Name of the file.
        planner: The planner; `None` if the file names none.
        workers: The workers.
        budget: The budget, if there is one.
        options: The `[conductor]` table.
    """

    file: str
    planner: Planner | None
    workers: WorkerPool
    budget: Budget | None
    options: Mapping[str, Any]

    def build(self, **overrides: Any) -> ConductorGraph:
        """The conductor.

        Args:
            overrides: Arguments of `create_conductor` that take the place of the file's.

        Raises:
            ConfigError: If the parts do not fit together.
        """
        given = {
            "planner": self.planner,
            "workers": self.workers,
            "budget": self.budget,
            **self.options,
            **overrides,
        }
        if given["planner"] is None:
            raise ConfigError(
                f'{self.file}: there is no [planner]; give it model = "..." or strategy = "..."'
            )
        try:
            return create_conductor(**given)
        except ValueError as error:
            raise ConfigError(f"{self.file}: {error}") from error


def load_conductor(path: str | PathLike[str], **overrides: Any) -> ConductorGraph:
    """The conductor a `conductor.toml` describes.

    Args:
        path: The file.
        overrides: Arguments of `create_conductor` that take the place of the file's, or that no file
            can hold, such as `checkpointer`.

    Raises:
        ConfigError: If the file holds a mistake; it names the place and what is allowed.
        ImportError: If a model or MCP tools need a package that is not installed.
    """
    return read_conductor(path).build(**overrides)


def read_conductor(path: str | PathLike[str]) -> ConductorConfig:
    """The parts of the conductor a `conductor.toml` describes.

    Args:
        path: The file.

    Raises:
        ConfigError: If it holds a mistake.
        ImportError: If a package is missing.
    """
    file = read_config(path)
    options = file.part("conductor", "[conductor]")
    options.check(CONDUCTOR)
    planner = _planner(file.part("planner", "[planner]")) if "planner" in file.values else None
    turns = {"max_rounds": MAX_TURNS} if isinstance(planner, TurnsPlanner) else {}
    return ConductorConfig(
        file.file,
        planner,
        pool_of(file, _embedded),
        _budget(file.part("budget", "[budget]")) if "budget" in file.values else None,
        {**turns, **options.values},
    )


def _embedded(*args: Any, **options: Any) -> Worker:
    from langgraph_conductor import local

    return local.worker(*args, **options)


def _planner(table: Table) -> Planner:
    turns = table.values.get("strategy") == TURNS
    if turns and "model" not in table.values:
        raise table.error('strategy = "turns" needs a `model`, which decides on each turn')
    if not turns and ("model" in table.values) == ("strategy" in table.values):
        named = ", ".join((*STRATEGIES, TURNS))
        raise table.error(f"needs either `model` or `strategy`, one of {named}; turns has both")
    if "strategy" in table.values and not turns:
        return _strategy(table)
    table.check({"strategy": TEXT, **PLANNER} if turns else PLANNER)
    model = model_of(table, "planner")
    options = table.without("model", "options", "strategy")
    if "profiles" in options:
        options["profiles"] = Path(table.file).parent / options["profiles"]
    with table.naming():
        return TurnsPlanner(model, **options) if turns else ChatPlanner(model, **options)


def _strategy(table: Table) -> Planner:
    name = table.values["strategy"]
    if not isinstance(name, str) or name not in STRATEGIES:
        raise table.error(unknown("strategy", str(name), (*STRATEGIES, TURNS)), "strategy")
    build: Callable[..., Planner]
    if name == "local":
        from langgraph_conductor import local

        build = local.planner
    else:
        build = getattr(fixed, name)
    needed = inspect.signature(build).parameters.values()
    table.check(
        {"strategy": TEXT, **STRATEGIES[name]},
        required=[argument.name for argument in needed if argument.default is argument.empty],
    )
    with table.naming():
        return build(**table.without("strategy"))


def _budget(table: Table) -> Budget:
    table.check(BUDGET)
    with table.naming():
        return Budget(**table.values)
