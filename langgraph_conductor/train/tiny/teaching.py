"""Teaching the adapters: a specialist each skill, and a generalist all of them."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from langchain_core.messages import BaseMessage

from langgraph_conductor.evals.suites.tiny_questions import parts_of
from langgraph_conductor.local.specialists import GENERALIST, SPECIALISTS, SUBTASKS, specialist_prompt
from langgraph_conductor.planners import fixed
from langgraph_conductor.records import StepOutput, WorkerTask
from langgraph_conductor.rewards import Task
from langgraph_conductor.train.tiny.recipe import Recipe

_ALONE: Final = 0.2
"""Of a specialist's single questions, the share that only asks it to answer, as where it works alone."""


def pairs_of(
    skill: str, tasks: Sequence[Task], count: int, seed: int = 0
) -> list[tuple[list[BaseMessage], str]]:
    """What a specialist is shown and what it should say, half of it from composed questions.

    Raises:
        ValueError: If there are too few tasks.
    """
    draw = random.Random(f"lessons {skill}:{seed}")  # noqa: S311 - no secret is made here
    alone: list[tuple[Task, int]] = []
    within: list[tuple[Task, int]] = []
    for task in tasks:
        for place, part in enumerate(parts_of(task)):
            if part.skill == skill:
                (alone if len(task.skills) == 1 else within).append((task, place))
    half = min(len(within), count // 2)
    if len(alone) < count - half:
        half = min(len(within), count - len(alone))
    if len(alone) + half < count:
        raise ValueError(f"there are {len(alone) + len(within)} lessons in {skill}, not {count}")
    chosen = draw.sample(alone, count - half) + draw.sample(within, half)
    draw.shuffle(chosen)
    return [_lesson(task, place, draw) for task, place in chosen]


def lessons(adapter: str, tasks: Sequence[Task], count: int) -> list[tuple[list[BaseMessage], str]]:
    """The lessons of a specialist, or of the generalist.

    Raises:
        ValueError: If there is no such adapter, or there are too few tasks.
    """
    if adapter == GENERALIST:
        every = [pair for skill in SPECIALISTS for pair in pairs_of(skill, tasks, count)]
        random.Random("lessons of the generalist").shuffle(every)  # noqa: S311 - no secret is made here
        return every
    if adapter not in SPECIALISTS:
        raise ValueError(
            f"there is no adapter {adapter!r}; there are {', '.join((*SPECIALISTS, GENERALIST))}"
        )
    return pairs_of(adapter, tasks, count)


def teach(
    adapter: str, base: Any, tokenizer: Any, tasks: Sequence[Task], folder: Path, recipe: Recipe
) -> None:
    """Train one adapter and write it to `folder`; goes on where it was broken off."""
    from langgraph_conductor.train.trainers.engine import prompt_text
    from langgraph_conductor.train.trainers.plain import PlainTrainer

    trainer = PlainTrainer(base, tokenizer, str, lora=recipe.adapter, imitation=recipe.teaching)
    told = lessons(adapter, tasks, recipe.lessons)
    pairs = [(prompt_text(tokenizer, messages), said) for messages, said in told]
    trainer.imitate_texts(pairs, folder / "checkpoint")
    trainer.save(folder)


def _lesson(task: Task, place: int, draw: random.Random) -> tuple[list[BaseMessage], str]:
    parts = parts_of(task)
    part = parts[place]
    single = len(parts) == 1
    subtask = fixed.SOLVE if single and draw.random() < _ALONE else SUBTASKS[part.skill]
    given = tuple(_outputs(task, place))
    asked = WorkerTask(
        question=({"type": "text", "text": task.question},),
        subtask=subtask,
        inputs=given,
        previous=(),
        index=place,
        round=0,
        is_final=place == len(parts) - 1,
        messages=(),
    )
    return specialist_prompt(asked), part.answer


def _outputs(task: Task, place: int) -> Iterator[StepOutput]:
    # What the last one said is what there is to go on from; of three, the first is granted too by "all".
    for i, part in enumerate(parts_of(task)[:place]):
        yield StepOutput(
            index=i, worker=part.skill, subtask=SUBTASKS[part.skill], text=part.answer, status="ok"
        )
