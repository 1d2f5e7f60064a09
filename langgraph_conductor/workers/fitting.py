"""What of a question's attachments a model is sent: what its profile says it reads, in a form its client sends.

Chat models take LangChain's standard blocks, but not every client sends every one of them. Some drop a block in
silence (audio, over OpenAI's Responses API), some raise, and Google's fetches web addresses itself, on the event
loop and without a limit. So what is sent is decided here, by client, and what is not is told in words.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.runnables import Runnable
from langgraph.pregel.protocol import PregelProtocol

from langgraph_conductor.attachments import (
    FROM_MESSAGE,
    about,
    attachments,
    in_words,
    is_text,
    kind_of,
    labels,
    name_of,
    text_in,
)
from langgraph_conductor.prompts import tagged
from langgraph_conductor.records import ContentBlock, WithheldRecord
from langgraph_conductor.workers.composed import models_in

_Sent = ContentBlock | str
"""What a client is given for an attachment, or why it is given nothing."""

_PROFILE: Final = {"image": "image_inputs", "audio": "audio_inputs", "video": "video_inputs"}
_INPUTS: Final = (*_PROFILE.values(), "image_url_inputs", "pdf_inputs", "text_inputs")
_PLAIN: Final = {"image": "images", "audio": "audio", "video": "video", "file": "files"}
_PHOTOS: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_GOOGLES: Final = _PHOTOS | {"image/heic", "image/heif", "image/bmp", "image/avif"}
_AUDIO_NAMES: Final = {
    "audio/mpeg": "audio/mp3", "audio/x-wav": "audio/wav", "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/x-m4a": "audio/m4a", "audio/x-flac": "audio/flac", "audio/x-aiff": "audio/aiff",
}  # fmt: skip
_CACHES_TEXT: Final = (
    "langchain_anthropic",
    "langchain_openrouter",
    "langchain_aws",
    "langchain_google_vertexai",
)


@dataclass(frozen=True, slots=True)
class Reader:
    """The chat models that a prompt goes to, one of which reads it.

    Args:
        models: The models; none if unknown, and then all attachments are handed on in standard form.
        any_of_them: Whether a prompt goes to whichever of them an agent asks, so that what one can read is sent.
            Otherwise each may be asked in place of another, and only what all can read is.
    """

    models: tuple[BaseChatModel, ...] = ()
    any_of_them: bool = False

    def withheld(self, question: Iterable[ContentBlock]) -> list[tuple[int, str]]:
        """The attachments that are not sent, by position among the attachments, and why."""
        found = attachments(question)
        said = [(i, self._sent(block)) for i, block in enumerate(found)]
        return [(i, why) for i, why in said if isinstance(why, str)]

    def records(self, question: Sequence[ContentBlock], worker: str) -> list[WithheldRecord]:
        """`withheld`, for the record of a step or a plan."""
        found = attachments(question)
        named = labels(found)
        return [
            {"attachment": named[i], "about": about(found[i]), "worker": worker, "reason": why}
            for i, why in self.withheld(question)
        ]

    def fitted(
        self, messages: Sequence[BaseMessage], question: Sequence[ContentBlock], words: str
    ) -> list[BaseMessage]:
        """Messages with what can be sent of a question's attachments, and a sentence on what cannot.

        Args:
            messages: A prompt, in which the last human message with attachments holds those of the question, in
                order (`prompts.with_attachments`).
            question: The question.
            words: The sentence, with `{what}` for the attachments.
        """
        if not self.models:
            return [*messages]
        fitted = [*messages]
        for i in range(len(fitted) - 1, -1, -1):
            content = fitted[i].content
            if not isinstance(fitted[i], HumanMessage) or not isinstance(content, list):
                continue
            told = [words.format(what=in_words(attachments(question), map(_first, missing)))] if (
                missing := self.withheld(question)
            ) else []  # fmt: skip
            names = labels(attachments(question))
            fitted[i] = fitted[i].model_copy(update={"content": self._content(content, told, names)})
            break
        return fitted

    def _content(
        self, content: Sequence[Any], told: Sequence[str], names: Sequence[str]
    ) -> str | list[Any]:
        sent: list[Any] = []
        named = iter(names)
        for block in content:
            if is_text(block):
                sent.append(block if self._caches_text else _without(block, "cache_control"))
            elif not isinstance(one := self._sent(block, next(named, "file")), str):
                sent.append(one)
        sent += [{"type": "text", "text": f"\n\n{text}"} for text in told]
        joined: list[Any] = []
        for block in sent:
            if is_text(block) and joined and is_text(joined[-1]) and "cache_control" not in joined[-1]:
                joined[-1] = {**joined[-1], **block, "text": joined[-1]["text"] + block["text"]}
            else:
                joined.append(block)
        return joined[0]["text"] if len(joined) == 1 and joined[0].keys() == {"type", "text"} else joined

    @property
    def _caches_text(self) -> bool:
        return all(type(model).__module__.startswith(_CACHES_TEXT) for model in self.models)

    def _sent(self, block: ContentBlock, label: str = "file") -> _Sent:
        """What is sent of an attachment, or why it is not."""
        if not self.models:
            return block
        outcomes = [_for_model(model, block, label, alone=len(self.models) == 1) for model in self.models]
        reasons = [one for one in outcomes if isinstance(one, str)]
        if reasons and (not self.any_of_them or len(reasons) == len(outcomes)):
            return reasons[0]
        blocks = [one for one in outcomes if not isinstance(one, str)]
        if any(one != blocks[0] for one in blocks):
            return "the models that may be asked take it in different forms"
        return blocks[0]


def reader_of(runnable: Any) -> Reader:
    """The models behind a worker's or planner's runnable, as far as they are known.

    Args:
        runnable: What is called; of an agent, the models are those that its nodes call.
    """
    if models := models_in(runnable):
        return Reader(models)
    bound = runnable
    while not isinstance(bound, PregelProtocol) and isinstance(
        inner := getattr(bound, "bound", None), Runnable
    ):
        bound = inner
    models = tuple(_in_graph(bound, depth=3)) if isinstance(bound, PregelProtocol) else ()
    return Reader(tuple({id(model): model for model in models}.values()), any_of_them=True)


def _in_graph(graph: Any, depth: int) -> Iterable[BaseChatModel]:
    """The chat models that a graph's nodes refer to, and those of graphs that are nodes of it."""
    for node in getattr(graph, "nodes", {}).values():
        bound = getattr(node, "bound", None)
        if isinstance(bound, PregelProtocol):
            if depth:
                yield from _in_graph(bound, depth - 1)
            continue
        for function in (getattr(bound, "func", None), getattr(bound, "afunc", None)):
            for cell in getattr(function, "__closure__", None) or ():
                try:
                    held = cell.cell_contents
                except ValueError:  # not filled yet
                    continue
                if isinstance(held, Runnable) and not isinstance(held, PregelProtocol):
                    yield from models_in(held)


