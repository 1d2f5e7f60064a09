import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from langgraph_conductor.replies import drop_thinking, last_text, reply_text, storable


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("plain", "plain"),
        ("<think>a</think>b", "b"),
        ("x<think>a</think>y<think>b</think>z", "xyz"),
        ("opened in the prompt</think>b", "b"),
        ("a<think>never ends", "a"),
        ("a</think><think>b</think>c", "c"),
        ("<think></think>", ""),
    ],
)
def test_thinking_is_dropped(text, kept):
    assert drop_thinking(text) == kept


@given(st.lists(st.sampled_from(["<think>", "</think>", "a", "\n"])).map("".join))
def test_no_thinking_is_left(text):
    assert "<think>" not in drop_thinking(text)


def test_storable():
    assert storable("a\0b\ud800c") == "a\ufffdb\ufffdc"
    assert storable("é😀") == "é😀"


def test_only_text_counts():
    blocks = [{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": " yes "}]
    assert reply_text(AIMessage(content=blocks)) == "yes"
    assert reply_text(" <think>x</think> yes\n") == "yes"
    with pytest.raises(TypeError, match="got int"):
        reply_text(3)


def test_the_last_non_empty_ai_text_counts():
    tool = ToolMessage("tool says", tool_call_id="1")
    messages = [AIMessage("first"), AIMessage("second"), tool, AIMessage(""), HumanMessage("user")]
    assert last_text(messages) == "second"
    assert last_text([HumanMessage("x"), AIMessage("<think>only</think>")]) == ""
