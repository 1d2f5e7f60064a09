"""Workers with tools: LangChain's, MCP servers', and tools that need a person's yes."""

import asyncio
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, HumanInTheLoopMiddleware
from langchain_core.messages import AIMessage, SystemMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from langgraph_conductor import Worker, create_conductor
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import FakeProviders, FakeReply, FakeToolCall, ScriptedModel, faults
from langgraph_conductor.workers import chat_model
from langgraph_conductor.workers.tool_loop import _without_calls
from tests.helpers import Recorder, ask, flow, thread

SERVER = {
    "transport": "stdio",
    "command": sys.executable,
    "args": [str(Path(__file__).parents[1] / "mcp_server.py")],
}


class Tooled(ScriptedModel):
    """A scripted model that takes tools."""

    def bind_tools(self, tools, **kwargs):
        return self.bind(**kwargs)


def calls(name="look", **args):
    return AIMessage("", tool_calls=[{"name": name, "args": args, "id": "1"}])


def look(word: str = "") -> str:
    """Look a word up."""
    return f"the secret of {word}"


def test_a_model_with_tools(run):
    model = Tooled(replies=[calls(word="tea"), "It is hot."])
    reader = Recorder("reader", lambda task: task.inputs[0].text)
    conductor = create_conductor(
        fixed.workflow(flow(("looker", "Look.", []), ("reader", "Say.", [0]))),
        [Worker("looker", model, tools=[look]), Worker("reader", reader)],
    )
    result = run(conductor, ask())
    assert result["answer"] == "It is hot."
    assert "the secret of tea" in str(model.calls[1])
    # What a tool said stays with its worker, and is in the record of its step alone.
    assert "secret" not in repr(reader.tasks) + repr(result["messages"])
    looked, said = result["rounds"][0]["steps"]
    assert looked["usage"]["calls"] == 2
    (call,) = looked.pop("tool_calls")
    assert "the secret of tea" in call["output"]
    assert "secret" not in repr((looked, said))


@pytest.mark.parametrize("turns", [0, 2])
def test_tool_turns_are_capped_and_then_it_answers(turns, run):
    looked = []

    def look() -> str:
        """Look."""
        looked.append(1)
        return "more"

    def reply(messages):
        said = messages[0].text if messages[0].type == "system" else ""
        return "my answer" if "no tool calls left" in said else calls()

    worker = Worker("w", Tooled(replies=reply), tools=[look], max_tool_turns=turns)
    assert run(create_conductor(fixed.single("w"), [worker]), ask())["answer"] == "my answer"
    assert len(looked) == turns


def test_a_model_that_calls_on_although_told_not_to_is_stopped(run):
    stubborn = Tooled(replies=lambda messages: AIMessage("half", tool_calls=calls().tool_calls))
    worker = Worker("w", stubborn, tools=[look], max_tool_turns=1)
    assert run(create_conductor(fixed.single("w"), [worker]), ask())["answer"] == "half"
    assert len(stubborn.calls) == 2


@pytest.mark.parametrize("wire", ["openai", "openai_responses", "anthropic", "google_genai", "openrouter"])
def test_the_last_turn_on_every_wire(wire, run, monkeypatch):
    def reply(request):
        asked = repr(request.body)
        return (
            "Done." if "no tool calls left" in asked else FakeReply(tool_calls=(FakeToolCall("look", {}),))
        )

    with FakeProviders(reply) as providers:
        for name, value in providers.environment().items():
            monkeypatch.setenv(name, value)
        name = {"anthropic": "claude-sonnet-5", "google_genai": "gemini-2.5-pro", "openrouter": "a/m"}
        model = f"{wire}:{name.get(wire, 'gpt-5-mini')}"
        worker = Worker("w", model, tools=[look], max_tool_turns=1)
        result = run(create_conductor(fixed.single("w"), [worker]), ask())
        last = providers.requests[-1].body
    assert result["answer"] == "Done."
    assert len(providers.requests) == 2
    none = {
        "anthropic": lambda b: b["tool_choice"] == {"type": "none"},
        "google_genai": lambda b: b["toolConfig"]["functionCallingConfig"]["mode"] == "NONE",
    }.get(wire, lambda b: b["tool_choice"] == "none")
    assert none(last)
    assert last["tools"]


def test_an_outage_inside_the_loop_repeats_the_call_and_not_the_tools(run, monkeypatch):
    monkeypatch.setattr("langgraph_conductor.workers.failures.random.uniform", lambda a, b: 0.0)
    looked = []

    def look() -> str:
        """Look."""
        looked.append(1)
        return "seen"

    with FakeProviders() as providers:
        providers.script(
            "m", FakeReply(tool_calls=(FakeToolCall("look", {}),)), faults.server_error(), "After all."
        )
        model = chat_model("openai:m", base_url=providers.openai_url, api_key="x")
        result = run(create_conductor(fixed.single("w"), [Worker("w", model, tools=[look])]), ask())
    assert result["answer"] == "After all."
    assert len(looked) == 1


