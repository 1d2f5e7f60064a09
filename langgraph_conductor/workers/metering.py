"""Counts what every model call below one step uses, however deep it is nested."""

from threading import Lock
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.runnables import RunnableConfig

from langgraph_conductor.usage import Price, Usage, usage_of_message


class UsageMeter(BaseCallbackHandler):
    """A callback that adds up the usage of the calls made under it.

    Args:
        price: Price of every call; unknown if left out.
    """

    run_inline = True  # the sums are ready when the call returns, also under asyncio

    def __init__(self, price: Price | None = None) -> None:
        self._price = price
        self._usage = Usage()
        self._lock = Lock()

    def on_llm_end(self, response: LLMResult, **_: Any) -> None:
        """Add one call (called by LangChain)."""
        for generations in response.generations:
            for generation in generations:
                message = generation.message if isinstance(generation, ChatGeneration) else None
                metadata = message.usage_metadata if isinstance(message, AIMessage) else None
                used = usage_of_message(metadata)
                if self._price is not None and metadata:
                    used = self._price.charge(used)
                with self._lock:
                    self._usage += used

    @property
    def usage(self) -> Usage:
        """The sum so far."""
        return self._usage


def metered(config: RunnableConfig, meter: UsageMeter) -> RunnableConfig:
    """`config` under which every model call is counted by `meter`."""
    # merge_configs would not do: it lays the ambient config over this one.
    callbacks = config.get("callbacks")
    if callbacks is None or isinstance(callbacks, list):
        return {**config, "callbacks": [*(callbacks or ()), meter]}
    manager = callbacks.copy()
    manager.add_handler(meter, inherit=True)
    return {**config, "callbacks": manager}
