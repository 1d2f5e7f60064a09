"""One round: plan, then run. Two nodes, so that the plan is saved before any worker is paid."""

import time
from collections.abc import Callable, Generator
from copy import deepcopy
from dataclasses import asdict
from typing import Any, Final, NamedTuple

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphBubbleUp
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from langgraph_conductor.access import copied_question
from langgraph_conductor.containment import contained
from langgraph_conductor.dialect import ACCEPT, Accept
from langgraph_conductor.driving import adrive, drive
from langgraph_conductor.errors import PlanError
from langgraph_conductor.events import Fallback, PlanningStarted, WorkflowPlanned
from langgraph_conductor.foreign_text import package_logger
from langgraph_conductor.graph._langgraph import node, router
from langgraph_conductor.graph.approval import Approve, approval_node
from langgraph_conductor.graph.event_stream import EventStream
from langgraph_conductor.graph.kept import (
    Kept,
    Place,
    Work,
    add_done,
    akeeping,
    akept_before,
    keeping,
    kept_before,
)
from langgraph_conductor.graph.ledgers import Ledgers, check_format
from langgraph_conductor.graph.run_context import RunContext, taken
from langgraph_conductor.graph.telling import stream_of, tell_budget, watching
from langgraph_conductor.graph.workflow_node import WorkflowNode, check_workflow
from langgraph_conductor.options import Options
from langgraph_conductor.planners.fixed import SOLVE
from langgraph_conductor.planners.protocol import (
    Plan,
    Planner,
    PlanningError,
    PlanRequest,
    secrets_of_planner,
)
from langgraph_conductor.records import PlanRecord, Rejected, without_steps
from langgraph_conductor.replies import storable
from langgraph_conductor.state import PlanInput, RoundInput, RoundState, kept_channel
from langgraph_conductor.usage import Usage
from langgraph_conductor.workers.bugs import warn_of
from langgraph_conductor.workers.calling import ain_time, in_time
from langgraph_conductor.workers.composed import models_in
from langgraph_conductor.workers.doors import metered, watched
from langgraph_conductor.workers.failures import error_record, without
from langgraph_conductor.workers.metering import Meter
from langgraph_conductor.workers.redaction import hiding_keys_of, redact
from langgraph_conductor.workers.unseen import unseen
from langgraph_conductor.workers.worker import bounds_of
from langgraph_conductor.workflow import Step, Workflow

logger = package_logger(__name__)

_PLACE: Final = Place(kept_channel("planner"))


class _Ask(NamedTuple):
    """One call of the planner, as the logic wants it made."""

    request: PlanRequest
    config: RunnableConfig
    meter: Meter


