"""Messages of Inspect as messages of LangChain, and back."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageTool,
    ChatMessageUser,
    Content,
    ContentAudio,
    ContentDocument,
    ContentImage,
    ContentReasoning,
    ContentText,
    ContentVideo,
)
from inspect_ai.tool import ToolCall, ToolCallError
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

_REASONING = ("summary", "signature", "redacted", "internal")
_AUDIO = {"wav": "audio/wav", "mp3": "audio/mpeg"}
_VIDEO = {"mp4": "video/mp4", "mpeg": "video/mpeg", "mov": "video/quicktime"}


def to_langchain(messages: Sequence[ChatMessage]) -> list[BaseMessage]:
    """Messages of Inspect as messages of LangChain.

    Raises:
        ValueError: If one holds content LangChain has no form for, such as a provider's own data.
    """
    return [_to_langchain(message) for message in messages]


def to_inspect(messages: Sequence[BaseMessage]) -> list[ChatMessage]:
    """Messages of LangChain as messages of Inspect.

    Raises:
        ValueError: If one is of a kind, or holds content, that Inspect has no form for.
    """
    return [_to_inspect(message) for message in messages]


def _to_langchain(message: ChatMessage) -> BaseMessage:
    content: Any = message.content if isinstance(message.content, str) else [*map(_block, message.content)]
    if isinstance(message, ChatMessageSystem):
        return SystemMessage(content)
    if isinstance(message, ChatMessageUser):
        return HumanMessage(content)
    if isinstance(message, ChatMessageTool):
        failed = message.error
        return ToolMessage(
            content or (failed.message if failed else ""),
            tool_call_id=message.tool_call_id or "",
            name=message.function,
            status="error" if failed else "success",
        )
    return assistant(message)


def assistant(message: ChatMessageAssistant, **about: Any) -> AIMessage:
    """An assistant's message of Inspect as one of LangChain.

    Args:
        message: The message.
        about: Further fields, such as `usage_metadata`.
    """
    content: Any = message.content if isinstance(message.content, str) else [*map(_block, message.content)]
    calls = message.tool_calls or []
    return AIMessage(
        content,
        tool_calls=[
            {"name": call.function, "args": call.arguments, "id": call.id, "type": "tool_call"}
            for call in calls
            if not call.parse_error
        ],
        invalid_tool_calls=[
            {
                "name": call.function,
                "args": json.dumps(call.arguments),
                "id": call.id,
                "error": call.parse_error,
                "type": "invalid_tool_call",
            }
            for call in calls
            if call.parse_error
        ],
        **about,
    )


def _block(content: Content) -> dict[str, Any]:
    """A block in LangChain's form for all providers (`langchain_core.messages.content`)."""
    if isinstance(content, ContentText):
        return {"type": "text", "text": content.text}
    if isinstance(content, ContentReasoning):
        extras = {name: value for name in _REASONING if (value := getattr(content, name))}
        return {
            "type": "reasoning",
            "reasoning": content.reasoning,
            **({"extras": extras} if extras else {}),
        }
    if isinstance(content, ContentImage):
        detail = {} if content.detail == "auto" else {"extras": {"detail": content.detail}}
        return {"type": "image", **_data(content.image, "image/png"), **detail}
    if isinstance(content, ContentAudio):
        return {"type": "audio", **_data(content.audio, _AUDIO[content.format])}
    if isinstance(content, ContentVideo):
        return {"type": "video", **_data(content.video, _VIDEO[content.format])}
    if isinstance(content, ContentDocument):
        named = {"extras": {"filename": content.filename}}
        return {"type": "file", **_data(content.document, content.mime_type), **named}
    raise ValueError(f"content of the type {content.type!r} cannot be given to a conductor; leave it out")


def _data(reference: str, mime_type: str) -> dict[str, str]:
    """A URL, or what a data URI (RFC 2397) holds."""
    if not reference.startswith("data:"):
        return {"url": reference}
    head, _, data = reference.removeprefix("data:").partition(",")
    kind, _, encoding = head.partition(";")
    if not encoding.endswith("base64"):
        raise ValueError("a data URI must be in base64")
    return {"base64": data, "mime_type": kind or mime_type}


def _to_inspect(message: BaseMessage) -> ChatMessage:
    if isinstance(message, SystemMessage):
        return ChatMessageSystem(content=_content(message))
    if isinstance(message, HumanMessage):
        return ChatMessageUser(content=_content(message))
    if isinstance(message, ToolMessage):
        error = ToolCallError("unknown", str(message.text)) if message.status == "error" else None
        return ChatMessageTool(
            content=_content(message), tool_call_id=message.tool_call_id, function=message.name, error=error
        )
    if isinstance(message, AIMessage):
        calls = [ToolCall(call["id"] or "", call["name"], call["args"]) for call in message.tool_calls]
        broken = [
            ToolCall(call["id"] or "", call["name"] or "", {}, parse_error=call["error"] or "not JSON")
            for call in message.invalid_tool_calls
        ]
        return ChatMessageAssistant(content=_content(message), tool_calls=[*calls, *broken] or None)
    raise ValueError(f"a message of the type {message.type!r} cannot be sent to a model of Inspect")


def _content(message: BaseMessage) -> str | list[Content]:
    if isinstance(message.content, str):
        return message.content
    # `content_blocks` brings the providers' own forms to the common one; tool calls are fields of their own.
    blocks = [block for block in message.content_blocks if "tool_call" not in str(block["type"])]
    return [_part(dict(block)) for block in blocks]


def _part(block: Mapping[str, Any]) -> Content:
    kind, extras = block["type"], block.get("extras") or {}
    if kind == "text":
        return ContentText(text=block["text"])
    if kind == "reasoning":
        known = {name: extras[name] for name in _REASONING if name in extras}
        return ContentReasoning(reasoning=block.get("reasoning") or "", **known)
    if kind in ("image", "audio", "video", "file") and (reference := _reference(block)):
        mime_type = str(block.get("mime_type") or "")
        if kind == "image":
            return ContentImage(image=reference, detail=extras.get("detail", "auto"))
        if kind == "file":
            return ContentDocument(
                document=reference, filename=extras.get("filename", ""), mime_type=mime_type
            )
        formats = _AUDIO if kind == "audio" else _VIDEO
        form: Any = next((form for form, mime in formats.items() if mime == mime_type), None)
        if form:
            if kind == "audio":
                return ContentAudio(audio=reference, format=form)
            return ContentVideo(video=reference, format=form)
        raise ValueError(
            f"{kind} must be of one of the types {', '.join(formats.values())}, not {mime_type!r}"
        )
    shown = block.get("value", block)
    named = shown.get("type", kind) if isinstance(shown, Mapping) else kind
    raise ValueError(
        f"a content block of the type {named!r} cannot be sent to a model of Inspect; text, reasoning, and "
        "images, audio, video and files by URL or in base64 can"
    )


def _reference(block: Mapping[str, Any]) -> str:
    if block.get("base64"):
        return f"data:{block.get('mime_type') or 'application/octet-stream'};base64,{block['base64']}"
    return str(block.get("url") or "")
