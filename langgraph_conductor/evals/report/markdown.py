"""The report as Markdown."""

from collections.abc import Iterator, Sequence
from typing import Final

from langgraph_conductor.evals.report.contents import sections
from langgraph_conductor.evals.report.findings import warnings
from langgraph_conductor.evals.report.parts import Section, Table
from langgraph_conductor.evals.report.words import in_markdown
from langgraph_conductor.evals.summary import Summary

_WIDEST: Final = 80
"""Columns are aligned up to this width; a longer cell sticks out."""


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


def opening(text: str) -> str:
    """The beginning of a report that `markdown` wrote: what was shown, and accuracy and cost."""
    return "\n## ".join(text.split("\n## ")[:3]).rstrip() + "\n"


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
    rows = [[in_markdown(cell) for cell in row] for row in (table.head, *table.rows)]
    # Aligned, since it is read in terminals and editors as well.
    wide = [min(_WIDEST, max(3, *map(len, column))) for column in zip(*rows, strict=True)]
    head, *body = (_row([cell.ljust(width) for cell, width in zip(row, wide, strict=True)]) for row in rows)
    yield from (head, _row(["-" * width for width in wide]), *body, "")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
