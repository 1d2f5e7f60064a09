"""Events that steps and planners have in common."""

from collections.abc import Sequence
from typing import Any, cast

from langchain_core.runnables import RunnableConfig

from langgraph_conductor.budget import Ledger
from langgraph_conductor.events import BudgetTold, Event
from langgraph_conductor.graph._langgraph import emit, tells_tokens
from langgraph_conductor.workers.failures import error_record
from langgraph_conductor.workers.watching import Watcher


def watching(
    config: RunnableConfig,
    number: int,
    step: int | None,
    worker: str,
    secrets: Sequence[str],
    *,
    final: bool = False,
) -> Watcher:
    """What sees the tools and tokens of a step, or of the planner, and tells of them in events.

    Args:
        config: The config of its node.
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
        if kind == "token":
            shown["final"] = final
        event = {"type": kind, "round": number, "step": step, "worker": worker, **shown}
        emit(config, cast("Event", event))

    return Watcher(tell, secrets, tokens=tells_tokens(config))


def tell_budget(config: RunnableConfig, number: int, ledger: Ledger | None) -> None:
    """Tell what is left of the budget, if there is one."""
    if ledger is None:
        return
    refusal = error_record(ledger.refusal) if ledger.refusal else None
    emit(config, BudgetTold(type="budget", round=number, left=ledger.left.to_json(), refusal=refusal))
