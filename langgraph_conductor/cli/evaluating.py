"""`langgraph-conductor eval` and `profile`: evaluations at the command line, with progress on stderr."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import typer

from langgraph_conductor.cli.evaluation_progress import Watch, paid_in_words
from langgraph_conductor.cli.exits import say
from langgraph_conductor.config import ConductorConfig
from langgraph_conductor.display.words import counted, printable
from langgraph_conductor.evals.evaluating import evaluate, measure
from langgraph_conductor.evals.report import write_report
from langgraph_conductor.evals.report.markdown import markdown, opening
from langgraph_conductor.evals.running import Runner
from langgraph_conductor.evals.suites import Split, Suite
from langgraph_conductor.evals.summarising import summarise
from langgraph_conductor.planners import ChatPlanner, Planner, TurnsPlanner
from langgraph_conductor.replay import ReplyStore
from langgraph_conductor.text_files import check_room, check_writable, make_folder

STORE: Final = "replies.sqlite"
_MOST_STEPS: Final = 5


@dataclass(frozen=True, slots=True)
class Amount:
    """How much is asked, and what it may cost.

    Args:
        samples: Episodes for each task.
        seed: The first seed.
        concurrency: Episodes at once.
        limit_usd: What may really be paid.
        only_forecast: Whether to tell what is to come, and stop.
        agreed: Whether what is forecast may be paid without a question.
    """

    samples: int
    seed: int
    concurrency: int
    limit_usd: str | None
    only_forecast: bool = False
    agreed: bool = False


def run_eval(
    suite: Suite, config: ConductorConfig, amount: Amount, out: Path, store: Path | None, **options: Any
) -> bool:
    """Evaluate, and write the report into the folder `out`.

    Args:
        suite: The tasks.
        config: The pool, the planner, the budget of an episode.
        amount: How much.
        out: The folder; made if it is not there.
        store: The reply store; by default it lies in the folder.
        options: Of `evaluate`.

    Returns:
        Whether it came to its end.
    """
    if config.planner:
        config.build()  # finds what does not fit together
    _tell_unused(config)
    make_folder(out)
    check_room(out)  # before anything is paid
    with _running(config, amount, store or out / STORE) as runner:
        steps = config.options.get("max_steps", _MOST_STEPS)
        evaluation = asyncio.run(
            evaluate(suite, config.workers, config.planner, runner, max_steps=steps, **options)
        )
    typer.echo(printable(opening(markdown(summarise(evaluation)))))
    try:
        text, html, _ = write_report(evaluation, out)
    except OSError as error:
        _conclude(runner, "what is above is all there is of the report")
        raise OSError(
            f"the report could not be written: {error}; make room, and give the same command"
        ) from error
    _conclude(runner, f"the whole report is in {text} and {html}")
    return evaluation.complete


def run_profile(
    suite: Suite,
    config: ConductorConfig,
    amount: Amount,
    out: Path,
    store: Path | None,
    *,
    split: Split,
    items: int | None,
) -> bool:
    """Ask each worker alone, and write what was measured to the file `out`.

    Returns:
        Whether it came to its end; else nothing is written.
    """
    make_folder(out.parent)
    check_writable(out)  # before anything is paid
    with _running(config, amount, store or out.parent / STORE) as runner:
        profiles = asyncio.run(measure(suite, config.workers, runner, split=split, items=items))
    if not runner.stopped:
        for name, profile in profiles.workers.items():
            found, (low, high) = profile.overall, profile.overall.interval
            typer.echo(
                printable(f"{name}: {found.accuracy:.1%} right [{low:.1%}, {high:.1%}], n = {found.n}")
            )
        profiles.save(out)
    _conclude(runner, "nothing was written" if runner.stopped else f"the profiles are in {out}")
    return not runner.stopped


def trained_planner(model: str | None) -> Planner | None:
    """The planner of `--trained`: it is shown ordinals and writes plain text, as in training."""
    return None if model is None else ChatPlanner(model, show="anonymous", structured=False)


def _tell_unused(config: ConductorConfig) -> None:
    """Say which options of a conductor an evaluation does not use."""
    if isinstance(config.planner, TurnsPlanner):
        most = config.options.get("max_steps", _MOST_STEPS)
        say(f"{config.file}: `max_rounds` is not used: there are as many turns as `max_steps` says, {most}")
    elif config.options.get("max_rounds", 1) > 2:
        say(f"{config.file}: `max_rounds` is not used: strategies are run with one round and with two")
    if config.options.get("on_step_error", "record") != "record":
        say(f"{config.file}: `on_step_error` is not used: after a failed step the others go on")


@contextmanager
def _running(config: ConductorConfig, amount: Amount, store: Path) -> Iterator[Runner]:
    make_folder(store.parent)
    watch = Watch(only_forecast=amount.only_forecast, agreed=amount.agreed, limit_usd=amount.limit_usd)
    with ReplyStore(store) as replies, watch:
        try:
            yield Runner(
                replies,
                amount.samples,
                amount.seed,
                amount.concurrency,
                config.budget,
                amount.limit_usd,
                watch.progress,
                config.options.get("fallback"),
                watch.forecast,
            )
        except KeyboardInterrupt:
            say(f"what was answered is kept in {store}; the same command goes on from there")
            raise


def _conclude(runner: Runner, where: str) -> None:
    paid, replayed = runner.expenses.paid, runner.expenses.replayed
    if runner.stopped:
        say(f"stopped: {runner.stopped}; the same command with a higher limit goes on from here")
    read = (
        f"{counted(replayed.calls, 'call')} {'was' if replayed.calls == 1 else 'were'} read from the store"
    )
    say(f"paid {paid_in_words(paid)}, {read}; {where}")
