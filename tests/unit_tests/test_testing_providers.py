"""The fake providers, asked by the providers' real clients."""

import asyncio
import json
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from langgraph_conductor import parse_workflow
from langgraph_conductor.dialect import workflow_schema
from langgraph_conductor.testing import FakeProviders, FakeReply, FakeToolCall, faults, plan_or_answer
from tests.clients import CALLS, WIRES, client, failure_of, model_name, streamed

SCHEMA = workflow_schema(["coder", "critic"], 3)


@pytest.fixture(params=WIRES)
def wire(request):
    return request.param


@pytest.fixture(params=CALLS)
def call(request):
    return CALLS[request.param]


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def test_every_client_reads_the_same_reply(wire, call):
    reply = FakeReply(
        "Four words of text.", reasoning="Let me think.", input_tokens=20, output_tokens=10,
        cached_tokens=8, reasoning_tokens=4, cost=0.5,
    )  # fmt: skip
    with FakeProviders(reply) as providers:
        message = call(client(wire, providers), "Hi there")
    assert message.text == "Four words of text."
    usage = message.usage_metadata
    assert [usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]] == [20, 10, 30]
    assert usage["input_token_details"]["cache_read"] == 8
    if wire != "anthropic":
        assert usage["output_token_details"]["reasoning"] == 4
    if wire != "openai":  # ChatOpenAI drops vLLM's field
        thoughts = [block["reasoning"] for block in message.content_blocks if block["type"] == "reasoning"]
        assert "".join(thoughts) == "Let me think."
    if wire == "openrouter":
        assert message.response_metadata["cost"] == 0.5


def test_a_tool_is_called_and_its_result_is_read(wire, call):
    with FakeProviders() as providers:
        model = client(wire, providers).bind_tools([add])
        providers.script(
            model_name(wire),
            FakeReply("Wait.", tool_calls=(FakeToolCall("add", {"a": 20, "b": 22}),)),
            "It is 42.",
        )
        asked = call(model, "What is 20 + 22?")
        [tool_call] = asked.tool_calls
        assert (tool_call["name"], tool_call["args"]) == ("add", {"a": 20, "b": 22})
        result = ToolMessage("42", tool_call_id=tool_call["id"], name="add")
        assert call(model, [HumanMessage("What is 20 + 22?"), asked, result]).text == "It is 42."
    assert "42" in json.dumps(providers.requests[1].body)
    assert [request.prompt for request in providers.requests] == ["What is 20 + 22?"] * 2


