"""What a provider charges for beside tokens, as an answer tells of it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from langchain_core.messages import AIMessage, BaseMessage

from langgraph_conductor.prices import Extras, Model, reported_usd
from langgraph_conductor.usage import count, count_in_tiers, mapping
from langgraph_conductor.workers.attachment_sizes import attachments_in

_TIERS: Final = ("priority", "flex", "batch", "scale", "fast")
_MADE: Final = ("image", "image_url", "audio", "video", "image_generation_call", "code_interpreter_call")
"""Blocks of an answer whose price its tokens do not tell."""
_BY_PROMPT: Final = re.compile(r"gemini-[12]\b")
"""Models of Google that charge for a prompt that searches; later ones do for each query."""
_BYOK_FEE: Final = 2
"""Through a key of one's own OpenRouter asks for a twentieth of the upstream price, else for all of it or more."""


def extras_of(
    message: AIMessage, metadata: Mapping[str, Any], model: Model, *, sent_audio: bool = False
) -> Extras:
    """What an answer was charged for beside its tokens.

    Args:
        message: The answer.
        metadata: Its usage, as LangChain has it.
        model: Who was asked.
        sent_audio: Whether the prompt held audio or video.
    """
    about, sent = mapping(message.response_metadata), mapping(metadata.get("input_token_details"))
    raw = mapping(about.get("usage"))
    blocks = [*_blocks(message)]
    audio = count(sent.get("audio")), count(mapping(metadata.get("output_token_details")).get("audio"))
    spoke = bool(message.additional_kwargs.get("audio")) and not audio[1]
    # Google's package does not tell how many tokens were audio, which costs more there.
    heard = sent_audio and not audio[0] and model.provider.startswith("google")
    return Extras(
        hour_writes=count(sent.get("ephemeral_1h_input_tokens")),
        audio_input=audio[0],
        audio_output=audio[1],
        tier=_tier(about.get("service_tier") or raw.get("service_tier"), sent),
        speed="fast" if raw.get("speed") == "fast" else "",
        web_searches=_web_searches(about, raw, blocks, model),
        file_searches=sum(block.get("type") == "file_search_call" for block in blocks),
        audio_uncounted=heard,
        unknown=spoke or any(block.get("type") in _MADE for block in blocks),
    )


def _blocks(message: AIMessage) -> Iterator[Mapping[str, Any]]:
    if isinstance(message.content, list):
        for block in message.content:
            inner = mapping(mapping(block).get("value"))  # of LangChain's non-standard ones
            yield inner if mapping(block).get("type") == "non_standard" else mapping(block)
    outputs = message.additional_kwargs.get("tool_outputs")
    yield from (mapping(output) for output in outputs or () if isinstance(outputs, list))


def _tier(told: Any, sent: Mapping[str, Any]) -> str:
    named = [tier for tier in _TIERS if isinstance(told, str) and told.startswith(tier)]
    return next(iter(named), next((tier for tier in _TIERS if tier in sent), ""))


def _web_searches(
    about: Mapping[str, Any], raw: Mapping[str, Any], blocks: list[Mapping[str, Any]], model: Model
) -> int:
    if searches := count(mapping(raw.get("server_tool_use")).get("web_search_requests")):
        return searches
    if queries := mapping(about.get("grounding_metadata")).get("web_search_queries"):
        by_query = isinstance(queries, list) and not _BY_PROMPT.search(model.name)
        return len(queries) if by_query else 1
    return sum(_is_web_search(block) for block in blocks)


def _is_web_search(block: Mapping[str, Any]) -> bool:
    kind = block.get("type")
    if kind == "web_search_call":
        return bool(mapping(block.get("action")).get("type", "search") == "search")
    return kind == "server_tool_use" and block.get("name") == "web_search"


def cache_writes(metadata: Mapping[str, Any]) -> int:
    """Input tokens written to the cache. Anthropic's client tells either the sum or its parts."""
    details = mapping(metadata.get("input_token_details"))
    parts = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
    return count_in_tiers(details, "cache_creation") or sum(count(details.get(part)) for part in parts)


def reported_cost(about: Mapping[str, Any], metadata: Mapping[str, Any], model: Model) -> Any:
    """What the provider says the call cost, in USD; `None` if it says nothing that is true.

    Through a key of one's own, OpenRouter asks for its fee alone, which may be 0: what the upstream provider asks
    for is added. LiteLLM says 0 where it knows no price.
    """
    raw = mapping(about.get("token_usage"))  # of an OpenAI client that is pointed at OpenRouter
    cost = about.get("cost", about.get("response_cost", raw.get("cost")))
    if cost is None:
        return metadata.get("total_cost")
    known = reported_usd(cost)
    if known is None:
        return cost
    details = mapping(about.get("cost_details") or raw.get("cost_details"))
    upstream = reported_usd(details.get("upstream_inference_cost"))
    if upstream and known * _BYOK_FEE < upstream:
        return known + upstream
    name = str(about.get("model_name") or model.name)
    return cost if known or name.endswith(":free") or model.name.endswith(":free") else None


def asked_extras(params: Mapping[str, Any], asked: "Asked", sent: int, said: int) -> Extras:
    """What a call is charged for at most beside its tokens, by what is asked for.

    Args:
        params: Options of the call.
        asked: What its prompt holds.
        sent: Tokens sent at most.
        said: Tokens of the reply at most.
    """
    modalities = params.get("modalities")
    speaks = isinstance(modalities, list) and "audio" in modalities
    return Extras(
        hour_writes=sent if asked.keeps_hour and not asked.audio else 0,
        audio_input=sent if asked.audio else 0,
        audio_output=said if speaks else 0,
        tier="priority" if params.get("service_tier") == "priority" else "",
        speed="fast" if params.get("speed") == "fast" else "",
    )


class Asked(NamedTuple):
    """What a prompt holds that costs more than its tokens.

    Args:
        audio: Whether there is audio, or video with a sound.
        keeps_hour: Whether a part of it is to be cached for an hour.
    """

    audio: bool = False
    keeps_hour: bool = False


def asked_in(messages: Iterable[BaseMessage], params: Mapping[str, Any]) -> Asked:
    """What a prompt holds."""
    blocks = [
        block
        for m in messages
        if isinstance(m.content, list)
        for block in m.content
        if isinstance(block, dict)
    ]
    cached = [*blocks, *(mapping(tool) for tool in params.get("tools") or ()), params]
    return Asked(
        any(one.kind in ("audio", "video") for block in blocks for one in attachments_in(block)[1]),
        any(mapping(one.get("cache_control")).get("ttl") == "1h" for one in cached),
    )
