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

_FORMAT: Final = 2
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, who TEXT NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
"""
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

    Args:
        path: The file; it is made if it is not there. `":memory:"` keeps everything in this process.

    Raises:
        ConfigError: If the file is something else, damaged, or of another version of this package, or it
            cannot be written.
        StoreError: From its methods, if it cannot be read or written any more.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = fspath(path)
        self._lock = Lock()
        self._on_the_way: dict[str, Future[None]] = {}
        try:
            # Short writes, each its own transaction.
            self._db = sqlite3.connect(
                self.path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
            )
            self._open()
        except sqlite3.Error as error:
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
        """Close the file."""
        with self._lock:
            self._db.close()

    def reply(self, key: str) -> dict[str, Any] | None:
        """The reply kept under `key`, or `None`."""
        return self._read("SELECT body FROM replies WHERE key = ?", key)

    def keep_reply(self, key: str, who: str, reply: dict[str, Any]) -> dict[str, Any]:
        """Keep a reply, and return it. One that another process kept first stays, and is returned."""
        if self._write("INSERT OR IGNORE INTO replies VALUES (?, ?, ?)", key, who, reply):
            return reply
        return self.reply(key) or reply

    def run(self, key: str) -> dict[str, Any] | None:
        """The run kept under `key`, or `None`."""
        return self._read("SELECT body FROM runs WHERE key = ?", key)

    def keep_run(self, key: str, run: Mapping[str, Any]) -> None:
        """Keep a run; one that is there already stays."""
        self._write("INSERT OR IGNORE INTO runs VALUES (?, ?)", key, None, run)

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

    def _read(self, query: str, key: str) -> dict[str, Any] | None:
        with self._using() as db:
            row = db.execute(query, (key,)).fetchone()
        return None if row is None else json.loads(row[0])

    def _write(self, query: str, key: str, who: str | None, body: Mapping[str, Any]) -> bool:
        text = json.dumps(body)  # in ASCII: SQLite takes no half surrogate pairs
        with self._using() as db:
            return db.execute(query, (key, text) if who is None else (key, who, text)).rowcount > 0

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._lock:
                yield self._db
        except sqlite3.Error as error:
            what = f"the reply store {self.path} failed: {error}; what it held is still there"
            raise StoreError(what) from error


def key_of(*parts: Any) -> str:
    """The key of something that is made of `parts`, which are JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
