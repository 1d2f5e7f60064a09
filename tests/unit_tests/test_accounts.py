"""The sums behind a run, each alone: ledgers, windows, meters, prices, records of rounds."""

import asyncio
import contextvars
import threading
import time
from decimal import Decimal
from types import SimpleNamespace

import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import BaseCallbackHandler, CallbackManager
from langchain_core.language_models.fake import FakeListLLM
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.runnables import RunnableLambda

from langgraph_conductor import Budget, BudgetExceededError, Usage, Worker, create_conductor
from langgraph_conductor.budget import BudgetLeft, Ledger, Reservation, UnboundedCallError
from langgraph_conductor.driving import (
    LateError,
    Wait,
    adrive,
    atimed,
    await_,
    awithin,
    drive,
    inherited,
    timed,
    wait,
    within,
)
from langgraph_conductor.graph.accounts import causes, ended_by_budget, usage_of
from langgraph_conductor.graph.ledgers import Ledgers, ledger_in, with_accounts
from langgraph_conductor.options import Options
from langgraph_conductor.planners import fixed
from langgraph_conductor.prices import Price
from langgraph_conductor.testing import ScriptedModel
from langgraph_conductor.workers import Limiter
from langgraph_conductor.workers.calling import Ask, answer, late, meter_of, time_left
from langgraph_conductor.workers.counting import likely_tokens, most_tokens
from langgraph_conductor.workers.failures import ContextTooLongError
from langgraph_conductor.workers.limits import Slots, Window
from langgraph_conductor.workers.doors import _not_ours
from langgraph_conductor.workers.metering import Meter
from tests.helpers import flow


def reservation(usd=None, tokens=0):
    return Reservation(tokens=tokens, usd=None if usd is None else Decimal(usd))


def used(usd=None, tokens=0, calls=1):
    return Usage(calls=calls, output_tokens=tokens, usd=None if usd is None else Decimal(usd))


# ------------------------------------------------------------------ budgets


@pytest.mark.parametrize(
    ("budget", "fits", "more"),
    [
        (Budget(usd=5), reservation(usd=5), reservation(usd="5.000001")),
        (Budget(tokens=100), reservation(tokens=100), reservation(tokens=101)),
        (Budget(calls=1), Reservation(), Reservation(calls=2)),
    ],
)
def test_what_just_fits_is_admitted(budget, fits, more):
    assert Ledger(budget).admit(fits) is None
    with pytest.raises(BudgetExceededError):
        Ledger(budget).admit(more)


