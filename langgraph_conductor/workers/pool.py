"""The pool: the workers a planner may choose from, numbered once."""

import random
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from os import PathLike
from types import MappingProxyType
from typing import Any

from langgraph_conductor.conversation import question_blocks
from langgraph_conductor.errors import PlanError
from langgraph_conductor.workers.estimate import Estimate, estimate
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
        self.memo: dict[str, Any] = {}  # what others worked out for it, as long as it lives
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
        for worker in self:
            if worker.fallback and worker.fallback not in self.names:
                raise ValueError(
                    f"worker {worker.name!r}: its fallback {worker.fallback!r} is not in the pool: {self.names}"
                )

    @classmethod
    def from_config(
        cls, path: str | PathLike[str], *, embedded: Callable[..., Worker] | None = None
    ) -> "WorkerPool":
        """The workers of a `conductor.toml`; the rest of the file is not used.

        Args:
            path: The file.
            embedded: `langgraph_conductor.local.worker`, where workers with `local = "..."` are allowed.

        Raises:
            ConfigError: If something there is wrong; it names the place and what is allowed.
            ImportError: If a model or MCP tools need a package that is not installed.
        """
        from langgraph_conductor.workers.config import pool_of, read_config

        return pool_of(read_config(path), embedded)

    @property
    def ordinals(self) -> Mapping[int, str]:
        """Ordinal -> name, with gaps where workers were left out."""
        return MappingProxyType({n: worker.name for n, worker in self._workers.items()})

    @property
    def names(self) -> tuple[str, ...]:
        """Names in order."""
        return tuple(self.ordinals.values())

    def only(self, *chosen: str) -> "WorkerPool":
        """The pool cut to the workers with one of these names or tags; they keep their ordinals.

        Raises:
            ValueError: If something chosen is neither a name nor a tag of the pool.
        """
        return self._kept(self._matching(chosen))

    def without(self, *excluded: str) -> "WorkerPool":
        """The pool less the workers with one of these names or tags; the others keep their ordinals.

        Raises:
            ValueError: If something excluded is neither a name nor a tag of the pool, or none would be left.
        """
        return self._kept(set(self._workers) - self._matching(excluded))

    def known(self, words: Iterable[str]) -> list[str]:
        """Those of `words` that are names or tags of the pool."""
        mine = set(self.names).union(*(worker.tags for worker in self))
        return [word for word in words if word in mine]

    def joined_by(self, worker: Worker) -> "WorkerPool":
        """The pool and one more worker, under the next ordinal.

        Raises:
            ValueError: If its name is taken.
        """
        if worker.name in self.names:
            raise ValueError(f"two workers are named {worker.name!r}; names must be unique")
        pool = WorkerPool(self)
        pool._workers[max(self._workers) + 1] = worker
        return pool

    def sample(self, k: int, seed: int) -> "WorkerPool":
        """`k` workers drawn at random, the same for the same seed; one of them may be last.

        Raises:
            ValueError: If there are fewer than `k`, or none that may be last.
        """
        if type(k) is not int or not 1 <= k <= len(self):
            raise ValueError(f"cannot draw {k!r} of {len(self)} workers")
        draw = random.Random(f"sample:{seed}")  # noqa: S311 - no secret is made here
        able = [n for n, worker in self._workers.items() if worker.may_be_last]
        if not able:
            raise ValueError("no worker may be last, so no sample could end a workflow")
        drawn = draw.sample(sorted(self._workers), k)
        if not set(drawn) & set(able):
            drawn[-1] = draw.choice(able)
        return self._kept(set(drawn))

    def permuted(self, seed: int) -> "WorkerPool":
        """The pool with its ordinals dealt anew at random, the same for the same seed.

        For planners that are shown names or descriptions: one that knows workers by their ordinals
        alone would ask the wrong ones.
        """
        numbers = sorted(self._workers)
        random.Random(f"permuted:{seed}").shuffle(numbers)  # noqa: S311 - no secret is made here
        dealt = dict(zip(numbers, self._workers.values(), strict=True))
        pool = WorkerPool(self)
        pool._workers = dict(sorted(dealt.items()))
        return pool

    def offered(
        self,
        *,
        workers: Iterable[str] | None = None,
        exclude: Iterable[str] = (),
        sample: tuple[int, int] | None = None,
        permute: int | None = None,
    ) -> "WorkerPool":
        """The pool as one run offers it: `only`, `without`, `sample` and `permuted`, in this order.

        Raises:
            ValueError: As they do, or if no worker that may be last is left.
        """
        pool = self if workers is None else self.only(*workers)
        pool = pool.without(*exclude) if exclude else pool
        pool = pool if sample is None else pool.sample(*sample)
        pool = pool if permute is None else pool.permuted(permute)
        if not any(worker.may_be_last for worker in pool):
            raise ValueError(
                f"none of the workers {', '.join(pool.names)} may be last, so no workflow could end"
            )
        return pool

    def stand_in(self, worker: Worker, *, is_final: bool) -> Worker | None:
        """Who is asked where `worker` fails: its fallback, if that is offered and may stand there."""
        if worker.fallback is None or worker.fallback not in self.names:
            return None
        fallback = self[worker.fallback]
        return None if is_final and not fallback.may_be_last else fallback

    def _matching(self, words: Iterable[str]) -> set[int]:
        matching: set[int] = set()
        for word in words:
            found = {n for n, worker in self._workers.items() if worker.name == word or word in worker.tags}
            if not found:
                tags = sorted(set().union(*(worker.tags for worker in self)))
                raise ValueError(
                    f"there is no worker named or tagged {word!r}; names are {', '.join(self.names)}"
                    + (f", tags {', '.join(tags)}" if tags else "")
                )
            matching |= found
        return matching

    def _kept(self, ordinals: set[int]) -> "WorkerPool":
        if not ordinals:
            raise ValueError("no worker would be left")
        pool = WorkerPool(self)
        pool._workers = {n: worker for n, worker in self._workers.items() if n in ordinals}
        return pool

    def check(self, workflow: Workflow, *, by_ordinal: bool = False, over: Container[int] = ()) -> None:
        """Refuse a workflow this pool cannot run.

        Args:
            workflow: The workflow.
            by_ordinal: Whether errors name workers by ordinal, for planners that know no names.
            over: Positions of steps that have run already, and need no worker.

        Raises:
            PlanError: If a worker is not in the pool, or one that may not be last is.
        """
        for i, step in enumerate(workflow.steps):
            if step.worker not in self.names and i not in over:
                choice = ", ".join(self.names)
                raise PlanError(f"there is no worker {step.worker!r}; choose from {choice}", step=i)
        last = len(workflow.steps) - 1
        if last not in over and not self[workflow.steps[last].worker].may_be_last:
            called = {
                worker.name: str(n) if by_ordinal else worker.name for n, worker in self._workers.items()
            }
            able = ", ".join(called[worker.name] for worker in self if worker.may_be_last)
            named = called[workflow.steps[last].worker]
            raise PlanError(f"worker {named} must not be the last; end with one of {able}", step=last)

    def estimate(
        self, workflow: Workflow, question: str | Sequence[Any], *, reply_tokens: int = 500
    ) -> Estimate:
        """What the workers of a workflow use in the worst case, and what they are likely to use.

        Nothing is called. Prompts are counted as a budget counts them (`Budget`) for the worst case, and by
        four characters a token for the likely one.

        Args:
            workflow: The workflow.
            question: The question, as text or content blocks.
            reply_tokens: The usual length of a reply, in tokens.

        Raises:
            PlanError: If a worker is not in the pool, or one that may not be last is.
        """
        self.check(workflow)
        workers = {worker.name: worker for worker in self}
        return estimate(workers, workflow, question_blocks(question), reply_tokens)

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
