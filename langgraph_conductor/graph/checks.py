"""What is refused before anything is paid."""

from collections.abc import Iterable
from typing import Any

from langgraph_conductor.budget import Budget
from langgraph_conductor.options import Options
from langgraph_conductor.planners.protocol import Planner
from langgraph_conductor.usage import Usage
from langgraph_conductor.workers import WorkerPool
from langgraph_conductor.workers.composed import models_in
from langgraph_conductor.workers.worker import cost_of, output_cap_of


def check_bounds(budget: Budget | None, planner: Planner, pool: WorkerPool) -> None:
    """Refuse models whose calls the budget could not bound.

    Models inside graphs and functions are not known here; their calls are checked when they are made.

    Raises:
        ValueError: If a model has no output cap under a limit of tokens or money, or no known price under
            a limit of money.
    """
    if budget is None or budget.allow_unbounded or (budget.usd is None and budget.tokens is None):
        return
    models = [(f"worker {w.name!r}", model, w.prices) for w in pool for model in w.models]
    prices_of_planner = getattr(planner, "prices", None) or {}
    for model in models_in(getattr(planner, "model", None)):
        models.append(("the planner", model, prices_of_planner))
    for who, model, prices in models:
        if output_cap_of(model) is None:
            raise ValueError(
                f"{who} has no output cap, so the budget of {budget} cannot bound its calls; set max_tokens "
                "on its model, or allow_unbounded=True on the budget"
            )
        if budget.usd is not None and cost_of(Usage(calls=1, unpriced_calls=1), model, prices).usd is None:
            raise ValueError(
                f"{who} has no known price, so the budget of {budget} cannot bound its calls; give it a price, "
                "or set allow_unbounded=True on the budget"
            )


def check_choice(pool: WorkerPool, options: Options, elsewhere: Iterable[WorkerPool]) -> None:
    """Refuse a choice of workers that does not fit.

    Args:
        pool: The workers.
        options: Those of the run.
        elsewhere: The pools of conductors that share the options: a name may be meant for them.

    Raises:
        ValueError: If a name is known nowhere, or no worker that may be last would be left.
    """
    pools = [*elsewhere]
    if not pools:
        for choice in options.choices:
            pool.only(*(choice.workers or pool.names))
            pool.without(*choice.exclude) if choice.exclude else pool
        narrowed(pool, options, strict=True)
        return
    for word in (word for choice in options.choices for word in (*(choice.workers or ()), *choice.exclude)):
        if not any(known.known([word]) for known in (pool, *pools)):
            raise ValueError(f"there is no worker named or tagged {word!r} in any conductor of this graph")


def narrowed(pool: WorkerPool, options: Options, *, strict: bool = False) -> WorkerPool:
    """The workers one run may use.

    Args:
        pool: All there are. What is no name or tag of them is meant for another conductor.
        options: Those of the run. Each choice is made among those that the one before left.
        strict: Whether more than there are cannot be drawn.

    Raises:
        ValueError: If no worker that may be last is left.
    """
    left = pool
    for choice in options.choices:
        words = choice.workers
        if words is not None and (not words or pool.known(words)):
            left = left.only(*left.known(words))
        if excluded := left.known(choice.exclude):
            left = left.without(*excluded)
        if choice.sample:
            k, seed = choice.sample
            left = left.sample(k if strict else min(k, len(left)), seed)
    return left.offered(permute=options.permute)


def check_offer(planner: Planner, options: Options) -> None:
    """Refuse a dealt numbering for a planner that knows workers by their numbers alone.

    Raises:
        ValueError: Then.
    """
    show: Any = getattr(planner, "show", None)
    if options.permute is not None and show == "anonymous":
        raise ValueError(
            "the option `permute` does not fit a planner with show='anonymous': it knows workers by ordinal alone"
        )
