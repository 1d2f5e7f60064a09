"""The question is the conversation: earlier turns rendered, the newest request marked, the size capped."""

from collections.abc import Sequence
from typing import Any, Final

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    convert_to_messages,
)

from langgraph_conductor.prompts import tagged, text_of
from langgraph_conductor.records import ContentBlock
from langgraph_conductor.replies import drop_thinking, storable
from langgraph_conductor.tags import CONVERSATION_INTRO, CONVERSATION_TAGS, escape, is_conversation

MAX_CHARS: Final = 40_000
"""Most characters of earlier turns in a question, about 10,000 tokens; oldest turns are left out first."""

_LATER: Final = "What was said since then:"
_LEAST: Final = 200
_NAMED: Final = ("image", "audio", "video", "file", "document")
_CUT: Final = "\n[...]\n"


def question_of(messages: Sequence[Any], *, max_chars: int = MAX_CHARS) -> list[ContentBlock]:
    """The question a conversation asks, as JSON content blocks.

    A single human message is the question as it stands, unless it looks as if it were rendered here. Otherwise the
    other turns are rendered before the newest request. System messages and the newest request are kept whole;
    of the rest the oldest are left out until it fits, and the last one that does not fit is cut in its middle.
    Images and other blocks of the newest request follow the text; those of other turns are only named.

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
    text = text_of(blocks)
    if not before and not any(_said(turn) for turn in after):
        return _unlike_a_conversation(blocks)
    later = _rendered(after, max_chars // 2)
    room = max_chars - sum(map(len, later))
    parts = [CONVERSATION_INTRO, *_rendered(before, room), tagged("newest_request", text)]
    if later:
        parts += [_LATER, *later]
    return [
        {"type": "text", "text": "\n\n".join(parts)},
        *(block for block in blocks if block.get("type") != "text"),
    ]


def question_blocks(question: Any) -> list[ContentBlock]:
    """A question from outside, in any form a message's content has, as content blocks.

    Like a single message, it is escaped if it looks as if it were rendered here.

    Raises:
        ValueError: If it is empty.
        TypeError: If it is neither a string nor a list of content blocks.
    """
    return _unlike_a_conversation(content_blocks(question))


def content_blocks(question: Any) -> list[ContentBlock]:
    """`question_blocks` of a question that was rendered here, if it is a conversation."""
    if not isinstance(question, str | list):
        raise TypeError(
            f"a question must be a string or a list of content blocks, not {type(question).__name__}"
        )
    blocks = _blocks(HumanMessage(question))
    if not blocks:
        raise ValueError("the question is empty")
    return blocks


def _unlike_a_conversation(blocks: list[ContentBlock]) -> list[ContentBlock]:
    """The same, harmless if it was written to be taken for a conversation with turns of its own."""
    if not is_conversation(text_of(blocks)):
        return blocks
    return [
        {**block, "text": escape(block["text"], CONVERSATION_TAGS)}
        if block.get("type") == "text"
        else block
        for block in blocks
    ]


def _blocks(message: BaseMessage) -> list[ContentBlock]:
    """The content of a message as blocks, texts made storable, empty ones left out.

    Blocks that are not text stay as the user wrote them, in whichever form the worker's provider takes.
    """
    content = [message.content] if isinstance(message.content, str) else message.content
    blocks = [{"type": "text", "text": c} if isinstance(c, str) else dict(c) for c in content]
    for block in blocks:
        if "type" not in block and "text" in block:
            block["type"] = "text"  # as some providers write it
        if block.get("type") == "text":
            block["text"] = storable(str(block.get("text") or ""))
    return [block for block in blocks if block.get("type") != "text" or block["text"].strip()]


def _rendered(turns: Sequence[BaseMessage], max_chars: int) -> list[str]:
    """The turns as tagged text, the oldest left out where they do not fit."""
    shown = [(turn, said) for turn in turns if (said := _said(turn))]
    room = max_chars - sum(len(said) for turn, said in shown if isinstance(turn, SystemMessage))
    kept: list[str] = []
    left_out = 0
    for turn, said in reversed(shown):
        if not isinstance(turn, SystemMessage):
            if room < _LEAST and len(said) > room:
                left_out += 1
                room = 0
                continue
            said = _shortened(said, room)
        kept.append(_turn(turn, said))
        if not isinstance(turn, SystemMessage):
            room -= len(kept[-1])
    if left_out:
        kept.append(f"[{left_out} earlier turns are left out]")
    return kept[::-1]


def _shortened(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    half = (most - len(_CUT)) // 2
    return text[:half] + _CUT + text[-half:]


def _turn(turn: BaseMessage, said: str) -> str:
    name = {HumanMessage: "user", AIMessage: "assistant", SystemMessage: "system"}
    role = next((word for kind, word in name.items() if isinstance(turn, kind)), turn.type)
    return tagged("turn", said, role=role)


def _said(turn: BaseMessage) -> str:
    """Its text, without what a model thought aloud, and the kinds of whatever else it holds."""
    blocks = _blocks(turn)
    text = text_of(blocks)
    if isinstance(turn, AIMessage):
        text = drop_thinking(text)
    kinds = [kind for b in blocks for kind in _NAMED if kind in str(b.get("type"))]
    return "\n".join([text.strip(), *(f"[{kind}]" for kind in kinds)]).strip()
