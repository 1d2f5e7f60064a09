"""The accounts of one step or planner: each model call below it is admitted, and then counted."""

import time
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from threading import Lock
from typing import Any, Final, NamedTuple
from uuid import UUID

from langchain_core.globals import get_llm_cache
from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult

from langgraph_conductor.budget import Ledger, Reservation
from langgraph_conductor.driving import Wait
from langgraph_conductor.errors import BudgetExceededError, ConductorError
from langgraph_conductor.foreign_text import package_logger
from langgraph_conductor.prices import Model, PriceTable, charged
from langgraph_conductor.records import CallRecord
from langgraph_conductor.usage import Usage, count
from langgraph_conductor.workers.billed import Asked, asked_in
from langgraph_conductor.workers.call_facts import (
    answers_in,
    extras,
    may_be_cached,
    model_of,
    output_cap,
    reply_in,
    untold_output,
    used_by,
    worst_case,
)
from langgraph_conductor.workers.counting import Prompt, likely_tokens, most_tokens
from langgraph_conductor.workers.failures import (
    ContextTooLongError,
    CutOffError,
    EmptyReplyError,
    mark_broken_reply,
    was_refused,
)
from langgraph_conductor.workers.limits import Call, Limiter
from langgraph_conductor.workers.streamed_usage import StreamedUsage
from langgraph_conductor.workers.whole_replies import cut_off, is_at_limit, limit_note

logger = package_logger(__name__)

_UNMETERED: Final = (
    "%d model calls told no tokens, so their use is unknown; a ChatOpenAI with a base_url tells it in streams "
    "with stream_usage=True"
)


class GivenUpError(ConductorError):
    """A call was not made, because the try it belongs to is over."""


class Bounds(NamedTuple):
    """What one model takes and gives.

    Args:
        model: Its name.
        max_input_tokens: Longest prompt, if it is known.
        output_cap: Most tokens of a reply, where a call itself does not say.
        caches: Whether it has a cache of its own (`cache=...`).
    """

    model: str = ""
    max_input_tokens: int | None = None
    output_cap: int | None = None
    caches: bool = False


Most = tuple[int | None, int | None, str]
"""Of a call: input and output tokens at most (`None`: no bound), and the provider."""


@dataclass(slots=True)
class _Running:
    """One model call, from its start to its end."""

    model: Model
    most: "Most" = (None, None, "")
    began: float = 0.0
    kept: Reservation | None = None
    booked: Call | None = None
    over: bool = False
    at_limit: bool = False
    asked: Asked = field(default_factory=Asked)


_SURELY_LONGER: Final = 2
"""By what factor an estimate has to exceed a cap to show that it was ignored."""


def _overrun(call: _Running, used: Usage, about: str = "") -> str:
    """Why a call used more than it could have, if it did."""
    sent, said, _ = call.most
    who = f"model {call.model.name or 'without a name'}"
    if said is not None and used.output_tokens > said:
        return (
            f"{who} gave {about}{used.output_tokens} tokens where {said} were the most that was asked for, so its "
            'server ignores the cap; name the server in a model string, such as "ollama:m@http://host:11434/v1", '
            "to send it the cap it knows"
        )
    if sent is not None and used.input_tokens > sent:
        return f"{who} counted {used.input_tokens} tokens for a prompt of {sent} at most"
    return ""


