"""Which ledger a run has: the live one, or one rebuilt from its records after a restart."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Any, Final
from uuid import uuid4

from langchain_core.runnables import RunnableConfig

from langgraph_conductor.budget import Budget, Ledger
from langgraph_conductor.records import PlanRecord, RoundRecord, StepRecord
from langgraph_conductor.usage import Usage

LEDGER: Final = "__conductor_ledger"
"""Where steps find it in `configurable`; LangGraph stores and traces no key that begins like this."""


def ledger_in(config: RunnableConfig) -> Ledger | None:
    """The ledger of the run a step belongs to."""
    ledger: Ledger | None = config.get("configurable", {}).get(LEDGER)
    return ledger


def with_ledger(config: RunnableConfig, ledger: Ledger | None) -> RunnableConfig:
    """`config` in which steps find `ledger`, and no outer conductor's."""
    return {**config, "configurable": {**config.get("configurable", {}), LEDGER: ledger}}


class Ledgers:
    """The ledgers of one conductor's runs.

    Args:
        size: Most that are kept; a run older than that rebuilds its own.
    """

    def __init__(self, size: int = 4096) -> None:
        self._size = size
        self._live: OrderedDict[str, Ledger] = OrderedDict()
        self._lock = Lock()

    @staticmethod
    def new_run() -> dict[str, Any]:
        """What a run's state keeps of its ledger: its name."""
        return {"id": uuid4().hex}

    def knows(self, run: Mapping[str, Any] | None) -> bool:
        """Whether the run's ledger is at hand."""
        return run is not None and run["id"] in self._live

    def of(
        self,
        run: Mapping[str, Any] | None,
        budget: Budget | None,
        rounds: Iterable[RoundRecord] = (),
        plan: PlanRecord | None = None,
        steps: Iterable[StepRecord] = (),
    ) -> Ledger | None:
        """The ledger of a run; `None` without a budget.

        Args:
            run: What `new_run` gave.
            budget: Its budget.
            rounds: The rounds that are over, to rebuild it from.
            plan: The plan of the round that is not.
            steps: The steps of that round that are over.
        """
        if budget is None or not run:
            return None
        with self._lock:
            ledger = self._live.get(run["id"])
            if ledger is None:
                ledger = self._live[run["id"]] = _rebuilt(budget, [*rounds], plan, [*steps])
                if len(self._live) > self._size:
                    self._live.popitem(last=False)
            return ledger

    def close(self, run: Mapping[str, Any] | None) -> None:
        """The run is over."""
        if run:
            with self._lock:
                self._live.pop(run["id"], None)


def _rebuilt(
    budget: Budget, rounds: list[RoundRecord], plan: PlanRecord | None, steps: list[StepRecord]
) -> Ledger:
    plans = [*(record["plan"] for record in rounds), *([plan] if plan else [])]
    steps = [*(step for record in rounds for step in record["steps"]), *steps]
    used = sum((Usage.from_json(part["usage"]) for part in (*plans, *steps)), Usage())
    seconds = sum(part["seconds"] for part in plans) + _covered(steps)
    return Ledger(budget, used=used, seconds=seconds)


def _covered(steps: Iterable[StepRecord]) -> float:
    """Seconds in which at least one step was at work."""
    covered, until = 0.0, 0.0
    for begin, end in sorted((s["started_at"], s["started_at"] + s["seconds"]) for s in steps):
        covered += max(0.0, end - max(begin, until))
        until = max(until, end)
    return covered
