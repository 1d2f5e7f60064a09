"""One step as a graph node: hand the worker what it is granted, call it, record what came."""

import asyncio
import random
import time
from collections.abc import Callable, Generator, Mapping
from itertools import count
from typing import Any, Literal, NamedTuple

from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import patch_config
from langgraph.errors import GraphBubbleUp, ParentCommand

from langgraph_conductor.access import granted, readable_channels, worker_task
from langgraph_conductor.driving import adrive, awithin, drive, within
from langgraph_conductor.errors import WorkerError
from langgraph_conductor.events import StepFinished, StepStarted
from langgraph_conductor.graph._langgraph import emit, node, replayed, scoped
from langgraph_conductor.options import OPTIONS
from langgraph_conductor.records import ErrorRecord, StepOutput, StepRecord, WorkerTask
from langgraph_conductor.state import ROUND, out_channel, record_channel, spec_channel
from langgraph_conductor.workers import Worker
from langgraph_conductor.workers.failures import error_record, is_outage
from langgraph_conductor.workers.forms import async_only
from langgraph_conductor.workers.metering import UsageMeter, metered
from langgraph_conductor.workflow import Access, Step

OnStepError = Literal["record", "raise"]


class _Ask(NamedTuple):
    """One call of the worker, as the logic wants it made."""

    task: WorkerTask
    config: RunnableConfig


_Wanted = _Ask | float
"""What the logic yields: a call, or seconds to wait."""


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

    def logic(state: Mapping[str, Any], config: RunnableConfig) -> Generator[_Wanted, Any, dict[str, Any]]:
        spec = state.get(spec_channel(index))
        subtask = spec["subtask"] if spec else default.subtask if default else ""
        names = granted(state, index, access)
        number = state.get(ROUND) or 0
        _tell_started(config, number, index, worker.name, subtask, names)
        meter = UsageMeter(worker.price)
        tries: list[None] = []
        started_at, clock = time.time(), time.perf_counter()
        error: ErrorRecord | None = None
        text = ""

        def ask() -> _Ask:
            tries.append(None)
            # Each try gets a task of its own: an earlier one may have changed what it was handed.
            task = worker_task(state, index, subtask, access, is_final=is_final)
            return _Ask(task, metered(scoped(replayed(config), channels, OPTIONS), meter))

        first = ask()  # what is wrong with the state is no failure of the worker
        try:
            # A graph is not begun anew: it would repeat what its tools did.
            text = yield from _with_retries(first, ask, worker.retries if graph is None else 0)
        except GraphBubbleUp:
            raise
        except Exception as failure:
            if on_step_error == "raise":
                why = f"step {index} ({worker.name}) failed: {type(failure).__name__}: {failure}"
                outage = is_outage(failure)
                raise WorkerError(why, worker=worker.name, step=index, infrastructure=outage) from failure
            error = error_record(failure)
        seconds = time.perf_counter() - clock

        output = StepOutput(index, worker.name, subtask, text, "failed" if error else "ok")
        record: StepRecord = {
            "index": index,
            "worker": worker.name,
            "subtask": subtask,
            "granted": names,
            "status": output.status,
            "calls": len(tries),
            "error": error,
            "usage": meter.usage.to_json() | {"busy_seconds": seconds},
            "started_at": started_at,
            "seconds": seconds,
        }
        _tell_finished(config, number, record, text)
        return {out_channel(index): output.to_json(), record_channel(index): record}

    def call(state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        _ = graph  # LangGraph finds a graph nested in a node by what the node's function refers to
        if worker.form.call is None:
            raise TypeError(async_only(worker.name))  # a mistake in the program, not a failed step
        return drive(logic(state, config), lambda wanted: _call(worker, wanted))

    async def acall(state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        return await adrive(logic(state, config), lambda wanted: _acall(worker, wanted))

    return node(f"step_{index}", call, acall)


def _tell_started(
    config: RunnableConfig, number: int, index: int, worker: str, subtask: str, names: list[list[int]]
) -> None:
    event = StepStarted(
        type="step_started", round=number, step=index, worker=worker, subtask=subtask, granted=names
    )
    emit(config, event)


def _tell_finished(config: RunnableConfig, number: int, record: StepRecord, text: str) -> None:
    event = StepFinished(
        type="step_finished",
        round=number,
        step=record["index"],
        worker=record["worker"],
        status=record["status"],
        text=text,
        usage=record["usage"],
        seconds=record["seconds"],
    )
    emit(config, event)


class _HandOverError(Exception):
    """The worker is an agent that wants to go on in another node (`Command(graph=PARENT)`)."""


def _with_retries(first: _Ask, ask: Callable[[], _Ask], retries: int) -> Generator[_Wanted, Any, str]:
    """The worker's answer, asking again after outages."""
    for tries in count(1):
        try:
            return str((yield first if tries == 1 else ask()))
        except ParentCommand:
            raise _HandOverError("a worker cannot hand over to a node outside itself") from None
        except GraphBubbleUp:
            raise
        except Exception as failure:
            if tries > retries or not is_outage(failure):
                raise
        yield random.uniform(0, min(20.0, 0.5 * 2**tries))  # noqa: S311 - spreads load, hides nothing
    raise AssertionError  # count() never ends


def _call(worker: Worker, wanted: _Wanted) -> str | None:
    if isinstance(wanted, float):
        time.sleep(wanted)
        return None
    return within(wanted.config, worker.call, wanted.task, _named(worker, wanted))


async def _acall(worker: Worker, wanted: _Wanted) -> str | None:
    if isinstance(wanted, float):
        await asyncio.sleep(wanted)
        return None
    return await awithin(wanted.config, worker.acall(wanted.task, _named(worker, wanted)))


def _named(worker: Worker, ask: _Ask) -> RunnableConfig:
    # The name is for the worker's own run; in the ambient config it would name every call inside.
    return patch_config(ask.config, run_name=worker.name)
