"""Episodes: planned, run and graded once; replies read from the store and charged in full."""

import asyncio
import json
from dataclasses import replace
from decimal import Decimal

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage

from langgraph_conductor import (
    Budget,
    BudgetExceededError,
    ChatPlanner,
    ConfigError,
    PlanError,
    Usage,
    Worker,
    WorkerPool,
    create_conductor,
    run_episode,
)
from langgraph_conductor.budget import Ledger
from langgraph_conductor.episodes import Episode
from langgraph_conductor.planners import fixed
from langgraph_conductor.planners.protocol import Attempt, PlanningError
from langgraph_conductor.replay import Expenses, ReplyStore, current_sample
from langgraph_conductor.rewards import Task
from langgraph_conductor.testing import ACCEPT_TEXT, ScriptedModel, plan_text
from tests.helpers import PRICE, Recorder, ScriptedPlanner, Tooled, ask, called, chat, flow, tool_call

TASK = Task("What is 6 * 7?", "42", "number", domain="sums")
CHAIN = plan_text(("a", "Work it out.", []), ("b", "Check it.", "all"))


@pytest.fixture
def store(tmp_path):
    with ReplyStore(tmp_path / "replies.sqlite") as store:
        yield store


def pool(**replies):
    """Workers over one model each, with a price of a dollar a word said."""
    return WorkerPool([Worker(name, model, price=PRICE) for name, model in models(**replies).items()])


def models(**replies):
    return {
        name: reply
        if isinstance(reply, ScriptedModel)
        else chat(*([reply] if isinstance(reply, str) else reply))
        for name, reply in (replies or {"a": "41", "b": "42", "c": "43"}).items()
    }


def model_of(pool, name):
    return pool[name].model


class OutageError(ConnectionError):
    pass


# ------------------------------------------------------------------ planned, run, graded


async def test_an_episode_of_a_plan_text():
    workers = pool()
    episode = await run_episode(TASK, CHAIN, workers)
    assert (episode.task, episode.answer, episode.score) == (TASK.id, "42", 1.0)
    assert (episode.valid, episode.reached, episode.infra, episode.error) == (True, "unaided", "", "")
    assert [step["worker"] for step in episode.rounds[0]["steps"]] == ["a", "b"]
    assert episode.rounds[0]["plan"]["text"] == CHAIN
    assert episode.planner.calls == 0
    assert episode.workers.calls == 2
    assert episode.usage.output_tokens == 2
    assert episode.usage.usd is not None
    assert episode.usage.usd > 2


async def test_a_wrong_answer_scores_nothing_and_is_no_failure():
    episode = await run_episode(TASK, fixed.single("c"), pool())
    assert (episode.score, episode.answer, episode.reached, episode.infra) == (0.0, "43", "fixed", "")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("no plan at all", "no workflow"),
        (plan_text(("nobody", "Do it.", [])), "nobody"),
        (plan_text(*[("a", f"Do {i}.", []) for i in range(6)]), "at most 5"),
        (ACCEPT_TEXT, ""),
        ("", "no workflow"),
    ],
)
async def test_a_plan_text_that_cannot_be_used_scores_nothing_and_calls_nobody(text, why):
    workers = pool()
    episode = await run_episode(TASK, text, workers)
    assert (episode.score, episode.valid, episode.reached, episode.answer) == (0.0, False, "invalid", "")
    assert why in episode.error
    assert called(*(worker.model for worker in workers)) == 0


async def test_a_plan_text_that_ends_with_a_worker_that_may_not_be_last_is_refused():
    workers = WorkerPool([Worker("a", chat("42")), Worker("b", chat("42"), may_be_last=False)])
    episode = await run_episode(TASK, plan_text(("b", "Do it.", [])), workers)
    assert (episode.reached, episode.score) == ("invalid", 0.0)