def without_number_enums(schema):
    """ChatGoogleGenerativeAI cannot make a tool of a schema with numbers in an enum."""
    if isinstance(schema, list):
        return [without_number_enums(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: value for key, value in schema.items() if key != "enum" or isinstance(value[0], str)}
    return {key: without_number_enums(value) for key, value in kept.items()}


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_a_plan_is_written_where_its_schema_is_asked_for(wire, method):
    with FakeProviders() as providers:
        schema = (
            without_number_enums(SCHEMA) if (wire, method) == ("gemini", "function_calling") else SCHEMA
        )
        model = client(wire, providers).with_structured_output(schema, method=method)
        plan = model.invoke("Plan it.")
        assert asyncio.run(model.ainvoke("Plan it.")) == plan
    workflow = parse_workflow(json.dumps(plan), ["coder", "critic"])
    assert [step.worker for step in workflow.steps] == ["coder", "critic"]
    asked = providers.requests[0].asked
    assert (asked.tool is None) == (method == "json_schema")


def test_another_schema_is_asked_for_and_told(wire):
    schema = {
        "title": "age",
        "description": "An age.",
        "type": "object",
        "properties": {"age": {"type": "integer"}},
        "required": ["age"],
    }
    with FakeProviders(
        lambda request: json.dumps({"age": len(request.asked.schema["properties"])})
    ) as providers:
        assert client(wire, providers).with_structured_output(schema, method="json_schema").invoke(
            "Hi"
        ) == {"age": 1}


@pytest.mark.parametrize("call", [CALLS["invoke"], CALLS["astream"]], ids=["invoke", "astream"])
def test_texts_cost_their_words_and_a_limit_is_reported(wire, call):
    ends = {
        "openai": ("finish_reason", "length"),
        "responses": ("status", "incomplete"),
        "anthropic": ("stop_reason", "max_tokens"),
        "gemini": ("finish_reason", "MAX_TOKENS"),
        "openrouter": ("finish_reason", "length"),
    }
    with FakeProviders("Three words here.") as providers:
        message = call(
            client(wire, providers), [SystemMessage("Be brief."), HumanMessage("Say three words.")]
        )
        providers.script(model_name(wire), FakeReply("Cut o", finish="length"))
        name, value = ends[wire]
        assert call(client(wire, providers), "Go on.").response_metadata[name] == value
    assert (message.usage_metadata["input_tokens"], message.usage_metadata["output_tokens"]) == (5, 3)
    assert message.usage_metadata["total_tokens"] == 8


@pytest.mark.parametrize("call", [CALLS["invoke"], CALLS["astream"]], ids=["invoke", "astream"])
def test_requests_are_remembered(wire, call):
    before = time.monotonic()
    with FakeProviders("ok") as providers:
        call(
            client(wire, providers), [SystemMessage("Be brief."), HumanMessage("One"), HumanMessage("Two")]
        )
    [request] = providers.requests
    assert (request.wire, request.model, request.key) == (wire, model_name(wire), "sk-secret")
    assert request.prompt.endswith("Two")
    assert request.words == 4
    assert before <= request.at <= time.monotonic()
    assert "sk-secret" not in repr(request)


def test_streams_are_known_as_such(wire):
    with FakeProviders("ok") as providers:
        client(wire, providers).invoke("Hi")
        streamed(client(wire, providers), "Hi")
    assert [request.stream for request in providers.requests] == [False, True]


def test_openai_streams_tell_their_usage_only_if_asked():
    with FakeProviders("ok") as providers:
        assert streamed(client("openai", providers), "Hi").usage_metadata
        model = ChatOpenAI(model="m", base_url=providers.openai_url, api_key="x", stream_usage=False)
        assert streamed(model, "Hi").usage_metadata is None


def test_reasoning_of_vllm_is_on_the_wire():
    with FakeProviders(FakeReply("Yes.", reasoning="Hm, well.")) as providers:
        body = {"model": "m", "messages": [{"role": "user", "content": "?"}]}
        assert post(providers, body)["choices"][0]["message"]["reasoning"] == "Hm, well."


def post(providers, body):
    request = urllib.request.Request(
        providers.openai_url + "/chat/completions",
        json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def test_models_and_health_are_told():
    with FakeProviders() as providers:
        providers.script("gpt-x", "ok")
        with urllib.request.urlopen(providers.openai_url + "/models") as answer:
            assert [model["id"] for model in json.load(answer)["data"]] == ["gpt-x"]
        with urllib.request.urlopen(providers.url + "/health") as answer:
            assert answer.status == 200


def test_a_script_goes_on_with_its_last_reply_and_leaves_other_models_alone():
    with FakeProviders("someone else") as providers:
        providers.script("m", "one", lambda request: f"two: {request.prompt}")
        model = client("openai", providers)
        assert [model.invoke("hi").text for _ in range(3)] == ["one", "two: hi", "two: hi"]
        assert client("openrouter", providers).invoke("hi").text == "someone else"
        with pytest.raises(ValueError, match="no reply"):
            providers.script("m")


def test_requests_at_once_are_counted():
    all_here = threading.Barrier(4, timeout=30)

    def together(request):
        all_here.wait()
        return "ok"

    with FakeProviders(together) as providers:
        model = client("openai", providers, timeout=30)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(model.invoke, ["hi"] * 4))
        providers.script("m", "alone")
        model.invoke("hi")
    assert providers.in_flight_peak == 4


@pytest.mark.parametrize("call", [CALLS["invoke"], streamed], ids=["invoke", "stream"])
def test_one_after_the_other_is_one_at_once(call):
    with FakeProviders("ok") as providers:
        for _ in range(20):
            call(client("openai", providers), "hi")
    assert providers.in_flight_peak == 1


def test_replies_take_their_latency():
    with FakeProviders("ok", latency=30) as providers:
        providers.latency = 0.2
        began = time.monotonic()
        client("openai", providers).invoke("hi")
        assert 0.2 <= time.monotonic() - began < 15


def test_what_a_reply_function_raises_comes_out_at_the_end():
    def broken(request):
        raise AssertionError("not what I expected")

    with pytest.raises(AssertionError, match="not what I expected"), FakeProviders(broken) as providers:
        assert failure_of(lambda: client("openai", providers).invoke("hi")).status_code == 500


def test_nothing_is_left_when_it_ends():
    before = threading.active_count()
    with FakeProviders(faults.slow_headers(60), keep_alive=True) as providers:
        with pytest.raises(Exception, match="timed out"):
            client("openai", providers, timeout=0.1).invoke("hi")
        providers.script("m", faults.stall(seconds=60))
        with pytest.raises(Exception, match="timed out"):
            client("openai", providers, timeout=0.1).invoke("hi")
        providers.script("m", "ok")
        client("openai", providers).invoke("hi")  # its connection stays open
        began = time.monotonic()
    assert time.monotonic() - began < 15
    assert threading.active_count() == before


def test_a_plan_or_an_answer():
    with FakeProviders(plan_or_answer) as providers:
        assert client("openai", providers).invoke("hi").text == "An answer of m."
