"""What a planner's model said, whatever form it, or the chain it is part of, gave it."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from langchain_core.messages import AIMessage, BaseMessage, convert_to_messages
from pydantic import BaseModel

from langgraph_conductor.replies import storable
from langgraph_conductor.usage import Usage, mapping, usage_of_message
from langgraph_conductor.workers.whole_replies import check_whole
from langgraph_conductor.workflow import Workflow, literal


class Said(NamedTuple):
    """One reply.

    Args:
        text: Its words; where it is an object or calls a tool, that as JSON.
        usage: What it used.
        tool: The tool it called, which nobody runs.
    """

    text: str
    usage: Usage
    tool: str = ""


def said_in(reply: Any) -> Said:
    """What was said: by a message, or a state, object or workflow that a chain ends with.

    Its text can be stored and sent back: halves of surrogate pairs and NUL are replaced.

    Raises:
        CutOffError: If the message shows that it is not whole.
    """
    said = _said_in(reply)
    return said._replace(text=storable(said.text), tool=storable(said.tool))


def _said_in(reply: Any) -> Said:
    message, parsed = _message_and_object(reply)
    check_whole(message)
    usage = usage_of_message(getattr(message, "usage_metadata", None))
    if isinstance(parsed, Workflow):
        return Said(literal(parsed.to_json()), usage)
    if parsed is not None:  # some models give the object beside other text
        return Said(_json(parsed), usage)
    if not isinstance(message, BaseMessage):
        return Said(message if isinstance(message, str) else "", usage)
    calls = _tool_calls(message)
    text = "\n\n".join([part for part in (str(message.text), *(args for _, args in calls)) if part.strip()])
    return Said(text, usage, calls[0][0] if calls else "")


def said_before_cut(error: Exception) -> Said | None:
    """The reply inside the openai client's error for structured output that hit the length limit.

    That client raises instead of returning what there is (openai.LengthFinishReasonError).
    """
    completion = getattr(error, "completion", None)
    if type(error).__name__ != "LengthFinishReasonError" or completion is None:
        return None
    used = completion.usage
    tokens = {"input_tokens": used.prompt_tokens, "output_tokens": used.completion_tokens} if used else {}
    return Said(storable(completion.choices[0].message.content or ""), usage_of_message(tokens))


def _message_and_object(reply: Any) -> tuple[Any, Any]:
    """What was said, and the object that was made of it, by a model or by what a chain ends with."""
    if isinstance(reply, Mapping) and "messages" in reply:  # a graph's state
        reply = reply["messages"]
    if isinstance(reply, list):
        with suppress(ValueError, NotImplementedError):
            reply = convert_to_messages(reply)
        return next((said for said in reversed(reply) if isinstance(said, AIMessage)), None), None
    if isinstance(reply, Mapping) and "role" in reply and "content" in reply:
        with suppress(ValueError, NotImplementedError):
            return convert_to_messages([dict(reply)])[0], None
    if isinstance(reply, Mapping):  # of `include_raw`, or a parser's
        return (reply["raw"], reply.get("parsed")) if "raw" in reply else (None, reply)
    if isinstance(reply, Workflow) or (isinstance(reply, BaseModel) and not isinstance(reply, BaseMessage)):
        return None, reply
    return reply, None


def _tool_calls(message: BaseMessage) -> list[tuple[str, str]]:
    """The name and arguments of every call, also of such whose arguments LangChain could not read."""
    calls = [
        (str(call.get("name") or ""), args if isinstance(args, str) else _json(args))
        for call in (*getattr(message, "tool_calls", ()), *getattr(message, "invalid_tool_calls", ()))
        if (args := call.get("args"))
    ]
    if calls:
        return calls
    raw = message.additional_kwargs.get("tool_calls")
    functions = [mapping(mapping(call).get("function")) for call in (raw if isinstance(raw, list) else ())]
    functions.append(mapping(message.additional_kwargs.get("function_call")))
    return [
        (str(function.get("name") or ""), args)
        for function in functions
        if isinstance(args := function.get("arguments"), str) and args
    ]


def _json(value: Any) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseMessage):
        return str(value.text)
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return (
        dict(value)
        if isinstance(value, Mapping)
        else value
        if isinstance(value, list | str)
        else str(value)
    )