def test_a_tool_that_needs_a_yes(run):
    sent = []

    def send(word: str) -> str:
        """Send it."""
        sent.append(word)
        return "sent"

    model = Tooled(replies=[calls("send", word="now"), "It is sent."])
    worker = Worker("w", model, tools=[send], middleware=[HumanInTheLoopMiddleware({"send": True})])
    conductor = create_conductor(fixed.single("w"), [worker], checkpointer=InMemorySaver())
    paused = run(conductor, ask(), thread())
    assert sent == []
    asked = paused["__interrupt__"][0].value
    assert asked["action_requests"][0]["args"] == {"word": "now"}
    result = run(conductor, Command(resume={"decisions": [{"type": "approve"}]}), thread())
    assert (sent, result["answer"]) == (["now"], "It is sent.")
    assert len(model.calls) == 2


def test_a_deepagent_is_a_worker(run):
    from deepagents import create_deep_agent

    agent = create_deep_agent(Tooled(replies=["deep thoughts"]), tools=[look])
    assert run(create_conductor(fixed.single("deep"), [Worker("deep", agent)]), ask())["answer"] == (
        "deep thoughts"
    )


async def test_mcp_tools_share_a_session_in_a_step_and_not_between_steps():
    model = Tooled(replies=lambda messages: reply_with_sums(messages))
    conductor = create_conductor(
        fixed.workflow(flow(("adder", "Add.", []), ("adder", "Add again.", []))),
        [Worker("adder", model, tools=[SERVER, look])],
    )
    result = await conductor.ainvoke(ask())
    first, second = (step["text"] for step in result["rounds"][0]["steps"])
    processes = [set(re.findall(r"process (\d+)", text)) for text in (first, second)]
    assert "5 (call 1" in first and "5 (call 2" in first  # noqa: PT018
    assert "5 (call 1" in second
    assert [len(p) for p in processes] == [1, 1]
    assert processes[0] != processes[1]


def reply_with_sums(messages):
    results = [m.text for m in messages if m.type == "tool"]
    return " and ".join(results) if len(results) == 2 else calls("add", a=2, b=3)


def test_mcp_tools_need_an_awaited_run():
    conductor = create_conductor(fixed.single("w"), [Worker("w", Tooled(), tools=[SERVER])])
    with pytest.raises(TypeError, match="ainvoke"):
        conductor.invoke(ask())


def test_an_mcp_server_that_does_not_start_is_a_failed_step():
    gone = {"transport": "stdio", "command": sys.executable, "args": ["-c", "raise SystemExit(1)"]}
    pool = [Worker("w", Tooled(), tools=[gone]), Worker("b", lambda t: "b")]
    conductor = create_conductor(fixed.workflow(flow(("w", "x", []), ("b", "y", [0]))), pool)
    result = asyncio.run(conductor.ainvoke(ask()))
    assert result["answer"] == "b"
    assert result["rounds"][0]["steps"][0]["status"] == "failed"


async def test_a_tool_of_a_server_that_needs_a_yes():
    model = Tooled(replies=lambda messages: messages[-1].text if messages[-1].type == "tool" else added())
    worker = Worker("w", model, tools=[SERVER], middleware=[HumanInTheLoopMiddleware({"add": True})])
    conductor = create_conductor(fixed.single("w"), [worker], checkpointer=InMemorySaver())
    paused = await conductor.ainvoke(ask(), thread())
    assert paused["__interrupt__"][0].value["action_requests"][0]["args"] == {"a": 2, "b": 3}
    result = await conductor.ainvoke(Command(resume={"decisions": [{"type": "approve"}]}), thread())
    assert result["answer"].startswith("5 (call 1")
    assert len(model.calls) == 2


def added():
    return calls("add", a=2, b=3)


async def test_an_outage_beside_a_server_is_known_as_one():
    with FakeProviders() as providers:
        providers.script("m", faults.server_error())
        model = chat_model("openai:m", base_url=providers.openai_url, api_key="x")
        pool = [Worker("w", model, tools=[SERVER], retries=0), Worker("b", lambda t: "b")]
        conductor = create_conductor(fixed.workflow(flow(("w", "x", []), ("b", "y", [0]))), pool)
        error = (await conductor.ainvoke(ask()))["rounds"][0]["steps"][0]["error"]
    assert (error["infrastructure"], "Group" in error["type"]) == (True, False)


