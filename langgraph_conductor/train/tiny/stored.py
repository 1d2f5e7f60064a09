"""The tables of a page that was written before."""

from collections.abc import Mapping
from html.parser import HTMLParser


def tables_of(page: str) -> Mapping[str, list[list[str]]]:
    """Each table's rows, its head first, by its caption, or by the heading before it if it has none.

    Args:
        page: The HTML.
    """
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader.found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, list[list[str]]] = {}
        self._title = self._text = ""
        self._rows: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self._rows = []
        elif tag == "tr":
            self._rows.append([])
        if tag in ("h2", "caption", "th", "td"):
            self._text = ""

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag in ("h2", "caption"):
            self._title = self._text
        elif tag in ("th", "td"):
            self._rows[-1].append(self._text)
        elif tag == "table":
            self.found.setdefault(self._title, self._rows)
