"""ScriptedModel, the fake that users meet first."""

import pytest
from langchain_core.messages import AIMessage

from langgraph_conductor import Worker, create_conductor
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import FakeReply, FakeToolCall, ScriptedModel
from tests.helpers import ask


def double(number: int) -> int:
    """Twice the number."""
    return 2 * number


@pytest.mark.parametrize(
    "replies", ["x", ["x"], ("x",), AIMessage("x"), lambda messages: "x", FakeReply("x")]
)
def test_replies_in_every_form(replies):
    assert ScriptedModel(replies).invoke("hi").text == "x"
    assert ScriptedModel(replies=replies).invoke("hi").text == "x"


def test_a_tool_call_is_a_reply(run):
    model = ScriptedModel([FakeToolCall("double", {"number": 4}), "It is 8."])
    conductor = create_conductor(fixed.single("w"), [Worker("w", model, tools=[double])])
    result = run(conductor, ask())
    assert result["answer"] == "It is 8."
    (call,) = result["rounds"][0]["steps"][0]["tool_calls"]
    assert (call["tool"], call["output"]) == ("double", "8")
    assert model.calls[1][-1].text == "8"


async def test_streamed_and_awaited():
    reply = FakeReply(
        "Two:", (FakeToolCall("a", id="1"), FakeToolCall("b")), input_tokens=7, output_tokens=3
    )
    model = ScriptedModel([reply])
    whole = await model.ainvoke("hi")
    streamed = None
    async for chunk in model.astream("hi"):
        streamed = chunk if streamed is None else streamed + chunk
    for message in (whole, streamed):
        assert message.text == "Two:"
        assert [call["name"] for call in message.tool_calls] == ["a", "b"]
        assert message.usage_metadata["total_tokens"] == 10
    assert whole.tool_calls[0]["id"] == "1"
    assert whole.tool_calls[1]["id"]


def test_calls_of_later_replies_have_ids_of_their_own():
    model = ScriptedModel([FakeToolCall("a"), FakeToolCall("a")])
    assert model.invoke("x").tool_calls[0]["id"] != model.invoke("x").tool_calls[0]["id"]


@pytest.mark.parametrize(
    ("replies", "kind", "why"),
    [
        ([], ValueError, "at least one reply"),
        (3, TypeError, "takes a reply, a list of replies or a function, not 3"),
        ([3], TypeError, "a text, an AIMessage, a FakeToolCall, a FakeReply or an exception, not 3"),
        (None, TypeError, "not None"),
    ],
)
def test_what_is_no_reply_is_refused(replies, kind, why):
    with pytest.raises(kind, match=why):
        ScriptedModel(replies)


def test_a_function_must_give_a_reply():
    with pytest.raises(TypeError, match="an exception, not 7"):
        ScriptedModel(lambda messages: 7).invoke("hi")


def test_exceptions_are_raised():
    with pytest.raises(ConnectionError, match="gone"):
        ScriptedModel([ConnectionError("gone")]).invoke("hi")
    with pytest.raises(ConnectionError, match="gone"):
        ScriptedModel(ConnectionError("gone")).invoke("hi")


def test_the_representation_is_short():
    model = ScriptedModel(["a" * 500, "b"], model_name="m")
    model.invoke("hi")
    assert repr(model) == str(model) == "ScriptedModel(2 replies, model_name='m', called 1 times)"
    assert (
        repr(ScriptedModel(lambda m: "x"))
        == "ScriptedModel(a function, model_name='scripted', called 0 times)"
    )
