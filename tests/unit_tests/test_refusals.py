"""Planners and workers whose providers refuse a schema, or the system role: asked again without it, once."""

import json

import httpx2
import openai
import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_google_genai.chat_models import ChatGoogleGenerativeAIError

from langgraph_conductor import ChatPlanner, Worker, WorkerTask, create_conductor
from langgraph_conductor.planners import fixed
from langgraph_conductor.planners.refusals import is_about_schema, refuses_schema
from langgraph_conductor.prompts import PLANNER_SYSTEM
from langgraph_conductor.testing import ScriptedModel, plan_text
from langgraph_conductor.workers.forms import form_of
from langgraph_conductor.workers.sendable import refuses_system, valid, without_system
from tests.helpers import ask, question

PLAN = plan_text(("w", "Do it.", []))
WORKERS = [Worker("w", lambda task: "done")]


def told(words, status=400):
    """What openai's client raises of a reply."""
    reply = httpx2.Response(status, request=httpx2.Request("POST", "http://x/v1/chat/completions"))
    kind = {400: openai.BadRequestError, 404: openai.NotFoundError, 500: openai.InternalServerError}
    body = {"message": words, "type": "invalid_request_error", "code": None}
    return kind.get(status, openai.APIStatusError)(
        f"Error code: {status} - {words}", response=reply, body=body
    )


SCHEMA = [
    told("Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model."),
    told("This response_format type is unavailable now"),
    told("'response_format.type' must be 'text'"),
    told("The compiled grammar is too large, which would cause performance issues."),
    told("grammar too complex"),
    told("Grammar error: Unimplemented keys: ['maxItems']"),
    told("The provided JSON schema contains features not supported by xgrammar."),
    told("m does not support tools"),
    told("Function calling is not enabled for models/gemma-3-27b-it"),
    told("No endpoints found that can handle the requested parameters.", 404),
    told("failed to parse grammar", 500),
    told("output_config.format: Extra inputs are not permitted"),
    ChatGoogleGenerativeAIError("400 The specified schema produces a constraint that has too many states."),
    ChatGoogleGenerativeAIError('Unknown name "additionalProperties" at generation_config.response_schema'),
]
OTHERS = [
    told("This model's maximum context length is 8192 tokens; you requested 9000 (1000 in the functions)."),
    told("Your credit balance is too low to use structured outputs"),
    told("API key not valid. Please pass a valid API key."),
    told("Incorrect API key provided", 401),
    told("Invalid 'temperature': 7 is too high"),
    told("schema service: rate limit reached", 429),
    told("json_schema is overloaded", 503),
    ValueError({"error": {"code": 429, "message": "slow down"}}),
    ValueError({"error": {"message": "billing hard limit reached"}}),
]
SYSTEM = [
    "System role not supported",
    "Developer instruction is not enabled for models/gemma-3-27b-it",
    "The input system_instruction is not supported.",
    "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
    "Only user and assistant roles are supported!",
    "Conversation roles must alternate user/assistant/user/assistant/...",
    "This model doesn't support system prompts",
    "Invalid role: system",
    "role 'system' is not supported",
]


class Choosy(ScriptedModel):
    """Refuses schemas with one error, the system role with another, and plans else."""

    profile: dict = {"structured_output": True}
    no_schema: object = None
    no_system: object = None

    def with_structured_output(self, schema, **options):
        return self.bind(response_format={"schema": schema["title"]})

    def _refuse(self, messages, asked):
        self.calls.append(messages)
        if self.no_system and any(isinstance(one, SystemMessage) for one in messages):
            raise self.no_system
        if self.no_schema and "response_format" in asked:
            raise self.no_schema
        self.calls.pop()

    def _generate(self, messages, stop=None, run_manager=None, **asked):
        self._refuse(messages, asked)
        return super()._generate(messages, stop, run_manager)

    async def _agenerate(self, messages, stop=None, run_manager=None, **asked):
        self._refuse(messages, asked)
        return await super()._agenerate(messages, stop, run_manager)


