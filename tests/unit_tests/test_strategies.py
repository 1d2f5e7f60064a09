"""The strategies of an evaluation, the votes, the stated set of workflows, and oracles."""

import json
import random
from decimal import Decimal
from statistics import fmean

import pytest
from langchain_core.messages import SystemMessage

from langgraph_conductor import ChatPlanner, PlanError, Usage, Worker, WorkerPool, create_conductor
from langgraph_conductor.episodes import Episode
from langgraph_conductor.evals.ceilings import MAX_PAIRED, candidate_workflows, oracle
from langgraph_conductor.evals.comparing import scores
from langgraph_conductor.evals.results import Outcome
from langgraph_conductor.evals.strategies import majority, strategies, votes_for
from langgraph_conductor.evals.votes import VOTE, count_votes, majority_of, normalised
from langgraph_conductor.planners import TurnsPlanner, fixed
from langgraph_conductor.prompts import WORKER_FINAL, worker_prompt
from langgraph_conductor.records import StepOutput, WorkerTask
from langgraph_conductor.replay.identity import planner_identity
from langgraph_conductor.testing import ScriptedModel, plan_text
from tests.helpers import Recorder, ScriptedPlanner, ask, flow, question, request

POOL = WorkerPool(
    [
        Worker("a", Recorder("a")),
        Worker("b", Recorder("b")),
        Worker("tool", Recorder("tool"), may_be_last=False),
    ]
)


def answer(text):
    return f"Thinking.\n<answer>{text}</answer>"


# ------------------------------------------------------------- random workflows


def drawn(seed, count=80, **options):
    planner = fixed.random_workflow(seed, **options)
    return [planner.plan(request(POOL, question=question(f"q{i}"))).workflow for i in range(count)]


def test_random_workflows_are_valid_seeded_and_of_every_size():
    workflows = drawn(1)
    assert workflows == drawn(1)
    assert workflows != drawn(2)
    assert {len(workflow.steps) for workflow in workflows} == {1, 2, 3, 4, 5}
    assert {workflow.steps[-1].worker for workflow in workflows} == {"a", "b"}
    assert "tool" in {step.worker for workflow in workflows for step in workflow.steps}
    accesses = {step.access for workflow in workflows for step in workflow.steps}
    assert {(), (0,), (1,), (0, 1), (0, 2)} <= accesses
    for workflow in workflows:
        POOL.check(workflow)
    assert {len(workflow.steps) for workflow in drawn(1, max_steps=2)} == {1, 2}
    with pytest.raises(ValueError, match="max_steps must be at least 1"):
        fixed.random_workflow(0, 0)


# -------------------------------------------------------------- second rounds


def test_a_review_reads_the_first_round_and_gives_the_answer(run):
    a, b = Recorder("a"), Recorder("b")
    planner = fixed.reviewed(fixed.workflow(flow(("a", "Do.", []), ("b", "Go on.", [0]))))
    conductor = create_conductor(planner, [Worker("a", a), Worker("b", b)], max_rounds=2)
    result = run(conductor, ask())
    assert result["answer"] == "b-1-0"
    assert [record["final"] for record in result["rounds"]] == [False, True]
    reviewer = b.tasks[-1]
    assert [output.text for output in reviewer.previous] == ["a-0-0", "b-0-1"]
    assert reviewer.subtask == fixed.REVIEW


def test_a_named_reviewer_is_asked_and_checked_beforehand(plan):
    planner = fixed.reviewed(fixed.single("a"), "b", "Check it.")
    assert not plan(planner, request(POOL)).final
    earlier = {"answer": "4", "workflow": flow(("a", "Do.", [])).to_json(), "steps": [], "round": 0}
    made = plan(planner, request(POOL, rounds=(earlier,)))
    assert (made.workflow, made.final) == (flow(("b", "Check it.", "all")), True)
    for bad in (fixed.reviewed(fixed.single("a"), "tool"), fixed.reviewed(fixed.single("tool"), "a")):
        with pytest.raises(PlanError, match="must not be the last"):
            bad.check(POOL)


def test_where_the_first_round_gave_no_answer_it_is_planned_again(plan):
    earlier = {"answer": "", "workflow": flow(("a", "Do.", [])).to_json(), "steps": [], "round": 0}
    made = plan(fixed.reviewed(fixed.single("a")), request(POOL, rounds=(earlier,)))
    assert made.workflow == flow(("a", fixed.SOLVE, []))


