"""Events that steps and planners have in common."""

from collections.abc import Sequence
from typing import Any, cast

from langchain_core.runnables import RunnableConfig

from langgraph_conductor.budget import Ledger
from langgraph_conductor.events import BudgetTold, Event
from langgraph_conductor.graph.event_stream import EventStream
from langgraph_conductor.graph.run_context import current
from langgraph_conductor.workers.failures import error_record
from langgraph_conductor.workers.watching import Watcher


def stream_of(config: RunnableConfig) -> EventStream:
    """Where the events of a node go: where its conductor stands, else the graph it runs in."""
    return current().stream or EventStream.of(config)


def watching(
    stream: EventStream,
    number: int,
    step: int | None,
    worker: str,
    secrets: Sequence[str],
    *,
    final: bool = False,
) -> Watcher:
    """What sees the tools and tokens of a step, or of the planner, and tells of them in events.

    Args:
        stream: Where events go.
        number: The round.
        step: The step; `None` for the planner.
        worker: Its worker; empty for the planner.
        secrets: Keys, to be kept out.
        final: Whether it is the step whose output is the answer.
    """

    def tell(kind: str, facts: dict[str, Any]) -> None:
        shown = {name: value for name, value in facts.items() if name != "started_at"}
        if kind == "tool_started":
            shown = {name: shown[name] for name in ("tool", "input")}
        if kind in ("token", "tokens_retracted"):
            shown["final"] = final
        event = {"type": kind, "round": number, "step": step, "worker": worker, **shown}
        stream.send(cast("Event", event))

    return Watcher(tell, secrets, tokens=stream.tokens, one_voice=step is None)


def tell_budget(stream: EventStream, number: int, ledger: Ledger | None) -> None:
    """Tell what is left of the budget, if there is one."""
    if ledger is None:
        return
    refusal = error_record(ledger.refusal) if ledger.refusal else None
    stream.send(BudgetTold(type="budget", round=number, left=ledger.left.to_json(), refusal=refusal))
