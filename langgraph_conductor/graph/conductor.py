"""The conductor: the outer loop around rounds of planning and running, as a graph of its own or a node of one."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, get_type_hints

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.cache.base import BaseCache
from langgraph.channels import LastValue, UntrackedValue
from langgraph.graph import END, START, StateGraph
from langgraph.managed import RemainingSteps
from langgraph.store.base import BaseStore
from langgraph.types import Checkpointer
from typing_extensions import TypedDict

from langgraph_conductor.budget import Budget
from langgraph_conductor.graph._langgraph import node, router
from langgraph_conductor.graph.added import AGAIN, AddedNode
from langgraph_conductor.graph.approval import Approve
from langgraph_conductor.graph.bound import ConductorGraph, with_bound_options
from langgraph_conductor.graph.ledgers import check_format
from langgraph_conductor.graph.outer_loop import OuterLoop, Question, asks_the_same
from langgraph_conductor.graph.step import OnStepError
from langgraph_conductor.graph.traces import INTEGRATION
from langgraph_conductor.options import MAX_ROUNDS, MAX_STEPS
from langgraph_conductor.planners.protocol import Planner
from langgraph_conductor.records import ContentBlock, RoundRecord
from langgraph_conductor.state import ConductorInput, ConductorOutput, ConductorState, newest
from langgraph_conductor.workers import Worker, WorkerPool

_OWN: Final[dict[str, Any]] = {
    "question": list[ContentBlock],
    "rounds": list[RoundRecord],
    "run": Annotated[dict[str, Any], newest],  # with a reducer, so that it is there before it was written
}
"""The channels that a conductor keeps in a graph it is added to, each with the conductor's name before its own."""


class _RoundState(ConductorState, total=False):
    remaining_steps: RemainingSteps


