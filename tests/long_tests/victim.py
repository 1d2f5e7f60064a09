"""The process that is killed.

Starting Python and importing everything takes longer than a run, so one process does it once and forks a process for
each run: `python -m tests.long_tests.victim` reads jobs, one a line, and writes the id of the process that does each,
and then how it ended.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.long_tests.calls import Call, Calls
from tests.long_tests.savers import Save, aopened, opened, standing_still
from tests.long_tests.team import conductor

SECONDS = 60
"""A run that takes longer is ended."""


@dataclass(frozen=True)
class Job:
    """A run, or the rest of one.

    Args:
        address: Of the saver.
        thread: The run's.
        log: Where its calls are written down.
        awaited: Whether by `ainvoke`.
        durability: As in `invoke`.
        resume: Whether it is to be finished, and not begun.
        added: Whether the conductor is a node of another graph.
        seconds: How long each call takes.
        calls: The calls it stands still in.
        saves: The saves it stands still at.
        deadly: The calls it kills itself in, at once.
    """

    address: str
    thread: str
    log: str
    awaited: bool = False
    durability: str = "sync"
    resume: bool = False
    added: bool = False
    seconds: float = 0.005
    calls: tuple[Call, ...] = ()
    saves: tuple[Save, ...] = ()
    deadly: tuple[Call, ...] = ()

    @classmethod
    def read(cls, line: str) -> "Job":
        """From JSON."""
        found = json.loads(line)
        for name in ("calls", "deadly"):
            found[name] = tuple(Call(*call) for call in found[name])
        found["saves"] = tuple(Save(**save) for save in found["saves"])
        return cls(**found)


def do(job: Job) -> None:
    """Make the run."""
    calls = Calls(Path(job.log), str(os.getpid()), job.seconds, job.calls, job.deadly)
    config: Any = {"configurable": {"thread_id": job.thread}}
    given = None if job.resume else {"messages": [{"role": "user", "content": "What is it?"}]}
    how: Any = {"durability": job.durability}

    async def awaited() -> None:
        async with aopened(job.address) as saver:
            halting = standing_still(saver, [*job.saves], Path(job.log))
            graph = conductor(calls, halting, awaited=True, added=job.added)
            await graph.ainvoke(given, config, **how)

    if job.awaited:
        asyncio.run(awaited())
        return
    with opened(job.address) as saver:
        halting = standing_still(saver, [*job.saves], Path(job.log))
        conductor(calls, halting, awaited=False, added=job.added).invoke(given, config, **how)


def serve() -> None:
    """Fork a process for each job."""
    for line in iter(sys.stdin.readline, ""):
        process = os.fork()
        if not process:
            signal.alarm(SECONDS)
            try:
                do(Job.read(line))
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
                os._exit(1)
            os._exit(0)
        print(process, flush=True)
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


class Victims:
    """A process that forks victims, one at a time.

    Args:
        errors: The file that takes what they say on standard error.
    """

    def __init__(self, errors: Path) -> None:
        self.errors = errors
        with errors.open("ab") as said:
            self._parent = subprocess.Popen(
                [sys.executable, "-m", "tests.long_tests.victim"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True, start_new_session=True,
                cwd=Path(__file__).parents[2],
            )  # fmt: skip

    def start(self, job: Job) -> int:
        """Start a run; gives the id of its process."""
        assert self._parent.stdin is not None
        self._parent.stdin.write(json.dumps(asdict(job)) + "\n")
        self._parent.stdin.flush()
        return int(self._line())

    def end(self) -> int:
        """Wait for the end of the run that was started; gives its exit code, negative for a signal."""
        return int(self._line())

    def _line(self) -> str:
        assert self._parent.stdout is not None
        line = self._parent.stdout.readline()
        if not line:
            raise RuntimeError(f"the process that forks has ended: {self.errors.read_text()}")
        return line

    def __enter__(self) -> "Victims":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.killpg(self._parent.pid, signal.SIGKILL)  # with a victim that may be left
        self._parent.wait()
        for pipe in (self._parent.stdin, self._parent.stdout):
            if pipe:
                pipe.close()


if __name__ == "__main__":
    serve()
