"""A run that waits is edited from outside: what is to run, and what its steps have said.

    (found,) = open_rounds(app, config)
    edit_round(found, outputs={0: "What it should have said."})
    app.invoke(None, config)

LangGraph's `update_state` inside a workflow ends the steps that wait beside the one it names. So the round is
edited instead: its workflow begins anew, and what stands of the steps that have run is handed to it.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import CompiledStateGraph

from langgraph_conductor.driving import adrive, drive
from langgraph_conductor.graph._langgraph import inner_config
from langgraph_conductor.graph.left import Done, Left, done_of
from langgraph_conductor.graph.standing import standing
from langgraph_conductor.graph.workflow_node import WorkflowNode, check_workflow
from langgraph_conductor.records import Approval, RoundRecord
from langgraph_conductor.workers import WorkerPool
from langgraph_conductor.workflow import Workflow

Graph = CompiledStateGraph[Any, Any, Any, Any]
ResultT = TypeVar("ResultT")


class _Ask(NamedTuple):
    """A method to call; its awaited form has an `a` before its name."""

    of: Any
    method: str
    args: tuple[Any, ...]


class _Place(NamedTuple):
    """A graph of the thread: what leads to it, the options of its conductor, and the rounds before it."""

    graph: Any
    namespace: str
    path: tuple[str, ...]
    options: RunnableConfig
    rounds: Sequence[RoundRecord]


@dataclass(frozen=True, slots=True)
class OpenRound:
    """A round that has its workflow and is not over.

    Args:
        path: The names of the nodes that lead to it from the app.
        workflow: What runs, or waits to be let run.
        outputs: What the steps that are over have said, by index.
        runs: Whether it may run already; else a person was asked and has not answered.
    """

    path: tuple[str, ...]
    workflow: Workflow
    outputs: Mapping[int, str]
    runs: bool
    _graph: Graph
    _node: WorkflowNode
    _pool: WorkerPool
    _config: RunnableConfig
    _values: Mapping[str, Any]
    _rounds: Sequence[RoundRecord]
    _done: Done


def open_rounds(app: Graph, config: RunnableConfig, *, conductor: Graph | None = None) -> list[OpenRound]:
    """The rounds of a thread that have their workflow and are not over, the outermost first.

    Args:
        app: The conductor, or the graph it is part of; it has a checkpointer.
        config: That of the run: its `thread_id`, and what was chosen for it.
        conductor: The conductor, where a tool or a function calls it, once in a task: LangGraph cannot see
            through those. Nor does it see graphs that keep a thread of their own (`checkpointer=True`).

    Raises:
        ValueError: If `app` has no checkpointer, or `config` no thread.
    """
    return drive(_open_rounds(app, config, conductor), _call)


async def aopen_rounds(
    app: Graph, config: RunnableConfig, *, conductor: Graph | None = None
) -> list[OpenRound]:
    """`open_rounds`, awaited."""
    return await adrive(_open_rounds(app, config, conductor), _acall)


def edit_round(
    found: OpenRound, *, workflow: Workflow | None = None, outputs: Mapping[int, str] | None = None
) -> None:
    """Change a round that is not over; `invoke(None, config)` then runs on.

    A step that is over does not run again, unless the edit changed it or something it read. A person who is asked
    is asked again. Calls that were paid for what no longer counts stay in the usage.

    Args:
        found: One of `open_rounds`; read anew after every edit and run.
        workflow: What is to run instead.
        outputs: Texts in place of what steps have said, or before they have, by index.

    Raises:
        PlanError: If the workflow cannot be run; nothing is changed then.
        ValueError: If there is nothing to change, or no such step.
    """
    drive(_edit(found, workflow, outputs or {}), _call)


async def aedit_round(
    found: OpenRound, *, workflow: Workflow | None = None, outputs: Mapping[int, str] | None = None
) -> None:
    """`edit_round`, awaited."""
    await adrive(_edit(found, workflow, outputs or {}), _acall)


def _call(ask: _Ask) -> Any:
    return getattr(ask.of, ask.method)(*ask.args)


async def _acall(ask: _Ask) -> Any:
    return await getattr(ask.of, f"a{ask.method}")(*ask.args)


def _open_rounds(
    app: Graph, config: RunnableConfig, conductor: Graph | None
) -> Generator[_Ask, Any, list[OpenRound]]:
    saver = app.checkpointer
    if not saver or saver is True:
        raise ValueError("the graph has no checkpointer, so nothing of a run is kept that could be edited")
    thread = config.get("configurable", {}).get("thread_id")
    if thread is None:
        raise ValueError('there is no thread to look at: give {"configurable": {"thread_id": ...}}')
    found: list[OpenRound] = []
    waiting: list[_Place] = [_Place(app, "", (), config, ())]
    while waiting:
        graph, namespace, path, options, rounds = waiting.pop(0)
        here = inner_config(saver, thread, namespace)
        state = yield _Ask(graph, "get_state", (here,))
        values = state.values
        if isinstance(graph, WorkflowNode):
            graph = graph.graph_of(values)
            options = {}  # they are not for conductors that are workers
        inside = dict(graph.get_subgraphs())
        node = inside.get("workflow")
        if isinstance(node, WorkflowNode) and state.next in (("approve",), ("workflow",)):
            left = Left()
            if runs := state.next == ("workflow",):
                below = _below(namespace, state.tasks[0])
                left = yield _Ask(node, "left", (inner_config(saver, thread, below),))
            pool = node.offered(options, values.get("run"))
            found.append(_open_round(path, graph, node, pool, here, values, rounds, left, runs=runs))
        for task in state.tasks:
            child = inside.get(task.name, conductor)
            if child is not None:
                before = values.get("rounds") or values.get(f"{task.name}_rounds") or ()
                below = _below(namespace, task)
                waiting.append(_Place(child, below, (*path, task.name), options, before))
    return found


def _below(namespace: str, task: Any) -> str:
    return f"{namespace}|{task.name}:{task.id}".removeprefix("|")


def _open_round(
    path: tuple[str, ...],
    graph: Graph,
    node: WorkflowNode,
    pool: WorkerPool,
    config: RunnableConfig,
    values: Mapping[str, Any],
    rounds: Sequence[RoundRecord],
    left: Left,
    *,
    runs: bool,
) -> OpenRound:
    done = done_of(left, values.get("stands"))
    return OpenRound(
        path,
        Workflow.from_json(values["workflow"]),
        {index: step["output"]["text"] for index, step in done.steps.items()},
        runs,
        graph,
        node,
        pool,
        config,
        values,
        rounds,
        done,
    )


def _edit(
    found: OpenRound, workflow: Workflow | None, outputs: Mapping[int, str]
) -> Generator[_Ask, Any, None]:
    if workflow is None and not outputs:
        raise ValueError("there is nothing to change: give a workflow, or outputs")
    now = found.workflow if workflow is None else workflow
    size = len(now.steps)
    if unknown := [index for index in outputs if index not in range(size)]:
        raise ValueError(f"there is no step {unknown[0]}: the workflow has steps 0 to {size - 1}")
    if silent := [index for index, text in outputs.items() if not text.strip()]:
        raise ValueError(f"step {silent[0]} would have said nothing")
    stands = standing(found._done, found.workflow, now, outputs)
    check_workflow(now, found._pool, found._rounds, over={int(index) for index in stands["steps"]})
    values: dict[str, Any] = {"stands": stands}
    if workflow is not None:
        planned = found._values["plan"].get("approval", {}).get("planned") or found.workflow.to_json()
        approval = Approval(said="edit", planned=planned)
        values |= {"workflow": now.to_json(), "plan": {**found._values["plan"], "approval": approval}}
        values["is_answer"] = found._node.is_answer(now)
    yield _Ask(found._graph, "update_state", (found._config, values, "approve" if found.runs else "plan"))
