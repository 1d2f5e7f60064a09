"""A conductor in LangGraph's functional API, which asks a person before it spends anything.

An `@entrypoint` is an ordinary function; a conductor is invoked in it like any graph. With `approve=True` it stops
when it has planned. The interrupt comes out of the entrypoint, and what the person says goes back in; by then
`@task`s that were done are not done again, and nothing is planned twice.

The models are played. Put your own in: model strings such as `"openai:gpt-5"` in place of `ScriptedModel(...)`.
"""

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.types import Command

from langgraph_conductor import Worker, create_conductor, local
from langgraph_conductor.testing import ScriptedModel, plan_text

planner = ScriptedModel(replies=[plan_text(("calculator", "17 * 23", []), ("writer", "Say it.", [0]))])
writer = Worker("writer", ScriptedModel(replies=["They are 391."]))
conductor = create_conductor(planner, [local.worker("calculator"), writer], approve=True)


@task
def tidy(question: str) -> str:
    print("tidied")
    return question.strip().capitalize()


@entrypoint(checkpointer=InMemorySaver())
def app(question: str) -> str:
    asked = tidy(question).result()
    result = conductor.invoke({"messages": [{"role": "user", "content": asked}]})
    return f"{asked} {result['answer']}"


if __name__ == "__main__":
    thread: RunnableConfig = {"configurable": {"thread_id": "1"}}
    paused = app.invoke("  how many are 17 * 23?", thread)
    (request,) = paused["__interrupt__"][0].value["action_requests"]
    print(request["description"])
    print(app.invoke(Command(resume={"decisions": [{"type": "approve"}]}), thread))
    print(f"planned {len(planner.calls)} time")
