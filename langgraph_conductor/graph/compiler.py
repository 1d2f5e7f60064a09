"""Compiles a workflow to a LangGraph graph: one node per step, edges from the access lists.

A step's input schema is exactly what it is granted, its output one channel of its own. Steps that do
not read each other run in one superstep. A join waits for all it reads (`add_edge` with a list).
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Annotated, Any, Final

from langgraph.cache.base import BaseCache
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.store.base import BaseStore
from langgraph.types import Checkpointer
from typing_extensions import TypedDict

from langgraph_conductor.access import readable_channels
from langgraph_conductor.graph.step import OnStepError, step_node
from langgraph_conductor.graph.traces import INTEGRATION
from langgraph_conductor.state import (
    PREVIOUS,
    QUESTION,
    ROUND,
    Newest,
    earlier_channel,
    out_channel,
    record_channel,
    spec_channel,
)
from langgraph_conductor.workers import Worker, WorkerPool
from langgraph_conductor.workflow import ALL, Access, Workflow

Shape = tuple[tuple[str, Access], ...]
"""Worker and access of every step: all that the graph depends on. Subtasks travel in the state."""

Graph = CompiledStateGraph[Any, Any, Any, Any]

_TYPES: Final[dict[str, Any]] = {QUESTION: list, ROUND: int, PREVIOUS: dict}


def compile_workflow(
    workflow: Workflow,
    workers: WorkerPool | Iterable[Worker | Mapping[str, Any]],
    *,
    on_step_error: OnStepError = "record",
    checkpointer: Checkpointer = None,
    store: BaseStore | None = None,
    cache: BaseCache[Any] | None = None,
    name: str = "workflow",
) -> Graph:
    """Compile one workflow to a graph of its own.

    Invoke it with `{"question": [{"type": "text", "text": ...}]}`. The result holds `out_{i}`, the
    `StepOutput` of step `i`, and `record_{i}`, its `StepRecord`, both as JSON.

    Args:
        workflow: What to run.
        workers: The pool, or its workers.
        on_step_error: `"record"` tells later steps of a failure and goes on; `"raise"` stops.
        checkpointer: As in `StateGraph.compile`.
        store: As in `StateGraph.compile`.
        cache: As in `StateGraph.compile`.
        name: Name of the graph.

    Raises:
        PlanError: If a step's worker is not in the pool, or may not be last.
    """
    pool = WorkerPool(workers)
    pool.check(workflow)
    builder = _builder(shape_of(workflow), pool, on_step_error, workflow)
    graph = builder.compile(checkpointer=checkpointer, store=store, cache=cache, name=name)
    return graph.with_config(INTEGRATION)


def shape_of(workflow: Workflow) -> Shape:
    """The part of a workflow its graph depends on."""
    return tuple((step.worker, step.access) for step in workflow.steps)


def shape_of_values(values: Mapping[str, Any]) -> Shape:
    """The shape a workflow's checkpoint tells of itself, by its `spec_{i}` channels."""
    specs = [values[spec_channel(i)] for i in range(len(values)) if spec_channel(i) in values]
    return tuple((spec["worker"], _access(spec["access"])) for spec in specs)


def _access(access: Any) -> Access:
    return ALL if access == ALL else tuple(access)


def _builder(
    shape: Shape, pool: WorkerPool, on_step_error: OnStepError, defaults: Workflow | None = None
) -> StateGraph[Any, Any, Any, Any]:
    size = range(len(shape))
    given = _TYPES | {spec_channel(i): dict for i in size} | {earlier_channel(i): list for i in size}
    made: dict[str, Any] = {record_channel(i): dict for i in size}
    made |= {out_channel(i): Annotated[dict, Newest()] for i in size}
    builder: StateGraph[Any, Any, Any, Any] = StateGraph(
        _schema("Workflow", given | made),
        input_schema=_schema("WorkflowInput", given),
        output_schema=_schema("WorkflowOutput", made),
    )
    for i, (name, access) in enumerate(shape):
        step = step_node(
            i,
            pool[name],
            access,
            is_final=i == len(shape) - 1,
            on_step_error=on_step_error,
            fallback=pool.stand_in(pool[name], is_final=i == len(shape) - 1),
            default=defaults.steps[i] if defaults else None,
        )
        channels = readable_channels(i, access)
        builder.add_node(
            f"step_{i}",
            step,
            input_schema=_schema(f"Step{i}", {c: (given | made)[c] for c in channels}),
            metadata={"conductor_step": i, "conductor_worker": name, "conductor_access": _shown(access)},
        )
        reads = [f"step_{j}" for j in range(i) if out_channel(j) in channels]
        # The list form waits for all; a single edge leaves no memory of waiting behind.
        builder.add_edge(reads if len(reads) > 1 else (*reads, START)[0], f"step_{i}")
    return builder


def _schema(name: str, channels: Mapping[str, Any]) -> Any:
    make: Any = TypedDict  # the functional form, with channels known only now
    return make(name, dict(channels), total=False)


def _shown(access: Access) -> Any:
    return ALL if access == ALL else list(access)


class WorkflowGraphs:
    """Compiled graphs of one pool, kept by shape; the least recently used are dropped.

    Args:
        pool: The workers.
        on_step_error: See `compile_workflow`.
        cache: LangGraph's node cache; a subgraph does not inherit it.
        size: Most graphs kept.
    """

    def __init__(
        self,
        pool: WorkerPool,
        *,
        on_step_error: OnStepError = "record",
        cache: BaseCache[Any] | None = None,
        size: int = 256,
    ) -> None:
        self.pool = pool
        self._on_step_error = on_step_error
        self._cache = cache
        self._size = size
        self._graphs: OrderedDict[Any, Graph] = OrderedDict()
        self._lock = Lock()

    def get(self, shape: Shape, offered: WorkerPool | None = None) -> Graph:
        """The graph of `shape`, compiled if it is not at hand.

        Args:
            shape: What to compile.
            offered: The workers of the run, from whom fallbacks may be taken; all if left out.
        """
        pool = offered or self.pool
        last = len(shape) - 1
        stand_ins = tuple(
            stand_in and stand_in.name
            for i, (name, _) in enumerate(shape)
            for stand_in in [pool.stand_in(self.pool[name], is_final=i == last)]
        )
        key = (shape, stand_ins)
        with self._lock:
            if graph := self._graphs.get(key):
                self._graphs.move_to_end(key)
                return graph
        # No checkpointer: the graph inherits the one of the graph it runs in.
        graph = _builder(shape, pool, self._on_step_error).compile(cache=self._cache, name="workflow")
        with self._lock:
            self._graphs[key] = graph
            if len(self._graphs) > self._size:
                self._graphs.popitem(last=False)
        return graph

    def __len__(self) -> int:
        return len(self._graphs)
