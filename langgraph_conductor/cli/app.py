"""Commands: `ask`, `resume`, `show`, `draw`, `check`, `eval`, `profile`, `train`, `demo`, `fetch`.

Answers go to stdout, progress and errors to stderr.
"""

import logging
import sys
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Annotated, Final, Literal, ParamSpec

import typer

# Nothing here may import what is slow: a command says its first words before that.
from langgraph_conductor.cli.exits import BUDGET, EXIT_CODES, one_line_errors
from langgraph_conductor.cli.reporting import reported
from langgraph_conductor.cli.streams import read_stdin, starting
from langgraph_conductor.foreign_text import printable
from langgraph_conductor.text_files import write_private

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


def _version(wanted: bool) -> None:
    if wanted:
        from langgraph_conductor import __version__

        typer.echo(f"langgraph-conductor {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version, and stop."),
    ] = False,
) -> None:
    return None


AsJson = Annotated[bool, typer.Option("--json", help="Print answer, rounds and usage as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress: the answer alone.")]
FullReport = Annotated[
    bool,
    typer.Option(
        "--report",
        help="Print each step too, with what it was asked, granted and said, and what all of it took.",
    ),
]
MaxSteps = Annotated[int | None, typer.Option(min=1, help="Most steps of a workflow.")]
MaxRounds = Annotated[int | None, typer.Option(min=1, help="Most rounds of planning and running.")]
Offered = Annotated[
    list[str] | None, typer.Option("--worker", help="Name or tag of a worker to offer; may be repeated.")
]
Excluded = Annotated[
    list[str] | None, typer.Option(help="Name or tag of a worker not to offer; may be repeated.")
]
Approving = Annotated[
    bool,
    typer.Option(
        "--approve", help="Ask at the terminal before a workflow runs: accept, edit, reject or stop."
    ),
]
Tokens = Annotated[
    bool | None,
    typer.Option(
        "--tokens/--no-tokens",
        help="Show what models say as they say it; left out, where stdout is a terminal.",
    ),
]
Log = Annotated[
    Path | None,
    typer.Option(dir_okay=False, help="Append every event to this file at once, as a line of JSON."),
]
SAVER: Final = "Where runs are saved: a file of SqliteSaver, or a database of PostgresSaver."
SAVERS: Final = "sqlite:PATH|postgresql://..."
Saver = Annotated[str, typer.Option(metavar=SAVERS, help=SAVER)]


@command
def ask(
    question: Annotated[str, typer.Argument(help="What to ask; - reads it from stdin.")],
    config: Config = None,
    as_json: AsJson = False,
    report: FullReport = False,
    quiet: Quiet = False,
    max_steps: MaxSteps = None,
    max_rounds: MaxRounds = None,
    limit_usd: Annotated[str | None, typer.Option(help="Most US dollars, such as 0.50.")] = None,
    limit_seconds: Annotated[float | None, typer.Option(help="Most seconds.")] = None,
    worker: Offered = None,
    exclude: Excluded = None,
    html: Html = None,
    log: Log = None,
    tokens: Tokens = None,
    approve: Approving = False,
    saver: Annotated[str | None, typer.Option(metavar=SAVERS, help=SAVER)] = None,
    thread: Annotated[
        str | None, typer.Option(help="The name of the conversation there; `resume` and `show` take it.")
    ] = None,
) -> None:
    """Answer a question. The answer goes to stdout, progress to stderr.

    Without --config the embedded models answer. They show the method at its smallest, not quality.
    With --saver and --thread a run that was killed goes on with `resume`.
    """
    question = _question(question)
    with starting(_begins_with(config), quiet=quiet):
        from langgraph_conductor.cli.asking import (
            Manner,
            check_choice,
            check_terminal,
            check_writable,
            configured,
            limited,
            place_of,
            run,
        )

        place = place_of(saver, thread)
        chosen = configured(config)
        options = check_choice(chosen, worker, exclude)
        budget = limited(chosen.budget, limit_usd, limit_seconds)
        for file in filter(None, (html, log)):
            check_writable(file)  # before anything is paid
        if approve:
            check_terminal()
    manner = Manner(
        place=place, thread=thread or "", approve=approve, log=log, quiet=quiet, tokens=_tokens(tokens),
        stdout=not as_json,
    )  # fmt: skip
    build = partial(chosen.build, budget=budget, **_bounds(max_steps, max_rounds))
    reported(run(build, question, options, manner), manner, html, as_json=as_json, report=report)


