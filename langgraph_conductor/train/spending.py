"""What a training has used so far, over all its stages and restarts: kept in its folder, and limited."""

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from langgraph_conductor.budget import Budget, Ledger
from langgraph_conductor.replay import Expenses
from langgraph_conductor.train.asks import Ask, Scored
from langgraph_conductor.train.files import write_json
from langgraph_conductor.train.trainer import Score
from langgraph_conductor.usage import Usage


class Spending:
    """The accounts of a training.

    Args:
        path: The file they are kept in.
        limit_usd: What all of it may really pay; `None` for no limit.
    """

    def __init__(self, path: Path, limit_usd: Decimal | None) -> None:
        self.path = path
        kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        self._paid_before = Usage.from_json(kept.get("paid", {}))
        self.charged = Usage.from_json(kept.get("charged", {}))
        """What workers used, replies from the store counted as if they were made now."""
        self.workflows = int(kept.get("workflows", 0))
        """Plans that ran."""
        budget = None if limit_usd is None else Budget(usd=limit_usd)
        self.expenses = Expenses(budget and Ledger(budget, used=self._paid_before))

    @property
    def paid(self) -> Usage:
        """What was really paid."""
        return self._paid_before + self.expenses.paid

    def counting(self, score: Score) -> Score:
        """`score`, its episodes counted and the accounts written after each batch, also after one that failed."""

        def counted(asks: Sequence[Ask], texts: Sequence[str]) -> Sequence[Scored]:
            try:
                scored = score(asks, texts)
                ran = [one.episode for one in scored if one.episode.rounds]
                self.workflows += len(ran)
                self.charged = sum((episode.workers for episode in ran), self.charged)
                return scored
            finally:
                self.save()

        return counted

    def save(self) -> None:
        """Write the accounts, in one move."""
        data = {
            "paid": self.paid.to_json(),
            "charged": self.charged.to_json(),
            "workflows": self.workflows,
        }
        write_json(self.path, data)
