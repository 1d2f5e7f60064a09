"""The grader of multiple-choice questions: which option an answer names, by letter, by text or by both."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from langgraph_conductor.errors import ConfigError
from langgraph_conductor.foreign_text import normalized
from langgraph_conductor.rewards.answers import LINE, Found, announces, find_answer, unwrapped
from langgraph_conductor.rewards.task import Task

_QUOTES: Final = "\"'`“”‘’«»"
_PAIRS: Final = {
    "'": "'",
    '"': '"',
    "`": "`",
    "“": "”",
    "”": "”",
    "‘": "’",
    "’": "’",
    "«": "»",
    "*": "*",
    "_": "_",
    "$": "$",
    "\u300c": "\u300d",
    "\u3010": "\u3011",
}
_EDGES: Final = _QUOTES + " .!*_"
_MINUS: Final = re.compile("[\u2010-\u2013\u2212\ufe63\uff0d]")
_TEXT: Final = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|up)?|math(?:rm|bf|sf|tt|cal)|mbox)\s?\{([^{}]*)\}"
    r"|\{?\\(?:rm|bf|it|sf|tt)\b(?: ?\{([^{}]*)\}| ([^{} ]+)\}?)"
)
_GAP: Final = re.compile(r"\\(?:q?quad\b|[,;:! ])|(?<=[)}.])~")
"""What sets a blank in LaTeX; a tilde elsewhere is a negation."""
_NAMED: Final = (
    r"(?:i (?:would )?(?:choose|pick|select) )?"
    r"(?:(?:(?:the|my) )?(?:final )?(?:correct |right |best )?(?:option|choice|answer)(?: is)?:? )?"
    r"(?:(?:option|choice) )?"
)
LETTER: Final = re.compile(
    _NAMED + r"(?:\(([a-z])\)|\[([a-z])\]|([a-z])(?![^\W_]))(.*)", re.IGNORECASE | re.DOTALL
)
PRAISE: Final = re.compile(
    r" is (?:the )?(?:(?:correct|right|best)(?: (?:answer|option|choice|one))?|answer\b)", re.IGNORECASE
)
_PRAISED: Final = re.compile(r",?" + PRAISE.pattern + r"\W{0,3}\Z", re.IGNORECASE)
SIGN: Final = re.compile(r"\s*[.:)\u3001]|\s*-(?=\s)|\s*[\u2014\u2015](?:(?=\s)|(?![\d.]))")
"""What may stand between a letter and its text; a hyphen that touches the text belongs to the text."""

_BESIDE: Final = re.compile(
    r"\s*\((?:(?:i\.?e\.?,?|namely|that is,?|which is) )?([^()]*(?:\([^()]*\)[^()]*)*)\)"
    r"|\s*,\s*(?:(?:i\.?e\.?,?|namely|that is,?|which is) )?(.+)",
    re.IGNORECASE,
)
"""The text of an option behind its letter, as an aside."""
_LABEL: Final = re.compile(
    r" ?(?:\((?:option |choice |letter )?([A-Z])\)|, (?:option|choice|letter) \(?([A-Z])\)?)\Z",
    re.IGNORECASE,
)
"""The letter of an option behind its text."""
_OTHERS: Final = re.compile(
    r"\b(?:or|and|nor|either|both|but|[A-Z])\b|[,;/|&]|\([A-Za-z]\)"
    r"|\b(?i:nicht|keine?|falsch|pas|faux|fausse|fals[oa])\b|[不错误]"
    r"|\b(?i:not|\w+n['’]t|cannot|never|no|none|neither|wrong|incorrect\w*|untrue|unlikely|except|instead)\b"
    r"|\b(?i:is|are|was|be|seems?|looks|as) (?i:false|out|eliminated|excluded|ruled|rejected)\b"
    r"|\b(?i:maybe|perhaps|possibly|probably|guess)\b|[\u274c\u2717\u2718\u2716\u274e\u2612\u26d4\U0001f6ab\U0001f44e]"
)
"""Signs that a text behind a letter names a second option, or takes back the first."""

_ABOUT: Final = re.compile(
    r"\s+(?:is|was|isn|would|could|might|may|should|can|will|does|do|did|has|had|seems?|looks?|sounds?|appears?|feels?"
    r"|remains?|lies|fails?|contradicts?|ignores?|lacks?)\b|\W*\?\W*\Z",
    re.IGNORECASE,
)
"""What says something about the option, other than that it is right, or asks about it."""

_DASH: Final = re.compile(
    r"^([#*_ ]{0,4}(?:the )?(?:final )?answer[*_]{0,4}) ?(?:=|[-\u2013\u2014](?= )|>)", re.I | re.M
)
"""A dash for "answer:", which before a number may be a sign."""


def choice(answer: str, task: Task) -> bool:
    """Whether it names the right option, and no other.

    The right answer is a letter. `A`, `(A)`, `A)`, `Option A` and `A. Paris` name the option A, and so does
    its text alone, if `task.about["choices"]` lists the options' texts in order. A text behind the letter
    must be that option's, or, where none are listed, must neither hint at a second option nor take back the
    first. Texts are compared without regard to case, quotes and periods, unless two options differ in these alone.

    Raises:
        ConfigError: If the right answer is no letter, or there is no option for it.
    """
    gold, choices = options(task)
    text = readable(answer)
    found = LETTER.fullmatch(text)
    letter = (found[1] or found[2] or found[3]).upper() if found else ""
    if not choices:
        rest = _said(found[4]) if found else ""
        about = found and _ABOUT.match(found[4]) and not PRAISE.match(found[4])
        return letter == gold and not about and not _OTHERS.search(rest)
    if found is None or ord(letter) - ord("A") >= len(choices):
        return same(choices, gold)(text) or _labelled(text, gold, choices)
    rest = _said(found[4])
    asked = found[4].rstrip(" .*_").endswith("?")
    if (not rest and not asked) or any(map(same(choices, letter), _texts(found[4]))):
        return letter == gold
    return same(choices, gold)(text) or _labelled(text, gold, choices)


def _labelled(text: str, gold: str, choices: Sequence[str]) -> bool:
    """Whether it is the right option's text with its letter behind it, such as `Paris (A)`."""
    text = text.rstrip(" .!*_")
    found = _LABEL.search(text, max(0, len(text) - 20))
    return (
        found is not None
        and (found[1] or found[2]).upper() == gold
        and same(choices, gold)(text[: found.start()])
    )


