"""A conductor as one node of a graph that is being built."""

from typing import Annotated, TypedDict

import pytest
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph

from langgraph_conductor import ACCEPT, Budget, Worker, add_conductor
from langgraph_conductor.testing import ScriptedModel, plan_text
from tests.helpers import Recorder, ScriptedPlanner, ask, flow, thread

ONE = flow(("a", "one", []))


def app_of(*plans, saver=None, worker=None, state=MessagesState, **options):
    builder = StateGraph(state)
    add_conductor(builder, ScriptedPlanner(*plans), [Worker("a", worker or Recorder("a"))], **options)
    builder.add_edge(START, options.get("name", "conductor"))
    return builder.compile(checkpointer=saver)


def test_one_node_with_an_edge_back_to_itself():
    edges = {(e.source, e.target, e.conditional) for e in app_of(ONE).get_graph().edges}
    assert edges == {
        ("__start__", "conductor", False), ("conductor", "conductor", True), ("conductor", "__end__", True),
    }  # fmt: skip


def test_rounds_until_it_is_over_and_one_message(run):
    result = run(app_of(ONE, ONE, ACCEPT, max_rounds=5), ask())
    assert set(result) == {"messages"}
    assert [m.type for m in result["messages"]] == ["human", "ai"]
    message = result["messages"][-1]
    assert (message.text, message.name) == ("a-1-0", "conductor")
    assert message.response_metadata["conductor"]["rounds"] == 3


def test_a_planner_that_never_accepts_is_stopped(run):
    a = Recorder("a")
    run(app_of(ONE, worker=a, max_rounds=4), ask())
    assert [t.round for t in a.tasks] == [0, 1, 2, 3]


def test_two_in_one_builder_do_not_touch_in_two_turns(run):
    builder = StateGraph(MessagesState)
    a, b = Recorder("a"), Recorder("b")
    first = ScriptedPlanner(ONE, ACCEPT, ONE, ONE)
    second = ScriptedPlanner(flow(("b", "other", [])))
    add_conductor(builder, first, [Worker("a", a)], name="first", then="second", max_rounds=2)
    add_conductor(builder, second, [Worker("b", b)], name="second")
    builder.add_edge(START, "first")
    app = builder.compile(checkpointer=InMemorySaver())
    for turn in (1, 2):
        result = run(app, ask(f"turn {turn}"), thread())
    said = [(m.name, m.text) for m in result["messages"] if m.type == "ai"]
    assert said == [("first", "a-0-0"), ("second", "b-0-0"), ("first", "a-1-0"), ("second", "b-0-0")]
    assert [len(r.rounds) for r in first.requests] == [0, 1, 0, 1]  # nothing is left of the turn before
    values = app.get_state(thread()).values
    assert len(values["first_rounds"]) == 2
    assert len(values["second_rounds"]) == 1


def test_coming_back_in_the_same_turn_begins_anew(run):
    builder = StateGraph(MessagesState)
    planner = ScriptedPlanner(ONE)
    add_conductor(builder, planner, [Worker("a", Recorder("a"))], then="check")
    builder.add_node("check", lambda state: {"messages": [AIMessage("Once more, please.")]})
    builder.add_edge(START, "conductor")
    builder.add_conditional_edges(
        "check", lambda s: "conductor" if len(s["messages"]) < 5 else END, ["conductor", END]
    )
    result = run(builder.compile(), ask())
    assert [m.text for m in result["messages"][1:]] == ["a-0-0", "Once more, please."] * 2
    assert "Once more, please." in planner.requests[1].question[0]["text"]


def test_the_state_of_the_graph_is_kept_and_read():
    class Ticket(MessagesState):
        ticket: str
        notes: Annotated[list, lambda old, new: old + new]

    a = Recorder("a")
    app = app_of(ONE, worker=a, state=Ticket, get_question=lambda state: f"Solve {state['ticket']}.")
    result = app.invoke({**ask("hello"), "ticket": "T-1", "notes": ["n"]})
    assert a.tasks[0].question[0]["text"] == "Solve T-1."
    assert (result["ticket"], result["notes"]) == ("T-1", ["n"])


