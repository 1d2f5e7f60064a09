"""Replies kept, so that nothing is paid twice."""

from langgraph_conductor.replay.parts import ReplayedPlanner, replayed_pool
from langgraph_conductor.replay.replaying import (
    PLANNER,
    Expenses,
    Replay,
    Sample,
    current_replay,
    current_sample,
    replaying,
)
from langgraph_conductor.replay.store import ReplyStore

__all__ = [
    "PLANNER",
    "Expenses",
    "Replay",
    "ReplayedPlanner",
    "ReplyStore",
    "Sample",
    "current_replay",
    "current_sample",
    "replayed_pool",
    "replaying",
]
