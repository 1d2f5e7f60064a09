"""Whether two texts are the same but for what was said in them: something hostile, or something harmless.

Each may be written as it is, escaped with backslashes, cleaned of signs that are not seen, or as JSON or Python
write strings. All of these are alike once backslashes, quotes, blanks and signs that are not seen are left
out. A text is written in one of a few ways as a whole, so that comparing takes linear time.
"""

import json
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

_LEFT_OUT: Final = re.compile(r"[\\'\"\x00-\x20\x7f]+")
# JSON has two ways to write these.
_NUMBERED: Final = re.compile(r"\\u00(08|09|0a|0c|0d)")
_LETTERS: Final = {"08": "b", "09": "t", "0a": "n", "0c": "f", "0d": "r"}


def likened(
    expected: Sequence[str], seen: Sequence[str], harmless: Sequence[str], hostile: Sequence[str]
) -> list[str]:
    """`seen`, with the texts of `expected` in place of those that differ in nothing but what was said.

    Args:
        expected: Texts of a run in which `harmless` was said.
        seen: Texts of one in which `hostile` was.
        harmless: The forms in which a text is said that occurs nowhere else.
        hostile: Those of any other text.
    """
    if len(expected) != len(seen):
        return list(seen)
    from_ways, to_ways = _ways_of(harmless), _ways_of(hostile)
    return [
        one if one == other or _alike(one, other, from_ways, to_ways) else other
        for one, other in zip(expected, seen, strict=True)
    ]


def _alike(expected: str, seen: str, harmless: Sequence[str], hostile: Sequence[str]) -> bool:
    first, *others = re.split("|".join(map(re.escape, harmless)), _bare(expected))
    text = _bare(seen)
    # Where what is read so far may end: one way to write a text may be how another one begins.
    ends = {len(first)} if text.startswith(first) else set()
    for part in others:
        ends = {
            end + len(way) + len(part)
            for way in hostile
            for end in ends
            if text.startswith(way, end) and text.startswith(part, end + len(way))
        }
    return len(text) in ends


def _ways_of(forms: Sequence[str]) -> list[str]:
    """All ways to write one of the forms of a text, bare, the longest first."""
    ways = {way for form in forms for way in _ways(form)}
    return sorted(ways, key=lambda way: (-len(way), way))


@lru_cache(maxsize=256)
def _ways(text: str) -> frozenset[str]:
    whole = {text, text.strip()}
    cleaned = {"".join(sign for sign in one if sign in "\n\t" or not _is_unseen(sign)) for one in whole}
    cleaned |= {one.replace("\0", "") for one in whole}
    return frozenset(
        _bare(way)
        for one in whole | cleaned
        for way in (
            one,
            repr(one)[1:-1],
            json.dumps(one)[1:-1],
            json.dumps(one, ensure_ascii=False)[1:-1],
            "".join(json.dumps(sign, ensure_ascii=_is_unseen(sign))[1:-1] for sign in one),
        )
    )


@lru_cache(maxsize=1024)
def _bare(text: str) -> str:
    text = _LEFT_OUT.sub("", _NUMBERED.sub(lambda found: _LETTERS[found[1]], text))
    if text.isascii():
        return text
    return "".join(sign for sign in text if sign != "\ufffd" and not _is_unseen(sign))


@lru_cache(maxsize=4096)
def _is_unseen(sign: str) -> bool:
    return unicodedata.category(sign)[0] in "CZ"