async def test_ordinals_are_read_as_a_trained_planner_writes_them():
    episode = await run_episode(TASK, 'model_id = [1]\nsubtasks = ["x"]\naccess_list = [[]]', pool())
    assert (episode.score, episode.rounds[0]["steps"][0]["worker"]) == (1.0, "b")


async def test_a_planner_whose_plans_cannot_be_read_is_not_valid_though_a_worker_answered():
    episode = await run_episode(TASK, ChatPlanner(chat("nonsense", max_tokens=None)), pool(a="42"))
    assert (episode.score, episode.valid, episode.reached) == (1.0, False, "fallback")
    assert episode.planner.calls == 3


async def test_how_a_plan_was_reached():
    planner = ChatPlanner(chat("nonsense", CHAIN, max_tokens=None))
    episode = await run_episode(TASK, planner, pool())
    assert (episode.valid, episode.reached, episode.planner.calls) == (True, "repair", 2)


async def test_the_fallback_is_the_one_that_is_named():
    episode = await run_episode(TASK, ScriptedPlanner(PlanError("no")), pool(), fallback="b")
    assert (episode.answer, episode.valid) == ("42", False)


async def test_the_answer_is_graded_once(monkeypatch):
    from langgraph_conductor import rewards

    graded = []

    async def count(answer, task):
        graded.append(answer)
        return 1.0

    monkeypatch.setattr(rewards, "agrade", count)
    planner = ScriptedPlanner(flow(("a", "x", [])), flow(("b", "y", [])))
    await run_episode(TASK, planner, pool(), max_rounds=2)
    assert graded == ["42"]


async def test_an_unknown_grader_is_refused_before_anything_is_paid():
    workers = pool()
    with pytest.raises(ConfigError, match="magic"):
        await run_episode(replace(TASK, grader="magic"), CHAIN, workers)
    assert called(*(worker.model for worker in workers)) == 0


async def test_as_json_and_back():
    episode = await run_episode(TASK, CHAIN, pool())
    assert Episode.from_json(json.loads(json.dumps(episode.to_json()))) == episode


# ------------------------------------------------------------------ rounds


async def test_a_later_round_goes_on_from_an_earlier_episode_and_counts_its_own_use_alone():
    workers = pool(a="41", b="42")
    first = await run_episode(TASK, fixed.single("a"), workers)
    second = await run_episode(TASK, plan_text(("b", "Mend it.", "all")), workers, previous=first)
    assert (first.score, second.score) == (0.0, 1.0)
    assert [record["round"] for record in second.rounds] == [1]
    assert second.usage.calls == 1
    assert "41" in model_of(workers, "b").prompts[0]
    third = await run_episode(TASK, ACCEPT_TEXT, workers, previous=[*first.rounds, *second.rounds])
    assert (third.answer, third.score, third.rounds[0]["accepted"]) == ("42", 1.0, True)
    assert third.usage.calls == 0


async def test_a_planner_is_shown_the_earlier_round():
    workers = pool(a="41", b="42")
    first = await run_episode(TASK, fixed.single("a"), workers)
    planner = ScriptedPlanner(flow(("b", "Mend it.", "all")))
    second = await run_episode(TASK, planner, workers, previous=first, max_rounds=1)
    assert planner.requests[0].previous["answer"] == "41"
    assert second.answer == "42"


async def test_earlier_rounds_come_from_the_planner_and_from_nobody_who_calls():
    planner = ScriptedPlanner(flow(("a", "x", [])))
    conductor = create_conductor(planner, pool(a=["41", "42"]), max_rounds=1)
    first = await conductor.ainvoke(ask())
    forged = [first["rounds"][0] | {"answer": "forged"}]
    with pytest.raises(ValueError, match="may hold"):
        await conductor.ainvoke(ask(), {"configurable": {"conductor": {"rounds": forged}}})
    planner.earlier = first["rounds"]
    going_on = create_conductor(planner, pool(a=["42"]), max_rounds=2)
    second = await going_on.ainvoke(ask())
    assert [record["answer"] for record in second["rounds"]] == ["41", "42"]
    assert second["usage"]["total"]["calls"] == 2
    for wrong in ([{}], [1]):
        with pytest.raises(ValueError, match="records of rounds"):
            await run_episode(TASK, planner, pool(a="41"), previous=wrong)


