"""Processes that grade: graders that may hang, crash or not run in threads are run in one of them.

math-verify sets alarms, which works in a main thread alone, and both SymPy and scorers of reasoning-gym can be
made to compute for ever. A process has a main thread of its own and can be killed.
"""

import atexit
import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from queue import LifoQueue
from typing import Any, Final

from langgraph_conductor.errors import GraderError

SECONDS: Final = 10.0
"""A grading that takes longer is cut off. A process' first, which loads the libraries, has `START` more."""

START: Final = 60.0
_PROGRAM: Final = Path(__file__).with_name("_worker.py")
_KEPT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "SYSTEMROOT", "TMPDIR", "TEMP", "TMP")


class GradingProcess:
    """One process; one request at a time.

    Raises:
        GraderError: If it cannot be started.
    """

    def __init__(self) -> None:
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}  # no keys
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        environment["OMP_NUM_THREADS"] = environment["OPENBLAS_NUM_THREADS"] = "1"
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-P", str(_PROGRAM)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                encoding="utf-8",
                start_new_session=True,
            )
        except OSError as error:
            raise GraderError(f"a grading process cannot be started: {error}") from error
        self._called: set[str] = set()
        ready = None
        try:
            ready = self.ask("ping", {}, START)
        finally:
            if not ready:
                self.close()
        if not ready:
            raise GraderError(f"a grading process ended at once; try: {sys.executable} -P {_PROGRAM}")

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it is no more."""
        return self._process.poll() is not None

    def ask(self, call: str, arguments: dict[str, Any], seconds: float) -> bool | None:
        """What it says; `False` if it was late and so was ended, `None` if it ended by itself.

        Raises:
            GraderError: If the grader failed for another reason than the answer.
        """
        limit = seconds + (0 if call in self._called else START)
        self._called.add(call)
        request = json.dumps({"call": call, "with": arguments, "seconds": int(limit)})
        late = threading.Event()

        def cut_off() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(limit, cut_off)
        timer.daemon = True
        timer.start()
        pipe_in, pipe_out = self._process.stdin, self._process.stdout
        line = ""
        try:
            with suppress(OSError, ValueError):  # it has ended
                if pipe_in and pipe_out:
                    pipe_in.write(request + "\n")
                    pipe_in.flush()
                    line = pipe_out.readline()
        finally:
            timer.cancel()
        if not line.endswith("\n"):
            self.close()
            return False if late.is_set() else None
        reply = json.loads(line)
        if "error" in reply:
            raise GraderError(f"grader {call!r} failed: {reply['error']}")
        return bool(reply["right"])

    def close(self) -> None:
        """End it."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if pipe:
                    pipe.close()
        self._process.wait()


class Pool:
    """A few processes, started when first needed, used again, replaced when they end. Safe in threads.

    Args:
        size: How many at most.
    """

    def __init__(self, size: int = 2) -> None:
        self._free: LifoQueue[GradingProcess | None] = LifoQueue()
        self._all: set[GradingProcess] = set()
        self._owner = os.getpid()
        for _ in range(size):
            self._free.put(None)

    def ask(self, call: str, arguments: dict[str, Any], seconds: float = SECONDS) -> bool:
        """What a process says; `False` if the answer makes it late, or makes it crash twice.

        Raises:
            GraderError: If no process can be started, or the grader failed for another reason than the answer.
        """
        process = self._free.get()
        try:
            for _ in range(2):
                if process is None or process.ended:
                    process = self._started(process)
                said = process.ask(call, arguments, seconds)
                if said is not None:
                    return said
            return False
        except GraderError:
            raise
        except BaseException:  # Ctrl-C: its reply may still come, and must not be taken for the next one's
            if process:
                process.close()
            raise
        finally:
            self._free.put(process)

    def _started(self, instead: GradingProcess | None) -> GradingProcess:
        process = GradingProcess()
        self._all.discard(instead)
        self._all.add(process)
        return process

    @property
    def pids(self) -> tuple[int, ...]:
        """The ids of the processes that were started and not ended."""
        return tuple(process.pid for process in self._all if not process.ended)

    def close(self) -> None:
        """End them all, if this program started them."""
        if os.getpid() != self._owner:
            return
        for process in list(self._all):
            process.close()
        self._all.clear()


_POOLS: Final[dict[int, Pool]] = {}
"""By process id: a forked program must not talk through its parent's pipes."""


def pool() -> Pool:
    """The one pool of this program; its processes end with it."""
    shared = _POOLS.get(os.getpid())
    if shared is None:
        new = Pool()
        shared = _POOLS.setdefault(os.getpid(), new)  # of several threads that come first, one wins
        if shared is new:
            atexit.register(new.close)
    return shared
