"""Exact operations on words and letters for the embedded `wordsmith` worker.

A language model sees tokens, not letters, and miscounts them; these few operations never do. The
text to work on is quoted (`'planet'`), follows a colon, or is plain (`the word planet`). The order
around it must be one of the known wordings from its first word to its last: one word more, such as
`descending`, may ask for something else.
"""

import re
import unicodedata
from collections.abc import Callable

# No alternative can run past its own opening mark, so unmatched marks cost linear time.
_QUOTED = re.compile(r"\"([^\"]+)\"|“([^“”]+)”|‘([^‘’]+)’|`([^`]+)`|(?<!\w)'([^']+)'(?!\w)")
_NAMED = re.compile(r"\bthe\s+word\s+(\w+)", re.IGNORECASE)
_LISTED = re.compile(
    r"\bwords\s++((?:\w++,\s*+)++(?:and\s++(?=\w))?+\w++(?:\s++and\s++\w++)?+)\s*+[.?!]?+\s*+$",
    re.IGNORECASE,
)
_POINTS_ELSEWHERE = re.compile(r"\b(?:above|below|order|here|there|given|please|thanks)\b", re.IGNORECASE)
_LETTERED = re.compile(r"[^\W_]")
_WORD = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*")

_TEXT, _LETTER = "\0", "\1"  # stand for what was cut out of the order


def transform(text: str) -> str:
    """Do the one word operation that a text asks for.

    Args:
        text: An order with its material, such as `Sort these words: pear, fig` or `How many vowels
            does 'education' have?`. The order must be English.

    Returns:
        The result alone. Sorting keeps commas if the material has them and ignores case; vowels
        are a, e, i, o and u; counted letters are everything that `str.isalpha` accepts.

    Raises:
        ValueError: There is no material, the order is no known wording of one operation, or what is
            meant for this material is unclear; the message lists what there is.
    """
    order, material, letter = _split(text)
    for _, asks, run in _OPERATIONS:
        match = asks.fullmatch(_plain(order))
        if match:
            named = match.groupdict().get("letter") or ""
            return run(material, letter if named == _LETTER else named)
    raise ValueError(f"asked for nothing known. {_help()}")


def _plain(order: str) -> str:
    return " ".join(re.sub(r"[.?!,:]", " ", order).replace("’", "'").lower().split())


def _split(text: str) -> tuple[str, str, str]:
    """Return the order with a mark for its material, the material, and the quoted letter or ''."""
    pieces = [next(filter(None, match.groups())) for match in _QUOTED.finditer(text)]
    letters = [piece for piece in pieces if len(piece) == 1]
    longer = [piece for piece in pieces if len(piece) > 1]
    if pieces:
        if len(longer or letters) > 1 or len(letters) > 1:
            raise ValueError(f"there are several quoted texts; quote one. {_help()}")
        mark = _QUOTED.sub(lambda cut: f" {_LETTER if longer and len(cut[0]) == 3 else _TEXT} ", text)
        return mark, (longer or letters)[0], letters[0] if letters and longer else ""
    order, colon, rest = text.partition(":")
    if colon and rest.strip():
        return f"{order} {_TEXT}", _after_colon(rest), ""
    unmarked = _LISTED.search(text) or _NAMED.search(text)
    if unmarked and not _POINTS_ELSEWHERE.search(unmarked.group(1)):
        return f"{text[: unmarked.start(1)]} {_TEXT} {text[unmarked.end(1) :]}", unmarked.group(1), ""
    raise ValueError(f"there is no quoted text and none after a colon. {_help()}")


def _after_colon(rest: str) -> str:
    """Take one sentence; where the material ends must not be guessed."""
    sentence = rest.strip()
    if sentence[-1] in ".?!":
        sentence = sentence[:-1].rstrip()
    if re.search(r"[.?!]\s|\n", sentence) or not sentence:
        raise ValueError(f"it is unclear where the text after the colon ends; quote it. {_help()}")
    return sentence


def _check(material: str, clear: bool) -> None:
    if not clear:
        raise ValueError(f"it is not clear what is meant for {material!r}. {_help()}")


def _words(material: str) -> list[str]:
    """Split at commas if there are any (`pear, fig and plum` has three words), else at spaces."""
    words = material.split()
    if "," in material:
        before, *last = material.rsplit(None, 2)
        if last[:1] == ["and"]:
            material = f"{before.removesuffix(',')},{last[1]}"
        words = [part.strip() for part in material.split(",")]
    _check(material, all(_WORD.fullmatch(word) for word in words))
    return words


def _join(words: list[str], material: str) -> str:
    return (", " if "," in material else " ").join(words)


def _sorted(material: str) -> list[str]:
    # Where accents, hyphens and the "and" of `pear and fig` belong is a matter of taste.
    words = _words(material)
    _check(material, all(word.isascii() and word.isalpha() and word.lower() != "and" for word in words))
    return sorted(words, key=str.casefold)


def _count_words(material: str) -> str:
    words = material.split()
    _check(material, not re.search(r",\S", material) and all(map(_LETTERED.search, words)))
    return str(len(words))


