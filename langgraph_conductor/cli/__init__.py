"""The command `langgraph-conductor`."""

import io
import os
import sys
from contextlib import suppress
from typing import Final

_INTERRUPTED: Final = 130


def main() -> None:
    """Run the command; without the `cli` extra, say how to get it and exit with code 4."""
    try:
        from langgraph_conductor.cli.app import app
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("langgraph_conductor"):
            raise
        print(
            f"error: this command needs {error.name}: pip install 'langgraph-conductor[cli,local]'",
            file=sys.stderr,
        )
        sys.exit(4)  # the code of a missing package; the module that names it needs typer
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal cannot show is no reason to fail
            stream.reconfigure(errors="replace")
    try:
        app()
    except SystemExit as ended:
        _end(ended)
        raise


def _end(ended: SystemExit) -> None:
    """End the process at once, where llama.cpp runs in it and was left at work.

    Its server waits for requests that are still in flight when the interpreter ends, and where those who asked are
    gone it waits for ever.
    """
    if "xllamacpp" not in sys.modules or ended.code != _INTERRUPTED:
        return
    if "langchain_core.tracers.langchain" in sys.modules:
        from langchain_core.tracers.langchain import wait_for_all_tracers

        wait_for_all_tracers()
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(_INTERRUPTED)
