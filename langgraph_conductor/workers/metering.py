"""The accounts of one step or planner: each model call below it is admitted, and then counted."""

import logging
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final
from uuid import UUID

from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult

from langgraph_conductor.budget import Ledger, Reservation
from langgraph_conductor.driving import Wait
from langgraph_conductor.prices import Model, PriceTable
from langgraph_conductor.records import CallRecord
from langgraph_conductor.usage import Usage
from langgraph_conductor.workers.call_facts import extras, model_of, output_cap, used_by, worst_case
from langgraph_conductor.workers.counting import likely_tokens, most_tokens
from langgraph_conductor.workers.failures import ContextTooLongError, mark_broken_reply, was_refused
from langgraph_conductor.workers.limits import Call as Booked
from langgraph_conductor.workers.limits import Limiter

logger = logging.getLogger(__name__)

_UNMETERED: Final = (
    "%d model calls told no tokens, so their use is unknown; a ChatOpenAI with a base_url tells it in streams "
    "with stream_usage=True"
)


@dataclass(slots=True)
class _Running:
    """One model call, from its start to its end."""

    model: Model
    asked: float = field(default_factory=time.monotonic)
    began: float = 0.0
    kept: Reservation | None = None
    booked: Booked | None = None
    refusal: Exception | None = None
    over: bool = False


@dataclass
class Meter:
    """The accounts of all model calls below one step or planner.

    Args:
        prices: The user's prices.
        ledger: The run's budget.
        limiter: The provider's limits.
        max_input_tokens: Longest prompt, if it is known.
        output_cap: Most tokens of a reply where the call itself does not say.
        secrets: Keys, to be kept out of traces.
    """

    prices: PriceTable = field(default_factory=dict)
    ledger: Ledger | None = None
    limiter: Limiter | None = None
    max_input_tokens: int | None = None
    output_cap: int | None = None
    secrets: tuple[str, ...] = ()
    usage: Usage = field(default_factory=Usage)
    records: list[CallRecord] = field(default_factory=list)
    unmetered: int = 0
    """Calls whose provider told no tokens."""
    _waited: float = 0.0
    _running: dict[UUID, _Running] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    @property
    def guards(self) -> bool:
        """Whether a call may have to wait or be refused."""
        limited = self.limiter is not None and self.limiter.counts_calls
        return self.ledger is not None or limited or self.max_input_tokens is not None

    @property
    def waited(self) -> float:
        """Seconds calls have waited for limits and the budget so far."""
        now = time.monotonic()
        with self._lock:
            waiting = [now - c.asked for c in self._running.values() if not (c.began or c.refusal)]
            return self._waited + max(waiting, default=0.0)

    @property
    def in_flight(self) -> list[UUID]:
        """The calls that were begun and have not ended."""
        with self._lock:
            return [run_id for run_id, call in self._running.items() if not call.refusal]

    def close(self) -> None:
        """The step is over; what calls still in flight have set aside stays booked."""
        if self.unmetered:
            logger.warning(_UNMETERED, self.unmetered)
        with self._lock:
            running = list(self._running.values())
        for call in running:
            if self.ledger and call.kept and not call.refusal:
                self.ledger.settle(call.kept, None)

    def begin(
        self, run_id: UUID, messages: list[BaseMessage], about: Mapping[str, Any]
    ) -> Generator[Wait, None, None]:
        """Admit one call, waiting for its turn.

        Raises:
            ContextTooLongError: If the prompt is longer than the model takes.
            BudgetExceededError: If the budget does not allow it.
        """
        with self._lock:
            if run_id in self._running:
                return  # the other door has seen to it
            call = self._running[run_id] = _Running(model_of(about))
        try:
            yield from self._admit(call, messages, about)
        except Exception as error:
            call.refusal = error
            raise

    def _admit(
        self, call: _Running, messages: list[BaseMessage], about: Mapping[str, Any]
    ) -> Generator[Wait, None, None]:
        params = about.get("invocation_params") or {}
        extra = extras(params)
        likely = likely_tokens(messages, extra) if self.guards else 0
        if self.max_input_tokens is not None and likely > self.max_input_tokens:
            raise ContextTooLongError(
                f"the prompt has about {likely} tokens and the model takes {self.max_input_tokens}"
            )
        cap = output_cap(params, about.get("metadata") or {}, self.output_cap)
        if self.ledger:
            budget = self.ledger.budget
            kept = worst_case(most_tokens(messages, extra), cap, params, call.model, self.prices, budget)
            while future := self.ledger.admit(kept):
                yield Wait(future)
            call.kept = kept
            if call.over:  # another guard of the same call has refused it meanwhile
                self.ledger.settle(kept, Usage())
        if self.limiter:
            try:
                while isinstance(turn := self.limiter.begin(likely, cap), Wait):
                    yield turn
            except BaseException:  # cancelled while waiting
                if self.ledger and call.kept:
                    self.ledger.settle(call.kept, Usage())
                raise
            call.booked = turn
        with self._lock:
            call.began = time.monotonic()
            self._waited += call.began - call.asked

    def end(self, run_id: UUID, response: LLMResult) -> None:
        """Count what a call used."""
        call = self._running.pop(run_id, None) or _Running(Model())
        used, told = used_by(response, call.model, self.prices)
        with self._lock:
            self.usage += used
            self.unmetered += not told
            seconds = time.monotonic() - call.began if call.began else 0.0
            self.records.append({"model": call.model.name, "seconds": seconds, "usage": used.to_json()})
        if self.ledger and call.kept:
            self.ledger.settle(call.kept, used)
        if self.limiter and call.booked:
            sent, said = (used.input_tokens, used.output_tokens) if told else (None, None)
            self.limiter.end(call.booked, sent, said)

    def fail(self, run_id: UUID, error: BaseException) -> None:
        """A call failed. Whether it was billed is known only if the provider refused it."""
        mark_broken_reply(error)
        call = self._running.pop(run_id, None)
        if call is None or call.refusal:
            return
        call.over = True
        free = was_refused(error)
        if self.ledger and call.kept:
            self.ledger.settle(call.kept, Usage() if free else None)
        if self.limiter and call.booked and free:
            self.limiter.end(call.booked, 0, 0)
