"""One step as a graph node: hand the worker what it is granted, call it, record what came."""

import time
from collections.abc import Generator, Mapping
from typing import Any, Literal

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.errors import GraphBubbleUp

from langgraph_conductor.access import granted, readable_channels, worker_task
from langgraph_conductor.conversation import question_blocks
from langgraph_conductor.driving import adrive, drive
from langgraph_conductor.errors import BudgetExceededError, SavedRunError, WorkerError
from langgraph_conductor.events import Fallback, StepStarted, step_finished
from langgraph_conductor.foreign_text import package_logger
from langgraph_conductor.graph._langgraph import node, replayed, scoped
from langgraph_conductor.graph.event_stream import EventStream
from langgraph_conductor.graph.kept import (
    Kept,
    Place,
    Work,
    add_done,
    akeeping,
    akept_before,
    keeping,
    kept_before,
)
from langgraph_conductor.graph.run_context import RunContext, taken
from langgraph_conductor.graph.telling import stream_of, tell_budget, watching
from langgraph_conductor.graph.traces import unclaimed
from langgraph_conductor.history import recent
from langgraph_conductor.options import OPTIONS
from langgraph_conductor.records import StepOutput, StepRecord, WorkerTask
from langgraph_conductor.state import (
    QUESTION,
    ROUND,
    kept_channel,
    out_channel,
    record_channel,
    spec_channel,
    stands_channel,
)
from langgraph_conductor.usage import Usage
from langgraph_conductor.workers import Worker, WorkerPool
from langgraph_conductor.workers.bugs import is_bug, warn_of
from langgraph_conductor.workers.calling import Ask, Wanted, acall, answer, call, meter_of
from langgraph_conductor.workers.doors import metered
from langgraph_conductor.workers.failures import error_record, told, without
from langgraph_conductor.workers.forms import async_only
from langgraph_conductor.workers.redaction import redact
from langgraph_conductor.workflow import Access, Step

logger = package_logger(__name__)

OnStepError = Literal["record", "raise"]


