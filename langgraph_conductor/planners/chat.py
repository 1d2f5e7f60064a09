"""A planner that is a chat model: a prompted one, or one trained to conduct."""

import json
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any, Final, Literal

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from langgraph_conductor.dialect import Accept, parse_workflow, workflow_schema
from langgraph_conductor.driving import adrive, drive
from langgraph_conductor.errors import PlanError
from langgraph_conductor.planners.examples import EXAMPLES
from langgraph_conductor.planners.protocol import Attempt, Plan, PlanningError, PlanRequest, Reached
from langgraph_conductor.prompts import (
    PLANNER_SYSTEM,
    Example,
    planner_prompt,
    repair_prompt,
    with_attachments,
)
from langgraph_conductor.usage import Usage, usage_of_message
from langgraph_conductor.workers import Worker
from langgraph_conductor.workers.forms import chat_model
from langgraph_conductor.workflow import Workflow

MAX_REPAIRS: Final = 2

Show = Literal["anonymous", "described"]


class ChatPlanner:
    """Plans by asking a chat model.

    Args:
        model: A chat model or a string that names one.
        show: What the model learns of the workers: `"described"`, their names, descriptions and
            prices; or `"anonymous"`, their ordinals alone, which is how the paper's conductor is
            trained.
        structured: Whether decoding is bound to a JSON schema. Left out, it is where the model's
            profile says that it supports it. Trained conductors write plain text: set `False`.
        examples: Worked plans to show. Ones with more steps than allowed are left out.
        max_subtask_chars: Bound for every string under the schema, for servers whose grammar decoding
            does not know when to stop; some hosted models refuse such a bound.
        prefill: How the reply begins: sent as the start of the model's own message, which it goes on
            writing, and put before what it wrote. For plain text, and for servers told to continue the
            last message; vLLM is by `extra_body={"add_generation_prompt": False,
            "continue_final_message": True}` of `ChatOpenAI`. No whitespace at its end: templates drop it.

    Raises:
        ValueError: If an option does not fit.
        TypeError: If `model` is not a chat model.
    """

    def __init__(
        self,
        model: BaseChatModel | str,
        /,
        *,
        show: Show = "described",
        structured: bool | None = None,
        examples: Sequence[Example] = EXAMPLES,
        max_subtask_chars: int | None = None,
        prefill: str = "",
    ) -> None:
        if isinstance(model, str):
            model = chat_model(model, "planner")
        if not isinstance(model, BaseChatModel):
            raise TypeError(
                "a planner is a model string, a chat model, or an object with `plan` and `aplan`, "
                f"not {type(model).__name__}"
            )
        if max_subtask_chars is not None and max_subtask_chars < 1:
            raise ValueError(f"max_subtask_chars must be at least 1, not {max_subtask_chars}")
        if show not in ("anonymous", "described"):
            raise ValueError(f'show must be "anonymous" or "described", not {show!r}')
        self.model = model
        self.show = show
        self.examples = tuple(examples)
        self.max_subtask_chars = max_subtask_chars
        self.prefill = prefill
        self.structured = (
            bool((model.profile or {}).get("structured_output")) if structured is None else bool(structured)
        )
        if prefill and (self.structured or prefill != prefill.rstrip()):
            raise ValueError("prefill needs structured=False and must not end in whitespace")
        if self.structured:
            self._try_binding()

    def _try_binding(self) -> None:
        try:
            self._bound(workflow_schema([0], 1, max_chars=self.max_subtask_chars))
        except Exception as error:
            what = f"{type(self.model).__name__} cannot be bound to a JSON schema ({error!r})"
            raise ValueError(f"planner: {what}; give ChatPlanner structured=False") from error

    def render(self, request: PlanRequest) -> list[BaseMessage]:
        """The prompt for `request`."""
        ids = self._ids(request)
        lines = [self._shown(n, request.pool[name]) for n, name in request.pool.ordinals.items()]
        text = planner_prompt(
            request.question,
            lines,
            ids,
            self.examples,
            max_steps=request.max_steps,
            as_json=self.structured,
            previous=self._previous(request),
        )
        return [SystemMessage(PLANNER_SYSTEM), HumanMessage(with_attachments(text, request.question))]

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
        return drive(self._logic(request), self._model(request).invoke)

    async def aplan(self, request: PlanRequest) -> Plan:
        """`plan`, awaited."""
        return await adrive(self._logic(request), self._model(request).ainvoke)

    def _logic(self, request: PlanRequest) -> Generator[list[BaseMessage], Any, Plan]:
        prompt = self.render(request)
        opening = [AIMessage(self.prefill)] if self.prefill else []
        messages = list(prompt)
        attempts: list[Attempt] = []
        usage = Usage()
        while True:
            text, used = yield from _ask([*messages, *opening])
            text = self.prefill + text
            usage += used
            try:
                workflow = self.parse(text, request)
            except PlanError as error:
                attempts.append(Attempt(self._mode, text, str(error)))
                if len(attempts) > MAX_REPAIRS:
                    raise PlanningError(error, tuple(attempts), usage) from None
                messages += [AIMessage(text or "(nothing)"), HumanMessage(repair_prompt(str(error)))]
                continue
            reached: Reached = "schema" if self.structured else "unaided"
            return Plan(
                workflow,
                reached="repair" if attempts else reached,
                text=text,
                messages=(*prompt, *opening),
                attempts=(*attempts, Attempt(self._mode, text)),
                usage=usage,
            )

    @property
    def _mode(self) -> Literal["text", "schema"]:
        return "schema" if self.structured else "text"

    def _model(self, request: PlanRequest) -> Any:
        if not self.structured:
            return self.model
        return self._bound(
            workflow_schema(
                self._ids(request),
                request.max_steps,
                allow_accept=request.may_accept,
                max_chars=self.max_subtask_chars,
            )
        )

    def _bound(self, schema: dict[str, Any]) -> Any:
        return self.model.with_structured_output(schema, method="json_schema", include_raw=True)

    def _ids(self, request: PlanRequest) -> list[int] | list[str]:
        ordinals = request.pool.ordinals
        return list(ordinals) if self.show == "anonymous" else list(ordinals.values())

    def _shown(self, ordinal: int, worker: Worker) -> str:
        last = "" if worker.may_be_last else " (not for the last step)"
        if self.show == "anonymous":
            return f"Model {ordinal}{last}"
        said = f"{worker.name}: {' '.join(worker.description.split())}".rstrip(": ")
        if worker.price is not None:
            said += f" (${worker.price.input} in, ${worker.price.output} out per million tokens)"
        return said + last

    def _previous(self, request: PlanRequest) -> tuple[str, str] | None:
        earlier = request.previous
        if earlier is None or earlier["workflow"] is None:
            return None
        workflow = Workflow.from_json(earlier["workflow"])
        try:
            shown = workflow.to_text(request.pool.ordinals if self.show == "anonymous" else None)
        except PlanError:  # a worker of that round is no longer offered
            shown = workflow.to_text()
        return shown, earlier["answer"]


def _ask(messages: list[BaseMessage]) -> Generator[list[BaseMessage], Any, tuple[str, Usage]]:
    """One reply: its text and what it used."""
    try:
        reply = yield messages
    except Exception as error:
        cut = _cut_reply(error)
        if cut is None:
            raise
        return cut
    message, parsed = reply, None
    if isinstance(reply, dict):
        message, parsed = (reply["raw"], reply.get("parsed")) if "raw" in reply else (None, reply)
    text = str(message.text) if isinstance(message, BaseMessage) else ""
    if isinstance(parsed, dict):
        text = json.dumps(parsed, ensure_ascii=False)  # some models give the object beside other text
    return text, usage_of_message(getattr(message, "usage_metadata", None))


def _cut_reply(error: Exception) -> tuple[str, Usage] | None:
    """The reply inside the openai client's error for structured output that hit the length limit.

    That client raises instead of returning what there is (openai.LengthFinishReasonError).
    """
    completion = getattr(error, "completion", None)
    if type(error).__name__ != "LengthFinishReasonError" or completion is None:
        return None
    used = completion.usage
    tokens = {"input_tokens": used.prompt_tokens, "output_tokens": used.completion_tokens} if used else {}
    return completion.choices[0].message.content or "", usage_of_message(tokens)
