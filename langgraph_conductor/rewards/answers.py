"""What of a reply counts as its answer."""

import re
import unicodedata
from typing import Final

LIMIT: Final = 64_000
"""Characters; a longer reply has no answer."""

LINE: Final = 200
"""Characters a reply may have that is nothing but its answer."""

_ANSWER_IS: Final = re.compile(r"\banswer[*_ ]{0,4}(?:is\b|:)", re.IGNORECASE)


def final_answer(text: str, *, lines: int = 1) -> str | None:
    r"""The part of a reply that is graded.

    The first of these that the reply has: what the last `<answer>...</answer>` holds; what the last
    `\boxed{...}` holds; what follows the last "answer is" or "answer:" on its line; the whole reply, if it
    is one line of at most 200 characters. Reasoning in `<think>...</think>` at the start does not count.
    A part that is there but empty is no answer: nothing else takes its place.

    Args:
        text: The reply.
        lines: How many lines an answer has that stands in no tag and no box.

    Returns:
        The answer, or `None` if there is none or the reply is longer than 64,000 characters.
    """
    if len(text) > LIMIT:
        return None
    text = visible(text).strip()
    if text.lower().startswith("<think>"):
        _, _, text = text.partition("</think>")
        text = text.strip()
    found = _tagged(text)
    if found is None:
        found = _boxed(text)
    if found is None:
        found = _announced(text, lines)
    if found is None:
        found = _bare(text) if text.count("\n") < lines and len(text) <= LINE * lines else ""
    return _unboxed(found) or None


def visible(text: str) -> str:
    """The text without characters that show nothing (zero-width spaces, direction marks)."""
    return text if text.isascii() else "".join(c for c in text if unicodedata.category(c) != "Cf")


def _tagged(text: str) -> str | None:
    low = text.lower() if text.isascii() else re.sub("[A-Z]", lambda c: c[0].lower(), text)  # keeps places
    end = low.rfind("</answer>")
    start = low.rfind("<answer>", 0, max(end, 0))
    return None if start < 0 else text[start + len("<answer>") : end].strip()


def _boxed(text: str) -> str | None:
    r"""What the last `\boxed{...}` holds, with braces in pairs."""
    start = max(text.rfind("\\boxed{"), text.rfind("\\fbox{"))
    if start < 0:
        return None
    depth, first = 0, text.index("{", start) + 1
    for place in range(first, len(text)):
        if text[place - 1] == "\\" and text[place] in "{}":
            continue
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth < 0:
            return text[first:place].strip()
    return ""


def _announced(text: str, lines: int) -> str | None:
    found = None
    for found in _ANSWER_IS.finditer(text):  # noqa: B007 - the last one counts
        pass
    if found is None:
        return None
    rest = text[found.end() :].lstrip("*_: ") if lines == 1 else text[found.end() :].lstrip("*_: \n")
    return _bare("\n".join(rest.split("\n")[:lines]))


def _bare(line: str) -> str:
    """A line without markdown around it and the period at its end."""
    line = line.strip().strip("*").strip()
    return line.removesuffix(".").strip().strip("*").strip()


def _unboxed(answer: str) -> str:
    r"""The answer without a `\boxed{}` or dollar signs around all of it."""
    inner = answer[1:-1].strip() if len(answer) > 1 and answer[0] == answer[-1] == "$" else answer
    inner = inner if "$" not in inner else answer
    box = _boxed(inner)
    if box is not None and inner.replace(" ", "") == f"\\boxed{{{box}}}".replace(" ", ""):
        return box
    return inner
