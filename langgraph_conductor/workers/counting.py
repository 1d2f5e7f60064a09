"""Counting tokens before a call: what it takes at most, and what is likely."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from langchain_core.messages import BaseMessage

_PER_MESSAGE: Final = 16  # role, separators and what else a chat template puts around a message
_PER_CALL: Final = 64  # what templates put before the first message
_FOR_TOOLS: Final = 1000  # what providers put around tool definitions
_MOST_PER_IMAGE: Final = 50_000  # more than any provider counts for one
_LIKELY_PER_IMAGE: Final = 1500
_CHARACTERS_PER_TOKEN: Final = 4


def most_tokens(messages: Iterable[BaseMessage], extra: Any = None) -> int | None:
    """Tokens that no tokenizer exceeds: one for each byte of text, and the most that templates add.

    Tokenizers of today work on bytes, or fall back to them, so no token is shorter than a byte.

    Args:
        messages: The prompt.
        extra: What else is sent as JSON: tools, an output schema.

    Returns:
        The number, or `None` if something is sent by reference, such as a file by its URL.
    """
    messages = list(messages)
    if any(_by_reference(block) for m in messages if isinstance(m.content, list) for block in m.content):
        return None
    return (
        _PER_CALL
        + sum(_PER_MESSAGE + _sizes(message, len_of_bytes, _MOST_PER_IMAGE) for message in messages)
        + (_FOR_TOOLS + 2 * len_of_bytes(_json(extra)) if extra else 0)
    )


def likely_tokens(messages: Iterable[BaseMessage], extra: Any = None) -> int:
    """A usual estimate: a token for four characters."""
    image = _LIKELY_PER_IMAGE * _CHARACTERS_PER_TOKEN
    characters = sum(_sizes(message, len, image) for message in messages)
    characters += len(_json(extra)) if extra else 0
    return math.ceil(characters / _CHARACTERS_PER_TOKEN)


def len_of_bytes(text: str) -> int:
    """Length of `text` in UTF-8."""
    return len(text.encode(errors="replace"))


def _sizes(message: BaseMessage, size: Any, image: int) -> int:
    content = message.content
    total: int = size(content) if isinstance(content, str) else sum(_block(b, size, image) for b in content)
    for part in ("tool_calls", "invalid_tool_calls", "additional_kwargs"):
        if data := getattr(message, part, None):
            total += size(_json(data))
    return total + (size(message.name) if message.name else 0)


def _by_reference(block: Any) -> bool:
    kind = str(block.get("type")) if isinstance(block, Mapping) else "text"
    if "text" in kind or "image" in kind or "reasoning" in kind or "thinking" in kind:
        return False
    return any(name in text for text in [_json(block)] for name in ('"url"', '"file_id"', '"file_uri"'))


def _block(block: Any, size: Any, image: int) -> int:
    if isinstance(block, str):
        return int(size(block))
    if isinstance(block, Mapping) and "image" in str(block.get("type")):
        return image
    return int(size(_json(block)))


def _json(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, default=str)
