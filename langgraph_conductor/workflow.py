"""The workflow: which worker gets which subtask, and which earlier outputs each may see.

A `Workflow` is plain, frozen, hashable data. It knows nothing of LangGraph, of models, or of the text
a planner wrote. A workflow that exists is well-formed: every check runs when it is built.

Source of the form: Conductor paper (arXiv 2512.04388), section 3.1 and figure 2. There the steps are
three parallel lists; here each step is one object, so that unequal lengths cannot happen.
"""

import json
import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from langgraph_conductor.errors import PlanError
from langgraph_conductor.foreign_text import printable
from langgraph_conductor.literals import TEX
from langgraph_conductor.replies import storable

Access = Literal["all"] | tuple[int, ...]

GivenAccess = Literal["all"] | Sequence[int | Literal["all"]] | AbstractSet[int | Literal["all"]]
"""What is accepted as an access."""

ALL: Final = "all"
"""The access that grants every earlier step and, in a later round, the round before."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: a worker, what it is asked, and what it may read.

    Args:
        worker: Name of the worker in the pool.
        subtask: The instruction in natural language, not empty.
        access: Positions (from 0) of the earlier steps whose subtask and output the worker may read,
            or `"all"` for every earlier step and, in a later round, the whole round before. A
            sequence or set is accepted and kept as a sorted tuple, without doubles.
        earlier: (round, step) of outputs of earlier rounds it may read beside that, both from 0. Planners that
            write many short plans choose them; the paper's dialect has no words for it.

    Raises:
        PlanError: If a part is missing or of the wrong type.
    """

    worker: str
    subtask: str
    access: Access = ()
    earlier: tuple[tuple[int, int], ...] = ()

    if TYPE_CHECKING:  # what is accepted is more than what is kept

        def __init__(
            self,
            worker: str,
            subtask: str,
            access: GivenAccess = (),
            earlier: Sequence[Sequence[int]] = (),
        ) -> None: ...

    def __post_init__(self) -> None:
        if not isinstance(self.worker, str) or not self.worker:
            raise PlanError(f"the worker must be a name, not {brief(self.worker)}")
        if not isinstance(self.subtask, str) or not self.subtask.strip():
            raise PlanError("the subtask is empty; say what the worker shall do")
        if storable(self.subtask) != self.subtask:
            raise PlanError("the subtask holds NUL or half a surrogate pair, which is not valid text")
        object.__setattr__(self, "access", _clean_access(self.access))
        object.__setattr__(self, "earlier", _clean_earlier(self.earlier))


