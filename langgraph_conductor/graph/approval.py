"""A person's word on a workflow, before anything is paid for it.

What is asked and answered has the form of LangChain's human-in-the-loop middleware (`HITLRequest`,
`HITLResponse`), so that user interfaces that know it show the workflow with buttons. Answers in the
deprecated form of the agent inbox (`langgraph.prebuilt.interrupt.HumanResponse`) are understood, too.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.types import interrupt

from langgraph_conductor.events import WorkflowRejected
from langgraph_conductor.graph._langgraph import (
    aforget_answer,
    bare_answer,
    forget_answer,
    node,
)
from langgraph_conductor.graph.approval_request import ACTION, approval_request
from langgraph_conductor.graph.ledgers import check_format
from langgraph_conductor.graph.left import Left, done_of
from langgraph_conductor.graph.run_context import current
from langgraph_conductor.graph.standing import standing
from langgraph_conductor.graph.telling import stream_of
from langgraph_conductor.graph.workflow_node import WorkflowNode, check_workflow
from langgraph_conductor.records import Approval, PlanRecord, Rejected, without_steps
from langgraph_conductor.replies import storable
from langgraph_conductor.state import RoundState
from langgraph_conductor.workers import WorkerPool
from langgraph_conductor.workflow import Workflow

Approve = bool | Callable[[Workflow], bool]
"""Whether a person is asked before a workflow runs; a function says it of each."""

MOST_REJECTIONS: Final = 3
"""Of one round's workflows, before the run ends without planning again."""

_ANSWERS: Final = (
    'answer with {"decisions": [one]}, where one is {"type": "approve"}, {"type": "edit", "edited_action": '
    f'{{"name": "{ACTION}", "args": {{"workflow": {{"steps": [...]}}}}}}}} or '
    '{"type": "reject", "message": "what to plan otherwise"}'
)


@dataclass(frozen=True, slots=True)
class Said:
    """What a person answered.

    Args:
        kind: `"accept"`, `"edit"`, `"reject"` (plan again) or `"stop"` (do not run it, and plan no more).
        workflow: What is to be run instead.
        reason: What is to be planned otherwise.
    """

    kind: Literal["accept", "edit", "reject", "stop"]
    workflow: Workflow | None = None
    reason: str = ""


def approval_node(workflows: WorkflowNode) -> Runnable[Any, Any]:
    """The node between `plan` and `workflow`, for workflows that a person is asked about.

    Args:
        workflows: Where it runs then; knows which workers an edited workflow may name.
    """

    def decide(state: RoundState, config: RunnableConfig) -> dict[str, Any]:
        check_format(state.get("run"))
        planned = Workflow.from_json(state["workflow"] or {})
        run = state.get("run")
        most = max(workflows.options(config, run).max_steps, len(planned.steps))
        said = _asked(planned, state, workflows.offered(config, run), most)
        record = state["plan"]
        done = done_of(Left(), state.get("stands"))
        if said.kind == "accept":
            return {"plan": {**record, "approval": Approval(said="accept")}}
        if said.kind == "edit" and said.workflow is not None:
            edited = Approval(said="edit", planned=planned.to_json())
            return {
                "workflow": said.workflow.to_json(),
                "is_answer": workflows.is_answer(said.workflow),
                "plan": {**record, "approval": edited},
                "stands": standing(done, planned, said.workflow),
            }
        rejected = [
            *(state.get("rejected") or ()),
            Rejected(workflow=planned.to_json(), reason=said.reason),
        ]
        again = said.kind == "reject" and len(rejected) <= MOST_REJECTIONS
        number = state.get("round") or 0
        event = WorkflowRejected(
            type="workflow_rejected",
            round=number,
            workflow=planned.to_json(),
            reason=said.reason,
            again=again,
        )
        stream_of(config).send(event)
        if again:
            nothing = standing(done, planned, None)
            return {"rejected": rejected, "workflow": None, "final": False, "stands": nothing}
        stopped: PlanRecord = {**record, "approval": Approval(said="stop", planned=planned.to_json())}
        last = without_steps(number, stopped, accepted=False)
        return {"workflow": None, "plan": stopped, "final": True, "record": last}

    def blocking(state: RoundState, config: RunnableConfig) -> dict[str, Any]:
        update = decide(state, config)
        if bare_answer(config):
            forget_answer(config)
        return update

    async def awaited(state: RoundState, config: RunnableConfig) -> dict[str, Any]:
        update = decide(state, config)
        if bare_answer(config):
            await aforget_answer(config)
        return update

    return node("approve", blocking, awaited)


