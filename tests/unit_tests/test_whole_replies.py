"""What providers answer with status 200, and with errors, on six wires, whole and streamed, blocking and awaited."""

from functools import cache

import pytest
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage

from langgraph_conductor import Worker, WorkerError, create_conductor
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import FakeProviders, faults
from langgraph_conductor.workers import chat_model
from langgraph_conductor.workers.failures import is_outage, retry_after
from tests.helpers import ask

WIRES = {
    "openai": "openai:m", "responses": "openai_responses:m", "anthropic": "anthropic:claude-sonnet-5",
    "gemini": "google_genai:gemini-2.5-flash", "openrouter": "openrouter:a/m", "vllm": "vllm:m@{url}",
}  # fmt: skip

OUTAGES = {
    "error": (faults.told_in_200(), "The server had an error|Internal server error|internal error"),
    "late error": (faults.told_in_200(faults.overloaded(), after=2), "overloaded|Overloaded|capacity"),
    "limit": (faults.told_in_200(faults.rate_limited()), "Rate limit|rate limit|quota"),
    "nothing": (faults.no_reply(), "no reply"),
    "empty body": (faults.empty_body(), "no reply"),
    "page": (faults.html_page(), "no reply"),
    "no end": (faults.no_end(), "cut off"),
    "broken off": (faults.broken_off(), "(?i)error|broke"),
}


@pytest.fixture(scope="module")
def providers():
    with FakeProviders() as running:
        yield running


@pytest.fixture(autouse=True)
def at_once(monkeypatch, providers):
    monkeypatch.setattr("langgraph_conductor.workers.failures.random.uniform", lambda low, high: 0.0)
    for name, value in providers.environment().items():
        monkeypatch.setenv(name, value)


@pytest.fixture(params=WIRES)
def wire(request):
    return request.param


@pytest.fixture(params=[False, True], ids=["whole", "streamed"])
def streaming(request):
    return request.param


@cache  # building a client takes longer than using it
def model(wire, providers, streaming):
    named = WIRES[wire].format(url=providers.openai_url)
    made = chat_model(named)
    return made.model_copy(
        update={"streaming": streaming} if "streaming" in type(made).model_fields else {}
    )


def asked_of(providers, before):
    return len(providers.requests) - before


def script(providers, wire, *replies):
    providers.script(WIRES[wire].partition(":")[2].partition("@")[0], *replies)
    return len(providers.requests)


def conductor_of(made, **options):
    return create_conductor(fixed.single("w"), [Worker("w", made, retries=1, **options)])


@pytest.mark.parametrize("name", OUTAGES)
def test_what_is_no_whole_reply_is_asked_again(name, wire, streaming, run, providers):
    fault, words = OUTAGES[name]
    if name == "no end" and not streaming:
        pytest.skip("a whole reply says its length")
    if name == "nothing" and wire in ("responses", "anthropic") and not streaming:
        pytest.skip("a valid reply, of a model that has nothing to say")
    before = script(providers, wire, fault, "It is 42.")
    result = run(conductor_of(model(wire, providers, streaming)), ask())
    assert (result["answer"], asked_of(providers, before)) == ("It is 42.", 2)
    script(providers, wire, fault)
    with pytest.raises(WorkerError, match=words) as caught:
        run(conductor_of(model(wire, providers, streaming)), ask())
    assert caught.value.infrastructure
    assert caught.value.usage["calls"] in ((2,) if name == "no end" else (0, 2))  # those that were answered


@pytest.mark.parametrize("inside", [False, True])
def test_an_account_without_credit_is_no_wrong_answer_and_asked_once(
    inside, wire, streaming, run, providers
):
    before = script(
        providers, wire, faults.told_in_200(faults.out_of_credit()) if inside else faults.out_of_credit()
    )
    with pytest.raises(WorkerError, match=r"out of credit.*add credit") as caught:
        run(conductor_of(model(wire, providers, streaming)), ask())
    assert asked_of(providers, before) == 1
    assert caught.value.infrastructure
    assert caught.value.errors[0]["kind"] == "billing"


@pytest.mark.parametrize("form", ["header", "date", "ms", "reset", "body", "words"])
def test_the_wait_is_read_in_every_form(form, wire, streaming, providers):
    script(providers, wire, faults.rate_limited(30, form))
    with pytest.raises(Exception, match=r".") as caught:
        model(wire, providers, streaming).invoke("Hi")
    assert is_outage(caught.value)
    assert retry_after(caught.value) == pytest.approx(30, abs=10 if form == "date" else 0.1)


def test_a_reply_that_is_cut_at_its_limit_says_so(wire, streaming, run, providers):
    script(providers, wire, faults.cut_at_limit("It is for"))
    step = run(conductor_of(model(wire, providers, streaming)), ask())["rounds"][0]["steps"][0]
    assert (step["text"], step["status"]) == ("It is for", "ok")
    assert "cut at its limit of 10 tokens" in step["note"]
    script(providers, wire, "It is 42.")
    assert (
        "note" not in run(conductor_of(model(wire, providers, streaming)), ask())["rounds"][0]["steps"][0]
    )


def test_a_limit_that_reasoning_used_up_is_named(wire, streaming, run, providers):
    before = script(providers, wire, faults.reasoning_at_limit(512))
    with pytest.raises(
        WorkerError, match=r"limit of 512 tokens.*before it held any text; raise max_tokens"
    ) as caught:
        run(conductor_of(model(wire, providers, streaming)), ask())
    assert (asked_of(providers, before), caught.value.infrastructure) == (1, False)
    assert caught.value.usage["output_tokens"] == 512


@pytest.mark.parametrize(("fault", "kind"), [(faults.filtered(), "RefusalError"), (faults.blank(), "EmptyReplyError"), (faults.empty(), "EmptyReplyError")], ids=["filtered", "blank", "empty"])  # fmt: skip
def test_replies_without_an_answer_are_the_models_own(fault, kind, wire, streaming, run, providers):
    before = script(providers, wire, fault)
    with pytest.raises(WorkerError, match=kind) as caught:
        run(conductor_of(model(wire, providers, streaming)), ask())
    assert (asked_of(providers, before), caught.value.infrastructure) == (1, False)


def test_models_of_ones_own_need_no_marks(run):
    fake = GenericFakeChatModel(messages=iter([AIMessage("Mine.")]))
    assert run(conductor_of(fake), ask())["answer"] == "Mine."
