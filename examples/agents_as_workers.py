"""Workers that are agents: one of `create_agent`, a model with tools, and a conductor of its own.

Anything with `messages` in its state is a worker as it stands. What its tools said stays with it: other workers
read its answer, where the plan grants it.

The models are played. Put your own in: model strings such as `"openai:gpt-5"` in place of `ScriptedModel(...)`.
"""

from langchain.agents import create_agent
from langchain_core.messages import AIMessage

from langgraph_conductor import Worker, create_conductor
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import ScriptedModel, plan_text

HEIGHTS = {"Eiffel Tower": 330, "Big Ben": 96}


def height(building: str) -> str:
    """How high a building is."""
    return f"{HEIGHTS[building]} m"


def caller(building: str, then: str) -> ScriptedModel:
    """Plays a model that looks a building up and then answers."""
    call = {"name": "height", "args": {"building": building}, "id": "1"}
    return ScriptedModel(replies=[AIMessage("", tool_calls=[call]), then])


scout = create_agent(caller("Eiffel Tower", "The Eiffel Tower has 330 m."), [height])
checkers = create_conductor(  # a team in the team: it answers, reads its answer, and mends it
    fixed.self_reflection(1, "critic"),
    [Worker("critic", ScriptedModel(replies=["324 m higher.", "234 m higher."]))],
)
conductor = create_conductor(
    ScriptedModel(
        replies=[
            plan_text(
                ("scout", "How high is the Eiffel Tower?", []),
                ("surveyor", "How high is Big Ben?", []),
                ("checkers", "Compare them.", "all"),
            )
        ]
    ),
    [
        Worker("scout", scout, description="Knows buildings in France."),
        Worker("surveyor", caller("Big Ben", "Big Ben has 96 m."), tools=[height]),
        Worker("checkers", checkers, description="Compares."),
    ],
)

if __name__ == "__main__":
    question = "How much higher than Big Ben is the Eiffel Tower?"
    result = conductor.invoke({"messages": [{"role": "user", "content": question}]})
    for step in result["rounds"][0]["steps"]:
        tools = ", ".join(f"{call['tool']} said {call['output']}" for call in step.get("tool_calls", []))
        calls = step["usage"]["calls"]
        print(f"{step['worker']}: {step['text']} (models called: {calls}; {tools or 'no tools'})")
    print(result["answer"])
