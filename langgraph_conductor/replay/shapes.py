"""Rows of the reply store as pydantic sees them: a row that was damaged is told from one that was written."""

from typing import Annotated, Any, Final, NotRequired

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

_Count = Annotated[int, Field(ge=0)]
_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Usd = Annotated[str, Field(pattern=r"^\d+(\.\d+)?(E[+-]?\d+)?$")]
_LENIENT: Final = ConfigDict(strict=True, extra="allow")
_WHOLE: Final = ConfigDict(strict=True, extra="forbid")


@with_config(_WHOLE)
class _Usage(TypedDict):
    calls: NotRequired[_Count]
    input_tokens: NotRequired[_Count]
    output_tokens: NotRequired[_Count]
    cached_tokens: NotRequired[_Count]
    reasoning_tokens: NotRequired[_Count]
    usd: NotRequired[_Usd | None]
    unpriced_calls: NotRequired[_Count]
    busy_seconds: NotRequired[_Seconds]


@with_config(_LENIENT)
class _Call(TypedDict):
    worker: str
    model: str
    seconds: _Seconds
    usage: _Usage


@with_config(_LENIENT)
class _Account(TypedDict):
    calls: list[_Call]
    most: list[Annotated[list[int | str | None], Field(min_length=3, max_length=3)]]
    seconds: _Seconds


@with_config(_WHOLE)
class _WorkerFailure(TypedDict):
    type: str
    message: str


@with_config(_LENIENT)
class _Text(_Account):
    text: Annotated[str, Field(min_length=1)]


@with_config(_LENIENT)
class _FailedWorker(_Account):
    failure: _WorkerFailure


@with_config(_WHOLE)
class _PlanFailure(TypedDict):
    reason: str
    step: int | None
    text: str


@with_config(_LENIENT)
class _Plan(_Account):
    workflow: dict[str, Any] | None
    reached: str
    text: str
    attempts: list[dict[str, Any]]
    usage: _Usage
    final: bool


@with_config(_LENIENT)
class _FailedPlan(_Account):
    failure: _PlanFailure
    attempts: list[dict[str, Any]]
    usage: _Usage


@with_config(_LENIENT)
class _Part(TypedDict):
    error: dict[str, Any] | None
    usage: _Usage
    seconds: _Seconds


@with_config(_LENIENT)
class _PlanRecord(_Part):
    reached: str
    text: str


@with_config(_LENIENT)
class _Step(_Part):
    index: _Count
    worker: str
    text: str
    status: str


@with_config(_LENIENT)
class _Round(TypedDict):
    round: _Count
    accepted: bool
    workflow: dict[str, Any] | None
    plan: _PlanRecord
    steps: list[_Step]
    answer: str
    final: bool
    wall_seconds: float


@with_config(_WHOLE)
class _Run(TypedDict):
    task: str
    answer: str
    score: float | None
    valid: bool
    reached: str
    rounds: list[_Round]
    planner: _Usage
    workers: _Usage
    wall_seconds: _Seconds
    seed: int
    infra: str
    error: str
    stopped: str


WORKER_REPLY: Final = TypeAdapter[Any](_Text | _FailedWorker)
PLAN_REPLY: Final = TypeAdapter[Any](_Plan | _FailedPlan)
RUN: Final = TypeAdapter[Any](_Run)


def fault(shape: TypeAdapter[Any], row: dict[str, Any]) -> str:
    """What is wrong with a row, in a few words without what it holds; empty if nothing is.

    Args:
        shape: What it is to be.
        row: Its JSON.
    """
    try:
        shape.validate_python(row)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        return f"`{place}`: {first['msg']}" if place else first["msg"]
    except RecursionError:
        return "it is nested too deeply"
    if len(row.get("calls", ())) != len(row.get("most", ())):
        return "`calls` and `most` differ in length"
    return ""
