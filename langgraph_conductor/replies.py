"""What counts in a model's reply: its last text, without the reasoning a model thinks aloud."""

from collections.abc import Iterable
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from langgraph_conductor.thoughts import drop_thinking as drop_thinking


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
