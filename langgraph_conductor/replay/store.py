"""The reply store: what workers and planners said, in one SQLite file."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from os import PathLike, fspath
from threading import Lock
from types import TracebackType
from typing import Any, Final

from langgraph_conductor.errors import ConfigError, StoreError
from langgraph_conductor.foreign_text import package_logger
from langgraph_conductor.text_files import claim, read_json

logger = package_logger(__name__)

_MEMORY: Final = ":memory:"
_FORMAT: Final = 2
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, who TEXT NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
"""
REPLIES: Final = "replies"
RUNS: Final = "runs"
_PATIENCE = 30.0
"""Seconds to wait for another process that writes."""


class ReplyStore:
    """Replies of workers and planners, so that nothing is paid twice.

    A reply is found by what it is a reply to: the worker (its name, model, the model's parameters, tools,
    `version`), the messages, and which sample of several it is. It is kept with the tokens, money and seconds
    it took, and whoever gets it again is charged all of that, though nothing is paid. Where a server is (its
    URL), keys, time limits and retries are not part of what a worker is. Outages are not replies and are not
    kept; a refusal is one.

    Functions, graphs and tools are known by their code and what they hold (closures, prompts, models, data and
    functions of their own module), as they are when a worker is first seen. What cannot be looked into, such as
    a file they read, needs a `version`; with one, that and their names count alone. In doubt everybody is asked
    again: after an edit, and under another version of Python or of the frameworks.

    A reply is kept when it is whole: a broken-off agent, nested conductor or planner begins anew. What is kept
    survives the death of the process; a machine that loses power may lose the last seconds.

    A reply that takes several calls (an agent's turns, a planner's repairs) is kept when it is whole: broken off
    before, it is begun anew. Whole runs are kept as well, so that an episode that is asked for again is only read.

    The file may be used by several threads, event loops and processes at once. In one process, who asks for
    a reply that is on its way waits for it.

    A reply that cannot be written (a full disk) was paid all the same: it is held in memory, a warning is logged,
    and `check` writes it as soon as that is possible again.

    Args:
        path: The file; it is made if it is not there, for its owner alone. `":memory:"` keeps everything in this
            process.

    Raises:
        ConfigError: If the file is something else, damaged, or of another version of this package, or it
            cannot be written.
        StoreError: From its methods, if it cannot be read any more, or what it holds is damaged.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = fspath(path)
        self._lock = Lock()
        self._on_the_way: dict[str, Future[None]] = {}
        self._unkept: dict[tuple[str, str], tuple[str, ...]] = {}
        """By table and key: rows that could not be written yet."""
        try:
            if self.path != _MEMORY:
                claim(self.path)
            # Short writes, each its own transaction.
            self._db = sqlite3.connect(
                self.path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
            )
            self._open()
        except (sqlite3.Error, OSError) as error:
            raise ConfigError(f"{self.path} cannot be used as a reply store: {error}") from error

    def _open(self) -> None:
        (found,) = self._db.execute("PRAGMA user_version").fetchone()
        tables = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if found != _FORMAT and (found or tables):
            self._db.close()
            what = f"it has format {found}, this package reads {_FORMAT}"
            raise ConfigError(f"{self.path} cannot be used as a reply store: {what}; give another file")
        self._db.execute("PRAGMA journal_mode = WAL")
        # What is written survives the death of this process; not always the machine's, and then nothing is torn.
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)
        self._db.execute(
            f"PRAGMA user_version = {_FORMAT}"
        )  # always: so it is known that it can be written
        (damage,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
        if damage != "ok":
            raise sqlite3.DatabaseError(damage)

    def __enter__(self) -> "ReplyStore":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what could not be written before is tried once more."""
        try:
            self.check()
        except StoreError as error:
            logger.warning("%d paid replies are lost: %s", len(self._unkept), error)
        with self._lock:
            self._db.close()

    def check(self) -> None:
        """Write what could not be written before; call it before more is paid.

        Raises:
            StoreError: If it still cannot be written.
        """
        while self._unkept:
            with self._using() as db:
                table, key = place = next(iter(self._unkept))
                _insert(db, table, key, self._unkept[place])
                del self._unkept[place]

    def reply(self, key: str) -> dict[str, Any] | None:
        """The reply kept under `key`, or `None`.

        Raises:
            StoreError: If it cannot be read, or is damaged.
        """
        return self._read(REPLIES, key)

    def keep_reply(self, key: str, who: str, reply: dict[str, Any]) -> dict[str, Any]:
        """Keep a reply, and return it. One that another process kept first stays, and is returned."""
        if self._write(REPLIES, key, who, json.dumps(reply)):
            return reply
        return self.reply(key) or reply

    def run(self, key: str) -> dict[str, Any] | None:
        """The run kept under `key`, or `None`.

        Raises:
            StoreError: If it cannot be read, or is damaged.
        """
        return self._read(RUNS, key)

    def keep_run(self, key: str, run: Mapping[str, Any]) -> None:
        """Keep a run; one that is there already stays."""
        self._write(RUNS, key, json.dumps(run))

    def damaged(self, table: str, key: str, what: str) -> StoreError:
        """The error that a row does not hold what was written there.

        Args:
            table: `REPLIES` or `RUNS`.
            key: What it is kept under.
            what: What is wrong with it.
        """
        row = f"DELETE FROM {table} WHERE key = '{key}'"  # noqa: S608 - for the reader
        return StoreError(
            f"the reply store {self.path} is damaged: table {table}, key {key}: {what}; delete that row and it is "
            f'asked and paid again (sqlite3 {self.path} "{row}"), or give another file'
        )

    def counts(self) -> dict[str, int]:
        """How many replies are kept of each worker, by name, and of planners, under the empty name."""
        with self._using() as db:
            return dict(db.execute("SELECT who, count(*) FROM replies GROUP BY who").fetchall())

    def fetch(self, key: str) -> Future[None] | None:
        """Say that this caller will get the reply under `key`, and call `fetched` when it is over.

        Returns:
            `None`; or, if another caller is getting it, what is done when that is over.
        """
        with self._lock:
            if (other := self._on_the_way.get(key)) is not None:
                return other
            mine: Future[None] = Future()
            mine.set_running_or_notify_cancel()  # who waits for it cannot cancel it
            self._on_the_way[key] = mine
            return None

    def fetched(self, key: str) -> None:
        """The counterpart of `fetch`, whether or not there is a reply now."""
        with self._lock:
            mine = self._on_the_way.pop(key)
        mine.set_result(None)

    def _read(self, table: str, key: str) -> dict[str, Any] | None:
        with self._using() as db:
            row = self._unkept.get((table, key))
            if row is None:
                # As bytes, so that what is no text is known from text.
                query = f"SELECT typeof(body), CAST(body AS BLOB) FROM {table} WHERE key = ?"  # noqa: S608
                if (found := db.execute(query, (key,)).fetchone()) is None:
                    return None
                kind, held = found
            else:
                kind, held = "text", row[-1].encode()
        if kind != "text":
            raise self.damaged(table, key, f"its body is of type {kind}")
        try:
            body = read_json(held.decode("ascii"))
        except ValueError as error:
            raise self.damaged(table, key, f"its body is not JSON: {error}") from error
        if not isinstance(body, dict):
            raise self.damaged(table, key, "its body is no JSON object")
        return body

    def _write(self, table: str, key: str, *values: str) -> bool:
        # What was paid is handed on, whatever becomes of the file.
        try:
            with self._using() as db:
                return _insert(db, table, key, values)
        except StoreError as error:
            if not self._unkept:
                logger.warning("A paid reply is held in memory only, and nobody else is asked: %s", error)
            self._unkept[table, key] = values
            return True

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._lock:
                yield self._db
        except sqlite3.Error as error:
            what = f"the reply store {self.path} failed: {error}; what it held is still there"
            raise StoreError(what) from error


def _insert(db: sqlite3.Connection, table: str, key: str, values: tuple[str, ...]) -> bool:
    """Write a row if there is none; JSON is in ASCII, since SQLite takes no half surrogate pairs."""
    places = ", ".join("?" * (1 + len(values)))
    return db.execute(f"INSERT OR IGNORE INTO {table} VALUES ({places})", (key, *values)).rowcount > 0  # noqa: S608


def key_of(*parts: Any) -> str:
    """The key of something that is made of `parts`, which are JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