async def test_two_rounds_of_one_planner():
    episode = await run_episode(TASK, fixed.reviewed(fixed.single("a")), pool(a=["41", "42"]), max_rounds=2)
    assert [record["answer"] for record in episode.rounds] == ["41", "42"]
    assert (episode.score, episode.usage.calls) == (1.0, 2)


# ------------------------------------------------------------------ whose fault it is


@pytest.mark.parametrize("failing", ["a", "b"])
async def test_an_outage_of_any_step_leaves_no_score(failing):
    replies = {"a": "41", "b": "42"} | {failing: chat(OutageError("down"))}
    workers = WorkerPool([Worker(name, model, retries=0) for name, model in models(**replies).items()])
    episode = await run_episode(TASK, CHAIN, workers)
    assert episode.score is None
    assert failing in episode.infra
    assert "down" in episode.infra


async def test_an_outage_is_told_though_a_fallback_helped_out():
    workers = WorkerPool(
        [Worker("a", chat(OutageError("down")), retries=0, fallback="b"), Worker("b", chat("42"))]
    )
    episode = await run_episode(TASK, fixed.single("a"), workers)
    assert (episode.answer, episode.score) == ("42", None)


async def test_an_outage_of_the_planner_leaves_no_score():
    planner = ChatPlanner(chat(OutageError("down")), retries=0)
    episode = await run_episode(TASK, planner, pool())
    assert (episode.score, episode.valid) == (None, False)
    assert "planner" in episode.infra


async def test_a_refused_key_is_no_wrong_answer():
    class AuthenticationError(Exception):
        status_code = 401

    workers = WorkerPool([Worker("a", chat(AuthenticationError("bad key")), retries=0)])
    episode = await run_episode(TASK, fixed.single("a"), workers)
    assert episode.score is None


async def test_a_worker_that_fails_by_itself_scores_nothing_and_its_use_is_counted():
    def refuse(task):
        raise ValueError("not my kind of question")

    workers = WorkerPool([Worker("a", chat("41"), price=PRICE), Worker("b", refuse)])
    episode = await run_episode(TASK, fixed.single("b"), workers)
    assert (episode.score, episode.infra, episode.answer) == (0.0, "", "")
    assert "not my kind" in episode.error
    assert [step["status"] for step in episode.rounds[0]["steps"]] == ["failed"]
    both = await run_episode(TASK, fixed.workflow(flow(("b", "x", []), ("b", "y", [0]))), workers)
    assert both.score == 0.0
    silent = WorkerPool([Worker("a", chat(""), price=PRICE)])
    episode = await run_episode(TASK, fixed.single("a"), silent)
    assert (episode.score, episode.infra) == (0.0, "")
    assert episode.usage.calls == 1


async def test_a_budget_stops_an_episode_which_is_graded_by_what_it_has():
    episode = await run_episode(TASK, CHAIN, pool(a="42", b="41"), budget=Budget(calls=1))
    assert (episode.answer, episode.score, episode.infra) == ("42", 1.0, "")
    assert "budget" in episode.stopped
    nothing = await run_episode(TASK, CHAIN, pool(), budget=Budget(usd="0.0000001"))
    assert (nothing.answer, nothing.score) == ("", 0.0)
    assert "budget" in nothing.stopped


async def test_what_is_wrong_with_the_program_is_raised():
    with pytest.raises(PlanError, match="nobody"):
        await run_episode(TASK, fixed.single("nobody"), pool())
    with pytest.raises(ValueError, match="max_steps"):
        await run_episode(TASK, CHAIN, pool(), max_steps=0)


# ------------------------------------------------------------------ the store


