"""Which ledger a run has: the live one, or one rebuilt from its records after a restart."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Any, Final
from uuid import uuid4

from langchain_core.runnables import RunnableConfig

from langgraph_conductor.budget import Budget, Ledger
from langgraph_conductor.errors import SavedRunError
from langgraph_conductor.options import Options
from langgraph_conductor.records import CallRecord, PlanRecord, RoundRecord, StepRecord
from langgraph_conductor.usage import Usage

_MOST_FAILURES: Final = 64
"""Of runs that are not over: an exception keeps alive what its frames hold."""
FORMAT: Final = 2
"""The format a run is stored in. Format 1, which is not noted in runs, left out what steps had said."""


def check_format(run: Mapping[str, Any] | None) -> None:
    """Refuse to go on with a run that an earlier version stored.

    Raises:
        SavedRunError: If it did.
    """
    if run and (not isinstance(run, Mapping) or run.get("format") != FORMAT):
        raise SavedRunError(
            "this run was begun by an earlier version of langgraph_conductor, which stored runs otherwise; "
            "finish it with that version, or ask again: a new message on this thread begins a new run"
        )


def budget_of(
    run: Mapping[str, Any] | None, options: Options, config: RunnableConfig | None
) -> Budget | None:
    """The budget of a run: as it began, or lower where this call says so."""
    return options.over(config, run).budget


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
        self._failures: OrderedDict[str, Exception] = OrderedDict()
        self._lock = Lock()

    @staticmethod
    def new_run(
        budget: Budget | None, earlier: int = 0, options: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """What a run's state keeps of how it began: its name, its budget, and how many rounds are not its own.

        Args:
            budget: Its budget.
            earlier: Rounds of an earlier run.
            options: What else the call that began it had chosen, see `Options.said`.
        """
        budget_json = budget and budget.to_json()
        run = {"format": FORMAT, "id": uuid4().hex, "budget": budget_json, "earlier": earlier}
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

    def failed(self, run: Mapping[str, Any], failure: Exception) -> None:
        """Keep why a step of a run failed, until the run is over: the cause of the error if it has no answer."""
        with self._lock:
            self._failures[run["id"]] = failure
            if len(self._failures) > _MOST_FAILURES:
                self._failures.popitem(last=False)

    def close(self, run: Mapping[str, Any] | None) -> Exception | None:
        """End a run.

        Returns:
            Why its latest failed step failed, if one did in this process.
        """
        if not run:
            return None
        with self._lock:
            self._live.pop(run["id"], None)
            return self._failures.pop(run["id"], None)


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
