"""The report as Markdown."""

from collections.abc import Iterator

from langgraph_conductor.evals.report.contents import Section, Table, sections, warnings
from langgraph_conductor.evals.report.words import in_markdown
from langgraph_conductor.evals.summary import Summary


def markdown(summary: Summary) -> str:
    """The report's text.

    Args:
        summary: What to tell.
    """
    lines = [f"# Evaluation of {in_markdown(summary.suite)}, {in_markdown(summary.split)}", ""]
    for warning in warnings(summary):
        lines += [f"**{in_markdown(warning)}**", ""]
    for section in sections(summary):
        lines += _section(section)
    return "\n".join(lines).rstrip() + "\n"


def _section(section: Section) -> Iterator[str]:
    yield from (f"## {in_markdown(section.title)}", "")
    if section.sentences:
        yield from (f"* {in_markdown(sentence)}" for sentence in section.sentences)
        yield ""
    for table in section.tables:
        yield from _table(table)


def _table(table: Table) -> Iterator[str]:
    if table.title:
        yield from (in_markdown(table.title), "")
    yield _row(table.head)
    yield "|" + " --- |" * len(table.head)
    yield from map(_row, table.rows)
    yield ""


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(in_markdown(cell) for cell in cells) + " |"