def test_a_reviewed_chat_planner_keeps_what_budgets_need():
    chat = ChatPlanner(ScriptedModel(), price={"input": 1, "output": 2})
    planner = fixed.reviewed(chat)
    planner.check(POOL)
    assert (planner.model, planner.prices, planner.show) == (chat.model, chat.prices, "described")


# ----------------------------------------------------------------------- votes


@pytest.mark.parametrize(
    ("answers", "winner"),
    [
        (["7", "8", "8"], 1),
        (["7", "8", "9"], 0),
        (["7", "8", "8", "7"], 0),
        (["8.0", "7", " 8 "], 0),
        (["7", "1,000", "1000.00"], 1),
        (["Yes.", "no", "YES"], 0),
        (["1,2", "12", "1,2"], 0),
        (["12", "1,2", "1,2"], 1),
        (["7", "1/2", "0.5"], 1),
        (["7", "$5$", "5"], 1),
        (["7", '"Paris"', "Paris"], 1),
        (["7", "10 March", "10 April"], 0),
        (["apple", "pear", "APPLE", "APPLE"], 2),  # where case matters, most wrote it so
        (["007", "8", "7", "8", "7"], 2),
    ],
)
def test_the_majority_of_final_answers(answers, winner):
    assert majority_of([answer(text) for text in answers]) == winner


def test_texts_without_an_answer_do_not_vote():
    assert majority_of(["I do not\nknow.", "I do not\nknow.", answer("3")]) == 2
    assert majority_of(["I do not\nknow.", "Nor\ndo I."]) == 0


def test_a_step_that_failed_has_no_vote():
    def counted(*outputs):
        inputs = tuple(StepOutput(i, "a", "Do.", text, status) for i, (text, status) in enumerate(outputs))
        return count_votes(WorkerTask((), "Count.", inputs, (), len(inputs), 0, True, ()))

    assert counted(("7", "failed"), ("7", "failed"), ("8", "ok")) == "8"
    with pytest.raises(ValueError, match="no answer to count"):
        counted(("", "failed"), ("", "failed"))


def test_numbers_are_one_however_they_are_written():
    assert normalised("$1,234.50") == normalised("1234.5") == normalised("1 234.5")
    assert normalised("1e3") == normalised("1000.") == "1000"
    assert normalised("1e999999") == "1e999999"
    assert normalised("1/2") == normalised("0.5") == normalised("$\\frac{1}{2}$") != normalised("2/1")
    assert normalised("\u22125") == normalised("-5") != normalised("5")
    assert normalised("50%") == normalised("50\\%") == "50"  # as the grader has it
    for one, other in (
        ("10 March", "10 April"),
        ("2024-03-07", "2024-03-08"),
        ("1, 2", "12"),
        ("3/6", "2/6"),
    ):
        assert normalised(one) != normalised(other)
    assert normalised("NaN") == "nan"
    assert normalised("The  Cat.") == "the cat"


def test_a_majority_runs_and_its_counter_is_offered_to_nobody_else(run):
    said = iter(["5", "6", "6", "5", "6"])
    pool = WorkerPool([Worker("a", lambda task: answer(next(said))), Worker("b", lambda task: answer("1"))])
    strategy = majority(5, "a", pool)
    assert (strategy.name, strategy.kind, strategy.max_steps) == ("majority(a, 5)", "fixed", 6)
    result = run(create_conductor(strategy.planner, strategy.pool), ask())
    assert result["answer"] == answer("6")
    assert result["rounds"][0]["steps"][-1]["worker"] == VOTE
    assert result["rounds"][0]["steps"][-1]["usage"]["calls"] == 0
    assert VOTE in strategy.pool.names
    assert VOTE not in pool.names
    assert strategy.pool.ordinals == {0: "a", 1: "b", 2: VOTE}


def test_a_pool_with_gaps_keeps_its_ordinals_when_one_joins():
    assert POOL.without("a").joined_by(Worker("z", Recorder())).ordinals == {1: "b", 2: "tool", 3: "z"}
    with pytest.raises(ValueError, match="two workers are named 'b'"):
        POOL.joined_by(Worker("b", Recorder()))


def test_a_majority_of_one_is_the_worker_alone():
    assert majority(1, "a", POOL).planner.plan(request(POOL)).workflow == flow(("a", fixed.SOLVE, []))
    with pytest.raises(ValueError, match="at least 1 answer"):
        majority(0, "a", POOL)
    with pytest.raises(PlanError, match="no worker 'nobody'"):
        majority(3, "nobody", POOL)


