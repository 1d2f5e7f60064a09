"""One question asked of a conductor for Inspect: the answer, what it took, and what is to blame if there is none."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from inspect_ai.model import ChatCompletionChoice, ChatMessageAssistant, ModelOutput, StopReason
from langchain_core.messages import BaseMessage

from langgraph_conductor.errors import BudgetExceededError, WorkerError
from langgraph_conductor.graph.accounts import causes, failures, usage_of
from langgraph_conductor.records import ErrorRecord, RoundRecord
from langgraph_conductor.workers.failures import without


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
        Exception: Whatever the conductor raises that is no failure of its workers.
    """
    state: dict[str, Any] = {}
    error, stopped = "", ""
    try:
        # Streamed, so that what was paid is known of a run that fails, too.
        async for state in graph.astream({"messages": list(messages)}, stream_mode="values"):
            pass
    except BudgetExceededError as failed:
        stopped = str(failed)
    except WorkerError as failed:
        error = str(failed)
    rounds = tuple(state.get("rounds") or ())
    return Run(
        answer="" if error or stopped else str(state.get("answer") or ""),
        rounds=rounds,
        stopped=stopped or str(state.get("stopped") or ""),
        error=error,
        outage=_outage(rounds),
        usage=usage_of(rounds),
    )


def _outage(rounds: Sequence[RoundRecord]) -> WorkerError | None:
    """The failures that are nobody's answer: outages, and keys and models that are wrong."""
    blamed = [error for _, error in failures(rounds) if error["infrastructure"] or "kind" in error]
    if not blamed:
        return None
    return WorkerError(
        "not the models but their providers, or the configuration, are to blame, so nothing can be said of the answer",
        causes=causes(rounds),
        infrastructure=all(error["infrastructure"] for error in blamed),
        errors=blamed,
    )


def output_of(run: Run, model: str, about: dict[str, Any]) -> ModelOutput:
    """A run as an output of Inspect, its usage left out.

    `stop_reason` is `max_tokens`, the nearest Inspect has, if the budget ended the run, and `unknown` if there is no
    answer for another reason.
    """
    reason: StopReason = "max_tokens" if run.stopped else "unknown" if run.error else "stop"
    message = ChatMessageAssistant(content=run.answer, model=model, source="generate")
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
                **{
                    name: step[name]
                    for name in ("index", "worker", "answered_by", "subtask", "status", "calls")
                },  # type: ignore[literal-required]
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
