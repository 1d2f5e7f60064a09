"""Files of a run: read with one clear error, and written whole, for their owner's eyes alone.

What runs write holds questions, answers and what they were made of. So a new file is made with mode 0600 and a new
folder with mode 0700, whatever the umask; the mode of a file that is there already is left alone.
"""

import errno
import json
import os
import stat
import tempfile
from os import PathLike
from pathlib import Path
from typing import IO, Any, Final

_PROBE: Final = 1 << 16
"""Bytes that must fit into a folder before anything is paid for what is to be written there."""
_STREAMS: Final = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")
"""Where a shell puts a pipe of this very command, whose other end is written to."""


def read_text(path: str | PathLike[str]) -> str:
    """Read a file of UTF-8 text, with or without a byte order mark.

    Raises:
        OSError: If there is no such file, it cannot be read, or it is none: a folder, a device, a named pipe.
        ValueError: If it is not UTF-8 text.
    """
    name = os.fspath(path)
    mode = os.stat(name).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    if not stat.S_ISREG(mode) and not name.startswith(_STREAMS):  # a pipe that nobody writes to never ends
        raise OSError(errno.EINVAL, "is not a regular file", name)
    try:
        return Path(name).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name}: is not UTF-8 text (at byte {error.start})") from error


def read_json(text: str) -> Any:
    """Read JSON.

    Raises:
        ValueError: If it is none, or is nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def make_folder(path: str | PathLike[str]) -> None:
    """Make a folder that is not there, and those above it, each for its owner alone.

    Raises:
        OSError: If it cannot be made.
    """
    whole = Path(path)
    for folder in (*reversed(whole.parents), whole):
        if not folder.is_dir():
            folder.mkdir(mode=0o700, exist_ok=True)


def open_private(path: str | PathLike[str], mode: str) -> IO[bytes]:
    """Open a file in binary mode and unbuffered; a new one is its owner's alone.

    Raises:
        OSError: If it cannot be opened.
    """
    return open(path, mode, buffering=0, opener=lambda name, flags: os.open(name, flags, 0o600))


def claim(path: str | PathLike[str]) -> None:
    """Make an empty file for its owner alone if there is none; the files SQLite puts beside it get its mode.

    Raises:
        OSError: If it cannot be made.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def write_private(path: str | PathLike[str], text: str) -> None:
    """Write a file in one move, so that a full disk or a kill leaves the old one as it was.

    Half surrogate pairs, which UTF-8 has not, are written as in JSON: a backslash, `u` and four digits.

    Raises:
        OSError: If it cannot be written.
    """
    data = text.encode("utf-8", "backslashreplace")
    target = Path(path)
    try:
        before: os.stat_result | None = target.stat()
    except FileNotFoundError:
        before = None
    if before is not None and not stat.S_ISREG(before.st_mode):  # a device or a pipe takes no move
        _write_into(target, data)
        return
    target = target.resolve()  # what a link leads to
    try:
        handle, part = tempfile.mkstemp(prefix=f".{target.name[:40]}.", dir=target.parent)  # mode 0600
    except PermissionError:
        if before is None:
            raise
        _write_into(target, data)  # the file may be written, its folder may not
        return
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        if before is not None:
            os.chmod(part, stat.S_IMODE(before.st_mode))
        os.replace(part, target)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


def _write_into(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)


def check_writable(path: str | PathLike[str]) -> None:
    """Find out whether a file can be written later, before anything is paid for what it is to hold.

    Raises:
        OSError: If its folder is not there or full, it or its folder may not be written, it is a folder, or a
            pipe that nobody reads.
    """
    file = Path(path)
    if not file.parent.is_dir():
        raise FileNotFoundError(
            errno.ENOENT, f"there is no folder to write {file.name!r} to", str(file.parent)
        )
    if file.exists() and not file.is_file():
        flags = os.O_WRONLY | getattr(os, "O_NONBLOCK", 0)  # else a pipe is waited for
        os.close(os.open(file, flags))
        return
    if file.exists():
        open_private(file, "ab").close()
    check_room(file.resolve().parent, needed=not file.exists())


def check_room(folder: str | PathLike[str], *, needed: bool = True) -> None:
    """Find out whether something can be written into a folder.

    Args:
        folder: The folder.
        needed: Whether new files must be allowed there; else only that it is not full.

    Raises:
        OSError: If not.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(_PROBE))
            probe.flush()
    except PermissionError:
        if needed:
            raise
