"""Graders: an answer's text in, a score out."""

from typing import TYPE_CHECKING

from langgraph_conductor.lazy import lazily
from langgraph_conductor.rewards.task import Task

if TYPE_CHECKING:
    from langgraph_conductor.rewards.answers import final_answer
    from langgraph_conductor.rewards.grading import agrade, check_grader, check_task, grade
    from langgraph_conductor.rewards.gym import gym_task

__all__ = ["Task", "agrade", "check_grader", "check_task", "final_answer", "grade", "gym_task"]

__getattr__ = lazily(
    __name__,
    {
        "agrade": "grading",
        "check_grader": "grading",
        "check_task": "grading",
        "final_answer": "answers",
        "grade": "grading",
        "gym_task": "gym",
    },
)
