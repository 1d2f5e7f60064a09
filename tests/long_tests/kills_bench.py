"""Kills many runs at random moments, and counts: `python -m tests.long_tests.kills_bench --kills 100`.

With `durability="sync"` it exits 1 if anything that was saved was made again, a run was lost, or a mark was wrong.
`async`, which is LangGraph's default, and `exit` are counted for comparison.
"""

import argparse
import logging
import random
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from tests.long_tests.calls import Call
from tests.long_tests.crashes import crash
from tests.long_tests.kills import Kill, Killer
from tests.long_tests.postgres import running_postgres
from tests.long_tests.team import MODEL, RUNNABLE
from tests.long_tests.victim import Victims

SAVERS, MODES, DURABILITIES = ("sqlite", "postgres", "memory"), ("sync", "async"), ("sync", "async", "exit")


NEXT_STEP = (Call(MODEL, 0, 3), Call(RUNNABLE, 0, 4))


@dataclass(frozen=True)
class Tally:
    """What many kills did.

    Args:
        kills: How many.
        saved_again: Kills after which a call was made again whose result was saved.
        finished_again: Kills after which a call was made again that had ended.
        calls_again: Calls that had ended and were made again, of all kills.
        lost: Runs that a fresh process did not finish.
        faulty: Kills after which something was not as it has to be with `durability="sync"`.
        faults: What must not be with `durability="sync"`.
    """

    kills: int
    saved_again: int
    finished_again: int
    calls_again: int
    lost: int
    faulty: int
    faults: tuple[str, ...]

    @classmethod
    def of(cls, kills: Iterable[Kill]) -> "Tally":
        """Count."""
        found = [*kills]
        return cls(
            len(found),
            sum(bool(kill.saved_again) for kill in found),
            sum(bool(kill.finished_again) for kill in found),
            sum(len(kill.finished_again) for kill in found),
            sum(not kill.finished for kill in found),
            sum(bool(kill.faults) for kill in found),
            tuple(fault for kill in found for fault in kill.faults),
        )

    def __str__(self) -> str:
        return (
            f"{self.kills} kills, {self.saved_again} repeated a saved call, {self.finished_again} a call that had "
            f"ended ({self.calls_again} calls), {self.lost} runs lost, {self.faulty} with a fault"
        )


def random_kills(
    killer: Killer, number: int, draw: random.Random, *, awaited: bool, durability: str
) -> Iterator[Kill]:
    """Kill runs at moments drawn evenly between their first call and their end."""
    done, seconds = 0, 0.0
    while done < number:
        if done % 20 == 0:  # how long a run takes changes with what else the machine does
            seconds = killer.seconds(killer.job(awaited=awaited, durability=durability))
        kill = killer.after(draw.uniform(0, seconds), killer.job(awaited=awaited, durability=durability))
        if kill:  # and the run was not over by then
            done += 1
            yield kill


def kills_at_next_step(killer: Killer, number: int, *, awaited: bool, durability: str) -> Iterator[Kill]:
    """Runs that kill themselves when the steps begin that read what others have just said."""
    for _ in range(number):
        if kill := killer.itself(NEXT_STEP, killer.job(awaited=awaited, durability=durability)):
            yield kill


def random_crashes(place: Path, number: int, draw: random.Random, *, awaited: bool) -> Iterator[Kill]:
    """Crash runs with a saver in memory at moments drawn evenly from all."""
    _, size = crash(place, f"whole-{awaited}", None, awaited=awaited)
    done = 0
    while done < number:
        kill, _ = crash(place, f"{awaited}-{done}", draw.randrange(size), awaited=awaited)
        if kill:  # and anybody had been called
            done += 1
            yield kill


def counted(kills: Iterable[Kill], about: str, durability: str) -> bool:
    """Count kills and print it; whether all was as it has to be."""
    tally = Tally.of(kills)
    print(f"durability={durability}, {about}: {tally}", flush=True)
    if durability != "sync":
        return True
    for fault in tally.faults:
        print(f"  {fault}", flush=True)
    return not tally.faults


def main() -> bool:
    """Kill, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="per saver and mode")
    parser.add_argument(
        "--at-next-step", type=int, default=20, help="of those, how many when the next steps begin"
    )
    parser.add_argument("--savers", nargs="+", choices=SAVERS, default=SAVERS)
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--durability", nargs="+", choices=DURABILITIES, default=DURABILITIES)
    given = parser.parse_args()
    next_step_kills = min(given.kills, given.at_next_step)
    logging.getLogger(
        "concurrent.futures"
    ).disabled = True  # threads of crashed runs that find everything dead
    good = True
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        victims = stack.enter_context(Victims(place / "errors"))
        postgres = stack.enter_context(running_postgres()) if "postgres" in given.savers else None
        for durability, saver, mode in product(given.durability, given.savers, given.modes):
            draw, awaited = random.Random(f"{durability}-{saver}-{mode}"), mode == "async"
            about = f"{saver}, {mode}"
            if saver != "memory":
                killer = Killer(victims, place, postgres if saver == "postgres" else None)
                kinds: dict[str, Any] = {"awaited": awaited, "durability": durability}
                good &= counted(
                    random_kills(killer, given.kills - next_step_kills, draw, **kinds), about, durability
                )
                next_step = kills_at_next_step(killer, next_step_kills, **kinds)
                good &= counted(next_step, f"{about}, as the next steps begin", durability)
            elif durability == "sync":  # a process that is killed takes it along, whatever the durability
                crashes = random_crashes(place, given.kills, draw, awaited=awaited)
                good &= counted(crashes, f"{about}, crashes", durability)
    return good


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
