"""What Inspect finds by name. Every run of Inspect loads it where the package is installed: it imports little."""

from os import PathLike
from typing import Any

from inspect_ai import Task, task
from inspect_ai.model import ModelAPI, modelapi
from inspect_ai.solver import Solver, solver


@modelapi(name="conductor")
def conductor() -> type[ModelAPI]:
    """The provider `conductor/<file>`, see `provider.ConductorAPI`."""
    from langgraph_conductor.evals.inspect_ext.provider import ConductorAPI

    return ConductorAPI


@solver
def conductor_solver(config: str | PathLike[str] | Any) -> Solver:
    """A conductor as a solver, whose workers may be model roles.

    Args:
        config: A `conductor.toml`: each of its workers that has the name of a model role asks that role's model,
            and the role `planner` plans if there is one. Or a graph of `create_conductor`, used as it is.

    Raises:
        ConfigError: If the file holds a mistake, or a worker with tools has the name of a role.
        WorkerError: If an outage, or a key or model that is wrong, took part in a run.
    """
    from langgraph_conductor.evals.inspect_ext.solver import solve_with

    return solve_with(config)


@task
def suite(name: str = "skills", split: str = "test", allow_code: bool = False) -> Task:
    """A suite of questions with our graders: `inspect eval langgraph_conductor/suite -T name=gsm8k:PATH`.

    Args:
        name: As in `evals.suites.load_suite`.
        split: `train`, `validation` or `test`.
        allow_code: As in `evals.suites.load_suite`: `-T allow_code=true`.

    Raises:
        ConfigError: If there is no such suite, or its file holds a mistake.
        ValueError: If there is no such split.
    """
    from langgraph_conductor.evals.inspect_tasks import inspect_task
    from langgraph_conductor.evals.suites import load_suite

    loaded = load_suite(name, allow_code=allow_code)
    return inspect_task(loaded.tasks(split), f"{loaded.name}-{split}")
