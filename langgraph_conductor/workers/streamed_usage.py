"""Usage of a streamed call whose provider repeats a running total in every chunk, which LangChain adds up."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from langchain_core.messages import AIMessageChunk

from langgraph_conductor.prices import Model
from langgraph_conductor.usage import count, mapping

_LEAST_INCREMENTS: Final = 3


@dataclass(slots=True)
class StreamedUsage:
    """Listens to the chunks of one call and tells running totals from increments.

    A prompt is sent once. So where one report after another names its tokens, they are running totals; increments
    name them once, and 0 or nothing in all other chunks. Only the former are corrected, and only where LangChain
    has added them up.
    """

    _reports: int = 0
    _repeats_prompt: bool = True
    _output_grows: bool = True
    _output_steady: bool = True
    _sent: int = 0
    _said: int = 0
    _most: dict[str, Any] = field(default_factory=dict)

    def hear(self, message: AIMessageChunk) -> None:
        """Note what a chunk tells of the usage."""
        if not message.usage_metadata:
            return
        usage = mapping(message.usage_metadata)
        sent, said = count(usage.get("input_tokens")), count(usage.get("output_tokens"))
        says = bool(message.content or message.tool_call_chunks or message.additional_kwargs)
        self._repeats_prompt &= 0 < sent >= self._sent
        self._output_grows &= said >= self._said
        self._output_steady &= says and said > 0 and said == (self._said or said)
        self._reports += 1
        self._sent, self._said = sent, said
        self._most = _largest(self._most, usage)

    def total(self, merged: Mapping[str, Any], model: Model) -> Mapping[str, Any]:
        """The usage of the whole call.

        Args:
            merged: What LangChain made of the chunks.
            model: Who was asked. Google's package has made increments of its running totals itself.
        """
        inflated = count(merged.get("input_tokens")) > count(self._most.get("input_tokens"))
        if (
            self._reports < 2
            or not (self._repeats_prompt and inflated)
            or model.provider.startswith("google")
        ):
            return merged
        # A running total grows with what is said: where it does not, the output is told in increments after all.
        steady = self._output_steady and self._reports >= _LEAST_INCREMENTS
        if self._output_grows and not steady:
            return self._most
        prompt = ("input_tokens", "input_token_details")
        return {**merged, **{name: self._most[name] for name in prompt if name in self._most}}


def _largest(known: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Of each number the larger, in mappings inside too."""
    largest = {**known}
    for name, value in told.items():
        if isinstance(value, Mapping):
            largest[name] = _largest(mapping(known.get(name)), value)
        elif type(value) is int:
            largest[name] = max(count(known.get(name)), value)
        else:
            largest[name] = value
    return largest
