"""The runs, two at a time, and a table of them at the end."""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from tests.learning.recipe import FOUND, IMPROVEMENT, Change, Run, learn, prepare

SEEDS = (0, 1, 2)
WHOLE = IMPROVEMENT.steps
JOBS: tuple[tuple[int, Change, int], ...] = (
    *((seed, "as it is", WHOLE) for seed in SEEDS),
    *((seed, "rewards shuffled", WHOLE) for seed in SEEDS[:2]),
    (0, "advantages negated", WHOLE),
    (0, "no grammar, huge steps", 20),
    (0, "policy frozen", 3),
)
"""Seed, what is changed in learning, and steps."""
Runs = dict[tuple[int, Change], Run]

_told: list[str] = []


@pytest.fixture(scope="session")
def runs(tmp_path_factory) -> Iterator[Runs]:
    """Every run, each in a process of its own with one thread."""
    start = prepare()
    _told.append(f"warm start: {start.tried} two-step plans were run to find {2 * FOUND} right ones")
    folder = tmp_path_factory.mktemp("learning")
    with ProcessPoolExecutor(2, mp_context=get_context("spawn"), initializer=_alone) as pool:
        asked: dict[tuple[int, Change], Future[Run]] = {
            (seed, change): pool.submit(learn, start, seed, change, steps, folder / f"{seed} {change}")
            for seed, change, steps in JOBS
        }
        found = {job: future.result() for job, future in asked.items()}
    _told.extend(map(str, found.values()))
    return found


def _alone() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["LANGSMITH_TRACING"] = "false"


def pytest_terminal_summary(terminalreporter) -> None:
    for line in _told:
        terminalreporter.write_line(line)
