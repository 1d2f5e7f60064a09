"""Twelve ways providers fail, met by the planner, a middle step or the last one, blocking and awaited.

Every cell ends as promised: there is an answer, the failure is recorded as what it is, and the sums add up.
"""

import time
from functools import cache

import pytest

from langgraph_conductor import (
    ChatPlanner,
    ConductorError,
    Usage,
    Worker,
    WorkerError,
    create_conductor,
)
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import FakeProviders, faults, plan_text
from langgraph_conductor.workers import chat_model
from tests.helpers import ask, flow

PLAN = plan_text(("draft", "Draft it.", []), ("middle", "Improve it.", [0]), ("last", "Answer.", [0, 1]))
SHORT = 0.4

# fault, whether an outage, requests of a worker with one retry, what the record calls it
MATRIX = {
    "rate_limited": (faults.rate_limited(retry_after=0.02), True, 2, "RateLimitError"),
    "server_error": (faults.server_error(), True, 2, "APIError"),
    "overloaded": (faults.overloaded(), True, 2, "Error"),
    "slow_headers": (faults.slow_headers(30), True, 2, "TimeoutError"),
    "stall": (faults.stall(seconds=30), True, 2, "TimeoutError"),
    "cut": (faults.cut(), True, 2, ""),
    "malformed_json": (faults.malformed_json(), True, 2, "JSONDecodeError"),
    "empty": (faults.empty(), False, 1, "EmptyReplyError"),
    "refusal": (faults.refusal("I will not."), False, 1, "RefusalError"),
    "unknown_model": (faults.unknown_model(), False, 1, "NotFoundError"),
    "context_too_long": (faults.context_too_long(), False, 1, ""),
    "refused": (None, True, 0, "ConnectionError"),
}
PLACES = ["planner", "middle", "last"]


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch):
    monkeypatch.setattr("langgraph_conductor.workers.failures.random.uniform", lambda low, high: 0.0)


@pytest.fixture(scope="module")
def providers():
    with FakeProviders() as running:
        yield running


@cache  # building a client takes longer than using it
def model(url, place, streaming):
    """Anthropic for the middle, OpenAI else."""
    if place == "middle":
        return chat_model("anthropic:middle", base_url=url, api_key="x", streaming=streaming)
    return chat_model(f"openai:{place}", base_url=f"{url}/v1", api_key="x", streaming=streaming)


def conductor_of(providers, at_fault, fault):
    """Streamed where the fault is one of streams; in a hurry where it is met."""
    streaming = fault is not None and fault.name in ("stall", "cut")

    def made(place):
        gone = fault is None and place == at_fault
        return model(faults.refused_url() if gone else providers.url, place, streaming)

    workers = [
        Worker(place, made(place), retries=1, timeout=SHORT if place == at_fault else None)
        for place in ("draft", "middle", "last")
    ]
    hurry = SHORT if at_fault == "planner" else None
    return create_conductor(
        ChatPlanner(made("planner"), structured=False, retries=1, timeout=hurry), workers
    )


@pytest.mark.parametrize("at_fault", PLACES)
@pytest.mark.parametrize("name", MATRIX)
def test_every_cell(name, at_fault, run, providers):
    fault, outage, requests, kind = MATRIX[name]
    for place in ("draft", "middle", "last"):
        providers.script(place, f"From {place}.")
    providers.script("planner", PLAN)
    if fault is not None:
        providers.script(at_fault, fault)
    before, began = len(providers.requests), time.monotonic()
    result = run(conductor_of(providers, at_fault, fault), ask())
    assert time.monotonic() - began < 10
    sent = [request.model for request in providers.requests[before:]]
    record = result["rounds"][0]
    steps = {step["worker"]: step for step in record["steps"]}
    if at_fault == "planner":
        repaired = name in ("empty", "refusal")  # such replies are no plan: it is asked twice more
        assert sent.count("planner") == (3 if repaired else requests)
        assert record["plan"]["reached"] == "fallback"
        error = record["plan"]["error"]
        assert result["answer"] == "From draft."
        assert kind in error["type"] or repaired
    else:
        assert sent.count(at_fault) == requests
        error = steps[at_fault]["error"]
        assert steps[at_fault]["status"] == "failed"
        assert steps[at_fault]["calls"] == (2 if outage else 1)
        assert kind in error["type"]
        assert result["answer"] == {"middle": "From last.", "last": "From middle."}[at_fault]
        healthy = set(steps) - {at_fault}
        assert all(steps[name]["status"] == "ok" for name in healthy)
    assert error["infrastructure"] is outage
    parts = [record["plan"]["usage"], *(step["usage"] for step in record["steps"])]
    whole = sum(map(Usage.from_json, parts), Usage())
    assert result["usage"]["total"] == whole.to_json()
    expected = 1 if at_fault == "planner" else 3  # the fallback alone, or all but the one at fault
    if name in ("empty", "refusal"):
        expected += 3 if at_fault == "planner" else 1  # these calls did answer, and cost
    assert whole.calls == expected


