"""Public reports of how providers fail, replayed on loopback: each ends as it has to, whole, streamed, blocking, awaited.

A row is named after the report it was found in. What it stands for is tested on every wire in the tests of the
module that sees to it.
"""

import asyncio
import base64
import json
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from langchain_openai import AzureChatOpenAI

from langgraph_conductor import Budget, ChatPlanner, ConductorError, Usage, Worker, create_conductor
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import FakeProviders, FakeReply, FakeToolCall, Fault, faults, plan_text
from langgraph_conductor.workers import chat_model
from langgraph_conductor.workers.models import READ_SECONDS

TEXT = "It is 42."
PLAN = plan_text(("w", "Answer it.", []))
PDF = base64.b64encode(b"%PDF-1.4 " + bytes(range(256)) * 2_700).decode()


@dataclass(frozen=True)
class Outcome:
    """How a run ended, and what the provider was sent meanwhile."""

    result: dict[str, Any]
    error: ConductorError | None
    events: list[dict[str, Any]]
    requests: tuple[Any, ...]
    streamed: bool

    @property
    def step(self) -> dict[str, Any]:
        return self.result["rounds"][0]["steps"][0]

    @property
    def workers(self) -> Usage:
        return Usage.from_json(self.result["usage"]["workers"])

    @property
    def shown(self) -> str:
        """What a client shows that clears what was retracted."""
        text = ""
        for event in self.events:
            if event["type"] == "token" and event["final"]:
                text += event["text"]
            elif event["type"] == "tokens_retracted" and event["final"]:
                text = ""
        return text


def nothing_more(end: Outcome) -> None:
    """The rows that say it all."""


@dataclass(frozen=True)
class Report:
    """One report: what the provider does, and how a run that meets it ends.

    Args:
        model: Who is asked; `{url}` is the server's.
        replies: What it answers in turn, the last for ever.
        requests: How many it gets; two numbers where they differ, for whole and streamed replies.
        answer: The run's; `None` where there is none.
        plan: How the plan was reached, if the model plans; else it works.
        error: The record's type or kind, whether the infrastructure is to blame, and words of the message.
        ran: The queries its tool got; `None` for a worker without tools.
        question: Content beside the text of the question; `{silent}` in it is a server that must not be asked.
        waited: Seconds between the first two requests, at least.
        options: Of the model.
        budget: Of the run.
        read_seconds: The default time limit.
        more: What else has to hold.
    """

    model: str
    replies: tuple[Any, ...]
    requests: int | tuple[int, int] = 1
    answer: str | None = TEXT
    plan: str = ""
    error: tuple[str, bool, str] | None = None
    ran: tuple[str, ...] | None = None
    question: tuple[Mapping[str, Any], ...] = ()
    waited: float = 0.0
    options: Mapping[str, Any] = field(default_factory=dict)
    budget: Budget | None = None
    read_seconds: int = READ_SECONDS
    more: Callable[[Outcome], None] = nothing_more


def look(query: str = "weather") -> FakeReply:
    return FakeReply("Let me search.", tool_calls=(FakeToolCall("look", {"query": query}),))


# ------------------------------------------------------------------ what else has to hold


def counted_once(end: Outcome) -> None:
    assert (end.workers.calls, end.workers.input_tokens, end.workers.output_tokens) == (1, 60, 500)


def capped(end: Outcome) -> None:
    assert end.requests[0].body["max_tokens"] == 100
    assert end.workers.output_tokens == 100


def retracted(end: Outcome) -> None:
    if not end.streamed:
        return
    told = [event for event in end.events if event["type"].startswith("token")]
    kinds = [event["type"] for event in told]
    at = kinds.index("tokens_retracted")
    assert "token" in kinds[:at]
    assert told[at]["reason"] == "failed"
    assert "secret" not in repr([event for event in end.events if event["type"] == "token"])


