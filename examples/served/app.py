"""A conductor behind LangGraph's server: what `langgraph dev` serves is an ordinary graph.

    pip install "langgraph-cli[inmem]"
    langgraph dev --no-browser         # in this folder
    python drive.py                    # in another terminal

A person is asked before the workflow runs (`approve`), and two of its workers ask people themselves, side by side.
There is no checkpointer here: the server brings its own.

The planner is played. Put your own in: a model string such as `"openai:gpt-5"` in place of `ScriptedModel(...)`.
"""

from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt

from langgraph_conductor import Worker, WorkerTask, add_conductor, local
from langgraph_conductor.testing import ScriptedModel, plan_text

plan = plan_text(
    ("calculator", "12 * 9 + 25", []),
    ("buyer", "Do you pay that?", [0]),
    ("seller", "Do you take that?", [0]),
    ("notary", "Is it a deal?", "all"),
)


def buyer(task: WorkerTask) -> str:
    said: str = interrupt({"who": "buyer", "asked": f"{task.inputs[0].text}: {task.subtask}"})
    return said


def seller(task: WorkerTask) -> str:
    said: str = interrupt({"who": "seller", "asked": f"{task.inputs[0].text}: {task.subtask}"})
    return said


def notary(task: WorkerTask) -> str:
    price, *said = (output.text for output in task.inputs)
    return f"Sold for {price}." if said == ["yes", "yes"] else "No deal."


builder = StateGraph(MessagesState)
add_conductor(
    builder,
    ScriptedModel(replies=[plan]),
    [
        local.worker("calculator"),
        Worker("buyer", buyer, description="Asks the buyer."),
        Worker("seller", seller, description="Asks the seller."),
        Worker("notary", notary, description="Says whether it is a deal."),
    ],
    approve=True,
)
builder.add_edge(START, "conductor")
app = builder.compile()