def _count_any(material: str, letters: str) -> str:
    # Whether an accented letter counts is not said.
    _check(material, material.isascii() and letters != "")
    return str(sum(character in letters.lower() for character in material.lower()))


def _reversed(material: str) -> str:
    # A list could be meant word by word; marks and joiners belong to the character before them.
    clear = all(sign.isascii() or unicodedata.category(sign)[0] in "LNP" for sign in material)
    _check(material, clear and "," not in material)
    return material[::-1]


_FILLER = r"(?:(?:the|this|these|all|following|of|in|words?|text|phrase|string|sentence) )*"
_ONE = rf"(?:(?:the|this|following|word|text|phrase|string) )*{_TEXT}"  # not `reverse these words`
_ANY = rf"{_FILLER}{_TEXT}"
_MANY = r"(?:(?:tell me )?how many|count(?: all)?(?: the)?(?: number of)?|(?:what is )?(?:the )?number of)"
_HELD = rf"(?:(?:are )?(?:there )?(?:in )?{_ANY}|do(?:es)? {_ANY} (?:have|contain))"
_SOUGHT = rf"(?:the )?(?:letters? )?(?P<letter>{_LETTER}|\w)(?:'s)?"
_OCCURS = rf"(?:occur|appear) in {_ANY}"
_SORT = "(?:sort|put|arrange|order|list|write)"
_WRITE = "(?:make|write|put|convert|turn|change|print|show|spell|type|what is)"
_UPPER = r"(?:upper[ -]?case(?: letters)?|capitals|(?:capital|block) letters|all caps)"
_LOWER = r"(?:lower[ -]?case(?: letters)?|small letters)"
_ALPHABETICALLY = r"(?:alphabetically|in(?:to)? (?:the )?alphabetical order)"
_FIRST = (
    r"(?:(?:what are|(?:give|list|write|name|show|tell)(?: me)?) )?(?:the )?"
    rf"(?:first letters of|first letter of (?:each|every)|initials of) (?:each )?{_ANY}"
)
_LIST_WORDS = "(?:write|put|list|say) (?:the |these |following )*words"
_WORD_ORDER = r"in (?:the )?(?:opposite|reversed?) order"


def _asks(*wordings: str) -> re.Pattern[str]:
    polite = r"(?:(?:please|kindly|(?:can|could|would|will) you) )*+"
    return re.compile(rf"{polite}(?:{'|'.join(wordings)})(?: (?:please|for me|thanks|thank you))*+")


def _around(verb: str, wish: str) -> str:
    """`make these words upper case: ...`, `make upper case: ...` and `make '...' upper case`."""
    return rf"{verb} {_FILLER}(?:{_TEXT} {wish}|{wish} {_ANY})"


# The name in messages, the whole orders that ask for it, what to do with the material and a letter.
_OPERATIONS: tuple[tuple[str, re.Pattern[str], Callable[[str, str], str]], ...] = (
    (
        "count a letter ('How often does the letter s occur in ...')",
        _asks(rf"(?:how (?:often|many times) does|(?P<many>{_MANY})) {_SOUGHT} (?(many){_HELD}|{_OCCURS})"),
        _count_any,
    ),
    ("count letters", _asks(rf"{_MANY} letters {_HELD}"), lambda text, _: str(sum(map(str.isalpha, text)))),
    ("count words", _asks(rf"{_MANY} words {_HELD}"), lambda text, _: _count_words(text)),
    ("count vowels", _asks(rf"{_MANY} vowels {_HELD}"), lambda text, _: _count_any(text, "aeiou")),
    (
        "sort words in reverse alphabetical order",
        _asks(_around(_SORT, r"in (?:the )?(?:reverse|descending) alphabetical order")),
        lambda text, _: _join(_sorted(text)[::-1], text),
    ),
    (
        "sort words alphabetically",
        _asks(rf"(?:sort|alphabeti[sz]e) {_ANY}", _around(_SORT, _ALPHABETICALLY)),
        lambda text, _: _join(_sorted(text), text),
    ),
    (
        "reverse the order of words",
        _asks(
            rf"reverse the (?:order of (?:the |these )?words|word order) {_ANY}",
            rf"{_LIST_WORDS} (?:(?:in )?{_TEXT} {_WORD_ORDER}|{_WORD_ORDER} {_ANY})",
        ),
        lambda text, _: _join(_words(text)[::-1], text),
    ),
    (
        "reverse letters",
        _asks(
            rf"(?:reverse (?:the letters (?:in|of) )?|what is the reverse of ){_ONE}",
            rf"(?:what is|spell|write|say) {_ONE}(?: spelled| spelt| written)? (?:backwards?|reversed)",
        ),
        lambda text, _: _reversed(text),
    ),
    ("upper case", _asks(_around(_WRITE, rf"(?:in |into |to )?{_UPPER}")), lambda text, _: text.upper()),
    ("lower case", _asks(_around(_WRITE, rf"(?:in |into |to )?{_LOWER}")), lambda text, _: text.lower()),
    ("first letters", _asks(_FIRST), lambda text, _: " ".join(word[0] for word in _words(text))),
)


def _help() -> str:
    names = "; ".join(name for name, _, _ in _OPERATIONS)
    return f"The wordsmith can, on a text in quotes or after a colon: {names}."
