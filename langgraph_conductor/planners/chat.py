"""A planner that is a chat model: a prompted one, or one trained to conduct."""

import json
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from itertools import count
from os import PathLike
from typing import Any, Final, Literal, NamedTuple

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langgraph.pregel.protocol import PregelProtocol

from langgraph_conductor.containment import said as said_by
from langgraph_conductor.dialect import Accept, parse_workflow, workflow_schema
from langgraph_conductor.driving import LateError, Wait, adrive, atimed, await_, drive, timed, wait
from langgraph_conductor.errors import PlanError
from langgraph_conductor.planners.examples import EXAMPLES
from langgraph_conductor.planners.profiles import Profiles
from langgraph_conductor.planners.protocol import Attempt, Plan, PlanningError, PlanRequest, Reached
from langgraph_conductor.planners.refusals import is_about_schema, refuses_schema
from langgraph_conductor.planners.said import Said, said_before_cut, said_in
from langgraph_conductor.planners.showing import Show, worker_lines
from langgraph_conductor.prices import Price, price_table
from langgraph_conductor.prompts import (
    PLANNER_SYSTEM,
    WITHHELD_FROM_PLANNER,
    Example,
    instructed,
    planner_prompt,
    rejected_prompt,
    repair_prompt,
    with_attachments,
)
from langgraph_conductor.tags import escape
from langgraph_conductor.usage import Usage
from langgraph_conductor.workers.composed import takes_schemas, under_schema
from langgraph_conductor.workers.failures import wait_before_retry
from langgraph_conductor.workers.fitting import reader_of
from langgraph_conductor.workers.models import chat_model
from langgraph_conductor.workers.sendable import SystemRole, refuses_system
from langgraph_conductor.workflow import Workflow

MAX_REPAIRS: Final = 2


class _Call(NamedTuple):
    """A prompt to be answered."""

    model: Any
    messages: list[BaseMessage]


_Asked = _Call | Wait
"""What planning yields: a prompt to be answered, or something to wait for."""


