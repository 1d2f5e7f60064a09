"""Where runs are saved: `sqlite:PATH` or `postgresql://...`, opened to read what is there, or to run.

Nothing that is read runs code: only data, LangGraph's own types and LangChain's messages are built from it. What
names another type is handed on as the plain data it holds, and `reading` says so.
"""

import logging
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import typer

from langgraph_conductor.cli.exits import say
from langgraph_conductor.display.words import short
from langgraph_conductor.errors import ConductorError
from langgraph_conductor.text_files import claim

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.checkpoint.serde.event_hooks import SerdeEvent
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

_SQLITE: Final = "sqlite:"
_POSTGRES: Final = ("postgresql://", "postgres://")
_BROKEN: Final = (
    ArithmeticError, AttributeError, LookupError, NotImplementedError, RecursionError, TypeError, ValueError,
)  # fmt: skip
"""What Python and LangGraph raise where what is stored is not what was written."""
_SERIALIZER: Final = "langgraph.checkpoint.serde.jsonplus"
_MOST_NAMED: Final = 5


class UnsavedError(ConductorError):
    """A run cannot be kept where it is to be."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where runs are saved.

    Args:
        path: The file of SQLite; `None` if it is a server of PostgreSQL.
        url: Of the server, else empty. It may hold a password.
    """

    path: Path | None = None
    url: str = ""

    @classmethod
    def of(cls, saver: str) -> "Place":
        """From what was given at the command line.

        Raises:
            typer.BadParameter: If it is of no known form.
        """
        if saver.startswith(_SQLITE) and saver != _SQLITE:
            return cls(path=Path(saver.removeprefix(_SQLITE)))
        if saver.startswith(_POSTGRES):
            return cls(url=saver)
        raise typer.BadParameter(
            "a saver is given as sqlite:PATH or postgresql://USER@HOST/DATABASE"
            + ("" if "@" in saver else f", not {saver!r}")
        )

    def __str__(self) -> str:
        if self.path is not None:
            return f"{_SQLITE}{self.path}"
        parts = urlsplit(self.url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


@contextmanager
def reading(place: Place) -> Iterator["BaseCheckpointSaver[Any]"]:
    """A saver that can only be read: a run that goes on meanwhile is not disturbed, and no code is run.

    Raises:
        typer.BadParameter: If there is no such file.
        ConductorError: If what is there cannot be read, or what is made of it inside makes no sense.
        ImportError: If the saver's package is not installed.
    """
    with (
        making_sense(place),
        _telling_refused(place),
        _read_sqlite(place.path) if place.path else _read_postgres(place) as saver,
    ):
        yield saver


@contextmanager
def making_sense(place: Place) -> Iterator[None]:
    """Say of what was read at `place`, and cannot be used inside, that it is damaged.

    Raises:
        ConductorError: In place of what Python raises then.
    """
    try:
        yield
    except (ConductorError, typer.BadParameter, ImportError, OSError):
        raise
    except _BROKEN as error:
        raise ConductorError(
            f"{place} holds what no run was saved as, so it is damaged or was tampered with: "
            f"{type(error).__name__}: {short(str(error), 200)}"
        ) from error


@contextmanager
def _telling_refused(place: Place) -> Iterator[None]:
    """Say at the end which types were named by what was read, and not built."""
    from langgraph.checkpoint.serde.event_hooks import register_serde_event_listener

    refused: dict[str, None] = {}  # in order

    def heard(event: "SerdeEvent") -> None:
        if event["kind"] in ("msgpack_blocked", "msgpack_method_blocked"):
            refused[".".join(filter(None, (event["module"], event["name"], event.get("method"))))] = None

    def quiet(_: logging.LogRecord) -> bool:
        return False  # LangGraph's own words advise to allow the type

    log = logging.getLogger(_SERIALIZER)
    log.addFilter(quiet)
    stop = register_serde_event_listener(heard)
    try:
        yield
    finally:
        stop()
        log.removeFilter(quiet)
        if refused:
            more = f" and {len(refused) - _MOST_NAMED} more" if len(refused) > _MOST_NAMED else ""
            named = ", ".join([*refused][:_MOST_NAMED]) + more
            say(
                f"note: {place} names {named}: nothing of that was imported or run, and its values are read as "
                "plain data; if no program of yours has such values in its state, it was tampered with"
            )


def _strict() -> "JsonPlusSerializer":
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

    # No pickle, and of types only LangGraph's own list: data, messages, interrupts, commands.
    return JsonPlusSerializer(
        pickle_fallback=False, allowed_json_modules=None, allowed_msgpack_modules=None
    )


@asynccontextmanager
async def writing(place: Place) -> AsyncIterator["BaseCheckpointSaver[Any]"]:
    """A saver that keeps a run; its file (for its owner alone) or tables are made if they are not there.

    What it reads is read as `reading` does.

    Raises:
        UnsavedError: If nothing can be kept there, from the beginning or any more.
        ImportError: If the saver's package is not installed.
    """
    if place.path:
        _need("sqlite", "langgraph.checkpoint.sqlite")
        import aiosqlite
        from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

        try:
            claim(place.path)
            async with aiosqlite.connect(str(place.path)) as connection:
                saver = AsyncSqliteSaver(connection, serde=_strict())
                await saver.setup()
                yield saver
        except (sqlite3.DatabaseError, OSError) as error:
            raise UnsavedError(f"{place} cannot keep a run: {error}") from error
        return
    _need("postgres", "psycopg", "langgraph.checkpoint.postgres")
    import psycopg
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

    try:
        async with AsyncPostgresSaver.from_conn_string(place.url, serde=_strict()) as kept:
            await kept.setup()
            yield kept
    except psycopg.Error as error:
        raise UnsavedError(f"{place} cannot keep a run: {error}") from error


def _need(extra: str, *modules: str) -> None:
    for module in modules:
        try:
            import_module(module)
        except ImportError as error:
            raise ImportError(f"this saver needs: pip install 'langgraph-conductor[{extra}]'") from error


@contextmanager
def _read_sqlite(path: Path) -> Iterator["BaseCheckpointSaver[Any]"]:
    if not path.is_file():
        raise typer.BadParameter(f"there is no file {str(path)!r}; give the one SqliteSaver was given")
    _need("sqlite", "langgraph.checkpoint.sqlite")
    from langgraph.checkpoint.sqlite import SqliteSaver

    try:
        # Read only, so that nothing is made where nothing was.
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("PRAGMA trusted_schema = OFF")
            yield SqliteSaver(connection, serde=_strict())
    except sqlite3.DatabaseError as error:
        raise ConductorError(f"{path} cannot be read as a file of SqliteSaver: {error}") from error


@contextmanager
def _read_postgres(place: Place) -> Iterator["BaseCheckpointSaver[Any]"]:
    _need("postgres", "psycopg", "langgraph.checkpoint.postgres")
    import psycopg
    from langgraph.checkpoint.postgres import PostgresSaver
    from psycopg.rows import dict_row

    try:
        with psycopg.connect(
            place.url, autocommit=True, prepare_threshold=0, row_factory=dict_row
        ) as connection:
            connection.execute("SET default_transaction_read_only = on")
            yield PostgresSaver(connection, serde=_strict())
    except psycopg.Error as error:
        raise ConductorError(f"{place} cannot be read as a database of PostgresSaver: {error}") from error
