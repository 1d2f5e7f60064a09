"""Workflows whose planner and workers are served by vLLM. What a model says is never asserted."""

import httpx
import pytest

from langgraph_conductor import ChatPlanner, Worker, create_conductor
from langgraph_conductor.planners import PlanningError, fixed
from langgraph_conductor.workers import chat_model
from tests.helpers import ask, flow, request

LENGTH = 32
EXACTLY = {"max_tokens": LENGTH, "extra_body": {"ignore_eos": True}}
"""Options by which every answer is LENGTH tokens long."""


def team(server, **options):
    return [
        Worker("writer", server.model(max_tokens=LENGTH, **options), description="Writes texts."),
        Worker("checker", server.model(max_tokens=LENGTH, **options), description="Finds mistakes."),
    ]


def test_a_plan_written_under_a_schema_runs(server, run):
    planner = ChatPlanner(server.model(max_tokens=500), structured=True, max_subtask_chars=60)
    result = run(create_conductor(planner, team(server), max_steps=3), ask("Which colour has the sky?"))
    (record,) = result["rounds"]
    assert record["plan"]["reached"] in ("schema", "repair")
    assert 1 <= len(record["steps"]) <= 3
    assert {step["worker"] for step in record["steps"]} <= {"writer", "checker"}
    assert [step["status"] for step in record["steps"]] == ["ok"] * len(record["steps"])
    assert all(0 < step["usage"]["output_tokens"] <= LENGTH for step in record["steps"])
    assert record["plan"]["usage"]["output_tokens"] > 0
    assert result["usage"]["planner"]["input_tokens"] > result["usage"]["planner"]["output_tokens"]
    assert result["usage"]["workers"]["calls"] == len(record["steps"])
    assert result["answer"]


def test_independent_steps_share_the_engine(server):
    length = 3 * LENGTH  # long beside the time between the first request and the third
    exactly = {**EXACTLY, "max_tokens": length}
    workers = [Worker(name, server.model(**exactly)) for name in ("a", "b", "c", "join")]
    plan = flow(("a", "Say a.", []), ("b", "Say b.", []), ("c", "Say c.", []), ("join", "Join.", [0, 1, 2]))
    conductor = create_conductor(fixed.workflow(plan), workers)
    before = server.iterations()
    result = conductor.invoke(ask())
    # One after the other they would be four times the length and more. Counted rather than watched: a look at
    # how many run at this moment can miss it. A server that gets little of the processor may hand the engine
    # the second and third request late, which makes it three times the length.
    assert length < server.iterations() - before < 4 * length
    *first, join = result["rounds"][0]["steps"]
    assert max(step["started_at"] for step in first) < min(
        step["started_at"] + step["seconds"] for step in first
    )
    assert join["started_at"] >= max(step["started_at"] + step["seconds"] for step in first) - 0.01
    assert [step["usage"]["output_tokens"] for step in (*first, join)] == [length] * 4


def test_tokens_are_streamed_and_counted(server):
    plan = flow(("writer", "Write a line.", []), ("checker", "Check it.", [0]))
    conductor = create_conductor(fixed.workflow(plan), team(server, stream_usage=True))
    chunks, result = {}, {}
    for namespace, mode, data in conductor.stream(
        ask(), stream_mode=["messages", "values"], subgraphs=True
    ):
        if mode == "messages":
            message, about = data
            chunks.setdefault(about["langgraph_node"], []).append(str(message.text))
        elif not namespace:
            result = data
    for step in result["rounds"][0]["steps"]:
        streamed = chunks[f"step_{step['index']}"]
        assert len(streamed) > 5
        assert "".join(streamed).strip() == step["text"].strip()
        assert step["usage"]["calls"] == 1
        assert step["usage"]["input_tokens"] > 0
        assert 5 < step["usage"]["output_tokens"] <= LENGTH


def test_a_planner_that_is_an_adapter(server):
    served = {
        card["id"]: card.get("parent") for card in httpx.get(f"{server.url}/v1/models").json()["data"]
    }
    assert served == {"smollm2": None, "policy": "smollm2"}
    base, policy = (
        server.model(name, **EXACTLY).invoke("Say something.") for name in ("smollm2", "policy")
    )
    assert policy.response_metadata["model_name"] == "policy"
    assert policy.text != base.text  # its weights were used

    planner = ChatPlanner(server.model("policy", max_tokens=LENGTH), show="anonymous", structured=False)
    result = create_conductor(planner, team(server), fallback="checker").invoke(ask())
    (record,) = result["rounds"]
    assert record["plan"]["reached"] == "fallback"  # it is untrained
    assert [(a["mode"], bool(a["error"])) for a in record["plan"]["attempts"]] == [("text", True)] * 3
    assert record["plan"]["error"]["infrastructure"] is False
    assert result["usage"]["planner"]["calls"] == 3
    assert [step["worker"] for step in record["steps"]] == ["checker"]
    assert result["answer"]


def test_a_planner_goes_on_from_its_prefill(server):
    going_on = {"add_generation_prompt": False, "continue_final_message": True}
    model = server.model(max_tokens=LENGTH, extra_body=going_on)
    planner = ChatPlanner(model, structured=False, prefill="model_id = [")
    with pytest.raises(PlanningError) as caught:  # too few tokens for a plan
        planner.plan(request(team(server)))
    assert all(attempt.text.startswith("model_id = [") for attempt in caught.value.attempts)

    messages = [{"role": "user", "content": "Plan."}, {"role": "assistant", "content": "model_id = ["}]
    sent = httpx.post(
        f"{server.url}/tokenize", json={"model": "smollm2", "messages": messages, **going_on}
    ).json()
    text = httpx.post(
        f"{server.url}/detokenize", json={"model": "smollm2", "tokens": sent["tokens"]}
    ).json()["prompt"]
    assert text.endswith("<|im_start|>assistant\nmodel_id = [")  # the turn is open
    assert model.invoke(messages).usage_metadata["input_tokens"] == sent["count"]


def test_the_anthropic_side_of_the_server(server, run):
    claude = chat_model(
        "anthropic:smollm2", base_url=server.url, api_key="none", max_tokens=LENGTH, timeout=120
    )
    result = run(create_conductor(fixed.single("w"), [Worker("w", claude)]), ask())
    assert result["answer"]
    assert 0 < result["usage"]["workers"]["output_tokens"] <= LENGTH
