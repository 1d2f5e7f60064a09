"""Whether two texts are the same but for what was said in them: something hostile, or something harmless.

Each may be written as it is, escaped with backslashes, cleaned of signs that are not seen, or as JSON or Python
write strings. All of these are alike once backslashes, blanks and signs that are not seen are left out.
"""

import json
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache


def likened(expected: Sequence[str], seen: Sequence[str], harmless: str, hostile: str) -> list[str]:
    """`seen`, with the texts of `expected` in place of those that differ in nothing but what was said.

    Args:
        expected: Texts of a run in which `harmless` was said.
        seen: Texts of one in which `hostile` was.
        harmless: A text that occurs nowhere else.
        hostile: Any text.
    """
    if len(expected) != len(seen):
        return list(seen)
    return [
        one if _alike(one, other, harmless, hostile) else other
        for one, other in zip(expected, seen, strict=True)
    ]


def _alike(expected: str, seen: str, harmless: str, hostile: str) -> bool:
    around = re.split(_spelled(harmless), _bare(expected))
    return re.fullmatch(_spelled(hostile).join(map(re.escape, around)), _bare(seen)) is not None


@lru_cache(maxsize=256)
def _spelled(text: str) -> str:
    """A pattern of all ways to write a text."""
    signs = []
    for sign in text:
        escaped = {json.dumps(sign)[1:-1], repr(sign)[1:-1], f"u{ord(sign):04x}", f"x{ord(sign):02x}"}
        ways = sorted({_bare(sign), *map(_bare, escaped)}, key=lambda way: (-len(way), way))
        signs.append(f"(?:{'|'.join(map(re.escape, ways))})")
    return "".join(signs)


@lru_cache(maxsize=1024)
def _bare(text: str) -> str:
    return "".join(sign for sign in text if not (sign in "\\\ufffd" or sign.isspace() or _is_unseen(sign)))


def _is_unseen(sign: str) -> bool:
    return unicodedata.category(sign)[0] in "CZ"
