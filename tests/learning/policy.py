"""A policy small enough to be trained from nothing in a minute: a Llama with random weights, and its tokenizer."""

import re
from typing import Any

from langgraph_conductor.train.learning.asks import Ask
from tests.learning.world import menu, questions

END, UNKNOWN = "<end>", "<unknown>"
PLANS = ("model_id = [", "]\nsubtasks = [", "]\naccess_list = [", "]", ", ", "[]", '["all"]', *"0123456789")


def render(ask: Ask) -> str:
    """The prompt: the question. The workers are always the same, and known by their numbers."""
    return prompt(ask.task.question)


def prompt(question: str) -> str:
    return f"Question: {question}\n"


def tokenizer() -> Any:
    """A token for every word of the questions, and for every part of plans."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    parts = [*PLANS, *(f'"{subtask}"' for subtask in menu())]
    longest_first = sorted(parts, key=len, reverse=True)
    cut = "|".join([*map(re.escape, longest_first), r" ?\w+", r"\s", "."])
    prompts = (prompt(task.question) for task in questions("train"))
    words = {piece for text in prompts for piece in re.findall(cut, text)} - set(parts)
    vocabulary = {piece: i for i, piece in enumerate([END, UNKNOWN, *parts, *sorted(words)])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    made.pre_tokenizer = pre_tokenizers.Split(Regex(cut), behavior="isolated")
    made.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token=END, unk_token=UNKNOWN)


def model(seed: int, vocabulary: int) -> Any:
    """A Llama of 0.34 million random weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    shape = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=128,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=0,
    )
    return LlamaForCausalLM(shape)
