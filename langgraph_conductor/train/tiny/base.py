"""The base model for training: the embedded GGUF file, unpacked once."""

from pathlib import Path
from typing import Any, Final

from langgraph_conductor.local.weights import smollm2_path

NAME: Final = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""What adapters are said to be of."""


def load_base(folder: Path, device: str = "cpu") -> tuple[Any, Any]:
    """The model in bfloat16 and its tokenizer, unpacked into `folder` if they are not there yet (20 s, 270 MB).

    Raises:
        LocalModelError: If the weights are missing and cannot be fetched.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if not (folder / "config.json").is_file():
        _unpack(smollm2_path(progress=True), folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).to(device)
    model.config._name_or_path = NAME  # what an adapter's own configuration will name
    return model, AutoTokenizer.from_pretrained(folder)


def _unpack(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    tokenizer = AutoTokenizer.from_pretrained(**where)
    unpacked = GgufConfig(dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(
        **where, dtype=torch.bfloat16, quantization_config=unpacked
    )
    model.config.__dict__.pop("quantization_config", None)  # it is no longer packed
    tokenizer.save_pretrained(folder)
    part = folder.with_name(f"{folder.name}.part")
    model.save_pretrained(part)
    for file in part.iterdir():  # the configuration last: it says that all is there
        if file.name != "config.json":
            file.replace(folder / file.name)
    (part / "config.json").replace(folder / "config.json")
    part.rmdir()
