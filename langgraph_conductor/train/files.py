"""Files that a kill leaves as they were before or as they were to be, never torn."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from langgraph_conductor.errors import ConfigError
from langgraph_conductor.text_files import make_folder, read_json, read_text, write_private


def write_whole(path: Path, text: str) -> None:
    """Write a file in one move, and its folder if it is not there."""
    make_folder(path.parent)
    write_private(path, text)


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
    return (row for _, row in read_rows(path))


def read_object(path: Path) -> dict[str, Any]:
    """Read what `write_json` wrote.

    Raises:
        ConfigError: If it is no JSON object.
    """
    return _object(_text(path), str(path))


def read_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """As `read_lines`, with the number of each line, from 1."""
    for number, line in enumerate(_text(path).split("\n"), 1):
        if line.strip():
            yield number, _object(line, f"{path}, line {number}")


def _text(path: Path) -> str:
    try:
        return read_text(path)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _object(text: str, where: str) -> dict[str, Any]:
    try:
        found = read_json(text)
    except ValueError as error:
        raise ConfigError(f"{where}: is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ConfigError(f"{where}: is no JSON object; it is damaged")
    return found