async def test_a_repeated_episode_asks_nobody_and_is_charged_the_same(store):
    workers = pool()
    planner = ChatPlanner(chat(CHAIN, max_tokens=None), price=PRICE)
    first = await run_episode(TASK, planner, workers, store=store)
    asked = called(planner.model, *(worker.model for worker in workers))
    again = await run_episode(TASK, planner, workers, store=store)
    assert called(planner.model, *(worker.model for worker in workers)) == asked == 3
    assert again == first


async def test_another_planner_with_the_same_steps_asks_nobody_and_is_charged_in_full(store):
    workers = pool()
    spent = Expenses()
    first = await run_episode(TASK, CHAIN, workers, store=store, expenses=spent)
    paid = spent.paid
    other = await run_episode(
        TASK, CHAIN + " ", workers, store=store, expenses=spent
    )  # another text, so another run
    assert called(*(worker.model for worker in workers)) == 2
    assert other.usage == replace(first.usage, busy_seconds=other.usage.busy_seconds)
    assert other.usage.usd == first.usage.usd > Decimal(2)
    assert other.rounds[0]["steps"][0]["model_calls"] == first.rounds[0]["steps"][0]["model_calls"]
    assert spent.paid == paid
    assert spent.replayed.usd == paid.usd


async def test_seconds_are_those_it_took_when_it_was_asked(store):
    slow = {name: chat("42", latency=0.1) for name in "ab"}
    workers = WorkerPool([Worker(name, model) for name, model in slow.items()])
    text = plan_text(("a", "x", []), ("b", "y", []), ("a", "z", [0, 1]))
    first = await run_episode(TASK, text, workers, store=store)
    again = await run_episode(TASK, text + " ", workers, store=store)
    for episode in (first, again):
        assert 0.2 <= episode.wall_seconds < 0.3  # two of three in a row
        assert episode.workers.busy_seconds >= 0.3
        assert all(step["seconds"] >= 0.1 for step in episode.rounds[0]["steps"])
        assert 0.2 <= episode.rounds[0]["wall_seconds"] < 0.3


async def test_another_seed_is_another_sample(store):
    workers = pool(a=["41", "42", "43"])
    seen = [
        (await run_episode(TASK, fixed.single("a"), workers, store=store, seed=s)).answer for s in (0, 1, 0)
    ]
    assert seen == ["41", "42", "41"]


async def test_equal_steps_of_one_workflow_are_samples_of_their_own_in_the_order_of_steps(store):
    workers = WorkerPool([Worker("a", chat(*map(str, range(9)))), Worker("b", chat("42"))])
    three = [("a", "Try.", [])] * 3
    first = await run_episode(TASK, plan_text(*three, ("b", "Judge.", "all")), workers, store=store)
    texts = [step["text"] for step in first.rounds[0]["steps"]]
    assert len(set(texts[:3])) == 3
    two = await run_episode(TASK, plan_text(*three[:2], ("b", "Judge.", "all")), workers, store=store)
    assert [step["text"] for step in two.rounds[0]["steps"]][:2] == texts[:2]
    assert called(model_of(workers, "a")) == 3


async def test_workers_may_ask_which_sample_is_wanted(store):
    seen = []

    def note(task):
        seen.append(current_sample())
        return "42"

    text = plan_text(("a", "x", []), ("a", "x", []), ("a", "y", [0]))
    await run_episode(TASK, text, WorkerPool([Worker("a", note)]), store=store, seed=7)
    assert sorted((s.seed, s.round, s.repeat) for s in seen) == [(7, 0, 0), (7, 0, 0), (7, 0, 1)]


@pytest.mark.parametrize("first", ["all", []])
async def test_first_steps_that_are_shown_the_same_are_drawn_apart(store, first):
    said = iter(["one", "two"])
    pool = WorkerPool([Worker("a", lambda task: next(said)), Worker("b", lambda task: task.inputs[1].text)])
    plan = flow(("a", "Do.", first), ("a", "Do.", []), ("b", "Join.", "all"))
    episode = await run_episode(TASK, fixed.workflow(plan), pool, store=store)
    assert [step["text"] for step in episode.rounds[0]["steps"]] == ["one", "two", "two"]
    assert current_sample() is None


