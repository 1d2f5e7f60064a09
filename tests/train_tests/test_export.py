"""Adapters as llama.cpp reads them say what they say in torch."""

import json

import pytest
import torch
from langchain_core.messages import HumanMessage, SystemMessage
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig, LlamaConfig, Qwen2Config
from transformers.utils import logging

from langgraph_conductor.errors import ExportError
from langgraph_conductor.local.server import serve
from langgraph_conductor.local.weights import smollm2_path
from langgraph_conductor.special_tokens import without_special_tokens
from langgraph_conductor.train.results.export import to_gguf
from langgraph_conductor.train.trainers.engine import prompt_text
from tests.train_tests.llama_cpp import asked, furthest, next_tokens, write_base

# PEFT asks transformers in a way that transformers wants to change.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
PROMPT = [5, 9, 33, 2, 70, 41, 8, 8, 60, 12, 3, 77]
CLOSE = 0.05
"""Log-probabilities of a toy in 32 bits: llama.cpp keeps keys, values and adapters in 16 (measured: 0.013)."""
FAR = 1.0
KINDS = {"llama": LlamaConfig, "qwen2": Qwen2Config}


def toy(kind):
    """Two layers whose numbers of heads, keys and widths all differ."""
    torch.manual_seed(0)
    config = KINDS[kind](
        vocab_size=96, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, initializer_range=0.3, tie_word_embeddings=False,
    )  # fmt: skip
    return AutoModelForCausalLM.from_config(config).eval()


def adapted(model, **options):
    """`model` with an adapter of random weights: PEFT's own B of zeros changes nothing."""
    torch.manual_seed(1)
    made = get_peft_model(model, LoraConfig(**{"r": 4, "lora_alpha": 8, "target_modules": ALL, **options}))
    for name, weights in made.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weights, std=0.3)
    return made.eval()


@pytest.fixture
def saved(tmp_path):
    """A toy llama with an adapter, as folders."""
    model = toy("llama")
    model.config.save_pretrained(tmp_path / "base")
    adapted(model).save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter", tmp_path / "base"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"target_modules": ["k_proj", "down_proj"]},
        {"layers_to_transform": [1]},
        {"r": 3, "lora_alpha": 1.5},
    ],
    ids=["everything", "some modules", "one layer", "odd rank"],
)
@pytest.mark.parametrize("kind", KINDS)
def test_llama_cpp_says_with_it_what_torch_says(tmp_path, kind, options):
    model = toy(kind)
    model.config.save_pretrained(tmp_path)
    write_base(model, tmp_path / "base.gguf")
    both = adapted(model, **options)
    both.save_pretrained(tmp_path / "adapter")
    file = to_gguf(tmp_path / "adapter", tmp_path, tmp_path / "adapter.gguf")
    server = serve(tmp_path / "base.gguf", slots=1, context=64, adapters={"it": file})
    said = next_tokens(server, PROMPT, "it")
    assert len(said) == 64
    assert furthest(both, said, PROMPT) < CLOSE
    assert (
        furthest(both, next_tokens(server, PROMPT), PROMPT) > FAR / 10
    )  # so there was something to agree on
    with both.disable_adapter():
        assert furthest(both, next_tokens(server, PROMPT), PROMPT) < CLOSE


def test_rows_in_transformers_order_would_be_seen(saved, monkeypatch, tmp_path):
    adapter, base = saved
    model = toy("llama")
    write_base(model, tmp_path / "base.gguf")
    monkeypatch.setattr("langgraph_conductor.train.results.export._HEADS", {})
    file = to_gguf(adapter, base, tmp_path / "wrong.gguf")
    server = serve(tmp_path / "base.gguf", slots=1, context=64, adapters={"it": file})
    both = PeftModel.from_pretrained(model, adapter).eval()
    assert furthest(both, next_tokens(server, PROMPT, "it"), PROMPT) > FAR