@pytest.mark.parametrize(
    ("budget", "ask", "words"),
    [
        (Budget(usd=5), reservation(usd=6), "the budget of $5 ends here: $5 left, the next call may need $6; a smaller"),
        (Budget(tokens=9), reservation(tokens=10), "9 tokens ends here: 9 tokens left, the next call may need 10 tokens; a"),
        (Budget(calls=1), Reservation(calls=2), "the budget of 1 call ends here: 1 call left, the next call may need 1 call"),
        (Budget(seconds=2), Reservation(), "the budget of 2.0 seconds ends here: 0.0 seconds left, the time is over"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_is_left_and_what_was_asked(budget, ask, words):
    ledger = Ledger(budget, seconds=2.0)
    with pytest.raises(BudgetExceededError) as caught:
        ledger.admit(ask)
    assert words in str(caught.value)
    assert ("max_tokens" in str(caught.value)) == (caught.value.limit in ("usd", "tokens"))
    assert ledger.refusal is caught.value
    with pytest.raises(BudgetExceededError) as again:
        ledger.admit(Reservation(calls=0))
    assert (str(again.value), again.value.limit) == (str(caught.value), caught.value.limit)


def test_a_ledger_goes_on_from_what_was_used_before():
    before = Usage(calls=2, input_tokens=30, output_tokens=10, unpriced_calls=2)
    ledger = Ledger(Budget(usd=10, tokens=100, calls=5, seconds=9), used=before, seconds=4.0)
    assert ledger.left == BudgetLeft(usd=Decimal(10), tokens=60, calls=3, seconds=5.0)
    assert str(ledger.left) == "$10, 60 tokens, 3 calls, 5.0 seconds"
    assert Ledger(Budget(usd=10), used=used(usd=3)).left == BudgetLeft(usd=Decimal(7))


def test_what_is_left_is_never_below_nothing():
    ledger = Ledger(Budget(usd=1, tokens=1, calls=1, seconds=1), used=used(2, 2, 2), seconds=2.0)
    assert ledger.left == BudgetLeft(usd=Decimal(), tokens=0, calls=0, seconds=0.0)


def test_running_calls_count_by_their_worst_case_until_they_are_settled():
    ledger = Ledger(Budget(usd=10, tokens=100, calls=9))
    first, second = reservation(usd=3, tokens=30), reservation(usd=4, tokens=40)
    assert ledger.admit(first) is None
    assert ledger.admit(second) is None
    assert ledger.left == BudgetLeft(usd=Decimal(3), tokens=30, calls=7)
    ledger.settle(first, used(usd=1, tokens=10))
    assert ledger.left == BudgetLeft(usd=Decimal(5), tokens=50, calls=7)
    ledger.settle(second, used(tokens=5))  # its price was not told: that part stays
    assert ledger.left == BudgetLeft(usd=Decimal(5), tokens=85, calls=7)
    ledger.settle(second, used(usd=1, tokens=9))  # told twice, booked once
    assert ledger.left == BudgetLeft(usd=Decimal(5), tokens=85, calls=7)


def test_a_late_report_takes_the_place_of_the_worst_case():
    ledger = Ledger(Budget(usd=10, tokens=100, calls=9))
    kept = reservation(usd=8, tokens=80)
    ledger.admit(kept)
    ledger.settle(kept, None)
    assert ledger.left == BudgetLeft(usd=Decimal(2), tokens=20, calls=8)
    ledger.settle(kept, used(usd=1, tokens=10))
    assert ledger.left == BudgetLeft(usd=Decimal(9), tokens=90, calls=8)


def test_unbounded_calls_are_counted_when_they_are_told():
    ledger = Ledger(Budget(usd=10, tokens=100, allow_unbounded=True))
    kept = Reservation(tokens=None, usd=None)
    assert ledger.admit(kept) is None
    assert ledger.left == BudgetLeft(usd=Decimal(10), tokens=100)
    ledger.settle(kept, Usage(calls=1))
    assert ledger.left == BudgetLeft(usd=Decimal(10), tokens=100)
    with pytest.raises(BudgetExceededError):
        ledger.admit(reservation(usd=11))


def test_nothing_is_waited_for_that_cannot_come_back():
    ledger = Ledger(Budget(usd=10, seconds=60))
    over, running = reservation(usd=6), reservation(usd=2)
    ledger.admit(over)
    ledger.settle(over, None)
    ledger.admit(running)
    assert ledger.admit(reservation(usd=4)) is not None  # `running` may turn out cheaper
    with pytest.raises(BudgetExceededError, match=r"\$2 left"):
        ledger.admit(reservation(usd=5))  # even if it took nothing


def test_time_that_is_over_does_not_come_back():
    now = [0.0]
    ledger = Ledger(Budget(seconds=10), clock=lambda: now[0])
    ledger.start_work()
    assert ledger.admit(Reservation()) is None
    now[0] = 9.9
    assert ledger.admit(Reservation()) is None
    now[0] = 10.0
    with pytest.raises(BudgetExceededError, match="the time is over"):
        ledger.admit(Reservation())


def test_a_refusal_from_elsewhere_ends_the_run_and_wakes_who_waits():
    ledger = Ledger(Budget(usd=10))
    ledger.admit(reservation(usd=8))
    waiting, given_up = ledger.admit(reservation(usd=8)), ledger.admit(reservation(usd=8))
    given_up.cancel()
    told = ledger.refuse("the time is over", "seconds")
    assert (str(told), told.limit) == ("the time is over", "seconds")
    assert waiting.done()
    later = ledger.refuse("another reason", "calls")
    assert (str(later), later.limit) == ("another reason", "calls")
    with pytest.raises(BudgetExceededError, match="the time is over") as caught:  # the first reason stays
        ledger.admit(reservation(usd=1))
    assert caught.value.limit == "seconds"


def test_what_was_used_unasked_is_booked_beyond_what_is_known():
    ledger = Ledger(Budget(usd=10, tokens=100, calls=9))
    ledger.book(used(usd=3, tokens=30, calls=3), used(usd=1, tokens=10, calls=1))
    assert ledger.left == BudgetLeft(usd=Decimal(8), tokens=80, calls=7)
    ledger.book(used(usd=1, tokens=10, calls=1), used(usd=3, tokens=30, calls=3))  # never freed
    assert ledger.left == BudgetLeft(usd=Decimal(8), tokens=80, calls=7)
    ledger.book(used(), Usage())
    ledger.book(used(usd=1), used())
    assert ledger.left == BudgetLeft(usd=Decimal(7), tokens=80, calls=6)


def test_budgets_are_taken_as_they_are_given():
    budget = Budget(calls=1)
    assert Budget.of(budget) is budget
    assert Budget.of({"calls": 1, "tokens": 1}) == Budget(calls=1, tokens=1)
    assert not budget.allow_unbounded
    assert str(Budget(usd="0.25", tokens=1, calls=2, seconds=3)) == "$0.25, 1 token, 2 calls, 3.0 seconds"
    for wrong in (
        {"seconds": 0},
        {"seconds": True},
        {"seconds": float("nan")},
        {"seconds": float("inf")},
        {"usd": "inf"},
        {"calls": True},
    ):
        with pytest.raises(ValueError, match="budget: "):
            Budget(**wrong)
    for wrong in ([], ["calls"], {"calls"}):
        with pytest.raises(ValueError, match="a budget holds usd, tokens, calls, seconds, allow_unbounded"):
            Budget.of(wrong)


# ------------------------------------------------------------------ limits of a provider


def test_a_window_frees_what_is_old_enough():
    window = Window(10, seconds=60)
    window.book(4, 100.0)
    window.book(5, 110.0)
    assert window.wait(1, 111.0) == 0
    assert window.wait(2, 111.0) == 49.0  # until the first is out
    assert window.wait(5, 111.0) == 49.0
    assert window.wait(6, 111.0) == 59.0  # until both are
    assert window.wait(99, 111.0) == 59.0  # and what never fits waits until it is empty
    assert window.wait(5, 160.0) == 0  # the first is out now
    assert window.wait(6, 160.0) == 10.0
    assert window.wait(99, 170.0) == 0


def test_a_reply_is_taken_to_be_as_long_as_usual():
    limiter = Limiter(tokens_per_minute=1000)

    def booked(cap):
        call = limiter.begin(10, cap)
        amount = call.tokens.amount
        limiter.end(call, 0, 0)  # takes nothing, teaches nothing
        return amount

    assert (booked(None), booked(20), booked(900)) == (510, 30, 510)
    limiter.end(limiter.begin(10, None), 0, 100)
    assert (booked(None), booked(20)) == (110, 30)
    limiter.end(limiter.begin(10, None), 0, 200)
    assert booked(None) == 130
    call = limiter.begin(10, 20)
    for unknown in ((None, 5), (5, None)):
        limiter.end(call, *unknown)
    assert call.tokens.amount == 30


def test_the_longest_wait_counts():
    limiter = Limiter(requests_per_minute=1, tokens_per_minute=1000)
    call = limiter.begin(100, 0)
    assert (call.request.amount, call.tokens.amount) == (1, 100)
    assert 59 < limiter.begin(0, 0).seconds <= 60
    limiter.hold(80)
    assert 79 < limiter.begin(0, 0).seconds <= 80
    tokens = Limiter(tokens_per_minute=100)
    tokens.hold(3)
    assert 2 < tokens.begin(100, 0).seconds <= 3
    assert tokens.begin(100, 0).future.done() is False


def test_what_a_limiter_counts():
    assert not Limiter(max_concurrency=1).counts_calls
    assert Limiter(requests_per_minute=1).counts_calls
    assert Limiter(tokens_per_minute=1).counts_calls
    free = Limiter(requests_per_minute=7)
    assert repr(free) == "Limiter(requests_per_minute=7)"
    assert free.enter() is None
    free.leave(None)
    for bad in (True, 0, -1, float("inf")):
        with pytest.raises(ValueError, match=r"tokens_per_minute must be a number above 0"):
            Limiter(tokens_per_minute=bad)
    with pytest.raises(ValueError, match="max_concurrency must be a whole number from 1 up"):
        Limiter(max_concurrency=True)


def test_part_of_a_placed_task_needs_no_place():
    limiter = Limiter(max_concurrency=1)
    limiter.leave(None)  # had no place
    place = limiter.enter()
    inner = contextvars.copy_context()
    inner.run(limiter.mark_placed)
    assert inner.run(limiter.enter) is None
    other = limiter.enter()
    assert not other.done()
    limiter.leave(place)
    assert other.done()


def test_whoever_gave_up_is_passed_over_and_frees_no_place():
    slots = Slots(1)
    first, second, third, fourth = (slots.enter() for _ in range(4))
    second.cancel()
    slots.leave(first)
    assert third.done()
    slots.leave(second)  # it never had one
    assert not fourth.done()
    slots.leave(third)
    assert fourth.done()


# ------------------------------------------------------------------ what rounds add up to


def usage(**parts):
    return Usage(**parts).to_json()


def step(index=0, worker="a", error=None, answered_by=None, started_at=0.0, seconds=1.0, **parts):
    return {
        "index": index, "worker": worker, "answered_by": answered_by or worker, "error": error,
        "usage": usage(**parts), "started_at": started_at, "seconds": seconds,
    }  # fmt: skip


def plan_of(error=None, seconds=0.0, **parts):
    return {"usage": usage(**parts), "error": error, "seconds": seconds}


def error(kind="ValueError", message="no"):
    return {"type": kind, "message": message, "infrastructure": False}


ROUNDS = [
    {
        "round": 0, "plan": plan_of(seconds=1.0, calls=1, output_tokens=5), "wall_seconds": 4.0,
        "steps": [
            step(0, "a", calls=1, output_tokens=10),
            step(1, "b", error=error(), answered_by="a", calls=2, output_tokens=20),
        ],
    },
    {
        "round": 1, "plan": plan_of(error("BudgetExceededError", "spent"), seconds=2.0), "wall_seconds": 8.0,
        "steps": [step(0, "b", calls=4, output_tokens=40)],
    },
]  # fmt: skip


def test_what_rounds_used():
    told = usage_of(iter(ROUNDS))

    def calls_and_tokens(part):
        return part["calls"], part["output_tokens"]

    assert calls_and_tokens(told["planner"]) == (1, 5)
    assert calls_and_tokens(told["workers"]) == (7, 70)
    assert calls_and_tokens(told["total"]) == (8, 75)
    assert {n: calls_and_tokens(u) for n, u in told["by_worker"].items()} == {"a": (3, 30), "b": (4, 40)}
    assert [calls_and_tokens(part) for part in told["by_round"]] == [(4, 35), (4, 40)]
    assert told["wall_seconds"] == 15.0


def test_why_rounds_failed():
    assert causes(ROUNDS) == [
        "round 0, step 1 (b): ValueError: no",
        "round 1, planner: BudgetExceededError: spent",
    ]
    assert ended_by_budget(ROUNDS)["message"] == "spent"
    assert ended_by_budget(ROUNDS[:1]) is None


def test_a_ledger_is_rebuilt_from_the_records():
    ledgers = Ledgers()
    run = Ledgers.new_run()
    assert not ledgers.knows(run)
    steps = [
        step(started_at=100.0, seconds=4.0, calls=1, output_tokens=1),
        step(started_at=101.0, seconds=1.0),  # beside the first
        step(started_at=103.0, seconds=3.0),  # two seconds more
        step(started_at=110.0, seconds=0.5),
    ]
    ledger = ledgers.of(
        run, Budget(tokens=100, calls=20, seconds=60), ROUNDS, plan_of(calls=1, seconds=0.25), steps
    )
    # Tokens: 75, and 1. Calls: 8, 1 and 1. Seconds: plans 3.25, steps 1 of the rounds and 6.5.
    assert ledger.left == BudgetLeft(tokens=24, calls=10, seconds=60 - 3.25 - 1.0 - 6.5)
    assert ledgers.knows(run)
    assert ledgers.of(run, Budget(calls=1)) is ledger
    ledgers.close(run)
    assert not ledgers.knows(run)
    ledgers.close(run)
    ledgers.close(None)
    assert not ledgers.knows(None)


def test_ledgers_are_kept_only_so_long():
    ledgers = Ledgers(size=2)
    runs = [Ledgers.new_run() for _ in range(3)]
    assert len({run["id"] for run in runs}) == 3
    kept = [ledgers.of(run, Budget(calls=1)) for run in runs]
    assert [ledgers.knows(run) for run in runs] == [False, True, True]
    assert ledgers.of(runs[2], Budget(calls=1)) is kept[2]
    assert ledgers.of(runs[0], None) is None
    assert ledgers.of(None, Budget(calls=1)) is None


def test_a_config_holds_one_ledger():
    ledger = Ledger(Budget(calls=1))
    config = with_accounts({"tags": ["t"], "configurable": {"thread_id": "x"}}, ledger)
    assert ledger_in(config) is ledger
    assert config["configurable"]["thread_id"] == "x"
    assert config["tags"] == ["t"]
    assert ledger_in(with_accounts(config, None)) is None
    assert ledger_in({}) is None
    assert ledger_in(with_accounts({}, ledger)) is ledger


# ------------------------------------------------------------------ counting tokens


def test_no_tokenizer_counts_more_than_bytes():
    def of(*contents, **options):
        return most_tokens([HumanMessage(c) for c in contents], **options)

    assert of("x" * 100) - of("x") == 99
    assert of("ü" * 100) - of("") == 200
    assert of("", "") > of("") > of()  # what templates add to messages, and to the first
    assert of("\ud800") >= of("x")  # half a surrogate pair is no UTF-8
    tools = [{"name": "look", "description": "ü" * 500}]
    assert of("", extra=tools) - of("") > 2 * 1000 + 500
    assert of("", extra=[]) == of("", extra=None) == of("")
    assert most_tokens([HumanMessage("", name="somebody")]) - of("") == len("somebody")
    called = AIMessage("", tool_calls=[{"name": "look", "args": {"word": "x" * 300}, "id": "1"}])
    assert 300 < most_tokens([called]) - most_tokens([AIMessage("")]) < 500


def test_a_likely_token_has_four_characters():
    def of(*contents, **options):
        return likely_tokens([HumanMessage(c) for c in contents], **options)

    assert (of(""), of("x"), of("xxxx"), of("xxxxx"), of("üüüü")) == (0, 1, 1, 2, 1)
    assert of("x" * 40, "y" * 40) == 20
    assert of("x" * 40, extra={"k": "v" * 400}) == 10 + (400 + len('{"k": ""}')) // 4 + 1
    assert of("", extra={"k": "ü" * 400}) == of("", extra={"k": "v" * 400})
    assert of([{"type": "text", "text": "x" * 400}]) - of([{"type": "text", "text": ""}]) == 100
    image = {"type": "image_url", "image_url": {"url": "data:" + "x" * 100_000}}
    assert of([image]) == of([{"type": "image", "base64": "x"}]) < 2000
    assert of([image, image]) == 2 * of([image])
    assert of(["x" * 40, "y" * 40]) == 20
    assert most_tokens([HumanMessage([image])]) > 5000


# ------------------------------------------------------------------ driving


def asks(*things):
    """Logic that asks for things, and gives the answers and the errors it got."""
    got = []
    try:
        for thing in things:
            try:
                got.append((yield thing))
            except LookupError as caught:
                got.append(caught)
        return got
    finally:
        got.append("closed")


def both_ways(logic, call):
    async def acall(asked):
        return call(asked)

    yield lambda: drive(logic(), call)
    yield lambda: asyncio.run(adrive(logic(), acall))


def test_answers_and_errors_go_back_to_the_logic():
    def call(asked):
        if asked == 2:
            raise KeyError(asked)
        return asked * 10

    for run in both_ways(lambda: asks(1, 2, 3), call):
        first, failed, third, closed = run()
        assert (first, failed.args, third, closed) == (10, (2,), 30, "closed")
    for run in both_ways(lambda: asks(), call):
        assert run() == ["closed"]


def test_logic_is_closed_when_it_is_broken_off():
    closed = []

    def logic():
        try:
            yield 1
        finally:
            closed.append(1)

    def broken(asked):
        raise KeyboardInterrupt

    running, awaited = logic(), logic()  # held, so that nobody else closes them
    with pytest.raises(KeyboardInterrupt):
        drive(running, broken)
    assert closed == [1]

    async def cancelled(asked):
        raise asyncio.CancelledError

    async def main():
        with pytest.raises(asyncio.CancelledError):
            await adrive(awaited, cancelled)

    asyncio.run(main())
    assert closed == [1, 1]


def test_waiting_ends_with_the_future_or_the_time():
    from concurrent.futures import Future

    def both(what):
        began = time.monotonic()
        wait(what)
        asyncio.run(await_(what))
        return time.monotonic() - began

    done, never = Future(), Future()
    done.set_result(None)
    assert both(Wait(done, 5)) < 1
    assert both(Wait(done)) < 1
    assert both(Wait()) < 1
    assert 0.1 <= both(Wait(never, 0.05)) < 1
    assert 0.1 <= both(Wait(seconds=0.05)) < 1
    threading.Timer(0.05, never.set_result, [None]).start()
    assert both(Wait(never)) < 1


def test_a_call_in_time_gives_its_result_or_its_error():
    async def answer():
        return "there"

    async def fail():
        raise KeyError("gone")

    assert timed(lambda: 1.0, lambda: "there") == "there"
    assert asyncio.run(as_coroutine(lambda: atimed(lambda: 1.0, answer))) == "there"
    with pytest.raises(KeyError, match="gone"):
        timed(lambda: 1.0, lambda: {}["gone"])
    with pytest.raises(KeyError, match="gone"):
        asyncio.run(as_coroutine(lambda: atimed(lambda: 1.0, fail)))


def test_a_timed_call_sees_its_context_and_does_not_hold_the_process():
    word = contextvars.ContextVar("word")
    word.set("ambient")
    assert timed(lambda: 1.0, lambda: (word.get(), threading.current_thread().daemon)) == ("ambient", True)


async def as_coroutine(call):
    return await call()


def test_a_call_is_not_made_when_its_time_is_over():
    made = []

    async def call():
        made.append(1)

    for over in (lambda: 0.0, lambda: -1.0):
        with pytest.raises(LateError):
            timed(over, lambda: made.append(1))
        with pytest.raises(LateError):
            asyncio.run(as_coroutine(lambda over=over: atimed(over, call)))
    assert made == []


def test_time_is_asked_for_again_when_it_seems_over():
    def grants(*seconds):
        left = list(seconds)
        return lambda: left.pop(0) if len(left) > 1 else left[0]

    async def short():
        await asyncio.sleep(0.1)
        return "there"

    async def long():
        await asyncio.sleep(30)

    over = threading.Event()

    assert timed(grants(1, 0.02, 0.02, 5), lambda: time.sleep(0.1) or "there") == "there"
    assert asyncio.run(as_coroutine(lambda: atimed(grants(1, 0.02, 0.02, 5), short))) == "there"
    began = time.monotonic()
    with pytest.raises(LateError):
        timed(grants(1, 0.02, 0.02, 0), lambda: over.wait(20))
    with pytest.raises(LateError):
        asyncio.run(as_coroutine(lambda: atimed(grants(1, 0.02, 0.02, 0), long)))
    assert time.monotonic() - began < 5
    over.set()


def test_what_takes_too_long_is_cancelled_and_may_say_so():
    said = []

    async def slow():
        try:
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0.01)
            said.append("used so much")

    async def main():
        left = iter((1, 0.02, 0))
        with pytest.raises(LateError):
            await atimed(lambda: next(left), slow)
        assert said == ["used so much"]

    asyncio.run(main())


def test_a_config_is_the_ambient_one_inside_a_call():
    from langchain_core.runnables.config import ensure_config

    def tags(more=""):
        return [*ensure_config().get("tags", []), more]

    async def atags(more=""):
        return tags(more)

    assert within({"tags": ["t"]}, tags, "x") == ["t", "x"]
    assert asyncio.run(awithin({"tags": ["t"]}, atags, "x")) == ["t", "x"]
    assert tags() == [""]
    assert inherited({"tags": ["t"], "callbacks": []}) == {"tags": ["t"]}


# ------------------------------------------------------------------ options of a run


def config(**given):
    return {"configurable": {"conductor": given}}


def test_options_are_laid_over_others():
    from langgraph_conductor import Workflow

    base = Options(max_steps=3, exclude=("x",))
    for nothing in (None, {}, {"configurable": None}, {"configurable": {"thread_id": "t"}}):
        assert base.over(nothing) is base
    assert base.over(config()) == base
    changed = base.over(
        config(max_rounds=2, workers=["a", "b"], sample=[1, 7], budget={"calls": 4}, permute=3)
    )
    assert changed == Options(3, 2, Budget(calls=4), ("a", "b"), ("x",), (1, 7), 3)
    assert base.over(config(permute=None, workers=[])).workers == ()
    drawn = flow(("a", "x", []))
    assert base.over(config(workflow=drawn)).workflow is drawn
    assert base.over(config(workflow=drawn.to_json())).workflow == drawn
    assert isinstance(drawn, Workflow)
    assert base.over(config(workflow=None)).workflow is None
    assert Options().max_steps == 5
    assert Options().max_rounds == 1
    assert Options(max_steps=1, max_rounds=1) == Options(max_steps=1)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"max_steps": 0}, "max_steps must be"), ({"max_rounds": 0}, "max_rounds must be"),
        ({"max_rounds": True}, "max_rounds must be"), ({"max_steps": 1.0}, "max_steps must be"),
        ({"colour": 1}, "may hold"), (["max_steps"], "may hold"), ({"max_steps"}, "may hold"),
        ({"workflow": "a"}, "`workflow`"), ({"exclude": "a"}, "`exclude` is a list"),
        ({"exclude": [1]}, "`exclude` is a list"), ({"exclude": {"a"}}, "`exclude` is a list"),
        ({"workers": [1, "a"]}, "`workers` is a list"), ({"sample": [1]}, "`sample`"),
        ({"sample": [1, 2, 3]}, "`sample`"), ({"sample": [1, "x"]}, "`sample`"), ({"sample": {1, 2}}, "`sample`"),
        ({"permute": True}, "`permute` is a seed"), ({"permute": 1.0}, "`permute` is a seed"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit_are_refused(given, why):
    with pytest.raises(ValueError, match=why):
        Options().over({"configurable": {"conductor": given}})


# ------------------------------------------------------------------ the accounts of model calls


PROMPT = [HumanMessage("x" * 40)]
MOST = most_tokens(PROMPT)


def about(metadata=None, **params):
    return {"invocation_params": params, "metadata": metadata or {}}


def begun(meter, run_id="call", messages=PROMPT, told=None):
    """Begin a call that does not have to wait."""
    assert list(meter.begin(run_id, messages, told or about(max_tokens=10))) == []


def tokens_of(sent, said, **details):
    return {"input_tokens": sent, "output_tokens": said, "total_tokens": sent + said, **details}


def answered(*messages):
    return LLMResult(generations=[[ChatGeneration(message=message) for message in messages]])


class StatusError(Exception):
    status_code = 400


@pytest.mark.parametrize(
    ("told", "cap"),
    [
        (about(max_completion_tokens=7), 7), (about(max_output_tokens=7), 7), (about(max_tokens=7), 7),
        (about(num_predict=7), 7), (about(max_new_tokens=7), 7), (about({"ls_max_tokens": 7}), 7),
        (about({"ls_max_tokens": 9}, max_tokens=7), 7), (about(max_tokens=None, max_output_tokens=7), 7),
        (about({"ls_max_tokens": 9}, generation_config={"max_output_tokens": 7}), 7),
        (about(generation_config="none"), 30), (about(max_tokens=0), 30), (about(max_tokens=-1), 30),
        (about(max_tokens="7"), 30), (about(max_tokens=1), 1), ({}, 30), (about(max_tokens=7, n=3), 21),
        (about(max_tokens=7, n="3"), 7), (about(max_tokens=7, n=None), 7), (about(max_tokens=7, n=0), 7),
    ],
)  # fmt: skip
def test_a_calls_worst_case_is_its_prompt_and_its_cap(told, cap):
    ledger = Ledger(Budget(tokens=10_000))
    meter = Meter(ledger=ledger, output_cap=30)
    assert list(meter.begin("call", PROMPT, told)) == []
    extra = most_tokens([], told.get("invocation_params", {})) if "generation_config" in str(told) else 0
    less = 10_000 - ledger.left.tokens - MOST
    assert less == cap if not extra else less > 1000 + cap


@pytest.mark.parametrize("name", ["tools", "functions", "response_format", "output_config", "text"])
def test_what_else_is_sent_is_part_of_the_worst_case(name):
    ledger = Ledger(Budget(tokens=10_000))
    begun(Meter(ledger=ledger), told=about(max_tokens=10, **{name: [{"schema": "x" * 300}]}))
    assert ledger.left.tokens < 10_000 - MOST - 10 - 300


def test_calls_without_a_bound_are_refused_unless_allowed():
    nameless, named = about(), about(model="m", max_tokens=10)
    for budget, told, words, limit in (
        (Budget(tokens=10_000), nameless, "model without a name has no output cap", "tokens"),
        (Budget(usd=1), about(model="m"), "model m has no output cap", "usd"),
        (Budget(usd=1), named, "the price of model m is not known", "usd"),
        (Budget(usd=1), about(max_tokens=1), "the price of model without a name is not known", "usd"),
    ):
        with pytest.raises(UnboundedCallError, match=words) as caught:
            list(Meter(ledger=Ledger(budget)).begin("call", PROMPT, told))
        assert caught.value.limit == limit
    begun(Meter(ledger=Ledger(Budget(calls=1))), told=nameless)
    begun(Meter(ledger=Ledger(Budget(usd=1, tokens=MOST, allow_unbounded=True))), told=nameless)


def test_money_is_set_aside_as_if_all_were_written_to_the_cache():
    ledger = Ledger(Budget(usd=10))
    claude = {"ls_provider": "anthropic", "ls_model_name": "claude-sonnet-4-5"}
    begun(Meter(ledger=ledger), told=about(claude, max_tokens=100))
    read, written = (MOST * Decimal(price) + 100 * 15 for price in ("3", "3.75"))
    assert 10 - ledger.left.usd == written / 10**6 > read / 10**6


def test_a_call_is_admitted_once_and_counted_as_it_was():
    ledger = Ledger(Budget(tokens=10_000, calls=5))
    meter = Meter(ledger=ledger)
    begun(meter)
    begun(meter)  # the other door
    assert ledger.left == BudgetLeft(tokens=10_000 - MOST - 10, calls=4)
    meter.end("call", answered(AIMessage("a", usage_metadata=tokens_of(20, 4))))
    assert ledger.left == BudgetLeft(tokens=10_000 - 24, calls=4)
    assert (meter.usage.calls, meter.usage.total_tokens, meter.unmetered) == (1, 24, 0)
    begun(meter, told=about({"ls_model_name": "m"}, max_tokens=10))
    meter.end("call", answered(AIMessage("a")))  # it says nothing of tokens
    assert ledger.left == BudgetLeft(tokens=10_000 - 24 - MOST - 10, calls=3)
    assert meter.unmetered == 1
    assert [record["model"] for record in meter.records] == ["", "m"]
    assert meter.records[0]["usage"] == Usage(1, 20, 4, unpriced_calls=1).to_json()
    meter.end("unseen", answered())  # one that began before: it counts, nothing was set aside
    assert meter.usage.calls == 3
    assert meter.records[2] == {"model": "", "seconds": 0.0, "usage": Usage(1, unpriced_calls=1).to_json()}
    assert ledger.left.calls == 3


def test_a_record_tells_how_long_the_call_took_and_not_how_long_it_waited():
    ledger = Ledger(Budget(calls=1))
    first = Reservation()
    ledger.admit(first)
    meter = Meter(ledger=ledger)
    waiting = meter.begin("call", PROMPT, about(max_tokens=10))
    assert isinstance(next(waiting), Wait)
    time.sleep(0.3)
    assert 0.3 <= meter.waited < 5
    ledger.settle(first, Usage())
    assert list(waiting) == []
    waited = meter.waited
    assert 0.3 <= waited < 5
    time.sleep(0.05)
    assert meter.waited == waited
    meter.end("call", answered(AIMessage("a")))
    assert 0.05 <= meter.records[0]["seconds"] < 0.3
    assert meter.waited == waited


def test_several_answers_to_a_call_are_paid_once():
    meter = Meter()
    begun(meter)
    whole = tokens_of(20, 8)
    meter.end(
        "call",
        answered(
            AIMessage("a"), AIMessage("b", usage_metadata=whole), AIMessage("c", usage_metadata=whole)
        ),
    )
    assert meter.usage == Usage(calls=1, input_tokens=20, output_tokens=8, unpriced_calls=1)


@pytest.mark.parametrize(
    ("asked", "prices", "metadata", "details", "usd"),
    [
        ("m", {"m": (1, 2)}, {"model_name": "m-2026"}, {}, "5000"),  # what was asked for has a price
        ("m", {"m-2026": (1, 2)}, {"model_name": "m-2026"}, {}, "5000"),
        ("m", {"m": (1, 2), "m-2026": (9, 9)}, {"model_name": "m-2026"}, {}, "5000"),
        ("m", {"x": (1, 2)}, {"model_name": "m-2026"}, {}, None),
        ("m", {"": (1, 2)}, {}, {}, "5000"),
        ("m", {"": (1, 2)}, {"cost": 0.25}, {}, "250000"),
        ("m", {"": (1, 2)}, {"response_cost": "0.5"}, {}, "500000"),
        ("m", {}, {}, {"total_cost": 0}, "0"),
    ],
)  # fmt: skip
def test_what_an_answer_costs(asked, prices, metadata, details, usd):
    table = {name: Price(*map(Decimal, price)) for name, price in prices.items()}
    meter = Meter(prices=table)
    begun(meter, told=about({"ls_model_name": asked}))
    message = AIMessage("a", response_metadata=metadata, usage_metadata=tokens_of(1000, 2000, **details))
    meter.end("call", answered(message))
    assert meter.usage.usd == (None if usd is None else Decimal(usd) / 10**6)
    assert meter.usage.unpriced_calls == (usd is None)


def test_a_price_is_told_without_tokens_too():
    meter = Meter()
    begun(meter)
    meter.end("call", answered(AIMessage("a", response_metadata={"cost": 0.25})))
    assert (meter.usage.usd, meter.usage.unpriced_calls, meter.unmetered) == (Decimal("0.25"), 0, 1)


def test_tokens_written_to_the_cache_cost_what_they_cost():
    meter = Meter()
    begun(meter, told=about({"ls_provider": "anthropic", "ls_model_name": "claude-sonnet-4-5"}))
    written = tokens_of(1000, 100, input_token_details={"cache_creation": 1000})
    meter.end("call", answered(AIMessage("a", usage_metadata=written)))
    assert meter.usage.usd == Decimal("0.00525")  # 1000 at $3.75 and 100 at $15 a million


@pytest.mark.parametrize(
    ("failure", "free"), [(StatusError(), True), (ConnectionRefusedError(), True), (TimeoutError(), False)]
)
def test_a_failed_call_is_free_only_where_the_provider_refused_it(failure, free):
    ledger, limiter = Ledger(Budget(tokens=10_000)), Limiter(tokens_per_minute=1000)
    meter = Meter(ledger=ledger, limiter=limiter)
    begun(meter)
    booked = limiter._tokens._bookings[0]
    meter.fail("call", failure)
    assert ledger.left.tokens == (10_000 if free else 10_000 - MOST - 10)
    assert booked.amount == (0 if free else 20)
    meter.fail("call", StatusError())  # told twice
    meter.fail("unseen", StatusError())
    assert meter.usage == Usage()


def test_a_refused_call_set_nothing_aside():
    ledger = Ledger(Budget(tokens=MOST + 9, calls=3))
    meter = Meter(ledger=ledger)
    for run_id in ("a", "b"):
        with pytest.raises(BudgetExceededError) as caught:
            begun(meter, run_id)
        meter.fail(run_id, caught.value)
    with pytest.raises(BudgetExceededError):
        begun(meter, "c")
    meter.close()
    assert ledger.left == BudgetLeft(tokens=MOST + 9, calls=3)


def test_a_call_given_up_while_it_waits_for_the_budget_is_free():
    ledger = Ledger(Budget(tokens=MOST + 20, calls=9))
    first = reservation(tokens=20)
    ledger.admit(first)
    meter = Meter(ledger=ledger)
    waiting = meter.begin("call", PROMPT, about(max_tokens=10))
    next(waiting)
    meter.fail("call", TimeoutError())
    ledger.settle(first, Usage())
    assert list(waiting) == []
    assert ledger.left == BudgetLeft(tokens=MOST + 20, calls=9)


@pytest.mark.parametrize("how", [asyncio.CancelledError, GeneratorExit])
def test_a_call_given_up_while_it_waits_for_a_limit_is_free(how):
    ledger, limiter = Ledger(Budget(tokens=10_000, calls=9)), Limiter(requests_per_minute=1)
    limiter.begin(0, 0)
    for budgeted in (ledger, None):
        waiting = Meter(ledger=budgeted, limiter=limiter).begin("call", PROMPT, about(max_tokens=10))
        assert 59 < next(waiting).seconds <= 60
        with pytest.raises(how):
            waiting.throw(how())
    assert ledger.left == BudgetLeft(tokens=10_000, calls=9)


def test_a_limiter_is_told_what_a_call_really_used():
    limiter = Limiter(tokens_per_minute=1000)
    meter = Meter(limiter=limiter)
    for told, amount in ((tokens_of(100, 50), 150), (None, 20)):
        begun(meter)
        booked = limiter._tokens._bookings[-1]
        assert booked.amount == 20  # a quarter of 40 characters, and the cap
        meter.end("call", answered(AIMessage("a", usage_metadata=told)))
        assert booked.amount == amount


def test_calls_in_flight_when_a_step_is_over_stay_booked():
    ledger = Ledger(Budget(tokens=MOST + 20))
    meter = Meter(ledger=ledger)
    begun(meter)
    meter.close()
    assert ledger.left.tokens == 10
    with pytest.raises(BudgetExceededError):  # nothing of it can come back any more
        ledger.admit(reservation(tokens=11))


def test_a_prompt_is_measured_only_where_that_matters():
    assert not Meter().guards
    assert not Meter(limiter=Limiter(max_concurrency=1)).guards
    assert Meter(limiter=Limiter(requests_per_minute=1)).guards
    assert Meter(ledger=Ledger(Budget(calls=1))).guards
    meter = Meter(max_input_tokens=10)
    assert meter.guards
    begun(meter)  # 40 characters
    with pytest.raises(ContextTooLongError, match="about 11 tokens and the model takes 10"):
        begun(meter, "longer", [HumanMessage("x" * 41)])
    meter.fail("longer", ContextTooLongError())


# ------------------------------------------------------------------ how a worker is called


def calls_of(worker, *results):
    """What a worker's logic asks for and how it ends; each call gives or raises one of `results`."""
    left, seen = list(results), []
    logic = answer(worker, lambda: Ask(worker, None, {}, None))

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
    failure, seen = calls_of(worker, *(ConnectionError(str(n)) for n in range(4)))
    assert (str(failure), len(seen)) == ("2", 5)
    failure, seen = calls_of(worker, ValueError("mine"))
    assert (str(failure), len(seen)) == ("mine", 1)
    graph = Worker("g", create_agent(ScriptedModel(), []), retries=2)
    failure, seen = calls_of(graph, ConnectionError("once"), "never")
    assert (str(failure), len(seen)) == ("once", 1)


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


def test_a_meter_comes_after_whoever_listens_already():
    mine = BaseCallbackHandler()
    for given in ({}, {"callbacks": None}, {"callbacks": []}):
        assert [type(h).__name__ for h in Meter().under(given)["callbacks"]] == ["Redactor", "_Door"]
    config = Meter(max_input_tokens=1).under({"tags": ["t"], "callbacks": [mine]})
    assert config["callbacks"][1] is mine
    assert [type(h).__name__ for h in config["callbacks"]][2:] == ["_Door", "_AsyncDoor"]
    assert config["tags"] == ["t"]
    inherited_too, local = BaseCallbackHandler(), BaseCallbackHandler()
    manager = CallbackManager([inherited_too, local], [inherited_too], tags=["m"])
    meter = Meter()
    config = meter.under({"tags": ["t"], "callbacks": manager})
    redactor, *heard, door = config["callbacks"].handlers
    assert heard == [inherited_too, local]
    assert config["callbacks"].inheritable_handlers == [redactor, inherited_too, door]
    assert meter.others == [redactor, inherited_too, local]
    assert (config["tags"], config["callbacks"].tags) == (["t"], ["m"])
    assert (manager.handlers, manager.inheritable_handlers) == ([inherited_too, local], [inherited_too])


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

    meter, hearing = Meter(), Heard()
    hanging = ScriptedModel(latency=30)

    async def cancelled():
        task = asyncio.create_task(meter.watch(hanging.ainvoke("x", meter.under({"callbacks": [hearing]}))))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert [(run_id, name) for run_id, _, name in hearing.failed] == [(hearing.began[0], "CancelledError")]


def test_only_our_own_refusals_are_kept_out_of_the_log():
    import logging

    def kept(*args):
        record = logging.LogRecord("x", logging.WARNING, "", 0, "Error in %s", args, None)
        return _not_ours(record)

    assert not kept("_Door", "on_chat_model_start")
    assert not kept("_AsyncDoor", "on_chat_model_start")
    assert kept("Tracer", "on_chat_model_start")
    assert kept()


def test_a_call_that_fails_while_it_waits_for_a_limit_had_booked_nothing():
    limiter = Limiter(tokens_per_minute=100)
    limiter.begin(100, 0)
    waiting = Meter(limiter=limiter)
    logic = waiting.begin("call", PROMPT, about(max_tokens=10))
    assert isinstance(next(logic), Wait)
    waiting.fail("call", StatusError())
    logic.close()
    assert [booked.amount for booked in limiter._tokens._bookings] == [100]


@pytest.mark.parametrize(
    ("told", "name"),
    [
        (about(model_name="m"), "m"), (about(model="m", model_name="x"), "m"), ({}, ""), (about(), ""),
        (about({"ls_model_name": "m"}, model="x", model_name="x"), "m"),
    ],
)  # fmt: skip
def test_a_call_is_recorded_under_the_name_it_was_asked_by(told, name):
    meter = Meter()
    begun(meter, told=told)
    meter.end("call", answered(AIMessage("a")))
    assert meter.records[0]["model"] == name


def test_of_a_call_without_a_cap_its_prompt_is_set_aside():
    ledger = Ledger(Budget(usd=1, tokens=10_000, allow_unbounded=True))
    begun(Meter(prices={"": Price(Decimal(1000), Decimal(1000))}, ledger=ledger), told=about())
    assert ledger.left == BudgetLeft(usd=1 - MOST * Decimal("0.001"), tokens=10_000 - MOST)


def test_a_worker_is_metered_by_its_own_settings():
    model = ScriptedModel(max_tokens=9)
    worker = Worker("w", model, price={"input": 1, "output": 2}, requests_per_minute=3, max_input_tokens=50)
    worker.secrets = ("its-key",)
    ledger = Ledger(Budget(calls=1))
    meter = meter_of(worker, ledger)
    assert (meter.prices, meter.ledger, meter.limiter) == (worker.prices, ledger, worker.limiter)
    assert (meter.max_input_tokens, meter.output_cap, meter.secrets) == (50, 9, ("its-key",))
