"""Replies of status 200 that are none: how the clients of providers stumble over them.

A maintenance page, an empty body, an error in place of a message, a stream without anything: the clients take them
for replies and raise Python's own exceptions where they read them. Outside of that reading the same exceptions are
somebody's mistakes, so the traceback tells.
"""

import re
from collections.abc import Iterator
from types import FrameType
from typing import Final

from langgraph_conductor.containment import said

_CLIENTS = re.compile(r"(?:openai|anthropic|google\.genai|openrouter|langchain_(?!core)\w+)(?:\.|\Z)")
_READING = re.compile(
    r"create_chat_result|construct_lc_result|generation_chunk|format_output|message_chunk|response_to_result"
    r"|parse_chat_completion|completion_snapshot|chunk_into_snapshot|accumulate|unmarshal|parse_event|process_response"
)
"""Functions in which clients read replies."""
_CALLS = re.compile(r"_a?(?:generate|stream)")
"""How the functions begin in which chat models make their calls."""
_CORE: Final = "langchain_core.language_models.chat_models"
BROKEN_NAMES: Final = frozenset({
    "JSONDecodeError", "OpenRouterDefaultError", "ResponseValidationError", "UnknownApiResponseError",
})  # fmt: skip
"""What clients raise of replies alone: they write no JSON that they would have to read."""
_OF_READING: Final = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
_MOST_FRAMES: Final = 500
_FILTERED: Final = "due to a content filter being triggered"
"""Azure's client raises a `ValueError` with these words where it reads a reply that was filtered."""


def is_filtered(error: BaseException) -> bool:
    """Whether Azure's client raised it since the provider's filter took the reply away."""
    return isinstance(error, ValueError) and _FILTERED in said(error)


def is_broken_reply(error: BaseException) -> bool:
    """Whether a client raised it since what a server sent, with a status of success, is no reply.

    Args:
        error: The exception itself; what caused it does not count.
    """
    broken = type(error).__name__ in BROKEN_NAMES
    if is_filtered(error) or (not broken and not isinstance(error, _OF_READING)):
        return False
    frames = list(_frames(error))
    if (
        frames and _module(frames[-1]) == _CORE
    ):  # nothing was sent: no chunk in a stream, no choice in a reply
        return said(error).startswith("No generation") or isinstance(error, IndexError)
    of_clients = [frame.f_code.co_name for frame in frames if _CLIENTS.match(_module(frame))]
    called = any(map(_CALLS.match, of_clients))  # by a chat model, and not by a tool of such a package
    return called and (broken or any(map(_READING.search, of_clients)))


def _frames(error: BaseException) -> Iterator[FrameType]:
    traceback = error.__traceback__
    for _ in range(_MOST_FRAMES):
        if traceback is None:
            return
        yield traceback.tb_frame
        traceback = traceback.tb_next


def _module(frame: FrameType) -> str:
    name = frame.f_globals.get("__name__")
    return name if isinstance(name, str) else ""
