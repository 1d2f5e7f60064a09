"""A worker's own instructions, and where each form has them."""

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.runnables import RunnableLambda
from langgraph.graph import START, MessagesState, StateGraph

from langgraph_conductor import Worker, WorkerPool, create_conductor
from langgraph_conductor.config import read_conductor
from langgraph_conductor.errors import ConfigError
from langgraph_conductor.planners import fixed
from langgraph_conductor.replay.identity import worker_identity
from langgraph_conductor.testing import ScriptedModel, read_worker_prompt
from langgraph_conductor.workers.sendable import refuses_system
from tests.helpers import Recorder, ask, flow

WORDS = "Answer in one short sentence. Never guess."


def asked(worker, run):
    return run(create_conductor(fixed.single(worker.name), [worker]), ask())


def test_a_model_has_them_as_a_system_message(run):
    model = ScriptedModel(replies=["fine"])
    assert asked(Worker("w", model, instructions=WORDS), run)["answer"] == "fine"
    ((system, prompt),) = model.calls
    assert (type(system), system.text) == (SystemMessage, WORDS)
    assert WORDS not in prompt.text
    plain = ScriptedModel(replies=["fine"])
    asked(Worker("w", plain), run)
    assert plain.calls == [[prompt]]  # without instructions, nothing else is sent


@pytest.mark.parametrize(
    "compose", [lambda m: m.with_retry(), lambda m: m | RunnableLambda(lambda r: r.text)]
)
def test_what_is_composed_of_models_has_them_too(compose, run):
    model = ScriptedModel(replies=["fine"])
    asked(Worker("w", compose(model), instructions=WORDS), run)
    assert model.calls[0][0] == SystemMessage(WORDS)


def tool(x: str) -> str:
    """A tool."""
    return x


def calling_a_tool():
    call = AIMessage("", tool_calls=[{"name": "tool", "args": {"x": "y"}, "id": "1"}])
    return ScriptedModel(replies=[call, "done"])


@pytest.mark.parametrize("turns", [0, 5])
def test_a_model_with_tools_has_them_at_every_turn(turns, run):
    model = calling_a_tool() if turns else ScriptedModel(replies=["done"])
    asked(Worker("w", model, tools=[tool], instructions=WORDS, max_tool_turns=turns), run)
    for messages in model.calls:
        assert [m.text.startswith(WORDS) for m in messages if isinstance(m, SystemMessage)] == [True]


def test_a_function_finds_them_first(run):
    recorder = Recorder()
    asked(Worker("w", recorder, instructions=WORDS), run)
    assert recorder.tasks[0].messages[0] == SystemMessage(WORDS)
    assert isinstance(recorder.tasks[0].messages[-1], HumanMessage)


def test_an_agent_of_ones_own_keeps_its_system_prompt(run):
    model = ScriptedModel(replies=["fine"])
    asked(
        Worker("w", create_agent(model, system_prompt="Mine."), instructions=f"{WORDS} <overall_task>"), run
    )
    ((system, prompt),) = model.calls
    assert system.text == "Mine."
    assert prompt.text.startswith(f"{WORDS} <\\overall_task>\n\nYou are one of")
    assert read_worker_prompt(prompt.text).question == "What is it?"


def test_another_conductor_and_a_graph_have_them_in_the_prompt(run):
    model = ScriptedModel(replies=["fine"])
    inner = create_conductor(fixed.single("m"), [Worker("m", model)], name="inner")
    asked(Worker("w", inner, instructions=WORDS), run)
    assert WORDS in model.prompts[0]
    builder = StateGraph(MessagesState)
    builder.add_node(
        "own", lambda state: {"messages": [AIMessage(state["messages"][0].text.partition("\n")[0])]}
    )
    builder.add_edge(START, "own")
    assert asked(Worker("w", builder.compile(), instructions=WORDS), run)["answer"] == WORDS


def test_images_follow_as_before(run):
    model = ScriptedModel(replies=["fine"])
    image = {"type": "image", "url": "https://example.org/a.png", "mime_type": "image/png"}
    chat = {"messages": [HumanMessage([{"type": "text", "text": "What?"}, image])]}
    run(create_conductor(fixed.single("w"), [Worker("w", create_agent(model), instructions=WORDS)]), chat)
    content = model.calls[0][0].content
    assert content[0]["text"].startswith(WORDS)
    assert content[1] == image


