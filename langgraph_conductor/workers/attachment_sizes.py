"""What images, files, audio and video in a message cost in tokens, told from a bounded part of their bytes.

A payload is base64, which is never text to a model. Whatever its length, at most 256 kB of it are looked at, once.
"""

import binascii
import math
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from langgraph_conductor.prices import Model

_IMAGE_HEAD: Final = 1 << 16
_HEAD: Final = 1 << 17
"""Bytes looked at from the beginning of a payload, and from its end."""

_IMAGE_MOST: Final = {"anthropic": 5_000, "google": 5_000, "openai": 12_000}
"""Most tokens of an image.

Anthropic: 4,784; Gemini: 2,240, or 258 for each of 16 tiles; OpenAI: 10,000 patches.
"""
_IMAGE_MOST_ELSEWHERE: Final = 50_000  # gpt-4o-mini counts 2,833 and 5,667 for each of up to 8 tiles
_IMAGE_UNKNOWN: Final = 1500

_PAGE: Final = {"anthropic": 2_000, "google": 300}
_PAGE_ELSEWHERE: Final = 1_500
_PAGE_TEXT_MOST: Final = 5_000
"""Most tokens of the text of a page; where pages are also shown as images, an image's most is added."""
_BYTES_OF_PAGE: Final = 100_000
_LEAST_BYTES_OF_PAGE: Final = 1_000
_MOST_PAGES: Final = 1_000  # Gemini's limit; Anthropic's is 600
_PAGES_UNKNOWN: Final = 50
_MOST_STREAMS: Final = 32
_MOST_COUNTS: Final = 2_000
_COUNT: Final = re.compile(rb"/Count[ \t\r\n]{1,4}(\d{1,5})\b")

_AUDIO_PER_SECOND: Final = {"openai": 10}
_AUDIO_PER_SECOND_ELSEWHERE: Final = 32  # Gemini
_AUDIO_MOST_PER_SECOND: Final = 50
_VIDEO_PER_SECOND: Final = 300  # Gemini: a frame with 258, and its sound
_BYTES_PER_SECOND: Final = {"audio": 16_000, "video": 250_000}
_LEAST_BYTES_PER_SECOND: Final = {"audio": 750, "video": 12_500}
_SECONDS_UNKNOWN: Final = 60
_MOST_BYTES_PER_SECOND: Final = 1_000_000  # of a WAV file; 8 channels are fewer

