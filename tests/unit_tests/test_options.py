"""Options of one run: whom they bind, that they can only narrow, and that they hold till its end."""

import inspect
import itertools

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command, Send, interrupt
from typing_extensions import TypedDict

from langgraph_conductor import Budget, Worker, add_conductor, create_conductor
from langgraph_conductor.graph.added import steps_to_end
from langgraph_conductor.options import Default, Options
from langgraph_conductor.planners import fixed
from tests.helpers import Recorder, ScriptedPlanner, ask, chat, flow, thread

ONE = flow(("a", "x", []))


def options(**given):
    return {"configurable": {"conductor": given}}


def echo(*names):
    return [Worker(name, Recorder(name)) for name in names]


def added(planner, workers, **built):
    builder = StateGraph(MessagesState)
    add_conductor(builder, planner, workers, **built)
    builder.add_edge(START, "conductor")
    return builder.compile()


@pytest.fixture(params=[create_conductor, added])
def made(request):
    return request.param


def test_defaults_are_shown_as_numbers_and_known_as_defaults():
    for function in (create_conductor, add_conductor):
        signature = inspect.signature(function)
        assert "max_steps: int = 5, max_rounds: int = 1" in str(signature)
        assert isinstance(signature.parameters["max_rounds"].default, Default)


@pytest.mark.parametrize(
    ("built", "asked", "why"),
    [
        ({"max_rounds": 2}, {"max_rounds": 3}, "`max_rounds` can only be lowered: 2 is set, and 3"),
        ({"max_rounds": 1}, {"max_rounds": 2}, "`max_rounds` can only be lowered"),
        ({"max_steps": 5}, {"max_steps": 6}, "`max_steps` can only be lowered"),
        ({"budget": {"calls": 2}}, {"budget": {"calls": 3}}, "budget can only be lowered"),
        ({"budget": {"calls": 2}}, {"budget": {"calls": 2, "allow_unbounded": True}}, "allow_unbounded"),
        ({"budget": {"calls": 2}}, {"budget": {"allow_unbounded": True}}, "allow_unbounded"),
        ({"budget": {"seconds": 9}}, {"budget": Budget(seconds=10)}, "budget can only be lowered"),
        ({}, {"rounds": []}, "may hold"),
        ({}, {"name": "x"}, "may hold"),
        ({}, {"within": ["a"]}, "may hold"),
        ({}, {"by_name": {"other": {}}}, "no such conductors"),
        ({}, {"by_name": ["conductor"]}, "by the name of a conductor"),
        ({}, {"by_name": {"conductor": {"by_name": {}}}}, "may hold"),
        ({}, {"exclude": ["nobody"]}, "nobody"),
        ({}, {"workers": ["nobody"]}, "nobody"),
        ({}, {"sample": [9, 0]}, "cannot draw 9"),
        ({}, {"budget": "much"}, "a budget holds"),
        ({"budget": {"calls": 2}}, {"budget": "much"}, "a budget holds"),
        ({"budget": {"calls": 2}}, {"budget": {"calls": []}}, "calls must be"),
        ({}, {"max_rounds": "2"}, "whole number"),
        ({}, {"workers": 5}, "`workers` is a list"),
        ({}, [1], "may hold"),
        ({}, "max_rounds", "may hold"),
    ],
)
def test_asking_for_more_is_refused_before_anything_is_paid(made, built, asked, why, run):
    planner = ScriptedPlanner(ONE)
    conductor = made(planner, echo("a", "b"), **built)
    with pytest.raises(ValueError, match=why):
        run(conductor, ask(), {"configurable": {"conductor": asked}})
    assert planner.requests == []


def test_what_was_left_at_its_default_may_be_chosen(made, run):
    planner = ScriptedPlanner(ONE)
    conductor = made(planner, echo("a"))
    run(conductor, ask(), options(max_rounds=3, max_steps=9, budget={"calls": 7}))
    assert [r.max_steps for r in planner.requests] == [9, 9, 9]
    assert planner.requests[0].budget.calls == 7


def test_each_limit_of_a_budget_is_lowered_alone():
    budget = Budget(usd="2", calls=5, allow_unbounded=True)
    assert budget.narrowed({"calls": 3}) == Budget(usd="2", calls=3, allow_unbounded=True)
    assert budget.narrowed(Budget(tokens=9)) == Budget(usd="2", calls=5, tokens=9, allow_unbounded=True)
    assert budget.narrowed({"usd": "0.5", "allow_unbounded": False}) == Budget(usd="0.5", calls=5)
    assert budget.narrowed(None) == budget.narrowed({}) == budget.narrowed({"usd": None}) == budget


