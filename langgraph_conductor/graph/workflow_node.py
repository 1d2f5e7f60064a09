"""The node that runs a workflow: compiled when the plan is known, inspectable like a static subgraph.

LangGraph finds subgraphs when a graph is compiled, so one that is chosen at run time is invisible to
`get_state(subgraphs=True)`, state history, `update_state` and drawing (langgraph issue 8587). This
node is itself of LangGraph's graph protocol and rebuilds the graph from what the workflow's
checkpoint says of itself.
"""

from collections.abc import AsyncIterator, Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import patch_config
from langchain_core.runnables.graph import Graph as DrawableGraph
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.pregel.protocol import PregelProtocol
from langgraph.types import StateSnapshot, StateUpdate

from langgraph_conductor.driving import inherited
from langgraph_conductor.errors import PlanError, SavedRunError
from langgraph_conductor.events import RoundFinished
from langgraph_conductor.graph._langgraph import has_saver, inner_config, saver_in
from langgraph_conductor.graph.checks import narrowed
from langgraph_conductor.graph.clock import wall_seconds
from langgraph_conductor.graph.compiler import (
    Graph,
    Shape,
    WorkflowGraphs,
    branches_of,
    shape_of,
    shape_of_values,
)
from langgraph_conductor.graph.ledgers import Ledgers, budget_of, check_format
from langgraph_conductor.graph.left import Done, Left, channels_of, done_of, left_of
from langgraph_conductor.graph.run_context import RunContext, current, handed_down
from langgraph_conductor.graph.standing import by_hand
from langgraph_conductor.graph.step import missing_worker
from langgraph_conductor.graph.telling import stream_of
from langgraph_conductor.options import OPTIONS, Options
from langgraph_conductor.records import RoundRecord, StepOutput, StepRecord, latest_answered, without_steps
from langgraph_conductor.state import (
    PREVIOUS,
    ROUND,
    earlier_channel,
    out_channel,
    record_channel,
    spec_channel,
    stands_channel,
)
from langgraph_conductor.workers import WorkerPool
from langgraph_conductor.workers.redaction import hiding_keys_of
from langgraph_conductor.workflow import ALL, Workflow


