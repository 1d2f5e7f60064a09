"""Answers that a reply takes back: on a later line, or by the name it gives them ("a wrong answer is ...")."""

import re
from typing import Final

_SENTENCE: Final = re.compile(r"\n|(?<=[.!?\u2026\u3002\uff01\uff1f])\s|[\u2014;]")
_EDGE: Final = " \t\r.,:;!?*_#`$\"'\u201c\u201d\u2018\u2019()[]{}\\-\u2013\u3002"
_HERE: Final = r"(?:that|this|it|the (?:answer|result|total|value)(?: above)?)"
_TURN: Final = re.compile(
    r"(?:(?:but|oh|ah|and|so|well|uh|um|okay|ok)[ ,.]{1,3}){0,3}"
    r"(?:wait\b|actually\b|hm+\b|w?h?oops\b|sorry\b(?! for)|(?:my )?apologies\b(?! for the l)|my (?:mistake|bad)\b"
    r"|correct(?:ion|ed)\b|errat(?:um|a)\b|no(?=\s*(?:[,.:;!\u2013-]|\Z|wait|actually|sorry))|nope\b"
    r"|(?:scratch|strike) that\b|never ?mind\b|(?:ignore|disregard) (?:that|this|the|my)\b"
    r"|on (?:second thoughts?|reflection|further|closer)\b"
    r"|(?:after|upon) (?:re-?\w{3,}|further|closer|reflection)\b"
    r"|i (?:made an?|was wrong|mean|meant|mis\w{3,}|take (?:it|that) back|(?:have )?changed? my mind"
    r"|should have|forgot|stand corrected|now think)\b"
    r"|let(?:['\u2019]s| me| us) (?:correct|fix|revise|redo|start over|try again|rethink|recheck|double"
    r"|check again|re-?(?:calc|comp|consider|eval|exam|do|think|count|check)\w*)"
    r"|(?:edit|update|revised?(?: answer)?|revision|amended|rather|instead)\s?[:,])",
    re.IGNORECASE,
)
"""How a sentence begins that takes back what stands before it."""

_DENIAL: Final = re.compile(
    _HERE + r"(?:(?: is| was| seems| looks|['\u2019]s) (?:\w{2,12} )?"
    r"(?:wrong|incorrect|false|mistaken|an? (?:error|mistake)|not (?:right|correct|it|true))"
    r"|(?: is|was)?n['\u2019]t (?:right|correct|it|true)"
    r"| (?:should|must|ought to) (?:be|have been)\b(?! (?:noted|clear|emphasi|remember|mention|under|obvious)))",
    re.IGNORECASE,
)
"""What says so only right behind the answer; later, it may speak of something else."""

_YES: Final = re.compile(
    r"(?:(?:so|and|ok|okay|yes|indeed),? ?){0,3}"
    r"(?:yes|confirmed|verified|(?:"
    + _HERE
    + r"|everything|all)(?:['\u2019]s| is| was| checks| holds| stands| still)"
    r"(?: (?:still|indeed|all|out|up|fine|correct|right|consistent|stands|holds|good)){0,4})",
    re.IGNORECASE,
)
_NO: Final = re.compile(r"\b(?:not|never|no|wrong|incorrect|false|cannot)\b|n['\u2019]t\b", re.IGNORECASE)

_BAD: Final = (
    r"wrong|incorrect|false|worst|least|unlikely|bad|invalid|rejected|eliminated|excluded|discarded|impossible|second"
    r"|erroneous|mistaken|falsche[nrs]?|unrichtige[nrs]?|mauvaise|fausse|mala|errada|incorreta|sbagliata|nicht|pas"
    r"|\u043d\u0435(?:\u043f\u0440\u0430\u0432\u0438\u043b\u044c\u043d|\u0432\u0435\u0440\u043d)\w{1,4}|\u043e\u0448\u0438\u0431\u043e\u0447\u043d\w{1,4}"
)
_BELIED: Final = re.compile(
    rf"\b({_BAD})(?:[ -]\w{{1,15}})?[*_ ]{{1,4}}\Z"
    r"|\b(not|never|n['\u2019]t|no)(?: (?:the|an?|my|one|correct|right|best|final|possible|valid)){0,3}"
    r"[*_ ]{1,4}\Z"
    r"|([\u9519\u8bef\u932f\u8aa4\u4e0d\u975e])(?:\u6b63\u786e)?\u7684?\Z",
    re.IGNORECASE,
)
"""What names an answer as one that is not given, right before the word "answer"."""


def taken_back(answer: str, behind: str) -> bool:
    """Whether what stands behind an answer takes it back, and does not come back to it in the end.

    A sentence that begins with "Wait", "Correction" or the like does, unless the last one confirms the answer, or
    ends with it.
    """
    sentences = [text for line in _SENTENCE.split(behind) if (text := line.strip(_EDGE + "|>~"))]
    for place, sentence in enumerate(sentences):
        if _TURN.match(sentence) or (place == 0 and _DENIAL.match(sentence)):
            return not _confirmed(answer, sentences[-1])
    return False


def _confirmed(answer: str, closing: str) -> bool:
    if _NO.search(closing):
        return False
    closing = closing.casefold()
    if _YES.fullmatch(closing):
        return True
    words = answer.casefold().strip(_EDGE)
    for word in {words, *(part.strip(_EDGE) for part in words.split(None, 1)[:1])}:
        before = closing.removesuffix(word)
        if word and before != closing and not re.search(r"[\w.,/^-]\Z", before[-1:]):
            return True
    return False


def belied(before: str, question: str) -> bool:
    """Whether the words before "answer" name it as a wrong one, unless the question asks for one of that kind."""
    found = _BELIED.search(before[-60:])
    if found is None:
        return False
    word = next(filter(None, found.groups())).casefold()
    return re.search(rf"\b{re.escape(word)}\b", question, re.IGNORECASE) is None
