"""What the server serves, from the embedded model's GGUF file: `python make_models.py GGUF FOLDER`.

Runs in vLLM's environment. FOLDER gets `base`, the weights as vLLM reads them, and `adapter`, a LoRA
adapter of random weights: untrained, but enough to see that it is served and changes what is said.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

RANK = 8
MODULES = ("q_proj", "v_proj")


def make_base(gguf: Path, folder: Path) -> torch.nn.Module:
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),  # packed weights cannot be saved
    )
    vars(model.config).pop("quantization_config", None)  # they are plain now
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)
    return model


def make_adapter(model: torch.nn.Module, folder: Path) -> None:
    """An adapter in PEFT's format; its B is random too, since PEFT's own start of zeros changes nothing."""
    random = torch.Generator().manual_seed(0)
    weights = {}
    for name, module in model.named_modules():
        if name.endswith(MODULES):
            for part, shape in (("A", (RANK, module.in_features)), ("B", (module.out_features, RANK))):
                weights[f"base_model.model.{name}.lora_{part}.weight"] = 0.1 * torch.randn(
                    shape, generator=random
                )
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": RANK, "lora_alpha": RANK,
              "target_modules": MODULES, "bias": "none"}  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(config))


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    make_adapter(make_base(source, target / "base"), target / "adapter")
