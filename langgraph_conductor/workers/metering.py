"""Watches every model call below one step or planner, however deep: admits it, then counts what it used.

It sits in LangChain's callbacks, which reach the models inside agents too. LangChain calls sync handlers
and async ones in different ways, so there are two over one set of accounts: `_Door`, which sees every
call, and `_AsyncDoor`, which does the waiting where a call is awaited.
"""

import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from inspect import CO_COROUTINE, currentframe
from threading import Lock
from typing import Any, Final
from uuid import UUID

from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.callbacks.manager import ahandle_event, handle_event
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.runnables import RunnableConfig

from langgraph_conductor.budget import Budget, Ledger, Reservation, UnboundedCallError
from langgraph_conductor.driving import Wait, adrive, await_, drive, wait
from langgraph_conductor.prices import Model, PriceTable, charged
from langgraph_conductor.records import CallRecord
from langgraph_conductor.usage import Usage, usage_of_message
from langgraph_conductor.workers.counting import likely_tokens, most_tokens
from langgraph_conductor.workers.failures import ContextTooLongError, mark_broken_reply, was_refused
from langgraph_conductor.workers.limits import Call as Booked
from langgraph_conductor.workers.limits import Limiter

_CAPS: Final = ("max_completion_tokens", "max_output_tokens", "max_tokens", "num_predict", "max_new_tokens")
_EXTRAS: Final = ("tools", "functions", "response_format", "output_config", "text", "generation_config")


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
    """

    prices: PriceTable = field(default_factory=dict)
    ledger: Ledger | None = None
    limiter: Limiter | None = None
    max_input_tokens: int | None = None
    output_cap: int | None = None
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

    def under(self, config: RunnableConfig) -> RunnableConfig:
        """`config` under which every model call goes through these accounts."""
        # merge_configs would not do: it lays the ambient config over this one.
        callbacks = config.get("callbacks")
        given = callbacks if callbacks is None or isinstance(callbacks, list) else callbacks.handlers
        doors: list[BaseCallbackHandler] = [_Door(self, [*(given or ())])]
        if self.guards:
            doors.append(_AsyncDoor(self, [*(given or ())]))
        if callbacks is None or isinstance(callbacks, list):
            return {**config, "callbacks": [*(callbacks or ()), *doors]}
        manager = callbacks.copy()
        for door in doors:
            manager.add_handler(door, inherit=True)
        return {**config, "callbacks": manager}

    @property
    def waited(self) -> float:
        """Seconds calls have waited for limits and the budget so far."""
        now = time.monotonic()
        with self._lock:
            waiting = [now - call.asked for call in self._running.values() if not call.began]
            return self._waited + max(waiting, default=0.0)

    def close(self) -> None:
        """The step is over; what calls still in flight have set aside stays booked."""
        with self._lock:
            running = list(self._running.values())
        for call in running:
            if self.ledger and call.kept and not call.refusal:
                self.ledger.settle(call.kept, None)

    # ------------------------------------------------------------------ a call begins

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
            call = self._running[run_id] = _Running(_model(about))
        try:
            yield from self._admit(call, messages, about)
        except Exception as error:
            call.refusal = error
            raise

    def _admit(
        self, call: _Running, messages: list[BaseMessage], about: Mapping[str, Any]
    ) -> Generator[Wait, None, None]:
        params = about.get("invocation_params") or {}
        extra = {name: params[name] for name in _EXTRAS if params.get(name)}
        likely = likely_tokens(messages, extra) if self.guards else 0
        if self.max_input_tokens is not None and likely > self.max_input_tokens:
            raise ContextTooLongError(
                f"the prompt has about {likely} tokens and the model takes {self.max_input_tokens}"
            )
        cap = _output_cap(params, about.get("metadata") or {}, self.output_cap)
        if self.ledger:
            budget = self.ledger.budget
            kept = _worst_case(most_tokens(messages, extra), cap, params, call.model, self.prices, budget)
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

    # ------------------------------------------------------------------ a call ends

    def end(self, run_id: UUID, response: LLMResult) -> None:
        """Count what a call used."""
        call = self._running.pop(run_id, None) or _Running(Model())
        used, told = _used(response, call.model, self.prices)
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


class _Door(BaseCallbackHandler):
    """Sees every call; makes the ones that are not awaited wait."""

    run_inline = True  # the sums are ready when the call returns, also under asyncio
    raise_error = True

    def __init__(self, meter: Meter, others: list[BaseCallbackHandler]) -> None:
        self._meter = meter
        self._others = others

    def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[list[BaseMessage]], *, run_id: UUID, **about: Any
    ) -> None:
        """A call begins (called by LangChain)."""
        caller = currentframe()
        caller = caller.f_back if caller else None
        if self._meter.guards and caller and caller.f_code.co_flags & CO_COROUTINE:
            return  # an awaited call: `_AsyncDoor` is asked next, and may wait without blocking
        begun = self._meter.begin(run_id, [m for batch in messages for m in batch], about)
        try:
            drive(begun, wait)
        except Exception as error:
            told = {
                "run_id": run_id,
                "parent_run_id": about.get("parent_run_id"),
                "tags": about.get("tags"),
            }
            handle_event(self._others, "on_llm_error", "ignore_llm", error, **told)
            raise

    def on_llm_start(
        self, serialized: dict[str, Any], prompts: list[str], *, run_id: UUID, **about: Any
    ) -> None:
        """The same of a model that is no chat model."""
        self.on_chat_model_start(serialized, [_as_messages(prompts)], run_id=run_id, **about)

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_: Any) -> None:
        """A call is answered."""
        self._meter.end(run_id, response)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """A call has failed."""
        self._meter.fail(run_id, error)


class _AsyncDoor(AsyncCallbackHandler):
    """Makes awaited calls wait. Not inline: LangChain would leave other handlers' coroutines un-awaited."""

    raise_error = True

    def __init__(self, meter: Meter, others: list[BaseCallbackHandler]) -> None:
        self._meter = meter
        self._others = others

    async def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[list[BaseMessage]], *, run_id: UUID, **about: Any
    ) -> None:
        """An awaited call begins (called by LangChain)."""
        begun = self._meter.begin(run_id, [m for batch in messages for m in batch], about)
        try:
            await adrive(begun, await_)
        except Exception as error:
            told = {
                "run_id": run_id,
                "parent_run_id": about.get("parent_run_id"),
                "tags": about.get("tags"),
            }
            await ahandle_event(self._others, "on_llm_error", "ignore_llm", error, **told)
            raise

    async def on_llm_start(
        self, serialized: dict[str, Any], prompts: list[str], *, run_id: UUID, **about: Any
    ) -> None:
        """The same of a model that is no chat model."""
        await self.on_chat_model_start(serialized, [_as_messages(prompts)], run_id=run_id, **about)