def step_node(
    index: int,
    worker: Worker,
    access: Access,
    *,
    is_final: bool,
    on_step_error: OnStepError,
    fallback: Worker | None = None,
    default: Step | None = None,
    depth: int = 0,
) -> Runnable[Any, Any]:
    """The node of step `index`.

    Args:
        index: Its position.
        worker: Who is asked.
        access: What it may read.
        is_final: Whether it is the last step.
        on_step_error: `"record"` turns a failure into an output with status `"failed"`, so that the
            steps after it run and are told; `"raise"` stops the graph.
        fallback: Who is asked where the worker fails for good.
        default: The step to run where the state does not say it.
        depth: How many branches it is in.
    """
    channels = readable_channels(index, access)
    graph = worker.form.graph
    asked = [worker] if fallback is None else [worker, fallback]
    secrets = [secret for who in asked for secret in who.secrets]
    place = Place(kept_channel(index), depth)

    def answers(state: Mapping[str, Any]) -> bool:
        return is_final and bool((state.get(spec_channel(index)) or {}).get("is_answer", True))

    def begun(state: Mapping[str, Any], stream: EventStream) -> Work:
        number, final = state.get(ROUND) or 0, answers(state)
        return Work(watching(stream, number, index, worker.name, secrets, final=final))

    def logic(
        state: Mapping[str, Any],
        config: RunnableConfig,
        stream: EventStream,
        context: RunContext,
        work: Work,
        kept: Kept,
    ) -> Generator[Wanted, Any, dict[str, Any]]:
        outside = state.get(QUESTION)  # of a workflow that runs without a conductor
        state = {**state, QUESTION: question_blocks(outside) if outside else [*context.question]}
        spec = state.get(spec_channel(index))
        subtask = spec["subtask"] if spec else default.subtask if default else ""
        final = answers(state)
        names = granted(state, index, access)
        number = state.get(ROUND) or 0
        ledger = context.ledger
        _tell_started(stream, number, index, worker.name, subtask, names, final=final)
        tries = work.tries
        failures: list[Exception] = []
        started_at, clock = time.time(), time.perf_counter()
        text = ""

        def task_for(who: Worker) -> WorkerTask:
            return worker_task(state, index, subtask, access, is_final=final, history=who.history)

        def ask() -> Ask:
            # Each try gets a task of its own: an earlier one may have changed what it was handed.
            work.watcher.retract()
            # The first was made before, for the worker itself and not for its fallback.
            task = first if not tries and who is worker else task_for(who)
            tries.append(meter := meter_of(who, ledger))
            inner = scoped(replayed(unclaimed(config)), channels, without=(OPTIONS,))
            return Ask(who, task, metered(inner, meter, work.watcher), meter)

        # Before the tries: what is wrong with the state is no worker's failure.
        first = task_for(worker)
        if ledger:
            ledger.start_work()
        try:
            for who in asked:
                if failures:
                    work.watcher.retract()
                    _tell_fallback(stream, number, index, worker.name, who.name, failures[-1], secrets)
                try:
                    text = without((yield from answer(who, ask, ledger)), secrets)
                    break
                except GraphBubbleUp:
                    work.watcher.retract()  # it begins anew once a person has answered
                    raise
                except Exception as failure:  # noqa: BLE001 - recorded, or raised below
                    redact(failure, secrets)
                    failures.append(failure)
                    if ledger and ledger.refusal:
                        break  # no further call is made in this run
        finally:
            if ledger:
                ledger.stop_work()
        work.watcher.finish(text)
        seconds = time.perf_counter() - clock
        used = sum((meter.usage for meter in tries), Usage())
        raised = None
        if not text and on_step_error == "raise":
            raised = next((f for f in failures if isinstance(f, BudgetExceededError)), failures[0])
        for who, why in zip(asked, failures, strict=False):
            if why is not raised and is_bug(why):  # outages are no news, and what is raised is heard
                what = f"worker {who.name!r} failed in step {index} of round {number}"
                _tell_of_bug(context, what, why, secrets)
        if raised is not None:
            raise _failed(index, worker.name, raised, secrets, used) from raised

        output = StepOutput(index, worker.name, subtask, text, "ok" if text else "failed")
        usage = sum((Usage.from_json(call["usage"]) for call in kept.calls), used)
        record: StepRecord = {
            "index": index,
            "worker": worker.name,
            "answered_by": tries[-1].worker if tries else worker.name,
            "subtask": subtask,
            "granted": names,
            "status": output.status,
            "calls": len(tries),
            # Of a worker and its fallback, the worker's own failure says more.
            "error": error_record(failures[0], secrets) if failures else None,
            "usage": usage.to_json() | {"busy_seconds": seconds},
            "model_calls": [*kept.calls, *work.calls],
            "started_at": started_at,
            "seconds": seconds,
        }
        add_done(record, kept, work)
        if text and tries and (note := tries[-1].note):
            record["note"] = note
        reached = {meter.worker for meter in tries}
        readers = [who for who in asked if who.name in reached]
        seen = [(who, recent(state[QUESTION], who.history)) for who in readers]
        if withheld := [one for who, part in seen for one in who.reader.records(part, who.name)]:
            record["withheld"] = withheld
        if ledger and ledger.refusal:
            record["refusal"] = error_record(ledger.refusal)
        stream.send(step_finished(number, record, text))
        tell_budget(stream, number, ledger)
        return {out_channel(index): output.to_json(), record_channel(index): record}

    def blocking(state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        _ = graph  # LangGraph finds a graph nested in a node by what the node's function refers to
        for who in asked:
            if who.form.call is None:
                raise TypeError(async_only(who.name))  # a mistake in the program, not a failed step
        if stands := state.get(stands_channel(index)):
            return _standing(index, stands)
        stream = stream_of(config)
        with taken() as context:
            work = begun(state, stream)
            kept = kept_before(config, place) if context.kept is None else context.kept.get(index, Kept())
            asking = logic(state, config, stream, context, work, kept)
            return keeping(config, place, work, lambda: drive(asking, call))

    async def awaited(state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        if stands := state.get(stands_channel(index)):
            return _standing(index, stands)
        stream = stream_of(config)
        with taken() as context:
            work = begun(state, stream)
            kept = (
                await akept_before(config, place)
                if context.kept is None
                else context.kept.get(index, Kept())
            )
            asking = logic(state, config, stream, context, work, kept)
            return await akeeping(config, place, work, lambda: adrive(asking, acall))

    return node(f"step_{index}", blocking, awaited)


def step_without_worker(index: int, worker: str, pool: WorkerPool) -> Runnable[Any, Any]:
    """The node of a step whose worker was taken from the app while its run was saved; its output may be there.

    Args:
        index: Its position.
        worker: The worker's name.
        pool: Who is there.
    """

    def blocking(state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        if stands := state.get(stands_channel(index)):
            return _standing(index, stands)
        raise missing_worker(index, worker, pool)

    async def awaited(state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        return blocking(state, config)

    return node(f"step_{index}", blocking, awaited)


def missing_worker(index: int, worker: str, pool: WorkerPool) -> SavedRunError:
    """The error for a step of a saved run whose worker is not there."""
    return SavedRunError(
        f"step {index} of a saved run needs the worker {worker!r}, and there are only {', '.join(pool.names)}; "
        "give the conductor that worker again, or give the step to another one with "
        "`langgraph_conductor.editing.edit_round`"
    )


def _standing(index: int, stands: Mapping[str, Any]) -> dict[str, Any]:
    return {out_channel(index): stands["output"], record_channel(index): stands["record"]}


def _tell_of_bug(context: RunContext, what: str, failure: Exception, secrets: list[str]) -> None:
    warn_of(logger, what, failure, secrets)
    if context.failed:
        context.failed(failure)


def _failed(index: int, worker: str, failure: Exception, secrets: list[str], used: Usage) -> Exception:
    why = f"step {index} ({worker}) failed: {type(failure).__name__}: {told(failure, secrets)}"
    if isinstance(failure, BudgetExceededError):
        return BudgetExceededError(why, limit=failure.limit)
    record = error_record(failure, secrets)
    if "where" in record:
        why += f" ({record['where']})"
    return WorkerError(
        why,
        worker=worker,
        step=index,
        infrastructure=record["infrastructure"],
        errors=[record],
        usage=used.to_json(),
    )


def _tell_started(
    stream: EventStream,
    number: int,
    index: int,
    worker: str,
    subtask: str,
    names: list[list[int]],
    *,
    final: bool,
) -> None:
    event = StepStarted(
        type="step_started",
        round=number,
        step=index,
        worker=worker,
        subtask=subtask,
        granted=names,
        final=final,
    )
    stream.send(event)


def _tell_fallback(
    stream: EventStream,
    number: int,
    index: int,
    worker: str,
    instead: str,
    failure: Exception,
    secrets: list[str],
) -> None:
    event = Fallback(
        type="fallback",
        round=number,
        step=index,
        worker=worker,
        instead=instead,
        error=error_record(failure, secrets),
    )
    stream.send(event)
