"""The small proof's workers in this process: the base, adapters of it, and the exact calculator, as one pool."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Self

from langchain_core.language_models import BaseChatModel

from langgraph_conductor.local.conductor import MOST_PLAN_TOKENS, EmbeddedPlanner
from langgraph_conductor.local.pool import ModelOf, workers
from langgraph_conductor.planners.showing import Show
from langgraph_conductor.train.trainers.engine import Engine, EngineModel
from langgraph_conductor.workers import WorkerPool

MOST_REPLY_TOKENS: Final = 48
"""Of a worker here. What is right is shorter; the untuned model, which likes to talk, is cut."""


class World:
    """The pool, and planners over adapters; leaving it ends its engine.

    Args:
        base: The model.
        tokenizer: Its tokenizer.
        folder: Where the adapters' folders are.
        adapters: Their names.
        threads: CPU threads; PyTorch's own number if left out.
    """

    def __init__(
        self,
        base: Any,
        tokenizer: Any,
        folder: Path,
        adapters: Iterable[str],
        *,
        threads: int | None = None,
    ) -> None:
        folders = {name: folder / name for name in adapters}
        kept = folder / "engine.sqlite"
        self.engine = Engine(base, tokenizer, folders, rows=128, threads=threads, kept=kept)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.close()

    @property
    def model_of(self) -> ModelOf:
        """The model with an adapter, as `local.workers` asks for it."""

        def model(adapter: str, most: int) -> BaseChatModel:
            return self._model(adapter, min(most, MOST_REPLY_TOKENS))

        return model

    @property
    def version(self) -> str:
        """Tells one training of the adapters from another, for kept replies."""
        return hashlib.sha256(repr(sorted(self.engine.versions.items())).encode()).hexdigest()[:12]

    def pool(self) -> WorkerPool:
        """The embedded workers."""
        return workers(self.model_of)

    def planner(
        self, adapter: str, show: Show = "described", *, structured: bool = False
    ) -> EmbeddedPlanner:
        """A planner over an adapter; over the base if it is empty."""
        return EmbeddedPlanner(self._model(adapter, MOST_PLAN_TOKENS), show=show, structured=structured)

    def _model(self, adapter: str, most: int) -> EngineModel:
        return EngineModel(
            engine=self.engine,
            adapter=adapter,
            max_tokens=most,
            version=self.engine.versions.get(adapter, ""),
        )
