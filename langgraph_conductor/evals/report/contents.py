"""What a report says, before it is Markdown or HTML."""

from langgraph_conductor.evals.report import figures
from langgraph_conductor.evals.report.findings import findings
from langgraph_conductor.evals.report.parts import Section
from langgraph_conductor.evals.summary import Summary


def sections(summary: Summary) -> list[Section]:
    """The report's parts, in order."""
    return [
        findings(summary),
        figures.accuracy(summary),
        figures.comparisons(summary),
        figures.described(summary),
        figures.plans(summary),
        figures.cost(summary),
        figures.steps(summary),
        figures.workers(summary),
        figures.domains(summary),
        *([figures.ceilings(summary)] if summary.ceilings else []),
        figures.published(summary),
        figures.method(summary),
    ]
