"""Grading: an answer's text and a task in, 1.0 or 0.0 out."""

import asyncio
from collections.abc import Callable
from importlib.util import find_spec
from typing import Final

from langgraph_conductor.errors import ConfigError, GraderError
from langgraph_conductor.rewards import processes
from langgraph_conductor.rewards.answers import LIMIT, final_answer
from langgraph_conductor.rewards.choices import choice
from langgraph_conductor.rewards.explained import chosen
from langgraph_conductor.rewards.gym import check_family, gym
from langgraph_conductor.rewards.plain import exact, normal, number
from langgraph_conductor.rewards.symbolic import math
from langgraph_conductor.rewards.task import Task

GRADERS: Final[dict[str, Callable[[str, Task], bool]]] = {
    "exact": exact,
    "choice": choice,
    "number": number,
    "math": math,
}

_IMPORTED: Final[set[str]] = set()
"""Graders of the user's own that could be imported."""

_QUICK: Final = GRADERS.keys() - {"math"}


def grade(answer: str, task: Task) -> float:
    """Score an answer.

    Args:
        answer: The whole reply; `final_answer` finds what counts. A grader of your own gets it as it is.
        task: What was asked, with the name of its grader: `"exact"`, `"choice"`, `"number"`, `"math"`,
            `"gym:FAMILY"`, or `"module:function"` of your own, which is called with reply and task: in a
            process that is killed if it takes longer than `processes.SECONDS`, and that gets no keys.

    Returns:
        1.0 if it is right, else 0.0; a grader of your own may give anything between.

    Raises:
        ConfigError: If there is no such grader, or the task does not fit it.
        GraderError: If the grader itself failed.
        ImportError: If the grader needs a package that is not installed.
    """
    check_grader(task.grader)
    if not answer.strip() or len(answer) > LIMIT or normal(answer) == normal(task.question):
        return 0.0
    kind = task.grader.partition(":")[0]
    if is_own(task.grader):
        return _own(answer, task)
    if kind == "choice":
        return float(chosen(answer, task))
    lines = task.answer.strip().count("\n") + 1
    final = final_answer(answer, lines=lines, units=kind in ("number", "math"), question=task.question)
    if final is None:
        return 0.0
    return float(gym(final, task) if kind == "gym" else GRADERS[kind](final, task))


async def agrade(answer: str, task: Task) -> float:
    """`grade`, without blocking the event loop."""
    if task.grader in _QUICK:  # a thread takes longer than they do
        return grade(answer, task)
    return await asyncio.to_thread(grade, answer, task)


def check_grader(name: str) -> None:
    """Refuse the name of a grader that cannot be used; call it before anything is paid.

    Raises:
        ConfigError: If it is unknown or refused; the message says why and which there are.
        GraderError: If a grader of your own cannot be imported in time, or ends its process.
        ImportError: If it needs a package that is not installed.
    """
    kind, colon, rest = name.partition(":")
    if name in GRADERS:
        if name == "math":
            _need("math_verify")
    elif colon and kind == "gym":
        check_family(rest)
        _need("reasoning_gym")
    elif colon:
        if name not in _IMPORTED:  # in a process: a module runs when it is imported
            try:
                processes.own_pool().own("load", {"grader": name})
            except GraderError as error:
                raise GraderError(f"grader {name!r} cannot be imported: {error}") from None
            _IMPORTED.add(name)
    else:
        known = ", ".join(map(repr, GRADERS))
        raise ConfigError(
            f"there is no grader {name!r}; there are {known}, 'gym:FAMILY' and 'module:function'"
        )


def check_task(task: Task) -> None:
    """Refuse a task that could not be graded; call it before anything is paid.

    Whether its answer fits is seen for `"exact"`, `"choice"` and `"number"`; the other graders take a process of
    their own, or are yours.

    Raises:
        ConfigError: If its grader is unknown, or its own answer does not fit the grader.
        ImportError: If the grader needs a package that is not installed.
    """
    check_grader(task.grader)
    if task.grader not in GRADERS or task.grader == "math":
        return
    try:
        right = GRADERS[task.grader](task.answer, task)
    except (ArithmeticError, TypeError, ValueError) as error:  # a ConfigError is one, and says it already
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(
            f"task {task.id}: its `about` does not fit grader {task.grader!r}: {error}"
        ) from error
    if not right:
        raise ConfigError(
            f"task {task.id}: grader {task.grader!r} finds its own answer wrong: {task.answer!r:.80}"
        )


def _need(package: str) -> None:
    if find_spec(package) is None:
        raise ImportError(f"{package} is not installed; run: pip install 'langgraph-conductor[eval]'")


def is_own(grader: str) -> bool:
    """Whether the name of a grader is that of the user's own code, `module:function`."""
    kind, colon, _ = grader.partition(":")
    return bool(colon) and kind != "gym"


def _own(answer: str, task: Task) -> float:
    given = {"grader": task.grader, "answer": answer, "task": task.to_json()}
    try:
        return float(processes.own_pool().own("own", given))
    except GraderError as error:
        raise GraderError(
            f"grader {task.grader!r} failed on task {task.id} ({task.question!r:.80}): {error}"
        ) from None