@pytest.fixture(autouse=True)
def no_waits(monkeypatch):
    monkeypatch.setattr("langgraph_conductor.workers.failures.random.uniform", lambda low, high: 0.0)


def planned(run, conductor):
    return run(conductor, ask())["rounds"][0]["plan"]


@pytest.mark.parametrize("error", SCHEMA, ids=str)
def test_a_refused_schema_is_left_out_from_then_on(run, error):
    model = Choosy(replies=[PLAN], no_schema=error)
    conductor = create_conductor(ChatPlanner(model), WORKERS)
    assert [planned(run, conductor)["reached"] for _ in range(3)] == ["unaided"] * 3
    assert len(model.calls) == 4  # the refused one is paid for once
    assert "JSON object" not in model.prompts[-1]


def test_what_is_made_of_a_planner_knows_it_too(run):
    model = Choosy(replies=[PLAN], no_schema=SCHEMA[0])
    planner = ChatPlanner(model)
    planned(run, create_conductor(planner, WORKERS))
    assert planned(run, create_conductor(planner.showing("described"), WORKERS))["reached"] == "unaided"
    assert len(model.calls) == 3


def test_where_it_was_asked_for_the_refusal_is_the_error(run):
    model = Choosy(replies=[PLAN], no_schema=SCHEMA[0])
    made = planned(run, create_conductor(ChatPlanner(model, structured=True), WORKERS))
    assert made["reached"] == "fallback"
    assert "structured=True" in made["error"]["message"]
    assert "is not supported with this model" in made["error"]["message"]
    assert len(model.calls) == 1


@pytest.mark.parametrize("error", OTHERS, ids=str)
def test_other_failures_are_not_asked_again_as_text(run, error):
    assert not refuses_schema(error)
    assert not is_about_schema(error)
    model = Choosy(replies=[PLAN], no_schema=error)
    made = planned(run, create_conductor(ChatPlanner(model, retries=0), WORKERS))
    assert (made["reached"], len(model.calls)) == ("fallback", 1)
    assert made["error"]["type"] == type(error).__name__


@pytest.mark.parametrize("words", SYSTEM)
@pytest.mark.parametrize("structured", [False, None])
def test_a_refused_system_role_is_left_out_from_then_on(run, words, structured):
    model = Choosy(replies=[PLAN], no_system=told(words))
    conductor = create_conductor(ChatPlanner(model, structured=structured), WORKERS)
    assert {planned(run, conductor)["error"] for _ in range(3)} == {None}
    assert len(model.calls) == 4
    assert [type(one) for one in model.calls[0]] == [SystemMessage, HumanMessage]
    assert [type(one) for one in model.calls[1]] == [HumanMessage]
    first, second = model.calls[0][0].text, model.calls[0][1].text
    assert model.calls[1][0].text == f"{first}\n\n{second}"
    assert first == PLANNER_SYSTEM


@pytest.mark.parametrize("status", [400, 500])
def test_both_may_be_refused(run, status):
    model = Choosy(replies=[PLAN], no_schema=SCHEMA[0], no_system=told(SYSTEM[0], status))
    conductor = create_conductor(ChatPlanner(model), WORKERS)
    assert [planned(run, conductor)["reached"] for _ in range(2)] == ["unaided"] * 2
    assert len(model.calls) == 4


def test_repairs_go_on_without_it(run):
    model = Choosy(replies=["", "no plan", PLAN], no_system=told(SYSTEM[0]))
    assert (
        planned(run, create_conductor(ChatPlanner(model, structured=False), WORKERS))["reached"] == "repair"
    )
    assert [type(one) for one in model.calls[-1]] == [HumanMessage, AIMessage, HumanMessage]


def test_attachments_stay_where_they_are():
    picture = {"type": "image", "url": "http://x/y.png"}
    (merged,) = without_system([SystemMessage("S"), HumanMessage([{"type": "text", "text": "Q"}, picture])])
    assert merged.content == [{"type": "text", "text": "S"}, {"type": "text", "text": "Q"}, picture]
    assert without_system([SystemMessage("S"), AIMessage("a")]) == [HumanMessage("S"), AIMessage("a")]


