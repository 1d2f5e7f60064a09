"""Budgets: no call is made whose worst case does not fit, and the run ends with what it has."""

import asyncio
import itertools
import threading
import time
from decimal import Decimal

import pytest
from langchain.agents import create_agent
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt

from langgraph_conductor import Budget, BudgetExceededError, ChatPlanner, Usage, Worker, create_conductor
from langgraph_conductor.budget import Ledger, Reservation
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import plan_text
from tests.helpers import PRICE, Tooled, ask, beside, called, chain, chat, flow, thread, tool_call

NUMBERS = itertools.count()


def test_calls_are_counted_planner_included(run):
    planner = chat(plan_text(("a", "x", []), ("a", "y", [0]), ("a", "z", [1])), max_tokens=100)
    worker = chat("first", "second", "third")
    conductor = create_conductor(
        ChatPlanner(planner, structured=False), [Worker("a", worker)], budget=Budget(calls=3)
    )
    result = run(conductor, ask())
    assert called(planner, worker) == 3
    assert result["answer"] == "second"
    assert "3 calls" in result["stopped"]
    assert result["messages"][-1].response_metadata["conductor"]["stopped"] == result["stopped"]
    steps = result["rounds"][0]["steps"]
    assert [s["status"] for s in steps] == ["ok", "ok", "failed"]
    assert steps[2]["error"]["limit"] == "calls"
    assert steps[2]["error"]["infrastructure"] is False
    assert result["usage"]["total"]["calls"] == 3


def test_a_refusal_is_told_in_the_record_and_not_in_the_log(run, caplog):
    conductor = create_conductor(chain("a", "a"), [Worker("a", chat())], budget=Budget(calls=1))
    assert run(conductor, ask())["stopped"]
    assert caplog.records == []


def test_within_the_budget_nothing_is_stopped(run):
    conductor = create_conductor(chain("a", "a"), [Worker("a", chat())], budget={"calls": 2, "seconds": 60})
    result = run(conductor, ask())
    assert result["stopped"] == ""
    assert result["rounds"][0]["steps"][1]["status"] == "ok"


def test_money_is_set_aside_by_the_output_cap(run):
    worker = chat("one two", max_tokens=10)
    conductor = create_conductor(
        chain("a", "a", "a"), [Worker("a", worker, price=PRICE)], budget=Budget(usd="13")
    )
    result = run(conductor, ask())
    # 2 of 13 dollars are used; the next call may use 10, the one after it 10 of the 9 that are left.
    assert called(worker) == 2
    assert result["stopped"].startswith("the budget of $13 ends here")
    assert "max_tokens" in result["stopped"]
    assert Decimal(result["usage"]["total"]["usd"]) < 5


def test_tokens_are_bounded_by_bytes_and_cap(run):
    worker = chat("one two", max_tokens=500)
    conductor = create_conductor(chain("a"), [Worker("a", worker)], budget=Budget(tokens=600))
    with pytest.raises(BudgetExceededError, match="no worker gave an answer within the budget") as caught:
        run(conductor, ask("x" * 600))
    assert called(worker) == 0
    assert caught.value.limit == "tokens"
    assert "step 0 (a)" in caught.value.causes[0]


def test_siblings_wait_for_what_may_be_freed(run):
    # Each may use 10 dollars but uses 1: all five fit one after the other, only one at a time.
    workers = [Worker(n, chat("word", latency=0.03), price=PRICE) for n in "abcde"]
    conductor = create_conductor(beside(*"abcde"), workers, budget=Budget(usd=15))
    result = run(conductor, ask())
    assert result["stopped"] == ""
    steps = result["rounds"][0]["steps"]
    assert [s["status"] for s in steps] == ["ok"] * 5
    assert Decimal(result["usage"]["total"]["usd"]) < 6


def test_siblings_never_overrun_together(run):
    workers = [Worker(n, chat("one " * 10, latency=0.02), price=PRICE) for n in "abcde"]
    result = run(create_conductor(beside(*"abcde"), workers, budget=Budget(usd=25)), ask())
    assert sorted(s["status"] for s in result["rounds"][0]["steps"]) == ["failed"] * 3 + ["ok"] * 2
    assert Decimal(result["usage"]["total"]["usd"]) <= 25
    assert result["stopped"]


