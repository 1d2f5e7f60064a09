"""What a result says of its run, whether it is over, interrupted, or read from a checkpoint."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from langchain_core.messages import convert_to_messages

from langgraph_conductor.conversation import question_of
from langgraph_conductor.graph.accounts import usage_of
from langgraph_conductor.graph.approval_request import plain, workflow_asked_about
from langgraph_conductor.prompts import text_of
from langgraph_conductor.records import RoundRecord, latest_answered
from langgraph_conductor.tags import newest_request
from langgraph_conductor.workflow import brief

INTERRUPTS: Final = "__interrupt__"
"""Where LangGraph puts the interrupts of a run in its result."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A run, as a display needs it.

    Args:
        question: Its text, of a conversation that of the newest request; empty if the result does not hold it.
            Blocks that are no text are named.
        answer: Empty if there is none so far.
        rounds: Its rounds, the last of which may not be over.
        usage: Usage as in the result.
        stopped: How the budget ended it, if it did.
        waits_for: What interrupts ask for.
    """

    question: str
    answer: str
    rounds: tuple[RoundRecord, ...]
    usage: Mapping[str, Any]
    stopped: str
    waits_for: tuple[str, ...]


def facts_of(result: Mapping[str, Any]) -> RunFacts:
    """What a result says.

    Args:
        result: What `invoke` of a conductor returned, or the values of its state.

    Raises:
        ValueError: If it is neither.
    """
    if not isinstance(result, Mapping) or not isinstance(result.get("rounds"), list | tuple):
        raise ValueError(
            f"this is no result of a conductor, as it has no list of `rounds`: {brief(result)}; give what "
            "`invoke` of a conductor returned"
        )
    rounds = tuple(result["rounds"])
    return RunFacts(
        question=_question(result),
        answer=result.get("answer") or "",
        rounds=rounds,
        usage=result.get("usage") or usage_of(rounds),  # a run sums it up at its end
        stopped=result.get("stopped") or "",
        waits_for=tuple(asked_in_words(getattr(one, "value", one)) for one in result.get(INTERRUPTS) or ()),
    )


def asked_in_words(value: Any) -> str:
    """What an interrupt asks, in words: those of LangChain's human-in-the-loop forms have a description.

    Args:
        value: The value of the interrupt.
    """
    requests: Any = value if isinstance(value, list) else [value]
    if isinstance(value, Mapping) and isinstance(value.get("action_requests"), list):
        requests = value["action_requests"]
    told = [one["description"] for one in requests if isinstance(one, Mapping) and one.get("description")]
    if not told or len(told) != len(requests):
        return str(value)
    text = "\n\n".join(map(str, told))
    return plain(text) if isinstance(value, Mapping) and workflow_asked_about(value) else text


def _question(result: Mapping[str, Any]) -> str:
    blocks = result.get("question")
    if not blocks:
        messages = convert_to_messages(list(result.get("messages") or ()))
        if messages and "conductor" in messages[-1].response_metadata:  # the answer is no part of it
            messages = messages[:-1]
        try:
            blocks = question_of(messages)
        except ValueError:
            return ""
    kinds = [f"[{block.get('type')}]" for block in blocks if block.get("type") != "text"]
    return "\n".join([newest_request(text_of(blocks)), *kinds]).strip()


def over(record: RoundRecord) -> bool:
    """Whether all steps of a round are over, of a record that may be of an interrupted run."""
    return record["workflow"] is None or len(record["steps"]) >= len(record["workflow"]["steps"])


def verdict(record: RoundRecord, rounds: Sequence[RoundRecord]) -> str:
    """What came of a round, in words.

    Args:
        record: The round.
        rounds: All rounds of the run.
    """
    if record["accepted"]:
        kept = latest_answered(rounds)
        which = f"the answer of round {kept['round']}" if kept else "the earlier answer"
        return f"accepted: the planner kept {which}"
    said = record["plan"].get("approval")
    if said and said["said"] == "stop":
        return "ended by a person, who did not let it run"
    if not over(record) and record["workflow"]:
        return f"not over: {len(record['steps'])} of {len(record['workflow']['steps'])} steps are"
    if not record["answer"]:
        return "no step gave an answer"
    if not record.get("is_answer", True):
        return "a part of the work, no answer yet"
    later = [other for other in rounds if other["round"] > record["round"]]
    if not later:
        return "answered"
    if latest_answered(rounds) is not record:
        return "answered; the planner planned again"
    if any(other["accepted"] for other in later):
        return "answered; accepted by the planner"
    return "answered; no later round did, so this is the run's answer"
