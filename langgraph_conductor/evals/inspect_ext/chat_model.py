"""A model of Inspect as a chat model of LangChain, so that workers and planner can be model roles."""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from inspect_ai.model import GenerateConfig, Model, ModelOutput, ResponseSchema, get_model, model_roles
from inspect_ai.tool import ToolChoice, ToolFunction, ToolInfo
from inspect_ai.util import JSONSchema, LimitExceededError
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.language_models.base import LangSmithParams
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.output_parsers import JsonOutputParser, PydanticOutputParser
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool
from langchain_core.utils.json_schema import dereference_refs
from pydantic import BaseModel, ConfigDict, model_validator

from langgraph_conductor.errors import ConfigError
from langgraph_conductor.evals.inspect_ext.messages import assistant, to_inspect
from langgraph_conductor.evals.inspect_ext.running import ends_sample
from langgraph_conductor.evals.inspect_ext.usage import usage_metadata
from langgraph_conductor.workers import Worker, WorkerPool

_FINISH: Final = {"max_tokens": "length", "model_length": "length"}


class InspectChatModel(BaseChatModel):
    """A chat model that asks a model of Inspect, so that Inspect counts, limits, caches and logs the call.

    It can be used inside an evaluation of Inspect, and only be awaited, since Inspect is async only. Retries are
    Inspect's: give its `Worker` `retries=0`.

    Args:
        role: The model role (`--model-role coder=openai/gpt-5`).
        model: A model of Inspect, such as `"openai/gpt-5"`: where no role is given, or none of that name is
            bound. With neither the sample fails: Inspect's own default, the evaluated model, might be this
            conductor.
        temperature: As in `GenerateConfig`, as are the others. Any other setting of it can be bound:
            `model.bind(reasoning_effort="low")`.
        max_tokens: Most tokens of a reply.
        top_p: Nucleus sampling.
        seed: Seed of the sampling, where the provider has one.

    Raises:
        ValueError: If neither `role` nor `model` is given.
    """

    role: str | None = None
    model: str | Model | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None
    seed: int | None = None

    model_config = ConfigDict(arbitrary_types_allowed=True)

    @model_validator(mode="after")
    def _needs_one(self) -> "InspectChatModel":
        if not self.role and not self.model:
            raise ValueError('give `role`, such as role="coder", or `model`, such as model="openai/gpt-5"')
        return self

    def resolve(self) -> Model:
        """The model of Inspect it asks, here and now.

        Raises:
            ConfigError: If the role is not bound and there is no `model`.
        """
        if self.role is None or (self.role not in model_roles() and self.model is not None):
            return get_model(self.model)
        if self.role not in model_roles():
            raise ConfigError(
                f"the model role {self.role!r} is not bound: give --model-role {self.role}=openai/gpt-5, or "
                "model_roles of inspect_ai.eval"
            )
        return get_model(role=self.role)

    @property
    def _llm_type(self) -> str:
        return "inspect"

    @property
    def _name(self) -> str:
        return self.role or str(self.model)

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self._name, **self._settings}

    @property
    def _settings(self) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in ("temperature", "max_tokens", "top_p", "seed")}
        return {name: value for name, value in told.items() if value is not None}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        told = super()._get_ls_params(stop, **kwargs)
        return {**told, "ls_provider": "inspect", "ls_model_name": self._name}

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        raise TypeError(
            "models of Inspect can only be awaited: call the conductor with `ainvoke` or `astream`"
        )

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        tools = [_tool_info(tool) for tool in kwargs.pop("tools", None) or ()]
        choice = _tool_choice(kwargs.pop("tool_choice", None))
        config = _config({**self._settings, **kwargs}, stop)
        try:
            asked = self.resolve()
            output = await asked.generate(
                to_inspect(messages), tools=tools, tool_choice=choice, config=config
            )
        except (ConfigError, LimitExceededError) as error:
            if (hit := ends_sample.get()) is not None:
                hit.append(error)
            raise
        return ChatResult(generations=[ChatGeneration(message=_reply(output))])

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | Any],
        *,
        tool_choice: Any = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """The model with tools.

        Args:
            tools: Tools in any form LangChain takes; keywords of JSON schema that Inspect lacks are left out.
            tool_choice: `"auto"`, `"any"`, `"required"`, `"none"`, `True`, or the name of a tool.
            kwargs: Settings of `GenerateConfig`.

        Raises:
            ValueError: If `tool_choice` is none of these, or a setting is not known.
        """
        shown = [convert_to_openai_tool(tool) for tool in tools]
        _tool_choice(tool_choice)
        return self.bind(tools=shown, **({"tool_choice": tool_choice} if tool_choice else {}), **kwargs)

    def with_structured_output(
        self, schema: dict[str, Any] | type, *, include_raw: bool = False, **kwargs: Any
    ) -> Runnable[LanguageModelInput, dict[str, Any] | BaseModel]:
        """The model bound to a schema.

        Args:
            schema: A JSON schema, a pydantic class, or another form LangChain takes.
            include_raw: Whether to give `raw`, `parsed` and `parsing_error` in place of the parsed reply alone.
            kwargs: `method`: `"json_schema"`, by the provider's own decoding where Inspect knows it (elsewhere the
                schema is not seen, and the reply may not fit), or `"function_calling"`, by a tool. `strict`: for
                `"json_schema"`.

        Raises:
            ValueError: If the method is neither.
        """
        method, strict = kwargs.pop("method", "json_schema"), kwargs.pop("strict", None)
        if kwargs or method not in ("json_schema", "function_calling"):
            wrong = f"no {', '.join(kwargs)}" if kwargs else f"no method {method!r}"
            raise ValueError(
                f"with_structured_output has {wrong}; `method` is json_schema or function_calling"
            )
        if method == "function_calling":
            return super().with_structured_output(schema, include_raw=include_raw)
        plain = convert_to_json_schema(schema)
        format_ = {"name": plain.get("title", "reply"), "schema": plain, "strict": strict}
        bound = self.bind(response_format={"type": "json_schema", "json_schema": format_})
        parser: Any = JsonOutputParser()
        if isinstance(schema, type) and issubclass(schema, BaseModel):
            parser = PydanticOutputParser(pydantic_object=schema)
        if not include_raw:
            one: Runnable[LanguageModelInput, Any] = bound | parser
            return one
        parsed = RunnablePassthrough.assign(parsed=itemgetter("raw") | parser, parsing_error=lambda _: None)
        unparsed = RunnablePassthrough.assign(parsed=lambda _: None)
        with_error = parsed.with_fallbacks([unparsed], exception_key="parsing_error")
        whole: Runnable[LanguageModelInput, Any] = RunnableMap(raw=bound) | with_error
        return whole


