"""The words with which the lines of the embedded models' prompts begin, and texts that would begin a line with one."""

import re
from typing import Final

from langgraph_conductor.tags import escape

_LABEL: Final = re.compile(
    r"^(?=[ \t]*+(?:given|your part|question|workers|plan before|answer before)[ \t]*+:)",
    re.IGNORECASE | re.MULTILINE,
)


def in_its_place(text: str) -> str:
    r"""`text` of a worker or planner, of which no line can be taken for another part of the prompt.

    Such a line begins with a backslash then; any other text stays as it is.
    """
    first, line_feed, rest = escape(text).partition("\n")
    return first + line_feed + _LABEL.sub(r"\\", rest)
