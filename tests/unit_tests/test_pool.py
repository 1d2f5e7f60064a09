"""Which workers a run offers: chosen, excluded, drawn, renumbered, without rebuilding."""

from decimal import Decimal

import pytest

from langgraph_conductor import Budget, ChatPlanner, PlanError, Usage, Worker, WorkerPool, create_conductor
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import ScriptedModel, plan_text
from langgraph_conductor.workers.counting import likely_tokens, most_tokens
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


def test_an_estimate_counts_what_is_read_and_what_is_said():
    def guess(*steps, cap=50, reply=40, question="q"):
        made = WorkerPool([Worker(n, ScriptedModel(max_tokens=cap), price=PRICE) for n in "ab"])
        return made.estimate(flow(*steps), question, reply_tokens=reply)

    alone, reading = guess(("a", "x", []), ("b", "y", [])), guess(("a", "x", []), ("b", "y", [0]))
    # A reply is read as its text, four bytes a token in the worst case, within tags of its step.
    assert reading.worst.input_tokens - alone.worst.input_tokens > 4 * 50
    longer = guess(("a", "x", []), ("b", "y", [0]), cap=150)
    assert longer.worst.input_tokens - reading.worst.input_tokens == 4 * 100
    assert longer.likely == reading.likely
    talkative = guess(("a", "x", []), ("b", "y", [0]), reply=45)
    assert talkative.likely.input_tokens - reading.likely.input_tokens == 5
    assert talkative.likely.output_tokens - reading.likely.output_tokens == 10
    assert talkative.worst == reading.worst
    assert (reading.worst.output_tokens, reading.likely.output_tokens) == (100, 80)
    capped = guess(("a", "x", []), reply=900)  # no reply is longer than its cap
    assert capped.likely.output_tokens == 50
    price = capped.likely.input_tokens + 10 * 50
    assert (capped.likely.usd, capped.likely.unpriced_calls) == (Decimal(price) / 10**6, 0)
    assert capped.likely.calls == capped.worst.calls == 1
    asked = guess(("a", "x", []), question="q" * 401)
    assert asked.worst.input_tokens - guess(("a", "x", [])).worst.input_tokens == 400
    assert asked.likely.input_tokens - guess(("a", "x", [])).likely.input_tokens == 100


def test_an_estimate_counts_the_dearest_of_a_model_and_those_it_falls_back_on():
    cheap, dear = (ScriptedModel(model_name=n, max_tokens=cap) for n, cap in (("cheap", 50), ("dear", 10)))
    prices = {"cheap": {"input": 0, "output": 1}, "dear": {"input": 0, "output": 100}}
    pool = WorkerPool([Worker("w", cheap.with_fallbacks([dear]), price=prices)])
    made = pool.estimate(flow(("w", "x", [])), "What?", reply_tokens=10)
    assert (made.worst.usd, made.worst.output_tokens) == (Decimal("0.001"), 50)
    assert (made.likely.usd, made.unbounded) == (Decimal("0.00001"), ())


def test_an_estimate_of_a_chain_has_no_bound():
    pool = WorkerPool([Worker("w", ScriptedModel(max_tokens=10) | (lambda message: message.text))])
    made = pool.estimate(flow(("w", "x", [])), "What?")
    assert (made.worst, made.unbounded, made.likely.calls) == (None, ("w",), 1)


def test_an_estimate_sends_attachments_to_every_worker():
    made = WorkerPool([Worker(n, ScriptedModel(max_tokens=50)) for n in "ab"])
    image = {"type": "image", "base64": "x" * 50_000, "mime_type": "image/png"}
    text = {"type": "text", "text": "q"}
    plan = flow(("a", "x", []), ("b", "y", []))
    seen, unseen = made.estimate(plan, [text, image]), made.estimate(plan, [text])
    assert 2 * 5000 < seen.worst.input_tokens - unseen.worst.input_tokens < 2 * 51_000


