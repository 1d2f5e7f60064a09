"""The file replies are kept in, and what they are kept under."""

import asyncio
import json
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from functools import partial

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from langgraph_conductor import ChatPlanner, ConfigError, Worker, WorkerPool
from langgraph_conductor.planners import fixed
from langgraph_conductor.replay import ReplyStore
from langgraph_conductor.replay.identity import (
    messages_identity,
    planner_identity,
    pool_identity,
    worker_identity,
)
from langgraph_conductor.replay.store import key_of
from langgraph_conductor.testing import ScriptedModel
from langgraph_conductor.workers import chat_model
from tests.helpers import printed_under_two_hash_seeds


@pytest.fixture
def store(tmp_path):
    with ReplyStore(tmp_path / "replies.sqlite") as store:
        yield store


def test_what_is_kept_is_found_again_by_another_process_and_the_first_stays(store):
    assert store.reply("k") is None
    store.keep_reply("k", "coder", {"text": "ünï", "calls": []})
    store.keep_reply("k", "coder", {"text": "other"})
    store.keep_run("k", {"answer": "a run"})
    with ReplyStore(store.path) as again:
        assert again.reply("k") == {"text": "ünï", "calls": []}
        assert again.run("k") == {"answer": "a run"}
        assert again.counts() == {"coder": 1}


def test_the_file_is_in_wal_mode_so_that_readers_and_a_writer_do_not_wait_for_each_other(store):
    with sqlite3.connect(store.path) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        other.execute("BEGIN")
        other.execute("SELECT * FROM replies").fetchall()
        store.keep_reply("k", "w", {"text": "written meanwhile"})
    assert store.reply("k") == {"text": "written meanwhile"}
    other.close()


@pytest.mark.parametrize(
    "content", [b"no database at all, and long enough to have a header" * 9, "table", "newer"]
)
def test_another_file_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "other"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        db = sqlite3.connect(path)
        db.execute("CREATE TABLE mine (x)" if content == "table" else "PRAGMA user_version = 99")
        db.commit()
        db.close()
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="cannot be used as a reply store"):
        ReplyStore(path)
    assert path.read_bytes() == before


def test_a_folder_that_is_not_there_is_an_error_that_names_the_file(tmp_path):
    with pytest.raises(ConfigError, match="nowhere"):
        ReplyStore(tmp_path / "nowhere" / "replies.sqlite")


def test_the_file_and_those_beside_it_are_their_owners_alone(tmp_path):
    before = os.umask(0)
    try:
        with ReplyStore(tmp_path / "replies.sqlite") as store:
            store.keep_reply("k", "w", {"text": "x"})
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("replies.sqlite", "replies.sqlite-wal", "replies.sqlite-shm"), 0o600)


