"""Output caps: sent under the name each server honours, and what happens where a server ignores them."""

import pytest
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from langgraph_conductor import Budget, Worker, create_conductor
from langgraph_conductor.local.chat import EmbeddedChat
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import FakeProviders, FakeReply
from langgraph_conductor.workers import chat_model
from tests.helpers import ask

NAMES = ("max_tokens", "max_completion_tokens", "max_output_tokens")


def caps(body):
    return {name: body[name] for name in NAMES if name in body}


@pytest.mark.parametrize("server", ["ollama", "vllm", "sglang", "llamacpp", "openai_compatible"])
@pytest.mark.parametrize("given", [{"max_tokens": 7}, {"max_completion_tokens": 7}])
def test_servers_of_ones_own_are_sent_the_cap_that_all_of_them_know(run, server, given):
    with FakeProviders("done") as providers:
        model = chat_model(f"{server}:q@{providers.openai_url}", **given)
        run(create_conductor(fixed.single("w"), [Worker("w", model)], budget=Budget(tokens=2_000)), ask())
        for options in ({}, {"max_tokens": 5}, {"max_completion_tokens": 5}):
            model.invoke("hi", **options)
            list(model.stream("hi", **options))
        assert [caps(request.body) for request in providers.requests] == [{"max_tokens": 7}] * 3 + [
            {"max_tokens": 5}
        ] * 4


def test_no_cap_is_sent_where_none_is_set():
    with FakeProviders("done") as providers:
        chat_model(f"ollama:q@{providers.openai_url}").invoke("hi")
        assert caps(providers.requests[0].body) == {}


@pytest.mark.parametrize("name", ["gpt-5-mini", "o3", "openai/gpt-5"])
def test_openais_own_models_behind_a_gateway_are_sent_the_cap_they_know(name):
    with FakeProviders("done") as providers:
        chat_model(f"openai_compatible:{name}@{providers.openai_url}", max_tokens=7).invoke("hi")
        assert caps(providers.requests[0].body) == {"max_completion_tokens": 7}


def test_the_embedded_model_is_sent_the_cap_it_knows_and_asked_for_its_use():
    with FakeProviders("done") as providers:
        model = EmbeddedChat(
            base_url=providers.openai_url, api_key=SecretStr("k"), model="m", max_completion_tokens=7
        )
        model.invoke("hi")
        assert caps(providers.requests[0].body) == {"max_tokens": 7}


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("openai:gpt-5-mini", "max_completion_tokens"), ("openai_responses:gpt-5-mini", "max_output_tokens"),
        ("anthropic:claude-haiku-4-5", "max_tokens"), ("openrouter:openai/gpt-5-mini", "max_tokens"),
    ],
)  # fmt: skip
def test_providers_are_sent_the_cap_they_know(monkeypatch, model, name):
    with FakeProviders("done") as providers:
        for variable, value in providers.environment().items():
            monkeypatch.setenv(variable, value)
        chat_model(model, max_tokens=70).invoke("hi")
        assert caps(providers.requests[0].body) == {name: 70}


def test_gemini_is_sent_the_cap_it_knows(monkeypatch):
    with FakeProviders("done") as providers:
        for variable, value in providers.environment().items():
            monkeypatch.setenv(variable, value)
        chat_model("google_genai:gemini-2.5-flash", max_tokens=70).invoke("hi")
        assert providers.requests[0].body["generationConfig"]["maxOutputTokens"] == 70


def long_winded(request):
    return FakeReply("and so on", input_tokens=100, output_tokens=5_000)


def test_a_server_that_ignores_the_cap_ends_the_run(run):
    with FakeProviders(long_winded) as providers:
        model = ChatOpenAI(base_url=providers.openai_url, api_key="k", model="q", max_tokens=100)
        team = create_conductor(
            fixed.self_reflection(3, "w"), [Worker("w", model)], budget=Budget(tokens=2_000)
        )
        result = run(team, ask())
        assert len(providers.requests) == 1
    assert result["answer"] == "and so on"  # it is paid, and kept
    assert result["usage"]["total"]["output_tokens"] == 5_000
    assert "2000 tokens is overrun, 5100 tokens were used" in result["stopped"]
    assert "its server ignores the cap" in result["stopped"]


def test_a_server_that_ignores_the_cap_within_the_budget_ends_nothing(run):
    with FakeProviders(long_winded) as providers:
        model = ChatOpenAI(base_url=providers.openai_url, api_key="k", model="q", max_tokens=100)
        budgets = (
            Budget(tokens=50_000),
            Budget(tokens=2_000, allow_unbounded=True),
            Budget(usd=1, allow_unbounded=True),
        )
        for budget in budgets:
            result = run(create_conductor(fixed.single("w"), [Worker("w", model)], budget=budget), ask())
            assert not result["stopped"]


def test_a_server_that_ignores_the_cap_and_tells_no_use_ends_the_run(run):
    with FakeProviders("and so on " * 4_000) as providers:
        model = ChatOpenAI(
            base_url=providers.openai_url, api_key="k", model="q", max_tokens=100, streaming=True
        )
        team = create_conductor(
            fixed.self_reflection(3, "w"), [Worker("w", model)], budget=Budget(tokens=5_000)
        )
        result = run(team, ask())
        assert len(providers.requests) == 1
    assert result["answer"].startswith("and so on")
    assert "5000 tokens is overrun" in result["stopped"]
    assert "its server ignores the cap" in result["stopped"]


def test_what_a_server_tells_nothing_of_stays_set_aside(run):
    with FakeProviders("and so on " * 20) as providers:  # about 50 tokens
        model = ChatOpenAI(
            base_url=providers.openai_url, api_key="k", model="q", max_tokens=100, streaming=True
        )
        result = run(
            create_conductor(fixed.single("w"), [Worker("w", model)], budget=Budget(tokens=5_000)), ask()
        )
    assert not result["stopped"]


def test_money_may_be_overrun_too(run):
    with FakeProviders(long_winded) as providers:
        model = ChatOpenAI(base_url=providers.openai_url, api_key="k", model="q", max_tokens=100)
        worker = Worker("w", model, price={"input": 1, "output": 10})
        result = run(
            create_conductor(fixed.self_reflection(3, "w"), [worker], budget=Budget(usd="0.02")), ask()
        )
        assert len(providers.requests) == 1
    assert "$0.02 is overrun, $0.0501 were used" in result["stopped"]