def finals(reply: str, task: Task) -> Iterator[Found]:
    """What of a reply may count as the answer of a multiple-choice question.

    It is the final answer on one line, and as many lines as the right option has. An option's own words announce
    no answer.
    """
    gold, choices = options(task)
    right = choices[ord(gold) - ord("A")] if choices else ""
    longest = LINE + max(map(len, choices), default=0)
    hidden = {
        f"\ue000{i}\ue000": text for i, text in enumerate(choices) if text.strip() and announces(text)
    }
    for place, text in hidden.items():
        reply = reply.replace(text, place)
    reply = _DASH.sub(r"\1: ", reply)
    for lines in sorted({1, right.strip().count("\n") + 1}):
        final = find_answer(reply, lines=lines, longest=longest, question=task.question)
        if final is not None:
            answer, behind = final.answer, final.behind
            for place, text in hidden.items():
                answer, behind = answer.replace(place, text), behind.replace(place, text)
            yield Found(answer, behind)


def options(task: Task) -> tuple[str, list[str]]:
    """The letter of the right option, and all options' texts.

    Raises:
        ConfigError: If these do not fit together.
    """
    gold = unwrapped(task.answer).strip("().").upper()
    listed = task.about.get("choices") or ()
    if not isinstance(listed, (list, tuple)):
        raise ConfigError(f"task {task.id}: `choices` is a list of the options' texts, not {listed!r:.80}")
    if not re.fullmatch("[A-Z]", gold) or (listed and ord(gold) - ord("A") >= len(listed)):
        raise ConfigError(
            f"task {task.id}: the answer of a choice is an option's letter, not {task.answer!r:.80}"
        )
    return gold, [str(text) for text in listed]


def readable(text: str) -> str:
    """The text on one line, without markdown and LaTeX, its minus signs as hyphens."""
    text = _GAP.sub(" ", normalized("NFKC", _MINUS.sub("-", text)))
    text = _TEXT.sub(lambda found: found[1] or found[2] or found[3] or "", text)
    text = text.replace("**", "").replace("__", "")
    text = " ".join(text.split())
    while len(text) > 2 and text[0] in _PAIRS and text[-1] in _PAIRS[text[0]]:
        text = text[1:-1].strip()
    return text


def _said(behind: str) -> str:
    """What is behind a letter, apart from signs and words that say nothing about an option."""
    if PRAISE.match(behind):
        return _without_praise(PRAISE.sub("", behind, count=1)).strip(" .:!)*_。")
    return _without_praise(behind).strip(" .:!)*_-。—、")


def _without_praise(text: str) -> str:
    """Without pictures at the end, but for those that cross out."""
    text = text.rstrip(" .!*_")
    while text and unicodedata.category(text[-1]) in ("So", "Mn") and not _OTHERS.search(text[-1]):
        text = text[:-1].rstrip(" .!*_")
    return text


def _texts(behind: str) -> Iterator[str]:
    """What may be the option's text behind a letter, since a sign there may belong to it or not."""
    yield behind
    if sign := SIGN.match(behind):
        yield behind[sign.end() :]
        if dash := SIGN.match(behind, sign.end()):
            yield behind[dash.end() :]
    behind = _PRAISED.sub("", _without_praise(behind), count=1)
    if aside := _BESIDE.fullmatch(behind):
        yield aside[1] or aside[2]


def same(choices: Sequence[str], letter: str) -> Callable[[str], bool]:
    """Whether a text is that of an option: read as loosely as no other option reads the same."""
    right = choices[ord(letter) - ord("A")]
    others = [text for text in choices if text != right]
    read = next((way for way in _WAYS if way(right) not in map(way, others)), _WAYS[-1])
    return lambda text: read(text) == read(right)


def _loose(text: str) -> str:
    return _cased(text).casefold()


def _cased(text: str) -> str:
    text = readable(text)
    return readable(unwrapped(text)).strip(_EDGES)


def _close(text: str) -> str:
    return readable(text).removesuffix(".")


def _exact(text: str) -> str:
    return " ".join(text.split())


_WAYS: Final[tuple[Callable[[str], str], ...]] = (_loose, _cased, _close, _exact)
