"""Every Python block of the README, CONTRIBUTING and the docstrings runs as it stands."""

from pathlib import Path

import pytest
from sybil import Sybil
from sybil.document import PythonDocStringDocument
from sybil.parsers.markdown import PythonCodeBlockParser

import langgraph_conductor
from tests.openai_double import openai_double

ROOT = Path(langgraph_conductor.__file__).parents[1]
TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
MODULES = sorted((ROOT / "langgraph_conductor").rglob("*.py"))

SYBIL = Sybil(
    path=str(ROOT),
    patterns=["*.md", "**/*.py"],
    parsers=[PythonCodeBlockParser()],
    document_types={".py": PythonDocStringDocument},
)


def examples_of(path: Path) -> list:
    return list(SYBIL.parse(path).examples())


WITH_CODE = [path for path in [*TEXTS, *MODULES] if "```python" in path.read_text()]


@pytest.mark.parametrize("path", WITH_CODE, ids=lambda p: str(p.relative_to(ROOT)))
def test_code_blocks_run(path, monkeypatch):
    with openai_double() as (url, _):
        monkeypatch.setenv("OPENAI_API_KEY", "x")
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        for example in examples_of(path):
            example.evaluate()


def test_there_is_code_to_run():
    found = {path.name: len(examples_of(path)) for path in WITH_CODE}
    assert found["README.md"] >= 3
    assert found["conductor.py"] == 1
    assert found["testing.py"] == 2


def test_the_readme_names_the_two_commands_and_only_make_targets_that_exist():
    import re

    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    for path in TEXTS:
        named = set(re.findall(r"(?m)(?:^|`)make ([a-z]+)", path.read_text()))
        assert named <= targets
        assert {"demo", "test"} <= named
