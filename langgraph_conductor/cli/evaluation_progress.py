"""An evaluation at the command line: its forecast, a question where it costs, and its progress on stderr."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from decimal import Decimal
from types import TracebackType
from typing import Final, Self

import typer
from rich.console import Console

from langgraph_conductor.cli.approving import at_terminal
from langgraph_conductor.cli.exits import say
from langgraph_conductor.display.words import counted, printable, short
from langgraph_conductor.evals.forecast import REPLY_TOKENS, Forecast
from langgraph_conductor.evals.running import Progress
from langgraph_conductor.usage import Usage

UNASKED_USD: Final = Decimal(1)
"""Below so much that is forecast nobody is asked, if every price is known."""
_HEARTBEAT: Final = 15.0
"""Seconds of silence after which progress is told where it is no line that changes."""
_LONGEST: Final = 200


class Watch:
    """Tells on stderr what an evaluation will ask, and how far it is.

    On a terminal progress is one line that changes; elsewhere a line for each strategy, and one every few seconds
    that a strategy takes, so that nobody waits for an evaluation that is silent.

    Args:
        only_forecast: Whether to tell what is to come, and stop.
        agreed: Whether what is forecast may be paid without a question.
        limit_usd: What may be paid, if that is limited: then nobody is asked.
        every: Seconds between two signs of life.
        clock: Gives seconds.
    """

    def __init__(
        self,
        *,
        only_forecast: bool = False,
        agreed: bool = False,
        limit_usd: str | None = None,
        every: float = _HEARTBEAT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._only_forecast = only_forecast
        self._agreed = agreed
        self._limit_usd = limit_usd
        self._every = every
        self._clock = clock
        self._console = Console(stderr=True, highlight=False, markup=False)
        self._status = self._console.status("")
        self._open = ExitStack()
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._began = clock()
        self._said = clock()
        self._latest: Progress | None = None
        self._episodes = 0
        """Of all strategies, as forecast."""
        self._finished = 0
        """Of the strategies that are over."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._open.close()

    def forecast(self, found: Forecast) -> None:
        """Tell what is to come, and ask whether it may be paid.

        Raises:
            typer.Exit: If no more than that was wanted.
            typer.Abort: If the person at the terminal does not want it.
            typer.BadParameter: If it costs something, and nobody can be asked.
        """
        first = not self._episodes
        line = f"forecast: {in_words(found)}"
        if self._only_forecast:
            typer.echo(printable(line))
            raise typer.Exit
        if not first:  # more than was forecast at the beginning
            self._print(f"more than was forecast: {in_words(found)}")
            self._episodes += found.episodes
            return
        say(printable(line))
        self._agree(found)
        self._episodes = found.episodes
        self._begin()

    def progress(self, progress: Progress) -> None:
        """Take how far a strategy is."""
        with self._lock:
            self._latest = progress
            over = progress.done == progress.total
            self._finished += progress.total if over else 0
        if over:
            self._print(_line(progress))
        elif self._console.is_terminal:
            self._status.update(f"{_line(progress)}{self._left(progress)}")

    def _agree(self, found: Forecast) -> None:
        if self._agreed or self._limit_usd is not None:
            return
        if found.usd < UNASKED_USD and not found.unpriced_calls:
            return
        if not at_terminal():
            raise typer.BadParameter(
                "this evaluation is likely to cost something, and nobody can be asked whether it may; give --yes, "
                "or --limit-usd with the most that may be paid, or ask for less with --items"
            )
        typer.confirm("go on", err=True, abort=True)

    def _begin(self) -> None:
        self._began = self._said = self._clock()
        if self._console.is_terminal:
            self._open.enter_context(self._status)
        else:
            beat = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
            beat.start()
            self._open.callback(beat.join)
        self._open.callback(self._over.set)

    def _beat(self) -> None:
        while not self._over.wait(self._every):
            with self._lock:
                latest, said = self._latest, self._said
            if self._clock() - said < self._every:
                continue
            line = "nothing has been answered yet" if latest is None else _line(latest)
            self._print(f"{line}{self._left(latest)}")

    def _left(self, latest: Progress | None) -> str:
        """How far the whole evaluation is, and how long it may still take."""
        now = latest.done if latest and latest.done < latest.total else 0
        done = self._finished + now
        passed = self._clock() - self._began
        told = f"; {done:,} of about {max(self._episodes, done):,} in all after {duration(passed)}"
        if not done:
            return told
        return f"{told}, about {duration(passed / done * max(0, self._episodes - done))} left"

    def _print(self, line: str) -> None:
        with self._lock:
            self._said = self._clock()
        self._console.print(printable(line), soft_wrap=True)


def in_words(found: Forecast) -> str:
    """A forecast on one line.

    Args:
        found: The forecast.
    """
    calls = f"about {counted(found.calls, 'call')} of workers and planners (at most {found.most_calls:,})"
    money = f"about ${found.usd:,.2f}"
    if found.unpriced_calls:
        money = f"{money} and {counted(found.unpriced_calls, 'call')} at an unknown price"
    elif not found.usd:
        money = "no known cost"
    parts = [calls, money, f"about {duration(found.seconds)}"]
    assumed = f"with {REPLY_TOKENS} tokens a reply; " if found.usd else ""
    return (
        f"{found.what}, {counted(found.strategies, 'run')} of strategies: {', '.join(parts)}; {assumed}replies "
        "that are kept in the store are not asked again"
    )


def duration(seconds: float) -> str:
    """Seconds in the unit that fits, such as `7 min`.

    Args:
        seconds: From 0 up.
    """
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:,.0f} s"


def paid_in_words(usage: Usage) -> str:
    """What was paid for how many calls, such as `$0.0120 for 3 calls, 1 of them at an unknown price`.

    Args:
        usage: What was used.
    """
    calls = counted(usage.calls, "call")
    if usage.calls and usage.unpriced_calls == usage.calls:
        return f"for {calls} at an unknown price"
    known = "$0" if not usage.usd else f"${usage.usd:.4f}"
    unknown = f", {usage.unpriced_calls:,} of them at an unknown price" if usage.unpriced_calls else ""
    return f"{known} for {calls}{unknown}"


def _line(progress: Progress) -> str:
    infra = f", {progress.infra} failed by the infrastructure" if progress.infra else ""
    errors = f", {progress.errors} without an answer" if progress.errors else ""
    why = f" ({short(progress.failure, _LONGEST)})" if progress.failure else ""
    done = f"{progress.done} of {progress.total}, {progress.right} right{infra}{errors}{why}"
    return printable(f"{progress.phase}: {progress.strategy}: {done}; paid {paid_in_words(progress.paid)}")
