"""Usage that is told in chunks: running totals are not added up, increments are."""

from dataclasses import replace
from uuid import uuid4

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk, LLMResult
from langchain_openai import ChatOpenAI

from langgraph_conductor import Budget, ChatPlanner, Worker, create_conductor
from langgraph_conductor.display import run_page
from langgraph_conductor.display.text import describe
from langgraph_conductor.display.words import tokens
from langgraph_conductor.planners import fixed
from langgraph_conductor.prices import Model
from langgraph_conductor.testing import FakeProviders, FakeReply, plan_text
from langgraph_conductor.usage import Usage
from langgraph_conductor.workers import chat_model
from langgraph_conductor.workers.doors import Accounts
from langgraph_conductor.workers.metering import Meter
from langgraph_conductor.workers.streamed_usage import StreamedUsage
from tests.helpers import ask

RUN = uuid4()
WORDS = " ".join(f"word{i}" for i in range(50))
REPLY = FakeReply(WORDS, input_tokens=450, output_tokens=50, cached_tokens=400, reasoning_tokens=7)
TOTALS = {"input_tokens": 450, "output_tokens": 50, "cached_tokens": 400}


def chunk(sent, said, text="x", **details):
    usage = {"input_tokens": sent, "output_tokens": said, "total_tokens": sent + said, **details}
    return ChatGenerationChunk(message=AIMessageChunk(text, usage_metadata=usage))


def heard(*chunks, provider="openai"):
    """What is made of chunks and of LangChain's sum of them."""
    accounts, whole = Accounts((Meter(),)), chunks[0]
    for one in chunks:
        accounts.hear(RUN, one)
        accounts.hear(RUN, one)  # an inherited and a hooked door tell the same
    for one in chunks[1:]:
        whole += one
    total = accounts._streams[RUN].usage.total(whole.message.usage_metadata, Model("m", provider))
    return total["input_tokens"], total["output_tokens"]


