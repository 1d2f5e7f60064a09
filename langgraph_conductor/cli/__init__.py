"""The command `langgraph-conductor`."""

import io
import sys


def main() -> None:
    """Run the command; without the `cli` extra, say how to get it."""
    try:
        from langgraph_conductor.cli.app import app
    except ModuleNotFoundError as error:
        if error.name != "typer":
            raise
        sys.exit("langgraph-conductor: this command needs: pip install 'langgraph-conductor[cli,local]'")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal cannot show is no reason to fail
            stream.reconfigure(errors="replace")
    app()
