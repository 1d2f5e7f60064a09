"""Limits of a provider: calls at once, requests and tokens per minute.

Nothing here waits by itself: a limiter says what to wait for, so that threads and event loops can share
one. (aiolimiter binds to one event loop; pyrate-limiter cannot take back what a call turned out not to use.)
"""

import math
import time
from collections import deque
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass
from threading import Lock
from typing import Final

from langgraph_conductor.driving import Wait

MINUTE: Final = 60.0
_FIRST_GUESS: Final = 500  # tokens of a reply, before any was seen


class Limiter:
    """How much may be asked of a provider, for all workers that share this object.

    A worker that is a graph holds one place for all it does. Do not cross the limiters of nested
    conductors (each holding a place of one and waiting for the other): they would wait for ever.

    Args:
        max_concurrency: Most tasks at once.
        requests_per_minute: Most model calls that begin within any 60 seconds.
        tokens_per_minute: Most tokens, sent and received, of the calls that begin within any 60 seconds.
            Before a call its tokens are estimated; afterwards the report takes the estimate's place.

    Raises:
        ValueError: If a limit does not fit.

    Example:
        ```python
        from langgraph_conductor import Worker
        from langgraph_conductor.workers import Limiter

        openai = Limiter(max_concurrency=8, requests_per_minute=500, tokens_per_minute=200_000)
        workers = [Worker(name, "openai:gpt-5", limiter=openai) for name in ("coder", "critic")]
        ```
    """

    def __init__(
        self,
        *,
        max_concurrency: int | None = None,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
    ) -> None:
        if max_concurrency is not None and (type(max_concurrency) is not int or max_concurrency < 1):
            raise ValueError(f"max_concurrency must be a whole number from 1 up, not {max_concurrency!r}")
        self._slots = Slots(max_concurrency) if max_concurrency else None
        self._requests = _window("requests_per_minute", requests_per_minute)
        self._tokens = _window("tokens_per_minute", tokens_per_minute)
        self._lock = Lock()
        self._queue: deque[Future[None]] = deque()
        self._hold_until = 0.0
        self._usual_reply: float | None = None
        self._placed: ContextVar[bool] = ContextVar("placed", default=False)

    def __repr__(self) -> str:
        limits = {
            "max_concurrency": self._slots and self._slots.size,
            "requests_per_minute": self._requests and self._requests.most,
            "tokens_per_minute": self._tokens and self._tokens.most,
        }
        return f"Limiter({', '.join(f'{name}={value:g}' for name, value in limits.items() if value)})"

    # ------------------------------------------------------------------ tasks at once

    def enter(self) -> "Future[None] | None":
        """Ask for a place among the tasks at once; the future is done when there is one.

        Returns:
            What to hand to `leave`. `None` if nothing has to be waited for: there is no limit, or this
            task is part of one that has a place (of a conductor whose own workers share its limiter).
        """
        if self._slots is None or self._placed.get():
            return None
        return self._slots.enter()

    def leave(self, place: "Future[None] | None") -> None:
        """Give the place back, or stop waiting for it."""
        if place is not None and self._slots is not None:
            self._slots.leave(place)

    def mark_placed(self) -> None:
        """Whatever runs in this context from now on is part of a task that has a place."""
        self._placed.set(True)

    # ------------------------------------------------------------------ calls per minute

    def begin(
        self, input_tokens: int, output_cap: int | None, turn: "Future[None] | None" = None
    ) -> "Call | Wait":
        """Book one model call; first come, first served.

        Args:
            input_tokens: Tokens it sends, estimated.
            output_cap: Most tokens of its reply, if that is known.
            turn: The future of the `Wait` it was given before, if it was.

        Returns:
            What to hand to `end`; or what to wait for before asking again with its future, which else has
            to be handed to `give_up`.
        """
        with self._lock:
            if self._queue and self._queue[0] is not turn:
                return Wait(turn if turn in self._queue else self._queued())
            now = time.monotonic()
            reply = _FIRST_GUESS if self._usual_reply is None else self._usual_reply
            tokens = input_tokens + (reply if output_cap is None else min(reply, output_cap))
            wait = max(
                self._hold_until - now,
                self._requests.wait(1, now) if self._requests else 0.0,
                self._tokens.wait(tokens, now) if self._tokens else 0.0,
            )
            if turn is not None:
                self._queue.popleft()
            if wait > 0:
                first: Future[None] = Future()  # another one: a future is done only once
                self._queue.appendleft(first)
                return Wait(first, wait)
            self._wake()
            return Call(
                self._requests.book(1, now) if self._requests else None,
                self._tokens.book(tokens, now) if self._tokens else None,
            )

    def give_up(self, turn: "Future[None] | None") -> None:
        """Stop waiting."""
        with self._lock:
            if turn is not None and turn in self._queue:
                self._queue.remove(turn)
                self._wake()

    def _queued(self) -> "Future[None]":
        turn: Future[None] = Future()
        self._queue.append(turn)
        return turn

    def end(self, call: "Call", input_tokens: int | None, output_tokens: int | None) -> None:
        """Put what a call really used in place of the estimate, which stays where that is not known."""
        if self._tokens is None or call.tokens is None or input_tokens is None or output_tokens is None:
            return
        with self._lock:
            call.tokens.amount = float(input_tokens + output_tokens)
            if output_tokens:
                usual = output_tokens if self._usual_reply is None else self._usual_reply
                self._usual_reply = 0.8 * usual + 0.2 * output_tokens
            self._wake()

    @property
    def counts_calls(self) -> bool:
        """Whether single model calls are limited, and not only tasks."""
        return self._requests is not None or self._tokens is not None

    @property
    def held(self) -> float:
        """Seconds for which no call should begin, see `hold`."""
        return max(0.0, self._hold_until - time.monotonic())

    def hold(self, seconds: float) -> None:
        """Begin no call for so long, a minute at most, because the provider asks for it (`Retry-After`)."""
        with self._lock:
            self._hold_until = max(self._hold_until, time.monotonic() + min(seconds, MINUTE))

    def _wake(self) -> None:
        if self._queue and not self._queue[0].done():
            self._queue[0].set_result(None)