def _as_messages(prompts: list[str]) -> list[BaseMessage]:
    return [HumanMessage(prompt) for prompt in prompts]


def _model(about: Mapping[str, Any]) -> Model:
    metadata, params = about.get("metadata") or {}, about.get("invocation_params") or {}
    name = metadata.get("ls_model_name") or params.get("model") or params.get("model_name") or ""
    return Model(str(name), str(metadata.get("ls_provider") or ""))


def _output_cap(params: Mapping[str, Any], metadata: Mapping[str, Any], known: int | None) -> int | None:
    config = params.get("generation_config") or {}
    for holder in (params, config if isinstance(config, Mapping) else {}, metadata):
        for name in (*_CAPS, "ls_max_tokens"):
            cap = holder.get(name)
            if type(cap) is int and cap > 0:
                return cap
    return known


def _worst_case(
    input_tokens: int,
    cap: int | None,
    params: Mapping[str, Any],
    model: Model,
    prices: PriceTable,
    budget: Budget,
) -> Reservation:
    """What a call uses at most.

    Raises:
        UnboundedCallError: If it has no bound and the budget demands one.
    """
    strict = not budget.allow_unbounded
    answers = params.get("n") if type(params.get("n")) is int else 1
    output = None if cap is None else cap * (answers or 1)
    if output is None and strict and (budget.usd is not None or budget.tokens is not None):
        raise UnboundedCallError(
            f"model {model.name or 'without a name'} has no output cap, so the budget cannot bound its call; "
            "set max_tokens on it, or allow_unbounded=True on the budget",
            limit="tokens" if budget.usd is None else "usd",
        )
    most = Usage(calls=1, input_tokens=input_tokens, output_tokens=output or 0, unpriced_calls=1)
    usd = None
    if budget.usd is not None:
        # A cache is charged less for reading, but more for writing: count all as written.
        usd = charged(most, model, prices, cache_writes=input_tokens).usd
        if usd is None and strict:
            raise UnboundedCallError(
                f"the price of model {model.name or 'without a name'} is not known, so the budget cannot bound "
                "its call; give its worker a price, or set allow_unbounded=True on the budget",
                limit="usd",
            )
    return Reservation(tokens=input_tokens + (output or 0), usd=usd)


def _used(response: LLMResult, model: Model, prices: PriceTable) -> tuple[Usage, bool]:
    """The usage of one call, which may have several answers, and whether its tokens were told."""
    # Several answers to one call all carry the usage of the whole.
    messages = [
        generation.message
        for generations in response.generations
        for generation in generations
        if isinstance(generation, ChatGeneration) and isinstance(generation.message, AIMessage)
    ]
    message = next((m for m in messages if m.usage_metadata), messages[0] if messages else AIMessage(""))
    about: Mapping[str, Any] = message.response_metadata or {}
    told: Mapping[str, Any] = message.usage_metadata or {}
    used = usage_of_message(told)
    reported = about.get("cost", about.get("response_cost", told.get("total_cost")))
    if told or reported is not None:
        named = Model(str(about.get("model_name") or model.name), model.provider)
        writes = (told.get("input_token_details") or {}).get("cache_creation") or 0
        used = _with_money(used, named, model, prices, reported, writes)
    return used, bool(told)


def _with_money(
    used: Usage, named: Model, asked: Model, prices: PriceTable, reported: Any, writes: int
) -> Usage:
    # What answered may have a longer name (a dated version) than what was asked for and priced.
    for model in (asked, named) if asked.name in prices else (named, asked):
        priced = charged(used, model, prices, reported=reported, cache_writes=writes)
        if priced.usd is not None:
            return priced
    return used