def test_an_estimate_of_functions_and_of_models_without_a_cap():
    made = WorkerPool(
        [
            Worker("f", lambda t: ""),
            Worker("open", ScriptedModel()),
            Worker("m", ScriptedModel(max_tokens=9)),
        ]
    )
    functions = made.estimate(flow(("f", "x", []), ("f", "y", [0])), "q")
    assert (functions.worst, functions.likely, functions.unbounded) == (Usage(), Usage(), ())
    after_function = made.estimate(flow(("f", "x", []), ("m", "y", [0])), "q")
    assert after_function.unbounded == ()
    assert after_function.worst.calls == 1
    capless = made.estimate(flow(("open", "x", []), ("m", "y", [0])), "q")
    assert (capless.worst, capless.unbounded) == (None, ("open",))
    assert capless.likely.output_tokens == 509  # the usual 500, and a cap of 9
    tooled = WorkerPool([Worker("t", ScriptedModel(max_tokens=9), tools=[])])
    assert tooled.estimate(flow(("t", "x", [])), "q").worst.calls == 1


def test_an_estimate_counts_the_model_of_a_worker_with_tools_once():
    class Tooled(ScriptedModel):
        def bind_tools(self, tools, **kwargs):
            return self

    def look() -> str:
        """Look."""
        return ""

    made = WorkerPool([Worker("t", Tooled(max_tokens=9), tools=[look])])
    guess = made.estimate(flow(("t", "x", [])), "q")
    assert (guess.worst, guess.unbounded, guess.likely.calls) == (None, ("t",), 1)


# ------------------------------------------------------------------ who stands in, and what is refused


def test_who_stands_in():
    workers = [
        Worker("a", lambda t: "", fallback="b"),
        Worker("b", lambda t: "", may_be_last=False, fallback="c"),
        Worker("c", lambda t: ""),
    ]
    made = WorkerPool(workers)
    a, b, c = workers
    assert made.stand_in(a, is_final=False) is b
    assert made.stand_in(a, is_final=True) is None
    assert made.stand_in(b, is_final=True) is made.stand_in(b, is_final=False) is c
    assert made.stand_in(c, is_final=False) is None
    assert made.without("b").stand_in(a, is_final=False) is None


def test_a_pool_refuses_what_it_cannot_run():
    made = WorkerPool(
        [Worker("a", lambda t: ""), Worker("b", lambda t: "", may_be_last=False), Worker("c", lambda t: "")]
    )
    made.check(flow(("b", "x", []), ("a", "y", [])))
    with pytest.raises(PlanError, match="there is no worker 'x'; choose from a, b, c") as caught:
        made.check(flow(("a", "x", []), ("x", "y", []), ("b", "z", [])))
    assert caught.value.step == 1
    with pytest.raises(PlanError, match="worker b must not be the last; end with one of a, c") as caught:
        made.check(flow(("a", "x", []), ("b", "y", [])))
    assert caught.value.step == 1
    with pytest.raises(PlanError, match=r"worker 1 must not be the last; end with one of 2$"):
        made.without("a").check(flow(("b", "x", [])), by_ordinal=True)


def test_a_pool_shows_its_numbers_and_names():
    made = pool().without("b")
    assert repr(made) == "WorkerPool(0: a, 2: c, 3: d)"
    assert (len(made), [worker.name for worker in made]) == (3, ["a", "c", "d"])
    assert made["c"].name == "c"
    with pytest.raises(KeyError, match="no worker 'b' in this pool; there are a, c, d"):
        made["b"]
    assert pool().offered().ordinals == pool().ordinals
    last = WorkerPool([Worker("a", lambda t: "", may_be_last=False), Worker("b", lambda t: "")])
    with pytest.raises(ValueError, match="none of the workers a may be last"):
        last.offered(exclude=["b"])
    with pytest.raises(ValueError, match=r"names are a, b$"):
        last.only("x")
    for wrong, why in (
        ([3], "a Worker or a mapping"),
        (last["a"], "give a list"),
        ({"name": "a"}, "give a list"),
    ):
        with pytest.raises(TypeError, match=why):
            WorkerPool(wrong)
    with pytest.raises(ValueError, match="at least one worker"):
        WorkerPool([])
    with pytest.raises(ValueError, match="a worker mapping needs 'runnable'; it has"):
        WorkerPool([{"name": "a"}])


