"""What was used: calls, tokens, money and seconds, added up exactly."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class Usage:
    """Use of models, addable with `+`.

    Args:
        calls: Model calls that answered.
        input_tokens: Tokens sent, cached ones included.
        output_tokens: Tokens received, reasoning included.
        cached_tokens: Part of `input_tokens` the provider read from its cache.
        reasoning_tokens: Part of `output_tokens` spent on reasoning.
        usd: Money in US dollars, exact; `None` when the price of every call is unknown.
        unpriced_calls: Calls whose price is unknown, so that `usd` leaves them out.
        busy_seconds: Seconds of work, added over steps that may have run side by side.
    """

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    usd: Decimal | None = None
    unpriced_calls: int = 0
    busy_seconds: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        if not isinstance(other, Usage):
            return NotImplemented
        known = [usage.usd for usage in (self, other) if usage.usd is not None]
        sums = {
            field.name: getattr(self, field.name) + getattr(other, field.name)
            for field in fields(self)
            if field.name != "usd"
        }
        return Usage(**sums, usd=sum(known, Decimal()) if known else None)

    @property
    def total_tokens(self) -> int:
        """Tokens sent and received."""
        return self.input_tokens + self.output_tokens

    @property
    def is_told(self) -> bool:
        """Whether any call told its tokens. No prompt has none: counts of 0 say that providers told nothing."""
        return self.input_tokens > 0

    def to_json(self) -> dict[str, Any]:
        """As JSON; money as a string, because floats are not exact."""
        data: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        data["usd"] = None if self.usd is None else str(self.usd)
        data["busy_seconds"] = round(self.busy_seconds, 6)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Usage":
        """The inverse of `to_json`."""
        usd = data.get("usd")
        return cls(**{**data, "usd": None if usd is None else Decimal(usd)})


def usage_of_message(metadata: Any) -> Usage:
    """One call's `Usage` from a message's `usage_metadata`, which may be missing, or odd: what is no count is 0.

    Source: LangChain's `UsageMetadata`. No price is known here, so the call counts as unpriced.
    """
    told = mapping(metadata)
    sent, said = count(told.get("input_tokens")), count(told.get("output_tokens"))
    cached = count_in_tiers(told.get("input_token_details"), "cache_read")
    reasoning = count_in_tiers(told.get("output_token_details"), "reasoning")
    if reasoning and count(told.get("total_tokens")) == sent + said + reasoning:
        said += reasoning  # as xAI counts: thoughts beside the reply, not as part of it
    return Usage(
        calls=1,
        input_tokens=sent,
        output_tokens=said,
        cached_tokens=min(cached, sent),
        reasoning_tokens=min(reasoning, said),
        unpriced_calls=1,
    )


def mapping(value: Any) -> Mapping[str, Any]:
    """`value` if it is a mapping, else an empty one: servers send all kinds of things."""
    return value if isinstance(value, Mapping) else {}


def count_in_tiers(details: Any, name: str) -> int:
    """Tokens of one kind in `details`, in any of OpenAI's service tiers, such as `flex_cache_read`."""
    known = mapping(details)
    return sum(count(known.get(f"{tier}{name}")) for tier in ("", "priority_", "flex_"))


def count(value: Any) -> int:
    """`value` if it is a number of tokens, else 0."""
    return value if type(value) is int and value > 0 else 0
