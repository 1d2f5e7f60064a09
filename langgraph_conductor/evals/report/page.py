"""The report as one HTML page: no scripts, nothing loaded, light and dark."""

from langgraph_conductor.display.markup import document, in_html, table
from langgraph_conductor.evals.report.contents import sections
from langgraph_conductor.evals.report.findings import warnings
from langgraph_conductor.evals.report.items import failed_items
from langgraph_conductor.evals.report.parts import Section
from langgraph_conductor.evals.report.plots import draw
from langgraph_conductor.evals.results import Evaluation
from langgraph_conductor.evals.summary import Summary


def page(evaluation: Evaluation, summary: Summary) -> str:
    """The whole page.

    Args:
        evaluation: What was found, for the failed items.
        summary: Its numbers.
    """
    title = f"Evaluation of {summary.suite}, {summary.split}"
    return document(title, f"{body(summary)}\n{failed_items(evaluation)}")


def body(summary: Summary) -> str:
    """What a page says of an evaluation, but for the failed items, as HTML.

    Args:
        summary: Its numbers.
    """
    first = "".join(f'<p class="warning">{in_html(warning)}</p>\n' for warning in warnings(summary))
    return first + "\n".join(
        in_page(section, draw(section.plot, summary) if section.plot else "")
        for section in sections(summary)
    )


def in_page(section: Section, plot: str = "") -> str:
    """A section as HTML.

    Args:
        section: The section.
        plot: Its plot, as an SVG element, if there is one.
    """
    said = "".join(f"<li>{in_html(sentence)}</li>" for sentence in section.sentences)
    return (
        f"<h2>{in_html(section.title)}</h2>\n"
        + (f"<ul>{said}</ul>\n" if said else "")
        + (f'<div class="wide plot">{plot}</div>\n' if plot else "")
        + "\n".join(table(part.head, part.rows, part.title) for part in section.tables)
    )
