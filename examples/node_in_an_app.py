"""A conductor as one node of a chat application that already exists.

The app greets, hands everything else to the conductor, and remembers the conversation. The conductor
shares the app's saver and adds one message a turn; what it planned stays in its own namespace.
"""

from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph

from langgraph_conductor import create_conductor, local


def greet(state: MessagesState) -> dict[str, list[AIMessage]]:
    return {"messages": [AIMessage("Hello! Ask me something.", name="greeter")]}


def is_greeting(state: MessagesState) -> str:
    return (
        "greet" if str(state["messages"][-1].text).lower().strip("!. ") in ("hi", "hello") else "conductor"
    )


builder = StateGraph(MessagesState)
builder.add_node("greet", greet)
builder.add_node("conductor", create_conductor(local.planner(), local.workers(), max_steps=3))
builder.add_conditional_edges(START, is_greeting, ["greet", "conductor"])
builder.add_edge("greet", END)
builder.add_edge("conductor", END)
app = builder.compile(checkpointer=InMemorySaver())

if __name__ == "__main__":
    thread: RunnableConfig = {"configurable": {"thread_id": "1"}}
    for text in ("Hello!", "Find 12.5% of 960."):
        result = app.invoke({"messages": [HumanMessage(text)]}, thread)
        answer = result["messages"][-1]
        print(f"user: {text}\n{answer.name}: {answer.text}")
    assert [message.type for message in result["messages"]] == ["human", "ai", "human", "ai"]
