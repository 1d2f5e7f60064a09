"""OpenAI's Chat Completions, which vLLM, SGLang, llama.cpp, Ollama and OpenRouter speak too.

Reasoning is in the field `reasoning`, as vLLM and OpenRouter send it; OpenAI itself sends none.

Source: https://platform.openai.com/docs/api-reference/chat, https://openrouter.ai/docs/api-reference
"""

from collections.abc import Iterator

from langgraph_conductor.testing.answers import FakeReply, pieces
from langgraph_conductor.testing.faults import Fault
from langgraph_conductor.testing.requests import AskedForm, ProviderRequest, text_of
from langgraph_conductor.testing.wire import Frame, Json, Wire

_ERRORS = {  # fault: type, code, message
    "rate_limited": ("requests", "rate_limit_exceeded", "Rate limit reached for {model}."),
    "server_error": ("server_error", None, "The server had an error while processing your request."),
    "overloaded": ("server_error", "overloaded", "The engine is currently overloaded."),
    "unknown_model": (
        "invalid_request_error", "model_not_found",
        "The model `{model}` does not exist or you do not have access to it.",
    ),
    "context_too_long": (
        "invalid_request_error", "context_length_exceeded",
        "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 310000.",
    ),
    "bad_key": ("invalid_request_error", "invalid_api_key", "Incorrect API key provided: {key}."),
    "out_of_credit": (
        "insufficient_quota", "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    "schema_refused": (
        "invalid_request_error", None,
        "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
    ),
    "system_role_refused": ("BadRequestError", None, "System role not supported"),
    "broken_off": ("server_error", None, "Upstream error"),
}  # fmt: skip


def _messages(body: Json) -> Iterator[tuple[str, str]]:
    for message in body.get("messages", ()):
        yield message["role"], text_of(message.get("content"))


def _asked(body: Json) -> AskedForm | None:
    form = body.get("response_format") or {}
    if form.get("type") == "json_schema":
        return AskedForm(form["json_schema"]["schema"])
    choice = body.get("tool_choice")
    name = choice.get("function", {}).get("name") if isinstance(choice, dict) else None
    for tool in body.get("tools", ()):
        if tool["type"] == "function" and tool["function"]["name"] == name:
            return AskedForm(tool["function"].get("parameters", {}), name)
    return None


def _usage(reply: FakeReply, request: ProviderRequest) -> Json:
    cost: Json = {}
    if request.wire == "openrouter" and reply.cost is not None:
        cost = {"cost": reply.cost, "is_byok": reply.upstream_cost is not None}
    if cost and reply.upstream_cost is not None:
        cost["cost_details"] = {
            "upstream_inference_cost": reply.upstream_cost,
            "upstream_inference_prompt_cost": 0,
            "upstream_inference_completions_cost": reply.upstream_cost,
        }
    return {
        "prompt_tokens": reply.input_tokens,
        "completion_tokens": reply.output_tokens,
        "total_tokens": reply.input_tokens + reply.output_tokens,
        "prompt_tokens_details": {"cached_tokens": reply.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": reply.reasoning_tokens},
        **cost,
    }


def _tool_calls(reply: FakeReply, request: ProviderRequest) -> list[Json]:
    return [
        {
            "id": call.id_or(f"call_{request.number}_{position}"),
            "type": "function",
            "function": {"name": call.name, "arguments": call.sent},
        }
        for position, call in enumerate(reply.tool_calls)
    ]


def _finish(reply: FakeReply) -> str:
    return "tool_calls" if reply.tool_calls else reply.finish


def _head(request: ProviderRequest, kind: str) -> Json:
    return {
        "id": f"chatcmpl-{request.number}", "object": kind, "created": 1, "model": request.model,
        "system_fingerprint": "fp_fake",
    }  # fmt: skip


def _plain(reply: FakeReply, request: ProviderRequest) -> Json:
    silent = reply.refusal or (reply.tool_calls and not reply.text)
    message: Json = {
        "role": "assistant",
        "content": None if silent else reply.text,
        "refusal": reply.refusal or None,
    }
    if reply.reasoning:
        message["reasoning"] = reply.reasoning
    if reply.tool_calls:
        message["tool_calls"] = _tool_calls(reply, request)
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(reply)}
    return {
        **_head(request, "chat.completion"),
        "choices": [choice],
        "usage": _usage(reply, request),
    }


def _deltas(reply: FakeReply, request: ProviderRequest) -> Iterator[Json]:
    yield from ({"reasoning": piece} for piece in pieces(reply.reasoning))
    yield from ({"refusal": piece} for piece in pieces(reply.refusal))
    yield from ({"content": piece} for piece in pieces(reply.text))
    for index, call in enumerate(_tool_calls(reply, request)):
        arguments = call["function"]["arguments"]
        half = len(arguments) // 2
        opening = {**call["function"], "arguments": arguments[:half]}
        yield {"tool_calls": [{**call, "index": index, "function": opening}]}
        yield {"tool_calls": [{"index": index, "function": {"arguments": arguments[half:]}}]}


def _frames(reply: FakeReply, request: ProviderRequest) -> Iterator[Frame]:
    head = _head(request, "chat.completion.chunk")

    def chunk(delta: Json, finish: str | None = None, part: float = 0.0) -> Json:
        usage = {"usage": _usage(reply.so_far(part), request)} if reply.running_usage else {}
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **usage}

    yield Frame(chunk({"role": "assistant", "content": ""}))
    deltas = list(_deltas(reply, request))
    for number, delta in enumerate(deltas, 1):
        yield Frame(chunk(delta, part=number / len(deltas)), said=True)
    yield Frame(chunk({}, _finish(reply), part=1.0), ends=True)
    if (request.body.get("stream_options") or {}).get("include_usage"):
        yield Frame({**head, "choices": [], "usage": _usage(reply, request)}, ends=True)
    yield Frame("[DONE]", ends=True)


def error(fault: Fault, request: ProviderRequest) -> Json:
    """An error as OpenAI words it."""
    kind, code, message = _ERRORS[fault.name]
    text = message.format(model=request.model, key=request.key) + fault.sentence
    return {"error": {"message": text, "type": kind, "param": None, "code": code, **fault.told_wait}}


def _failed(fault: Fault, request: ProviderRequest) -> tuple[Frame, Json]:
    told = error(fault, request)["error"]
    body = {"error": {**told, "code": told["code"] or fault.status}}
    return Frame(body), body


def _openrouter_failed(fault: Fault, request: ProviderRequest) -> tuple[Frame, Json]:
    body = _openrouter_error(fault, request)
    choice = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": "error"}
    return Frame({**_head(request, "chat.completion.chunk"), **body, "choices": [choice]}), body


def _nothing(request: ProviderRequest) -> Json:
    return {**_head(request, "chat.completion"), "choices": []}


def _openrouter_error(fault: Fault, request: ProviderRequest) -> Json:
    message = error(fault, request)["error"]["message"]
    if fault.name == "out_of_credit":
        message = "Insufficient credits. Add more using https://openrouter.ai/settings/credits"
    return {"error": {"code": fault.status, "message": message, **fault.told_wait}, "user_id": None}


STATUSES = {"out_of_credit": 429}
OPENAI = Wire(_messages, _asked, _plain, _frames, error, _nothing, _failed, STATUSES)
OPENROUTER = Wire(_messages, _asked, _plain, _frames, _openrouter_error, _nothing, _openrouter_failed)
