"""HTML that is safe whatever a text holds: pages with no scripts, which load nothing, light and dark."""

import html
import re
from collections.abc import Iterable
from typing import Final

from langgraph_conductor.display.words import printable
from langgraph_conductor.replies import storable

# Browsers then refuse scripts and requests, should a text ever slip through as markup.
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8886; --soft: #8881; --bad: #b8261d; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 78rem; margin: 2rem auto; padding: 0 1rem;
  overflow-wrap: anywhere; }
h1, h2, h3, h4 { line-height: 1.2; margin: 1.4em 0 .5em; }
.wide { overflow-x: auto; margin: .8rem 0; }
table { border-collapse: collapse; font-size: .9em; overflow-wrap: normal; }
caption { text-align: left; font-weight: 600; padding: .3em 0; }
th, td { text-align: left; padding: .25em .7em; border-bottom: 1px solid var(--line); }
td { font-variant-numeric: tabular-nums; }
.warning { border: 2px solid var(--bad); padding: .6em 1em; font-weight: 600; }
.plot svg { max-width: 100%; height: auto; }
details { border: 1px solid var(--line); border-radius: 6px; margin: .4em 0; padding: .3em .8em; }
summary { cursor: pointer; }
dl { display: grid; grid-template-columns: 9rem 1fr; gap: .2em .8em; margin: .5em 0; }
dt { opacity: .75; }
dd, td, th, li, caption, summary, .text { unicode-bidi: isolate; }
dd { margin: 0; white-space: pre-wrap; background: var(--soft); padding: 0 .4em; }
.flow { display: block; max-width: 100%; height: auto; margin: .6em auto; }
.flow path { fill: none; stroke: currentColor; }
.flow .box { fill: var(--soft); stroke: currentColor; }
.flow .bad { stroke: var(--bad); stroke-width: 2; stroke-dasharray: 5 3; }
.flow text { fill: currentColor; font-size: 13px; text-anchor: middle; }
.flow .small { font-size: 11px; }
@media (prefers-color-scheme: dark) { :root { --bad: #f26d5f; } }
@media (max-width: 40rem) {
  body { margin: 1rem auto; padding: 0 .7rem; }
  h1 { font-size: 1.5em; }
  dl, .rounds dl { grid-template-columns: 1fr; }
  dt { margin-top: .3em; }
}
"""


def clean(text: object) -> str:
    """`text` without what is no valid text in XML or UTF-8, and without marks that turn its direction."""
    return re.sub("[\ufffe\uffff]", "\N{REPLACEMENT CHARACTER}", printable(storable(str(text))))


def in_html(text: object) -> str:
    """`text` for HTML and SVG, between tags or in an attribute in quotes."""
    return html.escape(clean(text))


def cut(text: str, most: int) -> str:
    """`text`, or its beginning and end with how much is missing between them.

    Args:
        text: Any text.
        most: Characters to keep.
    """
    if len(text) <= most:
        return text
    tail = most // 3
    missing = f"[… {len(text) - most:,} of {len(text):,} characters left out …]"
    return f"{text[: most - tail]}\n{missing}\n{text[len(text) - tail :]}"


def document(title: str, body: str, style: str = "") -> str:
    """A whole page.

    Args:
        title: Its title, as text.
        body: What follows the heading, as HTML.
        style: CSS of this kind of page, after what all pages share.
    """
    title = in_html(title)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}{style}</style></head>\n<body>\n"
        f"<h1>{title}</h1>\n{body}\n</body></html>\n"
    )


def table(head: Iterable[str], rows: Iterable[Iterable[str]], title: str = "") -> str:
    """A table as HTML.

    Args:
        head: Titles of the columns, as text.
        rows: Cells, as text.
        title: What it shows, as text.
    """
    caption = f"<caption>{in_html(title)}</caption>" if title else ""
    body = "\n".join(_row(row, "td") for row in rows)
    inside = f"{caption}<thead>{_row(head, 'th')}</thead><tbody>{body}</tbody>"
    return f'<div class="wide"><table>{inside}</table></div>'


def _row(cells: Iterable[str], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{in_html(cell)}</{tag}>' for cell in cells)}</tr>"
