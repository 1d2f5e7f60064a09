"""An added conductor that is reached by `Send`: one run for each, with its own question, rounds, budget and mark."""

import dataclasses
from typing import Annotated

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Command, Send, interrupt
from pydantic import BaseModel

from langgraph_conductor import ACCEPT, Budget, Plan, Worker, add_conductor
from langgraph_conductor.testing import ScriptedModel, plan_text
from tests.helpers import ScriptedPlanner, ask, flow, thread

ONE = flow(("a", "one", []))


def asked(task):
    return task.question[0]["text"]


def echo(task):
    return f"{asked(task)}{task.round}"


class Patient:
    """A planner that accepts the answer to a question of n letters after n rounds."""

    def __init__(self):
        self.requests = []

    def plan(self, request):
        self.requests.append((request.question[0]["text"], len(request.rounds)))
        return Plan(ACCEPT if len(request.rounds) >= len(request.question[0]["text"]) else ONE)

    async def aplan(self, request):
        return self.plan(request)


def app_of(
    questions, planner=None, work=echo, saver=None, state=MessagesState, of=None, then=None, **options
):
    """A graph that sends each question to the conductor, and another one along an edge if `plain` is given."""
    make = of or (lambda text: {"messages": [HumanMessage(text)]})
    builder = StateGraph(state)
    if then:
        builder.add_node("then", then)
        options["then"] = "then"
    add_conductor(builder, planner or ScriptedPlanner(ONE), [Worker("a", work)], **options)
    builder.add_conditional_edges(
        START, lambda state: [Send("conductor", make(text)) for text in questions], ["conductor"]
    )
    return builder.compile(checkpointer=saver)


def answers(result):
    return [m.text for m in result["messages"] if isinstance(m, AIMessage)]


def test_each_has_as_many_rounds_as_it_needs(run):
    planner = Patient()
    app = app_of(["a", "bb", "ccc"], planner, max_rounds=9, saver=InMemorySaver())
    result = run(app, ask("broad"), thread())
    assert sorted(answers(result)) == ["a0", "bb1", "ccc2"]
    assert sorted(planner.requests) == sorted((q, n) for q in ("a", "bb", "ccc") for n in range(len(q) + 1))
    about = {
        m.text: m.response_metadata["conductor"]["rounds"] for m in result["messages"] if m.type == "ai"
    }
    assert about == {"a0": 2, "bb1": 3, "ccc2": 4}


def test_each_has_its_own_budget(run):
    model = ScriptedModel(replies=[plan_text(("a", "one", []))], max_tokens=50)
    result = run(app_of(["x", "y"], model, max_rounds=3, budget=Budget(calls=2)), ask("broad"))
    assert sorted(answers(result)) == ["x1", "y1"]
    assert len(model.calls) == 4
    assert all(m.response_metadata["conductor"]["stopped"] for m in result["messages"] if m.type == "ai")


def test_each_may_wait_for_a_person_in_a_later_round_and_goes_on_with_its_own_answer(run):
    def work(task):
        return f"{asked(task)}: {interrupt(asked(task))}" if task.round == 1 else "first"

    planner = ScriptedPlanner(ONE)
    app = app_of(["x", "y"], planner, work, InMemorySaver(), max_rounds=2)
    waiting = run(app, ask("broad"), thread())["__interrupt__"]
    assert sorted(one.value for one in waiting) == ["x", "y"]
    assert len(planner.requests) == 4
    result = run(app, Command(resume={one.id: one.value.upper() for one in waiting}), thread())
    assert sorted(answers(result)) == ["x: X", "y: Y"]
    assert len(planner.requests) == 4


def test_one_that_fails_is_resumed_and_the_others_are_not_paid_again(run):
    paid, broken = [], [True]

    def work(task):
        paid.append(asked(task))
        if asked(task) == "y" and broken:
            raise ConnectionError("away")
        return echo(task)

    builder = StateGraph(MessagesState)
    add_conductor(builder, ScriptedPlanner(ONE), [Worker("a", work, retries=0)], on_step_error="raise")
    sends = [Send("conductor", {"messages": [HumanMessage(text)]}) for text in ("x", "y")]
    builder.add_conditional_edges(START, lambda state: sends, ["conductor"])
    app = builder.compile(checkpointer=InMemorySaver())
    with pytest.raises(Exception, match="away"):
        run(app, ask("broad"), thread(), durability="sync")
    broken.clear()
    result = run(app, None, thread(), durability="sync")
    assert sorted(answers(result)) == ["x0", "y0"]
    assert (paid.count("x"), paid.count("y")) == (1, 2)


