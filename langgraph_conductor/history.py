"""How much of a conversation a worker is shown: all, the newest request alone, or that and some turns before."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from langgraph_conductor.attachments import attachments, labelled, labels
from langgraph_conductor.conversation import question_blocks
from langgraph_conductor.prompts import text_of
from langgraph_conductor.records import ContentBlock
from langgraph_conductor.tags import (
    CONVERSATION_INTRO,
    CONVERSATION_TAGS,
    MARK,
    is_conversation,
    unescape,
)

History = Literal["all", "last"] | int
"""What a worker sees of the chat; see `Worker`."""

_OPENED: Final = re.compile(r'<(turn|newest_request)(?: role="(\w{1,32})")?>\n')
_LEFT_OUT: Final = re.compile(r"\[(\d+) earlier turn(?:s are| is) left out")


class _Part(NamedTuple):
    """A turn of a conversation, or its newest request, as it was rendered."""

    tag: str
    role: str
    inside: str
    shown: str
    between: str
    """What stands between the part before it and this one."""


def checked_history(history: Any, what: str) -> History:
    """`history`, if it is one.

    Args:
        history: What was given.
        what: For what, to begin an error with.

    Raises:
        ValueError: If it is something else.
    """
    if history in ("all", "last") or (type(history) is int and history >= 0):
        return history  # type: ignore[no-any-return]
    raise ValueError(
        f'{what}: history must be "all", "last" (the newest request alone) or a number of turns before it, from 0 '
        f"up, not {history!r}"
    )


def recent(question: Sequence[ContentBlock], history: History) -> list[ContentBlock]:
    """A question, cut to the part of the conversation that `history` leaves.

    A question that is no conversation stays as it is. Where only the newest request is left, that is the question.

    Args:
        question: Content blocks, as `conversation.question_of` makes them.
        history: `"all"`; `"last"`, the newest request alone; or how many turns before it are kept. System messages
            are no turns: they are kept with a number, and so is what was said after the newest request.
            Attachments of what is left out are left out, too; the others keep the names by which plans tell
            them apart.
    """
    text = text_of(question)
    if history == "all" or not is_conversation(text):
        return [*question]
    others = [block for block in question if block.get("type") != "text"]
    parts = [*_parts(text)]
    newest = next(i for i, part in enumerate(parts) if part.tag == "newest_request")
    turns = [i for i in range(newest) if parts[i].role != "system"]
    if history == "last":
        left_out = {*range(len(parts))} - {newest}
    else:
        left_out = {*turns[: len(turns) - history]} if history < len(turns) else set()
    if not left_out:
        return [*question]
    alone = len(left_out) == len(parts) - 1
    shown = parts[newest].inside if alone else _without(parts, left_out)
    kept = _marked_in(shown, text, others)
    if not alone:
        return [{"type": "text", "text": shown}, *labelled([*kept.values()], [*kept])]
    request = question_blocks(_as_it_was_given(shown, kept))
    names = iter(labelled(attachments(request), [*kept]))
    return [block if block.get("type") == "text" else next(names) for block in request]


def _as_it_was_given(request: str, kept: Mapping[str, ContentBlock]) -> list[ContentBlock]:
    """The blocks of a request that was rendered, its attachments where their marks stand."""
    places = dict(kept)
    blocks: list[ContentBlock] = []
    at = 0
    for found in MARK.finditer(request):
        blocks += _text(request[at : found.start()].removesuffix("\n"))
        blocks += [block] if (block := places.pop(found[1], None)) else []
        at = found.end() + request.startswith("\n", found.end())
    return [*blocks, *_text(request[at:]), *places.values()]


def _text(shown: str) -> list[ContentBlock]:
    return [{"type": "text", "text": unescape(shown, CONVERSATION_TAGS)}] if shown.strip() else []


def _marked_in(shown: str, text: str, others: Sequence[ContentBlock]) -> dict[str, ContentBlock]:
    """The attachments of a part of a conversation, by name.

    Args:
        shown: The part.
        text: All of the conversation.
        others: All attachments.
    """
    gone = {found[1] for found in MARK.finditer(text)} - {found[1] for found in MARK.finditer(shown)}
    return {name: block for name, block in zip(labels(others), others, strict=True) if name not in gone}


def _parts(text: str) -> Iterator[_Part]:
    at = len(CONVERSATION_INTRO)
    while found := _OPENED.search(text, at):
        closed = f"\n</{found[1]}>"
        if (end := text.find(closed, found.end() - 1)) < 0:
            return
        over = end + len(closed)
        inside = text[found.end() : end]
        yield _Part(
            found[1], found[2] or "", inside, text[found.start() : over], text[at : found.start()].strip()
        )
        at = over


def _without(parts: Sequence[_Part], left_out: set[int]) -> str:
    """The conversation without some turns before the newest request; where they stood, it is said how many."""
    lines = [CONVERSATION_INTRO]
    told = len(left_out) + sum(int(found[1]) for part in parts if (found := _LEFT_OUT.match(part.between)))
    last = max(left_out)
    for i, part in enumerate(parts):
        if part.between and not _LEFT_OUT.match(part.between):
            lines.append(part.between)  # that what follows was said since then
        if i not in left_out:
            lines.append(part.shown)
        elif i == last:
            lines.append(f"[{told} earlier turn{'s are' if told > 1 else ' is'} left out]")
    return "\n\n".join(lines)