def test_a_passing_outage_is_retried_with_the_wait_it_asks_for(run):
    with FakeProviders() as providers:
        providers.script("gpt-x", faults.rate_limited(retry_after=0.3), faults.overloaded(503), "At last.")
        worker = Worker("w", chat_model("openai:gpt-x", base_url=providers.openai_url, api_key="x"))
        result = run(create_conductor(fixed.single("w"), [worker]), ask())
        first, second, _ = providers.requests
    assert result["answer"] == "At last."
    assert second.at - first.at >= 0.3
    step = result["rounds"][0]["steps"][0]
    assert (step["calls"], step["status"], step["error"]) == (3, "ok", None)


def test_a_provider_that_asks_for_too_long_is_not_waited_for(run):
    with FakeProviders(faults.rate_limited(retry_after=3600)) as providers:
        busy = Worker("w", chat_model("openai:m", base_url=providers.openai_url, api_key="x"), retries=5)
        with pytest.raises(WorkerError) as caught:
            run(create_conductor(fixed.single("w"), [busy]), ask())
        assert len(providers.requests) == 1
    assert caught.value.infrastructure


@pytest.mark.parametrize("fault", [faults.server_error(), faults.refusal(), faults.unknown_model()])
def test_the_fallback_answers_and_is_recorded(fault, run):
    with FakeProviders("From the other.") as providers:
        providers.script("broken", fault)
        made = {
            name: chat_model(f"openai:{name}", base_url=providers.openai_url, api_key="x")
            for name in ("broken", "sound")
        }
        workers = [Worker("a", made["broken"], fallback="b", retries=0), Worker("b", made["sound"])]
        result = run(create_conductor(fixed.single("a"), workers), ask())
    step = result["rounds"][0]["steps"][0]
    assert (step["worker"], step["answered_by"], step["status"], step["calls"]) == ("a", "b", "ok", 2)
    assert step["error"]["type"]  # why the first did not
    assert result["answer"] == "From the other."
    assert result["usage"]["by_worker"]["b"]["calls"] == 1


def test_a_fallback_that_may_not_be_last_or_is_excluded_is_not_asked(run):
    def broken(task):
        raise RuntimeError("no")

    def pool(**options):
        return [
            Worker("a", broken, fallback="b"),
            Worker("b", lambda t: "b", **options),
            Worker("c", broken),
        ]

    with pytest.raises(WorkerError):
        run(create_conductor(fixed.single("a"), pool(may_be_last=False)), ask())
    conductor = create_conductor(fixed.single("a"), pool())
    assert run(conductor, ask())["answer"] == "b"
    with pytest.raises(WorkerError):
        run(conductor, ask(), {"configurable": {"conductor": {"exclude": ["b"]}}})
    assert run(conductor, ask())["answer"] == "b"
    two = create_conductor(fixed.workflow(flow(("a", "x", []), ("b", "y", [0]))), pool())
    assert run(two, ask())["rounds"][0]["steps"][0]["answered_by"] == "b"


def test_keys_do_not_travel(run):
    key = "sk-canary-0123456789abcdef"
    with FakeProviders(faults.bad_key()) as providers:
        chat = chat_model("openai:m", base_url=providers.openai_url, api_key=key)
        odd = chat_model("openai:m", base_url=providers.openai_url, api_key="odd.shape/canary")
        conductor = create_conductor(chat, [Worker("w", chat), Worker("odd", odd, fallback="w")])
        with pytest.raises(ConductorError) as caught:
            run(conductor, ask())
        told = repr((caught.value, caught.value.causes, conductor, Worker("w", chat)))
        result = run(create_conductor(odd, [Worker("fine", lambda t: "fine")]), ask())
    told += repr(result)
    assert "[redacted]" in told
    assert "canary" not in told
