"""The conductor: the outer loop around rounds of planning and running."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from langgraph.cache.base import BaseCache
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.store.base import BaseStore
from langgraph.types import Checkpointer

from langgraph_conductor.conversation import question_blocks, question_of
from langgraph_conductor.errors import WorkerError
from langgraph_conductor.graph._langgraph import node
from langgraph_conductor.graph.compiler import WorkflowGraphs
from langgraph_conductor.graph.round import build_round
from langgraph_conductor.graph.step import OnStepError
from langgraph_conductor.options import Options
from langgraph_conductor.planners.protocol import Planner, planner_of
from langgraph_conductor.records import RoundRecord, latest_answered
from langgraph_conductor.state import ConductorInput, ConductorOutput, ConductorState
from langgraph_conductor.usage import Usage
from langgraph_conductor.workers import Worker, WorkerPool
from langgraph_conductor.workers.forms import async_only
from langgraph_conductor.workers.worker import check_name


def create_conductor(
    planner: str | BaseChatModel | Planner,
    workers: WorkerPool | Iterable[Worker | Mapping[str, Any]],
    *,
    max_steps: int = 5,
    max_rounds: int = 1,
    fallback: str | None = None,
    on_step_error: OnStepError = "record",
    get_question: Callable[[Mapping[str, Any]], str | list[Any]] | None = None,
    context_schema: type[Any] | None = None,
    checkpointer: Checkpointer = None,
    store: BaseStore | None = None,
    cache: BaseCache[Any] | None = None,
    name: str = "conductor",
) -> CompiledStateGraph[Any, Any, Any, Any]:
    """Create a conductor: messages in, a planned team of workers, one answer message out.

    The graph is `intake -> round -> answer`, with an edge from `round` back to itself. A round plans,
    then compiles the workflow to a graph and runs it. Use it alone, as a node of another graph, or as
    a worker of another conductor.

    Args:
        planner: Who plans: a model string, a chat model, or a `Planner`.
        workers: The pool, or its workers.
        max_steps: Most steps of a workflow read from a planner's text (the paper uses 5).
        max_rounds: Most rounds. After each round but the last the planner sees its workflow and the
            answer, and accepts or plans again (paper, section 3.2).
        fallback: The worker that answers alone where planning fails; by default the first that may be
            last.
        on_step_error: `"record"`: a failed step is recorded and later steps are told. `"raise"`: the
            run stops with `WorkerError` and, with a checkpointer, resumes at that step.
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
        A compiled graph. Its result holds `messages`, `answer`, `rounds` (`RoundRecord`s) and `usage`.

    Raises:
        ValueError: If an option does not fit.
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
    check_name(name, "conductor")
    if on_step_error not in ("record", "raise"):
        raise ValueError(f'on_step_error must be "record" or "raise", not {on_step_error!r}')
    options = Options(max_steps=max_steps, max_rounds=max_rounds)
    pool = WorkerPool(workers)
    graphs = WorkflowGraphs(pool, on_step_error=on_step_error, cache=cache)
    used = planner_of(planner)
    if check := getattr(used, "check", None):
        check(pool)
    one_round = build_round(used, graphs, fallback=_fallback(fallback, pool), options=options)

    def intake(state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        options.over(config)  # refused now, before anything is paid
        if get_question is None:
            question = question_of(state.get("messages") or [])
        else:
            question = question_blocks(get_question(state))
        # Everything of an earlier turn on this thread is cleared.
        return {"question": question, "rounds": [], "answer": "", "usage": {}}

    def blocking_intake(state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        for worker in pool:
            if worker.form.call is None:
                raise TypeError(async_only(worker.name))
        return intake(state, config)

    async def async_intake(state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        return intake(state, config)

    def again(state: ConductorState, config: RunnableConfig) -> str:
        rounds = state["rounds"]
        stop = rounds[-1]["final"] or len(rounds) >= options.over(config).max_rounds
        return "answer" if stop else "round"

    def answer(state: ConductorState) -> dict[str, Any]:
        rounds = state["rounds"]
        answered = latest_answered(rounds)
        if answered is None:
            errors = [step["error"] for r in rounds for step in r["steps"] if step["error"]]
            outages = all(error["infrastructure"] for error in errors)
            raise WorkerError("no worker gave an answer", causes=_causes(rounds), infrastructure=outages)
        text = answered["answer"]
        usage = usage_of(rounds)
        about = {"rounds": len(rounds), "steps": sum(len(r["steps"]) for r in rounds), "usage": usage}
        message = AIMessage(text, name=name, response_metadata={"conductor": about})
        return {"messages": [message], "answer": text, "usage": usage}

    builder = StateGraph(
        ConductorState,
        context_schema=context_schema,
        input_schema=ConductorInput,
        output_schema=ConductorOutput,
    )
    builder.add_node("intake", node("intake", blocking_intake, async_intake), input_schema=ConductorInput)
    builder.add_node("round", one_round)
    builder.add_node("answer", answer)
    builder.add_edge(START, "intake")
    builder.add_edge("intake", "round")
    builder.add_conditional_edges("round", again, ["round", "answer"])
    builder.add_edge("answer", END)
    return builder.compile(checkpointer=checkpointer, store=store, cache=cache, name=name)


def usage_of(rounds: Iterable[RoundRecord]) -> dict[str, Any]:
    """What rounds used: planner and workers apart and together, and the time on the clock."""
    rounds = list(rounds)
    planner = sum((Usage.from_json(r["plan"]["usage"]) for r in rounds), Usage())
    workers = sum((Usage.from_json(s["usage"]) for r in rounds for s in r["steps"]), Usage())
    return {
        "planner": planner.to_json(),
        "workers": workers.to_json(),
        "total": (planner + workers).to_json(),
        "wall_seconds": sum(r["plan"]["seconds"] + r["wall_seconds"] for r in rounds),
    }


def _fallback(name: str | None, pool: WorkerPool) -> str:
    able = [worker.name for worker in pool if worker.may_be_last]
    if not able:
        raise ValueError("no worker may be last, so no workflow could end; set may_be_last on one")
    if name is None:
        return able[0]
    if name not in able:
        raise ValueError(f"fallback {name!r} must be a worker that may be last: one of {able}")
    return name


def _causes(rounds: Iterable[RoundRecord]) -> list[str]:
    causes: list[str] = []
    for record in rounds:
        if error := record["plan"]["error"]:
            causes.append(f"round {record['round']}, planner: {error['type']}: {error['message']}")
        for step in record["steps"]:
            if error := step["error"]:
                where = f"round {record['round']}, step {step['index']} ({step['worker']})"
                causes.append(f"{where}: {error['type']}: {error['message']}")
    return causes
