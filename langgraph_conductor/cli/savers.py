"""Where runs are saved: `sqlite:PATH` or `postgresql://...`, opened to read what is there, or to run."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import typer

from langgraph_conductor.errors import ConductorError

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver

_SQLITE: Final = "sqlite:"
_POSTGRES: Final = ("postgresql://", "postgres://")


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
    """A saver that can only be read: a run that goes on meanwhile is not disturbed.

    Raises:
        typer.BadParameter: If there is no such file.
        ConductorError: If what is there cannot be read.
        ImportError: If the saver's package is not installed.
    """
    with _read_sqlite(place.path) if place.path else _read_postgres(place) as saver:
        yield saver


@asynccontextmanager
async def writing(place: Place) -> AsyncIterator["BaseCheckpointSaver[Any]"]:
    """A saver that keeps a run; its file or tables are made if they are not there.

    Raises:
        ConductorError: If nothing can be kept there.
        ImportError: If the saver's package is not installed.
    """
    if place.path:
        _need("sqlite", "langgraph.checkpoint.sqlite")
        from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

        try:
            async with AsyncSqliteSaver.from_conn_string(str(place.path)) as saver:
                await saver.setup()
                yield saver
        except sqlite3.DatabaseError as error:
            raise ConductorError(f"{place} cannot keep a run: {error}") from error
        return
    _need("postgres", "psycopg", "langgraph.checkpoint.postgres")
    import psycopg
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

    try:
        async with AsyncPostgresSaver.from_conn_string(place.url) as kept:
            await kept.setup()
            yield kept
    except psycopg.Error as error:
        raise ConductorError(f"{place} cannot keep a run: {error}") from error


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
            yield SqliteSaver(connection)
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
            yield PostgresSaver(connection)
    except psycopg.Error as error:
        raise ConductorError(f"{place} cannot be read as a database of PostgresSaver: {error}") from error
