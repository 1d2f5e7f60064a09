"""What was shown and what was not, in plain words."""

from langgraph_conductor.evals.report.parts import Section
from langgraph_conductor.evals.report.words import chance, counted, p_equals, points
from langgraph_conductor.evals.stats import Paired
from langgraph_conductor.evals.summary import Comparison, Summary


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
    """A verdict for each comparison, planners first, then what could not be compared."""
    shown = sum(one.verdict != "no difference shown" for one in summary.comparisons)
    total = counted(len(summary.comparisons), "comparison")
    first = f"{total} made; a difference was shown in {shown or 'none'}."
    # Planners first: they are what the evaluation is about.
    kinds = {one.strategy: one.kind for one in summary.strategies}
    ranked = sorted(summary.comparisons, key=lambda one: kinds[one.a] != "planner")
    said = [first if ranked else "No strategies were compared.", *map(sentence, ranked)]
    said += [f"{reason}." for reason in summary.left_out]
    if failed := sum(one.infra for one in summary.strategies):
        outages = f"The infrastructure failed {counted(failed, 'episode')}"
        said.append(f"{outages}: nobody knows their score; they are left out, not counted as wrong.")
    return Section("What was shown", tuple(said))


def sentence(one: Comparison) -> str:
    """The verdict in plain words."""
    pair = one.paired
    if not pair.n:
        return f"No difference shown between {one.a} and {one.b}: no task has a score from both."
    difference, interval = difference_and_interval(pair)
    figures = f"{difference} points, interval {interval}, {p_equals(pair.p)}"
    if abs(one.adjusted - pair.p) > 1e-9:
        figures += f" ({chance(one.adjusted)} adjusted)"
    if one.verdict == "no difference shown":
        return (
            f"No difference shown between {one.a} and {one.b}: {figures}; with {_these(pair.n)} a "
            f"difference under {100 * pair.detectable:.1f} points would usually not be seen."
        )
    return f"{one.a} is {one.verdict} than {one.b}: {figures}, on {counted(pair.n, 'task')}."


def difference_and_interval(pair: Paired) -> tuple[str, str]:
    """Both in points."""
    return points(pair.difference), f"[{points(pair.low)}, {points(pair.high)}]"


def _these(n: int) -> str:
    return "this 1 task" if n == 1 else f"these {n:,} tasks"
