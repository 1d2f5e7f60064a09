"""AdamW over float32 copies of weights that may be smaller: a small step is lost in 8 bits of mantissa."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


class Masters:
    """An optimiser that owns float32 masters of the weights it trains.

    Source: Micikevicius et al. 2017, mixed precision training (arXiv 1710.03740); betas of the paper.

    Args:
        weights: The weights.
        rate: Learning rate, until `step` is given another.
        clip_norm: The gradient is scaled down to this norm.
    """

    def __init__(self, weights: Iterable[Tensor], rate: float, clip_norm: float) -> None:
        self.weights = list(weights)
        if not self.weights:
            raise ValueError("the model has no weight that can be trained")
        self.masters = [w if w.dtype == torch.float32 else w.detach().float() for w in self.weights]
        for master in self.masters:
            master.requires_grad_(True)
        self.clip_norm = clip_norm
        self.adam = torch.optim.AdamW(self.masters, lr=rate, betas=(0.9, 0.999), weight_decay=0.0)

    def step(self, rate: float, losses: Callable[[], Iterator[Tensor]]) -> tuple[float, float]:
        """One update along the gradient of the sum of `losses`, each propagated as it comes.

        Returns:
            The loss, and the gradient's norm before it was clipped. If that is not finite, nothing is changed.
        """
        total = 0.0
        for loss in losses():
            loss.backward()
            total += float(loss.detach())
        for weight, master in zip(self.weights, self.masters, strict=True):
            if weight is not master:
                master.grad = None if weight.grad is None else weight.grad.float()
                weight.grad = None
        norm = float(torch.nn.utils.clip_grad_norm_(self.masters, self.clip_norm))
        if norm == norm and norm != float("inf"):
            for group in self.adam.param_groups:
                group["lr"] = rate
            self.adam.step()
            self._copy_back()
        self.adam.zero_grad(set_to_none=True)
        return total, norm

    def save(self, path: Path, step: int) -> None:
        """Write a checkpoint in one move: a kill leaves the old one or the new one."""
        state = {
            "step": step,
            "masters": [m.detach() for m in self.masters],
            "adam": self.adam.state_dict(),
        }
        part = path.with_suffix(".part")
        torch.save(state, part)
        os.replace(part, path)

    def load(self, path: Path) -> int:
        """Go on from a checkpoint; returns the steps that were done.

        Raises:
            ValueError: If it is of other weights.
        """
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
        shapes: Sequence[Any] = [m.shape for m in state["masters"]]
        if shapes != [m.shape for m in self.masters]:
            raise ValueError(
                f"{path} is a checkpoint of other weights; remove it, or train in another folder"
            )
        with torch.no_grad():
            for master, kept in zip(self.masters, state["masters"], strict=True):
                master.copy_(kept)
        self.adam.load_state_dict(state["adam"])
        self._copy_back()
        return int(state["step"])

    def _copy_back(self) -> None:
        with torch.no_grad():
            for weight, master in zip(self.weights, self.masters, strict=True):
                if weight is not master:
                    weight.copy_(master)
