"""Budgets: a model call is made only if its worst case still fits.

`Budget` says how much a run may use. `Ledger` keeps one run's accounts: it admits a call by setting its
worst case aside, and when the call is over, books what it really used and frees the rest. It is shared
by parallel steps, in threads and event loops alike.
"""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, fields
from decimal import Decimal
from threading import Lock
from typing import Any, Final

from langgraph_conductor.errors import BudgetExceededError
from langgraph_conductor.foreign_text import shown_briefly
from langgraph_conductor.usage import Usage

_LEAST_USD: Final = Decimal("1e-9")
_MOST_USD: Final = Decimal("1e12")
LIMITS: Final = ("usd", "tokens", "calls", "seconds")


@dataclass(frozen=True, slots=True)
class Budget:
    """The most one run may use; `None` is no limit.

    Before every model call, the planner's and those inside agents included, the call's worst case is
    set aside: its input, counted so that no tokenizer counts more, and its output cap (`max_tokens` of the
    model). A call that does not fit is not made. If calls of other steps (or of other tools of an agent)
    may turn out cheaper, it waits for them first. After a refusal no further call is made and the run ends
    with the best answer it has. Calls are seen whatever callbacks they are given, in all that copies the context
    of the step: tasks, `asyncio.to_thread`, LangChain's executors. A plain `threading.Thread` or
    `ThreadPoolExecutor` (`loop.run_in_executor` too) begins without it, and a model called there is seen only if
    it is given the step's config; a warning says so once. Run it by `contextvars.copy_context().run`. What goes
    on after the step that began it, such as a client that all share, is counted by no step, except for calls that
    are given the config of one. A call whose server ignores its output cap may overrun a limit; it is the last
    one, and the run says so. Answers of LangChain's cache cost nothing, but have to fit as calls do.

    Args:
        usd: Money in US dollars; kept as `Decimal`, exact.
        tokens: Tokens sent and received.
        calls: Model calls.
        seconds: Time at work, on the clock; time a run waits for a person does not count. Calls that
            are running when it is over are cut off.
        allow_unbounded: Whether models without an output cap, or without a known price, may be called
            under a limit of tokens or money. Such calls may overrun it; by default they are refused.

    Raises:
        ValueError: If a limit is not a number above 0, or none is given.
    """

    usd: Decimal | float | str | None = None
    tokens: int | None = None
    calls: int | None = None
    seconds: float | None = None
    allow_unbounded: bool = False

    def __post_init__(self) -> None:
        if self.usd is not None:
            object.__setattr__(self, "usd", _money(self.usd))
        for name in ("tokens", "calls"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise ValueError(f"budget: {name} must be a whole number above 0, not {value!r}")
        if self.seconds is not None and not (_is_number(self.seconds) and 0 < self.seconds < 10**9):
            raise ValueError(f"budget: seconds must be a number above 0, not {self.seconds!r}")
        if type(self.allow_unbounded) is not bool:
            raise ValueError(f"budget: allow_unbounded must be True or False, not {self.allow_unbounded!r}")
        if all(getattr(self, name) is None for name in LIMITS):
            raise ValueError(f"a budget needs at least one limit of {', '.join(LIMITS)}")

    @classmethod
    def of(cls, data: "Budget | Mapping[str, Any]") -> "Budget":
        """From a mapping such as `{"usd": "0.50", "calls": 20}`.

        Raises:
            ValueError: If a key is unknown or a value does not fit.
        """
        if isinstance(data, Budget):
            return data
        known = [field.name for field in fields(cls)]
        if not isinstance(data, Mapping) or not set(data) <= set(known):
            raise ValueError(f"a budget holds {', '.join(known)}, not {shown_briefly(data)}")
        return cls(**data)

    def narrowed(self, asked: "Budget | Mapping[str, Any] | None") -> "Budget":
        """This budget with those limits of another that are lower; a limit the other does not have stays.

        Raises:
            ValueError: If it asks for more, or is no budget.
        """
        known = [field.name for field in fields(self)]
        if asked is None:
            return self
        if isinstance(asked, Budget):
            given = {name: value for name in LIMITS if (value := getattr(asked, name)) is not None}
            given |= {"allow_unbounded": True} if asked.allow_unbounded else {}
        elif isinstance(asked, Mapping) and set(asked) <= set(known):
            given = {name: value for name, value in asked.items() if value is not None}
        else:
            raise ValueError(f"a budget holds {', '.join(known)}, not {asked!r:.200}")
        narrow = Budget(**{**{name: getattr(self, name) for name in known}, **given})
        for name in LIMITS:
            most, wanted = getattr(self, name), getattr(narrow, name)
            if most is not None and wanted > most:
                raise ValueError(
                    f"the budget can only be lowered: {_shown(name, most)} are set, and {_shown(name, wanted)} "
                    "were asked for"
                )
        if narrow.allow_unbounded and not self.allow_unbounded:
            raise ValueError(
                "the budget can only be lowered: allow_unbounded is not set, and was asked for"
            )
        return narrow

    def cut_to(self, most: "Budget | None") -> "Budget":
        """This budget, with the lower of each limit where another has one too; nothing is refused."""
        if most is None:
            return self
        lower = {}
        for name in LIMITS:
            known = [limit for budget in (self, most) if (limit := getattr(budget, name)) is not None]
            lower[name] = min(known, default=None)
        return Budget(**lower, allow_unbounded=self.allow_unbounded and most.allow_unbounded)

    def to_json(self) -> dict[str, Any]:
        """As JSON; the inverse of `of`."""
        data = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: str(value) if name == "usd" else value
            for name, value in data.items()
            if value is not None
        }

    def __str__(self) -> str:
        return _limits(self)


