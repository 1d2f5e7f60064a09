"""What the card of the small proof's adapters says."""

from collections.abc import Sequence
from typing import Any

from langgraph_conductor.evals.report.parts import Section, Table
from langgraph_conductor.evals.suites.suite import Suite
from langgraph_conductor.local.weights import FILE_SHA256
from langgraph_conductor.train.results.publish import Facts
from langgraph_conductor.train.tiny.base import NAME
from langgraph_conductor.train.tiny.names import COMPLEMENTARY
from langgraph_conductor.train.tiny.recipe import Recipe


def facts_of(found: Table, limits: Section, suite: Suite, recipe: Recipe, seeds: Sequence[int]) -> Facts:
    """All of it.

    Args:
        found: The table of the evaluation.
        limits: What it does not show.
        suite: What was learnt from.
        recipe: How much of it.
        seeds: Of the conductors; the first one's is published.
    """
    revision = suite.about["revision"]
    (unshown,) = limits.tables
    said = "\n".join(f"* {sentence}" for sentence in limits.sentences)
    return Facts(
        title="Specialists and a conductor for langgraph_conductor",
        base=NAME,
        base_sha256=FILE_SHA256,
        data=f'The training split of the suite "tiny", revision {revision}.',
        seeds=seeds,
        settings={**recipe.model_dump(mode="json"), "suite": revision},
        figures=_rows(found),
        notes=[
            COMPLEMENTARY,
            f"The conductor is that of seed {seeds[0]}; figures are means over the seeds, but for those that "
            "say they are of one.",
            f"**{limits.title}.**\n\n{said}",
        ],
        tables={limits.title: _rows(unshown)},
        command="python -m langgraph_conductor.train.tiny",
    )


def _rows(table: Table) -> list[dict[str, Any]]:
    return [dict(zip(table.head, row, strict=True)) for row in table.rows]