class WorkflowNode(PregelProtocol[Any, Any, Any, Any]):
    """Runs the `workflow` of a round's state and makes the round's record.

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
        graph, given, inner, context = self._start(input, config, self.left(config))
        with handed_down(context):
            return _finish(input, graph.invoke(given, inner, **kwargs), inner)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """Run it, awaited."""
        graph, given, inner, context = self._start(input, config, await self.aleft(config))
        with handed_down(context):
            return _finish(input, await graph.ainvoke(given, inner, **kwargs), inner)

    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:  # noqa: A002
        """Stream the graph of the workflow; without a mode, the one update of this node.

        LangGraph runs a node this way under `astream_events` and takes the last part as its output.
        """
        if not kwargs:
            yield self.invoke(input, config)
            return
        graph, given, inner, context = self._start(input, config, self.left(config))
        with handed_down(context):
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
        graph, given, inner, context = self._start(input, config, await self.aleft(config))
        with handed_down(context):
            async for part in graph.astream(given, inner, **kwargs):
                yield part

    def _start(
        self, state: Mapping[str, Any], config: RunnableConfig | None, left: Left
    ) -> tuple[Graph, dict[str, Any], RunnableConfig, RunContext]:
        context, run = current(), state.get("run")
        check_format(run)
        rounds = [*context.rounds]
        pool = self.offered(config, run)
        workflow = Workflow.from_json(state["workflow"])
        done = done_of(left, state.get("stands"))
        self._check(workflow, pool, done, begun=bool(left.channels))
        given: dict[str, Any] = {ROUND: len(rounds)}
        if any(step.access == ALL for step in workflow.steps):
            given[PREVIOUS] = previous_outputs(rounds)
        for i, spec in enumerate(workflow.to_json()["steps"]):
            given[spec_channel(i)] = spec
        if not state.get("is_answer", True):
            given[spec_channel(len(workflow.steps) - 1)]["is_answer"] = False
        for i, step in enumerate(workflow.steps):
            if step.earlier:
                given[earlier_channel(i)] = chosen_outputs(rounds, step.earlier)
        for index, stood in (state.get("stands") or {"steps": {}})["steps"].items():
            given[stands_channel(int(index))] = stood
        finished = [step["record"] for step in done.steps.values()]  # they hold what was spent on them
        budget = budget_of(run, self._options, config)
        ledger = self._ledgers.of(run, budget, rounds, state.get("plan"), finished, done.calls)
        inner = inherited(config or {})
        # A chain needs a superstep per step and one to end, whatever limit the host runs under. The
        # saver and the namespace in the config have to arrive untouched.
        if "recursion_limit" in inner:
            inner["recursion_limit"] = max(inner["recursion_limit"], len(workflow.steps) + 2)
        graph = self._graphs.get(shape_of(workflow), pool)
        return graph, given, inner, replace(context, ledger=ledger, kept=left.kept)

    def _check(self, workflow: Workflow, pool: WorkerPool, done: Done, *, begun: bool) -> None:
        """Refuse a workflow that cannot be run to its end: it was edited since it was planned, or its app changed.

        Raises:
            SavedRunError: If it was begun, and a step that has not run needs a worker that is gone.
            PlanError: If it was not begun, and does not fit.
        """
        if not (begun or done.steps):
            pool.check(workflow)
            return
        for index, step in enumerate(workflow.steps):
            if index not in done.steps and step.worker not in pool.names:
                raise missing_worker(index, step.worker, pool)

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

    def record(self, ended: Mapping[str, Any], config: RunnableConfig) -> RoundRecord:
        """The record of a round that has ended.

        Args:
            ended: What the graph of the round gave.
            config: The config of the conductor's node.
        """
        return _given_record(ended) or _round_record(
            ended, self.left(_where_it_ran(ended, config)).channels
        )

    async def arecord(self, ended: Mapping[str, Any], config: RunnableConfig) -> RoundRecord:
        """`record`, awaited."""
        if given := _given_record(ended):
            return given
        return _round_record(ended, (await self.aleft(_where_it_ran(ended, config))).channels)

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
        with hiding_keys_of(self._is_answer):
            return self._is_answer is None or bool(self._is_answer(workflow))

    def offered(self, config: RunnableConfig | None, run: Mapping[str, Any] | None = None) -> WorkerPool:
        """The workers of a run."""
        return offered(self._graphs.pool, self.options(config, run))

    def options(self, config: RunnableConfig | None, run: Mapping[str, Any] | None = None) -> Options:
        """The options of a run."""
        return self._options.over(config, run)

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
        return self._graph(config).bulk_update_state(config, updates)

    async def abulk_update_state(self, config: RunnableConfig, updates: Any) -> RunnableConfig:
        """`bulk_update_state`, awaited."""
        return await (await self._agraph(config)).abulk_update_state(config, updates)

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


def _given_record(ended: Mapping[str, Any]) -> RoundRecord | None:
    """The record of a round, unless the process ended after the round and before its record was stored."""
    if ended.get("record"):
        record: RoundRecord = ended["record"]
        return record
    return round_without_steps(ended)


def round_without_steps(ended: Mapping[str, Any]) -> RoundRecord | None:
    """The record of a round that ended without a workflow: the planner accepted, or a person said stop.

    Args:
        ended: The state of the round.
    """
    if not ended.get("final") or ended.get("workflow") is not None or not ended.get("plan"):
        return None
    return without_steps(ended.get("round") or 0, ended["plan"], accepted="approval" not in ended["plan"])


def _where_it_ran(ended: Mapping[str, Any], config: RunnableConfig) -> RunnableConfig:
    if "ran" not in ended:
        raise SavedRunError(
            "what waits on this thread was stored by a conductor that was in the graph in another way "
            "(`create_conductor` as a node, `add_conductor`); resume it with the graph it began in, or ask anew "
            "with a message"
        )
    return inner_config(saver_in(config), config["configurable"]["thread_id"], ended["ran"])


def offered(pool: WorkerPool, options: Options) -> WorkerPool:
    """The workers one run may use; see `checks.check_choice` for what was refused when it began."""
    return narrowed(pool, options)


_EDITING: Final = (
    "`update_state` inside a workflow ends the steps that wait beside the one it names; edit with "
    "`langgraph_conductor.editing`, which lets them wait"
)


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


def check_workflow(
    workflow: Workflow, pool: WorkerPool, rounds: Sequence[RoundRecord], over: Container[int] = ()
) -> None:
    """Refuse a workflow that cannot be run.

    Args:
        workflow: What is to run.
        pool: Who is offered.
        rounds: The rounds before.
        over: Positions of steps that have run already.

    Raises:
        PlanError: If a step's worker is not there, or may not be last, or a step is granted what is not there.
    """
    pool.check(workflow, over=over)
    for step in workflow.steps:
        chosen_outputs(rounds, step.earlier)


def chosen_outputs(
    rounds: Sequence[RoundRecord], chosen: Iterable[tuple[int, int]]
) -> list[dict[str, Any]]:
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
    record = _round_record(state, result)
    stream_of(config).send(
        RoundFinished(type="round_finished", round=record["round"], answer=record["answer"])
    )
    return {"record": record, "ran": (config.get("configurable") or {}).get("checkpoint_ns", "")}


def _round_record(state: Mapping[str, Any], result: Mapping[str, Any]) -> RoundRecord:
    """The record of a round.

    Args:
        state: The round's.
        result: What the channels of its workflow hold.
    """
    size = len(state["workflow"]["steps"])
    if missing := [i for i in range(size) if out_channel(i) not in result]:
        raise PlanError(f"steps {missing} have not run: {_EDITING}")
    steps = [_record(result, i) for i in range(size)]
    record: RoundRecord = {
        "round": state.get("round") or 0,
        "accepted": False,
        "workflow": state["workflow"],
        "plan": state["plan"],
        "steps": steps,
        "answer": next((step["text"] for step in reversed(steps) if step["text"]), ""),
        "final": bool(state.get("final")),
        "wall_seconds": wall_seconds(steps, state.get("round") or 0),
    }
    if not state.get("is_answer", True):
        record["is_answer"] = False
    if discarded := (state.get("stands") or {}).get("discarded"):
        record["discarded"] = discarded
    return record
