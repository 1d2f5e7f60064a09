"""Options that a reply names together with its reasons: a letter before them, behind them, or in JSON."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from langgraph_conductor.rewards.answers import announces, unwrapped, visible, without_thoughts
from langgraph_conductor.rewards.choices import (
    LETTER,
    PRAISE,
    SIGN,
    choice,
    finals,
    options,
    readable,
    same,
)
from langgraph_conductor.rewards.corrections import taken_back
from langgraph_conductor.rewards.stated import stated, without_end_marks
from langgraph_conductor.rewards.task import Task

_BEFORE: Final = re.compile(
    r"(?:[✅✔✓☑👉➡→]\ufe0f? ?|[-*+] |• ?){0,2}(?:(?i:so|thus|therefore|hence|finally|in conclusion|clearly|indeed)"
    r",? )?(?:(?i:it is|it's|it must be) )?"
)
"""What may stand before an option on its line and says nothing against it."""

_SHAPE: Final = re.compile(
    r"(?:(?i:the|my|final|correct|right|best|option|choice|answer|is:?|i|would|choose|pick|select):? ){0,8}"
    r"(?:[A-Z](?![^\W_])|\([A-Za-z]\)|\[[A-Za-z]\]|[a-z][.)](?= |$))"
)
"""A letter that names an option: a capital one, or one in brackets or with a sign."""

_BARE: Final = re.compile(r"$|[.:)\]]|,? - ")
_WHY: Final = re.compile(r"[,;.]? ?[(-]? ?(?i:because|since|as it|as this|due to)\b")
_NOT: Final = re.compile(
    r"[,;]? (?i:and not|not|rather than) (?:(?i:option|choice) )?\(?[A-Z](?!\w)\)?"
    r"(?=$|[.!]|,? (?:because|since|as)\b)"
)
_MORE: Final = re.compile(
    r"[.!] (?:(?i:explanation|reason|reasoning|confidence):|I(?!\.)\b|(?:This|It|That|Here|My)\b"
    r"|(?:Options?|Choices?) [A-Z]\b)"
)
"""The three ways in which reasons follow an option on its line."""

_WRONG: Final = (
    r"(?:incorrect|wrong|false|untrue|eliminated|excluded|irrelevant|ruled out"
    r"|not (?:the )?(?:correct|right|best|true|valid)(?: (?:answer|option|choice|one))?)"
)
_ONE: Final = r"\(?[A-Z]\b\)?"
_DISMISSED: Final = re.compile(
    rf"(?<![\w(])(?!I was)(?:(?i:options?|choices?|answers?) )?"
    rf"({_ONE}(?:(?:, ?(?:and |or )?| and | or ){_ONE}){{0,9}}|(?i:the others?|others|the rest|all others)"
    rf"|(?i:(?:the |all )?(?:other|remaining) (?:options|choices|answers|ones)))"
    rf" (?:is|are|was|were)(?: (?:all|both|clearly|therefore|thus|simply))? {_WRONG}"
    r"(?!\w| (?:only )?(?:if|when|unless)\b|\?)"
)
_REFUSED: Final = re.compile(
    r"(?:\b(?i:not|never|rather than|instead of|unlike)|n['’]t) (?:(?i:be|the|option|choice|answer) ){0,3}"
    r"(\(?[A-Z]\b\)?)"
)
_BACK: Final = re.compile(
    r"\b(?i:incorrect\w*|wrong\w*|untrue|mistak\w+|error|eliminated?|excluded?|ruled out|rejected"
    r"|(?:not|n['’]t) (?:the |this )?(?:correct|right|best|true|valid|answer|it|one|this|that|option|choice))\b"
    r"|\b(?i:wait|actually|hmm+|oops|sorry|correction|second thoughts?|alternatively|scratch|change my mind"
    r"|changed my mind|reconsider\w*|not sure|unsure|uncertain|guess\w*|disregard|ignore|except|either|maybe"
    r"|perhaps|all of the above|none of|cannot decide|can['’]t decide)\b"
    r"|(?:^|[.!?:] )(?:No|Nope|Or|But|However|Not)\b",
    re.MULTILINE,
)
"""Signs that reasons take back the option that stands before them."""

_MENTION: Final = re.compile(
    r"(?<![^\W_])(?<!['’])(?:([A-HJ-Z])(?![^\W_])(?!-[a-z]{2})|\(([A-Za-z])\)|\[([A-Za-z])\])"
    r"|(?:\b(?i:or|and|option|choice|answer|pick|choose|select|is)|['’]s) ([b-hj-z])(?![^\W_]|['’])"
)
_ARTICLE: Final = re.compile(
    r" (?!(?:is|are|was|and|or|would|seems?|could|might|may|has|can|cannot|does|looks|also|too|fits?|works|as"
    r"|will|must|matches|makes|should|remains|instead|better|because|since|but|not|nor|isn|says|states"
    r"|describes|appears)\b)[a-z]"
)
_CAPITAL: Final = re.compile(r"\b[A-Z]\b")
_AGAINST: Final = re.compile(r"\b(?i:not|never|no|reject|least|worst|except|\w+n['’]t)\b")
_SENTENCE: Final = re.compile(r"[.!?;\n] ?")
_HEADING: Final = re.compile(
    r"(?i:explanation|reason(?:s|ing)?|justification|rationale|analysis|why(?: [\w ,']{1,40})?)\W{0,3}(?::|\n|\Z)"
)
"""What opens reasons that may speak of every option."""

_CLAIM: Final = re.compile(
    r"(?:\b(?i:option|choice) )?(?<![\w'’])\(?([A-Z])\)? (?:is|was|seems?|looks|must be|should be)"
    r"(?: (?:actually|really|in fact|clearly|also|indeed|a|an|the|probably)){0,3}"
    r" (?:correct|right|better|best|more likely|(?:correct|right|best|better) (?:answer|option|choice|one)"
    r"|answer|option to|choice)\b(?! (?:only )?(?:if|when|unless|but|that|in)\b)"
)
"""A letter that is said to be right."""


def chosen(reply: str, task: Task) -> bool:
    """Whether a reply as a whole names the right option, and no other.

    What `finals` takes from it counts as `choice` says. Beyond that an option may stand with its reasons: before
    them (`A. Paris`, then a paragraph; `A because ...`; `A, not C`), behind them (`(A)` as the last line), or as
    a field of JSON. Reasons must then name no second option, but to dismiss it, and not take back the first.

    Raises:
        ConfigError: If the right answer is no letter, or there is no option for it.
    """
    gold, choices = options(task)
    text = without_end_marks(without_thoughts(visible(reply)).strip())
    field = stated(text)
    if field is not None:
        text = field.strip()
    found = list(finals(text, task))
    for final in found:
        if choice(final.answer, task):
            return not _another(final.behind, gold, choices)
    if found and (announces(text) or unwrapped(text).rstrip(".*") != found[0].answer):
        answer = found[0].answer
        behind = text.rpartition(answer)[2] if answer in text else ""
        if _another(behind, gold, choices) or taken_back(answer, behind):
            return False
        return _before(stated(answer) or answer, gold, choices, task, behind)
    if announces(text):
        return False
    return _before(text, gold, choices, task) or _behind(text, gold, choices, task)


def _another(behind: str, gold: str, choices: Sequence[str]) -> bool:
    """Whether what stands behind an answer says that another option is right."""
    behind = readable(behind)
    if any(found[1] != gold for found in _CLAIM.finditer(behind)):
        return True
    texts = (readable(text).casefold().strip(" .") for text in choices[1:] and _first(choices, gold)[1:])
    behind = behind.casefold()
    return any(
        f"{text} is {praise}" in behind
        for text in texts
        if len(text) > 2
        for praise in (
            "the correct",
            "the right",
            "the best",
            "the answer",
            "correct.",
            "right.",
            "better.",
        )
    )


def _lines(text: str) -> list[str]:
    return [line for part in text.split("\n") if (line := readable(part.strip("# \t")))]


def _plain(line: str) -> str:
    """A line without what may stand before an option on it."""
    before = _BEFORE.match(line)
    return readable(line[before.end() :] if before else line)


def _before(text: str, gold: str, choices: Sequence[str], task: Task, behind: str = "") -> bool:
    """Whether the right option stands before its reasons, or alone behind words that say nothing."""
    lines = _lines(text)
    if not lines or any(same(choices, letter)(text) for letter in _letters(choices)):
        return False
    first = _plain(lines[0])
    rest = _rest(first, gold)
    if rest is None:
        return False
    tall = choices[ord(gold) - ord("A")].strip().count("\n") + 1 if choices else 1
    for count in sorted({1, tall}):
        head = " ".join([first, *lines[1:count]])
        tail = "\n".join(lines[count:])
        if not _labelled(rest) or not choice(head, task):
            continue
        if head.endswith((":", "?")) and not (choices and rest.strip(" .:)]")):  # a heading, or a question
            continue
        if tail[:1].islower() and not _WHY.match(tail):
            continue
        if not _longer(lines, gold, choices) and _kept(f"{tail}\n{behind}", gold, choices):
            return True
    return any(
        _kept("\n".join([tail, *lines[1:], behind]), gold, choices) for tail in _tails(rest, gold, choices)
    )


def _behind(text: str, gold: str, choices: Sequence[str], task: Task) -> bool:
    """Whether the right option is the last line, alone, behind its reasons."""
    *reasons, last = _lines(text) or [""]
    rest = _rest(_plain(last), gold)
    if not reasons or rest is None or not _labelled(rest) or not choice(_plain(last), task):
        return False
    if not reasons[-1].endswith((".", "!", "。")):
        return False
    closing = _SENTENCE.split(reasons[-1].rstrip(".!。"))[-1]
    return not _AGAINST.search(closing) and _kept("\n".join(reasons), gold, choices)


def _rest(line: str, gold: str) -> str | None:
    """What is behind the letter of the right option at the start of a line."""
    found = LETTER.fullmatch(line)
    if found is None or not _SHAPE.match(line):
        return None
    return found[4] if (found[1] or found[2] or found[3]).upper() == gold else None


def _labelled(rest: str) -> bool:
    """Whether a letter is apart from what is behind it: no article, no part of a sentence."""
    said = PRAISE.match(rest)
    return bool(_BARE.match(rest[said.end() :] if said else rest))


def _letters(choices: Sequence[str]) -> str:
    return "".join(chr(ord("A") + place) for place in range(len(choices)))


def _longer(lines: Sequence[str], gold: str, choices: Sequence[str]) -> bool:
    """Whether the lines are those of another option, of which the first is that of the right one."""
    for letter in _letters(choices):
        tall = choices[ord(letter) - ord("A")].strip().count("\n") + 1
        if letter != gold and tall > 1:
            rest = _rest(_plain(" ".join(lines[:tall])), gold) or ""
            sign = SIGN.match(rest)
            if same(choices, letter)(rest[sign.end() :] if sign else rest):
                return True
    return False


def _tails(rest: str, gold: str, choices: Sequence[str]) -> Iterator[str]:
    """Reasons on the line of the option: behind its letter, or behind its text."""
    said = PRAISE.match(rest)
    rest = rest[said.end() :] if said else rest
    if _WHY.match(rest) or _NOT.match(rest):
        yield rest
    elif _MORE.match(rest):
        opening = _SENTENCE.split(rest[2:], maxsplit=1)[0].casefold().strip()
        others = [readable(text).casefold().strip(" .") for text in choices]
        if not any(opening in text or text in opening for text in others if len(text) > 1):
            yield rest
    if not choices:
        return
    right, *others = (readable(text).casefold().rstrip(".") for text in _first(choices, gold))
    sign = SIGN.match(rest)
    told = readable(rest[sign.end() :] if sign else rest)
    behind = told[len(right) :]
    only = told.casefold().startswith(right) and not any(text.startswith(right) for text in others)
    if right and only and (_WHY.match(behind) or _NOT.match(behind) or _MORE.match(behind)):
        yield behind


def _first(choices: Sequence[str], gold: str) -> list[str]:
    """The options' texts, that of the right one before the others."""
    right = ord(gold) - ord("A")
    return [choices[right], *choices[:right], *choices[right + 1 :]]