_KIND_WORDS: Final = ("image", "screenshot", "video", "audio", "file", "document", "media", "inline", "pdf")
_PAYLOADS: Final = ("base64", "data", "file_data", "fileData", "bytes", "b64_json", "result")
_REFERENCES: Final = (
    "url", "uri", "file_id", "fileId", "file_uri", "fileUri", "file_url", "image_url", "video_url", "audio_url",
)  # fmt: skip
_PARENTS: Final = ("source", "file", "inline_data", "inlineData", "file_data", "fileData")
"""Keys of mappings whose kind is told by what they are part of."""
_WRAPPING: Final = frozenset(
    (
        *("type", "mime_type", "media_type", "mimeType", "format", "detail", "source_type", "id", "index"),
        "cache_control",
    )
)
"""Keys that say how an attachment is sent, and are no text."""
_NOT_SENT_AS_BLOCKS: Final = ("input", "args", "arguments", "function", "parameters")
"""Keys of what models wrote: it goes back as text, whatever it looks like."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """An image, a file, audio or video in a message.

    Args:
        kind: `"image"`, `"audio"`, `"video"` or `"file"`.
        mime: Its MIME type, or format; empty if unknown.
        data: Its bytes, or their base64; `None` if it is sent by reference.
        detail: OpenAI's detail of an image, such as `"low"`.
        begins: Where in `data` its base64 begins: a data URL is long, and is not copied.
    """

    kind: str
    mime: str = ""
    data: str | bytes | None = None
    detail: str = ""
    begins: int = 0

    @property
    def size(self) -> int:
        """Its bytes, about; 0 if it is sent by reference."""
        if self.data is None:
            return 0
        return len(self.data) if isinstance(self.data, bytes) else (len(self.data) - self.begins) * 3 // 4

    def head(self) -> bytes:
        """The bytes it begins with, enough for the header of an image."""
        data = self.data or b""
        if isinstance(data, bytes):
            return data[:_IMAGE_HEAD]
        return _decoded(data[self.begins : self.begins + _IMAGE_HEAD])

    def sample(self) -> tuple[Any, ...]:
        """What tells it from others, without reading all of it."""
        data, middle = self.data or b"", len(self.data or b"") // 2
        return len(data), data[: self.begins + 128], data[middle : middle + 128], data[-512:]

    def ends(self) -> list[bytes]:
        """The bytes at both ends; those of a small one are its whole."""
        data = self.data or b""
        if isinstance(data, bytes):
            return [data] if len(data) <= 2 * _HEAD else [data[:_HEAD], data[-_HEAD:]]
        step = _HEAD * 4 // 3 // 4 * 4
        if len(data) - self.begins <= 2 * step:
            return [_decoded(data[self.begins :])]
        tail = self.begins + -(-(len(data) - self.begins - step) // 4) * 4
        return [_decoded(data[self.begins : self.begins + step]), _decoded(data[tail:])]


@dataclass(frozen=True, slots=True)
class Cost:
    """Tokens of an attachment.

    Args:
        likely: By the provider's rule, or a usual size.
        most: Never exceeded; `None` if there is no such number.
    """

    likely: int
    most: int | None


def attachments_in(block: Any) -> tuple[Any, list[Attachment]]:
    """A content block, or what holds some, without its attachments (`None` if nothing is left), and these.

    It knows the spellings of OpenAI (both APIs), Anthropic, Gemini, Bedrock, LangChain (v0 and v1), and finds
    attachments in tool results too.
    """
    found: list[Attachment] = []
    return _without(block, (), found), found


def _without(value: Any, near: tuple[str, ...], found: list[Attachment]) -> Any:
    if isinstance(value, list | tuple):
        return [_without(item, near, found) for item in value]
    if isinstance(value, bytes | bytearray):
        return ""
    if not isinstance(value, Mapping):
        return value
    before = len(found)
    words = (*_words(value.get("type")), *near)
    kind = next((word for word in words if _is_kind(word)), "")
    attached = _attachment(value, kind) if kind or _mime(value) else None
    found += [attached] if attached else []
    rest: dict[Any, Any] = {}
    for key, item in value.items():
        name = str(key)
        if isinstance(item, str | bytes) and attached and name in (*_PAYLOADS, *_REFERENCES):
            continue  # the attachment itself
        inner = (name, *words) if name in _PARENTS else (name,)
        left = item if name in _NOT_SENT_AS_BLOCKS else _without(item, inner, found)
        if left is not None:
            rest[key] = left
    return None if len(found) > before and rest.keys() <= _WRAPPING else rest


def _words(kind: Any) -> tuple[str, ...]:
    return (kind,) if isinstance(kind, str) else ()


def _is_kind(word: str) -> bool:
    return any(known in word for known in _KIND_WORDS)


def _mime(block: Mapping[str, Any]) -> str:
    names = ("mime_type", "media_type", "mimeType", "format")
    return next((str(block[name]) for name in names if isinstance(block.get(name), str)), "")


def _attachment(block: Mapping[str, Any], word: str) -> Attachment | None:
    """The attachment that `block` is itself, not one that it holds."""
    if block.get("type") == "text" or block.get("source_type") == "text":
        return None  # Anthropic's and LangChain's text documents
    texts = [block[name] for name in _REFERENCES if isinstance(block.get(name), str)]
    payload = next((block[name] for name in _PAYLOADS if isinstance(block.get(name), str | bytes)), None)
    given = [text for text in (payload, *texts) if isinstance(text, str)]
    url = next((text for text in given if text.startswith("data:")), "")
    mime = _mime(block)
    begins = 0
    if url:
        payload, begins = url, url.find(",") + 1
        mime = url[len("data:") : begins].rstrip(",").split(";")[0] or mime
    detail = str(block.get("detail") or "")
    if payload is not None:
        return Attachment(_kind(mime, word), mime, payload, detail, begins)
    if texts or (block.get("source_type") == "id" and isinstance(block.get("id"), str)):
        return Attachment(_kind(mime, word), mime, None, detail)
    return None


def _kind(mime: str, word: str) -> str:
    for text in (mime, word):
        for kind in ("image", "audio", "video"):
            if kind in text:
                return kind
    return "image" if "screenshot" in word else "file"


def cost(attached: Attachment, model: Model) -> Cost:
    """Tokens of one attachment.

    Args:
        attached: It.
        model: Who is sent it.

    Source:
        https://platform.claude.com/docs/en/build-with-claude/vision, .../pdf-support;
        https://ai.google.dev/gemini-api/docs/tokens; https://platform.openai.com/docs/guides/images-vision
    """
    family = _family(model)
    if attached.kind == "image":
        most = _IMAGE_MOST.get(family, _IMAGE_MOST_ELSEWHERE)
        return Cost(min(most, _image(attached, family)), most)
    if attached.kind != "file":
        return _timed(attached, family)
    if "text" in attached.mime or attached.mime.endswith(("json", "xml", "csv")):
        longest = None if attached.data is None else len(attached.data)
        return Cost(math.ceil(attached.size / 4), longest)
    return _pages(attached, family)


def _family(model: Model) -> str:
    """Whose rules hold; empty if they are not known. A server of one's own may call itself OpenAI."""
    if "claude" in model.name:
        return "anthropic"
    if model.provider.startswith("google") or model.name.startswith("google/"):
        return "google"
    known = re.match(r"(openai/)?(gpt-[4-9]|o[1-9]|chatgpt)", model.name) and "4o-mini" not in model.name
    return "openai" if known else ""


