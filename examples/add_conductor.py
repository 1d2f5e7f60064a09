"""Two conductors in one graph, two turns of a conversation, and a planner that would never stop.

`add_conductor` puts a conductor into a graph that is being built, as one node with an edge back to itself. Here
`research` collects notes and `write` makes an answer of them. The planner of `research` wants another round after
every round; `max_rounds` ends it. Nothing of the first turn is left in the second but the messages.

The models are played. Put your own in: model strings such as `"openai:gpt-5"` in place of `ScriptedModel(...)`.
"""

from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph

from langgraph_conductor import Worker, WorkerTask, add_conductor
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import ScriptedModel, plan_text


def collect(task: WorkerTask) -> str:
    return f"Note {task.round + 1}."


def write(task: WorkerTask) -> str:
    return f"Answered; notes in the conversation: {str(task.question[0]['text']).count('Note')}."


never_content = ScriptedModel(replies=[plan_text(("scout", "Find one more.", []))])

builder = StateGraph(MessagesState)
add_conductor(
    builder, never_content, [Worker("scout", collect)], name="research", then="write", max_rounds=3
)
add_conductor(builder, fixed.single("author"), [Worker("author", write)], name="write")
builder.add_edge(START, "research")
app = builder.compile(checkpointer=InMemorySaver())

if __name__ == "__main__":
    thread: RunnableConfig = {"configurable": {"thread_id": "1"}}
    for text in ("What is a fugue?", "And a canon?"):
        result = app.invoke({"messages": [HumanMessage(text)]}, thread)
        print(f"user: {text}")
        for message in result["messages"][-2:]:
            rounds = message.response_metadata["conductor"]["rounds"]
            print(f"{message.name}: {message.text} (rounds: {rounds})")