def test_an_empty_budget_of_a_call_lifts_nothing(made, run):
    model = chat()
    conductor = made(
        fixed.workflow(flow(("a", "x", []), ("a", "y", []))), [Worker("a", model)], budget={"calls": 1}
    )
    run(conductor, ask(), options(budget=None))
    assert len(model.calls) == 1


def asks_first(planner, **built):
    pool = [Worker("p", lambda task: interrupt("?")), *echo("a", "b")]
    return create_conductor(planner, pool, checkpointer=InMemorySaver(), **built)


def test_a_run_keeps_what_its_call_chose(run):
    planner = ScriptedPlanner(flow(("p", "?", [])), ONE)
    conductor = asks_first(planner)
    run(conductor, ask(), thread(max_rounds=3, max_steps=2, exclude=["b"]))
    result = run(conductor, Command(resume="yes"), thread())
    assert len(result["rounds"]) == 3
    assert [(r.max_steps, r.pool.names) for r in planner.requests] == [(2, ("p", "a"))] * 3


def test_a_run_that_is_resumed_can_only_be_narrowed(run):
    for name, more in (
        ("one", {"max_rounds": 4}),
        ("two", {"max_steps": 6}),
        ("three", {"budget": {"calls": 9}}),
    ):
        planner = ScriptedPlanner(flow(("p", "?", [])), ONE)
        conductor = asks_first(planner)
        run(
            conductor,
            ask(),
            thread(name, max_rounds=3, max_steps=4, budget={"calls": 8}, workers=["p", "a"]),
        )
        with pytest.raises(ValueError, match="only be lowered"):
            run(conductor, Command(resume="yes"), thread(name, **more))
    fewer = thread("three", max_rounds=2, workers=["p", "a", "b"], exclude=["b"])
    assert len(run(conductor, Command(resume="yes"), fewer)["rounds"]) == 2
    assert planner.requests[-1].pool.names == ("p", "a")


def test_the_same_options_may_come_with_every_call(run):
    planner = ScriptedPlanner(flow(("p", "?", [])), ONE)
    conductor = asks_first(planner)
    same = thread(max_rounds=2, exclude=["b"], sample=[2, 1], budget={"calls": 5})
    run(conductor, ask(), same)
    assert len(run(conductor, Command(resume="yes"), same)["rounds"]) == 2


# --- several conductors ---------------------------------------------------------------------------


def two(first, second, **built):
    builder = StateGraph(MessagesState)
    add_conductor(builder, first, echo("a", "spare"), name="code", then="write", **built)
    add_conductor(builder, second, echo("w", "x", "y"), name="write")
    builder.add_edge(START, "code")
    return builder.compile()


@pytest.mark.parametrize(
    "given", [{"exclude": ["spare"]}, {"workers": ["a"]}, {"workers": ["w"]}, {"sample": [3, 1]}]
)
def test_options_of_one_conductor_do_not_fail_in_another(given, run):
    first, second = ScriptedPlanner(ONE), ScriptedPlanner(flow(("w", "x", [])))
    run(two(first, second), ask(), options(**given))
    assert (len(first.requests), len(second.requests)) == (1, 1)


@pytest.mark.parametrize(
    "given",
    [
        {"exclude": ["nobody"]},
        {"exclude": ["w", "x", "y"]},  # none is left of the second
        {"by_name": {"nobody": {}}},
        {"by_name": {"write": {"max_rounds": 0}}},
    ],
)
def test_what_does_not_fit_the_second_is_refused_before_the_first_is_paid(given, run):
    first = ScriptedPlanner(ONE)
    with pytest.raises(ValueError, match=r"nobody|no worker would be left|max_rounds"):
        run(two(first, ScriptedPlanner(flow(("w", "x", [])))), ask(), options(**given))
    assert first.requests == []


def test_one_conductor_is_addressed_by_its_name(run):
    first, second = ScriptedPlanner(ONE), ScriptedPlanner(flow(("w", "x", [])))
    graph = two(first, second)
    run(graph, ask(), options(max_rounds=2, by_name={"write": {"max_rounds": 1, "exclude": ["y"]}}))
    assert (len(first.requests), len(second.requests)) == (2, 1)
    assert second.requests[0].pool.names == ("w", "x")


