"""What is watched while a policy learns: one JSON line a step, from step 0, and a summary.

Source of what to watch: others' collapses (to the dearest worker, to one shape of plan, to groups in which every
reward is the same), which a rising reward does not show.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from os import PathLike
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from langgraph_conductor.episodes import Episode
from langgraph_conductor.evals.stats import entropy
from langgraph_conductor.replay import Expenses
from langgraph_conductor.text_files import make_folder
from langgraph_conductor.train.files import read_lines, write_whole
from langgraph_conductor.train.learning.asks import Ask, Scored
from langgraph_conductor.train.learning.trainer import Step
from langgraph_conductor.usage import Usage
from langgraph_conductor.workflow import Workflow

STEPS: Final = "steps.jsonl"
SUMMARY: Final = "summary.json"

_Rollout = tuple[Ask, Scored]


class Diagnostics:
    """Writes what each step did to `steps.jsonl` and `summary.json`: a `trainer.Watch`.

    In a folder that has lines already it goes on: a step that is taken again, since it was lost in a kill,
    replaces its line and drops those after it; what had been paid for them stays counted (`usd["lost"]`).

    Args:
        folder: Where to; it is made if it is not there.
        expenses: Those of the scorer, to tell what was really paid in each step; unknown, if no call has a price.
    """

    def __init__(self, folder: str | PathLike[str], expenses: Expenses | None = None) -> None:
        self.folder = Path(folder)
        make_folder(self.folder)
        self._expenses = expenses
        self._paid = _usd(expenses.paid) if expenses else Decimal()
        self._lines = read_steps(self.folder)

    def __call__(self, step: Step) -> None:
        """Write down a step."""
        kept = [line for line in self._lines if line["step"] < step.number]
        again = self._lines[len(kept) :]
        usd = self._money(step, sum((_spent(line) for line in again), Decimal()))
        self._lines = [*kept, {**line_of(step), "usd": usd}]
        write_whole(self.folder / STEPS, "".join(json.dumps(line) + "\n" for line in self._lines))
        write_whole(self.folder / SUMMARY, json.dumps(summary_of(self._lines), indent=2) + "\n")

    def report(self) -> Path:
        """Write `training.html` with its plots, and each plot as a file; returns its path.

        Raises:
            ImportError: If matplotlib is not installed.
        """
        from langgraph_conductor.train.results.report import write_training_report

        return write_training_report(self.folder)

    def _money(self, step: Step, lost: Decimal) -> dict[str, str | None]:
        charged = sum((one.episode.usage for _, one in _rollouts(step)), Usage())
        paid = None
        if self._expenses and (self._expenses.paid.usd is not None or not self._expenses.paid.calls):
            now = _usd(self._expenses.paid)
            paid, self._paid = now - self._paid, now
        return {"paid": _text(paid), "charged": _text(charged.usd), "lost": _text(lost)}


def read_steps(folder: str | PathLike[str]) -> list[dict[str, Any]]:
    """The lines of `steps.jsonl`, in order; none if it is not there."""
    path = Path(folder) / STEPS
    return [*read_lines(path)] if path.is_file() else []


def line_of(step: Step) -> dict[str, Any]:
    """What a step did, as JSON; shares are of 1, and `None` where there is nothing to share.

    Returns:
        `reward`: mean, by domain and by round. `parsed`: share of texts that were plans; `right`: share of right
        answers, and among plans alone (`right_if_parsed`). `steps`: how many plans had how many steps, 0 for
        accepting. `workers`: share of steps. Entropies in bits: of workers, of shapes (who reads whom) and of
        plans (shapes with workers). `dead_groups`: share of groups whose scored rewards are all the same;
        `unscored`: share of rollouts the infrastructure failed. `accepted`: share of second rounds that kept the
        answer, and how many of those were right. `tokens`, `seconds`, `calls`, and `learning`.
    """
    rollouts = _rollouts(step)
    episodes = [one.episode for _, one in rollouts]
    scored = [(ask, one) for ask, one in rollouts if one.reward is not None]
    plans = [plan for episode in episodes if (plan := _planned(episode))]
    workers = _shares(one.worker for plan in plans for one in plan.steps)
    later = [one.episode for ask, one in rollouts if ask.previous]
    kept = [episode for episode in later if _accepted(episode)]
    charged = sum((episode.usage for episode in episodes), Usage())
    return {
        "step": step.number,
        "rollouts": len(rollouts),
        "reward": _mean(one.reward for _, one in scored),
        "reward_by_domain": _by((ask.task.domain or "none", one.reward) for ask, one in scored),
        "reward_by_round": _by((str(len(ask.previous)), one.reward) for ask, one in scored),
        "parsed": _mean(float(episode.valid) for episode in episodes),
        "right": _mean(one.episode.score for _, one in scored),
        "right_if_parsed": _mean(one.episode.score for _, one in scored if one.episode.valid),
        "steps": _counts([0] * len(kept) + [len(plan.steps) for plan in plans]),
        "workers": workers,
        "worker_entropy": entropy(workers),
        "shape_entropy": entropy(_shares(map(_shape, plans))),
        "plan_entropy": entropy(_shares(map(_shape_with_workers, plans))),
        "dead_groups": _mean(float(_dead(group)) for group in step.scored),
        "unscored": _mean(float(one.reward is None) for _, one in rollouts),
        "accepted": _mean(float(_accepted(episode)) for episode in later),
        "right_if_accepted": _mean(episode.score for episode in kept),
        "tokens": {"policy": step.tokens, "workers": charged.total_tokens},
        "calls": charged.calls,
        "unpriced_calls": charged.unpriced_calls,
        "seconds": {name: round(seconds, 3) for name, seconds in step.seconds.items()},
        "learning": dict(step.learning),
    }


def summary_of(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The first and last tenth of the steps, as means, and sums over all.

    Args:
        lines: As `line_of` and `Diagnostics` make them.
    """
    if not lines:
        return {"steps": 0}
    tenth = max(1, len(lines) // 10)
    shown = (
        *(
            "reward",
            "parsed",
            "right",
            "right_if_parsed",
            "worker_entropy",
            "shape_entropy",
            "plan_entropy",
        ),
        *("dead_groups", "unscored", "accepted", "right_if_accepted"),
    )
    parts = {"first": lines[:tenth], "last": lines[-tenth:]}
    money = {kind: _total(line["usd"][kind] for line in lines) for kind in ("paid", "charged", "lost")}
    return {
        "steps": len(lines),
        "rollouts": sum(line["rollouts"] for line in lines),
        "averaged_over": tenth,
        **{
            part: {name: _mean(line[name] for line in some) for name in shown}
            for part, some in parts.items()
        },
        "workers": {part: _mean_shares([line["workers"] for line in some]) for part, some in parts.items()},
        "usd": money,
        "unpriced_calls": sum(line["unpriced_calls"] for line in lines),
        "calls": sum(line["calls"] for line in lines),
        "tokens": _sums(line["tokens"] for line in lines),
        "seconds": _sums(line["seconds"] for line in lines),
    }


def _rollouts(step: Step) -> list[_Rollout]:
    return [
        (ask, one)
        for group, scored in zip(step.groups, step.scored, strict=True)
        for ask, one in zip(group, scored, strict=True)
    ]


def _planned(episode: Episode) -> Workflow | None:
    """The workflow of the last round, if there is one and it was the policy's own."""
    made = episode.rounds[-1]["workflow"] if episode.rounds and episode.valid else None
    return None if made is None else Workflow.from_json(made)


def _accepted(episode: Episode) -> bool:
    return episode.valid and bool(episode.rounds) and episode.rounds[-1]["accepted"]


def _shape(plan: Workflow) -> str:
    return str([plan.reads(i) for i in range(len(plan.steps))])


def _shape_with_workers(plan: Workflow) -> str:
    return str([(step.worker, plan.reads(i)) for i, step in enumerate(plan.steps)])


def _dead(scored: Sequence[Scored]) -> bool:
    return len({one.reward for one in scored if one.reward is not None}) < 2


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(fmean(known), 6) if known else None


def _by(pairs: Iterable[tuple[str, float | None]]) -> dict[str, float | None]:
    found: dict[str, list[float | None]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return {name: _mean(found[name]) for name in sorted(found)}


def _counts(values: Iterable[int]) -> dict[str, int]:
    return {str(value): count for value, count in sorted(Counter(values).items())}


def _shares(names: Iterable[str]) -> dict[str, float]:
    counts = Counter(names)
    return {name: count / counts.total() for name, count in sorted(counts.items())}


def _mean_shares(many: Sequence[Mapping[str, float]]) -> dict[str, float | None]:
    names = sorted(set().union(*many))
    return {name: _mean(shares.get(name, 0.0) for shares in many) for name in names}


def _sums(many: Iterable[Mapping[str, float]]) -> dict[str, float]:
    total: Any = Counter()  # of fractions, too
    for one in many:
        total.update(one)
    return {name: round(value, 3) for name, value in total.items()}


def _usd(usage: Usage) -> Decimal:
    return usage.usd or Decimal()


def _spent(line: Mapping[str, Any]) -> Decimal:
    return Decimal(line["usd"]["paid"] or 0) + Decimal(line["usd"]["lost"] or 0)


def _total(amounts: Iterable[str | None]) -> str | None:
    known = [Decimal(amount) for amount in amounts if amount is not None]
    return str(sum(known, Decimal())) if known else None


def _text(usd: Decimal | None) -> str | None:
    return None if usd is None else str(usd)
