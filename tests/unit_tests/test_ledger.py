"""The sums of one budget: what is set aside, what is booked, and what is refused."""

from decimal import Decimal

import pytest

from langgraph_conductor import Budget, BudgetExceededError, Usage
from langgraph_conductor.budget import BudgetLeft, Ledger, Reservation


def reservation(usd=None, tokens=0, owner=""):
    return Reservation(tokens=tokens, usd=None if usd is None else Decimal(usd), owner=owner)


def used(usd=None, tokens=0, calls=1):
    return Usage(calls=calls, output_tokens=tokens, usd=None if usd is None else Decimal(usd))


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
    over, running = reservation(usd=6, owner="a"), reservation(usd=2, owner="b")
    ledger.admit(over)
    ledger.settle(over, None)
    ledger.admit(running)
    assert ledger.admit(reservation(usd=4, owner="c")) is not None  # `running` may turn out cheaper
    with pytest.raises(BudgetExceededError, match=r"\$2 left"):
        ledger.admit(reservation(usd=5, owner="c"))  # even if it took nothing


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
    ledger.admit(reservation(usd=8, owner="a"))
    waiting, given_up = (ledger.admit(reservation(usd=8, owner=name)) for name in "bc")
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


def test_the_same_accounts_under_another_budget():
    now = [0.0]
    ledger = Ledger(Budget(usd=10, tokens=100, calls=9, seconds=9), clock=lambda: now[0], seconds=4.0)
    over, running = reservation(usd=4, tokens=40, owner="a"), reservation(usd=2, tokens=20, owner="a")
    ledger.admit(over)
    ledger.settle(over, used(usd=1, tokens=10))
    ledger.admit(running)
    ledger.change(Budget(usd=20, tokens=200, calls=19, seconds=19))
    more = ledger
    assert more.left == BudgetLeft(usd=Decimal(17), tokens=170, calls=17, seconds=15.0)
    more.settle(running, used(usd=1, tokens=5))  # it ends under the new one
    assert more.left == BudgetLeft(usd=Decimal(18), tokens=185, calls=17, seconds=15.0)
    more.start_work()
    now[0] = 2.0
    assert more.left.seconds == 13.0


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
