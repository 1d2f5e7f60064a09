"""What the package promises as a whole: its names, its floors, what importing it costs."""

import ast
import json
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import langgraph_conductor

ROOT = Path(langgraph_conductor.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))


def test_public_names():
    assert langgraph_conductor.__all__ == [
        "create_conductor", "add_conductor",
        "Worker", "WorkerPool", "WorkerTask", "StepOutput",
        "Workflow", "Step", "parse_workflow", "ACCEPT", "compile_workflow",
        "Planner", "PlanRequest", "Plan", "ChatPlanner",
        "Budget", "Usage", "ConductorState",
        "ConductorGraph", "ConductorResult", "ConductorEvent", "run_episode",
        "ConductorError", "PlanError", "WorkerError", "BudgetExceededError", "ConfigError", "LocalModelError",
    ]  # fmt: skip
    assert all(hasattr(langgraph_conductor, name) for name in langgraph_conductor.__all__)


FLOORS = [
    {
        "errors",
        "workflow",
        "records",
        "usage",
        "prices",
        "literals",
        "mending",
        "replies",
        "driving",
        "containment",
        "tables",
        "text_files",
        "lazy",
        "intervals",
        "foreign_text",
        "special_tokens",
        "tags",
        "thoughts",
        "attachments",
    },
    {"dialect", "access", "prompts", "state", "events", "options", "budget", "conversation", "history"},
    {"workers", "planners"},
    {"graph", "local", "replay"},
    {"config", "display", "rewards", "episodes", "editing"},
    {"cli", "evals", "testing", "train", "__init__"},
]
LEVEL = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def room_of(module: str) -> str:
    return module.removeprefix("langgraph_conductor").lstrip(".").partition(".")[0] or "__init__"


@cache
def imports_of(path: Path) -> set[str]:
    found = set()
    for item in ast.walk(ast.parse(path.read_text())):
        if isinstance(item, ast.ImportFrom) and item.module:
            found.add(item.module)
            found |= {f"{item.module}.{alias.name}" for alias in item.names}
        elif isinstance(item, ast.Import):
            found |= {alias.name for alias in item.names}
    return found


def test_rooms_use_lower_floors_and_form_no_circle():
    uses: dict[str, set[str]] = {}
    for path in MODULES:
        own = room_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
        assert own in LEVEL, f"{own} has no floor"
        used = {room_of(name) for name in imports_of(path) if name.startswith("langgraph_conductor.")}
        uses.setdefault(own, set()).update(used & set(LEVEL) - {own, "__init__"})
    for own, used in uses.items():
        assert all(LEVEL[room] <= LEVEL[own] for room in used), f"{own} imports upwards: {used}"
    TopologicalSorter(uses).prepare()  # raises CycleError


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_private_parts_of_langgraph_are_imported_in_one_place(path):
    private = [
        name for name in imports_of(path) if name.startswith("lang") and "._" in name.replace(".__", ".")
    ]
    own = [name for name in private if name.startswith("langgraph_conductor.graph._langgraph")]
    if path.name != "_langgraph.py":
        assert private == own


def test_no_file_is_long():
    lengths = {path.name: len(path.read_text().splitlines()) for path in MODULES}
    assert max(lengths.values()) <= 600, lengths


def test_importing_brings_no_provider_and_no_heavy_library():
    script = "from langgraph_conductor import *; import sys, json; print(json.dumps(sorted(sys.modules)))"
    out = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True
    )
    roots = {name.partition(".")[0] for name in json.loads(out.stdout)}
    heavy = {"openai", "anthropic", "google", "torch", "vllm", "transformers", "trl", "inspect_ai", "xllamacpp",
             "langchain_openai", "langchain_anthropic", "langchain", "typer", "simpleeval", "genai_prices"}  # fmt: skip
    assert not roots & heavy
    assert "langgraph_conductor.local" not in json.loads(out.stdout)


def test_version_agrees_with_the_distribution():
    from importlib.metadata import version

    assert version("langgraph-conductor") == langgraph_conductor.__version__


def test_names_of_the_evaluation_are_loaded_when_asked_for():
    script = """
import sys
import langgraph_conductor.evals as evals
assert not [name for name in sys.modules if name.startswith("langgraph_conductor.evals.")]
for name in evals.__all__:
    if name != "write_report":  # draws
        assert getattr(evals, name).__name__ == name, name
heavy = {"scipy", "matplotlib", "reasoning_gym", "math_verify", "sympy", "inspect_ai"} & set(sys.modules)
assert not heavy, heavy
assert callable(evals.write_report)
try:
    evals.nothing
except AttributeError as error:
    assert "nothing" in str(error)
else:
    raise AssertionError
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