def dearer(end: Outcome) -> None:
    # 1,000 tokens written for an hour cost twice the 3 dollars a million, 1,000 more once; 100 said cost 15.
    assert (end.workers.usd, end.workers.unpriced_calls) == (Decimal("0.0105"), 0)


def upstream_counts(end: Outcome) -> None:
    assert (end.workers.usd, end.workers.unpriced_calls) == (Decimal("0.25"), 0)


def thoughtless(end: Outcome) -> None:
    assert "wonder" not in repr(end.result)  # tokens of them are retracted: nobody could know before


def addressed(end: Outcome) -> None:
    """The address is handed on, for Google's own servers to fetch."""
    assert re.search(r"http://127\.0\.0\.1:\d+/cat\.png", json.dumps(end.requests[0].body))


def sent_whole(end: Outcome) -> None:
    assert PDF in json.dumps(end.requests[0].body)


def without_schema(end: Outcome) -> None:
    assert [bool(request.asked) for request in end.requests] == [True, False]


def without_system(end: Outcome) -> None:
    roles = [[message["role"] for message in request.body["messages"]] for request in end.requests]
    assert roles == [["system", "user"], ["user"]]


def same_ids(end: Outcome) -> None:
    said, result = end.requests[1].body["messages"][-2:]
    assert said["tool_calls"][0]["id"] == result["tool_call_id"]
    assert result["tool_call_id"]


def no_blank_text(end: Outcome) -> None:
    for request in end.requests:
        for message in request.body["messages"]:
            texts = (
                [message["content"]]
                if isinstance(message["content"], str)
                else [p["text"] for p in message["content"] if p["type"] == "text"]
            )
            assert texts
            assert all(text.strip() for text in texts), message


def as_by_ollama(request: Any) -> FakeReply:
    return FakeReply(
        TEXT, input_tokens=100, output_tokens=min(5_000, request.body.get("max_tokens", 5_000))
    )


THINKING = FakeReply("<think>\nsecret\n</think>\n\nIt is for ever and ever.")