@command
def resume(
    thread: Annotated[str, typer.Argument(help="The name `ask` was given with --thread.")],
    saver: Saver,
    config: Config = None,
    as_json: AsJson = False,
    report: FullReport = False,
    quiet: Quiet = False,
    max_steps: MaxSteps = None,
    max_rounds: MaxRounds = None,
    worker: Offered = None,
    exclude: Excluded = None,
    html: Html = None,
    log: Log = None,
    tokens: Tokens = None,
    approve: Approving = False,
) -> None:
    """Go on with a run of `ask` that was killed, interrupted or waits for a person.

    Give it the --config and the options it was begun with, but for its budget, which is saved. Nothing that was
    saved is planned, run or paid again.
    """
    with starting(_begins_with(config), quiet=quiet):
        from langgraph_conductor.cli.asking import Manner, check_choice, check_writable, configured
        from langgraph_conductor.cli.asking import resume as go_on
        from langgraph_conductor.cli.savers import Place

        place = Place.of(saver)
        chosen = configured(config)
        options = check_choice(chosen, worker, exclude)
        for file in filter(None, (html, log)):
            check_writable(file)
    manner = Manner(
        place=place,
        thread=thread,
        approve=approve,
        log=log,
        quiet=quiet,
        tokens=_tokens(tokens),
        stdout=not as_json,
    )
    build = partial(chosen.build, **_bounds(max_steps, max_rounds))
    reported(go_on(build, options, manner), manner, html, as_json=as_json, report=report)


@command
def show(
    thread: Annotated[str, typer.Argument(help="The thread_id the run was given.")],
    saver: Saver,
    html: Html = None,
) -> None:
    """Show the newest run of a thread from its checkpoints, finished or interrupted. Nothing is run or changed."""
    from langgraph_conductor.cli.savers import Place, making_sense
    from langgraph_conductor.cli.showing import describe_saved, saved_run

    place = Place.of(saver)
    result = saved_run(place, thread)
    typer.echo(printable(describe_saved(result)))
    if html:
        from langgraph_conductor.display import run_page

        with making_sense(place):
            page = run_page(result)
        write_private(html, page)


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
        question = _question(question)
    workflow = read_workflow(file) if file is not None else planned(configured(config), question or "")
    typer.echo(printable(workflow.to_mermaid()))


@command
def check(
    config: Annotated[str, typer.Option("--config", "-c", help="The conductor.toml to check.")],
    saver: Annotated[
        str | None, typer.Option(metavar=SAVERS, help="Check as well that runs can be saved there.")
    ] = None,
) -> None:
    """Read a configuration, build everything in it without any call, and print what it sets up."""
    from langgraph_conductor.cli.asking import configured, place_of_saver
    from langgraph_conductor.display import describe_setup

    chosen = configured(config)
    chosen.build()
    if saver is not None:
        place_of_saver(saver)
    typer.echo(printable(describe_setup(chosen)))


Samples = Annotated[int, typer.Option(min=1, help="Episodes for each question.")]
Seed = Annotated[int, typer.Option(help="Seed of the samples and of random strategies.")]
Concurrency = Annotated[int, typer.Option(min=1, help="Episodes at once.")]
LimitUsd = Annotated[str | None, typer.Option(help="Most US dollars to be really paid, such as 5.00.")]
Store = Annotated[
    Path | None,
    typer.Option(dir_okay=False, help="The file replies are kept in; by default beside what is written."),
]
OnlyForecast = Annotated[
    bool, typer.Option("--forecast", help="Tell what is to come: calls, money, time; and stop.")
]
Agreed = Annotated[
    bool,
    typer.Option(
        "--yes",
        "-y",
        help="Pay what is forecast without a question; else it is asked from $1 up, and where prices are unknown.",
    ),
]
SuiteName = Annotated[
    str,
    typer.Argument(
        metavar="SUITE",
        help="skills, starter, tiny (for the embedded models), a .jsonl file, gsm8k:FOLDER or mmlu:FOLDER.",
    ),
]
AllowCode = Annotated[
    bool,
    typer.Option(
        "--allow-code",
        help="Let a .jsonl file name graders of its own (module:function): code, run with your rights.",
    ),
]


