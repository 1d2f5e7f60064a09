"""The plans of the embedded conductor as a language: what it writes while it learns can be run, unless it is cut.

It may choose what makes plans differ: the subtasks out of their one wording each, the workers, and what each
step reads. All else, such as the lists that repeat what was thought, is then all but certain.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, cast

from langgraph_conductor.dialect import LISTS
from langgraph_conductor.local.conductor import line_of
from langgraph_conductor.local.specialists import SUBTASKS
from langgraph_conductor.train.learning.asks import Ask
from langgraph_conductor.train.learning.grammar import ENDED, Language, Place, quoted
from langgraph_conductor.train.tiny.conducting import ACCEPTED, MOST_STEPS
from langgraph_conductor.workflow import ALL

_IDS, _SUBTASKS, _ACCESS = LISTS
_THINKING: Final = "thinking"


class _At(NamedTuple):
    """A place: the part of the text, the steps thought of so far (subtask, number), and the entry of a list."""

    part: str
    steps: tuple[tuple[str, str], ...] = ()
    entry: int = 0


@dataclass(frozen=True)
class Thoughts(Language):
    """What the embedded conductor may write.

    Args:
        lines: Number and line of each worker; without lines it is shown numbers alone.
        later: Whether it may accept the answer of an earlier round.
        most: Most steps.
    """

    lines: tuple[tuple[str, str], ...]
    later: bool
    most: int = MOST_STEPS

    @property
    def start(self) -> Place:
        """The first thought."""
        return _At(_THINKING)

    @classmethod
    def of(cls, ask: Ask, *, anonymous: bool = False, most: int = MOST_STEPS) -> "Thoughts":
        """The language where this is asked."""
        lines = (
            (str(number), "" if anonymous else line_of(ask.pool, number)) for number in ask.pool.ordinals
        )
        return cls(tuple(lines), ask.request(most).may_accept, most)

    @property
    def anonymous(self) -> bool:
        """Whether workers are numbers alone."""
        return not any(line for _, line in self.lines)

    def choices_at(self, place: Place) -> Iterator[tuple[str, Place]]:
        """A thought, a number, or what a step reads."""
        part, steps, entry = cast("_At", place)
        if part == _THINKING:
            yield from self._thoughts(steps)
        elif part == _IDS:
            yield from self._numbers(steps, entry)
        else:
            yield from self._reads(steps, entry)

    def samples(self) -> Iterator[str]:
        """One plan, as long as can be."""
        text, place = "", self.start
        while place != ENDED:
            *_, (chosen, place) = self.choices_at(place)
            text += chosen
        yield text

    def _thoughts(self, steps: tuple[tuple[str, str], ...]) -> Iterator[tuple[str, Place]]:
        if steps:
            yield (
                (f"\n{_IDS} = [", _At(_IDS, steps))
                if self.anonymous
                else (
                    f"{_lists(steps)}",
                    _At(_ACCESS, steps),
                )
            )
        elif self.later:
            yield ACCEPTED, ENDED
        if len(steps) == self.most:
            return
        for subtask in SUBTASKS.values():
            if self.anonymous:
                yield f"{' ' if steps else ''}{subtask}", _At(_THINKING, (*steps, (subtask, "")))
            else:
                for number, line in self.lines:
                    yield f"{subtask} {line}\n", _At(_THINKING, (*steps, (subtask, number)))

    def _numbers(self, steps: tuple[tuple[str, str], ...], entry: int) -> Iterator[tuple[str, Place]]:
        """Numbers for what was thought, one after the other."""
        for number, _ in self.lines:
            chosen = (*steps[:entry], (steps[entry][0], number), *steps[entry + 1 :])
            if entry + 1 < len(steps):
                yield f"{number}, ", _At(_IDS, chosen, entry + 1)
            else:
                # What was written of the list of numbers is not written again.
                yield f"{number}]\n{_lists(chosen).split(chr(10), 1)[1]}", _At(_ACCESS, chosen)

    def _reads(self, steps: tuple[tuple[str, str], ...], entry: int) -> Iterator[tuple[str, Place]]:
        more = entry + 1 < len(steps)
        then = _At(_ACCESS, steps, entry + 1) if more else ENDED
        for access in ("[]", f'["{ALL}"]') if entry or self.later else ("[]",):
            yield f"{access}{', ' if more else ']'}", then


def _lists(steps: tuple[tuple[str, str], ...]) -> str:
    """The lists up to the first entry of the last."""
    numbers = ", ".join(number for _, number in steps)
    subtasks = ", ".join(quoted(subtask) for subtask, _ in steps)
    return f"{_IDS} = [{numbers}]\n{_SUBTASKS} = [{subtasks}]\n{_ACCESS} = ["
