"""What of a reply counts as its answer."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from langgraph_conductor.rewards.beside import with_sides
from langgraph_conductor.rewards.corrections import belied, taken_back
from langgraph_conductor.rewards.stated import stated, without_end_marks

LIMIT: Final = 64_000
"""Characters; a longer reply has no answer."""

LINE: Final = 200
"""Characters a reply may have that is nothing but its answer."""

_TAG: Final = re.compile(r"< ?(?:answer ?>|(/) ?answer ?(?:>|\Z))", re.IGNORECASE | re.ASCII)
_BOX: Final = re.compile(r"\\(?:boxed|fbox) ?\{")
_THOUGHT: Final = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_NEXT: Final = (
    r"(?=[\s*_:(\[\"'$\\-]{0,8}"
    r"(?:[\d\u20ac\u00a3\u00a5\u2212\\]|(?-i:[A-Z])(?![A-Za-z])|(?:option|choice|letter) ))"
)
"""What looks like an answer: a number, a formula, a single capital."""

_LATIN: Final = (
    r"(?:Antwort|L\u00f6sung|(?:r[\u00e9e]ponse|respuesta|risposta|resposta)"
    r"(?: (?:correct[aeo]|corretta|correta|bonne|finale?|final|est[\u00e1a]))?)"
)
_OTHER: Final = (
    r"\u043e\u0442\u0432\u0435\u0442|\u0432\u0456\u0434\u043f\u043e\u0432\u0456\u0434\u044c|\u7b54\u6848|\u7b54\u3048|\u6b63\u89e3|\uc815\ub2f5|\ub2f5"
    r"|\u0627\u0644\u0625\u062c\u0627\u0628\u0629|\u0627\u0644\u062c\u0648\u0627\u0628|\u0909\u0924\u094d\u0924\u0930|odpowied\u017a|cevap|jawaban"
)
_ANSWER_IS: Final = re.compile(
    rf"\banswer[*_ ]{{0,4}}(?:is\b|[:\uff1a]|(?:should|would|must|will|has to) be\b{_NEXT})"
    r"|^[#*_ ]*(?:the )?(?:final )?answer[*_ ]*$"
    r"|^[#*_ ]{0,4}(?:ans|selected|selection)\.?[*_ ]{0,4}[:\uff1a]"
    rf"|\b{_LATIN}[*_ ]{{0,4}}"
    rf"(?:(?:ist|est|es|[\u00e8\u00e9](?= ))\b(?:{_NEXT}| (?:la|le|el|die|der|a|o){_NEXT})?|[:\uff1a])"
    rf"|(?:{_OTHER})[*_ ]{{0,4}}(?:[\u662f\u4e3a\u70ba\u306f\uc740\u9009\u9078]?[:\uff1a]"
    r"|[\u662f\u4e3a\u70ba\u306f\uc740\u9009\u9078]|\u3011[:\uff1a]?)"
    r"|(?:^|[\u6545\u5e94\u61c9]|\u56e0\u6b64|\u6240\u4ee5)[*_ ]{0,4}"  # Chinese: hence choose A
    r"[\u9009\u9078]\u62e9?[:\uff1a]?(?=[\s*_(\uff08]{0,4}(?-i:[A-Z]))",
    re.IGNORECASE | re.MULTILINE,
)
"""Words that announce an answer, in several languages."""

_COPULA: Final = re.compile(
    r"(?:\u3067\u3059|\u3067\u3042\u308b|\u3060|\uc785\ub2c8\ub2e4|\uc774\ub2e4|\u0964)\Z"
)
"""What ends a sentence behind its answer where the verb comes last."""

_OPENING: Final = re.compile(r"\A(?:[*_:\s]|```[a-z]*\n|\\\[ *\n|\$\$ *\n)*")
_WRAPPED: Final = re.compile(
    r"""(?:```(?:[a-z]*\n)?([^`]+)``` | `([^`]+)` | \*\*([^*]+)\*\* | __([^_]+)__
    | \$\$([^$]+)\$\$ | \$([^$]+)\$ | \\\[((?:(?!\\[\[\]]).)+)\\\] | \\\(((?:(?!\\[()]).)+)\\\)
    | \\(?:text(?:bf|it|rm|sf|tt|up)?|math(?:rm|bf|sf|tt|cal)|mbox)\s?\{([^{}]*)\})\.?""",
    re.VERBOSE | re.DOTALL,
)
"""Markdown and LaTeX around all of an answer."""


@dataclass(frozen=True, slots=True)
class Found:
    """An answer, as a reply holds it.

    Args:
        answer: What is graded; empty, if it is there but says nothing.
        behind: What the reply says after it.
    """

    answer: str
    behind: str = ""


def final_answer(
    text: str, *, lines: int = 1, longest: int = LINE, units: bool = False, question: str = ""
) -> str | None:
    r"""The part of a reply that is graded.

    The first of these that the reply has:

    1. what the last `<answer>...</answer>` holds;
    2. what the last `\boxed{...}` or `\fbox{...}` holds;
    3. what follows an `<answer>` that is not closed, if it is no more than `lines` lines: a stop sequence may
       have taken the rest;
    4. what follows `####` at the start of the last line, as GSM8K has it;
    5. what follows the last "answer is" or "answer:", in English or another language, or a line that is nothing
       but "final answer", on that line or, if nothing does, on the next;
    6. the whole reply, if it is one line of at most `longest` characters.

    Of a reply that is JSON, or ends with it, the field that names the answer is read like this. What stands
    before the last `</think>` does not count, nor do tokens such as `<|im_end|>` at the end. A part that is there
    but empty is no answer: nothing else takes its place. Of the answer itself only what is around all of it is
    taken away: boxes, dollar signs, `\(...\)`, `\text{...}`, bold, code.

    What stands directly at a tag or a box and makes another answer of it belongs to it: `-\boxed{18}` is -18,
    and `not \boxed{A}` is not A. What is named a wrong answer is none ("The wrong answer is A"), and neither is
    what the reply takes back afterwards ("Wait, it is 19").

    Args:
        text: The reply.
        lines: How many lines an answer has that stands in no tag and no box.
        longest: Characters of each line of a reply that is nothing but its answer.
        units: Whether a unit behind a tag or a box, or a currency sign before it, belongs to the answer.
        question: What was asked: if it is the worst one, the worst answer is an answer.

    Returns:
        The answer, or `None` if there is none or the reply is longer than 64,000 characters.
    """
    found = find_answer(text, lines=lines, longest=longest, units=units, question=question)
    return found.answer if found else None


def find_answer(
    text: str, *, lines: int = 1, longest: int = LINE, units: bool = False, question: str = ""
) -> Found | None:
    """`final_answer`, with what stands behind it."""
    if len(text) > LIMIT:
        return None
    text = without_end_marks(without_thoughts(visible(text)).strip())
    field = stated(text, units=units)
    if field is not None:
        text = field.strip()
    for part in (
        _tagged(text, units),
        _boxed(text, units),
        _opened(text, lines),
        _marked(text),
        _announced(text, lines, question),
    ):
        if part is not None:
            answer = unwrapped(part.answer)
            return None if not answer or taken_back(answer, part.behind) else Found(answer, part.behind)
    text = unwrapped(text)
    short = text.count("\n") < lines and len(text) <= longest * lines
    answer = unwrapped(_bare(text)) if short else ""
    return Found(answer) if answer else None


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


def _tagged(text: str, units: bool) -> Found | None:
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
        return Found("")
    behind = text[closed.end() :]
    return Found(with_sides(text[: opened.start()], inner, behind, units=units, box=False), behind)


def _opened(text: str, lines: int) -> Found | None:
    tags = list(_TAG.finditer(text))
    rest = text[tags[-1].end() :].strip() if tags and not tags[-1][1] else ""
    return Found(rest) if rest and rest.count("\n") < lines else None


def _boxed(text: str, units: bool) -> Found | None:
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
        return Found("")
    return Found(with_sides(text[:start], inner, text[end:], units=units, box=True), text[end:])


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


def _marked(text: str) -> Found | None:
    last = text.rpartition("\n")[2]
    return Found(_bare(last.lstrip("# "))) if last.startswith("####") else None


def _announced(text: str, lines: int, question: str) -> Found | None:
    """What follows the last words that announce an answer, and not a wrong one."""
    found = None
    wrong = False
    for sign in _ANSWER_IS.finditer(text):
        if belied(text[max(0, sign.start() - LINE) : sign.start()], question):
            wrong = True
        else:
            found = sign
    if found is None:
        return Found("") if wrong else None
    rest = _OPENING.sub("", text[found.end() :], count=1).split("\n")
    return Found(_bare("\n".join(rest[:lines])), "\n".join(rest[lines:]))


def _bare(line: str) -> str:
    """A line without markdown around it and the period at its end."""
    line = line.strip().strip("*").strip()
    line = _COPULA.sub("", line[:-1] if line.endswith((".", "\u3002")) else line)
    return line.strip().strip("*").strip()
