"""The warm start: plans are sampled and run, and the model learns to write those that were right.

No plan is chosen by hand: who writes them is the model itself, or chance; what counts is what came of them.
Source: expert iteration as in Zelikman et al. 2022 (arXiv 2203.14465). The paper starts without it, from a 7B that
knows how to write plans.
"""

import hashlib
import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from langgraph_conductor.errors import ConfigError
from langgraph_conductor.train.config import WarmStart
from langgraph_conductor.train.files import read_lines, write_lines
from langgraph_conductor.train.learning.asks import Ask, Example, Scored
from langgraph_conductor.train.learning.trainer import Batches, Score
from langgraph_conductor.workflow import ALL, Step, Workflow

Write = Callable[[Sequence[Ask], int], Sequence[str]]
"""Writes a plan for each ask; the number, that of the batch, is a seed."""


_OF_TIME: Final = ("seconds", "started_at")


@dataclass(frozen=True, slots=True)
class Sample:
    """A plan that was run.

    Args:
        batch: Number of the batch of asks it is of.
        place: Its place in that batch.
        task: Id of the task.
        workers: Who was offered, as `number: name`.
        text: The plan.
        right: Whether its answer was right.
        ran: Whether it could be used.
        shape: Workers and access of its steps, as JSON: plans of one shape differ in wording alone.
        episode: Digest of what happened, without when and how long.
    """

    batch: int
    place: int
    task: str
    workers: dict[str, str]
    text: str
    right: bool
    ran: bool
    shape: str
    episode: str

    @property
    def steps(self) -> int:
        """How many steps it has."""
        return len(json.loads(self.shape))

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


def random_plans(settings: WarmStart, seed: int, *, anonymous: bool) -> Write:
    """Writes valid workflows drawn at random: steps, workers and access evenly, wordings from the settings.

    Args:
        settings: Wordings, and most steps.
        seed: Of the draws.
        anonymous: Whether workers are written by number; else by name.
    """

    def write(asks: Sequence[Ask], batch: int) -> list[str]:
        draw = random.Random(f"plans:{seed}:{batch}")  # noqa: S311 - no secret is made here
        return [_random_plan(ask, settings, draw, anonymous) for ask in asks]

    return write


def _random_plan(ask: Ask, settings: WarmStart, draw: random.Random, anonymous: bool) -> str:
    able = [worker.name for worker in ask.pool if worker.may_be_last]
    count = draw.randint(1, settings.most_steps)
    steps = []
    for i in range(count):
        reads = i > 0 and draw.random() < 0.5
        wording = draw.choice(settings.subtasks_reading if reads else settings.subtasks)
        steps.append(
            Step(draw.choice(able if i == count - 1 else ask.pool.names), wording, ALL if reads else ())
        )
    return Workflow(tuple(steps)).to_text(ask.pool if anonymous else None)


def sample_plans(
    batches: Batches, count: int, write: Write, score: Score, folder: Path, tell: Callable[[str], None]
) -> list[Sample]:
    """Write and run the plans of `count` batches; those whose file is in `folder` are read from there.

    Args:
        batches: What is asked.
        count: How many batches.
        write: Writes the plans.
        score: Runs them.
        folder: A file of JSON lines for each batch, one line for each plan.
        tell: Is told how it goes.

    Raises:
        ConfigError: If a file is damaged, or of other asks.
        Exception: What `write` and `score` raise; the batches before are kept.
    """
    samples: list[Sample] = []
    for number in range(count):
        path = folder / f"{number:05}.jsonl"
        asks = [ask for group in batches(number) for ask in group]
        if path.is_file():
            samples += _read(path, asks)
            continue
        texts = write(asks, number)
        found = [
            _sample(number, place, *row)
            for place, row in enumerate(zip(asks, texts, score(asks, texts), strict=True))
        ]
        write_lines(path, (one.to_json() for one in found))
        samples += found
        right, ran = sum(one.right for one in samples), sum(one.ran for one in samples)
        tell(f"batch {number + 1} of {count}: of {len(samples)} plans {ran} ran and {right} were right")
    return samples


def worth_imitating(
    samples: Iterable[Sample], batches: Batches, settings: WarmStart
) -> tuple[list[Example], list[Sample]]:
    """The plans to learn from: at most `keep` of a question, no text twice, unlike shapes first.

    Returns:
        The examples, and the samples they are made of.
    """
    by_task: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.right or (settings.worth == "ran" and sample.ran):
            same = by_task.setdefault(sample.task, [])
            if all(sample.text != other.text for other in same):
                same.append(sample)
    chosen = [sample for same in by_task.values() for sample in _unlike_first(same)[: settings.keep]]
    asks: dict[int, list[Ask]] = {}
    examples = []
    for sample in chosen:
        if sample.batch not in asks:
            asks[sample.batch] = [ask for group in batches(sample.batch) for ask in group]
        examples.append(Example(asks[sample.batch][sample.place], sample.text))
    return examples, chosen


def _unlike_first(samples: Sequence[Sample]) -> list[Sample]:
    """One of each shape, then a second of each, and so on."""
    seen: dict[str, int] = {}
    turns = []
    for sample in samples:
        seen[sample.shape] = seen.get(sample.shape, 0) + 1
        turns.append(seen[sample.shape])
    return [sample for _, sample in sorted(zip(turns, samples, strict=True), key=lambda pair: pair[0])]


def _sample(batch: int, place: int, ask: Ask, text: str, scored: Scored) -> Sample:
    episode = scored.episode
    record = json.dumps(_timeless(episode.to_json()), sort_keys=True).encode()
    steps = episode.rounds[-1]["workflow"] if episode.rounds else None
    shape = [[step["worker"], step["access"]] for step in (steps or {}).get("steps", ())]
    return Sample(
        batch,
        place,
        ask.task.id,
        _offered(ask),
        text,
        scored.reward is not None and episode.valid and episode.score == 1.0,
        scored.reward is not None and episode.valid,
        json.dumps(shape),
        hashlib.sha256(record).hexdigest()[:16],
    )


def _timeless(record: Any) -> Any:
    if isinstance(record, dict):
        return {key: _timeless(value) for key, value in record.items() if not key.endswith(_OF_TIME)}
    return [_timeless(one) for one in record] if isinstance(record, list | tuple) else record


def _offered(ask: Ask) -> dict[str, str]:
    return {str(number): name for number, name in ask.pool.ordinals.items()}


def _read(path: Path, asks: Sequence[Ask]) -> list[Sample]:
    try:
        samples = [Sample(**row) for row in read_lines(path)]
    except TypeError as error:
        raise ConfigError(f"{path}: holds something else than plans that were run: {error}") from None
    if [(one.task, one.workers) for one in samples] != [(ask.task.id, _offered(ask)) for ask in asks]:
        raise ConfigError(f"{path}: these plans were written for other tasks or workers; remove the file")
    return samples
