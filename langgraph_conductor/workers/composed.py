"""Chat models in what LangChain composes of them: bound, retried, with fallbacks, configurable, in chains."""

from collections.abc import Mapping
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import (
    Runnable,
    RunnableConfig,
    RunnableLambda,
    RunnableParallel,
    RunnableSequence,
)
from langchain_core.runnables.base import RunnableBindingBase
from langchain_core.runnables.fallbacks import RunnableWithFallbacks


def models_in(runnable: Any) -> tuple[BaseChatModel, ...]:
    """The chat model it is, or those it is made of: the first that is asked, and those it falls back on."""
    if isinstance(runnable, BaseChatModel):
        return (runnable,)
    if isinstance(runnable, RunnableWithFallbacks):
        return tuple(model for one in (runnable.runnable, *runnable.fallbacks) for model in models_in(one))
    if isinstance(runnable, RunnableBindingBase):
        return models_in(runnable.bound)
    if isinstance(runnable, RunnableSequence):
        return tuple(model for step in runnable.steps for model in models_in(step))
    return models_in(_by_default(runnable)) if is_configurable(runnable) else ()


def is_configurable(runnable: Any) -> bool:
    """Whether it is a model that the config of each call chooses (`init_chat_model(configurable_fields=...)`)."""
    kind = type(runnable)
    return kind.__name__ == "_ConfigurableModel" and kind.__module__.startswith("langchain.")


def _by_default(configurable: Any) -> Any:
    """The model a configurable one is where nothing else is chosen; `None` if it is none."""
    try:
        return configurable._model()
    except Exception:  # noqa: BLE001 - a name or a key that only calls give; they fail by themselves
        return None


def takes_schemas(runnable: Any) -> bool:
    """Whether it can be bound to a schema, by the profiles of all models that may be asked."""
    if isinstance(runnable, RunnableWithFallbacks):
        return all(map(takes_schemas, (runnable.runnable, *runnable.fallbacks)))
    if isinstance(runnable, RunnableBindingBase):
        return takes_schemas(runnable.bound)
    if is_configurable(runnable):
        return takes_schemas(_by_default(runnable))
    return isinstance(runnable, BaseChatModel) and bool((runnable.profile or {}).get("structured_output"))


def under_schema(
    runnable: Any, schema: Mapping[str, Any], bound: Mapping[str, Any] | None = None
) -> Runnable[Any, Any]:
    """`runnable` bound to reply in JSON of a schema: `{"raw": message, "parsed": object, "parsing_error": error}`.

    LangChain's own composed runnables forget what they were bound to and how they retry (`RunnableBinding` hands
    `with_structured_output` to the model inside it), so that they are composed again here, around bound models.

    Args:
        runnable: A chat model, or one that is bound, retried, with fallbacks or configurable.
        schema: The JSON schema.
        bound: Arguments of each call of the model.

    Raises:
        TypeError: If it is something else.
        Exception: Whatever a model raises that takes no schema.
    """
    given = dict(bound or {})
    if isinstance(runnable, RunnableWithFallbacks):
        first, *others = (
            under_schema(one, schema, given) for one in (runnable.runnable, *runnable.fallbacks)
        )
        return runnable.model_copy(update={"runnable": first, "fallbacks": others})
    if isinstance(runnable, RunnableBindingBase):
        inner = under_schema(runnable.bound, schema, {**runnable.kwargs, **given})
        return runnable.model_copy(update={"bound": inner, "kwargs": {}})
    if is_configurable(runnable):

        def chosen(_: Any, config: RunnableConfig) -> Runnable[Any, Any]:
            return under_schema(runnable._model(config), schema, given)

        async def achosen(_: Any, config: RunnableConfig) -> Runnable[Any, Any]:
            return chosen(_, config)

        return RunnableLambda(chosen, achosen, name="configurable model")
    if not isinstance(runnable, BaseChatModel):
        raise TypeError("only a chat model can be, or one that is bound, retried, or has fallbacks")
    structured = runnable.with_structured_output(dict(schema), method="json_schema", include_raw=True)
    return _called_with(structured, given) if given else structured


def _called_with(runnable: Runnable[Any, Any], given: dict[str, Any]) -> Runnable[Any, Any]:
    """`runnable` in which the model that begins it is called with these arguments, too."""
    if isinstance(runnable, BaseChatModel):
        return runnable.bind(**given)
    if isinstance(runnable, RunnableBindingBase):
        if isinstance(runnable.bound, BaseChatModel):
            return runnable.model_copy(update={"kwargs": {**given, **runnable.kwargs}})
        return runnable.model_copy(update={"bound": _called_with(runnable.bound, given)})
    if isinstance(runnable, RunnableParallel):
        steps = {name: _called_with(step, given) for name, step in runnable.steps__.items()}
        return runnable.model_copy(update={"steps__": steps})
    if isinstance(runnable, RunnableSequence):
        return runnable.model_copy(update={"first": _called_with(runnable.first, given)})
    return runnable
