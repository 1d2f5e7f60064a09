"""Text of any kind is read in linear time: every pattern of the package, and every reader that is more than one."""

import ast
import re
from functools import partial

import pytest

from tests.pumping import ROOT, SCANNERS, UNITS, as_text, grows, patterns, slow


def test_every_pattern_of_the_package_is_linear():
    found = patterns()
    assert len(found) > 80
    told = {one.where: why for one in found if (why := slow(one.pattern, scans=one.scans))}
    assert not told, told


def test_every_pattern_is_found():
    """Each `re.compile` at a module's top is among what is tried, so a new one will be."""
    tried = {one.pattern.pattern for one in patterns()}
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "re.compile":
                text = node.args[0]
                if isinstance(text, ast.Constant):
                    assert as_text(text.value) in tried, f"{path}:{node.lineno}"


@pytest.mark.parametrize(
    "bad",
    [
        r"<\s*/?\s*x", r"(a+)+b", r"\s*,\s*", r".*x.*y", r"\s+$", r"(?:a|aa)+b", r"\w+\s*=", r"(\w+\s?)*$",
        r"\d+\.\d+!", r"<!--.*?-->", r"_\s*\{?\s*(\w+)", r"(?:\w+,\s*)+(?:and\s+)?\w+;", r"(x?){20}x{20}",
        r"url\(#([^)]*)\)", r",?\s+and\s+(?=\S+$)",
    ],
)  # fmt: skip
def test_a_bad_pattern_is_caught(bad):
    assert slow(re.compile(bad))


@pytest.mark.parametrize("good", [r"<[\s/]*+x", r"a+b?", r"\bword\b", r"(?<!\w)\w++="])
def test_a_good_pattern_is_not(good):
    assert not slow(re.compile(good))


def test_a_pattern_that_is_matched_at_one_place_may_begin_with_blanks():
    assert not slow(re.compile(r"\s*x"), scans=False)
    assert slow(re.compile(r"\s*x"))


@pytest.mark.parametrize("name", SCANNERS)
def test_readers_are_linear(name):
    told = {
        unit: why
        for unit in UNITS
        if (why := grows(SCANNERS[name], partial(pumped, unit), small=0.1, suspect=0.005))
    }
    assert not told, told


def pumped(unit, size):
    return unit * (size // len(unit))