def test_calls_inside_agents_count(run):
    looked = []

    def look() -> str:
        """Look it up."""
        looked.append(1)
        return "nothing yet"

    model = Tooled(replies=[*(tool_call(i) for i in range(9)), "done"], max_tokens=10)
    pool = [Worker("first", lambda t: "from first"), Worker("agent", create_agent(model, [look]))]
    result = run(create_conductor(chain("first", "agent"), pool, budget=Budget(calls=4)), ask())
    assert called(model) == 4
    assert len(looked) == 4
    assert result["answer"] == "from first"
    assert "4 calls" in result["stopped"]
    assert result["usage"]["workers"]["calls"] == 4


def test_a_blocking_call_inside_an_awaited_run_is_refused_too(run):
    model = chat()

    def inner(task):
        return model.invoke("a").text + model.invoke("b").text

    with pytest.raises(BudgetExceededError):
        run(create_conductor(chain("f"), [Worker("f", inner)], budget=Budget(calls=1)), ask())
    assert called(model) == 1


def test_a_blocking_call_on_the_running_loop_is_refused_too():
    model = chat()

    async def inner(task):
        return model.invoke("a").text + model.invoke("b").text

    conductor = create_conductor(chain("f"), [Worker("f", inner)], budget=Budget(calls=1))
    with pytest.raises(BudgetExceededError):
        asyncio.run(conductor.ainvoke(ask()))
    assert called(model) == 1


def test_a_nested_conductor_spends_the_outer_budget(run):
    model = chat("inner")
    nested = create_conductor(chain("a", "a", "a"), [Worker("a", model)])
    outer = create_conductor(
        chain("f", "nested"), [Worker("f", lambda t: "f"), Worker("nested", nested)], budget=Budget(calls=2)
    )
    result = run(outer, ask())
    assert called(model) == 2
    # The nested run ends with what it has, and the outer goes on with that.
    assert result["answer"] == "inner"


def test_the_rounds_end_with_the_budget(run):
    planner = chat(plan_text(("a", "x", [])), max_tokens=100)
    worker = chat("good enough")
    conductor = create_conductor(
        ChatPlanner(planner, structured=False), [Worker("a", worker)], max_rounds=5, budget=Budget(calls=2)
    )
    result = run(conductor, ask())
    assert called(planner, worker) == 2
    assert result["answer"] == "good enough"
    assert [r["accepted"] for r in result["rounds"]] == [False, True]
    assert result["rounds"][1]["plan"]["error"]["limit"] == "calls"


def test_the_planner_is_told_what_is_left(run):
    planner = chat(plan_text(("a", "x", [])), max_tokens=100)
    conductor = create_conductor(
        ChatPlanner(planner, structured=False, price=PRICE),
        [Worker("a", chat("word"), price=PRICE)],
        max_rounds=2,
        budget=Budget(usd=1000, calls=7),
    )
    run(conductor, ask())
    first, second = planner.prompts
    assert "may still use, this plan included: $1000, 7 calls" in first
    assert "5 calls" in second
    unlimited = chat(plan_text(("a", "x", [])))
    run(create_conductor(ChatPlanner(unlimited, structured=False), [Worker("a", chat())]), ask())
    assert "may still use" not in unlimited.prompts[0]


def test_seconds_cut_off_what_runs(run):
    over = threading.Event()

    def slow(task):
        over.wait(60)
        return "late"

    workers = [Worker("quick", lambda t: "quick"), Worker("slow", slow), Worker("after", lambda t: "after")]
    result = run(
        create_conductor(chain("quick", "slow", "after"), workers, budget=Budget(seconds=1.5)), ask()
    )
    over.set()
    assert result["answer"] == "quick"
    assert "1.5 seconds" in result["stopped"]
    assert [s["status"] for s in result["rounds"][0]["steps"]] == ["ok", "failed", "failed"]


def test_seconds_stand_while_a_person_is_asked(run):
    def person(task):
        return interrupt("Which?")

    conductor = create_conductor(
        chain("person", "b"),
        [Worker("person", person), Worker("b", chat("done"))],
        budget=Budget(seconds=0.5),
        checkpointer=InMemorySaver(),
    )
    run(conductor, ask(), thread())
    time.sleep(0.6)
    result = run(conductor, Command(resume="this"), thread())
    assert result["answer"] == "done"
    assert result["stopped"] == ""


