"""What it takes to speak one provider's API."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
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
        ends: Whether it says, or comes after what says, that the reply is over.
    """

    data: Json | str
    event: str = ""
    said: bool = False
    ends: bool = False

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
        nothing: A whole reply in which there is none.
        failed: The event by which a stream tells of a fault, and the body of a whole reply that does.
        statuses: Faults that have a status of their own here.
    """

    messages: Callable[[Json], Iterator[tuple[str, str]]]
    asked: Callable[[Json], AskedForm | None]
    plain: Callable[[FakeReply, ProviderRequest], Json]
    frames: Callable[[FakeReply, ProviderRequest], Iterator[Frame]]
    error: Callable[[Fault, ProviderRequest], Json]
    nothing: Callable[[ProviderRequest], Json]
    failed: Callable[[Fault, ProviderRequest], tuple[Frame, Json]]
    statuses: Mapping[str, int] = field(default_factory=dict)

    def status(self, fault: Fault) -> int:
        """The HTTP status of a fault on this wire."""
        return self.statuses.get(fault.name, fault.status)
