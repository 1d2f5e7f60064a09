"""Figures of the Conductor paper (arXiv 2512.04388), for a look beside our own. They are the authors', not ours.

Only numbers are kept, with the table of the paper they are from. None of them was run here: the benchmarks
need the vendors' keys and data from the Hugging Face hub.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

SOURCE: Final = "Conductor paper, arXiv 2512.04388"

NOT_RUN: Final = "not run: needs keys / hub"


@dataclass(frozen=True, slots=True)
class PaperTable:
    """Accuracies from one setting of the paper.

    Args:
        setting: What was allowed.
        source: Which table of the paper.
        systems: Names of the systems.
        scores: Percent right by benchmark, one figure for each system, in order.
    """

    setting: str
    source: str
    systems: tuple[str, ...]
    scores: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class PaperCost:
    """What one question cost on average in the paper.

    Args:
        system: Name of the system.
        score: Percent right.
        tokens: Tokens per question.
        usd: US dollars per question.
    """

    system: str
    score: float
    tokens: int
    usd: float


ITEMS: Final[Mapping[str, int]] = {
    "AIME25": 30,
    "BigCodeBench (hard)": 148,
    "GPQA-Diamond": 198,
    "MATH500": 500,
    "MMLU": 14_079,
}
"""Items of the benchmarks. Few items mean wide intervals: on 30, 93 % is not told from 90 %."""

UNCONSTRAINED: Final = PaperTable(
    "unconstrained",
    "Table 1; no error bars are given, and the baselines mix own runs with leaderboards",
    (
        "Conductor 7B",
        "GPT-5",
        "Gemini 2.5 Pro",
        "Claude Sonnet 4",
        "Qwen3-32B thinking",
        "R1-Distill-Qwen-32B",
    ),
    {
        "MATH500": (99.4, 99.0, 96.0, 96.0, 80.7, 82.5),
        "MMLU": (94.1, 93.5, 92.4, 91.4, 84.1, 84.4),
        "RLPR": (44.75, 42.20, 40.55, 36.70, 37.25, 33.50),
        "LiveCodeBench v6": (83.93, 82.90, 67.24, 46.54, 25.86, 26.86),
        "AIME25": (93.3, 90.8, 78.3, 74.3, 72.9, 63.0),
        "BigCodeBench (hard)": (37.86, 32.75, 37.51, 37.16, 28.38, 33.07),
        "GPQA-Diamond": (87.5, 82.3, 84.8, 77.7, 66.8, 58.1),
    },
)

CONSTRAINED: Final = PaperTable(
    "4096 tokens per worker, least reasoning",
    "Table 7",
    (
        "Conductor 7B",
        "MoA",
        "MASRouter",
        "Smoothie (dep.)",
        "RouterDC",
        "GPT-5",
        "Gemini 2.5 Pro",
        "Claude Sonnet 4",
    ),
    {
        "MATH500": (89.33, 83.10, 80.60, 76.95, 59.25, 74.45, 85.30, 82.90),
        "MMLU": (93.14, 88.46, 86.28, 83.56, 87.52, 89.79, 91.53, 90.66),
        "RLPR": (42.63, 38.37, 32.80, 34.45, 27.53, 33.13, 39.57, 32.60),
        "LiveCodeBench": (64.29, 38.57, 27.86, 31.00, 35.33, 57.50, 40.14, 38.00),
    },
)

UNSEEN: Final = PaperTable(
    "4096 tokens per worker, least reasoning, benchmarks not trained on",
    "Tables 2 and 8",
    ("Conductor 7B", "Conductor 7B, recursive", "GPT-5", "Gemini 2.5 Pro", "Claude Sonnet 4"),
    {
        "AIME25": (66.67, 66.67, 46.67, 46.67, 35.33),
        "BigCodeBench (hard)": (37.8, 40.0, 33.8, 35.1, 35.8),
        "GPQA-Diamond": (81.31, 82.32, 72.73, 75.25, 67.30),
    },
)

TABLES: Final = (UNCONSTRAINED, CONSTRAINED, UNSEEN)

COST_SOURCE: Final = "Table 6; the mean of MATH500, MMLU, RLPR and LiveCodeBench"

COSTS: Final = (
    PaperCost("Conductor 7B", 72.35, 1820, 0.02384),
    PaperCost("MoA", 62.13, 11203, 0.04855),
    PaperCost("MASRouter", 56.89, 4970, 0.01345),
    PaperCost("Smoothie (dep.)", 56.48, 9909, 0.03929),
    PaperCost("RouterDC", 52.41, 840, 0.00561),
)
"""MASRouter is the cheaper one in money and the dearer one in tokens, so both are shown."""
