"""Which workers a run offers: chosen, excluded, drawn, renumbered, without rebuilding."""

import pytest

from langgraph_conductor import ChatPlanner, Usage, Worker, WorkerPool, create_conductor
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import ScriptedModel, plan_text
from tests.helpers import ScriptedPlanner, ask, flow

TAGS = {"a": ["fast"], "b": ["fast", "maths"], "c": [], "d": ["maths"]}


def pool(**options):
    return WorkerPool(
        [Worker(n, lambda t, n=n: f"from {n}", tags=tags, **options) for n, tags in TAGS.items()]
    )


def per_run(**options):
    return {"configurable": {"conductor": options}}


def test_by_name_and_tag():
    assert dict(pool().only("fast").ordinals) == {0: "a", 1: "b"}
    assert dict(pool().only("maths", "c").ordinals) == {1: "b", 2: "c", 3: "d"}
    assert dict(pool().without("fast").ordinals) == {2: "c", 3: "d"}
    assert dict(pool().without("a", "maths").ordinals) == {2: "c"}
    with pytest.raises(ValueError, match="named or tagged 'slow'; names are a, b, c, d, tags fast, maths"):
        pool().only("slow")
    with pytest.raises(ValueError, match="no worker would be left"):
        pool().without("fast", "maths", "c")


def test_a_sample_is_seeded_and_keeps_ordinals():
    draws = {tuple(pool().sample(2, seed).ordinals.items()) for seed in range(60)}
    assert len(draws) == 6  # every pair comes up
    assert pool().sample(2, 7).ordinals == pool().sample(2, 7).ordinals
    assert all(dict(pool().ordinals)[n] == name for draw in draws for n, name in draw)
    for wrong in (0, 5, "2"):
        with pytest.raises(ValueError, match="cannot draw"):
            pool().sample(wrong, 1)


def test_a_sample_can_end_a_workflow():
    rare = WorkerPool([Worker(n, lambda t: "", may_be_last=n == "c") for n in "abcdef"])
    assert all("c" in rare.sample(1, seed).names for seed in range(20))
    with pytest.raises(ValueError, match="no worker may be last"):
        pool(may_be_last=False).sample(1, 1)


def test_permuting_deals_the_numbers_anew():
    dealt = {tuple(pool().permuted(seed).names) for seed in range(80)}
    assert len(dealt) > 15
    assert all(sorted(names) == ["a", "b", "c", "d"] for names in dealt)
    with_gap = pool().without("b").permuted(3)
    assert sorted(with_gap.ordinals) == [0, 2, 3]
    assert pool().permuted(5).ordinals == pool().permuted(5).ordinals


def test_a_run_chooses(run):
    planner = ScriptedPlanner(flow(("c", "x", [])))
    conductor = create_conductor(planner, pool())
    assert run(conductor, ask(), per_run(workers=["c", "maths"], exclude=["d"]))["answer"] == "from c"
    assert run(conductor, ask())["answer"] == "from c"
    assert run(conductor, ask(), per_run(sample=[2, 4]))["answer"]
    run(conductor, ask(), per_run(permute=9))
    offered = [asked.pool.ordinals for asked in planner.requests]
    assert offered[0] == {1: "b", 2: "c"}
    assert offered[1] == {0: "a", 1: "b", 2: "c", 3: "d"}
    assert len(offered[2]) == 2
    assert offered[3] == pool().permuted(9).ordinals


def test_a_plan_with_a_worker_that_is_not_offered_falls_back_to_one_that_is(run):
    conductor = create_conductor(ScriptedPlanner(flow(("a", "x", []))), pool(), fallback="a")
    result = run(conductor, ask(), per_run(exclude=["a"]))
    assert result["answer"] == "from b"
    assert result["rounds"][0]["plan"]["reached"] == "fallback"


def test_permuted_numbers_are_what_the_planner_reads_and_writes(run):
    def plan(messages):
        line = next(x for x in messages[-1].text.splitlines() if x.startswith("c: "))
        assert line
        return plan_text(("c", "x", []))

    model = ScriptedModel(replies=plan)
    workers = [Worker(n, lambda t, n=n: f"from {n}", description=f"is {n}") for n in "abc"]
    conductor = create_conductor(ChatPlanner(model, structured=False), workers)
    assert run(conductor, ask(), per_run(permute=2))["answer"] == "from c"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"workers": "a"}, "`workers` is a list"),
        ({"workers": ["nobody"]}, "named or tagged 'nobody'"),
        ({"exclude": ["fast", "maths", "c"]}, "no worker would be left"),
        ({"sample": 2}, "`sample` is"),
        ({"sample": [9, 1]}, "cannot draw"),
        ({"permute": "x"}, "`permute` is a seed"),
        ({"budget": {"usd": -1}}, "budget"),
    ],
)
def test_wrong_choices_are_refused_before_anything_is_asked(options, why, run):
    planner = ScriptedPlanner(flow(("a", "x", [])))
    conductor = create_conductor(planner, pool())
    with pytest.raises(ValueError, match=why):
        run(conductor, ask(), per_run(**options))
    assert planner.requests == []


def test_numbers_alone_cannot_be_permuted(run):
    planner = ChatPlanner(ScriptedModel(), show="anonymous", structured=False)
    with pytest.raises(ValueError, match="knows workers by ordinal alone"):
        run(create_conductor(planner, pool()), ask(), per_run(permute=1))


def test_a_fallback_has_to_be_there():
    with pytest.raises(ValueError, match="its fallback 'x' is not in the pool"):
        WorkerPool([Worker("a", lambda t: "", fallback="x")])


# ------------------------------------------------------------------ what it may cost

PRICE = {"input": 1, "output": 10}


def test_an_estimate_bounds_what_is_used(run):
    models = {n: ScriptedModel(replies=["word " * 30], max_tokens=50) for n in "ab"}
    made = WorkerPool([Worker(n, model, price=PRICE) for n, model in models.items()])
    plan = flow(("a", "Do it.", []), ("b", "Check it.", [0]), ("a", "Answer.", "all"))
    guess = made.estimate(plan, "What is it?", reply_tokens=40)
    used = Usage.from_json(run(create_conductor(fixed.workflow(plan), made), ask())["usage"]["total"])
    assert guess.unbounded == ()
    assert guess.worst.calls == guess.likely.calls == used.calls == 3
    assert guess.worst.input_tokens > used.input_tokens
    assert guess.worst.output_tokens == 150 > used.output_tokens
    assert guess.worst.usd > guess.likely.usd > 0
    assert guess.worst.usd > used.usd
    assert guess.likely.output_tokens == 120


def test_an_estimate_says_what_it_cannot_bound():
    from langchain.agents import create_agent

    made = WorkerPool(
        [
            Worker("capless", ScriptedModel()),
            Worker("agent", create_agent(ScriptedModel(), [])),
            Worker("function", lambda t: ""),
        ]
    )
    plan = flow(("capless", "x", []), ("agent", "x", []), ("function", "x", []), ("capless", "x", []))
    guess = made.estimate(plan, "q")
    assert guess.worst is None
    assert guess.unbounded == ("capless", "agent")
    assert (guess.likely.calls, guess.likely.usd, guess.likely.unpriced_calls) == (2, None, 2)
    with pytest.raises(ValueError, match="no worker 'nobody'"):
        made.estimate(flow(("nobody", "x", [])), "q")
