"""What is charged for beside tokens: cache for an hour, tiers, audio, searches, keys of one's own; or unknown."""

from decimal import Decimal

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from langgraph_conductor import Budget
from langgraph_conductor.budget import UnboundedCallError
from langgraph_conductor.prices import Extras, Model, Price
from langgraph_conductor.usage import usage_of_message
from langgraph_conductor.workers.billed import Asked, asked_in, reported_cost
from langgraph_conductor.workers.call_facts import used_by, worst_case

CLAUDE = Model("claude-sonnet-4-5", "anthropic")  # 3, writes 3.75 and 6, 15; $10 for 1,000 searches
GPT = Model("gpt-5", "openai")  # 1.25, cached 0.125, 10; twice that in the priority tier, half in flex
FLASH = Model(
    "gemini-2.5-flash", "google_genai"
)  # 0.30, audio 1.00, 2.50; $35 for 1,000 prompts that search
AUDIO = Model("gpt-audio", "openai")  # 2.50, audio 32; 10, audio 64
PLAIN = Asked()
ROUTER = Model("vendor/private-model", "openrouter")


def paid(
    model,
    sent=1000,
    said=0,
    *,
    prices=None,
    content="hi",
    sent_audio=False,
    kwargs=None,
    details=None,
    **about,
):
    """Millionths of a dollar; `None` if unknown."""
    inside, out = details or {}, {}
    if "output" in inside:
        out = inside.pop("output")
    usage = {
        "input_tokens": sent, "output_tokens": said, "total_tokens": sent + said,
        "input_token_details": inside, "output_token_details": out,
    }  # fmt: skip
    message = AIMessage(
        content, response_metadata=about, additional_kwargs=kwargs or {}, usage_metadata=usage
    )
    response = LLMResult(generations=[[ChatGeneration(message=message)]])
    used, _ = used_by(response, model, prices or {}, sent_audio=sent_audio)
    assert used.unpriced_calls == (used.usd is None)
    return None if used.usd is None else used.usd * 10**6


@pytest.mark.parametrize(
    ("details", "usd"),
    [
        ({}, 3_000), ({"cache_creation": 1000}, 3_750), ({"ephemeral_5m_input_tokens": 1000}, 3_750),
        ({"ephemeral_1h_input_tokens": 1000}, 6_000), ({"cache_read": 1000}, 300),
        ({"ephemeral_5m_input_tokens": 400, "ephemeral_1h_input_tokens": 600, "cache_creation": 0}, 5_100),
        ({"ephemeral_1h_input_tokens": 5000}, 6_000), ({"cache_read": 500, "ephemeral_1h_input_tokens": 500}, 3_150),
    ],
)  # fmt: skip
def test_the_cache_of_an_hour_costs_twice(details, usd):
    assert paid(CLAUDE, details=details) == usd


def test_long_prompts_cost_more():
    assert paid(CLAUDE, sent=250_000) == 250_000 * 6
    assert paid(Model("gemini-2.5-pro", "google_genai"), sent=250_000) == Decimal("2.5") * 250_000


@pytest.mark.parametrize(
    ("model", "about", "details", "usd"),
    [
        (GPT, {}, {}, 1_250), (GPT, {"service_tier": "default"}, {}, 1_250), (GPT, {"service_tier": "auto"}, {}, 1_250),
        (GPT, {"service_tier": "priority"}, {"priority": 1000}, 2_500),
        (GPT, {"service_tier": "priority"}, {"priority": 0, "priority_cache_read": 1000}, 250),
        (GPT, {}, {"flex": 1000, "flex_cache_read": 0}, 625), (GPT, {"service_tier": "flex"}, {}, 625),
        (GPT, {"service_tier": "scale"}, {}, None),
        (CLAUDE, {"usage": {"service_tier": "standard"}}, {}, 3_000),
        (CLAUDE, {"usage": {"service_tier": "priority"}}, {}, None),
        (CLAUDE, {"usage": {"service_tier": "batch"}}, {}, 1_500),
        (CLAUDE, {"usage": {"speed": "fast"}}, {}, None),
        (Model("gpt-4-turbo", "openai"), {"service_tier": "priority"}, {}, None),
    ],
)  # fmt: skip
def test_the_tier_that_answered_has_its_price_or_none(model, about, details, usd):
    assert paid(model, details=details, **about) == usd


@pytest.mark.parametrize("tier", ["", "priority_", "flex_"])
def test_parts_of_tokens_are_told_by_tier(tier):
    told = {
        "input_tokens": 9, "output_tokens": 7, "total_tokens": 16,
        "input_token_details": {f"{tier}cache_read": 5}, "output_token_details": {f"{tier}reasoning": 3},
    }  # fmt: skip
    used = usage_of_message(told)
    assert (used.cached_tokens, used.reasoning_tokens) == (5, 3)


