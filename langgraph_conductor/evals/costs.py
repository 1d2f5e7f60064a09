"""What strategies cost, in one unit for all that are compared."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

from langgraph_conductor.episodes import Episode
from langgraph_conductor.evals.results import Outcome
from langgraph_conductor.usage import Usage

Unit = Literal["money", "tokens", "steps"]


def unit_of(outcomes: Iterable[Outcome]) -> Unit:
    """Money if the price of every call is known and something was paid; else tokens; else steps.

    Workers that are functions cost neither money nor tokens.
    """
    used = sum(map(used_by, outcomes), Usage())
    if used.usd and not used.unpriced_calls:
        return "money"
    return "tokens" if used.total_tokens else "steps"


def unit_between(one: Outcome, other: Outcome) -> Unit:
    """What two strategies can be given equal amounts of: a unit of both, in which `one` costs something.

    Of a worker that is free no number of answers costs as much money as a planner that is not.
    """
    unit = unit_of([one, other])
    if unit == "money" and not mean_cost(one, unit):
        unit = "tokens"
    return unit if mean_cost(one, unit) else "steps"


def used_by(outcome: Outcome) -> Usage:
    """What a strategy used in all."""
    episodes = (episode for many in outcome.episodes.values() for episode in many)
    return sum((episode.usage for episode in episodes), Usage())


def mean_cost(outcome: Outcome, unit: Unit) -> Decimal:
    """What a question costs on average: US dollars, tokens or steps.

    Episodes that the infrastructure failed broke off somewhere, and do not count.
    """
    episodes = [e for many in outcome.episodes.values() for e in many if e.score is not None]
    return sum((_cost(episode, unit) for episode in episodes), Decimal()) / max(1, len(episodes))


def _cost(episode: Episode, unit: Unit) -> Decimal:
    if unit == "money":
        return episode.usage.usd or Decimal()
    if unit == "tokens":
        return Decimal(episode.usage.total_tokens)
    return Decimal(sum(len(record["steps"]) for record in episode.rounds))
