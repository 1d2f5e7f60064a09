"""TRL as it is used here: what a group's rewards teach, going on, and what is left out."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerCallback
from trl import GRPOConfig

from langgraph_conductor import BudgetExceededError, Worker, WorkerPool
from langgraph_conductor.episodes import Episode
from langgraph_conductor.rewards import Task
from langgraph_conductor.train.learning.advantages import advantages
from langgraph_conductor.train.learning.asks import Ask, Example, Scored
from langgraph_conductor.train.learning.settings import Compute, Imitation, Improvement, Lora, Vllm
from langgraph_conductor.train.learning.trainer import Step
from langgraph_conductor.train.trainers.trl import TrlTrainer, _vllm_arguments
from tests.train_tests.toys import toy_model, toy_tokenizer

TOKENIZER = toy_tokenizer()
POOL = WorkerPool([Worker("a", lambda task: "")])
FIRST, SECOND = (Ask(Task(question, "", "exact"), POOL) for question in ("Who?", "What else is there?"))
MIXED = [[FIRST, FIRST, SECOND, SECOND], [SECOND] * 4]


def score(asks: Sequence[Ask], texts: Sequence[str]) -> list[Scored]:
    """The more of the letter e, the better; the first of a batch could not be scored."""
    rewards = [None, *(text.count("e") / 8 for text in texts[1:])]
    return [Scored(reward, Episode("", "", 0.0, True, "unaided")) for reward in rewards]


def trainer(steps: int = 2, **options: Any) -> TrlTrainer:
    learning = {"steps": steps, "questions": 2, "rollouts": 4, "max_tokens": 16, "save_minutes": 60}
    learning |= {"learning_rate": 1e-3, "schedule": "constant", "warmup_ratio": 0.0}
    improvement = Improvement(**{**learning, **options.pop("learning", {})})
    half = options.pop("half", False)
    model = toy_model(len(TOKENIZER))
    return TrlTrainer(
        model.to(torch.bfloat16) if half else model,
        TOKENIZER,
        lambda ask: f"<|im_start|>user\n{ask.task.question}<|im_end|>\n",
        improvement=improvement,
        compute=Compute(micro_batch=4, sample_rows=3, gradient_checkpointing=False),
        **options,
    )


def weights(of: TrlTrainer) -> torch.Tensor:
    return torch.cat(
        [weight.detach().flatten().float() for weight in of.model.parameters() if weight.requires_grad]
    )


def test_groups_of_unlike_prompts_are_compared_and_told(tmp_path: Path) -> None:
    seen: list[Step] = []
    asked: list[Ask] = []

    def noted(asks: Sequence[Ask], texts: Sequence[str]) -> list[Scored]:
        asked.extend(asks)
        return score(asks, texts)

    own = trainer(watch=seen.append)
    before = weights(own)
    own.improve(lambda number: MIXED, noted, tmp_path)
    assert asked == [ask for _ in range(2) for group in MIXED for ask in group]  # each rollout is run once
    assert [step.number for step in seen] == [0, 1]
    step = seen[0]
    assert [len(group) for group in step.texts] == [len(group) for group in step.scored] == [4, 4]
    assert step.scored[0][0].reward is None
    assert set(step.seconds) == {"planning", "executing", "training"}
    assert all(seconds >= 0 for seconds in step.seconds.values())
    assert {"loss", "entropy", "gradient", "learning_rate"} <= set(step.learning)
    assert 8 <= step.tokens <= 8 * 16
    assert not torch.equal(before, weights(own))


def test_own_advantages_teach_what_trls_do(tmp_path: Path) -> None:
    theirs, ours, turned = (
        trainer(1), trainer(1, advantages=lambda group, rewards: advantages(rewards)),
        trainer(1, advantages=lambda group, rewards: [-one for one in advantages(rewards)]),
    )  # fmt: skip
    start = weights(theirs)
    for number, one in enumerate((theirs, ours, turned)):
        one.improve(lambda _: MIXED, score, tmp_path / str(number))
    assert torch.allclose(weights(theirs), weights(ours), atol=1e-5)
    moved, back = weights(ours) - start, weights(turned) - start
    assert torch.dot(moved, back) < -0.9 * moved.norm() * back.norm()


def test_rewards_are_not_scaled_where_that_is_set(tmp_path: Path) -> None:
    def few(asks: Sequence[Ask], texts: Sequence[str]) -> list[Scored]:
        """The second group differs by next to nothing."""
        scored = score(asks, texts)
        return [one if i < 4 else replace(one, reward=1 + 0.001 * (i % 2)) for i, one in enumerate(scored)]

    learning = {"scale_rewards": False}
    theirs = trainer(1, learning=learning)
    ours = trainer(1, learning=learning, advantages=lambda _, rewards: advantages(rewards, scaled=False))
    scaled = trainer(1)
    for number, one in enumerate((theirs, ours, scaled)):
        one.improve(lambda _: MIXED, few, tmp_path / str(number))
    assert torch.allclose(weights(theirs), weights(ours), atol=1e-5)
    assert not torch.allclose(weights(theirs), weights(scaled), atol=1e-5)


def test_only_unscored_rollouts_teach_nothing(tmp_path: Path) -> None:
    own = trainer(1)
    before = weights(own)
    none = [Scored(None, Episode("", "", None, True, "unaided", infra="down"))] * 8
    own.improve(lambda _: MIXED, lambda asks, texts: none, tmp_path)
    assert torch.equal(before, weights(own))


def test_a_training_that_was_ended_goes_on_as_if_it_were_not(tmp_path: Path) -> None:
    whole = trainer(4)
    whole.improve(lambda number: MIXED, score, tmp_path / "whole")

    numbers: list[int] = []
    texts: list[Sequence[str]] = []

    def limited(asks: Sequence[Ask], written: Sequence[str]) -> list[Scored]:
        texts.append(written)
        if len(texts) == 3:
            raise BudgetExceededError("no more", limit="usd")
        return score(asks, written)

    with pytest.raises(BudgetExceededError):
        trainer(4, watch=lambda step: numbers.append(step.number)).improve(
            lambda n: MIXED, limited, tmp_path / "cut"
        )
    again = trainer(4, watch=lambda step: numbers.append(step.number))
    again.improve(lambda n: MIXED, limited, tmp_path / "cut")
    assert numbers == [0, 1, 2, 3]
    assert texts[2] == texts[3]  # so that what was paid for it is not paid again
    assert torch.allclose(weights(again), weights(whole), atol=1e-5)

    over = trainer(
        4, watch=lambda step: numbers.append(step.number)
    )  # killed before its weights were saved
    over.improve(lambda n: MIXED, score, tmp_path / "cut")
    assert numbers == [0, 1, 2, 3]
    assert torch.equal(weights(over), weights(again))


def test_a_checkpoint_that_was_broken_off_is_passed_over(tmp_path: Path) -> None:
    trainer(1).improve(lambda n: MIXED, score, tmp_path)
    (tmp_path / "checkpoint-9").mkdir()
    numbers: list[int] = []
    trainer(2, watch=lambda step: numbers.append(step.number)).improve(lambda n: MIXED, score, tmp_path)
    assert numbers == [1]


def test_checkpoints_are_written_on_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[int] = []
    monkeypatch.setattr(
        TrainerCallback, "on_save", lambda self, args, state, control, **_: saved.append(state.global_step)
    )
    trainer(3, learning={"save_minutes": 1e-9}).improve(lambda n: MIXED, score, tmp_path / "often")
    assert sorted(set(saved)) == [1, 2, 3]
    saved.clear()
    trainer(3).improve(lambda n: MIXED, score, tmp_path / "seldom")
    assert set(saved) == {3}


def test_small_updates_of_half_precision_are_not_lost(tmp_path: Path) -> None:
    """A millionth is below what bfloat16 can add to most weights."""
    own = trainer(1, half=True, learning={"learning_rate": 1e-6})
    before = weights(own)
    own.improve(lambda _: MIXED, score, tmp_path)
    moved = (weights(own) != before).float().mean()
    assert moved > 0.5
    assert (weights(own).bfloat16() != before.bfloat16()).float().mean() < 0.05
    own.save(tmp_path / "weights")
    assert own.model.dtype == torch.bfloat16


def test_an_adapter_learns_and_the_model_stays(tmp_path: Path) -> None:
    own = trainer(1, lora=Lora(rank=2, alpha=4), half=True)
    base = {
        name: weight.clone() for name, weight in own.model.named_parameters() if not weight.requires_grad
    }
    before = weights(own)
    own.improve(lambda _: MIXED, score, tmp_path)
    assert not torch.equal(before, weights(own))
    now = dict(own.model.named_parameters())
    assert all(torch.equal(weight, now[name]) for name, weight in base.items())
    assert all(weight.dtype == torch.float32 for weight in now.values() if weight.requires_grad)
    own.save(tmp_path / "weights")
    assert (tmp_path / "weights" / "adapter_model.safetensors").is_file()


def test_imitation_learns_the_text_and_not_the_prompt(tmp_path: Path) -> None:
    own = trainer(imitation=Imitation(epochs=40, batch=2, learning_rate=1e-2))
    examples = [Example(FIRST, "model_id = [0]"), Example(SECOND, "model_id = [1]")]
    own.imitate(examples, tmp_path)
    said = own.sample([FIRST, SECOND], temperature=0, max_tokens=16, seed=0)
    assert said == [example.text for example in examples]
    labels = own._example(examples[0])["labels"]
    assert labels[-1] == TOKENIZER.eos_token_id
    assert (
        TOKENIZER.decode([label for label in labels if label >= 0], skip_special_tokens=True)
        == examples[0].text
    )
    with pytest.raises(ValueError, match="nothing to imitate"):
        own.imitate([], tmp_path)


def test_groups_of_another_size_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="step 0 needs 2 groups of 4"):
        trainer().improve(lambda number: MIXED[:1], score, tmp_path)


def test_trl_knows_what_is_set_of_vllm() -> None:
    chosen = Vllm(gpu_memory=0.2, tensor_parallel=2, max_model_length=8192, sleep=True)
    config = GRPOConfig(output_dir="unused", use_cpu=True, bf16=False, **_vllm_arguments(chosen))
    assert (config.use_vllm, config.vllm_mode, config.vllm_enable_sleep_mode) == (True, "colocate", True)
    assert (config.vllm_gpu_memory_utilization, config.vllm_tensor_parallel_size) == (0.2, 2)
    assert config.vllm_max_model_length == 8192
    assert _vllm_arguments(None) == {"use_vllm": False}