def test_voters_are_told_what_a_worker_alone_is_told():
    strategy = majority(3, "a", POOL)
    workflow = strategy.planner.plan(request(strategy.pool)).workflow
    alone = worker_prompt(question("2 + 2?"), fixed.SOLVE, is_final=True)
    for step in workflow.steps[:3]:
        voter = worker_prompt(question("2 + 2?"), step.subtask)
        assert WORKER_FINAL in voter
        assert len(voter.split()) >= len(alone.split())  # a vote is no cheaper than it is sized by


def test_a_vote_never_has_less_to_spend_than_the_planner():
    assert votes_for(Decimal("0.0100"), Decimal("0.0030")) == 4
    assert votes_for(Decimal("0.3"), Decimal("0.1")) == 3
    assert votes_for(0.3, 0.1) == 3
    assert votes_for(0, 1) == 1
    for planned, single in ((1, 0), (-1, 1), (float("nan"), 1), (1, float("inf"))):
        with pytest.raises(ValueError, match="costs must be numbers"):
            votes_for(planned, single)


# -------------------------------------------------------------------- the list


def test_the_list_without_a_planner():
    names = [strategy.name for strategy in strategies(POOL, best="b", votes=3)]
    once = ["single(a)", "single(b)", "random router", "random workflow", "self-reflection(b)", "majority(b, 3)",
            "mixture of agents"]  # fmt: skip
    assert names == [name for one in once for name in (one, f"{one}, 2 rounds")]
    assert [s.name for s in strategies(POOL, best="b", votes=3, second_rounds=False)] == once
    assert [s.name for s in strategies(POOL.only("a"), second_rounds=False)] == [
        "single(a)", "random router", "random workflow"
    ]  # fmt: skip


def test_the_best_worker_combines_the_mixture():
    for best, last in (("b", "b"), (None, "a")):
        (mixed,) = [
            s for s in strategies(POOL, best=best, second_rounds=False) if s.name == "mixture of agents"
        ]
        assert [step.worker for step in mixed.planner.plan(request(POOL)).workflow.steps] == [
            "a",
            "b",
            last,
        ]


def test_planners_that_may_plan_otherwise_are_kept_apart_by_a_store():
    one = fixed.single("a")
    planners = [
        *(fixed.random_router(seed) for seed in (0, 1)),
        *(fixed.random_workflow(seed, most) for seed, most in ((0, 5), (1, 5), (0, 4))),
        *(one, fixed.single("b"), fixed.single("a", "Do.")),
        *(
            fixed.reviewed(one),
            fixed.reviewed(one, "b"),
            fixed.reviewed(one, "a"),
            fixed.reviewed(one, None, "Do."),
        ),
    ]
    kept = [json.dumps(planner_identity(planner)) for planner in planners]
    assert len({*kept}) == len(kept)
    assert "null" not in kept
    assert not planner_identity(fixed.reviewed(ScriptedPlanner(flow(("a", "Do.", [])))))


def test_every_strategy_of_the_list_runs():
    chat = ChatPlanner(ScriptedModel(replies=[plan_text(("a", "Do it.", []))]))
    trained = ScriptedPlanner(flow(("b", "Do it.", [])))
    pool = WorkerPool([Worker("a", lambda t: answer("1")), Worker("b", lambda t: answer("2"))])
    for strategy in strategies(pool, chat.showing("described"), trained=trained, best="a", votes=2):
        conductor = create_conductor(
            strategy.planner, strategy.pool, max_rounds=strategy.max_rounds, max_steps=strategy.max_steps
        )
        rounds = conductor.invoke(ask())["rounds"]
        assert len(rounds) == strategy.max_rounds, strategy.name
        if strategy.kind != "planner":
            assert all(record["plan"]["reached"] == "fixed" for record in rounds), strategy.name
            assert len(rounds[0]["steps"]) <= strategy.max_steps
        assert not any(step["error"] for record in rounds for step in record["steps"])


def test_planners_are_shown_different_things_and_nothing_else_differs(tmp_path):
    from langgraph_conductor.planners import Measured, Profiles, WorkerProfile

    profiles = Profiles({"a": WorkerProfile(Measured(10, 0.5, 1, 1, 1, 1))})
    chat = ChatPlanner(ScriptedModel(), retries=7, examples=())
    found = {
        s.name: s for s in strategies(POOL, chat, profiles, ScriptedPlanner(), second_rounds=False)
        if s.kind == "planner"
    }  # fmt: skip
    assert list(found) == [
        "anonymous",
        "described",
        "anonymous + profiles",
        "described + profiles",
        "trained",
    ]
    shown = {name: (s.planner.show, s.planner.profiles) for name, s in found.items() if name != "trained"}
    assert shown == {
        "anonymous": ("anonymous", None), "described": ("described", None),
        "anonymous + profiles": ("anonymous", profiles), "described + profiles": ("described", profiles),
    }  # fmt: skip
    assert all(found[name].planner.model is chat.model for name in shown)
    assert all((found[name].planner.retries, found[name].planner.examples) == (7, ()) for name in shown)
    assert (chat.show, chat.profiles) == ("described", None)


