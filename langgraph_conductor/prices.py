"""What model calls cost: the user's price, else the provider's own report, else `genai-prices`, else unknown."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import Any, Final

from langgraph_conductor.usage import Usage


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs, in US dollars per million tokens.

    Args:
        input: For tokens sent.
        output: For tokens received.
        cached: For tokens read from the provider's cache; the input price if left out.

    Raises:
        ValueError: If one is not a number from 0 up.
    """

    input: Decimal
    output: Decimal
    cached: Decimal | None = None

    def __post_init__(self) -> None:
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in given.items():
            if name == "cached" and value is None:
                continue
            if (known := reported_usd(value)) is None:
                raise ValueError(_PRICE_FORM.format(given))
            object.__setattr__(self, name, known)

    @classmethod
    def of(cls, data: "Price | Mapping[str, Any]") -> "Price":
        """From a mapping such as `{"input": "1.25", "output": "10"}`.

        Raises:
            ValueError: If a key is unknown or missing, or a value is not a number from 0 up.
        """
        if isinstance(data, Price):
            return data
        try:
            return cls(**data)
        except (TypeError, ValueError) as error:
            raise ValueError(_PRICE_FORM.format(data)) from error

    def charge(self, usage: Usage) -> Usage:
        """`usage` with its money filled in."""
        cached = self.input if self.cached is None else self.cached
        millionths = (
            (usage.input_tokens - usage.cached_tokens) * self.input
            + usage.cached_tokens * cached
            + usage.output_tokens * self.output
        )
        return replace(usage, usd=millionths / 1_000_000, unpriced_calls=0)


_PRICE_FORM = (
    'a price is {{"input": "1.25", "output": "10"}} in USD per million tokens, '
    'or a table {{"model-name": {{"input": ..., "output": ...}}}}, not {!r}'
)

PriceTable = Mapping[str, Price]
"""Prices by model name; `""` is the price of every other model."""


def price_table(data: "Price | Mapping[str, Any] | None") -> PriceTable:
    """One price, or prices by model name, as a table.

    Raises:
        ValueError: If it is neither.
    """
    if data is None:
        return {}
    if isinstance(data, Price) or (isinstance(data, Mapping) and not _is_table(data)):
        return {"": Price.of(data)}
    if not isinstance(data, Mapping):
        raise ValueError(_PRICE_FORM.format(data))
    return {str(model): Price.of(price) for model, price in data.items()}


def _is_table(data: Mapping[str, Any]) -> bool:
    return all(isinstance(value, Mapping | Price) for value in data.values())


@dataclass(frozen=True, slots=True)
class Model:
    """Which model answered, as far as it is known.

    Args:
        name: Its name, such as `"gpt-5-mini"`.
        provider: LangChain's name of its provider, such as `"google_genai"`; empty if unknown.
    """

    name: str = ""
    provider: str = ""


_PROVIDER_IDS: Final = {
    "amazon_bedrock": "aws",
    "azure_openai": "azure",
    "fireworks": "fireworks",
    "google_genai": "google",
    "google_vertexai": "google",
    "mistralai": "mistral",
    "xai": "x-ai",
}
"""Where genai-prices calls a provider otherwise than LangChain does."""

SELF_HOSTED: Final = frozenset({"vllm", "sglang", "llamacpp", "ollama", "openai_compatible"})
"""Providers that have no price list: whoever runs the server pays for the machine."""


@dataclass(frozen=True, slots=True)
class Extras:
    """What makes a call dearer, or cheaper, than its tokens alone say.

    Args:
        hour_writes: Part of the tokens written to the cache that are kept there for an hour.
        audio_input: Part of the input tokens that are audio.
        audio_output: Part of the output tokens that are audio.
        tier: Service tier that answered, such as `"priority"`; empty for the usual one.
        speed: Mode that answered, such as Anthropic's `"fast"`; empty for the usual one.
        web_searches: Searches of the web made by the provider.
        file_searches: Searches of stored files made by the provider.
        audio_uncounted: Whether there was audio in the prompt, and nobody tells how many tokens it was.
        unknown: Something is charged for that no count tells, such as an image that was made.
    """

    hour_writes: int = 0
    audio_input: int = 0
    audio_output: int = 0
    tier: str = ""
    speed: str = ""
    web_searches: int = 0
    file_searches: int = 0
    audio_uncounted: bool = False
    unknown: bool = False


