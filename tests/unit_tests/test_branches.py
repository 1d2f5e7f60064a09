"""Branches: what has nothing to do with each other does not wait for each other, and keeps every promise."""

import asyncio
import threading

import pytest
from hypothesis import given, settings
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt

from langgraph_conductor import (
    Budget,
    BudgetExceededError,
    Step,
    Worker,
    WorkerError,
    Workflow,
    compile_workflow,
    create_conductor,
)
from langgraph_conductor.editing import aedit_round, aopen_rounds, edit_round, open_rounds
from langgraph_conductor.graph.branches import units
from langgraph_conductor.testing import ScriptedModel
from tests.helpers import ScriptedPlanner, ask, flow, question, thread
from tests.unit_tests.test_workflow import workflows

GIVEN = {"question": list(question())}
FORKED = flow(("a", "slow", []), ("a", "first", []), ("a", "second", [1]), ("a", "join", [0, 2]))
"""Step 2 has nothing to do with step 0, but is a superstep later."""
_SECONDS = 20


def of(*reads):
    return units(range(len(reads)), dict(enumerate(reads)))


@pytest.mark.parametrize(
    ("reads", "nodes"),
    [
        ([()], [(0,)]),
        ([(), (0,), (0, 1)], [(0,), (1,), (2,)]),  # a chain, however much of it is read
        ([(), (), (0, 1)], [(0,), (1,), (2,)]),
        ([(), (), (1,), (0, 2)], [(0,), (1, 2), (3,)]),
        ([(), (), (0,), (1,)], [(0, 2), (1, 3)]),
        ([(), (0,), (0,), (1,), (2, 3)], [(0,), (1, 3), (2,), (4,)]),
        ([(), (), (1,), (1,), (2, 3), (0, 4)], [(0,), (1, 2, 3, 4), (5,)]),  # a diamond beside a step
        ([(), (), (0,), (0, 1)], [(0,), (1,), (2,), (3,)]),  # neither one after the other nor apart
    ],
)
def test_parts_that_share_nothing_are_branches(reads, nodes):
    assert of(*reads) == nodes


@settings(max_examples=200, deadline=None)
@given(workflows())
def test_each_step_is_in_one_node_and_no_node_waits_for_itself(workflow):
    size = range(len(workflow.steps))
    nodes = units(size, {i: workflow.reads(i) for i in size})
    assert sorted(step for node in nodes for step in node) == [*size]
    place = {step: node for node in nodes for step in node}
    waits = {node: {place[j] for i in node for j in workflow.reads(i)} - {node} for node in nodes}
    done: set = set()
    while len(done) < len(nodes):
        ready = {node for node in nodes if node not in done and waits[node] <= done}
        assert ready
        done |= ready


@settings(max_examples=200, deadline=None)
@given(workflows())
def test_no_step_is_later_than_with_supersteps(workflow):
    size = range(len(workflow.steps))
    for seconds in ([1.0 + i for i in size], [1.0 + len(size) - i for i in size]):
        by_level = _by_level(workflow, seconds)
        found = _ends([*size], workflow, seconds, 0.0)
        assert all(found[i] <= by_level[i] + 1e-9 for i in size)


def _by_level(workflow, seconds):
    clock, ends = 0.0, {}
    for level in workflow.levels():
        ends |= {i: clock + seconds[i] for i in level}
        clock = max(ends[i] for i in level)
    return ends


def _ends(steps, workflow, seconds, clock):
    """When each step ends if nodes run in supersteps, and branches in supersteps of their own."""
    nodes = units(steps, {i: workflow.reads(i) for i in steps})
    ends, done = {}, set()
    while len(done) < len(nodes):
        over = {i for node in done for i in node}
        ready = [
            node for node in nodes
            if node not in done and all(j in over or j in node or j not in steps for i in node for j in workflow.reads(i))
        ]  # fmt: skip
        for node in ready:
            ends |= (
                {node[0]: clock + seconds[node[0]]}
                if len(node) == 1
                else _ends(node, workflow, seconds, clock)
            )
        clock = max(ends[i] for node in ready for i in node)
        done |= {*ready}
    return ends


def test_a_step_does_not_wait_for_a_stranger(run):
    second = threading.Event()

    def call(task):
        if task.subtask == "slow":
            assert second.wait(_SECONDS)  # for ever, if the second waited for this one
        if task.subtask == "second":
            second.set()
        return task.subtask

    result = run(compile_workflow(FORKED, [Worker("a", call)]), GIVEN)
    assert result["out_3"]["text"] == "join"
    assert result["record_3"]["granted"] == [[0, 0], [0, 2]]
    assert [result[f"record_{i}"]["index"] for i in range(4)] == [0, 1, 2, 3]


def test_a_step_in_a_branch_is_handed_what_it_is_granted_and_no_more():
    graph = compile_workflow(FORKED, [Worker("a", lambda task: "x")])
    branch = graph.builder.nodes["branch_1_2"]
    assert "out_0" not in branch.input_schema.__annotations__
    inner = dict(graph.get_subgraphs())["branch_1_2"].builder
    schemas = {name: set(spec.input_schema.__annotations__) for name, spec in inner.nodes.items()}
    assert schemas == {
        "step_1": {"question", "round", "spec_1", "earlier_1", "stands_1"},
        "step_2": {"question", "round", "spec_2", "earlier_2", "stands_2", "out_1"},
    }


def conductor_of(call, **options):
    given = {"checkpointer": InMemorySaver(), "on_step_error": "raise", **options}
    return create_conductor(ScriptedPlanner(FORKED), [Worker("a", call, retries=0)], **given)