def test_a_run_is_resumed_inside_a_round(run):
    class Stopping(Recorder):
        def __call__(self, task):
            if not self.tasks:
                self.tasks.append(task)
                raise KeyError("down")
            return super().__call__(task)

    worker = Stopping("a")
    planner = ScriptedPlanner(ONE)
    builder = StateGraph(MessagesState)
    add_conductor(builder, planner, [Worker("a", worker)], on_step_error="raise")
    builder.add_edge(START, "conductor")
    app = builder.compile(checkpointer=InMemorySaver())
    with pytest.raises(Exception, match="step 0"):
        run(app, ask(), thread())
    state = app.get_state(thread(), subgraphs=True)
    assert state.next == ("conductor",)
    assert run(app, None, thread())["messages"][-1].text == "a-0-0"
    assert len(planner.requests) == 1


def test_a_budget_holds_over_its_rounds(run):
    model = ScriptedModel(replies=[plan_text(("a", "one", []))])
    builder = StateGraph(MessagesState)
    worker = Worker("a", ScriptedModel(replies=["said"]))
    add_conductor(builder, model, [worker], max_rounds=9, budget=Budget(calls=3))
    builder.add_edge(START, "conductor")
    message = run(builder.compile(), ask())["messages"][-1]
    assert message.text == "said"
    assert message.response_metadata["conductor"]["usage"]["total"]["calls"] == 3
    assert "calls" in message.response_metadata["conductor"]["stopped"]


def test_what_does_not_fit_is_refused():
    class Bare(TypedDict):
        text: str

    with pytest.raises(ValueError, match="no `messages`"):
        app_of(ONE, state=Bare)
    builder = StateGraph(MessagesState)
    add_conductor(builder, ScriptedPlanner(ONE), [Worker("a", Recorder("a"))])
    with pytest.raises(ValueError, match="already has channels"):
        add_conductor(builder, ScriptedPlanner(ONE), [Worker("a", Recorder("a"))])


def with_an_edge(draw, **options):
    builder = StateGraph(MessagesState)
    builder.add_node("next", lambda state: {"messages": [AIMessage(f"after {len(state['messages'])}")]})
    builder.add_node("other", lambda state: {})
    a = Recorder("a")
    add_conductor(builder, ScriptedPlanner(ONE, ONE), [Worker("a", a)], **options)
    builder.add_edge(START, "conductor")
    draw(builder)
    return builder.compile(), a


@pytest.mark.parametrize(
    ("draw", "named"),
    [
        (lambda builder: builder.add_edge("conductor", "next"), r"\['next'\]"),
        (lambda builder: builder.add_edge(["conductor", "other"], "next"), r"\['next'\]"),
        (lambda builder: builder.add_conditional_edges("conductor", lambda state: "next"), "condition"),
    ],
    ids=["edge", "join", "conditional"],
)
def test_an_edge_that_would_be_followed_before_the_answer_is_refused_before_anything_is_paid(
    run, draw, named
):
    app, a = with_an_edge(draw, max_rounds=2)
    with pytest.raises(ValueError, match=rf"{named}.*after every round.*then="):
        run(app, ask())
    assert a.tasks == []


def test_an_edge_after_one_round_or_to_the_end_is_an_edge_like_any(run):
    app, _ = with_an_edge(lambda builder: builder.add_edge("conductor", "next"), max_rounds=1)
    assert [m.text for m in run(app, ask())["messages"]][1:] == ["a-0-0", "after 2"]
    app, _ = with_an_edge(lambda builder: builder.add_edge("conductor", END), max_rounds=2)
    assert [m.text for m in run(app, ask())["messages"]][1:] == ["a-1-0"]
