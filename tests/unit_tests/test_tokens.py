"""Tokens as events: together, those of a step since the last retraction are its text, whatever went wrong before."""

import asyncio
import json

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk

from langgraph_conductor import ChatPlanner, Worker, add_conductor, create_conductor
from langgraph_conductor.cli.tokens import answer_as_it_comes
from langgraph_conductor.display.live import live
from langgraph_conductor.display.progress import Progress
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import FakeProviders, ScriptedModel, faults, plan_text
from langgraph_conductor.workers.watching import Watcher
from tests.clients import WIRES, client
from tests.helpers import ask

CONFIG = {"configurable": {"conductor": {"tokens": True}}}


def heard(graph, how, *, modes=("custom", "updates"), config=CONFIG):
    """All events of a run."""

    async def awaited():
        return [part async for part in graph.astream(ask(), config, stream_mode=[*modes])]

    parts = asyncio.run(awaited()) if how == "async" else graph.stream(ask(), config, stream_mode=[*modes])
    return [part for mode, part in parts if mode == "custom"]


def shown(events, step=None, *, final=True):
    """What a client shows: the tokens, cleared when they are retracted."""
    text = ""
    for event in events:
        if event["type"] == "tokens_retracted" and event["final"] is final and event["step"] == step:
            text = ""
        elif event["type"] == "token" and event["final"] is final and event["step"] == step:
            text += event["text"]
    return text


def types(events):
    """What is told between the start and the end of steps, repetitions left out."""
    told = [event["type"] for event in events if "token" in event["type"] or event["type"] == "fallback"]
    return [one for number, one in enumerate(told) if told[number - 1 : number] != [one]]


@pytest.fixture(autouse=True)
def no_waits(monkeypatch):
    monkeypatch.setattr("langgraph_conductor.workers.failures.random.uniform", lambda low, high: 0.0)


@pytest.fixture(params=["sync", "async"])
def how(request):
    return request.param


@pytest.mark.parametrize("wire", WIRES)
def test_a_stream_that_breaks_is_retracted(wire, how):
    with FakeProviders() as providers:
        model = client(wire, providers)
        name = getattr(model, "model_name", None) or model.model
        providers.script(name.removeprefix("models/"), faults.cut(after=2), "It is 42.")
        team = create_conductor(fixed.single("w"), [Worker("w", model, retries=1)])
        events = heard(team, how)
        assert all(request.stream for request in providers.requests)
    assert events[-1]["text"] == shown(events, 0) == "It is 42."
    assert types(events) == ["token", "tokens_retracted", "token"]
    (retracted,) = [event for event in events if event["type"] == "tokens_retracted"]
    assert (retracted["reason"], retracted["worker"], retracted["round"]) == ("failed", "w", 0)


def test_one_that_breaks_before_its_first_word_retracts_nothing(how):
    with FakeProviders(faults.cut(after=0)) as providers:
        providers.script("m", faults.server_error(), "It is 42.")
        team = create_conductor(fixed.single("w"), [Worker("w", client("openai", providers), retries=1)])
        events = heard(team, how)
    assert types(events) == ["token"]
    assert shown(events, 0) == "It is 42."


class Breaks(ScriptedModel):
    """Streams three words, and breaks the first times."""

    breaks: int = 1

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        for number, chunk in enumerate(super()._stream(messages, stop, run_manager, **kwargs)):
            if number == 2 and len(self.calls) <= self.breaks:
                raise ConnectionError("gone")
            yield chunk


def test_a_fallback_worker_begins_with_nothing(how):
    workers = [
        Worker("w", Breaks(replies=["one two three"], breaks=9), retries=0, fallback="spare"),
        Worker("spare", ScriptedModel(replies=["It is 42."])),
    ]
    events = heard(create_conductor(fixed.single("w"), workers), how)
    assert types(events) == ["token", "tokens_retracted", "fallback", "token"]
    assert shown(events, 0) == "It is 42."


def test_a_step_that_fails_for_good_keeps_no_tokens(how):
    workers = [
        Worker("w", Breaks(replies=["one two three"], breaks=9), retries=0),
        Worker("v", lambda task: "v"),
    ]
    plan = plan_text(("w", "Draft.", []), ("v", "Answer.", [0]))
    events = heard(create_conductor(ScriptedModel(replies=[plan]), workers), how)
    assert shown(events, 0, final=False) == ""
    assert [event["status"] for event in events if event["type"] == "step_finished"] == ["failed", "ok"]