def test_conductors_that_are_nodes_share_options_too(run):
    first, second = ScriptedPlanner(ONE), ScriptedPlanner(flow(("w", "x", [])))
    builder = StateGraph(MessagesState)
    builder.add_node("code", create_conductor(first, echo("a", "spare"), name="code"))
    builder.add_node("write", create_conductor(second, echo("w"), name="write"))
    builder.add_edge(START, "code")
    builder.add_edge("code", "write")
    graph = builder.compile()
    run(graph, ask(), options(exclude=["spare"]))
    assert (first.requests[0].pool.names, second.requests[0].pool.names) == (("a",), ("w",))
    with pytest.raises(ValueError, match="in any conductor"):
        run(graph, ask(), options(exclude=["nobody at all"]))
    assert len(first.requests) == 1


# --- bound options --------------------------------------------------------------------------------


def test_bound_options_hold_beside_those_of_a_call(run):
    planner = ScriptedPlanner(ONE)
    conductor = create_conductor(planner, echo("a", "b", "c"))
    bound = conductor.with_config(options(exclude=["b"], budget={"calls": 4})).with_config(
        options(max_rounds=2)
    )
    run(bound, ask(), options(max_steps=3, exclude=["c"], budget={"tokens": 10**6}))
    assert len(planner.requests) == 2
    request = planner.requests[0]
    assert (request.max_steps, request.pool.names) == (3, ("a",))
    assert (request.budget.calls, request.budget.tokens) == (4, 10**6)
    for more in ({"max_rounds": 3}, {"budget": {"calls": 5}}):
        with pytest.raises(ValueError, match="only be lowered"):
            run(bound, ask(), options(**more))
    run(conductor, ask())
    assert len(planner.requests) == 3  # the one it was bound from is as it was


def bound_and_called(run, bound, given, **built):
    """The planner that a conductor with bound options was called with."""
    planner = ScriptedPlanner(ONE)
    conductor = create_conductor(planner, echo("a", "b", "c", "d"), **{"max_rounds": 3, **built})
    return planner, lambda: run(conductor.with_config(options(**bound)), ask(), options(**given))


def by_name(**given):
    return {"by_name": {"conductor": given}}


@pytest.mark.parametrize(
    ("bound", "given", "names"),
    [
        ({"exclude": ["b"]}, {"exclude": []}, "acd"),
        ({"exclude": ["b"]}, {"exclude": None}, "acd"),
        ({"exclude": ["b"]}, by_name(exclude=["c"]), "ad"),
        (by_name(exclude=["b"]), {"exclude": ["c"]}, "ad"),
        (by_name(exclude=["b"]), by_name(), "acd"),
        (by_name(exclude=["b"]), {"by_name": None}, "acd"),
        (by_name(exclude=["b"]), {}, "acd"),
        ({"exclude": ["b"]}, {"workers": ["a", "b"]}, "a"),
        ({"exclude": ["b"]}, {"workers": ["a"]}, "a"),
        ({"workers": ["a", "b"]}, {"workers": ["a", "c"]}, "a"),
        ({"workers": ["a", "b"]}, {"workers": None}, "ab"),
        ({"workers": ["a", "b"]}, by_name(workers=["a", "c"]), "a"),
        (by_name(workers=["a", "b"]), {"workers": ["a", "c", "d"]}, "a"),
        ({"workers": ["a", "b"]}, {"exclude": ["c", "b"]}, "a"),
        ({"workers": ["a"], "sample": [1, 3]}, {"sample": None}, "a"),
        ({"workers": ["a"]}, {"sample": [1, 3]}, "a"),
    ],
)  # fmt: skip
def test_a_call_only_narrows_the_bound_choice_of_workers(bound, given, names, run):
    planner, call = bound_and_called(run, bound, given)
    call()
    assert "".join(planner.requests[0].pool.names) == names


