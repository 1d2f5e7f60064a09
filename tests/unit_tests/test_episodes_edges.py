"""Episodes where something is refused, breaks off, or is repeated: what is charged, kept and scored then."""

import asyncio
import json
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt

from langgraph_conductor import (
    Budget,
    BudgetExceededError,
    ChatPlanner,
    ConfigError,
    Worker,
    WorkerPool,
    create_conductor,
    run_episode,
)
from langgraph_conductor.budget import Ledger
from langgraph_conductor.episodes import Episode
from langgraph_conductor.errors import StoreError
from langgraph_conductor.evals.running import Runner
from langgraph_conductor.evals.strategies import Strategy
from langgraph_conductor.replay import Expenses, ReplyStore
from langgraph_conductor.rewards import Task
from langgraph_conductor.testing import ScriptedModel, plan_text
from tests.helpers import ScriptedPlanner, called, chain, chat, flow

TASK = Task("What is 6 * 7?", "42", "number")
WORDS = {"input": 0, "output": 1_000_000}
SINGLE = plan_text(("a", "x", []))


@pytest.fixture
def store(tmp_path):
    with ReplyStore(tmp_path / "replies.sqlite") as store:
        yield store


def limit(usd):
    return Expenses(Ledger(Budget(usd=usd)))


def kept(store, table="replies"):
    rows = store._db.execute(f"SELECT body FROM {table}").fetchall()
    return [json.loads(body) for (body,) in rows]


def texts(episode):
    return [step["text"] for step in episode.rounds[0]["steps"]]


class OutageError(ConnectionError):
    pass


# ------------------------------------------------------------------ what was refused is no reply


def swallowing():
    model = chat("one two three", max_tokens=3)

    async def ask(task):
        try:
            return (await model.ainvoke("hello")).text
        except Exception as error:
            return f"sorry, {type(error).__name__}"

    return Worker("a", ask, price=WORDS), model


def nested(first="one two three"):
    model = chat(first, "one two three", max_tokens=3)
    inside = [Worker("x", model, price=WORDS, retries=0), Worker("y", model, price=WORDS, retries=0)]
    return Worker("a", create_conductor(chain("x", "y"), inside), price=WORDS), model


async def test_a_worker_that_goes_on_though_the_limit_refused_a_call_gave_no_reply(store):
    worker, model = swallowing()
    with pytest.raises(BudgetExceededError, match=r"\$2"):
        await run_episode(TASK, SINGLE, WorkerPool([worker]), store=store, expenses=limit(2))
    assert (called(model), kept(store), kept(store, "runs")) == (0, [], [])
    episode = await run_episode(TASK, SINGLE, WorkerPool([worker]), store=store, expenses=limit(3))
    assert episode.answer == "one two three"


async def test_a_nested_conductor_that_the_limit_ends_early_gave_no_reply(store):
    worker, model = nested()
    with pytest.raises(BudgetExceededError, match=r"\$4"):
        await run_episode(TASK, SINGLE, WorkerPool([worker]), store=store, expenses=limit(4))
    assert (called(model), kept(store)) == (1, [])


async def test_what_an_episodes_own_budget_ended_early_is_not_kept_for_others(store):
    worker, _ = nested()
    short = await run_episode(TASK, SINGLE, WorkerPool([worker]), store=store, budget=Budget(calls=1))
    assert (short.usage.calls, kept(store)) == (1, [])
    whole = await run_episode(TASK, SINGLE, WorkerPool([worker]), store=store)
    assert (whole.usage.calls, len(kept(store))) == (2, 1)


async def test_a_call_the_limit_cannot_bound_ends_the_evaluation_and_scores_nothing(store):
    other, agent = chat("42"), create_agent(chat("42", max_tokens=None))
    workers = WorkerPool([Worker("a", agent, price=WORDS, fallback="b"), Worker("b", other, price=WORDS)])
    with pytest.raises(BudgetExceededError, match="no output cap"):
        await run_episode(TASK, SINGLE, workers, store=store, expenses=limit(100))
    assert (called(other), kept(store, "runs")) == (0, [])


