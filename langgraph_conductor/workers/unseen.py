"""Finds model calls that are made in an empty context, where the doors of their step are not found.

In a thread or task that runs a step, such calls (`contextvars.Context().run`) are the step's, and are given its
doors. A plain thread, or a task with a context of its own, begins with an empty one, and whose it is cannot be
known: a warning, once a process, tells of model calls that a budget cannot see there. What is found everywhere is
LangChain's list of hooks: the one here gives a call a handler only where it looks like one of those.
"""

import asyncio
import threading
from collections.abc import Mapping
from contextvars import ContextVar, copy_context
from typing import Any, Final, NamedTuple, cast
from uuid import UUID
from weakref import WeakSet

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers.context import register_configure_hook

from langgraph_conductor.foreign_text import package_logger
from langgraph_conductor.workers.metering import Meter

logger = package_logger(__name__)

_UNSEEN: Final = (
    "while a step under a budget runs, a model was called in %s, which began after the step and without "
    "its context: if the step made the call, the budget does not count it. Run it by "
    "contextvars.copy_context().run, asyncio.to_thread or LangChain's ContextThreadPoolExecutor (told once)"
)


class _Began(NamedTuple):
    """What there was when a step began: none of it is the step's."""

    threads: frozenset[int | None]
    loop: asyncio.AbstractEventLoop | None
    tasks: "WeakSet[asyncio.Task[Any]]"

    @classmethod
    def now(cls) -> "_Began":
        loop = _loop()
        tasks = asyncio.all_tasks(loop) if loop else ()
        return cls(frozenset(thread.ident for thread in threading.enumerate()), loop, WeakSet(tasks))

    def is_before(self, task: "asyncio.Task[Any] | None") -> bool:
        """Whether the running thread or task is a later one."""
        if task is not None:
            return task.get_loop() is self.loop and task not in self.tasks
        is_main = threading.current_thread() is threading.main_thread()
        return not is_main and _loop() is None and threading.get_ident() not in self.threads


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
        self._steps: dict[Meter, _Began] = {}
        self._here: dict[Any, list[tuple[Meter, Mapping[type, Any]]]] = {}
        self._lock = threading.Lock()
        self._is_hooked = False
        self._teller = _Teller(self)

    def watch(self, meter: Meter) -> None:
        """A step under a budget begins."""
        if meter.ledger is None or self.told or meter in self._steps:
            return
        began = _Began.now()
        with self._lock:
            self._steps[meter] = began
            if not self._is_hooked:
                self._is_hooked = True
                register_configure_hook(cast("ContextVar[Any]", self), inheritable=True)

    def leave(self, meter: Meter) -> None:
        """It has ended."""
        with self._lock:
            self._steps.pop(meter, None)
            for place, steps in list(self._here.items()):
                left = [step for step in steps if step[0] is not meter]
                if left:
                    self._here[place] = left
                else:
                    del self._here[place]

    def enter(self, meter: Meter, doors: Mapping[type, Any]) -> None:
        """A step runs from here on in this task, or in this thread where none runs."""
        if meter.is_closed:
            return
        with self._lock:
            self._here.setdefault(_place(), []).append((meter, doors))

    def door(self, kind: type) -> Any:
        """That of the step which runs here, if the context knows of none because it is empty."""
        if not self._here or len(copy_context()):
            return None
        with self._lock:
            steps = self._here.get(_place(), ())
            return next((doors.get(kind) for meter, doors in reversed(steps) if not meter.is_closed), None)

    def get(self, default: Any = None) -> Any:
        """The handler, where a thread may have been begun by a step, without its context."""
        if self.told or not self._steps or len(copy_context()):
            return default
        place, task = _place(), _task()
        with self._lock:
            is_new = any(began.is_before(task) for began in self._steps.values())
            return self._teller if is_new and place not in self._here else default

    def tell(self, run_id: UUID) -> None:
        """A call is made there. One that was given the config of its step is seen by it."""
        with self._lock:
            steps = list(self._steps)
            if self.told or not steps or any(run_id in meter.in_flight for meter in steps):
                return
            self.told = True
        task = _task()
        where = f"task {task.get_name()!r}" if task else f"thread {threading.current_thread().name!r}"
        logger.warning(_UNSEEN, where)


def _loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _task() -> "asyncio.Task[Any] | None":
    return asyncio.current_task() if _loop() else None


def _place() -> Any:
    return _task() or threading.get_ident()


unseen: Final = UnseenCalls()
