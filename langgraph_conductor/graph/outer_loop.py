"""The outer loop: what is done before the first round, after the last, and in between."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from typing import Any, Final
from weakref import WeakKeyDictionary

from langchain_core.messages import AIMessage, HumanMessage, convert_to_messages
from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.cache.base import BaseCache
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph

from langgraph_conductor.attachments import resolved
from langgraph_conductor.budget import Budget
from langgraph_conductor.containment import contained
from langgraph_conductor.conversation import question_blocks, question_of
from langgraph_conductor.driving import inherited
from langgraph_conductor.errors import SavedRunError
from langgraph_conductor.events import Answered
from langgraph_conductor.graph._langgraph import has_saver, is_nested, without_inner_state
from langgraph_conductor.graph.accounts import ended_by_budget, stopped_by_person, unanswered, usage_of
from langgraph_conductor.graph.approval import Approve
from langgraph_conductor.graph.checks import check_bounds, check_choice, check_offer
from langgraph_conductor.graph.compiler import WorkflowGraphs
from langgraph_conductor.graph.event_stream import EventStream
from langgraph_conductor.graph.ledgers import Ledgers, check_format, own_rounds
from langgraph_conductor.graph.round import build_round
from langgraph_conductor.graph.run_context import RunContext, handed_down
from langgraph_conductor.graph.step import OnStepError
from langgraph_conductor.graph.traces import marked
from langgraph_conductor.graph.workflow_node import WorkflowNode, offered
from langgraph_conductor.options import Options, is_round, names_in
from langgraph_conductor.planners.protocol import Planner, planner_of
from langgraph_conductor.records import RoundRecord, latest_answered
from langgraph_conductor.workers import Worker, WorkerPool
from langgraph_conductor.workers.forms import async_only
from langgraph_conductor.workers.redaction import hiding_keys_of
from langgraph_conductor.workers.worker import check_name

Question = Callable[[Any], str | list[Any]]
"""Makes the question, text or content blocks, from a state."""

_NO_STEPS_LEFT: Final = (
    "the graph's recursion_limit left no room for another round; call it with a higher recursion_limit"
)
_POOLS: Final[WeakKeyDictionary[WorkerPool, str]] = WeakKeyDictionary()
"""The pools of all conductors there are, and their names."""
_BESIDE: Final[WeakKeyDictionary[StateGraph[Any, Any, Any, Any], list["OuterLoop"]]] = WeakKeyDictionary()
"""The conductors that were added to a graph."""


@dataclass(frozen=True, slots=True)
class OuterLoop:
    """What a conductor does around its rounds, over a state with the channels of `ConductorState`.

    Args:
        name: Of the conductor, and of its answer message.
        planner: Who plans.
        pool: The workers.
        options: Defaults of what may differ from run to run.
        ledgers: Where the budgets of runs are kept.
        one_round: The graph of a round.
        workflows: The node in it that runs workflows.
        get_question: Makes the question; the conversation is rendered if left out.
        asks: Whether a person may be asked before a workflow runs.
        beside: The conductors that were added to the same graph, this one included.
    """

    name: str
    planner: Planner
    pool: WorkerPool
    options: Options
    ledgers: Ledgers
    one_round: CompiledStateGraph[Any, Any, Any, Any]
    workflows: WorkflowNode
    get_question: Question | None
    asks: bool
    beside: list["OuterLoop"] = field(default_factory=list, compare=False)

    @classmethod
    def of(
        cls,
        planner: str | Runnable[Any, Any] | Planner,
        workers: WorkerPool | Iterable[Worker | Mapping[str, Any]],
        *,
        name: str,
        max_steps: int,
        max_rounds: int,
        fallback: str | None,
        budget: Budget | Mapping[str, Any] | None,
        on_step_error: OnStepError,
        approve: Approve,
        get_question: Question | None,
        cache: BaseCache[Any] | None,
    ) -> "OuterLoop":
        """The loop of a conductor; see `create_conductor` for the arguments and what is raised."""
        check_name(name, "conductor")
        if on_step_error not in ("record", "raise"):
            raise ValueError(f'on_step_error must be "record" or "raise", not {on_step_error!r}')
        if not (isinstance(approve, bool) or callable(approve)):
            raise ValueError(f"approve must be True, False or a function of the Workflow, not {approve!r}")
        options = Options(
            max_steps=max_steps,
            max_rounds=max_rounds,
            budget=None if budget is None else Budget.of(budget),
            name=name,
        )
        pool = WorkerPool(workers)
        graphs = WorkflowGraphs(pool, on_step_error=on_step_error, cache=cache)
        used = planner_of(planner)
        if check := getattr(used, "check", None):
            check(pool)
        check_bounds(options.budget, used, pool)
        ledgers = Ledgers()
        last = _fallback(fallback, pool)
        workflows = WorkflowNode(graphs, ledgers, options, getattr(used, "is_answer", None))
        one_round = build_round(used, workflows, ledgers, fallback=last, options=options, approve=approve)
        _POOLS[pool] = name
        return cls(name, used, pool, options, ledgers, one_round, workflows, get_question, bool(approve))

    def beside_others(self, builder: StateGraph[Any, Any, Any, Any]) -> "OuterLoop":
        """This loop, among those of the conductors that were added to the same graph."""
        beside = _BESIDE.setdefault(builder, [])
        loop = replace(self, beside=beside)
        beside.append(loop)
        return loop

    def check_blocking(self) -> None:
        """Refuse a blocking run of workers that can only be awaited.

        Raises:
            TypeError: If there is one.
        """
        for worker in self.pool:
            if worker.form.call is None:
                raise TypeError(async_only(worker.name))

    def intake(self, state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        """What a run begins with; everything of an earlier turn on this thread is cleared.

        Raises:
            ValueError: If there is no question, or what was given for this run does not fit.
        """
        # What does not fit is refused now, before anything is paid.
        if self.asks and not has_saver(config):
            raise ValueError(
                f"{self.name!r} asks a person before a workflow runs (`approve`), and the answer would find "
                "nothing to go on from: give the graph that is called, the outermost one, a checkpointer, such as "
                "`checkpointer=InMemorySaver()`, and call it with a `thread_id`"
            )
        self.check_options(config)
        chosen = self.options.over(config)
        earlier = tuple(getattr(self.planner, "earlier", ()))
        if self.get_question is None:
            question = question_of(state.get("messages") or [], by_reference=True)
        else:
            with hiding_keys_of(self.get_question):
                question = question_blocks(contained(self.get_question, state))
        return {
            "question": question,
            "rounds": list(earlier),
            "answer": "",
            "usage": {},
            "stopped": "",
            "run": self.ledgers.new_run(chosen.budget, len(earlier), self.options.said(chosen))
            | {"asked": _asked(state)},
        }

    def check_options(self, config: RunnableConfig) -> None:
        """Refuse options of a call that do not fit this conductor, or one that shares them: none is paid then.

        Raises:
            ValueError: If there are such.
        """
        loops = [self, *(loop for loop in self.beside if loop is not self)]
        pools = {loop.pool: loop.name for loop in loops}
        if is_nested(config):  # which conductors are in the graphs around it, LangGraph does not tell
            pools |= dict(_POOLS)
        if strangers := sorted({*names_in(config)} - {*pools.values()}):
            raise ValueError(f"there are options for conductors named {strangers}, and no such conductors")
        for loop in loops:
            chosen = loop.options.over(config)
            check_choice(loop.pool, chosen, [pool for pool in pools if pool is not loop.pool])
            check_offer(loop.planner, chosen)
            check_bounds(chosen.budget, loop.planner, offered(loop.pool, chosen))

    def run_round(
        self,
        now: Mapping[str, Any],
        config: RunnableConfig,
        room: int | None,
        messages: Sequence[Any] = (),
    ) -> dict[str, Any]:
        """Plan and run the next round.

        Args:
            now: The state of the run: `question`, `rounds` and `run`.
            config: The config of the conductor's node.
            room: Rounds that the graph's `recursion_limit` has room for after this one; `None` if unknown.
            messages: The conversation, in which attachments of earlier turns lie.

        Returns:
            `now` with the round added to `rounds`.

        Raises:
            SavedRunError: If an earlier version stored the run, or its rounds are none.
        """
        given, inner, context = self._handed(now, config, messages)
        with handed_down(context):
            ended = self.one_round.invoke(given, inner)
        return self._with(now, ended, self.workflows.record(ended, config), config, room)

    async def arun_round(
        self,
        now: Mapping[str, Any],
        config: RunnableConfig,
        room: int | None,
        messages: Sequence[Any] = (),
    ) -> dict[str, Any]:
        """`run_round`, awaited."""
        given, inner, context = self._handed(now, config, messages)
        with handed_down(context):
            ended = await self.one_round.ainvoke(given, inner)
        return self._with(now, ended, await self.workflows.arecord(ended, config), config, room)

    def _with(
        self,
        now: Mapping[str, Any],
        ended: Mapping[str, Any],
        record: RoundRecord,
        config: RunnableConfig,
        room: int | None,
    ) -> dict[str, Any]:
        """The state of a run with one more round, the last one if the graph has no room for another.

        The round knows what the run began with. Where an added conductor is resumed in its first round, `now` is
        made anew, under the options of the call that resumes it.
        """
        after = {**now, "run": ended["run"], "rounds": [*(now.get("rounds") or ()), record]}
        if room is None or room > 0 or self.over(after, config):
            return after
        last: RoundRecord = {**record, "final": True, "stopped": _NO_STEPS_LEFT}
        return {**after, "rounds": [*(now.get("rounds") or ()), last]}

    def _handed(
        self, now: Mapping[str, Any], config: RunnableConfig, messages: Sequence[Any]
    ) -> tuple[dict[str, Any], RunnableConfig, RunContext]:
        """What the next round is given, its config, by which all that runs below is marked, and its context."""
        check_format(now["run"])
        rounds = now.get("rounds") or []
        if not isinstance(rounds, list) or not all(map(is_round, rounds)):
            raise SavedRunError(
                "`rounds` in the state are no records of rounds; give them as they were read (`get_state`)"
            )
        stream = EventStream.of(config, tokens=self.options.over(config, now["run"]).tokens)
        failed = partial(self.ledgers.failed, now["run"])
        context = RunContext(resolved(now["question"], messages), rounds, stream, failed=failed)
        inner = marked(without_inner_state(inherited(config)), conductor_round=len(rounds))
        return {"run": now["run"], "round": len(rounds)}, inner, context

    def over(self, state: Mapping[str, Any], config: RunnableConfig) -> bool:
        """Whether no further round is to be planned."""
        rounds = state["rounds"]
        refused = ended_by_budget(own_rounds(state.get("run"), rounds))
        if rounds[-1]["final"] or refused:
            return True
        return len(rounds) >= self.options.over(config, state.get("run")).max_rounds

    def answer(self, state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        """What a run ends with.

        Raises:
            WorkerError: If no worker gave an answer.
            BudgetExceededError: If none did within the budget.
        """
        rounds = state["rounds"]
        cause = self.ledgers.close(state.get("run"))
        refusal = ended_by_budget(own_rounds(state.get("run"), rounds))
        stopped = refusal["message"] if refusal else stopped_by_person(rounds)
        stopped = stopped or (rounds[-1].get("stopped", "") if rounds else "")
        answered = latest_answered(rounds)
        if failed := unanswered(rounds, refusal):
            raise failed from cause
        text = answered["answer"] if answered else ""
        usage = usage_of(rounds)
        about = {
            "rounds": len(rounds),
            "steps": sum(len(r["steps"]) for r in rounds),
            "usage": usage,
            "stopped": stopped,
        }
        told = Answered(type="answer", text=text, rounds=len(rounds), usage=usage, stopped=stopped)
        EventStream.of(config).send(told)
        message = AIMessage(text or stopped, name=self.name, response_metadata={"conductor": about})
        return {"messages": [message], "answer": text, "usage": usage, "stopped": stopped}


def asks_the_same(run: Mapping[str, Any], state: Mapping[str, Any]) -> bool:
    """Whether the newest human message is still the one a run began with, unedited.

    Where none is left, the history was trimmed meanwhile.
    """
    return "asked" not in run or _asked(state) in ("", run["asked"])


def _asked(state: Mapping[str, Any]) -> str:
    """What tells the newest human message from others, and from itself before an edit; empty if there is none."""
    asked = [m for m in convert_to_messages(state.get("messages") or []) if isinstance(m, HumanMessage)]
    if not asked:
        return ""
    content = json.dumps(asked[-1].content, sort_keys=True, default=str, ensure_ascii=False)
    # LangGraph stores halves of surrogate pairs as question marks: the message is the same when it is read back.
    return f"{asked[-1].id}:{sha256(content.encode(errors='replace')).hexdigest()}"


def _fallback(name: str | None, pool: WorkerPool) -> str:
    able = [worker.name for worker in pool if worker.may_be_last]
    if not able:
        raise ValueError("no worker may be last, so no workflow could end; set may_be_last on one")
    if name is None:
        return able[0]
    if name not in able:
        raise ValueError(f"fallback {name!r} must be a worker that may be last: one of {able}")
    return name