async def test_a_server_that_cannot_be_reached_is_an_outage():
    gone = {"transport": "http", "url": f"{faults.refused_url()}/mcp"}
    pool = [Worker("w", Tooled(), tools=[gone]), Worker("b", lambda t: "b")]
    conductor = create_conductor(fixed.workflow(flow(("w", "x", []), ("b", "y", [0]))), pool)
    error = (await conductor.ainvoke(ask()))["rounds"][0]["steps"][0]["error"]
    assert (error["type"], error["infrastructure"]) == ("ToolServerError", True)
    assert re.fullmatch(
        r"the MCP server '127.0.0.1:\d+' could not be opened: ConnectError: .*", error["message"]
    )


async def test_a_server_that_says_nothing_is_not_waited_for():
    silent = {**SERVER, "read_timeout": 5}
    pool = [
        Worker("w", Tooled(replies=lambda messages: calls("hang")), tools=[silent]),
        Worker("b", lambda t: "b"),
    ]
    conductor = create_conductor(fixed.workflow(flow(("w", "x", []), ("b", "y", [0]))), pool)
    result = await asyncio.wait_for(conductor.ainvoke(ask()), 30)
    error = result["rounds"][0]["steps"][0]["error"]
    assert error["message"] == "the MCP server 'numbers' gave no answer to a call within 5 seconds"
    assert (error["kind"], error["infrastructure"]) == ("timeout", True)


def add(a: int, b: int) -> str:
    """Add."""
    return "mine"


async def test_a_servers_tool_does_not_hide_the_workers_own():
    model = Tooled(
        replies=lambda messages: (
            messages[-1].text if messages[-1].type == "tool" else calls("add", a=1, b=2)
        )
    )
    conductor = create_conductor(fixed.single("w"), [Worker("w", model, tools=[SERVER, add])])
    assert (await conductor.ainvoke(ask()))["answer"] == "mine"


async def wait() -> str:
    """Wait."""
    return "waited"


def test_async_tools_need_an_awaited_run():
    model = Tooled(replies=[calls("wait"), "done"])
    conductor = create_conductor(fixed.single("w"), [Worker("w", model, tools=[wait])])
    with pytest.raises(TypeError, match="async tools; call the conductor with `ainvoke`"):
        conductor.invoke(ask())
    assert model.calls == []
    assert asyncio.run(conductor.ainvoke(ask()))["answer"] == "done"


@pytest.mark.parametrize("reply", ["refusal", "stop_reason"])
def test_a_refusal_in_the_loop_is_one(reply, run):
    refused = {
        "refusal": AIMessage("", additional_kwargs={"refusal": "I will not."}),
        "stop_reason": AIMessage("", response_metadata={"stop_reason": "refusal"}),
    }
    half = AIMessage("Let me look.", tool_calls=calls(word="tea").tool_calls)
    pool = [
        Worker("w", Tooled(replies=[half, refused[reply]]), tools=[look]),
        Worker("b", lambda t: "b"),
    ]
    conductor = create_conductor(fixed.workflow(flow(("w", "x", []), ("b", "y", [0]))), pool)
    step = run(conductor, ask())["rounds"][0]["steps"][0]
    assert (step["status"], step["error"]["type"]) == ("failed", "RefusalError")


def test_a_refusal_that_is_streamed_is_one():
    with FakeProviders() as providers:
        providers.script("m", faults.refusal("I will not."))
        model = chat_model("vllm:m", base_url=providers.openai_url, streaming=True)
        pool = [Worker("w", model), Worker("b", lambda t: "b")]
        conductor = create_conductor(fixed.workflow(flow(("w", "x", []), ("b", "y", [0]))), pool)
        error = conductor.invoke(ask())["rounds"][0]["steps"][0]["error"]
    assert (error["type"], error["message"]) == ("RefusalError", "the model refused: I will not.")


def bare(word: str) -> str:
    return word