def test_audio_has_its_price_or_none():
    assert paid(AUDIO, 1000, 100, details={"audio": 400, "output": {"audio": 60}}) == 600 * Decimal("2.5") + 400 * 32 + 40 * 10 + 60 * 64  # fmt: skip
    assert paid(AUDIO, 1000, details={"audio": 400, "cache_read": 100}) is not None
    # The list has the price of its text alone, which would be too low.
    assert paid(Model("gpt-4o-audio-preview", "openai"), details={"audio": 400}) is None
    assert paid(AUDIO, 1000, 100, kwargs={"audio": {"id": "a", "data": "eA=="}}) is None


def test_audio_that_google_does_not_count_makes_the_price_unknown_where_it_matters():
    assert paid(FLASH) == 300
    assert paid(FLASH, sent_audio=True) is None
    assert (
        paid(Model("gemini-2.5-pro", "google_genai"), sent_audio=True) == 1_250
    )  # audio costs as text does
    assert paid(FLASH, sent_audio=True, prices={"": Price(1, 1)}) == 1_000


@pytest.mark.parametrize(
    ("model", "content", "about", "more"),
    [
        (CLAUDE, "hi", {"usage": {"server_tool_use": {"web_search_requests": 3}}}, 30_000),
        (CLAUDE, [{"type": "server_tool_use", "name": "web_search"}] * 2, {}, 20_000),
        (CLAUDE, [{"type": "server_tool_use", "name": "web_fetch"}], {}, 0),
        (GPT, [{"type": "web_search_call", "action": {"type": "search"}}, {"type": "web_search_call"}], {}, 20_000),
        (GPT, [{"type": "web_search_call", "action": {"type": "open_page"}}], {}, 0),
        (GPT, [{"type": "file_search_call"}], {}, 2_500),
        (FLASH, "hi", {"grounding_metadata": {"web_search_queries": ["a", "b"]}}, 35_000),
        (FLASH, "hi", {"grounding_metadata": {"web_search_queries": []}}, 0),
    ],
)  # fmt: skip
def test_searches_cost_more_than_tokens(model, content, about, more):
    assert paid(model, content=content, **about) == paid(model) + more


@pytest.mark.parametrize(
    "block",
    [{"type": "image_generation_call"}, {"type": "code_interpreter_call"}, {"type": "image_url", "image_url": "data:"},
     {"type": "non_standard", "value": {"type": "image_generation_call"}}],
)  # fmt: skip
def test_what_was_made_beside_text_has_an_unknown_price(block):
    assert paid(GPT, content=[block]) is None
    assert paid(GPT, content=[block], prices={"": Price(1, 1)}) == 1_000
    assert paid(GPT, content=[block], cost=0.5) == 500_000


def upstream(cost):
    return {"cost_details": {"upstream_inference_cost": cost}}


@pytest.mark.parametrize(
    ("model", "about", "usd"),
    [
        (ROUTER, {"cost": 0, **upstream(0.25)}, 250_000), (ROUTER, {"cost": 0.0, **upstream(0.25)}, 250_000),
        (ROUTER, {"cost": 0.0125, **upstream(0.25)}, 262_500),  # its fee of a twentieth
        (ROUTER, {"cost": 0.25, **upstream(0.25)}, 250_000), (ROUTER, {"cost": 0.25, **upstream(None)}, 250_000),
        (ROUTER, {"cost": 0.25, **upstream(0)}, 250_000), (ROUTER, {"cost": 0, **upstream(None)}, None),
        (ROUTER, {"cost": 0}, None), (ROUTER, {"cost": 0.0}, None), (ROUTER, {"response_cost": 0}, None),
        (Model("vendor/m:free", "openrouter"), {"cost": 0}, 0),
        (ROUTER, {"cost": 0, "model_name": "vendor/m:free"}, 0), (ROUTER, {"cost": "much"}, None),
    ],
)  # fmt: skip
def test_a_cost_of_nothing_is_believed_of_free_models_alone(model, about, usd):
    assert paid(model, **about) == usd
    assert paid(model, prices={"": Price(1, 1)}, **about) == 1_000


def test_the_cost_that_openrouter_tells_an_openai_client_counts():
    usage = {"cost": 0, "is_byok": True, **upstream(0.25)}
    assert paid(Model("vendor/m", "openai"), token_usage=usage) == 250_000
    assert paid(Model("vendor/m", "openai"), token_usage={"cost": 0.5}) == 500_000
    assert paid(Model("vendor/m", "openai"), token_usage={"cost": None}) is None
    assert paid(Model("vendor/m", "openai"), token_usage={"cost": 0}) is None


