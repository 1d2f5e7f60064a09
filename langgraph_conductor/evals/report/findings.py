"""The report's head: what was asked, what it cost, and what was shown, in plain words."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from langgraph_conductor.evals.report.parts import Section
from langgraph_conductor.evals.report.words import chance, counted, dollars, estimate, p_equals, points
from langgraph_conductor.evals.stats import Paired
from langgraph_conductor.evals.summary import Comparison, Summary
from langgraph_conductor.usage import Usage

_NOT_SHOWN: Final = "no difference shown"
_AGAIN, _PROFILES = ", 2 rounds", " + profiles"


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


def findings(summary: Summary) -> Section:
    """What was asked, each difference that was shown, and the planners' comparisons that showed none."""
    shown = [one for one in summary.comparisons if one.verdict != _NOT_SHOWN]
    shown.sort(key=lambda one: -abs(one.paired.difference))
    said = [*_asked(summary), _count(summary, len(shown)), *map(sentence, shown)]
    rest = [one for one in summary.comparisons if one.verdict == _NOT_SHOWN]
    planners = {one.strategy for one in summary.strategies if one.kind == "planner"}
    for what, fits in _questions(summary):
        about = [one for one in rest if one.a in planners and fits(one)]
        rest = [one for one in rest if one not in about]
        said += [_undecided(what, about)] if about else []
    said += [_others(rest)] if rest else []
    said += [f"{reason}." for reason in summary.left_out]
    said += _spoiled(summary)
    if failed := sum(one.infra for one in summary.strategies):
        outages = f"The infrastructure failed {counted(failed, 'episode')}"
        said.append(
            f"{outages}: nobody knows their score; they are left out, not counted as wrong. If they struck harder "
            "tasks more often, what is left flatters whom they struck."
        )
    return Section("What was shown", tuple(said))


def sentence(one: Comparison) -> str:
    """The verdict of a comparison that showed a difference."""
    figures = _figures(one.paired)
    if abs(one.adjusted - one.paired.p) > 1e-9:
        figures += f" ({chance(one.adjusted)} adjusted)"
    without = f"; {one.paired.left_out:,} left out" if one.paired.left_out else ""
    return f"{one.a} is {one.verdict} than {one.b}: {figures}, on {counted(one.paired.n, 'task')}{without}."


def difference_and_interval(pair: Paired) -> tuple[str, str]:
    """Both in points."""
    return points(pair.difference), f"[{points(pair.low)}, {points(pair.high)}]"


def _asked(summary: Summary) -> Iterator[str]:
    """What was asked, when, what was used, and what the others are compared with."""
    options, date = summary.about.get("options"), summary.about.get("date")
    samples = options.get("samples", 1) if isinstance(options, Mapping) else 1
    each = f", each {samples} times" if samples > 1 else ""
    when = f", on {date}" if date else ""
    who = counted(len(summary.strategies), "strategy", "strategies")
    asked = f"{counted(summary.tasks, 'task')} of the suite {summary.suite}, split {summary.split}"
    yield f"Asked: {asked}, of {who}{each}{when}.{_charged(summary.about)}"
    for one in summary.strategies:
        if one.strategy == summary.reference and one.accuracy.value is not None:
            best = (
                f"The reference is {one.strategy}, the worker that was the best alone on the training split"
            )
            yield f"{best}{_in_training(summary.about)}. It is right in {estimate(one.accuracy)}."


def _in_training(about: Mapping[str, Any]) -> str:
    training = about.get("training")
    lost = training.get("outages") if isinstance(training, Mapping) else 0
    return f" ({counted(lost, 'outage')} there counted as not right)" if lost else ""


def _charged(about: Mapping[str, Any]) -> str:
    """What the strategies used together, whether or not replies were in the store."""
    if not isinstance(about.get("charged"), Mapping):
        return ""
    used = Usage.from_json(about["charged"])
    few = "none" if used.unpriced_calls == used.calls else f"{used.calls - used.unpriced_calls:,} of them"
    unknown = f", {few} with a known price" if used.unpriced_calls else ""
    return f" They used {dollars(float(used.usd or 0))} for {counted(used.calls, 'model call')}{unknown}."


