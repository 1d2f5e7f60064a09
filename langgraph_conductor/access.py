"""What a step may read: the one place that turns an access list into grants.

Everything a worker is handed is built here from the channels its step is granted. Nothing here can
reach further than the state it is given, and that state is cut to the same list by LangGraph.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from langchain_core.messages import HumanMessage

from langgraph_conductor.conversation import content_blocks
from langgraph_conductor.errors import PlanError
from langgraph_conductor.history import History, recent
from langgraph_conductor.prompts import with_attachments, worker_prompt
from langgraph_conductor.records import ContentBlock, StepOutput, WorkerTask
from langgraph_conductor.state import PREVIOUS, QUESTION, ROUND, earlier_channel, out_channel, spec_channel
from langgraph_conductor.workflow import ALL, Access, readable_steps


def grants_previous(access: Access) -> bool:
    """Whether the access grants the round before (paper, figure 14: `all` does)."""
    return access == ALL


def readable_channels(index: int, access: Access) -> tuple[str, ...]:
    """The channels of the run-time graph that step `index` may read."""
    channels = [QUESTION, ROUND, spec_channel(index), earlier_channel(index)]
    if grants_previous(access):
        channels.append(PREVIOUS)
    return (*channels, *(out_channel(j) for j in readable_steps(index, access)))


def worker_task(
    state: Mapping[str, Any],
    index: int,
    subtask: str,
    access: Access,
    *,
    is_final: bool,
    history: History = "all",
) -> WorkerTask:
    """What the worker of step `index` is handed, from the channels granted to it.

    Args:
        state: The channels.
        index: Position of the step.
        subtask: What it is asked.
        access: What it may read.
        is_final: Whether it is the last step.
        history: How much of the conversation it sees.

    Raises:
        PlanError: If an output that is granted is not there, since a state was put together by hand.
    """
    question = tuple(recent(copied_question(state.get(QUESTION)), history))
    read = readable_steps(index, access)
    if lost := [j for j in read if out_channel(j) not in state]:
        raise PlanError(f"it reads steps {lost}, whose outputs are not in the state", step=index)
    inputs = tuple(StepOutput(**state[out_channel(j)]) for j in read)
    before = [*_history(state, access)["outputs"], *(state.get(earlier_channel(index)) or ())]
    previous = tuple(StepOutput(**output) for output in before)
    prompt = worker_prompt(question, subtask, inputs, previous, is_final=is_final)
    return WorkerTask(
        question=question,
        subtask=subtask,
        inputs=inputs,
        previous=previous,
        index=index,
        round=state.get(ROUND) or 0,
        is_final=is_final,
        messages=(HumanMessage(with_attachments(prompt, question)),),
    )


def copied_question(question: Any) -> tuple[ContentBlock, ...]:
    """The question for someone who may change it: the channel keeps its own.

    Raises:
        ValueError: If there is none.
    """
    if not question:
        raise ValueError('there is no question: give {"question": [{"type": "text", "text": "..."}]}')
    return tuple(deepcopy(content_blocks(question)))


def granted(state: Mapping[str, Any], index: int, access: Access) -> list[list[int]]:
    """(round, step) of every output step `index` may read, for the record."""
    history = _history(state, access)
    earlier = [[history["round"], output["index"]] for output in history["outputs"]]
    earlier += [[chosen["round"], chosen["index"]] for chosen in state.get(earlier_channel(index)) or ()]
    return earlier + [[state.get(ROUND) or 0, j] for j in readable_steps(index, access)]


def _history(state: Mapping[str, Any], access: Access) -> Mapping[str, Any]:
    history = state.get(PREVIOUS) if grants_previous(access) else None
    return history or {"round": None, "outputs": []}
