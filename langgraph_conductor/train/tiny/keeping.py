"""Stages that are kept: each is run once, and again only by whoever deletes what it made."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from langgraph_conductor.errors import ConfigError
from langgraph_conductor.train.files import write_json

_STAMP: Final = "stage.json"


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a long work.

    Args:
        name: Of the stage, and of its folder.
        needs: Stages whose files it reads.
        settings: What else it is made from, as JSON.
        run: Makes it, given its folder; broken off and run again it goes on.
        renewed: Whether it is made anew where what it is made from has changed, instead of being refused.
    """

    name: str
    needs: tuple[str, ...]
    settings: Mapping[str, Any]
    run: Callable[[Path], None]
    renewed: bool = False


def keep(stage: Stage, folder: Path) -> bool:
    """Run a stage, unless it is done.

    Args:
        stage: The stage.
        folder: Where the folders of all stages are.

    Returns:
        Whether it was run.

    Raises:
        ConfigError: If a stage it needs is not done; or if it was begun with other settings, or from other files.
    """
    missing = [need for need in stage.needs if not is_done(folder / need)]
    if missing:
        raise ConfigError(
            f"stage {stage.name} needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} "
            "not done; run it without --only, or name these too"
        )
    into = folder / stage.name
    made_from = {
        "settings": dict(stage.settings),
        "needs": {need: _digest(folder / need) for need in stage.needs},
    }
    made_from = json.loads(json.dumps(made_from))  # as it will be read
    known = _read(into)
    if known and known["made_from"] != made_from and not stage.renewed:
        raise ConfigError(
            f"{into} was made from something else ({_changed(known['made_from'], made_from)}); delete it and what "
            "was made from it to have it made anew, or take another folder"
        )
    if known and known["done"] and known["made_from"] == made_from:
        return False
    write_json(into / _STAMP, {"made_from": made_from, "done": False})
    stage.run(into)
    write_json(into / _STAMP, {"made_from": made_from, "done": True})
    return True


def is_done(folder: Path) -> bool:
    """Whether the stage of this folder is done."""
    known = _read(folder)
    return bool(known and known["done"])


def _read(folder: Path) -> dict[str, Any] | None:
    path = folder / _STAMP
    if not path.is_file():
        return None
    known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return known


def _digest(folder: Path) -> str:
    """Of what a stage made: its files, but not what lies in folders within."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name != _STAMP:
            digest.update(f"{path.name}:{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    parts = [
        name
        for part in ("settings", "needs")
        for name in sorted({*before[part], *now[part]})
        if before[part].get(name) != now[part].get(name)
    ]
    return "other " + ", ".join(parts)