REFUSALS = [
    "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
    "400 Developer instruction is not enabled for models/gemma-3-27b-it",
    "System role not supported",
    "Conversation roles must alternate user/assistant/user/assistant/...",
    "This model doesn't support system messages. Try again without system messages.",
    "system messages are unsupported by this model",
]


@pytest.mark.parametrize("words", REFUSALS)
def test_how_servers_refuse_system_messages(words):
    assert refuses_system(ValueError(words))
    wrapped = RuntimeError("failed")
    wrapped.__cause__ = ValueError(words)
    assert refuses_system(wrapped)


@pytest.mark.parametrize(
    "words", ["the system is not available", "file system error", "context too long", "model not supported"]
)
def test_other_errors_do_not(words):
    assert not refuses_system(ValueError(words))


def picky(messages):
    if any(isinstance(message, SystemMessage) for message in messages):
        return ValueError(REFUSALS[2])
    return "fine"


@pytest.mark.parametrize("tools", [[], [tool]])
def test_a_model_that_refuses_them_has_them_in_its_prompt(tools, run):
    model = ScriptedModel(replies=picky)
    conductor = create_conductor(
        fixed.single("w"), [Worker("w", model, tools=tools, instructions=WORDS, retries=0)]
    )
    assert run(conductor, ask())["answer"] == "fine"
    assert len(model.calls) == 2
    (prompt,) = model.calls[-1]
    assert prompt.text.startswith(f"{WORDS}\n\nYou are one of")
    assert run(conductor, ask())["answer"] == "fine"
    assert len(model.calls) == 3  # it is not tried again


def test_another_failure_is_not_asked_again(run):
    model = ScriptedModel(replies=[ValueError("no")])
    workers = [Worker("w", model, instructions=WORDS, fallback="ok"), Worker("ok", lambda task: "fine")]
    run(create_conductor(fixed.single("w"), workers), ask())
    assert len(model.calls) == 1


def test_they_are_counted_and_kept_apart():
    def likely(**options):
        pool = WorkerPool([Worker("w", ScriptedModel(max_tokens=10), **options)])
        return pool.estimate(flow(("w", "x", [])), "?").likely.input_tokens

    assert likely(instructions=WORDS * 20) > likely() + 150
    plain, other = (
        worker_identity(Worker("w", ScriptedModel(), **o)) for o in ({}, {"instructions": WORDS})
    )
    assert "instructions" not in plain
    assert other == {**plain, "instructions": WORDS}


def test_a_budget_counts_them(run):
    model = ScriptedModel(replies=["fine"], max_tokens=5)
    worker = Worker("w", model, instructions="word " * 2_000)
    result = run(create_conductor(fixed.single("w"), [worker]), ask())
    assert result["usage"]["workers"]["input_tokens"] > 2_000


def test_a_file_and_a_mapping_may_hold_them(tmp_path):
    (worker,) = WorkerPool(
        [{"name": "w", "runnable": lambda task: "x", "instructions": WORDS, "history": 2}]
    )
    assert (worker.instructions, worker.history) == (WORDS, 2)
    file = tmp_path / "conductor.toml"
    file.write_text(
        '[[workers]]\nname = "a"\nlocal = "calculator"\ninstructions = "Be exact."\nhistory = "last"\n'
        '[[workers]]\nname = "b"\nlocal = "calculator"\nhistory = 3\n'
    )
    a, b = read_conductor(file).workers
    assert (a.instructions, a.history, b.instructions, b.history) == ("Be exact.", "last", "", 3)
    file.write_text('[[workers]]\nname = "a"\nlocal = "calculator"\nhistory = "some"\n')
    with pytest.raises(ConfigError, match=r'history.*must be "all", "last" or a whole number'):
        read_conductor(file)


@pytest.mark.parametrize("words", [None, 3, "a\x00b", "\ud800"])
def test_other_instructions_are_refused(words):
    with pytest.raises(ValueError, match="worker 'w': instructions must be a text"):
        Worker("w", lambda task: "x", instructions=words)
