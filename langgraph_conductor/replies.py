"""What counts in a model's reply: its last text, without the reasoning a model thinks aloud."""

from collections.abc import Iterable
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage

_OPEN, _CLOSE = "<think>", "</think>"


def drop_thinking(text: str) -> str:
    """`text` without `<think>` blocks.

    A block that never ends reaches to the end; one that never begins (some chat templates open it in
    the prompt) reaches from the beginning.
    """
    if "think>" not in text:
        return text
    first_open, first_close = text.find(_OPEN), text.find(_CLOSE)
    if first_close >= 0 and (first_open < 0 or first_close < first_open):
        text = text[first_close + len(_CLOSE) :]
    kept: list[str] = []
    at = 0
    while (begin := text.find(_OPEN, at)) >= 0:
        kept.append(text[at:begin])
        end = text.find(_CLOSE, begin)
        if end < 0:
            return "".join(kept)
        at = end + len(_CLOSE)
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
    """The last non-empty text an AI said; some models end with an empty message."""
    for message in reversed(list(messages)):
        if isinstance(message, AIMessage) and (text := reply_text(message)):
            return text
    return ""
