"""Runs with everything in them, for what shows runs."""

import time
from typing import Any

from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from langgraph_conductor import Plan, Worker, create_conductor
from tests.helpers import PRICE, ScriptedPlanner, Tooled, ask, chat, flow, thread
from tests.people import APPROVE, editing, rejecting

HOSTILE = (
    '</dd></div></title></style></textarea><script>document.documentElement.setAttribute("data-ran", "1")</script>'
    "<img src=http://evil.example/x.png onerror=\"document.documentElement.setAttribute('data-ran', '1')\">"
    '<iframe src="http://evil.example/"></iframe><link rel=stylesheet href="http://evil.example/x.css">'
    "<style>body{display:none}</style>\"'><a href=javascript:steal()>&amp;\u202e\x1b[2J\0\ud800"
)
"""What a model, a tool or a person might say to take over a page."""

STORABLE = HOSTILE.replace("\0", "").replace("\ud800", "")


def tool_call(name: str, number: int, **given: Any) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": name, "args": given, "id": str(number)}])


def rich_run(latency: float = 0.0) -> dict[str, Any]:
    """A run of two rounds: one workflow rejected, one edited; steps side by side, tools, a failure, a fallback.

    Args:
        latency: Seconds that a worker takes.
    """

    def search(query: str) -> str:
        """Search the archive."""
        time.sleep(latency / 2)
        return f"found: {query} {HOSTILE}"

    def broken(query: str) -> str:
        """Break."""
        raise OSError(f"the archive is shut {query}")

    def slowly(text: str) -> Any:
        def said(task: Any) -> str:
            time.sleep(latency)
            return text

        return said

    looking = Tooled(
        latency=latency / 4,
        replies=[
            tool_call("search", 1, query="herrings"),
            tool_call("broken", 2, query=STORABLE),
            "Two sources.",
        ],
    )
    workers = [
        Worker("archivist", looking, tools=[search, broken], description="Looks things up."),
        Worker("writer", chat("A draft. " + STORABLE, latency=latency, max_tokens=400), price=PRICE),
        Worker("down", _failing, retries=0),
        Worker("weak", _failing, retries=0, fallback="writer"),
        Worker("checker", slowly("It is right.\n" + "All of it. " * 60)),
    ]
    first = flow(
        ("archivist", f"Find sources. {STORABLE}", []),
        ("weak", "Draft it.", []),
        ("down", "Draw it.", []),
        ("checker", "Check the draft.", [0, 1, 2]),
    )
    second = flow(("writer", "Write it once more.", "all"), ("checker", "Check again.", [0]))
    later = second.to_json()
    later["steps"][1]["earlier"] = [[0, 0]]
    planner = ScriptedPlanner(
        Plan(flow(("writer", "Just guess.", [])), text="I guess."),
        Plan(first, text=f"Four steps. {STORABLE}"),
        Plan(second, text="Once more.", final=True),
    )
    conductor = create_conductor(
        planner, workers, max_rounds=2, approve=True, checkpointer=InMemorySaver()
    )  # fmt: skip
    config = thread()
    conductor.invoke(ask(f"What did herrings cost? {HOSTILE}"), config)
    for said in (
        rejecting(f"Look it up. {STORABLE}"),
        APPROVE,
        editing(later),
    ):
        result = conductor.invoke(Command(resume=said), config)
    return dict(result)


def _failing(task: Any) -> str:
    raise ConnectionError(f"the line is cut {STORABLE}")
