"""The events that would tell of rounds that are recorded, for what shows a run that goes on after an interrupt."""

from collections.abc import Iterable, Iterator

from langgraph_conductor.display.run_facts import over
from langgraph_conductor.events import Event, RoundFinished, WorkflowPlanned, step_finished
from langgraph_conductor.records import RoundRecord


def retold(rounds: Iterable[RoundRecord]) -> Iterator[Event]:
    """What was told of rounds, without what is over by now: who began, tools, tokens.

    Args:
        rounds: Their records; the last one may not be over.
    """
    for record in rounds:
        plan = record["plan"]
        yield WorkflowPlanned(
            type="workflow_planned",
            round=record["round"],
            workflow=record["workflow"],
            reached=plan["reached"],
            error=plan["error"],
            usage=plan["usage"],
            seconds=plan["seconds"],
        )
        for step in record["steps"]:
            yield step_finished(record["round"], step, step.get("text", ""))
        if over(record):
            yield RoundFinished(type="round_finished", round=record["round"], answer=record["answer"])
