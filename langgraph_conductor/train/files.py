"""Files that a kill leaves as they were before or as they were to be, never torn."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from langgraph_conductor.errors import ConfigError


def write_whole(path: Path, text: str) -> None:
    """Write a file in one move, and its folder if it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8", newline="\n")
    os.replace(part, path)


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write JSON for readers, in one move."""
    write_whole(path, json.dumps(data, ensure_ascii=False, indent=2) + "\n")


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write JSON lines, in one move."""
    write_whole(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Read JSON lines.

    Raises:
        ConfigError: If one is not JSON.
    """
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as error:
                raise ConfigError(f"{path}, line {number}: is not JSON: {error}") from None