class UnboundedCallError(BudgetExceededError):
    """A call was not made because its worst case has no bound. Others may still be made."""


@dataclass(frozen=True, slots=True)
class BudgetLeft:
    """What is left of a budget, with the calls that run counted by their worst case; `None` is no limit."""

    usd: Decimal | None = None
    tokens: int | None = None
    calls: int | None = None
    seconds: float | None = None

    def __str__(self) -> str:
        return _limits(self)

    def to_json(self) -> dict[str, Any]:
        """The limits there are, money as text."""
        found = {name: getattr(self, name) for name in self.__slots__}
        return {name: str(v) if name == "usd" else v for name, v in found.items() if v is not None}


@dataclass(slots=True, eq=False)
class Reservation:
    """What is set aside for one call.

    Args:
        calls: 1, or 0 once it is known that the call used nothing.
        tokens: Input and output at most; `None` if unbounded.
        usd: Money at most; `None` if unbounded.
        owner: The task the call is made in, by its path: `a|b` is part of `a`.
        open: Whether the call still runs, so that part of it may come back.
    """

    calls: int = 1
    tokens: int | None = 0
    usd: Decimal | None = None
    owner: str = ""
    open: bool = True

    def may_be_awaited(self, owner: str) -> bool:
        """Whether a call made in `owner` may wait for this one to end.

        Not if it is made in the same task or in a part of it: the end might wait for the call.
        """
        return self.open and not f"{owner}|".startswith(f"{self.owner}|" if self.owner else "")


