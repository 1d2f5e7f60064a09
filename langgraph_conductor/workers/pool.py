"""The pool: the workers a planner may choose from, numbered once."""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from langgraph_conductor.errors import PlanError
from langgraph_conductor.workers.worker import Worker
from langgraph_conductor.workflow import Workflow


class WorkerPool:
    """Workers in order. A worker's ordinal is fixed when the pool is built.

    A trained planner knows workers by their ordinals, so leaving one out leaves a gap and moves no
    other. Iterating gives the workers; `pool[name]` gives one.

    Args:
        workers: `Worker`s, or mappings `{"name", "runnable", "description"}` with any other option of
            `Worker`.

    Raises:
        ValueError: If there is no worker, or two share a name.
        TypeError: If an item is neither form.
    """

    def __init__(self, workers: "Iterable[Worker | Mapping[str, Any]] | WorkerPool") -> None:
        self._workers: dict[int, Worker] = {}
        if isinstance(workers, WorkerPool):
            self._workers.update(workers._workers)
            return
        if isinstance(workers, Worker | Mapping):
            raise TypeError("give a list of workers, even if it is one")
        for ordinal, item in enumerate(workers):
            worker = _worker(item)
            if worker.name in (known.name for known in self._workers.values()):
                raise ValueError(f"two workers are named {worker.name!r}; names must be unique")
            self._workers[ordinal] = worker
        if not self._workers:
            raise ValueError("a pool needs at least one worker")

    @property
    def ordinals(self) -> Mapping[int, str]:
        """Ordinal -> name, with gaps where workers were left out."""
        return MappingProxyType({n: worker.name for n, worker in self._workers.items()})

    @property
    def names(self) -> tuple[str, ...]:
        """Names in order."""
        return tuple(self.ordinals.values())

    def without(self, *names: str) -> "WorkerPool":
        """The pool less some workers; the others keep their ordinals.

        Raises:
            ValueError: If a name is not in the pool, or none would be left.
        """
        for name in names:
            if name not in self.names:
                raise ValueError(f"there is no worker {name!r} to leave out; there are {self.names}")
        kept = {n: worker for n, worker in self._workers.items() if worker.name not in names}
        if not kept:
            raise ValueError("no worker would be left")
        pool = WorkerPool(self)
        pool._workers = kept
        return pool

    def check(self, workflow: Workflow, *, by_ordinal: bool = False) -> None:
        """Refuse a workflow this pool cannot run.

        Args:
            workflow: The workflow.
            by_ordinal: Whether errors name workers by ordinal, for planners that know no names.

        Raises:
            PlanError: If a worker is not in the pool, or one that may not be last is.
        """
        for i, step in enumerate(workflow.steps):
            if step.worker not in self.names:
                choice = ", ".join(self.names)
                raise PlanError(f"there is no worker {step.worker!r}; choose from {choice}", step=i)
        last = len(workflow.steps) - 1
        if not self[workflow.steps[last].worker].may_be_last:
            called = {
                worker.name: str(n) if by_ordinal else worker.name for n, worker in self._workers.items()
            }
            able = ", ".join(called[worker.name] for worker in self if worker.may_be_last)
            named = called[workflow.steps[last].worker]
            raise PlanError(f"worker {named} must not be the last; end with one of {able}", step=last)

    def __getitem__(self, name: str) -> Worker:
        for worker in self._workers.values():
            if worker.name == name:
                return worker
        raise KeyError(f"there is no worker {name!r} in this pool; there are {', '.join(self.names)}")

    def __iter__(self) -> Iterator[Worker]:
        return iter(self._workers.values())

    def __len__(self) -> int:
        return len(self._workers)

    def __repr__(self) -> str:
        return f"WorkerPool({', '.join(f'{n}: {name}' for n, name in self.ordinals.items())})"


def _worker(item: Any) -> Worker:
    if isinstance(item, Worker):
        return item
    if not isinstance(item, Mapping):
        raise TypeError(f"expected a Worker or a mapping with name and runnable, got {item!r:.80}")
    options = dict(item)
    try:
        return Worker(options.pop("name"), options.pop("runnable"), **options)
    except KeyError as error:
        raise ValueError(f"a worker mapping needs {error}; it has {sorted(item)}") from None
