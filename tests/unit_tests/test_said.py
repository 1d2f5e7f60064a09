"""Planners whose plan comes as an object, a message in JSON or a call of a tool."""

import json

import pytest
from langchain_core.messages import AIMessage, ChatMessage
from langchain_core.runnables import RunnableLambda, RunnableParallel
from pydantic import BaseModel

from langgraph_conductor import ChatPlanner, Worker, create_conductor
from langgraph_conductor.testing import FakeProviders, FakeReply, FakeToolCall, ScriptedModel, plan_text
from tests.helpers import ask, called, flow

PLAN = plan_text(("a", "Do it.", []))
FLOW = flow(("a", "Do it.", []))
STEPS = FLOW.to_json()
LISTS = {"model_id": ["a"], "subtasks": ["Do it."], "access_list": [[]]}
WORKERS = [Worker("b", lambda task: "other"), Worker("a", lambda task: "done")]


class Wf(BaseModel):
    steps: list[dict]


def calling(*args, text="", name="workflow"):
    calls = [
        {"name": name, "args": given, "id": str(i), "type": "tool_call"} for i, given in enumerate(args)
    ]
    return AIMessage(text, tool_calls=calls)


def unread(args):
    call = {"name": "workflow", "args": args, "id": "1", "error": "x", "type": "invalid_tool_call"}
    return AIMessage("", invalid_tool_calls=[call])


FUNCTION = {"name": "workflow", "arguments": json.dumps(STEPS)}
FORMS = {
    "workflow": FLOW,
    "pydantic": Wf(**STEPS),
    "object": STEPS,
    "raw and object": {"raw": AIMessage(""), "parsed": Wf(**STEPS), "parsing_error": None},
    "raw and dict": {"raw": calling(STEPS), "parsed": STEPS, "parsing_error": None},
    "raw and workflow": {"raw": AIMessage("No."), "parsed": FLOW, "parsing_error": None},
    "raw alone": {"raw": calling(STEPS), "parsed": None, "parsing_error": ValueError("x")},
    "message in JSON": {"role": "assistant", "content": PLAN},
    "messages in JSON": [{"role": "user", "content": "q"}, {"role": "assistant", "content": PLAN}],
    "state in JSON": {"messages": [{"role": "assistant", "content": PLAN}]},
    "chat message": ChatMessage(role="assistant", content=PLAN),
    "call": calling(STEPS),
    "call with lists": calling(LISTS),
    "call with a word": calling(STEPS, text="I plan."),
    "call within": calling({"plan": STEPS}),
    "call with text": calling({"plan": json.dumps(STEPS)}),
    "unread call": unread(json.dumps(STEPS)[:-1] + ",}"),
    "OpenAI's calls": AIMessage(
        "", additional_kwargs={"tool_calls": [{"id": "1", "type": "function", "function": FUNCTION}]}
    ),
    "OpenAI's function": AIMessage("", additional_kwargs={"function_call": FUNCTION}),
}


@pytest.mark.parametrize("what", FORMS)
def test_a_plan_is_found_in_every_form(what, run):
    planner = RunnableLambda(lambda _: FORMS[what])
    result = run(create_conductor(planner, WORKERS), ask())
    plan = result["rounds"][0]["plan"]
    assert (plan["reached"], len(plan["attempts"]), result["answer"]) == ("unaided", 1, "done")


def test_a_call_of_another_tool_is_told(run):
    model = ScriptedModel(replies=[calling({"query": "x"}, name="search"), PLAN])
    result = run(create_conductor(model, WORKERS), ask())
    assert (result["rounds"][0]["plan"]["reached"], result["answer"]) == ("repair", "done")
    first = result["rounds"][0]["plan"]["attempts"][0]
    assert first["text"] == '{"query": "x"}'
    assert "calls the tool search, which nobody runs: write the plan as text" in first["error"]
    assert "calls the tool search" in model.prompts[-1]


def test_an_object_that_holds_no_plan_is_told(run):
    planner = RunnableParallel(x=ScriptedModel(replies=[PLAN]))
    result = run(create_conductor(planner, WORKERS), ask())
    plan = result["rounds"][0]["plan"]
    assert (len(plan["attempts"]), result["answer"]) == (3, "other")
    assert (
        "no workflow found" in plan["attempts"][0]["error"]
        or "cannot be read" in plan["attempts"][0]["error"]
    )


class Refusing(ScriptedModel):
    """Its client does not send a request under a schema."""

    profile: dict = {"structured_output": True}

    def with_structured_output(self, schema, *, method, include_raw):
        def refuse(_):
            raise ValueError("`Wf` is not strict")

        return RunnableLambda(refuse)


def test_where_a_client_refuses_the_schema_plain_text_is_asked_for(run):
    model = Refusing(replies=["Hm.", PLAN])
    result = run(create_conductor(model, WORKERS), ask())
    plan = result["rounds"][0]["plan"]
    assert (plan["reached"], result["answer"], called(model)) == ("repair", "done", 2)
    assert [attempt["mode"] for attempt in plan["attempts"]] == ["text", "text"]
    assert "access_list = " in model.prompts[0]
    chosen = Refusing(replies=[PLAN])
    result = run(create_conductor(ChatPlanner(chosen, structured=True), WORKERS), ask())
    assert (called(chosen), result["answer"]) == (0, "other")


def provider_of(request):
    steps = json.loads(json.dumps(STEPS))
    if request.body.get("tools"):
        tool = request.body["tools"][0]
        name = tool.get("name") or tool["function"]["name"]
        return FakeReply(tool_calls=(FakeToolCall(name, steps),), input_tokens=10, output_tokens=5)
    return FakeReply(json.dumps(steps), input_tokens=10, output_tokens=5)


@pytest.mark.parametrize("form", ["tools", "include_raw", "object"])
def test_a_model_of_a_provider_with_tools_plans_and_works(form, run):
    from langchain_openai import ChatOpenAI

    with FakeProviders(provider_of) as providers:
        model = ChatOpenAI(
            model="gpt-4o-mini", base_url=providers.url + "/v1", api_key="x", max_retries=0, max_tokens=500
        )
        if form == "tools":
            planner = worker = model.bind_tools([Wf])
        else:
            raw = form == "include_raw"
            planner = model.with_structured_output(Wf, method="function_calling", include_raw=raw)
            worker = planner
        result = run(create_conductor(planner, WORKERS), ask())
        plan = result["rounds"][0]["plan"]
        assert (plan["reached"], plan["usage"]["calls"], result["answer"]) == ("unaided", 1, "done")
        if form != "tools":
            team = create_conductor(planner, [Worker("a", worker)], budget={"calls": 2})
            result = run(team, ask())
            assert json.loads(result["answer"]) == STEPS
            assert result["usage"]["total"]["calls"] == 2
