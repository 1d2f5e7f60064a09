"""The model provider `conductor/...`: an Inspect task asks a conductor as it asks a model."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from inspect_ai.model import (
    ChatMessage,
    GenerateConfig,
    Model,
    ModelAPI,
    ModelCall,
    ModelOutput,
    RetryDecision,
    ServedModelUsage,
)
from inspect_ai.tool import ToolChoice, ToolInfo

from langgraph_conductor.config import ConductorConfig, read_conductor
from langgraph_conductor.errors import WorkerError
from langgraph_conductor.evals.inspect_ext.messages import to_langchain
from langgraph_conductor.evals.inspect_ext.running import account, ask, cleaned, output_of
from langgraph_conductor.evals.inspect_ext.usage import by_worker, count_as_roles, model_usage, served
from langgraph_conductor.foreign_text import package_logger
from langgraph_conductor.planners.protocol import secrets_of_planner
from langgraph_conductor.usage import Usage

logger = package_logger(__name__)

_OF_INSPECT: Final = frozenset(
    {
        "adaptive_connections", "attempt_timeout", "cache", "fail_on_refusal", "max_connections", "max_retries",
        "max_tool_output", "reasoning_history", "stream_idle_timeout", "system_message", "timeout",
    }
)  # fmt: skip
"""Settings that Inspect itself sees to."""

_REFUSED: Final[Mapping[str, Any]] = {
    "num_choices": 1, "best_of": 1, "logprobs": False, "top_logprobs": 0, "prompt_logprobs": 0, "modalities": [],
    "stop_seqs": [], "response_schema": None, "fallback_models": [], "batch": False,
}  # fmt: skip
"""Settings that change what an answer is, so that leaving them out would falsify a score, and what each may be."""


class ConductorAPI(ModelAPI):
    """A conductor as a model of Inspect: `--model conductor/<path of a conductor.toml>`.

    Conversations go in as messages; the answer comes back. The log's output metadata, under `conductor`, has
    plans, steps and usage; `stats.model_usage` the tokens and money of the whole, `stats.role_usage` those of the
    planner and of each worker. Money is told only where the price of every call is known.

    * Tools of the task are refused: workers have tools of their own.
    * Settings that Inspect sees to (`max_connections`, `max_retries`, ...) hold. Those that change the form of
      an answer (`num_choices`, `stop_seqs`, `response_schema`, ...) are refused. All others (`temperature`,
      `max_tokens`, `seed`, ...) belong to the models in the file: a warning says once that they are ignored, and
      each output's metadata names them under `ignored`.
    * If an outage took part, also in one step of several, the call fails, and Inspect repeats it (by default
      without end: see `--max-retries`), unless a timeout of the file ended it. A key or model that is wrong
      fails at once. Where models refuse or say nothing, the answer is empty and `ModelOutput.error` says why. What
      a failed call paid stands in its `ModelCall` in the log, not in `stats`.
    * If the budget ended the run, `stop_reason` is `max_tokens` and the metadata's `stopped` says which limit did.

    Args:
        model_name: What stands behind `conductor/`: the path of the file. An absolute one makes two slashes.
        base_url: Must be left out.
        api_key: Must be left out.
        config: Inspect's settings.
        file: The path of the file (`-M file=...`), where `model_name` shall be a name only.
        graph: A graph of `create_conductor` in place of a file, see `conductor_model`.
        model_args: Others are refused.

    Raises:
        ConfigError: If the file holds a mistake.
        ValueError: If an argument is not known.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig | None = None,
        file: str | None = None,
        graph: Any = None,
        **model_args: Any,
    ) -> None:
        given = {**model_args, "base_url": base_url, "api_key": api_key}
        if unknown := sorted(name for name, value in given.items() if value is not None):
            raise ValueError(
                f"conductor/{model_name}: {', '.join(unknown)} cannot be given: the file names its models; "
                "`file` can"
            )
        super().__init__(model_name, config=config or GenerateConfig())
        self._warned: set[str] = set()
        self._secrets: tuple[str, ...] = ()
        self._source: dict[str, str] = {"conductor": model_name}
        self.graph = graph
        if graph is None:
            path = Path(file or model_name).expanduser()
            read = read_conductor(path)
            self.graph = read.build()
            self._secrets = _secrets(read)
            self._source["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()

    async def generate(
        self,
        input: list[ChatMessage],  # noqa: A002 - Inspect's name
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput | tuple[ModelOutput | Exception, ModelCall]:
        """Ask the conductor.

        Raises:
            ValueError: If tools or settings are given that it cannot honour, or there is no question.
        """
        if tools:
            names = ", ".join(tool.name for tool in tools)
            raise ValueError(
                f"a conductor takes no tools of the task ({names}): give them to its workers, in the file"
            )
        ignored = self._ignored(config)
        run = await ask(self.graph, to_langchain(input))
        about = {**self._source, **account(run, self._secrets), "ignored": ignored}
        call = ModelCall.create(
            {**self._source, "messages": [message.model_dump(exclude_none=True) for message in input]},
            cleaned({"answer": run.answer, "rounds": run.rounds, "usage": run.usage}, self._secrets),
        )
        if run.outage:
            return run.outage, call
        parts = by_worker(run.usage)
        output = output_of(run, self.model_name, about, self._secrets)
        output.usage = model_usage(Usage.from_json(run.usage["total"]))
        count_as_roles(parts)
        return output, call

    def _ignored(self, config: GenerateConfig) -> list[str]:
        """The settings that are ignored, after a warning of each."""
        given = {
            name: value
            for name, value in config.model_dump(exclude_none=True).items()
            if name not in _OF_INSPECT and value != _REFUSED.get(name, ...)
        }
        if refused := sorted(given.keys() & _REFUSED):
            raise ValueError(
                f"a conductor cannot honour {', '.join(refused)}: leave them out, or set what is like them on the "
                "models in its file"
            )
        if fresh := sorted(given.keys() - self._warned):
            self._warned.update(fresh)
            logger.warning(
                "conductor/%s: %s ignored; set them on the models in its file",
                self.model_name,
                ", ".join(fresh),
            )
        return sorted(given)

    def served_model_usage(self, output: ModelOutput) -> list[ServedModelUsage] | None:
        """What each worker of a call cost, which Inspect adds up and holds against `--cost-limit`."""
        about = (output.metadata or {}).get("conductor")
        return served(by_worker(about["usage"])) if about else None

    def should_retry(self, ex: Exception) -> RetryDecision:
        """Whether a failed call may be repeated: after an outage, but not one of time or credit."""
        error = ex if isinstance(ex, WorkerError) else ex.__cause__
        if not isinstance(error, WorkerError) or not error.infrastructure:
            return RetryDecision.no()
        kinds = {record.get("kind") for record in error.errors}
        if kinds & {"timeout", "billing"}:
            return RetryDecision.no()
        return RetryDecision.rate_limit() if "rate_limited" in kinds else RetryDecision.transient()

    def connection_key(self) -> str:
        """Each conductor has connections of its own."""
        return self.model_name


def conductor_model(graph: Any, name: str = "conductor") -> Model:
    """A conductor built in Python as a model of Inspect, for `inspect_ai.eval(..., model=...)`.

    Args:
        graph: What `create_conductor` gave.
        name: Its name in logs, behind `conductor/`.
    """
    from langgraph_conductor.evals.inspect_ext.registry import conductor

    build: Any = conductor  # the registered one, whose instances Inspect knows the provider of
    api = build(name, graph=graph)
    model = Model(api, GenerateConfig())
    api.qualified_model_name = str(model)
    return model


def _secrets(config: ConductorConfig) -> tuple[str, ...]:
    planner = secrets_of_planner(config.planner)
    return (*planner, *(secret for worker in config.workers for secret in worker.secrets))
