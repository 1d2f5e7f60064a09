"""The accounts of model calls, each alone: tokens, worst cases, admission, what was used."""

import asyncio
import time
from decimal import Decimal

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from langgraph_conductor import Budget, BudgetExceededError, Usage
from langgraph_conductor.budget import BudgetLeft, Ledger, Reservation, UnboundedCallError
from langgraph_conductor.driving import Wait
from langgraph_conductor.prices import Price
from langgraph_conductor.workers import Limiter
from langgraph_conductor.workers.counting import likely_tokens, most_tokens
from langgraph_conductor.workers.doors import Accounts
from langgraph_conductor.workers.failures import ContextTooLongError
from langgraph_conductor.workers.metering import Bounds, GivenUpError, Meter

PROMPT = [HumanMessage("x" * 40)]


MOST = most_tokens(PROMPT)


class StatusError(Exception):
    status_code = 400


def about(metadata=None, **params):
    return {"invocation_params": params, "metadata": metadata or {}}


def begun(meter, run_id="call", messages=PROMPT, told=None):
    """Begin a call that does not have to wait."""
    assert list(meter.begin(run_id, messages, told or about(max_tokens=10))) == []


def tokens_of(sent, said, **details):
    return {"input_tokens": sent, "output_tokens": said, "total_tokens": sent + said, **details}


def answered(*messages):
    """An answer, which LangChain gives an id where the provider gave none."""
    return from_cache(*(m if m.id else m.model_copy(update={"id": "lc_run--call-0"}) for m in messages))


def from_cache(*messages):
    return LLMResult(generations=[[ChatGeneration(message=message) for message in messages]])


def test_no_tokenizer_counts_more_than_bytes():
    def of(*contents, **options):
        return most_tokens([HumanMessage(c) for c in contents], **options)

    assert of("x" * 100) - of("x") == 99
    assert of("ü" * 100) - of("") == 200
    assert of("", "") > of("") > of()  # what templates add to messages, and to the first
    assert of("\ud800") >= of("x")  # half a surrogate pair is no UTF-8
    tools = [{"name": "look", "description": "ü" * 500}]
    assert of("", extra=tools) - of("") > 2 * 1000 + 500
    assert of("", extra=[]) == of("", extra=None) == of("")
    assert most_tokens([HumanMessage("", name="somebody")]) - of("") == len("somebody")
    image = {"type": "image_url", "image_url": {"url": "data:" + "x" * 100_000}}
    for pictured in (image, {"type": "image", "base64": "x"}):
        assert of([pictured]) - of("") == 50_000
    assert of([image, image]) - of("") == 100_000
    called = AIMessage("", tool_calls=[{"name": "look", "args": {"word": "x" * 300}, "id": "1"}])
    assert 300 < most_tokens([called]) - most_tokens([AIMessage("")]) < 500


def test_a_likely_token_has_four_characters():
    def of(*contents, **options):
        return likely_tokens([HumanMessage(c) for c in contents], **options)

    assert (of(""), of("x"), of("xxxx"), of("xxxxx"), of("üüüü")) == (0, 1, 1, 2, 1)
    assert of("x" * 40, "y" * 40) == 20
    assert of("x" * 40, extra={"k": "v" * 400}) == 10 + (400 + len('{"k": ""}')) // 4 + 1
    assert of("", extra={"k": "ü" * 400}) == of("", extra={"k": "v" * 400})
    assert of([{"type": "text", "text": "x" * 400}]) - of([{"type": "text", "text": ""}]) == 100
    image = {"type": "image_url", "image_url": {"url": "data:" + "x" * 100_000}}
    assert of([image]) == of([{"type": "image", "base64": "x"}])
    assert of([image, image]) == 2 * of([image])
    assert of(["x" * 40, "y" * 40]) == 20


def test_a_likely_image_is_no_worst_case():
    assert likely_tokens([HumanMessage([{"type": "image", "base64": "x"}])]) < 2000


