"""Google's Gemini API: `generateContent` and `streamGenerateContent`.

Its `candidatesTokenCount` leaves out the thoughts.

Source: https://ai.google.dev/api/generate-content
"""

from collections.abc import Iterator

from langgraph_conductor.testing.answers import FakeReply, pieces
from langgraph_conductor.testing.faults import Fault
from langgraph_conductor.testing.requests import AskedForm, ProviderRequest, text_of
from langgraph_conductor.testing.wire import Frame, Json, Wire

_ERRORS = {  # fault: status in words, message
    "rate_limited": ("RESOURCE_EXHAUSTED", "You exceeded your current quota."),
    "server_error": ("INTERNAL", "An internal error has occurred."),
    "overloaded": ("UNAVAILABLE", "The model is overloaded. Please try again later."),
    "unknown_model": ("NOT_FOUND", "models/{model} is not found for API version v1beta."),
    "context_too_long": (
        "INVALID_ARGUMENT",
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    ),
    "out_of_credit": (
        "RESOURCE_EXHAUSTED",
        "Your prepayment credits are depleted. Please check your billing account.",
    ),
    "schema_refused": (
        "INVALID_ARGUMENT",
        "The specified schema produces a constraint that has too many states.",
    ),
    "system_role_refused": ("INVALID_ARGUMENT", "Developer instruction is not enabled for models/{model}"),
    "broken_off": ("INTERNAL", "An internal error has occurred."),
    "bad_key": ("UNAUTHENTICATED", "API key not valid: {key}. Please pass a valid API key."),
}


def _messages(body: Json) -> Iterator[tuple[str, str]]:
    if body.get("systemInstruction"):
        yield "system", text_of(body["systemInstruction"].get("parts"))
    for content in body.get("contents", ()):
        yield content.get("role", "user"), text_of(content.get("parts"))


def _asked(body: Json) -> AskedForm | None:
    config = body.get("generationConfig") or {}
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    if schema:
        return AskedForm(schema)
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    allowed = calling.get("allowedFunctionNames") or ()
    for tool in body.get("tools", ()):
        for function in tool.get("functionDeclarations", ()):
            if calling.get("mode") == "ANY" and function["name"] in allowed:
                schema = function.get("parametersJsonSchema") or function.get("parameters") or {}
                return AskedForm(schema, function["name"])
    return None


def _parts(reply: FakeReply, request: ProviderRequest, *, streamed: bool) -> Iterator[Json]:
    cut = pieces if streamed else lambda text: [text] if text else []
    yield from ({"text": piece, "thought": True} for piece in cut(reply.reasoning))
    yield from ({"text": piece} for piece in cut(reply.text))
    for position, call in enumerate(reply.tool_calls):
        if call.arguments is not None:  # what the model wrote is not shown
            continue
        number = call.id_or(f"call_{request.number}_{position}")
        named = {"id": number} if number else {}
        yield {"functionCall": {**named, "name": call.name, "args": dict(call.args)}}


def _reply(parts: list[Json], request: ProviderRequest, usage: Json, end: Json) -> Json:
    content = {"content": {"role": "model", "parts": parts}} if parts else {}
    return {
        "candidates": [{**content, "index": 0, **end}],
        "modelVersion": request.model,
        "responseId": f"response-{request.number}",
        "usageMetadata": usage,
    }


def _end(reply: FakeReply) -> Json:
    if reply.refusal:
        return {"finishReason": "SAFETY", "finishMessage": reply.refusal}
    if any(call.arguments is not None for call in reply.tool_calls):
        return {"finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": "Malformed function call"}
    return {"finishReason": {"length": "MAX_TOKENS", "content_filter": "SAFETY"}.get(reply.finish, "STOP")}


def _usage(reply: FakeReply) -> Json:
    return {
        "promptTokenCount": reply.input_tokens,
        "cachedContentTokenCount": reply.cached_tokens,
        "candidatesTokenCount": reply.output_tokens - reply.reasoning_tokens,
        "thoughtsTokenCount": reply.reasoning_tokens,
        "totalTokenCount": reply.input_tokens + reply.output_tokens,
    }


def _plain(reply: FakeReply, request: ProviderRequest) -> Json:
    return _reply(list(_parts(reply, request, streamed=False)), request, _usage(reply), _end(reply))


def _frames(reply: FakeReply, request: ProviderRequest) -> Iterator[Frame]:
    so_far = {"promptTokenCount": reply.input_tokens, "totalTokenCount": reply.input_tokens}
    parts = list(_parts(reply, request, streamed=True))
    for number, part in enumerate(parts, 1):
        usage = _usage(reply.so_far(number / len(parts))) if reply.running_usage else so_far
        yield Frame(_reply([part], request, usage, {}), said=True)
    yield Frame(_reply([], request, _usage(reply), _end(reply)), ends=True)


def _error(fault: Fault, request: ProviderRequest) -> Json:
    status, message = _ERRORS[fault.name]
    text = message.format(model=request.model, key=request.key) + fault.sentence
    wait = {"retryDelay": f"{fault.retry_after:g}s"} if fault.told_wait else {}
    info = {"details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", **wait}]} if wait else {}
    return {"error": {"code": GEMINI.status(fault), "message": text, "status": status, **info}}


def _failed(fault: Fault, request: ProviderRequest) -> tuple[Frame, Json]:
    body = _error(fault, request)
    return Frame(body), body


def _nothing(request: ProviderRequest) -> Json:
    return {"candidates": [], "modelVersion": request.model, "usageMetadata": {"promptTokenCount": 1}}


GEMINI = Wire(_messages, _asked, _plain, _frames, _error, _nothing, _failed, {"out_of_credit": 429})
