"""The report as one HTML page: no scripts, nothing loaded, light and dark."""

from typing import Final

from langgraph_conductor.evals.report.contents import sections
from langgraph_conductor.evals.report.findings import warnings
from langgraph_conductor.evals.report.items import failed_items
from langgraph_conductor.evals.report.parts import Section, Table
from langgraph_conductor.evals.report.plots import draw
from langgraph_conductor.evals.report.words import in_html
from langgraph_conductor.evals.results import Evaluation
from langgraph_conductor.evals.summary import Summary

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8886; --soft: #8881; --bad: #c33; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 78rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3, h4 { line-height: 1.2; margin: 1.4em 0 .5em; }
.wide { overflow-x: auto; margin: .8rem 0; }
table { border-collapse: collapse; font-size: .9em; }
caption { text-align: left; font-weight: 600; padding: .3em 0; }
th, td { text-align: left; padding: .25em .7em; border-bottom: 1px solid var(--line); }
td { font-variant-numeric: tabular-nums; }
.warning { border: 2px solid var(--bad); padding: .6em 1em; font-weight: 600; }
.plot svg { max-width: 100%; height: auto; }
details { border: 1px solid var(--line); border-radius: 6px; margin: .4em 0; padding: .3em .8em; }
summary { cursor: pointer; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: 9rem 1fr; gap: .2em .8em; margin: .5em 0; }
dt { opacity: .75; }
dd { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; background: var(--soft); padding: 0 .4em; }
.flow { max-width: 100%; height: auto; margin: .4em 0; }
.flow path { fill: none; stroke: currentColor; }
.flow .box { fill: var(--soft); stroke: currentColor; }
.flow .bad { stroke: var(--bad); stroke-width: 2; stroke-dasharray: 5 3; }
.flow text { fill: currentColor; font-size: 13px; text-anchor: middle; }
.flow .small { font-size: 11px; }
"""

# Browsers then refuse scripts and requests, should a text ever slip through as markup.
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


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


def document(title: str, body: str) -> str:
    """A whole page.

    Args:
        title: Its title, as text.
        body: What follows the heading, as HTML.
    """
    title = in_html(title)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head>\n<body>\n"
        f"<h1>{title}</h1>\n{body}\n</body></html>\n"
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
        + "\n".join(map(_table, section.tables))
    )


def _table(table: Table) -> str:
    caption = f"<caption>{in_html(table.title)}</caption>" if table.title else ""
    rows = "\n".join(_row(row, "td") for row in table.rows)
    head = _row(table.head, "th")
    return f'<div class="wide"><table>{caption}<thead>{head}</thead><tbody>{rows}</tbody></table></div>'


def _row(cells: tuple[str, ...], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{in_html(cell)}</{tag}>' for cell in cells)}</tr>"