@pytest.mark.parametrize("change", ["question", "subtask", "model", "version", "name"])
async def test_what_is_another_question_is_asked(store, change):
    model = chat("42")
    await run_episode(TASK, fixed.single("a"), WorkerPool([Worker("a", model)]), store=store)
    task = replace(TASK, question="What is 7 * 6?") if change == "question" else TASK
    subtask = "Guess." if change == "subtask" else fixed.SOLVE
    other = chat("42", model_name="other" if change == "model" else "scripted")
    name = "z" if change == "name" else "a"
    worker = Worker(name, other, version="2" if change == "version" else "")
    await run_episode(task, fixed.single(name, subtask), WorkerPool([worker]), store=store)
    assert called(other) == 1


async def test_the_same_question_to_the_same_worker_is_not_asked_again(store):
    await run_episode(TASK, fixed.single("a"), WorkerPool([Worker("a", chat("42"))]), store=store)
    other = chat("41")
    episode = await run_episode(TASK, fixed.single("a"), WorkerPool([Worker("a", other)]), store=store)
    assert (called(other), episode.answer) == (0, "42")


async def test_outages_are_not_kept_and_asked_again(store):
    model = chat(OutageError("down"), "42")
    workers = WorkerPool([Worker("a", model, retries=0)])
    assert (await run_episode(TASK, fixed.single("a"), workers, store=store)).score is None
    assert (await run_episode(TASK, fixed.single("a"), workers, store=store)).score == 1.0


async def test_a_retried_outage_is_kept_once_it_is_over(store):
    model = chat(OutageError("down"), "42")
    workers = WorkerPool([Worker("a", model, retries=1)])
    first = await run_episode(TASK, fixed.single("a"), workers, store=store)
    again = await run_episode(TASK, fixed.single("a", " " + fixed.SOLVE), workers, store=store)
    assert first.score == 1.0
    assert again.score == 1.0


FILTERED = "Azure has not provided the response due to a content filter being triggered"


@pytest.mark.parametrize(
    "said",
    [
        AIMessage(""),
        AIMessage("", additional_kwargs={"refusal": "I will not."}),
        ValueError(FILTERED),  # as Azure's client tells it
    ],
    ids=["empty", "refusal", "filtered"],
)
async def test_an_empty_reply_and_a_refusal_are_replies_that_were_paid(store, said):
    model = ScriptedModel(replies=[said, "42"])
    workers = WorkerPool([Worker("a", model)])
    text = plan_text(("a", "Do it.", []))
    first = await run_episode(TASK, text, workers, store=store)
    again = await run_episode(TASK, text + " ", workers, store=store)
    assert called(model) == 1
    assert first.score == again.score == 0.0
    errors = [episode.rounds[0]["steps"][0]["error"] for episode in (first, again)]
    assert {error["type"] for error in errors} <= {"EmptyReplyError", "RefusalError"}
    assert [error["message"] for error in errors] == [errors[0]["message"]] * 2
    assert again.usage.calls == first.usage.calls == isinstance(said, AIMessage)


async def test_a_plan_that_could_not_be_read_is_kept_too(store):
    planner = ChatPlanner(chat("nonsense", max_tokens=None))
    first = await run_episode(TASK, planner, pool(a="42"), store=store, fallback="a")
    again = await run_episode(
        TASK, planner, pool(a="42"), store=store, fallback="a", budget=Budget(calls=99)
    )
    assert called(planner.model) == 3 + 3  # the budget is told to the planner, so it is another prompt
    once_more = await run_episode(TASK, planner, pool(a="42", z="1"), store=store, fallback="a")
    assert once_more.reached == first.reached == again.reached == "fallback"
    assert [a["error"] for a in first.rounds[0]["plan"]["attempts"]] == [
        a["error"] for a in again.rounds[0]["plan"]["attempts"]
    ]


