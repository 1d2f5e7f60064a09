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

from langgraph_conductor.budget import Budget
from langgraph_conductor.conversation import question_blocks, question_of
from langgraph_conductor.driving import inherited
from langgraph_conductor.errors import BudgetExceededError, WorkerError
from langgraph_conductor.graph._langgraph import node, router
from langgraph_conductor.graph.accounts import (
    causes,
    ended_by_budget,
    failures,
    stopped_by_person,
    usage_of,
)
from langgraph_conductor.graph.approval import Approve
from langgraph_conductor.graph.checks import check_bounds, check_offer
from langgraph_conductor.graph.compiler import WorkflowGraphs
from langgraph_conductor.graph.ledgers import Ledgers, own_rounds
from langgraph_conductor.graph.round import build_round
from langgraph_conductor.graph.step import OnStepError
from langgraph_conductor.graph.traces import INTEGRATION, marked
from langgraph_conductor.graph.workflow_node import offered
from langgraph_conductor.options import Options
from langgraph_conductor.planners.protocol import Planner, planner_of
from langgraph_conductor.records import latest_answered
from langgraph_conductor.state import ConductorInput, ConductorOutput, ConductorState
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
    budget: Budget | Mapping[str, Any] | None = None,
    on_step_error: OnStepError = "record",
    approve: Approve = False,
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
        budget: The most a run may use. The run then ends with the best answer it has, and `stopped` says why.
        on_step_error: `"record"`: a failed step is recorded and later steps are told. `"raise"`: the
            run stops with `WorkerError` and, with a checkpointer, resumes at that step.
        approve: Whether a person is asked before a workflow runs, by an interrupt in the form of LangGraph's
            agent inbox: to let it run, to edit it, to have another one planned, or to end the run. A function
            of the `Workflow` says it of each. It needs a checkpointer.
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
        A compiled graph. Its result holds `messages`, `answer`, `rounds` (`RoundRecord`s), `usage`, and
        `stopped`, which is empty unless the budget ended the run.

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
    check_name(name, "conductor")
    if on_step_error not in ("record", "raise"):
        raise ValueError(f'on_step_error must be "record" or "raise", not {on_step_error!r}')
    if not (isinstance(approve, bool) or callable(approve)):
        raise ValueError(f"approve must be True, False or a function of the Workflow, not {approve!r}")
    options = Options(
        max_steps=max_steps, max_rounds=max_rounds, budget=None if budget is None else Budget.of(budget)
    )
    pool = WorkerPool(workers)
    graphs = WorkflowGraphs(pool, on_step_error=on_step_error, cache=cache)
    used = planner_of(planner)
    if check := getattr(used, "check", None):
        check(pool)
    check_bounds(options.budget, used, pool)
    ledgers = Ledgers()
    one_round = build_round(
        used, graphs, ledgers, fallback=_fallback(fallback, pool), options=options, approve=approve
    )

    def intake(state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        # What does not fit is refused now, before anything is paid.
        chosen = options.over(config)
        check_offer(used, chosen)
        check_bounds(chosen.budget, used, offered(pool, chosen))
        if get_question is None:
            question = question_of(state.get("messages") or [])
        else:
            question = question_blocks(get_question(state))
        # Everything of an earlier turn on this thread is cleared.
        return {
            "question": question,
            "rounds": list(chosen.rounds),
            "answer": "",
            "usage": {},
            "stopped": "",
            "run": ledgers.new_run(chosen.budget, len(chosen.rounds)),
        }

    def blocking_intake(state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        for worker in pool:
            if worker.form.call is None:
                raise TypeError(async_only(worker.name))
        return intake(state, config)

    async def async_intake(state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        return intake(state, config)

    # The round's number is known only now, and all that runs below is marked with it. LangGraph finds the
    # graph by what the functions refer to.
    def numbered(state: Mapping[str, Any], config: RunnableConfig) -> RunnableConfig:
        return marked(inherited(config), conductor_round=len(state.get("rounds") or ()))

    def blocking_round(state: Mapping[str, Any], config: RunnableConfig) -> Any:
        return one_round.invoke(state, numbered(state, config))

    async def async_round(state: Mapping[str, Any], config: RunnableConfig) -> Any:
        return await one_round.ainvoke(state, numbered(state, config))

    def again(state: ConductorState, config: RunnableConfig) -> str:
        rounds = state["rounds"]
        chosen = options.over(config)
        refused = ended_by_budget(own_rounds(state.get("run"), rounds))
        over = rounds[-1]["final"] or len(rounds) >= chosen.max_rounds or refused
        return "answer" if over else "round"

    def answer(state: ConductorState) -> dict[str, Any]:
        rounds = state["rounds"]
        ledgers.close(state.get("run"))
        refusal = ended_by_budget(own_rounds(state.get("run"), rounds))
        stopped = refusal["message"] if refusal else stopped_by_person(rounds)
        answered = latest_answered(rounds)
        if answered is None and not stopped_by_person(rounds):
            if refusal:
                why = "no worker gave an answer within the budget"
                raise BudgetExceededError(why, limit=refusal["limit"], causes=causes(rounds))
            of_steps = [step["error"] for r in rounds for step in r["steps"] if step["error"]]
            raise WorkerError(
                "no worker gave an answer",
                causes=causes(rounds),
                infrastructure=all(error["infrastructure"] for error in of_steps),
                errors=[error for _, error in failures(rounds)],
            )
        text = answered["answer"] if answered else ""
        usage = usage_of(rounds)
        about = {
            "rounds": len(rounds),
            "steps": sum(len(r["steps"]) for r in rounds),
            "usage": usage,
            "stopped": stopped,
        }
        message = AIMessage(text or stopped, name=name, response_metadata={"conductor": about})
        return {"messages": [message], "answer": text, "usage": usage, "stopped": stopped}

    builder = StateGraph(
        ConductorState,
        context_schema=context_schema,
        input_schema=ConductorInput,
        output_schema=ConductorOutput,
    )
    builder.add_node("intake", node("intake", blocking_intake, async_intake), input_schema=ConductorInput)
    builder.add_node("round", node("round", blocking_round, async_round))
    builder.add_node("answer", answer)
    builder.add_edge(START, "intake")
    builder.add_edge("intake", "round")
    builder.add_conditional_edges("round", router("again", again), ["round", "answer"])
    builder.add_edge("answer", END)
    graph = builder.compile(checkpointer=checkpointer, store=store, cache=cache, name=name)
    return graph.with_config(INTEGRATION)


def _fallback(name: str | None, pool: WorkerPool) -> str:
    able = [worker.name for worker in pool if worker.may_be_last]
    if not able:
        raise ValueError("no worker may be last, so no workflow could end; set may_be_last on one")
    if name is None:
        return able[0]
    if name not in able:
        raise ValueError(f"fallback {name!r} must be a worker that may be last: one of {able}")
    return name