def roles_pool(roles: Mapping[str, str], **options: Any) -> WorkerPool:
    """Workers that are model roles.

    Args:
        roles: Name of each role, which the worker has too, and its description for planners.
        options: For every `Worker`. Retries are Inspect's unless `retries` is given.

    Raises:
        ValueError: If a name or an option does not fit.
    """
    given = {"retries": 0, **options}
    return WorkerPool(
        Worker(name, InspectChatModel(role=name), description=about, **given)
        for name, about in roles.items()
    )


def _reply(output: ModelOutput) -> AIMessage:
    about: dict[str, Any] = {"model_name": output.model}
    if output.usage and output.usage.total_cost is not None:
        about["cost"] = output.usage.total_cost
    told = usage_metadata(output.usage)
    if output.empty:
        return AIMessage(output.completion, usage_metadata=told, response_metadata=about)
    about["finish_reason"] = _FINISH.get(output.stop_reason, output.stop_reason)
    content = output.message.content_list
    refused = [block.text for block in content if block.type == "text" and block.refusal]
    extra = {"refusal": "\n".join(refused) or "no reason given"} if refused else {}
    return assistant(output.message, usage_metadata=told, response_metadata=about, additional_kwargs=extra)


def _config(given: Mapping[str, Any], stop: list[str] | None) -> GenerateConfig:
    known = {name: value for name, value in given.items() if value is not None}
    known.pop("ls_structured_output_format", None)  # LangChain's own, for tracers
    if stop:
        known["stop_seqs"] = stop
    if form := known.pop("response_format", None):
        known["response_schema"] = _response_schema(form)
    if unknown := sorted(known.keys() - GenerateConfig.model_fields.keys()):
        raise ValueError(f"Inspect's GenerateConfig has no {', '.join(unknown)}; leave it out")
    return GenerateConfig(**known)


def _response_schema(form: Any) -> ResponseSchema:
    if not isinstance(form, Mapping) or form.get("type") != "json_schema":
        raise ValueError(f"response_format must be of the type json_schema, not {form!r:.80}")
    told = form["json_schema"]
    return ResponseSchema(
        name=told["name"],
        json_schema=_schema(told["schema"]),
        description=told["schema"].get("description"),
        strict=told.get("strict"),
    )


def _tool_info(tool: Mapping[str, Any]) -> ToolInfo:
    told = tool["function"]
    parameters = _schema(told.get("parameters") or {"type": "object", "properties": {}})
    return ToolInfo.model_validate(
        {
            "name": told["name"],
            "description": told.get("description") or told["name"],
            "parameters": {
                "properties": parameters.properties or {},
                "required": parameters.required or [],
                "additionalProperties": parameters.additionalProperties or False,
            },
        }
    )


def _schema(schema: Mapping[str, Any]) -> JSONSchema:
    """A JSON schema in Inspect's form, which has no references, `const`, `oneOf` or bounds of arrays."""
    whole = dict(schema)
    flat = dereference_refs(whole) if "$defs" in whole or "definitions" in whole else whole
    return JSONSchema.model_validate(_spelled(flat))


def _spelled(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_spelled(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    told = {
        name: part if name == "enum" else _spelled(part) for name, part in schema.items() if name != "$defs"
    }
    if "const" in told:
        told["enum"] = [told.pop("const")]
    if "oneOf" in told:
        told["anyOf"] = told.pop("oneOf")
    return told


def _tool_choice(choice: Any) -> ToolChoice | None:
    if choice is None:
        return None
    if choice in ("auto", "any", "none"):
        return choice  # type: ignore[no-any-return]
    if choice is True or choice == "required":
        return "any"
    if isinstance(choice, str):
        return ToolFunction(choice)
    if isinstance(choice, Mapping) and isinstance(choice.get("function"), Mapping):
        return ToolFunction(choice["function"]["name"])
    raise ValueError(
        f'tool_choice is "auto", "any", "none", True or the name of a tool, not {choice!r:.80}'
    )