async def test_a_plan_is_read_from_the_store_for_another_fallback(store):
    planner = ChatPlanner(chat("nonsense", max_tokens=None))
    workers = pool(a="42", b="41")
    first = await run_episode(TASK, planner, workers, store=store, fallback="a")
    other = await run_episode(TASK, planner, workers, store=store, fallback="b")
    assert called(planner.model) == 3
    assert (first.score, other.score, other.reached) == (1.0, 0.0, "fallback")
    assert other.planner.calls == first.planner.calls == 3
    assert other.rounds[0]["plan"]["attempts"] == first.rounds[0]["plan"]["attempts"]


async def test_an_agent_is_asked_once_for_all_its_turns(store):
    model = Tooled(replies=[tool_call(1), "42"])
    looked = []

    def look() -> str:
        """Look."""
        looked.append(1)
        return "seen"

    workers = WorkerPool([Worker("a", model, tools=[look]), Worker("g", create_agent(chat("42")))])
    text = plan_text(("a", "Look.", []), ("g", "Say.", "all"))
    first = await run_episode(TASK, text, workers, store=store)
    again = await run_episode(TASK, text + " ", workers, store=store)
    assert (len(looked), called(model)) == (1, 2)
    assert first.usage.calls == again.usage.calls == 3
    assert [len(step["model_calls"]) for step in again.rounds[0]["steps"]] == [2, 1]


async def test_functions_are_read_from_the_store_too(store):
    worker = Recorder(reply="42")
    workers = WorkerPool([Worker("f", worker, version="1")])
    for text in (plan_text(("f", "x", [])), plan_text(("f", "x", [])) + " "):
        assert (await run_episode(TASK, text, workers, store=store)).score == 1.0
    assert len(worker.tasks) == 1


async def test_two_episodes_at_once_ask_once(store):
    model = chat("42", latency=0.05)
    workers = WorkerPool([Worker("a", model, price=PRICE)])
    spent = Expenses()
    texts = [plan_text(("a", "x", [])) + " " * n for n in range(20)]
    episodes = await asyncio.gather(
        *(run_episode(TASK, text, workers, store=store, expenses=spent) for text in texts)
    )
    assert called(model) == 1
    assert {episode.score for episode in episodes} == {1.0}
    assert {episode.usage.usd for episode in episodes} == {spent.paid.usd}
    assert spent.replayed.usd == 19 * spent.paid.usd


async def test_who_waits_asks_itself_if_the_first_fails(store):
    model = chat(OutageError("down"), "42", latency=0.05)
    workers = WorkerPool([Worker("a", model, retries=0)])
    texts = [plan_text(("a", "x", [])) + " " * n for n in range(3)]
    episodes = await asyncio.gather(*(run_episode(TASK, text, workers, store=store) for text in texts))
    assert sorted(str(episode.score) for episode in episodes) == ["1.0", "1.0", "None"]
    assert called(model) == 2


async def test_who_waits_asks_itself_if_the_first_is_cancelled(store):
    model = chat("42", latency=0.1)
    workers = WorkerPool([Worker("a", model)])
    first = asyncio.create_task(run_episode(TASK, plan_text(("a", "x", [])), workers, store=store))
    await asyncio.sleep(0.05)
    second = asyncio.create_task(run_episode(TASK, plan_text(("a", "x", [])) + " ", workers, store=store))
    await asyncio.sleep(0.01)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (await second).score == 1.0


async def test_a_kept_run_is_graded_anew(store):
    workers = pool(a="42")
    assert (await run_episode(TASK, fixed.single("a"), workers, store=store)).score == 1.0
    strict = replace(TASK, answer="43")
    assert strict.question == TASK.question
    assert (await run_episode(strict, fixed.single("a"), workers, store=store)).score == 0.0
    assert called(model_of(workers, "a")) == 1


