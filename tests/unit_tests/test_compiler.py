import asyncio
import threading

import pytest
from hypothesis import given, settings
from langgraph.channels import LastValue
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_config
from langgraph.errors import GraphInterrupt
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command, interrupt

from langgraph_conductor import PlanError, Worker, WorkerError, WorkerPool, compile_workflow
from langgraph_conductor.graph.compiler import WorkflowGraphs, shape_of
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import ScriptedModel, read_worker_prompt
from tests.helpers import Recorder, flow, question, thread
from tests.unit_tests.test_conductor import conductor_of
from tests.unit_tests.test_workflow import workflows

GIVEN = {"question": list(question())}


def workers(*names, call=None):
    return [Worker(name, call or Recorder(name)) for name in names]


def test_runs_every_step_once_and_in_order(run):
    workflow = flow(("a", "one", []), ("b", "two", []), ("a", "three", [0]), ("b", "four", [1, 2]))
    seen = []
    result = run(
        compile_workflow(workflow, workers("a", "b", call=lambda t: seen.append(t.index) or f"o{t.index}")),
        GIVEN,
    )
    assert sorted(seen) == [0, 1, 2, 3]  # an unequal join still fires once
    assert seen.index(3) == 3
    assert [result[f"out_{i}"]["text"] for i in range(4)] == ["o0", "o1", "o2", "o3"]
    assert result["record_3"]["granted"] == [[0, 1], [0, 2]]


@settings(max_examples=30, deadline=None)
@given(workflows())
def test_a_worker_is_handed_exactly_what_its_access_list_grants(workflow):
    """The canary: every output is unique, and each worker form must see only what it is granted."""
    names = sorted({step.worker for step in workflow.steps})
    prompts, tasks = {}, {}

    def model_reply(messages):
        parts = read_worker_prompt(messages[-1].text)
        prompts.setdefault(parts.subtask, []).append(messages[-1].text)
        return f"canary-{hash(parts.subtask) & 0xFFFFFFFF:x}-{len(prompts)}"

    def function(task):
        tasks[task.index] = task
        return f"canary-f{task.index}-"

    result = compile_workflow(workflow, workers(*names, call=function)).invoke(GIVEN)
    for i in range(len(workflow.steps)):
        task = tasks[i]
        assert tuple(o.index for o in task.inputs) == workflow.reads(i)
        assert [o.text for o in task.inputs] == [f"canary-f{j}-" for j in workflow.reads(i)]
        prompt = task.messages[0].text
        for j in range(len(workflow.steps)):
            assert (f"canary-f{j}-" in prompt) == (j in workflow.reads(i))
        assert task.is_final == (i == len(workflow.steps) - 1)
        assert result[f"record_{i}"]["granted"] == [[0, j] for j in workflow.reads(i)]

    models = [Worker(name, ScriptedModel(replies=model_reply)) for name in names]
    result = compile_workflow(workflow, models).invoke(GIVEN)
    said = [result[f"out_{i}"]["text"] for i in range(len(workflow.steps))]
    for i, step in enumerate(workflow.steps):
        for prompt in prompts[step.subtask]:
            shown = {o.text for o in read_worker_prompt(prompt).inputs}
            if sum(s.subtask == step.subtask for s in workflow.steps) == 1:
                assert shown == {said[j] for j in workflow.reads(i)}


def test_the_input_schema_of_a_step_is_what_it_is_granted():
    graph = compile_workflow(flow(("a", "x", []), ("a", "y", []), ("a", "z", [0, 1])), workers("a"))
    schemas = {name: set(spec.input_schema.__annotations__) for name, spec in graph.builder.nodes.items()}
    own = [{"question", "round", f"spec_{i}", f"earlier_{i}", f"stands_{i}"} for i in range(3)]
    assert schemas == {"step_0": own[0], "step_1": own[1], "step_2": own[2] | {"out_0", "out_1"}}
    everything = compile_workflow(flow(("a", "x", []), ("a", "y", "all")), workers("a"))
    granted = set(everything.builder.nodes["step_1"].input_schema.__annotations__)
    assert granted == own[1] | {"previous", "out_0"}


