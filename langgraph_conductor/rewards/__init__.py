"""Graders: an answer's text in, a score out."""

from langgraph_conductor.rewards.task import Task

__all__ = ["Task"]
