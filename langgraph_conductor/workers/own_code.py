"""Places in the user's own code: neither this package nor Python's library nor what is installed beside it."""

import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import FunctionType, TracebackType
from typing import Any, Final

from langgraph_conductor.workers.exception_groups import causes

_PACKAGE: Final = f"{Path(__file__).resolve().parent.parent}/"
_INSTALLED: Final = tuple(
    f"{path}/" for name in ("stdlib", "platstdlib") if (path := sysconfig.get_paths().get(name))
)
_SITES: Final = ("/site-packages/", "/dist-packages/")
_DEFINED: Final = "conductor_defined_at"
_MOST_FRAMES: Final = 10_000


def place_of(error: BaseException) -> str:
    """File, line and function where the user's own code raised `error`, or called what did; empty if it did not.

    Of an exception and its causes, the first whose traceback goes through the user's code counts. The file
    is told from the working directory, or by its folder and name: records are sent to clients.
    """
    for seen in causes(error):
        own: tuple[str, int, str] | None = None
        for file, line, function in _frames(seen.__traceback__):
            if is_own(file):
                own = file, line, function
        if own is not None:
            return _place(*own)
        if defined := seen.__dict__.get(_DEFINED):
            return str(defined)
    return ""


def blame_definition(error: BaseException, function: Any) -> None:
    """Note that what `function` of the user's own gave is to blame for `error`, which was raised elsewhere."""
    with suppress(AttributeError, TypeError):
        error.__dict__[_DEFINED] = definition_of(function)


def definition_of(function: Any) -> str:
    """The place of a function of the user's own; empty if it is something else."""
    function = getattr(function, "__func__", function)
    if not isinstance(function, FunctionType):
        function = type(function).__dict__.get("__call__")
    if not isinstance(function, FunctionType) or not is_own(function.__code__.co_filename):
        return ""
    return _place(
        function.__code__.co_filename, function.__code__.co_firstlineno, function.__code__.co_qualname
    )


def is_of_double(error: BaseException) -> bool:
    """Whether it was raised by this package's own workers and models: those of `testing` and `local`."""
    file = ""
    for file, _, _ in _frames(error.__traceback__):  # noqa: B007 - the last one
        pass
    return file.startswith((f"{_PACKAGE}testing/", f"{_PACKAGE}local/"))


def is_own(file: str) -> bool:
    """Whether a file is the user's own code."""
    file = file.replace("\\", "/")
    if file.startswith((_PACKAGE, "<frozen ")) or any(site in file for site in _SITES):
        return False
    return not file.startswith(_INSTALLED)


def _frames(traceback: TracebackType | None) -> Iterator[tuple[str, int, str]]:
    for _ in range(_MOST_FRAMES):
        if traceback is None:
            return
        code = traceback.tb_frame.f_code
        yield code.co_filename, traceback.tb_lineno, code.co_qualname
        traceback = traceback.tb_next


def _place(file: str, line: int, function: str) -> str:
    path = Path(file)
    try:
        shown = path.relative_to(Path.cwd()).as_posix()
    except (ValueError, OSError):  # elsewhere; or the working directory is gone
        shown = "/".join(path.parts[-2:]) if path.is_absolute() else file
    name = function.rpartition("<locals>.")[2]
    return f"{shown}:{line}" + ("" if name == "<module>" else f", in {name}")