async def test_a_call_that_was_given_up_is_waited_for_by_nobody():
    over = threading.Event()

    def hang(messages):
        over.wait(10)
        return "42"

    model = ScriptedModel(replies=hang, max_tokens=1)
    slow = Worker("a", lambda task: model.invoke("x").text, price=WORDS, timeout=0.1, retries=0)
    spent = limit(1)
    try:
        assert (await run_episode(TASK, SINGLE, WorkerPool([slow]), expenses=spent)).score is None
        other = WorkerPool([Worker("a", chat("42", max_tokens=1), price=WORDS)])
        with pytest.raises(BudgetExceededError):
            await asyncio.wait_for(run_episode(TASK, SINGLE, other, expenses=spent), 2)
    finally:
        over.set()


def test_expenses_know_no_clock():
    with pytest.raises(ValueError, match="seconds"):
        Expenses(Ledger(Budget(seconds=3)))


def test_expenses_count_what_many_threads_pay():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        workers = WorkerPool([Worker("a", chat("42"))])
        spent, answers = Expenses(), []

        async def pay():
            answers.extend([await run_episode(TASK, SINGLE, workers, expenses=spent) for _ in range(5)])

        threads = [threading.Thread(target=lambda: asyncio.run(pay())) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert (len(answers), spent.paid.calls) == (20, 20)


async def test_a_budget_ends_a_replayed_episode_where_it_ends_a_live_one(store):
    workers = WorkerPool([Worker("a", chat("42", max_tokens=10), price=WORDS)])
    live = await run_episode(TASK, SINGLE, workers, budget=Budget(usd=5))
    await run_episode(TASK, SINGLE, workers, store=store)
    replayed = await run_episode(TASK, SINGLE, workers, store=store, budget=Budget(usd=5))
    assert "may need $10" in live.stopped
    assert (replayed.stopped, replayed.answer, replayed.usage.calls) == (live.stopped, "", 0)
    enough = await run_episode(TASK, SINGLE, workers, store=store, budget=Budget(usd=10))
    assert (enough.stopped, enough.answer) == ("", "42")
    two = WorkerPool([Worker("a", chat("42", max_tokens=10).bind(n=2), price=WORDS)])
    await run_episode(TASK, SINGLE, two, store=store)
    assert (await run_episode(TASK, SINGLE, two, store=store, budget=Budget(usd=15))).stopped


async def test_agents_and_planners_are_bounded_the_same_when_replayed(store):
    planner = ChatPlanner(chat(plan_text(("g", "x", [])), max_tokens=40), price=WORDS)
    workers = WorkerPool([Worker("g", create_agent(chat("42", max_tokens=10)), price=WORDS)])
    for usd in (39, 45):
        budget = Budget(usd=usd)
        live = await run_episode(TASK, planner, workers, budget=budget)
        await run_episode(TASK, planner, workers, store=store, budget=Budget(usd=1000 + usd))
        replayed = await run_episode(TASK, planner, workers, store=store, budget=budget)
        assert (replayed.stopped, replayed.answer) == (live.stopped, live.answer)
        assert bool(live.stopped) is (usd == 39)


# ------------------------------------------------------------------ many episodes


async def test_a_runner_asks_each_sample_by_its_seed_under_a_budget_and_ends_at_its_limit(store):
    model = chat(*"123456789", max_tokens=1)
    workers = WorkerPool([Worker("a", model, price=WORDS)])
    one = Strategy("one", "fixed", chain("a"), workers, max_steps=1)
    two = Strategy("two", "fixed", chain("a", "a"), workers, max_steps=2)
    tasks = [Task(f"q{n}", "1", "number") for n in range(2)]
    runner = Runner(store, samples=2, seed=5, concurrency=1, budget=Budget(calls=1), limit_usd="5")
    episodes = [e for many in (await runner.run(one, tasks)).episodes.values() for e in many]
    assert [(e.seed, e.answer) for e in episodes] == [(5, "1"), (6, "2"), (5, "3"), (6, "4")]
    again = Runner(store, samples=2, seed=5)
    assert sum(map(len, (await again.run(one, tasks)).episodes.values())) == 4
    assert (again.expenses.paid.calls, again.expenses.replayed.usd, called(model)) == (0, 4, 4)
    (broken_off,) = (await runner.run(two, tasks[:1])).episodes.values()
    assert ["budget of 1 call" in e.stopped for e in broken_off] == [True]
    assert (runner.expenses.paid.usd, called(model)) == (5, 5)
    assert "budget of $5" in runner.stopped
    assert not (await runner.run(one, tasks)).episodes


# ------------------------------------------------------------------ infrastructure


async def test_an_outage_inside_a_nested_conductor_leaves_no_score_and_nothing_kept(store):
    worker, model = nested(OutageError("down"))
    episode = await run_episode(TASK, SINGLE, WorkerPool([worker]), store=store)
    assert (episode.answer, episode.score) == ("one two three", None)
    assert "worker a, round 0, step 0 (x)" in episode.infra
    assert (kept(store), kept(store, "runs")) == ([], [])
    again = await run_episode(TASK, SINGLE, WorkerPool([worker]), store=store)
    assert (again.infra, again.score, called(model)) == ("", 0.0, 4)


async def test_a_worker_that_waits_for_a_person_leaves_no_score(store):
    def wait(state):
        return {"messages": [AIMessage(interrupt("Shall I?"))]}

    graph = StateGraph(MessagesState).add_node("wait", wait).add_edge(START, "wait").compile()
    episode = await run_episode(TASK, SINGLE, WorkerPool([Worker("a", graph)]), store=store)
    assert episode.score is None
    assert "person" in episode.infra
    assert kept(store, "runs") == []


async def test_a_worker_that_raises_cancelled_fails_alone(store):
    async def give_up(task):
        raise asyncio.CancelledError

    workers = WorkerPool([Worker("a", give_up), Worker("b", chat("42"))])
    strategy = Strategy("s", "fixed", chain("a", "b"), workers, max_steps=2)
    outcome = await Runner(store, concurrency=2).run(
        strategy, [Task(f"q{n}", "42", "number") for n in range(5)]
    )
    assert [episode.score for many in outcome.episodes.values() for episode in many] == [1.0] * 5


def test_ctrl_c_ends_the_program_and_nothing_paid_is_lost(store):
    model = chat("42")

    def leave(task):
        raise KeyboardInterrupt

    async def run(last):
        workers = WorkerPool([Worker("a", model), Worker("b", last, version="1")])
        return await run_episode(TASK, chain("a", "b"), workers, store=store)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(run(leave))
    assert asyncio.run(run(lambda task: "42")).score == 1.0
    assert called(model) == 1


# ------------------------------------------------------------------ rounds before


async def test_an_episode_that_goes_on_has_a_budget_of_its_own():
    workers = WorkerPool([Worker("a", chat("41")), Worker("b", chat("42"))])
    first = await run_episode(TASK, chain("a", "b"), workers, budget=Budget(calls=1))
    assert first.stopped
    on = plan_text(("b", "Mend it.", "all"))
    for budget in (None, Budget(calls=1)):
        second = await run_episode(TASK, on, workers, previous=first, budget=budget)
        assert (second.answer, second.stopped) == ("42", "")
    planner = ScriptedPlanner(flow(("b", "x", [])))
    twice = await run_episode(TASK, planner, workers, previous=first, max_rounds=2, budget=Budget(calls=1))
    assert "budget" in twice.stopped


async def test_a_run_that_goes_on_from_other_rounds_is_another(store):
    workers = WorkerPool([Worker("a", chat("41", "43")), Worker("b", lambda task: task.messages[0].text)])
    earlier = [await run_episode(TASK, SINGLE, workers) for _ in range(2)]
    on = plan_text(("b", "Mend it.", "all"))
    answers = [(await run_episode(TASK, on, workers, previous=e, store=store)).answer for e in earlier]
    assert ["41" in answers[0], "43" in answers[1]] == [True, True]


async def test_an_episode_without_an_answer_is_gone_on_from():
    workers = WorkerPool([Worker("a", chat("", "42"))])
    first = await run_episode(TASK, SINGLE, workers)
    assert (first.answer, first.score) == ("", 0.0)
    assert (await run_episode(TASK, SINGLE, workers, previous=first)).score == 1.0


# ------------------------------------------------------------------ which reply is whose


async def test_who_stands_in_for_another_gives_every_step_a_reply_of_its_own(store):
    refusing = ScriptedModel(replies=[AIMessage("", additional_kwargs={"refusal": "no"})], max_tokens=9)
    workers = WorkerPool([Worker("x", refusing, fallback="y"), Worker("y", chat(*"123456789"))])
    steps = [
        ("x", "Try.", []),
        ("x", "Try.", []),
        ("y", "Try.", []),
        ("x", "Try.", []),
        ("y", "Say.", "all"),
    ]
    first = await run_episode(TASK, plan_text(*steps), workers, store=store)
    assert len(set(texts(first))) == 5
    again = await run_episode(TASK, plan_text(*steps) + " ", workers, store=store)
    assert texts(again) == texts(first)
    assert called(workers["y"].model) == 5


async def test_a_plan_by_numbers_is_not_read_for_workers_of_other_names(store):
    text = "model_id = [0]\nsubtasks = ['x']\naccess_list = [[]]"
    planner = ChatPlanner(chat(text, max_tokens=None), show="anonymous", structured=False)
    for name in "ab":
        workers = WorkerPool([Worker(name, chat("42"))])
        assert (await run_episode(TASK, planner, workers, store=store)).valid


async def test_access_to_all_of_nothing_is_the_same_step_as_access_to_nothing(store):
    workers = WorkerPool([Worker("a", chat(*"123456789"))])
    text = plan_text(("a", "Try.", "all"), ("a", "Try.", []), ("a", "Try.", "all"), ("a", "Try.", [0, 1]))
    episode = await run_episode(TASK, text + " ", workers, store=store)
    assert len(set(texts(episode))) == 4


async def test_which_reply_is_whose_does_not_depend_on_who_is_faster(store):
    async def later(text, seconds):
        await asyncio.sleep(seconds)
        return text

    seen = set()
    for n in range(20):
        order = iter(range(99))

        async def answer(task, order=order, n=n):
            number = next(order)
            return await later(f"{n}-{number}", ((number * 7 + n * 3) % 5) / 1000)

        workers = WorkerPool([Worker("a", answer, version="1"), Worker("b", answer, version="1")])
        tries, looks = [("a", "Try.", [])] * 3, [("b", "Look.", [0, 1])] * 2
        text = plan_text(*tries, *looks) + " " * n
        seen.add(tuple(texts(await run_episode(TASK, text, workers, store=store))))
    assert len(seen) == 1


async def test_a_reply_that_another_process_kept_first_is_the_one_that_is_used(store):
    with ReplyStore(store.path) as other:

        def saying(text, seconds):
            async def say(task):
                await asyncio.sleep(seconds)
                return text

            return WorkerPool([Worker("a", say, version="1")])

        slow, fast = saying("42", 0.1), saying("41", 0)
        late = asyncio.create_task(run_episode(TASK, SINGLE, slow, store=store))
        await asyncio.sleep(0.03)
        first = await run_episode(TASK, SINGLE + " ", fast, store=other)
    assert [first.answer, (await late).answer] == ["41", "41"]


# ------------------------------------------------------------------ the file


async def test_no_key_reaches_the_file(store):
    from langgraph_conductor.testing import FakeProviders
    from langgraph_conductor.workers import chat_model

    key = "plainKEY0123456789"
    with FakeProviders() as fake:
        fake.script("gpt-4.1", f"Your key is {key}, and 42", f"I saw {key} " + SINGLE)
        model = chat_model("openai:gpt-4.1", base_url=fake.openai_url, api_key=key)
        workers = WorkerPool([Worker("a", model)])
        live = await run_episode(TASK, SINGLE, workers, store=store)
        await run_episode(TASK, ChatPlanner(model, structured=False), workers, store=store)
    assert live.answer == "Your key is [redacted], and 42"
    store.close()
    folder = Path(store.path).parent
    held = b"".join(path.read_bytes() for path in folder.iterdir())
    assert b"and 42" in held
    assert key.encode() not in held
    assert b"I saw [redacted]" in held


async def test_a_full_disk_ends_the_evaluation_once_what_runs_is_over(store):
    model, other = chat("x " * 9000, max_tokens=None), chat("42")
    workers = WorkerPool([Worker("a", chat("41")), Worker("b", model, fallback="c"), Worker("c", other)])
    await run_episode(TASK, SINGLE, workers, store=store)
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    strategy = Strategy("s", "fixed", chain("b", "a"), workers, max_steps=2)
    with pytest.raises(StoreError, match="full"):
        await Runner(store, concurrency=1).run(strategy, [TASK, Task("Another?", "42", "number")])
    # The reply that was paid is read by the step after it; no other episode begins.
    assert (called(model), called(other), called(workers["a"].model)) == (1, 0, 2)
    assert store.counts() == {"a": 2}


async def test_a_paid_reply_that_cannot_be_written_is_handed_on_and_kept_later(store, caplog):
    workers = WorkerPool([Worker("a", chat("42")), Worker("b", chat("42"))])
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    long = Worker("a", chat("42 " * 3000, max_tokens=None))
    episode = await run_episode(TASK, SINGLE, WorkerPool([long]), store=store)
    assert episode.answer == ("42 " * 3000).strip()
    assert "held in memory only" in caplog.text
    with pytest.raises(StoreError, match="full"):
        await run_episode(TASK, chain("b"), workers, store=store)
    assert called(workers["b"].model) == 0
    assert store.counts() == {}
    store._db.execute("PRAGMA max_page_count = 100000")
    again = await run_episode(TASK, SINGLE, WorkerPool([long]), store=store)
    assert (again.answer, called(long.model), store.counts()) == (episode.answer, 1, {"a": 1})
    assert len(kept(store, "runs")) == 1


async def test_a_store_whose_disk_stays_full_says_what_is_lost_when_it_is_closed(tmp_path, caplog):
    with ReplyStore(tmp_path / "replies.sqlite") as store:
        store._db.execute("PRAGMA max_page_count = 3")
        store.keep_reply("k", "a", {"text": "x" * 50_000})
        assert store.reply("k") == {"text": "x" * 50_000}
    assert "1 paid replies are lost" in caplog.text


def spoilt(store, table, body):
    with sqlite3.connect(store.path) as other:
        (changed,) = other.execute(f"SELECT body FROM {table} LIMIT 1").fetchone()
        other.execute(f"UPDATE {table} SET body = ?", (body(changed),))
    other.close()


def without(name):
    return lambda body: json.dumps({k: v for k, v in json.loads(body).items() if k != name})


def with_(**changes):
    return lambda body: json.dumps({**json.loads(body), **changes})


DAMAGE = {
    "truncated": lambda body: body[: len(body) // 2],
    "empty": lambda body: "",
    "bytes": lambda body: b"\x00\xff\x13random",
    "NUL": lambda body: body.replace("a", "\0", 1),
    "null": lambda body: "null",
    "list": lambda body: f"[{body}]",
    "number": lambda body: 7,
    "deep": lambda body: "[" * 100_000,
    "huge number": lambda body: '{"text": ' + "9" * 9000 + "}",
    "not ASCII": lambda body: body[:-1] + "ü",
}
OF_REPLIES = {
    "no text": without("text"),
    "no calls": without("calls"),
    "no seconds": without("seconds"),
    "text is a number": with_(text=41),
    "text is empty": with_(text=""),
    "text is null": with_(text=None),
    "seconds are text": with_(seconds="1"),
    "seconds are negative": with_(seconds=-1.0),
    "calls are none": with_(calls=[{}]),
    "fewer calls": with_(calls=[]),
    "odd usage": lambda body: body.replace('"input_tokens": ', '"input_tokens": "', 1).replace(', "output', '", "output', 1),
    "an unknown failure": lambda body: without("text")(with_(failure={"type": "Exit", "message": "m"})(body)),
}  # fmt: skip
OF_RUNS = {
    "no answer": without("answer"),
    "answer is a number": with_(answer=0),
    "another task's": with_(task="0" * 16),
    "rounds are none": with_(rounds=[{}]),
    "odd seconds": with_(wall_seconds="soon"),
    "more keys": with_(more=1),
}


@pytest.mark.parametrize("damage", [*DAMAGE.values(), *OF_REPLIES.values()], ids=[*DAMAGE, *OF_REPLIES])
async def test_a_damaged_reply_is_an_error_that_names_it_and_no_wrong_answer(store, damage):
    model = chat("42")
    await run_episode(TASK, SINGLE, WorkerPool([Worker("a", model)]), store=store)
    spoilt(store, "replies", damage)
    store._db.execute("DELETE FROM runs")
    with pytest.raises(
        StoreError, match=r"replies\.sqlite is damaged: table replies, key \w{64}: .*delete that row"
    ):
        await run_episode(TASK, SINGLE, WorkerPool([Worker("a", model)]), store=store)
    assert called(model) == 1


@pytest.mark.parametrize("damage", [*DAMAGE.values(), *OF_RUNS.values()], ids=[*DAMAGE, *OF_RUNS])
async def test_a_damaged_run_is_an_error_that_names_it(store, damage):
    model = chat("42")
    await run_episode(TASK, SINGLE, WorkerPool([Worker("a", model)]), store=store)
    spoilt(store, "runs", damage)
    with pytest.raises(StoreError, match="table runs, key"):
        await run_episode(TASK, SINGLE, WorkerPool([Worker("a", model)]), store=store)
    assert called(model) == 1


@pytest.mark.parametrize(
    "damage",
    [
        without("workflow"), without("usage"), with_(workflow={"steps": []}), with_(workflow={"steps": "x"}),
        with_(attempts=[{"mode": "text"}]), with_(usage={"calls": 1, "odd": 2}), with_(final="no"),
        *DAMAGE.values(),
    ],
)  # fmt: skip
async def test_a_damaged_plan_is_no_failure_of_the_planner(store, damage):
    def asked():
        planner = ChatPlanner(chat(SINGLE, max_tokens=None), structured=False)
        return run_episode(TASK, planner, WorkerPool([Worker("a", chat("42"))]), store=store)

    await asked()
    with sqlite3.connect(store.path) as other:
        other.execute("DELETE FROM replies WHERE who != ''")
        other.execute("DELETE FROM runs")
    other.close()
    spoilt(store, "replies", damage)
    with pytest.raises(StoreError, match="table replies, key"):
        await asked()


async def test_a_locked_file_is_told_of_before_anything_is_paid(store, monkeypatch):
    from langgraph_conductor.replay import store as module

    monkeypatch.setattr(module, "_PATIENCE", 0.1)
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(ConfigError, match="locked"):
        ReplyStore(store.path)
    other.close()
    store.close()
    model = chat("42")
    with pytest.raises(StoreError, match=r"replies\.sqlite failed"):
        await run_episode(TASK, SINGLE, WorkerPool([Worker("a", model)]), store=store)
    assert called(model) == 0


def test_a_damaged_file_is_refused(store):
    for n in range(200):
        store.keep_reply(str(n), "a", {"text": "x" * 500})
    store.close()
    with open(store.path, "r+b") as file:
        for page in range(3, 9):
            file.seek(page * 4096)
            file.write(b"\xff" * 4096)
    with pytest.raises(ConfigError, match="cannot be used as a reply store"):
        ReplyStore(store.path)


async def test_half_characters_are_kept_and_asked_about(store):
    planner = ChatPlanner(chat("I think \ud800 \0 " + SINGLE, max_tokens=None))
    workers = WorkerPool([Worker("a", chat("\udfff\0 42", max_tokens=None)), Worker("b", chat("42"))])
    task = Task("What \ud800 \0 is 6 * 7?", "42", "number")
    first = await run_episode(task, planner, workers, store=store)
    other = await run_episode(task, planner, workers, store=store, fallback="b")
    assert first.valid
    assert (other.answer, called(planner.model), called(workers["a"].model)) == (first.answer, 1, 1)
    assert Episode.from_json(json.loads(json.dumps(first.to_json()))) == first


def test_what_was_answered_before_a_kill_is_not_asked_again(tmp_path):
    script = """
import asyncio, os, sys
from langgraph_conductor import Worker, WorkerPool, run_episode
from langgraph_conductor.replay import ReplyStore
from langgraph_conductor.rewards import Task
from langgraph_conductor.testing import ScriptedModel, plan_text
from pathlib import Path
log = Path(sys.argv[1], "log")
def answer(messages):
    log.write_text((log.read_text() if log.exists() else "") + "x")
    return "42"
def die(task):
    if sys.argv[2] == "die":
        os.kill(os.getpid(), 9)
    return "42"
async def main():
    workers = WorkerPool([Worker("a", ScriptedModel(replies=answer)), Worker("b", die, version="1")])
    with ReplyStore(Path(sys.argv[1], "s.sqlite")) as store:
        text = plan_text(("a", "x", []), ("a", "y", [0]), ("b", "z", "all"))
        print((await run_episode(Task("Q?", "42", "number"), text, workers, store=store)).score)
asyncio.run(main())
"""
    ran = [
        subprocess.run([sys.executable, "-c", script, tmp_path, how], capture_output=True, text=True)
        for how in ("die", "live")
    ]
    assert ran[0].returncode == -9
    assert ran[1].stdout == "1.0\n"
    assert (tmp_path / "log").read_text() == "xx"