@command
def eval(  # noqa: A001 - the name of the command
    suite: SuiteName,
    config: Config = None,
    out: Annotated[Path, typer.Option(file_okay=False, help="The folder of the report.")] = Path(
        "evaluation"
    ),
    split: Annotated[Literal["test", "validation"], typer.Option(help="What is reported.")] = "test",
    items: Annotated[
        int | None,
        typer.Option(min=1, help="Most questions of it, and of the training split; all if left out."),
    ] = None,
    train_items: Annotated[
        int | None,
        typer.Option(min=1, help="Most questions that strategies are chosen on; as --items if left out."),
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
    turns: Annotated[
        bool, typer.Option("--turns", help="Run the planner's model turn by turn as well.")
    ] = False,
    second_rounds: Annotated[
        bool, typer.Option(help="Run each strategy with a second round as well.")
    ] = True,
    workflow_oracle: Annotated[
        bool, typer.Option(help="Run every candidate workflow, for the ceiling over them.")
    ] = True,
    allow_code: AllowCode = False,
    store: Store = None,
    forecast: OnlyForecast = False,
    yes: Agreed = False,
) -> None:
    """Compare every strategy over one pool on one suite, and write a report.

    What was answered is kept: broken off, the same command goes on where it was, and repeated it costs nothing.
    """
    with starting(f"reading {printable(suite)}", stays=False):
        from langgraph_conductor.cli.asking import configured
        from langgraph_conductor.cli.evaluating import Amount, run_eval, trained_planner
        from langgraph_conductor.evals.suites import load_suite
        from langgraph_conductor.planners.profiles import Profiles

        tasks, chosen = load_suite(suite, allow_code=allow_code), configured(config)
        measured = None if profiles is None else Profiles.load(profiles)
        planner = trained_planner(trained)
    complete = run_eval(
        tasks,
        chosen,
        Amount(samples, seed, concurrency, limit_usd, forecast, yes),
        out,
        store,
        split=split,
        items=items,
        train_items=train_items,
        profiles=measured,
        trained=planner,
        second_rounds=second_rounds,
        turns=turns,
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
    allow_code: AllowCode = False,
    store: Store = None,
    forecast: OnlyForecast = False,
    yes: Agreed = False,
) -> None:
    """Measure each worker alone: accuracy, cost, time and form, by domain, for `profiles` of the planner."""
    with starting(f"reading {printable(suite)}", stays=False):
        from langgraph_conductor.cli.asking import configured
        from langgraph_conductor.cli.evaluating import Amount, run_profile
        from langgraph_conductor.evals.suites import load_suite

        tasks, chosen = load_suite(suite, allow_code=allow_code), configured(config)
    amount = Amount(samples, seed, concurrency, limit_usd, forecast, yes)
    if not run_profile(tasks, chosen, amount, out, store, split=split, items=items):
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


def _question(given: str) -> str:
    """The question, read from stdin if that is what `-` asks for.

    Raises:
        typer.BadParameter: If it is empty.
    """
    question = read_stdin() if given == "-" else given
    if not question.strip():
        raise typer.BadParameter("the question is empty")
    return question


def _begins_with(config: str | None) -> str:
    return "starting the embedded models" if config is None else f"reading {printable(config)}"


def _bounds(max_steps: int | None, max_rounds: int | None) -> dict[str, int]:
    given = {"max_steps": max_steps, "max_rounds": max_rounds}
    return {name: value for name, value in given.items() if value is not None}


def _tokens(said: bool | None) -> bool:
    return sys.stdout.isatty() if said is None else said
