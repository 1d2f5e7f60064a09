"""One kill: a run is begun, killed at a moment, and finished by a fresh process; what was repeated, lost and marked."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, Final

import psycopg
from langgraph.types import StateSnapshot

from tests.long_tests.calls import Call, Calls, Line, of, reached, read
from tests.long_tests.savers import Save, Saved, opened, saved
from tests.long_tests.team import (
    AGENT,
    FUNCTION,
    INNER,
    MODEL,
    PLANNER,
    RUNNABLE,
    TEXTS,
    TOOL,
    conductor,
    rounds_of,
)
from tests.long_tests.victim import Job, Victims

SOON: Final = 30.0
"""Seconds in which a moment is reached."""

PAUSE: Final = 0.3
"""Seconds in which a run that stands still at a save would make its next calls."""


@dataclass(frozen=True)
class Moment:
    """When a run is killed.

    Args:
        calls: Calls that are in flight then.
        saves: Or checkpoints that are about to be stored.
        done: (round, step) of the steps whose results are saved by then.
    """

    calls: tuple[Call, ...] = ()
    saves: tuple[Save, ...] = ()
    done: frozenset[tuple[int, int]] = frozenset()


PLANNED = frozenset({(0, -1)})
FIRST_ROUND = PLANNED | {(0, index) for index in range(6)}

MOMENTS: Final[dict[str, Moment]] = {
    "before the round is there": Moment(saves=(Save("round", -1),)),
    "while planning": Moment((Call(PLANNER, 0, -1),)),
    "between plan and run": Moment(saves=(Save("round|workflow", -1),), done=PLANNED),
    "with three parallel steps in flight": Moment(
        (Call(FUNCTION, 0, 0), Call(AGENT, 0, 1), Call(INNER, 0, 2)), done=PLANNED
    ),
    "with one branch in flight and the other over": Moment(
        (Call(FUNCTION, 0, 0),), done=PLANNED | {(0, 1), (0, 2), (0, 4)}
    ),
    "with one branch ahead of the other": Moment(
        (Call(FUNCTION, 0, 0), Call(RUNNABLE, 0, 4)), done=PLANNED | {(0, 1), (0, 2)}
    ),
    "inside a tool call": Moment((Call(TOOL, 0, 1),), done=PLANNED | {(0, 0), (0, 2), (0, 3)}),
    "between parallel steps and those after them": Moment(
        saves=(Save("round|workflow|branch_0_3", 1), Save("round|workflow|branch_1_2_4", 1)),
        done=PLANNED | {(0, 0), (0, 1), (0, 2)},
    ),
    "between branches and the step after them": Moment(
        saves=(Save("round|workflow", 1),), done=PLANNED | {(0, index) for index in range(5)}
    ),
    "between rounds": Moment(saves=(Save("", 2),), done=FIRST_ROUND),
    "while planning again": Moment((Call(PLANNER, 1, -1),), done=FIRST_ROUND),
    "amid the second round": Moment((Call(MODEL, 1, 0),), done=FIRST_ROUND | {(1, -1), (1, 1)}),
    "inside the last step's tool call": Moment(
        (Call(TOOL, 1, 2),), done=FIRST_ROUND | {(1, -1), (1, 0), (1, 1)}
    ),
    "before the answer": Moment(
        saves=(Save("", 3),), done=FIRST_ROUND | {(1, index) for index in range(-1, 3)}
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Kill:
    """What a kill did.

    Args:
        before: What the saver held at the kill.
        lines: The log of truth.
        killed: The process that was killed.
        finished: Whether a fresh process finished the run.
        marked: (round, step) of the steps that are marked as possibly repeated; planning is step -1.
    """

    before: Saved
    lines: tuple[Line, ...]
    killed: str
    finished: bool
    marked: frozenset[tuple[int, int]]

    @property
    def again(self) -> list[Call]:
        """Calls that were begun before the kill and after it."""
        begun = Counter(line.call for line in self.lines if line.what == "begun")
        return [call for call, times in begun.items() if times > 1]

    @property
    def saved_again(self) -> list[Call]:
        """Calls that were made again although the saver held their result."""
        after = (line.call for line in self.lines if line.process != self.killed and line.what == "begun")
        return [call for call in after if self.before.holds(call)]

    @property
    def finished_again(self) -> list[Call]:
        """Calls that had ended before the kill and were made again."""
        ended = of(self.lines, self.killed, "ended")
        return [call for call in self.again if call in ended]

    @property
    def in_flight(self) -> list[Call]:
        """Calls that had begun before the kill and had not ended."""
        ended = of(self.lines, self.killed, "ended")
        return [call for call in of(self.lines, self.killed, "begun") if call not in ended]

    @property
    def faults(self) -> list[str]:
        """What must not be with `durability="sync"`."""
        found = []
        if not self.finished:
            found.append("the run was not finished")
        if self.saved_again:
            found.append(f"saved, and made again: {self.saved_again}")
        if any(line.process == self.killed for line in self.lines[-1:]) and self.again:
            found.append("made again by the process that was killed")
        begun = Counter(line.call for line in self.lines if line.what == "begun")
        if often := [call for call, times in begun.items() if times > 2]:
            found.append(f"made more than twice: {often}")
        steps = Counter((call.round, call.step) for call in self.again)
        if often := [step for step, times in steps.items() if times > 1]:
            found.append(f"more than one call made again in a step: {often}")
        if self.finished and self.marked != self.before.running:
            found.append(f"marked {set(self.marked)}, running at the kill {set(self.before.running)}")
        if unmarked := [call for call in self.again if (call.round, call.step) not in self.marked]:
            found.append(f"made again, and not marked: {unmarked}")
        return found


_numbers = count()


class Killer:
    """Kills runs of one saver.

    Args:
        victims: Forks them.
        place: A folder for logs and SQLite files.
        postgres: The address of a PostgreSQL database; without it, SQLite files are used.
    """

    def __init__(self, victims: Victims, place: Path, postgres: str | None = None) -> None:
        self.victims, self.place, self.postgres = victims, place, postgres
        if postgres:
            with opened(postgres) as saver:
                saver.setup()

    def job(self, **options: Any) -> Job:
        """A run of its own."""
        thread = f"run-{os.getpid()}-{next(_numbers)}"
        file = str(self.place / f"{thread}.sqlite")
        address = f"{self.postgres}?application_name={thread}" if self.postgres else file
        return Job(address, thread, str(self.place / f"{thread}.log"), **options)

    def seconds(self, job: Job) -> float:
        """How long a run takes that is not killed, from its first call."""
        self.victims.start(job)
        self._first_call(job)
        began = time.perf_counter()
        if code := self.victims.end():
            raise RuntimeError(f"a run that was not killed ended with {code}")
        return time.perf_counter() - began

    def at(self, moment: Moment, job: Job) -> Kill:
        """Kill a run at a moment."""
        gates = [
            *(reached(Path(job.log), call) for call in moment.calls),
            *(reached(Path(job.log), (save.graphs.replace("|", "-"), save.step)) for save in moment.saves),
        ]
        process = self.victims.start(replace(job, calls=moment.calls, saves=moment.saves))
        _soon(lambda: all(gate.exists() for gate in gates), f"{moment} was not reached")
        with opened(job.address) as saver:
            _soon(lambda: saved(saver, job.thread).steps >= moment.done, f"{moment}: not all was saved")
        if moment.saves:
            time.sleep(PAUSE)  # whoever does not wait for the save goes on now
        return self._kill(process, job)

    def after(self, delay: float, job: Job) -> Kill | None:
        """Kill a run some seconds after its first call; `None` if it was over by then."""
        process = self.victims.start(job)
        self._first_call(job)
        time.sleep(delay)
        return self._kill(process, job)

    def itself(self, calls: tuple[Call, ...], job: Job) -> Kill | None:
        """Have a run kill itself at the beginning of a call, which leaves no time to save anything."""
        process = self.victims.start(replace(job, deadly=calls))
        return self._killed(process, job)

    def _first_call(self, job: Job) -> None:
        _soon(Path(job.log).exists, f"{job} made no call")

    def _kill(self, process: int, job: Job) -> Kill | None:
        with suppress(ProcessLookupError):  # it is over
            os.kill(process, signal.SIGKILL)
        return self._killed(process, job)

    def _killed(self, process: int, job: Job) -> Kill | None:
        if self.victims.end() != -signal.SIGKILL:
            return None
        self._left_alone(job)
        with opened(job.address) as saver:
            before = saved(saver, job.thread)
        self.victims.start(replace(job, resume=True))
        code = self.victims.end()
        with opened(job.address) as saver:
            graph = conductor(Calls(), saver, awaited=job.awaited, added=job.added)
            finished, marked = outcome(graph.get_state({"configurable": {"thread_id": job.thread}}))
        return Kill(before, tuple(read(Path(job.log))), str(process), finished and code == 0, marked)

    def _left_alone(self, job: Job) -> None:
        """Wait until PostgreSQL knows that the process has gone: it finishes what it was sent before."""
        if self.postgres is None:
            return
        with psycopg.connect(self.postgres, autocommit=True) as connection:
            asked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"

            def gone() -> bool:
                row = connection.execute(asked, (job.thread,)).fetchone()
                return row is not None and row[0] == 0

            _soon(gone, f"PostgreSQL keeps the connections of {job.thread}")


def outcome(state: StateSnapshot) -> tuple[bool, frozenset[tuple[int, int]]]:
    """Whether a run is finished with all its answers, and which of its steps are marked."""
    rounds = rounds_of(state.values)
    texts = [[step["text"] for step in one["steps"]] for one in rounds]
    marked = {(n, s["index"]) for n, one in enumerate(rounds) for s in one["steps"] if _marked(s)}
    marked |= {(n, -1) for n, one in enumerate(rounds) if _marked(one["plan"])}
    return texts == TEXTS and not state.next, frozenset(marked)


def _marked(record: dict[str, Any]) -> bool:
    return record.get("possibly_repeated") is True


def _soon(true: Callable[[], bool], otherwise: str) -> None:
    until = time.monotonic() + SOON
    while not true():
        if time.monotonic() > until:
            raise TimeoutError(otherwise)
        time.sleep(0.002)
