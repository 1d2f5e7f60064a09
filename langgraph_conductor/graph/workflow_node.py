"""The node that runs a workflow: compiled when the plan is known, inspectable like a static subgraph.

LangGraph finds subgraphs when a graph is compiled, so one that is chosen at run time is invisible to
`get_state(subgraphs=True)`, state history, `update_state` and drawing (langgraph issue 8587). This
node is itself of LangGraph's graph protocol and rebuilds the graph from what the workflow's
checkpoint says of itself.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import patch_config
from langchain_core.runnables.graph import Graph as DrawableGraph
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.errors import EmptyChannelError, InvalidUpdateError
from langgraph.pregel.protocol import PregelProtocol
from langgraph.types import StateSnapshot, StateUpdate

from langgraph_conductor.driving import inherited
from langgraph_conductor.errors import PlanError
from langgraph_conductor.events import RoundFinished
from langgraph_conductor.graph._langgraph import emit, has_saver, saver_in
from langgraph_conductor.graph.compiler import (
    Graph,
    Shape,
    WorkflowGraphs,
    branches_of,
    shape_of,
    shape_of_values,
)
from langgraph_conductor.graph.ledgers import Ledgers, budget_of, with_accounts
from langgraph_conductor.graph.left import Left, channels_of, done_of, left_of
from langgraph_conductor.graph.standing import by_hand
from langgraph_conductor.options import OPTIONS, Options
from langgraph_conductor.records import RoundRecord, StepOutput, StepRecord, latest_answered
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
from langgraph_conductor.workers import WorkerPool
from langgraph_conductor.workflow import Workflow


class WorkflowNode(PregelProtocol[Any, Any, Any, Any]):
    """Runs the `workflow` of a round's state and adds the round to `rounds`.

    Args:
        graphs: Where compiled graphs come from.
        ledgers: Where the run's ledger is.
        options: Defaults of what may differ from run to run.
        is_answer: Whether what a workflow ends with is an answer; left out, it always is.
    """

    name = "workflow"

    def __init__(
        self,
        graphs: WorkflowGraphs,
        ledgers: Ledgers | None = None,
        options: Options | None = None,
        is_answer: Callable[[Workflow], bool] | None = None,
    ) -> None:
        self._graphs = graphs
        self._ledgers = ledgers or Ledgers()
        self._options = options or Options()
        self._is_answer = is_answer

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """Run it."""
        graph, given, inner = self._start(input, config, self.left(config))
        return _finish(input, graph.invoke(given, inner, **kwargs), inner)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """Run it, awaited."""
        graph, given, inner = self._start(input, config, await self.aleft(config))
        return _finish(input, await graph.ainvoke(given, inner, **kwargs), inner)

    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:  # noqa: A002
        """Stream the graph of the workflow; without a mode, the one update of this node.

        LangGraph runs a node this way under `astream_events` and takes the last part as its output.
        """
        if not kwargs:
            yield self.invoke(input, config)
            return
        graph, given, inner = self._start(input, config, self.left(config))
        yield from graph.stream(given, inner, **kwargs)

    async def astream(
        self,
        input: Any,  # noqa: A002
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[Any]:
        """`stream`, async."""
        if not kwargs:
            yield await self.ainvoke(input, config)
            return
        graph, given, inner = self._start(input, config, await self.aleft(config))
        async for part in graph.astream(given, inner, **kwargs):
            yield part

    def _start(
        self, state: Mapping[str, Any], config: RunnableConfig | None, left: Left
    ) -> tuple[Graph, dict[str, Any], RunnableConfig]:
        rounds, run = state.get("rounds") or [], state.get("run")
        pool = self.offered(config, run)
        workflow = Workflow.from_json(state["workflow"])
        pool.check(workflow)  # it may have been edited since it was planned
        given: dict[str, Any] = {
            QUESTION: state["question"],
            ROUND: len(rounds),
            PREVIOUS: previous_outputs(rounds),
        }
        for i, spec in enumerate(workflow.to_json()["steps"]):
            given[spec_channel(i)] = spec
        if not state.get("is_answer", True):
            given[spec_channel(len(workflow.steps) - 1)]["is_answer"] = False
        for i, step in enumerate(workflow.steps):
            if step.earlier:
                given[earlier_channel(i)] = chosen_outputs(rounds, step.earlier)
        for index, stood in (state.get("stands") or {"steps": {}})["steps"].items():
            given[stands_channel(int(index))] = stood
        done = done_of(left, state.get("stands"))
        finished = [step["record"] for step in done.steps.values()]  # they hold what was spent on them
        budget = budget_of(run, self._options, config)
        ledger = self._ledgers.of(run, budget, rounds, state.get("plan"), finished, done.calls)
        inner = with_accounts(inherited(config or {}), ledger, left.kept)
        # A chain needs a superstep per step and one to end, whatever limit the host runs under. The
        # saver and the namespace in the config have to arrive untouched.
        if "recursion_limit" in inner:
            inner["recursion_limit"] = max(inner["recursion_limit"], len(workflow.steps) + 2)
        return self._graphs.get(shape_of(workflow), pool), given, inner

    def _saved(self, config: RunnableConfig | None) -> CheckpointTuple | None:
        """Where the workflow of this namespace was left, if it is resumed."""
        return saver_in(config).get_tuple(config) if config and has_saver(config) else None

    async def _asaved(self, config: RunnableConfig | None) -> CheckpointTuple | None:
        """`_saved`, awaited."""
        return await saver_in(config).aget_tuple(config) if config and has_saver(config) else None

    def left(self, config: RunnableConfig | None) -> Left:
        """What the workflow of this namespace had done when it was left, if it was begun."""
        saved = self._saved(config)
        if config is None or saved is None:
            return Left()
        graph = self._rebuilt(saved)
        return left_of(saved, channels_of(graph.get_state(config, subgraphs=bool(branches_of(graph)))))

    async def aleft(self, config: RunnableConfig | None) -> Left:
        """`left`, awaited."""
        saved = await self._asaved(config)
        if config is None or saved is None:
            return Left()
        graph = self._rebuilt(saved)
        state = await graph.aget_state(config, subgraphs=bool(branches_of(graph)))
        return left_of(saved, channels_of(state))

    def _rebuilt(self, saved: CheckpointTuple | None) -> Graph:
        values = saved.checkpoint["channel_values"] if saved else {}
        return self.graph_of(values.get("__start__") or values)

    def _any_shape(self) -> Shape:
        return ((self._graphs.pool.names[0], ()),)

    def _graph(self, config: RunnableConfig) -> Graph:
        return self._rebuilt(self._saved(config))

    async def _agraph(self, config: RunnableConfig) -> Graph:
        return self._rebuilt(await self._asaved(config))

    def graph_of(self, values: Mapping[str, Any]) -> Graph:
        """The graph whose state holds `values`."""
        return self._graphs.get(shape_of_values(values) or self._any_shape())

    def is_answer(self, workflow: Workflow) -> bool:
        """Whether what a workflow ends with is an answer, and not only help to find one."""
        return self._is_answer is None or bool(self._is_answer(workflow))

    def offered(self, config: RunnableConfig | None, run: Mapping[str, Any] | None = None) -> WorkerPool:
        """The workers of a run."""
        return offered(self._graphs.pool, self._options.over(config, run))

    def get_state(self, config: RunnableConfig, *, subgraphs: bool = False) -> StateSnapshot:
        """State of the workflow that ran or runs in this namespace."""
        return self._graph(config).get_state(config, subgraphs=subgraphs)

    async def aget_state(self, config: RunnableConfig, *, subgraphs: bool = False) -> StateSnapshot:
        """`get_state`, awaited."""
        return await (await self._agraph(config)).aget_state(config, subgraphs=subgraphs)

    def get_state_history(self, config: RunnableConfig, **kwargs: Any) -> Iterator[StateSnapshot]:
        """Its states, newest first."""
        return self._graph(config).get_state_history(config, **kwargs)

    async def aget_state_history(
        self, config: RunnableConfig, **kwargs: Any
    ) -> AsyncIterator[StateSnapshot]:
        """`get_state_history`, async."""
        async for state in (await self._agraph(config)).aget_state_history(config, **kwargs):
            yield state

    def update_state(
        self, config: RunnableConfig, values: Any, as_node: str | None = None
    ) -> RunnableConfig:
        """Change its state from outside."""
        return self.bulk_update_state(config, [[StateUpdate(values, as_node)]])

    async def aupdate_state(
        self, config: RunnableConfig, values: Any, as_node: str | None = None
    ) -> RunnableConfig:
        """`update_state`, awaited."""
        return await self.abulk_update_state(config, [[StateUpdate(values, as_node)]])

    def bulk_update_state(self, config: RunnableConfig, updates: Any) -> RunnableConfig:
        """Change its state several times."""
        with _beside_steps_that_wait():
            return self._graph(config).bulk_update_state(config, updates)

    async def abulk_update_state(self, config: RunnableConfig, updates: Any) -> RunnableConfig:
        """`bulk_update_state`, awaited."""
        graph = await self._agraph(config)
        with _beside_steps_that_wait():
            return await graph.abulk_update_state(config, updates)

    def get_graph(self, config: RunnableConfig | None = None, *, xray: int | bool = False) -> DrawableGraph:
        """The graph of the workflow in the run's options (`Options.workflow`), or of one step."""
        workflow = Options().over(config).workflow
        if workflow is None:
            return self._graphs.get(self._any_shape()).get_graph(config, xray=xray)
        self._graphs.pool.check(workflow)
        inner = patch_config(config, configurable={OPTIONS: None})  # not for conductors that are workers
        return self._graphs.get(shape_of(workflow)).get_graph(inner, xray=xray)

    async def aget_graph(
        self, config: RunnableConfig | None = None, *, xray: int | bool = False
    ) -> DrawableGraph:
        """`get_graph`; nothing is awaited."""
        return self.get_graph(config, xray=xray)

    def with_config(self, config: RunnableConfig | None = None, **kwargs: Any) -> "WorkflowNode":
        """Itself: it has no config of its own."""
        return self