@pytest.mark.parametrize(
    ("block", "known"),
    [
        ({"type": "file", "url": "https://x/y.pdf"}, False), ({"type": "file", "file": {"file_id": "f"}}, False),
        ({"type": "media", "file_uri": "gs://x"}, False), ({"type": "file", "base64": "eA=="}, True),
        ({"type": "image", "url": "https://x/y.png"}, True), ({"type": "text", "text": '"url"'}, True), ('"url"', True),
    ],
)  # fmt: skip
def test_what_is_sent_by_reference_has_no_most(block, known):
    assert (most_tokens([HumanMessage([block])]) is not None) == known


@pytest.mark.parametrize(
    ("told", "cap"),
    [
        (about(max_completion_tokens=7), 7), (about(max_output_tokens=7), 7), (about(max_tokens=7), 7),
        (about(num_predict=7), 7), (about(max_new_tokens=7), 7), (about({"ls_max_tokens": 7}), 7),
        (about({"ls_max_tokens": 9}, max_tokens=7), 7), (about(max_tokens=None, max_output_tokens=7), 7),
        (about({"ls_max_tokens": 9}, generation_config={"max_output_tokens": 7}), 7),
        (about(generation_config="none"), 30), (about(max_tokens=0), 30), (about(max_tokens=-1), 30),
        (about(max_tokens="7"), 30), (about(max_tokens=1), 1), ({}, 30), (about(max_tokens=7, n=3), 21),
        (about(max_tokens=7, n="3"), 7), (about(max_tokens=7, n=None), 7), (about(max_tokens=7, n=0), 7),
    ],
)  # fmt: skip
def test_a_calls_worst_case_is_its_prompt_and_its_cap(told, cap):
    ledger = Ledger(Budget(tokens=10_000))
    meter = Meter(ledger=ledger, own=Bounds(output_cap=30))
    assert list(meter.begin("call", PROMPT, told)) == []
    extra = most_tokens([], told.get("invocation_params", {})) if "generation_config" in str(told) else 0
    less = 10_000 - ledger.left.tokens - MOST
    assert less == cap if not extra else less > 1000 + cap


@pytest.mark.parametrize("name", ["tools", "functions", "response_format", "output_config", "text"])
def test_what_else_is_sent_is_part_of_the_worst_case(name):
    ledger = Ledger(Budget(tokens=10_000))
    begun(Meter(ledger=ledger), told=about(max_tokens=10, **{name: [{"schema": "x" * 300}]}))
    assert ledger.left.tokens < 10_000 - MOST - 10 - 300


def test_calls_without_a_bound_are_refused_unless_allowed():
    below = Bounds("n", output_cap=9)  # of another model
    nameless, named = about(), about(model="m", max_tokens=10)
    for budget, told, words, limit in (
        (Budget(tokens=10_000), nameless, "model without a name has no output cap", "tokens"),
        (Budget(usd=1), about(model="m"), "model m has no output cap", "usd"),
        (Budget(usd=1), named, "the price of model m is not known", "usd"),
        (Budget(usd=1), about(max_tokens=1), "the price of model without a name is not known", "usd"),
    ):
        with pytest.raises(UnboundedCallError, match=words) as caught:
            list(Meter(ledger=Ledger(budget), own=below).begin("call", PROMPT, told))
        assert caught.value.limit == limit
    begun(Meter(ledger=Ledger(Budget(calls=1))), told=nameless)
    begun(Meter(ledger=Ledger(Budget(usd=1, tokens=MOST, allow_unbounded=True))), told=nameless)


def test_of_a_call_without_a_cap_its_prompt_is_set_aside():
    ledger = Ledger(Budget(usd=1, tokens=10_000, allow_unbounded=True))
    begun(Meter(prices={"": Price(Decimal(1000), Decimal(1000))}, ledger=ledger), told=about())
    assert ledger.left == BudgetLeft(usd=1 - MOST * Decimal("0.001"), tokens=10_000 - MOST)


def test_money_is_set_aside_as_if_all_were_written_to_the_cache():
    ledger = Ledger(Budget(usd=10))
    claude = {"ls_provider": "anthropic", "ls_model_name": "claude-sonnet-4-5"}
    begun(Meter(ledger=ledger), told=about(claude, max_tokens=100))
    read, written = (MOST * Decimal(price) + 100 * 15 for price in ("3", "3.75"))
    assert 10 - ledger.left.usd == written / 10**6 > read / 10**6


