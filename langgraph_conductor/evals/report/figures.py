"""The tables of a report."""

from collections.abc import Mapping
from typing import Final

from langgraph_conductor.evals import paper
from langgraph_conductor.evals.report.findings import difference_and_interval
from langgraph_conductor.evals.report.parts import Section, Table
from langgraph_conductor.evals.report.words import (
    NOTHING,
    UNKNOWN,
    chance,
    dollars,
    estimate,
    number,
    percent,
)
from langgraph_conductor.evals.summary import StrategySummary, Summary, Use

_LEFT_TO_JSON: Final = ("profiles", "workers", "charged")
"""Too long for a table, or told in the head."""


def accuracy(summary: Summary) -> Section:
    """How often each is right, and whether that is worth its cost."""
    rows = tuple(
        (
            _label(one),
            estimate(one.accuracy),
            f"{one.accuracy.n:,}",
            f"{one.samples:,}",
            f"{one.infra:,}",
            dollars(one.use.usd) if one.use else NOTHING,
            _tokens(one.use) if one.use else NOTHING,
            one.front or NOTHING,
        )
        for one in summary.strategies
    )
    head = (
        *("strategy", "right [95 %]", "tasks", "samples", "outages"),
        *("money", "tokens", "accuracy for its cost"),
    )
    unit = (
        "money" if summary.currency == "usd" else "tokens, as money is not known for all or is zero for all"
    )
    says = (
        "Money and tokens are those of one question, the mean. Tasks are those with a score; outages are samples "
        "that the infrastructure failed. Strategies with other numbers of tasks were scored on other tasks: only "
        "the comparisons are on the same ones. What each strategy does stands under “Strategies”.",
        f"Accuracy for its cost is in {unit}. On the front: no other strategy is as cheap and as accurate, "
        "and better in one of the two. Not ruled out: one is, but by chance it may be less accurate. Dominated: "
        "one costs no more, and the paired 95 % interval of its lead in accuracy does not reach below zero. "
        "These intervals are not adjusted for how many there are.",
    )
    return Section("Accuracy and cost", says, (Table(head, rows),), plot="cost")


def comparisons(summary: Summary) -> Section:
    """Who is better than whom."""
    head = (
        *("strategy", "against", "points [95 %]", "p", "p adjusted", "only one right: first / second"),
        *("tasks", "left out", "seen with 80 % power", "verdict"),
    )
    rows = tuple(
        (
            one.a,
            one.b,
            " ".join(difference_and_interval(one.paired)),
            chance(one.paired.p),
            chance(one.adjusted),
            f"{one.paired.a_ahead:,} / {one.paired.b_ahead:,}",
            f"{one.paired.n:,}",
            f"{one.paired.left_out:,}",
            f"{100 * one.paired.detectable:.1f} points",
            one.verdict,
        )
        for one in summary.comparisons
    )
    says = (
        "A difference counts as shown only if its interval leaves zero out and its adjusted p is below 0.05.",
        "Left out are tasks without a score of one of the two: the infrastructure failed, or it was not asked.",
        "With 80 % power is seen what p shows before it is adjusted: for many comparisons it takes more.",
    )
    return Section(
        "Comparisons on the same tasks", says, (Table(head, rows),) if rows else (), plot="forest"
    )


def described(summary: Summary) -> Section:
    """What each strategy does."""
    rows = tuple((one.strategy, one.kind, one.note or NOTHING) for one in summary.strategies)
    says = (
        "Kinds: single, one worker alone; floor, random; fixed, the same hand-written plan for every question; "
        "planner, a plan made for each question.",
    )
    return Section("Strategies", says, (Table(("strategy", "kind", "what it does"), rows),) if rows else ())


