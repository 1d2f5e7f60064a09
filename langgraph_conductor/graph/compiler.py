"""Compiles a workflow to a LangGraph graph: one node per step, edges from the access lists.

A step's input schema is exactly what it is granted, its output one channel of its own. Steps that do
not read each other run in one superstep, or in branches that do not wait for each other (`branches`). A join waits
for all it reads (`add_edge` with a list).
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final, cast

from langchain_core.runnables import Runnable
from langgraph.cache.base import BaseCache
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.store.base import BaseStore
from langgraph.types import Checkpointer
from typing_extensions import TypedDict

from langgraph_conductor.access import readable_channels
from langgraph_conductor.graph.branches import Unit, units
from langgraph_conductor.graph.step import OnStepError, step_node, step_without_worker
from langgraph_conductor.graph.traces import INTEGRATION
from langgraph_conductor.state import (
    PREVIOUS,
    QUESTION,
    ROUND,
    earlier_channel,
    out_channel,
    record_channel,
    spec_channel,
    stands_channel,
)
from langgraph_conductor.workers import Worker, WorkerPool
from langgraph_conductor.workflow import ALL, Access, Workflow, readable_steps

Shape = tuple[tuple[str, Access], ...]
"""Worker and access of every step: all that the graph depends on. Subtasks travel in the state."""

Graph = CompiledStateGraph[Any, Any, Any, Any]

_BRANCH: Final = "branch_"
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
    builder = _Blueprint(shape_of(workflow), pool, pool, on_step_error, cache, workflow).builder()
    graph = builder.compile(checkpointer=checkpointer, store=store, cache=cache, name=name)
    return graph.with_config(INTEGRATION)


def shape_of(workflow: Workflow) -> Shape:
    """The part of a workflow its graph depends on."""
    return tuple((step.worker, step.access) for step in workflow.steps)


def shape_of_values(values: Mapping[str, Any]) -> Shape:
    """The shape a workflow's checkpoint tells of itself, by its `spec_{i}` channels."""
    specs = [values[spec_channel(i)] for i in range(len(values)) if spec_channel(i) in values]
    return tuple((spec["worker"], _access(spec["access"])) for spec in specs)


def is_branch(node: str) -> bool:
    """Whether a node of that name is a branch."""
    return node.startswith(_BRANCH)


def branches_of(graph: Graph) -> dict[str, Graph]:
    """The parts of a workflow that are graphs of their own, by node."""
    return {name: cast("Graph", branch) for name, branch in graph.get_subgraphs() if is_branch(name)}


def _access(access: Any) -> Access:
    return ALL if access == ALL else tuple(access)


@dataclass(frozen=True, slots=True)
class _Blueprint:
    """All that the graph of a workflow is made from."""

    shape: Shape
    pool: WorkerPool
    offered: WorkerPool
    on_step_error: OnStepError
    cache: BaseCache[Any] | None = None
    defaults: Workflow | None = None

    def builder(self) -> StateGraph[Any, Any, Any, Any]:
        """The graph of all steps."""
        size = range(len(self.shape))
        given = _TYPES | {name(i): dict for i in size for name in (spec_channel, stands_channel)}
        given |= {earlier_channel(i): list for i in size}
        return self._graph(size, "workflow", given, 0)

    def _graph(
        self, steps: Iterable[int], name: str, given: Mapping[str, Any], depth: int
    ) -> StateGraph[Any, Any, Any, Any]:
        """The graph of some steps, in so many branches."""
        reads = {i: readable_steps(i, self.shape[i][1]) for i in steps}
        made: dict[str, Any] = {record_channel(i): dict for i in steps}
        made |= {out_channel(i): dict for i in steps}
        builder: StateGraph[Any, Any, Any, Any] = StateGraph(
            _schema(name, {**given, **made}),
            input_schema=_schema(f"{name}_input", given),
            output_schema=_schema(f"{name}_output", made),
        )
        nodes = {unit: _node_name(unit) for unit in units(steps, reads)}
        for unit, node in nodes.items():
            granted = self._granted(unit, {**given, **made})
            schema = _schema(f"{node}_granted", granted)
            if len(unit) == 1:
                (i,) = unit
                worker, access = self.shape[i]
                told = {"conductor_step": i, "conductor_worker": worker, "conductor_access": _shown(access)}
                builder.add_node(node, self._step(i, depth), input_schema=schema, metadata=told)
            else:
                branch = self._graph(unit, node, granted, depth + 1).compile(cache=self.cache, name=node)
                builder.add_node(node, branch, input_schema=schema)
            waits = [nodes[other] for other in nodes if other != unit and _reads(unit, other, reads)]
            # The list form waits for all; a single edge leaves no memory of waiting behind.
            builder.add_edge(waits if len(waits) > 1 else (*waits, START)[0], node)
        return builder

    def _granted(self, unit: Unit, types: Mapping[str, Any]) -> dict[str, Any]:
        """The channels that steps read and do not make themselves."""
        read = (c for i in unit for c in (*readable_channels(i, self.shape[i][1]), stands_channel(i)))
        return {channel: types[channel] for channel in read if channel not in map(out_channel, unit)}

    def _step(self, i: int, depth: int) -> Runnable[Any, Any]:
        name, access = self.shape[i]
        if name not in self.pool.names:
            return step_without_worker(i, name, self.pool)
        is_final = i == len(self.shape) - 1
        return step_node(
            i,
            self.pool[name],
            access,
            is_final=is_final,
            on_step_error=self.on_step_error,
            fallback=self.offered.stand_in(self.pool[name], is_final=is_final),
            default=self.defaults.steps[i] if self.defaults else None,
            depth=depth,
        )


def _reads(unit: Unit, other: Unit, reads: Mapping[int, Sequence[int]]) -> bool:
    return any(j in other for i in unit for j in reads[i])


def _node_name(unit: Unit) -> str:
    return ("step_" if len(unit) == 1 else _BRANCH) + "_".join(map(str, unit))


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
            if name in self.pool.names
            for stand_in in [pool.stand_in(self.pool[name], is_final=i == last)]
        )
        key = (shape, stand_ins)
        with self._lock:
            if graph := self._graphs.get(key):
                self._graphs.move_to_end(key)
                return graph
        # No checkpointer: the graph inherits the one of the graph it runs in.
        builder = _Blueprint(shape, self.pool, pool, self._on_step_error, self._cache).builder()
        graph = builder.compile(cache=self._cache, name="workflow")
        with self._lock:
            self._graphs[key] = graph
            if len(self._graphs) > self._size:
                self._graphs.popitem(last=False)
        return graph

    def __len__(self) -> int:
        return len(self._graphs)
