"""What is learnt from: tasks with graders and domains, those on which workers differ, and fitting examples."""

import json
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from os import PathLike
from statistics import fmean
from typing import Final

from langgraph_conductor.errors import ConfigError
from langgraph_conductor.evals.results import Outcome
from langgraph_conductor.evals.suites import Suite, load_suite
from langgraph_conductor.planners.examples import EXAMPLES
from langgraph_conductor.prompts import Example
from langgraph_conductor.rewards import Task, check_task
from langgraph_conductor.text_files import write_private

_RUN: Final = 8
"""Words in a row that two questions do not share by chance."""


def tasks_of(
    source: "Suite | str | PathLike[str]", *, domains: Sequence[str] = (), allow_code: bool = False
) -> Suite:
    """The tasks to learn from, in the splits they were in.

    Args:
        source: A suite, or its name or file as `load_suite` takes it.
        domains: Keeps the tasks of these alone.
        allow_code: As of `load_suite`.

    Raises:
        ConfigError: If there is no such suite, a task could not be graded, or there is no task of a domain to
            train on.
    """
    suite = source if isinstance(source, Suite) else load_suite(source, allow_code=allow_code)
    for split in suite.splits:
        for task in suite.tasks(split):
            check_task(task)
    if domains:
        found = {task.domain for task in suite.tasks("train")}
        for domain in domains:
            if domain not in found:
                there = ", ".join(sorted(found)) or "none"
                raise ConfigError(f"no task to train on is of the domain {domain!r}; there are {there}")
        splits = suite.splits.items()
        kept = {split: tuple(t for t in tasks if t.domain in domains) for split, tasks in splits}
        suite = replace(suite, splits=kept, about={**suite.about, "domains": list(domains)})
    if not suite.tasks("train"):
        raise ConfigError(f'the suite {suite.name!r} has no task to train on (split "train")')
    return suite


def save_tasks(suite: Suite, path: str | PathLike[str]) -> None:
    """Write a suite as JSON lines, which `load_suite` reads; a new file is its owner's alone."""
    rows = [{**task.to_json(), "split": split} for split in suite.splits for task in suite.tasks(split)]
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    write_private(path, "".join(lines))


def disagreeing(tasks: Iterable[Task], outcomes: Iterable[Outcome]) -> tuple[Task, ...]:
    """The tasks that some get right and some get wrong, so that there is something to choose.

    Tasks nobody gets right alone are left out, though a workflow of several might: for those, give outcomes of
    workflows as well.

    Args:
        tasks: The tasks, in order.
        outcomes: What workers alone, or other strategies, made of them, as `evals.Runner` gives them: what its
            store knows is not asked again. Of several samples the majority counts; episodes the infrastructure
            failed do not.
    """
    verdicts: dict[str, set[bool]] = {}
    for outcome in outcomes:
        for task, episodes in outcome.episodes.items():
            scores = [episode.score for episode in episodes if episode.score is not None]
            if scores and fmean(scores) != 0.5:
                verdicts.setdefault(task, set()).add(fmean(scores) > 0.5)
    return tuple(task for task in tasks if len(verdicts.get(task.id, ())) == 2)


def few_shots(
    suites: Iterable[Suite],
    examples: Sequence[Example] = EXAMPLES,
    *,
    count: int | None = None,
    seed: int = 0,
) -> tuple[Example, ...]:
    """Worked plans to show a planner, none of which has to do with what it learns from or is measured by.

    The paper found examples of other domains to work better than those of the task's own (table 4); and what is
    measured must not stand in the prompt.

    Args:
        suites: Every suite of the training and of the evaluation.
        examples: What to choose from; the package's own are of no suite of the package.
        count: How many, drawn at random; all, in order, if left out.
        seed: Of the draw.

    Raises:
        ConfigError: If an example names a domain or a skill of a suite, or shares eight words in a row with one of
            its questions.
        ValueError: If there are fewer than `count`.
    """
    if count is not None and not 0 <= count <= len(examples):
        raise ValueError(f"there are {len(examples)} examples, not {count}")
    runs = {
        run: example.question for example in examples for text in _texts(example) for run in _runs(text)
    }
    for suite in suites:
        named: set[str] = set()
        for task in (task for split in suite.splits for task in suite.tasks(split)):
            named |= {task.domain, *task.skills}
            shared = next((run for run in _runs(task.question) if run in runs), None)
            if shared is not None:
                raise ConfigError(
                    f"the example {runs[shared]!r:.80} shares {' '.join(shared)!r} with a task of the suite "
                    f"{suite.name!r}: {task.question!r:.80}; leave it out"
                )
        for example in examples:
            said = f" {' '.join(map(_plain, _texts(example)))} "
            for name in sorted(filter(None, map(_plain, named))):
                if f" {name} " in said:
                    raise ConfigError(
                        f"the example {example.question!r:.80} names {name!r}, a domain or skill of the suite "
                        f"{suite.name!r}; take one from another domain"
                    )
    if count is None:
        return tuple(examples)
    return tuple(random.Random(f"few shots:{seed}").sample(list(examples), count))  # noqa: S311 - no secret


def _texts(example: Example) -> Iterator[str]:
    yield example.question
    yield example.reasoning
    for _, subtask, _ in example.steps:
        yield subtask


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.casefold())


def _plain(text: str) -> str:
    return " ".join(_words(text))


def _runs(text: str) -> Iterator[tuple[str, ...]]:
    """Eight words in a row, from each place; all of them, where there are fewer."""
    words = _words(text)
    return (tuple(words[i : i + _RUN]) for i in range(max(1, len(words) - _RUN + 1)))
