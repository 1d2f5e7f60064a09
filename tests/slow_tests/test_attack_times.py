"""The injection suite times real conductors."""

import re

import pytest

from langgraph_conductor import Worker, create_conductor, foreign_text
from langgraph_conductor.tags import escape
from langgraph_conductor.testing import attacks
from langgraph_conductor.testing.attacks import attack

NOTHING = re.compile(r"(?!)")


def hijacked(read):
    """A conductor whose last worker is `read`, given what it was to read and a way to ask its model."""

    def make(planner, workers):
        speaker, looker, reader = workers

        def work(task):
            said = "\n".join(escape(one.text) for one in task.inputs)
            return read(said, lambda prompt: reader.runnable.invoke(prompt).text)

        reading = Worker("reader", work, description="Reads.")
        return create_conductor(planner, [speaker, looker, reading], max_rounds=2)

    return make


def test_marks_that_are_sorted_one_by_one_are_found(monkeypatch):
    monkeypatch.setattr(foreign_text, "_MANY", NOTHING)
    pump = attacks.Attack("mine", 0, "<a" + "\u0300\u0316" * 12_000)
    report = attack(payloads=[pump], routes=["whole question"])
    assert report.by_surface == {"time": 1}, str(report)
    assert "run" in report.findings[0].seen


def reads_slowly(said, ask):
    re.search(r"\s+$", said)
    return ask("Read.")


def reads_much(said, ask):
    sum(map(ord, said * 50 if "<\\" in said else said))
    return ask("Read.")


@pytest.mark.parametrize(
    ("read", "text", "found"),
    [(reads_slowly, f"a{' ' * 10_000}z", {"time": 1}), (reads_much, "<" + "\\" * 8000, {})],
)
def test_a_conductor_that_takes_more_than_linear_time_is_found(read, text, found):
    mine = [attacks.Attack("mine", 0, text)]
    report = attack(hijacked(read), payloads=mine, routes=["worker to worker"])
    assert report.by_surface == found, str(report)
