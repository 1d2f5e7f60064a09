"""What the tests have served beside the example: conductors that talk, take their time, and have agents that ask."""

import asyncio
from pathlib import Path

from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph

from langgraph_conductor import Worker, add_conductor, create_conductor
from langgraph_conductor.testing import ScriptedModel, plan_text

HERE = Path(__file__).parent

talk = create_conductor(
    ScriptedModel(replies=[plan_text(("drafter", "Draft it.", []), ("writer", "Write it.", [0]))]),
    [
        Worker("drafter", ScriptedModel(replies=["one two"])),
        Worker("writer", ScriptedModel(replies=["the whole answer"])),
    ],
)


def note(what):
    with (HERE / "notes").open("a") as notes:
        notes.write(f"{what}\n")


async def first(task):
    note("first")
    return "done first"


async def patient(task):
    """Waits until a file is there."""
    note("begun")
    try:
        while not (HERE / "go").exists():
            await asyncio.sleep(0.1)
    except asyncio.CancelledError:
        note("cancelled")
        raise
    return f"{task.inputs[0].text}, and waited"


slow = create_conductor(
    ScriptedModel(replies=[plan_text(("first", "Begin.", []), ("patient", "Wait.", [0]))]),
    [Worker("first", first), Worker("patient", patient)],
)


# ------------------------------------------------------------------ two agents that ask, side by side


def send_mail(to: str) -> str:
    """Send a mail."""
    return f"sent to {to}"


def agent(to):
    call = {"name": "send_mail", "args": {"to": to}, "id": f"call-{to}"}

    def reply(messages):
        last = messages[-1]
        return f"{to}: {last.text}" if last.type == "tool" else AIMessage("", tool_calls=[call])

    middleware = [HumanInTheLoopMiddleware({"send_mail": True})]
    return create_agent(ScriptedModel(replies=reply), [send_mail], middleware=middleware)


def planner():
    both = plan_text(
        ("ann", "Write to Ann.", []), ("bob", "Write to Bob.", []), ("sum", "Sum it up.", "all")
    )
    one = plan_text(("ann", "Write to Ann alone.", []))
    return ScriptedModel(
        replies=lambda messages: one if "Not to Bob." in messages[-1].text else f"Hm. {both}"
    )


def workers():
    said = Worker("sum", lambda task: "; ".join(output.text for output in task.inputs))
    return [Worker("ann", agent("ann")), Worker("bob", agent("bob")), said]


mail = create_conductor(planner(), workers())
approved = create_conductor(planner(), workers(), approve=True)
builder = StateGraph(MessagesState)
add_conductor(builder, planner(), workers(), approve=True)
builder.add_edge(START, "conductor")
added = builder.compile()