# ------------------------------------------------------------------ profiles


def _for_model(model: BaseChatModel, block: ContentBlock, label: str, *, alone: bool) -> _Sent:
    if FROM_MESSAGE in block:
        return "the message that it came with is no longer in the conversation"
    if block.get("type") in (*_PLAIN, "text-plain") and not any(
        block.get(key) for key in ("base64", "url", "file_id", "text")
    ):
        return "it holds neither data nor an address"
    text = text_in(block)
    if text is None and (why := _unread(model.profile or {}, block)):
        return why
    client = _client_of(model)
    if text is not None and not (client.texts and block.get("type") == "text-plain"):
        return _as_text(block, text, label)
    return client.sent(_prepared(block, label), alone)


def _unread(profile: Mapping[str, Any], block: ContentBlock) -> str:
    """Why a model does not read an attachment, by its profile; empty if it does, or that is not known.

    A profile that names some inputs names all: those of LangChain leave out PDFs where a model reads none.
    """
    if not any(key in profile for key in _INPUTS):
        return ""
    kind = kind_of(block)
    if kind == "image" and "url" in block and profile.get("image_url_inputs") is False:
        return "the model reads no images by address, by its profile"
    if kind in _PROFILE and not profile.get(_PROFILE[kind]):
        return f"the model reads no {_PLAIN[kind]}, by its profile"
    # Some profiles list PDFs for all models of a provider, also for those that take no attachment.
    pdfs = bool(profile.get("pdf_inputs")) and profile.get("attachment") is not False
    if kind == "file" and not pdfs:
        return "the model reads no files such as PDFs, by its profile"
    return ""