def create_conductor(
    planner: str | Runnable[Any, Any] | Planner,
    workers: WorkerPool | Iterable[Worker | Mapping[str, Any]],
    *,
    max_steps: int = MAX_STEPS,
    max_rounds: int = MAX_ROUNDS,
    fallback: str | None = None,
    budget: Budget | Mapping[str, Any] | None = None,
    on_step_error: OnStepError = "record",
    approve: Approve = False,
    get_question: Question | None = None,
    context_schema: type[Any] | None = None,
    checkpointer: Checkpointer = None,
    store: BaseStore | None = None,
    cache: BaseCache[Any] | None = None,
    name: str = "conductor",
) -> ConductorGraph:
    """Create a conductor: messages in, a planned team of workers, one answer message out.

    The graph is `intake -> round -> answer`, with an edge from `round` back to itself. A round plans,
    then compiles the workflow to a graph and runs it. Use it alone, as a node of another graph, or as
    a worker of another conductor.

    Args:
        planner: Who plans: a model string, a chat model, or a `Planner`.
        workers: The pool, or its workers.
        max_steps: Most steps of a workflow read from a planner's text (the paper uses 5). Like `max_rounds` and
            `budget`, a call may only lower it if it is given here, and may choose it if it is left out.
        max_rounds: Most rounds. After each round but the last the planner sees its workflow and the
            answer, and accepts or plans again (paper, section 3.2).
        fallback: The worker that answers alone where planning fails; by default the first that may be
            last.
        budget: The most a run may use. The run then ends with the best answer it has, and `stopped` says why.
        on_step_error: What happens where a worker, and its fallback, failed for good. `"record"`: the step is
            recorded as failed (`rounds[i]["steps"][j]["error"]`, with file and line where your own code is to
            blame), the steps that read it are told, and the run goes on; if no step gives text, it ends with
            `WorkerError`. `"raise"`: the run stops with `WorkerError` and, with a checkpointer, resumes at that
            step: the choice for development and tests. Either way a bug in a function, tool, graph or planner of
            your own is heard: it is raised with its cause, or logged as a warning with its traceback.
        approve: Whether a person is asked before a workflow runs, by an interrupt in the form of LangChain's
            human-in-the-loop middleware, which is answered with `Command(resume={"decisions": [...]})`: to let it
            run, to edit it, or to have another one planned. `False` ends the run. A function of the `Workflow`
            says it of each; where it fails, a person is asked. It needs a checkpointer.
        get_question: Makes the question, text or content blocks, from `{"messages": [...]}` in place of
            rendering the conversation.
        context_schema: As in `StateGraph`; workers' tools read it from the runtime.
        checkpointer: As in `StateGraph.compile`. Leave it out when the conductor is part of another
            graph, whose saver it then shares. Pass `durability="sync"` to `invoke`: with LangGraph's
            default a killed process may lose the newest saves, and then repeats what they held.
        store: As in `StateGraph.compile`.
        cache: As in `StateGraph.compile`; the conductor's own nodes are never cached.
        name: Name of the graph and of the answer message.

    Returns:
        A compiled graph, LangGraph's own. Its result (`ConductorResult`) holds `messages`, `answer`, `rounds`
        (`RoundRecord`s), `usage`, and `stopped`, which is empty unless the budget ended the run.

    Raises:
        ValueError: If an option does not fit, or a model's calls have no bound under the budget.
        TypeError: If the planner or a worker is not of a known form.
        PlanError: If a fixed strategy names a worker that is not there or may not be last.

    Example:
        ```python
        from langgraph_conductor import Worker, create_conductor

        conductor = create_conductor(
            "openai:gpt-5-mini",
            [
                Worker("coder", "openai:gpt-5", description="Writes and repairs code."),
                Worker("shout", lambda task: task.inputs[0].text.upper(), description="Shouts."),
            ],
        )
        result = conductor.invoke({"messages": [{"role": "user", "content": "Say hello, loudly."}]})
        print(result["messages"][-1].text)
        ```
    """
    loop = OuterLoop.of(
        planner,
        workers,
        name=name,
        max_steps=max_steps,
        max_rounds=max_rounds,
        fallback=fallback,
        budget=budget,
        on_step_error=on_step_error,
        approve=approve,
        get_question=get_question,
        cache=cache,
    )
    one_round = loop.one_round  # LangGraph finds the graph by what the functions refer to

    def blocking_intake(state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        loop.check_blocking()
        return loop.intake(state, config)

    async def async_intake(state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        return loop.intake(state, config)

    def begun(state: Mapping[str, Any], config: RunnableConfig) -> Mapping[str, Any]:
        """The run, or a new one where someone edited the question while it waited."""
        check_format(run := state.get("run"))
        now = state if run and asks_the_same(run, state) else loop.intake(state, config)
        return {channel: now.get(channel) for channel in ("question", "rounds", "run")}

    def blocking_round(state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        _ = one_round
        room = _room(state["remaining_steps"])
        return loop.run_round(begun(state, config), config, room, state.get("messages") or ())

    async def async_round(state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        _ = one_round
        room = _room(state["remaining_steps"])
        return await loop.arun_round(begun(state, config), config, room, state.get("messages") or ())

    def again(state: ConductorState, config: RunnableConfig) -> str | list[str]:
        if not state.get("rounds"):
            return []  # someone wrote to the thread in the name of `round`, and no run goes on
        return "answer" if loop.over(state, config) else "round"

    def answer(state: ConductorState, config: RunnableConfig) -> dict[str, Any]:
        return loop.answer(state, config)

    builder = StateGraph(
        ConductorState,
        context_schema=context_schema,
        input_schema=ConductorInput,
        output_schema=ConductorOutput,
    )
    builder.add_node("intake", node("intake", blocking_intake, async_intake), input_schema=ConductorInput)
    builder.add_node("round", node("round", blocking_round, async_round), input_schema=_RoundState)
    builder.add_node("answer", answer)
    builder.add_edge(START, "intake")
    builder.add_edge("intake", "round")
    builder.add_conditional_edges("round", router("again", again), ["round", "answer"])
    builder.add_edge("answer", END)
    graph = builder.compile(checkpointer=checkpointer, store=store, cache=cache, name=name)
    return with_bound_options(graph).with_config(INTEGRATION)


def add_conductor(
    builder: StateGraph[Any, Any, Any, Any],
    planner: str | Runnable[Any, Any] | Planner,
    workers: WorkerPool | Iterable[Worker | Mapping[str, Any]],
    *,
    name: str = "conductor",
    then: str = END,
    max_steps: int = MAX_STEPS,
    max_rounds: int = MAX_ROUNDS,
    fallback: str | None = None,
    budget: Budget | Mapping[str, Any] | None = None,
    on_step_error: OnStepError = "record",
    approve: Approve = False,
    get_question: Question | None = None,
    cache: BaseCache[Any] | None = None,
) -> StateGraph[Any, Any, Any, Any]:
    """Add a conductor to a graph that is being built, as one node with an edge back to itself.

    The node plans and runs one round; the edge leads back to it until the run is over, and then to `then`. The
    answer is one new message, named after the node, with a short record of the run in
    `response_metadata["conductor"]`. What the conductor keeps from round to round lies in channels of its own,
    `{name}_rounds` and others, so that two of them in one graph do not touch. A new human message, or coming back
    after the run was over, begins a new run.

    Args:
        builder: A graph whose state has `messages`, as `MessagesState` does.
        planner: As in `create_conductor`, like all that follows but `then`.
        workers: The pool, or its workers.
        name: Of the node, of its channels, and of the answer message.
        then: The node that comes after the answer. An edge that is drawn from the conductor by hand would be
            followed after every round, and is refused when the graph runs, unless there is one round only.
        max_steps: Most steps of a workflow read from a planner's text.
        max_rounds: Most rounds.
        fallback: The worker that answers alone where planning fails.
        budget: The most a run may use.
        on_step_error: `"record"` or `"raise"`.
        approve: Whether a person is asked before a workflow runs.
        get_question: Makes the question from the graph's state.
        cache: LangGraph's node cache, for the workflows; a subgraph does not inherit it.

    Returns:
        `builder`.

    Raises:
        ValueError: If the state has no `messages`, or an option does not fit.
        TypeError: If the planner or a worker is not of a known form.
        PlanError: If a fixed strategy names a worker that is not there or may not be last.

    Example:
        ```python
        from langgraph.graph import START, MessagesState, StateGraph

        from langgraph_conductor import Worker, add_conductor
        from langgraph_conductor.planners import fixed

        builder = StateGraph(MessagesState)
        add_conductor(builder, fixed.single("echo"), [Worker("echo", lambda task: task.question[0]["text"])])
        builder.add_edge(START, "conductor")
        app = builder.compile()
        print(app.invoke({"messages": [{"role": "user", "content": "Hello!"}]})["messages"][-1].text)
        ```
    """
    loop = OuterLoop.of(
        planner,
        workers,
        name=name,
        max_steps=max_steps,
        max_rounds=max_rounds,
        fallback=fallback,
        budget=budget,
        on_step_error=on_step_error,
        approve=approve,
        get_question=get_question,
        cache=cache,
    )
    hints = get_type_hints(builder.state_schema, include_extras=True)
    if "messages" not in hints:
        raise ValueError(
            "the graph's state has no `messages`, where the answer would go; build it on MessagesState, or wrap "
            "create_conductor(...) in a node of your own"
        )
    own = {f"{name}_{channel}": kind for channel, kind in _OWN.items()}
    own[f"{name}_sent"] = Annotated[dict[str, Any], UntrackedValue(dict, guard=False)]
    if taken := sorted(set(own) & set(builder.channels)):
        raise ValueError(
            f"the graph already has channels {taken}; give the conductor another name than {name!r}"
        )
    make: Any = TypedDict
    remaining = f"{name}_remaining_steps"
    schema = make(f"{name}_state", {**hints, **own, remaining: RemainingSteps}, total=False)
    # Without a reducer, what a node gives for `messages` takes the place of the conversation.
    replaces = isinstance(builder.channels.get("messages"), LastValue)
    added = AddedNode(loop.beside_others(builder), name, then, builder, replaces)
    one_round = loop.one_round  # LangGraph finds the graph by what the functions refer to

    def blocking(state: Any, config: RunnableConfig) -> dict[str, Any]:
        _ = one_round
        loop.check_blocking()
        entry = added.entered(state, config)
        return added.left(entry, added.loop.run_round(entry.now, config, entry.room, entry.turns), config)

    async def awaited(state: Any, config: RunnableConfig) -> dict[str, Any]:
        _ = one_round
        entry = added.entered(state, config)
        ended = await added.loop.arun_round(entry.now, config, entry.room, entry.turns)
        return added.left(entry, ended, config)

    builder.add_node(name, node(name, blocking, awaited), input_schema=schema)
    builder.add_conditional_edges(name, router(AGAIN, added.again), {name: name, then: then})
    return builder


def _room(remaining: int) -> int:
    """Rounds there is room for after this one: a superstep is for the answer, and the last one is none."""
    return remaining - 2
