"""What tracers see of a run: the tree, its metadata, its usage, ends of all runs, and no keys."""

import asyncio
import json
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass

import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import BaseCallbackHandler, CallbackManager
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph
from pydantic import SecretStr

from langgraph_conductor import (
    Budget,
    ConductorError,
    Worker,
    WorkerPool,
    compile_workflow,
    create_conductor,
)
from langgraph_conductor.testing import FakeProviders, ScriptedModel, faults, plan_text
from langgraph_conductor.workers import failures
from langgraph_conductor.workers.redaction import Redactor, redact
from tests.clients import WIRES, client
from tests.helpers import ScriptedPlanner, ask, flow
from tests.langsmith_double import traced

TREE = """\
chain:app
  chain:conductor
    chain:conductor
      chain:intake
      chain:round
        chain:round
          chain:plan
            llm:ScriptedModel
          chain:workflow
            chain:workflow
              chain:branch_0_2_3_4
                chain:branch_0_2_3_4
                  chain:step_0
                    llm:chat
                  chain:step_2
                    chain:agent
                      chain:model
                        llm:ToolModel
                      chain:tools
                        tool:lookup
                      chain:model
                        llm:ToolModel
                  chain:step_3
                    chain:tooled
                      chain:model
                        chain:ToolTurns.wrap_model_call
                          chain:ModelRetries.wrap_model_call
                            chain:Sendable.wrap_model_call
                              llm:ToolModel
                      chain:tools
                        tool:lookup
                      chain:model
                        chain:ToolTurns.wrap_model_call
                          chain:ModelRetries.wrap_model_call
                            chain:Sendable.wrap_model_call
                              llm:ToolModel
                  chain:step_4
                    chain:team
                      chain:intake
                      chain:round
                        chain:round
                          chain:plan
                            llm:ScriptedModel
                          chain:workflow
                            chain:workflow
                              chain:step_0
                                llm:member
                      chain:answer
              chain:step_1
                chain:function
                  llm:ScriptedModel
      chain:round
        chain:round
          chain:plan
            llm:ScriptedModel
          chain:workflow
            chain:workflow
              chain:step_0
                llm:flaky
                llm:flaky
              chain:step_1
                llm:broken
                llm:chat
      chain:answer"""
"""LangGraph itself gives a run to a node and another to the graph that is the node."""


class ToolModel(ScriptedModel):
    disable_streaming: bool = True  # its replies may be tool calls, and streamed replies are text

    def bind_tools(self, tools, **_):
        return self


@tool
def lookup(what: str) -> str:
    """Look something up."""
    return f"{what} is 42"


def calls_lookup(messages):
    if any(message.type == "tool" for message in messages):
        return "It is 42."
    call = {"name": "lookup", "args": {"what": "x"}, "id": "1"}
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    return AIMessage("", tool_calls=[call], usage_metadata=usage)


def scripted(*replies):
    return ScriptedModel(replies=list(replies))


def app():
    """A host with a conductor of two rounds, whose workers have every form and fail in every way."""
    inside = scripted("from inside")
    team = create_conductor(
        scripted(plan_text(("member", "do", []))), [Worker("member", scripted("m"))], name="team"
    )
    workers = [
        Worker("chat", scripted("Hello.")),
        Worker("function", lambda task: inside.invoke(task.subtask).text),
        Worker("agent", create_agent(ToolModel(replies=calls_lookup), [lookup], name="searcher")),
        Worker("tooled", ToolModel(replies=calls_lookup), tools=[lookup]),
        Worker("team", team),
        Worker("flaky", scripted(ConnectionError("down"), "At last.")),
        Worker("broken", scripted(ValueError("bad")), fallback="chat"),
    ]
    names = ["chat", "function", "agent", "tooled", "team"]
    first = plan_text(*((name, "s", [0] if i > 1 else []) for i, name in enumerate(names)))
    second = plan_text(("flaky", "s", []), ("broken", "s", "all"))
    builder = StateGraph(MessagesState)
    conductor = create_conductor(scripted(first, second), workers, max_rounds=2)
    builder.add_node("conductor", conductor)
    builder.add_edge(START, "conductor")
    return builder.compile(name="app")