def build_round(
    planner: Planner,
    workflows: WorkflowNode,
    ledgers: Ledgers,
    *,
    fallback: str,
    options: Options,
    approve: Approve = False,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    """The graph of one round.

    Args:
        planner: Who plans.
        workflows: The node that runs them; its pool is offered.
        ledgers: Where the run's ledger is.
        fallback: Name of the worker that answers alone where planning fails.
        options: Defaults of what may differ from run to run.
        approve: Whether a person is asked before a workflow runs.
    """
    asks = approve if callable(approve) else _always if approve else _never

    def logic(
        state: RoundState,
        config: RunnableConfig,
        stream: EventStream,
        context: RunContext,
        work: Work,
        kept: Kept,
    ) -> Generator[_Ask, Plan, dict[str, Any]]:
        (meter,) = work.tries
        rounds = [*context.rounds]
        rejected = state.get("rejected") or []
        before = state["plan"] if rejected else None
        chosen = options.over(config, state.get("run"))
        number = len(rounds)
        stream.send(PlanningStarted(type="planning_started", round=number))
        meter.ledger = ledger = ledgers.of(
            state.get("run"), chosen.budget, rounds, before, spent=kept.calls
        )
        request = PlanRequest(  # of copies: what a planner does to them stays with it
            copied_question(context.question),
            workflows.offered(config, state.get("run")),
            int(chosen.max_steps),
            tuple(deepcopy(rounds)),
            ledger.left if ledger else None,
            tuple((Workflow.from_json(one["workflow"]), one["reason"]) for one in rejected),
            max(1, chosen.max_rounds - len(rounds)),
        )
        started_at, clock = time.time(), time.perf_counter()
        failure: Exception | None = None
        given_up = True
        if ledger:
            ledger.start_work()
        try:
            plan = yield _Ask(request, metered(config, meter, work.watcher), meter)
            given_up = False
            _check(plan, request)
        except GraphBubbleUp:
            raise
        except Exception as error:  # noqa: BLE001 - a run is not lost with its plan (promise 2)
            failure = error
            plan = _without_planner(error, request, fallback)
            work.watcher.retract()
            hidden = secrets_of_planner(planner, failed=True)
            redact(error, hidden)
            warn_of(logger, f"planning failed, {_told(plan)}", error, hidden)
        finally:
            unseen.leave(meter)
            meter.close(given_up=given_up)
            if ledger:
                ledger.stop_work()
        usage = meter.usage
        if plan.usage.calls > usage.calls:  # of what LangChain never saw, such as a reply cut short
            if ledger:
                ledger.book(plan.usage, usage)
            usage = plan.usage
        usage = sum((Usage.from_json(call["usage"]) for call in kept.calls), usage)
        seconds = time.perf_counter() - clock
        secrets = secrets_of_planner(planner, planned=True)
        record: PlanRecord = {
            "reached": "fallback" if failure else plan.reached,
            "text": storable(without(plan.text, secrets)),
            "attempts": [
                asdict(attempt)
                | {
                    "text": storable(without(attempt.text, secrets)),
                    "error": storable(without(attempt.error, secrets)),
                }
                for attempt in plan.attempts
            ],
            "error": error_record(failure, secrets) if failure else None,
            "usage": usage.to_json() | {"busy_seconds": seconds},
            "model_calls": [*kept.calls, *work.calls],
            "started_at": started_at,
            "seconds": seconds,
        }
        add_done(record, kept, work)
        if plan.withheld:
            record["withheld"] = [*plan.withheld]
        if ledger and ledger.refusal:
            record["refusal"] = error_record(ledger.refusal)
        if before is not None:
            record = _after_rejection(record, before, rejected)
        workflow = plan.workflow.to_json() if isinstance(plan.workflow, Workflow) else None
        if failure:
            _tell_fallback(stream, number, plan, record)
        _tell_planned(stream, number, workflow, record)
        tell_budget(stream, number, ledger)
        accepted = workflow is None
        update: dict[str, Any] = {"workflow": workflow, "plan": record, "final": plan.final or accepted}
        if isinstance(plan.workflow, Workflow):
            update["is_answer"] = workflows.is_answer(plan.workflow)
        else:
            update["record"] = without_steps(number, record, accepted=True)
        return update

    def blocking(ask: _Ask) -> Plan:
        return in_time(None, ask.meter, ask.config, lambda: planner.plan(ask.request))

    async def awaited(ask: _Ask) -> Plan:
        async def planned() -> Plan:
            return await watched(planner.aplan(ask.request), ask.config)

        return await ain_time(None, ask.meter, ask.config, planned)

    def begun(state: RoundState, stream: EventStream) -> Work:
        check_format(state.get("run"))
        meter = meter_of_planner(planner)
        watcher = watching(stream, state.get("round") or 0, None, "", meter.secrets)
        return Work(watcher, [meter])

    def call(state: RoundState, config: RunnableConfig) -> dict[str, Any]:
        stream = stream_of(config)
        with taken() as context:
            work = begun(state, stream)
            planning = logic(state, config, stream, context, work, kept_before(config, _PLACE))
            return keeping(config, _PLACE, work, lambda: drive(planning, blocking))

    async def acall(state: RoundState, config: RunnableConfig) -> dict[str, Any]:
        stream = stream_of(config)
        with taken() as context:
            work = begun(state, stream)
            planning = logic(state, config, stream, context, work, await akept_before(config, _PLACE))
            return await akeeping(config, _PLACE, work, lambda: adrive(planning, awaited))

    builder = StateGraph(RoundState, input_schema=RoundInput)
    builder.add_node(
        "plan",
        node("plan", call, acall),
        input_schema=PlanInput,
        metadata={"conductor_role": "planner"},
    )
    builder.add_node("workflow", workflows)
    builder.add_edge(START, "plan")
    # It is there even if nobody is asked: a run may have been left before it by a conductor that asks.
    builder.add_node("approve", approval_node(workflows))
    builder.add_conditional_edges(
        "plan", router("what_next", _once_planned(asks)), ["approve", "workflow", END]
    )
    builder.add_conditional_edges("approve", router("approved", _once_approved), ["workflow", "plan", END])
    return builder.compile(name="round")


def _tell_fallback(stream: EventStream, number: int, plan: Plan, record: PlanRecord) -> None:
    if record["error"] is None:
        return
    event = Fallback(
        type="fallback",
        round=number,
        step=None,
        worker="",
        instead=plan.workflow.steps[0].worker if isinstance(plan.workflow, Workflow) else "",
        error=record["error"],
    )
    stream.send(event)


def _tell_planned(
    stream: EventStream, number: int, workflow: dict[str, Any] | None, record: PlanRecord
) -> None:
    event = WorkflowPlanned(
        type="workflow_planned",
        round=number,
        workflow=workflow,
        reached=record["reached"],
        error=record["error"],
        usage=record["usage"],
        seconds=record["seconds"],
    )
    stream.send(event)


def _always(_: Workflow) -> bool:
    return True


def _never(_: Workflow) -> bool:
    return False


def _once_planned(asks: Callable[[Workflow], bool]) -> Callable[[RoundState, RunnableConfig], str]:
    def what_next(state: RoundState, config: RunnableConfig) -> str:
        if state["workflow"] is None:
            return END
        # Said once and saved with the plan: asked anew with the person's answer, it might say otherwise.
        try:
            with hiding_keys_of(asks):
                asked = contained(asks, Workflow.from_json(state["workflow"]))
        except Exception:  # the plan, which was paid, would be lost with it
            logger.exception("the function `approve` failed, so a person is asked")
            asked = True
        return "approve" if asked else "workflow"

    return what_next


def _once_approved(state: RoundState, config: RunnableConfig) -> str:
    if state["workflow"] is not None:
        return "workflow"
    return END if state.get("final") else "plan"


def _after_rejection(record: PlanRecord, before: PlanRecord, rejected: list[Rejected]) -> PlanRecord:
    """The record of a plan, with what it took to plan those of its round that were rejected."""
    usage = Usage.from_json(before["usage"]) + Usage.from_json(record["usage"])
    busy = before["seconds"] + record["seconds"]
    return {
        **record,
        "attempts": [*before["attempts"], *record["attempts"]],
        "usage": usage.to_json() | {"busy_seconds": busy},
        "model_calls": [*before["model_calls"], *record["model_calls"]],
        "started_at": before.get("started_at", 0.0),
        "seconds": busy,
        "rejected": rejected,
    }


def _check(plan: Any, request: PlanRequest) -> None:
    if not isinstance(plan, Plan):
        raise PlanError(f"a planner must return a Plan, not {type(plan).__name__}")
    if isinstance(plan.workflow, Workflow):
        check_workflow(plan.workflow, request.pool, [*request.rounds])
    elif plan.workflow is not ACCEPT:
        raise PlanError(f"a plan holds a Workflow or ACCEPT, not {type(plan.workflow).__name__}")
    elif not request.may_accept:
        raise PlanError("there is no earlier answer to accept; plan a step")


def meter_of_planner(planner: Planner) -> Meter:
    """The accounts of one plan."""
    model = getattr(planner, "model", None)
    models = models_in(model)
    return Meter(
        prices=getattr(planner, "prices", None) or {},
        own=bounds_of(models[0] if models else None),
        others=tuple(map(bounds_of, models[1:])),
        secrets=secrets_of_planner(planner),
    )


def _without_planner(error: Exception, request: PlanRequest, fallback: str) -> Plan:
    """The earlier answer if there is one, else one worker alone."""
    if fallback not in request.pool.names:  # not offered in this run
        fallback = next(worker.name for worker in request.pool if worker.may_be_last)
    attempts, usage = (error.attempts, error.usage) if isinstance(error, PlanningError) else ((), Usage())
    text = attempts[-1].text if attempts else ""
    kept: Workflow | Accept = ACCEPT if request.may_accept else Workflow((Step(fallback, SOLVE),))
    return Plan(kept, text=text, attempts=attempts, usage=usage)


def _told(plan: Plan) -> str:
    if isinstance(plan.workflow, Workflow):
        return f"worker {plan.workflow.steps[0].worker!r} answers alone"
    return "the earlier answer is kept"
