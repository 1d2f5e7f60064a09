"""Processes that grade: graders that may hang, crash or not run in threads are run in one of them.

math-verify sets alarms, which works in a main thread alone, and both SymPy and scorers of reasoning-gym can be
made to compute for ever. A process has a main thread of its own and can be killed. Graders of a user's own run in
processes apart from these, since they may change whatever is in theirs.
"""

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from queue import LifoQueue
from typing import Any, Final

from langgraph_conductor.errors import ConfigError, GraderError

SECONDS: Final = 10.0
"""A grading that takes longer is cut off. A process' first, which loads the libraries, has `START` more."""

START: Final = 60.0
_PROGRAM: Final = Path(__file__).with_name("_worker.py")
_KEPT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "SYSTEMROOT", "TMPDIR", "TEMP", "TMP")


class _NoReplyError(Exception):
    """A process ended without a reply.

    Attributes:
        late: Whether it was ended because it took too long.
    """

    def __init__(self, *, late: bool) -> None:
        self.late = late
        super().__init__()


class GradingProcess:
    """One process; one request at a time.

    Raises:
        GraderError: If it cannot be started.
    """

    def __init__(self) -> None:
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}  # no keys
        environment["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
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
        try:
            return bool(self.reply(call, arguments, seconds))
        except _NoReplyError as nothing:
            return False if nothing.late else None

    def reply(self, call: str, arguments: dict[str, Any], seconds: float) -> Any:
        """What it says.

        Raises:
            ConfigError: If it refuses the call.
            GraderError: If the grader failed for another reason than the answer.
            _NoReplyError: If it ended.
        """
        first = arguments.get("grader", call)
        if call == "own" and first not in self._called:
            self.reply("load", {"grader": first}, seconds)
        limit = seconds + (0 if first in self._called else START)
        self._called.add(first)
        # Of the processor one more, so that it is this clock that ends what hangs, and says so.
        request = json.dumps({"call": call, "with": arguments, "seconds": int(limit) + 1})
        late = threading.Event()

        def cut_off() -> None:
            late.set()
            self._kill()

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
            raise _NoReplyError(late=late.is_set())
        reply = json.loads(line)
        if "refused" in reply:
            raise ConfigError(reply["refused"])
        if "error" in reply:
            raise GraderError(
                reply["error"] if "grader" in arguments else f"grader {call!r} failed: {reply['error']}"
            )
        return reply["right"]

    def close(self) -> None:
        """End it, with all that it started."""
        self._kill()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if pipe:
                    pipe.close()
        self._process.wait()

    def _kill(self) -> None:
        if self._process.returncode is not None:  # then its number may be another's
            return
        if hasattr(os, "killpg"):
            with suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
        with suppress(OSError):
            self._process.kill()


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
        try:
            return bool(self.reply(call, arguments, seconds))
        except _NoReplyError:
            return False

    def own(self, call: str, arguments: dict[str, Any], seconds: float = SECONDS) -> Any:
        """What a process says of a grader of the user's own, which is to blame if there is no reply.

        Raises:
            ConfigError: If it cannot be imported.
            GraderError: If no process can be started, or the grader failed, took too long or ended its process.
        """
        try:
            return self.reply(call, arguments, seconds)
        except _NoReplyError as nothing:
            why = f"took longer than {seconds:g} seconds" if nothing.late else "ended its process"
            raise GraderError(f"it {why}") from None

    def reply(self, call: str, arguments: dict[str, Any], seconds: float) -> Any:
        """What a process says; one that ends by itself is asked once more.

        Raises:
            ConfigError: If it refuses the call.
            GraderError: If no process can be started, or the grader failed for another reason than the answer.
            _NoReplyError: If it was late, or ended twice.
        """
        process = self._free.get()
        try:
            for last in (False, True):
                if process is None or process.ended:
                    process = self._started(process)
                try:
                    return process.reply(call, arguments, seconds)
                except _NoReplyError as nothing:
                    if nothing.late or last:
                        raise
        except (ConfigError, GraderError, _NoReplyError):
            raise
        except BaseException:  # Ctrl-C: its reply may still come, and must not be taken for the next one's
            if process:
                process.close()
            raise
        finally:
            self._free.put(process)

    def _started(self, instead: GradingProcess | None) -> GradingProcess:
        process = GradingProcess()
        if instead is not None:  # it has ended; its pipes are open still
            instead.close()
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
_OWN_POOLS: Final[dict[int, Pool]] = {}


def pool() -> Pool:
    """The one pool of this program; its processes end with it."""
    return _shared(_POOLS)


def own_pool() -> Pool:
    """The same, for graders of the user's own."""
    return _shared(_OWN_POOLS)


def _shared(pools: dict[int, Pool]) -> Pool:
    shared = pools.get(os.getpid())
    if shared is None:
        new = Pool()
        shared = pools.setdefault(os.getpid(), new)  # of several threads that come first, one wins
        if shared is new:
            atexit.register(new.close)
    return shared
