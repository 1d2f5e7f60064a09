"""A conductor with real clients over real HTTP, against loopback providers."""

import pytest

from langgraph_conductor import ChatPlanner, Usage, Worker, create_conductor
from langgraph_conductor.testing import FakeProviders, FakeReply, faults, plan_or_answer
from tests.helpers import ask


@pytest.mark.parametrize(
    ("planner", "worker", "wire"),
    [
        ("openai:gpt-5-mini", "openai:gpt-5", "openai"),
        ("anthropic:claude-sonnet-5", "anthropic:claude-haiku-4-5", "anthropic"),
        ("google_genai:gemini-2.5-flash", "google_genai:gemini-2.5-pro", "gemini"),
        ("openrouter:openai/gpt-5", "openrouter:openai/gpt-5-mini", "openrouter"),
    ],
)
def test_model_strings_end_to_end(run, monkeypatch, planner, worker, wire):
    def fifteen_tokens(request):
        return FakeReply(plan_or_answer(request), input_tokens=10, output_tokens=5)

    with FakeProviders(fifteen_tokens) as providers:
        for name, value in providers.environment().items():
            monkeypatch.setenv(name, value)
        conductor = create_conductor(planner, [Worker("coder", worker), Worker("critic", planner)])
        result = run(conductor, ask())
    named = [request.model for request in providers.requests]
    assert named == [string.partition(":")[2] for string in (planner, worker, planner)]
    assert {request.wire for request in providers.requests} == {wire}
    assert providers.requests[0].asked.schema["properties"]["steps"]
    assert result["answer"] == f"An answer of {named[0]}."
    assert result["rounds"][0]["plan"]["reached"] == "schema"
    assert Usage.from_json(result["usage"]["total"]).total_tokens == 45


def test_an_unknown_model_is_not_bound_to_a_schema(run):
    from langchain_openai import ChatOpenAI

    plan = 'model_id = [0]\nsubtasks = ["x"]\naccess_list = [[]]'
    with FakeProviders(plan) as providers:
        model = ChatOpenAI(base_url=providers.openai_url, api_key="x", model="my-conductor-7b")
        conductor = create_conductor(ChatPlanner(model, show="anonymous"), [Worker("w", lambda t: "done")])
        result = run(conductor, ask())
    assert result["rounds"][0]["plan"]["reached"] == "unaided"
    assert providers.requests[0].asked is None


def test_an_unreachable_planner_falls_back_and_is_called_an_outage(run):
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(base_url=faults.refused_url() + "/v1", api_key="x", model="m", max_retries=0)
    result = run(create_conductor(model, [Worker("w", lambda t: "still here")]), ask())
    assert result["answer"] == "still here"
    assert result["rounds"][0]["plan"]["error"]["infrastructure"]
