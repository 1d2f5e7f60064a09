"""Options that are bound to a conductor by `with_config` and hold beside those of a call."""

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.graph import Graph as DrawableGraph
from langgraph.graph.state import CompiledStateGraph

from langgraph_conductor.options import BY_NAME, OPTIONS, Options


class BoundOptions(CompiledStateGraph[Any, Any, Any, Any]):
    """A conductor's graph. LangChain lets a call's options take the place of the bound ones; here they are merged.

    Bound options are the developer's, so a call can only narrow them.
    """

    def with_config(self, config: RunnableConfig | None = None, **kwargs: Any) -> "BoundOptions":
        """A copy with an updated config."""
        given: Any = {**(config or {}), **kwargs}
        return super().with_config(_merged(self.config, given, narrow=False))

    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:  # noqa: A002
        """Stream the run."""
        yield from super().stream(input, _merged(self.config, config), **kwargs)

    async def astream(
        self,
        input: Any,  # noqa: A002
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[Any]:
        """`stream`, async."""
        async for part in super().astream(input, _merged(self.config, config), **kwargs):
            yield part

    def get_graph(self, config: RunnableConfig | None = None, *, xray: int | bool = False) -> DrawableGraph:
        """The drawable graph."""
        return super().get_graph(_merged(self.config, config), xray=xray)


def with_bound_options(
    graph: CompiledStateGraph[Any, Any, Any, Any],
) -> CompiledStateGraph[Any, Any, Any, Any]:
    """The graph, merging the options that are bound to it with those of each call."""
    graph.__class__ = BoundOptions  # LangGraph's `compile` makes no other class
    return graph


def _merged(bound: RunnableConfig | None, config: Any, *, narrow: bool = True) -> Any:
    """`config`, whose options lie over those of `bound`."""
    before, given = _options(bound), _options(config)
    if not isinstance(before, Mapping) or not isinstance(given, Mapping):
        return config
    both = {**before, **given}
    if narrow:
        laid = Options().over(_of(before)).over(_of(given))
        if before.get("budget") is not None and laid.budget is not None:
            both["budget"] = laid.budget.to_json()
        if before.get(BY_NAME) and given.get(BY_NAME):
            both[BY_NAME] = {**before[BY_NAME], **given[BY_NAME]}
        if before.get("exclude") and given.get("exclude"):
            both["exclude"] = list(dict.fromkeys(laid.exclude))
    configurable = {**(config.get("configurable") or {}), OPTIONS: both}
    return {**config, "configurable": configurable}


def _of(options: Mapping[str, Any]) -> dict[str, Any]:
    return {"configurable": {OPTIONS: options}}


def _options(config: Any) -> Any:
    return ((config or {}).get("configurable") or {}).get(OPTIONS)