@pytest.mark.timeout(300)  # reading the weights: 10 s where nobody else needs the cores
def test_the_embedded_model_with_an_adapter(tmp_path):
    """With its quantised weights: llama.cpp rounds activations to 8 bits, so the model alone differs as much."""
    logging.disable_progress_bar()
    weights = smollm2_path()
    model = AutoModelForCausalLM.from_pretrained(
        weights.parent,
        gguf_file=weights.name,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
    ).eval()
    model.config.save_pretrained(tmp_path)
    both = get_peft_model(
        model, LoraConfig(r=8, lora_alpha=16, target_modules=ALL, layers_to_transform=[28, 29])
    )
    torch.manual_seed(1)
    for name, values in both.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(values, std=0.06)
    both.eval().save_pretrained(tmp_path / "adapter", save_embedding_layers=False)  # asks no hub
    file = to_gguf(tmp_path / "adapter", tmp_path, tmp_path / "it.gguf")
    server = serve(weights, slots=1, context=64, adapters={"it": file})
    prompt = [504, 3575, 282, 4649, 314]  # "The capital of France is"
    said = next_tokens(server, prompt, "it")
    with torch.no_grad():
        best = both(torch.tensor([prompt])).logits[0, -1].argmax().item()
    assert max(said, key=said.get) == best
    assert furthest(both, said, prompt) < 0.6
    assert furthest(both, next_tokens(server, prompt), prompt) > 2


@pytest.mark.timeout(300)
def test_a_prompt_is_the_same_tokens_for_the_trainer_and_the_server(tmp_path):
    weights = smollm2_path()
    tokenizer = AutoTokenizer.from_pretrained(weights.parent, gguf_file=weights.name)
    server = serve(weights, slots=1, context=64)
    for question in ("What is 3 * 4?", "  Sort: 7, é, “x”\n\nGiven: ", "<|im_end|> is a word here"):
        messages = [SystemMessage("Plan."), HumanMessage(question)]
        sent = without_special_tokens(question)  # as the client of the embedded models sends it
        turns = [{"role": "system", "content": "Plan."}, {"role": "user", "content": sent}]
        text = prompt_text(tokenizer, messages)
        assert asked(server, "apply-template", messages=turns)["prompt"] == text
        tokens = asked(server, "tokenize", content=text, add_special=True, parse_special=True)["tokens"]
        assert tokens == tokenizer(text, add_special_tokens=False)["input_ids"]


def test_the_same_adapter_gives_the_same_bytes(saved, tmp_path):
    adapter, base = saved
    one, other = (to_gguf(adapter, base, tmp_path / name) for name in ("a.gguf", "b.gguf"))
    assert one.read_bytes() == other.read_bytes()


def edited(folder, name, **changes):
    file = folder / name
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"peft_type": "IA3"}, "peft_type = 'IA3'"),
        ({"use_dora": True}, "use_dora"),
        ({"use_rslora": True}, "use_rslora"),
        ({"bias": "all"}, "bias = 'all'"),
        ({"alpha_pattern": {"q_proj": 1}}, "alpha_pattern"),
        ({"rank_pattern": {"q_proj": 1}}, "rank_pattern"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
    ],
)
def test_what_gguf_cannot_say_is_refused(saved, tmp_path, changes, reason):
    adapter, base = saved
    edited(adapter, "adapter_config.json", **changes)
    with pytest.raises(ExportError, match=reason):
        to_gguf(adapter, base, tmp_path / "it.gguf")
    assert not (tmp_path / "it.gguf").exists()


def test_other_models_are_refused(saved, tmp_path):
    adapter, base = saved
    edited(base, "config.json", model_type="mamba")
    with pytest.raises(ExportError, match="'mamba', only of llama, qwen2"):
        to_gguf(adapter, base, tmp_path / "it.gguf")


def test_other_modules_and_numbers_too_large_are_refused(saved, tmp_path):
    adapter, base = saved
    file = adapter / "adapter_model.safetensors"
    weights = load_file(file)
    head = "base_model.model.lm_head.lora_A.weight"
    save_file({**weights, head: torch.ones(4, 64)}, file)
    with pytest.raises(ExportError, match=r"cannot convert base_model\.model\.lm_head"):
        to_gguf(adapter, base, tmp_path / "it.gguf")
    save_file({name: values * 1e6 for name, values in weights.items()}, file)
    with pytest.raises(ExportError, match="numbers that 16 bits cannot"):
        to_gguf(adapter, base, tmp_path / "it.gguf")


def test_missing_files_are_named(saved, tmp_path):
    adapter, base = saved
    (adapter / "adapter_model.safetensors").unlink()
    with pytest.raises(ExportError, match=r"adapter_model\.safetensors"):
        to_gguf(adapter, base, tmp_path / "it.gguf")
    with pytest.raises(ExportError, match=r"config\.json cannot be read"):
        to_gguf(adapter, tmp_path / "nowhere", tmp_path / "it.gguf")
