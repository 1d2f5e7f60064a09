"""Graders of reasoning-gym's families, of those whose scorers can be trusted."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

from langgraph_conductor.errors import ConfigError
from langgraph_conductor.rewards import plain, processes
from langgraph_conductor.rewards.task import Task

_RUNS_CODE: Final = "its scorer executes code that stands in an answer"
_UNSOUND: Final = "its scorer gives points to wrong answers"
_UNSTEADY: Final = "the same seed gives different questions"

REFUSED: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        [
            "binary_matrix",
            "countdown",
            "intermediate_integration",
            "n_queens",
            "polynomial_multiplication",
            "puzzle24",
            "simple_integration",
            "spiral_matrix",
            "string_insertion",
        ],
        _RUNS_CODE,
    ),
    **dict.fromkeys(
        [
            "fraction_simplification",
            "game_of_life_halting",
            "letter_jumble",
            "propositional_logic",
            "sokoban",
            "spell_backward",
            "survo",
            "time_intervals",
            "word_sorting",
        ],
        _UNSOUND,
    ),
    "prime_factorization": "its scorer fails on answers it cannot read",
    "coin_flip": "its scorer can be made to compute for minutes",
    **dict.fromkeys(
        ["codeio", "list_functions", "isomorphic_strings", "ransom_note", "word_ladder"], _UNSTEADY
    ),
}
"""Families that are not offered, and why."""

SOUND: Final = frozenset(
    [
        "ab",
        "acre",
        "aiw",
        "arc_1d",
        "base_conversion",
        "basic_arithmetic",
        "bf",
        "binary_alternation",
        "bitwise_arithmetic",
        "caesar_cipher",
        "calendar_arithmetic",
        "chain_sum",
        "circuit_logic",
        "color_cube_rotation",
        "complex_arithmetic",
        "count_bits",
        "count_primes",
        "course_schedule",
        "cryptarithm",
        "dice",
        "emoji_mystery",
        "family_relationships",
        "futoshiki",
        "gcd",
        "graph_color",
        "gsm_symbolic",
        "knights_knaves",
        "largest_island",
        "lcm",
        "leg_counting",
        "letter_counting",
        "mahjong_puzzle",
        "manipulate_matrix",
        "maze",
        "mini_sudoku",
        "modulo_grid",
        "needle_haystack",
        "number_sequence",
        "palindrome_generation",
        "path_star",
        "products",
        "rectangle_count",
        "rotate_matrix",
        "rotten_oranges",
        "self_reference",
        "sentence_reordering",
        "shortest_path",
        "simple_equations",
        "simple_geometry",
        "string_manipulation",
        "string_splitting",
        "string_synthesis",
        "sudoku",
        "syllogism",
        "tsumego",
        "word_sequence_reversal",
        "zebra_puzzles",
    ]
)
"""Families whose scorers give 1 to the right answer and not to others, as far as was checked."""


def check_family(family: str) -> None:
    """Refuse a family that is not known to be sound.

    Raises:
        ConfigError: If it is not; the message says why and which are.
    """
    if family not in SOUND:
        why = REFUSED.get(family, "it was not checked, so it is not offered")
        raise ConfigError(f"grader 'gym:{family}': {why}; there are {', '.join(sorted(SOUND))}")


def gym_task(
    family: str,
    entry: Mapping[str, Any],
    *,
    question: str | None = None,
    config: Mapping[str, Any] | None = None,
    domain: str = "",
    difficulty: int = 1,
    skills: Sequence[str] = (),
) -> Task:
    """A task made of an item of reasoning-gym.

    `about` of the task holds `metadata` (the item's), `config` and, if the task asks something else,
    `question` (the item's). All are JSON: tuples become lists, keys texts.

    Args:
        family: Name of the family, such as `"chain_sum"`.
        entry: The item: `question`, `answer`, `metadata`.
        question: What the task asks, if not the item's question; such as that and the form of the answer.
        config: What the data set was made with, beside seed and size; some scorers look at it.
        domain: Of the task; the family if not given.
        difficulty: Of the task.
        skills: Of the task; the family if not given.

    Raises:
        ConfigError: If the family is not offered, the item has no known answer or is no JSON.
    """
    check_family(family)
    asked = str(entry["question"])
    about = {"metadata": _json(entry["metadata"]), "config": _json(config or {})}
    if question is not None and question != asked:
        about["question"] = asked
    return Task(
        question=asked if question is None else question,
        answer=_gold(family, entry),
        grader=f"gym:{family}",
        domain=domain or family,
        difficulty=difficulty,
        skills=tuple(skills) or (family,),
        about=about,
    )


def gym(answer: str, task: Task) -> bool:
    """Whether reasoning-gym's scorer of the task's family gives the full score, and `_ALSO` agrees.

    Raises:
        ConfigError: If the family is not offered, or `about` lacks `metadata`.
        GraderError: If no process can be started.
    """
    family = task.grader.partition(":")[2]
    check_family(family)
    if "metadata" not in task.about:
        raise ConfigError(f"task {task.id}: about of a task of {task.grader} holds metadata; see gym_task")
    if task.answer.endswith(".") and not answer.endswith("."):
        answer += "."  # `final_answer` takes it away
    if family == "gsm_symbolic":
        return plain.number(answer, task)  # the scorer reads the first number only, without its sign
    if family in _ALSO and not _ALSO[family](answer, task):
        return False
    about = task.about
    entry = {
        "question": about.get("question", task.question),
        "answer": task.answer,
        "metadata": about["metadata"],
    }
    arguments = {"family": family, "config": about.get("config", {}), "entry": entry, "answer": answer}
    return processes.pool().ask("gym", arguments)


def _is_complex(answer: str, task: Task) -> bool:
    return re.fullmatch(r"[-+0-9.ij() ]+", answer.strip(), re.IGNORECASE) is not None


def _same_words(answer: str, task: Task) -> bool:
    said, right = (
        sorted(
            word for word in re.findall(r"\w+|[^\w\s,.]", text.lower()) if word not in ("a", "an", "and")
        )
        for text in (answer, task.answer)
    )
    return said == right


_ALSO: Final[Mapping[str, Callable[[str, Task], bool]]] = {
    "complex_arithmetic": _is_complex,  # the scorer gives nan full points
    "knights_knaves": _same_words,  # the scorer passes over words it does not know, such as "not"
    "calendar_arithmetic": plain.exact,  # the scorer gives any number full points where -1 is right
}


def _gold(family: str, entry: Mapping[str, Any]) -> str:
    if entry["answer"] is not None and str(entry["answer"]).strip():
        return str(entry["answer"])
    if family == "graph_color":
        colors: Mapping[int, int] = entry["metadata"]["possible_answer"]
        return json.dumps({str(vertex): color for vertex, color in colors.items()})
    raise ConfigError(f"an item of {family} has no answer")


def _json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if value is None or type(value) in (str, int, float, bool):
        return value
    if isinstance(value, str | Fraction):  # NumPy's texts; what gsm_symbolic notes down
        return str(value)
    if hasattr(value, "item"):
        return _json(value.item())
    raise ConfigError(f"an item holds {value!r:.80}, which is no JSON")
