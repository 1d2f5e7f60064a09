"""Overruns of budgets in random parallel runs: there may be none.

Every run has a random plan of parallel and dependent steps, random caps, prices, reply lengths and
failures, and a random budget that is often too small. What was really used is counted by the models.
"""

import asyncio
import random
from decimal import Decimal
from typing import Any

from langchain_core.messages import AIMessage
from pydantic import Field

from langgraph_conductor import Budget, BudgetExceededError, Step, Worker, Workflow, create_conductor
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import ScriptedModel
from tests.helpers import ask

RUNS = 2000
MAX_STEPS = 6


class Counted(ScriptedModel):
    """A model that keeps its own count of what its replies used."""

    used: list[Any] = Field(default_factory=list)

    def _answer(self, messages: list[Any]) -> AIMessage:
        message = super()._answer(messages)
        self.used.append(message.usage_metadata)
        return message


def counted(draw: random.Random) -> Counted:
    def reply(messages: list[Any]) -> Any:
        return ConnectionError("gone") if draw.random() < 0.1 else "word " * draw.randint(1, 40)

    return Counted(replies=reply, latency=draw.uniform(0, 0.004), max_tokens=40)


def conductor_of(draw: random.Random, budget: Budget) -> tuple[Any, list[Counted], dict[str, int]]:
    price = {"input": draw.randint(0, 100), "output": draw.randint(1, 100_000)}
    models = [counted(draw) for _ in range(3)]
    workers = [
        Worker(f"w{i}", m, price=price, retries=draw.randint(0, 1), max_concurrency=draw.choice([None, 2]))
        for i, m in enumerate(models)
    ]
    steps = tuple(
        Step(f"w{draw.randrange(3)}", "x", tuple(j for j in range(i) if draw.random() < 0.3))
        for i in range(draw.randint(2, MAX_STEPS))
    )
    return create_conductor(fixed.workflow(Workflow(steps)), workers, budget=budget), models, price


async def one(seed: int) -> tuple[bool, bool]:
    """Whether a run overran its budget, and whether the budget ended it."""
    draw = random.Random(seed)
    limits: dict[str, Any] = {
        "usd": round(draw.uniform(0.5, 12), 2),
        "tokens": draw.randint(600, 8000),
        "calls": draw.randint(1, MAX_STEPS),
    }
    chosen = draw.sample(sorted(limits), draw.randint(1, 3))
    budget = Budget(**{name: limits[name] for name in chosen})
    conductor, models, price = conductor_of(draw, budget)
    try:
        stopped = bool((await conductor.ainvoke(ask()))["stopped"])
    except BudgetExceededError:
        stopped = True
    except Exception:  # every worker failed
        stopped = False
    sent, said, calls = 0, 0, 0
    for model in models:
        for used in model.used:
            sent, said, calls = sent + used["input_tokens"], said + used["output_tokens"], calls + 1
    usd = (Decimal(sent) * price["input"] + Decimal(said) * price["output"]) / 1_000_000
    over = (
        (budget.usd is not None and usd > budget.usd)
        or (budget.tokens is not None and sent + said > budget.tokens)
        or (budget.calls is not None and calls > budget.calls)
    )
    return over, stopped


async def main(runs: int = RUNS) -> bool:
    overran = ended = 0
    for begin in range(0, runs, 50):
        for over, stopped in await asyncio.gather(*(one(seed) for seed in range(begin, begin + 50))):
            overran += over
            ended += stopped
    print(f"budgets: {runs} random parallel runs, 50 at once; {ended} were ended by their budget")
    print(f"  overruns: {overran}  (limit 0)")
    return overran == 0 and runs // 10 < ended < runs


if __name__ == "__main__":
    raise SystemExit(0 if asyncio.run(main()) else 1)
