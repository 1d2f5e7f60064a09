"""MCP servers as they fail: outages, told in one sentence; nothing waits without bound; names do not clash."""

import asyncio
import time

import pytest
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import AIMessage, ToolMessage

from langgraph_conductor import Worker, WorkerPool, create_conductor
from langgraph_conductor.episodes import Task, run_episode
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import FakeMcpServer
from langgraph_conductor.workers import tool_servers
from langgraph_conductor.workers.tool_names import Found, named_tools, valid
from tests.helpers import ask, flow
from tests.unit_tests.test_tools import Tooled, look


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch):
    monkeypatch.setattr("langgraph_conductor.workers.failures.random.uniform", lambda a, b: 0.0)


def calling(*names, parallel=1):
    """A model that calls these tools in turn, and then says what they gave."""

    def reply(messages):
        given = [message for message in messages if isinstance(message, ToolMessage)]
        turn = len(given) // parallel
        if turn < len(names):
            ids = [f"c{turn}{number}" for number in range(parallel)]
            return AIMessage("", tool_calls=[{"name": names[turn], "args": {}, "id": one} for one in ids])
        return " | ".join(f"{message.status}: {message.text}" for message in given) or "nothing called"

    return Tooled(replies=reply)


async def step_of(worker):
    pool = [worker, Worker("b", lambda task: "b")]
    conductor = create_conductor(fixed.workflow(flow((worker.name, "x", []), ("b", "y", [0]))), pool)
    return (await conductor.ainvoke(ask()))["rounds"][0]["steps"][0]


def in_one_sentence(error, name="wiki"):
    assert error["type"] == "ToolServerError"
    assert error["infrastructure"] is True
    assert error["message"].startswith(f"the MCP server '{name}' ")
    assert "sub-exception" not in error["message"]
    assert "\n" not in error["message"]
    return error["message"]


@pytest.mark.parametrize("served", ["stdio", "http"])
@pytest.mark.parametrize("moment", ["start", "search"])
@pytest.mark.parametrize("how", ["dies", "hangs"])
async def test_a_server_that_dies_or_hangs_is_an_outage(served, moment, how):
    server = FakeMcpServer("wiki", tools=["search"], faults={moment: how})
    options = {"read_timeout": 5.0 if how == "dies" else 1.5, "name": "wiki"}
    with server.http(**options) as connection:
        given = connection if served == "http" else server.stdio(**options)
        error = (await step_of(Worker("w", calling("wiki_search"), tools=[given], retries=1)))["error"]
    told = in_one_sentence(error)
    if how == "hangs":
        assert told.endswith("within 1.5 seconds")
        assert error["kind"] == "timeout"


@pytest.mark.parametrize("status", [401, 429, 503])
@pytest.mark.parametrize("parallel", [1, 2])
async def test_a_status_in_answer_to_calls_is_one_outage(status, parallel):
    server = FakeMcpServer("wiki", tools=["search"], faults={"search": status})
    with server.http(url_key="") as connection:
        connection.pop("url_key")
        connection["url"] += "?key=sk-very-secret-0123456789"
        step = await step_of(Worker("w", calling("search", parallel=parallel), tools=[connection]))
    told = in_one_sentence(step["error"])
    assert f"it answered {status} " in told
    assert "very-secret" not in repr(step)


async def test_a_dead_server_leaves_an_episode_without_a_score():
    server = FakeMcpServer("wiki", tools=["search"], faults={"search": "dies"})
    pool = WorkerPool([Worker("w", calling("search"), tools=[server.stdio()])])
    episode = await run_episode(Task("What is 6*7?", answer="42", grader="number"), fixed.single("w"), pool)
    assert episode.score is None
    assert "the MCP server 'wiki'" in episode.infra


@pytest.mark.parametrize(("failures", "retries", "opened", "ok"), [(2, 2, 3, True), (3, 2, 3, False)])
async def test_a_server_that_is_out_is_connected_to_again(failures, retries, opened, ok):
    server = FakeMcpServer("wiki", faults={"start": [503] * failures})
    with server.http() as connection:
        step = await step_of(Worker("w", calling("echo"), tools=[connection], retries=retries))
    assert (server.opened, step["status"] == "ok") == (opened, ok)


async def test_a_server_that_refuses_is_not_asked_again():
    server = FakeMcpServer("wiki", faults={"start": 401})
    with server.http() as connection:
        error = (await step_of(Worker("w", calling("echo"), tools=[connection])))["error"]
    assert (server.opened, error["kind"], error["infrastructure"]) == (1, "no_key", True)


@pytest.mark.parametrize("served", ["stdio", "http"])
async def test_an_answer_is_kept_although_closing_hangs(served, monkeypatch):
    monkeypatch.setattr(tool_servers, "_CLOSED_IN", 0.05)
    server = FakeMcpServer("wiki", faults={"close": "hangs"})
    with server.http() as connection:
        given = connection if served == "http" else server.stdio()
        began = time.monotonic()
        step = await step_of(Worker("w", calling("echo"), tools=[given], timeout=20))
        assert step["text"].startswith("success: echo")
        assert time.monotonic() - began < 15


async def test_an_answer_is_kept_although_closing_fails():
    server = FakeMcpServer("wiki", faults={"close": "dies"})
    with server.http() as connection:
        step = await step_of(Worker("w", calling("echo"), tools=[connection]))
    assert step["text"].startswith("success: echo")


