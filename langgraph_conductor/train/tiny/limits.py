"""What the small proof's figures do not show, worked out from what was found and from the suite.

`python -m langgraph_conductor.train.tiny.limits` prints it, from the tables of the page that is shipped.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Final

from langgraph_conductor.evals.comparing import scores
from langgraph_conductor.evals.report.parts import Section, Table
from langgraph_conductor.evals.report.words import NOTHING, percent, points
from langgraph_conductor.evals.results import Evaluation
from langgraph_conductor.evals.stats import mean_interval, of_few
from langgraph_conductor.evals.suites.suite import Suite
from langgraph_conductor.evals.suites.tiny import tiny_suite
from langgraph_conductor.evals.suites.tiny_questions import COMPOSED, HELD_OUT, SKILLS
from langgraph_conductor.evals.summary import Summary
from langgraph_conductor.rewards import Task
from langgraph_conductor.train.tiny import names
from langgraph_conductor.train.tiny.conducting import mixed
from langgraph_conductor.train.tiny.findings import GROUPS
from langgraph_conductor.train.tiny.overlap import READINGS, nearest, shared
from langgraph_conductor.train.tiny.recipe import Recipe
from langgraph_conductor.train.tiny.stored import tables_of

PAGE: Final = Path(__file__).with_name("report.html")
"""What was found, as it is shipped."""

COMMAND: Final = "python -m langgraph_conductor.train.tiny.limits"
TITLE: Final = "What the figures do not show"

SAID: Final = (
    "The questions are filled-in templates, in training and test the same: all but the chains never trained share "
    "their skeleton with training questions. It is shown that templates are recognised, not other wordings.",
    "A rival is missing in the table: the plan of the nearest training question, without any model. It has not "
    "been run yet: its right answers are an estimate, its right plans times what the oracle workflow makes of "
    "them, to be held against what SFT has.",
    "With one worker new or removed, the table's figures mix questions that need that worker with those that do "
    "not. Each change is one draw, for one seed.",
    "Subtasks are seven fixed strings. Free subtasks, the core of the paper, are not in this proof.",
    "The generalist was taught the parts of composed questions, and never one of these from end to end.",
    "GRPO learnt from 240 questions that SFT never saw. The fair control has not been run: SFT on right plans for "
    "these 240 too, found with as many tries.",
    "Intervals elsewhere are over questions, and hold for these conductors. Of other seeds only the differences "
    "over seeds tell.",
    "The recipe was changed in a dozen commits in the night before the table, the last within half an hour of it "
    "(git log of train/tiny/recipe.py), after trials. Which questions the trials asked was not kept: some may be "
    "of the test split. The validation split was not used.",
)
"""What no figure says; of the recipe and the table that are shipped."""

_CHAINS: Final = frozenset("+".join(chain) for chain in HELD_OUT)
_TAUGHT: Final = frozenset((*SKILLS, *("+".join(pair) for pair in COMPOSED)))
_NEAREST: Final = "no model, the plan of the nearest of {} training questions (TF-IDF): right plans, {}"
_ESTIMATE: Final = "the same: right answers, not run yet, an estimate ({})"
_PLANNED: Final = ("one skill", "two skills", "chains never trained")
_OVER_SEEDS: Final = (
    (names.GRPO, names.SFT),
    (names.REWARD, names.FORM),
    (names.RECURSION, names.AGAIN),
    (names.RECURSION, names.GRPO),
)


@dataclass(frozen=True, slots=True)
class Found:
    """What the rows are worked out from.

    Args:
        asked: Questions of each domain.
        right: Share of right answers by strategy and domain.
        seeds: Share of right answers by strategy, of each seed's conductor.
        work: Share of each worker in all steps, by strategy.
    """

    asked: Mapping[str, int]
    right: Mapping[str, Mapping[str, float]]
    seeds: Mapping[str, Sequence[float]]
    work: Mapping[str, Mapping[str, float]]

    def count(self, strategy: str, fits: Callable[[str], bool]) -> tuple[float, int] | None:
        """Right answers, as a mean over seeds, and questions of some domains; `None` if there are no such."""
        known = self.right.get(strategy, {})
        domains = [name for name, n in self.asked.items() if n and name in known and fits(name)]
        asked = sum(self.asked[name] for name in domains)
        return (sum(self.asked[name] * known[name] for name in domains), asked) if asked else None


def found_in(evaluation: Evaluation, summary: Summary) -> Found:
    """What an evaluation has of it."""
    ran = (*summary.strategies, *summary.ceilings)
    conductors = {name for pair in _OVER_SEEDS for name in pair}
    seeds: dict[str, Sequence[float]] = {}
    for one in evaluation.outcomes:
        if one.strategy in conductors:
            count = max(map(len, one.episodes.values()), default=0)
            each = (
                mean_interval([scores(many[seed : seed + 1]) for many in one.episodes.values()]).value
                for seed in range(count)
            )
            seeds[one.strategy] = [value for value in each if value is not None]
    right = {
        one.strategy: {name: known.value for name, known in one.domains.items() if known.value is not None}
        for one in ran
    }
    return Found(summary.domains, right, seeds, {one.strategy: one.shares for one in ran})


def found_on(page: str) -> Found:
    """What a page of the small proof has of it, as exact as before it was rounded.

    Raises:
        ValueError: If it has no such tables.
    """
    tables = tables_of(page)
    try:
        by_seed = tables["Sample by sample, each of a conductor of its own"]
        domains, work = tables["Accuracy by domain"], tables["Who works"]
    except KeyError as error:
        raise ValueError(f"this is no page of the small proof: it has no table {error}") from None
    asked = {name: int(n) for name, n in (cell.rstrip(")").split(" (") for cell in domains[0][1:])}
    samples, total = len(by_seed[0]) - 1, sum(asked.values())
    right = {
        name.split(" (")[0]: {
            domain: _whole(cell, n * samples)
            for (domain, n), cell in zip(asked.items(), cells, strict=True)
        }
        for name, *cells in domains[1:]
    }
    seeds = {name: [_whole(cell, total) for cell in cells] for name, *cells in by_seed[1:]}
    workers = work[0][1:-1]
    shares = {
        name: {worker: _share(cell) for worker, cell in zip(workers, cells, strict=False)}
        for name, *cells in work[1:]
    }
    return Found(asked, right, seeds, shares)


def limits(found: Found, suite: Suite, recipe: Recipe) -> Section:
    """What must be known beside the table.

    Args:
        found: What was measured.
        suite: Which questions there are.
        recipe: How many of them right plans were sought for.
    """
    rows = (*_wording(found, suite, recipe), *_changed(found), *_seeds(found))
    told = (
        f"Printed by {COMMAND}, but for the trial with other wordings. Shares are means over the seeds; with a "
        "changed pool they are of one."
    )
    return Section(TITLE, SAID, (Table(("what", "figure"), rows, told),))


def _wording(found: Found, suite: Suite, recipe: Recipe) -> Iterable[tuple[str, str]]:
    learnt, asked = suite.tasks("train"), suite.tasks("test")
    taught = [task for task in asked if task.domain in _TAUGHT]
    alike = shared(taught, learnt)
    yield (
        f"test questions, chains apart, with one of training's {alike.skeletons} skeletons",
        f"{alike.known} of {alike.asked}",
    )
    yield (
        "right plans on other wordings / on templates (one trial, its questions not kept)",
        "11 of 18 / 33 of 33",
    )
    yield from _rival(found, suite, recipe)


def _rival(found: Found, suite: Suite, recipe: Recipe) -> Iterable[tuple[str, str]]:
    asked, tried = suite.tasks("test"), recipe.single_tried + recipe.composed_tried
    known = mixed(suite.tasks("train"), tried, recipe.composed_tried / tried)
    done = found.right.get(names.ORACLE_WORKFLOW, {})
    planned, estimates, of = [], [], _by_group(asked)
    for reading, terms in READINGS.items():
        pairs = zip(asked, nearest(asked, known, terms), strict=True)
        right = [task for task, other in pairs if task.skills and task.skills == other.skills]
        planned.append(f"{_by_group(right)} by {reading}")
        estimates.append(sum(done.get(task.domain, 0.0) for task in right) / max(len(asked), 1))
    yield _NEAREST.format(tried, " / ".join(_PLANNED)), f"{', '.join(planned)}; of {of}"
    yield _ESTIMATE.format(" / ".join(READINGS)), " / ".join(map(percent, estimates))


def _by_group(tasks: Sequence[Task]) -> str:
    return " / ".join(str(sum(map(GROUPS[name], tasks))) for name in _PLANNED)


def _changed(found: Found) -> Iterable[tuple[str, str]]:
    chains = [found.count(names.GRPO, "+".join(chain).__eq__) for chain in HELD_OUT]
    steps = " / ".join(str(len(chain)) for chain in HELD_OUT)
    yield f"{names.GRPO}: chains never trained of {steps} steps", " / ".join(map(_of, chains))

    def needs_new(domain: str) -> bool:
        return domain in _TAUGHT and "reverser" in domain.split("+")

    def needs_removed(domain: str) -> bool:
        return "story" in domain.split("+")

    def needs_others(domain: str) -> bool:
        return domain in _TAUGHT | _CHAINS and not needs_removed(domain)

    for name, what, fits in (
        ("one new", "questions that need the new worker, chains apart", needs_new),
        ("one removed", "questions that need it", needs_removed),
        ("one removed", "questions that do not need it", needs_others),
    ):
        changed, whole = (found.count(one, fits) for one in (f"{names.GRPO}, {name}", names.GRPO))
        yield f"{name}: {what} / the same, nothing changed", f"{_of(changed)} / {_of(whole)}"
    shares = found.work.get(f"{names.GRPO}, renamed", {})
    yield (
        "renamed: share of all steps that one of seven names gets",
        percent(max(shares.values(), default=None)),
    )


def _seeds(found: Found) -> Iterable[tuple[str, str]]:
    for a, b in _OVER_SEEDS:
        pairs = [x - y for x, y in zip(found.seeds.get(a, ()), found.seeds.get(b, ()), strict=False)]
        shown = NOTHING
        if len(pairs) > 1:
            low, high = of_few(pairs)
            verdict = "shown" if low > 0 or high < 0 else "not shown"
            shown = f"{points(fmean(pairs))} [{points(low)}, {points(high)}], {verdict}"
        yield f"over seeds (paired t, {len(pairs)}): {a} less {b}", shown


def _of(counted: tuple[float, int] | None) -> str:
    if counted is None:
        return NOTHING
    right, asked = counted
    return f"{percent(right / asked)} of {asked}"


def _share(cell: str) -> float:
    return float(cell.split(" %")[0]) / 100


def _whole(cell: str, of: int) -> float:
    """The share that was rounded to one place, where so many answers were counted."""
    return round(_share(cell) * of) / of


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the section.

    Args:
        arguments: Of the command line; the process's own if left out.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(
        prog=COMMAND, description="What the small proof's figures do not show."
    )
    parser.add_argument("page", type=Path, nargs="?", default=PAGE, help="a page of the small proof")
    path = parser.parse_args(arguments).page
    try:
        found = found_on(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        print(f"{path}: {error}", file=sys.stderr)  # noqa: T201 - a command
        return 2
    section = limits(found, tiny_suite(), Recipe())
    (table,) = section.tables
    lines = [
        *(f"* {sentence}" for sentence in section.sentences),
        "",
        *(f"{what}: {figure}" for what, figure in table.rows),
    ]
    print("\n".join(lines))  # noqa: T201 - a command
    return 0


if __name__ == "__main__":
    sys.exit(main())
