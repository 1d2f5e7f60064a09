"""A conductor for LangGraph: plans, per question, a team of models, and runs it as a subgraph."""

from typing import TYPE_CHECKING

from langgraph_conductor.lazy import lazily

if TYPE_CHECKING:
    from langgraph_conductor.budget import Budget
    from langgraph_conductor.dialect import ACCEPT, parse_workflow
    from langgraph_conductor.episodes import run_episode
    from langgraph_conductor.errors import (
        BudgetExceededError,
        ConductorError,
        ConfigError,
        LocalModelError,
        PlanError,
        WorkerError,
    )
    from langgraph_conductor.events import ConductorEvent
    from langgraph_conductor.graph import ConductorGraph, add_conductor, compile_workflow, create_conductor
    from langgraph_conductor.planners import ChatPlanner, Plan, Planner, PlanRequest
    from langgraph_conductor.records import StepOutput, WorkerTask
    from langgraph_conductor.state import ConductorResult, ConductorState
    from langgraph_conductor.usage import Usage
    from langgraph_conductor.workers import Worker, WorkerPool
    from langgraph_conductor.workflow import Step, Workflow

__version__ = "0.1.0"

__all__ = [
    # build
    "create_conductor",
    "add_conductor",
    # workers
    "Worker",
    "WorkerPool",
    "WorkerTask",
    "StepOutput",
    # workflows
    "Workflow",
    "Step",
    "parse_workflow",
    "ACCEPT",
    "compile_workflow",
    # planners
    "Planner",
    "PlanRequest",
    "Plan",
    "ChatPlanner",
    # money
    "Budget",
    "Usage",
    # results
    "ConductorState",
    "ConductorGraph",
    "ConductorResult",
    "ConductorEvent",
    "run_episode",
    # errors
    "ConductorError",
    "PlanError",
    "WorkerError",
    "BudgetExceededError",
    "ConfigError",
    "LocalModelError",
]

# LangGraph takes a second or two to import, and the command line says its first words before that.
__getattr__ = lazily(
    __name__,
    {
        **dict.fromkeys(
            ("create_conductor", "add_conductor", "compile_workflow", "ConductorGraph"), "graph"
        ),
        **dict.fromkeys(("Worker", "WorkerPool"), "workers"),
        **dict.fromkeys(("WorkerTask", "StepOutput"), "records"),
        **dict.fromkeys(("Workflow", "Step"), "workflow"),
        **dict.fromkeys(("parse_workflow", "ACCEPT"), "dialect"),
        **dict.fromkeys(("Planner", "PlanRequest", "Plan", "ChatPlanner"), "planners"),
        **dict.fromkeys(
            (
                "ConductorError",
                "PlanError",
                "WorkerError",
                "BudgetExceededError",
                "ConfigError",
                "LocalModelError",
            ),
            "errors",
        ),
        "Budget": "budget",
        "ConductorEvent": "events",
        "ConductorResult": "state",
        "Usage": "usage",
        "ConductorState": "state",
        "run_episode": "episodes",
    },
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
