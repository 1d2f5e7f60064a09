"""What a stage needs of a trainer. `plain` trains with torch, transformers and peft alone; `trl` with TRL."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from langgraph_conductor.train.learning.asks import Ask, Example, Group, Scored

Score = Callable[[Sequence[Ask], Sequence[str]], Sequence[Scored]]
"""Runs one plan text for each ask, at once, and says what each was worth."""

Batches = Callable[[int], Sequence[Group]]
"""The groups of rollouts of step `n`, from 0: the same for the same step, so that training can go on."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of learning from rewards, as diagnostics see it. The lists go by group, then by rollout.

    Args:
        number: Which step, from 0.
        groups: What was asked.
        texts: What was written.
        scored: What it was worth.
        tokens: Tokens the policy wrote.
        seconds: Seconds of `"planning"` (writing plans), `"executing"` (running them) and `"training"`.
        learning: What the optimiser saw, such as `loss`, `entropy`, `gradient` and `learning_rate`.
    """

    number: int
    groups: Sequence[Group]
    texts: Sequence[Sequence[str]]
    scored: Sequence[Sequence[Scored]]
    tokens: int
    seconds: Mapping[str, float]
    learning: Mapping[str, float] = field(default_factory=dict)


Watch = Callable[[Step], None]
"""Is told of each step after it was taken; what it raises ends the training."""


class Trainer(Protocol):
    """A model that can be sampled, taught by examples, and improved by rewards."""

    def sample(
        self, asks: Sequence[Ask], *, temperature: float, max_tokens: int, seed: int
    ) -> Sequence[str]:
        """One plan text for each ask; greedy at temperature 0."""
        ...

    def imitate(self, examples: Sequence[Example], folder: Path) -> None:
        """Learn to write the texts of `examples` (SFT); goes on from a checkpoint in `folder`."""
        ...

    def improve(self, batches: Batches, score: Score, folder: Path) -> None:
        """Learn from rewards (GRPO); goes on from the checkpoint in `folder`, if there is one."""
        ...

    def save(self, folder: Path) -> None:
        """Write the weights, as PEFT or transformers reads them."""
        ...