def plans(summary: Summary) -> Section:
    """How the planning went."""
    head = (
        *("strategy", "planned by itself", "right if so [95 %]", "how planned", "rounds"),
        *("second rounds that kept the answer", "ended by budget", "no answer"),
    )
    rows = tuple(
        (
            _label(one),
            f"{percent(one.valid / one.scored if one.scored else None)} ({one.valid:,} of {one.scored:,})",
            estimate(one.accuracy_if_valid),
            _listed(one.reached),
            _listed(one.rounds),
            f"{one.accepted:,} of {one.second_rounds:,}" if one.second_rounds else NOTHING,
            f"{one.stopped:,}",
            f"{one.errors:,}",
        )
        for one in summary.strategies
    )
    says = (
        "Rounds are listed as number of rounds: episodes. An episode without an answer is a wrong one.",
    )
    return Section("Plans", says, (Table(head, rows),))


def _tokens(use: Use) -> str:
    return _told(use.tokens, use.planner_calls + use.worker_calls)


def _told(tokens: float, calls: float) -> str:
    """A mean number of tokens; calls that told none have an unknown one."""
    return UNKNOWN if calls and not tokens else number(tokens)


def cost(summary: Summary) -> Section:
    """Tokens, money, calls and seconds."""
    head = (
        *(
            "strategy",
            "planner tokens",
            "worker tokens",
            "planner money",
            "worker money",
            "calls without a price",
        ),
        *("planner calls", "worker calls", "worker steps", "seconds, mean", "seconds, 95 %"),
    )
    rows = []
    for one in summary.strategies:
        if not (use := one.use):
            rows.append((_label(one), *[NOTHING] * (len(head) - 1)))
            continue
        money = dollars(use.planner_usd), dollars(use.worker_usd), f"{use.unpriced_calls:,}"
        means = (use.planner_calls, use.worker_calls, use.steps, use.wall_mean, use.wall_p95)
        rows.append(
            (
                _label(one),
                _told(use.planner_tokens, use.planner_calls),
                _told(use.worker_tokens, use.worker_calls),
                *money,
                *map(number, means),
            )
        )
    says = (
        "Means over the episodes with a score; calls without a price are counted over all of them. Seconds are "
        f"those it takes if nothing has to queue. Money is {UNKNOWN} where a call has no known price.",
    )
    return Section("What a question takes", says, (Table(head, tuple(rows)),))


def steps(summary: Summary) -> Section:
    """Whether harder tasks get more steps."""
    levels = sorted({level for one in summary.strategies for level in one.steps_by_difficulty}, key=int)
    rows = tuple(
        (_label(one), *(_or_dash(one.steps_by_difficulty, level) for level in levels))
        for one in summary.strategies
    )
    head = ("strategy", *(f"difficulty {level}" for level in levels))
    return Section("Worker steps by difficulty", (), (Table(head, rows),) if levels else ())


def workers(summary: Summary) -> Section:
    """How the steps are spread over the workers."""
    workers = sorted({worker for one in summary.strategies for worker in one.shares})
    rows = tuple(
        (
            _label(one),
            *(percent(one.shares.get(worker, 0.0)) if one.shares else NOTHING for worker in workers),
            f"{one.entropy:.2f}" if one.shares else NOTHING,
        )
        for one in summary.strategies
    )
    says = (
        "Share of each worker in all steps. Entropy: 0 bits if one does all, log2(k) if k do the same.",
    )
    head = ("strategy", *workers, "entropy, bits")
    return Section("Who works", says, (Table(head, rows),) if workers else (), plot="workers")


def domains(summary: Summary) -> Section:
    """How often each is right in each domain."""
    domains = [*summary.domains]
    head = ("strategy", *(f"{domain or '(none)'} ({count:,})" for domain, count in summary.domains.items()))
    every = (*summary.strategies, *summary.ceilings)
    rows = tuple((_label(one), *(estimate(one.domains[domain]) for domain in domains)) for one in every)
    return Section("Accuracy by domain", (), (Table(head, rows),) if domains else (), plot="domains")


