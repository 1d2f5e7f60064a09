"""A conductor as a solver of Inspect."""

from copy import copy
from dataclasses import replace
from os import PathLike
from typing import Any

from inspect_ai.log import transcript
from inspect_ai.model import model_roles
from inspect_ai.solver import Generate, Solver, TaskState

from langgraph_conductor.config import ConductorConfig, read_conductor
from langgraph_conductor.errors import ConfigError
from langgraph_conductor.evals.inspect_ext.chat_model import InspectChatModel
from langgraph_conductor.evals.inspect_ext.messages import to_langchain
from langgraph_conductor.evals.inspect_ext.running import account, ask, output_of
from langgraph_conductor.planners import ChatPlanner
from langgraph_conductor.workers import Worker, WorkerPool

PLANNER = "planner"
"""The role that plans."""


def solve_with(config: str | PathLike[str] | Any) -> Solver:
    """The solver of `conductor_solver`."""
    read = read_conductor(config) if isinstance(config, str | PathLike) else None
    graph: Any = config if read is None else None

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        nonlocal graph
        if graph is None and read is not None:
            graph = with_roles(read, set(model_roles())).build()  # known only now
        run = await ask(graph, to_langchain(state.messages))
        about = account(run)
        transcript().info(about, source="conductor")
        if run.outage:
            raise run.outage
        state.output = output_of(run, "conductor", about)
        state.messages.append(state.output.message)
        return state

    return solve


def with_roles(config: ConductorConfig, roles: set[str]) -> ConductorConfig:
    """A configuration with model roles in the place of the workers, and of the planner, that have their names.

    Raises:
        ConfigError: If such a worker has tools, or the planner that a role shall replace is a fixed strategy.
    """
    planner = config.planner
    if PLANNER in roles:
        if planner is not None and not isinstance(planner, ChatPlanner):
            raise ConfigError(
                f"{config.file}: [planner] is a strategy, which the role {PLANNER!r} cannot replace; "
                "give it `model`, or leave out the role"
            )
        planner = ChatPlanner(_role(PLANNER, None)) if planner is None else copy(planner)
        planner.model = _role(PLANNER, planner.model)
        planner.prices = {}
    workers = WorkerPool([_as_role(w, config.file) if w.name in roles else w for w in config.workers])
    return replace(config, planner=planner, workers=workers)


def _as_role(worker: Worker, file: str) -> Worker:
    if worker.tools:
        raise ConfigError(
            f"{file}: worker {worker.name!r} has tools, so the role of its name cannot replace it; "
            "rename the role, or leave out the tools"
        )
    return Worker(
        worker.name,
        _role(worker.name, worker.model),
        description=worker.description,
        tags=sorted(worker.tags),
        limiter=worker.limiter,
        timeout=worker.timeout,
        retries=0,  # Inspect's
        fallback=worker.fallback,
        max_input_tokens=worker.max_input_tokens,
        may_be_last=worker.may_be_last,
    )


def _role(name: str, model: Any) -> InspectChatModel:
    """The role's model, with the file's cap of a reply, which budgets need."""
    cap = getattr(model, "max_tokens", None)
    return InspectChatModel(role=name, max_tokens=cap if type(cap) is int else None)
