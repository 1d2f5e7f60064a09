"""The final answer in a text."""

import re
from typing import Final

_ANSWER: Final = re.compile(r"<answer>(.*?)</answer>", re.DOTALL | re.IGNORECASE)


def final_answer(text: str) -> str | None:
    """What stands in the last `<answer></answer>`; `None` if there is none, or nothing in it."""
    found = _ANSWER.findall(text)
    return (found[-1].strip() or None) if found else None