def by_invoke(graph, given):
    return graph.invoke(given)


def by_ainvoke(graph, given):
    return asyncio.run(graph.ainvoke(given))


def by_stream(graph, given):
    *_, (_, last) = graph.stream(given, stream_mode=["messages", "values"])
    return last


def by_astream(graph, given):
    async def last():
        return [part async for part in graph.astream(given, stream_mode=["messages", "values"])][-1][1]

    return asyncio.run(last())


@pytest.fixture(scope="module", params=[by_invoke, by_ainvoke, by_stream, by_astream])
def told(request):
    """What LangSmith was told of a run of `app`, and the record that rides on its answer."""
    with pytest.MonkeyPatch.context() as patch, traced("multipart") as langsmith:
        patch.setattr(failures.random, "uniform", lambda a, b: 0.0)
        result = request.param(app(), ask())
        langsmith.runs  # noqa: B018 - waits
    return langsmith, result["messages"][-1].response_metadata["conductor"]


def metadata(run):
    return run["extra"]["metadata"]


def lines(runs, depth=0):
    """As the double's `lines`, but steps in the order of their names: they may begin at once."""
    steps_by_name = sorted(runs, key=lambda run: run.data["name"] if "step_" in run.label else "")
    for run in steps_by_name:
        yield "  " * depth + run.label.replace(".awrap_", ".wrap_")
        yield from lines(run.children, depth + 1)


def subtree(run):
    return [run.data, *(data for child in run.children for data in subtree(child))]


def below(langsmith, *path):
    """All runs from the one at `path` down; equal names are told apart by `name#n`."""
    runs = langsmith.tree()
    for part in path:
        name, _, number = part.partition("#")
        run = [run for run in runs if run.data["name"] == name][int(number or 0)]
        runs = run.children
    return subtree(run)


def test_the_tree(told):
    langsmith, _ = told
    assert "\n".join(lines(langsmith.tree())) == TREE


def test_everything_ends_and_has_its_parent(told):
    runs = told[0].runs
    assert all(run.get("end_time") for run in runs.values())
    assert {run.get("parent_run_id") for run in runs.values()} <= {None, *runs}
    assert len({run["trace_id"] for run in runs.values()}) == 1
    failed = sorted((run["name"], run["run_type"]) for run in runs.values() if run.get("error"))
    assert failed == [("broken", "llm"), ("flaky", "llm")]


def test_steps_and_plans_are_marked(told):
    langsmith, _ = told
    conductor = ("app", "conductor", "conductor")
    for number in (0, 1):
        a_round = (*conductor, f"round#{number}", "round")
        for run in below(langsmith, *a_round, "plan"):
            marks = {k: v for k, v in metadata(run).items() if k.startswith("conductor_")}
            assert marks == {"conductor_round": number, "conductor_role": "planner"}
    workflow = (*conductor, "round#0", "round", "workflow", "workflow")
    for i, (worker, access) in enumerate(
        [("chat", []), ("function", []), ("agent", [0]), ("tooled", [0]), ("team", [0])]
    ):
        marked = {"conductor_round": 0, "conductor_step": i, "conductor_worker": worker}
        branch = () if i == 1 else ("branch_0_2_3_4", "branch_0_2_3_4")  # nobody reads step 1
        for run in below(langsmith, *workflow, *branch, f"step_{i}"):
            if metadata(run)["conductor_worker"] != "member":  # the step of the conductor within
                assert marked.items() <= metadata(run).items()
                assert metadata(run)["conductor_access"] == access
    [member] = langsmith.named("member")
    assert (metadata(member)["conductor_step"], metadata(member)["conductor_access"]) == (0, [])
    later = below(langsmith, *conductor, "round#1", "round", "workflow", "workflow", "step_1")
    assert [(run["name"], metadata(run)["conductor_worker"]) for run in later[1:]] == [
        ("broken", "broken"),
        ("chat", "broken"),
    ]
    assert all(metadata(run)["conductor_access"] == "all" for run in later)
    assert all(metadata(run)["conductor_round"] == 1 for run in later)


