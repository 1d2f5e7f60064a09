"""What the small proof found: one table, and the questions it was made to answer."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Final

from langgraph_conductor.evals.comparing import scores
from langgraph_conductor.evals.report.parts import Section, Table
from langgraph_conductor.evals.report.words import NOTHING, estimate, number, percent, points
from langgraph_conductor.evals.results import Evaluation, Outcome
from langgraph_conductor.evals.stats import Paired, mean_interval, paired
from langgraph_conductor.evals.suites.tiny_questions import HELD_OUT, SKILLS
from langgraph_conductor.evals.suites.unsolvable import DOMAIN as UNSOLVABLE
from langgraph_conductor.evals.summarising import summarise
from langgraph_conductor.evals.summary import StrategySummary
from langgraph_conductor.rewards import Task
from langgraph_conductor.train.results.publish import COMPLEMENTARY
from langgraph_conductor.train.tiny import contenders as names

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


def table(evaluation: Evaluation) -> Table:
    """Every strategy and ceiling: right answers in each group of questions, tokens and calls of a question."""
    summary = summarise(evaluation)
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
    return Section("What was to be shown", says, (_skills(evaluation),))


def gained(evaluation: Evaluation, a: str, b: str, among: Callable[[Task], bool]) -> Paired:
    """How much better `a` is than `b` on a group of questions; either may be a ceiling.

    Raises:
        KeyError: If one of them was not run.
    """
    tasks = _of(evaluation, among)
    one, other = evaluation.outcome(a), evaluation.outcome(b)
    samples = max(len(many) for outcome in (one, other) for many in outcome.episodes.values())
    return paired(_means(one, tasks), _means(other, tasks), samples)


def _claims(evaluation: Evaluation) -> Iterator[str]:
    def all_(_: Task) -> bool:
        return True

    def composed(task: Task) -> bool:
        return "+" in task.domain

    single, grpo = evaluation.reference, names.GRPO
    for claim, a, b, among in (
        ("RL adds to the warm start", grpo, names.SFT, all_),
        ("Second rounds add to that", names.RECURSION, grpo, all_),
        ("Above the best single worker", grpo, single, all_),
        ("Above the generalist", grpo, "generalist", all_),
        ("Above the oracle single pick, on composed questions", grpo, SINGLE_PICK, composed),
        (f"Above {names.MIXTURE}, combined by the generalist", grpo, names.COMBINED, all_),
        ("By reward alone: above random routing", names.REWARD, names.FORM, all_),
        ("By reward alone: above the best single worker", names.REWARD, single, all_),
    ):
        found = gained(evaluation, a, b, among)
        yield f"{claim}: {_answer(found)} ({a} less {b}: {_difference(found)})."
    share = _tokens(evaluation, grpo) / _tokens(evaluation, names.MIXTURE)
    yield f"At most a quarter of {names.MIXTURE}'s tokens: {'yes' if share <= 0.25 else 'no'} ({percent(share)})."


def _skills(evaluation: Evaluation) -> Table:
    """Skill by skill against the worker that was taught it."""
    rows = []
    for skill in SKILLS:

        def of_skill(task: Task, skill: str = skill) -> bool:
            return task.domain == skill

        worker = f"single({skill})"
        found = gained(evaluation, names.GRPO, worker, of_skill)
        rows.append(
            (
                skill,
                *(
                    _right(evaluation.outcome(name), _of(evaluation, of_skill))
                    for name in (names.GRPO, worker)
                ),
                _difference(found),
                "below" if found.high < 0 else "not below",
            )
        )
    head = ("skill", names.GRPO, "its own worker alone", "points [95 %]", "shown to be")
    return Table(head, tuple(rows), "No worse than the best single worker on its skill")


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


def _means(outcome: Outcome, tasks: Sequence[Task]) -> list[float | None]:
    given = [scores(outcome.episodes.get(task.id, ())) for task in tasks]
    return [fmean(samples) if samples else None for samples in given]


def _tokens(evaluation: Evaluation, name: str) -> float:
    return fmean(
        one.usage.total_tokens for many in evaluation.outcome(name).episodes.values() for one in many
    )


def _answer(found: Paired) -> str:
    return "yes" if found.low > 0 else "no, below" if found.high < 0 else "not shown"


def _difference(found: Paired) -> str:
    return f"{points(found.difference)} [{points(found.low)}, {points(found.high)}]"
