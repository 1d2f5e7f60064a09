"""The words that begin a line of the embedded models' prompts, and texts with lines that begin so."""

import re
from typing import Final

from langgraph_conductor.tags import escape

_LABELS: Final = "given|your part|question|workers|plan before|answer before"
_LABEL: Final = re.compile(rf"^(?=[ \t]*+(?:{_LABELS})[ \t]*+:)", re.IGNORECASE | re.MULTILINE)


def in_its_place(text: str) -> str:
    r"""`text` of a worker or planner, of which no line can be taken for another part of the prompt.

    Such a line begins with a backslash then; any other text stays as it is.
    """
    first, line_feed, rest = escape(text).partition("\n")
    return first + line_feed + _LABEL.sub(r"\\", rest)
