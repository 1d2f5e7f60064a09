"""Keeps keys out of traces: some providers repeat the key in their errors, and tracers tell errors in full."""

from collections.abc import Iterable
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.outputs import ChatGeneration, LLMResult
from pydantic import BaseModel

from langgraph_conductor.workers.failures import redacted


def redact(error: BaseException, secrets: Iterable[str] = ()) -> None:
    """Take keys out of what `error` and its causes say, in place: tracers and tracebacks show it as it is.

    An exception that makes its text of other things than its `args` and attributes keeps it.

    Args:
        error: The exception.
        secrets: Keys that are known; what looks like one goes too, see `redacted`.
    """
    secrets = tuple(secrets)
    waiting, seen = [error], set[int]()
    while waiting:
        told = waiting.pop()
        if id(told) in seen:
            continue
        seen.add(id(told))
        told.args = tuple(_redacted_data(arg, secrets) for arg in told.args)
        vars(told).update(_redacted_data(vars(told), secrets))
        waiting += [cause for cause in (told.__cause__, told.__context__) if cause is not None]


class Redactor(BaseCallbackHandler):
    """Takes keys out of every error. It has to stand before the tracers.

    Args:
        secrets: Keys that are known.
    """

    run_inline = True  # under asyncio too it is over before the tracers are told

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self._secrets = secrets

    def __hash__(self) -> int:
        # LangChain and LangGraph merge handlers through a set (`BaseCallbackManager.merge`), which keeps no
        # order but this: what is put in first, with hash 0, comes out first.
        return 0

    def on_chat_model_start(self, *_: Any, **__: Any) -> None:
        """Nothing; without it LangChain would write the prompt as text, to call `on_llm_start`."""

    def on_llm_error(self, error: BaseException, *, response: LLMResult | None = None, **_: Any) -> None:
        """A model call has failed; LangChain adds the provider's response."""
        redact(error, self._secrets)
        for generations in response.generations if response else ():
            for generation in generations:
                if isinstance(generation, ChatGeneration):
                    about = generation.message.response_metadata
                    generation.message.response_metadata = _redacted_data(about, self._secrets)

    def on_chain_error(self, error: BaseException, **_: Any) -> None:
        """Something else has failed."""
        redact(error, self._secrets)

    on_tool_error = on_retriever_error = on_chain_error


def _redacted_data(data: Any, secrets: tuple[str, ...]) -> Any:
    """`data` with every text in it `redacted`, as far as it is of JSON or of pydantic."""
    if isinstance(data, str):
        return redacted(data, secrets)
    if isinstance(data, dict):
        return {name: _redacted_data(value, secrets) for name, value in data.items()}
    if isinstance(data, list):
        return [_redacted_data(value, secrets) for value in data]
    if isinstance(data, BaseModel):  # parsed error bodies
        vars(data).update(_redacted_data(vars(data), secrets))
    return data
