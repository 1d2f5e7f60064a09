"""Whether a model's reply is whole: its stream came to its end, and its limit of tokens did not cut it.

Decided by the marks of those wires whose replies always bear one. Fakes, and chat models of one's own, may bear
none.
"""

from collections.abc import Mapping
from typing import Any, Final

from langchain_core.messages import AIMessage, BaseMessage

from langgraph_conductor.replies import reply_text
from langgraph_conductor.usage import count, mapping
from langgraph_conductor.workers.failures import CutOffError, EmptyReplyError

_OPENAI: Final = frozenset({"openai", "azure", "vllm", "sglang", "llamacpp", "ollama", "openai_compatible"})
_ENDS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(_OPENAI, ("finish_reason", "status")),  # `status` is that of the Responses API
    "openrouter": ("finish_reason",),
    "anthropic": ("stop_reason",),
    "google_genai": ("finish_reason", "prompt_feedback"),
}
"""By the provider of a message: what of its metadata comes with the end of a stream, and in every whole reply."""
_BROKEN_OFF: Final = frozenset({"error", "abort", "cancelled", "failed", "in_progress", "queued"})
"""Ends that say themselves that the server did not go on."""
_LIMITS: Final = frozenset({"length", "max_tokens", "max_output_tokens", "model_length"})
"""Ends at the limit of output tokens: OpenAI's and Ollama's, Anthropic's and Google's, of Responses, Mistral's."""


def end_of(message: BaseMessage) -> str:
    """Why the reply ended, in the provider's word, in lower case; empty if it does not say."""
    about = mapping(message.response_metadata)
    incomplete = mapping(about.get("incomplete_details")).get("reason")
    for told in (
        incomplete,
        *(about.get(name) for name in ("stop_reason", "finish_reason", "done_reason", "stopReason")),
    ):
        if isinstance(told, str) and told:
            return told.lower()
    status = about.get("status")
    return status.lower() if isinstance(status, str) else ""


def cut_off(message: BaseMessage, provider: str = "") -> CutOffError | None:
    """Why a reply is not whole through a fault of the server or the connection; `None` if nothing shows that.

    Args:
        message: The reply.
        provider: Who gave it (`ls_provider`), where the message itself does not say.
    """
    if not isinstance(message, AIMessage):
        return None
    about = mapping(message.response_metadata)
    if (end := end_of(message)) in _BROKEN_OFF:
        return CutOffError(f"the server broke the reply off (its end says {end!r})")
    named = about.get("model_provider")
    marks = _ENDS.get(named if isinstance(named, str) else provider)
    if marks is None or any(mark in about for mark in marks):
        return None
    if named is None and (message.content or message.tool_calls or message.usage_metadata):
        return None  # of a model that is made of others, or of no wire at all
    if not message.content and not message.tool_calls and not message.invalid_tool_calls:
        return CutOffError("the server sent no reply: neither text nor the reason why there is none")
    return CutOffError("the reply was cut off: its stream ended without saying that it is over")


def check_whole(message: Any, provider: str = "") -> None:
    """Refuse a reply that was cut off.

    Raises:
        CutOffError: If the server or the connection broke it off.
    """
    if isinstance(message, BaseMessage) and (fault := cut_off(message, provider)) is not None:
        raise fault


def is_at_limit(message: BaseMessage) -> bool:
    """Whether the reply ended since it reached its limit of output tokens."""
    return end_of(message) in _LIMITS


def limit_note(output_tokens: int) -> str:
    """The words for a reply that was cut at its limit.

    Args:
        output_tokens: What it used; 0 if that is not known.
    """
    used = f" of {output_tokens:,} tokens" if output_tokens else ""
    return f"the reply was cut at its limit{used}; a higher max_tokens gives it room"


def no_answer(message: BaseMessage | None) -> EmptyReplyError:
    """Why a reply without an answer is without one."""
    if message is None or not isinstance(message, AIMessage):
        return EmptyReplyError("the worker replied without any text")
    if is_at_limit(message):
        used = mapping(message.usage_metadata)
        spent, thought = count(used.get("output_tokens")), _thought(used)
        tokens = f" of {spent:,} tokens" if spent else ""
        by = f", {thought:,} of them on reasoning," if thought else ""
        return EmptyReplyError(
            f"the reply reached its limit{tokens}{by} before it held any text; raise max_tokens, or let the model "
            "reason less"
        )
    if message.tool_calls:
        names = ", ".join(sorted({call["name"] for call in message.tool_calls}))
        return EmptyReplyError(
            f"the reply calls a tool ({names}) and gives no answer; the worker needs the tool itself (`tools=`)"
        )
    end = end_of(message)
    why = f" (it ended with {end!r})" if end and end not in ("stop", "end_turn", "completed") else ""
    return EmptyReplyError(f"the worker replied without any text{why}")


def _thought(used: Mapping[str, Any]) -> int:
    return count(mapping(used.get("output_token_details")).get("reasoning"))


def text_in(message: BaseMessage) -> str:
    """The text of a message as an answer has it; empty where it only calls tools."""
    return "" if isinstance(message, AIMessage) and message.tool_calls else reply_text(message)
