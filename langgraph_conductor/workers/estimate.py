"""What a workflow may cost and is likely to cost, before anything is paid."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableSequence

from langgraph_conductor.history import recent
from langgraph_conductor.prompts import with_attachments, worker_prompt
from langgraph_conductor.records import ContentBlock, StepOutput
from langgraph_conductor.usage import Usage
from langgraph_conductor.workers.counting import likely_tokens, most_tokens
from langgraph_conductor.workers.instructions import instructed
from langgraph_conductor.workers.worker import Worker, bounds_of, cost_of, named, output_cap_of
from langgraph_conductor.workflow import Workflow, readable_steps

_BYTES_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the workers of a workflow may use. The planner, earlier rounds and retries are not in it.

    Of a model and those it falls back on, one is asked: in the worst case the dearest, likely the first.

    Args:
        worst: If every reply is as long as its cap. `None` if a worker's use has no known bound.
        likely: If every reply has the usual length.
        unbounded: Workers whose use has no known bound: agents and tools, chains, or models without an output cap.
            `likely` counts one call of each model among them.
    """

    worst: Usage | None
    likely: Usage
    unbounded: tuple[str, ...] = ()


def estimate(
    pool: dict[str, Worker], workflow: Workflow, question: Sequence[ContentBlock], reply_tokens: int
) -> Estimate:
    """See `WorkerPool.estimate`."""
    worst, likely = Usage(), Usage()
    unbounded: list[str] = []
    caps: list[int] = []
    for i, step in enumerate(workflow.steps):
        worker = pool[step.worker]
        model_caps = [output_cap_of(model) for model in worker.models]
        known = [cap for cap in model_caps if cap is not None]
        cap = max(known) if known and len(known) == len(model_caps) else None
        is_final = i == len(workflow.steps) - 1
        reads = readable_steps(i, step.access)
        inputs = [StepOutput(j, workflow.steps[j].worker, workflow.steps[j].subtask, "") for j in reads]
        seen = recent(question, worker.history)
        prompt = worker_prompt(seen, step.subtask, inputs, is_final=is_final)
        sent_first = (HumanMessage(with_attachments(prompt, seen)),)
        messages = instructed(sent_first, worker.instructions, in_prompt=worker.form.graph is not None)
        caps.append(cap or 0)
        if worker.model is None and worker.form.graph is None:
            continue  # a function: what it costs is its own
        chain = isinstance(worker.runnable, RunnableSequence)  # it may ask several, and for more
        if worker.form.graph is not None or cap is None or chain:
            unbounded.append(worker.name)
        if worker.model is None:
            continue
        read = _BYTES_PER_TOKEN * sum(caps[j] for j in reads)
        asked: list[Usage] = []
        for model, longest in zip(worker.models, model_caps, strict=True):
            window = bounds_of(model).max_input_tokens
            most = most_tokens(messages, model=named(model), window=window)
            if most is None:
                unbounded.append(worker.name)
            asked.append(_priced(worker, model, (most or 0) + read, longest or 0))
        worst += _dearest(asked)
        sent = likely_tokens(messages, model=named(worker.model)) + reply_tokens * len(reads)
        likely += _priced(
            worker, worker.model, sent, reply_tokens if cap is None else min(cap, reply_tokens)
        )
    names = tuple(dict.fromkeys(unbounded))
    return Estimate(None if names else worst, likely, names)


def _dearest(calls: Sequence[Usage]) -> Usage:
    """Of the calls of a model or one it falls back on, the one that costs most; unknown, if one's cost is."""
    dearest = max(calls, key=lambda used: (used.usd is None, used.usd or 0))
    sent, said = max(used.input_tokens for used in calls), max(used.output_tokens for used in calls)
    return replace(dearest, input_tokens=sent, output_tokens=said)


def _priced(worker: Worker, model: BaseChatModel, sent: int, said: int) -> Usage:
    usage = Usage(calls=1, input_tokens=sent, output_tokens=said, unpriced_calls=1)
    return cost_of(usage, model, worker.prices)
