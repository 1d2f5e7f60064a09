"""A person at the terminal answers what a run asks: whether a workflow may run, or what a worker wants to know."""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import typer

from langgraph_conductor.display.run_facts import asked_in_words
from langgraph_conductor.display.words import printable
from langgraph_conductor.foreign_text import json_of
from langgraph_conductor.graph.approval_request import ACTION, workflow_asked_about
from langgraph_conductor.text_files import read_json
from langgraph_conductor.workflow import Workflow

_CHOICE: Final = "(a)pprove, (e)dit, (r)eject and plan again, (s)top"


def at_terminal() -> bool:
    """Whether a person can be asked."""
    return sys.stdin.isatty()


def is_approval(asked: Any) -> bool:
    """Whether an interrupt asks if a workflow may run.

    Args:
        asked: Its value.
    """
    return workflow_asked_about(asked) is not None


def answer(asked: Any) -> Any:
    """What the person at the terminal answers; the conversation is on stderr.

    Args:
        asked: The value of an interrupt.

    Returns:
        What the run is to be resumed with: of any other question than for approval, the text that was typed, or
        what it says as JSON.
    """
    _say(f"\n{asked_in_words(asked)}\n")
    workflow = workflow_asked_about(asked)
    if workflow is None:
        return _value(_ask("answer"))
    while True:
        choice = _ask(_CHOICE).strip().lower()[:1]
        if choice == "a":
            return _decided({"type": "approve"})
        if choice == "s":
            return False
        if choice == "r" and (reason := _ask("what is to be planned otherwise").strip()):
            return _decided({"type": "reject", "message": reason})
        if choice == "e" and (edited := _edited(workflow)):
            action = {"name": ACTION, "args": {"workflow": edited}}
            return _decided({"type": "edit", "edited_action": action})


def _decided(decision: Mapping[str, Any]) -> dict[str, Any]:
    return {"decisions": [decision]}


def _edited(workflow: Mapping[str, Any]) -> dict[str, Any] | None:
    """The workflow as the person has it; `None` if it is empty or cannot be read."""
    text = json_of(workflow, indent=2)
    if editor := os.environ.get("VISUAL") or os.environ.get("EDITOR"):
        try:
            changed = _in_editor(editor, text)
        except (subprocess.CalledProcessError, OSError, ValueError) as error:
            _say(f"the editor {editor!r} gave no workflow: {error}")
            return None
    else:
        _say(f"{text}\ntype another one as JSON, and end it with an empty line:")
        changed = "\n".join(iter(_line, ""))
    if not changed.strip():
        return None
    try:
        return Workflow.from_json(read_json(changed)).to_json()
    except ValueError as error:
        _say(f"that is no workflow: {error}")
        return None


def _in_editor(editor: str, text: str) -> str:
    """What the person made of `text`.

    Raises:
        CalledProcessError: If the editor says that it failed, or was left so that nothing shall change.
        OSError: If it cannot be started, or has removed the file.
        ValueError: If its command cannot be split into words, or what it wrote is no UTF-8.
    """
    with TemporaryDirectory() as folder:
        file = Path(folder, "workflow.json")
        file.write_text(f"{text}\n", encoding="utf-8")
        subprocess.run([*shlex.split(editor), str(file)], check=True)  # noqa: S603 - the person's own editor
        return file.read_text(encoding="utf-8")


def _value(text: str) -> Any:
    try:
        return read_json(text)
    except ValueError:
        return text


def _say(words: str) -> None:
    typer.echo(printable(words), err=True)


def _ask(words: str) -> str:
    # Not `input`, which writes its prompt to stdout.
    typer.echo(f"{words}: ", nl=False, err=True)
    return _line()


def _line() -> str:
    """What the person typed.

    Raises:
        typer.Abort: If the terminal is closed.
    """
    typed = sys.stdin.readline()
    if not typed:
        raise typer.Abort
    return typed.rstrip("\r\n")
