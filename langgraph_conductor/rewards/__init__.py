"""Graders: an answer's text in, a score out."""

from langgraph_conductor.rewards.answers import final_answer
from langgraph_conductor.rewards.grading import agrade, check_grader, check_task, grade
from langgraph_conductor.rewards.gym import gym_task
from langgraph_conductor.rewards.task import Task

__all__ = ["Task", "agrade", "check_grader", "check_task", "final_answer", "grade", "gym_task"]
