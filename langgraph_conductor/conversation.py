"""The question is the conversation: earlier turns rendered, the newest request marked, the size capped."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Final

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    convert_to_messages,
)

from langgraph_conductor.attachments import blocks_of, is_text, kind_of, labels, reference
from langgraph_conductor.prompts import enclosed, text_of
from langgraph_conductor.records import ContentBlock
from langgraph_conductor.replies import drop_thinking
from langgraph_conductor.tags import CONVERSATION_INTRO, CONVERSATION_TAGS, escape, is_conversation, mark

MAX_CHARS: Final = 40_000
"""Most characters of earlier turns in a question, about 10,000 tokens; oldest turns are left out first."""

MAX_ATTACHMENTS: Final = 20
"""Most attachments of turns other than the newest request in a question; the newest are kept."""

MAX_ATTACHED: Final = 16_000_000
"""Most characters of their data, about 12 MB: what providers take in one request."""

MAX_CACHED: Final = 4
"""Most places with `cache_control` in a question, the last ones: Anthropic takes no more."""

_LATER: Final = "What was said since then:"
_LEAST: Final = 200
_CUT: Final = "\n[...]\n"


@dataclass(frozen=True, slots=True)
class _Attached:
    """An attachment of a turn, and which of the turn's it is."""

    block: ContentBlock
    at: int


@dataclass(frozen=True, slots=True)
class _Turn:
    """What a turn says: its texts and attachments in order.

    `message` is `None` where it is no turn, but a line about those left out.
    """

    message: BaseMessage | None
    said: tuple[str | _Attached, ...]
    cached: Any = None

    @property
    def text(self) -> str:
        return "\n".join(part for part in self.said if isinstance(part, str)).strip()

    @property
    def attached(self) -> list[_Attached]:
        return [part for part in self.said if isinstance(part, _Attached)]

    def __len__(self) -> int:
        """Characters, about."""
        return len(self.text) + 40 * (1 + len(self.attached))