def test_a_call_is_admitted_once_and_counted_as_it_was():
    ledger = Ledger(Budget(tokens=10_000, calls=5))
    meter = Meter("w", ledger=ledger)
    begun(meter)
    begun(meter)  # the other door
    assert ledger.left == BudgetLeft(tokens=10_000 - MOST - 10, calls=4)
    meter.end("call", answered(AIMessage("a", usage_metadata=tokens_of(20, 4))))
    assert ledger.left == BudgetLeft(tokens=10_000 - 24, calls=4)
    assert (meter.usage.calls, meter.usage.total_tokens, meter.unmetered) == (1, 24, 0)
    begun(meter, told=about({"ls_model_name": "m"}, max_tokens=10))
    meter.end("call", answered(AIMessage("a")))  # it says nothing of tokens
    assert ledger.left == BudgetLeft(tokens=10_000 - 24 - MOST - 10, calls=3)
    assert meter.unmetered == 1
    assert [record["model"] for record in meter.records] == ["", "m"]
    assert meter.records[0]["usage"] == Usage(1, 20, 4, unpriced_calls=1).to_json()
    meter.end("unseen", answered())  # one that began before: it counts, nothing was set aside
    assert meter.usage.calls == 3
    unseen = {"worker": "w", "model": "", "seconds": 0.0, "usage": Usage(1, unpriced_calls=1).to_json()}
    assert meter.records[2] == unseen | {"started_at": meter.records[2]["started_at"]}
    assert ledger.left.calls == 3


def test_a_record_tells_how_long_the_call_took_and_not_how_long_it_waited():
    ledger = Ledger(Budget(calls=1))
    first = Reservation(owner="a")
    ledger.admit(first)
    meter = Meter(ledger=ledger)
    waiting = meter.begin("call", PROMPT, about(max_tokens=10))
    assert isinstance(next(waiting), Wait)
    time.sleep(0.3)
    assert 0.3 <= meter.waited < 5
    ledger.settle(first, Usage())
    assert list(waiting) == []
    waited = meter.waited
    assert 0.3 <= waited < 5
    time.sleep(0.05)
    assert meter.waited == waited
    meter.end("call", answered(AIMessage("a")))
    assert 0.05 <= meter.records[0]["seconds"] < 0.3
    assert meter.waited == waited


@pytest.mark.parametrize(
    ("told", "name"),
    [
        (about(model_name="m"), "m"), (about(model="m", model_name="x"), "m"), ({}, ""), (about(), ""),
        (about({"ls_model_name": "m"}, model="x", model_name="x"), "m"),
    ],
)  # fmt: skip
def test_a_call_is_recorded_under_the_name_it_was_asked_by(told, name):
    meter = Meter()
    begun(meter, told=told)
    meter.end("call", answered(AIMessage("a")))
    assert meter.records[0]["model"] == name


def test_several_answers_to_a_call_are_paid_once():
    meter = Meter()
    begun(meter)
    whole = tokens_of(20, 8)
    meter.end(
        "call",
        answered(
            AIMessage("a"), AIMessage("b", usage_metadata=whole), AIMessage("c", usage_metadata=whole)
        ),
    )
    assert meter.usage == Usage(calls=1, input_tokens=20, output_tokens=8, unpriced_calls=1)


