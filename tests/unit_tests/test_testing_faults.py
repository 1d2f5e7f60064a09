"""Every fault, as the providers' real clients see it."""

import time
import urllib.error
import urllib.request

import httpx
import httpx2
import pytest
from langchain_core.exceptions import (
    ContextOverflowError,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelNotFoundError,
    ModelRateLimitError,
    ModelTimeoutError,
)
from langchain_openai import ChatOpenAI

from langgraph_conductor.testing import FakeProviders, FakeReply, faults
from langgraph_conductor.workers.failures import is_outage
from tests.clients import CALLS, WIRES, client, failure_of

SHORT = 0.3


@pytest.fixture(params=WIRES)
def wire(request):
    return request.param


@pytest.fixture(params=["invoke", "astream"])
def call_name(request):
    return request.param


@pytest.fixture
def call(call_name):
    return CALLS[call_name]


REFUSED = {  # fault: status, LangChain's class, OpenRouter's own class, whether it is an outage
    faults.rate_limited(): (429, ModelRateLimitError, "TooManyRequestsResponseError", True),
    faults.server_error(): (500, ModelAPIError, "InternalServerResponseError", True),
    faults.overloaded(): (529, ModelAPIError, "ProviderOverloadedResponseError", True),
    faults.overloaded(503): (503, ModelAPIError, "ServiceUnavailableResponseError", True),
    faults.unknown_model(): (404, ModelNotFoundError, "NotFoundResponseError", False),
    faults.context_too_long(): (400, ContextOverflowError, "BadRequestResponseError", False),
    faults.bad_key(): (401, ModelAuthenticationError, "UnauthorizedResponseError", False),
}


@pytest.mark.parametrize("fault", REFUSED, ids=lambda fault: f"{fault.name}-{fault.status}")
def test_clients_raise_their_own_errors(wire, call, fault):
    status, kind, openrouter_kind, outage = REFUSED[fault]
    with FakeProviders(fault) as providers:
        error = failure_of(lambda: call(client(wire, providers), "Hi"))
        assert len(providers.requests) == 1
    if wire == "openrouter":
        assert type(error).__name__ == openrouter_kind
    else:
        assert isinstance(error, kind)
    if wire != "gemini":  # Google's errors of LangChain have no status; what caused them has
        assert error.status_code == status
    assert is_outage(error) == outage


def test_the_echoed_key_is_in_the_error(wire):
    with FakeProviders(faults.bad_key()) as providers:
        assert "sk-secret" in str(failure_of(lambda: client(wire, providers).invoke("Hi")))


def test_clients_wait_as_long_as_they_are_told():
    with FakeProviders() as providers:
        providers.script("m", faults.rate_limited(retry_after=0.3), "At last.")
        assert client("openai", providers, max_retries=1).invoke("Hi").text == "At last."
        first, second = providers.requests
    assert 0.3 <= second.at - first.at < 15


@pytest.mark.parametrize(
    "fault", [faults.slow_headers(30), faults.stall(seconds=30)], ids=lambda fault: fault.name
)
def test_silence_ends_in_a_timeout(wire, call_name, call, fault):
    with FakeProviders(fault) as providers:
        model = client(wire, providers, timeout=SHORT)
        began = time.monotonic()
        error = failure_of(lambda: call(model, "Hi"))
        assert time.monotonic() - began < 15
    bare = {"gemini": httpx2.TimeoutException, "openrouter": httpx.TimeoutException}
    if wire == "anthropic" and fault.name == "stall" and "stream" in call_name:
        assert isinstance(error, httpx2.ReadTimeout)
    else:
        assert isinstance(error, bare.get(wire, ModelTimeoutError))
    assert is_outage(error)


def test_a_dropped_connection_is_noticed(wire, call_name, call):
    with FakeProviders(faults.cut()) as providers:
        error = failure_of(lambda: call(client(wire, providers), "Hi"))
    if wire in ("gemini", "openrouter"):
        assert isinstance(error, httpx.RemoteProtocolError | httpx2.RemoteProtocolError)
    elif wire == "anthropic" and "stream" in call_name:
        assert isinstance(error, httpx2.RemoteProtocolError)
    else:
        assert isinstance(error, ModelConnectionError)
    assert is_outage(error)


@pytest.mark.parametrize("after", [0, 3])
def test_the_pieces_before_the_break_arrive(wire, after):
    said = []
    with FakeProviders(faults.cut(after=after, reply="one two three four five")) as providers:

        def read():
            for chunk in client(wire, providers).stream("Hi"):
                said.append(chunk.text)

        assert isinstance(failure_of(read), Exception)
    assert "".join(said) == "one two three four five"[: {0: 0, 3: len("one two three ")}[after]]


def test_silence_that_ends_is_followed_by_the_rest(wire, call):
    with FakeProviders(faults.stall(seconds=0.1, reply="All of it arrives.")) as providers:
        began = time.monotonic()
        assert call(client(wire, providers), "Hi").text == "All of it arrives."
        assert time.monotonic() - began >= 0.1
        providers.script("m", faults.slow_headers(0.1, reply="Late."))
        assert client("openai", providers).invoke("Hi").text == "Late."


def test_broken_json_is_an_error(wire, call):
    with FakeProviders(faults.malformed_json()) as providers:
        error = failure_of(lambda: call(client(wire, providers), "Hi"))
    assert isinstance(error, Exception)
    assert is_outage(error)  # seen by where it was raised


def test_an_empty_reply_is_valid(wire, call):
    with FakeProviders(faults.empty()) as providers:
        message = call(client(wire, providers), "Hi")
    assert message.text == ""
    assert message.usage_metadata["output_tokens"] == 0


def test_a_refusal_has_the_providers_form(wire, call_name, call):
    with FakeProviders(faults.refusal("No.")) as providers:
        message = call(client(wire, providers), "Hi")
    assert message.text == ""
    if wire == "openai" and "stream" not in call_name:  # streamed, ChatOpenAI drops it
        assert message.additional_kwargs["refusal"] == "No."
    elif wire == "responses":
        assert [block["refusal"] for block in message.content if block["type"] == "refusal"] == ["No."]
    elif wire == "anthropic":
        assert message.response_metadata["stop_reason"] == "refusal"
    elif wire == "gemini":
        assert message.response_metadata["finish_reason"] == "SAFETY"


def test_a_refused_url_refuses():
    with pytest.raises(urllib.error.URLError) as caught:
        urllib.request.urlopen(faults.refused_url())
    assert isinstance(caught.value.reason, ConnectionRefusedError)
    model = ChatOpenAI(model="m", base_url=faults.refused_url() + "/v1", api_key="x", max_retries=0)
    assert isinstance(failure_of(lambda: model.invoke("Hi")), ModelConnectionError)


@pytest.mark.parametrize("name", ["invoke", "astream"])
def test_what_a_call_costs_beside_plain_tokens_reaches_the_client(name):
    reply = FakeReply("x", input_tokens=200, cost=0, upstream_cost=0.25, hour_cache_tokens=100)
    with FakeProviders(reply) as providers:
        said = CALLS[name](client("openrouter", providers), "Hi").response_metadata
        used = CALLS[name](client("anthropic", providers), "Hi").usage_metadata
    assert (said["cost"], said["cost_details"]["upstream_inference_cost"]) == (0, 0.25)
    assert used["input_tokens"] == 200
    assert used["input_token_details"]["ephemeral_1h_input_tokens"] == 100
