"""`train.toml`: a training as a file. Each stage has a section; a stage whose section is missing is left out.

    folder = "runs/first"
    limit_usd = "50"
    [model]
    name = "Qwen/Qwen2.5-7B-Instruct"
    [pool]
    config = "conductor.toml"
    [data]
    suites = ["tasks.jsonl"]
    [grpo]
    steps = 200

`paper.toml`, beside this module, has every setting. Every mistake is one `ConfigError` that says where it is.
"""

import tomllib
from collections.abc import Mapping
from copy import deepcopy
from decimal import Decimal
from os import PathLike
from pathlib import Path
from typing import Any, Final, Literal, Self, get_args

from pydantic import BaseModel, Field, ValidationError, model_validator

from langgraph_conductor.errors import ConfigError
from langgraph_conductor.planners.showing import Show
from langgraph_conductor.tables import Table, unknown
from langgraph_conductor.train.learning.advantages import Recursion, advantages_of
from langgraph_conductor.train.learning.collapse import Limits
from langgraph_conductor.train.learning.groups import Adaptive
from langgraph_conductor.train.learning.rewards import Rewards
from langgraph_conductor.train.learning.settings import (
    Compute,
    Imitation,
    Improvement,
    Lora,
    Settings,
    Vllm,
)
from langgraph_conductor.workers.config_secrets import refuse_secrets

Stage = Literal["data", "warm_start", "grpo", "adapt", "recursion", "export"]
STAGES: Final[tuple[Stage, ...]] = get_args(Stage)
"""The stages, in the order in which they run; each has a section of this name."""


class Shape(Settings):
    """Sizes of a decoder of the Llama or Qwen2 family, for forecasts of memory without its files."""

    layers: int = Field(ge=1)
    hidden: int = Field(ge=1)
    heads: int = Field(ge=1)
    kv_heads: int = Field(ge=1)
    mlp: int = Field(ge=1)
    vocabulary: int = Field(ge=1)
    tied: bool = False
    """Whether the head is the table of embeddings."""


class Model(Settings):
    """The model that becomes a conductor."""

    name: str = Field(min_length=1)
    """A folder of transformers, or a name it knows."""
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """What is computed in. Weights that are trained are kept in float32 all the same."""
    lora: Lora | None = None
    """Train an adapter; left out, all weights."""
    shape: Shape | None = None


class Prompt(Settings):
    """What it is shown."""

    show: Show = "anonymous"
    """The paper's conductor knows workers by number alone; then they keep their numbers for ever."""
    prefill: str = ""
    """How every plan begins; written for it, and not learnt."""
    max_steps: int = Field(5, ge=1)
    permute: bool = False
    """Deal the numbers of the workers anew for each question; only where they are described."""
    examples: bool = True
    """Whether worked plans are shown, from domains that are in no suite."""


class Pool(Settings):
    """The workers."""

    config: str = Field(min_length=1)
    """A `conductor.toml`; its workers are taken, and nothing else."""
    workers: tuple[str, ...] = ()
    """Names or tags; left out, all."""


class Data(Settings):
    """Stage 1: the tasks."""

    suites: tuple[str, ...] = Field(min_length=1)
    """Suites as `eval` takes them; their training splits are used."""
    allow_code: bool = False
    """Let suites that are files name graders of their own (`module:function`): code, run with your rights."""
    domains: tuple[str, ...] = ()
    """Only these; left out, all."""
    most: int | None = Field(None, ge=1)
    """Most tasks, drawn evenly over domains."""
    disagreement: bool = False
    """Keep tasks that some workers get right and some wrong. Every worker is asked every task for it."""
    samples: int = Field(1, ge=1)
    """Answers of each worker to each task, for `disagreement`."""


class WarmStart(Settings):
    """Stage 2: learning from plans that ran and were right."""

    source: Literal["policy", "random"] = "policy"
    """Who writes the first plans: the model itself, or chance (valid workflows of random shape and workers)."""
    questions: int = Field(200, ge=1)
    samples: int = Field(8, ge=2)
    """Plans of each question."""
    keep: int = Field(2, ge=1)
    """Most plans of a question to learn from; unlike ones first."""
    worth: Literal["right", "ran"] = "right"
    """`"ran"` teaches the form alone: valid plans, whatever came out."""
    turns: int = Field(1, ge=1, le=4)
    """Times of sampling and learning; from the second on the model taught so far writes the plans."""
    most_steps: int = Field(3, ge=1)
    """Of random plans."""
    subtasks: tuple[str, ...] = Field(("Solve the question and give the answer.",), min_length=1)
    """What steps of random plans are told that read no other step; one is drawn."""
    subtasks_reading: tuple[str, ...] = Field(
        ("Use the work you are given to answer the question.",), min_length=1
    )
    """The same for steps that read earlier ones."""
    imitation: Imitation = Imitation()


class Adapt(Adaptive):
    """Stage 4: some of the workers for each question."""

    steps: int = Field(20, ge=1)
    """The other settings are those of `[grpo]`."""


class SecondRounds(Recursion):
    """Stage 5: half of each group goes on from an earlier round of the same question."""

    questions: int | None = Field(None, ge=1)
    """Most questions; left out, all."""
    first_rounds: int = Field(8, ge=2)
    """First rounds of each question, written and run before; the others go on from them."""


class Export(Settings):
    """Stage 6: files for servers: an adapter for vLLM and for llama.cpp, or the whole model, and a card."""


