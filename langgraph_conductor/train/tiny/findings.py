"""What the small proof found: one table, and the questions it was made to answer."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Final

from langgraph_conductor.evals.comparing import scores, side_by_side, verdict
from langgraph_conductor.evals.report.findings import difference_and_interval
from langgraph_conductor.evals.report.parts import Section, Table
from langgraph_conductor.evals.report.words import NOTHING, estimate, number, p_equals, percent
from langgraph_conductor.evals.results import Evaluation, Outcome
from langgraph_conductor.evals.stats import Paired, holm, mean_interval, paired
from langgraph_conductor.evals.suites.tiny_questions import HELD_OUT, SKILLS
from langgraph_conductor.evals.suites.unsolvable import DOMAIN as UNSOLVABLE
from langgraph_conductor.evals.summary import StrategySummary, Summary, Verdict
from langgraph_conductor.rewards import Task
from langgraph_conductor.train.tiny import names
from langgraph_conductor.train.tiny.names import COMPLEMENTARY

SINGLE_PICK: Final = "worker oracle"
"""The evaluation's ceiling over the workers alone."""

_UNTRAINED: Final = frozenset("+".join(skills) for skills in HELD_OUT)

GROUPS: Final[Mapping[str, Callable[[Task], bool]]] = {
    "all": lambda task: True,
    "one skill": lambda task: task.domain in SKILLS,
    "two skills": lambda task: "+" in task.domain and task.domain not in _UNTRAINED,
    "chains never trained": lambda task: task.domain in _UNTRAINED,
    "unsolvable": lambda task: task.domain == UNSOLVABLE,
}
"""The columns of the table."""


_OF_SEEDS: Final = frozenset(
    (names.SFT, names.GRPO, names.AGAIN, names.RECURSION, names.FORM, names.REWARD)
)
_THESE: Final = "; for these conductors, over seeds see below"
_ANSWERS: Final[Mapping[Verdict, str]] = {
    "better": "yes",
    "worse": "no, worse",
    "no difference shown": "not shown",
}


def _composed(task: Task) -> bool:
    return "+" in task.domain


def table(evaluation: Evaluation, summary: Summary) -> Table:
    """Every strategy and ceiling: right answers in each group of questions, tokens and calls of a question."""
    head = (
        "strategy",
        *(f"{name} ({len(_of(evaluation, among))})" for name, among in GROUPS.items()),
        *("right if planned", "tokens", "calls"),
    )
    rows = (_row(evaluation, one) for one in (*summary.strategies, *summary.ceilings))
    return Table(head, tuple(rows))


def answers(evaluation: Evaluation) -> Section:
    """What was to be shown, and whether it was."""
    says = (COMPLEMENTARY, *_claims(evaluation))
    return Section("What was to be shown", says, (_skills(evaluation), _seeds(evaluation)))


def gained(evaluation: Evaluation, a: str, b: str, among: Callable[[Task], bool]) -> Paired:
    """How much better `a` is than `b` on a group of questions; either may be a ceiling.

    Raises:
        KeyError: If one of them was not run.
    """
    return paired(*side_by_side(evaluation, a, b, _of(evaluation, among)))


def _claims(evaluation: Evaluation) -> Iterator[str]:
    everything, single, grpo = GROUPS["all"], evaluation.reference, names.GRPO
    asked = (
        ("RL adds to the warm start", grpo, names.SFT, everything),
        ("RL adds to the warm start, on composed questions", grpo, names.SFT, _composed),
        ("Learning from second rounds adds to one round", names.RECURSION, grpo, everything),
        ("It adds to second rounds that were not learnt", names.RECURSION, names.AGAIN, everything),
        ("Above the best single worker", grpo, single, everything),
        ("Above the best constant workflow", grpo, names.CONSTANT, everything),
        ("Above the generalist", grpo, "generalist", everything),
        ("Above the oracle single pick, on composed questions", grpo, SINGLE_PICK, _composed),
        (f"Above {names.MIXTURE}, combined by the generalist", grpo, names.COMBINED, everything),
        ("By reward alone: above random routing", names.REWARD, names.FORM, everything),
        ("By reward alone: above the best single worker", names.REWARD, single, everything),
    )
    found = [gained(evaluation, a, b, among) for _, a, b, among in asked]
    for (claim, a, b, _), pair, p in zip(asked, found, holm([one.p for one in found]), strict=True):
        answer, points = _ANSWERS[verdict(pair, p)], " ".join(difference_and_interval(pair))
        these = _THESE if a in _OF_SEEDS and b in _OF_SEEDS else ""
        yield f"{claim}: {answer} ({a} less {b}: {points}, adjusted {p_equals(p)}{these})."
    share = _tokens(evaluation, grpo) / _tokens(evaluation, names.MIXTURE)
    yield f"At most a quarter of {names.MIXTURE}'s tokens: {'yes' if share <= 0.25 else 'no'} ({percent(share)})."


def _skills(evaluation: Evaluation) -> Table:
    """Skill by skill against the worker that was taught it."""
    rows = []
    for skill in SKILLS:
        of_skill = [task for task in evaluation.tasks if task.domain == skill]
        worker = f"single({skill})"
        found = paired(*side_by_side(evaluation, names.GRPO, worker, of_skill))
        right = (_right(evaluation.outcome(name), of_skill) for name in (names.GRPO, worker))
        rows.append(
            (skill, *right, " ".join(difference_and_interval(found)), "yes" if found.high < 0 else "no")
        )
    head = ("skill", names.GRPO, "its own worker alone", "points [95 %]", "shown to be below")
    return Table(head, tuple(rows), "Whether it is below the best single worker on a skill")


def _seeds(evaluation: Evaluation) -> Table:
    """Each seed by itself: intervals hold for these conductors, and say nothing of others."""
    planned = [one for one in evaluation.outcomes if one.kind == "planner" and one.strategy in _OF_SEEDS]
    count = max((len(many) for one in planned for many in one.episodes.values()), default=0)
    rows = []
    for one in planned:
        shown = [one.strategy]
        for seed in range(count):
            given = [scores(many[seed : seed + 1]) for many in one.episodes.values()]
            shown.append(estimate(mean_interval(given)))
        rows.append(tuple(shown))
    head = ("strategy", *(f"sample {seed}" for seed in range(count)))
    return Table(head, tuple(rows), "Sample by sample, each of a conductor of its own")


def _row(evaluation: Evaluation, one: StrategySummary) -> tuple[str, ...]:
    outcome = evaluation.outcome(one.strategy)
    right = (_right(outcome, _of(evaluation, among)) for among in GROUPS.values())
    use = (number(one.use.tokens), number(one.use.planner_calls + one.use.worker_calls)) if one.use else ()
    planned = estimate(one.accuracy_if_valid) if one.kind == "planner" else NOTHING
    return (one.strategy, *right, planned, *(use or (NOTHING, NOTHING)))


def _right(outcome: Outcome, tasks: Sequence[Task]) -> str:
    return estimate(mean_interval([scores(outcome.episodes.get(task.id, ())) for task in tasks]))


def _of(evaluation: Evaluation, among: Callable[[Task], bool]) -> list[Task]:
    return [task for task in evaluation.tasks if among(task)]


def _tokens(evaluation: Evaluation, name: str) -> float:
    return fmean(
        one.usage.total_tokens for many in evaluation.outcome(name).episodes.values() for one in many
    )