@pytest.mark.parametrize(
    ("runnable", "options", "why"),
    [
        (lambda t: "", {"tools": [look]}, "tools and middleware are for model strings and chat models"),
        (create_agent(Tooled(), []), {"tools": [look]}, "give an agent its own"),
        (Tooled(), {"tools": [{"url": "http://x"}]}, "needs a transport"),
        (Tooled(), {"tools": [{"transport": "htp", "url": "http://x"}]}, "did you mean 'http'"),
        (Tooled(), {"tools": [{"transport": ["http"]}]}, "there is no such transport"),
        (Tooled(), {"tools": [{"transport": "http"}]}, "worker 'w': .* needs `url`"),
        (Tooled(), {"tools": [{"transport": "stdio", "args": []}]}, "worker 'w': .* needs `command`"),
        (Tooled(), {"tools": [{**SERVER, "read_timeout": 0}]}, "worker 'w': read_timeout must be"),
        (Tooled(), {"tools": [{**SERVER, "read_timeout": "5"}]}, "worker 'w': read_timeout must be"),
        (Tooled(), {"tools": [{**SERVER, "name": "a.b"}]}, "worker 'w': the name of an MCP server"),
        (Tooled(), {"tools": [{**SERVER, "name": "a" * 33}]}, "worker 'w': the name of an MCP server"),
        (
            Tooled(),
            {"tools": [{**SERVER, "name": "a"}, {**SERVER, "name": "a"}]},
            "2 of its MCP servers have",
        ),
        (Tooled(), {"tools": look}, "worker 'w': tools must be a list"),
        (Tooled(), {"tools": [3]}, "worker 'w': a tool is .* not 3"),
        (Tooled(), {"tools": [str]}, "worker 'w': a tool is .*str"),
        (Tooled(), {"tools": [bare]}, "worker 'w': the function 'bare' cannot be a tool: .*docstring"),
        (Tooled(), {"tools": [look, look]}, "worker 'w': 2 of its tools are called 'look'"),
        (Tooled(), {"tools": [look], "middleware": [look]}, "worker 'w': .*no LangChain AgentMiddleware"),
        (Tooled(), {"middleware": "x"}, "worker 'w': middleware must be a list"),
        (Tooled(), {"max_tool_turns": 3}, "worker 'w': max_tool_turns is for workers with tools"),
    ],
)
def test_wrong_tools_are_refused(runnable, options, why):
    with pytest.raises(ValueError, match=why):
        Worker("w", runnable, **options)


async def test_an_agent_with_mcp_tools_is_given_its_task_and_is_counted():
    model = Tooled(replies=["It is 5."])
    conductor = create_conductor(
        fixed.workflow(flow(("adder", "Add two and three.", []))), [Worker("adder", model, tools=[SERVER])]
    )
    result = await conductor.ainvoke(ask())
    assert "Add two and three." in model.prompts[0]
    assert result["rounds"][0]["steps"][0]["usage"]["calls"] == 1


def test_mcp_tools_name_their_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "langchain_mcp_adapters.tools", None)
    with pytest.raises(
        ImportError, match=r"worker 'w': MCP tools need: pip install 'langgraph-conductor\[mcp\]'"
    ):
        Worker("w", Tooled(), tools=[SERVER])
    Worker("w", Tooled(), tools=[look])


@pytest.mark.parametrize(
    ("failure", "tries"),
    [(ValueError("its own"), 1), (ConnectionError("cut"), 3)],
    ids=["mistake", "outage"],
)
def test_a_model_call_of_an_agent_is_repeated_so_often(failure, tries, run, monkeypatch):
    monkeypatch.setattr("langgraph_conductor.workers.failures.random.uniform", lambda a, b: 0.0)
    model = Tooled(replies=[failure])
    pool = [Worker("w", model, tools=[look], retries=2), Worker("b", lambda t: "b")]
    result = run(create_conductor(fixed.workflow(flow(("w", "x", []), ("b", "y", []))), pool), ask())
    error = result["rounds"][0]["steps"][0]["error"]
    assert len(model.calls) == tries
    assert (error["type"], error["message"]) == (type(failure).__name__, str(failure))


def test_an_agent_has_its_workers_name():
    assert Worker("looker", Tooled(), tools=[look]).form.graph.name == "looker"


def test_the_last_reply_keeps_its_text_and_usage_and_loses_its_calls():
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    calling = AIMessage("half", tool_calls=calls().tool_calls, id="7", usage_metadata=usage)
    said, result = AIMessage("said"), ToolMessage("seen", tool_call_id="1")
    kept = _without_calls(SimpleNamespace(result=[said, calling, result])).result
    assert kept[0] is said
    assert kept[2] is result
    assert (kept[1].text, kept[1].tool_calls, kept[1].id) == ("half", [], "7")
    assert kept[1].usage_metadata == usage


def test_the_last_turn_keeps_what_the_agent_was_told_before(run):
    model = Tooled(replies=[calls(), "Done."])

    class Told(AgentMiddleware):
        def wrap_model_call(self, request, handler):
            return handler(request.override(system_message=SystemMessage("Be brief.")))

        async def awrap_model_call(self, request, handler):
            return await handler(request.override(system_message=SystemMessage("Be brief.")))

    worker = Worker("w", model, tools=[look], middleware=[Told()], max_tool_turns=1)
    assert run(create_conductor(fixed.single("w"), [worker]), ask())["answer"] == "Done."
    first, last = (messages[0].text for messages in model.calls)
    assert first == "Be brief."
    assert last.startswith("Be brief.\n\nYou have no tool calls left.")
