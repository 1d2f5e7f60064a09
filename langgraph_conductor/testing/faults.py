"""How providers fail. Each function gives a `Fault`, which `FakeProviders` acts out on any of its wires."""

import socket
from dataclasses import dataclass

from langgraph_conductor.testing.answers import FakeReply

LONG_TEXT = "This reply is long enough to be broken off before its end."
_LONG = FakeReply(LONG_TEXT)


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to fail; the functions of this module make them.

    Attributes:
        name: The function that made it.
        status: The HTTP status. Other than 200, an error in the provider's own form is sent.
        retry_after: Seconds in the `Retry-After` header.
        delay: Seconds of silence before the first byte.
        after: Pieces of the reply that are sent before it breaks; None for a whole one. A reply that
            is not streamed breaks in the middle.
        silence: Seconds of silence at the break, after which the rest follows; None drops the connection.
        reply: What is answered where anything is.
    """

    name: str
    status: int = 200
    retry_after: float | None = None
    delay: float = 0.0
    after: int | None = None
    silence: float | None = None
    reply: FakeReply = _LONG


def rate_limited(retry_after: float | None = None) -> Fault:
    """429, with a `Retry-After` header of that many seconds where given."""
    return Fault("rate_limited", status=429, retry_after=retry_after)


def server_error() -> Fault:
    """500."""
    return Fault("server_error", status=500)


def overloaded(status: int = 529) -> Fault:
    """No capacity. 529 is Anthropic's and OpenRouter's status; OpenAI and Google say 503."""
    return Fault("overloaded", status=status)


def unknown_model() -> Fault:
    """404: there is no such model."""
    return Fault("unknown_model", status=404)


def context_too_long() -> Fault:
    """400: the prompt has more tokens than the model takes."""
    return Fault("context_too_long", status=400)


def bad_key() -> Fault:
    """401, with an error body that holds the key that was sent: it must not travel any further."""
    return Fault("bad_key", status=401)


def slow_headers(seconds: float, reply: str | FakeReply = LONG_TEXT) -> Fault:
    """Nothing at all for that many seconds, then the reply."""
    return Fault("slow_headers", delay=seconds, reply=_reply(reply))


def stall(after: int = 2, seconds: float = 60.0, reply: str | FakeReply = LONG_TEXT) -> Fault:
    """Silence in the middle of the reply.

    Args:
        after: Pieces of a streamed reply that are sent before. One that is not streamed stops half-way.
        seconds: How long it lasts; then the rest follows.
        reply: The reply.
    """
    return Fault("stall", after=after, silence=seconds, reply=_reply(reply))


def cut(after: int = 2, reply: str | FakeReply = LONG_TEXT) -> Fault:
    """The connection drops in the middle of the reply, so that clients see an incomplete read.

    Args:
        after: Pieces of a streamed reply that are sent before. One that is not streamed stops half-way.
        reply: The reply.
    """
    return Fault("cut", after=after, reply=_reply(reply))


def malformed_json() -> Fault:
    """A complete reply of status 200 whose JSON is broken."""
    return Fault("malformed_json")


def empty() -> Fault:
    """A valid reply with no text."""
    return Fault("empty", reply=FakeReply(output_tokens=0))


def refusal(words: str = "I cannot help with that.") -> Fault:
    """The model declines, in the provider's own form.

    That is OpenAI's `refusal` field, Anthropic's stop reason `refusal`, Google's finish reason `SAFETY`.
    """
    return Fault("refusal", reply=FakeReply(refusal=words))


def refused_url() -> str:
    """A loopback URL at which nothing listens: connections are refused.

    The port was free a moment ago. Give clients this URL plus the path they expect, such as `/v1`.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def _reply(reply: str | FakeReply) -> FakeReply:
    return FakeReply(reply) if isinstance(reply, str) else reply
