"""Which ledger a run has: the live one, or one rebuilt from its records after a restart."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Any, Final
from uuid import uuid4

from langchain_core.runnables import RunnableConfig

from langgraph_conductor.budget import Budget, Ledger
from langgraph_conductor.graph.kept import Kept
from langgraph_conductor.options import Options
from langgraph_conductor.records import CallRecord, PlanRecord, RoundRecord, StepRecord
from langgraph_conductor.usage import Usage

LEDGER: Final = "__conductor_ledger"
"""Where steps find it in `configurable`; LangGraph stores and traces no key that begins like this."""


KEPT: Final = "__conductor_kept"
"""Where steps find what they had done before they were left; see `kept_channel`."""


def kept_in(config: RunnableConfig, index: int) -> Kept | None:
    """What a step had done before it was left; `None` if no conductor tells it, so that it has to look itself."""
    kept: Mapping[int, Kept] | None = config.get("configurable", {}).get(KEPT)
    return None if kept is None else kept.get(index, Kept())


def budget_of(
    run: Mapping[str, Any] | None, options: Options, config: RunnableConfig | None
) -> Budget | None:
    """The budget of a run: as it began, or lower where this call says so."""
    return options.over(config, run).budget


def ledger_in(config: RunnableConfig) -> Ledger | None:
    """The ledger of the run a step belongs to."""
    ledger: Ledger | None = config.get("configurable", {}).get(LEDGER)
    return ledger


def with_accounts(
    config: RunnableConfig, ledger: Ledger | None, kept: Mapping[int, Kept]
) -> RunnableConfig:
    """`config` in which steps find `ledger` and what they had done before, and no outer conductor's."""
    accounts = {LEDGER: ledger, KEPT: kept}
    return {**config, "configurable": {**config.get("configurable", {}), **accounts}}


def own_rounds(run: Mapping[str, Any] | None, rounds: Iterable[RoundRecord]) -> list[RoundRecord]:
    """The rounds of a run less those of the earlier one that it goes on from."""
    return [*rounds][(run or {}).get("earlier") or 0 :]


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
    def new_run(
        budget: Budget | None, earlier: int = 0, options: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """What a run's state keeps of its ledger: its name, the budget, and how many rounds are not its own.

        Args:
            budget: Its budget.
            earlier: Rounds of an earlier run.
            options: What else the call that began it had chosen, see `Options.said`.
        """
        run = {"id": uuid4().hex, "budget": budget and budget.to_json(), "earlier": earlier}
        return run | ({"options": {**options}} if options else {})

    def of(
        self,
        run: Mapping[str, Any] | None,
        budget: Budget | None,
        rounds: Iterable[RoundRecord] = (),
        plan: PlanRecord | None = None,
        steps: Iterable[StepRecord] = (),
        spent: Iterable[CallRecord] = (),
    ) -> Ledger | None:
        """The ledger of a run; `None` without a budget.

        Args:
            run: What `new_run` gave.
            budget: Its budget.
            rounds: The rounds that are over, to rebuild it from; those of an earlier run are left out.
            plan: The plan of the round that is not.
            steps: The steps of that round that are over.
            spent: The model calls of those that were left before their end.
        """
        if budget is None or not run:
            return None
        with self._lock:
            ledger = self._live.get(run["id"])
            if ledger is None:
                ledger = _rebuilt(budget, own_rounds(run, rounds), plan, [*steps], [*spent])
            elif ledger.budget != budget:
                ledger.change(budget)
            self._live[run["id"]] = ledger
            self._live.move_to_end(run["id"])
            if len(self._live) > self._size:
                self._live.popitem(last=False)
            return ledger

    def close(self, run: Mapping[str, Any] | None) -> None:
        """The run is over."""
        if run:
            with self._lock:
                self._live.pop(run["id"], None)


def _rebuilt(
    budget: Budget,
    rounds: list[RoundRecord],
    plan: PlanRecord | None,
    steps: list[StepRecord],
    spent: list[CallRecord],
) -> Ledger:
    plans = [*(record["plan"] for record in rounds), *([plan] if plan else [])]
    steps = [*(step for record in rounds for step in record["steps"]), *steps]
    spent = [*(call for record in rounds for call in record.get("discarded", ())), *spent]
    used = sum((Usage.from_json(part["usage"]) for part in (*plans, *steps, *spent)), Usage())
    seconds = sum(part["seconds"] for part in plans) + _covered(steps)
    return Ledger(budget, used=used, seconds=seconds)


def _covered(steps: Iterable[StepRecord]) -> float:
    """Seconds in which at least one step was at work."""
    covered, until = 0.0, 0.0
    for begin, end in sorted((s["started_at"], s["started_at"] + s["seconds"]) for s in steps):
        covered += max(0.0, end - max(begin, until))
        until = max(until, end)
    return covered
