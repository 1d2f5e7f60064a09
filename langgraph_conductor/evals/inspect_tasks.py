"""Tasks of ours as a task of Inspect: the same questions, the same graders."""

from collections.abc import Iterable

try:
    import inspect_ai
except ImportError as error:
    raise ImportError(
        "tasks of Inspect need a package that is not installed: pip install 'langgraph-conductor[eval]'"
    ) from error
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.scorer import Score, Scorer, Target, accuracy, grouped, scorer, stderr
from inspect_ai.solver import Solver, TaskState, generate

from langgraph_conductor.rewards import Task, agrade, check_grader


def inspect_task(tasks: Iterable[Task], name: str, *, solver: Solver | None = None) -> inspect_ai.Task:
    """A task of Inspect that asks questions of ours and scores the answers with our graders.

    A sample's id is `Task.id`. Accuracy is told for all, and for each domain.

    Args:
        tasks: The questions.
        name: Name of the task in logs.
        solver: Who answers: by default one call of the evaluated model.

    Raises:
        ValueError: If there is no task, or one question is there twice.
        ConfigError: If there is no such grader as a task names.
    """
    asked = list(tasks)
    if not asked:
        raise ValueError(f"task {name!r} has no questions")
    ids = {task.id for task in asked}
    if len(ids) < len(asked):
        raise ValueError(
            f"task {name!r}: {len(asked) - len(ids)} questions are there twice; leave them out"
        )
    for grader in {task.grader for task in asked}:
        check_grader(grader)
    samples = [
        Sample(
            input=task.question,
            target=task.answer,
            id=task.id,
            metadata={"task": task.to_json(), "domain": task.domain or "none"},
        )
        for task in asked
    ]
    return inspect_ai.Task(
        dataset=MemoryDataset(samples, name=name), solver=solver or generate(), scorer=graded(), name=name
    )


@scorer(metrics=[accuracy(), stderr(), grouped(accuracy(), "domain", all=False)])
def graded() -> Scorer:
    """Scores an answer with the grader of the task it belongs to, see `rewards.grade`."""

    async def score(state: TaskState, target: Target) -> Score:
        task = Task.from_json(state.metadata["task"])
        answer = state.output.completion
        return Score(value=await agrade(answer, task), answer=answer)

    return score