# ------------------------------------------------------------------ clients


@dataclass(frozen=True, slots=True)
class _Client:
    """What a provider's client sends.

    Args:
        name: In words.
        takes: By kind, the forms of data: of `base64`, `url` and `file_id`.
        images: MIME types of images; all if left out.
        files: MIME types of files; all if left out.
        ids: How the provider's ids of files begin; other providers' are not sent.
        schemes: How the addresses begin that the provider, or the server, fetches.
        texts: Whether it takes text files as documents.
        unknown: Types of the provider's own blocks, which are sent as they are.
        change: Brings a block to another form than the standard one.
    """

    name: str
    takes: Mapping[str, tuple[str, ...]]
    images: frozenset[str] | None = None
    files: frozenset[str] | None = None
    ids: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ("https://", "http://")
    texts: bool = False
    unknown: frozenset[str] | None = frozenset()
    change: Callable[[ContentBlock, bool], ContentBlock] = field(default=lambda block, alone: block)

    def sent(self, block: ContentBlock, alone: bool) -> _Sent:
        """What it is given for an attachment, or why nothing."""
        kind = kind_of(block)
        if kind == "attachment":
            known = self.unknown is None or block.get("type") in self.unknown
            return block if known else f"{self.name} is sent no blocks of this form"
        if block.get("type") == "text-plain":
            return block
        forms = self.takes.get(kind, ())
        form = next((key for key in ("base64", "file_id", "url") if block.get(key)), "")
        if not forms:
            return f"{self.name} takes no {_PLAIN[kind]}"
        if form not in forms:
            how = {"base64": "as data", "url": "by address", "file_id": "by the id of a file"}[form]
            return f"{self.name} takes no {_PLAIN[kind]} {how}"
        if form == "url" and not str(block["url"]).startswith(self.schemes):
            return f"{self.name} fetches nothing from such an address"
        if form == "file_id" and not str(block["file_id"]).startswith(self.ids):
            return f"{self.name} knows no file of that id"
        mime, known_types = block.get("mime_type", ""), {"image": self.images, "file": self.files}.get(kind)
        if (
            known_types is not None
            and (form == "base64" or (form == "url" and mime))
            and mime not in known_types
        ):
            return f"{self.name} takes no {_PLAIN[kind]} of type {mime or 'unknown'}"
        if form == "base64" and not mime:
            return "its type is not known; give its mime_type"
        return self.change(block, alone)


def _openai_image(block: ContentBlock, alone: bool) -> ContentBlock:
    """OpenAI's own form where an image has a `detail`, which the client would lose."""
    detail = (block.get("extras") or {}).get("detail")
    if block["type"] != "image" or not (detail and alone) or "file_id" in block:
        return block
    url = block.get("url") or f"data:{block['mime_type']};base64,{block['base64']}"
    return {"type": "image_url", "image_url": {"url": url, "detail": detail}}


def _responses_block(block: ContentBlock, alone: bool) -> ContentBlock:
    if block["type"] == "image" and block.get("file_id"):
        detail = (block.get("extras") or {}).get("detail", "auto")
        return {"type": "input_image", "file_id": block["file_id"], "detail": detail}
    return _openai_image(block, alone)


def _server_block(block: ContentBlock, alone: bool) -> ContentBlock:
    """The forms of vLLM and SGLang for what OpenAI's API has none."""
    kind = block["type"]
    if kind == "video" or (kind == "audio" and block.get("url")):
        url = block.get("url") or f"data:{block['mime_type']};base64,{block['base64']}"
        return {"type": f"{kind}_url", f"{kind}_url": {"url": url}}
    return _openai_image(block, alone)


def _google_block(block: ContentBlock, alone: bool) -> ContentBlock:
    """An address as a file URI, which Google fetches; the client fetches those in standard blocks itself."""
    uri = block.get("url") or block.get("file_id")
    if block.get("base64") or not uri:
        return block
    kept: ContentBlock = {
        key: block[key] for key in ("video_metadata", "media_resolution", "extras") if key in block
    }
    mime = {"mime_type": block["mime_type"]} if block.get("mime_type") else {}
    return {"type": "media", "file_uri": uri, **mime, **kept}


