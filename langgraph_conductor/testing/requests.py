"""What a fake provider was asked, read alike from every wire."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

WireName = Literal["openai", "responses", "anthropic", "gemini", "openrouter"]


@dataclass(frozen=True, slots=True)
class AskedForm:
    """The form in which an answer was asked for: JSON of a schema.

    Attributes:
        schema: The JSON schema.
        tool: The tool that has to be called with it; None where the text itself must be such JSON.
    """

    schema: Mapping[str, Any]
    tool: str | None = None


@dataclass(frozen=True, slots=True)
class ProviderRequest:
    """One request that arrived at `FakeProviders`.

    Attributes:
        number: How many came before it.
        wire: The API that was spoken.
        model: The model asked for.
        body: The JSON that was sent.
        headers: The headers, their names in lower case.
        stream: Whether a streamed reply was asked for.
        prompt: The text of the user's last message.
        words: Words in all messages together.
        asked: The form asked for, if one was.
        at: When it came, in seconds of `time.monotonic`.
    """

    number: int
    wire: WireName
    model: str
    body: dict[str, Any]
    headers: Mapping[str, str] = field(repr=False)
    stream: bool
    prompt: str
    words: int
    asked: AskedForm | None
    at: float

    @property
    def key(self) -> str:
        """The API key that was sent; empty where none was."""
        sent = (
            self.headers.get("x-goog-api-key")
            or self.headers.get("x-api-key")
            or self.headers.get("authorization", "")
        )
        return sent.removeprefix("Bearer ")


def text_of(content: Any) -> str:
    """The text of a message's content: a string, or a list of parts of which some have text."""
    if isinstance(content, str):
        return content
    parts: Iterable[Any] = content or ()
    return "\n".join(part["text"] for part in parts if isinstance(part, dict) and part.get("text"))
