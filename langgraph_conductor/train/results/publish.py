"""What a training leaves for others: adapters for vLLM and llama.cpp, their hashes, and a model card.

* `FOLDER/README.md`: the model card.
* `FOLDER/NAME/`: PEFT's folder; vLLM serves it with `--lora-modules NAME=FOLDER/NAME`.
* `FOLDER/NAME.gguf`: the same for llama.cpp.
* `FOLDER/adapters.json`: the hashes of the GGUF files, and of the model they are for.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from langgraph_conductor.errors import ExportError
from langgraph_conductor.train.learning.settings import Settings
from langgraph_conductor.train.results.export import sha256_of, to_gguf

MANIFEST: Final = "adapters.json"
_PEFT: Final = ("adapter_config.json", "adapter_model.safetensors")


class Facts(Settings):
    """What the training knows of its adapters, for their card.

    Args:
        title: What they are, in a line.
        base: The name of the model they belong to, as on its hub.
        base_sha256: The hash of the file of that model that was trained on and is served with the GGUF adapters.
        data: What was learned from.
        seeds: Of data, training and evaluation.
        settings: Of the training, as tables within tables.
        figures: A table: rows with the same keys. The first column says what a row is of.
        notes: Sentences a reader must know.
        tables: Further tables, by their headings.
        command: What makes all of it again.
    """

    title: str
    base: str
    base_sha256: str = ""
    data: str
    seeds: Sequence[int] = ()
    settings: Mapping[str, Any] = Field(default_factory=dict)
    figures: Sequence[Mapping[str, Any]] = ()
    notes: Sequence[str] = ()
    tables: Mapping[str, Sequence[Mapping[str, Any]]] = Field(default_factory=dict)
    command: str = ""


def publish(
    adapters: Mapping[str, Path],
    base: Path,
    folder: Path,
    facts: Facts,
    *,
    peft: bool = True,
    most_bytes: int | None = None,
) -> Mapping[str, str]:
    """Write adapters in every format, their hashes and their card.

    Args:
        adapters: Name -> PEFT's folder, all of the same base.
        base: The folder of the base model, for its `config.json`.
        folder: Where to write; what is there under the same names is replaced.
        facts: What the card says.
        peft: Whether PEFT's folders are written too.
        most_bytes: Bytes that all GGUF files together may have.

    Returns:
        Name -> SHA-256 of the GGUF file.

    Raises:
        ExportError: If an adapter cannot be converted, or they are too large together.
    """
    for name, adapter in adapters.items():
        if peft:
            _copy(adapter, folder / name, facts.base)
        to_gguf(adapter, base, folder / f"{name}.gguf")
    size = sum((folder / f"{name}.gguf").stat().st_size for name in adapters)
    if most_bytes is not None and size > most_bytes:
        raise ExportError(
            f"The adapters have {size:,} bytes together, not {most_bytes:,} at most; lower the rank, or adapt "
            "fewer layers"
        )
    hashes = {name: sha256_of(folder / f"{name}.gguf") for name in adapters}
    manifest = {"base": facts.base_sha256, "adapters": hashes}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    (folder / "README.md").write_text(model_card(facts, hashes))
    return hashes


def model_card(facts: Facts, hashes: Mapping[str, str]) -> str:
    """The card, in Markdown with the head that model hubs read.

    Args:
        facts: What is known.
        hashes: Name -> SHA-256 of each GGUF file.
    """
    parts = [
        f"---\nlicense: apache-2.0\nbase_model: {facts.base}\nlibrary_name: peft\ntags: [lora, gguf]\n---",
        f"# {facts.title}",
        f"LoRA adapters of {facts.base}, made by langgraph_conductor. Licence: Apache-2.0.",
        *facts.notes,
        f"**Data.** {facts.data}",
    ]
    if facts.seeds:
        parts.append(f"**Seeds.** {', '.join(map(str, facts.seeds))}.")
    if facts.command:
        parts.append(f"**Made again by** `{facts.command}`.")
    if facts.settings:
        rows = [{"setting": name, "value": value} for name, value in _flat(facts.settings)]
        parts += ["## Settings", _table(rows)]
    if facts.figures:
        parts += ["## Figures", _table(facts.figures)]
    for heading, table in facts.tables.items():
        parts += [f"## {heading}", _table(table)]
    files = [{"file": f"{name}.gguf", "SHA-256": digest} for name, digest in hashes.items()]
    parts += ["## Files", _table(files)]
    if facts.base_sha256:
        parts.append(f"They belong to the file with SHA-256 {facts.base_sha256}.")
    return "\n\n".join(parts) + "\n"


def _copy(adapter: Path, folder: Path, base: str) -> None:
    """Copy what PEFT reads; the base is named as others know it, not by where it lay."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _PEFT:
        try:
            shutil.copyfile(adapter / name, folder / name)
        except OSError as error:
            raise ExportError(f"{adapter} is no adapter of PEFT's ({error})") from error
    file = folder / _PEFT[0]
    config = json.loads(file.read_text())
    config["base_model_name_or_path"] = base
    file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def _flat(settings: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for name, value in settings.items():
        path = f"{before}{name}"
        flat += _flat(value, f"{path}.") if isinstance(value, Mapping) else [(path, value)]
    return flat


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = [
        columns,
        ["---"] * len(columns),
        *([_cell(row.get(name, "")) for name in columns] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return " ".join(shown.replace("|", "\\|").split())
