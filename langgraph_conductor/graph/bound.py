"""Options that are bound to a conductor by `with_config` and hold beside those of a call."""

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, cast, overload

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config
from langchain_core.runnables.graph import Graph as DrawableGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, GraphOutput, StreamMode

from langgraph_conductor.options import BY_NAME, OPTIONS
from langgraph_conductor.state import ConductorResult, ConductorState


class ConductorGraph(CompiledStateGraph[ConductorState, Any, Any, ConductorResult]):
    """A conductor's graph, as `create_conductor` returns it: LangGraph's, whose `invoke` has a typed result.

    A call's options lie over the bound ones, where LangChain would drop these.

    Bound options are the developer's, so a call can only narrow them. Who binds others later may widen them.
    """

    if TYPE_CHECKING:  # LangGraph's own methods; it types what they return as `dict[str, Any] | Any`

        @overload  # type: ignore[override]
        def invoke(
            self,
            input: Mapping[str, Any] | Command[Any] | None,
            config: RunnableConfig | None = None,
            *,
            stream_mode: Literal["values"] = ...,
            version: Literal["v1"] = ...,
            **kwargs: Any,
        ) -> ConductorResult: ...
        @overload
        def invoke(
            self,
            input: Mapping[str, Any] | Command[Any] | None,
            config: RunnableConfig | None = None,
            *,
            stream_mode: Literal["values"] = ...,
            version: Literal["v2"],
            **kwargs: Any,
        ) -> GraphOutput[ConductorResult]: ...
        @overload
        def invoke(
            self,
            input: Mapping[str, Any] | Command[Any] | None,
            config: RunnableConfig | None = None,
            *,
            stream_mode: StreamMode,
            **kwargs: Any,
        ) -> Any: ...
        def invoke(self, *args: Any, **kwargs: Any) -> Any: ...  # noqa: D102

        @overload  # type: ignore[override]
        async def ainvoke(
            self,
            input: Mapping[str, Any] | Command[Any] | None,
            config: RunnableConfig | None = None,
            *,
            stream_mode: Literal["values"] = ...,
            version: Literal["v1"] = ...,
            **kwargs: Any,
        ) -> ConductorResult: ...
        @overload
        async def ainvoke(
            self,
            input: Mapping[str, Any] | Command[Any] | None,
            config: RunnableConfig | None = None,
            *,
            stream_mode: Literal["values"] = ...,
            version: Literal["v2"],
            **kwargs: Any,
        ) -> GraphOutput[ConductorResult]: ...
        @overload
        async def ainvoke(
            self,
            input: Mapping[str, Any] | Command[Any] | None,
            config: RunnableConfig | None = None,
            *,
            stream_mode: StreamMode,
            **kwargs: Any,
        ) -> Any: ...
        async def ainvoke(self, *args: Any, **kwargs: Any) -> Any: ...  # noqa: D102

    def with_config(self, config: RunnableConfig | None = None, **kwargs: Any) -> "ConductorGraph":
        """A copy with an updated config."""
        given: Any = {**(config or {}), **kwargs}
        before, new = _options(self.config), _options(given)
        if isinstance(before, Mapping) and isinstance(new, Mapping):
            given = _with(given, _updated(before, new))
        return super().with_config(given)

    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:  # noqa: A002
        """Stream the run."""
        yield from super().stream(input, _laid(self.config, config), **kwargs)

    async def astream(
        self,
        input: Any,  # noqa: A002
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[Any]:
        """`stream`, async."""
        async for part in super().astream(input, _laid(self.config, config), **kwargs):
            yield part

    def get_graph(self, config: RunnableConfig | None = None, *, xray: int | bool = False) -> DrawableGraph:
        """The drawable graph."""
        return super().get_graph(_laid(self.config, config), xray=xray)

    async def aget_graph(
        self, config: RunnableConfig | None = None, *, xray: int | bool = False
    ) -> DrawableGraph:
        """`get_graph`, awaited."""
        return await super().aget_graph(_laid(self.config, config), xray=xray)


def with_bound_options(graph: CompiledStateGraph[Any, Any, Any, Any]) -> ConductorGraph:
    """The graph, whose bound options lie under those of each call."""
    graph.__class__ = ConductorGraph  # LangGraph's `compile` makes no other class
    return cast("ConductorGraph", graph)


def _laid(bound: RunnableConfig | None, config: RunnableConfig | None) -> Any:
    """`config`, whose options, if there are any, lie over those of `bound`."""
    below = _options(bound)
    if below is None:
        return config
    given = _options(config)
    if given is None:  # a graph that is called inside another's node is given the options of that one
        given = _options(var_child_runnable_config.get())
    # Also where nothing is given: what a run began with may be less than what is bound.
    return _with(config, [*_layers(below), *_layers({} if given is None else given)])


def _layers(options: Any) -> list[Any]:
    return options if isinstance(options, list) else [options]


def _updated(before: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    updated = {**before, **new}
    named, more = before.get(BY_NAME), new.get(BY_NAME)
    if isinstance(named, Mapping) and isinstance(more, Mapping):
        updated[BY_NAME] = {**named, **more}
    return updated


def _with(config: RunnableConfig | None, options: Any) -> Any:
    given: Any = config or {}
    return {**given, "configurable": {**(given.get("configurable") or {}), OPTIONS: options}}


def _options(config: Any) -> Any:
    return ((config or {}).get("configurable") or {}).get(OPTIONS)