def test_what_failed_in_a_branch_resumes_there(run):
    broken, ran = [True], []

    def call(task):
        ran.append(task.subtask)
        if task.subtask == "second" and broken:
            raise ConnectionAbortedError("gone")
        return task.subtask

    conductor = conductor_of(call)
    with pytest.raises(WorkerError, match=r"step 2 \(a\) failed"):
        run(conductor, ask(), thread())
    broken.clear()
    result = run(conductor, None, thread())
    assert result["answer"] == "join"
    assert sorted(ran) == ["first", "join", "second", "second", "slow"]
    assert not any(step.get("possibly_repeated") for step in result["rounds"][0]["steps"])


def test_people_answer_in_branches_that_wait_at_the_same_time(run):
    def call(task):
        return task.subtask if task.subtask in {"first", "join"} else interrupt(task.subtask)

    conductor = conductor_of(call)
    paused = run(conductor, ask(), thread())
    asked = {one.value: one.id for one in paused["__interrupt__"]}
    assert {*asked} == {"slow", "second"}
    still = run(conductor, Command(resume={asked["second"]: "two"}), thread())
    assert [one.value for one in still["__interrupt__"]] == ["slow"]
    result = run(conductor, Command(resume={asked["slow"]: "one"}), thread())
    assert [step["text"] for step in result["rounds"][0]["steps"]] == ["one", "first", "two", "join"]


def test_what_a_branch_has_said_is_seen_and_edited_from_outside():
    def call(task):
        if task.subtask == "second":
            return f"{interrupt('?')} after {task.inputs[0].text}"
        return task.subtask

    conductor = conductor_of(call)
    conductor.invoke(ask(), thread())
    state = conductor.get_state(thread(), subgraphs=True)
    for name in ("round", "workflow", "branch_1_2"):
        state = next(task.state for task in state.tasks if task.name == name)
    assert state.values["out_1"]["text"] == "first"
    assert state.next == ("step_2",)

    (found,) = open_rounds(conductor, thread())
    assert found.outputs == {0: "slow", 1: "first"}
    edit_round(found, outputs={1: "edited"})
    conductor.invoke(None, thread())
    result = conductor.invoke(Command(resume="yes"), thread())
    assert [step["text"] for step in result["rounds"][0]["steps"]] == [
        "slow",
        "edited",
        "yes after edited",
        "join",
    ]
    assert [bool(step.get("edited")) for step in result["rounds"][0]["steps"]] == [
        False,
        True,
        False,
        False,
    ]


def test_a_branch_in_a_branch_is_edited_awaited():
    ran = []

    def call(task):
        ran.append(task.subtask)
        if task.subtask == "deep":
            return f"{interrupt('?')} after {task.inputs[0].text}"
        return "+".join(one.text for one in task.inputs) or task.subtask

    nested = flow(
        ("a", "slow", []), ("a", "first", []), ("a", "b", [1]), ("a", "c", [1]), ("a", "deep", [3]), ("a", "d", [2, 4]),
        ("a", "join", [0, 5]),
    )  # fmt: skip

    async def edited():
        conductor = create_conductor(
            ScriptedPlanner(nested), [Worker("a", call, retries=0)], checkpointer=InMemorySaver()
        )
        await conductor.ainvoke(ask(), thread())
        (found,) = await aopen_rounds(conductor, thread())
        assert found.outputs == {0: "slow", 1: "first", 2: "first", 3: "first"}
        await aedit_round(found, outputs={3: "edited"})
        await conductor.ainvoke(None, thread())
        return await conductor.ainvoke(Command(resume="yes"), thread())

    assert asyncio.run(edited())["answer"] == "slow+first+yes after edited"
    assert sorted(ran) == ["b", "c", "d", "deep", "deep", "deep", "first", "join", "slow"]


def test_what_was_spent_in_a_branch_counts_after_a_restart(run):
    """The second process has no ledger: it knows of the first step of a branch by the branch's own checkpoint."""
    saver, broken = InMemorySaver(), [True]

    def reply(messages):
        if broken and "second" in messages[-1].text:
            raise PermissionError("not yet")
        return "done"

    def restarted():
        worker = Worker("a", ScriptedModel(replies=reply, max_tokens=10), retries=0)
        return create_conductor(
            ScriptedPlanner(FORKED),
            [worker],
            checkpointer=saver,
            on_step_error="raise",
            budget=Budget(calls=3),
        )

    with pytest.raises(WorkerError, match="not yet"):
        run(restarted(), ask(), thread())
    broken.clear()
    with pytest.raises(BudgetExceededError, match="step 3"):
        run(restarted(), None, thread())


def test_what_was_paid_before_a_person_was_asked_is_in_the_record(run):
    model = ScriptedModel(replies=["done"])

    def call(task):
        if task.subtask != "second":
            return task.subtask
        model.invoke("How?")
        return interrupt("?")

    conductor = conductor_of(call)
    run(conductor, ask(), thread())
    result = run(conductor, Command(resume="yes"), thread())
    assert [step["usage"]["calls"] for step in result["rounds"][0]["steps"]] == [0, 0, 2, 0]


def test_a_wide_workflow_of_chains():
    chains = [(f"{c}{n}", [3 * c + n - 1] if n else []) for c in range(4) for n in range(3)]
    steps = [Step("a", name, tuple(reads)) for name, reads in chains]
    workflow = Workflow((*steps, Step("a", "join", "all")))
    graph = compile_workflow(workflow, [Worker("a", lambda task: f"{task.subtask}<{len(task.inputs)}")])
    assert {*graph.builder.nodes} == {
        "branch_0_1_2",
        "branch_3_4_5",
        "branch_6_7_8",
        "branch_9_10_11",
        "step_12",
    }
    assert graph.invoke(GIVEN)["out_12"]["text"] == "join<12"
