"""Planners: whatever turns a question into a workflow."""

from langgraph_conductor.planners import fixed
from langgraph_conductor.planners.chat import ChatPlanner
from langgraph_conductor.planners.profiles import Measured, Profiles, WorkerProfile
from langgraph_conductor.planners.protocol import Attempt, Plan, Planner, PlanningError, PlanRequest
from langgraph_conductor.planners.turns import TurnsPlanner

__all__ = [
    "Attempt",
    "ChatPlanner",
    "Plan",
    "PlanRequest",
    "Planner",
    "PlanningError",
    "TurnsPlanner",
    "fixed",
    "Profiles",
    "WorkerProfile",
    "Measured",
]
