"""A research assistant: a report in sections, each researched on its own, side by side.

The app has the shape of LangGraph's research assistant tutorials: plan the sections, send each to a researcher
(`Send`), write a report of what came back. The researcher was an agent with a search tool. Three lines, marked
`# conductor`, put a team in its place, in which the agent is a worker and a sceptic reads what it found. A
conductor is invoked like an agent, so that nothing else changes.

The models are played. Put your own in: model strings such as `"openai:gpt-5"` in place of `ScriptedModel(...)`.
"""

import operator
from typing import Annotated, Any, TypedDict

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Send

from langgraph_conductor import Worker, create_conductor  # conductor
from langgraph_conductor.testing import ScriptedModel, plan_text

ARCHIVE = {
    "origin": "The tulip came to Holland in 1593.",
    "prices": "A bulb cost as much as a house in 1637.",
}


def search(topic: str) -> str:
    """Search the archive."""
    return ARCHIVE[topic]


def research_model(messages: list[BaseMessage]) -> str | AIMessage:
    """Plays the researcher's model: one search, then what it found."""
    if messages[-1].type == "tool":
        return str(messages[-1].text)
    topic = next(topic for topic in ARCHIVE if topic in str(messages[-1].text))
    return AIMessage("", tool_calls=[{"name": "search", "args": {"topic": topic}, "id": "1"}])


def doubt(messages: list[BaseMessage]) -> str:
    """Plays the sceptic's model."""
    told = "as much as a house" in str(messages[-1].text)
    return "So pamphlets said; contracts show less." if told else "In 1593 it was planted in Leiden."


EDITOR = ScriptedModel(replies=["origin, prices"])
SCEPTIC = ScriptedModel(replies=doubt)
PLANNER = ScriptedModel(
    replies=[plan_text(("searcher", "Find out.", []), ("sceptic", "What is sure of it?", [0]))]
)


class Report(TypedDict, total=False):
    topic: str
    sections: list[str]
    findings: Annotated[list[tuple[str, str]], operator.add]
    report: str


class Section(TypedDict):
    topic: str
    section: str


def plan_sections(state: Report) -> Report:
    text = EDITOR.invoke(f"Name the sections of a report on {state['topic']}.").text
    return {"sections": str(text).split(", ")}


def to_researchers(state: Report) -> list[Send]:
    return [Send("research", {"topic": state["topic"], "section": name}) for name in state["sections"]]


researcher: CompiledStateGraph[Any, Any, Any, Any] = create_agent(
    ScriptedModel(replies=research_model), [search]
)
searcher = Worker("searcher", researcher, description="Searches the archive.")  # conductor
researcher = create_conductor(PLANNER, [searcher, Worker("sceptic", SCEPTIC)])  # conductor


def research(state: Section) -> Report:
    asked = f"Report on {state['topic']}: write on {state['section']}."
    result = researcher.invoke({"messages": [{"role": "user", "content": asked}]})
    return {"findings": [(state["section"], result["messages"][-1].text)]}


def write(state: Report) -> Report:
    found = dict(state["findings"])
    return {"report": "\n".join(f"{name}: {found[name]}" for name in state["sections"])}


builder = StateGraph(Report)
builder.add_node("plan_sections", plan_sections)
builder.add_node("research", research)
builder.add_node("write", write)
builder.add_edge(START, "plan_sections")
builder.add_conditional_edges("plan_sections", to_researchers, ["research"])
builder.add_edge("research", "write")
builder.add_edge("write", END)
app = builder.compile()

if __name__ == "__main__":
    print(app.invoke({"topic": "tulips"})["report"])