@pytest.mark.parametrize("served", ["stdio", "http"])
async def test_cancelling_while_a_server_works_ends_the_run(served):
    server = FakeMcpServer("wiki", seconds={"echo": 3.0})
    at_work, after = asyncio.Event(), Tooled(replies=["paid"])
    loop = asyncio.get_running_loop()

    def reply(messages):
        loop.call_soon_threadsafe(at_work.set)
        return AIMessage("", tool_calls=[{"name": "echo", "args": {}, "id": "1"}])

    with server.http() as connection:
        given = connection if served == "http" else server.stdio()
        model = Tooled(replies=reply)
        pool = [Worker("w", model, tools=[given]), Worker("b", after)]
        conductor = create_conductor(fixed.workflow(flow(("w", "x", []), ("b", "y", [0]))), pool)
        running = asyncio.ensure_future(conductor.ainvoke(ask()))
        await at_work.wait()
        await asyncio.sleep(0.1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert (len(model.calls), after.calls) == (1, [])


async def test_what_a_living_server_says_of_a_call_is_told_to_the_model():
    results = {
        "wrong": {"code": -32602, "message": "a number is missing"},
        "failing": {"content": [{"type": "text", "text": "no such page"}], "isError": True},
    }
    server = FakeMcpServer("wiki", tools=["wrong", "failing"], results=results)
    step = await step_of(Worker("w", calling("wrong", "failing"), tools=[server.stdio()]))
    assert step["text"] == "error: a number is missing | error: no such page"


async def test_contents_no_model_reads_are_told_in_words():
    results = {
        "mixed": [
            {"type": "audio", "data": "AAAA", "mimeType": "audio/wav"},
            {"type": "resource_link", "uri": "file:///a.txt", "name": "a.txt", "mimeType": "text/plain"},
            {"type": "resource", "resource": {"uri": "file:///b.bin", "blob": "AAAA", "mimeType": "x/y"}},
            {"type": "resource", "resource": {"uri": "file:///c.txt", "text": "inner"}},
            {"type": "text", "text": "seen"},
        ]
    }
    server = FakeMcpServer(tools=["mixed"], results=results)
    text = (await step_of(Worker("w", calling("mixed"), tools=[server.stdio()])))["text"]
    for words in ("audio/wav, 3 bytes", "a.txt: file:///a.txt (text/plain)", "b.bin, x/y", "inner", "seen"):
        assert words in text


async def test_tools_of_two_servers_that_are_called_alike_get_their_servers_names():
    one, two = (FakeMcpServer(name, tools=["add", name]) for name in ("sums", "more"))
    model = calling("sums_add", "more_add", "sums", "more")
    step = await step_of(Worker("w", model, tools=[one.stdio(), two.stdio()]))
    assert [part.split("{")[0] for part in step["text"].split(" | ")] == [
        "success: add ", "success: add ", "success: sums ", "success: more ",
    ]  # fmt: skip


class Tool:
    def __init__(self, name):
        self.name = name

    def model_copy(self, update):
        return Tool(update["name"])


def names(*found, own=(), middleware=()):
    tools, aliases = named_tools(
        [Found(given, said, [Tool(n) for n in tools]) for given, said, tools in found], own, middleware
    )
    return [tool.name for tool in tools], aliases


def test_names():
    assert names((None, "a", ["x"]), (None, "b", ["y"]))[0] == ["x", "y"]
    assert names((None, "s", ["x"]), (None, "s", ["x"]))[0] == ["s_1_x", "s_2_x"]
    assert names((None, "s", ["x", "y"]), own=["x"])[0] == ["s_x", "y"]
    assert names(("n", "s", ["x"]), (None, "s", ["x"]))[0] == ["n_x", "x"]
    assert names(("n", "s", ["a_b"]), ("n_a", "s", ["b"]))[0] == ["n_a_b", "n_a_b_2"]
    assert names((None, "a", ["x"]), (None, "b", ["x"]), own=["a_x"])[0] == ["a_x_2", "b_x"]
    assert names((None, "s", ["files.read/one"])) == (
        ["files_read_one"],
        {"files.read/one": "files_read_one"},
    )
    # What two tools are called is nobody's alias.
    assert names((None, "a", ["x"]), (None, "b", ["x"]))[1] == {}


def test_names_fit_every_provider():
    for name in ("ü" * 100, "7", "", "a" * 65, "a" * 64):
        assert len(valid(name)) <= 64
        assert valid(name).isascii()
        assert not valid(name)[:1].isdigit()
    assert valid("a" * 64) == "a" * 64
    assert valid("a" * 65) != valid("a" * 66)


def test_no_tool_goes_past_a_middleware_that_knows_it_by_name():
    needs_yes = [HumanInTheLoopMiddleware({"delete": True, "files.read/one": True})]
    with pytest.raises(ValueError, match="'delete' of the MCP server 'a' is called 'a_delete' here"):
        names((None, "a", ["delete"]), (None, "b", ["delete"]), middleware=needs_yes)
    with pytest.raises(ValueError, match="write 'n_delete' there"):
        names(("n", "a", ["delete"]), middleware=needs_yes)
    assert names((None, "a", ["files.read/one"]), middleware=needs_yes)[0] == ["files.read/one"]


async def test_a_model_may_call_a_tool_by_the_servers_name_for_it():
    server = FakeMcpServer(tools=["files.read/one"])
    step = await step_of(Worker("w", calling("files.read/one"), tools=[server.stdio(), look]))
    assert step["text"].startswith("success: files.read/one ")