def test_ambient_state_can_be_read_only_where_granted(run):
    reads = {}

    def peek(task):
        read = get_config()["configurable"]["__pregel_read"]
        for channel in ("out_0", "out_1", "record_0"):
            try:
                reads[task.index, channel] = read(channel)
            except PermissionError as error:
                reads[task.index, channel] = str(error)
        return f"o{task.index}"

    run(
        compile_workflow(flow(("a", "x", []), ("a", "y", []), ("a", "z", [1])), workers("a", call=peek)),
        GIVEN,
    )
    assert reads[2, "out_1"]["text"] == "o1"
    assert reads[2, "out_0"] == "this step is not granted ['out_0']"
    assert "not granted" in reads[2, "record_0"]


def test_nested_graph_workers_cannot_read_more_either(run):
    from langchain.agents import create_agent
    from langchain_core.messages import AIMessage
    from langchain_core.tools import tool

    @tool
    def look(query: str) -> str:
        """Look."""
        return "looked"

    calls = [
        AIMessage("", tool_calls=[{"name": "look", "args": {"query": "x"}, "id": "1"}]),
        AIMessage("done"),
    ]
    prompts = []

    def reply(messages):
        prompts.append(" ".join(str(m.text) for m in messages))
        return calls[len(prompts) - 1]

    class Model(ScriptedModel):
        def bind_tools(self, tools, **kwargs):
            return self

    agent = create_agent(Model(replies=reply), [look])
    pool = [Worker("a", lambda t: f"SECRET-{t.index}"), Worker("agent", agent)]
    result = run(compile_workflow(flow(("a", "x", []), ("a", "y", []), ("agent", "z", [1])), pool), GIVEN)
    assert result["out_2"]["text"] == "done"
    assert "SECRET-1" in prompts[0]
    assert "SECRET-0" not in " ".join(prompts)
    assert result["record_2"]["usage"]["calls"] == 2


def test_independent_steps_run_at_the_same_time(run):
    barrier = threading.Barrier(3, timeout=10)

    def together(task):
        if task.index < 3:
            barrier.wait()  # breaks unless all three are there at once
        return "ok"

    steps = [("a", f"s{i}", []) for i in range(3)]
    result = run(compile_workflow(flow(*steps, ("a", "end", "all")), workers("a", call=together)), GIVEN)
    assert result["record_3"]["status"] == "ok"


def test_steps_of_async_workers_overlap():
    here, all_here = [], asyncio.Event()

    async def together(task):
        here.append(task.index)
        if len(here) == 5:
            all_here.set()
        await asyncio.wait_for(all_here.wait(), 30)  # ends only if all are there at once
        return "ok"

    graph = compile_workflow(flow(*[("a", f"s{i}", []) for i in range(5)]), workers("a", call=together))
    result = asyncio.run(graph.ainvoke(GIVEN))
    assert [result[f"record_{i}"]["status"] for i in range(5)] == ["ok"] * 5


async def test_cancelling_a_run_reaches_its_workers():
    cancelled, started = [], asyncio.Event()

    async def endless(task):
        started.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(task.index)
            raise

    graph = compile_workflow(flow(("a", "x", []), ("a", "y", [])), workers("a", call=endless))
    running = asyncio.create_task(graph.ainvoke(GIVEN))
    await started.wait()
    await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert sorted(cancelled) == [0, 1]


def test_a_failed_step_is_recorded_and_its_dependants_are_told(run):
    def call(task):
        if task.index == 0:
            raise ValueError("no such luck")
        return task.messages[0].text

    result = run(compile_workflow(flow(("a", "x", []), ("a", "y", [0])), workers("a", call=call)), GIVEN)
    assert result["out_0"] == {"index": 0, "worker": "a", "subtask": "x", "text": "", "status": "failed"}
    line = call.__code__.co_firstlineno + 2
    assert result["record_0"]["error"] == {
        "type": "ValueError", "message": "no such luck", "infrastructure": False,
        "where": f"tests/unit_tests/test_compiler.py:{line}, in call",
    }  # fmt: skip
    assert 'status="failed"' in result["out_1"]["text"]
    assert result["record_1"]["status"] == "ok"


