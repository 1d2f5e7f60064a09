"""What a report is made of: sections of sentences and tables, as unescaped text."""

from dataclasses import dataclass


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