@pytest.mark.parametrize(
    ("model", "total", "reasoning", "said"),
    [
        (GPT, 30, 7, 20),  # thoughts are part of the reply
        (Model("grok-4", "xai"), 37, 7, 27),  # or beside it
        (Model("gemini-2.5-flash", "openai"), 45, 0, 35), (Model("gemini-2.5-flash", "openai"), 30, 0, 20),
        (FLASH, 45, 0, 20), (GPT, 45, 0, 20), (GPT, 0, 7, 20),
    ],
)  # fmt: skip
def test_thoughts_are_output_wherever_they_are_counted(model, total, reasoning, said):
    usage = {
        "input_tokens": 10, "output_tokens": 20, "total_tokens": total,
        "output_token_details": {"reasoning": reasoning},
    }  # fmt: skip
    message = AIMessage("hi", usage_metadata=usage)
    used, _ = used_by(LLMResult(generations=[[ChatGeneration(message=message)]]), model, {})
    assert used.output_tokens == said


def test_a_cost_that_is_no_money_is_no_cost():
    assert reported_cost({"cost": True}, {}, ROUTER) is True  # `charged` refuses it
    assert reported_cost({}, {"total_cost": 0.5}, ROUTER) == 0.5


@pytest.mark.parametrize("name", ["gpt-99", "claude-opus-99", "gpt-5.99", "my-gpt-5"])
@pytest.mark.parametrize("provider", ["openai", "anthropic", "nobody", ""])
def test_an_unknown_model_has_an_unknown_price(name, provider):
    assert paid(Model(name, provider)) is None


@pytest.mark.parametrize(
    "name", ["gpt-5-2025-08-07", "claude-sonnet-4-5-20250929", "gemini-2.5-flash-preview-09-2025"]
)
def test_dated_names_have_the_price_of_the_model(name):
    provider = {"g": "openai", "c": "anthropic"}["c" if "claude" in name else "g"]
    assert paid(Model(name, "google_genai" if "gemini" in name else provider)) is not None


def aside(model, params=None, asked=PLAIN, prices=None):
    return worst_case(1000, 100, params or {}, model, prices or {}, Budget(usd=1), asked).usd * 10**6


def test_the_worst_case_is_that_of_the_tier_and_the_cache_that_are_asked_for():
    assert aside(CLAUDE) == 3_750 + 1_500
    assert aside(CLAUDE, asked=Asked(keeps_hour=True)) == 6_000 + 1_500
    assert aside(GPT) == 1_250 + 1_000
    assert aside(GPT, {"service_tier": "priority"}) == 2_500 + 2_000
    assert aside(GPT, {"service_tier": "flex"}) == 1_250 + 1_000  # it may be answered in the usual one
    assert aside(FLASH, asked=Asked(audio=True)) == 1_000 + 250
    assert aside(AUDIO, {"modalities": ["text", "audio"]}, Asked(audio=True)) == 32_000 + 6_400
    assert aside(CLAUDE, asked=Asked(keeps_hour=True), prices={"": Price(1, 1)}) == 1_100


def test_a_tier_without_a_price_is_refused_under_a_budget():
    with pytest.raises(UnboundedCallError, match="price of model gpt-4-turbo is not known"):
        aside(Model("gpt-4-turbo", "openai"), {"service_tier": "priority"})


@pytest.mark.parametrize(
    ("content", "params", "expected"),
    [
        ("text", {}, Asked()), ([{"type": "text", "text": "x"}, "y"], {}, Asked()),
        ([{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}], {}, Asked(keeps_hour=True)),
        ([{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}], {}, Asked()),
        ("text", {"cache_control": {"type": "ephemeral", "ttl": "1h"}}, Asked(keeps_hour=True)),
        ("text", {"tools": [{"name": "f", "cache_control": {"ttl": "1h"}}]}, Asked(keeps_hour=True)),
        ([{"type": "audio", "base64": "eA==", "mime_type": "audio/wav"}], {}, Asked(audio=True)),
        ([{"type": "media", "mime_type": "video/mp4", "file_uri": "gs://x"}], {}, Asked(audio=True)),
        ([{"type": "image", "url": "https://x"}], {}, Asked()),
    ],
)  # fmt: skip
def test_what_a_prompt_holds(content, params, expected):
    assert asked_in([HumanMessage(content)], params) == expected


def test_extras_are_none_by_default():
    assert not any(getattr(Extras(), name) for name in Extras.__slots__)
