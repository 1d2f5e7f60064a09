"""The ten lines of the README, with the embedded models: no key and no network."""

from langgraph_conductor import create_conductor, local

conductor = create_conductor(local.planner(), local.workers(), max_steps=3)
result = conductor.invoke({"messages": [{"role": "user", "content": "What is 48 * 271?"}]})

print(result["messages"][-1].text)
for step in result["rounds"][0]["steps"]:
    print(step["worker"], "was asked", repr(step["subtask"]), "and said", repr(step["text"]))