_ALL: Final = ("base64", "url", "file_id")
_ANY: Final = ("https://", "http://", "gs://")
_PDF: Final = frozenset({"application/pdf"})
_GOOGLE_FILES: Final = _PDF | {
    "text/plain", "text/html", "text/css", "text/csv", "text/markdown", "text/xml", "text/rtf", "application/json",
}  # fmt: skip
_OPENAI: Final = _Client(
    "OpenAI's chat API",
    {"image": ("base64", "url"), "file": ("base64", "file_id"), "audio": ("base64",)},
    ids=("file-",), change=_openai_image,
)  # fmt: skip
_RESPONSES: Final = _Client(
    "OpenAI's Responses API", {"image": _ALL, "file": _ALL}, ids=("file-",), change=_responses_block
)
_ANTHROPIC: Final = _Client(
    "Anthropic's API", {"image": _ALL, "file": _ALL}, images=_PHOTOS, files=_PDF, ids=("file_",), texts=True,
    unknown=frozenset({"search_result", "container_upload"}),
)  # fmt: skip
_GOOGLE: Final = _Client(
    "Gemini's API", dict.fromkeys(_PLAIN, _ALL), images=_GOOGLES, files=_GOOGLE_FILES, ids=("files/", "https://", "gs://"),
    schemes=_ANY, change=_google_block,
)  # fmt: skip
_OPENROUTER: Final = _Client(
    "OpenRouter's API",
    {
        "image": ("base64", "url"),
        "file": ("base64", "url"),
        "audio": ("base64",),
        "video": ("base64", "url"),
    },
    change=_openai_image,
)
_VLLM: Final = _Client(
    "the server", {"image": ("base64", "url"), "audio": ("base64", "url"), "video": ("base64", "url")},
    unknown=frozenset({"image_embeds", "audio_embeds"}), change=_server_block,
)  # fmt: skip
_COMPATIBLE: Final = _Client(
    "the server",
    {**dict.fromkeys(_PLAIN, ("base64", "url")), "file": ("base64", "file_id")},
    unknown=None, change=_server_block,
)  # fmt: skip
_OTHER: Final = _Client("the model", dict.fromkeys(_PLAIN, _ALL), schemes=_ANY, unknown=None)


def _client_of(model: BaseChatModel) -> _Client:
    """What is known of a model's client, by the names of its classes, so that no provider's package is needed."""
    names = {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(model).__mro__}
    if "langgraph_conductor.CompatibleChat" in names:
        return _VLLM if getattr(model, "server", "") in ("vllm", "sglang") else _COMPATIBLE
    if "langchain_openai.BaseChatOpenAI" in names:
        return _RESPONSES if _uses_responses(model) else _OPENAI
    known = {
        "langchain_anthropic.ChatAnthropic": _ANTHROPIC,
        "langchain_google_genai.ChatGoogleGenerativeAI": _GOOGLE,
        "langchain_openrouter.ChatOpenRouter": _OPENROUTER,
    }
    return next((client for name, client in known.items() if name in names), _OTHER)


def _uses_responses(model: Any) -> bool:
    try:
        return bool(model._use_responses_api({**model._default_params}))
    except (AttributeError, TypeError):
        return bool(getattr(model, "use_responses_api", False))


# --------------------------------------------------------------------- blocks


def _prepared(block: ContentBlock, label: str) -> ContentBlock:
    """A block with what some client needs and none minds: a file's name, the usual names of audio types."""
    mime = str(block.get("mime_type") or "")
    if block.get("type") == "file" and not block.get("filename"):
        ending = ".pdf" if mime == "application/pdf" else ""
        return {**block, "filename": name_of(block) or f"{label.replace(' ', '_')}{ending}"}
    if block.get("type") == "audio" and mime in _AUDIO_NAMES:
        return {**block, "mime_type": _AUDIO_NAMES[mime]}
    return block


def _as_text(block: ContentBlock, text: str, label: str) -> ContentBlock:
    named = {"filename": name} if (name := name_of(block)) else {}
    cached = {"cache_control": block["cache_control"]} if "cache_control" in block else {}
    return {"type": "text", "text": f"\n{tagged('attached_file', text, name=label, **named)}\n", **cached}


def _without(block: Any, *keys: str) -> Any:
    return {key: value for key, value in block.items() if key not in keys}


def _first(pair: tuple[int, str]) -> int:
    return pair[0]
