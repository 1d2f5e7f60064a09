"""Planners and pools of episodes: whatever they are asked goes through the `Replay` of the episode."""

import copy
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any, Final

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config

from langgraph_conductor.dialect import ACCEPT
from langgraph_conductor.errors import PlanError
from langgraph_conductor.graph.accounts import failures, is_infra, told
from langgraph_conductor.options import is_round
from langgraph_conductor.planners import ChatPlanner, Plan, Planner, PlanRequest
from langgraph_conductor.planners.protocol import Attempt, PlanningError, secrets_of_planner
from langgraph_conductor.records import RoundRecord, WorkerTask
from langgraph_conductor.replay.identity import messages_identity, planner_identity, worker_identity
from langgraph_conductor.replay.replaying import PLANNER, Asked, Sample, current_replay
from langgraph_conductor.replay.shapes import PLAN_REPLY
from langgraph_conductor.replay.store import key_of
from langgraph_conductor.usage import Usage
from langgraph_conductor.workers import Worker, WorkerPool
from langgraph_conductor.workers.failures import EmptyReplyError, RefusalError, refusal_in
from langgraph_conductor.workers.forms import text_of_result
from langgraph_conductor.workflow import Step, Workflow, readable_steps

_FAILURES: Final[dict[str, Callable[[str], Exception]]] = {
    kind.__name__: kind for kind in (EmptyReplyError, RefusalError)
}
"""Failures of workers that are replies: asked and paid again they would say the same."""


def replayed_pool(pool: WorkerPool) -> WorkerPool:
    """`pool`, whose workers' replies are read and kept. They can only be awaited, and only in an episode."""
    own = WorkerPool(pool)
    own._workers = {n: _worker(pool[name]) for n, name in pool.ordinals.items()}
    return own


def _worker(worker: Worker) -> Worker:
    who = worker_identity(worker)
    ask = worker.form.acall

    async def acall(task: WorkerTask, config: RunnableConfig) -> str:
        replay = current_replay()
        sample = Sample(
            replay.seed, task.round, _repeat(replay.workflows.get(task.round), worker.name, task)
        )
        key = key_of("worker", who, messages_identity(task.messages), sample)

        async def live(config: RunnableConfig) -> dict[str, Any]:
            try:
                result = await ask(task, config)
            except Exception as error:
                if (refusal := refusal_in(error)) is not None:
                    raise refusal from error  # a reply too, which some clients tell by an error of their own
                raise
            text = text_of_result(result)
            infra = _infra_inside(result)
            return {"text": text, "infra": f"worker {worker.name}, {infra}"} if infra else {"text": text}

        reply = await replay.reply(
            Asked(key, worker.name, task.index, sample, worker.secrets, read=_failure_of),
            config,
            live,
            _failed_worker,
        )
        if (failure := _failure_of(reply)) is not None:
            raise failure
        return str(reply["text"])

    own = copy.copy(worker)
    own.form = replace(worker.form, acall=acall)
    return own


def _repeat(workflow: Workflow | None, worker: str, task: WorkerTask) -> int:
    """How many earlier steps of the task's round are the same step.

    One who stands in for another worker is counted apart, behind all that could be asked for itself.
    """
    steps = workflow.steps if workflow else ()
    if task.index >= len(steps):
        return 0
    if steps[task.index].worker != worker:
        return len(steps) + task.index
    same = [_asked_of(i, step) for i, step in enumerate(steps[: task.index + 1])]
    return same[:-1].count(same[-1])


def _asked_of(index: int, step: Step) -> tuple[str, str, set[int]]:
    """What a step asks of whom: access to all is access to nothing where there is nothing."""
    return step.worker, step.subtask, set(readable_steps(index, step.access))


def _infra_inside(result: Any) -> str:
    """What of the infrastructure failed in a nested conductor, though it gave an answer."""
    rounds = result.get("rounds") if isinstance(result, Mapping) else None
    if not isinstance(rounds, list) or not all(map(is_round, rounds)):
        return ""
    return next((f"{where}: {told(error)}" for where, error in failures(rounds) if is_infra(error)), "")


def _failure_of(reply: Mapping[str, Any]) -> Exception | None:
    """The failure a reply is, if it is one."""
    failure = reply.get("failure")
    return None if failure is None else _FAILURES[failure["type"]](failure["message"])


def _failed_worker(failure: Exception) -> dict[str, Any] | None:
    name = type(failure).__name__
    return {"failure": {"type": name, "message": str(failure)}} if name in _FAILURES else None


class ReplayedPlanner:
    """A planner whose plans are read and kept if it is a `ChatPlanner`; others cannot be told apart.

    It can only be awaited, and only in an episode.
    """

    def __init__(self, planner: Planner) -> None:
        self._planner = planner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._planner, name)  # its model, prices, and what else the conductor asks for

    @property
    def earlier(self) -> tuple[RoundRecord, ...]:
        """Rounds that a run begins after; a conductor asks its planner, and nobody who calls it, for them."""
        return current_replay().earlier

    def plan(self, request: PlanRequest) -> Plan:
        """As the planner itself does."""
        return self._planner.plan(request)

    async def aplan(self, request: PlanRequest) -> Plan:
        """As the planner itself does, or did."""
        planner, replay, number = self._planner, current_replay(), len(request.rounds)
        sample = Sample(replay.seed, number)
        prompt = planner.render(request) if isinstance(planner, ChatPlanner) else []
        offered = [request.max_steps, request.may_accept, list(request.pool.ordinals.items())]
        identity = planner_identity(planner) if prompt else None
        key = key_of("plan", identity, offered, messages_identity(prompt), sample) if prompt else ""

        async def live(_: RunnableConfig) -> dict[str, Any]:
            plan = await planner.aplan(request)
            return _plan_json(plan) if key else {"plan": plan}

        asked = Asked(key, "", PLANNER, sample, secrets_of_planner(planner), PLAN_REPLY, _check_plan)
        reply = await replay.reply(asked, ensure_config(), live, _failed_plan)
        plan: Plan = reply["plan"] if "plan" in reply else replace(_plan_of(reply), messages=tuple(prompt))
        if isinstance(plan, Plan) and isinstance(plan.workflow, Workflow):
            replay.workflows[number] = plan.workflow
        return plan


def _plan_json(plan: Plan) -> dict[str, Any]:
    return {
        "workflow": plan.workflow.to_json() if isinstance(plan.workflow, Workflow) else None,
        "reached": plan.reached,
        "text": plan.text,
        "attempts": [asdict(attempt) for attempt in plan.attempts],
        "usage": plan.usage.to_json(),
        "final": plan.final,
    }


def _plan_of(reply: dict[str, Any]) -> Plan:
    attempts = tuple(Attempt(**attempt) for attempt in reply["attempts"])
    usage = Usage.from_json(reply["usage"])
    if failure := reply.get("failure"):
        raise PlanningError(PlanError(**failure), attempts, usage)
    return Plan(
        ACCEPT if reply["workflow"] is None else Workflow.from_json(reply["workflow"]),
        reached=reply["reached"],
        text=reply["text"],
        attempts=attempts,
        usage=usage,
        final=reply["final"],
    )


def _check_plan(reply: dict[str, Any]) -> None:
    with suppress(PlanningError):  # a failure is a reply too
        _plan_of(reply)


def _failed_plan(failure: Exception) -> dict[str, Any] | None:
    if not isinstance(failure, PlanningError):
        return None
    return {
        "failure": {"reason": failure.reason, "step": failure.step, "text": failure.text},
        "attempts": [asdict(attempt) for attempt in failure.attempts],
        "usage": failure.usage.to_json(),
    }