REPORTS = {
    "CLIProxyAPI#3859: out of credit": Report(
        "anthropic:claude-sonnet-5", (faults.out_of_credit(),), answer=None,
        error=("billing", True, "out of credit.*add credit"),
    ),
    "langchain#39041: status failed of Responses": Report(
        "openai_responses:m1", (faults.told_in_200(), TEXT), 2,
    ),
    "inspect_ai#1534: 429 inside a 200": Report(
        "openrouter:m/2", (faults.told_in_200(faults.rate_limited()), TEXT), 2,
    ),
    "deepagents#2905: no choices": Report("openai:m3", (faults.no_reply(), TEXT), 2),
    "litellm#32159: a stream without an end": Report("openai:m4", (faults.no_end(reply=TEXT), TEXT), (1, 2)),
    "langchain#38227: base64 counted as text": Report(
        "anthropic:claude-haiku-4-5", (TEXT,), more=sent_whole,  # takes 200,000 tokens
        question=({"type": "file", "base64": PDF, "mime_type": "application/pdf", "filename": "a.pdf"},),
    ),
    "langchain-google#1544: a silent host of an image": Report(
        "google_genai:gemini-2.5-flash", (TEXT,), more=addressed,
        question=({"type": "image", "url": "{silent}/cat.png", "mime_type": "image/png"},),
    ),
    "langchain-google#1692: any address is fetched": Report(
        "google_genai:gemini-2.5-pro", (PLAN,), plan="unaided", more=addressed,
        question=({"type": "image_url", "image_url": {"url": "{silent}/cat.png"}},),
    ),
    "langchainjs#11457: running totals": Report(
        "vllm:m5@{url}", (faults.running_usage(FakeReply(TEXT, input_tokens=60, output_tokens=500)),),
        more=counted_once,
    ),
    "ollama#7125: a cap under another name": Report(
        "ollama:m6@{url}", (as_by_ollama,), options={"max_tokens": 100}, budget=Budget(tokens=2_000),
        more=capped,
    ),
    "nanobot#4038: tokens of two tries": Report(
        "openai:m7", (Fault("overloaded", status=503, inside=True, after=6, reply=THINKING), TEXT), 2,
        more=retracted,
    ),
    "python-genai#1875: RetryInfo": Report(
        "google_genai:gemini-2.5-flash-lite", (faults.rate_limited(0.3, "body"), TEXT), 2, waited=0.3,
    ),
    "opencode#17758: half a surrogate pair": Report(
        "vllm:m8@{url}", ("no plan \ud83d", PLAN), 2, plan="repair",
    ),
    "langchain#33504: broken JSON of a tool call": Report(
        "openai:m9", (faults.broken_tool_call("look"), look(), TEXT), 3, ran=("weather",),
    ),
    "daiv#1159: a cache of an hour": Report(
        "anthropic:claude-sonnet-4-6", more=dearer, replies=(
            FakeReply(TEXT, input_tokens=2_000, output_tokens=100, hour_cache_tokens=1_000),
        ),
    ),
    "forgecode#1641: a key of one's own": Report(
        "openrouter:m/10", (FakeReply(TEXT, cost=0, upstream_cost=0.25),), more=upstream_counts,
    ),
    "gitlab-mcp#166: the schema refused": Report(
        "openai:gpt-5-mini", (faults.schema_refused(PLAN),), 2, plan="unaided", more=without_schema,
    ),
    "sglang#892: the system role refused": Report(
        "sglang:m11@{url}", (faults.system_role_refused(PLAN),), 2, plan="unaided", more=without_system,
    ),
    "vllm#52640: reasoning up to the limit": Report(
        "vllm:m12@{url}", (faults.reasoning_at_limit(512),), answer=None,
        error=("EmptyReplyError", False, "limit of 512 tokens.*raise max_tokens"),
    ),
    "ai-sdk-provider#163: thoughts begun in the prompt": Report(
        "vllm:m13@{url}", (f"Well, I wonder.\n</think>\n\n{TEXT}",), more=thoughtless,
    ),
    "pydantic-ai#4031: no default time limit": Report(
        "google_genai:gemini-2.0-flash", (faults.slow_headers(60), TEXT), 2, read_seconds=1,
    ),
    "Azure: the filter of replies": Report(
        "azure:m14", (faults.filtered(),), answer=None, error=("RefusalError", False, "filter"),
    ),
    "vLLM: a tool call without an id": Report(
        "vllm:m15@{url}", (faults.no_call_id("look", {"query": "tides"}), TEXT), 2, ran=("tides",),
        more=same_ids,
    ),
    "Ollama: an error in mid-stream": Report(
        "ollama:m16@{url}", (faults.told_in_200(after=2), TEXT), 2,
    ),
    "Let me search: words beside a tool call": Report(
        "openai:m17", (look(), faults.empty()), 2, answer=None, ran=("weather",),
        error=("EmptyReplyError", False, "without any text"),
    ),
    "Anthropic: blank text sent back": Report(
        "anthropic:claude-haiku-4-5", (faults.blank(), PLAN), 2, plan="repair", more=no_blank_text,
    ),
}  # fmt: skip


# ------------------------------------------------------------------ the runs


@pytest.fixture(scope="module")
def providers():
    with FakeProviders() as running:
        yield running


