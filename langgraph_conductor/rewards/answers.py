"""What of a reply counts as its answer."""

import re
import unicodedata
from typing import Final

from langgraph_conductor.rewards.beside import with_sides

LIMIT: Final = 64_000
"""Characters; a longer reply has no answer."""

LINE: Final = 200
"""Characters a reply may have that is nothing but its answer."""

_TAG: Final = re.compile(r"< ?(?:answer ?>|(/) ?answer ?(?:>|\Z))", re.IGNORECASE | re.ASCII)
_BOX: Final = re.compile(r"\\(?:boxed|fbox) ?\{")
_THOUGHT: Final = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_ANSWER_IS: Final = re.compile(
    r"\banswer[*_ ]{0,4}(?:is\b|:)|^[#*_ ]*(?:the )?(?:final )?answer[*_ ]*$", re.IGNORECASE | re.MULTILINE
)
_OPENING: Final = re.compile(r"\A(?:[*_:\s]|```[a-z]*\n|\\\[ *\n|\$\$ *\n)*")
_WRAPPED: Final = re.compile(
    r"""(?:```(?:[a-z]*\n)?([^`]+)``` | `([^`]+)` | \*\*([^*]+)\*\* | __([^_]+)__
    | \$\$([^$]+)\$\$ | \$([^$]+)\$ | \\\[((?:(?!\\[\[\]]).)+)\\\] | \\\(((?:(?!\\[()]).)+)\\\)
    | \\(?:text|textbf|textit|mathrm|mathbf|mbox)\s?\{([^{}]*)\})\.?""",
    re.VERBOSE | re.DOTALL,
)
"""Markdown and LaTeX around all of an answer."""


def final_answer(text: str, *, lines: int = 1, longest: int = LINE, units: bool = False) -> str | None:
    r"""The part of a reply that is graded.

    The first of these that the reply has:

    1. what the last `<answer>...</answer>` holds;
    2. what the last `\boxed{...}` or `\fbox{...}` holds;
    3. what follows an `<answer>` that is not closed, if it is no more than `lines` lines: a stop sequence may
       have taken the rest;
    4. what follows `####` at the start of the last line, as GSM8K has it;
    5. what follows the last "answer is" or "answer:", or a line that is nothing but "final answer", on that
       line or, if nothing does, on the next;
    6. the whole reply, if it is one line of at most `longest` characters.

    What stands before the last `</think>` does not count. A part that is there but empty is no answer: nothing
    else takes its place. Of the answer itself only what is around all of it is taken away: boxes, dollar signs,
    `\(...\)`, `\text{...}`, bold, code.

    What stands directly at a tag or a box and makes another answer of it belongs to it: `-\boxed{18}` is -18,
    and `not \boxed{A}` is not A.

    Args:
        text: The reply.
        lines: How many lines an answer has that stands in no tag and no box.
        longest: Characters of each line of a reply that is nothing but its answer.
        units: Whether a unit behind a tag or a box, or a currency sign before it, belongs to the answer.

    Returns:
        The answer, or `None` if there is none or the reply is longer than 64,000 characters.
    """
    if len(text) > LIMIT:
        return None
    text = without_thoughts(visible(text)).strip()
    for part in (
        _tagged(text, units),
        _boxed(text, units),
        _opened(text, lines),
        _marked(text),
        _announced(text, lines),
    ):
        if part is not None:
            return unwrapped(part) or None
    text = unwrapped(text)
    short = text.count("\n") < lines and len(text) <= longest * lines
    return unwrapped(_bare(text)) or None if short else None


def announces(text: str) -> bool:
    """Whether a text holds what `final_answer` looks for, such as "answer is" or a tag."""
    return any(sign.search(text) for sign in (_TAG, _BOX, _THOUGHT, _ANSWER_IS)) or "####" in text


def unwrapped(answer: str) -> str:
    """An answer without the markdown and LaTeX that stands around all of it."""
    before = None
    while before != answer:
        before, answer = answer, answer.strip()
        if found := _WRAPPED.fullmatch(answer):
            answer = found[found.lastindex or 0].strip()
        elif box := _BOX.match(answer):
            inner = _closed(answer, box.end())
            if inner is not None and answer[box.end() + len(inner) + 1 :] in ("", "."):
                answer = inner
    return answer


def without_thoughts(text: str) -> str:
    """What stands behind the last thought; nothing, if one is not closed."""
    end = None
    for end in _THOUGHT.finditer(text):  # noqa: B007 - the last one counts
        pass
    if end is not None:
        return text[end.end() :]
    return "" if text.lstrip().lower().startswith(("<think>", "<thinking>")) else text


def visible(text: str) -> str:
    """The text without characters that show nothing (zero-width spaces, direction marks)."""
    return text if text.isascii() else "".join(c for c in text if unicodedata.category(c) != "Cf")


def _tagged(text: str, units: bool) -> str | None:
    """What the last closed tag holds, with what belongs to it."""
    opened = held = None
    for tag in _TAG.finditer(text):
        if not tag[1]:
            opened = tag
        elif opened is not None:
            held = (opened, tag)
    if held is None:
        return None
    opened, closed = held
    inner = unwrapped(text[opened.end() : closed.start()])
    if not inner:
        return ""
    return with_sides(text[: opened.start()], inner, text[closed.end() :], units=units, box=False)


def _opened(text: str, lines: int) -> str | None:
    tags = list(_TAG.finditer(text))
    rest = text[tags[-1].end() :].strip() if tags and not tags[-1][1] else ""
    return rest if rest and rest.count("\n") < lines else None


def _boxed(text: str, units: bool) -> str | None:
    """What the last box holds, with what belongs to it."""
    boxes = list(_BOX.finditer(text))
    if not boxes:
        return None
    last = boxes[-1]
    held = _closed(text, last.end()) or ""
    end = last.end() + len(held) + 1
    start = last.start()
    while (outer := _around(text, start)) is not None and text[end : end + 1] == "}":
        start, end = outer, end + 1  # a box in a box
    inner = unwrapped(held)
    if not inner:
        return ""
    return with_sides(text[:start], inner, text[end:], units=units, box=True)


def _around(text: str, start: int) -> int | None:
    """Where a box begins that holds nothing before `start`."""
    found = re.search(r"\\(?:boxed|fbox) ?\{\Z", text[max(0, start - 9) : start])
    return None if found is None else max(0, start - 9) + found.start()


def _closed(text: str, first: int) -> str | None:
    """What stands from a place on up to the brace that closes it, with braces in pairs."""
    depth = 0
    for place in range(first, len(text)):
        if text[place - 1] == "\\" and text[place] in "{}":
            continue
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth < 0:
            return text[first:place]
    return None


def _marked(text: str) -> str | None:
    last = text.rpartition("\n")[2]
    return _bare(last.lstrip("# ")) if last.startswith("####") else None


def _announced(text: str, lines: int) -> str | None:
    found = None
    for found in _ANSWER_IS.finditer(text):  # noqa: B007 - the last one counts
        pass
    if found is None:
        return None
    rest = _OPENING.sub("", text[found.end() :], count=1)
    return _bare("\n".join(rest.split("\n")[:lines]))


def _bare(line: str) -> str:
    """A line without markdown around it and the period at its end."""
    line = line.strip().strip("*").strip()
    return line.removesuffix(".").strip().strip("*").strip()