def _kept(reasons: str, gold: str, choices: Sequence[str]) -> bool:
    """Whether reasons neither take back the right option nor leave a second one."""
    own = readable(choices[ord(gold) - ord("A")]) if choices else ""
    if len(own) > 1:  # what the right option says takes nothing back
        reasons = reasons.replace(own, " ")
    if any(
        gold in _names(found[1]) for found in (*_DISMISSED.finditer(reasons), *_REFUSED.finditer(reasons))
    ):
        return False
    reasons = _REFUSED.sub(" ", _DISMISSED.sub(" ", reasons)).replace("morally wrong", "bad")
    if _BACK.search(reasons):
        return False
    letters = _letters(choices)
    open_ = _HEADING.match(reasons.lstrip(" .:"))
    if open_ and _CLAIM.search(reasons) is None and len(reasons[open_.end() :].split()) > 2:
        return not choices or not _told(reasons, _first(choices, gold)[1:])
    for found in _MENTION.finditer(reasons):
        letter = next(filter(None, found.groups())).upper()
        article = found[1] == "A" and _ARTICLE.match(reasons, found.end())
        if letter != gold and not article and (not letters or letter in letters):
            return False
    return not choices or not _told(reasons, _first(choices, gold)[1:])


def _names(text: str) -> set[str]:
    return set(_CAPITAL.findall(text))


def _told(reasons: str, others: Sequence[str]) -> bool:
    """Whether a sentence is another option's text, or ends by stating it."""
    texts = {text for text in (readable(other).casefold().strip(" .") for other in others) if text}
    ends = tuple(f"{verb} {text}" for verb in (" is", " choose", " pick", " select", ":") for text in texts)
    for sentence in map(str.casefold, (*_SENTENCE.split(reasons), *reasons.split("\n"))):
        sentence = _plain(sentence.strip(" .!"))
        if sentence in texts or sentence.endswith(ends):
            return True
    return False
