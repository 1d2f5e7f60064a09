"""Customer support: a bot that knows its customer and has tools, and a team for complaints.

The app has the shape of LangGraph's customer support tutorial: the customer is looked up first, an assistant calls
tools until it can answer, and some requests go to another desk. Five lines, marked `# conductor`, give complaints
to a planned team in place of the desk that can only apologise. Without them the app runs as before.

The models are played. Put your own in: model strings such as `"openai:gpt-5"` in place of `ScriptedModel(...)`.
"""

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from langgraph_conductor import Worker, add_conductor  # conductor
from langgraph_conductor.testing import ScriptedModel, plan_text

CUSTOMERS = {"c-1": "Ada"}
ORDERS = {"17": "a lamp, delivered on Monday", "18": "a desk, on its way"}


def look_up_order(number: str) -> str:
    """What an order is and where it is."""
    return ORDERS.get(number, "there is no such order")


def call_of(number: str) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": "look_up_order", "args": {"number": number}, "id": "1"}])


def assist(messages: list[BaseMessage]) -> str | AIMessage:
    """Plays the assistant's model."""
    last = messages[-1]
    return f"I have looked: {last.text}." if last.type == "tool" else call_of("18")


ASSISTANT = ScriptedModel(replies=assist).bind_tools([look_up_order])
CLERK = ScriptedModel(replies=[call_of("17"), "Order 17 is a lamp. It was delivered on Monday."])
WRITER = ScriptedModel(replies=["Dear Ada, we are sorry. A new lamp leaves our house today."])
PLANNER = ScriptedModel(
    replies=[plan_text(("clerk", "Which order is it about?", []), ("writer", "Answer the customer.", [0]))]
)


class Support(MessagesState, total=False):
    customer: str


def look_up_customer(state: Support, config: RunnableConfig) -> dict[str, str]:
    return {"customer": CUSTOMERS[config["configurable"]["customer_id"]]}


def assistant(state: Support) -> dict[str, list[AIMessage]]:
    system = SystemMessage(f"You help {state['customer']} with orders.")
    return {"messages": [ASSISTANT.invoke([system, *state["messages"]])]}


def complaints(state: Support) -> dict[str, list[AIMessage]]:
    return {"messages": [AIMessage(f"Sorry, {state['customer']}. Please write to us.", name="complaints")]}


DESKS = {"question": "assistant", "complaint": "complaints"}


def desk(state: Support) -> str:
    angry = "broken" in str(state["messages"][-1].text)  # in the tutorial a model decides
    return DESKS["complaint" if angry else "question"]


builder = StateGraph(Support)
builder.add_node("look_up_customer", look_up_customer)
builder.add_node("assistant", assistant)
builder.add_node("tools", ToolNode([look_up_order]))
builder.add_node("complaints", complaints)
team = [Worker("clerk", CLERK, tools=[look_up_order]), Worker("writer", WRITER)]  # conductor
add_conductor(builder, PLANNER, team, name="team")  # conductor
DESKS["complaint"] = "team"  # conductor
builder.add_edge(START, "look_up_customer")
builder.add_conditional_edges("look_up_customer", desk, list(DESKS.values()))
builder.add_conditional_edges("assistant", tools_condition)
builder.add_edge("tools", "assistant")
builder.add_edge("complaints", END)
app = builder.compile(checkpointer=InMemorySaver())

if __name__ == "__main__":
    thread: RunnableConfig = {"configurable": {"thread_id": "1", "customer_id": "c-1"}}
    for text in ("Where is my order 18?", "And the lamp arrived broken!"):
        answer = app.invoke({"messages": [HumanMessage(text)]}, thread)["messages"][-1]
        print(f"customer: {text}\n{answer.name or 'assistant'}: {answer.text}")
