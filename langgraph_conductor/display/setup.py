"""What a configuration sets up, as plain text: planner, workers, budget. Calls nobody."""

from collections.abc import Iterator
from typing import Any

from langgraph_conductor.config import ConductorConfig
from langgraph_conductor.display.words import short
from langgraph_conductor.usage import Usage
from langgraph_conductor.workers import Worker
from langgraph_conductor.workers.composed import models_in
from langgraph_conductor.workers.worker import cost_of, output_cap_of

_WIDTH = 100


def describe_setup(config: ConductorConfig) -> str:
    """What a configuration file sets up, as lines of plain text.

    Args:
        config: What `read_conductor` gave.
    """
    options = ", ".join(f"{key}={value}" for key, value in config.options.items())
    return "\n".join(
        [
            f"planner: {_planner(config.planner)}",
            *(
                line
                for n, name in config.workers.ordinals.items()
                for line in _worker(n, config.workers[name])
            ),
            f"budget:  {config.budget or 'none'}",
            *([f"options: {options}"] if options else []),
        ]
    )


def _planner(planner: Any) -> str:
    if getattr(planner, "model", None) is None:
        return "a fixed strategy, no model"
    models = models_in(planner.model) or (None,)
    said = "; or else ".join(_model(model, planner.prices) for model in models)
    form = "under a schema" if planner.structured else "in free text"
    return f"{said}; is shown workers {planner.show}, writes {form}"


def _worker(ordinal: int, worker: Worker) -> Iterator[str]:
    yield f"worker {ordinal}: {worker.name}: {_model(worker.model, worker.prices)}"
    if worker.description:
        yield f"  {short(worker.description, _WIDTH)}"
    limits = {
        "limiter": worker.limiter,
        "timeout": worker.timeout and f"{worker.timeout:g} s",
        "retries": worker.retries,
        "fallback": worker.fallback,
        "tags": ", ".join(sorted(worker.tags)),
        "tools": "yes" if worker.tools else "",
        "may be last": "" if worker.may_be_last else "no",
    }
    yield "  " + "; ".join(f"{name}: {value}" for name, value in limits.items() if value not in (None, ""))


def _model(model: Any, prices: Any) -> str:
    if model is None:
        return "no model"
    about = model._get_ls_params()
    name = f"{about.get('ls_provider') or type(model).__name__}:{about.get('ls_model_name') or '?'}"
    cap = output_cap_of(model)
    known = cost_of(Usage(calls=1, unpriced_calls=1), model, prices).usd is not None
    said = f"at most {cap} tokens a reply" if cap else "no output cap"
    return f"{name}, {said}, price {'known' if known else 'not known'}"
