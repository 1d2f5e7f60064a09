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
        ("x\n<think>a</think>y\n <THINK>b\n</Think>z", "x\ny\nz"),
        ("opened in the prompt\n</think>\nb", "\nb"),
        ("<think>never ends", ""),
        ("said\n<think>never ends", "said\n"),
        ("a\n</think><think>b</think> <thinking>c</thinking>d", "d"),
        ("<think></think>", ""),
        ("<think>a</think><think>never ends", ""),
        ("<reasoning>use <think> here</reasoning>b", "b"),
        (
            "Wrap it as <think>so</think>, then close it with </think>.",
            "Wrap it as <think>so</think>, then close it with </think>.",
        ),
    ],
)
def test_thinking_is_dropped(text, kept):
    assert drop_thinking(text) == kept


@given(st.lists(st.sampled_from(["<think>", "</think>", "a", "\n"])).map("".join))
def test_whole_blocks_that_begin_a_text_are_gone(rest):
    assert (
        drop_thinking(f"<think>thought\n</think>{rest}") == drop_thinking(rest)
        or "<think>" in rest
        or "</think>" in rest
    )
    assert "thought" not in drop_thinking(f"<think>thought\n</think>{rest}")


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
