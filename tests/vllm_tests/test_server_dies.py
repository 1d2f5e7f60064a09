"""The server is killed while it answers. These tests come last: nothing is served after them."""

import asyncio
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from langgraph_conductor import Worker, WorkerError, create_conductor
from langgraph_conductor.planners import fixed
from tests.helpers import ask, flow


def invoke(conductor):
    return conductor.invoke(ask())


def ainvoke(conductor):
    return asyncio.run(conductor.ainvoke(ask()))


@pytest.fixture(scope="module")
def endless(server):
    """A worker that would talk for minutes."""
    return Worker("endless", server.model(max_tokens=3000, extra_body={"ignore_eos": True}), retries=0)


def test_what_was_answered_before_is_kept(server, endless):
    plan = flow(("note", "Note it.", []), ("endless", "Talk.", [0]))
    heard = []

    def stream(conductor):
        """The same with its model streaming, which breaks at another place of the client."""
        result = {}
        for space, mode, data in conductor.stream(
            ask(), stream_mode=["messages", "values"], subgraphs=True
        ):
            if mode == "messages":
                heard.append(data[0].text)
            elif not space:
                result = data
        return result

    ways = (invoke, ainvoke, stream)
    with ThreadPoolExecutor(len(ways)) as threads:
        running = [
            threads.submit(
                way, create_conductor(fixed.workflow(plan), [Worker("note", lambda t: "noted"), endless])
            )
            for way in ways
        ]
        try:
            while server.running() < len(ways) or len(heard) < 5:
                assert not any(each.done() for each in running)
                time.sleep(0.2)
        finally:
            server.end(signal.SIGKILL)  # in any case, or leaving would wait for the threads
        results = [each.result(timeout=30) for each in running]
    for result in results:
        noted, cut = result["rounds"][0]["steps"]
        assert result["answer"] == "noted"
        assert (noted["status"], cut["status"]) == ("ok", "failed")
        assert cut["error"]["infrastructure"] is True


def test_a_dead_server_is_an_outage(server, endless, run):
    assert server.process.poll() is not None
    with pytest.raises(WorkerError) as caught:
        run(create_conductor(fixed.single("endless"), [endless]), ask())
    assert caught.value.infrastructure is True