def ceilings(summary: Summary) -> Section:
    """The oracles."""
    rows = tuple(
        (one.strategy, f"{one.accuracy.n:,}", estimate(one.accuracy), one.note) for one in summary.ceilings
    )
    says = (
        "These look at the scores before they choose. No system can do that, so they are compared with none. "
        "Where answers are drawn at random they also profit from luck, the more there are to choose from.",
        "Left out is what an outage left unknown: nobody was right, and somebody might have been.",
    )
    return Section("Ceilings", says, (Table(("ceiling", "tasks scored", "right [95 %]", "note"), rows),))


def published(summary: Summary) -> Section:
    """The paper's figures, with ours beside them where they can stand."""
    tables = [_benchmarks(table) for table in paper.TABLES]
    rows = [
        (
            "the paper",
            cost.system,
            "its four benchmarks",
            f"{cost.score:g} %",
            f"{cost.tokens:,}",
            f"${cost.usd}",
        )
        for cost in paper.COSTS
    ]
    rows += [
        ("this evaluation", _label(one), f"{summary.suite}, {summary.split}", percent(one.accuracy.value))
        + ((_tokens(one.use), dollars(one.use.usd)) if one.use else (NOTHING, NOTHING))
        for one in summary.strategies
        if one.kind == "planner" or one.strategy == summary.reference
    ]
    head = ("whose figures", "system", "asked", "right", "tokens a question", "money a question")
    says = (
        f"The paper's figures, not ours, in percent right, from the {paper.SOURCE}. None of its benchmarks was "
        "run here. Questions, workers and prices are others: what stands side by side cannot be compared.",
    )
    cost = Table(head, tuple(rows), f"Cost, the paper's ({paper.COST_SOURCE}) and this evaluation's")
    return Section("The paper's figures, not ours", says, (*tables, cost))


def _benchmarks(table: paper.PaperTable) -> Table:
    rows = tuple(
        (
            name,
            f"{paper.ITEMS[name]:,}" if name in paper.ITEMS else NOTHING,
            *(f"{s:g}" for s in scores),
            paper.NOT_RUN,
        )
        for name, scores in table.scores.items()
    )
    head = ("benchmark", "items", *table.systems, "here")
    return Table(head, rows, f"The paper's figures, not ours: {table.setting} ({table.source})")


def method(summary: Summary) -> Section:
    """What a reader needs to judge and repeat it."""
    domains = _listed({domain or "(none)": count for domain, count in summary.domains.items()})
    says = (
        f"Tasks: {summary.tasks:,} ({domains}). Reference: {summary.reference or 'none'}.",
        "The task is the unit: several samples of one task are averaged first. Intervals of a share are "
        "Wilson's, at the effective sample size where there are several samples. Intervals of a difference are "
        "Newcombe's for paired shares (1998, method 10). p is of the exact sign-flip test, which for one sample "
        "is McNemar's exact test; adjusted is Holm's, for all comparisons of this report.",
        "Episodes that the infrastructure failed have no score: they are counted apart, never as wrong answers.",
        "Every episode, what the workers are, and their profiles if they were measured, are in evaluation.json.",
    )
    rows = tuple(
        row for key, value in summary.about.items() if key not in _LEFT_TO_JSON for row in _flat(key, value)
    )
    return Section("How it was made", says, (Table(("what", "value"), rows),) if rows else ())


def _flat(key: str, value: object) -> list[tuple[str, str]]:
    """A row, or one for each entry."""
    if isinstance(value, Mapping):
        return [row for name, inner in value.items() for row in _flat(f"{key}, {name}", inner)]
    return [(str(key), NOTHING if value is None or value == "" else str(value))]


def _label(one: StrategySummary) -> str:
    return f"{one.strategy} ({one.kind})" if one.kind in ("floor", "ceiling") else one.strategy


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {count:,}" for name, count in counts.items()) or NOTHING


def _or_dash(values: Mapping[str, float], key: str) -> str:
    return number(values[key]) if key in values else NOTHING
