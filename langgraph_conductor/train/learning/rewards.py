"""What an episode is worth to a policy in training."""

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from langgraph_conductor.episodes import Episode
from langgraph_conductor.train.learning.settings import Settings

_LEAST_GAP = 0.01
_MOST_COST = 0.9


class Rewards(Settings):
    """Rewards of plans; the defaults are the paper's (section 3.1).

    A right answer may be worth less the dearer it was, a wrong one never is worth more for being cheap: so a wrong
    plan cannot beat a right one, whatever they cost. Settings that could break this are refused.

    Raises:
        ValueError: If they are not in the order invalid <= wrong < right, or the cost could eat up what being
            right is worth.
    """

    invalid: float = Field(default=0.0, ge=-10, le=10)
    """Of a text that is no plan, or none that these workers can run."""
    wrong: float = Field(default=0.5, ge=-10, le=10)
    """Of a plan that ran and gave a wrong answer, or none."""
    right: float = Field(default=1.0, ge=-10, le=10)
    """Of a plan that gave the right answer, or accepted it. Part of the way for part of the score."""
    cost_weight: float = Field(default=0.0, ge=0)
    """What the dearest right plan loses."""
    cost: Literal["usd", "tokens", "steps"] = "usd"
    """What cost is counted in: of planner and workers, replies from a store being charged as if made now."""
    cost_scale: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """The cost from which a plan counts as one of the dearest."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        gap = self.right - self.wrong
        if self.invalid > self.wrong or gap < _LEAST_GAP:
            raise ValueError(
                f"rewards must rise from invalid to wrong to right, the last two by {_LEAST_GAP} or more, and "
                f"these are {self.invalid:g}, {self.wrong:g}, {self.right:g}"
            )
        if self.cost_weight > _MOST_COST * gap:
            raise ValueError(
                f"cost_weight is {self.cost_weight:g}; with more than {_MOST_COST * gap:g} ({_MOST_COST:.0%} of "
                "right less wrong) a cheap wrong plan might be worth more than a dear right one"
            )
        return self


def reward_of(episode: Episode, rewards: Rewards | None = None) -> float | None:
    """The reward of an episode.

    In a second round, accepting a right answer is right and accepting a wrong one is wrong; either costs nothing.

    Args:
        episode: What happened.
        rewards: Settings; the paper's if left out.

    Returns:
        The reward; `None` if the infrastructure failed, so that nobody knows.

    Raises:
        ValueError: If cost counts in USD and the price of a call is unknown.
    """
    rewards = rewards or Rewards()
    if episode.score is None:
        return None
    if not episode.valid:
        return rewards.invalid
    won = rewards.right - rewards.wrong
    if rewards.cost_weight:
        won -= rewards.cost_weight * min(1.0, cost_of(episode, rewards.cost) / rewards.cost_scale)
    return rewards.wrong + episode.score * won


def cost_of(episode: Episode, unit: Literal["usd", "tokens", "steps"]) -> float:
    """What an episode cost: USD, tokens sent and received, or steps that were run.

    Raises:
        ValueError: If it is asked for in USD and the price of a call is unknown.
    """
    if unit == "steps":
        return float(sum(len(record["steps"]) for record in episode.rounds))
    used = episode.usage
    if unit == "tokens":
        return float(used.total_tokens)
    if used.unpriced_calls:
        raise ValueError(
            f"{used.unpriced_calls} calls of the episode on task {episode.task} have no known price, so cost "
            'cannot count in USD; give their workers a `price`, or count "tokens" or "steps"'
        )
    usd = float(used.usd or 0)
    return usd if math.isfinite(usd) else math.inf
