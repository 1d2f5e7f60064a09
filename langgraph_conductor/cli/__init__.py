"""The command `langgraph-conductor`."""

import io
import sys


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
        sys.exit(130)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal cannot show is no reason to fail
            stream.reconfigure(errors="replace")
    app()
