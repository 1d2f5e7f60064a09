"""`langgraph-conductor eval` and `profile`: evaluations at the command line, with progress on stderr."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import typer
from rich.console import Console

from langgraph_conductor.cli.exits import say
from langgraph_conductor.config import ConductorConfig
from langgraph_conductor.display.words import printable, short
from langgraph_conductor.evals.evaluating import evaluate, measure
from langgraph_conductor.evals.report import write_report
from langgraph_conductor.evals.report.markdown import markdown, opening
from langgraph_conductor.evals.running import Progress, Runner
from langgraph_conductor.evals.suites import Split, Suite
from langgraph_conductor.evals.summarising import summarise
from langgraph_conductor.planners import ChatPlanner, Planner, TurnsPlanner
from langgraph_conductor.replay import ReplyStore
from langgraph_conductor.text_files import check_room, check_writable, make_folder
from langgraph_conductor.usage import Usage

ResultT = TypeVar("ResultT")

STORE: Final = "replies.sqlite"
_MOST_STEPS: Final = 5
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Amount:
    """How much is asked, and what it may cost.

    Args:
        samples: Episodes for each task.
        seed: The first seed.
        concurrency: Episodes at once.
        limit_usd: What may really be paid.
    """

    samples: int
    seed: int
    concurrency: int
    limit_usd: str | None


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
    with ReplyStore(store) as replies, _shown() as show:
        try:
            yield Runner(
                replies,
                amount.samples,
                amount.seed,
                amount.concurrency,
                config.budget,
                amount.limit_usd,
                show,
                config.options.get("fallback"),
            )
        except KeyboardInterrupt:
            say(f"what was answered is kept in {store}; the same command goes on from there")
            raise


def _conclude(runner: Runner, where: str) -> None:
    paid, replayed = runner.expenses.paid, runner.expenses.replayed
    if runner.stopped:
        say(f"stopped: {runner.stopped}; the same command with a higher limit goes on from here")
    say(f"paid {_money(paid)}, {replayed.calls} calls were read from the store; {where}")


def _money(usage: Usage) -> str:
    known = f"${usage.usd:.4f}" if usage.usd is not None else "$0"
    unknown = f" and {usage.unpriced_calls} calls without a known price" if usage.unpriced_calls else ""
    return f"{known}{unknown} for {usage.calls} calls"


@contextmanager
def _shown() -> Iterator[Callable[[Progress], None]]:
    """Shows progress on stderr: one line that changes, on a terminal; else a line for each strategy."""
    console = Console(stderr=True, highlight=False, markup=False)
    with console.status("") as status:

        def show(progress: Progress) -> None:
            line = _line(progress)
            if progress.done == progress.total:
                console.print(line, soft_wrap=True)
            elif console.is_terminal:
                status.update(line)

        yield show


def _line(progress: Progress) -> str:
    infra = f", {progress.infra} failed by the infrastructure" if progress.infra else ""
    errors = f", {progress.errors} without an answer" if progress.errors else ""
    why = f" ({short(progress.failure, _LONGEST)})" if progress.failure else ""
    done = f"{progress.done} of {progress.total}, {progress.right} right{infra}{errors}{why}"
    return printable(f"{progress.phase}: {progress.strategy}: {done}; paid {_money(progress.paid)}")
