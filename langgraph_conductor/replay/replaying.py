"""One episode's dealings with the store: what was said before is read, what is said now is kept."""

import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final, NamedTuple, TypeVar

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config
from pydantic import TypeAdapter

from langgraph_conductor.budget import Ledger
from langgraph_conductor.driving import Wait, adrive, await_, awithin
from langgraph_conductor.errors import StoreError
from langgraph_conductor.planners import Plan
from langgraph_conductor.records import RoundRecord
from langgraph_conductor.replay.shapes import WORKER_REPLY, fault
from langgraph_conductor.replay.store import REPLIES, ReplyStore
from langgraph_conductor.usage import Usage
from langgraph_conductor.workers.doors import hook_doors, meter_in, metered
from langgraph_conductor.workers.metering import Meter
from langgraph_conductor.workers.redaction import hidden
from langgraph_conductor.workers.unseen import unseen
from langgraph_conductor.workflow import Workflow

ValueT = TypeVar("ValueT")

PLANNER: Final = -1
"""Where a planner's reply stands in a round: before the steps."""

_NOTHING: Final = Usage()

Live = Callable[[RunnableConfig], Awaitable[dict[str, Any]]]
"""Asks for a reply, under a config."""


class Sample(NamedTuple):
    """Which of several replies to the same messages is wanted.

    Args:
        seed: Of the episode.
        round: Number of the round, from 0.
        repeat: How many earlier steps of its workflow are the same step.
    """

    seed: int = 0
    round: int = 0
    repeat: int = 0


_SAMPLE: ContextVar[Sample | None] = ContextVar("sample", default=None)
_REPLAY: ContextVar["Replay"] = ContextVar("replay")


def current_sample() -> Sample | None:
    """The sample that is asked for, for workers that draw at random and want to be repeatable.

    `None` outside of an episode.
    """
    return _SAMPLE.get()


@dataclass(slots=True)
class Expenses:
    """What many episodes together really pay.

    Args:
        ledger: Refuses the call that might go over a limit of money, tokens or calls.
        paid: Use of calls that were made.
        replayed: Use of calls whose replies were in the store.

    Raises:
        ValueError: If the ledger limits seconds.
    """

    ledger: Ledger | None = None
    paid: Usage = field(default_factory=Usage)
    replayed: Usage = field(default_factory=Usage)
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.ledger is not None and self.ledger.budget.seconds is not None:
            raise ValueError("expenses have no clock; limit them by usd, tokens or calls, not by seconds")

    def add(self, *, paid: Usage = _NOTHING, replayed: Usage = _NOTHING) -> None:
        """Count more; from any thread."""
        with self._lock:
            self.paid += paid
            self.replayed += replayed


class Asked(NamedTuple):
    """What a reply is to be to.

    Args:
        key: What it is kept under; empty if it cannot be kept.
        who: Name of the worker; empty for a planner.
        step: Position of the step, or `PLANNER`.
        sample: Which of several.
        secrets: Keys, which a reply may repeat and the store must not hold.
        shape: What a reply that was kept is made of.
        read: Raises `ValueError`, or what Python raises of itself, where a kept reply makes no sense.
    """

    key: str
    who: str
    step: int
    sample: Sample
    secrets: tuple[str, ...] = ()
    shape: TypeAdapter[Any] = WORKER_REPLY
    read: Callable[[dict[str, Any]], Any] = lambda reply: None


