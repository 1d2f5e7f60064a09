"""Settings of training; the defaults are the paper's (section 4.1, appendix A.1) where it gives them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """Settings that refuse what they do not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Lora(Settings):
    """A low-rank adapter (Hu et al. 2021, arXiv 2106.09685). Left out, all weights are trained."""

    rank: int = Field(16, ge=1)
    alpha: float = Field(32, gt=0)
    modules: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    from_layer: int = Field(0, ge=0)
    """Layers below it stay as they are: cheaper, since nothing is propagated back through them."""


class Imitation(Settings):
    """Supervised fine-tuning on plans that ran and were right."""

    epochs: float = Field(2, gt=0)
    batch: int = Field(16, ge=1)
    learning_rate: float = Field(1e-5, gt=0)
    warmup_ratio: float = Field(0.03, ge=0, lt=1)
    clip_norm: float = Field(1.0, gt=0)
    save_minutes: float = Field(8, gt=0)
    """A checkpoint at least this often."""


class Improvement(Settings):
    """GRPO (Shao et al. 2024, arXiv 2402.03300) as the paper sets it."""

    steps: int = Field(200, ge=1)
    questions: int = Field(4, ge=1)
    """Questions a step."""
    rollouts: int = Field(64, ge=2)
    """Rollouts of each question."""
    learning_rate: float = Field(1e-6, gt=0)
    warmup_ratio: float = Field(0.03, ge=0, lt=1)
    schedule: Literal["cosine", "constant"] = "cosine"
    temperature: float = Field(1.0, gt=0)
    max_tokens: int = Field(1024, ge=1)
    epsilon: float = Field(0.2, gt=0)
    """The ratio of new to old probability is clipped to 1 - epsilon .. 1 + epsilon."""
    beta: float = Field(0.0, ge=0)
    """Weight of the KL term; 0 needs no reference model."""
    loss: Literal["grpo", "dr_grpo", "dapo"] = "grpo"
    scale_rewards: bool = True
    """Divide what a rollout is better than its group by the group's standard deviation. Then rewards that differ
    by a cost alone weigh as much as right and wrong; without (Liu et al. 2025, Dr. GRPO, arXiv 2503.20783) a
    small difference stays small."""
    clip_norm: float = Field(1.0, gt=0)
    save_minutes: float = Field(8, gt=0)
    """A checkpoint at least this often."""


class Compute(Settings):
    """What a device computes at once; nothing of it changes what is learnt."""

    micro_batch: int = Field(8, ge=1)
    """Most sequences in one forward and backward pass; the largest part of a batch up to it is taken."""
    sample_rows: int = Field(128, ge=1)
    """Most plans written at once, where vLLM does not."""
    gradient_checkpointing: bool = True
    mask_truncated: bool = False
    """Leave plans that were cut at `max_tokens` out of the loss, instead of learning that they are worthless."""


class Vllm(Settings):
    """Sampling with vLLM in the training step, as TRL does it."""

    mode: Literal["colocate", "server"] = "colocate"
    gpu_memory: float = Field(0.3, gt=0, lt=1)
    """Share of a GPU's memory for the colocated vLLM."""
    tensor_parallel: int = Field(1, ge=1)
    sleep: bool = True
    """Free that memory while the weights are updated."""
    max_model_length: int | None = Field(None, ge=1)
    """Tokens of prompt and plan together; vLLM's choice if left out."""
    server: str | None = None
    """Address of `trl vllm-serve`, for mode "server"."""