@pytest.fixture
def silent():
    """A host that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening
        with pytest.raises(BlockingIOError):  # nobody came
            listening.accept()


@pytest.fixture(autouse=True)
def at_once(monkeypatch, providers):
    monkeypatch.setattr("langgraph_conductor.workers.failures.random.uniform", lambda low, high: 0.0)
    for name, value in providers.environment().items():
        monkeypatch.setenv(name, value)


@cache  # building a client takes longer than using it
def model_of(name: str, providers: FakeProviders) -> Any:
    report = REPORTS[name]
    if report.model.startswith("azure:"):
        return AzureChatOpenAI(
            azure_deployment=report.model.removeprefix("azure:"), azure_endpoint=providers.azure_url,
            api_version="2024-10-21", api_key="fake-azure-key", max_retries=0,
        )  # fmt: skip
    return chat_model(report.model.format(url=providers.openai_url), **report.options)


def conductor_of(report: Report, model: Any, ran: list[str]) -> Any:
    def look(query: str) -> str:
        """Look it up."""
        ran.append(query)
        return "found"

    if report.plan:
        structured = None if report.plan == "unaided" and report.more is without_schema else False
        planner = ChatPlanner(model, structured=structured, retries=1)
        return create_conductor(planner, [Worker("w", lambda task: TEXT)], budget=report.budget)
    tools = [] if report.ran is None else [look]
    worker = Worker("w", model, retries=1, tools=tools)
    return create_conductor(fixed.single("w"), [worker], budget=report.budget)


def run_of(conductor: Any, question: Any, *, streamed: bool, awaited: bool) -> tuple[dict, list]:
    """The result, and the events if there is a stream."""
    if not streamed:
        return asyncio.run(conductor.ainvoke(question)) if awaited else conductor.invoke(question), []
    config = {"configurable": {"conductor": {"tokens": True}}}
    options = {"stream_mode": ["custom", "messages", "values"], "subgraphs": True}

    async def gathered() -> list[Any]:
        return [part async for part in conductor.astream(question, config, **options)]

    parts = asyncio.run(gathered()) if awaited else list(conductor.stream(question, config, **options))
    result = [part for space, mode, part in parts if mode == "values" and not space][-1]
    return result, [part for _, mode, part in parts if mode == "custom"]


def replayed(name: str, providers: FakeProviders, silent: Any, *, streamed: bool, awaited: bool) -> Outcome:
    report, ran = REPORTS[name], []
    script = report.model.partition(":")[2].partition("@")[0]
    providers.script(script, *report.replies)
    before = len(providers.requests)
    conductor = conductor_of(report, model_of(name, providers), ran)
    address = f"http://127.0.0.1:{silent.getsockname()[1]}"
    more = json.loads(json.dumps(report.question).replace("{silent}", address))
    question = {"messages": [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, *more]}]}
    result, events, error = {}, [], None
    try:
        result, events = run_of(conductor, question, streamed=streamed, awaited=awaited)
    except ConductorError as caught:
        error = caught
    assert ran == list(report.ran or ())
    return Outcome(result, error, events, providers.requests[before:], streamed)


@pytest.mark.parametrize("awaited", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", REPORTS)
def test_a_public_report_ends_well(name, streamed, awaited, providers, silent, monkeypatch):
    report = REPORTS[name]
    monkeypatch.setattr("langgraph_conductor.workers.models.READ_SECONDS", report.read_seconds)
    end = replayed(name, providers, silent, streamed=streamed, awaited=awaited)
    requests = (report.requests,) * 2 if isinstance(report.requests, int) else report.requests
    if report.error is None:
        assert end.error is None, end.error
        assert end.result["answer"] == report.answer
        if streamed:
            assert end.shown == report.answer
    else:
        kind, infrastructure, words = report.error
        (record,) = end.error.errors
        assert kind in (record["type"], record.get("kind")), record
        assert record["infrastructure"] == end.error.infrastructure == infrastructure
        assert re.search(words, record["message"]), record
    assert len(end.requests) == requests[streamed]
    assert {request.stream for request in end.requests} == {streamed}
    if report.plan:
        plan = end.result["rounds"][0]["plan"]
        assert (plan["reached"], plan["error"]) == (report.plan, None)
    if report.waited:
        assert end.requests[1].at - end.requests[0].at >= report.waited
    for request in end.requests:
        json.dumps(request.body, ensure_ascii=False).encode()
    report.more(end)
