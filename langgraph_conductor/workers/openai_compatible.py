"""Servers that speak OpenAI's Chat Completions: vLLM, SGLang, llama.cpp, Ollama.

Needs `langchain-openai`; imported only where such a model is used.
"""

from typing import Any

from langchain_core.language_models import LangSmithParams
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI

_REASONING = ("reasoning", "reasoning_content")  # vLLM's name since 0.11; DeepSeek's, SGLang's, llama.cpp's


class CompatibleChat(ChatOpenAI):
    """`ChatOpenAI` that keeps the reasoning such servers send and names them in traces.

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


def _thought(holder: dict[str, Any]) -> str:
    return next((holder[name] for name in _REASONING if isinstance(holder.get(name), str)), "")
