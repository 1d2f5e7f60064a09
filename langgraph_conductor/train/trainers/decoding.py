"""Decoding many prompts at once, with a cache in which equal beginnings, of prompt and text, are read once."""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from langgraph_conductor.train.trainers.anatomy import body, head


class Writing(Protocol):
    """What may be written."""

    def allowed(self, tokens: tuple[int, ...]) -> Sequence[int]:
        """The tokens that may follow those written so far, the end among them."""
        ...

    def rest(self, tokens: tuple[int, ...]) -> tuple[int, ...]:
        """What is left to write up to the end, where there is no choice; else nothing."""
        ...


def decode(
    model: Any,
    prompts: Sequence[tuple[int, ...]],
    *,
    end: int,
    max_tokens: int,
    temperature: float = 0.0,
    seed: int = 0,
    bounds: Sequence[Writing] | None = None,
) -> list[tuple[int, ...]]:
    """Go on from each prompt.

    Args:
        model: A causal language model of transformers, in evaluation mode.
        prompts: Tokens.
        end: The token that ends a text. It is the last one returned, unless the text was cut.
        max_tokens: Most tokens of a text.
        temperature: 0 for the likeliest token.
        seed: Of the draws.
        bounds: What may be written after each prompt. Where there is no choice left the model is not asked.

    Returns:
        The tokens written, one tuple for each prompt.
    """
    with torch.no_grad():
        return _decoded(model, prompts, end, max_tokens, temperature, seed, bounds)


def _decoded(
    model: Any,
    prompts: Sequence[tuple[int, ...]],
    end: int,
    max_tokens: int,
    temperature: float,
    seed: int,
    bounds: Sequence[Writing] | None,
) -> list[tuple[int, ...]]:
    device = model.device
    generator = torch.Generator(device=device).manual_seed(seed % 2**63)
    unique = list(dict.fromkeys(prompts))
    width = max(map(len, unique))
    ids = torch.full((len(unique), width), end, device=device)
    real = torch.zeros((len(unique), width), dtype=torch.long, device=device)
    for i, prompt in enumerate(unique):  # padded on the left: every text goes on at the same place
        ids[i, width - len(prompt) :] = torch.tensor(prompt, device=device)
        real[i, width - len(prompt) :] = 1
    cache = Cache(layer_class_to_replicate=_Roomy)
    places = (real.cumsum(-1) - 1).clamp_min(0)
    logits = _last_logits(
        model, input_ids=ids, attention_mask=real, position_ids=places, past_key_values=cache
    )
    lengths = real.sum(-1)
    written: list[tuple[int, ...]] = [()] * len(prompts)
    of = [unique.index(prompt) for prompt in prompts]  # the row that each text goes on from
    going = list(range(len(prompts)))
    while True:
        logits = logits[[of[i] for i in going]].float()
        if bounds is not None:
            logits = logits + _forbidden(logits, [bounds[i].allowed(written[i]) for i in going])
        for i, token in zip(going, _chosen(logits, temperature, generator).tolist(), strict=True):
            written[i] += (token,)
            if bounds is not None and token != end:
                written[i] = (*written[i], *bounds[i].rest(written[i]))[:max_tokens]
        going = [i for i in going if len(written[i]) < max_tokens and written[i][-1] != end]
        if not going:
            return written
        rows = dict.fromkeys((of[i], written[i]) for i in going)
        if [row for row, _ in rows] != list(range(len(real))):
            kept = torch.tensor([row for row, _ in rows], device=device)
            cache.batch_select_indices(kept)
            real, lengths = real[kept], lengths[kept]
        number = {row: n for n, row in enumerate(rows)}
        for i in going:
            of[i] = number[of[i], written[i]]
        real = torch.cat([real, real.new_ones(len(rows), 1)], -1)
        logits = _last_logits(
            model,
            input_ids=torch.tensor([text[-1:] for _, text in rows], device=device),
            attention_mask=real,
            position_ids=lengths[:, None],
            past_key_values=cache,
        )
        lengths = lengths + 1


class _Roomy(DynamicLayer):  # type: ignore[misc]
    """A layer's cache with room to grow: the usual one is copied whole at every token."""

    keys: Tensor
    values: Tensor

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Put new keys and values in; return all."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._room: tuple[Tensor, Tensor] | None = None
        length = self.get_seq_length()
        wanted = length + key_states.shape[-2]
        if self._room is None or self._room[0].shape[-2] < wanted:
            shape = (*key_states.shape[:2], wanted + 64, key_states.shape[-1])
            room = key_states.new_empty(shape), value_states.new_empty(shape)
            if length:
                room[0][..., :length, :], room[1][..., :length, :] = self.keys, self.values
            self._room = room
        for part, new in zip(self._room, (key_states, value_states), strict=True):
            part[..., length:wanted, :] = new
        self.keys, self.values = (part[..., :wanted, :] for part in self._room)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep some rows."""
        if self.get_seq_length():
            self._room = None
            self.keys, self.values = self.keys[indices], self.values[indices]


def _last_logits(model: Any, **inputs: Any) -> Tensor:
    """Logits after the last token of each row.

    The head is given a matrix: of a slice of three dimensions PyTorch makes one product a row, each with a copy
    of the vocabulary's weights, which took a third of the time of reading 64 prompts.
    """
    return head(model)(body(model)(**inputs).last_hidden_state[:, -1])


def _chosen(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    if not temperature:
        return logits.argmax(-1)
    # By the inverse of the distribution: `multinomial` draws a number for every token of the vocabulary.
    reached = (logits / temperature).softmax(-1).cumsum(-1)
    drawn = torch.rand(len(logits), 1, generator=generator, device=logits.device) * reached[:, -1:]
    return torch.searchsorted(reached, drawn, right=True)[:, 0].clamp_max(logits.shape[-1] - 1)


def _forbidden(logits: Tensor, allowed: Sequence[Sequence[int]]) -> Tensor:
    added = torch.full_like(logits, -torch.inf)
    for row, tokens in enumerate(allowed):
        added[row, list(tokens)] = 0
    return added
