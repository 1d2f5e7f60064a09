"""The small proof measured: every contender asked the questions of the test split, and a page on it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from langgraph_conductor.display.markup import document
from langgraph_conductor.evals import Evaluation, Runner, Suite, evaluate, summarise
from langgraph_conductor.evals.report.page import body, in_page
from langgraph_conductor.evals.report.parts import Section
from langgraph_conductor.evals.report.parts import Table as Grid
from langgraph_conductor.evals.report.words import percent
from langgraph_conductor.replay import ReplyStore
from langgraph_conductor.train.files import write_whole
from langgraph_conductor.train.results.diagnostics import read_steps, summary_of
from langgraph_conductor.train.results.plots import draw
from langgraph_conductor.train.tiny import names
from langgraph_conductor.train.tiny.conducting import MOST_STEPS
from langgraph_conductor.train.tiny.contenders import contenders
from langgraph_conductor.train.tiny.findings import answers, table
from langgraph_conductor.train.tiny.limits import found_in, limits
from langgraph_conductor.train.tiny.recipe import Recipe
from langgraph_conductor.train.tiny.world import World
from langgraph_conductor.workflow import Workflow

EVALUATION: Final = "evaluation.json"

_SHOWN: Final = {
    "reward": "mean reward",
    "right": "right",
    "parsed": "plans that can be run",
    "dead_groups": "groups of equal rewards",
    "worker_entropy": "entropy of workers, bits",
    "plan_entropy": "entropy of plans, bits",
}


def measured(
    world: World,
    suite: Suite,
    store: ReplyStore,
    seeds: Sequence[int],
    items: int | None,
    chosen_on: int,
    constant: Workflow,
) -> Evaluation:
    """Ask everybody.

    Args:
        world: Workers and conductors.
        suite: The suite.
        store: Where replies are kept: broken off, it goes on.
        seeds: Of the conductors. Each strategy has as many samples, and a conductor's are those of its seeds.
        items: Most questions, drawn by hash; `None` for all.
        chosen_on: Training questions on which the best worker and the best constant workflow are chosen.
        constant: The best constant workflow in the wordings the workers were taught.
    """
    runner = Runner(store, samples=len(seeds), concurrency=256)
    found = asyncio.run(
        evaluate(
            suite,
            world.pool(),
            None,
            runner,
            extra=[*contenders(world, suite.tasks("test"), seeds, constant)],
            items=items,
            train_items=chosen_on,
            max_steps=MOST_STEPS,
            second_rounds=False,
            workflow_oracle=False,
        )
    )
    pairs = (
        *((names.GRPO, name) for name in (names.SFT, "generalist", names.COMBINED, names.CONSTANT)),
        (names.RECURSION, names.GRPO),
        (names.REWARD, names.FORM),
    )
    # It knows what is asked, and is nobody's rival.
    outcomes = (
        replace(one, kind="ceiling") if one.strategy == names.ORACLE_WORKFLOW else one
        for one in found.outcomes
    )
    return replace(found, outcomes=tuple(outcomes), comparisons=(*found.comparisons, *pairs))


def write_page(
    evaluation: Evaluation, trainings: Mapping[str, Path], suite: Suite, recipe: Recipe, path: Path
) -> None:
    """Write the page: what was to be shown, what is not, the table, what learning looked like, and the report.

    Args:
        evaluation: What was found.
        trainings: Folders of diagnostics, by name.
        suite: What was asked and learnt from.
        recipe: How much of it.
        path: Of the page.
    """
    summary = summarise(evaluation)
    curves = {
        name: lines
        for name, folder in trainings.items()
        if folder.is_dir() and (lines := read_steps(folder))
    }
    parts = [
        in_page(answers(evaluation)),
        in_page(limits(found_in(evaluation, summary), suite, recipe)),
        in_page(Section("The table", _TOLD, (table(evaluation, summary),))),
        in_page(_learning(curves)),
        *(
            f"<h3>{name}</h3><div class='wide plot'>{plot}</div>"
            for name, lines in curves.items()
            if (plot := draw("reward", lines))
        ),
        body(summary),
    ]
    write_whole(path, document("The small proof", "\n".join(parts)))


_TOLD: Final = (
    "Right answers in percent, with their 95 % intervals; the number of questions in brackets. Tokens and calls "
    "are those of one question, of planner and workers together.",
    "Seconds are of one machine that answered hundreds of questions at once and kept replies: they say nothing.",
    "Chains never trained join skills in a way that is in no training data. Nobody can answer what is unsolvable.",
    "Workers answer greedily, so that a majority of one worker's answers is that answer at a higher price.",
)


def _learning(curves: Mapping[str, Sequence[Mapping[str, object]]]) -> Section:
    """Rewards and signs of collapse, in the first and the last tenth of the steps."""
    rows = []
    for name, lines in curves.items():
        found = summary_of(lines)
        shown = [name, str(found["steps"])]
        for key in _SHOWN:
            before, after = found["first"][key], found["last"][key]
            shown.append(
                f"{before:.2f} → {after:.2f}"
                if key == "reward" or "entropy" in key
                else f"{percent(before)} → {percent(after)}"
            )
        rows.append(tuple(shown))
    says = (
        "From the first to the last tenth of the steps, on the questions that were learnt from. While it learns "
        "from rewards every plan is bound to a grammar, so that what can collapse is the choice of workers and "
        "of plans: their entropies would fall to nothing, and groups without variance rise.",
    )
    return Section(
        "Learning from rewards", says, (Grid(("training", "steps", *_SHOWN.values()), tuple(rows)),)
    )