def _asked(planned: Workflow, state: RoundState, pool: WorkerPool, most: int) -> Said:
    """The person's answer; one that cannot be used is asked for again, with what was wrong.

    Args:
        planned: The workflow that is asked about.
        state: Of the round.
        pool: The workers that are offered.
        most: Most steps of an edited workflow: a client that answers cannot have more done than a planner.
    """
    wrong = ""
    while True:
        answer = interrupt(approval_request(planned, state.get("round") or 0, current().question, wrong))
        try:
            said = said_in(answer)
            if said.kind == "accept":  # the app may have been deployed anew, without a worker
                over = {int(index) for index in (state.get("stands") or {"steps": {}})["steps"]}
                check_workflow(planned, pool, current().rounds, over)
            if said.workflow is not None:
                check_workflow(said.workflow, pool, current().rounds)
                if len(said.workflow.steps) > most:
                    raise ValueError(
                        f"the workflow has {len(said.workflow.steps)} steps, and {most} are allowed"
                    )
            return said
        except ValueError as error:
            wrong = storable(str(error))


def said_in(answer: Any) -> Said:
    """What a person's answer says.

    Args:
        answer: A `HITLResponse` of LangChain's with one decision, or the decision alone; or in the deprecated form
            a `HumanResponse` of the agent inbox, alone or in a list; or `True`, `False`, a type alone, or a
            `Workflow` or its JSON.

    Raises:
        ValueError: If it says nothing that is known.
    """
    if isinstance(answer, Mapping) and "decisions" in answer:
        answer = answer["decisions"]
        if not isinstance(answer, list | tuple) or len(answer) != 1:
            raise ValueError(f"one action is asked about, so `decisions` holds one, not {answer!r:.200}")
    if isinstance(answer, list | tuple) and len(answer) == 1:
        (answer,) = answer
    if isinstance(answer, bool):
        return Said("accept" if answer else "stop")
    if isinstance(answer, Workflow):
        return Said("edit", answer)
    if isinstance(answer, str):
        answer = {"type": answer}
    if isinstance(answer, Mapping) and "steps" in answer:
        answer = {"type": "edit", "args": {"workflow": answer}}
    if not isinstance(answer, Mapping):
        raise ValueError(f"{_ANSWERS}, not {answer!r:.200}")
    kind, args = answer.get("type"), answer.get("args")
    if kind in ("approve", "accept"):
        return Said("accept")
    if kind == "ignore":
        return Said("stop")
    if kind == "reject":
        return Said("reject", reason=_message(answer.get("message") or ""))
    if kind == "respond":  # in place of what was asked for, the planner is given the message
        return Said("reject", reason=_message(answer.get("message"), needed=True))
    if kind == "response":
        if not isinstance(args, str) or not args.strip():
            raise ValueError("a response says in `args` what is to be planned otherwise, as a text")
        return Said("reject", reason=storable(args.strip()))
    if kind == "edit" and "edited_action" in answer:
        return Said("edit", _edited_action(answer["edited_action"]))
    if kind == "edit":
        return Said("edit", _edited(args))
    raise ValueError(f"{_ANSWERS}, not {answer!r:.200}")


def _message(message: Any, *, needed: bool = False) -> str:
    if not isinstance(message, str) or (needed and not message.strip()):
        raise ValueError("`message` says what is to be planned otherwise, as a text")
    return storable(message.strip())


def _edited_action(action: Any) -> Workflow:
    """The workflow of an edit in today's form."""
    if not isinstance(action, Mapping) or not isinstance(action.get("args"), Mapping):
        raise ValueError(
            f'`edited_action` is {{"name": "{ACTION}", "args": {{"workflow": {{"steps": [...]}}}}}}, '
            f"not {action!r:.200}"
        )
    if action.get("name", ACTION) != ACTION:
        raise ValueError(
            f"the action is {ACTION!r}, and no other can take its place: {action['name']!r:.200}"
        )
    return _edited(action["args"])


def _edited(args: Any) -> Workflow:
    """The workflow of an edit: of an action as it was asked, or alone; interfaces send it as text, too."""
    if isinstance(args, Mapping) and "action" in args:
        args = args.get("args")
    given = args.get("workflow", args) if isinstance(args, Mapping) else args
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the edited workflow is no JSON: {error}") from None
    if isinstance(given, Workflow):
        return given
    if not isinstance(given, Mapping):
        raise ValueError('an edit gives the workflow as {"workflow": {"steps": [...]}}')
    return Workflow.from_json(given)
