"""The run-time graph seen from outside."""

import asyncio

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from langgraph_conductor import Worker, WorkerPool, create_conductor
from langgraph_conductor.graph.compiler import WorkflowGraphs, shape_of
from langgraph_conductor.planners import fixed
from tests.helpers import Recorder, ScriptedPlanner, ask, flow, thread
from tests.unit_tests.test_conductor import FIRST, namespace, paused


def test_a_long_chain_runs_under_a_short_limit_and_the_host_limit_holds_for_workers(run):
    seen = []

    def call(task):
        from langgraph.config import get_config

        seen.append(get_config()["recursion_limit"])
        return "ok"

    chain = flow(*[("a", f"s{i}", [i - 1] if i else []) for i in range(12)])
    conductor = create_conductor(fixed.workflow(chain), [Worker("a", call)])
    result = run(conductor, ask(), {"recursion_limit": 6})
    assert all(s["status"] == "ok" for s in result["rounds"][0]["steps"])
    seen.clear()
    run(conductor, ask(), {"recursion_limit": 90})
    assert set(seen) == {90}


def test_a_graph_that_has_not_begun_is_inspected_too():
    conductor = paused()
    conductor.invoke(ask(), thread())
    inner = conductor.get_state(thread(), subgraphs=True).tasks[0].state.tasks[0].state
    oldest = list(conductor.get_state_history(namespace(inner)))[-1]
    state = conductor.get_state(oldest.config)
    assert state.next == ("__start__",)


def test_a_graph_is_rebuilt_from_its_first_checkpoint():
    from langgraph_conductor.graph.workflow_node import WorkflowNode

    graphs = WorkflowGraphs(WorkerPool([Worker(n, Recorder(n)) for n in "ab"]))
    spec = FIRST.to_json()["steps"]
    values = {"spec_0": spec[0], "spec_1": spec[1]}

    class Saved:
        def __init__(self, values):
            self.checkpoint = {"channel_values": values}

    node = WorkflowNode(graphs)
    expected = graphs.get(shape_of(FIRST))
    assert node._rebuilt(Saved(values)) is expected
    assert node._rebuilt(Saved({"__start__": values})) is expected


def test_history_takes_its_limit(run):
    conductor = paused()
    run(conductor, ask(), thread())
    inner = conductor.get_state(thread(), subgraphs=True).tasks[0].state.tasks[0].state
    assert len(list(conductor.get_state_history(namespace(inner), limit=1))) == 1

    async def awaited():
        return [s async for s in conductor.aget_state_history(namespace(inner), limit=1)]

    assert len(asyncio.run(awaited())) == 1


@pytest.mark.parametrize("awaited", [False, True])
@pytest.mark.parametrize("bulk", [False, True])
def test_an_update_counts_as_the_node_it_names(awaited, bulk):
    from langgraph.types import StateUpdate

    conductor = paused()
    conductor.invoke(ask(), thread())
    inner = conductor.get_state(thread(), subgraphs=True).tasks[0].state.tasks[0].state
    outputs = {
        f"out_{i}": {"index": i, "worker": "person", "subtask": "s", "text": f"t{i}", "status": "ok"}
        for i in (1, 2)
    }
    if bulk:
        update = conductor.abulk_update_state if awaited else conductor.bulk_update_state
        done = update(
            inner.config,
            [[StateUpdate({name: out}, f"step_{out['index']}") for name, out in outputs.items()]],
        )
        _ = asyncio.run(done) if awaited else done
    else:
        config = inner.config
        for name, out in outputs.items():
            update = conductor.aupdate_state if awaited else conductor.update_state
            done = update(config, {name: out}, as_node=f"step_{out['index']}")
            config = asyncio.run(done) if awaited else done
    state = conductor.get_state(namespace(inner))
    assert [state.values[name]["text"] for name in outputs] == ["t1", "t2"]
    assert "step_3" in state.next  # both it waits for count as done


def test_the_state_of_a_graph_inside_a_worker_is_seen_awaited():
    inner = paused()
    inner.checkpointer = None
    outer = create_conductor(
        ScriptedPlanner(flow(("team", "go", []))), [Worker("team", inner)], checkpointer=InMemorySaver()
    )
    asyncio.run(outer.ainvoke(ask(), thread()))
    state = asyncio.run(outer.aget_state(thread(), subgraphs=True))
    names = []
    while state is not None and state.tasks:
        names.append(state.next[0])
        state = state.tasks[0].state
    assert names == ["round", "workflow", "step_0", "round", "workflow", "step_1"]
