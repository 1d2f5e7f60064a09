"""A worker's own instructions: a system message for models, the beginning of the prompt for what has its own."""

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from langgraph_conductor.tags import escape


def instructed(
    messages: Sequence[BaseMessage], instructions: str, *, in_prompt: bool
) -> tuple[BaseMessage, ...]:
    """A worker's prompt with its instructions.

    Args:
        messages: The prompt.
        instructions: The instructions; may be empty.
        in_prompt: Whether they begin the text of the prompt, for graphs, which have system prompts of their own;
            else they are a system message before it.
    """
    if not instructions:
        return tuple(messages)
    if in_prompt:
        return _joined(escape(instructions), messages)
    return (SystemMessage(instructions), *messages)


def _joined(words: str, messages: Sequence[BaseMessage]) -> tuple[BaseMessage, ...]:
    """Messages whose first one begins with `words`."""
    first, *rest = messages or [HumanMessage("")]
    content: Any = first.content
    if isinstance(content, str):
        content = f"{words}\n\n{content}" if content else words
    elif content and isinstance(content[0], dict) and content[0].get("type") == "text":
        content = [{**content[0], "text": f"{words}\n\n{content[0]['text']}"}, *content[1:]]
    else:
        content = [{"type": "text", "text": words}, *content]
    return (first.model_copy(update={"content": content}), *rest)
