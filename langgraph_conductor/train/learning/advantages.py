"""Advantages: rewards of a group, compared with each other.

Source: Shao et al. 2024, GRPO (arXiv 2402.03300); for second rounds Nielsen et al. 2025, section 3.2 and
appendix A.1 (arXiv 2512.04388), and the authors' code, which differ.
"""

from collections.abc import Callable, Sequence
from statistics import fmean, stdev
from typing import Final, Literal

from pydantic import Field

from langgraph_conductor.train.learning.asks import Group
from langgraph_conductor.train.learning.settings import Settings

EPSILON: Final = 1e-4
"""Added to the spread, as TRL does."""


class Recursion(Settings):
    """Learning from second rounds: half of a group goes on from an earlier round of the same question.

    The paper and its authors' code differ in two places; both readings are here, and the paper's are the default.
    """

    iterations: int = Field(default=20, ge=1)
    """Steps of it, after the steps without."""
    share: float = Field(default=0.5, gt=0, lt=1)
    """Of each group's rollouts, those that go on from an earlier round."""
    discount: float = Field(default=0.25, gt=0, le=1)
    """0.25 in the paper, 0.2 in the code."""
    discounting: Literal["scale", "blend"] = "scale"
    """`"scale"`, the paper: a first round's reward counts by `discount`. `"blend"`, the code: it becomes
    (1 - discount) of its own and `discount` of the reward of the second round that went on from it; that needs
    second rounds of the very rollouts in the group, and without them it stays."""
    normalise: Literal["across", "per_round"] = "across"
    """`"across"`, the paper: rewards are compared with the whole group's. First rounds, being discounted, then
    lie below the mean as a whole; that pushes no plan over another, but no first round counts as good.
    `"per_round"`, the code: each round is compared with itself alone, and `"scale"` is laid on the advantages,
    since a spread of one's own would undo it."""
    show_plan: bool = True
    """Whether a planner is shown the earlier plan beside its answer; the paper shows the answer alone, the code's
    second version both."""


def advantages(
    rewards: Sequence[float | None], eps: float = EPSILON, *, scaled: bool = True
) -> list[float]:
    """How much better each rollout was than its group, in standard deviations.

    Args:
        rewards: Of one group; `None` for rollouts that could not be scored.
        eps: Added to the standard deviation (of a sample, so divided by n - 1).
        scaled: Whether to divide by it; see `Improvement.scale_rewards`.

    Returns:
        (reward - mean) / (deviation + eps) among the scored ones; 0 for the others, and for all where every reward
        is the same.
    """
    known = [reward for reward in rewards if reward is not None]
    if len(known) < 2 or min(known) == max(known):
        return [0.0] * len(rewards)
    mean, spread = fmean(known), stdev(known) + eps if scaled else 1.0
    return [0.0 if reward is None else (reward - mean) / spread for reward in rewards]


def hopeful_advantages(
    rewards: Sequence[float | None],
    wrong: float,
    right: float,
    eps: float = EPSILON,
    *,
    scaled: bool = True,
) -> list[float]:
    """`advantages`, but a group in which nobody was right has one more rollout, imagined, that was.

    Such a group teaches nothing otherwise. So a worker that is right somewhere is soon chosen everywhere, and then
    nobody is right elsewhere; with hope, the others say what not to try again.

    Args:
        rewards: As in `advantages`.
        wrong: The reward of a wrong plan; what is above was right.
        right: What there was to be won.
        eps: As in `advantages`.
        scaled: As in `advantages`.
    """
    if any(reward is not None and reward > wrong for reward in rewards):
        return advantages(rewards, eps, scaled=scaled)
    return advantages([*rewards, right], eps, scaled=scaled)[:-1]


def recursive_advantages(
    rewards: Sequence[float | None],
    rounds: Sequence[int],
    recursion: Recursion,
    *,
    parents: Sequence[int | None] | None = None,
    eps: float = EPSILON,
    scaled: bool = True,
) -> list[float]:
    """Advantages of a group of first and second rounds.

    Args:
        rewards: Of each rollout; `None` if it could not be scored.
        rounds: Number of the round each rollout planned, from 0.
        recursion: How they are discounted and compared.
        parents: For each rollout, the place in the group of the one whose round it goes on from, if it is there.
        eps: As in `advantages`.
        scaled: As in `advantages`.

    Raises:
        ValueError: If the sequences do not belong together.
    """
    worth = _discounted(rewards, rounds, recursion, parents)
    if recursion.normalise == "across":
        return advantages(worth, eps, scaled=scaled)
    found = [0.0] * len(worth)
    for number in set(rounds):
        places = [i for i, own in enumerate(rounds) if own == number]
        scale = recursion.discount if number == 0 and recursion.discounting == "scale" else 1.0
        own_worth = [worth[i] for i in places]
        for i, advantage in zip(places, advantages(own_worth, eps, scaled=scaled), strict=True):
            found[i] = scale * advantage
    return found


def advantages_of(
    recursion: Recursion, *, scaled: bool = True
) -> Callable[[Group, Sequence[float | None]], list[float]]:
    """`recursive_advantages` of groups in which second rounds go on from stored first rounds.

    Args:
        recursion: How rewards are discounted and compared.
        scaled: As in `advantages`.

    Raises:
        ValueError: If `recursion` blends: stored first rounds are not in the group.
    """
    if recursion.discounting == "blend":
        raise ValueError(
            'discounting = "blend" needs second rounds of the very rollouts in a group; first rounds from a file '
            'have none, so use "scale"'
        )

    def found(group: Group, rewards: Sequence[float | None]) -> list[float]:
        return recursive_advantages(rewards, rounds_of(group), recursion, scaled=scaled)

    return found


def rounds_of(group: Group) -> list[int]:
    """The number of the round each rollout of a group plans, from 0."""
    return [len(ask.previous) for ask in group]


def _discounted(
    rewards: Sequence[float | None],
    rounds: Sequence[int],
    recursion: Recursion,
    parents: Sequence[int | None] | None,
) -> list[float | None]:
    """The rewards, those of first rounds being discounted where that is a matter of rewards."""
    if len(rounds) != len(rewards) or (parents is not None and len(parents) != len(rewards)):
        raise ValueError("give a round, and a parent or None, for each reward")
    if recursion.discounting == "scale":
        scale = recursion.discount if recursion.normalise == "across" else 1.0
        return [
            scale * reward if reward is not None and number == 0 else reward
            for reward, number in zip(rewards, rounds, strict=True)
        ]
    later: dict[int, list[float]] = {}
    for parent, reward in zip(parents or [None] * len(rewards), rewards, strict=True):
        if parent is not None and reward is not None:
            later.setdefault(parent, []).append(reward)
    part = recursion.discount
    return [
        (1 - part) * reward + part * fmean(later[i])
        if reward is not None and number == 0 and i in later
        else reward
        for i, (reward, number) in enumerate(zip(rewards, rounds, strict=True))
    ]
