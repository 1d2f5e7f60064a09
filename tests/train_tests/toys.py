"""A Qwen2 of 60 thousand random weights with a tokenizer of its own, and a pool without a network."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from langgraph_conductor import Worker, WorkerPool
from langgraph_conductor.planners import PlanRequest
from langgraph_conductor.train.config import Prompt
from langgraph_conductor.train.policy import planner_in_training

CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PLANS = [f'model_id = [{n}]\nsubtasks = ["Solve it."]\naccess_list = [[]]<|im_end|>' for n in range(8)]


def toy_tokenizer() -> PreTrainedTokenizerFast:
    """Learnt from the planner's own prompts, so that they are short."""
    request = PlanRequest(
        ({"type": "text", "text": "Question 1 of 23?"},), WorkerPool([Worker("a", lambda task: "")])
    )
    prompts = [str(m.text) for m in planner_in_training(Prompt(examples=False)).render(request)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=1200, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator((prompts + PLANS) * 3, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>", chat_template=CHAT
    )


def toy_model(vocabulary: int, seed: int = 0) -> Qwen2ForCausalLM:
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=2,
        pad_token_id=0,
    )
    return Qwen2ForCausalLM(config)


def save_toy(folder: Path) -> Path:
    """The toy as a folder that transformers reads, in bfloat16 as a real one."""
    tokenizer = toy_tokenizer()
    toy_model(len(tokenizer)).to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
