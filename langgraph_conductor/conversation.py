"""The question is the conversation: earlier turns rendered, the newest request marked, the size capped."""

from collections.abc import Sequence
from typing import Any, Final

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    convert_to_messages,
)

from langgraph_conductor.prompts import tagged, text_of
from langgraph_conductor.records import ContentBlock
from langgraph_conductor.replies import storable

MAX_CHARS: Final = 40_000
"""Most characters of earlier turns in a question, about 10,000 tokens; oldest turns are left out first."""

_INTRO: Final = (
    "This is a conversation. Answer the newest request, which stands in newest_request at the end; the "
    "turns before it say what it refers to."
)
_LATER: Final = "What was said since then:"


def question_of(messages: Sequence[Any], *, max_chars: int = MAX_CHARS) -> list[ContentBlock]:
    """The question a conversation asks, as JSON content blocks.

    A single human message is the question as it stands. Otherwise the other turns are rendered before
    the newest request. System messages and the newest request are kept whole; of the rest the oldest
    are left out until it fits. Images and other blocks of the newest request follow the text.

    Args:
        messages: The conversation, in any form LangChain takes.
        max_chars: Most characters of turns other than the newest request.

    Raises:
        ValueError: If there is no human message with content.
    """
    turns = convert_to_messages(list(messages))
    newest = max((i for i, turn in enumerate(turns) if isinstance(turn, HumanMessage)), default=None)
    blocks = [] if newest is None else _blocks(turns[newest])
    if newest is None or not blocks:
        raise ValueError(
            "there is no question: give `messages` whose newest human message has content, "
            'such as {"messages": [{"role": "user", "content": "..."}]}'
        )
    before, after = turns[:newest], turns[newest + 1 :]
    if not before and not any(_said(turn) for turn in after):
        return blocks
    text = text_of(blocks)
    parts = [_INTRO, *_rendered(before, max_chars), tagged("newest_request", text)]
    if later := _rendered(after, max_chars):
        parts += [_LATER, *later]
    return [
        {"type": "text", "text": "\n\n".join(parts)},
        *(block for block in blocks if block.get("type") != "text"),
    ]


def question_blocks(question: Any) -> list[ContentBlock]:
    """What `get_question` returned, as content blocks.

    Raises:
        ValueError: If it is empty.
        TypeError: If it is neither a string nor a list of content blocks.
    """
    if not isinstance(question, str | list):
        raise TypeError(
            f"get_question must return a string or a list of content blocks, got {type(question).__name__}"
        )
    blocks = _blocks(HumanMessage(question))
    if not blocks:
        raise ValueError("get_question returned an empty question")
    return blocks


def _blocks(message: BaseMessage) -> list[ContentBlock]:
    """The content of a message as blocks, texts made storable, empty ones left out.

    Blocks that are not text stay as the user wrote them, in whichever form the worker's provider takes.
    """
    content = [message.content] if isinstance(message.content, str) else message.content
    blocks = [{"type": "text", "text": c} if isinstance(c, str) else dict(c) for c in content]
    for block in blocks:
        if block.get("type") == "text":
            block["text"] = storable(str(block.get("text", "")))
    return [block for block in blocks if block.get("type") != "text" or block["text"].strip()]


def _rendered(turns: Sequence[BaseMessage], max_chars: int) -> list[str]:
    """The turns as tagged text, the oldest left out where they do not fit."""
    shown = [(isinstance(turn, SystemMessage), _turn(turn)) for turn in turns if _said(turn)]
    room = max_chars - sum(len(text) for is_system, text in shown if is_system)
    kept: list[str] = []
    left_out = 0
    for is_system, text in reversed(shown):
        if not is_system:
            room -= len(text)
            if room < 0:
                left_out += 1
                continue
        kept.append(text)
    if left_out:
        kept.append(f"[{left_out} earlier turns are left out]")
    return kept[::-1]


def _turn(turn: BaseMessage) -> str:
    name = {HumanMessage: "user", AIMessage: "assistant", SystemMessage: "system", ToolMessage: "tool"}
    role = next((word for kind, word in name.items() if isinstance(turn, kind)), turn.type)
    return tagged("turn", _said(turn), role=role)


def _said(turn: BaseMessage) -> str:
    return storable(str(turn.text)).strip()