def test_the_mode_of_a_file_that_is_there_is_left_alone(tmp_path):
    path = tmp_path / "replies.sqlite"
    path.touch(0o640)
    ReplyStore(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_folder_in_its_place_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be used as a reply store"):
        ReplyStore(tmp_path)


def test_many_threads_write_at_once(store):
    def write(n):
        for i in range(50):
            store.keep_reply(key_of(n, i), str(n), {"text": str(i)})

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.counts() == {str(n): 50 for n in range(8)}


def test_many_processes_write_at_once(store):
    script = """
import sys
from langgraph_conductor.replay import ReplyStore
with ReplyStore(sys.argv[1]) as store:
    for i in range(100):
        store.keep_reply(f"{sys.argv[2]}-{i}", sys.argv[2], {"text": "x"})
"""
    running = [subprocess.Popen([sys.executable, "-c", script, store.path, name]) for name in "ab"]
    assert [process.wait(60) for process in running] == [0, 0]
    assert store.counts() == {"a": 100, "b": 100}


def test_who_asks_for_a_reply_on_its_way_is_told_when_it_is_there(store):
    assert store.fetch("k") is None
    waiting = store.fetch("k")
    assert not waiting.done()
    assert not waiting.cancel()  # one who gives up does not end it for others
    assert store.fetch("other") is None
    store.fetched("k")
    assert waiting.done()
    assert store.fetch("k") is None


# ------------------------------------------------------------------ what replies are kept under


def model(**options):
    return chat_model("openai:gpt-4.1", **{"api_key": "sk-one-two-three-4", **options})


def test_what_may_change_a_reply_makes_another_worker():
    def tool(x: str) -> str:
        """Look up."""
        return x

    def tool_otherwise(x: str) -> str:
        """Look up."""
        return x

    base = worker_identity(Worker("w", model(temperature=0.1, max_tokens=50)))
    others = [
        Worker("v", model(temperature=0.1, max_tokens=50)),
        Worker("w", model(temperature=0.2, max_tokens=50)),
        Worker("w", model(temperature=0.1, max_tokens=60)),
        Worker("w", model(temperature=0.1, max_tokens=50, reasoning_effort="high")),
        Worker("w", model(temperature=0.1, max_tokens=50).bind(stop=["x"])),
        Worker("w", model(temperature=0.1, max_tokens=50).with_fallbacks([model()])),
        Worker("w", model(temperature=0.1, max_tokens=50), version="2"),
        Worker("w", model(temperature=0.1, max_tokens=50), tools=[tool]),
        Worker("w", model(temperature=0.1, max_tokens=50), tools=[tool_otherwise]),
        Worker("w", chat_model("openai:gpt-4.1-mini", api_key="sk-1", temperature=0.1, max_tokens=50)),
        Worker("w", lambda task: "x"),
        Worker("w", create_agent(model(temperature=0.1, max_tokens=50))),
    ]
    identities = [json.dumps(base), *(json.dumps(worker_identity(other)) for other in others)]
    assert len(set(identities)) == len(identities)


def test_where_and_how_long_a_worker_is_called_does_not():
    base = worker_identity(Worker("w", model(temperature=0.1)))
    for other in (
        Worker("w", model(temperature=0.1, api_key="sk-another-key-5")),
        Worker("w", model(temperature=0.1, base_url="http://elsewhere:1/v1", timeout=7, max_retries=3)),
        Worker(
            "w",
            model(temperature=0.1),
            timeout=3,
            retries=0,
            description="D",
            tags=["t"],
            max_concurrency=2,
        ),
    ):
        assert worker_identity(other) == base


def test_no_identity_holds_a_key_or_an_address_in_memory():
    def look(task, where="x"):
        return "y"

    agent = create_agent(model(), name="helper")
    mcp = {"transport": "stdio", "command": "server", "args": [], "env": {"TOKEN": "sk-hidden-0123456"}}
    pool = WorkerPool(
        [
            Worker("a", model().bind(by=object())),
            Worker("b", partial(look, where=object())),
            Worker("c", agent),
            Worker("d", model(), tools=[mcp]),
            Worker("e", HumanMessage("x").__class__.model_validate, version="1"),
        ]
    )
    told = json.dumps([pool_identity(pool), planner_identity(ChatPlanner(model()))])
    assert "sk-" not in told
    assert "0x" not in told
    assert "hidden" not in told


def test_what_a_planner_is_may_be_unknown():
    class Own:
        def plan(self, request):
            return None

        async def aplan(self, request):
            return None

    assert planner_identity(Own()) is None
    known = Own()
    known.identity = {"own": 1}
    assert planner_identity(known) == {"own": 1}
    a, b = ChatPlanner(model()), ChatPlanner(model(), show="anonymous")
    assert planner_identity(a) != planner_identity(b)
    assert planner_identity(a) == planner_identity(ChatPlanner(model()))


def test_fixed_planners_tell_what_they_are():
    made = [
        fixed.single("a"), fixed.single("b"), fixed.single("a", "Do it."), fixed.self_consistency(3, "a"),
        fixed.random_router(1), fixed.random_router(2), fixed.random_workflow(1), fixed.random_workflow(1, 3),
        fixed.reviewed(fixed.single("a")), fixed.reviewed(fixed.random_router(1)), fixed.reviewed(fixed.single("a"), "b"),
    ]  # fmt: skip
    told = [json.dumps(planner_identity(planner), sort_keys=True) for planner in made]
    assert "null" not in told
    assert len(set(told)) == len(told)
    assert planner_identity(fixed.FixedPlanner(lambda request: None)) is None
    assert planner_identity(fixed.reviewed(fixed.FixedPlanner(lambda request: None))) is None


def test_messages_are_told_apart_by_all_that_is_said_and_not_by_their_ids():
    a = messages_identity([SystemMessage("s"), HumanMessage("h", id="1")])
    assert a == messages_identity([SystemMessage("s"), HumanMessage("h", id="2")])
    assert a != messages_identity([HumanMessage("s"), HumanMessage("h")])
    call = {"name": "f", "args": {"x": 1}, "id": "c", "type": "tool_call"}
    assert messages_identity([AIMessage("", tool_calls=[call])]) != messages_identity([AIMessage("")])
    image = [{"type": "text", "text": "h"}, {"type": "image", "url": "http://x/y.png"}]
    assert messages_identity([HumanMessage(image)]) != messages_identity([HumanMessage("h")])


def test_the_same_in_another_process():
    script = """
import json
from langgraph_conductor import ChatPlanner, Worker, WorkerPool
from langgraph_conductor.replay.identity import planner_identity, pool_identity
from langgraph_conductor.workers import chat_model
pool = WorkerPool([Worker("a", chat_model("openai:gpt-4.1", api_key="sk-1234567", temperature=0.5))])
planner = ChatPlanner(chat_model("anthropic:claude-sonnet-4-5", api_key="sk-1234567"))
print(json.dumps([pool_identity(pool), planner_identity(planner)]))
"""
    assert len(printed_under_two_hash_seeds(script)) == 1


def test_a_model_of_a_test_is_known_by_its_name():
    assert worker_identity(Worker("w", ScriptedModel())) == worker_identity(
        Worker("w", ScriptedModel(replies=["x"]))
    )
    named = Worker("w", ScriptedModel(model_name="other"))
    assert worker_identity(named) != worker_identity(Worker("w", ScriptedModel()))


def test_asyncio_is_not_needed_to_use_the_file(store):
    async def use():
        store.keep_reply("k", "w", {"text": "x"})
        return store.reply("k")

    assert asyncio.run(use()) == asyncio.run(use())