class Slots:
    """Places for a number of tasks at once, first come first served, for threads and event loops.

    Args:
        size: The number.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._free = size
        self._queue: deque[Future[None]] = deque()
        self._lock = Lock()

    def enter(self) -> "Future[None]":
        """A future that is done when there is a place."""
        place: Future[None] = Future()
        with self._lock:
            self._queue.append(place)
            self._seat()
        return place

    def leave(self, place: "Future[None]") -> None:
        """Free the place, or leave the queue."""
        with self._lock:
            if place in self._queue:
                self._queue.remove(place)
            elif not place.cancelled():
                self._free += 1
            self._seat()

    def _seat(self) -> None:
        while self._free and self._queue:
            place = self._queue.popleft()
            if place.set_running_or_notify_cancel():  # else whoever waited has given up
                self._free -= 1
                place.set_result(None)


@dataclass(slots=True, eq=False)
class Booking:
    """One call's part of a window: when it began and how much it counts."""

    at: float
    amount: float


@dataclass(frozen=True, slots=True)
class Call:
    """One call's bookings."""

    request: Booking | None
    tokens: Booking | None


class Window:
    """At most so much within any stretch of time, however it is laid.

    Args:
        most: How much.
        seconds: Within how long.
    """

    def __init__(self, most: float, seconds: float = MINUTE) -> None:
        self.most = most
        self._seconds = seconds
        self._bookings: deque[Booking] = deque()

    def wait(self, amount: float, now: float) -> float:
        """Seconds until `amount` fits; more than the window ever holds waits until it is empty."""
        while self._bookings and self._bookings[0].at <= now - self._seconds:
            self._bookings.popleft()
        over = sum(booking.amount for booking in self._bookings) + min(amount, self.most) - self.most
        if over <= 0:
            return 0.0
        for booking in self._bookings:
            over -= booking.amount
            if over <= 0:
                return booking.at + self._seconds - now
        return self._seconds

    def book(self, amount: float, now: float) -> Booking:
        """Take `amount` now."""
        self._bookings.append(booking := Booking(now, amount))
        return booking


def _window(name: str, most: float | None) -> Window | None:
    if most is None:
        return None
    if isinstance(most, bool) or not isinstance(most, int | float) or not 1e-6 < most < math.inf:
        raise ValueError(f"{name} must be a number above 0, not {most!r}")
    # Less than one a minute is one in a longer time.
    return Window(most) if most >= 1 else Window(1, MINUTE / most)
