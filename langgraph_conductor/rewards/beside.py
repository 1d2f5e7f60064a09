r"""What stands directly at a box or a tag and belongs to the answer in it: `-\boxed{18}` is -18."""

import re
from typing import Final

_NEAR: Final = 160
"""Characters on each side that are looked at."""
_MARKUP: Final = re.compile(r"\A(?:[^<]|<(?!/?\w+ ?>\s*\Z))*<(?:/\w+|\w+) ?>\s*\Z")
"""All up to a tag right before the answer."""
_LINE_ENDS: Final = re.compile(r"\n[ \t]*\n|\n(?=[ \t]*[#|>*])|(?<=[\w)}][.;])\s")
_OPENING: Final = re.compile(
    r"(?:\s|\*\*|__|`|\\[(\[]|(?<!\\)\$|\\(?:left|displaystyle|Large|large|bf)\b|\\(?:text|math)(?:bf|rm|it)?\s?\{"
    r"|\\[,;:! ](?=\s*\Z))"
)
_SIZES: Final = (1, 2, 3, 5, 6, 7, 8, 9, 13)
"""How long what opens a formula can be."""
_CLOSING: Final = re.compile(
    r"(?:\s|\*\*|__|`|\\[)\]]|\$|\\[,;:! ]|\\(?:right|quad|text\s?\{|mathrm\s?\{))*"
)
_FUNCTION: Final = r"(?:sin|cos|tan|log|ln|exp|sqrt|arcsin|arccos|arctan)"
_OPERATOR_BEFORE: Final = re.compile(
    r"(?:[-+/*^_<>~\u2212\u2013\u00d7\u00f7\u00b1\u2260\u2264\u2265\u221a\u00ac]"
    r"|\\(?:cdot|times|div|pm|mp|neq?|not|leq?|geq?|lt|gt|pi|lnot|neg|over|" + _FUNCTION + r")"
    r"|\\[bx]?cancel\s*\{|\\sout\s*\{|[\^_]\s*\{|\\sqrt(?:\[\w*\])?\s*\{|\\[dtc]?frac\s*+(?:\w|\{[^{}]*+\})?+\s*+\{?"
    r"|(?<![A-Za-z\\])" + _FUNCTION + r"|(?<![A-Za-z\\])[A-Za-z]\(|[0-9)]\()\(*\Z"
)
_TOUCHES_BEFORE: Final = re.compile(r"(?:[0-9][.,]?|\.|(?<![A-Za-z\\])[A-Za-z]|[}\])\u03c0])\Z")
_OPERATOR_AFTER: Final = re.compile(
    r"\s*(?:[/^\u00b2\u00b3\u00d7\u00f7\u00b1\u03c0]|[+*](?=\s*[\w\\({$])|[-\u2212\u2013](?=\s*(?:[0-9\\({]|[A-Za-z]\b))"
    r"|[<>](?=\s*(?:[0-9\\]|[A-Za-z]\b(?!>)))"
    r"|\\(?:cdot|times|div|pm|mp|pi|sqrt|[dt]?frac|over|bmod|pmod|leq?|geq?|lt|gt|neq?|choose|"
    r"alpha|beta|theta)(?![A-Za-z]))"
)
_DIGITS_AFTER: Final = re.compile(r"(?:\\[,;:! ]|\{,\}|[ ~]|\u00a0|\u202f|\u2009)[0-9]")
"""More digits of the same number, set apart."""
_TOUCHES_AFTER: Final = re.compile(r"[.,'_]?[0-9]|[A-Za-z](?![A-Za-z])|[?\u221e\u2030(]")
_DEGREES: Final = re.compile(r"\s*\^\s*(?:\\circ|\{\s*\\circ\s*\})")
_SHARE: Final = r"(?:half|third|thirds|quarter|quarters|fourth|fifth|tenth|percent|%|fraction|multiple|power|root|square|cube|reciprocal|inverse|opposite|negative)"  # noqa: E501
_WORDS_BEFORE: Final = re.compile(
    r"(?:\b(?:minus|negative|plus|half|twice|thrice|double|triple|times|than|at least|at most|up to|over|under|above"  # noqa: E501
    r"|below|beyond|exceed(?:s|ing)?|between|except|excluding|neither|nor|"
    r"any(?:thing|\s\w++)? but|instead of|(?:loss|debt|deficit) of)"
    r"|" + _SHARE + r" of"
    r"|(?:\bnot|\bnever|\bcannot|(?<=\w)n['\u2019]t)(?: (?:equal(?: to)?|be|is|have|the|answer|option|choice|exactly))*"  # noqa: E501
    r"|\b(?:wrong|incorrect|false)(?: (?:answer|option|choice))?(?: is)?:?"
    r"|\}\$?\s*(?:,\s*)?(?:\\text\s?\{\s*)?(?:or|and)\s*+\}?+)\s*+\(?\Z",
    re.IGNORECASE,
)
_SCALE: Final = (
    r"(?:hundred|thousand|(?:m|b|tr|quadr|quint)illion|milliard|lakh|crore|dozen|grand|bn|mln|mio|ten|score|pair)s?"
    r"|gross|basis points?|(?:ten|hundred|thousand|million|billion)ths?"
)
_VERB: Final = r"(?:is|are|was|be|seems?|looks)"
_WORDS_AFTER: Final = re.compile(
    r"(?:,\s*)?(?:(?:"
    + _SCALE
    + r"|[kKMB]|squared|cubed|factorial|(?:more|less|fewer|greater|larger|smaller) than"
    r"|(?:less|fewer|more)(?! than)(?= (?:[0-9$]|one\b|two\b))|(?:in|de)creased by|reduced by|raised to|taken from"
    r"|minus|plus|divided by|multiplied by|over|mod|choose|of (?:that|this|it)|below (?:zero|freezing|sea level)"
    r"|in (?:debt|the red)|and a (?:half|third|quarter)|or|per ?cent of"
    r"|"
    + _VERB
    + r" (?:\w+ )?(?:wrong|false|incorrect|not|out|eliminated|excluded|ruled out|rejected|impossible)"
    r"|\w+n['\u2019]t|cannot|times [0-9]+"
    r"|(?:but |though )?(?:i['\u2019]?\s?a?m )?(?:not sure|unsure|not certain|maybe|perhaps|possibly))\b"
    r"|(?:and|[&/,])\s*\(?(?:[A-Z]\b|[0-9]+)\)?(?=\s*(?:[.;)$*]|\Z)))(?:\s+\w+){0,3}",
)
_UNIT_BEFORE: Final = re.compile(r"(?:\\\$|[\u20ac\u00a3\u00a5])\s?\Z")
_UNIT_AFTER: Final = re.compile(
    r"(?:(?:square|cubic|sq|cu)\.?\s)?(?:[^\W\d_](?:[^\W\d_]|[\u0300-\u036f\u093c-\u094d\u0e31-\u0e4e]){0,11}|\\?[%\u00b0\u20ac\u00a3\u00a5\u00a2])(?:\s?\^?\s?\{?[23\u00b2\u00b3]\}?)?(?![^\W_])"
)
_SIMPLE: Final = re.compile(
    r"\\?[$\u20ac\u00a3\u00a5]?[0-9][0-9.,]*|\\[dt]?frac(?:\{\w+\}|\w)(?:\{\w+\}|\w)|[0-9 ]*+[A-Za-z][A-Za-z0-9 ]*+"  # noqa: E501
)
_SEGMENT_FROM: Final = re.compile(
    r"[=\u2248:\u21d2]|(?<!\\)\$|\\[(\[]|\\(?:approx|Rightarrow|implies|to)\b|\bis\b|\n"
)
_SEGMENT_TO: Final = re.compile(
    r"[=\u2248\n]|(?<!\\)\$|\\[)\]]|\\(?:approx|Rightarrow|implies)\b|[.,;](?![0-9])|\*\*|\s(?=[A-Za-z]{2})"
)