@pytest.mark.parametrize("reply", ["", "  ", "<think>only thoughts</think>"])
def test_an_empty_reply_is_a_failure(reply, run):
    result = run(
        compile_workflow(flow(("a", "x", [])), [Worker("a", ScriptedModel(replies=[reply]))]), GIVEN
    )
    assert result["record_0"]["status"] == "failed"
    assert result["record_0"]["error"]["type"] == "EmptyReplyError"
    assert result["record_0"]["usage"]["calls"] == 1  # it was paid for all the same


def test_raising_stops_and_resumes_at_that_step(run):
    broken = [True]
    ran = []

    def call(task):
        ran.append(task.index)
        if task.index == 1 and broken:
            raise ConnectionAbortedError("gone")
        return f"o{task.index}"

    pool = [Worker("a", call, retries=0)]
    graph = compile_workflow(
        flow(("a", "x", []), ("a", "y", []), ("a", "z", "all")),
        pool, on_step_error="raise", checkpointer=InMemorySaver(),
    )  # fmt: skip
    with pytest.raises(WorkerError, match=r"step 1 \(a\) failed: ConnectionAbortedError: gone") as caught:
        run(graph, GIVEN, thread())
    assert (caught.value.worker, caught.value.step) == ("a", 1)
    assert isinstance(caught.value.__cause__, ConnectionAbortedError)
    broken.clear()
    result = run(graph, None, thread())
    assert result["out_2"]["text"] == "o2"
    assert sorted(ran) == [0, 1, 1, 2]


@pytest.mark.parametrize("policy", ["record", "raise"])
def test_interrupts_pass_through_every_handler(policy, run):
    def call(task):
        return interrupt({"ask": task.subtask}) if task.index == 0 else f"got {task.inputs[0].text}"

    graph = compile_workflow(
        flow(("a", "x", []), ("a", "y", [0])), [Worker("a", call, retries=2)],
        on_step_error=policy, checkpointer=InMemorySaver(),
    )  # fmt: skip
    paused = run(graph, GIVEN, thread())
    assert [i.value for i in paused["__interrupt__"]] == [{"ask": "x"}]
    assert "out_0" not in paused
    result = run(graph, Command(resume="yes"), thread())
    assert result["out_1"]["text"] == "got yes"


def test_an_interrupt_without_a_saver_is_not_swallowed(run):
    def call(task):
        raise GraphInterrupt(())

    result = run(compile_workflow(flow(("a", "x", [])), workers("a", call=call)), GIVEN)
    assert not result


def test_usage_of_nested_model_calls_is_counted_and_priced(run):
    model = ScriptedModel(replies=["one two three"])

    def call(task):
        return model.invoke("a b").text + model.invoke("c").text

    pool = [Worker("a", call, price={"input": "1", "output": "2"})]
    usage = run(compile_workflow(flow(("a", "x", [])), pool), GIVEN)["record_0"]["usage"]
    assert (usage["calls"], usage["input_tokens"], usage["output_tokens"]) == (2, 3, 6)
    assert usage["usd"] == "0.000015"
    assert usage["unpriced_calls"] == 0
    assert usage["busy_seconds"] > 0


def test_parallel_steps_do_not_mix_their_usage(run):
    models = {i: ScriptedModel(replies=["w " * (i + 1)], latency=0.02) for i in range(4)}
    pool = [Worker(f"w{i}", model) for i, model in models.items()]
    result = run(compile_workflow(flow(*[(f"w{i}", "x", []) for i in range(4)]), pool), GIVEN)
    assert [result[f"record_{i}"]["usage"]["output_tokens"] for i in range(4)] == [1, 2, 3, 4]


def test_refused_before_anything_runs():
    with pytest.raises(PlanError, match="step 1: there is no worker 'b'"):
        compile_workflow(flow(("a", "x", []), ("b", "y", [])), workers("a"))
    with pytest.raises(PlanError, match="must not be the last"):
        compile_workflow(flow(("a", "x", [])), [Worker("a", Recorder(), may_be_last=False)])


