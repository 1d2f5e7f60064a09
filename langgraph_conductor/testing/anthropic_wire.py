"""Anthropic's Messages API.

Its `input_tokens` leave out the cached ones, and it reports no reasoning tokens.

Source: https://docs.claude.com/en/api/messages, https://docs.claude.com/en/api/errors
"""

import json
from collections.abc import Iterator

from langgraph_conductor.testing.answers import FakeReply, pieces
from langgraph_conductor.testing.faults import Fault
from langgraph_conductor.testing.requests import AskedForm, ProviderRequest, text_of
from langgraph_conductor.testing.wire import Frame, Json, Wire

_ERRORS = {  # fault: type, message
    "rate_limited": ("rate_limit_error", "This request would exceed your organization's rate limit."),
    "server_error": ("api_error", "Internal server error"),
    "overloaded": ("overloaded_error", "Overloaded"),
    "unknown_model": ("not_found_error", "model: {model}"),
    "context_too_long": ("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
    "bad_key": ("authentication_error", "invalid x-api-key: {key}"),
    "out_of_credit": (
        "invalid_request_error",
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade.",
    ),
    "schema_refused": (
        "invalid_request_error",
        "output_config.format: this model does not support structured outputs",
    ),
    "system_role_refused": ("invalid_request_error", "system: this model does not take a system prompt"),
    "broken_off": ("api_error", "Internal server error"),
}


def _messages(body: Json) -> Iterator[tuple[str, str]]:
    if body.get("system"):
        yield "system", text_of(body["system"])
    for message in body.get("messages", ()):
        yield message["role"], text_of(message["content"])


def _asked(body: Json) -> AskedForm | None:
    form = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    if form.get("type") == "json_schema":
        return AskedForm(form["schema"])
    name = (body.get("tool_choice") or {}).get("name")
    for tool in body.get("tools", ()):
        if name and tool.get("name") == name:
            return AskedForm(tool.get("input_schema", {}), name)
    return None


def _blocks(reply: FakeReply, request: ProviderRequest) -> Iterator[Json]:
    if reply.reasoning:
        yield {"type": "thinking", "thinking": reply.reasoning, "signature": "signed"}
    if reply.text:
        yield {"type": "text", "text": reply.text}
    for position, call in enumerate(reply.tool_calls):
        number = call.id_or(f"toolu_{request.number}_{position}")
        yield {"type": "tool_use", "id": number, "name": call.name, "input": dict(call.args)}


def _stop_reason(reply: FakeReply) -> str:
    if reply.refusal or reply.finish == "content_filter":
        return "refusal"
    if reply.tool_calls:
        return "tool_use"
    return "max_tokens" if reply.finish == "length" else "end_turn"


def _cache_of_an_hour(reply: FakeReply) -> Json:
    """How many of the tokens written to the cache are kept for how long; left out where none are."""
    hour = reply.hour_cache_tokens
    parts = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": hour}
    return {"cache_creation": parts} if hour else {}


def _plain(reply: FakeReply, request: ProviderRequest) -> Json:
    return {
        "id": f"msg_{request.number}", "type": "message", "role": "assistant", "model": request.model,
        "content": list(_blocks(reply, request)),
        "stop_reason": _stop_reason(reply), "stop_sequence": None,
        "usage": {
            "input_tokens": reply.input_tokens - reply.cached_tokens - reply.hour_cache_tokens,
            "cache_read_input_tokens": reply.cached_tokens,
            "cache_creation_input_tokens": reply.hour_cache_tokens,
            **_cache_of_an_hour(reply),
            "output_tokens": reply.output_tokens,
        },
    }  # fmt: skip


def _frames(reply: FakeReply, request: ProviderRequest) -> Iterator[Frame]:
    whole = _plain(reply, request)
    opening = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}
    yield _frame({"type": "message_start", "message": opening})
    broken = [call.arguments for call in reply.tool_calls]
    first_call = len(whole["content"]) - len(broken)
    for index, block in enumerate(whole["content"]):
        empty, deltas = _taken_apart(block, broken[index - first_call] if index >= first_call else None)
        yield _frame({"type": "content_block_start", "index": index, "content_block": empty})
        for number, delta in enumerate(deltas, 1):
            yield _frame({"type": "content_block_delta", "index": index, "delta": delta}, said=True)
            if reply.running_usage:
                usage = _plain(reply.so_far(number / len(deltas)), request)["usage"]
                yield _frame({"type": "message_delta", "delta": {"stop_reason": None}, "usage": usage})
        yield _frame({"type": "content_block_stop", "index": index})
    end = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield _frame({"type": "message_delta", "delta": end, "usage": whole["usage"]}, ends=True)
    yield _frame({"type": "message_stop"}, ends=True)


def _frame(data: Json, *, said: bool = False, ends: bool = False) -> Frame:
    return Frame(data, event=data["type"], said=said, ends=ends)


def _taken_apart(block: Json, arguments: str | None = None) -> tuple[Json, list[Json]]:
    """A block as it begins, and what is added to it."""
    if block["type"] == "text":
        return {**block, "text": ""}, [{"type": "text_delta", "text": p} for p in pieces(block["text"])]
    if block["type"] == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": p} for p in pieces(block["thinking"])]
        signature = {"type": "signature_delta", "signature": block["signature"]}
        return {**block, "thinking": "", "signature": ""}, [*deltas, signature]
    arguments = json.dumps(block["input"]) if arguments is None else arguments
    half = len(arguments) // 2
    parts = (arguments[:half], arguments[half:])
    return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": p} for p in parts]


def _error(fault: Fault, request: ProviderRequest) -> Json:
    kind, message = _ERRORS[fault.name]
    text = message.format(model=request.model, key=request.key) + fault.sentence
    return {
        "type": "error",
        "error": {"type": kind, "message": text, **fault.told_wait},
        "request_id": f"req_{request.number}",
    }


def _failed(fault: Fault, request: ProviderRequest) -> tuple[Frame, Json]:
    body = _error(fault, request)
    return _frame(body), body


def _nothing(request: ProviderRequest) -> Json:
    return _plain(FakeReply(output_tokens=0), request)


ANTHROPIC = Wire(_messages, _asked, _plain, _frames, _error, _nothing, _failed, {"out_of_credit": 400})