@pytest.mark.parametrize(
    ("bound", "given"),
    [
        ({"max_rounds": 1}, by_name(max_rounds=2)),
        (by_name(max_rounds=1), {"max_rounds": 2}),
        (by_name(max_rounds=1), by_name(max_rounds=2)),
        ({"max_steps": 1}, by_name(max_steps=2)),
        ({"budget": {"calls": 2}}, by_name(budget={"calls": 3})),
        (by_name(budget={"calls": 2}), {"budget": {"calls": 3}}),
        (by_name(budget={"calls": 2}), by_name(budget={"allow_unbounded": True})),
        ({"sample": [2, 1]}, {"sample": [3, 1]}),
        ({"sample": [2, 1]}, by_name(sample=[3, 1])),
        ({"workers": ["b"]}, by_name(workers=["a"])),
        ({"exclude": ["a"]}, {"workers": ["a"]}),
        ({"workers": ["a"]}, {"workers": []}),
        ({}, {"exclude": ["nobody"]}),
        ({"workers": ["a"]}, {"exclude": ["nobody"]}),
    ],
)  # fmt: skip
def test_a_call_that_asks_for_more_than_is_bound_is_refused(bound, given, run):
    planner, call = bound_and_called(run, bound, given)
    with pytest.raises(ValueError, match=r"only be lowered|no worker"):
        call()
    assert planner.requests == []


@pytest.mark.parametrize("given", [{}, by_name(), {"budget": None}, by_name(tokens=False), {"by_name": {}}])
@pytest.mark.parametrize("bound", [{"budget": {"calls": 4}}, by_name(budget={"calls": 4})])
def test_a_bound_budget_stays_where_a_call_says_nothing_of_it(bound, given, run):
    planner, call = bound_and_called(run, bound, given, budget=Budget(calls=60))
    call()
    assert planner.requests[0].budget.calls == 4


@pytest.mark.parametrize("seed", range(8))
def test_what_a_call_draws_is_drawn_of_what_the_bound_draw_left(seed, run):
    alone, call = bound_and_called(run, {"sample": [2, seed]}, {})
    call()
    left = set(alone.requests[0].pool.names)
    for given in ({"sample": [1, seed + 1]}, {"exclude": [min(left)]}, {"sample": [1, seed]}):
        planner, call = bound_and_called(run, {"sample": [2, seed]}, given)
        call()
        drawn = planner.requests[0].pool.names
        assert len(drawn) == 1
        assert set(drawn) < left


def test_a_run_holds_what_was_bound_and_chosen(run):
    planner = ScriptedPlanner(ONE)
    paused = Recorder("a", reply=lambda task: interrupt("?"))
    workers = [Worker("a", paused), *echo("b", "c")]
    conductor = create_conductor(planner, workers, checkpointer=InMemorySaver(), max_rounds=3)
    bound = conductor.with_config(options(workers=["a", "b"], max_rounds=2))
    run(bound, ask(), thread(workers=["a", "c"], max_rounds=1))
    kept = bound.get_state(thread()).values["run"]["options"]
    assert (kept["workers"], kept["within"][0]["workers"]) == (["a", "c"], ["a", "b"])
    assert kept["max_rounds"] == 1
    # Nothing is asked for, so that what is bound is no wish for more than the run began with.
    paused.reply = lambda task: "done"
    result = run(bound, Command(resume="go"), thread())
    assert (result["answer"], len(result["rounds"]), len(planner.requests)) == ("done", 1, 1)


def test_what_a_run_began_with_holds_without_what_was_bound(run):
    planner = ScriptedPlanner(ONE)
    paused = Recorder("a", reply=lambda task: interrupt("?"))
    workers = [Worker("a", paused), *echo("b", "c")]
    conductor = create_conductor(planner, workers, checkpointer=InMemorySaver(), max_rounds=2)
    run(conductor.with_config(options(workers=["a", "b"])), ask(), thread(workers=["a", "c"]))
    paused.reply = lambda task: "done"
    run(conductor, Command(resume="go"), thread())
    assert [request.pool.names for request in planner.requests] == [("a",), ("a",)]


def test_a_bound_conductor_inside_a_node_is_given_the_options_around_it(run):
    planner = ScriptedPlanner(ONE)
    bound = create_conductor(planner, echo("a", "b", "c")).with_config(options(exclude=["b"]))
    builder = StateGraph(MessagesState)
    builder.add_node("n", lambda state: {"messages": bound.invoke(state)["messages"]})
    builder.add_edge(START, "n")
    run(builder.compile(), ask(), options(exclude=["c"]))
    assert planner.requests[0].pool.names == ("a",)


def test_options_of_a_call_do_not_reach_a_bound_conductor_that_is_a_worker(run):
    planner = ScriptedPlanner(ONE)
    inner = create_conductor(planner, echo("a", "b")).with_config(options(max_rounds=1, exclude=["b"]))
    for worker in (inner, lambda task: inner.invoke({"messages": [*task.messages]})["answer"]):
        outer = create_conductor(fixed.single("w"), [Worker("w", worker)])
        run(outer, ask(), options(max_rounds=2, budget={"calls": 9}))
        assert planner.requests[-1].pool.names == ("a",)


