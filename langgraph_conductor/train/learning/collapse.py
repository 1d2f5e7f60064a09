"""Ends a training that has collapsed: early, and with words that help."""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from pydantic import Field

from langgraph_conductor.errors import TrainingCollapsedError
from langgraph_conductor.evals.stats import entropy
from langgraph_conductor.train.learning.asks import Scored
from langgraph_conductor.train.learning.settings import Settings
from langgraph_conductor.train.learning.trainer import Step

_HINT: Final = (
    "Begin again from an earlier checkpoint, and try a smaller learning rate or clip_norm, more rollouts of each "
    "question, or a longer warm start."
)


class Limits(Settings):
    """What counts as a collapse, as means over `window` steps.

    A step's figures are noise; those of ten steps are not. Each limit can be switched off by its far end.
    """

    window: int = Field(10, ge=1)
    """Steps that are looked at together."""
    least_readable: float = Field(0.9, ge=0, le=1)
    """Share of the plans that could be run; 0 switches it off. A policy that loses the format gets the same
    reward for everything, and finds no way back."""
    most_dead: float = Field(0.8, ge=0, le=1)
    """Share of the groups from which nothing can be learnt, since all their rewards are equal and not all are
    right; 1 switches it off."""
    least_entropy: float = Field(0.1, ge=0)
    """Bits of the shares in which the workers are called, where several are offered; 0 switches it off. Calling
    one alone is a collapse only where it does not pay: no more is right than in the first `window` steps."""


@dataclass(frozen=True, slots=True)
class _Seen:
    number: int
    readable: float
    dead: float
    entropy: float
    right: float


class CollapseDetector:
    """Looks at every step of learning from rewards; a `trainer.Watch`.

    Rollouts that could not be scored count for nothing, and neither does a step without any other.

    Args:
        limits: What counts as a collapse.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._seen: deque[_Seen] = deque(maxlen=self.limits.window)
        self._right_at_first: float | None = None

    def __call__(self, step: Step) -> None:
        """Take note of a step.

        Raises:
            TrainingCollapsedError: If the last `window` steps show a collapse.
        """
        scored = [[one for one in group if one.reward is not None] for group in step.scored]
        scored = [group for group in scored if group]
        if not scored:
            return
        self._seen.append(_seen(step, scored))
        if len(self._seen) < self.limits.window:
            return
        right = fmean(seen.right for seen in self._seen)
        for reason in self._reasons(right):
            raise TrainingCollapsedError(self._message(step.number, reason), step=step.number)
        if self._right_at_first is None:
            self._right_at_first = right

    def _reasons(self, right: float) -> Iterator[str]:
        limits, seen = self.limits, self._seen
        readable = fmean(one.readable for one in seen)
        if readable < limits.least_readable:
            yield (
                f"only {readable:.0%} of the plans could be run (limit {limits.least_readable:.0%}): the format "
                "is being lost; bind plans to a grammar (train.grammar) if that is possible"
            )
        dead = fmean(one.dead for one in seen)
        if dead > limits.most_dead:
            yield (
                f"in {dead:.0%} of the groups (limit {limits.most_dead:.0%}) every plan was worth the same and "
                "not all were right, so that nothing can be learnt; take questions on which plans differ"
            )
        spread = fmean(one.entropy for one in seen)
        first = self._right_at_first
        if spread < limits.least_entropy and first is not None and right <= first:
            yield (
                f"nearly every step goes to one worker ({spread:.2f} bits, limit {limits.least_entropy:g}), and "
                f"{right:.0%} is right, no more than at first ({first:.0%}); offer varying workers, or sample "
                "hotter"
            )

    def _message(self, number: int, reason: str) -> str:
        first = self._seen[0].number
        return f"training collapsed by step {number}: since step {first} {reason}. {_HINT}"


def _seen(step: Step, scored: Sequence[Sequence[Scored]]) -> _Seen:
    flat = [one for group in scored for one in group]
    called = Counter(name for one in flat for name in _called(one))
    offered = max(len(ask.pool) for group in step.groups for ask in group)
    calls = called.total()
    return _Seen(
        step.number,
        readable=fmean(one.episode.valid for one in flat),
        dead=fmean(_dead(group) for group in scored),
        # Without a call, or with one worker, there is nothing to be spread.
        entropy=entropy({name: count / calls for name, count in called.items()})
        if calls and offered > 1
        else float("inf"),
        right=fmean(one.episode.score or 0.0 for one in flat),
    )


def _dead(group: Sequence[Scored]) -> bool:
    """Whether nothing can be learnt from a group though there is something to learn."""
    alike = len({one.reward for one in group}) == 1
    return alike and any(one.episode.score != 1.0 for one in group)


def _called(scored: Scored) -> Iterator[str]:
    for record in scored.episode.rounds:
        yield from (step["worker"] for step in record["steps"])