def test_everyone_says_whose_graph_it_is(told):
    langsmith, _ = told
    said = {}
    for run in below(langsmith, "app"):
        said.setdefault(metadata(run)["ls_integration"], set()).add((run["run_type"], run["name"]))
    assert ("chain", "app") in said.pop("langgraph")
    assert {name for _, name in said.pop("langchain_create_agent")} >= {"agent", "tooled", "lookup"}
    assert {kind for kind, _ in said.pop("langchain_chat_model")} == {"llm"}
    names = {
        "conductor",
        "intake",
        "round",
        "plan",
        "workflow",
        "branch_0_2_3_4",
        "function",
        "team",
        "answer",
    }
    assert {name for _, name in said.pop("langgraph_conductor")} == names | {f"step_{i}" for i in range(5)}
    assert not said


def test_usage_is_on_models_and_only_once(told):
    langsmith, record = told
    runs = langsmith.runs.values()
    used = [metadata(run).get("usage_metadata") for run in runs if run["run_type"] == "llm"]
    assert used.count(None) == 2  # the calls that failed
    for key in ("input_tokens", "output_tokens"):
        assert sum(usage[key] for usage in used if usage) == record["usage"]["total"][key]
    assert record["usage"]["total"]["calls"] == len(used) - 2
    for run in runs:
        if run["run_type"] != "llm":
            assert "usage_metadata" not in metadata(run)
            assert "usage_metadata" not in (run.get("outputs") or {})


def test_a_function_has_a_run_with_its_subtask_and_its_text(run):
    def fails(task):
        raise ValueError("no")

    pool = [Worker("shout", lambda task: task.subtask.upper()), Worker("fails", fails)]
    with traced("multipart") as langsmith:
        run(
            create_conductor(ScriptedPlanner(flow(("shout", "hello", []), ("fails", "x", []))), pool), ask()
        )
        [shout], [failed] = langsmith.named("shout"), langsmith.named("fails")
    assert (shout["inputs"], shout["outputs"]) == ({"subtask": "hello"}, {"output": "HELLO"})
    assert "ValueError('no')" in failed["error"]


# ---------------------------------------------------------------------- runs that are cut short


def all_ended(langsmith, within=5.0):
    end = time.monotonic() + within
    while (pending := [r["name"] for r in langsmith.runs.values() if not r.get("end_time")]) and (
        time.monotonic() < end
    ):
        time.sleep(0.05)
    return not pending


def test_a_model_that_is_too_slow_still_has_an_end(run):
    slow = ScriptedModel(replies=["x"], latency=0.4)
    pool = [Worker("slow", slow, timeout=0.05, retries=0), Worker("ok", scripted("ok"))]
    with traced("multipart") as langsmith:
        run(create_conductor(ScriptedPlanner(flow(("slow", "x", []), ("ok", "y", [0]))), pool), ask())
        assert all_ended(langsmith)  # where threads cannot be stopped, with the model's answer
        assert len(langsmith.named("slow")) == 1


def test_a_planner_that_is_too_slow_still_has_an_end(run):
    slow = ScriptedModel(replies=[plan_text(("ok", "x", []))], latency=0.4)
    conductor = create_conductor(slow, [Worker("ok", scripted("ok"))], budget=Budget(seconds=0.05))
    with traced("multipart") as langsmith:
        with pytest.raises(ConductorError, match="budget"):
            run(conductor, ask())
        assert all_ended(langsmith)
        assert len(langsmith.named("ScriptedModel")) == 1


def test_steps_cancelled_by_the_failure_of_another_still_have_an_end(run):
    pool = [
        Worker("slow", ScriptedModel(replies=["x"], latency=0.4)),
        Worker("bad", scripted(ValueError("bad"))),
    ]
    planner = ScriptedPlanner(flow(("slow", "x", []), ("bad", "y", [])))
    with traced("multipart") as langsmith:
        with pytest.raises(ConductorError, match="step 1"):
            run(create_conductor(planner, pool, on_step_error="raise"), ask())
        assert all_ended(langsmith)
        assert len(langsmith.named("slow")) == 1


