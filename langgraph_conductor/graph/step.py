"""One step as a graph node: hand the worker what it is granted, call it, record what came."""

import asyncio
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any, Literal, NamedTuple

from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import patch_config, set_config_context
from langgraph.errors import GraphBubbleUp

from langgraph_conductor.access import granted, readable_channels, worker_task
from langgraph_conductor.driving import adrive, drive
from langgraph_conductor.errors import WorkerError
from langgraph_conductor.events import StepFinished, StepStarted
from langgraph_conductor.graph._langgraph import emit, node, scoped
from langgraph_conductor.options import OPTIONS
from langgraph_conductor.records import ErrorRecord, StepOutput, StepRecord, WorkerTask
from langgraph_conductor.state import out_channel, record_channel, spec_channel
from langgraph_conductor.workers import Worker
from langgraph_conductor.workers.failures import error_record
from langgraph_conductor.workers.metering import UsageMeter, metered
from langgraph_conductor.workers.worker import async_only
from langgraph_conductor.workflow import Access, Step

OnStepError = Literal["record", "raise"]


class _Ask(NamedTuple):
    """One call of the worker, as the logic wants it made."""

    task: WorkerTask
    config: RunnableConfig
    on_try: Callable[[int], None]


def step_node(
    index: int,
    worker: Worker,
    access: Access,
    *,
    is_final: bool,
    on_step_error: OnStepError,
    default: Step | None = None,
) -> Runnable[Any, Any]:
    """The node of step `index`.

    Args:
        index: Its position.
        worker: Who is asked.
        access: What it may read.
        is_final: Whether it is the last step.
        on_step_error: `"record"` turns a failure into an output with status `"failed"`, so that the
            steps after it run and are told; `"raise"` stops the graph.
        default: The step to run where the state does not say it.
    """
    channels = readable_channels(index, access)
    graph = worker.form.graph

    def logic(state: Mapping[str, Any], config: RunnableConfig) -> Generator[_Ask, str, dict[str, Any]]:
        spec = state.get(spec_channel(index))
        subtask = spec["subtask"] if spec else default.subtask if default else ""
        task = worker_task(state, index, subtask, access, is_final=is_final)
        names = granted(state, index, access)
        started = StepStarted(
            type="step_started",
            round=task.round,
            step=index,
            worker=worker.name,
            subtask=subtask,
            granted=names,
        )
        emit(config, started)

        meter = UsageMeter(worker.price)
        tries: list[int] = [0]
        started_at, clock = time.time(), time.perf_counter()
        error: ErrorRecord | None = None
        text = ""
        try:
            text = yield _Ask(task, metered(scoped(config, channels, OPTIONS), meter), tries.append)
        except GraphBubbleUp:
            raise
        except Exception as failure:
            if on_step_error == "raise":
                why = f"step {index} ({worker.name}) failed: {type(failure).__name__}: {failure}"
                raise WorkerError(why, worker=worker.name, step=index) from failure
            error = error_record(failure)
        seconds = time.perf_counter() - clock

        usage = meter.usage.to_json() | {"busy_seconds": seconds}
        output = StepOutput(index, worker.name, subtask, text, "failed" if error else "ok")
        record: StepRecord = {
            "index": index,
            "worker": worker.name,
            "subtask": subtask,
            "granted": names,
            "status": output.status,
            "calls": tries[-1],
            "error": error,
            "usage": usage,
            "started_at": started_at,
            "seconds": seconds,
        }
        finished = StepFinished(
            type="step_finished",
            round=task.round,
            step=index,
            worker=worker.name,
            status=output.status,
            text=text,
            usage=usage,
            seconds=seconds,
        )
        emit(config, finished)
        return {out_channel(index): output.to_json(), record_channel(index): record}

    def call(state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        _ = graph  # LangGraph finds a graph nested in a node by what the node's function refers to
        if worker.form.call is None:
            raise TypeError(async_only(worker.name))  # a mistake in the program, not a failed step
        return drive(logic(state, config), lambda ask: _call(worker, ask))

    async def acall(state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        return await adrive(logic(state, config), lambda ask: _acall(worker, ask))

    return node(f"step_{index}", call, acall)


def _call(worker: Worker, ask: _Ask) -> str:
    with set_config_context(ask.config) as context:
        named = patch_config(ask.config, run_name=worker.name)
        return context.run(worker.call, ask.task, named, ask.on_try)


async def _acall(worker: Worker, ask: _Ask) -> str:
    with set_config_context(ask.config) as context:
        named = patch_config(ask.config, run_name=worker.name)
        answer = worker.acall(ask.task, named, ask.on_try)
        return await asyncio.get_running_loop().create_task(answer, context=context)
