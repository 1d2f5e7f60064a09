"""Every error this package raises on purpose.

    ConductorError
    ├── PlanError (ValueError)      a workflow, or the text of one, cannot be used
    ├── WorkerError                 workers failed and there is no answer without them
    ├── BudgetExceededError         a call was not made because it might cost more than is left
    ├── ConfigError (ValueError)    a conductor.toml holds a mistake
    ├── ModelError (ValueError)     a model string names no model that can be used
    ├── LocalModelError             the embedded model cannot be found, checked or served
    ├── StoreError                  the reply store cannot be read or written any more
    ├── SavedRunError               a saved run cannot go on with this conductor
    ├── ExportError                 a trained adapter cannot be written in another format
    ├── GraderError                 a grader itself failed, so that nobody knows what an answer is worth
    └── TrainingCollapsedError      a training was ended, since it no longer learns

Bad arguments (a worker name with spaces, `max_steps=0`) raise plain `ValueError` or `TypeError`.
LangGraph's own control flow (`GraphBubbleUp`: interrupts, commands to a parent) is never wrapped.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from langgraph_conductor.records import ErrorRecord, FailureKind


class ConductorError(Exception):
    """Base of all errors of this package."""


class SavedRunError(ConductorError):
    """A saved run cannot go on with this conductor; the message says what is missing and what to do.

    It was begun by an earlier version that stored runs otherwise, or a worker that it still needs is gone.
    """


class PlanError(ConductorError, ValueError):
    """A workflow cannot be used; no worker has been called for it.

    Attributes:
        reason: What is wrong and how to mend it, in one sentence a planner can act on.
        step: Position of the step at fault, from 0, or `None` if the fault is the whole's.
        text: The planner's text the workflow was read from; empty if it was built in Python.
    """

    def __init__(self, reason: str, *, step: int | None = None, text: str = "") -> None:
        self.reason = reason
        self.step = step
        self.text = text
        super().__init__(reason if step is None else f"step {step}: {reason}")


class WorkerError(ConductorError):
    """A worker failed, or every worker did, and the run has no answer.

    Attributes:
        worker: Name of the worker, or `None` when several failed.
        step: Position of its step, or `None`.
        causes: The messages of all failures, oldest first, each naming its round, step and worker.
        infrastructure: Whether outages alone are to blame.
        errors: The records of the same failures, where a run raises it.
        usage: What was used nevertheless, as `Usage.to_json()`, planner and workers together; of the step alone,
            where a step raises it. Empty where nobody counted.
    """

    def __init__(
        self,
        message: str,
        *,
        worker: str | None = None,
        step: int | None = None,
        causes: Sequence[str] = (),
        infrastructure: bool = False,
        errors: Sequence[ErrorRecord] = (),
        usage: Mapping[str, Any] | None = None,
    ) -> None:
        self.usage = dict(usage or {})
        self.worker = worker
        self.step = step
        self.causes = tuple(causes)
        self.infrastructure = infrastructure
        self.errors = tuple(errors)
        super().__init__("\n  - ".join([message, *self.causes]))


class BudgetExceededError(ConductorError):
    """A call was not made because the budget does not allow its worst case.

    A run raises it only if it has no answer at all; else it ends with the best answer it has.

    Attributes:
        limit: Which limit: `"usd"`, `"tokens"`, `"calls"` or `"seconds"`.
        causes: As in `WorkerError`, where a run raises it.
    """

    def __init__(self, message: str, *, limit: str, causes: Sequence[str] = ()) -> None:
        self.limit = limit
        self.causes = tuple(causes)
        super().__init__("\n  - ".join([message, *self.causes]))


class ConfigError(ConductorError, ValueError):
    """A configuration file holds a mistake; the message names file, table and key, and what is allowed."""


class ModelError(ConductorError, ValueError):
    """A model string names no model that can be used.

    Attributes:
        kind: `"no_key"` or `"unknown_model"`, if it is one of these.
    """

    def __init__(self, message: str, *, kind: FailureKind | None = None) -> None:
        self.kind = kind
        super().__init__(message)


class LocalModelError(ConductorError):
    """The embedded model is missing, damaged or cannot be served; the message says what to do."""


class StoreError(ConductorError):
    """The reply store failed while it was used. What it held before is still there."""


class ExportError(ConductorError):
    """A trained adapter cannot be written as llama.cpp reads it; the message says what of it."""


class GraderError(ConductorError):
    """A grader itself failed, whatever the answer; this is never a score of 0."""


class TrainingCollapsedError(ConductorError):
    """A training was ended, since it lost what it had learnt or can learn no more; the message says what to do.

    Attributes:
        step: The step after which it was ended, from 0.
    """

    def __init__(self, message: str, *, step: int) -> None:
        self.step = step
        super().__init__(message)
