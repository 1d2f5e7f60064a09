"""Replies kept, so that nothing is paid twice."""

from langgraph_conductor.replay.parts import replayed
from langgraph_conductor.replay.replaying import PLANNER, Expenses, Replay, Sample, current_sample
from langgraph_conductor.replay.store import ReplyStore

__all__ = ["PLANNER", "Expenses", "Replay", "ReplyStore", "Sample", "current_sample", "replayed"]