@dataclass(eq=False)
class Meter:
    """The accounts of all model calls below one step or planner.

    Args:
        worker: Name of the worker; empty for the planner.
        prices: The user's prices.
        ledger: The run's budget.
        limiter: The provider's limits.
        max_input_tokens: Longest prompt of any call.
        own: The model whose step it is, and what it takes; others below it have bounds of their own.
        others: Those of the models it falls back on.
        secrets: Keys, to be kept out of traces.
    """

    worker: str = ""
    prices: PriceTable = field(default_factory=dict)
    ledger: Ledger | None = None
    limiter: Limiter | None = None
    max_input_tokens: int | None = None
    own: Bounds = field(default_factory=Bounds)
    others: tuple[Bounds, ...] = ()
    secrets: tuple[str, ...] = ()
    usage: Usage = field(default_factory=Usage)
    records: list[CallRecord] = field(default_factory=list)
    keeps_most: bool = False
    """Whether `most` is wanted, which takes time to count."""
    most: list[Most] = field(default_factory=list)
    """What each of the records' calls could have used."""
    unmetered: int = 0
    """Calls whose provider told no tokens."""
    cut: CutOffError | None = None
    """Why the reply that came last is not whole, if it is not."""
    refusal: BudgetExceededError | None = None
    """Why a call of these accounts was not made, once the budget refused one."""
    _cut_text: str = ""
    _given_up: bool = False
    _is_over: bool = False
    _refused: set[UUID] = field(default_factory=set)
    _ended: set[UUID] = field(default_factory=set)
    """Calls that were counted: two doors may tell of one, an inherited and a hooked one."""
    _waited: float = 0.0
    _waiting: int = 0
    _waiting_since: float = 0.0
    _running: dict[UUID, _Running] = field(default_factory=dict)
    _left_open: dict[UUID, _Running] = field(default_factory=dict)
    """Calls that ran when the try ended, and were counted then."""
    _lock: Lock = field(default_factory=Lock)

    @property
    def guards(self) -> bool:
        """Whether a call may have to wait or be refused."""
        if self.limiter and self.limiter.counts_calls:
            return True
        longest = (self.max_input_tokens, *(known.max_input_tokens for known in (self.own, *self.others)))
        return any(guard is not None for guard in (self.ledger, *longest))

    @property
    def waited(self) -> float:
        """Seconds calls have waited for limits and the budget so far."""
        with self._lock:
            return self._waited + (time.monotonic() - self._waiting_since if self._waiting else 0.0)

    @property
    def in_flight(self) -> list[UUID]:
        """The calls that were begun and have not ended."""
        with self._lock:
            return list(self._running)

    def close(self, *, given_up: bool = True) -> None:
        """The try is over, and what calls in flight set aside stays booked.

        Args:
            given_up: Whether it was given up: then no further call is let through. One that ended well may have
                begun what goes on after it, such as a client that all share: its later calls are none of this
                try's, and are let through uncounted. Those in flight, such as a stream that nobody reads on, were
                made in it, and count.
        """
        with self._lock:
            self._given_up = given_up
            self._is_over = not given_up
            running = dict(self._running)
            if not given_up:
                self._left_open, self._running = running, {}
        for call in running.values():
            if not given_up:
                self._count_left(call)
            if self.ledger and call.kept:
                self.ledger.settle(call.kept, None)
        if self.unmetered:
            logger.warning(_UNMETERED, self.unmetered)

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
            if run_id in self._refused:
                raise GivenUpError("this call was refused")  # a door beside this one was told
            self._ended.discard(run_id)
            if self._given_up:  # a thread cannot be stopped, but it can be kept from paying more
                raise GivenUpError("this call comes from a try that was given up")
            if self._is_over:
                return
            call = self._running[run_id] = _Running(model_of(about))
            if not self._waiting:
                self._waiting_since = time.monotonic()
            self._waiting += 1
        try:
            yield from self._admit(call, messages, about)
        except BaseException as error:  # cancelled, too
            if isinstance(error, BudgetExceededError):
                self.refusal = self.refusal or error
            with self._lock:
                self._running.pop(run_id, None)
                self._refused.add(run_id)
            raise
        finally:
            with self._lock:
                self._waiting -= 1
                call.began = time.monotonic()
                if not self._waiting:
                    self._waited += call.began - self._waiting_since

    def _admit(
        self, call: _Running, messages: list[BaseMessage], about: Mapping[str, Any]
    ) -> Generator[Wait, None, None]:
        params = about.get("invocation_params") or {}
        extra = extras(params)
        call.asked = asked_in(messages, params)
        prompt = Prompt.of(messages if self.guards or self.keeps_most else ())
        likely = likely_tokens(prompt, extra, model=call.model) if self.guards else 0
        bounds = next((b for b in (self.own, *self.others) if b.model == call.model.name), Bounds())
        longest = self.max_input_tokens or bounds.max_input_tokens
        if longest is not None and likely > longest:
            raise ContextTooLongError(f"the prompt has about {likely} tokens and the model takes {longest}")
        metadata = about.get("metadata") or {}
        cap = output_cap(params, metadata, bounds.output_cap)
        if self.ledger or self.keeps_most:
            most = most_tokens(prompt, extra, model=call.model, window=bounds.max_input_tokens)
            call.most = most, None if cap is None else cap * answers_in(params), call.model.provider
        if self.ledger:
            kept = worst_case(most, cap, params, call.model, self.prices, self.ledger.budget, call.asked)
            kept.owner = str(metadata.get("langgraph_checkpoint_ns") or "")
            while future := self.ledger.admit(kept):
                yield Wait(future)
            call.kept = kept
        turn: Call | Wait | None = None
        try:
            counting = self.limiter if self.limiter and self.limiter.counts_calls else None
            while counting and not isinstance(turn, Call):
                waited = turn.future if turn else None
                turn = counting.begin(likely, cap, waited)
                if isinstance(turn, Wait):
                    yield turn
            call.booked = turn if isinstance(turn, Call) else None
            with self._lock:
                if call.over or self._given_up:
                    raise GivenUpError("this call was given up while it waited for its turn")
        except BaseException:
            if self.limiter and isinstance(turn, Wait):
                self.limiter.give_up(turn.future)
            self._free(call)
            raise

    def _free(self, call: _Running) -> None:
        """Give back what was set aside for a call that is not made."""
        if self.ledger and call.kept:
            self.ledger.settle(call.kept, Usage())
        if self.limiter and call.booked:
            self.limiter.end(call.booked, 0, 0)

    def _caches(self, model: Model) -> bool:
        """Whether answers of a model may be of LangChain's cache; of one in a function or agent, nobody knows."""
        known = (bounds.caches for bounds in (self.own, *self.others) if bounds.model == model.name)
        return get_llm_cache() is not None or next(known, True)

    def end(self, run_id: UUID, response: LLMResult, streamed: StreamedUsage | None = None) -> None:
        """Count what a call used, once.

        Args:
            run_id: The call.
            response: What it gave.
            streamed: What the chunks of a streamed one told of its use.
        """
        with self._lock:
            if run_id in self._ended:
                return
            call = self._running.pop(run_id, None)
            known = call or self._left_open.pop(run_id, None)
            if known is None and self._is_over:
                return  # it began after this try
            known = known or _Running(Model())
            self._ended.add(run_id)
        reply = reply_in(response)
        self.cut = cut_off(reply, known.model.provider)
        self._cut_text = str(reply.text).strip() if self.cut else ""
        known.at_limit = is_at_limit(reply)
        if self._caches(known.model) and may_be_cached(response, run_id):
            self._free(known)
            with self._lock:
                self.usage += Usage(usd=Decimal())  # its cost is known, and none
            return
        used, told = used_by(response, known.model, self.prices, streamed, sent_audio=known.asked.audio)
        if call is not None or not self._is_over:
            self._count(known, used, told=told)
        if self.ledger and known.kept:
            if told or used.usd is not None:
                self.ledger.settle(known.kept, used, _overrun(known, used))
            else:
                self._settle_untold(self.ledger, known, known.kept, response)
        if self.limiter and known.booked:
            counted = told and used.input_tokens > 0  # a cost may be told without tokens
            sent, said = (used.input_tokens, used.output_tokens) if counted else (None, None)
            self.limiter.end(known.booked, sent, said)

    def check_whole(self, text: str) -> None:
        """Refuse an answer that a function or chain made of a reply which was cut off.

        Raises:
            CutOffError: If the reply that came last was, and the answer holds its text.
        """
        if self.cut is not None and self._cut_text and self._cut_text in text:
            raise self.cut

    def blamed(self, failure: Exception) -> Exception:
        """What is to blame for a failure: where there was no text, and a server sent nothing, that it did not."""
        return self.cut if self.cut is not None and isinstance(failure, EmptyReplyError) else failure

    @property
    def note(self) -> str:
        """What is to be known of the answer of this try: that its limit of tokens cut it; else empty."""
        last = self.records[-1] if self.records else None
        if last is None or not last.get("at_limit"):
            return ""
        return limit_note(count(last["usage"].get("output_tokens")))

    def _settle_untold(
        self, ledger: Ledger, call: _Running, kept: Reservation, response: LLMResult
    ) -> None:
        """Leave booked what was set aside, or more, where the answer itself shows that its cap was ignored."""
        guess, most = untold_output(response), call.most[1]
        overrun = ""
        if most is not None and guess > _SURELY_LONGER * most:
            more = Usage(calls=1, output_tokens=guess - most, unpriced_calls=1)
            usd = charged(more, call.model, self.prices).usd
            kept.tokens = (kept.tokens or 0) + guess - most
            kept.usd = None if kept.usd is None else kept.usd + (usd or 0)
            overrun = _overrun(call, Usage(output_tokens=guess), "about ")
        ledger.settle(kept, None, overrun)

    def _count_left(self, call: _Running) -> None:
        """Count a call that was made, and whose end nobody waited for: what it used is not known."""
        if call.began:
            self._count(call, Usage(calls=1, unpriced_calls=1), told=True)

    def _count(self, call: _Running, used: Usage, *, told: bool) -> None:
        seconds = time.monotonic() - call.began if call.began else 0.0
        made: CallRecord = {
            "worker": self.worker,
            "model": call.model.name,
            "started_at": time.time() - seconds,
            "seconds": seconds,
            "usage": used.to_json(),
        }
        if call.at_limit:
            made["at_limit"] = True
        with self._lock:
            self.usage += used
            self.unmetered += not told
            self.records.append(made)
            self.most.append(call.most)

    @property
    def is_over(self) -> bool:
        """Whether the try ended well, so that later calls are none of its own."""
        return self._is_over

    @property
    def is_closed(self) -> bool:
        """Whether the try ended, well or not."""
        return self._is_over or self._given_up

    def drop(self, run_id: UUID) -> None:
        """Give back what was set aside for a call that others refused: it was not made."""
        with self._lock:
            call = self._running.pop(run_id, None) or self._left_open.pop(run_id, None)
            self._refused.add(run_id)
        if call is not None:
            self._free(call)

    def replay(self, calls: Iterable[CallRecord], most: Iterable[Most]) -> Generator[Wait, None, None]:
        """Count calls that were made and paid before, with what they used; a budget admits them as if made now.

        Args:
            calls: Their records.
            most: What each could have used.

        Raises:
            BudgetExceededError: If the budget does not allow one.
        """
        for call, (sent, said, provider) in zip(calls, most, strict=True):
            used = Usage.from_json(call["usage"])
            if self.ledger:
                model = Model(call["model"], provider)
                kept = worst_case(sent, said, {}, model, self.prices, self.ledger.budget)
                while future := self.ledger.admit(kept):
                    yield Wait(future)
                self.ledger.settle(kept, used)
            with self._lock:
                self.usage += used
                self.records.append({**call, "worker": self.worker})

    def fail(self, run_id: UUID, error: BaseException) -> None:
        """A call failed. Whether it was billed is known only if the provider refused it.

        One that was made and left, such as a stream that is closed before its end, has not failed: it counts.
        """
        mark_broken_reply(error)
        with self._lock:
            call = self._running.pop(run_id, None)
            if call is None:
                if not self._is_over:
                    self._refused.add(run_id)  # it may still be on its way here
                return
            call.over = True
        if isinstance(error, GeneratorExit):
            self._count_left(call)
        if was_refused(error):
            self._free(call)
        elif self.ledger and call.kept:
            self.ledger.settle(call.kept, None)
