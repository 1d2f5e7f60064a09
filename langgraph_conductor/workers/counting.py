"""Counting tokens before a call: what it takes at most, and what is likely."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from langchain_core.messages import BaseMessage

_PER_MESSAGE: Final = 16  # role, separators and what else a chat template puts around a message
_PER_CALL: Final = 64  # what templates put before the first message
_FOR_TOOLS: Final = 1000  # what providers put around tool definitions
_PER_IMAGE: Final = 6000  # more than any provider counts for one
_CHARACTERS_PER_TOKEN: Final = 4


def most_tokens(messages: Iterable[BaseMessage], extra: Any = None) -> int:
    """Tokens that no tokenizer exceeds: one for each byte of text, and the most that templates add.

    Tokenizers of today work on bytes, or fall back to them, so no token is shorter than a byte.

    Args:
        messages: The prompt.
        extra: What else is sent as JSON: tools, an output schema.
    """
    return (
        _PER_CALL
        + sum(_PER_MESSAGE + _sizes(message, len_of_bytes) for message in messages)
        + (_FOR_TOOLS + 2 * len_of_bytes(_json(extra)) if extra else 0)
    )


def likely_tokens(messages: Iterable[BaseMessage], extra: Any = None) -> int:
    """A usual estimate: a token for four characters."""
    characters = sum(_sizes(message, len) for message in messages) + (len(_json(extra)) if extra else 0)
    return math.ceil(characters / _CHARACTERS_PER_TOKEN)


def len_of_bytes(text: str) -> int:
    """Length of `text` in UTF-8."""
    return len(text.encode(errors="replace"))


def _sizes(message: BaseMessage, size: Any) -> int:
    content = message.content
    total: int = size(content) if isinstance(content, str) else sum(_block(b, size) for b in content)
    for call in getattr(message, "tool_calls", None) or ():
        total += size(_json(call))
    return total + (size(message.name) if message.name else 0)


def _block(block: Any, size: Any) -> int:
    if isinstance(block, str):
        return int(size(block))
    if isinstance(block, Mapping) and "image" in str(block.get("type")):
        return _PER_IMAGE
    return int(size(_json(block)))


def _json(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, default=str)