def with_sides(before: str, held: str, after: str, *, units: bool, box: bool) -> str:
    """An answer with the sign, factor, scale or word at it that makes another answer of it.

    Args:
        before: The text up to the box or the tag.
        held: What it holds.
        after: The text behind it.
        units: Whether a unit at it belongs to the answer.
        box: Whether it is a box, part of a formula, at which blanks mean nothing. Behind a tag, only what
            touches it is an operator.

    Returns:
        `held` itself, if nothing of the kind is there.
    """
    before, after = _near(before, after)
    left, touching = _opened(before)
    math = box and _in_math(left)
    operator = _operates(left, touching=touching, math=math, box=box)
    behind = _acts(after, box=box, math=math)
    degrees = _DEGREES.match(after) if box else None
    if degrees is not None:
        behind, held, after = False, f"{held}{degrees[0] if units else ''}", after[degrees.end() :]
    if operator or behind:
        first = _from_segment(left) if operator else ""
        last = _to_segment(after) if behind or first.count("{") > first.count("}") or "(" in first else ""
        return f"{first}{_grouped(first, held, last)}{last}"
    if left.endswith("|") and after.lstrip("$ ").startswith("|") and held.lstrip("$( ").startswith("-"):
        return f"|{held}|"
    words = _WORDS_BEFORE.search(left)
    said = _CLOSING.sub("", after, count=1)
    more = _WORDS_AFTER.match(said)
    if more and not box and re.match(r"[kKMB]\b", more[0]):
        more = None  # a letter of the prose, unless it touches the tag
    start = f"{_whole_words(left, words.start()).strip(' $}')} " if words else ""
    end = f" {more[0].strip()}" if more else ""
    if units:
        coin = _UNIT_BEFORE.search(left)
        start += coin[0].strip("\\ ") if coin and not held.lstrip().startswith(("$", "\\$")) else ""
        named = None if more else _UNIT_AFTER.match(said)
        end += f" {named[0]}" if named and _SIMPLE.fullmatch(held.strip()) else ""
    return f"{start}{held}{end}"