@pytest.mark.parametrize(
    ("asked", "prices", "metadata", "details", "usd"),
    [
        ("m", {"m": (1, 2)}, {"model_name": "m-2026"}, {}, "5000"),  # what was asked for has a price
        ("m", {"m-2026": (1, 2)}, {"model_name": "m-2026"}, {}, "5000"),
        ("m", {"m": (1, 2), "m-2026": (9, 9)}, {"model_name": "m-2026"}, {}, "5000"),
        ("m", {"x": (1, 2)}, {"model_name": "m-2026"}, {}, None),
        ("m", {"": (1, 2)}, {}, {}, "5000"),
        ("m", {"": (1, 2)}, {"cost": 0}, {}, "5000"),  # the user's price counts first
        ("m", {"x": (1, 2)}, {"cost": 0.25}, {}, "250000"),
        ("m", {}, {"response_cost": "0.5"}, {}, "500000"),
        ("m", {}, {}, {"total_cost": 0}, "0"),
        ("m", {"": (1, 2)}, {}, {"total_cost": 0}, "5000"),  # the user knows better
        ("m", {"": (1, 2)}, {}, {"total_cost": "0"}, "5000"),
        ("m", {"": (1, 2)}, {}, {"total_cost": False}, "5000"),
        ("m", {"": (1, 2)}, {}, {"total_cost": 0.5}, "5000"),
    ],
)  # fmt: skip
def test_what_an_answer_costs(asked, prices, metadata, details, usd):
    table = {name: Price(*map(Decimal, price)) for name, price in prices.items()}
    meter = Meter(prices=table)
    begun(meter, told=about({"ls_model_name": asked}))
    message = AIMessage("a", response_metadata=metadata, usage_metadata=tokens_of(1000, 2000, **details))
    meter.end("call", answered(message))
    assert meter.usage.usd == (None if usd is None else Decimal(usd) / 10**6)
    assert meter.usage.unpriced_calls == (usd is None)


CACHING = Bounds("m", output_cap=9, caches=True)
HIT = AIMessage("a", id="resp_1", usage_metadata=tokens_of(1000, 2000, total_cost=0))


@pytest.mark.parametrize("answers", [[HIT], [HIT, HIT], [AIMessage("plain")]])
def test_what_a_cache_gives_is_no_call_and_frees_all_that_was_set_aside(answers):
    ledger, limiter = Ledger(Budget(tokens=10_000, calls=5, usd=1)), Limiter(tokens_per_minute=1000)
    meter = Meter(prices={"m": Price(1, 2)}, ledger=ledger, limiter=limiter, own=CACHING)
    begun(meter, told=about({"ls_model_name": "m"}))
    meter.end("call", from_cache(*answers))
    assert ledger.left == BudgetLeft(tokens=10_000, calls=5, usd=Decimal(1))
    assert [booked.amount for booked in limiter._tokens._bookings] == [0]
    assert (meter.usage, meter.records, meter.most) == (Usage(usd=Decimal()), [], [])


@pytest.mark.parametrize("own", [Bounds(), CACHING])
@pytest.mark.parametrize("identity", [None, "lc_run--call-0", "lc_run--another-0", "resp_1"])
@pytest.mark.parametrize("cost", [0, 0.0])
def test_a_call_that_a_provider_gives_away_is_a_call(identity, cost, own):
    meter = Meter(own=own)
    begun(meter, told=about({"ls_model_name": "m"}))
    message = AIMessage("a", id=identity, usage_metadata=tokens_of(10, 20, total_cost=cost))
    response = answered(message, AIMessage("b", id="lc_run--call-1"))
    meter.end("call", response)
    assert (meter.usage.calls, meter.usage.total_tokens, meter.usage.usd) == (1, 30, Decimal())


@pytest.mark.parametrize("about_the_call", ["no cache", "its output"])
def test_an_answer_like_one_of_a_cache_is_a_call_where_none_can_be(about_the_call):
    meter = Meter(own=CACHING if about_the_call == "its output" else Bounds("m"))
    begun(meter, told=about({"ls_model_name": "m"}))
    response = answered(HIT)
    response.llm_output = {"model_name": "m"} if about_the_call == "its output" else None
    meter.end("call", response)
    assert meter.usage.calls == 1


def test_a_price_is_told_without_tokens_too():
    meter = Meter()
    begun(meter)
    meter.end("call", answered(AIMessage("a", response_metadata={"cost": 0.25})))
    assert (meter.usage.usd, meter.usage.unpriced_calls, meter.unmetered) == (Decimal("0.25"), 0, 0)


def test_tokens_written_to_the_cache_cost_what_they_cost():
    meter = Meter()
    begun(meter, told=about({"ls_provider": "anthropic", "ls_model_name": "claude-sonnet-4-5"}))
    written = tokens_of(1000, 100, input_token_details={"cache_creation": 1000})
    meter.end("call", answered(AIMessage("a", usage_metadata=written)))
    assert meter.usage.usd == Decimal("0.00525")  # 1000 at $3.75 and 100 at $15 a million


