"""Toy models as GGUF files, and what llama.cpp says of them: the other side of the tests of exports."""

import json
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGUFWriter

from langgraph_conductor.local.server import LocalServer

VOCABULARY = 96
NAMES = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip
WHOLE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def write_base(model: torch.nn.Module, file: Path) -> None:
    """Write a llama or Qwen2 of transformers as GGUF with 32-bit floats."""
    config = model.config
    kind = config.model_type
    writer = GGUFWriter(file, kind)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(VOCABULARY)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([chr(33 + i) if i < 94 else f"<{i}>" for i in range(VOCABULARY)])
    writer.add_token_types([1 if i < 94 else 3 for i in range(VOCABULARY)])
    writer.add_token_merges(["! !"])
    writer.add_eos_token_id(VOCABULARY - 1)
    for name, tensor in model.state_dict().items():
        module, _, part = name.rpartition(".")
        if module not in WHOLE:
            _, _, layer, module = module.split(".", 3)
        values = tensor.float().numpy()
        if kind == "llama" and module in ("self_attn.q_proj", "self_attn.k_proj"):
            values = _pairs(values, config.head_dim)
        target = WHOLE.get(module) or f"blk.{layer}.{NAMES[module]}"
        writer.add_tensor(f"{target}.{part}", np.ascontiguousarray(values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _pairs(values: np.ndarray, width: int) -> np.ndarray:
    """llama.cpp's order of rows, spelled out one by one: the export's own way is what is tested."""
    order = [
        head + half * (width // 2) + i
        for head in range(0, len(values), width)
        for i in range(width // 2)
        for half in range(2)
    ]
    return values[order]


def asked(server: LocalServer, path: str, **body: Any) -> dict[str, Any]:
    """What llama.cpp's server replies."""
    url = f"{server.url.removesuffix('/v1')}/{path}"
    head = {"content-type": "application/json", "authorization": f"Bearer {server.key}"}
    request = urllib.request.Request(url, json.dumps(body).encode(), head)
    with urllib.request.urlopen(request, timeout=60) as response:
        reply: dict[str, Any] = json.load(response)
    return reply


def next_tokens(server: LocalServer, tokens: list[int], adapter: str = "") -> dict[int, float]:
    """The log-probabilities of what llama.cpp would write next, of its most likely tokens."""
    choice = server.choosing(adapter)
    reply = asked(server, "completion", prompt=tokens, n_predict=1, temperature=0, n_probs=64, **choice)
    (chosen,) = reply["completion_probabilities"]
    return {each["id"]: each["logprob"] for each in chosen["top_logprobs"]}


def furthest(model: torch.nn.Module, said: dict[int, float], tokens: list[int]) -> float:
    """How far the log-probabilities of llama.cpp and of torch lie apart at most."""
    with torch.no_grad():
        expected = torch.log_softmax(model(torch.tensor([tokens])).logits[0, -1].float(), -1)
    return max(abs(expected[token].item() - logprob) for token, logprob in said.items())
