"""The log of truth: every call of a run, written down before and after it, and where a run stands still to be killed."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple


class Call(NamedTuple):
    """Who was called in which step; planners have step -1."""

    who: str
    round: int
    step: int


class Line(NamedTuple):
    """A line of the log."""

    process: str
    call: Call
    what: str
    """`"begun"` or `"ended"`."""


@dataclass(frozen=True)
class Calls:
    """Makes the calls of a run: each takes a while, and leaves a line in the log when it begins and when it ends.

    Args:
        log: The log's file; `None` to write down nothing.
        process: Named in every line.
        seconds: How long a call takes.
        gates: Calls that never end: whoever waits for the file `reached` of one may then kill the process.
        deadly: Calls at whose beginning the process kills itself.
    """

    log: Path | None = None
    process: str = ""
    seconds: float = 0.0
    gates: tuple[Call, ...] = ()
    deadly: tuple[Call, ...] = ()

    def make(self, who: str, round_: int, step: int) -> str:
        """A call; gives what it says."""
        call = Call(who, round_, step)
        self._write(call, "begun")
        self._die(call)
        if call in self.gates:
            self._stand_still(call)
            time.sleep(3600)
        time.sleep(self.seconds)
        self._write(call, "ended")
        return said(call)

    async def amake(self, who: str, round_: int, step: int) -> str:
        """`make`, awaited."""
        call = Call(who, round_, step)
        self._write(call, "begun")
        self._die(call)
        if call in self.gates:
            self._stand_still(call)
            await asyncio.sleep(3600)
        await asyncio.sleep(self.seconds)
        self._write(call, "ended")
        return said(call)

    def _die(self, call: Call) -> None:
        if call in self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)

    def _stand_still(self, call: Call) -> None:
        if self.log is not None:
            reached(self.log, call).touch()

    def _write(self, call: Call, what: str) -> None:
        if self.log is None:
            return
        line = json.dumps([self.process, call, what]) + "\n"
        file = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(file, line.encode())
            os.fsync(file)
        finally:
            os.close(file)


def reached(log: Path, gate: Any) -> Path:
    """The file that tells that a gate was reached."""
    return log.with_name(f"{log.name}.{'.'.join(map(str, gate))}.reached")


def said(call: Call) -> str:
    """What a call says."""
    return f"{call.who} in {call.round}.{call.step}"


def read(log: Path) -> list[Line]:
    """The log; what a kill cut off in the middle of a line is left out."""
    lines = log.read_text().splitlines() if log.exists() else []
    found = (json.loads(line) for line in lines if line.endswith("]"))
    return [Line(process, Call(*call), what) for process, call, what in found]


def of(lines: Iterable[Line], process: str, what: str) -> list[Call]:
    """The calls that a process began, or ended."""
    return [line.call for line in lines if line.process == process and line.what == what]
