"""A run is killed and finished by a fresh process: nothing that was saved is repeated, and what may be is marked.

The savers are real, and so are the kills (SIGKILL). A saver in memory dies with its process; there a run crashes
(`crashes`) and is finished in the same process. `python -m tests.long_tests.kills_bench` kills more often, and at other
settings of durability.
"""

import logging
import random

import pytest

from tests.long_tests.crashes import crash
from tests.long_tests.kills import MOMENTS, Killer
from tests.long_tests.victim import Victims

RANDOM_KILLS = 3
CRASHES = 24


@pytest.fixture(scope="module")
def victims(tmp_path_factory):
    with Victims(tmp_path_factory.mktemp("victims") / "errors") as found:
        yield found


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def killer(request, victims, tmp_path_factory):
    address = request.getfixturevalue("postgres") if request.param == "postgres" else None
    return Killer(victims, tmp_path_factory.mktemp(request.param), address)


@pytest.fixture(params=["sync", "async"])
def awaited(request):
    return request.param == "async"


@pytest.mark.parametrize("name", MOMENTS)
def test_a_run_killed_at_a_moment_is_finished_with_nothing_saved_made_again(killer, awaited, name):
    moment = MOMENTS[name]
    kill = killer.at(moment, killer.job(awaited=awaited))
    assert kill.faults == []
    # What was in flight, no more and no less, is made once more, and its steps are marked.
    assert set(kill.again) == set(moment.calls)
    assert kill.marked == {(call.round, call.step) for call in moment.calls}
    assert kill.before.steps == moment.done


def test_a_run_killed_at_random_is_finished_with_nothing_saved_made_again(killer, awaited):
    draw = random.Random(7)
    seconds = killer.seconds(killer.job(awaited=awaited))
    kills = [
        killer.after(draw.uniform(0, 0.9 * seconds), killer.job(awaited=awaited))
        for _ in range(RANDOM_KILLS)
    ]
    assert [kill.faults for kill in kills if kill] == [[] for kill in kills if kill]
    assert any(kills)


@pytest.mark.parametrize("name", ["while planning again", "inside a tool call", "between rounds"])
def test_a_conductor_that_was_added_to_a_graph_is_killed_too(killer, name):
    moment = MOMENTS[name]
    kill = killer.at(moment, killer.job(added=True))
    assert kill.faults == []
    assert set(kill.again) == set(moment.calls)


@pytest.mark.parametrize("added", [False, True], ids=["own", "added"])
def test_a_run_that_crashes_anywhere_is_finished_from_a_saver_in_memory(tmp_path, awaited, added, caplog):
    caplog.set_level(logging.CRITICAL, "concurrent.futures")  # threads that find everything dead
    _, size = crash(tmp_path, "whole", None, awaited=awaited, added=added)
    places = [round(number * size / CRASHES) for number in range(1, CRASHES)]
    crashes = {at: crash(tmp_path, str(at), at, awaited=awaited, added=added)[0] for at in places}
    assert {at: kill.faults for at, kill in crashes.items() if kill and kill.faults} == {}
    assert (
        sum(kill is not None for kill in crashes.values()) >= CRASHES - 4
    )  # the others had called nobody yet


def test_a_log_in_which_something_saved_was_made_again_is_a_fault(tmp_path):
    """The judge itself: it would see what it is there to see."""
    from dataclasses import replace

    from tests.long_tests.calls import Call, Line

    kill, _ = crash(tmp_path, "half", 60, awaited=False)
    assert kill is not None
    assert kill.faults == []
    saved = Call("function", 0, 0)
    assert kill.before.holds(saved)
    again = replace(kill, lines=(*kill.lines, Line("second", saved, "begun")))
    assert any("saved, and made again" in fault for fault in again.faults)
    assert any("marked" in fault for fault in replace(kill, marked=frozenset({(0, 0), (1, 2)})).faults)
    assert replace(kill, finished=False).faults == ["the run was not finished"]
    assert any("more than twice" in fault for fault in replace(again, lines=(*again.lines,) * 2).faults)