@pytest.mark.parametrize("form", ["chat", "agent", "tooled", "function"])
def test_a_refused_call_has_an_end(run, form, caplog):
    model = ToolModel(replies=calls_lookup)
    forms = {
        "chat": Worker("w", model),
        "agent": Worker("w", create_agent(model, [lookup])),
        "tooled": Worker("w", model, tools=[lookup]),
        "function": Worker("w", lambda task: model.invoke("x").text),
    }
    pool = [Worker("ok", scripted("ok")), forms[form]]
    conductor = create_conductor(
        ScriptedPlanner(flow(("ok", "x", []), ("w", "y", [0]))), pool, budget=Budget(calls=1)
    )
    with traced("multipart") as langsmith:
        assert run(conductor, ask())["stopped"]
        assert all_ended(langsmith, 0.0)
        [refused] = [r for r in langsmith.runs.values() if r["run_type"] == "llm" and r.get("error")]
    assert "BudgetExceededError" in refused["error"]
    assert not [r for r in caplog.records if "TracerException" in r.message]


# ---------------------------------------------------------------------- what must not be told


def test_hidden_inputs_and_outputs_stay_hidden(run, monkeypatch):
    for name in ("LANGSMITH_HIDE_INPUTS", "LANGSMITH_HIDE_OUTPUTS"):
        monkeypatch.setenv(name, "true")
    plan = plan_text(
        ("chat", "subtask-canary", []), ("function", "x", [0]), ("tooled", "y", "all"), ("broken", "z", [0])
    )
    pool = [
        Worker("chat", scripted("answer-canary")),
        Worker("function", lambda task: "answer-canary"),
        Worker("tooled", ToolModel(replies=calls_lookup), tools=[lookup]),
        Worker("broken", scripted(ValueError("bad")), description="description-canary"),
    ]
    with traced("multipart") as langsmith:
        result = run(create_conductor(scripted(plan), pool, max_rounds=2), ask("question-canary"))
        assert "answer-canary" in str(result)
        assert langsmith.named("function")
        for said in ("question", "subtask", "answer", "description"):
            assert not langsmith.sent(f"{said}-canary")
        assert not langsmith.sent("I have thought about it")
        assert not langsmith.sent("is 42")


KEY = "canary4711secret"


@pytest.mark.parametrize("wire", WIRES)
def test_keys_are_told_nowhere(run, wire, caplog):
    with FakeProviders(faults.bad_key()) as providers, traced("multipart") as langsmith:
        model = client(wire, providers, api_key=SecretStr(KEY))
        workers = [
            Worker("chat", model),
            Worker("tooled", model, tools=[lookup]),
            Worker("ok", lambda t: "ok"),
        ]
        conductor = create_conductor(model, workers, fallback="ok")
        assert run(conductor, ask())["rounds"][0]["plan"]["error"]["message"]
        asked = flow(("chat", "x", []), ("tooled", "y", []), ("ok", "z", [0, 1]))
        conductor = create_conductor(ScriptedPlanner(asked), workers)
        events = list(conductor.stream(ask(), stream_mode=["custom", "updates", "values"], subgraphs=True))
        asked = flow(("tooled", "x", []))
        raising = create_conductor(ScriptedPlanner(asked), workers, on_step_error="raise")
        with pytest.raises(ConductorError) as raised:
            run(raising, ask())
        assert not langsmith.sent(KEY)
        assert langsmith.sent("[redacted]")
        shown = [events, workers, conductor, raising, caplog.text, raised.value, conductor.config]
        shown += traceback.format_exception(raised.value)
    assert "[redacted]" in str(events)
    assert KEY not in repr(shown) + str(shown)


@pytest.mark.parametrize("held", ["default_headers", "base_url"])
def test_keys_in_headers_and_urls_are_told_nowhere(run, held):
    with FakeProviders("Hello.") as providers, traced("multipart") as langsmith:
        holders = {
            "default_headers": {"X-Api-Key": KEY},
            "base_url": providers.openai_url.replace("://", f"://me:{KEY}@"),
        }
        model = client("openai", providers, **{held: holders[held]})
        result = run(create_conductor(ScriptedPlanner(flow(("w", "x", []))), [Worker("w", model)]), ask())
        assert (result["answer"], langsmith.sent(KEY)) == ("Hello.", False)
        assert KEY in str(holders[held])
        assert KEY in str(model.default_headers) + str(model.openai_api_base)


