"""Whether long hostile texts take more than linear time.

Times are of the processor and count for nothing but in comparison: with those of a harmless text of the same
length, and with those of a quarter of the text. A slow machine is slow with all of them.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

LONG: Final = 4_000
"""Characters from which on a text is timed."""

_SHARE: Final = 1.0
_GROWTH: Final = {2: 3, 4: 7}
"""Of the time of so many times the text: 2 and 4 are linear, 4 and 16 quadratic."""
_TIMES: Final = 2

Seconds = Mapping[str, float]
"""Part -> seconds of the processor; the part `"run"` is the conductor's own."""


def grown(
    timed: Callable[[str], Seconds],
    hostile: str,
    harmless: Callable[[int], str],
    first: tuple[Seconds, Seconds],
) -> tuple[dict[str, float], dict[str, float]]:
    """The parts in which a text takes more than linear time: what a harmless one takes there, and what it does.

    Args:
        timed: Says what a text takes.
        hostile: The text, of many like parts.
        harmless: Makes a harmless text of so many characters.
        first: What a harmless and the hostile text took once. If they are near, nothing else is tried.
    """
    slow = _slower(*first)
    plain, long = first
    for _ in range(_TIMES):  # once may be chance
        if not slow:
            break
        plain, long = _least(timed, harmless(len(hostile))), _least(timed, hostile)
        slow = [part for part in _slower(plain, long) if part in slow]
        for parts, most in _GROWTH.items():
            size = len(hostile) // parts
            if slow:
                less, short = _least(timed, harmless(size)), _least(timed, hostile[:size])
                slow = [
                    part for part in slow if long[part] - plain[part] > most * (short[part] - less[part])
                ]
    return {part: plain[part] for part in slow}, {part: long[part] for part in slow}


def _slower(plain: Seconds, long: Seconds) -> list[str]:
    """Parts that take longer than with a harmless text by what a whole run takes with that."""
    return [part for part in long if long[part] - plain[part] > _SHARE * plain["run"]]


def _least(timed: Callable[[str], Seconds], text: str) -> Seconds:
    return _parts_least(timed(text) for _ in range(_TIMES))


def _parts_least(taken: Iterable[Seconds]) -> Seconds:
    every = list(taken)
    return {part: min(one[part] for one in every) for part in every[0]}
