"""Budgets where calls end in odd ways: given up, cancelled, nested, interrupted, resumed."""

import asyncio
import threading
import time

import pytest
from langchain.agents import create_agent
from langchain_core.language_models import LLM
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt

from langgraph_conductor import Budget, BudgetExceededError, Worker, create_conductor
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import ScriptedModel
from langgraph_conductor.workers import Limiter
from tests.helpers import Tooled, ask, called, chain, chat, flow, thread, tool_call


def within_seconds(seconds, function):
    """`function()`, or a failure if it hangs."""
    done = []
    thread = threading.Thread(target=lambda: done.append(function()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert done, "it hangs"
    return done[0]


def outcome(run, *args):
    try:
        return run(*args)
    except Exception as error:
        return error


def test_a_try_that_was_given_up_keeps_its_worst_case_and_nobody_waits_for_it(run):
    slow = chat(latency=2)
    worker = Worker("a", slow, timeout=0.2, retries=1)
    conductor = create_conductor(chain("a"), [worker], budget=Budget(calls=1))
    error = within_seconds(5, lambda: outcome(run, conductor, ask()))
    assert isinstance(error, BudgetExceededError)
    assert called(slow) <= 1


def test_calls_that_a_worker_cancels_itself_are_not_waited_for():
    slow, fast = chat(latency=5), chat("fast")

    async def impatient(task):
        try:
            await asyncio.wait_for(slow.ainvoke("x"), 0.1)
        except TimeoutError:
            return (await fast.ainvoke("y")).text

    one = create_conductor(chain("f"), [Worker("f", impatient)], budget=Budget(calls=1))
    two = create_conductor(chain("f"), [Worker("f", impatient)], budget=Budget(calls=2))
    assert isinstance(
        within_seconds(5, lambda: outcome(asyncio.run, one.ainvoke(ask()))), BudgetExceededError
    )
    assert within_seconds(5, lambda: asyncio.run(two.ainvoke(ask())))["answer"] == "fast"


def test_a_model_inside_a_model_does_not_wait_for_itself(run):
    inner = chat("inner")

    def through(messages):
        return inner.invoke(messages).text

    outer = ScriptedModel(replies=through, max_tokens=10, model_name="outer")
    conductor = create_conductor(chain("a"), [Worker("a", outer)], budget=Budget(calls=1))
    assert isinstance(within_seconds(5, lambda: outcome(run, conductor, ask())), BudgetExceededError)


class Completion(LLM):
    """A model that is no chat model."""

    @property
    def _llm_type(self):
        return "completion"

    def _call(self, prompt, stop=None, run_manager=None, **kwargs):
        return "completed"


def test_models_that_are_no_chat_models_wait_without_blocking_the_loop(run):
    plan = fixed.workflow(flow(("a", "x", []), ("b", "y", []), ("a", "z", [0, 1])))
    workers = [Worker(n, Completion()) for n in "ab"]
    conductor = create_conductor(plan, workers, budget=Budget(calls=2))
    result = within_seconds(5, lambda: run(conductor, ask()))
    assert result["answer"] == "completed"
    assert "2 calls" in result["stopped"]


def test_what_the_outer_budget_refuses_the_inner_has_not_spent(run):
    model = chat("short answer")

    def once_more(task):
        try:
            return model.invoke("long " * 500).text
        except Exception:
            return model.invoke("short").text

    inner = create_conductor(chain("f"), [Worker("f", once_more)], budget=Budget(calls=1))
    outer = create_conductor(chain("inner"), [Worker("inner", inner, max_input_tokens=300)])
    assert within_seconds(5, lambda: run(outer, ask()))["answer"] == "short answer"


def test_a_thread_that_was_left_behind_pays_no_further_call():
    model = Tooled(replies=[tool_call(1)], latency=0.15, max_tokens=10)

    def look() -> str:
        """Look."""
        return "nothing"

    pool = [Worker("agent", create_agent(model, [look]), timeout=0.3), Worker("b", lambda t: "b")]
    create_conductor(chain("agent", "b"), pool, budget=Budget(calls=50)).invoke(ask())
    made = called(model)
    time.sleep(0.6)
    assert called(model) <= made + 1


def test_a_refusal_ends_no_timeout(run):
    slow, uncapped = chat(latency=1.5), ScriptedModel()
    worker = Worker("a", uncapped.with_fallbacks([slow]), timeout=0.4, retries=0)
    pool = [worker, Worker("b", lambda t: "b")]
    budget = Budget(tokens=100_000)
    with pytest.raises(ValueError, match="no output cap"):
        create_conductor(chain("a", "b"), pool, budget=budget)

    def hidden(task):
        return uncapped.with_fallbacks([slow]).invoke("x").text

    pool = [Worker("a", hidden, timeout=0.4, retries=0), Worker("b", lambda t: "b")]
    result = run(create_conductor(chain("a", "b"), pool, budget=budget), ask())
    assert result["rounds"][0]["steps"][0]["error"]["type"] == "TimeoutError"


def test_a_model_below_a_capped_one_has_a_cap_of_its_own(run):
    below = ScriptedModel()

    def dig() -> str:
        """Dig."""
        return below.invoke("deeper").text

    above = Tooled(replies=[tool_call_of("dig"), "done"], max_tokens=5)
    pool = [Worker("a", above, tools=[dig]), Worker("b", lambda t: "b")]
    result = run(create_conductor(chain("a", "b"), pool, budget=Budget(tokens=8000)), ask())
    assert called(below) == 0
    assert result["answer"] == "b"


def tool_call_of(name):
    return AIMessage("", tool_calls=[{"name": name, "args": {}, "id": "1"}])


def test_a_refusal_that_was_swallowed_is_still_told(run):
    model = chat()

    def careful(task):
        try:
            return model.invoke("x").text + model.invoke("y").text
        except BudgetExceededError:
            return "made do"

    result = run(create_conductor(chain("f"), [Worker("f", careful)], budget=Budget(calls=1)), ask())
    assert result["answer"] == "made do"
    assert "1 call" in result["stopped"]


def test_what_the_first_paid_is_not_laid_on_its_fallback(run):
    empty = ScriptedModel(replies=[AIMessage("", usage_metadata={"input_tokens": 5, "output_tokens": 9,
                                                                 "total_tokens": 14})])  # fmt: skip
    pool = [Worker("a", empty, fallback="b"), Worker("b", chat("word"))]
    usage = run(create_conductor(chain("a"), pool), ask())["usage"]
    assert usage["by_worker"]["a"]["output_tokens"] == 9
    assert usage["by_worker"]["b"]["output_tokens"] == 1
    assert usage["workers"]["output_tokens"] == 10


@pytest.mark.parametrize("fresh", [False, True])
def test_what_was_paid_before_an_interrupt_is_not_forgotten(fresh, run):
    model, saver = chat("said"), InMemorySaver()

    def asks(task):
        model.invoke("first")
        answer = interrupt("Which?")
        return f"{answer} {model.invoke('second').text}"

    def conductor():
        return create_conductor(
            chain("p", "b"), [Worker("p", asks), Worker("b", chat("last"))],
            budget=Budget(calls=3), checkpointer=saver,
        )  # fmt: skip

    made = conductor()
    run(made, ask(), thread())
    result = run(conductor() if fresh else made, Command(resume="this"), thread())
    # The node begins anew, so its first call is made twice: 3 calls are all there are.
    assert called(model) == 3
    assert result["answer"] == "this said"
    assert "3 calls" in result["stopped"]
    assert result["usage"]["total"]["calls"] == 3
    assert len(result["rounds"][0]["steps"][0]["model_calls"]) == 3


def test_a_run_is_resumed_with_the_budget_it_began_with_or_a_new_one(run):
    model, saver = chat("said"), InMemorySaver()

    def asks(task):
        return interrupt("Which?")

    plan = fixed.workflow(flow(("a", "x", []), ("p", "y", [0]), ("a", "z", [1])))
    conductor = create_conductor(plan, [Worker("a", model), Worker("p", asks)], checkpointer=saver)

    def begun(name):
        config = thread(name, budget={"calls": 1})
        run(conductor, ask(), config)
        return thread(name)

    same = run(conductor, Command(resume="yes"), begun("one"))
    assert "1 call" in same["stopped"]
    begun("two")
    more = run(conductor, Command(resume="yes"), thread("two", budget={"calls": 2}))
    assert more["stopped"] == ""
    assert more["answer"] == "said"


def test_seconds_bound_the_waiting_too(run):
    limiter = Limiter(max_concurrency=1)
    taken = limiter.enter()
    pool = [Worker("quick", lambda t: "quick"), Worker("slow", lambda t: "late", limiter=limiter)]
    conductor = create_conductor(chain("quick", "slow"), pool, budget=Budget(seconds=0.3))
    result = within_seconds(5, lambda: run(conductor, ask()))
    limiter.leave(taken)
    assert result["answer"] == "quick"
    assert "0.3 seconds" in result["stopped"]


def test_a_file_by_its_url_has_no_known_size(run):
    question = [{"type": "text", "text": "Read."}, {"type": "file", "url": "https://x/y.pdf"}]
    model = chat()
    conductor = create_conductor(chain("a"), [Worker("a", model)], budget=Budget(tokens=10_000))
    with pytest.raises(Exception, match="sent by reference"):
        run(conductor, {"messages": [{"role": "user", "content": question}]})
    assert called(model) == 0