def offered(pool: WorkerPool, options: Options) -> WorkerPool:
    """The workers one run may use; see `checks.check_choice` for what was refused when it began."""
    for words in (options.within, options.workers):  # a run that is resumed can only be narrowed
        known = pool.known(words or ())
        if known or words == ():
            pool = pool.only(*known)
    if known := pool.known(options.exclude):
        pool = pool.without(*known)
    sample = options.sample and (min(options.sample[0], len(pool)), options.sample[1])
    return pool.offered(sample=sample, permute=options.permute)


_EDITING: Final = (
    "`update_state` inside a workflow ends the steps that wait beside the one it names; edit with "
    "`langgraph_conductor.editing`, which lets them wait"
)


@contextmanager
def _beside_steps_that_wait() -> Iterator[None]:
    """LangGraph cannot keep what was just written to a `Newest` channel if its superstep is given up."""
    try:
        yield
    except EmptyChannelError as error:
        raise InvalidUpdateError(f"a step is over, and others beside it wait: {_EDITING}") from error


def _record(result: Mapping[str, Any], index: int) -> StepRecord:
    output = result[out_channel(index)]
    record: StepRecord = result.get(record_channel(index)) or by_hand(index, output)
    return {**record, "text": output["text"]}


def previous_outputs(rounds: list[RoundRecord]) -> dict[str, Any] | None:
    """What a step granted history reads: the outputs of the latest round that gave an answer.

    It is the round whose answer the planner was shown.
    """
    record = latest_answered(rounds)
    if record is None:
        return None
    outputs = [
        StepOutput(s["index"], s["worker"], s["subtask"], s["text"], s["status"]).to_json()
        for s in record["steps"]
    ]
    return {"round": record["round"], "outputs": outputs}