def test_what_comes_after_comes_once_and_sees_all(run):
    seen = []
    app = app_of(["x", "y"], then=lambda state: seen.append(len(state["messages"])) or {}, max_rounds=2)
    run(app, ask("broad"))
    assert seen == [3]


def test_a_run_along_an_edge_beside_those_that_were_sent(run):
    planner = Patient()
    builder = StateGraph(MessagesState)
    add_conductor(builder, planner, [Worker("a", echo)], max_rounds=9)
    builder.add_edge(START, "conductor")
    sends = [Send("conductor", {"messages": [HumanMessage(text)]}) for text in ("x", "yyy")]
    builder.add_conditional_edges(START, lambda state: sends, ["conductor"])
    app = builder.compile(checkpointer=InMemorySaver())
    for _ in range(2):  # in a second turn nothing is left of the first
        planner.requests.clear()
        result = run(app, {"messages": [HumanMessage("zz", id="z")]}, thread())
        texts = {text for text, _ in planner.requests}
        assert {"x", "yyy"} < texts
        assert len(texts) == 3
        app.update_state(thread(), {"messages": []}, as_node="conductor")
        assert app.get_state(thread()).next == ()
    assert sorted(answers(result)[:3]) == ["x0", "yyy2", "zz1"]


def test_an_edge_after_a_send_begins_a_run_of_its_own(run):
    planner = Patient()
    builder = StateGraph(MessagesState)
    add_conductor(builder, planner, [Worker("a", echo)], max_rounds=9, then="gather")
    sends = [Send("conductor", {"messages": [HumanMessage("xx")]})]
    builder.add_conditional_edges(START, lambda state: sends, ["conductor"])

    def gather(state):
        last = [m for m in state["messages"] if m.type == "human"][-1].text
        return Command(
            goto="conductor" if last == "yy" else "__end__", update={"messages": [HumanMessage("done")]}
        )

    builder.add_node("gather", gather, destinations=("conductor", "__end__"))
    result = run(builder.compile(), {"messages": [HumanMessage("yy")]})
    assert answers(result)[0] == "xx1"
    assert [n for text, n in planner.requests if text == "xx"] == [0, 1, 2]
    assert {n for text, n in planner.requests if text != "xx"} == set(range(9))


class Modelled(BaseModel):
    messages: Annotated[list, add_messages]


@dataclasses.dataclass
class Classed:
    messages: Annotated[list, add_messages]


@pytest.mark.parametrize("state", [Modelled, Classed])
def test_a_state_in_any_form_of_langgraph_is_sent(run, state):
    app = app_of(
        ["x", "y"], state=state, of=lambda text: state(messages=[HumanMessage(text)]), max_rounds=2
    )
    result = run(app, ask("broad"))
    assert sorted(answers(result)) == ["x1", "y1"]


@pytest.mark.parametrize(
    "one", [HumanMessage("x"), {"role": "user", "content": "x"}, ("user", "x"), "x"], ids=type
)
def test_one_message_is_sent_as_it_is_given_to_a_graph(run, one):
    app = app_of(["x"], of=lambda text: {"messages": one})
    assert answers(run(app, ask("broad"))) == ["x0"]


@pytest.mark.parametrize("state", [Modelled, Classed])
def test_a_state_in_any_form_of_langgraph_is_read_along_an_edge(run, state):
    builder = StateGraph(state)
    add_conductor(builder, ScriptedPlanner(ONE), [Worker("a", echo)], max_rounds=2)
    builder.add_edge(START, "conductor")
    assert answers(run(builder.compile(checkpointer=InMemorySaver()), ask("q"), thread())) == ["q1"]