def _pages(attached: Attachment, family: str) -> Cost:
    page = _PAGE.get(family, _PAGE_ELSEWHERE)
    page_most = _PAGE_TEXT_MOST + _IMAGE_MOST.get(family, _IMAGE_MOST_ELSEWHERE)
    if attached.data is None:
        return Cost(10 * page, None)
    size = attached.size
    if pages := _pages_of(attached):
        return Cost(pages * page, pages * page_most)
    guessed = min(_PAGES_UNKNOWN, math.ceil(size / _BYTES_OF_PAGE))
    longest = min(_MOST_PAGES, math.ceil(size / _LEAST_BYTES_OF_PAGE))
    return Cost(guessed * page, longest * page_most)


_known_pages: Final[dict[tuple[Any, ...], int]] = {}
_MOST_KNOWN: Final = 256


def _pages_of(attached: Attachment) -> int:
    """See `_page_count`; every step and every turn sends the same file again."""
    key = attached.sample()
    pages = _known_pages.get(key)
    if pages is None:
        if len(_known_pages) >= _MOST_KNOWN:
            _known_pages.clear()
        pages = _known_pages[key] = _page_count(attached.ends())
    return pages


def _page_count(parts: list[bytes]) -> int:
    """Pages of a PDF; 0 if they cannot be told from its two ends."""
    if b"%PDF" not in parts[0][:1024]:
        return 0
    if first := re.search(rb"/Linearized.{0,300}?/N[ \t\r\n]{1,4}(\d{1,5})\b", parts[0][:1024], re.DOTALL):
        return int(first[1])
    texts = [text for part in parts for text in (part, *_unpacked(part))]
    told = [count for text in texts for count in islice(_COUNT.finditer(text), _MOST_COUNTS)]
    if told:
        return max(int(count[1]) for count in told)
    seen = sum(len(re.findall(rb"/Type[ \t\r\n]{0,4}/Page(?![a-zA-Z])", text)) for text in texts)
    return seen if len(parts) == 1 else 0  # there may be more between the ends


def _unpacked(part: bytes) -> list[bytes]:
    """Text of object streams, in which newer PDFs keep their tree of pages."""
    texts, left = [], 1 << 20
    for found in islice(re.finditer(rb"/ObjStm", part), _MOST_STREAMS):
        begin = part.find(b"stream", found.end(), found.end() + 400)
        if begin < 0 or left <= 0:
            continue
        packed = part[begin + len(b"stream") : begin + _HEAD].lstrip(b"\r\n")
        try:
            texts.append(zlib.decompressobj().decompress(packed, left))
        except zlib.error:
            continue
        left -= len(texts[-1])
    return texts