def test_a_planner_that_is_asked_again_begins_with_nothing(how):
    plan = plan_text(("w", "Do it.", []))
    planner = ChatPlanner(Breaks(replies=["x y z", "no plan", plan]), retries=1)
    events = heard(create_conductor(planner, [Worker("w", lambda task: "It is 42.")]), how)
    assert shown(events, final=False) == plan  # after an outage, and after a reply that was no plan
    reasons = [event["reason"] for event in events if event["type"] == "tokens_retracted"]
    assert reasons == ["failed", "replaced"]
    assert {event["step"] for event in events if event["type"] == "tokens_retracted"} == {None}


def test_models_that_fall_back_on_others_begin_with_nothing(how):
    model = Breaks(replies=["one two three"]).with_fallbacks([ScriptedModel(replies=["It is 42."])])
    events = heard(create_conductor(fixed.single("w"), [Worker("w", model)]), how)
    assert types(events) == ["token", "tokens_retracted", "token"]
    assert shown(events, 0) == "It is 42."


def agent_of(*replies, kind=ScriptedModel):
    def look_up(what: str) -> str:
        """Look it up."""
        return "42"

    call = AIMessage("Let me look.", tool_calls=[{"name": "look_up", "args": {"what": "it"}, "id": "1"}])
    return kind(replies=[call, *replies]), [look_up]


@pytest.mark.parametrize("form", ["tools", "agent"])
def test_what_an_agent_says_before_its_tools_is_no_answer(how, form):
    model, tools = agent_of("It is 42.")
    worker = Worker("w", model, tools=tools) if form == "tools" else Worker("w", create_agent(model, tools))
    events = heard(create_conductor(fixed.single("w"), [worker]), how)
    told = "".join(event["text"] for event in events if event["type"] == "token")
    assert told == "Let me look.It is 42."  # said while it looks
    assert shown(events, 0) == events[-1]["text"] == "It is 42."


def test_an_agents_stream_that_breaks_is_retracted(how):
    model, tools = agent_of("It is 42.", kind=Breaks)
    worker = Worker("w", model, tools=tools, retries=2)
    events = heard(create_conductor(fixed.single("w"), [worker]), how)
    assert shown(events, 0) == events[-1]["text"]
    assert "tokens_retracted" in types(events)


# ------------------------------------------------------------------ thoughts


@pytest.mark.parametrize(
    "said",
    [
        "<think>\nsecret\n</think>\n\nIt is 42.",
        "[THINK]secret[/THINK]It is 42.",
        "<|channel|>analysis<|message|>secret<|end|><|start|>assistant<|channel|>final<|message|>It is 42.",
        "<seed:think> secret </seed:think> It is 42.",
    ],
)
def test_thoughts_are_no_tokens(how, said):
    events = heard(create_conductor(fixed.single("w"), [Worker("w", ScriptedModel(replies=[said]))]), how)
    assert "secret" not in json.dumps(events)
    assert types(events) == ["token"]
    assert shown(events, 0) == events[-1]["text"] == "It is 42."


def test_thoughts_that_began_in_the_prompt_are_retracted(how):
    model = ScriptedModel(replies=["Well, a secret. </think> It is 42."])
    events = heard(create_conductor(fixed.single("w"), [Worker("w", model)]), how)
    assert shown(events, 0) == events[-1]["text"] == "It is 42."
    assert types(events) == ["token", "tokens_retracted", "token"]


# ------------------------------------------------------------------ who streams


class Whole(ScriptedModel):
    """Cannot stream."""

    disable_streaming: bool = True


def added(workers):
    from langgraph.graph import START, MessagesState, StateGraph

    builder = StateGraph(MessagesState)
    add_conductor(builder, fixed.single("w"), workers)
    builder.add_edge(START, "conductor")
    return builder.compile()


@pytest.mark.parametrize(
    "modes", [["custom"], ["custom", "updates"], ["custom", "messages"], ["custom", "values"]]
)
@pytest.mark.parametrize("make", [lambda workers: create_conductor(fixed.single("w"), workers), added])
def test_models_stream_whatever_else_is_asked_for(how, modes, make):
    events = heard(make([Worker("w", ScriptedModel(replies=["It is 42."]))]), how, modes=modes)
    assert [event["text"] for event in events if event["type"] == "token"] == ["It ", "is ", "42."]


