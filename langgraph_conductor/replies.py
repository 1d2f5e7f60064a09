"""What counts in a model's reply: its last text, without the reasoning a model thinks aloud."""

import re
from collections.abc import Iterable
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

_TAG = r"(think|thinking|thought|reasoning)>"
_OPEN = re.compile(rf"^[ \t]*<{_TAG}", re.IGNORECASE | re.MULTILINE)
_OPEN_NEXT = re.compile(rf"\s*<{_TAG}", re.IGNORECASE)
_CLOSE = re.compile(rf"^[ \t]*</{_TAG}", re.IGNORECASE | re.MULTILINE)


def drop_thinking(text: str) -> str:
    """`text` without the blocks in which a model thinks aloud, such as `<think>...</think>`.

    A block begins at the beginning of a line or right after another, so that a text which speaks of
    such tags keeps them. One that never ends counts only if nothing stands before it. One that never
    begins (some chat templates open it in the prompt) reaches from the beginning to a closing tag that
    begins a line.
    """
    opened, closed = _OPEN.search(text), _CLOSE.search(text)
    at = 0
    if closed and (opened is None or closed.start() < opened.start()):
        at = closed.end()
    kept: list[str] = []
    while begin := _OPEN_NEXT.match(text, at) or _OPEN.search(text, at):
        before = text[at : begin.start()]
        end = re.compile(f"</{begin[1]}>", re.IGNORECASE).search(text, begin.end())
        if end is None:
            if "".join([*kept, before]).strip():
                break
            return ""
        kept.append(before)
        at = end.end()
    return "".join([*kept, text[at:]])


def storable(text: str) -> str:
    """`text` without what no database takes: NUL and halves of surrogate pairs become U+FFFD."""
    text = text.replace("\0", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def reply_text(reply: Any) -> str:
    """The text of a string or message, reasoning dropped, blank ends cut.

    Content blocks other than text (reasoning, tool calls, images) do not count.

    Raises:
        TypeError: If `reply` is neither a string nor a message.
    """
    if isinstance(reply, BaseMessage):
        return storable(drop_thinking(str(reply.text))).strip()
    if isinstance(reply, str):
        return storable(drop_thinking(reply)).strip()
    raise TypeError(f"expected a string or a message, got {type(reply).__name__}")


def last_text(messages: Iterable[BaseMessage]) -> str:
    """The last non-empty text an AI said as an answer; some models end with an empty message.

    What it said beside a call of a tool ("Let me search.") is no answer. A tool's result counts if the
    conversation ends with it: the tool was to return directly.
    """
    messages = list(messages)
    if messages and isinstance(messages[-1], ToolMessage) and (text := reply_text(messages[-1])):
        return text
    for message in reversed(messages):
        if isinstance(message, AIMessage) and not message.tool_calls and (text := reply_text(message)):
            return text
    return ""