@dataclass(frozen=True, slots=True)
class Workflow:
    """One to many steps; the last one answers the question.

    Args:
        steps: The steps in order, in a sequence, which is kept as a tuple. A step may read only steps before it.

    Raises:
        PlanError: If there is no step, or a step reads itself, a later one or one that is not there.
            `PlanError.step` names it.
    """

    steps: tuple[Step, ...]

    if TYPE_CHECKING:

        def __init__(self, steps: Sequence[Step]) -> None: ...

    def __post_init__(self) -> None:
        if not _is_sequence(self.steps):
            raise PlanError(f"steps must be a list of Step, not {brief(self.steps)}")
        object.__setattr__(self, "steps", tuple(self.steps))
        if not self.steps:
            raise PlanError("a workflow needs at least one step")
        for i, step in enumerate(self.steps):
            if not isinstance(step, Step):
                raise PlanError(f"expected a Step, got {type(step).__name__}", step=i)
            for j in () if step.access == ALL else step.access:
                check_position(j, i)

    def reads(self, index: int) -> tuple[int, ...]:
        """Positions of the steps whose output step `index` may read, ascending."""
        return readable_steps(index, self.steps[index].access)

    def levels(self) -> tuple[tuple[int, ...], ...]:
        """Positions grouped by superstep: every step of a group can run at the same time."""
        level: list[int] = []
        for i in range(len(self.steps)):
            level.append(1 + max((level[j] for j in self.reads(i)), default=-1))
        return tuple(
            tuple(i for i, own in enumerate(level) if own == depth) for depth in range(max(level) + 1)
        )

    def critical_path(self, seconds: Sequence[float] | None = None) -> tuple[int, ...]:
        """The chain of steps no schedule can be faster than.

        Args:
            seconds: Duration of each step; all equal if left out.

        Returns:
            Positions, first to last, of the longest chain (the earliest one if several tie).
        """
        cost = [1.0] * len(self.steps) if seconds is None else list(seconds)
        best: list[tuple[float, tuple[int, ...]]] = []
        for i in range(len(self.steps)):
            before = max((best[j] for j in self.reads(i)), key=lambda b: b[0], default=(0.0, ()))
            best.append((before[0] + cost[i], (*before[1], i)))
        return max(best, key=lambda b: b[0])[1]

    def to_text(self, workers: Any = None) -> str:
        """The canonical text: the paper's three lists, readable by `parse_workflow`.

        Args:
            workers: The offered workers, as `parse_workflow` takes them; with them ordinals are
                written, without them names.

        Raises:
            PlanError: If a step's worker is not among `workers`.
        """
        ids: list[str | int] = [step.worker for step in self.steps]
        if workers is not None:
            ordinal = {name: number for number, name in ordinals_of(workers).items()}
            for i, step in enumerate(self.steps):
                if step.worker not in ordinal:
                    raise PlanError(f"{step.worker!r} is not among the offered workers", step=i)
                ids[i] = ordinal[step.worker]
        access = [[ALL] if step.access == ALL else list(step.access) for step in self.steps]
        return "\n".join(
            f"{label} = {literal(values)}"
            for label, values in (
                ("model_id", ids),
                ("subtasks", [step.subtask for step in self.steps]),
                ("access_list", access),
            )
        )

    def to_json(self) -> dict[str, Any]:
        """The workflow as JSON: `{"steps": [{"worker", "subtask", "access"}]}`, `earlier` where there is any."""
        return {"steps": [_step_json(step) for step in self.steps]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Workflow":
        """The inverse of `to_json`.

        Raises:
            PlanError: If `data` is not of that form.
        """
        steps = data.get("steps") if isinstance(data, Mapping) else None
        if not isinstance(steps, Sequence) or isinstance(steps, str):
            raise PlanError('expected {"steps": [{"worker", "subtask", "access"}, ...]}')
        built: list[Step] = []
        for i, item in enumerate(steps):
            built.append(step_from_json(item, i))
        return cls(tuple(built))

    def to_mermaid(self) -> str:
        """A Mermaid flow chart: a box per step, an arrow per granted output. Contacts nobody."""
        lines = ["flowchart TD"]
        for i, step in enumerate(self.steps):
            subtask = " ".join(step.subtask.split())
            subtask = _mermaid_text(subtask[:60] + ("…" if len(subtask) > 60 else ""))
            lines.append(f'    s{i}["{i} · {_mermaid_text(step.worker)}: {subtask}"]')
        lines += [f"    s{j} --> s{i}" for i in range(len(self.steps)) for j in self.reads(i)]
        return "\n".join(lines)


def ordinals_of(workers: Any) -> Mapping[int, str]:
    """Ordinal -> name of the offered workers: a `WorkerPool`, such a mapping, or names in order."""
    if hasattr(workers, "ordinals"):
        workers = workers.ordinals
    if isinstance(workers, Mapping):
        return workers
    return {i: getattr(worker, "name", worker) for i, worker in enumerate(workers)}


def readable_steps(index: int, access: Access) -> tuple[int, ...]:
    """Positions of the steps before `index` that `access` grants to it."""
    return tuple(range(index)) if access == ALL else tuple(access)


def _step_json(step: Step) -> dict[str, Any]:
    access = ALL if step.access == ALL else list(step.access)
    shown = {"worker": step.worker, "subtask": step.subtask, "access": access}
    return shown | ({"earlier": [list(pair) for pair in step.earlier]} if step.earlier else {})


def step_from_json(item: Any, index: int) -> Step:
    """One step from its JSON form; `index` is its position, for the error.

    Raises:
        PlanError: If a key is missing, unknown, or its value does not fit.
    """
    keys = {"worker", "subtask", "access"}
    if not isinstance(item, Mapping) or set(item) - {"earlier"} != keys:
        found = sorted(map(str, item)) if isinstance(item, Mapping) else type(item).__name__
        raise PlanError(f"needs exactly the keys {sorted(keys)}, found {found}", step=index)
    try:
        return Step(item["worker"], item["subtask"], item["access"], item.get("earlier", ()))
    except PlanError as error:
        raise PlanError(error.reason, step=index) from None


def check_position(position: int, step: int) -> None:
    """Refuse `position` unless it names a step before `step`.

    Raises:
        PlanError: Naming the step and the positions it may read.
    """
    if 0 <= position < step:
        return
    may = f"it may read only {_span(step)}" if step else "the first step can read no other step"
    raise PlanError(f"access to step {position} is not possible; {may}", step=step)


def _span(step: int) -> str:
    return "step 0" if step == 1 else f"steps 0 to {step - 1}"


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray | memoryview)