# ------------------------------------------------------------------ what is refused before it is paid


def test_which_budgets_cannot_bound_a_team():
    from langgraph_conductor.graph.checks import check_bounds

    good = ScriptedModel(max_tokens=9)
    one = WorkerPool([Worker("w", good, price=PRICE), Worker("f", lambda t: "")])
    unpriced, capless = (
        WorkerPool([Worker("w", good)]),
        WorkerPool([Worker("w", ScriptedModel(), price=PRICE)]),
    )
    team = fixed.single("w")

    def planner(model, price=None):
        return ChatPlanner(model, structured=False, price=price)

    for budget in (None, Budget(calls=1), Budget(seconds=1), Budget(usd=1, tokens=1, allow_unbounded=True)):
        check_bounds(budget, planner(ScriptedModel()), capless)
    for budget in (Budget(usd=1), Budget(tokens=1), Budget(usd=1, tokens=1)):
        check_bounds(budget, team, one)
        check_bounds(budget, planner(good, PRICE), one)
        with pytest.raises(ValueError, match=r"worker 'w' has no output cap, so the budget of .* cannot"):
            check_bounds(budget, team, capless)
        with pytest.raises(ValueError, match="the planner has no output cap"):
            check_bounds(budget, planner(ScriptedModel(), PRICE), one)
    check_bounds(Budget(tokens=1), planner(good), unpriced)
    with pytest.raises(ValueError, match=r"worker 'w' has no known price, so the budget of \$1 cannot"):
        check_bounds(Budget(usd=1), team, unpriced)
    with pytest.raises(ValueError, match="the planner has no known price"):
        check_bounds(Budget(usd=1, tokens=1), planner(good), one)


def test_which_planners_take_a_dealt_numbering():
    from langgraph_conductor.graph.checks import check_offer
    from langgraph_conductor.options import Options

    def planner(show):
        return ChatPlanner(ScriptedModel(), show=show, structured=False)

    check_offer(planner("anonymous"), Options())
    check_offer(planner("described"), Options(permute=0))
    check_offer(fixed.single("w"), Options(permute=0))
    with pytest.raises(ValueError, match="show='anonymous'"):
        check_offer(planner("anonymous"), Options(permute=0))


def test_an_estimate_counts_the_prompts_that_are_then_sent(run):
    model = ScriptedModel(replies=["some words"], max_tokens=50)
    made = WorkerPool([Worker("a", model)])
    plan = flow(("a", "Do it.", []), ("a", "Check it.", [0]), ("a", "Answer.", []))
    guess = made.estimate(plan, "What is it?", reply_tokens=40)
    run(create_conductor(fixed.workflow(plan), made), ask())
    prompts = sorted(model.calls, key=lambda messages: messages[0].text)
    read = len("some words")  # what the second step reads, and 50 tokens, or 40, before it is known
    assert guess.worst.input_tokens == sum(map(most_tokens, prompts)) - read + 4 * 50
    assert guess.likely.input_tokens == pytest.approx(
        sum(map(likely_tokens, prompts)) - read / 4 + 40, abs=1
    )


def test_an_estimate_of_one_step_counts_its_prompt(run):
    model = ScriptedModel(max_tokens=50)
    made, plan = WorkerPool([Worker("a", model)]), flow(("a", "Do it.", []))
    guess = made.estimate(plan, "What is it?")
    run(create_conductor(fixed.workflow(plan), made), ask())
    (messages,) = model.calls
    assert guess.worst.input_tokens == most_tokens(messages)
    assert guess.likely.input_tokens == likely_tokens(messages)
