"""Decoding many prompts at once, with a cache in which equal prompts are read once."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from langgraph_conductor.train.trainers.anatomy import body, head

_FULL: Final = 0.75
"""Rows whose text has ended are taken out when no more than this share is left."""


def decode(
    model: Any,
    prompts: Sequence[tuple[int, ...]],
    *,
    end: int,
    max_tokens: int,
    temperature: float = 0.0,
    seed: int = 0,
    allowed: Sequence[Callable[[tuple[int, ...]], Sequence[int]]] | None = None,
) -> list[tuple[int, ...]]:
    """Go on from each prompt.

    Args:
        model: A causal language model of transformers, in evaluation mode.
        prompts: Tokens; equal ones are read once.
        end: The token that ends a text. It is the last one returned, unless the text was cut.
        max_tokens: Most tokens of a text.
        temperature: 0 for the likeliest token.
        seed: Of the draws.
        allowed: For each prompt, the tokens that may follow those written so far.

    Returns:
        The tokens written, one tuple for each prompt.
    """
    with torch.no_grad():
        return _decoded(model, prompts, end, max_tokens, temperature, seed, allowed)


def _decoded(
    model: Any,
    prompts: Sequence[tuple[int, ...]],
    end: int,
    max_tokens: int,
    temperature: float,
    seed: int,
    allowed: Sequence[Callable[[tuple[int, ...]], Sequence[int]]] | None,
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
    of = torch.tensor([unique.index(prompt) for prompt in prompts], device=device)
    cache.batch_select_indices(of)
    logits, real, lengths = logits[of], real[of], real.sum(-1)[of]
    written: list[list[int]] = [[] for _ in prompts]
    rows = list(range(len(prompts)))  # which text each row of the cache goes on
    done: set[int] = set()
    for _ in range(max_tokens):
        if allowed is not None:
            logits = logits + _forbidden(
                logits, [() if i in done else allowed[i](tuple(written[i])) for i in rows]
            )
        chosen = _chosen(logits.float(), temperature, generator)
        for i, token in zip(rows, chosen.tolist(), strict=True):
            if i not in done:
                written[i].append(token)
                if token == end:
                    done.add(i)
        if len(done) == len(prompts):
            break
        going = [place for place, i in enumerate(rows) if i not in done]
        if len(going) <= _FULL * len(rows):  # seldom, since the whole cache is copied
            kept = torch.tensor(going, device=device)
            rows = [rows[place] for place in going]
            cache.batch_select_indices(kept)
            chosen, real, lengths = chosen[kept], real[kept], lengths[kept]
        real = torch.cat([real, real.new_ones(len(rows), 1)], -1)
        logits = _last_logits(
            model,
            input_ids=chosen[:, None],
            attention_mask=real,
            position_ids=lengths[:, None],
            past_key_values=cache,
        )
        lengths = lengths + 1
    return [tuple(tokens) for tokens in written]


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
        added[row, list(tokens) or slice(None)] = 0  # one whose text has ended may go on with anything
    return added
