"""A conductor for LangGraph: plans, per question, a team of models, and runs it as a subgraph."""

from typing import TYPE_CHECKING

from langgraph_conductor.budget import Budget
from langgraph_conductor.dialect import ACCEPT, parse_workflow
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
from langgraph_conductor.lazy import lazily
from langgraph_conductor.planners import ChatPlanner, Plan, Planner, PlanRequest
from langgraph_conductor.records import StepOutput, WorkerTask
from langgraph_conductor.state import ConductorResult, ConductorState
from langgraph_conductor.usage import Usage
from langgraph_conductor.workers import Worker, WorkerPool
from langgraph_conductor.workflow import Step, Workflow

if TYPE_CHECKING:
    from langgraph_conductor.episodes import run_episode

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

__getattr__ = lazily(__name__, {"run_episode": "episodes"})
