"""Planners of known worth for a synthetic pool (`skilled_pool`)."""

from collections.abc import Callable, Iterable, Mapping
from math import prod
from statistics import fmean
from typing import Literal

from langgraph_conductor.planners import PlanRequest
from langgraph_conductor.planners.fixed import FixedPlanner
from langgraph_conductor.prompts import text_of
from langgraph_conductor.rewards import Task
from langgraph_conductor.testing.skilled import INTERMEDIATE, Skills, first_part, tasks_by_question
from langgraph_conductor.workflow import Step, Workflow

Worth = Literal["better", "equal", "worse"]


def skilled_planner(tasks: Iterable[Task], skills: Skills, worth: Worth) -> FixedPlanner:
    """A planner whose worth follows from how it is made.

    Args:
        tasks: What may be asked.
        skills: The workers of the pool, as given to `skilled_pool`.
        worth: `"better"`: each task goes to the worker best at its skill, and a composed one is split between
            the best at each. `"equal"`: always the one worker that is best over all tasks; in words of its
            own, so that its draws are independent of that worker's alone. `"worse"`: each task goes to the
            worker worst at it. Of equally good workers the first is taken.

    Raises:
        ValueError: If it is none of these.
    """
    known = tasks_by_question(tasks)
    workers = tuple(skills)
    best = max(workers, key=lambda worker: fmean(_alone(skills[worker], task) for task in known.values()))
    by_worth: Mapping[str, Callable[[Task], Workflow]] = {
        "better": lambda task: _expert(task, skills),
        "equal": lambda task: _asked(best, "Give this question your best answer."),
        "worse": lambda task: _asked(
            min(workers, key=lambda worker: _alone(skills[worker], task)),
            "Do what you can with this question.",
        ),
    }
    if worth not in by_worth:
        raise ValueError(f"worth is one of {', '.join(by_worth)}, not {worth!r}")

    def build(request: PlanRequest) -> Workflow:
        return by_worth[worth](known[text_of(request.question).strip()])

    made_of = {worker: dict(accuracies) for worker, accuracies in skills.items()}
    return FixedPlanner(build, identity=["skilled planner", worth, best, made_of])


def _alone(accuracies: Mapping[str, float], task: Task) -> float:
    return prod(accuracies.get(skill, 0.0) for skill in task.skills or (task.domain,))


def _asked(worker: str, subtask: str) -> Workflow:
    return Workflow((Step(worker, subtask),))


def _expert(task: Task, skills: Skills) -> Workflow:
    def expert(skill: str) -> str:
        return max(skills, key=lambda worker: skills[worker].get(skill, 0.0))

    if len(task.skills) == 2 and INTERMEDIATE in task.about:
        first, second = task.skills
        answer = "The result of the first part is given. Go on from it and answer the question."
        return Workflow((Step(expert(first), first_part(task)), Step(expert(second), answer, (0,))))
    best = max(skills, key=lambda worker: _alone(skills[worker], task))
    return _asked(best, "You are the one for this question. Answer it.")