def _timed(attached: Attachment, family: str) -> Cost:
    kind, size = attached.kind, attached.size
    likely, most = _VIDEO_PER_SECOND, _VIDEO_PER_SECOND
    if kind == "audio":
        likely = _AUDIO_PER_SECOND.get(family, _AUDIO_PER_SECOND_ELSEWHERE)
        most = _AUDIO_MOST_PER_SECOND
    if attached.data is None:
        return Cost(_SECONDS_UNKNOWN * likely, None)
    seconds = _seconds(attached)
    if seconds is not None:
        return Cost(math.ceil(seconds * likely), math.ceil(seconds + 1) * most)
    guessed, longest = size / _BYTES_PER_SECOND[kind], size / _LEAST_BYTES_PER_SECOND[kind]
    return Cost(math.ceil(guessed * likely), math.ceil(longest + 1) * most)


def _seconds(attached: Attachment) -> float | None:
    """How long a WAV or MP4 file plays, by its header."""
    head = attached.head()
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        rate = int.from_bytes(head[28:32], "little")
        return attached.size / min(rate, _MOST_BYTES_PER_SECOND) if rate else None
    if head[4:8] != b"ftyp":
        return None
    for part in attached.ends():
        at = part.find(b"mvhd")
        header = part[at + 4 : at + 36]
        if at >= 0 and len(header) == 32:
            where, width = (20, 8) if header[0] == 1 else (12, 4)
            scale = int.from_bytes(header[where : where + 4], "big")
            units = int.from_bytes(header[where + 4 : where + 4 + width], "big")
            return units / scale if scale and units else None  # one that is sent in fragments tells 0
    return None


def _image(attached: Attachment, family: str) -> int:
    size = _pixels(attached.head())
    if family == "openai" and attached.detail == "low":
        return 85
    if size is None:
        return _IMAGE_UNKNOWN
    wide, high = size
    if family == "anthropic":
        return min(1_600, math.ceil(wide * high / 750))
    if family == "google":
        small = wide <= 384 and high <= 384
        return 258 if small else 258 * min(16, math.ceil(wide / 768) * math.ceil(high / 768))
    scale = min(1.0, 2048 / max(wide, high))
    scale *= min(1.0, 768 / (scale * min(wide, high)))
    return 85 + 170 * math.ceil(scale * wide / 512) * math.ceil(scale * high / 512)


def _pixels(head: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG, GIF, JPEG or WebP, by its header."""
    wide = high = 0
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        wide, high = int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
    elif head[:4] == b"GIF8":
        wide, high = int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little")
    elif head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X":
        wide, high = (1 + int.from_bytes(head[at : at + 3], "little") for at in (24, 27))
    elif head[:2] == b"\xff\xd8":
        wide, high = _pixels_of_jpeg(head)
    return (wide, high) if wide and high else None


def _pixels_of_jpeg(head: bytes) -> tuple[int, int]:
    at = 2
    while at + 9 < len(head) and head[at] == 0xFF:
        if 0xC0 <= head[at + 1] <= 0xCF and head[at + 1] not in (0xC4, 0xC8, 0xCC):
            high, wide = head[at + 5 : at + 7], head[at + 7 : at + 9]
            return int.from_bytes(wide, "big"), int.from_bytes(high, "big")
        at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return 0, 0


def _decoded(text: str) -> bytes:
    try:
        plain = text.encode("ascii").replace(b"-", b"+").replace(b"_", b"/").rstrip(b"=")
        return binascii.a2b_base64(plain[: len(plain) // 4 * 4] + _padded(plain[len(plain) // 4 * 4 :]))
    except (UnicodeEncodeError, binascii.Error):
        return b""


def _padded(tail: bytes) -> bytes:
    return tail + b"=" * (4 - len(tail)) if len(tail) > 1 else b""