def test_graphs_are_kept_by_shape_and_the_oldest_dropped():
    graphs = WorkflowGraphs(WorkerPool(workers("a", "b")), size=2)
    first = graphs.get(shape_of(flow(("a", "x", []))))
    assert graphs.get(shape_of(flow(("a", "other words", [])))) is first
    assert graphs.get(shape_of(flow(("b", "x", [])))) is not first
    assert graphs.get(shape_of(flow(("a", "x", "all")))) is not first
    assert len(graphs) == 2
    assert graphs.get(shape_of(flow(("a", "x", [])))) is not first


def test_one_graph_serves_workflows_of_its_shape_with_their_own_words(run):
    recorder = Recorder("a")
    graph = WorkflowGraphs(WorkerPool([Worker("a", recorder)])).get(shape_of(flow(("a", "_", []))))
    for words in ("first", "second"):
        spec = {"worker": "a", "subtask": words, "access": []}
        run(graph, {**GIVEN, "round": 0, "spec_0": spec})
    assert [task.subtask for task in recorder.tasks] == ["first", "second"]


def test_an_output_has_one_writer():
    graph = compile_workflow(flow(("a", "x", []), ("a", "y", [])), workers("a"))
    for channel in ("out_0", "record_0", "out_1", "record_1"):
        # two writers in a superstep are an error
        assert type(graph.channels[channel]) is LastValue


def test_metadata_names_step_worker_and_access():
    graph = compile_workflow(flow(("a", "x", []), ("a", "y", "all")), workers("a"))
    assert graph.builder.nodes["step_1"].metadata == {
        "conductor_step": 1, "conductor_worker": "a", "conductor_access": "all",
    }  # fmt: skip


def test_several_channels_are_read_only_if_all_are_granted(run):
    from langgraph.config import get_config

    def peek(task):
        read = get_config()["configurable"]["__pregel_read"]
        if task.index == 2:
            for asked in (["out_1", "out_0"], ["out_0", "out_1"], ["out_1", "spec_0"], "spec_1"):
                with pytest.raises(PermissionError, match="not granted"):
                    read(asked)
            assert set(read(["out_1", "question"])) == {"out_1", "question"}
        return "ok"

    workflow = flow(("a", "x", []), ("a", "y", []), ("a", "z", [1]))
    result = run(compile_workflow(workflow, [Worker("a", peek)]), GIVEN)
    assert result["record_2"]["error"] is None


def test_the_state_may_say_another_subtask_than_the_compiled_workflow(run):
    a = Recorder("a")
    graph = compile_workflow(flow(("a", "compiled", [])), [Worker("a", a)])
    run(graph, {**GIVEN, "spec_0": {"worker": "a", "subtask": "given", "access": []}})
    assert a.tasks[0].subtask == "given"


def test_compile_options_reach_the_graph():
    from langgraph.cache.memory import InMemoryCache

    store, cache, saver = InMemoryStore(), InMemoryCache(), InMemorySaver()
    graph = compile_workflow(
        flow(("a", "x", [])),
        [Worker("a", Recorder())],
        store=store,
        cache=cache,
        checkpointer=saver,
        name="mine",
    )
    assert (graph.store, graph.cache, graph.checkpointer, graph.name) == (store, cache, saver, "mine")
    kept = WorkflowGraphs(WorkerPool([Worker("a", Recorder())]), cache=cache).get((("a", ()),))
    assert kept.cache is cache
    conductor = conductor_of(fixed.single("a"), Recorder("a"), cache=cache)
    assert conductor.cache is cache


def test_the_least_recently_used_graph_is_dropped():
    graphs = WorkflowGraphs(WorkerPool([Worker(n, Recorder(n)) for n in "abc"]), size=2)
    a, b = (shape_of(flow((n, "x", []))) for n in "ab")
    first, second = graphs.get(a), graphs.get(b)
    assert graphs.get(a) is first
    graphs.get(shape_of(flow(("c", "x", []))))
    assert graphs.get(a) is first
    assert graphs.get(b) is not second
