"""Counting tokens before a call: what it takes at most, and what is likely."""

import json
import math
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from langchain_core.messages import BaseMessage

from langgraph_conductor.prices import Model
from langgraph_conductor.workers.attachment_sizes import Attachment, attachments_in, cost

_PER_MESSAGE: Final = 16  # role, separators and what else a chat template puts around a message
_PER_CALL: Final = 64  # what templates put before the first message
_FOR_TOOLS: Final = 1000  # what providers put around tool definitions
_CHARACTERS_PER_TOKEN: Final = 4
_ANY: Final = Model()


class Prompt(NamedTuple):
    """What counts of a prompt; to read it takes longer than to count it.

    Args:
        texts: The texts of each message.
        attached: The attachments of all.
    """

    texts: list[list[str]]
    attached: list[Attachment]

    @classmethod
    def of(cls, messages: "Iterable[BaseMessage] | Prompt") -> "Prompt":
        """The prompt that messages are."""
        return messages if isinstance(messages, Prompt) else cls(*_sent(messages))


def most_tokens(
    messages: Iterable[BaseMessage] | Prompt,
    extra: Any = None,
    *,
    model: Model = _ANY,
    window: int | None = None,
) -> int | None:
    """Tokens that no tokenizer exceeds: one for each byte of text, and the most that what is around it adds.

    Tokenizers of today work on bytes, or fall back to them, so no token is shorter than a byte.

    Args:
        messages: The prompt, or what was read of it.
        extra: What else is sent as JSON: tools, an output schema.
        model: Who is asked, which tells what attachments cost.
        window: Longest prompt the model takes: what is attached costs no more.

    Returns:
        The number, or `None` if something is sent by reference, such as a file by its URL.
    """
    texts, attached = Prompt.of(messages)
    costs = [cost(one, model).most for one in attached]
    known = [most for most in costs if most is not None]
    if len(known) < len(costs):
        return None
    added = sum(known) if window is None else min(sum(known), window)
    return (
        _PER_CALL
        + sum(_PER_MESSAGE + sum(map(len_of_bytes, parts)) for parts in texts)
        + (_FOR_TOOLS + 2 * len_of_bytes(_json(extra)) if extra else 0)
        + added
    )


def likely_tokens(
    messages: Iterable[BaseMessage] | Prompt, extra: Any = None, *, model: Model = _ANY
) -> int:
    """A usual estimate: a token for four characters, and attachments by their size.

    Args:
        messages: See `most_tokens`.
        extra: See `most_tokens`.
        model: See `most_tokens`.
    """
    texts, attached = Prompt.of(messages)
    characters = sum(len(part) for parts in texts for part in parts)
    characters += len(_json(extra)) if extra else 0
    return math.ceil(characters / _CHARACTERS_PER_TOKEN) + sum(cost(one, model).likely for one in attached)


def len_of_bytes(text: str) -> int:
    """Length of `text` in UTF-8."""
    return len(text.encode(errors="replace"))


def _sent(messages: Iterable[BaseMessage]) -> tuple[list[list[str]], list[Attachment]]:
    """The texts of each message, and the attachments of all."""
    texts: list[list[str]] = []
    attached: list[Attachment] = []
    for message in messages:
        content = message.content
        parts = [content] if isinstance(content, str) else [_text(block, attached) for block in content]
        for part in ("tool_calls", "invalid_tool_calls"):
            if data := getattr(message, part, None):
                parts.append(_json(data))
        if message.additional_kwargs:
            parts.append(_text(message.additional_kwargs, attached))
        texts.append([*parts, message.name or ""])
    return texts, attached


def _text(block: Any, attached: list[Attachment]) -> str:
    if isinstance(block, str):
        return block
    rest, found = attachments_in(block)
    attached += found
    return "" if rest is None else _json(rest)


def _json(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, default=str)
