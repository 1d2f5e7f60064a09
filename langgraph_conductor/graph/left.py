"""What a workflow had done when it was left: by an interrupt, a failure, a cancel, a kill."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from langgraph.checkpoint.base import CheckpointTuple
from langgraph.types import StateSnapshot

from langgraph_conductor.graph.compiler import is_branch
from langgraph_conductor.graph.kept import Kept
from langgraph_conductor.records import CallRecord
from langgraph_conductor.state import Standing, kept_channel, out_channel, record_channel


@dataclass(frozen=True, slots=True)
class Left:
    """It.

    Args:
        channels: What was written, in branches that were not over too.
        kept: What the steps that were not over had done, by step.
    """

    channels: Mapping[str, Any] = field(default_factory=dict)
    kept: Mapping[int, Kept] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Done:
    """What is done of a round that is not over.

    Args:
        steps: The `output` and `record` of each step that is over, by index. It ran, or stands since an edit.
        calls: Model calls that were paid and are in none of these records.
    """

    steps: Mapping[int, Mapping[str, Any]]
    calls: tuple[CallRecord, ...]


def done_of(left: Left, stands: Standing | None) -> Done:
    """It, of what the workflow had done, and what stands since an edit before it began."""
    before = stands or Standing(steps={}, discarded=[])
    steps = {int(index): stood for index, stood in before["steps"].items()}
    steps |= {
        record["index"]: {"output": output, "record": record}
        for channel, record in left.channels.items()
        if channel.startswith(record_channel("")) and record
        if (output := left.channels.get(out_channel(record["index"])))
    }
    calls = [call for index, kept in left.kept.items() if index not in steps for call in kept.calls]
    return Done(dict(sorted(steps.items())), (*before["discarded"], *calls))


def left_of(saved: CheckpointTuple, channels: Mapping[str, Any]) -> Left:
    """It, as a saver has it.

    Args:
        saved: The checkpoint of the workflow.
        channels: What its channels hold, and those of its branches.
    """
    return Left(channels, _kept(saved))


def channels_of(state: StateSnapshot) -> dict[str, Any]:
    """What the channels of a workflow hold, with what was written since, and those of its branches.

    Args:
        state: Its state, with that of its branches.
    """
    found = dict(state.values)
    for task in state.tasks:
        found |= task.result or {}
        if is_branch(task.name) and isinstance(task.state, StateSnapshot):
            found |= channels_of(task.state)
    return found


def _kept(saved: CheckpointTuple) -> dict[int, Kept]:
    written: dict[int, list[Any]] = {}
    prefix = kept_channel("")
    for _, channel, mark in saved.pending_writes or ():
        if channel.startswith(prefix):
            written.setdefault(int(channel.removeprefix(prefix)), []).append(mark)
    return {index: Kept.of(marks) for index, marks in written.items()}
