import json
from dataclasses import replace
from decimal import Decimal

import pytest
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from langgraph_conductor import Usage
from langgraph_conductor.prices import Model, Price, charged, price_table
from langgraph_conductor.usage import usage_of_message
from langgraph_conductor.workers.call_facts import used_by


def test_adds_exactly_and_counts_what_has_no_price():
    priced = Usage(calls=1, input_tokens=10, output_tokens=2, usd=Decimal("0.1"))
    unknown = Usage(calls=1, input_tokens=5, unpriced_calls=1)
    total = priced + priced + priced + unknown
    assert total.usd == Decimal("0.3")
    assert (total.calls, total.unpriced_calls, total.total_tokens) == (4, 1, 41)
    assert (unknown + unknown).usd is None


def test_json_keeps_money_exact():
    usage = Usage(calls=2, usd=Decimal("0.10"), busy_seconds=1.5)
    assert Usage.from_json(json.loads(json.dumps(usage.to_json()))) == usage
    assert usage.to_json()["usd"] == "0.10"
    assert Usage.from_json(Usage().to_json()) == Usage()


def test_price():
    price = Price.of({"input": "2", "output": 8, "cached": "0.5"})
    usage = price.charge(
        Usage(calls=1, input_tokens=1000, cached_tokens=400, output_tokens=100, unpriced_calls=1)
    )
    assert usage.usd == Decimal("0.0022")
    assert usage.unpriced_calls == 0
    assert Price.of(price) is price


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"input": "1"},
        {"input": "x", "output": "1"},
        {"input": -1, "output": 1},
        {"input": "nan", "output": 1},
        {"input": 1, "output": "Infinity"},
        3,
    ],
)
def test_bad_prices_are_refused(data):
    with pytest.raises(ValueError, match="a price is"):
        Price.of(data)


def test_prices_are_made_exact_however_they_are_given():
    assert (
        Price(1.25, 10.0)
        == Price("1.25", "10")
        == Price.of({"input": "1.25", "output": 10, "cached": None})
    )
    assert Price("1", "2").charge(Usage(input_tokens=10)).usd == Decimal("0.00001")
    for wrong in (("x", 1), (-1, 1), (1, None), (True, 1), (1, 1, "nan")):
        with pytest.raises(ValueError, match="a price is"):
            Price(*wrong)


def test_no_prices_are_a_table():
    assert price_table({}) == price_table(None) == {}


def test_usage_metadata():
    metadata = {
        "input_tokens": 7, "output_tokens": 3, "total_tokens": 10,
        "input_token_details": {"cache_read": 2}, "output_token_details": {"reasoning": 1},
    }  # fmt: skip
    usage = usage_of_message(metadata)
    assert (usage.input_tokens, usage.cached_tokens, usage.output_tokens, usage.reasoning_tokens) == (
        7,
        2,
        3,
        1,
    )
    assert usage_of_message(None) == Usage(calls=1, unpriced_calls=1)


def test_every_field_is_added():
    from dataclasses import fields
    from decimal import Decimal

    numbers = {f.name: n for n, f in enumerate(fields(Usage), 1)} | {"usd": Decimal(6)}
    both = Usage(**numbers) + Usage(**numbers)
    assert all(getattr(both, name) == 2 * n for name, n in numbers.items())


def test_price_corners():
    used = Usage(input_tokens=100, cached_tokens=100)
    assert Price.of({"input": 2, "output": 8}).charge(used).usd == Decimal("0.0002")
    assert Price.of({"input": 2, "output": 8, "cached": 0}).charge(used).usd == 0
    assert Price.of({"input": 0.1, "output": 8}).input == Decimal("0.1")
    for wrong in ({"input": 1, "output": 1, "cached": -1},):
        with pytest.raises(ValueError, match="a price is"):
            Price.of(wrong)
    nothing = {
        "input_tokens": None,
        "output_tokens": 1,
        "input_token_details": None,
        "output_token_details": {"reasoning": None},
    }
    assert usage_of_message(nothing) == Usage(calls=1, output_tokens=1, unpriced_calls=1)
    assert usage_of_message({"input_token_details": {"cache_read": None}}).cached_tokens == 0


# ------------------------------------------------------------------ what a call is charged

CHEAP, DEAR = Price(Decimal(1), Decimal(2)), Price(Decimal(10), Decimal(20))
CALL = Usage(calls=1, input_tokens=1000, output_tokens=1000, unpriced_calls=1)


def test_a_table_of_prices():
    assert price_table(None) == {}
    assert price_table(CHEAP) == price_table({"input": 1, "output": 2}) == {"": CHEAP}
    assert price_table({"m": {"input": 1, "output": 2}, "n": DEAR}) == {"m": CHEAP, "n": DEAR}
    for wrong in (3, "1", {"m": 1}, {"m": CHEAP, "n": 3}, [CHEAP]):
        with pytest.raises(ValueError, match="a price is"):
            price_table(wrong)
    assert Price.of({"input": 0, "output": 0, "cached": None}) == Price(Decimal(0), Decimal(0))


def test_a_model_has_its_own_price_or_the_common_one():
    table = {"m": CHEAP, "": DEAR}
    assert charged(CALL, Model("m"), table).usd == Decimal("0.003")
    assert charged(CALL, Model("n"), table).usd == charged(CALL, Model(), table).usd == Decimal("0.03")
    assert charged(CALL, Model("n"), {"m": CHEAP}) == CALL
    assert charged(CALL, Model("m"), table).unpriced_calls == 0