def test_the_command_tells_no_keys(monkeypatch):
    from typer.testing import CliRunner

    from langgraph_conductor import local
    from langgraph_conductor.cli.app import app as commands

    monkeypatch.setattr(
        local, "planner", lambda: ScriptedPlanner(flow(("chat", "x", []), ("ok", "y", [0])))
    )
    with FakeProviders(faults.bad_key()) as providers:
        workers = [Worker("chat", client("openai", providers, api_key=SecretStr(KEY)))]
        monkeypatch.setattr(
            local, "workers", lambda: WorkerPool([*workers, Worker("ok", lambda task: "ok")])
        )
        done = CliRunner().invoke(commands, ["ask", "What?", "--json"])
        monkeypatch.setattr(
            local, "workers", lambda: WorkerPool([*workers, Worker("ok", lambda task: 1 / 0)])
        )
        failed = CliRunner().invoke(commands, ["ask", "What?", "--json"])
    assert "[redacted]" in json.loads(done.stdout)["rounds"][0]["steps"][0]["error"]["message"]
    assert (failed.exit_code, "[redacted]" in failed.output) == (1, True)
    assert KEY not in done.output + failed.output


def test_keys_go_from_errors_and_from_what_caused_them():
    inner, outer = ValueError(f"key {KEY}", {"body": [KEY]}), KeyError("x")
    inner.message, outer.__cause__, inner.__context__ = KEY, inner, outer
    redact(outer, [KEY])
    assert inner.args == ("key [redacted]", {"body": ["[redacted]"]})
    assert (inner.message, outer.args) == ("[redacted]", ("x",))


@dataclass(frozen=True)
class FrozenError(Exception):
    said: str


class FixedError(Exception):
    @property
    def args(self):
        return (KEY,)


def test_odd_exceptions_are_redacted_as_far_as_they_can_be():
    frozen, fixed, cyclic, group = FrozenError(KEY), FixedError(KEY), ValueError(), ValueError(KEY)
    cyclic.said = {"key": KEY}
    cyclic.said["again"] = cyclic.said
    for error in (frozen, fixed, cyclic, ExceptionGroup("all", [group])):
        redact(error, [KEY])
    assert (frozen.said, cyclic.said["key"]) == ("[redacted]", "[redacted]")
    assert BaseException.args.__get__(frozen) == BaseException.args.__get__(fixed) == ("[redacted]",)
    assert group.args == ("[redacted]",)


def test_redaction_leaves_alone_what_an_exception_only_mentions():
    message, model, shared = AIMessage(KEY), scripted(KEY), {"key": KEY}
    error = ValueError("x")
    error.message, error.model, error.shared, error.state = message, model, shared, {"kept": 1}
    state = error.state
    redact(error, [KEY])
    assert (message.text, model.replies, shared) == (KEY, [KEY], {"key": KEY})
    assert error.message is message
    assert (error.shared, error.state is state) == ({"key": "[redacted]"}, True)


def test_an_answer_that_looks_like_a_key_is_not_altered(run):
    said = "Set api_key=abcdef123456 and sk-abcdefghijkl0123 there."

    def fail(_):
        raise OutputParserException("bad", llm_output=said)

    def worker(task):
        try:
            RunnableLambda(fail).invoke(1)
        except OutputParserException as error:
            return error.llm_output

    with traced("multipart"):
        result = run(create_conductor(ScriptedPlanner(flow(("w", "x", []))), [Worker("w", worker)]), ask())
    assert result["answer"] == said


def test_the_redactor_stays_before_the_tracers_when_handlers_are_merged():
    """If this fails, `BaseCallbackManager.merge` orders handlers otherwise, and tracers are told keys."""
    first, second, others = Redactor(()), Redactor(()), [BaseCallbackHandler() for _ in range(50)]
    for number in range(51):
        manager = CallbackManager([first, second, *others[:number]], [first, second, *others[:number]])
        merged = manager.merge(CallbackManager([*others, first])).merge(manager)
        assert {*merged.handlers[:2]} == {first, second}
        assert {*merged.inheritable_handlers[:2]} == {first, second}


