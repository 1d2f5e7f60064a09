"""The model in training: loaded, and shown an ask as it will be shown a question later."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult

from langgraph_conductor.errors import ConfigError
from langgraph_conductor.planners import ChatPlanner
from langgraph_conductor.planners.examples import EXAMPLES
from langgraph_conductor.train.config import Model, Prompt
from langgraph_conductor.train.learning.asks import Ask


class PolicyModel(BaseChatModel):
    """Stands where a planner has its chat model: in training, the trainer writes the plans."""

    @property
    def _llm_type(self) -> str:
        return "policy-in-training"

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        raise RuntimeError("a policy in training is sampled by its trainer; serve its weights to ask it")


def planner_in_training(prompt: Prompt, show_previous_plan: bool = True) -> ChatPlanner:
    """The planner whose prompts and parser training uses."""
    return ChatPlanner(
        PolicyModel(),
        show=prompt.show,
        structured=False,
        examples=EXAMPLES if prompt.examples else (),
        prefill=prompt.prefill,
        show_previous_plan=show_previous_plan,
    )


def renderer(planner: ChatPlanner, tokenizer: Any, max_steps: int) -> Callable[[Ask], str]:
    """What turns an ask into the text the model goes on from.

    Raises:
        ConfigError: If the tokenizer has no chat template.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise ConfigError(
            "the model's tokenizer has no chat template; take a model that was made for chats"
        )

    from langgraph_conductor.train.trainers.engine import prompt_text

    def render(ask: Ask) -> str:
        return prompt_text(tokenizer, planner.render(ask.request(max_steps))) + planner.prefill

    return render


def load_policy(model: Model, weights: Path | None) -> tuple[Any, Any, bool]:
    """The model and its tokenizer; on the device, where one process alone trains.

    Args:
        model: What to load.
        weights: What an earlier stage saved: an adapter, or the whole model. Left out, it begins as it came.

    Returns:
        Model, tokenizer, and whether an adapter is still to be made.

    Raises:
        ConfigError: If it cannot be loaded.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    adapter = weights if weights and (weights / "adapter_config.json").is_file() else None
    source = str(weights) if weights and not adapter else model.name
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
        loaded = AutoModelForCausalLM.from_pretrained(source, dtype=getattr(torch, model.dtype))
    except (OSError, ValueError) as error:
        why = str(error).splitlines()[0]
        raise ConfigError(f"the model {source!r} cannot be loaded: {why}") from error
    if adapter:
        from peft import PeftModel

        loaded = PeftModel.from_pretrained(
            loaded, str(adapter), is_trainable=True, autocast_adapter_dtype=False
        )
    alone = os.environ.get("WORLD_SIZE", "1") == "1"  # what several processes share, they place themselves
    if alone and torch.cuda.is_available():
        loaded = loaded.to("cuda")
    return loaded, tokenizer, bool(model.lora and not adapter)
