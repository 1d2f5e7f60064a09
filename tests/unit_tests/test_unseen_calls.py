"""A call in a plain thread below a step is not seen by its budget, and that is told, once."""

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import CallbackManager
from langchain_core.runnables.config import ContextThreadPoolExecutor, ensure_config
from langchain_core.tracers import context as hooks

from langgraph_conductor import BudgetExceededError, Worker, create_conductor
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import ScriptedModel
from langgraph_conductor.workers.unseen import unseen
from tests.helpers import ask


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(unseen, "told", False)


@pytest.fixture
def model():
    return ScriptedModel(replies=["hi"], max_tokens=10)


def threaded(call):
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()


def pooled(call):
    with ThreadPoolExecutor(1) as pool:
        pool.submit(call).result()


async def in_executor(call):
    with ThreadPoolExecutor(1) as pool:
        await asyncio.get_running_loop().run_in_executor(pool, call)


def copied(call):
    context = contextvars.copy_context()
    threaded(lambda: context.run(call))


def context_pool(call):
    with ContextThreadPoolExecutor(1) as pool:
        pool.submit(call).result()


def in_agent(model):
    return create_agent(model, []).invoke({"messages": [("user", "q")]})


def conductor(work, budget):
    return create_conductor(fixed.single("w"), [Worker("w", work, retries=0)], budget=budget)


def told(caplog):
    return [record.getMessage() for record in caplog.records if "does not count it" in record.getMessage()]


@pytest.mark.parametrize("call", [lambda m: m.invoke("q"), lambda m: list(m.stream("q")), in_agent])
@pytest.mark.parametrize("way", [threaded, pooled])
def test_a_call_in_a_plain_thread_is_told_of_once(way, call, model, run, caplog):
    graph = conductor(lambda task: [way(lambda: call(model)) for _ in range(2)] and "x", {"calls": 1})
    for _ in range(2):
        assert run(graph, ask())["answer"] == "x"
    (message,) = told(caplog)
    assert "copy_context().run" in message
    assert len(model.calls) == 4


def test_a_call_in_an_executor_of_a_loop_is_told_of(model, caplog):
    async def work(task):
        await in_executor(lambda: model.invoke("q"))
        return "x"

    asyncio.run(conductor(work, {"calls": 1}).ainvoke(ask()))
    assert len(told(caplog)) == 1


@pytest.mark.parametrize("way", [copied, context_pool, lambda call: call()])
def test_a_call_that_is_seen_is_not_told_of(way, model, run, caplog):
    result = run(conductor(lambda task: way(lambda: model.invoke("q")) or "x", {"calls": 1}), ask())
    assert (told(caplog), result["usage"]["total"]["calls"]) == ([], 1)


def test_a_call_that_is_given_the_config_of_its_step_is_not_told_of(model, run, caplog):
    def work(task):
        config = {"callbacks": ensure_config()["callbacks"]}
        threaded(lambda: model.invoke("q", config))
        return "x"

    result = run(conductor(work, {"calls": 1}), ask())
    assert (told(caplog), result["usage"]["total"]["calls"]) == ([], 1)


@pytest.mark.parametrize("call", [lambda m: m.invoke("q"), lambda m: list(m.stream("q")), in_agent])
@pytest.mark.parametrize("way", ["sync", "async", "in a thread"])
def test_a_call_in_an_empty_context_of_the_same_thread_is_counted(way, call, model, caplog):
    def work(task):
        for _ in range(3):
            with suppress(BudgetExceededError):
                contextvars.Context().run(call, model)
        return "x"

    async def awaited(task):
        return work(task)

    form = awaited if way == "async" else work
    graph = conductor(form, {"calls": 1})
    result = graph.invoke(ask()) if way == "sync" else asyncio.run(graph.ainvoke(ask()))
    assert result["usage"]["total"]["calls"] == len(model.calls) == 1
    assert told(caplog) == []
    assert not unseen._here


def test_a_call_in_a_task_with_a_context_of_its_own_is_told_of(model, caplog):
    async def work(task):
        await asyncio.create_task(model.ainvoke("q"), context=contextvars.Context())
        return "x"

    asyncio.run(conductor(work, {"calls": 1}).ainvoke(ask()))
    (message,) = told(caplog)
    assert "called in task" in message


def test_tasks_that_a_step_did_not_begin_are_left_alone(model, caplog):
    async def app():
        begun, over = asyncio.Event(), asyncio.Event()

        async def outside():
            await begun.wait()
            await model.ainvoke("q")
            over.set()

        async def work(task):
            begun.set()
            await over.wait()
            return "x"

        task = asyncio.create_task(outside(), context=contextvars.Context())
        result = await conductor(work, {"calls": 1}).ainvoke(ask())
        await task
        return result

    result = asyncio.run(app())
    assert (told(caplog), result["usage"]["total"]["calls"], len(model.calls)) == ([], 0, 1)


def test_a_thread_that_ran_a_step_is_free_again(model):
    with ThreadPoolExecutor(1) as pool:
        pool.submit(conductor(lambda task: "x", {"calls": 1}).invoke, ask()).result()
        answers = [pool.submit(contextvars.Context().run, model.invoke, "q").result() for _ in range(2)]
    assert [answer.text for answer in answers] == ["hi", "hi"]


def test_without_a_budget_nothing_is_told(model, run, caplog):
    run(conductor(lambda task: threaded(lambda: model.invoke("q")) or "x", None), ask())
    assert told(caplog) == []


def test_threads_that_a_step_did_not_begin_are_left_alone(model, caplog):
    begun, over = threading.Event(), threading.Event()
    seen = []

    def outside():
        begun.wait(60)
        seen.append(CallbackManager.configure().handlers)
        model.invoke("q")
        over.set()

    def work(task):
        begun.set()
        over.wait(60)
        return "x"

    thread = threading.Thread(target=outside)
    thread.start()
    conductor(work, {"calls": 1}).invoke(ask())
    thread.join()
    assert (seen, told(caplog)) == ([[]], [])
    assert sum(hook[0] is unseen for hook in hooks._configure_hooks) == 1


def test_after_a_step_nothing_is_told(model, caplog):
    for reply in ("x", RuntimeError("broken")):

        def work(task, reply=reply):
            if isinstance(reply, Exception):
                raise reply
            return reply

        try:
            conductor(work, {"calls": 1}).invoke(ask())
        except Exception:
            assert reply != "x"
        threaded(lambda: model.invoke("q"))
    assert told(caplog) == []
    assert not unseen._steps