# ---------------------------------------------------------------------- other ways to look

OTEL = """
import asyncio
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter = InMemorySpanExporter()
trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(exporter))
from langchain_core.tracers.langchain import wait_for_all_tracers
from langgraph_conductor.workers import failures
from tests.helpers import ask
from tests.unit_tests.test_traces import app
failures.random.uniform = lambda a, b: 0.0

def show(spans, parent=None, depth=0):
    for span in spans:
        if (span.parent.span_id if span.parent else None) == parent:
            about = span.attributes
            used, worker = (about.get(key) for key in ("gen_ai.usage.total_tokens", "langsmith.metadata.conductor_worker"))
            print("  " * depth + about["langsmith.span.kind"] + ":" + span.name, used, worker, sep="|")
            show(spans, span.context.span_id, depth + 1)

for call in (lambda: app().invoke(ask()), lambda: asyncio.run(app().ainvoke(ask()))):
    exporter.clear()
    call()
    wait_for_all_tracers()
    show(sorted(exporter.get_finished_spans(), key=lambda span: ("step_" in span.name and span.name or "", span.start_time)))
    print("=")
"""


def test_opentelemetry_has_the_same_tree(monkeypatch):
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    monkeypatch.setenv("LANGSMITH_TRACING_MODE", "otel")
    monkeypatch.setenv("LANGSMITH_ENDPOINT", "http://127.0.0.1:9")  # nothing is sent there
    # LangSmith's threads hand spans on out of order when the machine is busy, and then lose some.
    for _ in range(4):
        done = subprocess.run([sys.executable, "-c", OTEL], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        *trees, end = done.stdout.split("=\n")
        assert (len(trees), end) == (2, "")
        found = [[line.split("|") for line in tree.splitlines()] for tree in trees]
        names = ["\n".join(name for name, *_ in rows).replace(".awrap_", ".wrap_") for rows in found]
        if names == [TREE, TREE]:
            break
    assert names == [TREE, TREE]
    for rows in found:
        tokens = [used for name, used, _ in rows if "llm:" in name]
        assert tokens.count("None") == 2  # the calls that failed
        assert {used for name, used, _ in rows if "llm:" not in name} == {"None"}
        assert {worker for name, _, worker in rows if "tool:" in name} == {"agent", "tooled"}


def conductor_of_two():
    pool = [Worker("chat", scripted("Hello there.")), Worker("function", lambda task: "ok")]
    return create_conductor(scripted(plan_text(("chat", "x", []), ("function", "y", [0]))), pool)


async def test_events_name_workers_and_steps():
    events = [event async for event in conductor_of_two().astream_events(ask(), version="v2")]
    [chat] = [e for e in events if (e["event"], e["name"]) == ("on_chat_model_end", "chat")]
    [function] = [e for e in events if (e["event"], e["name"]) == ("on_chain_end", "function")]
    for event, number, access in ((chat, 0, []), (function, 1, [0])):
        marks = {k: v for k, v in event["metadata"].items() if k.startswith("conductor_")}
        assert marks == {
            "conductor_round": 0,
            "conductor_step": number,
            "conductor_worker": event["name"],
            "conductor_access": access,
        }
    assert function["data"]["output"] == {"output": "ok"}


def test_streamed_messages_tell_who_speaks():
    said = {}
    for _, (message, about) in conductor_of_two().stream(ask(), stream_mode="messages", subgraphs=True):
        who = about.get("conductor_role") or about.get("conductor_worker"), about.get("conductor_step")
        said[who] = said.get(who, "") + message.text
    assert said[("chat", 0)] == "Hello there."
    assert ("planner", None) in said
    assert said[(None, None)] == "ok"  # the answer


def test_a_compiled_workflow_says_whose_it_is_too():
    graph = compile_workflow(flow(("w", "x", [])), [Worker("w", lambda task: "ok")])
    assert graph.config["metadata"] == conductor_of_two().config["metadata"]
