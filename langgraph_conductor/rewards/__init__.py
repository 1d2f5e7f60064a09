"""Graders: an answer's text in, a score out."""

from langgraph_conductor.rewards.answers import final_answer
from langgraph_conductor.rewards.task import Task

__all__ = ["Task", "final_answer"]
