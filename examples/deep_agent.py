"""A conductor as a subagent of a deep agent (`pip install deepagents`).

A deep agent hands tasks to subagents by name. A conductor is a compiled graph with `messages`, so it is one as it
stands: a name, a description, and the graph.

The models are played. Put your own in: model strings such as `"openai:gpt-5"` in place of `ScriptedModel(...)`.
"""

from deepagents import create_deep_agent
from langchain_core.messages import AIMessage

from langgraph_conductor import Worker, create_conductor
from langgraph_conductor.testing import ScriptedModel, plan_text

plan = plan_text(
    ("finder", "Name a reason for it.", []),
    ("doubter", "Name a reason against it.", []),
    ("judge", "Weigh both, in a sentence.", "all"),
)
team = create_conductor(
    ScriptedModel(replies=[plan]),
    [
        Worker("finder", ScriptedModel(replies=["Tests run twice as fast."])),
        Worker("doubter", ScriptedModel(replies=["Two people know it."])),
        Worker("judge", ScriptedModel(replies=["Worth it, once a third person has learnt it."])),
    ],
)

call = {
    "name": "task",
    "args": {"subagent_type": "team", "description": "Should we move to the new test runner?"},
    "id": "1",
}
agent = create_deep_agent(
    ScriptedModel(replies=[AIMessage("", tool_calls=[call]), "I asked the team, and agree: worth it."]),
    subagents=[{"name": "team", "description": "Weighs decisions.", "runnable": team}],
)

if __name__ == "__main__":
    result = agent.invoke({"messages": [{"role": "user", "content": "Shall we change the test runner?"}]})
    for message in result["messages"]:
        print(f"{message.type}: {message.text or message.tool_calls[0]['args']['description']}")
