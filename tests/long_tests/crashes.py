"""A crash of a run whose saver is in memory: a kill would lose the saver too, so all that the run does fails instead.

From one moment on every save and every call raises what nothing catches; what the saver held before is all there is.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver

from tests.long_tests.calls import Call, Calls, read
from tests.long_tests.kills import Kill, outcome
from tests.long_tests.savers import saved
from tests.long_tests.team import conductor


class DeadError(BaseException):
    """The process would be dead."""


class Life:
    """Counts what a run does, each save and each call's beginning and end, and ends it.

    Args:
        until: How many it does; `None` for all.
    """

    def __init__(self, until: int | None = None) -> None:
        self.until, self.done = until, 0
        self._lock = Lock()

    def goes_on(self) -> None:
        """Count one more.

        Raises:
            DeadError: If the run is over.
        """
        with self._lock:
            if self.until is not None and self.done >= self.until:
                raise DeadError
            self.done += 1


class MortalSaver(InMemorySaver):
    """A saver in memory that saves nothing after the end of a life."""

    life = Life()

    def put(self, *args: Any, **kwargs: Any) -> Any:
        self.life.goes_on()
        return super().put(*args, **kwargs)

    def put_writes(self, config: Any, writes: Any, task_id: str, task_path: str = "") -> None:
        self.life.goes_on()
        super().put_writes(config, writes, task_id, task_path)


@dataclass(frozen=True)
class MortalCalls(Calls):
    """Calls that are not made after the end of a life."""

    life: Life = field(default_factory=Life)

    def _write(self, call: Call, what: str) -> None:
        self.life.goes_on()
        super()._write(call, what)


def crash(
    place: Path, name: str, until: int | None, *, awaited: bool, added: bool = False
) -> tuple[Kill | None, int]:
    """Crash a run and finish it.

    Args:
        place: A folder for the log.
        name: Of the log.
        until: After how many saves, and beginnings and ends of calls, it crashes.
        awaited: Whether by `ainvoke`.
        added: Whether the conductor is a node of another graph.

    Returns:
        What came of it, `None` if nothing was called by then, and how much the first life did.
    """
    log, saver, config = place / f"{name}.log", MortalSaver(), {"configurable": {"thread_id": "one"}}

    def live(process: str, life: Life, given: Any) -> Any:
        saver.life = life
        calls = MortalCalls(log, process, seconds=0.001, life=life)
        graph = conductor(calls, saver, awaited=awaited, added=added)
        if awaited:
            asyncio.run(graph.ainvoke(given, config, durability="sync"))
        else:
            graph.invoke(given, config, durability="sync")
        return graph

    life = Life(until)
    with suppress(DeadError):
        live("first", life, {"messages": [{"role": "user", "content": "What is it?"}]})
    if not log.exists():
        return None, life.done
    before = saved(saver, "one")
    graph = live("second", Life(), None)
    finished, marked = outcome(graph.get_state(config))
    return Kill(before, tuple(read(log)), "first", finished, marked), life.done