async def test_a_run_is_another_where_anything_it_depends_on_is(store):
    model = chat("42")
    spent = Expenses()

    async def run(text=CHAIN, description="", **options):
        workers = WorkerPool([Worker("a", model, description=description), Worker("b", model)])
        before = spent.replayed.calls + spent.paid.calls, called(model)
        await run_episode(TASK, text, workers, store=store, expenses=spent, **options)
        return spent.replayed.calls + spent.paid.calls - before[0], called(model) - before[1]

    assert await run() == (2, 2)
    assert await run() == (2, 0)
    assert await run(max_steps=3) == (2, 0)
    assert await run(description="other") == (2, 0)
    assert await run(seed=1) == (2, 2)
    assert (await run(budget=Budget(calls=1)))[1] == 0


async def test_a_replayed_reply_counts_for_the_budget(store):
    workers = pool(a="42", b="41")
    await run_episode(TASK, CHAIN, workers, store=store)
    episode = await run_episode(TASK, CHAIN, workers, store=store, budget=Budget(calls=1))
    assert (episode.answer, episode.usage.calls) == ("42", 1)
    assert "budget" in episode.stopped
    assert called(*(worker.model for worker in workers)) == 2


# ------------------------------------------------------------------ a limit over many episodes


async def test_the_limit_of_many_episodes_is_kept_and_names_itself(store):
    model = chat("one two three", max_tokens=3)
    workers = WorkerPool([Worker("a", model, price={"input": 0, "output": 1_000_000})])
    spent = Expenses(Ledger(Budget(usd=7)))
    for n in range(2):
        await run_episode(TASK, fixed.single("a"), workers, seed=n, store=store, expenses=spent)
    for n in range(2, 5):
        with pytest.raises(BudgetExceededError, match=r"\$7"):
            await run_episode(TASK, fixed.single("a"), workers, seed=n, store=store, expenses=spent)
    assert called(model) == 2
    assert spent.paid.usd == 6
    assert store.counts() == {"a": 2}
    free = await run_episode(TASK, fixed.single("a"), workers, seed=1, store=store, expenses=spent)
    assert free.usage.usd == 3


async def test_the_limit_is_kept_at_once_in_agents_planners_and_parallel_episodes(store):
    priced = {"input": 0, "output": 1_000_000}
    model, planning = (
        chat("one two three", max_tokens=3),
        chat(plan_text(("a", "x", []), ("g", "y", [])), max_tokens=40),
    )
    agent = Worker("g", create_agent(model), price=priced)
    workers = WorkerPool([Worker("a", model, price=priced), agent])
    spent = Expenses(Ledger(Budget(usd=250)))
    planner = ChatPlanner(planning, price=priced)
    results = await asyncio.gather(
        *(run_episode(TASK, planner, workers, seed=n, store=store, expenses=spent) for n in range(12)),
        return_exceptions=True,
    )
    assert any(isinstance(result, BudgetExceededError) for result in results)
    good = [result for result in results if isinstance(result, Episode)]
    assert good
    assert all(episode.usage.calls == 3 and not episode.stopped for episode in good)
    assert spent.paid.usd <= 250


async def test_without_a_store_everybody_is_asked():
    model = chat("42")
    for _ in range(2):
        await run_episode(TASK, fixed.single("a"), WorkerPool([Worker("a", model)]))
    assert called(model) == 2


def test_a_planner_of_ones_own_that_fails_says_why_and_what_it_used():
    attempts = (Attempt("text", "No.", "there is no plan in it"),)
    failure = PlanningError(
        PlanError("there is no plan in it", text="No."), attempts, Usage(calls=1, input_tokens=7)
    )
    episode = asyncio.run(
        run_episode(TASK, ScriptedPlanner(failure), WorkerPool([Worker("a", lambda task: "42")]))
    )
    assert not episode.valid
    assert "there is no plan in it" in episode.rounds[0]["plan"]["error"]["message"]
    assert (episode.planner.calls, episode.planner.input_tokens) == (1, 7)
    assert episode.score == 1.0
