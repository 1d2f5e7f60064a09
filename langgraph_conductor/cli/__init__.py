"""The command `langgraph-conductor`."""

import sys


def main() -> None:
    """Run the command; without the `cli` extra, say how to get it."""
    try:
        from langgraph_conductor.cli.app import app
    except ModuleNotFoundError as error:
        if error.name != "typer":
            raise
        sys.exit("langgraph-conductor: this command needs: pip install 'langgraph-conductor[cli,local]'")
    app()
