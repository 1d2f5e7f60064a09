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


def usage_of_message(metadata: Mapping[str, Any] | None) -> Usage:
    """One call's `Usage` from a message's `usage_metadata`, which may be missing.

    Source: LangChain's `UsageMetadata`. No price is known here, so the call counts as unpriced.
    """
    metadata = metadata or {}
    details_in = metadata.get("input_token_details") or {}
    details_out = metadata.get("output_token_details") or {}
    return Usage(
        calls=1,
        input_tokens=metadata.get("input_tokens") or 0,
        output_tokens=metadata.get("output_tokens") or 0,
        cached_tokens=details_in.get("cache_read") or 0,
        reasoning_tokens=details_out.get("reasoning") or 0,
        unpriced_calls=1,
    )
