"""Options of one run, given under `config["configurable"]["conductor"]`.

    conductor.invoke(question, {"configurable": {"conductor": {"max_rounds": 2}}})

They bind the conductor they are given to, not conductors that are its workers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from langgraph_conductor.budget import Budget
from langgraph_conductor.records import RoundRecord
from langgraph_conductor.workflow import Workflow

OPTIONS: Final = "conductor"


@dataclass(frozen=True, slots=True)
class Options:
    """What may differ from run to run.

    Args:
        max_steps: Most steps of a workflow that is read from a planner's text.
        max_rounds: Most rounds.
        budget: What the run may use, as `Budget` or a mapping of its limits.
        workers: Names and tags of the workers that are offered; all if left out.
        exclude: Names and tags of workers that are not.
        sample: `(k, seed)`: of these, `k` drawn at random are offered.
        permute: A seed: the offered workers' ordinals are dealt anew at random. Only for planners that
            are shown names or descriptions.
        rounds: Rounds of an earlier run of the same question: the run goes on from them. They count for
            `max_rounds`, and their usage is in the result's, but a budget is for the rounds to come.
        tokens: Whether events tell of tokens, where a model streams: one that is built with `streaming=True`, or
            all where the caller asks LangGraph for `messages` too.
        workflow: For drawing alone: the workflow `get_graph(config, xray=True)` shows.
    """

    max_steps: int = 5
    max_rounds: int = 1
    budget: Budget | None = None
    workers: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    sample: tuple[int, int] | None = None
    permute: int | None = None
    rounds: tuple[RoundRecord, ...] = ()
    tokens: bool = False
    workflow: Workflow | None = None

    def __post_init__(self) -> None:
        for name in ("max_steps", "max_rounds"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ValueError(f"{name} must be a whole number from 1 up, not {value!r}")
        if self.budget is not None:
            object.__setattr__(self, "budget", Budget.of(self.budget))
        if self.workers is not None:
            object.__setattr__(self, "workers", _words("workers", self.workers))
        object.__setattr__(self, "exclude", _words("exclude", self.exclude))
        if self.sample is not None:
            object.__setattr__(self, "sample", _two_numbers(self.sample))
        if not isinstance(self.tokens, bool):
            raise ValueError(f"the option `tokens` is True or False, not {self.tokens!r}")
        if not isinstance(self.rounds, list | tuple) or not all(map(is_round, self.rounds)):
            raise ValueError(f"the option `rounds` is a list of records of rounds, not {self.rounds!r:.80}")
        object.__setattr__(self, "rounds", tuple(self.rounds))
        if self.permute is not None and type(self.permute) is not int:
            raise ValueError(f"the option `permute` is a seed, a whole number, not {self.permute!r}")

    def over(self, config: Mapping[str, Any] | None) -> "Options":
        """These options with those of `config` laid over them.

        Raises:
            ValueError: If an option is unknown or does not fit.
        """
        given = ((config or {}).get("configurable") or {}).get(OPTIONS)
        if given is None:
            return self
        known = sorted(self.__slots__)
        if not isinstance(given, Mapping) or not set(given) <= set(known):
            raise ValueError(f'config["configurable"]["conductor"] may hold {known}, not {given!r}')
        changes = dict(given)
        if isinstance(changes.get("workflow"), Mapping):
            changes["workflow"] = Workflow.from_json(changes["workflow"])
        elif not isinstance(changes.get("workflow"), Workflow | None):
            raise ValueError(f"the option `workflow` must be a Workflow or its JSON, not {given!r}")
        return replace(self, **changes)


def is_round(record: Any) -> bool:
    """Whether it is a `RoundRecord`, by its keys."""
    return isinstance(record, Mapping) and RoundRecord.__required_keys__ <= set(record)


def _words(name: str, words: Any) -> tuple[str, ...]:
    if (
        isinstance(words, str)
        or not isinstance(words, Sequence)
        or not all(isinstance(w, str) for w in words)
    ):
        raise ValueError(f"the option `{name}` is a list of workers' names and tags, not {words!r}")
    return tuple(words)


def _two_numbers(sample: Any) -> tuple[int, int]:
    given = tuple(sample) if isinstance(sample, Sequence) else ()
    if len(given) != 2 or not all(type(number) is int for number in given):
        raise ValueError(f"the option `sample` is [k, seed], two whole numbers, not {sample!r}")
    return given
