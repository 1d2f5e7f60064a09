"""Inspect: a conductor as its model, its models as workers, and what its log tells."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import inspect_ai
import pytest
from inspect_ai.dataset import Sample
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageTool,
    ChatMessageUser,
    ContentAudio,
    ContentData,
    ContentDocument,
    ContentImage,
    ContentReasoning,
    ContentText,
    ContentVideo,
    GenerateConfig,
    ModelOutput,
    ModelUsage,
    get_model,
)
from inspect_ai.scorer import includes, match
from inspect_ai.solver import generate
from inspect_ai.tool import ToolCall, ToolCallError, ToolFunction, ToolInfo
from inspect_ai.util import LimitExceededError
from langchain_core.messages import AIMessage, ChatMessage, HumanMessage
from langchain_core.tools import tool
from pydantic import BaseModel
from tenacity import wait_none

from langgraph_conductor import ChatPlanner, ConfigError, Usage, Worker, WorkerError, create_conductor
from langgraph_conductor.config import read_conductor
from langgraph_conductor.evals import inspect_ext
from langgraph_conductor.evals.inspect_ext import (
    InspectChatModel,
    conductor_model,
    conductor_solver,
    roles_pool,
)
from langgraph_conductor.evals.inspect_ext.messages import to_inspect, to_langchain
from langgraph_conductor.evals.inspect_ext.provider import ConductorAPI
from langgraph_conductor.evals.inspect_ext.solver import with_roles
from langgraph_conductor.evals.inspect_ext.usage import model_usage, served, usage_metadata
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import FakeProviders, ScriptedModel, faults
from tests.helpers import beside, chain

PIXEL = "data:image/png;base64,iVBORw0KGgo="
ASKED = [ChatMessageUser(content="What is it?")]


def evaluate(samples, tmp_path, *, solver=None, **options):
    asked = inspect_ai.Task(
        dataset=[Sample(input=question, target=answer) for question, answer in samples],
        solver=solver or generate(),
        scorer=options.pop("scorer", match()),
    )
    where = str(tmp_path / "logs")
    (log,) = inspect_ai.eval(asked, log_dir=where, display="none", fail_on_error=False, **options)
    return log


def call(graph, messages=ASKED, tools=(), **config):
    api = conductor_model(graph).api
    return asyncio.run(api.generate(list(messages), list(tools), "auto", GenerateConfig(**config)))


def ask(model, messages="Hi"):
    return asyncio.run(model.ainvoke(messages))


class Mock:
    """A model of Inspect that gives prepared outputs and remembers what it was sent."""

    def __init__(self, *outputs):
        self.outputs, self.sent = list(outputs), []
        self.model = get_model("mockllm/model", custom_outputs=self.answer)

    def answer(self, messages, tools, choice, config):
        self.sent.append((messages, tools, choice, config))
        output = self.outputs[min(len(self.sent), len(self.outputs)) - 1]
        if isinstance(output, BaseException):
            raise output
        return output if isinstance(output, ModelOutput) else said(output)


def said(content, *, sent=10, got=2, stop="stop", **usage):
    message = (
        content if isinstance(content, ChatMessageAssistant) else ChatMessageAssistant(content=content)
    )
    return ModelOutput(
        model="mock-1",
        choices=[ChatCompletionChoice(message=message, stop_reason=stop)],
        usage=ModelUsage(input_tokens=sent, output_tokens=got, total_tokens=sent + got, **usage),
    )


# The provider.


def test_the_log_tells_accuracy_tokens_and_money_of_each_worker(tmp_path):
    def sure(messages):
        asked = str(messages[0].text) + str(messages[-1].text)
        return "wrong" if "Question 3" in asked else "right"

    workers = [
        Worker(
            "draft", ScriptedModel(replies=["some words here"]), price={"input": 0, "output": 1_000_000}
        ),
        Worker("final", ScriptedModel(replies=sure), price={"input": 0, "output": 3_000_000}),
    ]
    graph = create_conductor(chain("draft", "final"), workers)
    samples = [(f"Question {n}: is it?", "right") for n in range(4)]
    log = evaluate(
        samples, tmp_path, model=conductor_model(graph, "two"), log_model_api=True, temperature=0.5
    )

    assert log.status == "success", log.error
    assert log.eval.model == "conductor/two"
    assert log.results.scores[0].metrics["accuracy"].value == 3 / 4
    (whole,) = log.stats.model_usage.values()
    by_role = log.stats.role_usage
    assert {name: used.output_tokens for name, used in by_role.items()} == {"draft": 12, "final": 4}
    assert {name: used.total_cost for name, used in by_role.items()} == {"draft": 12.0, "final": 12.0}
    assert whole.total_cost == 24.0
    assert whole.total_tokens == sum(used.total_tokens for used in by_role.values())
    sample = log.samples[0]
    about = sample.output.metadata["conductor"]
    steps = about["rounds"][0]["steps"]
    assert [(step["worker"], step["text"]) for step in steps] == [
        ("draft", "some words here"),
        ("final", "right"),
    ]
    assert about["workers"] == ["draft", "final"]
    assert about["usage"]["by_worker"]["draft"]["usd"] == "3"
    assert about["ignored"] == ["temperature"]
    (event,) = [event for event in sample.events if event.event == "model"]
    assert event.call.request["messages"][0]["content"] == "Question 0: is it?"
    assert event.call.response["rounds"][0]["workflow"]["steps"][1]["worker"] == "final"
    assert sample.model_usage["conductor/two"].total_cost == 6.0


def test_a_file_is_a_model_and_its_keys_stay_out_of_the_log(tmp_path, monkeypatch):
    key = "kept-secret-3f9a17c2"
    file = tmp_path / "conductor.toml"
    with FakeProviders(f"right {key}") as providers:
        for name, value in providers.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("OPENAI_API_KEY", key)
        file.write_text(
            '[planner]\nstrategy = "single"\nworker = "w"\n'
            '[[workers]]\nname = "w"\nmodel = "openai:gpt-x"\nretries = 0\n'
        )
        providers.script("gpt-x", f"right {key}", faults.bad_key())
        log = evaluate(
            [("One?", "right"), ("Two?", "right")],
            tmp_path,
            model=f"conductor/{file}",
            scorer=includes(),
            max_connections=1,
            log_model_api=True,
        )
    assert log.eval.model == f"conductor/{file}"
    answered, failed = sorted(log.samples, key=lambda sample: sample.error is not None)
    assert answered.output.completion == "right [redacted]"
    assert len(answered.output.metadata["conductor"]["sha256"]) == 64
    assert "not the models" in failed.error.message
    assert key not in log.model_dump_json()


def test_the_path_may_be_an_argument(tmp_path):
    file = tmp_path / "conductor.toml"
    file.write_text(
        '[planner]\nstrategy = "single"\nworker = "w"\n[[workers]]\nname = "w"\nlocal = "calculator"\n'
    )
    model = get_model("conductor/mine", file=str(file))
    assert (str(model), model.api.model_name) == ("conductor/mine", "mine")
    assert asyncio.run(model.generate("What is 6 * 7?")).completion == "42"
    with pytest.raises(ConfigError, match=r"missing\.toml"):
        get_model(f"conductor/{tmp_path}/missing.toml")
    with pytest.raises(ValueError, match="temper cannot be given"):
        get_model("conductor/mine", file=str(file), temper=1)
    with pytest.raises(ValueError, match="base_url cannot be given"):
        ConductorAPI(str(file), base_url="http://x")


def test_tools_and_settings_that_change_an_answer_are_refused(caplog):
    graph = create_conductor(fixed.single("w"), [Worker("w", ScriptedModel())])
    with pytest.raises(ValueError, match=r"no tools of the task \(look\)"):
        call(graph, tools=[ToolInfo(name="look", description="Looks.")])
    refused = {
        "num_choices": 2,
        "stop_seqs": ["x"],
        "logprobs": True,
        "best_of": 2,
        "modalities": ["image"],
    }
    for name, value in refused.items():
        with pytest.raises(ValueError, match=f"cannot honour {name}"):
            call(graph, **{name: value})
    output, _ = call(graph, num_choices=1, logprobs=False, max_retries=3, max_connections=5)
    assert output.metadata["conductor"]["ignored"] == []
    api = conductor_model(graph).api
    caplog.clear()
    for _ in range(3):
        asyncio.run(api.generate(ASKED, [], "auto", GenerateConfig(temperature=0.5, seed=1)))
    assert [record.getMessage() for record in caplog.records if "ignored" in record.getMessage()] == [
        "conductor/conductor: seed, temperature ignored; set them on the models in its file"
    ]


def test_an_outage_is_an_error_that_may_be_repeated_even_if_another_worker_answered():
    down = ScriptedModel(replies=[ConnectionError("no route")])
    graph = create_conductor(
        beside("down", "up"), [Worker("down", down, retries=0), Worker("up", ScriptedModel())]
    )
    error, made = call(graph)
    assert isinstance(error, WorkerError)
    assert error.infrastructure
    assert made.response["rounds"][0]["steps"][1]["status"] == "ok"  # what was paid is told
    api = conductor_model(graph).api
    assert api.should_retry(error).kind == "transient"
    assert not api.should_retry(ValueError("mine"))
    alone = create_conductor(fixed.single("down"), [Worker("down", down, retries=0)], on_step_error="raise")
    error, _ = call(alone)
    assert api.should_retry(error)


@pytest.mark.parametrize(
    ("failure", "kind"),
    [("rate", "rate_limit"), (TimeoutError("late"), None), ("key", None)],
)
def test_what_may_be_repeated_depends_on_the_failure(failure, kind):
    class StatusError(Exception):
        status_code = {"rate": 429, "key": 401}.get(str(failure), 0)

    raised = StatusError("no") if isinstance(failure, str) else failure
    graph = create_conductor(fixed.single("w"), [Worker("w", ScriptedModel(replies=[raised]), retries=0)])
    error, _ = call(graph)
    assert isinstance(error, WorkerError)
    decision = conductor_model(graph).api.should_retry(error)
    assert (decision.kind if decision else None) == kind


def test_inspect_repeats_a_call_after_an_outage_and_after_nothing_else(monkeypatch):
    monkeypatch.setattr(ConductorAPI, "retry_wait", lambda self: wait_none())
    flaky = ScriptedModel(replies=[ConnectionError("no route"), "right"])
    graph = create_conductor(fixed.single("w"), [Worker("w", flaky, retries=0)])
    assert asyncio.run(conductor_model(graph).generate("Is it?")).completion == "right"
    late = ScriptedModel(replies=[TimeoutError("late"), "right"])
    graph = create_conductor(fixed.single("w"), [Worker("w", late, retries=0)])
    with pytest.raises(RuntimeError, match="late"):
        asyncio.run(conductor_model(graph).generate("Is it?"))
    assert (len(flaky.calls), len(late.calls)) == (2, 1)


def test_a_model_that_says_nothing_gives_an_empty_answer_that_was_paid():
    silent = Worker("w", ScriptedModel(replies=[AIMessage("", usage_metadata=_tokens(7, 1))]), retries=0)
    output, _ = call(create_conductor(fixed.single("w"), [silent]))
    assert (output.completion, output.stop_reason) == ("", "unknown")
    assert "no worker gave an answer" in output.error
    assert output.usage.total_tokens == 8


def test_a_budget_that_ends_a_run_is_told():
    workers = [Worker("a", ScriptedModel(replies=["first"])), Worker("b", ScriptedModel())]
    output, _ = call(create_conductor(chain("a", "b"), workers, budget={"calls": 1}))
    assert (output.completion, output.stop_reason) == ("first", "max_tokens")
    assert "calls" in output.metadata["conductor"]["stopped"]
    nothing, _ = call(
        create_conductor(chain("a", "b"), workers, budget={"tokens": 1, "allow_unbounded": True})
    )
    assert (nothing.completion, nothing.stop_reason) == ("", "max_tokens")


def test_money_is_told_only_if_every_price_is_known():
    priced = Worker("a", ScriptedModel(replies=["one"]), price={"input": 0, "output": 1_000_000})
    free = Worker("b", ScriptedModel(replies=["two"]))
    output, _ = call(create_conductor(chain("a", "b"), [priced, free]))
    assert output.usage.total_cost is None
    graph = create_conductor(fixed.single("a"), [priced])
    api = conductor_model(graph).api
    assert api.served_model_usage(output) is None
    output, _ = call(graph)
    assert output.usage.total_cost == 1.0
    (part,) = api.served_model_usage(output)
    assert part.model == "conductor/a"


def test_usage_keeps_cached_and_reasoning_tokens_both_ways():
    used = Usage(calls=1, input_tokens=100, output_tokens=20, cached_tokens=60, reasoning_tokens=5)
    told = model_usage(used)
    assert (told.input_tokens, told.input_tokens_cache_read, told.total_tokens) == (40, 60, 120)
    assert told.reasoning_tokens == 5
    back = usage_metadata(told)
    assert (back["input_tokens"], back["input_token_details"]["cache_read"]) == (100, 60)
    assert back["output_token_details"] == {"reasoning": 5}
    assert usage_metadata(ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)).keys() == {
        "input_tokens", "output_tokens", "total_tokens",
    }  # fmt: skip
    assert served({}) is None


def test_the_conversation_reaches_the_conductor():
    model = ScriptedModel()
    graph = create_conductor(fixed.single("w"), [Worker("w", model)])
    call(
        graph,
        [
            ChatMessageSystem(content="Be brief."),
            ChatMessageUser(content="First?"),
            ChatMessageAssistant(content="One."),
            ChatMessageUser(content=[ContentText(text="And this?"), ContentImage(image=PIXEL)]),
        ],
    )
    shown = json.dumps([message.content for message in model.calls[0]])
    assert all(part in shown for part in ("Be brief.", "First?", "One.", "And this?", "iVBORw0KGgo="))


# Messages.


def test_messages_survive_the_way_there_and_back():
    messages = [
        ChatMessageSystem(content="Be brief."),
        ChatMessageUser(
            content=[
                ContentText(text="Look:"),
                ContentImage(image=PIXEL, detail="low"),
                ContentImage(image="https://example.org/a.png"),
                ContentAudio(audio="data:audio/mpeg;base64,AAAA", format="mp3"),
                ContentVideo(video="data:video/mp4;base64,AAAA", format="mp4"),
                ContentDocument(document="data:application/pdf;base64,AAAA", filename="a.pdf"),
            ]
        ),
        ChatMessageAssistant(
            content=[
                ContentReasoning(reasoning="hm", signature="sig", summary="s"),
                ContentText(text="Let me see."),
            ],
            tool_calls=[
                ToolCall("1", "look", {"at": "x"}),
                ToolCall("2", "look", {}, parse_error="not JSON"),
            ],
        ),
        ChatMessageTool(
            content="no", tool_call_id="1", function="look", error=ToolCallError("unknown", "no")
        ),
        ChatMessageTool(content="yes", tool_call_id="2", function="look"),
    ]
    there = to_langchain(messages)
    assert [message.type for message in there] == ["system", "human", "ai", "tool", "tool"]
    assert there[2].text == "Let me see."
    assert there[2].tool_calls[0]["args"] == {"at": "x"}
    assert there[2].invalid_tool_calls[0]["error"] == "not JSON"
    assert [there[3].status, there[4].status] == ["error", "success"]
    for before, after in zip(messages, to_inspect(there), strict=True):
        assert before.model_dump(exclude={"id"}) == after.model_dump(exclude={"id"})


def test_forms_of_providers_are_understood_and_unknown_ones_refused():
    (sent,) = to_inspect([HumanMessage([{"type": "image_url", "image_url": {"url": PIXEL}}])])
    assert sent.content == [ContentImage(image=PIXEL)]
    with pytest.raises(ValueError, match="type 'strange'"):
        to_inspect([HumanMessage([{"type": "strange", "x": 1}])])
    with pytest.raises(ValueError, match="type 'chat'"):
        to_inspect([ChatMessage("hi", role="other")])
    with pytest.raises(ValueError, match="type 'data'"):
        to_langchain([ChatMessageUser(content=[ContentData(data={})])])


# Roles.


def test_roles_plan_and_work_and_inspect_counts_each(tmp_path):
    plan = 'model_id = ["coder", "critic"]\nsubtasks = ["Do it.", "Check it."]\naccess_list = [[], [0]]'
    planner, coder, critic = (
        Mock(said(plan, sent=50)),
        Mock(said("draft", sent=20)),
        Mock(said("right", sent=30)),
    )
    graph = create_conductor(
        ChatPlanner(InspectChatModel(role="planner"), structured=False),
        roles_pool({"coder": "Writes.", "critic": "Checks."}),
    )
    log = evaluate(
        [("Is it?", "right"), ("Is it so?", "right")],
        tmp_path,
        solver=conductor_solver(graph),
        model_roles={"planner": planner.model, "coder": coder.model, "critic": critic.model},
    )
    assert log.status == "success", log.error
    assert log.results.scores[0].metrics["accuracy"].value == 1.0
    assert {name: used.total_tokens for name, used in log.stats.role_usage.items()} == {
        "planner": 104, "coder": 44, "critic": 64,
    }  # fmt: skip
    sample = log.samples[0]
    assert sample.messages[-1].text == "right"
    about = sample.output.metadata["conductor"]
    assert about["usage"]["by_worker"]["critic"]["input_tokens"] == 30
    assert about["rounds"][0]["planned"] == "unaided"
    assert len([event for event in sample.events if event.event == "model"]) == 3


def test_limits_of_the_sample_and_unbound_roles_end_it(tmp_path):
    coder = Mock("right")
    graph = create_conductor(chain("coder", "coder"), roles_pool({"coder": ""}))
    roles = {"coder": coder.model}
    limited = evaluate(
        [("Is it?", "right")], tmp_path, solver=conductor_solver(graph), model_roles=roles, token_limit=5
    )
    assert limited.samples[0].limit.type == "token"
    unbound = evaluate([("Is it?", "right")], tmp_path, solver=conductor_solver(graph))
    assert (
        "the model role 'coder' is not bound: give --model-role coder=" in unbound.samples[0].error.message
    )


def test_an_outage_of_a_role_fails_the_sample_and_is_not_scored(tmp_path):
    graph = create_conductor(fixed.single("coder"), roles_pool({"coder": ""}))
    down = Mock(ConnectionError("no route"))
    log = evaluate(
        [("Is it?", "right")], tmp_path, solver=conductor_solver(graph), model_roles={"coder": down.model}
    )
    (sample,) = log.samples
    assert "no route" in sample.error.message
    assert not sample.scores


def test_roles_take_the_place_of_workers_in_a_file(tmp_path):
    file = tmp_path / "conductor.toml"
    file.write_text(
        '[planner]\nmodel = "vllm:planner"\n'
        '[[workers]]\nname = "coder"\nmodel = "vllm:m"\noptions = { max_tokens = 77 }\ndescription = "Writes."\n'
        'tags = ["code"]\nprice = { input = 1, output = 1 }\n'
        '[[workers]]\nname = "calc"\nlocal = "calculator"\n'
    )
    read = read_conductor(file)
    replaced = with_roles(read, {"coder", "planner", "grader"})
    coder = replaced.workers["coder"]
    assert (coder.runnable.role, coder.runnable.max_tokens, coder.retries) == ("coder", 77, 0)
    assert (coder.description, coder.tags, dict(coder.prices)) == ("Writes.", {"code"}, {})
    assert replaced.planner.model.role == "planner"
    assert read.planner.model.model_name == "planner"  # the file's own stays as it was
    assert replaced.workers["calc"] is read.workers["calc"]

    plan = 'model_id = ["coder"]\nsubtasks = ["Do it."]\naccess_list = [[]]'
    planner, mock = Mock(plan), Mock("right")
    log = evaluate(
        [("Is it?", "right")],
        tmp_path,
        solver=conductor_solver(str(file)),
        model_roles={"planner": planner.model, "coder": mock.model},
    )
    assert log.samples[0].scores["match"].value == "C", log.samples[0].error
    assert mock.sent[0][3].max_tokens == 77
    strategy = tmp_path / "fixed.toml"
    strategy.write_text(
        '[planner]\nstrategy = "single"\nworker = "calc"\n[[workers]]\nname = "calc"\nlocal = "calculator"\n'
    )
    with pytest.raises(ConfigError, match="is a strategy"):
        with_roles(read_conductor(strategy), {"planner"})


# The chat model.


def test_settings_stop_and_usage_pass_through():
    mock = Mock(
        said(
            "Hello.",
            input_tokens_cache_read=5,
            input_tokens_cache_write=3,
            reasoning_tokens=1,
            stop="max_tokens",
        )
    )
    model = InspectChatModel(model=mock.model, temperature=0.25, max_tokens=9, seed=4)
    reply = asyncio.run(model.bind(stop=["END"], reasoning_effort="low", temperature=0.5).ainvoke("Hi"))
    ((messages, tools, _, config),) = mock.sent
    assert (messages[0].text, tools) == ("Hi", [])
    assert (config.temperature, config.max_tokens, config.seed, config.stop_seqs) == (0.5, 9, 4, ["END"])
    assert config.reasoning_effort == "low"
    assert reply.text == "Hello."
    assert reply.usage_metadata["input_tokens"] == 18
    assert reply.usage_metadata["input_token_details"] == {"cache_read": 5, "cache_creation": 3}
    assert reply.response_metadata["finish_reason"] == "length"
    assert reply.response_metadata["model_name"] == "mock-1"
    with pytest.raises(ValueError, match="GenerateConfig has no nonsense"):
        ask(model.bind(nonsense=1))
    with pytest.raises(TypeError, match="ainvoke"):
        model.invoke("Hi")
    with pytest.raises(ValueError, match="give `role`"):
        InspectChatModel()


def test_a_worker_with_tools_calls_them():
    wanted = ChatMessageAssistant(
        content=[ContentReasoning(reasoning="I should look.", signature="s1"), ContentText(text="")],
        tool_calls=[ToolCall("c1", "look", {"place": "box"})],
    )
    mock = Mock(said(wanted, stop="tool_calls"), "It holds a key.")

    @tool
    def look(place: str) -> str:
        """Look into a place."""
        return f"{place}: a key"

    worker = Worker("w", InspectChatModel(model=mock.model), tools=[look], retries=0)
    output, _ = call(create_conductor(fixed.single("w"), [worker]))
    assert output.completion == "It holds a key."
    (_, tools, _, _), (history, _, _, _) = mock.sent
    assert [(t.name, t.description, t.parameters.required) for t in tools] == [
        ("look", "Look into a place.", ["place"])
    ]
    asked, result = history[-2:]
    assert asked.content[0].signature == "s1"  # providers want it back as it was
    assert asked.tool_calls[0].arguments == {"place": "box"}
    assert (result.text, result.tool_call_id, result.function) == ("box: a key", "c1", "look")
    assert output.usage.total_tokens == 24


@pytest.mark.parametrize(
    ("choice", "sent"),
    [("auto", "auto"), ("any", "any"), (True, "any"), ("required", "any"), ("none", "none"), ("look", "look"),
     ({"type": "function", "function": {"name": "look"}}, "look")],
)  # fmt: skip
def test_tool_choice(choice, sent):
    mock = Mock("ok")
    look = {"title": "look", "description": "Looks.", "type": "object", "properties": {"at": {"const": 1}}}
    ask(InspectChatModel(model=mock.model).bind_tools([look], tool_choice=choice))
    told = mock.sent[0][2]
    assert (told.name if isinstance(told, ToolFunction) else told) == sent
    if sent != "none":  # Inspect leaves out tools that must not be called
        assert mock.sent[0][1][0].parameters.properties["at"].enum == [1]


def test_what_inspect_lacks_in_a_schema_is_spelled_out():
    mock = Mock("{}")
    schema = {
        "title": "reply",
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/A"}, "b": {"oneOf": [{"type": "string"}, {"const": 3}]}},
        "$defs": {"A": {"type": "integer"}},
    }
    model = InspectChatModel(model=mock.model)
    ask(model.with_structured_output(schema))
    told = mock.sent[0][3].response_schema.json_schema.properties
    assert told["a"].type == "integer"
    assert [part.type or part.enum for part in told["b"].anyOf] == ["string", [3]]


class Inner(BaseModel):
    kind: str


class Answer(BaseModel):
    """What it is."""

    value: int
    inner: Inner


def test_structured_output_by_schema_and_by_tool():
    text = '{"value": 3, "inner": {"kind": "a"}}'
    mock = Mock(text)
    model = InspectChatModel(model=mock.model)
    assert ask(model.with_structured_output(Answer)) == Answer(value=3, inner=Inner(kind="a"))
    schema = mock.sent[0][3].response_schema
    assert schema.name == "Answer"
    assert (
        schema.json_schema.properties["inner"].properties["kind"].type == "string"
    )  # references are resolved
    broken = InspectChatModel(model=Mock("no").model).with_structured_output(Answer, include_raw=True)
    told = ask(broken)
    assert (told["raw"].text, told["parsed"]) == ("no", None)
    assert told["parsing_error"] is not None
    by_tool = Mock(
        said(
            ChatMessageAssistant(content="", tool_calls=[ToolCall("1", "Answer", json.loads(text))]),
            stop="tool_calls",
        )
    )
    model = InspectChatModel(model=by_tool.model)
    assert ask(model.with_structured_output(Answer, method="function_calling")).value == 3
    with pytest.raises(ValueError, match="no method 'json_mode'"):
        model.with_structured_output(Answer, method="json_mode")


def test_a_planner_may_be_bound_to_its_schema():
    plan = {"reasoning": "r", "steps": [{"worker": "w", "subtask": "Do it.", "access": []}]}
    mock = Mock(json.dumps(plan))
    planner = ChatPlanner(InspectChatModel(model=mock.model), structured=True)
    output, _ = call(create_conductor(planner, [Worker("w", ScriptedModel(replies=["done"]))]))
    assert output.completion == "done"
    assert output.metadata["conductor"]["rounds"][0]["planned"] == "schema"
    steps = mock.sent[0][3].response_schema.json_schema.properties["steps"]
    assert steps.items.properties["worker"].enum == ["w"]


def test_refusals_and_costs_are_told():
    refused = ChatMessageAssistant(content=[ContentText(text="I will not.", refusal=True)])
    output, _ = call(
        create_conductor(
            fixed.single("w"), [Worker("w", InspectChatModel(model=Mock(said(refused)).model), retries=0)]
        )
    )
    assert "refused: I will not." in output.error
    reply = ask(InspectChatModel(model=Mock(said("ok", total_cost=0.5)).model))
    assert reply.response_metadata["cost"] == 0.5


def test_a_limit_passes_a_call_outside_a_conductor():
    model = InspectChatModel(model=Mock(LimitExceededError("token", value=2, limit=1)).model)
    with pytest.raises(LimitExceededError):
        ask(model)


# The package.


def test_the_entry_point_names_the_module_that_registers():
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert f'[project.entry-points.inspect_ai]\nlanggraph_conductor = "{inspect_ext.__name__}"' in text


def test_without_inspect_the_install_line_is_named():
    script = "import sys; sys.modules['inspect_ai'] = None\nimport langgraph_conductor.evals.{}"
    for module in ("inspect_ext", "inspect_tasks"):
        ran = subprocess.run([sys.executable, "-c", script.format(module)], capture_output=True, text=True)
        assert "pip install 'langgraph-conductor[eval]'" in ran.stderr.splitlines()[-1]


def test_private_parts_of_inspect_are_there():
    """`usage.py` imports them: if they move, per-worker usage has to be counted another way."""
    from inspect_ai.model._model import (
        role_usage_context_var,
        sample_role_usage_context_var,
        set_model_usage,
    )

    found = {}
    set_model_usage("w", ModelUsage(total_tokens=3), found)
    assert found["w"].total_tokens == 3
    assert {role_usage_context_var.name, sample_role_usage_context_var.name} == {
        "role_usage",
        "sample_role_usage",
    }


def _tokens(sent, got):
    return {"input_tokens": sent, "output_tokens": got, "total_tokens": sent + got}
