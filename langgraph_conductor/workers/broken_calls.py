"""Tool calls whose arguments were cut off in a stream: LangChain completes the JSON, and the tool would run.

A call is whole if the pieces that came are a JSON object. Which pieces came is known only while they come, so a
message is mended when its model call ends, in place, before anyone has it.
"""

import json

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolCallChunk
from langchain_core.messages.tool import invalid_tool_call
from langchain_core.outputs import LLMResult

_WHY = "the arguments are no whole JSON object"


class StreamedCalls:
    """The tool calls of one stream, piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[ToolCallChunk] = []

    def hear(self, message: AIMessageChunk) -> None:
        """Note what a chunk says of tool calls."""
        self._pieces += message.tool_call_chunks

    def mend(self, response: LLMResult) -> None:
        """Make the calls of the stream that are not whole invalid ones, in the messages LangChain made of it."""
        broken = {call["id"]: call for call in _joined(self._pieces) if not _is_whole(call["args"])}
        if not broken:
            return
        for generation in (one for several in response.generations for one in several):
            message: BaseMessage | None = getattr(generation, "message", None)
            if isinstance(message, AIMessage):
                _mend(message, broken)


def _joined(pieces: list[ToolCallChunk]) -> list[ToolCallChunk]:
    """The calls that pieces are of: a piece belongs to the call of its index, or else to the one before it."""
    calls: list[ToolCallChunk] = []
    for piece in pieces:
        index, ident = piece.get("index"), piece.get("id")
        known = next(
            (
                call
                for call in reversed(calls)
                if call["index"] == index and (not ident or not call["id"] or call["id"] == ident)
            ),
            None,
        )
        if known is None or (index is None and ident and known["id"] != ident):
            calls.append(ToolCallChunk(**{**piece, "args": piece.get("args") or ""}))
            continue
        known["args"] = (known["args"] or "") + (piece.get("args") or "")
        known["id"] = known["id"] or ident
        known["name"] = known["name"] or piece.get("name")
    return calls


def _is_whole(args: str | None) -> bool:
    if not args:
        return True  # of a tool that takes none
    try:
        return isinstance(json.loads(args, strict=False), dict)
    except (ValueError, RecursionError):
        return False


def _mend(message: AIMessage, broken: dict[str | None, ToolCallChunk]) -> None:
    ids = {call["id"] for call in message.tool_calls} & broken.keys()
    message.tool_calls = [call for call in message.tool_calls if call["id"] not in ids]
    message.invalid_tool_calls = [
        *message.invalid_tool_calls,
        *(
            invalid_tool_call(name=call["name"], args=call["args"], id=ident, error=_WHY)
            for ident, call in broken.items()
            if ident in ids
        ),
    ]
