"""What each step of learning asks: questions without replacement, the workers offered, second rounds."""

import random
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Final, Self

from pydantic import Field, model_validator

from langgraph_conductor.errors import ConfigError
from langgraph_conductor.planners.showing import Show
from langgraph_conductor.records import RoundRecord
from langgraph_conductor.rewards import Task
from langgraph_conductor.train.files import read_rows, write_lines
from langgraph_conductor.train.learning.advantages import Recursion
from langgraph_conductor.train.learning.asks import Ask, Group, Scored
from langgraph_conductor.train.learning.settings import Improvement, Settings
from langgraph_conductor.train.learning.trainer import Batches
from langgraph_conductor.workers import WorkerPool

_MOST_POOLS: Final = 128


class Adaptive(Settings):
    """How many of the workers a question is offered; drawn evenly, for each question anew.

    The paper draws a random k of n and does not say how k is distributed (section 3.2).
    """

    least: int = Field(default=1, ge=1)
    most: int | None = Field(default=None, ge=1)
    """All workers if left out."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.most is not None and self.most < self.least:
            raise ValueError(f"most is {self.most}, less than least, {self.least}")
        return self


@dataclass(frozen=True, slots=True)
class FirstRound:
    """A first round that is over, for second rounds to go on from.

    Args:
        task: Id of the task.
        record: The round.
        reward: What it was worth.
        right: Whether its answer was right.
        workers: The workers it was offered, by number.
    """

    task: str
    record: RoundRecord
    reward: float
    right: bool
    workers: Mapping[int, str]

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        data = {name: getattr(self, name) for name in self.__slots__}
        return {**data, "workers": {str(number): name for number, name in self.workers.items()}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "FirstRound":
        """The inverse of `to_json`."""
        return cls(**{**data, "workers": {int(number): name for number, name in data["workers"].items()}})


def batches(
    tasks: Sequence[Task],
    pool: WorkerPool,
    improvement: Improvement,
    *,
    seed: int,
    adaptive: Adaptive | None = None,
    permute: bool = False,
    show: Show = "anonymous",
    in_turn: bool = False,
) -> Batches:
    """The groups of each step: every question once before any comes again, in an order of its own each time.

    A step depends on `seed` and its number alone. All rollouts of a group are offered the same workers, and equal
    pools are one object, which keeps what was compiled for it.

    Args:
        tasks: The questions.
        pool: The workers.
        improvement: How many questions and rollouts a step has.
        seed: Of everything drawn.
        adaptive: Offers each question some of the workers; one of them may be last. Left out, all.
        permute: Whether their numbers are dealt anew for each question.
        show: What the planner is shown of them.
        in_turn: Whether domains take turns, so that a step has all of them: see `in_turns`.

    Returns:
        The groups of a step, by its number.

    Raises:
        ValueError: If there are fewer questions than a step has, or fewer workers than `adaptive` draws, or
            numbers are to be permuted for a planner that knows nothing else of workers.
    """
    return _Drawn(_Offers(pool, seed, adaptive, permute, show), tasks, improvement, seed, in_turn=in_turn)


def in_turns(tasks: Iterable[Task], draw: random.Random) -> list[Task]:
    """Tasks in a random order in which domains take turns.

    A step that has all domains alike cannot learn that some worker is the right one for all of them, which is how
    routing collapses.
    """
    domains: dict[str, list[Task]] = {}
    for task in tasks:
        domains.setdefault(task.domain, []).append(task)
    rows = [draw.sample(some, len(some)) for some in domains.values()]
    return [row[n] for n in range(max(map(len, rows), default=0)) for row in rows if n < len(row)]


def question_at(tasks: Sequence[Task], place: int, seed: int, *, in_turn: bool = False) -> Task:
    """The question at a place of all that are ever asked: every one once before any comes again."""
    epoch, at = divmod(place, len(tasks))
    draw = _draw("tasks", seed, epoch)
    if in_turn:
        return in_turns(tasks, draw)[at]
    order = list(range(len(tasks)))
    draw.shuffle(order)
    return tasks[order[at]]


def recursive_batches(
    stored: Sequence[FirstRound],
    tasks: Sequence[Task],
    pool: WorkerPool,
    improvement: Improvement,
    recursion: Recursion,
    *,
    seed: int,
    permute: bool = False,
    show: Show = "anonymous",
) -> Batches:
    """`batches`, a share of each group going on from stored first rounds of its question.

    Right and wrong first answers take turns where there are both; within them the order is drawn, and few of them
    come again. Questions without a first round that gave an answer are left out, and so are first rounds with
    workers that are not in `pool`.

    Args:
        stored: The first rounds.
        tasks: The questions.
        pool: The workers, all of whom are offered.
        improvement: How many questions and rollouts a step has.
        recursion: The share.
        seed: Of everything drawn.
        permute: As for `batches`.
        show: As for `batches`.

    Raises:
        ValueError: As for `batches`, of the questions that are left; or if a group would hold no first or no
            second round.
    """
    later = round(recursion.share * improvement.rollouts)
    if not 0 < later < improvement.rollouts:
        raise ValueError(
            f"a share of {recursion.share:g} of {improvement.rollouts} rollouts leaves a group without first or "
            "second rounds; change one of them"
        )
    offers = _Offers(pool, seed, None, permute, show)
    starts = _by_task(stored, pool)
    kept = [task for task in tasks if task.id in starts]
    return _Drawn(offers, kept, improvement, seed, starts, later)


def first_rounds(asks: Sequence[Ask], scored: Sequence[Scored]) -> list[FirstRound]:
    """The first rounds among episodes that ran and gave an answer."""
    return [
        FirstRound(
            ask.task.id,
            one.episode.rounds[0],
            one.reward,
            one.episode.score == 1.0,
            dict(ask.pool.ordinals),
        )
        for ask, one in zip(asks, scored, strict=True)
        if not ask.previous and one.reward is not None and one.episode.answer and one.episode.valid
    ]


def save_first_rounds(found: Iterable[FirstRound], path: str | PathLike[str]) -> None:
    """Write first rounds as JSON lines."""
    write_lines(Path(path), (one.to_json() for one in found))


def load_first_rounds(path: str | PathLike[str]) -> list[FirstRound]:
    """Read what `save_first_rounds` wrote.

    Raises:
        ConfigError: If a line is none; the message names file and line.
    """
    found = []
    for number, row in read_rows(Path(path)):
        try:
            found.append(FirstRound.from_json(row))
        except (AttributeError, TypeError, ValueError, KeyError) as error:
            raise ConfigError(f"{path}, line {number}: this is no stored first round: {error}") from None
    return found


class _Offers:
    """The workers each question is offered, equal pools being one object."""

    def __init__(
        self, pool: WorkerPool, seed: int, adaptive: Adaptive | None, permute: bool, show: Show
    ) -> None:
        if permute and show != "described":
            raise ValueError(
                "numbers cannot be permuted for a planner that knows workers by number alone; use "
                'show = "described" or permute = false'
            )
        self._most = len(pool) if adaptive is None or adaptive.most is None else adaptive.most
        self._least = self._most if adaptive is None else adaptive.least
        if not self._least <= self._most <= len(pool):
            raise ValueError(f"cannot draw {self._least} to {self._most} of {len(pool)} workers")
        if not any(worker.may_be_last for worker in pool):
            raise ValueError(f"none of the workers {', '.join(pool.names)} may be last")
        self._pool, self._seed, self._permute = pool, seed, permute
        self._made: OrderedDict[tuple[tuple[int, str], ...], WorkerPool] = OrderedDict()

    def __call__(self, place: int) -> WorkerPool:
        """The workers offered with the question at `place` of all that are ever asked."""
        draw = _draw("workers", self._seed, place)
        count, sample, permutation = draw.randint(self._least, self._most), *draw.sample(range(2**32), 2)
        offered = self._pool
        if count < len(self._pool):
            offered = offered.sample(count, sample)
        if self._permute:
            offered = offered.permuted(permutation)
        content = tuple(offered.ordinals.items())
        shared = self._made.setdefault(content, offered)
        self._made.move_to_end(content)
        if len(self._made) > _MOST_POOLS:
            self._made.popitem(last=False)
        return shared


class _Drawn:
    """The groups of each step."""

    def __init__(
        self,
        offers: _Offers,
        tasks: Sequence[Task],
        improvement: Improvement,
        seed: int,
        starts: Mapping[str, tuple[Sequence[FirstRound], Sequence[FirstRound]]] | None = None,
        later: int = 0,
        *,
        in_turn: bool = False,
    ) -> None:
        if len(tasks) < improvement.questions:
            raise ValueError(
                f"a step asks {improvement.questions} questions, and there are {len(tasks)}"
                + (" with a first round to go on from" if later else "")
            )
        self._offers, self._tasks, self._seed = offers, tuple(tasks), seed
        self._questions, self._rollouts = improvement.questions, improvement.rollouts
        self._starts, self._later, self._in_turn = starts or {}, later, in_turn

    def __call__(self, step: int) -> Sequence[Group]:
        first = step * self._questions
        return [self._group(place) for place in range(first, first + self._questions)]

    def _group(self, place: int) -> Group:
        task = question_at(self._tasks, place, self._seed, in_turn=self._in_turn)
        ask = Ask(task, self._offers(place))
        begun = [ask] * (self._rollouts - self._later)
        return [*begun, *self._second(ask, place)] if self._later else begun

    def _second(self, ask: Ask, place: int) -> list[Ask]:
        draw = _draw("rounds", self._seed, place)
        sides = [draw.sample(side, len(side)) for side in self._starts[ask.task.id] if side]
        draw.shuffle(sides)
        # One ask for each first round, however often it is used: its prompt is then seen to be the same.
        asks = [[Ask(ask.task, ask.pool, (start.record,)) for start in side] for side in sides]
        turns = (asks[n % len(asks)][n // len(asks) % len(asks[n % len(asks)])] for n in range(self._later))
        return list(turns)


def _by_task(
    stored: Iterable[FirstRound], pool: WorkerPool
) -> dict[str, tuple[list[FirstRound], list[FirstRound]]]:
    """The first rounds of each task whose workers are here: those that were right, and the others."""
    found: dict[str, tuple[list[FirstRound], list[FirstRound]]] = {}
    for one in stored:
        if {step["worker"] for step in one.record["steps"]} <= set(pool.names):
            found.setdefault(one.task, ([], []))[not one.right].append(one)
    return found


def _draw(what: str, seed: int, number: int) -> random.Random:
    return random.Random(f"{what}:{seed}:{number}")  # noqa: S311 - no secret is made here
