"""A conductor as one node of a chat application that already exists.

The app greets, hands everything else to the conductor, and remembers the conversation. The conductor is a compiled
graph, so the node is the conductor itself: it shares the app's saver and adds one message a turn; what it planned
stays in its own namespace.

The planner is played. Put your own in: a model string such as `"openai:gpt-5"` in place of `ScriptedModel(...)`.
"""

from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph

from langgraph_conductor import Worker, create_conductor, local
from langgraph_conductor.testing import ScriptedModel, plan_text

planner = ScriptedModel(
    replies=[plan_text(("calculator", "12.5% of 960", []), ("polite", "Answer in a sentence.", [0]))]
)
polite = Worker("polite", lambda task: f"With pleasure: {task.inputs[0].text}.")


def greet(state: MessagesState) -> dict[str, list[AIMessage]]:
    return {"messages": [AIMessage("Hello! Ask me something.", name="greeter")]}


def is_greeting(state: MessagesState) -> str:
    text = str(state["messages"][-1].text).lower().strip("!. ")
    return "greet" if text in ("hi", "hello") else "conductor"


builder = StateGraph(MessagesState)
builder.add_node("greet", greet)
builder.add_node("conductor", create_conductor(planner, [local.worker("calculator"), polite]))
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
