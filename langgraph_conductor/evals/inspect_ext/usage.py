"""Usage of Inspect as usage of this package and of LangChain, and back."""

from collections.abc import Mapping
from typing import Any

from inspect_ai.model import ModelCost, ModelUsage, ServedModelUsage
from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails, UsageMetadata

# Inspect has no public way to count a part of a call under a name of its own.
from inspect_ai.model._model import (  # isort: skip
    role_usage_context_var,
    sample_role_usage_context_var,
    set_model_usage,
)

from langgraph_conductor.usage import Usage

PLANNER = "planner"


def model_usage(used: Usage) -> ModelUsage:
    """`Usage` in Inspect's form: its input tokens leave out those read from the cache.

    The money is told only if the price of every call is known.
    """
    return ModelUsage(
        input_tokens=used.input_tokens - used.cached_tokens,
        output_tokens=used.output_tokens,
        total_tokens=used.total_tokens,
        input_tokens_cache_read=used.cached_tokens or None,
        reasoning_tokens=used.reasoning_tokens or None,
        total_cost=float(used.usd) if _is_priced(used) and used.usd is not None else None,
    )


def by_worker(usage: Mapping[str, Any]) -> dict[str, Usage]:
    """What the planner and each worker used.

    Args:
        usage: The `usage` of a conductor's result.
    """
    workers = {name: Usage.from_json(used) for name, used in usage["by_worker"].items()}
    planner = Usage.from_json(usage["planner"])
    named = PLANNER if PLANNER not in workers else "(planner)"
    parts = {named: planner, **workers}
    return {name: used for name, used in parts.items() if used.calls}


def served(parts: Mapping[str, Usage]) -> list[ServedModelUsage] | None:
    """The same as Inspect takes it to add up what a call cost; `None` if some price is unknown.

    Inspect multiplies tokens by prices, and here the money is known: it is given as the price of a million tokens,
    of which there are a million.
    """
    if not parts or not all(_is_priced(used) for used in parts.values()):
        return None
    million = ModelUsage(input_tokens=1_000_000, total_tokens=1_000_000)
    return [
        ServedModelUsage(f"conductor/{name}", million, _flat(float(used.usd or 0)))
        for name, used in parts.items()
    ]


def count_as_roles(parts: Mapping[str, Usage]) -> None:
    """Count what each worker used under its name, where Inspect counts its roles: `stats.role_usage` of the log.

    `stats.model_usage` has the call as a whole, so nothing is counted twice.
    """
    for name, used in parts.items():
        for variable in (sample_role_usage_context_var, role_usage_context_var):
            set_model_usage(name, model_usage(used), variable.get(None))


def usage_metadata(used: ModelUsage | None) -> UsageMetadata | None:
    """Usage of Inspect in LangChain's form, whose input tokens hold those of the cache."""
    if used is None:
        return None
    read, written = used.input_tokens_cache_read, used.input_tokens_cache_write
    told = UsageMetadata(
        input_tokens=used.input_tokens + (read or 0) + (written or 0),
        output_tokens=used.output_tokens,
        total_tokens=used.total_tokens,
    )
    cached = {"cache_read": read, "cache_creation": written}
    if known := {name: count for name, count in cached.items() if count is not None}:
        told["input_token_details"] = InputTokenDetails(**known)  # type: ignore[typeddict-item]
    if used.reasoning_tokens is not None:
        told["output_token_details"] = OutputTokenDetails(reasoning=used.reasoning_tokens)
    return told


def _is_priced(used: Usage) -> bool:
    return used.usd is not None and not used.unpriced_calls


def _flat(price: float) -> ModelCost:
    return ModelCost(input=price, output=price, input_cache_write=price, input_cache_read=price)
