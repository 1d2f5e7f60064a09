"""One question asked of a conductor for Inspect: the answer, what it took, and what went wrong."""

import json
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

from inspect_ai.model import ChatCompletionChoice, ChatMessageAssistant, ModelOutput, StopReason
from langchain_core.messages import BaseMessage

from langgraph_conductor.errors import BudgetExceededError, WorkerError
from langgraph_conductor.graph.accounts import causes, failures, usage_of
from langgraph_conductor.records import ErrorRecord, RoundRecord
from langgraph_conductor.workers.failures import without

ends_sample: Final[ContextVar[list[Exception] | None]] = ContextVar("ends_sample", default=None)
"""Where `InspectChatModel` tells what ends the sample; to a conductor it would be one more failed step."""


@dataclass(frozen=True, slots=True)
class Run:
    """What became of one question.

    Args:
        answer: The answer; empty if there is none.
        rounds: What was planned and run.
        stopped: Why the budget ended it, if it did.
        error: Why there is no answer, if the models are to blame: they refused, or said nothing.
        outage: What failed, if the infrastructure, or a key or model that is wrong, did.
    """

    answer: str
    rounds: tuple[RoundRecord, ...]
    stopped: str = ""
    error: str = ""
    outage: WorkerError | None = None
    usage: dict[str, Any] = field(default_factory=dict)


async def ask(graph: Any, messages: Sequence[BaseMessage]) -> Run:
    """Run a conductor on a conversation.

    An answer that came about although a step or the planner failed by an outage does not count: it says nothing of
    the models. One that a retry or a worker's fallback saved does.

    Args:
        graph: What `create_conductor` gave.
        messages: The conversation.

    Raises:
        Exception: Whatever the conductor raises that is no failure of its workers, and what ends the sample: a
            limit of Inspect's, or a model role that is not bound.
    """
    state: dict[str, Any] = {}
    failed: WorkerError | None = None
    spent: BudgetExceededError | None = None
    hit: list[Exception] = []
    token = ends_sample.set(hit)
    try:
        # Streamed, so that what was paid is known of a run that fails, too.
        async for values in graph.astream({"messages": list(messages)}, stream_mode="values"):
            state = values
    except BudgetExceededError as error:
        spent = error
    except WorkerError as error:
        failed = error
    finally:
        ends_sample.reset(token)
    if hit:
        raise hit[0]
    rounds = tuple(state.get("rounds") or ())
    return Run(
        answer="" if failed or spent else str(state.get("answer") or ""),
        rounds=rounds,
        stopped=str(spent or state.get("stopped") or ""),
        error=str(failed or ""),
        outage=_outage(rounds, failed),
        usage=usage_of(rounds),
    )


def _outage(rounds: Sequence[RoundRecord], failed: WorkerError | None) -> WorkerError | None:
    """The failures that are nobody's answer: outages, and keys and models that are wrong."""
    records = [error for _, error in failures(rounds)]
    if failed and not rounds:  # of a conductor with on_step_error="raise"
        records = list(failed.errors)
    blamed = [error for error in records if error["infrastructure"] or "kind" in error]
    if not blamed:
        return None
    return WorkerError(
        "providers or the configuration are to blame, and not the models, so the answer says nothing",
        causes=causes(rounds) or [str(failed)],
        infrastructure=all(error["infrastructure"] for error in blamed),
        errors=blamed,
    )


def output_of(run: Run, model: str, about: dict[str, Any], secrets: Iterable[str] = ()) -> ModelOutput:
    """A run as an output of Inspect, its usage and `secrets` left out.

    `stop_reason` is `max_tokens`, the nearest Inspect has, if the budget ended the run, and `unknown` if there
    is no answer for another reason.
    """
    reason: StopReason = "max_tokens" if run.stopped else "unknown" if run.error else "stop"
    message = ChatMessageAssistant(content=without(run.answer, secrets), model=model, source="generate")
    return ModelOutput(
        model=model,
        choices=[ChatCompletionChoice(message=message, stop_reason=reason)],
        error=run.error or None,
        metadata={"conductor": about},
    )


def account(run: Run, secrets: Iterable[str] = ()) -> dict[str, Any]:
    """What the log tells of a run: its plans, steps and usage, as JSON without `secrets`."""
    about = {
        "rounds": [_round(record) for record in run.rounds],
        "workers": sorted({step["answered_by"] for record in run.rounds for step in record["steps"]}),
        "usage": run.usage,
        "stopped": run.stopped,
        "error": run.error,
    }
    return cleaned(about, secrets)


def cleaned(data: dict[str, Any], secrets: Iterable[str]) -> dict[str, Any]:
    """JSON without `secrets`."""
    whole: dict[str, Any] = json.loads(without(json.dumps(data, ensure_ascii=False, default=str), secrets))
    return whole


def _round(record: RoundRecord) -> dict[str, Any]:
    plan = record["plan"]
    return {
        "workflow": record["workflow"],
        "accepted": record["accepted"],
        "planned": plan["reached"],
        "plan_error": _told(plan["error"]),
        "steps": [
            {
                "index": step["index"],
                "worker": step["worker"],
                "answered_by": step["answered_by"],
                "subtask": step["subtask"],
                "status": step["status"],
                "calls": step["calls"],
                "text": step.get("text", ""),
                "error": _told(step["error"]),
                "usage": step["usage"],
                "seconds": step["seconds"],
            }
            for step in record["steps"]
        ],
    }


def _told(error: ErrorRecord | None) -> str:
    return f"{error['type']}: {error['message']}" if error else ""
