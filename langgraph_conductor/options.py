"""Options of one run, given under `config["configurable"]["conductor"]`.

    conductor.invoke(question, {"configurable": {"conductor": {"max_rounds": 2}}})

They bind the conductors of the graph they are given to, not conductors that are workers. `by_name`, as in
`{"by_name": {"write": {"max_rounds": 2}}}`, holds options for the conductor of that name alone. Whoever calls can
only narrow what the developer set, and with `Command(resume=...)` what the run began with; asking for more is an
error and not cut to size, so that nobody takes a smaller run for the one that was asked for. What was left at its
default may be chosen, and `None` chooses nothing.

A list of such mappings holds options of several, each of whom can only narrow what those before set: so the ones
that are bound by `with_config` lie under those of a call.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any, Final, NamedTuple

from langgraph_conductor.budget import Budget
from langgraph_conductor.foreign_text import shown_briefly
from langgraph_conductor.records import RoundRecord
from langgraph_conductor.workflow import Workflow

OPTIONS: Final = "conductor"
BY_NAME: Final = "by_name"


class Default(int):
    """A number that nobody chose: a run may choose any. It is shown, and counts, as the number it is."""

    def __repr__(self) -> str:
        return int.__repr__(self)


MAX_STEPS: Final[int] = Default(5)
MAX_ROUNDS: Final[int] = Default(1)


class Choice(NamedTuple):
    """Which of the workers one of those who may narrow a run left.

    Args:
        workers: Names and tags of those that are offered; all if `None`.
        exclude: Names and tags of those that are not.
        sample: `(k, seed)`: of these, `k` drawn at random.
    """

    workers: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    sample: tuple[int, int] | None = None

    @classmethod
    def of(cls, data: "Choice | Mapping[str, Any]") -> "Choice":
        """From a mapping of its parts.

        Raises:
            ValueError: If one does not fit.
        """
        if isinstance(data, Choice):
            return data
        workers, sample = data.get("workers"), data.get("sample")
        return cls(
            None if workers is None else _words("workers", workers),
            _words("exclude", data.get("exclude") or ()),
            None if sample is None else _two_numbers(sample),
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON; the inverse of `of`."""
        return {name: list(part) for name, part in self._asdict().items() if part is not None}


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
        tokens: Whether events tell of tokens. All models stream then that can, whatever else the caller asks
            LangGraph for; a step whose model cannot tells its whole text at its end.
        workflow: For drawing alone: the workflow `get_graph(config, xray=True)` shows.
    """

    max_steps: int = MAX_STEPS
    max_rounds: int = MAX_ROUNDS
    budget: Budget | None = None
    workers: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    sample: tuple[int, int] | None = None
    permute: int | None = None
    tokens: bool = False
    workflow: Workflow | None = None
    name: str = field(default="", compare=False)
    """Of the conductor they are for; no option."""
    within: tuple[Choice, ...] = ()
    """What was left before these options chose again among the workers; no option."""

    def __post_init__(self) -> None:
        for name in ("max_steps", "max_rounds"):
            value = getattr(self, name)
            if type(value) not in (int, Default) or value < 1:
                raise ValueError(f"{name} must be a whole number from 1 up, not {shown_briefly(value)}")
        if self.budget is not None:
            object.__setattr__(self, "budget", Budget.of(self.budget))
        if self.workers is not None:
            object.__setattr__(self, "workers", _words("workers", self.workers))
        object.__setattr__(self, "exclude", _words("exclude", self.exclude))
        if self.sample is not None:
            object.__setattr__(self, "sample", _two_numbers(self.sample))
        if not isinstance(self.tokens, bool):
            raise ValueError(f"the option `tokens` is True or False, not {shown_briefly(self.tokens)}")
        if self.permute is not None and type(self.permute) is not int:
            raise ValueError(
                f"the option `permute` is a seed, a whole number, not {shown_briefly(self.permute)}"
            )
        object.__setattr__(self, "within", tuple(Choice.of(choice) for choice in self.within))

    @property
    def choices(self) -> tuple[Choice, ...]:
        """How the workers of a run are chosen, each of what the one before left."""
        return (*self.within, Choice(self.workers, self.exclude, self.sample))

    def over(self, config: Mapping[str, Any] | None, run: Mapping[str, Any] | None = None) -> "Options":
        """These options with those of `config` laid over them.

        Args:
            config: Of the call.
            run: The run's state, once it has begun: what it began with holds, and is what the call may narrow.

        Raises:
            ValueError: If an option is unknown, does not fit, or asks for more than was set.
        """
        *bound, given = (self._for_me(layer) for layer in _layers(config) or [{}])
        base = reduce(Options._laid, bound, self)
        if run is not None:
            base = base._of_run(run)
        return base._laid(given)

    def _for_me(self, layer: Mapping[str, Any]) -> dict[str, Any]:
        """What one mapping of options says to the conductor they are for."""
        own = _options(_by_name(layer).get(self.name) or {}, nested=True)
        said = [*_options(layer).items(), *own.items()]
        return {name: value for name, value in said if name != BY_NAME and value is not None}

    def said(self, chosen: "Options") -> dict[str, Any]:
        """What a call chose for its run, as JSON: all of `chosen` that a run keeps and that is not so anyway."""
        kept = {}
        for name in _KEPT:
            before, value = getattr(self, name), getattr(chosen, name)
            if value != before or (type(value) is int and type(before) is not int):
                kept[name] = list(value) if isinstance(value, tuple) else value
        if chosen.within:
            kept["within"] = [choice.to_json() for choice in chosen.within]
        return kept

    def _of_run(self, run: Mapping[str, Any]) -> "Options":
        """These, as the run of `run` began. A conductor that was built anew since then may have less."""
        kept = {**(run.get("options") or {})}
        for name in ("max_steps", "max_rounds"):
            if name in kept and type(getattr(self, name)) is int:
                kept[name] = min(kept[name], getattr(self, name))
        # What is stored may be another's word: a client of a served graph can write to a thread.
        stored = Budget.of(run["budget"]).cut_to(self.budget) if run.get("budget") else self.budget
        return replace(self, **kept, budget=stored)

    def _laid(self, given: Mapping[str, Any]) -> "Options":
        changes = dict(given)
        if isinstance(changes.get("workflow"), Mapping):
            changes["workflow"] = Workflow.from_json(changes["workflow"])
        elif not isinstance(changes.get("workflow"), Workflow | None):
            raise ValueError(
                f"the option `workflow` must be a Workflow or its JSON, not {shown_briefly(given)}"
            )
        if self.budget is not None and "budget" in changes:
            changes["budget"] = self.budget.narrowed(changes["budget"])
        if set(Choice._fields) & set(changes) and self.choices[-1] != Choice():
            changes = {
                **dict.fromkeys(("workers", "sample")),
                "exclude": (),
                **changes,
                "within": self.choices,
            }
        laid = replace(self, **changes)
        for name in ("max_steps", "max_rounds"):
            most, asked = getattr(self, name), getattr(laid, name)
            if type(most) is int and asked > most:
                raise ValueError(
                    f"the option `{name}` can only be lowered: {most} is set, and {asked} was asked for"
                )
        drawn = [choice.sample[0] for choice in laid.choices if choice.sample]
        if drawn != sorted(drawn, reverse=True):
            raise ValueError(
                f"the option `sample` can only be lowered: {drawn[-2]} are drawn, not {drawn[-1]}"
            )
        return laid


_NO_OPTIONS: Final = ("name", "within")
_KEPT: Final = ("max_steps", "max_rounds", "workers", "exclude", "sample", "permute")
"""Options that a run keeps till its end, beside its budget."""


def _layers(config: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """The options of a config, those that may only be narrowed by the others first."""
    given = ((config or {}).get("configurable") or {}).get(OPTIONS)
    if given is None:
        return []
    return [_options(layer) for layer in (given if isinstance(given, list) else [given])]


def _options(given: Any, *, nested: bool = False) -> Mapping[str, Any]:
    known = sorted(set(Options.__slots__) - {*_NO_OPTIONS} | (set() if nested else {BY_NAME}))
    if not isinstance(given, Mapping) or not set(given) <= set(known):
        raise ValueError(
            f'config["configurable"]["conductor"] may hold {known}, not {shown_briefly(given)}'
        )
    return given


def _by_name(given: Mapping[str, Any]) -> Mapping[str, Any]:
    named = given.get(BY_NAME)
    if named is None:
        return {}
    if not isinstance(named, Mapping) or not all(isinstance(name, str) for name in named):
        raise ValueError(
            f"the option `{BY_NAME}` holds options by the name of a conductor, not {shown_briefly(named)}"
        )
    return named


def names_in(config: Mapping[str, Any] | None) -> list[str]:
    """The conductors that a call has options for by name."""
    return [name for layer in _layers(config) for name in _by_name(layer)]


def is_round(record: Any) -> bool:
    """Whether it is a `RoundRecord`, by its keys."""
    return isinstance(record, Mapping) and RoundRecord.__required_keys__ <= set(record)


def _words(name: str, words: Any) -> tuple[str, ...]:
    if (
        isinstance(words, str)
        or not isinstance(words, Sequence)
        or not all(isinstance(w, str) for w in words)
    ):
        raise ValueError(
            f"the option `{name}` is a list of workers' names and tags, not {shown_briefly(words)}"
        )
    return tuple(words)


def _two_numbers(sample: Any) -> tuple[int, int]:
    given = tuple(sample) if isinstance(sample, Sequence) else ()
    if len(given) != 2 or not all(type(number) is int for number in given):
        raise ValueError(
            f"the option `sample` is [k, seed], two whole numbers, not {shown_briefly(sample)}"
        )
    return given