@pytest.mark.parametrize(
    ("failure", "free"), [(StatusError(), True), (ConnectionRefusedError(), True), (TimeoutError(), False)]
)
def test_a_failed_call_is_free_only_where_the_provider_refused_it(failure, free):
    ledger, limiter = Ledger(Budget(tokens=10_000)), Limiter(tokens_per_minute=1000)
    meter = Meter(ledger=ledger, limiter=limiter)
    begun(meter)
    booked = limiter._tokens._bookings[0]
    meter.fail("call", failure)
    assert ledger.left.tokens == (10_000 if free else 10_000 - MOST - 10)
    assert booked.amount == (0 if free else 20)
    meter.fail("call", StatusError())  # told twice
    meter.fail("unseen", StatusError())
    assert meter.usage == Usage()


def test_a_refused_call_set_nothing_aside():
    ledger = Ledger(Budget(tokens=MOST + 9, calls=3))
    meter = Meter(ledger=ledger)
    for run_id in ("a", "b"):
        with pytest.raises(BudgetExceededError) as caught:
            begun(meter, run_id)
        meter.fail(run_id, caught.value)
    with pytest.raises(BudgetExceededError):
        begun(meter, "c")
    meter.close()
    assert ledger.left == BudgetLeft(tokens=MOST + 9, calls=3)


def test_what_the_accounts_around_refuse_is_refused_in_the_inner_ones():
    ledger = Ledger(Budget(tokens=10_000))
    outer, inner = Meter(ledger=Ledger(Budget(tokens=MOST))), Meter(ledger=ledger)
    with pytest.raises(BudgetExceededError):
        begun(Accounts((outer, inner)))
    assert (ledger.left.tokens, inner.in_flight) == (10_000, [])


def test_what_inner_accounts_refuse_is_given_back_by_those_around():
    ledger = Ledger(Budget(tokens=10_000))
    outer, inner = Meter(ledger=ledger), Meter(ledger=Ledger(Budget(tokens=MOST)))
    with pytest.raises(BudgetExceededError):
        begun(Accounts((outer, inner)))
    assert (ledger.left.tokens, outer.in_flight) == (10_000, [])
    with pytest.raises(GivenUpError):
        begun(outer)  # a door that has them alone is asked about the same call


def test_a_call_that_two_doors_tell_of_is_counted_once():
    meter = Meter()
    begun(meter)
    for _ in range(2):
        meter.end("call", answered())
    assert (meter.usage.calls, len(meter.records)) == (1, 1)


def test_a_call_given_up_while_it_waits_for_the_budget_is_free():
    ledger = Ledger(Budget(tokens=MOST + 20, calls=9))
    first = Reservation(tokens=20, owner="a")
    ledger.admit(first)
    meter = Meter(ledger=ledger)
    waiting = meter.begin("call", PROMPT, about(max_tokens=10))
    next(waiting)
    meter.fail("call", TimeoutError())
    ledger.settle(first, Usage())
    with pytest.raises(GivenUpError, match="given up while it waited"):
        next(waiting)
    assert meter.in_flight == []
    assert ledger.left == BudgetLeft(tokens=MOST + 20, calls=9)


@pytest.mark.parametrize("how", [asyncio.CancelledError, GeneratorExit])
def test_a_call_given_up_while_it_waits_for_a_limit_is_free(how):
    ledger, limiter = Ledger(Budget(tokens=10_000, calls=9)), Limiter(requests_per_minute=1)
    limiter.begin(0, 0)
    for budgeted in (ledger, None):
        waiting = Meter(ledger=budgeted, limiter=limiter).begin("call", PROMPT, about(max_tokens=10))
        assert 59 < next(waiting).seconds <= 60
        with pytest.raises(how):
            waiting.throw(how())
    assert not limiter._queue  # nobody waits behind it
    assert ledger.left == BudgetLeft(tokens=10_000, calls=9)