def test_a_planner_of_another_class_runs_as_it_is():
    class Own(ChatPlanner):
        pass

    own = Own(ScriptedModel())
    found = {s.name: s.planner for s in strategies(POOL, own, second_rounds=False)}
    assert found["prompted"] is own


def test_kinds_of_the_list():
    kinds = {strategy.name: strategy.kind for strategy in strategies(POOL, best="a")}
    assert kinds["single(a)"] == "single"
    assert kinds["single(a), 2 rounds"] == "fixed"  # no worker alone any more
    assert kinds["random router, 2 rounds"] == "floor"


def test_a_best_worker_that_cannot_answer_is_refused():
    for best in ("tool", "nobody"):
        with pytest.raises(ValueError, match=f"one of a, b, not '{best}'"):
            strategies(POOL, best=best)


# ------------------------------------------------------------- the stated set


def pool_of(n):
    return WorkerPool([Worker(f"w{i}", Recorder()) for i in range(n)])


@pytest.mark.parametrize("n", [1, 2, 4, MAX_PAIRED])
def test_the_stated_set_has_the_stated_size(n):
    found = candidate_workflows(pool_of(n), max_steps=9)
    assert len(found) == (n * (n + 2) if n > 1 else 2)
    assert len(dict(found)) == len(found)
    assert len({workflow for _, workflow in found}) == len(found)


def test_the_stated_set_of_three():
    names = [name for name, _ in candidate_workflows(POOL)]
    assert names == [
        "single(a)", "single(b)", "reflection(a)", "reflection(b)", "chain(a, b)", "chain(b, a)",
        "chain(tool, a)", "chain(tool, b)", "mixture(a)", "mixture(b)",
    ]  # fmt: skip
    found = dict(candidate_workflows(POOL))
    assert found["chain(tool, a)"].reads(1) == (0,)
    assert [s.worker for s in found["mixture(b)"].steps] == ["a", "b", "b"]
    assert found["mixture(b)"].reads(2) == (0, 1)
    for workflow in found.values():
        POOL.check(workflow)


def test_the_stated_set_stays_small():
    assert len(candidate_workflows(pool_of(20), max_steps=5)) == 20 + 20 + 2 * 20 + 20
    big = dict(candidate_workflows(pool_of(20), max_steps=5))
    assert [s.worker for s in big["mixture(w9)"].steps] == ["w0", "w1", "w2", "w3", "w9"]
    assert "chain(w19, w0)" in big
    assert [name for name, _ in candidate_workflows(pool_of(3), max_steps=1)] == [
        f"single(w{i})" for i in range(3)
    ]
    assert all(len(w.steps) <= 2 for _, w in candidate_workflows(pool_of(3), max_steps=2))


# --------------------------------------------------------------------- oracles


def episode(task, score, usd="1", tokens=10, seed=0):
    used = Usage(1, tokens, 0, usd=None if usd is None else Decimal(usd), unpriced_calls=int(usd is None))
    infra = "down" if score is None else ""
    return Episode(task, f"{score}", score, True, "fixed", workers=used, seed=seed, infra=infra)


def outcome(name, **episodes):
    return Outcome(name, "single", {task: tuple(many) for task, many in episodes.items()})


def test_an_oracle_takes_the_best_and_the_cheapest_of_equals():
    a = outcome("a", t=[episode("t", 1.0, "3"), episode("t", 0.0, "3")], u=[episode("u", 0.0, "3")])
    b = outcome("b", t=[episode("t", 1.0, "2"), episode("t", 1.0, "9")], u=[episode("u", 0.0, "1")])
    best = oracle("worker oracle", [a, b])
    assert (best.strategy, best.kind) == ("worker oracle", "ceiling")
    assert best.episodes["t"] == (b.episodes["t"][0], b.episodes["t"][1])
    assert best.episodes["u"] == (b.episodes["u"][0],)
    assert "best of 2" in best.note
    assert oracle("x", [a], "mine").note == "mine"