class Assumed(Settings):
    """What a forecast takes for granted as long as nothing was measured."""

    steps: float = Field(3, ge=1)
    """Steps of a plan; 3 is what the paper's conductor came to."""
    reply_tokens: int = Field(500, ge=1)
    """Tokens of a worker's reply."""
    prompt_tokens: int = Field(2048, ge=1)
    """Tokens of what the model in training is shown."""


class TrainConfig(Settings):
    """A training: the model, its workers, the tasks, and the stages."""

    folder: str = Field(min_length=1)
    """Where everything is written."""
    trainer: Literal["trl", "plain"] = "trl"
    seed: int = 0
    concurrency: int = Field(64, ge=1)
    """Episodes at once; limits of workers hold across all of them."""
    limit_usd: Decimal | None = Field(None, gt=0)
    """What the whole training may really pay; without it nothing is paid."""
    replies: Literal["shared", "per_rollout"] = "shared"
    """See `scoring.Scorer`."""
    model: Model
    prompt: Prompt = Prompt()
    pool: Pool | None = None
    rewards: Rewards = Rewards()
    compute: Compute = Compute()
    vllm: Vllm | None = None
    collapse: Limits | None = None
    """What ends a training that cannot recover; left out, nothing does."""
    assumed: Assumed = Assumed()
    data: Data
    warm_start: WarmStart | None = None
    grpo: Improvement | None = None
    adapt: Adapt | None = None
    recursion: SecondRounds | None = None
    export: Export | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.vllm and self.trainer == "plain":
            raise ValueError('[vllm] needs trainer = "trl"')
        if self.prompt.permute and self.prompt.show == "anonymous":
            raise ValueError(
                '[prompt] permute needs show = "described": the model knows workers by number alone'
            )
        if self.recursion:
            advantages_of(self.recursion)
            rollouts = self.improvement("recursion").rollouts
            if not 0 < round(self.recursion.share * rollouts) < rollouts:
                raise ValueError(
                    f"[recursion] share leaves {rollouts} rollouts without first or second rounds"
                )
        if self.warm_start and self.warm_start.most_steps > self.prompt.max_steps:
            raise ValueError("[warm_start] most_steps is more than [prompt] max_steps")
        return self

    @classmethod
    def load(cls, path: str | PathLike[str], changes: Mapping[str, Any] | None = None) -> "TrainConfig":
        """Read a file. Paths in it start from where it lies.

        Args:
            path: The file.
            changes: Values that take the place of the file's, by key, such as `{"grpo.steps": 2}`.

        Raises:
            ConfigError: If something there is wrong; the message names the key and what is allowed.
        """
        table = Table.of_file(path)
        values = deepcopy(dict(table.values))
        for key, value in (changes or {}).items():
            _put(values, key, value)
        refuse_secrets(Table(table.file, "", values))
        try:
            config = cls.model_validate(values)
        except ValidationError as error:
            raise ConfigError("\n  - ".join(_told(table.file, one) for one in error.errors())) from None
        return config.beside(Path(path).parent)

    def beside(self, base: Path) -> "TrainConfig":
        """The same with its paths starting from `base`."""
        data = self.data.model_copy(
            update={"suites": tuple(_suite(name, base) for name in self.data.suites)}
        )
        pool = self.pool and self.pool.model_copy(update={"config": str(base / self.pool.config)})
        name = base / self.model.name
        model = self.model.model_copy(update={"name": str(name)}) if name.is_dir() else self.model
        paths = {"folder": str(base / self.folder), "data": data, "pool": pool, "model": model}
        return self.model_copy(update=paths)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages that have a section."""
        return tuple(stage for stage in STAGES if getattr(self, stage) is not None)

    def improvement(self, stage: Stage) -> Improvement:
        """How a stage learns from rewards: as `[grpo]` says, with steps of its own."""
        base = self.grpo or Improvement()
        steps = {
            "adapt": self.adapt and self.adapt.steps,
            "recursion": self.recursion and self.recursion.iterations,
        }
        return base.model_copy(update={"steps": steps.get(stage) or base.steps})


def change(words: str) -> tuple[str, Any]:
    """A change written as `grpo.steps=2`; the value is TOML, or else text.

    Raises:
        ConfigError: If there is no `=`.
    """
    key, equals, value = words.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"a change is written key=value, such as grpo.steps=2, not {words!r}")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    *outer, last = key.split(".")
    for part in outer:
        values = values.setdefault(part, {})
        if not isinstance(values, dict):
            raise ConfigError(f"{key} cannot be changed: {part} is not a section")
    values[last] = value


def _suite(name: str, base: Path) -> str:
    kind, colon, folder = name.partition(":")
    if name.endswith(".jsonl"):
        return str(base / name)
    return f"{kind}:{base / folder}" if colon else name


def _told(file: str, error: Any) -> str:
    """One mistake: file, section, key, what is wrong, what is allowed."""
    *sections, key = [str(part) for part in error["loc"]] or [""]
    where = Table(file, f"[{'.'.join(sections)}]" if sections else "", {})
    if error["type"] == "extra_forbidden":
        return str(where.error(unknown("key", key, _keys(sections)), key))
    said = error["msg"].removeprefix("Value error, ")
    return str(where.error("is missing" if error["type"] == "missing" else said, key))


def _keys(sections: list[str]) -> list[str]:
    """The keys of a section."""
    model: type[BaseModel] = TrainConfig
    for section in sections:
        kinds = (model.model_fields[section].annotation, *get_args(model.model_fields[section].annotation))
        model = next(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel))
    return list(model.model_fields)
