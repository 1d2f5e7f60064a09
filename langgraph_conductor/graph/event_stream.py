"""Where events are sent: the `custom` stream of a graph."""

import time
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import RunnableConfig

from langgraph_conductor.events import EVENT_VERSION, Event
from langgraph_conductor.graph._langgraph import stream_writer, write_at


@dataclass(frozen=True, slots=True)
class EventStream:
    """The `custom` stream of the graph a node runs in.

    In LangGraph what a subgraph streams is seen by those who ask for the streams of subgraphs. Events of a
    conductor are of interest where it stands, so all that runs below it sends to the stream of its own graph.

    Args:
        write: LangGraph's writer; `None` where nothing is streamed.
        namespace: The checkpoint namespace that events are sent at.
        tokens: Whether they tell of tokens.
    """

    write: Callable[[Any], None] | None = None
    namespace: str = ""
    tokens: bool = False

    @classmethod
    def of(cls, config: RunnableConfig, *, tokens: bool = False) -> "EventStream":
        """The stream of the graph of a node.

        Args:
            config: The config of the node.
            tokens: Whether events tell of tokens.
        """
        namespace = (config.get("configurable") or {}).get("checkpoint_ns", "")
        return cls(stream_writer(config), namespace, tokens)

    def send(self, event: Event) -> None:
        """Send an event, stamped with its version and the time."""
        if self.write is None:
            return
        stamped = {**event, "version": EVENT_VERSION, "time": time.time()}
        # The writer takes the namespace from the ambient config.
        copy_context().run(write_at, self.write, self.namespace, stamped)
