"""Training with TRL: any model, one GPU or many, colocated vLLM (see `trainer.Trainer`).

TRL's `GRPOTrainer` is asked for what the paper sets; rollouts come from our asks and rewards from episodes. The
rollouts of a group may have different prompts (first and second rounds of one question), and their rewards are
compared all the same. That is why they are drawn here (`rollout_func`) and not from a data set of prompts.
"""

import math
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object
from transformers import PrinterCallback, TrainerCallback

from langgraph_conductor.special_tokens import special_tokens_of, without_special_tokens
from langgraph_conductor.train.learning.asks import Ask, Example, Scored
from langgraph_conductor.train.learning.settings import Compute, Imitation, Improvement, Lora, Vllm
from langgraph_conductor.train.learning.trainer import Batches, Score, Step, Watch
from langgraph_conductor.train.trainers.decoding import decode
from langgraph_conductor.train.trainers.plain import Advantages, adapted

_STATE: Final = "trainer_state.json"
"""The last file of a checkpoint that transformers writes: one without it was broken off."""
_SCHEDULES: Final = {"cosine": "cosine", "constant": "constant_with_warmup"}
_LOGGED: Final = {
    "loss": "loss",
    "entropy": "entropy",
    "grad_norm": "gradient",
    "learning_rate": "learning_rate",
}


