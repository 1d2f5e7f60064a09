"""A trained adapter as llama.cpp reads it: from PEFT's folder to one GGUF file.

PEFT's folder itself is what vLLM and transformers read; it stays as it is.

Source: llama.cpp's reader of adapters (src/llama-adapter.cpp), which fixes names and keys; PEFT's format.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from langgraph_conductor.errors import ExportError

if TYPE_CHECKING:
    import numpy as np

    Matrix = np.ndarray[Any, Any]


class _Architecture(NamedTuple):
    name: str
    interleaves: bool
    """Whether llama.cpp turns neighbours (0, 1), (2, 3), ... of a head, where transformers turns halves."""


_ARCHITECTURES: Final = {"llama": _Architecture("llama", True), "qwen2": _Architecture("qwen2", False)}
_MODULES: Final = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip
_HEADS: Final = {"self_attn.q_proj": "num_attention_heads", "self_attn.k_proj": "num_key_value_heads"}
_TENSOR: Final = re.compile(r"base_model\.model\.model\.layers\.(\d+)\.(\w+\.\w+)\.lora_([AB])\.weight")
# What GGUF's one alpha and its pairs of matrices cannot say, with the values that say nothing.
_PLAIN: Final[Mapping[str, tuple[Any, ...]]] = {
    "peft_type": ("LORA",), "bias": ("none",), "use_dora": (False,), "use_rslora": (False,),
    "rank_pattern": ({},), "alpha_pattern": ({},), "modules_to_save": (None, []),
    "layer_replication": (None,), "fan_in_fan_out": (False,), "lora_bias": (False,), "arrow_config": (None,),
    "alora_invocation_tokens": (None,), "use_qalora": (False,), "use_bdlora": (None, False),
}  # fmt: skip


def to_gguf(adapter: Path, base: Path, file: Path) -> Path:
    """Convert an adapter to GGUF with 16-bit floats.

    Args:
        adapter: PEFT's folder: `adapter_config.json` and `adapter_model.safetensors`. The adapter may be on some
            layers and modules only.
        base: The folder of the model it was trained on; its `config.json` is read and nothing else.
        file: Where to write. The same adapter gives the same bytes.

    Returns:
        `file`.

    Raises:
        ExportError: If GGUF or this function cannot express something of the adapter, and what.
    """
    from gguf import GGUFWriter

    config = _read_json(base / "config.json")
    architecture = _ARCHITECTURES.get(config.get("model_type", ""))
    if architecture is None:
        known = ", ".join(_ARCHITECTURES)
        raise ExportError(
            f"{base}: cannot convert adapters of {config.get('model_type')!r}, only of {known}"
        )
    settings = _read_json(adapter / "adapter_config.json")
    for key, plain in _PLAIN.items():
        if settings.get(key, plain[0]) not in plain:
            raise ExportError(f"{adapter}: cannot convert an adapter with {key} = {settings[key]!r}")
    matrices = dict(_matrices(adapter, config, architecture))

    file.parent.mkdir(parents=True, exist_ok=True)
    writer = GGUFWriter(file, architecture.name)
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(settings["lora_alpha"]))
    for name, matrix in matrices.items():
        writer.add_tensor(name, matrix)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def sha256_of(file: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _matrices(
    adapter: Path, config: Mapping[str, Any], architecture: _Architecture
) -> Iterator[tuple[str, "Matrix"]]:
    """The adapter's matrices under llama.cpp's names, always in the same order."""
    from safetensors import safe_open

    file = adapter / "adapter_model.safetensors"
    if not file.is_file():
        raise ExportError(
            f"There is no {file}; PEFT writes it with save_pretrained(..., safe_serialization=True)"
        )
    with safe_open(str(file), "pt") as tensors:  # NumPy has no bfloat16
        for key in sorted(tensors.keys()):
            match = _TENSOR.fullmatch(key)
            if match is None or match[2] not in _MODULES:
                raise ExportError(f"{file}: cannot convert {key}, only LoRA of {', '.join(_MODULES)}")
            layer, module, part = match.groups()
            values = tensors.get_tensor(key).half()
            if not values.isfinite().all():
                raise ExportError(f"{file}: {key} holds numbers that 16 bits cannot")
            matrix = values.numpy()
            if part == "B" and architecture.interleaves and module in _HEADS:
                matrix = _interleaved(matrix, config[_HEADS[module]])
            yield f"blk.{layer}.{_MODULES[module]}.weight.lora_{part.lower()}", matrix


def _interleaved(matrix: "Matrix", heads: int) -> "Matrix":
    """Reorder output rows, head by head, from (first half, second half) to (pair, pair, ...).

    Rotary embeddings turn pairs of a head's values. Of d values transformers pairs number i with i + d/2, and
    llama.cpp 2i with 2i + 1, for this architecture; its files have their rows in that order.
    """
    rows, rank = matrix.shape
    return matrix.reshape(heads, 2, rows // heads // 2, rank).swapaxes(1, 2).reshape(rows, rank).copy()


def _read_json(file: Path) -> dict[str, Any]:
    try:
        read = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise ExportError(f"{file} cannot be read ({error})") from error
    if not isinstance(read, dict):
        raise ExportError(f"{file} holds no JSON object")
    return read
