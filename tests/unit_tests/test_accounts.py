"""The sums behind a run, each alone: ledgers, windows, meters, prices, records of rounds."""

import asyncio
import threading
import time
from decimal import Decimal

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from langgraph_conductor import Budget, BudgetExceededError, Usage
from langgraph_conductor.budget import BudgetLeft, Ledger, Reservation
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
from langgraph_conductor.graph.ledgers import Ledgers, ledger_in, with_ledger
from langgraph_conductor.options import Options
from langgraph_conductor.workers import Limiter
from langgraph_conductor.workers.counting import likely_tokens, most_tokens
from langgraph_conductor.workers.limits import Slots, Window
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
    ledger.settle(second, used(tokens=5))  # told twice, booked once
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
    import contextvars

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
    config = with_ledger({"tags": ["t"], "configurable": {"thread_id": "x"}}, ledger)
    assert ledger_in(config) is ledger
    assert config["configurable"]["thread_id"] == "x"
    assert config["tags"] == ["t"]
    assert ledger_in(with_ledger(config, None)) is None
    assert ledger_in({}) is None
    assert ledger_in(with_ledger({}, ledger)) is ledger


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

    with pytest.raises(KeyboardInterrupt):
        drive(logic(), broken)
    assert closed == [1]

    async def cancelled(asked):
        raise asyncio.CancelledError

    async def main():
        with pytest.raises(asyncio.CancelledError):
            await adrive(logic(), cancelled)

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


async def as_coroutine(call):
    return await call()


def test_a_call_is_not_made_when_its_time_is_over():
    made = []

    async def call():
        made.append(1)

    for seconds in (0.0, -1.0):
        with pytest.raises(LateError):
            timed(lambda: seconds, lambda: made.append(1))
        with pytest.raises(LateError):
            asyncio.run(as_coroutine(lambda: atimed(lambda: seconds, call)))
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

    assert timed(grants(1, 0.02, 0.02, 5), lambda: time.sleep(0.1) or "there") == "there"
    assert asyncio.run(as_coroutine(lambda: atimed(grants(1, 0.02, 0.02, 5), short))) == "there"
    began = time.monotonic()
    with pytest.raises(LateError):
        timed(grants(1, 0.02, 0.02, 0), lambda: time.sleep(0.3))
    with pytest.raises(LateError):
        asyncio.run(as_coroutine(lambda: atimed(grants(1, 0.02, 0.02, 0), long)))
    assert time.monotonic() - began < 0.3


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