def test_another_process_goes_on_with_what_is_left(run):
    saver = InMemorySaver()
    model = chat("paid")

    def conductor():
        def person(task):
            return interrupt("Go on?")

        flows = fixed.workflow(
            flow(("a", "x", []), ("a", "y", [0]), ("p", "z", [1]), ("a", "last", [2]), ("a", "more", [3]))
        )
        pool = [Worker("a", model), Worker("p", person)]
        return create_conductor(flows, pool, budget=Budget(calls=3), checkpointer=saver)

    run(conductor(), ask(), thread())
    assert called(model) == 2
    result = run(conductor(), Command(resume="yes"), thread())  # this one has no ledger of the run
    assert called(model) == 3
    assert "3 calls" in result["stopped"]
    assert result["rounds"][0]["steps"][3]["status"] == "ok"


def test_models_without_bounds_are_refused_when_built():
    capless, unpriced = chat(max_tokens=None), chat()
    with pytest.raises(ValueError, match=r"worker 'a' has no output cap.*max_tokens"):
        create_conductor(chain("a"), [Worker("a", capless, price=PRICE)], budget=Budget(usd=1))
    with pytest.raises(ValueError, match="worker 'a' has no output cap"):
        create_conductor(chain("a"), [Worker("a", capless)], budget=Budget(tokens=100))
    with pytest.raises(ValueError, match="worker 'a' has no known price"):
        create_conductor(chain("a"), [Worker("a", unpriced)], budget=Budget(usd=1))
    with pytest.raises(ValueError, match="the planner has no known price"):
        create_conductor(
            ChatPlanner(chat(), structured=False), [Worker("a", chat(), price=PRICE)], budget=Budget(usd=1)
        )
    create_conductor(chain("a"), [Worker("a", capless)], budget=Budget(calls=1, seconds=5))
    create_conductor(chain("a"), [Worker("a", capless)], budget=Budget(usd=1, allow_unbounded=True))


def test_models_without_bounds_inside_graphs_are_refused_when_called(run):
    model = chat(max_tokens=None)
    pool = [Worker("f", lambda t: "f"), Worker("agent", create_agent(model, [])), Worker("b", chat("b"))]
    conductor = create_conductor(chain("f", "agent", "b"), pool, budget=Budget(tokens=10_000))
    result = run(conductor, ask())
    assert called(model) == 0
    error = result["rounds"][0]["steps"][1]["error"]
    assert error["type"] == "UnboundedCallError"
    assert "max_tokens" in error["message"]
    assert result["answer"] == "b"  # the others go on
    assert result["stopped"] == ""


def test_a_budget_for_one_run(run):
    model = chat()
    conductor = create_conductor(chain("a", "a"), [Worker("a", model)])
    result = run(conductor, ask(), {"configurable": {"conductor": {"budget": {"calls": 1}}}})
    assert called(model) == 1
    assert result["stopped"]
    assert run(conductor, ask())["stopped"] == ""
    with pytest.raises(ValueError, match="no known price"):
        run(conductor, ask(), {"configurable": {"conductor": {"budget": {"usd": 1}}}})


def test_two_runs_have_two_budgets(run):
    model = chat()
    conductor = create_conductor(
        chain("a"), [Worker("a", model)], budget=Budget(calls=1), checkpointer=InMemorySaver()
    )
    for name in ("one", "one", "two"):
        assert run(conductor, ask(), thread(name))["stopped"] == ""


@pytest.mark.parametrize(
    "wrong",
    [{}, {"usd": 0}, {"usd": "much"}, {"usd": True}, {"tokens": 1.5}, {"calls": 0}, {"seconds": -1},
     {"seconds": "1"}, {"dollars": 1}, {"calls": 1, "allow_unbounded": 1}, "1"],
)  # fmt: skip
def test_wrong_budgets_are_refused(wrong):
    with pytest.raises(ValueError, match="budget"):
        Budget.of(wrong)


def test_money_is_exact():
    assert Budget(usd=0.1).usd == Decimal("0.1")
    assert str(Budget(usd="0.50", calls=1)) == "$0.5, 1 call"


# ------------------------------------------------------------------ the ledger alone


def reservation(usd=0, tokens=0, owner=None):
    owner = owner or f"step:{next(NUMBERS)}"
    return Reservation(tokens=tokens, usd=Decimal(usd), owner=owner)


def used(usd=0, tokens=0):
    return Usage(calls=1, output_tokens=tokens, usd=Decimal(usd))


