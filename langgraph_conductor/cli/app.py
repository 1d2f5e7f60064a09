"""Commands: `ask`, `demo`, `fetch`. Plain output; errors are one line on stderr and exit code 1."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Annotated, Any, ParamSpec

import typer

from langgraph_conductor import ConductorError, create_conductor
from langgraph_conductor.display import describe

P = ParamSpec("P")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Plans a team of models for a question and runs it.",
)

MaxSteps = Annotated[int, typer.Option(min=1, help="Most steps of a workflow.")]
MaxRounds = Annotated[int, typer.Option(min=1, help="Most rounds of planning and running.")]


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn an expected failure into one line and exit code 1."""
    try:
        yield
    except (ConductorError, ValueError, ImportError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


def command(function: Callable[P, None]) -> Callable[P, None]:
    """Register a command with `one_line_errors`."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        with one_line_errors():
            function(*args, **kwargs)

    app.command()(wrapped)
    return wrapped


@command
def ask(
    question: Annotated[str, typer.Argument(help="What to ask.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print answer, rounds and usage as JSON.")
    ] = False,
    max_steps: MaxSteps = 3,
    max_rounds: MaxRounds = 1,
) -> None:
    """Answer a question with the embedded models. They show the machinery, not quality."""
    from langgraph_conductor import local

    conductor = create_conductor(
        local.planner(), local.workers(), max_steps=max_steps, max_rounds=max_rounds
    )
    result = conductor.invoke({"messages": [{"role": "user", "content": question}]})
    typer.echo(_json(result) if as_json else describe(result))


@command
def demo() -> None:
    """Answer unlike questions offline and show every step."""
    from langgraph_conductor.cli.demo import run

    if not run(typer.echo):
        raise typer.Exit(1)


@command
def fetch() -> None:
    """Get the embedded model, if it is not here yet."""
    from langgraph_conductor.local.weights import smollm2_path

    typer.echo(smollm2_path())


def _json(result: dict[str, Any]) -> str:
    shown = {key: result[key] for key in ("answer", "rounds", "usage")}
    return json.dumps(shown, ensure_ascii=False, indent=2)
