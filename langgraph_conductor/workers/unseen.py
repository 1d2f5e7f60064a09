"""Warns, once a process, of model calls that a budget cannot see.

A plain thread begins with an empty context, so the doors of the step it is started in are not found there. What
is found everywhere is LangChain's list of hooks: the one here gives a call a handler only where the call looks
like one of those. Nothing is counted or changed, and other calls are left as they are.
"""

import asyncio
import threading
from contextvars import ContextVar, copy_context
from typing import Any, Final, cast
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers.context import register_configure_hook

from langgraph_conductor.foreign_text import package_logger
from langgraph_conductor.workers.metering import Meter

logger = package_logger(__name__)

_UNSEEN: Final = (
    "while a step under a budget runs, a model was called in thread %r, which began after the step and without "
    "its context: if the step made the call, the budget does not count it. Run it by "
    "contextvars.copy_context().run, asyncio.to_thread or LangChain's ContextThreadPoolExecutor (told once)"
)


class _Teller(BaseCallbackHandler):
    """Is told of model calls in threads that a step may have begun."""

    run_inline = True
    ignore_chain = ignore_agent = ignore_retriever = ignore_retry = ignore_custom_event = True

    def __init__(self, hook: "UnseenCalls") -> None:
        self.hook = hook

    def on_chat_model_start(self, serialized: Any, messages: Any, *, run_id: UUID, **_: Any) -> None:
        """A call begins (called by LangChain)."""
        self.hook.tell(run_id)

    def on_llm_start(self, serialized: Any, prompts: Any, *, run_id: UUID, **_: Any) -> None:
        """The same of a model that is no chat model."""
        self.hook.tell(run_id)


class UnseenCalls:
    """What LangChain takes for a context variable, and asks for a handler whenever something is called."""

    def __init__(self) -> None:
        self.told = False
        self._steps: dict[Meter, frozenset[int | None]] = {}
        self._lock = threading.Lock()
        self._is_hooked = False
        self._teller = _Teller(self)

    def watch(self, meter: Meter) -> None:
        """A step under a budget begins."""
        if meter.ledger is None or self.told or meter in self._steps:
            return
        known = frozenset(thread.ident for thread in threading.enumerate())
        with self._lock:
            self._steps[meter] = known
            if not self._is_hooked:
                self._is_hooked = True
                register_configure_hook(cast("ContextVar[Any]", self), inheritable=True)

    def leave(self, meter: Meter) -> None:
        """It has ended."""
        with self._lock:
            self._steps.pop(meter, None)

    def get(self, default: Any = None) -> Any:
        """The handler, where a thread may have been begun by a step, without its context."""
        if self.told or not self._steps or threading.current_thread() is threading.main_thread():
            return default
        return self._teller if len(copy_context()) == 0 and not _runs_loop() and self._is_new() else default

    def _is_new(self) -> bool:
        with self._lock:
            return any(threading.get_ident() not in known for known in self._steps.values())

    def tell(self, run_id: UUID) -> None:
        """A call is made there. One that was given the config of its step is seen by it."""
        with self._lock:
            steps = list(self._steps)
            if self.told or not steps or any(run_id in meter.in_flight for meter in steps):
                return
            self.told = True
        logger.warning(_UNSEEN, threading.current_thread().name)


def _runs_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


unseen: Final = UnseenCalls()