def test_no_other_failure_is_taken_for_it():
    for words in ("response_format is not supported", "Internal Server Error", "the file system is full"):
        assert not refuses_system(told(words))


# ------------------------------------------------------------------ workers


@pytest.mark.parametrize("how", ["call", "acall"])
async def test_a_workers_system_message_is_put_before_its_prompt(how):
    model = Choosy(replies=["done"], no_system=told(SYSTEM[0]))
    form = form_of(model, "w")
    task = WorkerTask(
        question=question(),
        subtask="Do it.",
        inputs=(),
        previous=(),
        index=0,
        round=0,
        is_final=True,
        messages=(SystemMessage("S"), HumanMessage("Q")),
    )
    for _ in range(2):
        reply = form.call(task, {}) if how == "call" else await form.acall(task, {})
        assert reply.text == "done"
    assert [[one.text for one in messages] for messages in model.calls] == [
        ["S", "Q"],
        ["S\n\nQ"],
        ["S\n\nQ"],
    ]


def test_an_agents_last_turn_needs_no_system_role(run):
    def look_up(what: str) -> str:
        """Look it up."""
        return "42"

    call = AIMessage("", tool_calls=[{"name": "look_up", "args": {"what": "it"}, "id": "1"}])

    def reply(messages):
        return "It is 42." if "Answer now" in messages[0].text else call

    model = Choosy(replies=reply, no_system=told(SYSTEM[0]))
    worker = Worker("w", model, tools=[look_up], max_tool_turns=1)
    assert run(create_conductor(fixed.single("w"), [worker]), ask())["answer"] == "It is 42."
    assert not any(isinstance(one, SystemMessage) for one in model.calls[-1])


# ------------------------------------------------------------------ text that cannot be encoded

BAD, GOOD = "x\ud83d\0y", "x\ufffd\ufffdy"


def test_a_message_is_made_valid():
    calls = [{"name": f"t{BAD}", "args": {BAD: [BAD, 1]}, "id": "1", "type": "tool_call"}]
    message = AIMessage([{"type": "text", "text": BAD}], tool_calls=calls, additional_kwargs={"a": BAD})
    clean = valid(message)
    assert clean.content == [{"type": "text", "text": GOOD}]
    assert clean.tool_calls[0]["args"] == {GOOD: [GOOD, 1]}
    assert (clean.tool_calls[0]["name"], clean.additional_kwargs["a"]) == (f"t{GOOD}", GOOD)
    json.dumps(clean.model_dump(), ensure_ascii=False).encode()
    assert valid(clean) is clean


def encodable(messages):
    for message in messages:
        json.dumps(message.model_dump(), ensure_ascii=False).encode()
    return True


def test_what_tools_and_models_say_is_valid_when_it_is_sent_again(run):
    def look_up(what: str) -> str:
        """Look it up."""
        assert what == GOOD
        return BAD

    call = AIMessage(BAD, tool_calls=[{"name": "look_up", "args": {"what": BAD}, "id": "1"}])
    model = ScriptedModel(replies=[call, f"done {BAD}"])
    result = run(create_conductor(fixed.single("w"), [Worker("w", model, tools=[look_up])]), ask())
    assert result["answer"] == f"done {GOOD}"
    assert len(model.calls) == 2
    assert all(map(encodable, model.calls))
    json.dumps(result["rounds"], ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "said",
    [
        BAD,
        AIMessage("", tool_calls=[{"name": f"plan{BAD}", "args": {"steps": BAD}, "id": "1"}]),
        json.dumps({"reasoning": BAD, "steps": [{"worker": BAD, "subtask": BAD, "access": []}]}),
    ],
    ids=["text", "call", "json"],
)
def test_a_planners_reply_is_valid_when_it_is_sent_again(run, said):
    model = ScriptedModel(replies=[said, PLAN])
    made = planned(run, create_conductor(model, WORKERS))
    assert made["reached"] == "repair"
    assert len(model.calls) == 2
    assert all(map(encodable, model.calls))
    json.dumps(made, ensure_ascii=False).encode()
