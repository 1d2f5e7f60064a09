"""Servers that speak OpenAI's Chat Completions: vLLM, SGLang, llama.cpp, Ollama.

Needs `langchain-openai`; imported only where such a model is used.
"""

import re
from typing import Any, Final

from langchain_core.language_models import LangSmithParams, LanguageModelInput
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI

_REASONING = ("reasoning", "reasoning_content")  # vLLM's name since 0.11; DeepSeek's, SGLang's, llama.cpp's

_OPENAIS_OWN: Final = re.compile(r"(openai/)?(o\d|gpt-[5-9])")
"""Models that refuse `max_tokens`, behind a gateway that may pass on what it is sent."""


class CompatibleChat(ChatOpenAI):
    """`ChatOpenAI` that keeps the reasoning such servers send, names them in traces, and sends caps they honour.

    The output cap is sent as `max_tokens`, which all of them know. `max_completion_tokens`, which `ChatOpenAI`
    sends, is ignored by Ollama, by llama.cpp before 2026-02 and by vLLM before 0.6.3; some servers refuse both at
    once.

    Reasoning is in `additional_kwargs["reasoning_content"]`, as in LangChain's DeepSeek package, and so in
    `content_blocks`; it is no part of the text.

    Args:
        server: What kind of server it is, such as `"vllm"`.
    """

    server: str = "openai_compatible"

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = self.server
        return params

    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        payload: dict[str, Any] = super()._get_request_payload(input_, stop=stop, **kwargs)
        if self.server == "openai_compatible" and _OPENAIS_OWN.match(str(payload.get("model"))):
            return payload
        return with_old_cap(payload)

    def _create_chat_result(
        self, response: dict[str, Any] | Any, generation_info: dict[str, Any] | None = None
    ) -> ChatResult:
        result = super()._create_chat_result(response, generation_info)
        data = response if isinstance(response, dict) else response.model_dump()
        for generation, choice in zip(result.generations, data.get("choices") or (), strict=False):
            self._keep(choice.get("message") or {}, generation.message)
        return result

    def _convert_chunk_to_generation_chunk(
        self,
        chunk: dict[str, Any],
        default_chunk_class: type[Any],
        base_generation_info: dict[str, Any] | None,
    ) -> ChatGenerationChunk | None:
        generation = super()._convert_chunk_to_generation_chunk(
            chunk, default_chunk_class, base_generation_info
        )
        choices = chunk.get("choices") or ()
        if generation:
            delta = (choices[0].get("delta") or {}) if choices else {}
            self._keep(delta, generation.message)
            if isinstance(
                refusal := delta.get("refusal"), str
            ):  # ChatOpenAI keeps it only of whole replies
                generation.message.additional_kwargs["refusal"] = refusal
        return generation

    def _get_generation_chunk_from_completion(self, completion: Any) -> ChatGenerationChunk:
        chunk = super()._get_generation_chunk_from_completion(completion)
        chunk.message.response_metadata["model_provider"] = (
            self.server
        )  # two of them would be joined into one word
        return chunk

    def _keep(self, sent: dict[str, Any], message: BaseMessage) -> None:
        message.response_metadata["model_provider"] = self.server  # as "openai" its reasoning is not read
        if thought := _thought(sent):
            message.additional_kwargs["reasoning_content"] = thought


def with_old_cap(payload: dict[str, Any]) -> dict[str, Any]:
    """A Chat Completions request whose output cap has the name that every server honours."""
    if "max_completion_tokens" not in payload:
        return payload
    cap = payload["max_completion_tokens"]
    rest = {name: value for name, value in payload.items() if name != "max_completion_tokens"}
    return {**rest, "max_tokens": cap}


def _thought(holder: dict[str, Any]) -> str:
    return next((holder[name] for name in _REASONING if isinstance(holder.get(name), str)), "")
