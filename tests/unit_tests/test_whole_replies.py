"""What providers answer with status 200, and with errors, on six wires, whole and streamed, blocking and awaited."""

import importlib
import json
import re
from functools import cache

import pytest
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, ToolMessage

from langgraph_conductor import ChatPlanner, Worker, WorkerError, WorkerPool, create_conductor
from langgraph_conductor.episodes import Task, run_episode
from langgraph_conductor.planners import PlanRequest, fixed
from langgraph_conductor.replay import ReplyStore
from langgraph_conductor.testing import FakeProviders, FakeReply, FakeToolCall, Fault, faults, plan_text
from langgraph_conductor.workers import chat_model
from langgraph_conductor.workers.failures import EmptyReplyError, error_record, is_outage, retry_after
from langgraph_conductor.workers.forms import text_of_result
from tests.clients import WIRES as WIRES_OF_CLIENTS
from tests.clients import client
from tests.helpers import ask, question

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


PLAN = plan_text(("w", "Answer.", []))
PLANNER_FAULTS = {**OUTAGES, "credit": (faults.told_in_200(faults.out_of_credit()), "out of credit")}


@pytest.mark.parametrize("structured", [False, True], ids=["text", "schema"])
@pytest.mark.parametrize("name", PLANNER_FAULTS)
def test_planners_see_the_same_failures(name, structured, wire, streaming, providers):
    fault, words = PLANNER_FAULTS[name]
    if name == "no end" and not streaming:
        pytest.skip("a whole reply says its length")
    if name == "nothing" and wire in ("responses", "anthropic") and not streaming:
        pytest.skip("a valid reply, of a model that has nothing to say")
    planner = ChatPlanner(model(wire, providers, streaming), structured=structured, retries=1)
    request = PlanRequest(question("Why?"), WorkerPool([Worker("w", lambda task: "x")]))
    before = script(providers, wire, fault)
    with pytest.raises(Exception, match=r".|\A\Z") as caught:
        planner.plan(request)
    record = error_record(caught.value)
    assert record["infrastructure"], record
    assert re.search(words, record["message"]), record
    assert asked_of(providers, before) == (1 if name == "credit" else 2)
    if not structured:
        script(providers, wire, fault, PLAN)
        if name != "credit":
            assert planner.plan(request).workflow.steps[0].worker == "w"


def chunks(*said, end=b""):
    head = {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "system_fingerprint": "f",
    }
    told = [{**head, "choices": [{"index": 0, "delta": {"role": "assistant", "content": one}, "finish_reason": None}]} for one in said]  # fmt: skip
    return b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in told) + end


@pytest.mark.parametrize("wire", ["openai", "openrouter", "vllm"])
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_stream_that_says_done_needs_no_finish_reason(wire, size, providers, run, monkeypatch):
    text = chunks("It is ", "42.", end=b"data: [DONE]\n\n").decode()
    monkeypatch.setattr("httpx.Response.iter_raw", in_pieces(size, "httpx"))
    monkeypatch.setattr("httpx2.Response.iter_raw", in_pieces(size, "httpx2"))
    script(providers, wire, Fault("own", body=text, content_type="text/event-stream"))
    assert run(conductor_of(model(wire, providers, True)), ask())["answer"] == "It is 42."
    script(providers, wire, Fault("own", body=chunks("It is ").decode(), content_type="text/event-stream"))
    with pytest.raises(WorkerError, match="cut off"):
        run(conductor_of(model(wire, providers, True)), ask())


def in_pieces(size, package):
    whole = importlib.import_module(package).Response.iter_raw

    def iter_raw(self, chunk_size=None):
        return whole(self, chunk_size=size)

    return iter_raw


