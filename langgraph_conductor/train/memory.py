"""How much memory of a GPU training takes: an estimate, made before anything is loaded.

Counted are weights, gradients, the optimiser's two moments, what a forward pass keeps, and vLLM's share. It is for
decoders of the Llama and Qwen2 family, and good to about a tenth.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from langgraph_conductor.train.config import Shape, TrainConfig
from langgraph_conductor.train.learning.settings import Lora

GIB: Final = 2**30
_HALF: Final = 2
_FULL: Final = 4
_MOMENTS: Final = 8
"""Bytes of a weight: in bfloat16, in float32, and of the optimiser's two moments."""
_RESERVE: Final = 3 * GIB
"""For CUDA, its kernels and what lies between allocations."""
_USABLE: Final = 0.97


@dataclass(frozen=True, slots=True)
class Setup:
    """Machines and what is done on them.

    Args:
        name: In words.
        devices: How many GPUs share the weights, gradients and moments (ZeRO-3, FSDP).
        gib: Memory of each, in GiB.
        lora: The adapter that is trained; `None` for all weights.
        vllm: Share of a GPU's memory for a colocated vLLM; 0 for none.
        vllm_devices: GPUs that share vLLM's copy of the weights.
        micro_batch: Sequences in one forward pass.
    """

    name: str
    devices: int
    gib: float
    lora: Lora | None
    vllm: float
    vllm_devices: int
    micro_batch: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of one GPU, in bytes.

    Args:
        weights: The weights, and the float32 ones of an adapter.
        gradients: Of what is trained.
        optimiser: Its moments.
        activations: What a forward pass keeps.
        vllm: What vLLM takes.
        cache: Tokens that vLLM's share holds besides the weights.
        needed: Tokens of cache that a whole step's plans need at once.
        most: The most at one time: vLLM sleeps while weights are updated.
        fits: Whether the GPU has it, and vLLM has room for its weights.
    """

    weights: float
    gradients: float
    optimiser: float
    activations: float
    vllm: float
    cache: float
    needed: float
    most: float
    fits: bool


def parameters(shape: Shape) -> int:
    """How many weights a model has."""
    per_layer = sum(rows * columns for rows, columns in _modules(shape).values()) + 2 * shape.hidden
    tables = shape.vocabulary * shape.hidden * (1 if shape.tied else 2)
    return shape.layers * per_layer + tables + shape.hidden


def adapter_parameters(shape: Shape, lora: Lora) -> int:
    """How many weights an adapter has."""
    of_layer = sum(
        lora.rank * sum(_modules(shape)[module]) for module in lora.modules if module in _modules(shape)
    )
    return of_layer * max(0, shape.layers - lora.from_layer)


def memory(shape: Shape, config: TrainConfig, setup: Setup) -> Memory:
    """What a setup takes of each GPU in learning from rewards."""
    learning = config.improvement("grpo")
    length = config.assumed.prompt_tokens + learning.max_tokens
    count = parameters(shape)
    trained = count if setup.lora is None else adapter_parameters(shape, setup.lora)
    frozen = 0 if setup.lora is None else count
    weights = (frozen * _HALF + trained * _FULL) / setup.devices
    gradients, optimiser = trained * _FULL / setup.devices, trained * _MOMENTS / setup.devices
    activations = setup.micro_batch * length * _kept_of_token(shape, config.compute.gradient_checkpointing)
    states = weights + gradients + optimiser
    room = setup.gib * GIB
    vllm = setup.vllm * room
    cache = (vllm - count * _HALF / setup.vllm_devices) / (_cache_of_token(shape) / setup.vllm_devices)
    needed = learning.questions * learning.rollouts * length / (setup.devices / setup.vllm_devices)
    writing, updating = states - gradients + vllm, states + activations
    asleep = config.vllm is None or config.vllm.sleep
    most = _RESERVE + (max(writing, updating) if asleep else updating + vllm)
    fits = most <= _USABLE * room and (not setup.vllm or cache > length)
    return Memory(weights, gradients, optimiser, activations, vllm, cache, needed, most, fits)


def setups(config: TrainConfig) -> tuple[Setup, ...]:
    """What is configured, on one GPU or two, and the two setups that a 7B is trained with."""
    lora = config.model.lora
    adapter = Setup("1 x 80 GB, LoRA, colocated vLLM", 1, 80, lora or Lora(), 0.3, 1, 4)
    whole = Setup("2 x 80 GB, all weights (sharded), colocated vLLM", 2, 80, None, 0.2, 2, 2)
    return adapter, whole


def shape_of(config: TrainConfig) -> Shape | None:
    """The model's sizes: from its folder, or as the configuration gives them, or from transformers' cache."""
    path = Path(config.model.name) / "config.json"
    if path.is_file():
        return _shape(json.loads(path.read_text(encoding="utf-8")))
    if config.model.shape is not None:
        return config.model.shape
    try:
        from transformers import AutoConfig
    except ImportError:
        return None
    try:
        return _shape(AutoConfig.from_pretrained(config.model.name, local_files_only=True).to_dict())
    except (OSError, ValueError):
        return None


def _shape(found: dict[str, Any]) -> Shape | None:
    try:
        heads = found["num_attention_heads"]
        return Shape(
            layers=found["num_hidden_layers"],
            hidden=found["hidden_size"],
            heads=heads,
            kv_heads=found.get("num_key_value_heads") or heads,
            mlp=found["intermediate_size"],
            vocabulary=found["vocab_size"],
            tied=bool(found.get("tie_word_embeddings")),
        )
    except KeyError:
        return None


def _modules(shape: Shape) -> dict[str, tuple[int, int]]:
    """Rows and columns of a layer's matrices."""
    hidden, keys = shape.hidden, shape.kv_heads * (shape.hidden // shape.heads)
    return {
        "q_proj": (hidden, hidden),
        "k_proj": (keys, hidden),
        "v_proj": (keys, hidden),
        "o_proj": (hidden, hidden),
        "gate_proj": (shape.mlp, hidden),
        "up_proj": (shape.mlp, hidden),
        "down_proj": (hidden, shape.mlp),
    }


def _kept_of_token(shape: Shape, checkpointing: bool) -> float:
    """Bytes a forward pass keeps of one token: of every layer its input, and of one or all what is inside."""
    inside = _HALF * (8 * shape.hidden + 4 * shape.mlp)
    inputs = _HALF * shape.hidden * shape.layers
    return inputs + inside * (1 if checkpointing else shape.layers)


def _cache_of_token(shape: Shape) -> float:
    """Bytes of keys and values of one token."""
    return 2 * _HALF * shape.layers * shape.kv_heads * (shape.hidden // shape.heads)