def check_workflow(workflow: Workflow, pool: WorkerPool, rounds: list[RoundRecord]) -> None:
    """Refuse a workflow that cannot be run.

    Args:
        workflow: What is to run.
        pool: Who is offered.
        rounds: The rounds before.

    Raises:
        PlanError: If a step's worker is not there, or may not be last, or a step is granted what is not there.
    """
    pool.check(workflow)
    for step in workflow.steps:
        chosen_outputs(rounds, step.earlier)


def chosen_outputs(rounds: list[RoundRecord], chosen: Iterable[tuple[int, int]]) -> list[dict[str, Any]]:
    """Outputs of earlier rounds, by (round, step).

    Raises:
        PlanError: If one is not there.
    """
    steps = {(record["round"], step["index"]): step for record in rounds for step in record["steps"]}
    found = []
    for number, index in chosen:
        if (number, index) not in steps:
            raise PlanError(f"there is no step {index} in a round {number} before this one")
        step = steps[number, index]
        output = StepOutput(index, step["worker"], step["subtask"], step["text"], step["status"], number)
        found.append(output.to_json())
    return found


def _finish(state: Mapping[str, Any], result: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
    rounds: list[RoundRecord] = list(state.get("rounds") or ())
    size = len(state["workflow"]["steps"])
    if missing := [i for i in range(size) if out_channel(i) not in result]:
        raise PlanError(f"steps {missing} have not run: {_EDITING}")
    steps = [_record(result, i) for i in range(size)]
    begin = min(step["started_at"] for step in steps)
    end = max(step["started_at"] + step["seconds"] for step in steps)
    record: RoundRecord = {
        "round": len(rounds),
        "accepted": False,
        "workflow": state["workflow"],
        "plan": state["plan"],
        "steps": steps,
        "answer": next((step["text"] for step in reversed(steps) if step["text"]), ""),
        "final": bool(state.get("final")),
        "wall_seconds": end - begin,
    }
    if not state.get("is_answer", True):
        record["is_answer"] = False
    if discarded := (state.get("stands") or {}).get("discarded"):
        record["discarded"] = discarded
    emit(config, RoundFinished(type="round_finished", round=record["round"], answer=record["answer"]))
    return {"rounds": [*rounds, record]}
