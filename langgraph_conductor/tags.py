r"""The tags between which users' and models' texts stand in prompts, and texts that look like one.

A backslash is set behind the opening sign of whatever looks like a tag, so that no text can end its own part and
begin another: `</turn>` becomes `<\/turn>`. A look-alike is what a model might read as the tag: in capitals, with
blanks, signs that are not seen or accents inside, full-width or styled letters, `&lt;` for `<`. A text without one
stays as it is, and `unescape` gives every text back exactly.
"""

import re
from collections.abc import Mapping
from string import ascii_lowercase
from typing import Final

PROMPT_TAGS: Final = (
    "overall_task", "previous_round", "step_subtask", "step_output", "your_subtask",
    "previous_plan", "previous_answer", "wish",
)  # fmt: skip
"""Tags of the parts of a prompt."""

CONVERSATION_TAGS: Final = ("turn", "newest_request")
"""Tags of the parts of a conversation, which as a whole is one part of a prompt."""

ALL_TAGS: Final = (*PROMPT_TAGS, *CONVERSATION_TAGS)

_OPENING: Final = "(?:[<\uff1c\ufe64\u2039\u3008]|&(?:lt|#0{0,6}60|#x0{0,6}3c);?+)"
# Controls and format signs, variation selectors, fillers, accents: what may stand in a word without being seen.
_UNSEEN: Final = (
    "\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u0300-\u036f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff"
)
_STYLED: Final = range(0x1D400, 0x1D6A4, 52)  # Unicode's mathematical alphabets: bold, script and so on


def _sign(sign: str) -> str:
    """A class of what a sign of a tag's name may look like."""
    if sign == "_":
        return "[_\uff3f\u203f\u2010-\u2015-]"
    at = ascii_lowercase.index(sign)
    styled = "".join(chr(first + at) + chr(first + 26 + at) for first in _STYLED)
    return f"[{sign}{chr(0xFF41 + at)}{styled}]"


def _named(tags: tuple[str, ...]) -> str:
    return "|".join(f"[{_UNSEEN}]*+".join(map(_sign, tag)) for tag in tags)


def _look_alike(tags: tuple[str, ...], escaped: str) -> re.Pattern[str]:
    # No part can take what the next one begins with, and none runs past the next opening sign: linear time.
    gap = rf"[\s/\uff0f\u2044\u2215{_UNSEEN}]*+"
    first = "".join(_sign(sign)[1:-1] for sign in sorted({tag[0] for tag in tags}))  # tells soonest
    return re.compile(
        rf"({_OPENING}){escaped}(\\*+)({gap}(?=[{first}])(?:{_named(tags)})(?!\w))", re.IGNORECASE
    )


_FAMILIES: Final = (PROMPT_TAGS, CONVERSATION_TAGS, ALL_TAGS)
_PLAIN: Final[Mapping[tuple[str, ...], re.Pattern[str]]] = {
    tags: _look_alike(tags, "") for tags in _FAMILIES
}
_ESCAPED: Final[Mapping[tuple[str, ...], re.Pattern[str]]] = {
    tags: _look_alike(tags, r"\\") for tags in _FAMILIES
}


def escape(text: str, tags: tuple[str, ...] = ALL_TAGS) -> str:
    """`text` with every look-alike of `tags` made harmless; `unescape` gives it back.

    Args:
        text: Any text.
        tags: One of the families above, or both.
    """
    return _PLAIN[tags].sub(r"\1\\\2\3", text)


def unescape(text: str, tags: tuple[str, ...] = ALL_TAGS) -> str:
    """The inverse of `escape`."""
    return _ESCAPED[tags].sub(r"\1\2\3", text)


# --------------------------------------------------------------- conversations

CONVERSATION_INTRO: Final = (
    "This is a conversation. Answer the newest request, which stands in newest_request; the other turns "
    "say what it refers to."
)
_REAL: Final = re.compile(r'<(/?)(turn|newest_request)(?: role="\w+")?>')


def is_conversation(text: str) -> bool:
    """Whether `text` is a conversation as `conversation.question_of` renders one, whose tags are real.

    Every tag in it opens or closes one part, none lies in another, and exactly one part is the newest request.
    """
    if not text.startswith(CONVERSATION_INTRO):
        return False
    inside, newest = "", 0
    for alike in _PLAIN[CONVERSATION_TAGS].finditer(text):
        if alike[2]:
            continue  # escaped
        tag = _REAL.match(text, alike.start())
        if tag is None or inside != (tag[2] if tag[1] else ""):
            return False
        inside = "" if tag[1] else tag[2]
        newest += inside == "newest_request"
    return newest == 1 and not inside


def escape_question(text: str) -> str:
    """The text of a question, escaped; the real tags of a conversation stay."""
    return escape(text, PROMPT_TAGS if is_conversation(text) else ALL_TAGS)


def unescape_question(text: str) -> str:
    """The inverse of `escape_question`."""
    return unescape(text, PROMPT_TAGS if is_conversation(text) else ALL_TAGS)
