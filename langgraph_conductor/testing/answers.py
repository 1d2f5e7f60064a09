"""What a fake provider says, in no provider's form."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

DOLLARS_PER_WORD = 1e-6
"""What a reply given as plain text costs at OpenRouter, the one provider that states costs."""


@dataclass(frozen=True, slots=True)
class FakeToolCall:
    """A call of a tool.

    Args:
        name: The tool's name.
        args: Its arguments.
        id: The call's id; left out, one that no other call of this server has.
        arguments: The arguments as they are sent, in place of `args` as JSON; they may be broken.
        without_id: Whether it is sent without an id.
    """

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None
    arguments: str | None = None
    without_id: bool = False

    def id_or(self, made: str) -> str | None:
        """The id as wires send it.

        Args:
            made: What it is where none was given.
        """
        return None if self.without_id else self.id or made

    @property
    def sent(self) -> str:
        """The arguments as wires send them that send text."""
        return json.dumps(dict(self.args)) if self.arguments is None else self.arguments


@dataclass(frozen=True, slots=True)
class FakeReply:
    """A reply with everything that a provider reports about it.

    Args:
        text: The answer.
        tool_calls: Tools called, after the text.
        reasoning: What the model thought aloud before.
        input_tokens: Tokens of the request, the cached ones included.
        output_tokens: Tokens of the reply, the reasoning included.
        cached_tokens: Input tokens that came from the provider's cache.
        hour_cache_tokens: Input tokens written to the cache for an hour. Only Anthropic's wire carries them.
        reasoning_tokens: Output tokens that went into reasoning. Anthropic's wire does not carry them.
        cost: US dollars; None leaves them out. Only OpenRouter's wire carries them.
        upstream_cost: US dollars that the provider behind OpenRouter charges a key of the user's own, beside
            `cost`; None where there is no such key.
        finish: Why the model stopped: it was done, it reached its limit of tokens, a filter took its reply away,
            or its host failed.
        refusal: The words with which the model declined. Google's and Anthropic's wires only say
            that it did.
        running_usage: Whether each piece of a stream repeats the use so far, as some servers do. Else a
            stream tells it once, at its end. OpenAI's Responses have no such thing.
    """

    text: str = ""
    tool_calls: tuple[FakeToolCall, ...] = ()
    reasoning: str = ""
    input_tokens: int = 20
    output_tokens: int = 10
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost: float | None = None
    upstream_cost: float | None = None
    hour_cache_tokens: int = 0
    finish: Literal["stop", "length", "content_filter", "error"] = "stop"
    refusal: str = ""
    running_usage: bool = False

    def so_far(self, part: float) -> "FakeReply":
        """The reply with the use of its first part, a share of 1."""
        return replace(
            self,
            output_tokens=int(self.output_tokens * part),
            reasoning_tokens=int(self.reasoning_tokens * part),
        )


def worded(text: str, asked_words: int) -> FakeReply:
    """A reply of `text` whose usage counts words, so that tests can work out totals."""
    said = len(text.split())
    return FakeReply(
        text, input_tokens=asked_words, output_tokens=said, cost=(asked_words + said) * DOLLARS_PER_WORD
    )


def pieces(text: str) -> list[str]:
    """`text` as it is streamed: word by word, nothing lost."""
    return re.findall(r"\S+\s*|\s+", text)