NO_EXTRAS: Final = Extras()


def charged(
    usage: Usage,
    model: Model,
    table: PriceTable,
    *,
    reported: Any = None,
    cache_writes: int = 0,
    extras: Extras = NO_EXTRAS,
) -> Usage:
    """One call's usage with its money, where it can be known.

    Args:
        usage: The tokens.
        model: Who answered.
        table: The user's prices.
        reported: What the provider says the call cost, in USD.
        cache_writes: Part of the input tokens written to the provider's cache, which some charge more.
        extras: What else is charged for.

    Returns:
        `usage` with `usd`, or with `unpriced_calls` as it was.
    """
    if price := table.get(model.name, table.get("")):
        return price.charge(usage)
    if (known := reported_usd(reported)) is not None:
        return replace(usage, usd=known, unpriced_calls=0)
    known = _listed(usage, model, cache_writes, extras)
    return usage if known is None else replace(usage, usd=known, unpriced_calls=0)


def reported_usd(value: Any) -> Decimal | None:
    """What a provider says a call cost, if it is an amount of money."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        known = Decimal(str(value))
    except ArithmeticError:
        return None
    return known if known.is_finite() and known >= 0 else None


def _listed(usage: Usage, model: Model, cache_writes: int, extras: Extras) -> Decimal | None:
    """The price by the list that `genai-prices` (MIT) ships; it is read offline.

    What the list has no price for makes the whole unknown: it would count it at the price of text, or of the usual
    tier, which is too low.

    Source: https://github.com/pydantic/genai-prices
    """
    if not model.name or not model.provider or model.provider in SELF_HOSTED or extras.unknown:
        return None  # a name alone could be anybody's
    import genai_prices

    provider = _PROVIDER_IDS.get(model.provider, model.provider)
    counts = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cached_tokens,
        "cache_write_tokens": cache_writes,
        **{name: getattr(extras, field) for name, (field, _) in _UNITS.items()},
    }
    if usage.cached_tokens and extras.audio_input:  # whether the audio was cached, nobody tells
        counts["cache_audio_read_tokens"] = max(
            0, usage.cached_tokens + extras.audio_input - usage.input_tokens
        )
    tier = "processing" if extras.tier == "batch" else "service_tier"
    context = {name: value for name, value in ((tier, extras.tier), ("speed", extras.speed)) if value}
    try:
        tokens = genai_prices.Usage(**{name: count for name, count in counts.items() if count})
        found = genai_prices.calc_price(tokens, model.name, provider_id=provider, price_context=context)
    except (LookupError, ValueError):
        return None
    priced = found.model_price
    lacking = [
        key for field, key in _UNITS.values() if getattr(extras, field) and getattr(priced, key) is None
    ]
    if provider == "google":  # audio costs there what text does, where it has no price of its own
        lacking = [key for key in lacking if key != "input_audio_mtok"]
    if extras.audio_uncounted and priced.input_audio_mtok is not None:
        return None
    variants = [variant.when for variant in found.model.price_variants or ()]
    return None if lacking or (context and context not in variants) else found.total_price


_UNITS: Final = {
    "cache_write_1h_tokens": ("hour_writes", "cache_write_1h_mtok"),
    "input_audio_tokens": ("audio_input", "input_audio_mtok"),
    "output_audio_tokens": ("audio_output", "output_audio_mtok"),
    "web_searches": ("web_searches", "web_searches_kcount"),
    "storage_searches": ("file_searches", "storage_searches_kcount"),
}
"""The list's name of what is counted: our field of it, and the list's name of its price."""
