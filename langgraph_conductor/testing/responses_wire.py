"""OpenAI's Responses API.

Source: https://platform.openai.com/docs/api-reference/responses
"""

from collections.abc import Callable, Iterator
from typing import Any

from langgraph_conductor.testing.answers import FakeReply, pieces
from langgraph_conductor.testing.faults import Fault
from langgraph_conductor.testing.openai_wire import STATUSES, error
from langgraph_conductor.testing.requests import AskedForm, ProviderRequest, text_of
from langgraph_conductor.testing.wire import Frame, Json, Wire


def _messages(body: Json) -> Iterator[tuple[str, str]]:
    if body.get("instructions"):
        yield "system", body["instructions"]
    asked = body.get("input", ())
    if isinstance(asked, str):
        yield "user", asked
        return
    for item in asked:
        yield item.get("role", ""), text_of(item.get("content"))


def _asked(body: Json) -> AskedForm | None:
    form = (body.get("text") or {}).get("format") or {}
    if form.get("type") == "json_schema":
        return AskedForm(form["schema"])
    choice = body.get("tool_choice")
    name = choice.get("name") if isinstance(choice, dict) else None
    for tool in body.get("tools", ()):
        if tool["type"] == "function" and tool["name"] == name:
            return AskedForm(tool.get("parameters", {}), name)
    return None


def _items(reply: FakeReply, request: ProviderRequest) -> Iterator[Json]:
    if reply.reasoning:
        summary = [{"type": "summary_text", "text": reply.reasoning}]
        yield {"id": f"rs_{request.number}", "type": "reasoning", "summary": summary}
    part: Json | None = None
    if reply.refusal:
        part = {"type": "refusal", "refusal": reply.refusal}
    elif reply.text or not reply.tool_calls:
        part = {"type": "output_text", "text": reply.text, "annotations": [], "logprobs": []}
    if part is not None:
        yield {
            "id": f"msg_{request.number}", "type": "message", "role": "assistant",
            "status": "completed", "content": [part],
        }  # fmt: skip
    for position, call in enumerate(reply.tool_calls):
        yield {
            "id": f"fc_{request.number}_{position}", "type": "function_call", "status": "completed",
            "call_id": call.id_or(f"call_{request.number}_{position}"),
            "name": call.name, "arguments": call.sent,
        }  # fmt: skip


_SHORT = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Why a reply is incomplete."""


def _plain(reply: FakeReply, request: ProviderRequest) -> Json:
    short = _SHORT.get(reply.finish)
    return {
        "id": f"resp_{request.number}", "object": "response", "created_at": 1, "model": request.model,
        "status": "incomplete" if short else "completed",
        "incomplete_details": {"reason": short} if short else None,
        "error": None, "instructions": None, "metadata": {}, "parallel_tool_calls": True,
        "tool_choice": "auto", "tools": [],
        "output": list(_items(reply, request)),
        "usage": {
            "input_tokens": reply.input_tokens,
            "input_tokens_details": {"cached_tokens": reply.cached_tokens},
            "output_tokens": reply.output_tokens,
            "output_tokens_details": {"reasoning_tokens": reply.reasoning_tokens},
            "total_tokens": reply.input_tokens + reply.output_tokens,
        },
    }  # fmt: skip


def _frames(reply: FakeReply, request: ProviderRequest) -> Iterator[Frame]:
    whole = _plain(reply, request)
    opening = {**whole, "status": "in_progress", "incomplete_details": None, "output": [], "usage": None}
    events: list[Json] = [{"type": "response.created", "response": opening}]
    for index, item in enumerate(whole["output"]):
        events += [{**event, "output_index": index} for event in _item_events(item)]
    end = "response.incomplete" if reply.finish in _SHORT else "response.completed"
    events.append({"type": end, "response": whole})
    for number, event in enumerate(events):
        kind = event["type"]
        data = {**event, "sequence_number": number}
        yield Frame(data, event=kind, said=kind.endswith(".delta"), ends=kind == end)


def _nothing(request: ProviderRequest) -> Json:
    return {**_plain(FakeReply(), request), "output": [], "usage": None}


def _failed(fault: Fault, request: ProviderRequest) -> tuple[Frame, Json]:
    told = error(fault, request)["error"]
    why = {"code": told["code"] or "server_error", "message": told["message"]}
    body = {**_nothing(request), "status": "failed", "error": why}
    return Frame(
        {"type": "response.failed", "response": body, "sequence_number": 99}, event="response.failed"
    ), body


def _item_events(item: Json) -> Iterator[Json]:
    bare, inner = _PARTS[item["type"]]
    yield {"type": "response.output_item.added", "item": {**item, **bare}}
    yield from ({**event, "item_id": item["id"]} for event in inner(item))
    yield {"type": "response.output_item.done", "item": item}


def _message_events(item: Json) -> Iterator[Json]:
    part = item["content"][0]
    field = "refusal" if part["type"] == "refusal" else "text"
    name = f"response.{part['type']}"
    at: dict[str, Any] = {"content_index": 0}
    yield {"type": "response.content_part.added", "part": {**part, field: ""}, **at}
    for piece in pieces(part[field]):
        yield {"type": f"{name}.delta", "delta": piece, "logprobs": [], **at}
    yield {"type": f"{name}.done", field: part[field], "logprobs": [], **at}
    yield {"type": "response.content_part.done", "part": part, **at}


def _reasoning_events(item: Json) -> Iterator[Json]:
    part = item["summary"][0]
    name = "response.reasoning_summary"
    at: dict[str, Any] = {"summary_index": 0}
    yield {"type": f"{name}_part.added", "part": {**part, "text": ""}, **at}
    for piece in pieces(part["text"]):
        yield {"type": f"{name}_text.delta", "delta": piece, **at}
    yield {"type": f"{name}_text.done", "text": part["text"], **at}
    yield {"type": f"{name}_part.done", "part": part, **at}


def _call_events(item: Json) -> Iterator[Json]:
    name, arguments = "response.function_call_arguments", item["arguments"]
    half = len(arguments) // 2
    for piece in (arguments[:half], arguments[half:]):
        yield {"type": f"{name}.delta", "delta": piece}
    yield {"type": f"{name}.done", "arguments": arguments, "name": item["name"]}


_PARTS: dict[str, tuple[Json, Callable[[Json], Iterator[Json]]]] = {  # how an item begins, and its events
    "message": ({"content": [], "status": "in_progress"}, _message_events),
    "reasoning": ({"summary": []}, _reasoning_events),
    "function_call": ({"arguments": "", "status": "in_progress"}, _call_events),
}

RESPONSES = Wire(_messages, _asked, _plain, _frames, error, _nothing, _failed, STATUSES)
