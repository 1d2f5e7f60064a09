r"""The tags between which users' and models' texts stand in prompts, and texts that look like one.

A backslash is set behind the opening sign of whatever looks like a tag, so that no text can end its own part and
begin another: `</turn>` becomes `<\/turn>`. A look-alike is what a model might read as the tag: in capitals, with
blanks, signs that are not seen or accents inside, full-width or styled letters, `&lt;` for `<`. A text without one
stays as it is, and `unescape` gives every text back exactly.
"""

import re
from typing import Final

from langgraph_conductor.foreign_text import normalized

PROMPT_TAGS: Final = (
    "overall_task", "previous_round", "step_subtask", "step_output", "your_subtask",
    "previous_plan", "previous_answer", "wish", "attached_file",
)  # fmt: skip
"""Tags of the parts of a prompt."""

CONVERSATION_TAGS: Final = ("turn", "newest_request", "attached")
"""Tags of the parts of a conversation, which as a whole is one part of a prompt; and the mark that stands where an
attachment was."""

ALL_TAGS: Final = (*PROMPT_TAGS, *CONVERSATION_TAGS)

_OPENING: Final = "(?:[<\uff1c\ufe64\u2039\u3008]|&(?:lt|#0{0,6}60|#x0{0,6}3c);?+)"
# Controls and format signs, variation selectors, fillers, accents: what may stand in a word without being seen.
_UNSEEN: Final = (
    "\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u0300-\u036f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff"
)
_JOINERS: Final = "\uff3f\u203f\u2040\u2054\ufe33\ufe34\ufe4d-\ufe4f\u2010-\u2015-"
# No part can take what the next one begins with, and none runs past the next opening sign: linear time.
_NAMED: Final = re.compile(
    rf"({_OPENING})(\\*+)([\s/\uff0f\u2044\u2215{_UNSEEN}]*+)([\w{_JOINERS}{_UNSEEN}]++)", re.IGNORECASE
)
_NOT_READ: Final = re.compile(f"[{_UNSEEN}]")
_JOINER: Final = re.compile(f"[{_JOINERS}]")


def _name(word: str) -> str:
    """A word as a model might read it: no accents and styles, nothing that is not seen, in small letters."""
    if not word.isascii():
        word = _NOT_READ.sub("", normalized("NFKD", word))
    return _JOINER.sub("_", word.casefold()).strip("_")


def escape(text: str, tags: tuple[str, ...] = ALL_TAGS) -> str:
    """`text` with every look-alike of `tags` made harmless; `unescape` gives it back.

    Args:
        text: Any text.
        tags: Names of tags.
    """
    return _NAMED.sub(
        lambda found: (
            f"{found[1]}\\{found[2]}{found[3]}{found[4]}" if _name(found[4]) in tags else found[0]
        ),
        text,
    )


def unescape(text: str, tags: tuple[str, ...] = ALL_TAGS) -> str:
    """The inverse of `escape`."""
    return _NAMED.sub(
        lambda found: (
            f"{found[1]}{found[2][1:]}{found[3]}{found[4]}" if _name(found[4]) in tags else found[0]
        ),
        text,
    )


# --------------------------------------------------------------- conversations

CONVERSATION_INTRO: Final = (
    "This is a conversation. Answer the newest request, which stands in newest_request; the other turns "
    "say what it refers to."
)
_REAL: Final = re.compile(r'<(/?)(turn|newest_request)(?: role="\w+")?>')
MARK: Final = re.compile(r'<attached name="([a-z]+ \d+)"/>')
"""Where an attachment stands in a text, by its name (`attachments.labels`)."""


def mark(name: str) -> str:
    """The mark of an attachment."""
    return f'<attached name="{name}"/>'


def is_conversation(text: str) -> bool:
    """Whether `text` is a conversation as `conversation.question_of` renders one, whose tags are real.

    Every tag in it opens or closes one part, none lies in another, and exactly one part is the newest request.
    """
    if not text.startswith(CONVERSATION_INTRO):
        return False
    inside, newest = "", 0
    for alike in _NAMED.finditer(text):
        if alike[2] or _name(alike[4]) not in CONVERSATION_TAGS:
            continue  # escaped, or another word
        if MARK.match(text, alike.start()):
            continue
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


def newest_request(text: str) -> str:
    """The newest request of a question, as the user wrote it; the whole text, where it is no conversation.

    Args:
        text: The text of a question.
    """
    if not is_conversation(text):
        return text
    inside = text.partition("<newest_request>\n")[2].partition("\n</newest_request>")[0]
    return unescape(inside, CONVERSATION_TAGS)
