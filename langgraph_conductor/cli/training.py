"""`langgraph-conductor train`: a training at the command line, its progress on stderr."""

from collections.abc import Sequence
from importlib.resources import files

import typer

from langgraph_conductor.cli.exits import say
from langgraph_conductor.train.config import Stage, TrainConfig, change


def example() -> str:
    """The paper's settings as a file to begin with."""
    return files("langgraph_conductor.train").joinpath("paper.toml").read_text(encoding="utf-8")


def run_training(
    config: str,
    changes: Sequence[str],
    *,
    stage: Stage | None,
    first: Stage | None,
    only_forecast: bool,
    may_exceed: bool,
) -> None:
    """Forecast, or run the stages.

    Args:
        config: The `train.toml`.
        changes: Of its values, as `grpo.steps=2`.
        stage: The one stage to run.
        first: The stage to begin anew from.
        only_forecast: Tell what is to come, and stop.
        may_exceed: Start though more is forecast than the limit.

    Raises:
        ConfigError: If something does not fit together.
        ImportError: If the extra `train` is missing.
        BudgetExceededError: If the limit was reached.
    """
    from langgraph_conductor.train.stages import expected, train

    loaded = TrainConfig.load(config, dict(map(change, changes)))
    if only_forecast:
        typer.echo("\n".join(expected(loaded).lines()))
        return
    _need_packages(loaded)
    folder = train(loaded, stage=stage, first=first, may_exceed=may_exceed, tell=say)
    typer.echo(str(folder))


def _need_packages(config: TrainConfig) -> None:
    needed = ["torch", "transformers"]
    needed += ["peft"] if config.model.lora else []
    needed += ["accelerate", "datasets", "trl"] if config.trainer == "trl" else []
    for package in needed:
        try:
            __import__(package)
        except ImportError as error:
            install = "pip install 'langgraph-conductor[train]'"
            raise ImportError(f"training needs {package}: {install}") from error
