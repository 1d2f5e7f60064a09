"""What help() and repr() show at a prompt fits on a screen."""

import inspect

import pytest
from typing_extensions import is_typeddict

import langgraph_conductor
from langgraph_conductor import ChatPlanner, evals
from langgraph_conductor.planners.examples import EXAMPLES
from langgraph_conductor.testing import ScriptedModel

NAMED = {name: getattr(langgraph_conductor, name) for name in langgraph_conductor.__all__}
CALLABLE = [
    name
    for name, thing in NAMED.items()
    if callable(thing) and not name.endswith("Error") and not is_typeddict(thing)
]


@pytest.mark.parametrize("name", CALLABLE)
def test_signatures_are_short(name):
    shown = str(inspect.signature(NAMED[name]))
    assert len(shown) < 1_500, shown


def test_the_examples_of_a_planner_are_left_out_of_its_signature():
    assert ChatPlanner(ScriptedModel()).examples == EXAMPLES
    assert ChatPlanner(ScriptedModel(), examples=()).examples == ()
    assert ChatPlanner(ScriptedModel(), examples=EXAMPLES[:1]).examples == EXAMPLES[:1]


def test_a_suite_shows_its_counts():
    suite = evals.load_suite("tiny")
    assert repr(suite).startswith("<Suite 'tiny', ")
    assert len(repr(suite)) < 120
    assert f"test: {len(suite.tasks('test'))} tasks" in repr(suite)