def test_an_oracle_goes_by_tokens_where_money_is_unknown():
    a = outcome("a", t=[episode("t", 1.0, "1", tokens=50)])
    b = outcome("b", t=[episode("t", 1.0, None, tokens=20)])
    c = outcome("c", t=[episode("t", 1.0, None, tokens=60)])
    assert oracle("x", [a, b]).episodes["t"] == b.episodes["t"]
    assert oracle("x", [a, c]).episodes["t"] == a.episodes["t"]  # what is unknown is not nothing


def test_an_oracle_does_not_know_what_an_outage_might_have_been():
    a = outcome("a", t=[episode("t", None)], u=[episode("u", None)], v=[episode("v", 0.0)])
    b = outcome("b", t=[episode("t", 0.0)], u=[episode("u", 1.0)], v=[episode("v", 0.0)])
    best = oracle("x", [a, b])
    assert (best.episodes["t"][0].score, best.episodes["t"][0].infra) == (None, "down")
    assert [best.episodes[task][0].score for task in "uv"] == [1.0, 0.0]


def test_no_oracle_lies_below_a_strategy_it_is_taken_over():
    draw = random.Random(4)
    for _ in range(200):
        some = [
            outcome(name, **{f"t{i}": [episode(f"t{i}", draw.choice((1.0, 0.0, None))) for _ in range(2)] for i in range(4)})
            for name in "abc"
        ]  # fmt: skip
        best = oracle("x", some)
        for one in some:
            known = [
                (scores(one.episodes[task]), scores(best.episodes[task]))
                for task in one.episodes
                if scores(one.episodes[task]) and scores(best.episodes[task])
            ]
            assert all(fmean(own) <= fmean(top) for own, top in known)
            own, top = ([fmean(s) for s in map(scores, o.episodes.values()) if s] for o in (one, best))
            assert not own or not top or fmean(own) <= fmean(top) + 1e-9


def test_an_oracle_leaves_out_what_one_was_not_asked():
    a = outcome("a", t=[episode("t", 0.0)] * 2, u=[episode("u", 1.0)])
    b = outcome("b", t=[episode("t", 1.0)])
    best = oracle("x", [a, b])
    assert {task: len(many) for task, many in best.episodes.items()} == {"t": 1}
    assert list(oracle("x", [a, a, b]).episodes) == ["t"]
    with pytest.raises(ValueError, match="at least one outcome"):
        oracle("x", [])


# ------------------------------------------------------------- turn by turn


def test_a_model_may_also_decide_turn_by_turn(run):
    turns = [
        '{"reasoning": "", "worker": "a", "role": "work", "subtask": "Add.", "reads": []}',
        '{"reasoning": "", "worker": "b", "role": "verify", "subtask": "The sum.", "reads": [0]}',
    ]
    chat = ChatPlanner(ScriptedModel(replies=turns), prefill="I plan:", instructions="Be brief.")
    names = [strategy.name for strategy in strategies(POOL, chat)]
    assert "turn by turn" not in names
    (turn,) = [s for s in strategies(POOL, chat, turns=True, max_steps=4) if s.name not in names]
    assert (turn.name, turn.kind, turn.max_rounds, turn.max_steps) == ("turn by turn", "planner", 4, 1)
    assert isinstance(turn.planner, TurnsPlanner)
    assert turn.planner.instructions == "Be brief."
    assert chat.prefill == "I plan:"
    workers = [Worker("a", lambda task: "5"), Worker("b", lambda task: "Right.\nACCEPTED")]
    result = run(create_conductor(turn.planner, workers, max_rounds=turn.max_rounds), ask())
    assert (result["answer"], len(chat.model.calls)) == ("5", 2)


def test_a_turns_planner_is_run_as_such():
    planner = TurnsPlanner(ScriptedModel())
    (turn,) = [s for s in strategies(POOL, planner, max_steps=3) if s.kind == "planner"]
    assert (turn.name, turn.planner, turn.max_rounds) == ("turn by turn", planner, 3)


def test_what_a_planner_learns_of_its_model_does_not_change_what_it_is():
    for planner in (TurnsPlanner(ScriptedModel()), ChatPlanner(ScriptedModel())):
        before = planner_identity(planner)
        planner._learned.no_schema = True
        assert planner._learned.role.learns(
            [SystemMessage("Plan.")], ValueError("System role not supported")
        )
        assert planner_identity(planner) == before
    told = ChatPlanner(ScriptedModel(), instructions="Be brief.")
    assert planner_identity(told) != planner_identity(ChatPlanner(ScriptedModel()))
