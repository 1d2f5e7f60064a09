"""What a stage needs of a trainer. `plain` trains with torch, transformers and peft alone; `trl` with TRL."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from langgraph_conductor.train.asks import Ask, Example, Group, Scored

Score = Callable[[Sequence[Ask], Sequence[str]], Sequence[Scored]]
"""Runs one plan text for each ask, at once, and says what each was worth."""

Batches = Callable[[int], Sequence[Group]]
"""The groups of rollouts of step `n`, from 0: the same for the same step, so that training can go on."""


class Trainer(Protocol):
    """A model that can be sampled, taught by examples, and improved by rewards."""

    def sample(
        self, asks: Sequence[Ask], *, temperature: float, max_tokens: int, seed: int
    ) -> Sequence[str]:
        """One plan text for each ask; greedy at temperature 0."""
        ...

    def imitate(self, examples: Sequence[Example], folder: Path) -> None:
        """Learn to write the texts of `examples` (SFT); goes on from the checkpoint in `folder`, if there is one."""
        ...

    def improve(self, batches: Batches, score: Score, folder: Path) -> None:
        """Learn from rewards (GRPO); goes on from the checkpoint in `folder`, if there is one."""
        ...

    def save(self, folder: Path) -> None:
        """Write the weights, as PEFT or transformers reads them."""
        ...