class TrlTrainer:
    """Trains a causal language model of transformers with TRL; see `trainer.Trainer`.

    What is trained (an adapter, or everything) is held in float32, and computed with in the type the model was
    loaded in: updates of a millionth are lost in the 8 bits of a bfloat16 weight.

    Args:
        model: The model, or a `PeftModel` whose active adapter is trained.
        tokenizer: Its tokenizer.
        render: The whole prompt of an ask, as text with its special tokens.
        lora: Trains a new adapter instead of all weights.
        imitation: Settings of `imitate`.
        improvement: Settings of `improve`.
        seed: Of adapter, order and samples.
        watch: Is told of each step of `improve`, in the first process.
        advantages: Advantages of a group; TRL's own if left out.
        compute: What is computed at once.
        vllm: Samples with vLLM in `improve`; left out, with transformers.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        render: Callable[[Ask], str],
        *,
        lora: Lora | None = None,
        imitation: Imitation | None = None,
        improvement: Improvement | None = None,
        seed: int = 0,
        watch: Watch | None = None,
        advantages: Advantages | None = None,
        compute: Compute | None = None,
        vllm: Vllm | None = None,
    ) -> None:
        torch.manual_seed(seed)
        self.half = model.dtype == torch.bfloat16
        self.model = model if lora is None else adapted(model, lora)
        for weight in self.model.parameters():
            if weight.requires_grad:
                weight.data = weight.data.float()
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        self.tokenizer, self.render, self.seed = tokenizer, render, seed
        self.imitation, self.improvement = imitation or Imitation(), improvement or Improvement()
        self.watch, self.advantages = watch, advantages
        self.compute, self.vllm = compute or Compute(), vllm
        self._trained: Any = None

    def sample(self, asks: Sequence[Ask], *, temperature: float, max_tokens: int, seed: int) -> list[str]:
        """One plan text for each ask; greedy at temperature 0."""
        self.model.to(PartialState().device).eval()
        prompts = [tuple(self._tokens(self.render(ask))) for ask in asks]
        texts: list[str] = []
        with torch.autocast(self.model.device.type, torch.bfloat16) if self.half else nullcontext():
            for start in range(0, len(asks), self.compute.sample_rows):
                written = decode(
                    self.model,
                    prompts[start : start + self.compute.sample_rows],
                    end=self.tokenizer.eos_token_id,
                    max_tokens=max_tokens,
                    temperature=temperature,
                    seed=seed * 1_000 + start // self.compute.sample_rows,
                )
                texts += [self.tokenizer.decode(tokens, skip_special_tokens=True) for tokens in written]
        return texts

    def imitate(self, examples: Sequence[Example], folder: Path) -> None:
        """Learn to write the texts of `examples`; goes on from the checkpoint in `folder`, if there is one.

        Raises:
            ValueError: If there are none.
        """
        from datasets import Dataset
        from trl import SFTConfig, SFTTrainer

        if not examples:
            raise ValueError(
                "there is nothing to imitate: no plan was right; look at the warm start's samples"
            )
        settings = self.imitation
        rows = [self._example(example) for example in examples]
        micro, accumulated = self._parts(settings.batch)
        trainer = SFTTrainer(
            model=self.model,
            args=SFTConfig(
                **self._arguments(folder, micro, accumulated),
                max_steps=math.ceil(settings.epochs * len(rows) / settings.batch),
                learning_rate=settings.learning_rate,
                lr_scheduler_type="cosine",
                warmup_steps=settings.warmup_ratio,
                max_grad_norm=settings.clip_norm,
                max_length=None,
            ),
            train_dataset=Dataset.from_list(rows),
            processing_class=self.tokenizer,
            callbacks=[_Saving(settings.save_minutes)],
        )
        self._run(trainer, folder)

    def improve(self, batches: Batches, score: Score, folder: Path) -> None:
        """Learn from rewards; goes on from the checkpoint in `folder`, if there is one.

        Raises:
            ValueError: If the groups are not what the settings say.
            Exception: What `score` or `watch` raises; where one process trains, after a checkpoint.
        """
        from datasets import Dataset
        from trl import GRPOConfig, GRPOTrainer

        settings = self.improvement
        micro, accumulated = self._parts(settings.questions * settings.rollouts)
        rollouts = _Rollouts(self, batches, score)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*experimental feature.*")  # `rollout_func`; a test holds it
            trainer = GRPOTrainer(
                model=self.model,
                reward_funcs=[rollouts.reward],
                args=GRPOConfig(
                    **self._arguments(folder, micro, accumulated),
                    max_steps=settings.steps,
                    num_generations=settings.rollouts,
                    max_completion_length=settings.max_tokens,
                    temperature=settings.temperature,
                    learning_rate=settings.learning_rate,
                    lr_scheduler_type=_SCHEDULES[settings.schedule],
                    warmup_steps=settings.warmup_ratio,
                    max_grad_norm=settings.clip_norm,
                    epsilon=settings.epsilon,
                    beta=settings.beta,
                    loss_type=settings.loss,
                    # Advantages of our own come in place of rewards, and are taken as they are.
                    scale_rewards="group" if self.advantages is None and settings.scale_rewards else "none",
                    mask_truncated_completions=self.compute.mask_truncated,
                    shuffle_dataset=False,
                    ignore_data_skip=True,
                    **_vllm_arguments(self.vllm),
                ),
                # Rows without meaning: what is asked is decided by the number of the step.
                train_dataset=Dataset.from_dict({"prompt": [""] * settings.questions}),
                processing_class=self.tokenizer,
                callbacks=[_Saving(settings.save_minutes), rollouts],
                rollout_func=rollouts.roll_out,
            )
        self._run(trainer, folder)

    def save(self, folder: Path) -> None:
        """Write the weights: an adapter, if one was trained, else the model."""
        if PartialState().num_processes > 1:  # each may hold a part
            self._trained.save_model(str(folder))
            return
        if self.half and not hasattr(self.model, "peft_config"):
            self.model.to(torch.bfloat16)
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def _run(self, trainer: Any, folder: Path) -> None:
        """Train, on from the latest whole checkpoint; whatever ends it early leaves one."""
        self._trained = trainer
        trainer.remove_callback(PrinterCallback)
        found = [path for path in folder.glob("checkpoint-*") if (path / _STATE).is_file()]
        latest = max(found, key=lambda path: int(path.name.rpartition("-")[2]), default=None)
        try:
            trainer.train(resume_from_checkpoint=None if latest is None else str(latest))
        except BaseException:
            # The other processes, if there are any, do not come to write it together.
            if trainer.state.global_step and trainer.accelerator.num_processes == 1:
                trainer._save_checkpoint(trainer.model, trial=None)
            raise

    def _tokens(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _example(self, example: Example) -> dict[str, list[int]]:
        prompt = self._tokens(self.render(example.ask))
        spelled = without_special_tokens(example.text, special_tokens_of(self.tokenizer))
        plan = [*self._tokens(spelled), self.tokenizer.eos_token_id]
        return {"input_ids": [*prompt, *plan], "labels": [-100] * len(prompt) + plan}

    def _parts(self, batch: int) -> tuple[int, int]:
        """How a batch is cut: sequences a device computes at once, and how often that is done."""
        processes = PartialState().num_processes
        if batch % processes:
            raise ValueError(
                f"a batch of {batch} cannot be shared by {processes} processes; change one of them"
            )
        own = batch // processes
        micro = max(n for n in range(1, min(self.compute.micro_batch, own) + 1) if own % n == 0)
        return micro, own // micro

    def _arguments(self, folder: Path, micro: int, accumulated: int) -> dict[str, Any]:
        gpu = torch.cuda.is_available()
        return {
            "output_dir": str(folder),
            "per_device_train_batch_size": micro,
            "gradient_accumulation_steps": accumulated,
            "gradient_checkpointing": self.compute.gradient_checkpointing,
            "bf16": self.half,
            "use_cpu": not gpu,
            "dataloader_pin_memory": gpu,
            "optim": "adamw_torch",
            "weight_decay": 0.0,
            "seed": self.seed,
            "save_strategy": "no",  # `_Saving` decides
            "save_total_limit": 1,
            "logging_steps": 1,
            "report_to": "none",
            "disable_tqdm": True,
        }


class _Saving(TrainerCallback):  # type: ignore[misc]
    """Has a checkpoint written before another step could make the loss of a kill too dear, and at the end."""

    def __init__(self, minutes: float) -> None:
        self.seconds = 60 * minutes
        self.saved = self.began = time.monotonic()

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.began = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        now = time.monotonic()
        due = now - self.saved + (now - self.began) > self.seconds or state.global_step >= state.max_steps
        agreed = broadcast_object_list([due])  # clocks differ, and all processes write together
        if agreed[0]:
            control.should_save = True
            self.saved = now


class _Rollouts(TrainerCallback):  # type: ignore[misc]
    """The rollouts of one step after the other: what TRL asks for while it trains."""

    def __init__(self, trainer: TrlTrainer, batches: Batches, score: Score) -> None:
        self.own, self.batches, self.score = trainer, batches, score
        self.groups: Sequence[Sequence[Ask]] = ()
        self.asks: list[Ask] = []
        self.texts: list[str] = []
        self.scored: list[Scored] = []
        self.tokens = 0
        self.number = 0
        self.seconds: dict[str, float] = {}
        self.began = 0.0

    def roll_out(self, prompts: Sequence[str], trainer: Any) -> dict[str, Any]:
        """Write this process's plans of a step."""
        start = time.perf_counter()
        self.number = trainer.state.global_step
        self.groups = self.batches(self.number)
        settings = self.own.improvement
        sizes = [len(group) for group in self.groups]
        if sizes != [settings.rollouts] * settings.questions:
            wanted = f"{settings.questions} groups of {settings.rollouts} asks"
            raise ValueError(f"step {self.number} needs {wanted}, not groups of {sizes}")
        # A step that is taken again writes the same plans, whose replies are in the store.
        process = trainer.accelerator.process_index
        torch.manual_seed(self.own.seed * 1_000_003 + self.number * 1_000 + process)
        asks = [ask for group in self.groups for ask in group]
        first = process * len(prompts)
        self.asks = asks[first : first + len(prompts)]
        ids = [self.own._tokens(self.own.render(ask)) for ask in self.asks]
        written, logprobs = self._written(ids, trainer)
        self.tokens = sum(map(len, written))
        self.seconds = {"planning": time.perf_counter() - start}
        return {"prompt_ids": ids, "completion_ids": written, "logprobs": logprobs}

    def _written(self, ids: list[list[int]], trainer: Any) -> tuple[list[list[int]], list[Any] | None]:
        rows = len(ids) if self.own.vllm else self.own.compute.sample_rows
        written: list[list[int]] = []
        logprobs: list[Any] = []
        for start in range(0, len(ids), rows):
            # TRL's own way to sample, for a weight update, a mesh or a vLLM of its own. One each: prompts differ.
            some, logs = trainer._generate_single_turn(ids[start : start + rows], None, {}, 1)
            written += [list(tokens) or [self.own.tokenizer.eos_token_id] for tokens in some]
            logprobs += [list(log) or [None] for log in logs or ()]
        return written, logprobs or None

    def reward(self, completions: Sequence[str], **_: Any) -> list[float | None]:
        """Run the plans, each once. `None`, a failure of the infrastructure, leaves a rollout out of its group.

        Episodes are asynchronous in the event loop of the scorer; TRL need not start one of its own.
        """
        start = time.perf_counter()
        self.texts = list(completions)
        self.scored = list(self.score(self.asks, self.texts))
        self.seconds["executing"] = time.perf_counter() - start
        rewards = [one.reward for one in self.scored]
        if self.own.advantages is None:
            return rewards
        size = self.own.improvement.rollouts
        if len(rewards) % size:
            raise ValueError(
                f"groups of {size} rollouts must not be split over processes; use fewer processes"
            )
        gained: list[float | None] = []
        for at in range(0, len(rewards), size):
            group = slice(at, at + size)
            gained += self.own.advantages(self.asks[group], rewards[group])
        return [None if reward is None else gain for reward, gain in zip(rewards, gained, strict=True)]

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.began = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.seconds["training"] = time.perf_counter() - self.began - sum(self.seconds.values())
        # Asks are the same everywhere and hold what cannot travel; what became of them is gathered.
        self.texts = gather_object(self.texts)
        self.scored = gather_object(self.scored)
        self.tokens = sum(gather_object([self.tokens]))

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if not self.own.watch or not state.is_world_process_zero or "loss" not in (logs or {}):
            return
        size = self.own.improvement.rollouts
        places = range(0, len(self.texts), size)
        self.own.watch(
            Step(
                self.number,
                self.groups,
                [self.texts[at : at + size] for at in places],
                [self.scored[at : at + size] for at in places],
                self.tokens,
                self.seconds,
                {
                    ours: float(logs[theirs])
                    for theirs, ours in _LOGGED.items()
                    if logs.get(theirs) is not None
                },
            )
        )


def _vllm_arguments(vllm: Vllm | None) -> dict[str, Any]:
    if vllm is None:
        return {"use_vllm": False}
    return {
        "use_vllm": True,
        "vllm_mode": vllm.mode,
        "vllm_gpu_memory_utilization": vllm.gpu_memory,
        "vllm_tensor_parallel_size": vllm.tensor_parallel,
        "vllm_enable_sleep_mode": vllm.sleep,
        "vllm_max_model_length": vllm.max_model_length,
        "vllm_server_base_url": vllm.server,
    }