@dataclass(slots=True)
class Replay:
    """One episode's dealings with the store.

    Args:
        seed: Which sample the episode is.
        store: Where replies are kept; without one, everybody is asked.
        expenses: What is really paid.
        plan: The plan, if it was written before.
        earlier: Rounds of an earlier episode, which this one goes on from.
    """

    seed: int = 0
    store: ReplyStore | None = None
    expenses: Expenses = field(default_factory=Expenses)
    plan: Plan | None = None
    earlier: tuple[RoundRecord, ...] = ()
    seconds: dict[tuple[int, int], float] = field(default_factory=dict)
    """By round and step (or `PLANNER`): how long replies took when they were given."""
    workflows: dict[int, Workflow] = field(default_factory=dict)
    """By round: what was planned, since repeated steps of it are samples of their own."""
    ended: Exception | None = None
    """Why nobody is asked any more and there will be no episode: the limit of the expenses, or the store."""
    infra: str = ""
    """What of the infrastructure failed inside a nested conductor, if something did."""

    async def reply(
        self,
        asked: Asked,
        config: RunnableConfig,
        live: Live,
        failed: Callable[[Exception], dict[str, Any] | None],
    ) -> dict[str, Any]:
        """The reply: from the store if it is there, else from `live`, and then kept.

        Args:
            asked: What it is to be to.
            config: The config of the call.
            live: Asks for it.
            failed: Makes a failure a reply, if it is one.

        Raises:
            BudgetExceededError: If a budget does not allow it.
            StoreError: If the store cannot be read, or what it holds under that key is damaged. A reply that
                cannot be written is handed on all the same.
            Exception: Whatever `live` raises that is no reply.
        """
        if self.ended is not None:
            raise self.ended
        try:
            return await self._reply(asked, config, live, failed)
        except StoreError as error:
            self.ended = self.ended or error
            raise

    async def _reply(
        self,
        asked: Asked,
        config: RunnableConfig,
        live: Live,
        failed: Callable[[Exception], dict[str, Any] | None],
    ) -> dict[str, Any]:
        ambient = ensure_config()  # a graph's own config has no callbacks, see `driving.inherited`
        meter = meter_in(ambient) or Meter(worker=asked.who)
        store = self.store if asked.key else None
        while store is not None:
            if (found := _found(store, asked)) is not None:
                await adrive(meter.replay(found["calls"], found["most"]), await_)
                self._took(asked, found["seconds"])
                self.expenses.add(replayed=_used(found["calls"]))
                return found
            if (other := store.fetch(asked.key)) is None:
                break
            await await_(Wait(other))
        try:
            with self._watched(asked, meter) as account, _set(_SAMPLE, asked.sample):
                try:
                    reply = await self._under_limit(asked.who, config, ambient, live)
                    meter.check_whole(str(reply.get("text", "")))
                except Exception as failure:
                    if (blamed := meter.blamed(failure)) is not failure:
                        raise blamed from failure
                    if (told := failed(failure)) is None:
                        raise
                    reply = told
            reply = {**hidden(reply, asked.secrets), **account}
            self.infra = self.infra or reply.get("infra", "")
            # A worker may go on without the call that was refused it, or that failed.
            if store is None or meter.refusal or reply.get("infra"):
                return reply
            return store.keep_reply(asked.key, asked.who, reply)
        finally:
            if store is not None:
                store.fetched(asked.key)

    async def _under_limit(
        self, who: str, config: RunnableConfig, ambient: RunnableConfig, live: Live
    ) -> dict[str, Any]:
        """`live`, every model call below it being admitted by the limit of the expenses too."""
        ledger = self.expenses.ledger
        if ledger is None:
            return await live(config)
        around = meter_in(ambient)
        limit = Meter(worker=who, prices=around.prices if around else {}, ledger=ledger)
        within = metered(ambient, limit)
        if "callbacks" in config:
            config = {**config, "callbacks": within["callbacks"]}

        async def call() -> dict[str, Any]:
            hook_doors(within)
            return await live(config)

        given_up = True
        try:
            reply = await awithin(within, call)
            given_up = False
        except Exception:
            self.ended = self.ended or limit.refusal
            raise
        finally:
            unseen.leave(limit)
            limit.close(given_up=given_up)
        if limit.refusal:  # the worker went on without it, so this is not what it would say
            self.ended = self.ended or limit.refusal
            raise limit.refusal
        return reply

    @contextmanager
    def _watched(self, asked: Asked, meter: Meter) -> Iterator[dict[str, Any]]:
        """What it uses and how long it takes, also where it fails."""
        account: dict[str, Any] = {}
        meter.keeps_most = self.store is not None  # a budget of another run may have to admit them
        known, began = len(meter.records), time.perf_counter()
        try:
            yield account
        finally:
            account["calls"], account["most"] = meter.records[known:], meter.most[known:]
            account["seconds"] = time.perf_counter() - began
            self._took(asked, account["seconds"])
            self.expenses.add(paid=_used(account["calls"]))

    def _took(self, asked: Asked, seconds: float) -> None:
        place = (asked.sample.round, asked.step)
        self.seconds[place] = self.seconds.get(place, 0.0) + seconds


def replaying(replay: Replay) -> AbstractContextManager[None]:
    """Make `replay` the one that `replayed` planners and pools go through, in this task and those it begins."""
    return _set(_REPLAY, replay)


def current_replay() -> Replay:
    """The episode's.

    Raises:
        LookupError: Outside of an episode.
    """
    return _REPLAY.get()


@contextmanager
def _set(variable: ContextVar[ValueT], value: ValueT) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def _found(store: ReplyStore, asked: Asked) -> dict[str, Any] | None:
    """The reply that was kept.

    Raises:
        StoreError: If it cannot be read, or is not what was written.
    """
    if (found := store.reply(asked.key)) is None:
        return None
    wrong = fault(asked.shape, found)
    if not wrong:
        try:
            asked.read(found)
        except (ArithmeticError, KeyError, TypeError, ValueError) as error:
            wrong = str(error)
    if wrong:
        raise store.damaged(REPLIES, asked.key, wrong)
    return found


def _used(calls: Iterable[Mapping[str, Any]]) -> Usage:
    return sum((Usage.from_json(call["usage"]) for call in calls), Usage())