def test_what_is_not_known_stays_booked():
    ledger = Ledger(Budget(usd=10, tokens=100))
    first = reservation(usd=6, tokens=60)
    assert ledger.admit(first) is None
    ledger.settle(first, None)  # broken off: it may have been billed
    assert ledger.left.usd == 4
    second = reservation(usd=4, tokens=40)
    assert ledger.admit(second) is None
    ledger.settle(second, Usage(calls=1, unpriced_calls=1))  # neither tokens nor price were told
    assert (ledger.left.usd, ledger.left.tokens) == (0, 0)
    with pytest.raises(BudgetExceededError):
        ledger.admit(reservation(usd="0.01"))


def test_a_refused_call_frees_all_it_set_aside():
    ledger = Ledger(Budget(usd=10, calls=1))
    first = reservation(usd=10)
    ledger.admit(first)
    ledger.settle(first, Usage())
    assert (ledger.left.usd, ledger.left.calls) == (10, 1)


def test_waiting_ends_when_something_is_freed_and_refusal_is_final():
    ledger = Ledger(Budget(usd=10))
    first, second = reservation(usd=8), reservation(usd=5)
    assert ledger.admit(first) is None
    waiting = ledger.admit(second)
    assert not waiting.done()
    ledger.settle(first, used(usd=6))
    assert waiting.done()
    with pytest.raises(BudgetExceededError, match=r"\$4 left, the next call may need \$5"):
        ledger.admit(second)
    with pytest.raises(BudgetExceededError):
        ledger.admit(reservation(usd=1))  # it would fit, but the run is over


@pytest.mark.parametrize(
    ("running", "asking", "waits"),
    [("a", "b", True), ("a|x", "a|y", True), ("a|x", "a", True), ("a", "a", False), ("a", "a|x", False),
     ("a", "ab", True), ("", "a", False), ("a", "", True)],
)  # fmt: skip
def test_a_call_does_not_wait_for_one_that_may_wait_for_it(running, asking, waits):
    ledger = Ledger(Budget(calls=1))
    ledger.admit(Reservation(owner=running))
    if waits:
        assert not ledger.admit(Reservation(owner=asking)).done()
    else:
        with pytest.raises(BudgetExceededError):
            ledger.admit(Reservation(owner=asking))


def test_more_budget_keeps_the_accounts():
    ledger = Ledger(Budget(calls=1))
    ledger.admit(first := reservation())
    ledger.settle(first, used(tokens=7))
    with pytest.raises(BudgetExceededError):
        ledger.admit(reservation())
    ledger.change(Budget(calls=2, tokens=10))
    assert (ledger.left.calls, ledger.left.tokens) == (1, 3)
    assert ledger.admit(reservation()) is None


def test_more_budget_wakes_who_waits_and_so_does_a_refusal():
    ledger = Ledger(Budget(calls=1))
    ledger.admit(reservation())
    first = ledger.admit(reservation())
    ledger.change(Budget(calls=2))
    assert first.done()
    ledger = Ledger(Budget(usd=10))
    ledger.admit(reservation(usd=8))
    waiting = ledger.admit(reservation(usd=5))
    with pytest.raises(BudgetExceededError):
        ledger.admit(reservation(usd=11))
    assert waiting.done()


def test_two_calls_do_not_wait_for_each_others_parts():
    ledger = Ledger(Budget(calls=2))
    ledger.admit(Reservation(owner="a"))
    ledger.admit(Reservation(owner="b"))
    assert not ledger.admit(Reservation(owner="a|x")).done()  # it waits for b
    with pytest.raises(BudgetExceededError):  # nothing is left that this one and that one may wait for
        ledger.admit(Reservation(owner="b|x"))


def test_the_clock_runs_while_somebody_works():
    now = [0.0]
    ledger = Ledger(Budget(seconds=10), clock=lambda: now[0])
    ledger.start_work()
    now[0] = 3
    ledger.start_work()
    now[0] = 5
    ledger.stop_work()
    ledger.stop_work()
    now[0] = 100
    assert ledger.left.seconds == 5
    ledger.start_work()
    now[0] = 105
    with pytest.raises(BudgetExceededError, match=r"10\.0 seconds"):
        ledger.admit(reservation())


def test_threads_never_book_more_than_there_is():
    ledger = Ledger(Budget(usd=50))
    spent, lock = [], threading.Lock()

    def work(number):
        for i in range(20):
            mine = reservation(usd=3)
            try:
                while waiting := ledger.admit(mine):
                    waiting.result(5)
            except BudgetExceededError:
                return
            amount = (number * 7 + i) % 4
            with lock:
                spent.append(amount)
            ledger.settle(mine, used(usd=amount))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(20)
    assert not any(one.is_alive() for one in threads)
    assert 47 <= sum(spent) <= 50