@pytest.mark.parametrize(
    ("reported", "usd"),
    [(0.25, "0.25"), ("0.25", "0.25"), (0, "0"), (Decimal(1), "1"), (True, None), (-1, None),
     ("much", None), (float("nan"), None), (float("inf"), None), ([1], None), (None, None)],
)  # fmt: skip
def test_what_the_provider_reports_counts_where_the_user_gave_no_price(reported, usd):
    for table in ({"": CHEAP}, {"m": CHEAP}):
        assert charged(CALL, Model("m"), table, reported=reported).usd == Decimal("0.003")
    told = charged(CALL, Model("m"), {"n": CHEAP}, reported=reported)
    assert told == (CALL if usd is None else replace(CALL, usd=Decimal(usd), unpriced_calls=0))


def test_known_prices_need_a_known_provider():
    def listed(provider, name, usage=CALL, **options):
        return charged(usage, Model(name, provider), {}, **options)

    # claude-sonnet-4-5: $3 in, $0.30 read from the cache, $3.75 written to it, $15 out (genai-prices 0.2).
    assert listed("anthropic", "claude-sonnet-4-5").usd == Decimal("0.018")
    assert listed("anthropic", "claude-sonnet-4-5").unpriced_calls == 0
    assert listed("anthropic", "claude-sonnet-4-5", cache_writes=1000).usd == Decimal("0.01875")
    cached = Usage(calls=1, input_tokens=1000, cached_tokens=1000)
    assert listed("anthropic", "claude-sonnet-4-5", cached).usd == Decimal("0.0003")
    assert listed("google_genai", "gemini-2.5-pro").usd > 0
    unknown = [("", "claude-sonnet-4-5"), ("anthropic", ""), ("ollama", "gpt-5"), ("anthropic", "nothing-such"),
               ("nobody", "gpt-5")]  # fmt: skip
    for provider, name in unknown:
        assert listed(provider, name) == CALL


@pytest.mark.parametrize(
    "model", [Model("gpt-5", "ollama"), Model("gpt-5", "vllm"), Model("gpt-5"), Model("", "openai")]
)
def test_no_list_is_asked_where_it_cannot_know(model, monkeypatch):
    asked = []
    monkeypatch.setattr("genai_prices.calc_price", lambda *args, **options: asked.append(args))
    assert charged(CALL, model, {}) == CALL
    assert asked == []


@pytest.mark.parametrize("odd", [-5, 5.5, "5", True, [], {}, None])
def test_what_is_no_count_is_no_use(odd):
    details = {"input_token_details": {"cache_read": odd}, "output_token_details": {"reasoning": odd}}
    assert usage_of_message({"input_tokens": odd, "output_tokens": odd, **details}).total_tokens == 0
    used = usage_of_message({"input_tokens": 3, "output_tokens": 2, **details})
    assert (used.cached_tokens, used.reasoning_tokens) == (0, 0)
    used = usage_of_message(
        {"input_tokens": 3, "output_tokens": 2, "input_token_details": odd, "output_token_details": odd}
    )
    assert used == Usage(calls=1, input_tokens=3, output_tokens=2, unpriced_calls=1)
    assert usage_of_message(odd) == Usage(calls=1, unpriced_calls=1)


def test_a_part_is_no_more_than_the_whole():
    used = usage_of_message({
        "input_tokens": 3, "output_tokens": 2,
        "input_token_details": {"cache_read": 9}, "output_token_details": {"reasoning": 9},
    })  # fmt: skip
    assert (used.cached_tokens, used.reasoning_tokens) == (3, 2)


CLAUDE = Model("claude-sonnet-4-5", "anthropic")


def told_by(usage_metadata, **about):
    message = AIMessage("hi", response_metadata=about)
    message.usage_metadata = usage_metadata
    return used_by(LLMResult(generations=[[ChatGeneration(message=message)]]), CLAUDE, {})


def metadata(sent, said=0, **details):
    return {
        "input_tokens": sent,
        "output_tokens": said,
        "total_tokens": sent + said,
        "input_token_details": details,
    }


@pytest.mark.parametrize("odd", [None, {}, metadata(0), metadata(0, 7), metadata(-5, -5), [], "odd"])
def test_a_prompt_of_no_tokens_was_not_told(odd):
    used, told = told_by(odd)
    assert (told, used.usd, used.unpriced_calls) == (False, None, 1)


def test_tokens_or_a_cost_are_told():
    used, told = told_by(metadata(1000))
    assert (told, used.usd) == (True, Decimal("0.003"))
    used, told = told_by(None, cost=0.5)
    assert (told, used.usd, used.unpriced_calls) == (True, Decimal("0.5"), 0)
    assert told_by(None, cost=-1) == (Usage(calls=1, unpriced_calls=1), False)


def test_what_is_written_to_anthropics_cache_is_charged_more():
    plain = told_by(metadata(1000))[0].usd
    whole = told_by(metadata(1000, cache_creation=1000))[0].usd
    parts = told_by(
        metadata(1000, cache_creation=0, ephemeral_5m_input_tokens=400, ephemeral_1h_input_tokens=600)
    )[0].usd
    hour = told_by(metadata(1000, ephemeral_1h_input_tokens=1000))[0].usd
    assert (plain, whole, hour) == (Decimal("0.003"), Decimal("0.00375"), Decimal("0.006"))
    assert parts == (4 * whole + 6 * hour) / 10
    assert told_by(metadata(1000, cache_creation=5000))[0].usd == whole
    assert told_by(metadata(1000, cache_creation="x"))[0].usd == plain
