"""How commands end: one line on stderr and an exit code that says what kind of failure it was."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import typer

OTHER: Final = 1
CONFIG: Final = 3
NO_KEY: Final = 4
UNKNOWN_MODEL: Final = 5
UNREACHABLE: Final = 6
BUDGET: Final = 7
BILLING: Final = 8
INTERRUPTED: Final = 130

EXIT_CODES: Final = """\
Exit codes: 0 answered; 1 no answer, or another failure; 2 wrong usage; 3 a mistake in the configuration; \
4 a key or a package is missing, or the key is refused; 5 the provider does not know the model; \
6 the server cannot be reached; 7 the budget ended the run without an answer; \
8 the account with the provider is out of credit; 130 interrupted."""

_OF_KIND: Final = {
    "no_key": NO_KEY, "unknown_model": UNKNOWN_MODEL, "unreachable": UNREACHABLE, "billing": BILLING,
}  # fmt: skip
_LONGEST: Final = 1500
_EXTRAS: Final = {
    "typer": "cli", "rich": "cli",
    "aiosqlite": "sqlite", "langgraph.checkpoint.sqlite": "sqlite",
    "psycopg": "postgres", "langgraph.checkpoint.postgres": "postgres",
    "inspect_ai": "eval", "math_verify": "eval", "sympy": "eval", "matplotlib": "eval", "numpy": "eval",
    "reasoning_gym": "eval", "scipy": "eval",
    "langchain_openai": "openai", "langchain_anthropic": "anthropic", "langchain_google_genai": "google",
    "langchain_openrouter": "openrouter", "langchain_mcp_adapters": "mcp",
    "xllamacpp": "local", "platformdirs": "local", "simpleeval": "local",
    "torch": "train", "transformers": "train", "peft": "train", "trl": "train", "accelerate": "train",
    "datasets": "train", "gguf": "train",
}  # fmt: skip
"""The extra that a module is installed with."""


def exit_code(error: BaseException) -> int:
    """The exit code of a failure: the first in its chain of causes whose kind is known."""
    from langgraph_conductor.errors import BudgetExceededError, ConfigError, WorkerError

    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, WorkerError):
            kinds = {record.get("kind") for record in seen.errors}
            return _OF_KIND.get(kinds.pop() or "", OTHER) if len(kinds) == 1 else OTHER
        if isinstance(seen, BudgetExceededError):
            return BUDGET
        if isinstance(seen, ImportError):
            return NO_KEY
        if code := _OF_KIND.get(getattr(seen, "kind", None) or ""):
            return code
        seen = seen.__cause__
    return CONFIG if isinstance(error, ConfigError) else OTHER


def say(words: str) -> None:
    """One line on stderr, without keys."""
    from langgraph_conductor.foreign_text import on_one_line
    from langgraph_conductor.workers.key_names import names_key
    from langgraph_conductor.workers.known_secrets import redacted

    secrets = [value for name, value in os.environ.items() if names_key(name, value)]
    typer.echo(on_one_line(redacted(words.replace("\n  - ", "; "), secrets), _LONGEST), err=True)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn any failure into one line on stderr and its exit code; usage errors are left to typer."""
    try:
        yield
    except (typer.Exit, typer.Abort, typer.BadParameter, BrokenPipeError):
        raise
    except KeyboardInterrupt:
        say("interrupted")
        raise typer.Exit(INTERRUPTED) from None
    except Exception as error:
        from langgraph_conductor.errors import ConductorError, LocalModelError

        plain = isinstance(error, ConductorError | ValueError | ImportError | OSError)
        words = str(error)
        if isinstance(error, FileNotFoundError) and error.filename:
            words = f"there is no file {error.filename!r}"
        said = f"{words}{_how_to_install(error)}"
        # What to do about a missing model takes several lines, some of them to be copied.
        first, *more = said.splitlines() if said and isinstance(error, LocalModelError) else [said]
        say(f"error: {first}" if plain else f"error: {type(error).__name__}: {first}")
        for line in more:
            say(line)
        raise typer.Exit(exit_code(error)) from error


def _how_to_install(error: BaseException) -> str:
    """The command that installs the module an import did not find, if it is of an extra and not named yet."""
    if not isinstance(error, ModuleNotFoundError) or "pip install" in str(error):
        return ""
    name = error.name or ""
    extra = _EXTRAS.get(name) or _EXTRAS.get(name.partition(".")[0])
    return f"; it comes with: pip install 'langgraph-conductor[{extra}]'" if extra else ""
