"""The parts of a causal language model of transformers, with adapters or without."""

from typing import Any


def body(model: Any) -> Any:
    """The model without its head."""
    return getattr(model, "base_model", model).model.model if hasattr(model, "peft_config") else model.model


def head(model: Any) -> Any:
    """The head: hidden states to logits."""
    return model.get_output_embeddings()
