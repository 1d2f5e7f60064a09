"""What it takes to speak one provider's API."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from langgraph_conductor.testing.answers import FakeReply
from langgraph_conductor.testing.faults import Fault
from langgraph_conductor.testing.requests import AskedForm, ProviderRequest

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Frame:
    """One event of a streamed reply.

    Args:
        data: What it carries.
        event: Its name, on wires that name events.
        said: Whether it is a piece of the reply, and not only its frame.
    """

    data: Json | str
    event: str = ""
    said: bool = False

    def encode(self) -> bytes:
        """The event as server-sent events have it."""
        data = self.data if isinstance(self.data, str) else json.dumps(self.data)
        name = f"event: {self.event}\n" if self.event else ""
        return f"{name}data: {data}\n\n".encode()


@dataclass(frozen=True, slots=True)
class Wire:
    """One provider's API.

    Args:
        messages: The (role, text) pairs of a request's body.
        asked: The form a request's body asks for.
        plain: A whole reply.
        frames: The same reply as a stream.
        error: The body that goes with a fault's status.
    """

    messages: Callable[[Json], Iterator[tuple[str, str]]]
    asked: Callable[[Json], AskedForm | None]
    plain: Callable[[FakeReply, ProviderRequest], Json]
    frames: Callable[[FakeReply, ProviderRequest], Iterator[Frame]]
    error: Callable[[Fault, ProviderRequest], Json]
