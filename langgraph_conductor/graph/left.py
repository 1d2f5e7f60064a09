"""What a workflow had done when it was left: by an interrupt, a failure, a cancel, a kill."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from langgraph.checkpoint.base import CheckpointTuple
from langgraph.types import StateSnapshot

from langgraph_conductor.graph.compiler import is_branch
from langgraph_conductor.graph.kept import Kept
from langgraph_conductor.records import StepRecord
from langgraph_conductor.state import kept_channel, record_channel


@dataclass(frozen=True, slots=True)
class Left:
    """It.

    Args:
        channels: What was written, in branches that were not over too.
        kept: What the steps that were not over had done, by step.
    """

    channels: Mapping[str, Any] = field(default_factory=dict)
    kept: Mapping[int, Kept] = field(default_factory=dict)

    @property
    def finished(self) -> list[StepRecord]:
        """The records of the steps that were over."""
        prefix = record_channel("")
        return [value for channel, value in self.channels.items() if channel.startswith(prefix) and value]


def left_of(saved: CheckpointTuple, state: StateSnapshot) -> Left:
    """It, as a saver has it.

    Args:
        saved: The checkpoint of the workflow.
        state: Its state, with that of its branches.
    """
    return Left(_channels(state), _kept(saved))


def _channels(state: StateSnapshot) -> dict[str, Any]:
    found = dict(state.values)
    for task in state.tasks:
        found |= task.result or {}
        if is_branch(task.name) and isinstance(task.state, StateSnapshot):
            found |= _channels(task.state)
    return found


def _kept(saved: CheckpointTuple) -> dict[int, Kept]:
    written: dict[int, list[Any]] = {}
    prefix = kept_channel("")
    for _, channel, mark in saved.pending_writes or ():
        if channel.startswith(prefix):
            written.setdefault(int(channel.removeprefix(prefix)), []).append(mark)
    return {index: Kept.of(marks) for index, marks in written.items()}
