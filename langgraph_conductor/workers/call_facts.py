"""What can be told of one model call: who is asked, what it may use at most, what it used."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from langgraph_conductor.budget import Budget, Reservation, UnboundedCallError
from langgraph_conductor.prices import Model, PriceTable, charged, reported_usd
from langgraph_conductor.usage import Usage, count, mapping, usage_of_message
from langgraph_conductor.workers.billed import Asked, asked_extras, cache_writes, extras_of, reported_cost
from langgraph_conductor.workers.counting import likely_tokens
from langgraph_conductor.workers.streamed_usage import StreamedUsage

_PLAIN: Final = Asked()
_CAPS: Final = ("max_completion_tokens", "max_output_tokens", "max_tokens", "num_predict", "max_new_tokens")
_EXTRAS: Final = ("tools", "functions", "response_format", "output_config", "text", "generation_config")


def extras(params: Mapping[str, Any]) -> dict[str, Any]:
    """What is sent beside the messages: tools, an output schema."""
    return {name: params[name] for name in _EXTRAS if params.get(name)}


def model_of(about: Mapping[str, Any]) -> Model:
    """Who is asked, by what LangChain tells of a call that begins."""
    metadata, params = about.get("metadata") or {}, about.get("invocation_params") or {}
    name = metadata.get("ls_model_name") or params.get("model") or params.get("model_name") or ""
    return Model(str(name), str(metadata.get("ls_provider") or ""))


def output_cap(params: Mapping[str, Any], metadata: Mapping[str, Any], known: int | None) -> int | None:
    """Most tokens of the reply: as the call says, else `known`."""
    config = params.get("generation_config") or {}
    for holder in (params, config if isinstance(config, Mapping) else {}, metadata):
        for name in (*_CAPS, "ls_max_tokens"):
            cap = holder.get(name)
            if type(cap) is int and cap > 0:
                return cap
    return known


def answers_in(params: Mapping[str, Any]) -> int:
    """How many answers a call asks for."""
    answers = params.get("n")
    return answers if type(answers) is int and answers else 1


def worst_case(
    input_tokens: int | None,
    cap: int | None,
    params: Mapping[str, Any],
    model: Model,
    prices: PriceTable,
    budget: Budget,
    asked: Asked = _PLAIN,
) -> Reservation:
    """What a call uses at most.

    Args:
        input_tokens: Tokens sent at most; `None` if there is no bound.
        cap: Tokens of one answer at most.
        params: Options of the call.
        model: Who is asked.
        prices: The user's prices.
        budget: The run's budget.
        asked: What its prompt holds that costs more.

    Raises:
        UnboundedCallError: If it has no bound and the budget demands one.
    """
    strict = not budget.allow_unbounded and (budget.usd is not None or budget.tokens is not None)
    if input_tokens is None and strict:
        raise UnboundedCallError(
            "a file that is sent by reference has no known size, so the budget cannot bound the call; send its "
            "content, or set allow_unbounded=True on the budget",
            limit="tokens" if budget.usd is None else "usd",
        )
    input_tokens = input_tokens or 0
    output = None if cap is None else cap * answers_in(params)
    if output is None and strict:
        raise UnboundedCallError(
            f"model {model.name or 'without a name'} has no output cap, so the budget cannot bound its call; "
            "set max_tokens on it, or allow_unbounded=True on the budget",
            limit="tokens" if budget.usd is None else "usd",
        )
    most = Usage(calls=1, input_tokens=input_tokens, output_tokens=output or 0, unpriced_calls=1)
    usd = None
    if budget.usd is not None:
        # A cache is charged less for reading, but more for writing: count all as written.
        extras = asked_extras(params, asked, input_tokens, output or 0)
        writes = 0 if asked.audio else input_tokens
        usd = charged(most, model, prices, cache_writes=writes, extras=extras).usd
        if usd is None and strict:
            raise UnboundedCallError(
                f"the price of model {model.name or 'without a name'} is not known, so the budget cannot bound "
                "its call; give its worker a price, or set allow_unbounded=True on the budget",
                limit="usd",
            )
    return Reservation(tokens=input_tokens + (output or 0), usd=usd)


def may_be_cached(response: LLMResult, run_id: UUID) -> bool:
    """Whether an answer bears the signs of LangChain's cache, so that no call was made.

    What a provider says gets an id, that of the run where it has none, and LangChain's cache leaves a missing one
    missing. Of answers with an id the cache sets `total_cost` to 0. A provider that gives a call away may say the
    same, so the signs count only where there may be a cache.

    Args:
        response: What the call gave.
        run_id: Its run.
    """
    messages = _messages(response)
    if not messages or response.llm_output or any(str(run_id) in str(m.id) for m in messages):
        return False
    costs = [mapping(message.usage_metadata).get("total_cost") for message in messages]
    free = all(type(cost) is int and cost == 0 for cost in costs)
    return free or all(message.id is None for message in messages)


def used_by(
    response: LLMResult,
    model: Model,
    prices: PriceTable,
    streamed: StreamedUsage | None = None,
    *,
    sent_audio: bool = False,
) -> tuple[Usage, bool]:
    """The usage of one call, which may have several answers, and whether it was told.

    No prompt has 0 tokens: clients say 0 where the provider said nothing.

    Args:
        response: What the call gave.
        model: Who was asked.
        prices: The user's prices.
        streamed: What its chunks told, if it was streamed.
        sent_audio: Whether the prompt held audio or video.
    """
    # Several answers to one call all carry the usage of the whole.
    messages = _messages(response)
    message = next((m for m in messages if m.usage_metadata), messages[0] if messages else AIMessage(""))
    about, metadata = mapping(message.response_metadata), mapping(message.usage_metadata)
    metadata = streamed.total(metadata, model) if streamed else metadata
    used = _with_thoughts(usage_of_message(metadata), metadata, model)
    reported = reported_cost(about, metadata, model)
    told = used.input_tokens > 0 or reported_usd(reported) is not None
    if told:
        named = Model(str(about.get("model_name") or model.name), model.provider)
        writes = min(cache_writes(metadata), used.input_tokens - used.cached_tokens)
        extras = extras_of(message, metadata, model, sent_audio=sent_audio)
        extras = replace(extras, hour_writes=min(extras.hour_writes, writes))
        for one in dict.fromkeys((model, named) if model.name in prices else (named, model)):
            # What answered may have a longer name (a dated version) than what was asked for and priced.
            priced = charged(used, one, prices, reported=reported, cache_writes=writes, extras=extras)
            if priced.usd is not None:
                return priced, told
    return used, told


def reply_in(response: LLMResult) -> AIMessage:
    """The first answer of a call; an empty message if there is none."""
    return next(iter(_messages(response)), AIMessage(""))


def _with_thoughts(used: Usage, metadata: Mapping[str, Any], model: Model) -> Usage:
    """`used` with Gemini's thoughts, which its OpenAI-compatible API counts in the total alone."""
    more = count(metadata.get("total_tokens")) - used.total_tokens
    if (
        "gemini" not in model.name
        or model.provider.startswith("google")
        or not used.input_tokens
        or more <= 0
    ):
        return used
    return replace(
        used, output_tokens=used.output_tokens + more, reasoning_tokens=used.reasoning_tokens + more
    )


def untold_output(response: LLMResult) -> int:
    """About how many tokens an answer has whose provider told nothing."""
    return likely_tokens(_messages(response))


def _messages(response: LLMResult) -> list[AIMessage]:
    return [
        generation.message
        for generations in response.generations
        for generation in generations
        if isinstance(generation, ChatGeneration) and isinstance(generation.message, AIMessage)
    ]
