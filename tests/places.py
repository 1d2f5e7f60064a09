"""A conductor wherever LangGraph users put one, run as its users would, with all that is heard of it."""

import asyncio
from dataclasses import dataclass
from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from langchain_core.tools import StructuredTool
from langgraph.graph import START, MessagesState, StateGraph

from langgraph_conductor import Worker, add_conductor, create_conductor
from langgraph_conductor.editing import OpenRound, aedit_round, aopen_rounds, edit_round, open_rounds
from tests.helpers import Tooled, ask, chain, thread

App = Any


def plain(saver: Any, *args: Any, **options: Any) -> App:
    return create_conductor(*args, checkpointer=saver, **options)


def subgraph(saver: Any, *args: Any, **options: Any) -> App:
    """The compiled conductor is a node of the app."""
    builder = StateGraph(MessagesState)
    builder.add_node("team", create_conductor(*args, **options))
    builder.add_edge(START, "team")
    return builder.compile(checkpointer=saver)


def added(saver: Any, *args: Any, **options: Any) -> App:
    builder = StateGraph(MessagesState)
    add_conductor(builder, *args, **options)
    builder.add_edge(START, "conductor")
    return builder.compile(checkpointer=saver)


def tool(saver: Any, *args: Any, **options: Any) -> App:
    """An agent calls it as a tool, and says what it answered."""
    conductor = create_conductor(*args, **options)

    def team() -> str:
        """Ask the team."""
        return conductor.invoke(ask())["answer"]

    async def ateam() -> str:
        return (await conductor.ainvoke(ask()))["answer"]

    def reply(messages: list[Any]) -> Any:
        if messages[-1].type == "tool":
            return messages[-1].text
        return AIMessage("", tool_calls=[{"name": "team", "args": {}, "id": "1"}])

    tools = [StructuredTool.from_function(team, ateam, name="team")]
    app = create_agent(Tooled(replies=reply), tools, checkpointer=saver)
    app.team = conductor  # what LangGraph cannot see from outside
    return app


def worker(saver: Any, *args: Any, **options: Any) -> App:
    """It works for another conductor."""
    team = Worker("team", create_conductor(*args, name="inner", **options))
    return create_conductor(chain("team"), [team], checkpointer=saver)


@dataclass(frozen=True)
class Heard:
    """One call of an app: its result, and the events of the conductor in it.

    Args:
        result: What `invoke` would have returned.
        events: What was in the `custom` streams.
    """

    result: dict[str, Any]
    events: list[dict[str, Any]]

    @property
    def open(self) -> list[Any]:
        """The interrupts that wait for an answer."""
        return list(self.result.get("__interrupt__", ()))

    @property
    def answer(self) -> str:
        return str(self.result["messages"][-1].text)

    @property
    def usage(self) -> dict[str, Any]:
        """The conductor's own (the innermost tells first)."""
        return next(e["usage"] for e in self.events if e["type"] == "answer")

    def of(self, kind: str, what: str = "step") -> list[Any]:
        return [e[what] for e in self.events if e["type"] == kind and self._own(e)]

    def _own(self, event: dict[str, Any]) -> bool:
        return event.get("worker") != "team"  # the step of the conductor it works for


@dataclass
class Call:
    """Calls an app, blocking or awaited.

    Args:
        awaited: Which.
    """

    awaited: bool

    def __call__(self, app: App, given: Any, config: Any = None, **options: Any) -> Heard:
        parts: list[Any] = []
        self.into(parts, app, given, config, **options)
        return heard(parts)

    def into(self, parts: list[Any], app: App, given: Any, config: Any = None, **options: Any) -> None:
        """Collect what is streamed in `parts`, which holds it also if the run ends with an exception."""
        options = {"stream_mode": ["custom", "values"], "subgraphs": True, "durability": "sync"} | options

        async def collected() -> None:
            async for part in app.astream(given, config or thread(), **options):
                parts.append(part)

        if self.awaited:
            asyncio.run(collected())
        else:
            parts.extend(app.stream(given, config or thread(), **options))

    def open_round(self, app: App) -> OpenRound:
        """The innermost round that is not over."""
        seen = {"conductor": getattr(app, "team", None)}
        if self.awaited:
            return asyncio.run(aopen_rounds(app, thread(), **seen))[-1]
        return open_rounds(app, thread(), **seen)[-1]

    def edit(self, found: OpenRound, **edit: Any) -> None:
        if self.awaited:
            asyncio.run(aedit_round(found, **edit))
        else:
            edit_round(found, **edit)

    def update(self, app: App, *args: Any, **options: Any) -> Any:
        """`update_state`, or `aupdate_state`."""
        if self.awaited:
            return asyncio.run(app.aupdate_state(*args, **options))
        return app.update_state(*args, **options)


def heard(parts: list[Any]) -> Heard:
    values = [data for ns, mode, data in parts if mode == "values" and not ns]
    opened = [data["__interrupt__"] for data in values if "__interrupt__" in data]
    result = values[-1] if values else {}
    if opened:
        result = {**result, "__interrupt__": opened[-1]}
    return Heard(result, [data for _, mode, data in parts if mode == "custom"])
