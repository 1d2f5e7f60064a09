"""OpenAI, Anthropic, Google and a vLLM server as one team, with limits, tools, prices and a budget.

It runs offline: `FakeProviders` plays all four on loopback, so no key and no model is needed. With keys in
the environment, drop the `with` block and the same workers are the real ones.
"""

import os
from unittest.mock import patch

from langgraph_conductor import Budget, Worker, WorkerPool, create_conductor
from langgraph_conductor.testing import FakeProviders, FakeReply, FakeToolCall, ProviderRequest, plan_text
from langgraph_conductor.workers import Limiter, chat_model

PLAN = plan_text(
    ("scout", "Look up how high the tower is.", []),
    ("reader", "Read the question for traps.", []),
    ("thinker", "Work out the answer from both.", [0, 1]),
    ("writer", "Answer in one sentence.", [2]),
)


def look_up(what: str) -> str:
    """Look something up."""
    return f"{what}: 330 m"


def play(request: ProviderRequest) -> str | FakeReply:
    """What the four say."""
    if request.model == "gpt-5-mini":
        return PLAN
    if request.model == "claude-sonnet-5" and not any(
        "tool_result" in str(message) for message in request.body["messages"]
    ):
        return FakeReply(tool_calls=(FakeToolCall("look_up", {"what": "Eiffel tower"}),))
    said: dict[str, str | FakeReply] = {
        "claude-sonnet-5": "The tower is 330 m high.",
        "gemini-2.5-pro": "No trap.",
        "my-model": FakeReply("330 m.", reasoning="One source, no contradiction."),
        "gpt-5": "The Eiffel tower is 330 metres high.",
    }
    return said[request.model]


def team(vllm_url: str) -> WorkerPool:
    """Four workers of four providers; the last is the fallback of the one before."""
    openai = Limiter(max_concurrency=8, requests_per_minute=500, tokens_per_minute=200_000)
    return WorkerPool(
        [
            Worker(
                "scout",
                chat_model("anthropic:claude-sonnet-5", max_tokens=2000),
                tools=[look_up],
                max_tool_turns=3,
                description="Looks things up.",
            ),
            Worker(
                "reader",
                chat_model("google_genai:gemini-2.5-pro", max_tokens=2000),
                timeout=60,
                description="Reads closely.",
            ),
            Worker(
                "thinker",
                chat_model(f"vllm:my-model@{vllm_url}", max_tokens=2000),
                price={"input": 0, "output": 0},  # our own machine: paid for already
                fallback="writer",
                description="Reasons; runs on our own server.",
            ),
            Worker(
                "writer",
                chat_model("openai:gpt-5", max_tokens=2000),
                limiter=openai,
                description="Writes well.",
            ),
        ]
    )


with FakeProviders(play) as providers, patch.dict(os.environ, providers.environment()):
    conductor = create_conductor(
        chat_model("openai:gpt-5-mini", max_tokens=4000),
        team(providers.openai_url),
        budget=Budget(usd="0.50", calls=20, seconds=120),
    )
    result = conductor.invoke({"messages": [{"role": "user", "content": "How high is the Eiffel tower?"}]})

print(result["answer"])
for name, used in result["usage"]["by_worker"].items():
    print(
        f"{name}: {used['calls']} calls, {used['input_tokens']}+{used['output_tokens']} tokens, ${used['usd']}"
    )
print(f"in all ${result['usage']['total']['usd']}; stopped: {result['stopped'] or 'no'}")
