"""The embedded server's models, called like any OpenAI-compatible one; needs `langchain-openai`.

llama.cpp's server renders the chat template and finds the model's special tokens in the whole of it, whoever wrote
them: there is no option for messages alone (`parse_special` belongs to `/tokenize`). So no message may spell one.
"""

import json
from typing import Any, Final

from langchain_core.language_models import LanguageModelInput
from langchain_openai import ChatOpenAI

from langgraph_conductor.special_tokens import without_special_tokens
from langgraph_conductor.workers.openai_compatible import with_old_cap

_OUR_OWN: Final = ("role", "type", "id", "tool_call_id")


class EmbeddedChat(ChatOpenAI):
    """`ChatOpenAI` whose messages spell no special token."""

    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        payload: dict[str, Any] = super()._get_request_payload(input_, stop=stop, **kwargs)
        return {**with_old_cap(payload), "messages": _plain(payload["messages"])}


def _plain(part: Any) -> Any:
    if isinstance(part, str):
        return without_special_tokens(part)
    if isinstance(part, list):
        return [_plain(item) for item in part]
    if isinstance(part, dict):
        return {key: value if key in _OUR_OWN else _of_field(key, value) for key, value in part.items()}
    return part


def _of_field(key: str, value: Any) -> Any:
    if key == "arguments" and isinstance(value, str):  # of a tool call: JSON, which has its own backslashes
        try:
            return json.dumps(_plain(json.loads(value)), ensure_ascii=False)
        except (ValueError, RecursionError):
            pass
    return _plain(value)
