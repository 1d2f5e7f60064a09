"""What a report says, before it is Markdown or HTML: sections of sentences and tables, as unescaped text."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from langgraph_conductor.evals import paper
from langgraph_conductor.evals.report.words import (
    NOTHING,
    UNKNOWN,
    chance,
    counted,
    dollars,
    estimate,
    number,
    p_equals,
    percent,
    points,
)
from langgraph_conductor.evals.stats import Paired
from langgraph_conductor.evals.summary import Comparison, StrategySummary, Summary


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Args:
        head: Titles of the columns.
        rows: Cells, as many in each row as there are columns.
        title: What it shows, if the section has several.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report.

    Args:
        title: Its heading.
        sentences: A list of sentences under it.
        tables: Then these.
        plot: Name of the plot that HTML shows beside them, see `plots.draw`.
    """

    title: str
    sentences: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    plot: str = ""


def warnings(summary: Summary) -> list[str]:
    """What must be read before anything else; empty if the evaluation is whole."""
    if summary.complete:
        return []
    missing = [
        f"{one.strategy} ({summary.tasks - one.asked:,})"
        for one in summary.strategies
        if one.asked < summary.tasks
    ]
    which = f" Tasks not asked: {', '.join(missing)}." if missing else ""
    return [f"This evaluation is INCOMPLETE: it ended before every strategy was asked every task.{which}"]


def sections(summary: Summary) -> list[Section]:
    """The report's parts, in order."""
    found = [_findings(summary), _accuracy(summary), _comparisons(summary), _plans(summary), _cost(summary)]
    found += [_steps(summary), _workers(summary), _domains(summary)]
    if summary.ceilings:
        found.append(_ceilings(summary))
    return [*found, _paper(summary), _method(summary)]


def sentence(one: Comparison) -> str:
    """The verdict in plain words."""
    pair = one.paired
    if not pair.n:
        return f"No difference shown between {one.a} and {one.b}: no task has a score from both."
    figures = f"{_points(pair)[0]} points, interval {_points(pair)[1]}, {p_equals(pair.p)}"
    if abs(one.adjusted - pair.p) > 1e-9:
        figures += f" ({chance(one.adjusted)} adjusted)"
    if one.verdict == "no difference shown":
        return (
            f"No difference shown between {one.a} and {one.b}: {figures}; with {_these(pair.n)} a "
            f"difference under {100 * pair.detectable:.1f} points would usually not be seen."
        )
    return f"{one.a} is {one.verdict} than {one.b}: {figures}, on {counted(pair.n, 'task')}."


def _points(pair: Paired) -> tuple[str, str]:
    return points(pair.difference), f"[{points(pair.low)}, {points(pair.high)}]"


def _these(n: int) -> str:
    return "this 1 task" if n == 1 else f"these {n:,} tasks"


def _findings(summary: Summary) -> Section:
    shown = sum(one.verdict != "no difference shown" for one in summary.comparisons)
    if not summary.comparisons:
        return Section("What was shown", ("No strategies were compared.", *_dots(summary.left_out)))
    total = counted(len(summary.comparisons), "comparison")
    first = f"{total} made; a difference was shown in {shown or 'none'}."
    # Planners first: they are what the evaluation is about.
    kinds = {one.strategy: one.kind for one in summary.strategies}
    ranked = sorted(summary.comparisons, key=lambda one: kinds[one.a] != "planner")
    failed = sum(one.infra for one in summary.strategies)
    outages = (
        (f"{counted(failed, 'episode')} failed for the infrastructure; left out, not counted as wrong.",)
        if failed
        else ()
    )
    return Section("What was shown", (first, *map(sentence, ranked), *_dots(summary.left_out), *outages))