def question_of(
    messages: Sequence[Any], *, max_chars: int = MAX_CHARS, by_reference: bool = False
) -> list[ContentBlock]:
    """The question a conversation asks, as JSON content blocks.

    A single human message is the question as it stands, unless it looks as if it were rendered here. Otherwise the
    other turns are rendered before the newest request. System messages and the newest request are kept whole;
    of the rest the oldest are left out until it fits, and the last one that does not fit is cut in its middle.
    Attachments follow the text, which has a mark where each of them stood (`tags.mark`).

    Args:
        messages: The conversation, in any form LangChain takes.
        max_chars: Most characters of turns other than the newest request.
        by_reference: Whether attachments of other turns are only named by the ids of their messages, where they
            have some, so that they are not stored again; `attachments.resolved` puts them back.

    Raises:
        ValueError: If there is no human message with content.
    """
    turns = [_turn(turn) for turn in convert_to_messages(list(messages))]
    newest = max(
        (i for i, turn in enumerate(turns) if isinstance(turn.message, HumanMessage)), default=None
    )
    if newest is None or not turns[newest].said:
        raise ValueError(
            "there is no question: give `messages` whose newest human message has content, "
            'such as {"messages": [{"role": "user", "content": "..."}]}'
        )
    if not any(turn.said for i, turn in enumerate(turns) if i != newest):
        return _unlike_a_conversation(_cached_last(blocks_of(turns[newest].message)))
    after = _kept(turns[newest + 1 :], max_chars // 2)
    before = _kept(turns[:newest], max_chars - sum(map(len, after)))
    before, after = _thinned(before, after)
    shown = [*before, turns[newest], *after]
    held = [(turn, part) for turn in shown for part in turn.attached]
    names = iter(labels(part.block for _, part in held))
    parts = [(CONVERSATION_INTRO, None)]
    for i, turn in enumerate(shown):
        if after and i == len(before) + 1:
            parts.append((_LATER, None))
        marks = [next(names) for _ in turn.attached]
        parts.append((_shown(turn, marks, is_newest=i == len(before)), turn.cached))
    referred = [
        _stored(turn.message, part) if by_reference and turn is not turns[newest] else part.block
        for turn, part in held
    ]
    return _cached_last([*_texts(parts), *referred])


def _stored(message: BaseMessage | None, part: _Attached) -> ContentBlock:
    return reference(part.block, message.id, part.at) if message is not None and message.id else part.block


def _texts(parts: Iterable[tuple[str, Any]]) -> list[ContentBlock]:
    """The parts as one text block; as several where one ends that is to be cached."""
    blocks: list[ContentBlock] = []
    run: list[str] = []
    for text, cached in parts:
        run.append(text)
        if cached is not None:
            blocks.append({"type": "text", "text": _run(blocks, run), "cache_control": cached})
            run = []
    return [*blocks, {"type": "text", "text": _run(blocks, run)}] if run else blocks


def _run(before: Sequence[ContentBlock], run: Sequence[str]) -> str:
    return ("\n" if before else "") + "\n\n".join(run)  # `text_of` puts a line break between blocks


def _cached_last(blocks: Sequence[ContentBlock]) -> list[ContentBlock]:
    """The same with `cache_control` at its last places alone."""
    cached = [i for i, block in enumerate(blocks) if block.get("cache_control") is not None]
    left = {*cached[:-MAX_CACHED]}
    return [
        {key: value for key, value in block.items() if key != "cache_control"} if i in left else block
        for i, block in enumerate(blocks)
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
    blocks = blocks_of(HumanMessage(question))
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


def _turn(message: BaseMessage) -> _Turn:
    """A turn, without what a model thought aloud."""
    said: list[str | _Attached] = []
    cached, at = None, 0
    for block in blocks_of(message):
        if not is_text(block):
            said.append(_Attached(block, at))
            at += 1
            continue
        text = drop_thinking(block["text"]) if isinstance(message, AIMessage) else block["text"]
        if block.get("cache_control") is not None:
            cached = block["cache_control"]
        if text.strip():
            said.append(text)
    return _Turn(message, tuple(said), cached)


def _kept(turns: Sequence[_Turn], max_chars: int) -> list[_Turn]:
    """The turns that are shown, the oldest left out where they do not fit."""
    turns = [turn for turn in turns if turn.said]
    room = max_chars - sum(len(turn.text) for turn in turns if isinstance(turn.message, SystemMessage))
    kept: list[_Turn] = []
    left_out: list[_Turn] = []
    for turn in reversed(turns):
        if not isinstance(turn.message, SystemMessage):
            if room < _LEAST and len(turn.text) > room:
                left_out.append(turn)
                room = 0
                continue
            turn = _shortened(turn, room)
            room -= len(turn)
        kept.append(turn)
    if left_out:
        held = sum(len(turn.attached) for turn in left_out)
        with_them = f", with {held} attachment{'s' if held > 1 else ''}" if held else ""
        kept.append(_Turn(None, (f"[{len(left_out)} earlier turns are left out{with_them}]",)))
    return kept[::-1]


def _shortened(turn: _Turn, most: int) -> _Turn:
    text = turn.text
    if len(text) <= most:
        return turn
    half = (most - len(_CUT)) // 2
    return replace(turn, said=(text[:half] + _CUT + text[-half:], *turn.attached))


def _thinned(*parts: Sequence[_Turn]) -> list[list[_Turn]]:
    """The turns with as many of their attachments as are sent, the newest, and words for the others."""
    many, size = 0, 0
    thinned = []
    for turns in reversed(parts):
        kept = []
        for turn in reversed(turns):
            said: list[str | _Attached] = []
            for part in reversed(turn.said):
                if isinstance(part, _Attached):
                    many += 1
                    size += sum(len(part.block.get(key) or "") for key in ("base64", "text"))
                    if many > MAX_ATTACHMENTS or size > MAX_ATTACHED:
                        said.append(f"[an earlier {kind_of(part.block)} is left out]")
                        continue
                said.append(part)
            kept.append(replace(turn, said=tuple(said[::-1])))
        thinned.append(kept[::-1])
    return thinned[::-1]


def _shown(turn: _Turn, marks: Iterable[str], *, is_newest: bool) -> str:
    """A turn between its tags: its texts, escaped, with marks where its attachments stand."""
    if turn.message is None:
        return turn.text
    names = iter(marks)
    lines: list[str] = []
    for attached, run in groupby(turn.said, lambda part: isinstance(part, _Attached)):
        if attached:
            lines += [mark(next(names)) for _ in run]
        else:  # together: a tag may begin in one text and end in the next
            text = "\n".join(map(str, run))
            lines.append(escape(text if is_newest else text.strip(), CONVERSATION_TAGS))
    body = "\n".join(lines)
    return (
        enclosed("newest_request", body) if is_newest else enclosed("turn", body, role=_role(turn.message))
    )


def _role(message: BaseMessage) -> str:
    name = {HumanMessage: "user", AIMessage: "assistant", SystemMessage: "system"}
    return next((word for kind, word in name.items() if isinstance(message, kind)), message.type)
