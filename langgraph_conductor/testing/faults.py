"""How providers fail. Each function gives a `Fault`, which `FakeProviders` acts out on any of its wires."""

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from email.utils import formatdate
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

from langgraph_conductor.testing.answers import FakeReply, FakeToolCall

LONG_TEXT = "This reply is long enough to be broken off before its end."
_LONG = FakeReply(LONG_TEXT)

RetryForm = Literal["header", "date", "ms", "reset", "body", "words"]
"""How a provider says how long to wait: `Retry-After` in seconds or as a date, `retry-after-ms`, the reset of a
limit that is used up (`x-ratelimit-reset-requests`), in the body (Google's `RetryInfo`, `retry_after` elsewhere),
or only in the sentence of the error."""

_HTML: Final = "<html><body>We are down for maintenance.</body></html>"


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to fail; the functions of this module make them.

    Attributes:
        name: The function that made it.
        status: The HTTP status. Other than 200, an error in the provider's own form is sent; some providers have
            a status of their own for a fault.
        retry_after: Seconds the provider asks to wait.
        retry_form: How it says so.
        delay: Seconds of silence before the first byte.
        after: Pieces of the reply that are sent before it breaks; None for a whole one. A reply that
            is not streamed breaks in the middle.
        silence: Seconds of silence at the break, after which the rest follows; None drops the connection.
        reply: What is answered where anything is.
        inside: Whether the error is told in a reply of status 200: in place of a whole one, or in a stream behind
            `after` pieces.
        ends: Whether a stream says that it is over.
        body: What is sent in place of a reply, as it is; None for a reply.
        content_type: Of the body.
        only: Requests it is met by: those under a `"schema"`, those with a `"system"` prompt; None for all. Others
            get the reply.
    """

    name: str
    status: int = 200
    retry_after: float | None = None
    delay: float = 0.0
    after: int | None = None
    silence: float | None = None
    reply: FakeReply = _LONG
    retry_form: RetryForm = "header"
    inside: bool = False
    ends: bool = True
    body: str | None = None
    content_type: str = "application/json"
    only: Literal["schema", "system"] | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The headers beside the error."""
        if self.retry_after is None:
            return {}
        if self.retry_form == "header":
            return {"Retry-After": f"{self.retry_after:g}"}
        if self.retry_form == "date":
            return {"Retry-After": formatdate(time.time() + self.retry_after, usegmt=True)}
        if self.retry_form == "ms":
            return {"retry-after-ms": f"{self.retry_after * 1000:g}"}
        if self.retry_form == "reset":
            reset = f"{round(self.retry_after * 1000)}ms"
            return {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": reset}
        return {}

    @property
    def told_wait(self) -> dict[str, float]:
        """What the body of the error says of the wait, in providers' common form."""
        if self.retry_after is None or self.retry_form != "body":
            return {}
        return {"retry_after": self.retry_after}

    @property
    def sentence(self) -> str:
        """What the sentence of the error says of the wait."""
        if self.retry_after is None or self.retry_form != "words":
            return ""
        return f" Please try again in {self.retry_after:g}s."


def rate_limited(retry_after: float | None = None, form: RetryForm = "header") -> Fault:
    """429, with the seconds to wait where given.

    Args:
        retry_after: The seconds.
        form: How they are told.

    Raises:
        ValueError: If there is no such form.
    """
    if form not in get_args(RetryForm):
        raise ValueError(f"form must be one of {', '.join(get_args(RetryForm))}, not {form!r}")
    return Fault("rate_limited", status=429, retry_after=retry_after, retry_form=form)


def out_of_credit() -> Fault:
    """The account cannot pay, in the provider's own words.

    OpenAI says so with 429 (`insufficient_quota`), Anthropic with 400, OpenRouter with 402, Google with 429.
    """
    return Fault("out_of_credit", status=402)


def told_in_200(fault: Fault | None = None, after: int = 0) -> Fault:
    """An error that is told in a reply of status 200.

    In place of a whole reply comes the error's body, or one of OpenAI's Responses whose status is `failed`; in a
    stream the provider's own event for it.

    Args:
        fault: The error, one with a status; left out, `server_error()`.
        after: Pieces of a streamed reply that are sent before.

    Raises:
        ValueError: If the fault has no status other than 200.
    """
    fault = fault or server_error()
    if fault.status == 200 or fault.only:
        raise ValueError(
            f"told_in_200 needs a fault with an error status, such as overloaded(), not {fault.name}()"
        )
    return replace(fault, inside=True, after=after)


def schema_refused(reply: str | FakeReply = LONG_TEXT) -> Fault:
    """400 wherever an answer under a JSON schema is asked for; other requests get the reply."""
    return Fault("schema_refused", status=400, only="schema", reply=_reply(reply))


def system_role_refused(reply: str | FakeReply = LONG_TEXT) -> Fault:
    """400 wherever there is a system prompt, as of chat templates without one; other requests get the reply."""
    return Fault("system_role_refused", status=400, only="system", reply=_reply(reply))


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


def no_end(after: int = 2, reply: str | FakeReply = LONG_TEXT) -> Fault:
    """A stream that stops in the middle as if it were over: no finish reason, no last event, no error.

    A reply that is not streamed is whole.

    Args:
        after: Pieces of the reply that are sent.
        reply: The reply.
    """
    return Fault("no_end", after=after, ends=False, reply=_reply(reply))


def no_reply() -> Fault:
    """A reply of status 200 in which there is none: no choices, candidates, content. A stream has no event."""
    return Fault("no_reply")


def empty_body() -> Fault:
    """Status 200, and nothing at all."""
    return Fault("empty_body", body="")


def html_page(page: str = _HTML) -> Fault:
    """Status 200 with a page of a proxy in place of a reply."""
    return Fault("html_page", body=page, content_type="text/html")


def malformed_json() -> Fault:
    """A complete reply of status 200 whose JSON is broken."""
    return Fault("malformed_json")


def empty() -> Fault:
    """A valid reply with no text."""
    return Fault("empty", reply=FakeReply(output_tokens=0))


def blank() -> Fault:
    """A valid reply of blanks alone."""
    return Fault("blank", reply=FakeReply(" \n ", output_tokens=1))


def filtered() -> Fault:
    """The provider's filter took the reply away.

    That is OpenAI's finish reason `content_filter`, Anthropic's stop reason `refusal`, Google's `SAFETY`.
    """
    return Fault("filtered", reply=FakeReply(finish="content_filter"))


def broken_off(reply: str | FakeReply = "It is for") -> Fault:
    """A reply that says itself that the model's host failed half-way (OpenRouter's finish reason `error`).

    OpenAI's Responses have the status `failed` for it; Anthropic and Google tell an error, as `told_in_200`.
    """
    return Fault(
        "broken_off", status=500, inside=True, after=2, reply=replace(_reply(reply), finish="error")
    )


def cut_at_limit(reply: str | FakeReply = LONG_TEXT) -> Fault:
    """The reply reached its limit of output tokens, and says so."""
    return Fault("cut_at_limit", reply=replace(_reply(reply), finish="length"))


def reasoning_at_limit(tokens: int = 512) -> Fault:
    """All tokens went into reasoning, so that the limit was reached before any text.

    Args:
        tokens: The limit.
    """
    reply = FakeReply(
        reasoning="First, let me think about it. Or",
        finish="length",
        output_tokens=tokens,
        reasoning_tokens=tokens,
    )
    return Fault("reasoning_at_limit", reply=reply)


def running_usage(reply: str | FakeReply = LONG_TEXT) -> Fault:
    """A stream in which every piece tells what was used so far: the numbers are totals, not to be added up.

    Anthropic's and Google's wires do so in forms of their own; OpenAI's Responses tell usage at the end alone.
    """
    return Fault("running_usage", reply=replace(_reply(reply), running_usage=True))


def broken_tool_call(name: str, arguments: str = '{"query": "wea') -> Fault:
    """A call of a tool whose arguments are no JSON; it must not be run with what can be guessed of them.

    Anthropic's wire can say so in streams alone; Google's says `MALFORMED_FUNCTION_CALL`.

    Args:
        name: The tool.
        arguments: Its arguments, as they are sent.
    """
    return Fault("broken_tool_call", reply=FakeReply(tool_calls=(FakeToolCall(name, arguments=arguments),)))


def no_call_id(name: str, args: Mapping[str, Any] = MappingProxyType({})) -> Fault:
    """A call of a tool that has no id, as servers of one's own send it.

    Args:
        name: The tool.
        args: Its arguments.
    """
    return Fault("no_call_id", reply=FakeReply(tool_calls=(FakeToolCall(name, args, without_id=True),)))


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