@pytest.mark.parametrize(
    ("chunks", "total"),
    [
        ([chunk(450, i) for i in range(1, 51)], (450, 50)),  # running totals
        ([chunk(450, i // 2) for i in range(1, 101)], (450, 50)),  # that lag
        ([chunk(450, 50, ""), chunk(450, 50, "")], (450, 50)),  # a total, and once more
        ([chunk(450, 50)], (450, 50)),
        ([chunk(450, 0), *[chunk(0, 1)] * 50], (450, 50)),  # increments
        ([chunk(450, 0), chunk(0, 50)], (450, 50)),
        ([chunk(0, 50), chunk(450, 0)], (450, 50)),
        ([chunk(450, 1) for _ in range(50)], (450, 50)),  # increments, with the prompt in each
        ([chunk(450, said) for said in (3, 1, 4, 1, 41)], (450, 50)),
        ([chunk(0, 0), chunk(450, 50)], (450, 50)),
    ],
)
def test_totals_are_told_from_increments(chunks, total):
    assert heard(*chunks) == total


def test_googles_package_has_made_increments_of_totals_itself():
    # Prompt tokens of tools that run at the provider come later.
    assert heard(chunk(50, 3), chunk(100, 4), provider="google_genai") == (150, 7)


def test_a_tool_call_that_two_doors_tell_of_stays_whole():
    def piece(args, name=None, ident=None):
        call = {"name": name, "args": args, "id": ident, "index": 0, "type": "tool_call_chunk"}
        return ChatGenerationChunk(message=AIMessageChunk("", tool_call_chunks=[call]))

    pieces = [piece('{"a": ', "add", "1"), piece("1}")]
    accounts, whole = Accounts((Meter(),)), pieces[0] + pieces[1]
    for one in pieces:
        accounts.hear(RUN, one)
        accounts.hear(RUN, one)
    accounts.end(RUN, LLMResult(generations=[[whole]]))
    assert [call["args"] for call in whole.message.tool_calls] == [{"a": 1}]
    assert whole.message.invalid_tool_calls == []


def test_details_are_the_largest_told():
    streamed = StreamedUsage()
    first, last = (
        chunk(9, 1),
        chunk(9, 5, input_token_details={"cache_read": 8}, output_token_details={"reasoning": 2}),
    )
    for one in (first, last, chunk(9, 5)):
        streamed.hear(one.message)
    total = streamed.total({"input_tokens": 27, "output_tokens": 11}, Model("m", "openai"))
    assert total["input_token_details"] == {"cache_read": 8}
    assert total["output_token_details"] == {"reasoning": 2}


def test_a_client_that_does_not_add_totals_up_is_believed():
    streamed = StreamedUsage()
    for said in range(1, 9):
        streamed.hear(chunk(9, said).message)
    told = {"input_tokens": 9, "output_tokens": 8}
    assert streamed.total(told, Model("m", "openai")) == told


@pytest.fixture(params=[True, False], ids=["running", "once"])
def providers(request, monkeypatch):
    reply = replace(REPLY, running_usage=request.param)
    with FakeProviders(lambda _: reply) as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        yield running


def models(url):
    return {
        "openai": lambda: chat_model("openai:gpt-5-mini", streaming=True),
        "vllm": lambda: chat_model(f"vllm:q@{url}", streaming=True),
        "own": lambda: ChatOpenAI(base_url=url, api_key="k", model="q", streaming=True, stream_usage=True),
        "responses": lambda: chat_model("openai_responses:gpt-5-mini", streaming=True),
        "anthropic": lambda: chat_model("anthropic:claude-haiku-4-5", streaming=True),
        "gemini": lambda: chat_model("google_genai:gemini-2.5-flash", streaming=True),
        "openrouter": lambda: chat_model("openrouter:openai/gpt-5", streaming=True),
    }


@pytest.mark.parametrize(
    "kind", ["openai", "vllm", "own", "responses", "anthropic", "gemini", "openrouter"]
)
@pytest.mark.parametrize("within", ["model", "agent"])
def test_a_stream_uses_what_it_uses_on_every_wire(run, providers, kind, within):
    model = models(providers.openai_url)[kind]()
    worker = Worker("w", model if within == "model" else create_agent(model), max_input_tokens=10**6)
    result = run(create_conductor(fixed.single("w"), [worker]), ask())
    used = result["usage"]["total"]
    assert (used["calls"], {name: used[name] for name in TOTALS}) == (1, TOTALS)
    assert result["answer"] == WORDS


def test_planners_use_what_they_use(run):
    def running(request):
        text = plan_text(("w", "Answer.", [])) if request.model == "p" else WORDS
        return replace(REPLY, text=text, running_usage=True)

    with FakeProviders(running) as providers:
        planner, model = (
            chat_model(f"vllm:{m}@{providers.openai_url}", streaming=True) for m in ("p", "w")
        )
        result = run(create_conductor(ChatPlanner(planner, structured=False), [Worker("w", model)]), ask())
    for who in ("planner", "workers"):
        used = result["usage"][who]
        assert (used["calls"], {name: used[name] for name in TOTALS}) == (1, TOTALS)


def test_a_stream_that_tells_no_use_is_shown_as_unknown_and_not_as_nothing(run, caplog):
    with FakeProviders("done") as providers:
        model = ChatOpenAI(base_url=providers.openai_url, api_key="k", model="q", streaming=True)
        result = run(create_conductor(fixed.single("w"), [Worker("w", model)]), ask())
    assert "told no tokens" in caplog.text
    shown = describe(result)
    assert "1 call (tokens unknown)" in shown
    page = run_page(result)
    assert "0+0" not in shown + page
    assert "tokens unknown" in page
    assert "<td>unknown</td><td>unknown</td>" in page.replace("\n", "")


def test_what_is_shown_of_use():
    assert tokens(Usage()) == "no model"
    assert tokens(Usage(calls=1, unpriced_calls=1)) == "tokens unknown"
    assert tokens(Usage(calls=2, input_tokens=3)) == "3+0 tokens"


@pytest.mark.parametrize("kind", ["vllm", "anthropic"])
def test_streamed_messages_use_what_they_use(providers, kind):
    model = models(providers.openai_url)[kind]()
    team = create_conductor(
        fixed.single("w"), [Worker("w", model)], budget=Budget(tokens=100_000, allow_unbounded=True)
    )
    told = list(team.stream(ask(), stream_mode=["messages", "values"], subgraphs=True))
    used = told[-1][2]["usage"]["total"]
    assert {name: used[name] for name in TOTALS} == TOTALS
