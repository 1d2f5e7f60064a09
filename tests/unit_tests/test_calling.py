"""How a worker is called: its place, its tries, its time, and the doors its model calls go through."""

import asyncio
import logging
import time
from types import SimpleNamespace

import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import BaseCallbackHandler, CallbackManager
from langchain_core.language_models.fake import FakeListLLM
from langchain_core.runnables import RunnableLambda

from langgraph_conductor import Budget, Worker, create_conductor
from langgraph_conductor.budget import Ledger
from langgraph_conductor.driving import Wait, drive
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import ScriptedModel
from langgraph_conductor.workers import Limiter
from langgraph_conductor.workers.calling import Ask, answer, late, meter_of, time_left
from langgraph_conductor.workers.doors import _not_ours, metered, watched
from langgraph_conductor.workers.metering import Bounds, GivenUpError, Meter
from tests.helpers import flow


def calls_of(worker, *results, ledger=None):
    """What a worker's logic asks for and how it ends; each call gives or raises one of `results`."""
    left, seen = list(results), []
    logic = answer(worker, lambda: Ask(worker, None, {}, Meter(ledger=ledger)), ledger)

    def call(wanted):
        seen.append(wanted)
        if isinstance(wanted, Wait):
            return None
        result = left.pop(0)
        if isinstance(result, BaseException):
            raise result
        return result

    try:
        return drive(logic, call), seen
    except Exception as failure:
        return failure, seen


class BusyError(Exception):
    def __init__(self, after):
        self.status_code = 429
        self.response = SimpleNamespace(headers={"retry-after": after}, status_code=429)


def test_outages_are_retried_so_often_and_mistakes_are_not(monkeypatch):
    monkeypatch.setattr("langgraph_conductor.workers.failures.random.uniform", lambda low, high: high)
    worker = Worker("w", lambda t: "", retries=2)
    reply, seen = calls_of(worker, ConnectionError(), ConnectionError(), "there")
    assert reply == "there"
    assert [wanted.seconds for wanted in seen if isinstance(wanted, Wait)] == [1.0, 2.0]
    meters = [wanted.meter for wanted in seen if isinstance(wanted, Ask)]
    assert len(set(meters)) == 3
    for meter in meters[:-1]:  # each try that failed is over
        with pytest.raises(GivenUpError):
            list(meter.begin("late", [], {}))
    assert list(meters[-1].begin("late", [], {})) == []  # what a step that ended well began may go on
    failure, seen = calls_of(worker, *(ConnectionError(str(n)) for n in range(4)))
    assert (str(failure), len(seen)) == ("2", 5)
    failure, seen = calls_of(worker, ValueError("mine"))
    assert (str(failure), len(seen)) == ("mine", 1)
    graph = Worker("g", create_agent(ScriptedModel(), []), retries=2)
    failure, seen = calls_of(graph, ConnectionError("once"), "never")
    assert (str(failure), len(seen)) == ("once", 1)


def test_nobody_waits_longer_than_the_budgets_time(monkeypatch):
    monkeypatch.setattr("langgraph_conductor.workers.failures.random.uniform", lambda low, high: high)
    worker = Worker("w", lambda t: "", retries=5, max_concurrency=1)
    short = Ledger(Budget(seconds=1.5))
    failure, seen = calls_of(worker, *(ConnectionError(str(n)) for n in range(6)), ledger=short)
    assert str(failure) == "1"  # after another second, but not after two
    assert [wanted.seconds for wanted in seen if isinstance(wanted, Wait)] == [1.5, 1.0]
    other = worker.limiter.enter()
    failure, seen = calls_of(worker, "never", ledger=Ledger(Budget(seconds=3), seconds=3.0))
    assert (str(failure), len(seen)) == ("the budget of 3 seconds is over", 1)
    worker.limiter.leave(other)
    assert worker.limiter.enter().done()  # nobody stands in the queue any more


def test_a_worker_gives_its_place_back_however_it_ends():
    worker = Worker("w", lambda t: "", max_concurrency=1, retries=0)
    for result in ("there", ValueError(), ConnectionError()):
        _, seen = calls_of(worker, result)
        place, _ = seen
        assert place.future.done()
    assert worker.limiter.enter().done()


def test_a_providers_wish_to_wait_holds_for_all_who_share_its_limits():
    limiter = Limiter(requests_per_minute=100)
    calls_of(Worker("w", lambda t: "", limiter=limiter, retries=0), BusyError("7"))
    assert 6 < limiter.begin(0, 0).seconds <= 7
    quick = Limiter(requests_per_minute=100)
    calls_of(Worker("w", lambda t: "", limiter=quick, retries=0), ConnectionError())
    assert not isinstance(quick.begin(0, 0), Wait)


def test_how_long_a_call_may_take():
    assert time_left(None, Meter()) is None
    assert time_left(None, Meter(ledger=Ledger(Budget(calls=1)))) is None
    own = time_left(5.0, Meter(ledger=Ledger(Budget(calls=1))))
    assert 4.5 < own() <= 5
    short = Meter(ledger=Ledger(Budget(seconds=3), clock=lambda: 0.0))
    assert time_left(None, short)() == 3
    assert time_left(5.0, short)() == 3
    assert 1.5 < time_left(2.0, short)() <= 2
    waited = Meter()
    waited._waited = 100.0
    left = time_left(5.0, waited)
    assert 4.5 < left() <= 5  # waits before it do not count
    waited._waited = 101.0
    assert 5.5 < left() <= 6  # and those in it give their time back
    time.sleep(0.05)
    assert left() <= 5.95


