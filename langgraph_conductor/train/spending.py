"""What a training has used so far, over all its stages and restarts: kept in its folder, and limited."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from langgraph_conductor.budget import Budget, Ledger
from langgraph_conductor.replay import Expenses
from langgraph_conductor.train.files import read_object, write_json
from langgraph_conductor.train.learning.asks import Ask, Scored
from langgraph_conductor.train.learning.trainer import Score
from langgraph_conductor.usage import Usage


class Spending:
    """The accounts of a training.

    Several processes share what is left of the limit evenly, and each keeps a file.

    Args:
        folder: Where they are kept.
        limit_usd: What all of it may really pay; `None` for no limit.
        process: Which process this is, from 0.
        processes: How many there are.
    """

    def __init__(
        self, folder: Path, limit_usd: Decimal | None, process: int = 0, processes: int = 1
    ) -> None:
        self._path = folder / f"{process}.json"
        files = {path: read_object(path) for path in sorted(folder.glob("*.json"))}
        own = files.pop(self._path, {})
        self._others = sum((Usage.from_json(kept["paid"]) for kept in files.values()), Usage())
        self._before = Usage.from_json(own.get("paid", {}))
        self._charged_by_others = sum(
            (Usage.from_json(kept["charged"]) for kept in files.values()), Usage()
        )
        self._workflows_of_others = sum(int(kept["workflows"]) for kept in files.values())
        self._charged = Usage.from_json(own.get("charged", {}))
        self._workflows = int(own.get("workflows", 0))
        ledger = None
        if limit_usd is not None:
            before = self.before.usd or Decimal()
            share = before + max(Decimal(), limit_usd - before) / processes
            ledger = Ledger(Budget(usd=share), used=self.before)
        self.expenses = Expenses(ledger)

    @property
    def before(self) -> Usage:
        """What was paid before this run."""
        return self._others + self._before

    @property
    def paid(self) -> Usage:
        """What was really paid, by this process in this run and by all before."""
        return self.before + self.expenses.paid

    @property
    def charged(self) -> Usage:
        """What workers used, replies from the store counted as if they were made now."""
        return self._charged_by_others + self._charged

    @property
    def workflows(self) -> int:
        """How many plans ran."""
        return self._workflows_of_others + self._workflows

    def counting(self, score: Score) -> Score:
        """`score`, its episodes counted and the accounts written after each batch, also after one that failed."""

        def counted(asks: Sequence[Ask], texts: Sequence[str]) -> Sequence[Scored]:
            try:
                scored = score(asks, texts)
                ran = [one.episode for one in scored if one.episode.rounds]
                self._workflows += len(ran)
                self._charged = sum((episode.workers for episode in ran), self._charged)
                return scored
            finally:
                self.save()

        return counted

    def save(self) -> None:
        """Write this process's accounts."""
        data: dict[str, Any] = {
            "paid": (self._before + self.expenses.paid).to_json(),
            "charged": self._charged.to_json(),
            "workflows": self._workflows,
        }
        write_json(self._path, data)