def test_they_do_not_where_nobody_asks_for_tokens(how):
    events = heard(create_conductor(fixed.single("w"), [Worker("w", ScriptedModel())]), how, config={})
    assert types(events) == []


@pytest.mark.parametrize(
    "worker",
    [
        lambda task: "It is 42.",
        Whole(replies=["It is 42."]),
        Whole(replies=["It is 42."]) | (lambda said: said),
    ],
    ids=["function", "model", "chain"],
)
def test_a_step_that_does_not_stream_tells_its_text_at_its_end(how, worker):
    events = heard(create_conductor(fixed.single("w"), [Worker("w", worker)]), how)
    assert [(e["text"], e["final"], e["step"]) for e in events if e["type"] == "token"] == [
        ("It is 42.", True, 0)
    ]
    assert [event["type"] for event in events[-4:]] == [
        "token",
        "step_finished",
        "round_finished",
        "answer",
    ]


def test_what_a_function_makes_of_a_models_words_counts(how):
    model = ScriptedModel(replies=["forty-two"])

    def worker(task):
        return f"It is {model.invoke(task.subtask).text}!"

    events = heard(create_conductor(fixed.single("w"), [Worker("w", worker)]), how)
    assert shown(events, 0) == "It is forty-two!"
    (retracted,) = [event for event in events if event["type"] == "tokens_retracted"]
    assert retracted["reason"] == "replaced"


def test_a_call_tagged_nostream_tells_no_tokens(how):
    model = ScriptedModel(replies=["secret"], tags=["nostream"])
    events = heard(
        create_conductor(fixed.single("w"), [Worker("w", lambda task: model.invoke("?") and "42")]), how
    )
    assert [event["text"] for event in events if event["type"] == "token"] == ["42"]


class Halves(ScriptedModel):
    """Streams half a character at a time."""

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        for text in ("a\ud83d", "\ude00", "b\0", "\ud83d", " ", "\n", "c", "\n\n"):
            chunk = ChatGenerationChunk(message=AIMessageChunk(text))
            if run_manager:
                run_manager.on_llm_new_token(text, chunk=chunk)
            yield chunk


def test_halves_of_characters_are_put_together(how):
    events = heard(create_conductor(fixed.single("w"), [Worker("w", Halves())]), how)
    assert "".join(event["text"] for event in events if event["type"] == "token") == "a😀b\ufffd\ufffd \nc"
    assert "tokens_retracted" not in types(events)
    json.dumps(events, ensure_ascii=False).encode()


# ------------------------------------------------------------------ who shows them


def broken():
    workers = [Worker("w", Breaks(replies=["one two three", "It is 42."]), retries=1)]
    return heard(create_conductor(fixed.single("w"), workers), "sync")


def test_the_live_view_clears():
    progress, said = Progress(), []
    for event in broken():
        progress = progress.after(event, 0.0)
        if event["type"].startswith("token"):
            said.append(progress.rounds[0].steps[0].doing)
    assert said == ["one ", "one two ", "", "It ", "It is ", "It is 42."]


def test_the_answer_on_stdout_begins_again():
    written = []
    show = answer_as_it_comes(written.append)
    for event in broken():
        show(event)
    assert "".join(written) == "one two \n\nIt is 42.\n"


def test_lines_leave_it_out():
    from io import StringIO

    from rich.console import Console

    out = StringIO()
    with live(Console(file=out)) as show:
        for event in broken():
            show(event)
    assert "retract" not in out.getvalue()


def test_calls_side_by_side_end_with_the_text():
    told = []
    watcher = Watcher(lambda kind, facts: told.append((kind, *facts.values())), tokens=True)
    watcher.on_llm_new_token("x", run_id=1)
    watcher.on_llm_new_token("y", run_id=2)
    watcher.on_llm_over(1, failed=True)
    watcher.on_llm_over(2)
    watcher.finish("y!")
    assert told == [("token", "x"), ("token", "y"), ("tokens_retracted", "replaced"), ("token", "y!")]


def test_a_planners_call_that_was_given_up_is_heard_no_more():
    told = []
    watcher = Watcher(lambda kind, facts: told.append((kind, *facts.values())), tokens=True, one_voice=True)
    for text, run_id in (("x", 1), ("y", 2), ("x", 1), ("z", 2)):
        watcher.on_llm_new_token(text, run_id=run_id)
    watcher.on_llm_over(1, failed=True)
    assert told == [("token", "x"), ("tokens_retracted", "failed"), ("token", "y"), ("token", "z")]
