"""The suite `"skills"`: questions for one skill, for two skills one after the other, and unsolvable ones.

The questions for one skill are reasoning-gym's; the composed ones name the same skills.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from langgraph_conductor.evals.suites.composed import HELD_OUT, PAIRS, composed
from langgraph_conductor.evals.suites.gym import VERSION, check_version, entries
from langgraph_conductor.evals.suites.suite import FORM, Split, Suite, in_splits, split_of, take
from langgraph_conductor.evals.suites.unsolvable import unsolvable
from langgraph_conductor.rewards import Task, gym_task

NAME = "skills"
REVISION = 1
"""Counts up when the questions change on purpose: figures of different revisions cannot be compared."""

SINGLE, COMPOSED, UNSOLVABLE = 64, 25, 60
"""How many questions of each skill, of each pair, and without an answer."""

SKILLS: Mapping[str, Mapping[str, Any]] = {
    "chain_sum": {"min_terms": 4, "max_terms": 6, "min_digits": 2, "max_digits": 3},
    "gsm_symbolic": {},
    "simple_equations": {},
    "base_conversion": {"min_value": 20},
    # Without leap years, where yes or no is right half the time, and without days of a year that may be one.
    "calendar_arithmetic": {
        "tasks": ["weekday_offset", "weekday_of_date", "count_days", "count_business_days"]
    },
    "letter_counting": {"min_words": 15, "max_words": 25},
    "caesar_cipher": {"min_words": 3, "max_words": 6},
    "spell_backward": {"min_word_len": 5, "max_word_len": 10},
    "word_sorting": {"min_words": 4, "max_words": 7, "min_word_length": 4, "max_word_length": 10},
    "bf": {"difficulty": 1},
    "knights_knaves": {"n_people": 3},
    "shortest_path": {"min_rows": 4, "max_rows": 6, "min_cols": 4, "max_cols": 6, "p_blocked": 0.2},
    "mini_sudoku": {"min_empty": 6, "max_empty": 8},
    "arc_1d": {"min_size": 8, "max_size": 14},
}
"""Each skill's family of reasoning-gym and its options there: moderate, for small models."""

PLAIN: Mapping[str, str] = {"gsm_symbolic": "number", "spell_backward": "exact", "word_sorting": "exact"}
"""Skills whose answers are compared, without a scorer of reasoning-gym."""


def seeds() -> dict[str, int]:
    """The seed of each skill: item `i` comes from `seed + i`, so they are ten million apart."""
    return {name: 10_000_000 * (place + 1) for place, name in enumerate(SKILLS)}


def skills_suite() -> Suite:
    """Make the suite anew; `load_suite("skills")` also checks it against its manifest.

    Raises:
        ImportError: If reasoning-gym is missing.
        ConfigError: If it is another version than the suite is made with.
    """
    check_version()
    found: dict[str, Task] = {}
    for name in SKILLS:
        take(found, SINGLE, _single(name))
    for pair in PAIRS:
        take(found, COMPOSED, composed(pair))
    take(found, UNSOLVABLE, unsolvable())
    about = {"revision": REVISION, "reasoning_gym": VERSION, "held_out": sorted(map("+".join, HELD_OUT))}
    # In the order of their hashes the first n of a split are a mixture of all.
    return Suite(NAME, in_splits(sorted(found.values(), key=lambda task: task.id), _split), about)


def _single(name: str) -> Iterable[Task]:
    for entry in entries(name, seeds()[name], **SKILLS[name]):
        question = f"{entry['question'].strip()}\n{FORM}"
        if name in PLAIN:
            yield Task(question, entry["answer"], PLAIN[name], domain=name, skills=(name,))
        else:
            yield gym_task(name, entry, question=question, config=SKILLS[name])


def _split(task: Task) -> Split:
    return "test" if task.skills in HELD_OUT else split_of(task)
