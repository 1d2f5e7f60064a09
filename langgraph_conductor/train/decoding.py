"""Decoding many prompts at once, with a cache in which equal prompts are read once."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


@torch.no_grad()
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
    from transformers import DynamicCache

    device = model.device
    generator = torch.Generator(device=device).manual_seed(seed % 2**63)
    unique = list(dict.fromkeys(prompts))
    width = max(map(len, unique))
    ids = torch.full((len(unique), width), end, device=device)
    real = torch.zeros((len(unique), width), dtype=torch.long, device=device)
    for i, prompt in enumerate(unique):  # padded on the left: every text goes on at the same place
        ids[i, width - len(prompt) :] = torch.tensor(prompt, device=device)
        real[i, width - len(prompt) :] = 1
    cache = DynamicCache(config=model.config)
    places = (real.cumsum(-1) - 1).clamp_min(0)
    logits = model(
        input_ids=ids, attention_mask=real, position_ids=places, past_key_values=cache, logits_to_keep=1
    ).logits[:, -1]
    of = torch.tensor([unique.index(prompt) for prompt in prompts], device=device)
    cache.batch_select_indices(of)
    logits, real, lengths = logits[of], real[of], real.sum(-1)[of]
    written: list[list[int]] = [[] for _ in prompts]
    running = list(range(len(prompts)))
    for _ in range(max_tokens):
        if allowed is not None:
            logits = logits + _forbidden(logits, [allowed[i](tuple(written[i])) for i in running])
        chosen = _chosen(logits.float(), temperature, generator)
        for i, token in zip(running, chosen.tolist(), strict=True):
            written[i].append(token)
        going = [place for place, i in enumerate(running) if written[i][-1] != end]
        if not going:
            break
        if len(going) < len(running):
            kept = torch.tensor(going, device=device)
            running = [running[place] for place in going]
            cache.batch_select_indices(kept)
            chosen, real, lengths = chosen[kept], real[kept], lengths[kept]
        real = torch.cat([real, real.new_ones(len(running), 1)], -1)
        logits = model(
            input_ids=chosen[:, None],
            attention_mask=real,
            position_ids=lengths[:, None],
            past_key_values=cache,
            logits_to_keep=1,
        ).logits[:, -1]
        lengths = lengths + 1
    return [tuple(tokens) for tokens in written]


def _chosen(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    if not temperature:
        return logits.argmax(-1)
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]


def _forbidden(logits: Tensor, allowed: Sequence[Sequence[int]]) -> Tensor:
    added = torch.full_like(logits, -torch.inf)
    for row, tokens in enumerate(allowed):
        added[row, list(tokens)] = 0
    return added