def _dots(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{text}." for text in texts)


def _label(one: StrategySummary) -> str:
    return f"{one.strategy} ({one.kind})" if one.kind in ("floor", "ceiling") else one.strategy


def _accuracy(summary: Summary) -> Section:
    rows = tuple(
        (
            _label(one),
            one.kind,
            f"{one.accuracy.n:,}",
            f"{one.samples:,}",
            estimate(one.accuracy),
            f"{one.infra:,}",
            dollars(one.use.usd) if one.use else NOTHING,
            number(one.use.tokens) if one.use else NOTHING,
            one.front or NOTHING,
        )
        for one in summary.strategies
    )
    head = (
        *("strategy", "kind", "tasks scored", "samples", "right [95 %]", "infrastructure failed"),
        *("money a question", "tokens a question", "accuracy for its cost"),
    )
    unit = (
        "money" if summary.currency == "usd" else "tokens, as money is not known for all or is zero for all"
    )
    says = (
        f"Accuracy for its cost is in {unit}. On the front: no other strategy is as cheap and as accurate, "
        "and better in one of the two. Not ruled out: one is, but by chance it may be less accurate. Dominated: "
        "one costs no more, and the paired 95 % interval of its lead in accuracy does not reach below zero. "
        "These intervals are not adjusted for how many there are.",
    )
    return Section("Accuracy and cost", says, (Table(head, rows),), plot="cost")


def _comparisons(summary: Summary) -> Section:
    head = (
        *("strategy", "against", "points [95 %]", "p", "p adjusted", "only one right: first / second"),
        *("tasks", "left out", "seen with 80 % power", "verdict"),
    )
    rows = tuple(
        (
            one.a,
            one.b,
            " ".join(_points(one.paired)),
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
    )
    return Section(
        "Comparisons on the same tasks", says, (Table(head, rows),) if rows else (), plot="forest"
    )


def _plans(summary: Summary) -> Section:
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


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {count:,}" for name, count in counts.items()) or NOTHING


def _cost(summary: Summary) -> Section:
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
                number(use.planner_tokens),
                number(use.worker_tokens),
                *money,
                *map(number, means),
            )
        )
    says = (
        "Means over the episodes with a score; calls without a price are counted over all of them. Seconds are "
        f"those it takes if nothing has to queue. Money is {UNKNOWN} where a call has no known price.",
    )
    return Section("What a question takes", says, (Table(head, tuple(rows)),))


def _steps(summary: Summary) -> Section:
    levels = sorted({level for one in summary.strategies for level in one.steps_by_difficulty}, key=int)
    rows = tuple(
        (_label(one), *(_or_dash(one.steps_by_difficulty, level) for level in levels))
        for one in summary.strategies
    )
    head = ("strategy", *(f"difficulty {level}" for level in levels))
    return Section("Worker steps by difficulty", (), (Table(head, rows),) if levels else ())


def _or_dash(values: Mapping[str, float], key: str) -> str:
    return number(values[key]) if key in values else NOTHING


def _workers(summary: Summary) -> Section:
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


def _domains(summary: Summary) -> Section:
    domains = [*summary.domains]
    head = ("strategy", *(f"{domain or '(none)'} ({count:,})" for domain, count in summary.domains.items()))
    every = (*summary.strategies, *summary.ceilings)
    rows = tuple((_label(one), *(estimate(one.domains[domain]) for domain in domains)) for one in every)
    return Section("Accuracy by domain", (), (Table(head, rows),) if domains else (), plot="domains")


def _ceilings(summary: Summary) -> Section:
    rows = tuple(
        (one.strategy, f"{one.accuracy.n:,}", estimate(one.accuracy), one.note) for one in summary.ceilings
    )
    says = (
        "These look at the scores before they choose. No system can do that, so they are compared with none.",
    )
    return Section("Ceilings", says, (Table(("ceiling", "tasks scored", "right [95 %]", "note"), rows),))


def _paper(summary: Summary) -> Section:
    tables = [_benchmarks(table) for table in paper.TABLES]
    rows = [
        (
            "the paper",
            cost.system,
            "its four benchmarks",
            f"{cost.score:.1f} %",
            f"{cost.tokens:,}",
            f"${cost.usd}",
        )
        for cost in paper.COSTS
    ]
    rows += [
        ("this evaluation", _label(one), f"{summary.suite}, {summary.split}", percent(one.accuracy.value))
        + ((number(one.use.tokens), dollars(one.use.usd)) if one.use else (NOTHING, NOTHING))
        for one in summary.strategies
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


def _method(summary: Summary) -> Section:
    domains = _listed({domain or "(none)": count for domain, count in summary.domains.items()})
    notes = tuple(f"{one.strategy}: {one.note}" for one in summary.strategies if one.note)
    says = (
        f"Tasks: {summary.tasks:,} ({domains}). Reference: {summary.reference or 'none'}.",
        "The task is the unit: several samples of one task are averaged first. Intervals of a share are "
        "Wilson's, at the effective sample size where there are several samples. Intervals of a difference are "
        "Newcombe's for paired shares (1998, method 10). p is of the exact sign-flip test, which for one sample "
        "is McNemar's exact test; adjusted is Holm's, for all comparisons of this report.",
        "Episodes that the infrastructure failed have no score: they are counted apart, never as wrong answers.",
        *notes,
    )
    rows = tuple((str(key), str(value)) for key, value in summary.about.items())
    return Section("How it was made", says, (Table(("what", "value"), rows),) if rows else ())