class Ledger:
    """The accounts of one run under one budget.

    Args:
        budget: The limits.
        used: What was used before, when a run is resumed in another process.
        seconds: Time at work before.
        clock: Gives seconds.
    """

    def __init__(
        self,
        budget: Budget,
        *,
        used: Usage | None = None,
        seconds: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        used = used or Usage()
        self.budget = budget
        self._most_usd = None if budget.usd is None else _money(budget.usd)
        self._clock = clock
        self._lock = Lock()
        self._calls, self._tokens, self._usd = used.calls, used.total_tokens, used.usd or Decimal()
        self._kept: list[Reservation] = []
        self._waiting: list[tuple[Future[None], str]] = []
        self._seconds, self._since, self._working = seconds, 0.0, 0
        self._refusal: BudgetExceededError | None = None

    @property
    def refusal(self) -> BudgetExceededError | None:
        """Why no further call is made, once one was refused."""
        return self._refusal

    def admit(self, worst: Reservation) -> "Future[None] | None":
        """Set `worst` aside.

        Returns:
            `None` if the call may be made. Else a future that is done when it is worth asking again.

        Raises:
            BudgetExceededError: If the call does not fit, or one was refused before.
        """
        with self._lock:
            if self._refusal:
                raise BudgetExceededError(str(self._refusal), limit=self._refusal.limit)
            limit = self._broken(worst, self._kept)
            if limit is None:
                self._kept.append(worst)
                return None
            if limit != "seconds" and self._may_wait(worst):
                waiting: Future[None] = Future()
                self._waiting.append((waiting, worst.owner))
                return waiting
            self._refusal = self._refused(limit, worst)
            self._wake()
            raise self._refusal

    def _may_wait(self, worst: Reservation) -> bool:
        """Whether the call would fit if others turned out cheaper, and one of them is sure to end."""
        owners = [worst.owner, *(owner for future, owner in self._waiting if not future.cancelled())]
        moving = [kept for kept in self._kept if all(kept.may_be_awaited(owner) for owner in owners)]
        final = [kept for kept in self._kept if not kept.may_be_awaited(worst.owner)]
        return bool(moving) and not self._broken(worst, final)

    def refuse(self, message: str, limit: str) -> BudgetExceededError:
        """End the run's calls for a reason found elsewhere; returns the error to raise."""
        with self._lock:
            self._refusal = self._refusal or BudgetExceededError(message, limit=limit)
            self._wake()
            return BudgetExceededError(message, limit=limit)

    def settle(self, kept: Reservation, used: Usage | None, overrun: str = "") -> None:
        """Book what a call really used, and free the rest of what was set aside for it.

        A call that used more than was set aside, because its server ignored the cap, may break the budget: then no
        further call is made.

        Args:
            kept: What `admit` was given.
            used: Its usage. `None` if it is not known: then the worst case stays booked. Parts that are
                unknown (tokens without a report, an unknown price) stay booked too.
            overrun: Why it used more than was set aside, if it did.
        """
        with self._lock:
            kept.open = False
            if used is not None:
                kept.calls = used.calls
                if used.total_tokens or not used.calls:
                    kept.tokens = used.total_tokens
                if used.usd is not None or not used.calls:
                    kept.usd = used.usd or Decimal()
                if kept in self._kept:  # else it was dropped with an earlier report
                    self._kept.remove(kept)
                    self._calls += kept.calls
                    self._tokens += kept.tokens or 0
                    self._usd += kept.usd or Decimal()
            if overrun:
                self._end_if_overrun(overrun)
            self._wake()

    def _end_if_overrun(self, why: str) -> None:
        budget, over = self.budget, [kept for kept in self._kept if not kept.open]
        tokens = self._tokens + sum(kept.tokens or 0 for kept in over)
        usd = self._usd + sum((kept.usd or Decimal() for kept in over), Decimal())
        too_long = budget.tokens is not None and tokens > budget.tokens
        too_dear = self._most_usd is not None and usd > self._most_usd
        if (too_long or too_dear) and not budget.allow_unbounded:
            limit, used = ("tokens", tokens) if too_long else ("usd", usd)
            most = _shown(limit, getattr(budget, limit))
            message = f"the budget of {most} is overrun, {_shown(limit, used)} were used: {why}"
            self._refusal = self._refusal or BudgetExceededError(message, limit=limit)

    def book(self, used: Usage, known: Usage) -> None:
        """Add what was used beyond what is known already, without having been asked before."""
        with self._lock:
            self._calls += max(0, used.calls - known.calls)
            self._tokens += max(0, used.total_tokens - known.total_tokens)
            self._usd += max(Decimal(), (used.usd or Decimal()) - (known.usd or Decimal()))

    def change(self, budget: Budget) -> None:
        """Go on under another budget: a run is resumed with more, or less."""
        with self._lock:
            self.budget = budget
            self._most_usd = None if budget.usd is None else _money(budget.usd)
            self._refusal = None
            self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future, _ in waiting:
            if future.set_running_or_notify_cancel():
                future.set_result(None)

    def _broken(self, worst: Reservation, kept: list[Reservation]) -> str | None:
        budget = self.budget
        calls = self._calls + worst.calls + sum(r.calls for r in kept)
        tokens = self._tokens + (worst.tokens or 0) + sum(r.tokens or 0 for r in kept)
        usd = self._usd + (worst.usd or Decimal()) + sum((r.usd or Decimal() for r in kept), Decimal())
        if budget.seconds is not None and self._elapsed() >= budget.seconds:
            return "seconds"
        if budget.calls is not None and calls > budget.calls:
            return "calls"
        if budget.tokens is not None and tokens > budget.tokens:
            return "tokens"
        if self._most_usd is not None and usd > self._most_usd:
            return "usd"
        return None

    def _refused(self, limit: str, worst: Reservation) -> BudgetExceededError:
        needed = {"usd": worst.usd, "tokens": worst.tokens, "calls": 1}.get(limit)
        left = _shown(limit, getattr(self._left(), limit))
        ask = (
            f"the next call may need {_shown(limit, needed)}" if needed is not None else "the time is over"
        )
        hint = "; a smaller max_tokens of the model lowers it" if limit in ("usd", "tokens") else ""
        return BudgetExceededError(
            f"the budget of {_shown(limit, getattr(self.budget, limit))} ends here: {left} left, {ask}{hint}",
            limit=limit,
        )

    @property
    def left(self) -> BudgetLeft:
        """What may still be used."""
        with self._lock:
            return self._left()

    def _left(self) -> BudgetLeft:
        budget = self.budget
        usd = self._usd + sum((r.usd or Decimal() for r in self._kept), Decimal())
        tokens = self._tokens + sum(r.tokens or 0 for r in self._kept)
        calls = self._calls + sum(r.calls for r in self._kept)
        return BudgetLeft(
            usd=None if self._most_usd is None else max(Decimal(), self._most_usd - usd),
            tokens=None if budget.tokens is None else max(0, budget.tokens - tokens),
            calls=None if budget.calls is None else max(0, budget.calls - calls),
            seconds=None if budget.seconds is None else max(0.0, budget.seconds - self._elapsed()),
        )

    def _elapsed(self) -> float:
        return self._seconds + (self._clock() - self._since if self._working else 0.0)

    def start_work(self) -> None:
        """Let the clock run; a planner or a step is at work."""
        with self._lock:
            if not self._working:
                self._since = self._clock()
            self._working += 1

    def stop_work(self) -> None:
        """The counterpart of `start_work`; the clock stands when nobody is at work."""
        with self._lock:
            self._working -= 1
            if not self._working:
                self._seconds += self._clock() - self._since


def _money(value: Any) -> Decimal:
    try:
        money = Decimal(str(value))
    except ArithmeticError:
        money = Decimal("nan")
    if isinstance(value, bool) or not money.is_finite() or not _LEAST_USD <= money <= _MOST_USD:
        raise ValueError(f"budget: usd must be a number above 0, such as '0.50', not {value!r}")
    return money


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _limits(holder: Budget | BudgetLeft) -> str:
    given = {name: getattr(holder, name) for name in LIMITS if getattr(holder, name) is not None}
    return ", ".join(_shown(name, value) for name, value in given.items())


def _shown(name: str, value: Any) -> str:
    if name == "usd":
        return f"${value.quantize(Decimal('0.000001')).normalize():f}"
    if name == "seconds":
        return f"{value:.1f} seconds"
    return f"{value} {name if value != 1 else name.removesuffix('s')}"
