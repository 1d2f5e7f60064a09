"""Workers of known accuracy: a synthetic pool, against which an evaluation can be checked by closed formulas.

What a worker does, for every task and every subtask:

* Asked for the answer, it is right with the product of its accuracies in the task's skills.
* A task of two skills has a first part, whose right result is `task.about["intermediate"]`. A subtask that names
  the first skill and not the second asks for that result alone, and the first skill's accuracy decides. A worker
  that is granted such a result takes it as it is (the most frequent of several, the earliest of equals): with the
  right one it needs only the second skill; with a wrong one it is wrong.
* A worker that is granted earlier outputs for the same part repeats what most of them say, if at least two agree
  and no other answer is as frequent. Otherwise it gives its own answer, drawn anew. So one checker of one answer
  is as good as it is alone.

Wrong answers are numbers of nine digits that differ from draw to draw: no two wrong ones agree. A draw is decided
by a hash of the seed, the worker, all it is shown, and the sample (`replay.current_sample`: the episode's seed,
the round, and how often the same step occurred before). The same run gives the same answers, and runs that differ
in any of these are independent.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Any, Final

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field

from langgraph_conductor.prices import Price
from langgraph_conductor.records import StepOutput
from langgraph_conductor.replay import Sample, current_sample
from langgraph_conductor.rewards import Task, final_answer
from langgraph_conductor.testing.in_process import InProcessModel
from langgraph_conductor.testing.prompts import PromptParts, read_worker_prompt
from langgraph_conductor.workers import Worker, WorkerPool

Skills = Mapping[str, Mapping[str, float]]
"""Worker -> skill -> accuracy from 0 to 1. A skill that is not named is one the worker lacks."""

INTERMEDIATE: Final = "intermediate"
"""Where `Task.about` keeps the right result of the first part."""


def skilled_pool(
    tasks: Iterable[Task],
    skills: Skills,
    seed: int = 0,
    *,
    prices: Mapping[str, Price | Mapping[str, Any]] | None = None,
    latency: Mapping[str, float] | None = None,
) -> WorkerPool:
    """A pool of synthetic workers; see the module for what they do.

    Args:
        tasks: All tasks they may be asked; they know a task by its question.
        skills: The workers, in order, and what they are good at.
        seed: Another seed gives other, independent answers.
        prices: USD per million tokens by worker, as of `Worker`; tokens are counted as words. The price of a
            worker that is left out is unknown.
        latency: Seconds a call takes, by worker; none if left out.

    Raises:
        ValueError: If an accuracy is not from 0 to 1, or a price or latency is of no worker.
    """
    known = tasks_by_question(tasks)
    for worker, accuracies in skills.items():
        for skill, accuracy in accuracies.items():
            if not 0 <= accuracy <= 1:
                raise ValueError(
                    f"worker {worker!r}: the accuracy in {skill!r} is from 0 to 1, not {accuracy!r}"
                )
    for name in {*(prices or {}), *(latency or {})} - set(skills):
        raise ValueError(f"there is no worker {name!r}; the workers are {', '.join(skills)}")
    return WorkerPool(
        Worker(
            worker,
            SkilledModel(
                worker=worker,
                seed=seed,
                skills=dict(accuracies),
                latency=(latency or {}).get(worker, 0.0),
                tasks=known,
            ),
            description=f"Knows {', '.join(accuracies)}." if accuracies else "",
            price=(prices or {}).get(worker),
        )
        for worker, accuracies in skills.items()
    )


def tasks_by_question(tasks: Iterable[Task]) -> dict[str, Task]:
    """The tasks by their question, as it comes back from prompts."""
    return {task.question.strip(): task for task in tasks}


def first_part(task: Task) -> str:
    """The subtask that asks for the result of the first part alone.

    Raises:
        ValueError: If the task has no two parts.
    """
    if not _has_parts(task):
        raise ValueError(f"the task {task.id} has no first part: its skills are {list(task.skills)}")
    return f"Work out only the first part, which needs {task.skills[0]}, and give its result."


class SkilledModel(InProcessModel):
    """The chat model behind a synthetic worker.

    Args:
        worker: Name of the worker.
        seed: Of its draws.
        skills: Its accuracy by skill.
        latency: Seconds a call takes.
        tasks: The tasks it knows, by question.
    """

    worker: str
    seed: int = 0
    skills: dict[str, float] = Field(default_factory=dict)
    tasks: Mapping[str, Any] = Field(default_factory=dict, repr=False)

    @property
    def _llm_type(self) -> str:
        return "skilled"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": f"skilled-{self.worker}", "seed": self.seed, "skills": self.skills}

    def _result(self, messages: list[BaseMessage], run: Any) -> ChatResult:
        prompt = str(messages[-1].text)
        told = getattr(run, "metadata", None) or {}
        alone = Sample(
            0, told.get("conductor_round", 0), told.get("conductor_step", 0)
        )  # outside an episode
        wanted = tuple(current_sample() or alone)
        draw = int(hashlib.sha256(repr((self.seed, self.worker, prompt, wanted)).encode()).hexdigest(), 16)
        answer = self._answer(read_worker_prompt(prompt), draw)
        reply = f"I am {self.worker} and thought about it.\n<answer>{answer}</answer>"
        sent, said = len(prompt.split()), len(reply.split())
        used = UsageMetadata(input_tokens=sent, output_tokens=said, total_tokens=sent + said)
        return ChatResult(generations=[ChatGeneration(message=AIMessage(reply, usage_metadata=used))])

    def _answer(self, shown: PromptParts, draw: int) -> str:
        task = self.tasks.get(shown.question.strip())
        if task is None:
            raise ValueError(
                f"worker {self.worker!r} knows no task with the question {shown.question!r:.80}"
            )
        granted = [output for output in (*shown.previous, *shown.inputs) if output.status == "ok"]
        firsts = [_read(output) for output in granted if _asks_first(output.subtask, task)]
        wholes = [_read(output) for output in granted if not _asks_first(output.subtask, task)]
        asks_first = _asks_first(shown.subtask, task)
        agreed = _agreed(firsts if asks_first else wholes)
        if agreed is not None:
            return agreed
        right = task.about[INTERMEDIATE] if asks_first else task.answer
        return (
            str(right) if _uniform(draw) < self._chance(task, asks_first, firsts) else _wrong(draw, right)
        )

    def _chance(self, task: Task, asks_first: bool, firsts: Sequence[str]) -> float:
        first, rest = self.skills.get(_skills(task)[0], 0.0), _skills(task)[1:]
        if asks_first:
            return first
        if firsts:
            taken = Counter(firsts).most_common(1)[0][0]
            first = float(taken == str(task.about[INTERMEDIATE]).strip())
        return first * prod(self.skills.get(skill, 0.0) for skill in rest)


def _skills(task: Task) -> tuple[str, ...]:
    return task.skills or (task.domain,)


def _has_parts(task: Task) -> bool:
    return len(set(task.skills)) == len(task.skills) == 2 and INTERMEDIATE in task.about


def _asks_first(subtask: str, task: Task) -> bool:
    if not _has_parts(task):
        return False
    first, second = (re.search(rf"(?<!\w){re.escape(skill)}(?!\w)", subtask) for skill in task.skills)
    return first is not None and second is None


def _read(output: StepOutput) -> str:
    return final_answer(output.text) or output.text.strip()


def _agreed(answers: Sequence[str]) -> str | None:
    """What at least two say, and more than say anything else."""
    (answer, most), (_, next_most) = [*Counter(answers).most_common(2), ("", 0), ("", 0)][:2]
    return answer if most > max(1, next_most) else None


def _uniform(draw: int) -> float:
    return (draw >> 128) / 2**128


def _wrong(draw: int, right: str) -> str:
    wrong = str(10**8 + draw % (9 * 10**8))
    return wrong if wrong != right.strip() else f"{wrong}0"