class ChatPlanner:
    """Plans by asking a chat model.

    Args:
        model: A chat model or a string that names one; or what LangChain composes of chat models: bound,
            retried, with fallbacks, configurable, or a chain from messages to text. One that refuses the system
            role is sent the same text as a user message, from then on.
        show: What the model learns of the workers: `"described"`, their names, descriptions and
            prices; or `"anonymous"`, their ordinals alone, which is how the paper's conductor is
            trained.
        structured: Whether decoding is bound to a JSON schema. Left out, it is where the model's
            profile says that it supports it, and those of its fallbacks do; if its client or its provider
            refuses the schema, plain text is asked for, from then on. Trained conductors write plain text: set
            `False`. With `True` a refusal is an error. A chain can only be asked for plain text.
        examples: Worked plans to show; left out, those of `planners.examples`; `()` shows none. Ones with
            more steps than allowed are left out.
        price: As of `Worker`.
        retries: Times a call is repeated after an outage, with growing, random waits.
        timeout: Seconds one call may take.
        max_subtask_chars: Bound for every string under the schema, for servers whose grammar decoding
            does not know when to stop; some hosted models refuse such a bound.
        prefill: How the reply begins: sent as the start of the model's own message, which it goes on
            writing, and put before what it wrote. For plain text, and for servers told to continue the
            last message; vLLM is by `extra_body={"add_generation_prompt": False,
            "continue_final_message": True}` of `ChatOpenAI`. No whitespace at its end: templates drop it.
        profiles: What was measured of the workers, or the file that holds it; shown beside each.
        show_previous_plan: Whether in a later round the earlier plan is shown beside its answer. The paper's
            conductor is shown the answer alone.
        instructions: What you want of its plans, in your own words, such as "Prefer the cheap worker for small
            talk." It stands in the system message, so it is for text of your own, not of users.

    Raises:
        ValueError: If an option does not fit, or (`ConfigError`) the profiles cannot be read.
        TypeError: If `model` is none of these.
    """

    def __init__(
        self,
        model: Runnable[Any, Any] | str,
        /,
        *,
        show: Show = "described",
        structured: bool | None = None,
        examples: Sequence[Example] | None = None,
        price: Price | Mapping[str, Any] | None = None,
        retries: int = 2,
        timeout: float | None = None,
        max_subtask_chars: int | None = None,
        prefill: str = "",
        profiles: Profiles | str | PathLike[str] | None = None,
        show_previous_plan: bool = True,
        instructions: str | None = None,
    ) -> None:
        if isinstance(model, str):
            model = chat_model(model, "planner")
        if not isinstance(model, Runnable) or isinstance(model, PregelProtocol | BaseTool):
            raise TypeError(
                "a planner is a model string, a chat model (also one that is bound, retried, configurable or has "
                "fallbacks), a chain from messages to text, or an object with `plan` and `aplan`, "
                f"not {type(model).__name__}"
            )
        if max_subtask_chars is not None and max_subtask_chars < 1:
            raise ValueError(f"max_subtask_chars must be at least 1, not {max_subtask_chars}")
        _check_show(show)
        if type(retries) is not int or retries < 0:
            raise ValueError(f"planner: retries must be a number from 0 up, not {retries!r}")
        if timeout is not None and not (isinstance(timeout, int | float) and timeout > 0):
            raise ValueError(f"planner: timeout must be a number of seconds above 0, not {timeout!r}")
        if instructions is not None and not (isinstance(instructions, str) and instructions.strip()):
            raise ValueError(
                f"planner: instructions must be a string that says something, not {instructions!r}; "
                "leave them out if there are none"
            )
        self.model = model
        self.prices = price_table(price)
        self.retries = retries
        self.timeout = timeout
        self.show = show
        self.examples = EXAMPLES if examples is None else tuple(examples)
        self.max_subtask_chars = max_subtask_chars
        self.prefill = prefill
        self.show_previous_plan = show_previous_plan
        self.instructions = instructions
        self.profiles = None if profiles is None else Profiles.of(profiles)
        self.structured = takes_schemas(model) if structured is None else bool(structured)
        self._may_write_text = structured is None
        self._learned = Learned()
        if prefill and (self.structured or prefill != prefill.rstrip()):
            raise ValueError("prefill needs structured=False and must not end in whitespace")
        if self.structured:
            self._try_binding()

    def _try_binding(self) -> None:
        try:
            self._bound(self._example_schema)
        except Exception as error:
            what = f"{type(self.model).__name__} cannot be bound to a JSON schema ({error!r})"
            raise ValueError(f"planner: {what}; give ChatPlanner structured=False") from error

    def showing(self, show: Show, profiles: Profiles | str | PathLike[str] | None = None) -> "ChatPlanner":
        """A planner with the same model and options that is shown other things of the workers.

        Raises:
            ValueError: If `show` is neither, or (`ConfigError`) the profiles cannot be read.
        """
        _check_show(show)
        other = copy(self)
        other.show = show
        other.profiles = None if profiles is None else Profiles.of(profiles)
        return other

    def render(self, request: PlanRequest) -> list[BaseMessage]:
        """The prompt for `request`."""
        ids = self._ids(request)
        text = planner_prompt(
            request.question,
            worker_lines(request.pool, self.show, self.profiles, request.question),
            ids,
            self.examples,
            max_steps=request.max_steps,
            as_json=self.structured,
            previous=self._previous(request),
            budget_left=str(request.budget) if request.budget else "",
        )
        messages = [
            SystemMessage(instructed(PLANNER_SYSTEM, self.instructions)),
            self.asking(text, request),
        ]
        for workflow, reason in request.rejected:
            written = json.dumps(workflow.to_json()) if self.structured else self._shown(workflow, request)
            messages += [AIMessage(escape(written)), HumanMessage(rejected_prompt(reason))]
        return messages

    def asking(self, text: str, request: PlanRequest) -> BaseMessage:
        """A prompt with what the model reads of the question's attachments, and words for the rest."""
        message = HumanMessage(with_attachments(text, request.question))
        return reader_of(self.model).fitted([message], request.question, WITHHELD_FROM_PLANNER)[0]

    def parse(self, text: str, request: PlanRequest) -> Workflow | Accept:
        """The workflow in `text`, or `ACCEPT`.

        Raises:
            PlanError: If it cannot be read or run with the offered workers.
        """
        offered = request.pool.ordinals
        anonymous = self.show == "anonymous"
        read = parse_workflow(
            text,
            {number: str(number) for number in offered} if anonymous else offered,
            max_steps=request.max_steps,
            allow_accept=request.may_accept,
        )
        if not isinstance(read, Workflow):
            return read
        if anonymous:
            read = Workflow(tuple(replace(s, worker=offered[int(s.worker)]) for s in read.steps))
        try:
            request.pool.check(read, by_ordinal=anonymous)
        except PlanError as error:
            raise PlanError(error.reason, step=error.step, text=text) from None
        return read

    def plan(self, request: PlanRequest) -> Plan:
        """Ask the model; if its reply cannot be used, tell it why and ask again, at most twice.

        Raises:
            PlanningError: If no reply could be used.
            Exception: Whatever the model raises.
        """

        def call(asked: _Asked) -> Any:
            if isinstance(asked, Wait):
                return wait(asked)
            if self.timeout is None:
                return asked.model.invoke(asked.messages)
            return timed(_countdown(self.timeout), lambda: asked.model.invoke(asked.messages))

        return drive(self._logic(request), call)

    async def aplan(self, request: PlanRequest) -> Plan:
        """`plan`, awaited."""

        async def call(asked: _Asked) -> Any:
            if isinstance(asked, Wait):
                return await await_(asked)
            if self.timeout is None:
                return await asked.model.ainvoke(asked.messages)
            return await atimed(_countdown(self.timeout), lambda: asked.model.ainvoke(asked.messages))

        return await adrive(self._logic(request), call)

    def _logic(self, request: PlanRequest) -> Generator[_Asked, Any, Plan]:
        if not (self.structured and self._learned.no_schema):
            try:
                return (yield from self._planned(request))
            except _NoSchemaError:
                pass
        in_text = copy(self)
        in_text.structured = False
        return (yield from in_text._planned(request))

    def _planned(self, request: PlanRequest) -> Generator[_Asked, Any, Plan]:
        model = self._model(request)
        prompt = self.render(request)
        opening = [AIMessage(self.prefill)] if self.prefill else []
        messages = list(prompt)
        attempts: list[Attempt] = []
        usage = Usage()
        while True:
            try:
                said = yield from self._ask(_Call(model, self._learned.role.sent([*messages, *opening])))
            except Exception as error:
                if self._learned.role.learns(messages, error):
                    continue
                if self.structured and not attempts and refuses_schema(error):
                    raise self._without_schema(error) from error
                raise
            text = self.prefill + said.text
            usage += said.usage
            try:
                workflow = self.parse(text, request)
            except PlanError as error:
                if said.tool:
                    what = (
                        f"the reply calls the tool {said.tool}, which nobody runs: write the plan as text"
                    )
                    error = PlanError(f"{error.reason}; {what}", step=error.step, text=text)
                attempts.append(Attempt(self._mode, text, str(error)))
                if len(attempts) > MAX_REPAIRS:
                    raise PlanningError(error, tuple(attempts), usage) from None
                messages += [
                    AIMessage(
                        escape(text) if text.strip() else "(nothing)"
                    ),  # Anthropic refuses blank text
                    HumanMessage(repair_prompt(str(error))),
                ]
                continue
            reached: Reached = "schema" if self.structured else "unaided"
            return Plan(
                workflow,
                reached="repair" if attempts else reached,
                text=text,
                messages=(*self._learned.role.sent(prompt), *opening),
                attempts=(*attempts, Attempt(self._mode, text)),
                usage=usage,
                withheld=tuple(reader_of(self.model).records(request.question, "")),
            )

    def _without_schema(self, error: Exception) -> Exception:
        """What is raised where the schema was refused: the signal to ask for text, if that may be."""
        if self._may_write_text:
            self._learned.no_schema = self._learned.no_schema or is_about_schema(error)
            return _NoSchemaError()
        if not is_about_schema(error):
            return error
        return PlanError(
            "the planner's model refuses to reply under a JSON schema, which structured=True asks for; leave "
            f"`structured` out, or set it to False: {said_by(error)}"
        )

    def _ask(self, call: _Call) -> Generator[_Asked, Any, Said]:
        """One reply, asked for again after outages."""
        for tries in count(1):
            try:
                return (yield from _reply(call))
            except LateError as error:
                failure: Exception = TimeoutError(f"no plan within {self.timeout:g} seconds")
                failure.__cause__ = error
            except Exception as error:
                failure = error
                if refuses_system(error) or (self.structured and is_about_schema(error)):
                    raise
            seconds = wait_before_retry(failure, tries, self.retries)
            if seconds is None:
                raise failure
            yield Wait(seconds=seconds)
        raise AssertionError  # count() never ends

    @property
    def _mode(self) -> Literal["text", "schema"]:
        return "schema" if self.structured else "text"

    def _model(self, request: PlanRequest) -> Any:
        if not self.structured:
            return self.model
        return self._bound(self._schema(request))

    @property
    def _example_schema(self) -> dict[str, Any]:
        """Some schema, to try whether the model can be bound to one."""
        return workflow_schema([0], 1, max_chars=self.max_subtask_chars)

    def _schema(self, request: PlanRequest) -> dict[str, Any]:
        """What replies are bound to."""
        return workflow_schema(
            self._ids(request),
            request.max_steps,
            allow_accept=request.may_accept,
            max_chars=self.max_subtask_chars,
        )

    def _bound(self, schema: dict[str, Any]) -> Any:
        return under_schema(self.model, schema)

    def _ids(self, request: PlanRequest) -> list[int] | list[str]:
        ordinals = request.pool.ordinals
        return list(ordinals) if self.show == "anonymous" else list(ordinals.values())

    def _previous(self, request: PlanRequest) -> tuple[str, str] | None:
        earlier = request.previous
        if earlier is None or earlier["workflow"] is None:
            return None
        if not self.show_previous_plan:
            return "", earlier["answer"]
        return self._shown(Workflow.from_json(earlier["workflow"]), request), earlier["answer"]

    def _shown(self, workflow: Workflow, request: PlanRequest) -> str:
        try:
            return workflow.to_text(request.pool.ordinals if self.show == "anonymous" else None)
        except PlanError:  # a worker of that round is no longer offered
            return workflow.to_text()


@dataclass(slots=True)
class Learned:
    """What a planner has found its model to refuse; one for all that is made of the planner.

    Args:
        no_schema: A schema.
        role: The system role.
    """

    no_schema: bool = False
    role: SystemRole = field(default_factory=SystemRole)


class _NoSchemaError(Exception):
    """A plan cannot be asked for under a schema."""


def _check_show(show: Any) -> None:
    if show not in ("anonymous", "described"):
        raise ValueError(f'show must be "anonymous" or "described", not {show!r}')


def _countdown(seconds: float) -> Callable[[], float]:
    end = time.monotonic() + seconds
    return lambda: end - time.monotonic()


def _reply(call: _Call) -> Generator[_Asked, Any, Said]:
    """One reply."""
    try:
        reply = yield call
    except Exception as error:
        cut = said_before_cut(error)
        if cut is None:
            raise
        return cut
    return said_in(reply)
