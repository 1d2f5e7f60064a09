"""Commands: `ask`, `show`, `draw`, `check`, `eval`, `profile`, `train`, `demo`, `fetch`.

Answers go to stdout, progress and errors to stderr.
"""

import json
import logging
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal, ParamSpec

import typer

from langgraph_conductor.cli.exits import BUDGET, EXIT_CODES, one_line_errors
from langgraph_conductor.display import describe, describe_setup, write_run_page
from langgraph_conductor.display.words import printable

P = ParamSpec("P")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Plans a team of models for a question and runs it.",
    epilog=EXIT_CODES,
)

Config = Annotated[
    str | None,
    typer.Option("--config", "-c", help="A conductor.toml; without it the embedded models answer."),
]

Html = Annotated[
    Path | None,
    typer.Option(dir_okay=False, help="Also write the run to this file, as one HTML page without scripts."),
]


def command(function: Callable[P, None]) -> Callable[P, None]:
    """Register a command with `one_line_errors`."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        # What the package would log is said in the progress and the report.
        logging.getLogger("langgraph_conductor").addHandler(logging.NullHandler())
        with one_line_errors():
            function(*args, **kwargs)

    app.command(epilog=EXIT_CODES)(wrapped)
    return wrapped


@command
def ask(
    question: Annotated[str, typer.Argument(help="What to ask.")],
    config: Config = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print answer, rounds and usage as JSON.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Show no progress, and of the report only the answer.")
    ] = False,
    max_steps: Annotated[int | None, typer.Option(min=1, help="Most steps of a workflow.")] = None,
    max_rounds: Annotated[
        int | None, typer.Option(min=1, help="Most rounds of planning and running.")
    ] = None,
    limit_usd: Annotated[str | None, typer.Option(help="Most US dollars, such as 0.50.")] = None,
    limit_seconds: Annotated[float | None, typer.Option(help="Most seconds.")] = None,
    worker: Annotated[
        list[str] | None, typer.Option(help="Name or tag of a worker to offer; may be repeated.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="Name or tag of a worker not to offer; may be repeated.")
    ] = None,
    html: Html = None,
) -> None:
    """Answer a question. Progress goes to stderr, the report to stdout.

    Without --config the embedded models answer. They show the method at its smallest, not quality.
    """
    from langgraph_conductor.cli.asking import check_choice, check_writable, configured, limited, run

    _need_words(question)
    chosen = configured(config)
    options = check_choice(chosen, worker, exclude)
    bounds = {"max_steps": max_steps, "max_rounds": max_rounds}
    conductor = chosen.build(
        budget=limited(chosen.budget, limit_usd, limit_seconds),
        **{name: value for name, value in bounds.items() if value is not None},
    )
    if html:
        check_writable(html)  # before anything is paid
    result = run(conductor, question, options, quiet=quiet)
    if html:
        write_run_page(result, html)
    typer.echo(_json(result) if as_json else printable(result["answer"]) if quiet else describe(result))


@command
def show(
    thread: Annotated[str, typer.Argument(help="The thread_id the run was given.")],
    saver: Annotated[
        str, typer.Option(metavar="sqlite:PATH", help="Where runs are saved: a file of SqliteSaver.")
    ],
    html: Html = None,
) -> None:
    """Show the newest run of a thread from its checkpoints, finished or interrupted. Nothing is run or changed."""
    from langgraph_conductor.cli.showing import describe_saved, saved_run

    result = saved_run(saver, thread)
    if html:
        write_run_page(result, html)
    typer.echo(describe_saved(result))


@command
def draw(
    file: Annotated[
        str | None,
        typer.Argument(help="A workflow as JSON, the output of `ask --json`, or a plan; - is stdin."),
    ] = None,
    question: Annotated[
        str | None, typer.Option(help="Plan this question, asking the planner alone, and draw the plan.")
    ] = None,
    config: Config = None,
) -> None:
    """Print a workflow as a Mermaid flow chart."""
    from langgraph_conductor.cli.asking import configured
    from langgraph_conductor.cli.drawing import planned, read_workflow

    if (file is None) == (question is None):
        raise typer.BadParameter("give either a FILE (or -) or --question")
    if question is not None:
        _need_words(question)
    workflow = read_workflow(file) if file is not None else planned(configured(config), question or "")
    typer.echo(printable(workflow.to_mermaid()))


@command
def check(
    config: Annotated[str, typer.Option("--config", "-c", help="The conductor.toml to check.")],
) -> None:
    """Read a configuration, build everything in it without any call, and print what it sets up."""
    from langgraph_conductor.cli.asking import configured

    chosen = configured(config)
    chosen.build()
    typer.echo(describe_setup(chosen))


Samples = Annotated[int, typer.Option(min=1, help="Episodes for each question.")]
Seed = Annotated[int, typer.Option(help="Seed of the samples and of random strategies.")]
Concurrency = Annotated[int, typer.Option(min=1, help="Episodes at once.")]
LimitUsd = Annotated[str | None, typer.Option(help="Most US dollars to be really paid, such as 5.00.")]
Store = Annotated[
    Path | None,
    typer.Option(dir_okay=False, help="The file replies are kept in; by default beside what is written."),
]
SuiteName = Annotated[
    str,
    typer.Argument(metavar="SUITE", help="skills, starter, a .jsonl file, gsm8k:FOLDER or mmlu:FOLDER."),
]


@command
def eval(  # noqa: A001 - the name of the command
    suite: SuiteName,
    config: Config = None,
    out: Annotated[Path, typer.Option(file_okay=False, help="The folder of the report.")] = Path(
        "evaluation"
    ),
    split: Annotated[Literal["test", "validation"], typer.Option(help="What is reported.")] = "test",
    items: Annotated[int | None, typer.Option(min=1, help="Most questions of it; all if left out.")] = None,
    train_items: Annotated[
        int | None, typer.Option(min=1, help="Most questions that strategies are chosen on.")
    ] = None,
    samples: Samples = 1,
    seed: Seed = 0,
    concurrency: Concurrency = 32,
    limit_usd: LimitUsd = None,
    profiles: Annotated[
        Path | None,
        typer.Option(help="Measured profiles; left out, they are measured on the training split."),
    ] = None,
    trained: Annotated[
        str | None, typer.Option(help="A model that was trained to conduct, as provider:model.")
    ] = None,
    second_rounds: Annotated[
        bool, typer.Option(help="Run each strategy with a second round as well.")
    ] = True,
    workflow_oracle: Annotated[
        bool, typer.Option(help="Run every candidate workflow, for the ceiling over them.")
    ] = True,
    store: Store = None,
) -> None:
    """Compare every strategy over one pool on one suite, and write a report.

    What was answered is kept: broken off, the same command goes on where it was, and repeated it costs nothing.
    """
    from langgraph_conductor.cli.asking import configured
    from langgraph_conductor.cli.evaluating import Amount, run_eval, trained_planner
    from langgraph_conductor.evals.suites import load_suite
    from langgraph_conductor.planners.profiles import Profiles

    amount = Amount(samples, seed, concurrency, limit_usd)
    complete = run_eval(
        load_suite(suite),
        configured(config),
        amount,
        out,
        store,
        split=split,
        items=items,
        train_items=train_items,
        profiles=None if profiles is None else Profiles.load(profiles),
        trained=trained_planner(trained),
        second_rounds=second_rounds,
        workflow_oracle=workflow_oracle,
    )
    if not complete:
        raise typer.Exit(BUDGET)


@command
def profile(
    suite: SuiteName,
    config: Config = None,
    out: Annotated[Path, typer.Option(dir_okay=False, help="The file to write.")] = Path("profiles.json"),
    split: Annotated[Literal["train", "validation"], typer.Option(help="What is asked.")] = "validation",
    items: Annotated[int | None, typer.Option(min=1, help="Most questions of it; all if left out.")] = None,
    samples: Samples = 1,
    seed: Seed = 0,
    concurrency: Concurrency = 32,
    limit_usd: LimitUsd = None,
    store: Store = None,
) -> None:
    """Measure each worker alone: accuracy, cost, time and form, by domain, for `profiles` of the planner."""
    from langgraph_conductor.cli.asking import configured
    from langgraph_conductor.cli.evaluating import Amount, run_profile
    from langgraph_conductor.evals.suites import load_suite

    amount = Amount(samples, seed, concurrency, limit_usd)
    chosen = configured(config)
    if not run_profile(load_suite(suite), chosen, amount, out, store, split=split, items=items):
        raise typer.Exit(BUDGET)


StageName = Literal["data", "warm_start", "grpo", "adapt", "recursion", "export"]


@command
def train(
    config: Annotated[str | None, typer.Option("--config", "-c", help="A train.toml.")] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Another value than the file's, such as grpo.steps=2; may be given again."
        ),
    ] = None,
    stage: Annotated[StageName | None, typer.Option(help="Run this stage alone.")] = None,
    first: Annotated[
        StageName | None, typer.Option("--from", help="Begin this stage and all after it anew.")
    ] = None,
    forecast: Annotated[
        bool,
        typer.Option("--forecast", help="Tell what is to come: plans, calls, money, memory; and stop."),
    ] = False,
    may_exceed: Annotated[
        bool,
        typer.Option(
            "--spend-up-to-limit", help="Start though more is forecast than limit_usd, which ends it."
        ),
    ] = False,
    example: Annotated[
        bool, typer.Option("--example", help="Print a train.toml with the paper's settings, and stop.")
    ] = False,
) -> None:
    """Train a conductor on workflows that really ran; broken off, the same command goes on where it was."""
    from langgraph_conductor.cli import training

    if example:
        typer.echo(training.example(), nl=False)
        return
    if config is None:
        raise typer.BadParameter("give --config, or --example for a file to begin with")
    training.run_training(
        config, changes or [], stage=stage, first=first, only_forecast=forecast, may_exceed=may_exceed
    )


@command
def demo() -> None:
    """Let a trained conductor and its specialists answer questions offline, and show every step."""
    from langgraph_conductor.cli.demo import run

    if not run(typer.echo):
        raise typer.Exit(1)


@command
def fetch() -> None:
    """Get the embedded model, if it is not here yet."""
    from langgraph_conductor.local.weights import smollm2_path

    typer.echo(smollm2_path())


def _need_words(question: str) -> None:
    if not question.strip():
        raise typer.BadParameter("the question is empty")


def _json(result: dict[str, Any]) -> str:
    shown = {key: result[key] for key in ("answer", "rounds", "usage", "stopped")}
    return json.dumps(shown, ensure_ascii=False, indent=2)
