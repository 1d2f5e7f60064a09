"""Every Python block of the README, CONTRIBUTING and the docstrings runs as it stands."""

from pathlib import Path

import pytest
from sybil import Sybil
from sybil.document import PythonDocStringDocument
from sybil.parsers.markdown import PythonCodeBlockParser

import langgraph_conductor
from langgraph_conductor.testing import FakeProviders

ROOT = Path(langgraph_conductor.__file__).parents[1]
TRAINING = ROOT / "langgraph_conductor/train/README.md"
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


WITH_CODE = [path for path in [*TEXTS, TRAINING, *MODULES] if "```python" in path.read_text()]


@pytest.mark.parametrize("path", WITH_CODE, ids=lambda p: str(p.relative_to(ROOT)))
def test_code_blocks_run(path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with FakeProviders() as providers:
        for name, value in providers.environment().items():
            monkeypatch.setenv(name, value)
        for example in examples_of(path):
            example.evaluate()


def test_there_is_code_to_run():
    found = {path.name: len(examples_of(path)) for path in WITH_CODE if path != TRAINING}
    assert len(examples_of(TRAINING)) == 1
    assert found["README.md"] >= 3
    assert found["conductor.py"] == 2
    assert found["scripted.py"] == found["plans.py"] == found["providers.py"] == 1


def test_the_readme_names_the_two_commands_and_only_make_targets_that_exist():
    import re

    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    for path in TEXTS:
        named = set(re.findall(r"(?m)(?:^|`)make ([a-z]+)", path.read_text()))
        assert named <= targets
        assert {"demo", "test"} <= named