def _whole_words(text: str, start: int) -> str:
    """The rest of a text from the word in which `start` is: of "isn't", the pattern finds the end."""
    while start and text[start - 1].isalnum() and text[start : start + 1].isalnum():
        start -= 1
    return text[start:]


def _near(before: str, after: str) -> tuple[str, str]:
    """The sentence on both sides."""
    before, after = _MARKUP.sub("", before[-_NEAR:]), after[:_NEAR]
    ends = list(_LINE_ENDS.finditer(before))
    stop = re.search(r"\n\s*\n|(?<![0-9])[.;](?=\s|\Z)", after)
    return before[ends[-1].end() :] if ends else before, after[: stop.start()] if stop else after


def _opened(before: str) -> tuple[str, bool]:
    """What stands before all that only opens a formula, and whether no blank is between."""
    touching = True
    while before:
        size = len(before)
        found = next((m for n in _SIZES if n <= size and (m := _OPENING.fullmatch(before, size - n))), None)
        if found is None:
            break
        touching = touching and not found[0].isspace()
        before = before[: len(before) - len(found[0])]
    return before, touching


def _in_math(before: str) -> bool:
    dollars = len(re.findall(r"(?<!\\)\$", before.replace("$$", "$")))
    return dollars % 2 == 1 or any(
        before.rfind(o) > before.rfind(c) for o, c in (("\\[", "\\]"), ("\\(", "\\)"))
    )


def _operates(left: str, *, touching: bool, math: bool, box: bool) -> bool:
    """Whether an operator, a factor or a function is before the answer."""
    bare = _UNIT_BEFORE.sub("", left)
    if found := _OPERATOR_BEFORE.search(bare):
        rest = bare[: found.start()]
        sign = found[0][0]
        if touching or math or sign == "\\":
            return True
        if not rest.strip():
            return box and sign not in "*>"  # else a list or a quotation of markdown
        if sign not in "-\u2212\u2013*_+>~":
            return box
        # `Answer - 18` is prose, `20 - 18` is not
        return box and re.search(r"(?:[0-9:=)}]|\bis)\s*\Z", rest) is not None
    if not (touching or (math and left == left.rstrip() and left[-1:].isdigit())):
        return False
    return _TOUCHES_BEFORE.search(left) is not None and not re.search(
        r"(?:[a-z]\.|\\[A-Za-z]+\{[^{}]*\})\Z", left
    )


def _acts(after: str, *, box: bool, math: bool) -> bool:
    """Whether an operator, digit or variable is behind the answer."""
    closed = re.match(r"(?:\*\*|__|`|\\[)\]]|\$|\}|\\right|(?<=\\right)\.|[)|]|\])*", after)
    touching = after[closed.end() if closed else 0 :]
    if box and _DIGITS_AFTER.match(touching):
        return True
    if _TOUCHES_AFTER.match(touching) and not (touching[:1] == "(" and not math):
        return True
    found = _OPERATOR_AFTER.match(touching)
    if found and (
        box or not touching[0].isspace() or re.match(r"\s*(?:\\|[-+*/\u00d7]\s*[0-9])", touching)
    ):
        return True
    return math and re.match(r"\s*!", after) is not None


def _from_segment(left: str) -> str:
    starts = list(_SEGMENT_FROM.finditer(left))
    return left[starts[-1].end() if starts else 0 :].strip()


def _to_segment(after: str) -> str:
    after = after.lstrip("$")
    stop = _SEGMENT_TO.search(after)
    return after[: stop.start()] if stop else after


def _grouped(first: str, held: str, last: str) -> str:
    """The answer in parentheses, so that digits and signs beside it stay apart."""
    bare = first.endswith("{") and last.startswith("}")
    apart = not first[-1:].isalnum() and first[-1:] != "." and not re.match(r"[0-9,(]", last)
    return held if bare or (apart and _SIMPLE.fullmatch(held.strip())) else f"({held})"