def test_later_bindings_change_the_earlier_ones_by_name():
    bound = create_conductor(ScriptedPlanner(ONE), echo("a")).with_config(
        options(by_name={"x": {"max_rounds": 1}, "y": {"max_rounds": 1}})
    )
    later = bound.with_config(options(by_name={"y": {"max_rounds": 2}}))
    assert later.config["configurable"]["conductor"]["by_name"] == {
        "x": {"max_rounds": 1}, "y": {"max_rounds": 2}
    }  # fmt: skip


# --- limits of the graph --------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [4, 25])
def test_a_recursion_limit_too_low_for_all_rounds_ends_with_an_answer(made, limit, run):
    planner = ScriptedPlanner(ONE)
    conductor = made(planner, echo("a"), max_rounds=30)
    result = run(conductor, ask(), {"recursion_limit": limit})
    last = result["messages"][-1]
    assert 1 <= len(planner.requests) < limit
    assert last.text == f"a-{len(planner.requests) - 1}-0"
    assert "recursion_limit" in last.response_metadata["conductor"]["stopped"]


def test_thirty_rounds_run_by_default(made, run):
    planner = ScriptedPlanner(ONE)
    result = run(made(planner, echo("a"), max_rounds=30), ask())
    assert result["messages"][-1].text == "a-29-0"
    assert result["messages"][-1].response_metadata["conductor"]["stopped"] == ""


def test_a_step_is_left_for_what_comes_after(run):
    builder = StateGraph(MessagesState)
    seen = []
    builder.add_node("after", lambda state: seen.append(len(state["messages"])))
    add_conductor(builder, ScriptedPlanner(ONE), echo("a"), max_rounds=30, then="after")
    builder.add_edge(START, "conductor")
    run(builder.compile(), ask(), {"recursion_limit": 6})
    assert seen == [2]


@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize("after", [1, 2, 4])
def test_as_many_steps_are_left_as_there_are_nodes_after_it(run, after, sent):
    builder = StateGraph(MessagesState)
    seen = []
    names = [f"after_{number}" for number in range(after)]
    for name in names:
        builder.add_node(name, lambda state, name=name: seen.append(name))
    for name, following in itertools.pairwise(names):
        builder.add_edge(name, following)
    planner = ScriptedPlanner(ONE)
    add_conductor(builder, planner, echo("a"), max_rounds=30, then=names[0])
    if sent:
        builder.add_conditional_edges(START, lambda state: [Send("conductor", state)], ["conductor"])
    else:
        builder.add_edge(START, "conductor")
    run(builder.compile(), ask(), {"recursion_limit": 12})
    assert seen == names
    assert len(planner.requests) > 12 - after - 3  # and no more are left


def test_the_shortest_way_to_the_end_is_counted_where_it_is_declared():
    builder = StateGraph(MessagesState)
    for name in "abcdef":
        builder.add_node(name, lambda state: {}, destinations=("f",) if name == "e" else None)
    builder.add_conditional_edges("a", lambda state: "b", ["a", "b", "c"])
    builder.add_edge("b", "c")
    builder.add_edge("c", END)
    builder.add_conditional_edges("d", lambda state: END)
    builder.add_edge(["d", "f"], "a")
    assert [steps_to_end(builder, name) for name in (END, *"abcdef")] == [0, 2, 2, 1, 1, 4, 3]


def test_an_answer_does_not_take_the_place_of_the_conversation(run):
    class Plain(TypedDict):
        messages: list

    builder = StateGraph(Plain)
    add_conductor(builder, ScriptedPlanner(ONE), echo("a"), max_rounds=2)
    builder.add_edge(START, "conductor")
    result = run(builder.compile(), ask("Hi"))
    assert [getattr(m, "text", m) for m in result["messages"]] == [ask("Hi")["messages"][0], "a-1-0"]


@pytest.mark.parametrize(
    "name",
    ["max_rounds", "max_steps", "workers", "exclude", "sample", "tokens", "permute", "workflow", "budget"],
)
def test_an_option_that_is_nested_deeply_is_refused_plainly(name):
    deep = []
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(ValueError, match=name):
        Options().over({"configurable": {"conductor": {name: deep}}})


def test_options_that_are_nested_deeply_are_refused_plainly():
    deep = []
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(ValueError, match="a list that is nested too deeply to be shown"):
        Options().over({"configurable": {"conductor": [deep]}})
