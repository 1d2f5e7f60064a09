"""What goes into the wheel and into the sdist, read from `pyproject.toml`: nothing is built."""

import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
TARGETS = PROJECT["tool"]["hatch"]["build"]["targets"]
ADAPTERS = "langgraph_conductor/local/adapters/*.gguf"
MOST = 100_000
"""Bytes of a file of the wheel that is no adapter."""


def in_wheel():
    for path in sorted((ROOT / "langgraph_conductor").rglob("*")):
        name = path.relative_to(ROOT).as_posix()
        left_out = any(
            fnmatch(name, pattern) for pattern in (*TARGETS["wheel"]["exclude"], "*__pycache__*")
        )
        if path.is_file() and not left_out:
            yield name, path.stat().st_size


def test_the_wheel_has_nothing_large_but_the_adapters():
    large = {name for name, size in in_wheel() if size > MOST}
    assert large == {name for name, _ in in_wheel() if fnmatch(name, ADAPTERS)}
    assert large
    assert "langgraph_conductor/py.typed" in dict(in_wheel())


def test_what_is_left_out_is_there_and_no_code():
    for pattern in TARGETS["wheel"]["exclude"]:
        assert [path.suffix for path in ROOT.glob(pattern)] == [".html"]


@pytest.mark.parametrize(
    "needed",
    [
        "Makefile", "constraints.txt", "constraints-train.txt", "constraints-vllm.txt", ".ci", "README.md",
        "CONTRIBUTING.md", "LICENSE", "examples", "tests", "langgraph_conductor",
    ],
)  # fmt: skip
def test_the_sdist_has_what_its_tests_and_commands_need(needed):
    assert (ROOT / needed).exists()
    assert any(fnmatch(f"/{needed}", pattern) for pattern in TARGETS["sdist"]["include"])


def test_metadata_is_whole():
    project = PROJECT["project"]
    versions = {one.rpartition(" ")[2] for one in project["classifiers"] if "Python :: 3." in one}
    assert {"3.11", "3.12", "3.13"} <= versions
    assert project["requires-python"] == ">=3.11"
    assert "Typing :: Typed" in project["classifiers"]
    assert not any(
        one.startswith("License ::") for one in project["classifiers"]
    )  # beside an SPDX expression
    assert Path(ROOT, project["readme"]).exists()
