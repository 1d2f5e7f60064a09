"""A conductor as a tool of an agent: the agent decides when a question is worth a team.

It is a function that invokes the conductor. The agent's saver, store, context and tracing reach the conductor by
themselves; its progress is heard by those who ask for the streams of subgraphs.

The models are played. Put your own in: model strings such as `"openai:gpt-5"` in place of `ScriptedModel(...)`.
"""

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage

from langgraph_conductor import Worker, create_conductor, local
from langgraph_conductor.testing import ScriptedModel, plan_text

planner = ScriptedModel(
    replies=[plan_text(("calculator", "12.5% of 960", []), ("writer", "Say it in a sentence.", [0]))]
)
writer = ScriptedModel(replies=["An eighth of 960 is 120."])
conductor = create_conductor(
    planner,
    [local.worker("calculator"), Worker("writer", writer, description="Writes plainly.")],
    name="team",
)


def ask_the_team(question: str) -> str:
    """Ask a team of specialists. Worth it for questions of several parts."""
    result = conductor.invoke({"messages": [{"role": "user", "content": question}]})
    return str(result["answer"])


call = {"name": "ask_the_team", "args": {"question": "What is 12.5% of 960?"}, "id": "1"}
model = ScriptedModel(replies=[AIMessage("", tool_calls=[call]), "The team says: 120."])
agent = create_agent(model, [ask_the_team])

if __name__ == "__main__":
    for part in agent.stream(
        {"messages": [HumanMessage("What is 12.5% of 960?")]},
        stream_mode=["custom", "updates"],
        subgraphs=True,
        version="v2",
    ):
        if part["type"] == "custom" and part["data"]["type"] == "step_finished":
            print(f"  {part['data']['worker']}: {part['data']['text']}")
        elif part["type"] == "updates" and not part["ns"]:  # the agent's own
            for update in part["data"].values():
                message = update["messages"][-1]
                print(f"{message.type}: {message.text or message.tool_calls[0]['name']}")
