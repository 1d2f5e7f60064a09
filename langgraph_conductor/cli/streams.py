"""Standard streams of the commands; imports nothing that is slow."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import typer

_ERASE: Final = "\r\x1b[2K"


@contextmanager
def starting(words: str, *, quiet: bool = False, stays: bool = True) -> Iterator[None]:
    """Say on stderr what a command begins with, before the libraries it needs are imported, which takes seconds.

    On a terminal the line is erased at the end.

    Args:
        words: A few words.
        quiet: Whether to say nothing.
        stays: Whether to say it where it cannot be erased.
    """
    erase = (
        sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb")
    )
    if not quiet and (erase or stays):
        _tell(f"{words} ...", end="" if erase else "\n")
    try:
        yield
    finally:
        if erase and not quiet:
            _tell(_ERASE, end="")


def _tell(words: str, end: str) -> None:
    with suppress(OSError):  # no reason to fail
        typer.echo(f"{words}{end}", nl=False, err=True)
        sys.stderr.flush()


def read_stdin() -> str:
    """Everything that comes on stdin.

    Raises:
        typer.BadParameter: If stdin is closed, or what comes is no text in its encoding.
    """
    if sys.stdin is None:
        raise typer.BadParameter("stdin is closed, so there is nothing to read from it")
    try:
        return sys.stdin.read()
    except (UnicodeDecodeError, OSError) as error:
        raise typer.BadParameter(f"stdin cannot be read as text: {error}") from error
