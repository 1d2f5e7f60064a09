"""What is kept of a run beside its answer: the sums of its rounds, its ledger, its options."""

from dataclasses import replace

import pytest

from langgraph_conductor import Budget, Usage, Workflow
from langgraph_conductor.budget import BudgetLeft, Ledger
from langgraph_conductor.errors import SavedRunError
from langgraph_conductor.graph.accounts import causes, ended_by_budget, usage_of
from langgraph_conductor.graph.kept import Kept
from langgraph_conductor.graph.ledgers import Ledgers, budget_of, check_format
from langgraph_conductor.graph.run_context import RunContext, current, handed_down, taken
from langgraph_conductor.options import Options
from tests.helpers import flow, thread


def usage(**parts):
    return Usage(**parts).to_json()


def call(worker="a", **parts):
    return {"worker": worker, "model": "m", "seconds": 1.0, "usage": usage(**parts)}


def step(index=0, worker="a", error=None, made=None, busy=0.0, started_at=0.0, seconds=1.0, **parts):
    made = [call(worker, **parts)] if made is None else made
    whole = sum((Usage.from_json(one["usage"]) for one in made), Usage(busy_seconds=busy))
    return {
        "index": index, "worker": worker, "answered_by": made[-1]["worker"] if made else worker,
        "error": error, "usage": whole.to_json(), "model_calls": made, "started_at": started_at, "seconds": seconds,
    }  # fmt: skip


def plan_of(error=None, seconds=0.0, **parts):
    return {"usage": usage(**parts), "error": error, "seconds": seconds}


def error(kind="ValueError", message="no"):
    return {"type": kind, "message": message, "infrastructure": False}


def config(**given):
    return {"configurable": {"conductor": given}}


REFUSAL = error("BudgetExceededError", "spent")
FELL_BACK = [call("b", calls=1, output_tokens=5), call("a", calls=1, output_tokens=15)]
ROUNDS = [
    {
        "round": 0, "plan": plan_of(seconds=1.0, calls=1, output_tokens=5), "wall_seconds": 4.0,
        "steps": [
            step(0, "a", calls=1, output_tokens=10, busy=0.5),
            step(1, "b", error=error(), made=FELL_BACK, busy=2.0),
        ],
    },
    {
        "round": 1, "plan": {**plan_of(REFUSAL, seconds=2.0), "refusal": REFUSAL}, "wall_seconds": 8.0,
        "steps": [step(0, "b", calls=4, output_tokens=40, busy=1.0)],
    },
]  # fmt: skip


def test_what_rounds_used():
    told = usage_of(iter(ROUNDS))

    def calls_and_tokens(part):
        return part["calls"], part["output_tokens"]

    assert calls_and_tokens(told["planner"]) == (1, 5)
    assert calls_and_tokens(told["workers"]) == (7, 70)
    assert calls_and_tokens(told["total"]) == (8, 75)
    assert {n: calls_and_tokens(u) for n, u in told["by_worker"].items()} == {"a": (2, 25), "b": (5, 45)}
    assert {n: u["busy_seconds"] for n, u in told["by_worker"].items()} == {"a": 2.5, "b": 1.0}
    assert [calls_and_tokens(part) for part in told["by_round"]] == [(4, 35), (4, 40)]
    assert told["wall_seconds"] == 15.0


def test_why_rounds_failed():
    assert causes(ROUNDS) == [
        "round 0, step 1 (b): ValueError: no",
        "round 1, planner: BudgetExceededError: spent",
    ]


def test_the_budget_ended_a_run_where_a_part_of_it_tells_so():
    told = error("BudgetExceededError", "in a step")
    swallowed = {**ROUNDS[0], "steps": [step(), {**step(1), "refusal": told}]}
    unbounded = {**ROUNDS[0], "steps": [step(error=error("UnboundedCallError"))]}
    assert ended_by_budget(ROUNDS) == REFUSAL
    assert ended_by_budget([swallowed, ROUNDS[1]]) == told  # the first
    assert ended_by_budget(iter([ROUNDS[0], unbounded])) is None


def test_a_ledger_is_rebuilt_from_the_records():
    ledgers, budget = Ledgers(), Budget(tokens=100, calls=20, seconds=60)
    run = Ledgers.new_run(budget)
    steps = [
        step(started_at=100.0, seconds=4.0, calls=1, output_tokens=1),
        step(started_at=101.0, seconds=1.0),  # beside the first
        step(started_at=103.0, seconds=3.0),  # two seconds more
        step(started_at=110.0, seconds=0.5),
    ]
    spent = [call(calls=2, output_tokens=3), call(calls=1, output_tokens=4)]
    ledger = ledgers.of(run, budget, iter(ROUNDS), plan_of(calls=1, seconds=0.25), iter(steps), iter(spent))
    # Tokens: 75, 1 and 7. Calls: 8, 1, 1 and 3. Seconds: plans 3.25, steps 1 of the rounds and 6.5.
    assert ledger.left == BudgetLeft(tokens=17, calls=7, seconds=60 - 3.25 - 1.0 - 6.5)
    assert ledgers.of(run, budget) is ledger  # it lives: nothing is booked twice
    assert ledgers.of(run, budget, ROUNDS) is ledger
    more = ledgers.of(run, Budget(tokens=200))
    assert more.left == BudgetLeft(tokens=117)
    assert ledgers.of(run, Budget(tokens=200)) is more
    ledgers.close(run)
    ledgers.close(run)
    ledgers.close(None)
    assert ledgers.of(run, budget).left == BudgetLeft(tokens=100, calls=20, seconds=60.0)


