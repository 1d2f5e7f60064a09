"""What a command prints of a run, and the page it writes."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from langgraph_conductor.cli.exits import OTHER, say
from langgraph_conductor.foreign_text import json_of, printable
from langgraph_conductor.text_files import write_private

if TYPE_CHECKING:
    from langgraph_conductor.cli.asking import Manner


def reported(
    result: dict[str, Any], manner: "Manner", html: Path | None, *, as_json: bool, report: bool
) -> None:
    """Print what is asked for, and write it; what fails leaves the rest as it is.

    Raises:
        typer.Exit: If there is no answer, or something could not be written.
        BrokenPipeError: If whoever read stdout has gone; the page is written all the same.
    """
    failed = bool(manner.failures)
    try:
        failed |= not _printed(result, manner, as_json=as_json, report=report)
    finally:
        failed |= bool(html) and not _page_written(result, html)
    if failed or not result["answer"]:  # without an answer, a person ended the run
        raise typer.Exit(OTHER)


def _page_written(result: dict[str, Any], html: Path | None) -> bool:
    from langgraph_conductor.display import run_page

    try:
        write_private(html or "", run_page(result))
        return True
    except OSError as error:
        say(f"error: the page could not be written: {error}")
        return False


def _printed(result: dict[str, Any], manner: "Manner", *, as_json: bool, report: bool) -> bool:
    """Whether the answer could be printed on stdout; if not, it goes to stderr.

    It is alone there, for a pipe, unless more is asked for: the steps were told on stderr.
    """
    from langgraph_conductor.display.text import describe, used_in_words

    if as_json:
        text = result_json(result)
    elif report:
        text = describe(result)
    else:
        if not manner.quiet and not manner.has_tree:  # where the total stands already
            with suppress(OSError):  # no reason to lose the answer
                typer.echo(used_in_words(result["usage"]), err=True)
        text = "" if manner.streams else printable(result["answer"])
    if not text:  # nothing was answered, or it is there already
        return True
    try:
        typer.echo(text)
        sys.stdout.flush()
        return True
    except BrokenPipeError:
        raise
    except OSError as error:
        say(f"error: stdout could not be written: {error}")
        typer.echo(printable(result["answer"]), err=True)
        return False


def result_json(result: dict[str, Any]) -> str:
    """A result as JSON that may be printed."""
    shown = {key: result[key] for key in ("answer", "rounds", "usage", "stopped")}
    return json_of(shown, indent=2)
