"""What strategies cost, in one unit for all that are compared."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

from langgraph_conductor.episodes import Episode
from langgraph_conductor.evals.results import Outcome

Unit = Literal["money", "tokens", "steps"]


def unit_of(outcomes: Iterable[Outcome]) -> Unit:
    """Money if the price of every call is known and something was paid; else tokens; else steps.

    Workers that are functions cost neither money nor tokens.
    """
    used = [episode.usage for outcome in outcomes for many in outcome.episodes.values() for episode in many]
    if any(usage.usd for usage in used) and not any(usage.unpriced_calls for usage in used):
        return "money"
    return "tokens" if any(usage.total_tokens for usage in used) else "steps"


def mean_cost(outcome: Outcome, unit: Unit) -> Decimal:
    """What a question costs on average: US dollars, tokens or steps."""
    episodes = [episode for many in outcome.episodes.values() for episode in many]
    return sum((_cost(episode, unit) for episode in episodes), Decimal()) / max(1, len(episodes))


def _cost(episode: Episode, unit: Unit) -> Decimal:
    if unit == "money":
        return episode.usage.usd or Decimal()
    if unit == "tokens":
        return Decimal(episode.usage.total_tokens)
    return Decimal(sum(len(record["steps"]) for record in episode.rounds))
