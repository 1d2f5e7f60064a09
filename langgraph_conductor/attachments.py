"""Attachments: images, files, audio and video of a question, in LangChain's standard (v1) content blocks.

Providers spell attachments in about twenty ways. LangChain's own translators (`BaseMessage.content_blocks`) read
most of them; what they leave out is brought to a form they know first. The result is JSON, the same on every call,
and is not changed by being normalised again.

Source: https://docs.langchain.com/oss/python/langchain/messages#standard-content-blocks
"""

import base64
import binascii
import mimetypes
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal
from urllib.parse import unquote_to_bytes, urlsplit

from langchain_core.messages import HumanMessage

from langgraph_conductor.records import ContentBlock
from langgraph_conductor.replies import storable

Kind = Literal["image", "file", "audio", "video", "attachment"]
"""What an attachment is called; `"attachment"` where its form is not known."""

FROM_MESSAGE: Final = "from_message"
"""The key of an attachment that is not stored again: the id of the message of the conversation that holds it."""

LABEL: Final = "label"
"""The key of an attachment that keeps the name it has in the whole question, where a worker sees a part of it."""

_MEDIA: Final = ("image", "audio", "video")
_STANDARD: Final = (*_MEDIA, "file", "text-plain")
_DATA: Final = ("base64", "url", "file_id", "text")
_TEXTS: Final = frozenset({
    "application/json", "application/xml", "application/yaml", "application/x-yaml", "application/toml",
    "application/javascript", "application/x-javascript", "application/typescript", "application/sql",
    "application/x-sh", "application/x-ndjson", "image/svg+xml",
})  # fmt: skip
_BEGINNINGS: Final = (
    (b"\x89PNG", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"),
    (b"%PDF", "application/pdf"), (b"OggS", "audio/ogg"), (b"fLaC", "audio/flac"), (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"), (b"\x1aE\xdf\xa3", "video/webm"),
)  # fmt: skip
_SHOWN_NAME: Final = 60


def is_text(block: Mapping[str, Any]) -> bool:
    """Whether a content block is text of the message itself."""
    return block.get("type") == "text"


def attachments(question: Iterable[ContentBlock]) -> list[ContentBlock]:
    """The blocks of a question that are not text, in order."""
    return [block for block in question if not is_text(block)]


# ------------------------------------------------------------------ one form


def standard_blocks(block: Mapping[str, Any]) -> list[ContentBlock]:
    """A content block in any provider's spelling as standard ones; mostly one.

    A block of an unknown form is given back as it is, with bytes in it as base64.

    Args:
        block: A block that is a mapping, such as `{"type": "image_url", "image_url": {"url": ...}}`.
    """
    if is_text(block) and "source_type" not in block:
        return [dict(block)]
    given = _without(block, LABEL)
    cache = given.pop("cache_control", None)
    found = [tidy for one in _known_to_langchain(given) for tidy in _translated(one)]
    if cache is not None and found:
        found[-1] = {**found[-1], "cache_control": cache}
    return found


def _translated(block: ContentBlock) -> list[ContentBlock]:
    """What LangChain's translators make of a block, mended where the clients would not take it."""
    if block.get("type") in (*_STANDARD, "text") and any(isinstance(block.get(key), str) for key in _DATA):
        return [_tidy(block)] if "source_type" not in block else [_tidy(_by_langchain(block))]
    return [_tidy(_by_langchain(block))]


def _by_langchain(block: ContentBlock) -> ContentBlock:
    try:
        (found,) = HumanMessage([block]).content_blocks
    except (KeyError, TypeError, ValueError, AttributeError):  # a part of it is missing, or of another type
        return block
    made: ContentBlock = dict(found)
    if made.get("type") == "non_standard":
        return dict(made["value"])
    identity = made.pop("id", None)  # Anthropic's files come as one; LangChain makes up others
    if identity and not any(made.get(key) for key in _DATA):
        made["file_id"] = identity
    return made


def _known_to_langchain(block: ContentBlock) -> list[ContentBlock]:
    """A block in a spelling that LangChain reads, where it is in one that it does not."""
    kind = block.get("type")
    if kind in ("input_text", "output_text"):
        return [{"type": "text", "text": str(block.get("text") or "")}]
    if kind in ("image_url", "input_image", "audio_url", "video_url"):
        return [_of_url_form(block, str(kind))]
    if kind == "input_file":
        return [_of_openai_file(block)]
    if kind == "file" and isinstance(block.get("file"), Mapping):
        return [_of_openai_file({**block.pop("file"), **_without(block, "type")})]
    if kind == "input_audio" and isinstance(audio := block.get("input_audio"), Mapping):
        mime = f"audio/{audio.get('format') or 'wav'}"
        return [{"type": "audio", "base64": audio.get("data"), "mime_type": mime}]
    if kind in ("image", "document") and isinstance(source := block.get("source"), Mapping):
        return _of_anthropic(block, source)
    for name in ("inline_data", "inlineData", "file_data", "fileData"):
        if isinstance(part := block.get(name), Mapping):
            return [_of_fields({**_without(block, name, "type"), **part})]
    if kind in ("media", "file_data", "document", *_STANDARD):
        if block.get("source_type") == "text":
            return [{**_without(block, "source_type", "url"), "type": "text-plain",
                     "text": str(block.get("text") or block.get("url") or "")}]  # fmt: skip
        if "source_type" not in block:
            return [_of_fields(block)]
    return [block]


def _of_url_form(block: ContentBlock, kind: str) -> ContentBlock:
    """OpenAI's `image_url`, as a string too, `input_image`, and vLLM's `audio_url` and `video_url`."""
    standard = "image" if "image" in kind else kind.removesuffix("_url")
    value = block.get("image_url") if standard == "image" else block.get(kind)
    fields = dict(value) if isinstance(value, Mapping) else {"url": value}
    fields |= {key: block[key] for key in ("detail", "file_id", "mime_type") if block.get(key)}
    found: ContentBlock = {"type": standard}
    found |= {key: fields[key] for key in ("url", "file_id", "mime_type") if fields.get(key)}
    if extras := _without(fields, "url", "file_id", "mime_type"):
        found["extras"] = extras
    return found


def _of_openai_file(file: Mapping[str, Any]) -> ContentBlock:
    """OpenAI's `file` and `input_file`."""
    found: ContentBlock = {"type": "file"}
    data = file.get("file_data")
    if file.get("file_id"):
        found["file_id"] = file["file_id"]
    elif file.get("file_url"):
        found["url"] = file["file_url"]
    elif isinstance(data, str) and data:
        found["url" if re.match(r"(?:data:|https?://|gs://)", data) else "base64"] = data
    if file.get("filename"):
        found["filename"] = file["filename"]
    return found


def _of_anthropic(block: ContentBlock, source: Mapping[str, Any]) -> list[ContentBlock]:
    """Anthropic's `image` and `document`; one whose source is content holds several."""
    about = {key: block[key] for key in ("title", "context", "citations") if block.get(key)}
    if source.get("type") == "content":
        content = source.get("content")
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())
        inner = [one for part in parts if isinstance(part, Mapping) for one in standard_blocks(part)]
        return [
            {"type": "text-plain", "text": one["text"], "mime_type": "text/plain", "extras": about}
            if is_text(one)
            else one
            for one in inner
        ]
    if source.get("type") == "file" and source.get("file_id"):
        kind = "image" if block["type"] == "image" else "file"
        return [{"type": kind, "file_id": source["file_id"], "extras": about}]
    return [block]


def _of_fields(block: ContentBlock) -> ContentBlock:
    """A block whose data are under other names: those of Gemini, of LangChain.js, of browsers."""
    found = dict(block)
    for name, others in {
        "mime_type": ("mimeType", "media_type", "mediaType"),
        "file_id": ("fileId",),
        "url": ("file_uri", "fileUri", "uri"),
        "filename": ("display_name", "displayName"),
    }.items():
        for other in others:
            if (value := found.pop(other, None)) and not found.get(name):
                found[name] = value
    if (data := found.get("data")) is not None and not any(found.get(key) for key in _DATA):
        found["text" if found.get("type") == "text-plain" else "base64"] = found.pop("data")
    for name in ("image", "audio", "video"):  # `{"type": "image", "image": "data:..."}`
        if isinstance(value := found.get(name), str) and not any(found.get(key) for key in _DATA):
            found["url" if ":" in value[:20] else "base64"] = found.pop(name)
    if isinstance(data, bytes | bytearray):
        found["base64"] = base64.b64encode(data).decode()
    if found.get("type") not in _STANDARD and any(found.get(key) for key in _DATA):
        found["type"] = "file"
    return found


def _tidy(block: ContentBlock) -> ContentBlock:
    """A standard block as clients need it: data apart from addresses, a MIME type, the kind that goes with it."""
    block = _jsonable(block)
    if block.get("type") not in _STANDARD:
        return block
    url = block.get("url")
    if isinstance(url, str) and url[:5].lower() == "data:":
        block = {**_without(block, "url"), **_of_data_url(url)}
    data = block.get("base64")
    if isinstance(data, str) and data[:5].lower() == "data:":
        data = _of_data_url(data)["base64"]
    if isinstance(data, str):
        block["base64"] = _plain_base64(data)
    if extras := {key: value for key, value in (block.get("extras") or {}).items() if value is not None}:
        block["extras"] = extras
    else:
        block.pop("extras", None)
    mime = _mime_of(block)
    if mime:
        block["mime_type"] = mime
    # Sent as a file, an image is one that no client takes.
    if block["type"] == "file" and mime.partition("/")[0] in _MEDIA and mime != "image/svg+xml":
        block["type"] = mime.partition("/")[0]
    return block


def _of_data_url(url: str) -> ContentBlock:
    about, _, data = url[5:].partition(",")
    mime, *options = about.split(";")
    if "base64" not in options:
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    return {"base64": data} | ({"mime_type": mime} if mime else {})


def _plain_base64(data: str) -> str:
    if any(sign in data for sign in " \n\r\t"):
        data = "".join(data.split())
    return data.replace("-", "+").replace("_", "/") if "-" in data or "_" in data else data


def _mime_of(block: Mapping[str, Any]) -> str:
    given = str(block.get("mime_type") or "").partition(";")[0].strip().lower()
    if "/" in given and given != "application/octet-stream":
        return "image/jpeg" if given == "image/jpg" else given
    if block["type"] == "text-plain":
        return "text/plain"
    if isinstance(data := block.get("base64"), str) and (found := _by_beginning(data)):
        return found
    url = str(block.get("url") or "")
    named = mimetypes.guess_type(name_of(block) or _path_of(url))[0]
    return named or given


def _path_of(url: str) -> str:
    """The path of a URL; empty if it is none."""
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def _by_beginning(data: str) -> str:
    try:
        head = base64.b64decode(data[:64])
    except (binascii.Error, ValueError):
        return ""
    if head[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}.get(head[8:12], "")
    if head[4:8] == b"ftyp":
        return "image/heic" if head[8:12] in (b"heic", b"heix", b"mif1") else "video/mp4"
    return next((mime for begins, mime in _BEGINNINGS if head.startswith(begins)), "")


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    if isinstance(value, str):
        # Data are ASCII; a text that long is seldom anything else.
        return value if value.isascii() and "\0" not in value else storable(value)
    return value


def _without(block: Mapping[str, Any], *keys: str) -> ContentBlock:
    return {key: value for key, value in block.items() if key not in keys}


# ------------------------------------------------------------------ in words


def kind_of(block: Mapping[str, Any]) -> Kind:
    """What an attachment is called."""
    kind = block.get("type")
    if kind == "text-plain":
        return "file"
    return kind if kind in (*_MEDIA, "file") else "attachment"


def labels(found: Iterable[ContentBlock]) -> list[str]:
    """The names by which prompts and records tell attachments apart: `"image 1"`, `"file 1"`, `"image 2"`.

    Of a part of a question, those they have in the whole (`LABEL`): plans go by them.
    """
    counts: dict[str, int] = {}
    named = []
    for block in found:
        kind = kind_of(block)
        counts[kind] = counts.get(kind, 0) + 1
        named.append(str(block.get(LABEL) or f"{kind} {counts[kind]}"))
    return named


def labelled(found: Sequence[ContentBlock], names: Sequence[str]) -> list[ContentBlock]:
    """Attachments under these names."""
    own = labels(found)
    return [
        block if name == numbered else {**block, LABEL: name}
        for block, name, numbered in zip(found, names, own, strict=True)
    ]


def unlabelled(block: Mapping[str, Any]) -> ContentBlock:
    """An attachment as models are sent it."""
    return _without(block, LABEL)


def name_of(block: Mapping[str, Any]) -> str:
    """Its file name, wherever that is noted; empty if it has none."""
    extras = block.get("extras") if isinstance(block.get("extras"), Mapping) else {}
    inner = extras.get("metadata") if extras else None
    for place in (block, extras, block.get("metadata"), inner):
        for key in ("filename", "name", "title"):
            if isinstance(place, Mapping) and isinstance(value := place.get(key), str) and value.strip():
                return value.strip()
    return ""


def shown_name(block: Mapping[str, Any]) -> str:
    """`name_of`, short and without signs that could be read as anything but a name."""
    name = re.sub(r"[^\w .()+-]+", "_", name_of(block))
    return name if len(name) <= _SHOWN_NAME else f"{name[: _SHOWN_NAME - 12]}...{name[-9:]}"


def about(block: Mapping[str, Any]) -> str:
    """Name, MIME type and size: `"photo.png, image/png, 240 kB"`; empty if nothing is known."""
    mime = re.sub(r"[^\w./+-]+", "_", str(block.get("mime_type") or ""))[:_SHOWN_NAME]
    if kind_of(block) == "attachment":
        mime = re.sub(r"[^\w./+-]+", "_", str(block.get("type") or ""))[:_SHOWN_NAME]
    return ", ".join(part for part in (shown_name(block), mime, _size(block)) if part)


def _size(block: Mapping[str, Any]) -> str:
    if isinstance(data := block.get("base64"), str):
        size = len(data) * 3 // 4
    elif isinstance(text := block.get("text"), str):
        size = len(text.encode(errors="replace"))
    else:
        return ""
    if size < 1000:
        return f"{size} bytes"
    return f"{size / 1000:.0f} kB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"


def in_words(found: Sequence[ContentBlock], chosen: Iterable[int] | None = None) -> str:
    """Attachments as prompts name them: `"image 1 (photo.png, image/png, 240 kB), file 1 (application/pdf)"`.

    Args:
        found: All attachments of a question.
        chosen: Positions of those to be named; all if left out.
    """
    named = labels(found)
    wanted = range(len(found)) if chosen is None else chosen
    return ", ".join(f"{named[i]} ({facts})" if (facts := about(found[i])) else named[i] for i in wanted)


def text_in(block: Mapping[str, Any]) -> str | None:
    """The text of an attachment that is a text file; `None` if it is none, or cannot be read here."""
    if block.get("type") == "text-plain":
        return block["text"] if isinstance(block.get("text"), str) else None
    mime = str(block.get("mime_type") or "")
    if not (mime.startswith("text/") or mime in _TEXTS) or not isinstance(block.get("base64"), str):
        return None
    try:
        return storable(base64.b64decode(block["base64"]).decode())
    except (binascii.Error, ValueError):
        return None


# ------------------------------------------------- of turns before the newest


def resolved(question: Iterable[ContentBlock], messages: Iterable[Any]) -> list[ContentBlock]:
    """A stored question with the attachments that lie in earlier messages.

    One whose message is gone stays as it is, without data; it is told of in words.

    Args:
        question: As `conversation.question_of(..., by_reference=True)` gives it.
        messages: The conversation.
    """
    question = list(question)
    if not any(FROM_MESSAGE in block for block in question):
        return question
    held = {message.id: message for message in messages if getattr(message, "id", None)}
    return [*_looked_up(question, held)]


def _looked_up(question: Iterable[ContentBlock], held: Mapping[str, Any]) -> Iterator[ContentBlock]:
    for block in question:
        message = held.get(block.get(FROM_MESSAGE, ""))
        inside = attachments_of(message) if message is not None else []
        at = block.get("at", -1)
        found = inside[at] if 0 <= at < len(inside) else None
        yield block if found is None or found.get("type") != block.get("type") else found


def reference(block: ContentBlock, message_id: str, at: int) -> ContentBlock:
    """What is stored of an attachment that lies in an earlier message already."""
    kept: ContentBlock = {key: block[key] for key in ("type", "mime_type", "filename") if key in block}
    return {**kept, FROM_MESSAGE: message_id, "at": at}


def attachments_of(message: Any) -> list[ContentBlock]:
    """The attachments of a message of a conversation, in standard form."""
    return attachments(blocks_of(message))


def blocks_of(message: Any) -> list[ContentBlock]:
    """The content of a message in standard blocks, texts made storable, empty ones left out.

    Of what models and tools say only texts and attachments are kept; of what people say, every block.
    """
    content = [message.content] if isinstance(message.content, str) else message.content
    blocks: list[ContentBlock] = []
    for part in content:
        if isinstance(part, str):
            blocks.append({"type": "text", "text": part})
        elif "type" not in part and "text" in part:  # as some providers write it
            blocks.append({**part, "type": "text"})
        elif message.type == "ai" and part.get("type") == "image_generation_call":
            blocks.append({"type": "image", "base64": part.get("result"), "mime_type": "image/png"})
        elif message.type == "human" or part.get("type") not in _NOT_SAID:
            blocks += standard_blocks(part)
    for block in blocks:
        if is_text(block):
            block["text"] = storable(str(block.get("text") or ""))
    if message.type != "human":
        blocks = [block for block in blocks if block.get("type") in (*_STANDARD, "text")]
    return [block for block in blocks if not is_text(block) or block["text"].strip()]


_NOT_SAID: Final = frozenset({
    "tool_use", "tool_call", "thinking", "reasoning", "redacted_thinking", "function_call", "refusal",
})  # fmt: skip