def test_who_is_called_late():
    assert str(late(0.5, None)) == "no answer within 0.5 seconds"
    running = Ledger(Budget(seconds=3))
    assert isinstance(late(0.5, running), TimeoutError)
    assert running.refusal is None
    over = Ledger(Budget(seconds=3), seconds=3.0)
    error = late(0.5, over)
    assert (str(error), error.limit) == ("the budget of 3 seconds is over", "seconds")
    assert over.refusal.limit == "seconds"


def test_a_worker_is_metered_by_its_own_settings():
    model = ScriptedModel(profile={"max_input_tokens": 70, "max_output_tokens": 8})
    worker = Worker("w", model, price={"input": 1, "output": 2}, requests_per_minute=3, max_input_tokens=50)
    worker.secrets = ("its-key",)
    ledger = Ledger(Budget(calls=1))
    meter = meter_of(worker, ledger)
    assert (meter.worker, meter.prices) == ("w", worker.prices)
    assert (meter.ledger, meter.limiter) == (ledger, worker.limiter)
    assert (meter.max_input_tokens, meter.secrets) == (50, ("its-key",))
    assert meter.own == Bounds("scripted", 70, 8)


def test_a_meter_comes_after_whoever_listens_already():
    mine = BaseCallbackHandler()
    for given in ({}, {"callbacks": None}, {"callbacks": []}):
        assert [type(h).__name__ for h in metered(given, Meter())["callbacks"]] == ["Door"]
    config = metered({"tags": ["t"], "callbacks": [mine]}, Meter(max_input_tokens=1))
    names = [type(handler).__name__ for handler in config["callbacks"]]
    assert names == ["Redactor", "BaseCallbackHandler", "Door", "AsyncDoor", "AsyncTextDoor"]
    assert config["callbacks"][1] is mine
    assert config["tags"] == ["t"]
    inherited_too, local = BaseCallbackHandler(), BaseCallbackHandler()
    manager = CallbackManager([inherited_too, local], [inherited_too], tags=["m"])
    config = metered({"tags": ["t"], "callbacks": manager}, Meter())
    redactor, *heard, door = config["callbacks"].handlers
    assert heard == [inherited_too, local]
    assert config["callbacks"].inheritable_handlers == [redactor, inherited_too, door]
    assert (config["tags"], config["callbacks"].tags) == (["t"], ["m"])
    assert (manager.handlers, manager.inheritable_handlers) == ([inherited_too, local], [inherited_too])


def test_accounts_know_those_of_the_steps_around():
    mine = BaseCallbackHandler()
    outer, inner = Meter(max_input_tokens=9), Meter()
    around = metered({}, outer)
    names = [type(handler).__name__ for handler in around["callbacks"]]
    assert names == ["Door", "AsyncDoor", "AsyncTextDoor"]
    _, kept, door, *others = metered({"callbacks": [*around["callbacks"], mine]}, inner)["callbacks"]
    assert kept is mine
    assert door.accounts.meters == (outer, inner)  # in place of the doors of `outer` alone
    assert [type(other).__name__ for other in others] == [
        "AsyncDoor",
        "AsyncTextDoor",
    ]  # `outer` may refuse
    assert {other.accounts for other in others} == {door.accounts}


def test_models_that_are_no_chat_models_are_counted_and_refused_too(run):
    model = FakeListLLM(responses=["one", "two"])

    def blocking(task):
        return model.invoke("a") + model.invoke("b")

    async def awaited(task):
        return await model.ainvoke("a") + await model.ainvoke("b")

    for budget, calls in ((Budget(calls=2), 2), (Budget(calls=1), 1)):
        worker = Worker("f", RunnableLambda(blocking, awaited))
        pool = [worker, Worker("b", lambda t: "b")]
        conductor = create_conductor(
            fixed.workflow(flow(("b", "x", []), ("f", "y", []))), pool, budget=budget
        )
        result = run(conductor, {"messages": [("user", "q")]})
        assert result["usage"]["workers"]["calls"] == calls
        assert bool(result["stopped"]) == (calls == 1)


def test_who_hears_of_calls_hears_that_one_was_refused_or_cancelled(run):
    class Heard(BaseCallbackHandler):
        def __init__(self):
            self.began, self.failed = [], []

        def on_chat_model_start(self, serialized, messages, *, run_id, **about):
            self.began.append(run_id)

        def on_llm_error(self, error, *, run_id, parent_run_id=None, **about):
            self.failed.append((run_id, parent_run_id is not None, type(error).__name__))

    heard = Heard()
    pool = [Worker("b", lambda t: "b"), Worker("m", ScriptedModel(max_tokens=9), max_input_tokens=1)]
    conductor = create_conductor(fixed.workflow(flow(("b", "x", []), ("m", "y", []))), pool)
    run(conductor, {"messages": [("user", "q")]}, {"callbacks": [heard]})
    assert heard.failed == [(heard.began[0], True, "ContextTooLongError")]

    hearing = Heard()
    config = metered({"callbacks": [hearing]}, Meter())
    hanging = ScriptedModel(latency=30)

    async def cancelled():
        task = asyncio.create_task(watched(hanging.ainvoke("x", config), config))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert [(run_id, name) for run_id, _, name in hearing.failed] == [(hearing.began[0], "CancelledError")]


def test_only_our_own_refusals_are_kept_out_of_the_log():
    def kept(*args):
        record = logging.LogRecord("x", logging.WARNING, "", 0, "Error in %s", args, None)
        return _not_ours(record)

    for door in ("Door", "AsyncDoor", "AsyncTextDoor"):
        assert not kept(door, "on_chat_model_start")
    assert kept("Tracer", "on_chat_model_start")
    assert kept()
