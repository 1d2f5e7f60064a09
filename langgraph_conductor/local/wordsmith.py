"""Exact operations on words and letters for the embedded `wordsmith` worker.

A language model sees tokens, not letters, and miscounts them; these few operations never do. The
text to work on is quoted (`'planet'`), follows a colon, or is plain (`the word planet`); what
stands around it says what to do.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

# No alternative can run past its own opening mark, so unmatched marks cost linear time.
_QUOTED = re.compile(r"\"([^\"]+)\"|“([^“”]+)”|‘([^‘’]+)’|`([^`]+)`|(?<!\w)'([^']+)'(?!\w)")
_NAMED = re.compile(r"\bthe\s+word\s+(\w+)", re.IGNORECASE)
_LISTED = re.compile(r"\bwords\s+((?:\w+,\s*)+(?:and\s+)?\w+(?:\s+and\s+\w+)?)\s*[.?!]?\s*$", re.IGNORECASE)
_COUNTING = re.compile(r"\b(?:how\s+(?:many|often)|count|number\s+of)\b", re.IGNORECASE)
_ONE_LETTER = re.compile(r"\bletter\s+[\"'“‘`]?(\w)\b|\bhow\s+many\s+(\w)'s\b", re.IGNORECASE)


def transform(text: str) -> str:
    """Do the one word operation that a text asks for.

    Args:
        text: An order with its material, such as `Sort these words: pear, fig` or `How many vowels
            does 'education' have?`. The order must be English.

    Returns:
        The result alone. Sorting keeps commas if the material has them and ignores case; vowels
        are a, e, i, o and u; counted letters are everything that `str.isalpha` accepts.

    Raises:
        ValueError: There is no quoted or colon-introduced material, or not exactly one known
            operation is asked for; the message lists what there is.
    """
    order, material, letter = _split(text)
    return _find(order, letter).run(material, letter)


@dataclass(frozen=True)
class _Operation:
    """One row of the table.

    Attributes:
        name: What the user is told it does.
        asks: Matches the order's words that ask for it.
        run: Takes the material and the letter to count.
        counts: Whether the result is a number.
        needs_letter: Whether it is only for orders that name a single letter.
    """

    name: str
    asks: re.Pattern[str]
    run: Callable[[str, str], str]
    counts: bool = False
    needs_letter: bool = False


def _split(text: str) -> tuple[str, str, str]:
    """Return the order without its material, the material, and the single letter named or ''."""
    named_letter = _ONE_LETTER.search(text)
    pieces = [next(filter(None, match.groups())) for match in _QUOTED.finditer(text)]
    letters = [piece for piece in pieces if len(piece) == 1]
    longer = [piece for piece in pieces if len(piece) > 1]
    letter = letters[0] if letters and longer else ""
    if named_letter:
        letter = named_letter.group(1) or named_letter.group(2)
    if pieces:
        material = longer or letters
        if len(material) > 1:
            raise ValueError(f"there are several quoted texts; quote one. {_help()}")
        return _QUOTED.sub(" ", text), material[0], letter
    order, colon, rest = text.partition(":")
    if colon and rest.strip():
        return order, _after_colon(rest), letter
    unmarked = _LISTED.search(text) or _NAMED.search(text)
    if unmarked:
        before, after = text[: unmarked.start(1)], text[unmarked.end(1) :]
        return f"{before} {after}", unmarked.group(1), letter
    raise ValueError(f"there is no quoted text and none after a colon. {_help()}")


def _after_colon(rest: str) -> str:
    """Take one sentence; where the material ends must not be guessed."""
    sentence = rest.strip()
    if sentence[-1] in ".?!":
        sentence = sentence[:-1].rstrip()
    if re.search(r"[.?!]\s|\n", sentence) or not sentence:
        raise ValueError(f"it is unclear where the text after the colon ends; quote it. {_help()}")
    return sentence


def _find(order: str, letter: str) -> _Operation:
    """Find the one operation asked for; rows above take their words away from rows below."""
    counting = _COUNTING.search(order) is not None
    found = []
    for operation in _OPERATIONS:
        if operation.needs_letter and not letter:
            continue
        order, hits = operation.asks.subn(" ", order)
        if hits:
            found.append(operation)
    if len(found) != 1 or found[0].counts != counting:
        asked = " and ".join(operation.name for operation in found)
        raise ValueError(f"asked for: {asked or 'nothing known'}. {_help()}")
    return found[0]


def _words(material: str) -> list[str]:
    """Split at commas if there are any (`pear, fig and plum` has three words), else at spaces."""
    if "," not in material:
        return material.split()
    return [part.strip() for part in re.split(r",|\band\s", material) if part.strip()]


def _join(words: list[str], material: str) -> str:
    return (", " if "," in material else " ").join(words)


def _asks(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_MANY = r"\b(?:how\s+many|number\s+of|count)\s+(?:of\s+)?(?:the\s+|all\s+){0,2}"

_OPERATIONS = (
    _Operation(
        "count a letter ('How often does the letter s occur in ...')",
        _asks(rf"{_MANY}(?:letters?\b|times\b)?|\bhow\s+often\b|\bletters?\s+\w?\b"),
        lambda material, letter: str(material.casefold().count(letter.casefold())),
        counts=True,
        needs_letter=True,
    ),
    _Operation(
        "count letters",
        _asks(rf"{_MANY}letters\b"),
        lambda material, _: str(sum(character.isalpha() for character in material)),
        counts=True,
    ),
    _Operation(
        "count words",
        _asks(rf"{_MANY}words\b"),
        lambda material, _: str(len(_words(material))),
        counts=True,
    ),
    _Operation(
        "count vowels",
        _asks(rf"{_MANY}vowels\b"),
        lambda material, _: str(sum(character in "aeiou" for character in material.casefold())),
        counts=True,
    ),
    _Operation(
        "sort words in reverse alphabetical order",
        _asks(r"\b(?:sort\b[\w\s]{0,40})?\b(?:reverse|descending)\s+alphabetical(?:\s+order)?\b"),
        lambda material, _: _join(sorted(_words(material), key=str.casefold)[::-1], material),
    ),
    _Operation(
        "sort words alphabetically",
        _asks(r"\bsort\b|\balphabeti(?:cal(?:ly)?|[sz]e)(?:\s+order)?\b"),
        lambda material, _: _join(sorted(_words(material), key=str.casefold), material),
    ),
    _Operation(
        "reverse the order of words",
        _asks(
            r"\brevers\w+\s+(?:the\s+)?(?:word\s+order|order)\b|\b(?:opposite|reverse)\s+order\b"
            r"|\brevers\w+\s+(?:the\s+|these\s+|all\s+)?words\b"
        ),
        lambda material, _: _join(_words(material)[::-1], material),
    ),
    _Operation(
        "reverse letters",
        _asks(r"\brevers\w+\b|\bbackwards?\b|\bturn\b[\w\s]{0,20}\baround\b"),
        lambda material, _: material[::-1],
    ),
    _Operation(
        "upper case",
        _asks(r"\bupper[\s-]?case\b|\bcapitals\b|\b(?:capital|block)\s+letters\b|\ball\s+caps\b"),
        lambda material, _: material.upper(),
    ),
    _Operation(
        "lower case",
        _asks(r"\blower[\s-]?case\b|\bsmall\s+letters\b"),
        lambda material, _: material.lower(),
    ),
    _Operation(
        "first letters",
        _asks(r"\b(?:first|initial)\s+letters?\b|\binitials\b"),
        lambda material, _: " ".join(word[0] for word in _words(material)),
    ),
)


def _help() -> str:
    names = "; ".join(operation.name for operation in _OPERATIONS)
    return f"The wordsmith can, on a text in quotes or after a colon: {names}."
