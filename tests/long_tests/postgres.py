"""A real PostgreSQL for tests: an ordinary user's, in a temporary directory, on loopback, gone afterwards."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

INSTALLED = "/usr/lib/postgresql"
ORDINARY = ("postgres", "nobody")
"""Who it runs as where the tests run as root, which PostgreSQL refuses."""


@contextmanager
def running_postgres(*, seconds: float = 60.0) -> Iterator[str]:
    """A PostgreSQL server; gives the address of its database.

    Args:
        seconds: How long its start may take.

    Raises:
        RuntimeError: If PostgreSQL is not installed, or does not start; says what to do, or what it said.
    """
    binaries = _binaries()
    user = _user()
    place = Path(tempfile.mkdtemp(prefix="conductor-postgres-"))
    try:
        if user:
            shutil.chown(place, user)
        data = place / "data"
        _run(
            [str(binaries / "initdb"), "-D", str(data), "-U", "tests", "-A", "trust", "-E", "UTF8", "-N"],
            place,
        )
        port = _free_port()
        options = {
            "listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "fsync": "off",
            "synchronous_commit": "off", "full_page_writes": "off", "max_connections": 100,
            "shared_buffers": "32MB",
        }  # fmt: skip
        said = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        # Where the system can, it ends with this process, however that ends.
        with_us = ["setpriv", "--pdeathsig", "INT", "--"] if shutil.which("setpriv") else []
        with (place / "log").open("wb") as log:
            server = subprocess.Popen(
                [*with_us, str(binaries / "postgres"), "-D", str(data), *said],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=place, user=user, group=_group(user),
                extra_groups=[] if user else None, start_new_session=True,
            )  # fmt: skip
        try:
            _wait(server, port, place / "log", seconds)
            yield f"postgresql://tests@127.0.0.1:{port}/postgres"
        finally:
            _end(server)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _binaries() -> Path:
    """Where `initdb` and `postgres` of the newest version are."""
    versions = sorted(Path(INSTALLED).glob("*/bin/postgres"), key=lambda p: int(p.parts[-3].split(".")[0]))
    on_path = shutil.which("postgres")
    found = [*versions, *([Path(on_path).resolve()] if on_path else [])]
    if not found:
        raise RuntimeError(
            "PostgreSQL is not installed, so the savers cannot be tested with it; "
            "on Debian: apt-get install postgresql"
        )
    return found[-1].parent


def _user() -> str | None:
    if os.getuid() != 0:
        return None
    import pwd

    known = {entry.pw_name for entry in pwd.getpwall()}
    for name in ORDINARY:
        if name in known:
            return name
    raise RuntimeError(f"PostgreSQL does not run as root, and there is no user of {ORDINARY} to run it as")


def _group(user: str | None) -> int | None:
    if user is None:
        return None
    import pwd

    return pwd.getpwnam(user).pw_gid


def _run(command: list[str], place: Path) -> None:
    user = _user()
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=place, user=user, group=_group(user),
        extra_groups=[] if user else None, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name} failed: {done.stderr.strip() or done.stdout.strip()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(server: subprocess.Popen[bytes], port: int, log: Path, seconds: float) -> None:
    import psycopg

    until = time.monotonic() + seconds
    while True:
        try:
            psycopg.connect(f"postgresql://tests@127.0.0.1:{port}/postgres", connect_timeout=5).close()
            return
        except psycopg.OperationalError as error:
            if server.poll() is not None or time.monotonic() > until:
                raise RuntimeError(
                    f"PostgreSQL did not start: {log.read_text(errors='replace')}"
                ) from error
        time.sleep(0.05)


def _end(server: subprocess.Popen[bytes]) -> None:
    """Ends it with all connections: SIGINT is PostgreSQL's fast shutdown; the whole group if that takes too long."""
    server.send_signal(signal.SIGINT)
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
