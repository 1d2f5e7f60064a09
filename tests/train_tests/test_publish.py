"""What a training leaves for others."""

import json

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from langgraph_conductor.errors import ExportError, LocalModelError
from langgraph_conductor.local.shipped import shipped
from langgraph_conductor.local.weights import FILE_SHA256
from langgraph_conductor.train.results.export import sha256_of
from langgraph_conductor.train.results.publish import Facts, model_card, publish
from langgraph_conductor.train.tiny.names import COMPLEMENTARY

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

FACTS = Facts(
    title="Adapters of the tests",
    base="somebody/toy",
    base_sha256=FILE_SHA256,
    data="Questions made by a program.",
    seeds=[0, 1],
    settings={"lora": {"rank": 2, "modules": ["q_proj"]}, "steps": 3},
    figures=[
        {"strategy": "best | single", "right": "0.20 [0.1, 0.3]"},
        {"strategy": "conductor", "right": "0.8"},
    ],
    notes=[COMPLEMENTARY],
    command="python -m made.it",
)


@pytest.fixture
def made(tmp_path):
    """The folder of a toy model, and of two adapters of it."""
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=32, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2
        )
    )
    model.save_pretrained(tmp_path / "base")
    both = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"]))
    for name in ("one", "two"):
        both.save_pretrained(tmp_path / name)
    return tmp_path / "base", {name: tmp_path / name for name in ("one", "two")}


def test_everything_is_written_and_found_again(made, tmp_path):
    base, adapters = made
    out = tmp_path / "out"
    hashes = publish(adapters, base, out, FACTS)
    assert hashes == {name: sha256_of(out / f"{name}.gguf") for name in ("one", "two")}
    found = shipped(out)
    assert {name: adapter.sha256 for name, adapter in found.items()} == hashes
    assert found["two"].file == out / "two.gguf"


def test_peft_reads_its_folder_and_no_path_of_ours_is_in_it(made, tmp_path):
    base, adapters = made
    publish(adapters, base, tmp_path / "out", FACTS)
    config = tmp_path / "out" / "one" / "adapter_config.json"
    assert json.loads(config.read_text())["base_model_name_or_path"] == "somebody/toy"
    assert str(tmp_path) not in config.read_text()
    model = LlamaForCausalLM.from_pretrained(base)
    again = PeftModel.from_pretrained(model, config.parent)
    assert any(torch.count_nonzero(p) for name, p in again.named_parameters() if "lora_A" in name)


def test_llama_cpp_alone_may_be_written_for(made, tmp_path):
    base, adapters = made
    publish(adapters, base, tmp_path / "out", FACTS, peft=False)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "README.md", "adapters.json", "one.gguf", "two.gguf",
    }  # fmt: skip


def test_the_card_tells_all_of_it():
    card = model_card(FACTS, {"one": "ab12"})
    assert card.startswith("---\nlicense: apache-2.0\nbase_model: somebody/toy\n")
    for part in (
        "Questions made by a program.", "0, 1", "| lora.rank | 2 |", "| lora.modules | q_proj |", "| steps | 3 |",
        r"| best \| single | 0.20 [0.1, 0.3] |", "| one.gguf | ab12 |", "python -m made.it", FILE_SHA256,
        "complementary by construction", "Apache-2.0",
    ):  # fmt: skip
        assert part in card


def test_too_large_is_refused(made, tmp_path):
    base, adapters = made
    with pytest.raises(ExportError, match=r"bytes together, not 100 at most"):
        publish(adapters, base, tmp_path / "out", FACTS, most_bytes=100)


def test_a_folder_without_an_adapter_is_named(made, tmp_path):
    base, _ = made
    with pytest.raises(ExportError, match="is no adapter of PEFT's"):
        publish({"x": tmp_path / "nothing"}, base, tmp_path / "out", FACTS)


def test_a_changed_file_is_not_used(made, tmp_path):
    base, adapters = made
    publish(adapters, base, tmp_path / "out", FACTS)
    file = tmp_path / "out" / "one.gguf"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(LocalModelError, match=r"one\.gguf is damaged and was not used"):
        shipped(tmp_path / "out")
