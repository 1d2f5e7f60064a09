"""The adapters that come with the package: `adapters/NAME.gguf`, and `adapters.json`, which says what they hold.

They are of the embedded model. `langgraph_conductor.train.tiny` made them; the model card beside them says how.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from langgraph_conductor.errors import LocalModelError
from langgraph_conductor.local.weights import FILE_SHA256

FOLDER: Final = Path(__file__).parent / "adapters"
MANIFEST: Final = "adapters.json"


@dataclass(frozen=True, slots=True)
class Shipped:
    """One adapter.

    Attributes:
        file: Its GGUF file.
        sha256: The file's SHA-256, in hexadecimal.
    """

    file: Path
    sha256: str


def shipped(folder: Path = FOLDER) -> Mapping[str, Shipped]:
    """The adapters by name, each hashed (10 ms a file).

    Args:
        folder: Where they are.

    Raises:
        LocalModelError: If one is missing or not the one that was published.
    """
    manifest = _manifest(folder / MANIFEST)
    found = {name: Shipped(folder / f"{name}.gguf", digest) for name, digest in manifest.items()}
    for adapter in found.values():
        _check(adapter)
    return found


def _manifest(file: Path) -> Mapping[str, str]:
    try:
        read: Any = json.loads(file.read_text())
        base, adapters = read["base"], dict(read["adapters"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise LocalModelError(
            f"The embedded adapters are missing or damaged: {file} ({error!r}). {_MEND}"
        ) from error
    if base != FILE_SHA256:
        raise LocalModelError(f"{file} is of adapters of another model: {base}, not {FILE_SHA256}. {_MEND}")
    return adapters


def _check(adapter: Shipped) -> None:
    try:
        digest = hashlib.sha256(adapter.file.read_bytes()).hexdigest()
    except OSError as error:
        raise LocalModelError(
            f"The embedded adapter {adapter.file} cannot be read ({error}). {_MEND}"
        ) from error
    if digest != adapter.sha256:
        raise LocalModelError(
            f"The embedded adapter {adapter.file} is damaged and was not used: its SHA-256 is {digest} instead of "
            f"{adapter.sha256}. {_MEND}"
        )


_MEND: Final = "Reinstall langgraph-conductor."