def _clean_access(access: Any) -> Access:
    if isinstance(access, str):
        if access == ALL:
            return ALL
        raise PlanError(f'access must be positions or "all", not {brief(access)}')
    if not _is_sequence(access) and not isinstance(access, AbstractSet):
        raise PlanError(f'access must be a list of positions or "all", not {brief(access)}')
    for item in access:
        if type(item) is not int and item != ALL:
            raise PlanError(f'access must hold whole positions or "all", not {brief(item)}')
    return ALL if ALL in access else tuple(sorted(set(access)))


def _clean_earlier(earlier: Any) -> tuple[tuple[int, int], ...]:
    if not _is_sequence(earlier):
        raise PlanError(f"earlier must be a list of [round, step], not {brief(earlier)}")
    found = set()
    for pair in earlier:
        numbers = tuple(pair) if _is_sequence(pair) else ()
        if len(numbers) != 2 or not all(type(n) is int and n >= 0 for n in numbers):
            raise PlanError(f"earlier must hold [round, step], both from 0, not {brief(pair)}")
        found.add(numbers)
    return tuple(sorted(found))


def literal(values: Any) -> str:
    """JSON that readers of plans, which mend unescaped TeX, read as what it is."""

    # JSON strings are Python strings too, but readers that mend unescaped TeX take `\\f` before a letter
    # for a command; written by number, a control character stays one.
    def by_number(match: re.Match[str]) -> str:
        mistakable = match[1] and TEX.match(match.string, match.start())
        return _BY_NUMBER[match[1]] if mistakable else match[0]

    return re.sub(r"\\(?:\\|([bfrtn]))", by_number, json.dumps(values, ensure_ascii=False))


_BY_NUMBER: Final = {"b": r"\u0008", "f": r"\u000c", "r": r"\u000d", "t": r"\u0009", "n": r"\u000a"}


def brief(value: Any, most: int = 80) -> str:
    """`repr(value)`, shortened: it goes into errors, and with them back to a planner."""
    shown = repr(value[: most + 1] if isinstance(value, str | list) else value)
    return shown if len(shown) <= most else shown[: most - 1] + "…"


# What has no meaning in a quoted label, nor in what Mermaid replaces in the whole chart before it is parsed:
# directives and comments (`%%`), entities (`#..;`, and the signs it writes them with meanwhile), styles (`:`).
_PLAIN_IN_MERMAID: Final = frozenset(" .,!?'()/+=_-")
_ENTITIES: Final = {"&": "#amp;", '"': "#quot;", "<": "#lt;", ">": "#gt;"}
_OF_MERMAID: Final = frozenset("\ufb02\u00b0\u00b6\u00df")


def _mermaid_text(text: str) -> str:
    """`text` as Mermaid's entities show it; https://mermaid.js.org/syntax/flowchart.html#entity-codes-to-escape-characters."""
    return "".join(map(_in_mermaid, printable(text)))


def _in_mermaid(sign: str) -> str:
    if sign in _PLAIN_IN_MERMAID or ((sign.isalnum() or not sign.isascii()) and sign not in _OF_MERMAID):
        return sign
    return _ENTITIES.get(sign) or f"#{ord(sign)};"