@pytest.mark.parametrize("name", [name for name in OUTAGES if name not in ("broken off", "late error")])
def test_models_built_elsewhere_are_seen_through_as_well(name, streaming, run, providers):
    fault, _ = OUTAGES[name]
    for wire in WIRES_OF_CLIENTS:
        if (name == "no end" and (not streaming or wire == "gemini")) or (
            name == "nothing" and wire in ("responses", "anthropic")
        ):
            continue
        made = client(wire, providers, **({} if wire == "gemini" else {"streaming": streaming}))
        providers.script(
            made.model_name if wire != "anthropic" and hasattr(made, "model_name") else made.model, fault
        )
        with pytest.raises(WorkerError) as caught:
            run(conductor_of(made), ask())
        assert caught.value.infrastructure, (wire, caught.value)


def test_a_function_that_hands_on_a_cut_reply_has_no_answer(run, providers):
    made = model("openai", providers, True)
    script(providers, "openai", faults.no_end(reply="It is for ever"), "It is 42.")
    worker = Worker("w", lambda task: f"Answer: {made.invoke('Hi').text}", retries=1)
    assert run(create_conductor(fixed.single("w"), [worker]), ask())["answer"] == "Answer: It is 42."


def test_an_agent_asks_again_where_its_reply_was_cut_and_runs_no_tool_of_it(run, providers):
    ran = []

    def look(query: str) -> str:
        """Look it up."""
        ran.append(query)
        return "found"

    call = FakeReply("Let me search.", tool_calls=(FakeToolCall("look", {"query": "x"}),))
    script(providers, "openai", faults.no_end(after=4, reply=call), call, faults.no_end(), "It is 42.")
    made = model("openai", providers, True)
    worker = Worker("w", made, tools=[look], retries=1)
    assert run(create_conductor(fixed.single("w"), [worker]), ask())["answer"] == "It is 42."
    assert ran == ["x"]


@pytest.mark.parametrize(
    "messages",
    [
        [AIMessage("Let me search.", tool_calls=[{"name": "look", "args": {}, "id": "1"}])],
        [AIMessage("Let me search.", tool_calls=[{"name": "look", "args": {}, "id": "1"}]), ToolMessage("found", tool_call_id="1"), AIMessage("")],
    ],
)  # fmt: skip
def test_what_is_said_beside_a_call_of_a_tool_is_no_answer(messages):
    with pytest.raises(EmptyReplyError):
        text_of_result({"messages": messages})
    with pytest.raises(EmptyReplyError):
        text_of_result(messages[-1])


async def test_the_store_keeps_neither_outages_nor_billing(providers):
    pool = WorkerPool([Worker("w", model("openai", providers, False), retries=0)])
    task = Task("6*7?", answer="42", grader="number")
    with ReplyStore(":memory:") as store:
        for fault in (faults.out_of_credit(), faults.told_in_200(), faults.no_reply(), faults.html_page()):
            script(providers, "openai", fault, "42")
            first = await run_episode(task, fixed.single("w"), pool, store=store)
            assert (first.score, bool(first.infra)) == (None, True), fault
        assert (await run_episode(task, fixed.single("w"), pool, store=store)).score == 1.0


# Responses always have one, and OpenRouter's client takes a reply without for none at all, which is asked for again.
@pytest.mark.parametrize("wire", ["openai", "vllm", "anthropic", "gemini"])
def test_a_tool_call_without_an_id_is_given_one(wire, streaming, run, providers):
    ran = []

    def look(query: str) -> str:
        """Look it up."""
        ran.append(query)
        return f"found {query}"

    calls = [FakeToolCall("look", {"query": query}, without_id=True) for query in ("tides", "moons")]
    before = script(providers, wire, FakeReply(tool_calls=tuple(calls)), "It is 42.")
    result = run(conductor_of(model(wire, providers, streaming), tools=[look]), ask())
    assert (result["answer"], asked_of(providers, before)) == ("It is 42.", 2)
    assert sorted(ran) == ["moons", "tides"]
    sent = json.dumps(providers.requests[-1].body)
    assert "found tides" in sent
    assert "found moons" in sent
    assert not re.search(r'"(?:tool_call_id|tool_use_id|call_id)": (?:null|"")', sent)
    ids = re.findall(r'"(?:tool_call_id|tool_use_id|call_id)": "([^"]+)"', sent)
    assert wire == "gemini" or len(set(ids)) == 2