def test_a_call_that_fails_while_it_waits_for_a_limit_had_booked_nothing():
    limiter = Limiter(tokens_per_minute=100)
    limiter.begin(100, 0)
    waiting = Meter(limiter=limiter)
    logic = waiting.begin("call", PROMPT, about(max_tokens=10))
    assert isinstance(next(logic), Wait)
    waiting.fail("call", StatusError())
    logic.close()
    assert not limiter._queue
    assert [booked.amount for booked in limiter._tokens._bookings] == [100]


def test_a_limiter_is_told_what_a_call_really_used():
    limiter = Limiter(tokens_per_minute=1000)
    meter = Meter(limiter=limiter)
    for told, amount in ((tokens_of(100, 50), 150), (None, 20)):
        begun(meter)
        booked = limiter._tokens._bookings[-1]
        assert booked.amount == 20  # a quarter of 40 characters, and the cap
        meter.end("call", answered(AIMessage("a", usage_metadata=told)))
        assert booked.amount == amount


def test_calls_in_flight_when_a_step_is_over_stay_booked():
    ledger = Ledger(Budget(tokens=MOST + 20))
    meter = Meter(ledger=ledger)
    begun(meter)
    meter.close()
    with pytest.raises(GivenUpError):  # and no other is let through
        begun(meter, "another")
    assert ledger.left.tokens == 10
    with pytest.raises(BudgetExceededError):  # nothing of it can come back any more
        ledger.admit(Reservation(tokens=11, owner="a"))


def test_a_call_that_is_left_before_its_end_was_made():
    ledger = Ledger(Budget(tokens=10_000, calls=3))
    meter = Meter("w", ledger=ledger, prices={"": Price(1, 1)}, keeps_most=True)
    begun(meter)
    meter.fail("call", GeneratorExit())
    meter.close(given_up=False)
    assert (meter.usage, meter.unmetered) == (Usage(calls=1, unpriced_calls=1), 0)
    assert [record["usage"]["calls"] for record in meter.records] == [1]
    assert len(meter.most) == 1
    assert ledger.left == BudgetLeft(tokens=10_000 - MOST - 10, calls=2)  # what it used is not known


@pytest.mark.parametrize("given_up", [False, True])
def test_calls_in_flight_count_where_the_step_ended_well(given_up):
    ledger = Ledger(Budget(tokens=10_000))
    meter = Meter(ledger=ledger)
    begun(meter)
    meter.close(given_up=given_up)
    assert meter.usage.calls == len(meter.records) == (not given_up)
    assert ledger.left.tokens == 10_000 - MOST - 10
    meter.end("call", answered(AIMessage("a", usage_metadata=tokens_of(20, 4))))
    assert meter.usage.calls == len(meter.records) == 1
    assert ledger.left.tokens == 10_000 - 24  # now it is known


def test_calls_after_a_step_that_ended_well_are_none_of_its_own():
    ledger = Ledger(Budget(tokens=MOST, calls=1))
    meter = Meter(ledger=ledger, max_input_tokens=1)
    meter.close(given_up=False)
    for end in (
        lambda: meter.end("call", answered(AIMessage("a"))),
        lambda: meter.fail("call", ValueError()),
    ):
        begun(meter)
        end()
    assert (meter.usage, meter.records, meter.in_flight) == (Usage(), [], [])
    assert ledger.left == BudgetLeft(tokens=MOST, calls=1)


def test_a_prompt_is_measured_only_where_that_matters():
    assert not Meter().guards
    assert not Meter(own=Bounds("m", None, 9)).guards
    assert not Meter(limiter=Limiter(max_concurrency=1)).guards  # tasks are counted elsewhere
    assert Meter(limiter=Limiter(requests_per_minute=9)).guards
    assert Meter(ledger=Ledger(Budget(calls=1))).guards
    meter = Meter(max_input_tokens=10)
    assert meter.guards
    begun(meter)  # 40 characters
    with pytest.raises(ContextTooLongError, match="about 11 tokens and the model takes 10"):
        begun(meter, "longer", [HumanMessage("x" * 41)])
    meter.fail("longer", ContextTooLongError())
    own = Meter(own=Bounds("m", 9))
    assert own.guards
    with pytest.raises(ContextTooLongError, match="the model takes 9"):
        begun(own, told=about(model="m"))
    begun(own, "below", told=about(model="other"))  # it has bounds of its own