def test_ledgers_are_kept_only_so_long():
    ledgers, budget = Ledgers(size=2), Budget(calls=1)
    runs = [Ledgers.new_run(budget) for _ in range(3)]
    assert len({run["id"] for run in runs}) == 3
    kept = [ledgers.of(run, budget) for run in runs]
    assert [ledgers.of(run, budget) for run in (runs[2], runs[1])] == [kept[2], kept[1]]
    assert ledgers.of(runs[0], budget) is not kept[0]
    assert ledgers.of(runs[1], budget) is kept[1]  # the one that was asked for last stays
    assert ledgers.of(runs[2], budget) is not kept[2]
    assert ledgers.of(runs[0], None) is None
    assert ledgers.of(None, budget) is None


def test_a_run_keeps_the_budget_it_began_with_unless_this_call_says_a_lower_one():
    options, run = Options(budget=Budget(calls=1)), Ledgers.new_run(Budget(calls=2))
    for silent in (None, {}, {"configurable": None}, config(max_rounds=2), thread()):
        assert budget_of(run, Options(), silent) == Budget(calls=2)
        assert budget_of(None, options, silent) == Budget(calls=1)
        assert budget_of(Ledgers.new_run(None), Options(), silent) is None
        # A conductor that was built anew may have less, and what is stored may be another's word.
        for stored in (run, Ledgers.new_run(None)):
            assert budget_of(stored, options, silent) == Budget(calls=1)
    for before, options, calls in ((run, Options(), 2), (None, options, 1)):  # noqa: B020
        assert budget_of(before, options, config(budget=None)) == Budget(calls=calls)
        assert budget_of(before, options, config(budget={"tokens": 3})) == Budget(calls=calls, tokens=3)
        assert budget_of(before, options, config(budget={"calls": 1})) == Budget(calls=1)
        with pytest.raises(ValueError, match="only be lowered"):
            budget_of(before, options, config(budget={"calls": 3}))
    assert budget_of(Ledgers.new_run(None), Options(), config(budget={"calls": 3})) == Budget(calls=3)


def test_what_was_kept_tells_how_often_a_process_ended_in_the_middle():
    begun, left = {"begun": 1.0}, {"calls": [call(calls=1)], "tools": []}
    assert Kept.of([]) == Kept()
    assert Kept.of([begun]) == Kept(cut=1)
    assert Kept.of([begun, left]) == Kept((call(calls=1),))
    assert Kept.of([left, begun, begun, left]) == Kept((call(calls=1),) * 2)
    assert Kept.of([begun, begun, left, begun]) == Kept((call(calls=1),), cut=2)


def test_options_are_laid_over_others():
    base = Options(max_steps=3, exclude=("x",))
    for nothing in (None, {}, {"configurable": None}, {"configurable": {"thread_id": "t"}}):
        assert base.over(nothing) == base
    assert base.over(config()) == base
    changed = base.over(
        config(max_rounds=2, workers=["a", "b"], sample=[1, 7], budget={"calls": 4}, permute=3)
    )
    assert replace(changed, within=()) == Options(3, 2, Budget(calls=4), ("a", "b"), (), (1, 7), 3)
    assert [choice.exclude for choice in changed.within] == [("x",)]  # it lies under what the call chose
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


def test_a_step_takes_what_was_handed_down_and_a_worker_finds_nothing():
    handed = RunContext([{"type": "text", "text": "?"}], ledger=Ledger(Budget(calls=1)), kept={1: Kept()})
    with handed_down(handed):
        with taken() as found:
            assert found is handed
            assert current() == RunContext()
        assert current() is handed
    assert current() == RunContext()


def test_what_is_handed_down_ends_with_an_error_or_a_closed_generator():
    def parts():
        with handed_down(RunContext(kept={})):
            yield current()

    with pytest.raises(KeyError), handed_down(RunContext(kept={})):
        raise KeyError
    begun = parts()
    assert next(begun).kept == {}
    begun.close()
    assert current() == RunContext()


def test_a_run_of_another_format_is_refused():
    check_format(None)
    check_format({})
    check_format(Ledgers.new_run(None))
    for stored in ({"id": "x", "budget": None, "earlier": 0}, {"format": 3, "id": "x"}):
        with pytest.raises(
            SavedRunError, match=r"begun by an earlier version.*a new message on this thread"
        ):
            check_format(stored)