def _count(summary: Summary, shown: int) -> str:
    if not summary.comparisons:
        return "No strategies were compared."
    made = counted(len(summary.comparisons), "comparison")
    return f"{made} made; a difference was shown in {shown or 'none'}."


def _questions(summary: Summary) -> tuple[tuple[str, Callable[[Comparison], bool]], ...]:
    """What an evaluation asks of planners, each with the comparisons that answer it."""
    reference = summary.reference
    votes = "Planners against a majority vote that costs"
    return (
        (f"Planners against the reference {reference}", lambda one: one.b == reference),
        (f"{votes} less", lambda one: one.b.startswith("majority(") and _much_cheaper(summary, one)),
        (f"{votes} as much", lambda one: one.b.startswith("majority(")),
        (
            "What profiles are worth",
            lambda one: one.a == one.b.removesuffix(_AGAIN) + _PROFILES + _again(one.b),
        ),
        ("What a second round is worth to planners", lambda one: one.a == one.b + _AGAIN),
        ("Planners against others", lambda _: True),
    )


def _much_cheaper(summary: Summary, one: Comparison) -> bool:
    """Whether the second costs a tenth less than the first, or still less: a vote has a most."""
    use = {found.strategy: found.use for found in summary.strategies}
    a, b = use.get(one.a), use.get(one.b)
    if a is None or b is None:
        return False
    if a.usd and b.usd:
        return b.usd < 0.9 * a.usd
    return b.tokens < 0.9 * a.tokens


def _again(name: str) -> str:
    return _AGAIN if name.endswith(_AGAIN) else ""


def _undecided(what: str, about: Iterable[Comparison]) -> str:
    """One sentence on comparisons of one sort, none of which showed a difference."""
    found = [one for one in about if one.paired.n]
    if not found:
        return f"{what}: {_NOT_SHOWN}, as no task has a score from both."
    figures = "; ".join(f"{one.a} {_figures(one.paired)}" for one in found)
    pair = max((one.paired for one in found), key=lambda pair: pair.detectable)
    return (
        f"{what}: {_NOT_SHOWN}. {figures}. With {_these(pair.n)} a difference under "
        f"{100 * pair.detectable:.1f} points would usually not be seen."
    )


def _others(rest: Iterable[Comparison]) -> str:
    """One sentence that names all of them."""
    against: dict[str, list[str]] = {}
    for one in rest:
        again = one.a == one.b + _AGAIN
        against.setdefault("a second round and none" if again else one.b, []).append(
            one.b if again else one.a
        )
    second = against.pop("a second round and none", [])
    parts = [
        f"between {b} and {'each of ' if len(names) > 1 else ''}{_named(names)}"
        for b, names in against.items()
    ]
    parts += [f"between a second round and none for {_named(second)}"] if second else []
    return f"No difference shown {'; nor '.join(parts)}."


def _spoiled(summary: Summary) -> Iterator[str]:
    """What accuracy does not show: plans that were none, budgets too small, workers that do not run."""
    unplanned = [
        f"{one.strategy} {one.scored - one.valid:,} of {one.scored:,}"
        for one in summary.strategies
        if one.kind == "planner" and one.valid < one.scored
    ]
    if unplanned:
        yield f"Episodes that were not planned by the planner itself in every round: {_named(unplanned)}."
    if stopped := sum(one.stopped for one in summary.strategies):
        yield f"The budget of an episode ended {counted(stopped, 'episode')}; one without an answer is wrong."
    if errors := [f"{one.strategy} {one.errors:,}" for one in summary.strategies if one.errors]:
        yield f"Episodes without an answer, by no outage, which are wrong: {_named(errors)}."


def _named(names: list[str]) -> str:
    # Names may hold commas.
    return " / ".join(names)


def _figures(pair: Paired) -> str:
    difference, interval = difference_and_interval(pair)
    return f"{difference} points, interval {interval}, {p_equals(pair.p)}"


def _these(n: int) -> str:
    return "this 1 task" if n == 1 else f"these {n:,} tasks"
