"""Reading the one arithmetic expression out of a sentence, or giving up.

A worker that misreads a question is worse than one that says it cannot. So this lists what may stand
around an expression and refuses the rest: one word more can change what the numbers mean. Linear time.
"""
# ruff: noqa: RUF001, RUF002  (the signs that people type are the subject)

import re
from decimal import Decimal
from typing import NamedTuple

# `1,234,567` is one number. `1,2345` and `0,123` are not: that comma may be a decimal one.
_NUMBER = r"(?:[1-9][0-9]{0,2}(?:,[0-9]{3})+(?![0-9])(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"

# A line break is `unknown`: numbers on lines are a list, even if some are negative.
_TOKEN = re.compile(
    rf"""
    (?P<other>[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}(?![0-9])|[0-9]{{1,2}}([-/.])[0-9]{{1,2}}\2[0-9]{{4}}
      |0x[0-9a-f])
  | (?P<number>{_NUMBER})
  | (?P<square>²|³|\b(?:squared|cubed)\b)
  | (?P<percent_of>(?:%|\bper[ ]?cent\b)\s{{1,9}}of\b)
  | (?P<power>\*\*|\^)
  | (?P<named_power>\b(?:raised[ ])?to[ ]the[ ]power[ ]of\b)
  | (?P<operator>//|[-+*/%×÷−]|(?<=\s)·(?=\s)|\bplus\b|\bminus\b|\btimes\b|\bmultiplied[ ]by\b
      |\bdivided[ ]by\b|\bmod(?:ulo)?\b|(?<=[0-9)])x(?=[0-9])|(?<=\s)x(?=\s{{1,9}}[0-9(]))
  | (?P<open>\()
  | (?P<close>\))
  | (?P<space>[ \t\u00a0]+)
  | (?P<word>\w+)
  | (?P<unknown>.)
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_AROUND = ("other", "space", "word", "unknown")
_BETWEEN = ("operator", "power", "named_power")

_OPERATORS = {
    "×": "*", "·": "*", "x": "*", "times": "*", "multiplied by": "*", "÷": "/", "divided by": "/",
    "−": "-", "minus": "-", "plus": "+", "mod": "%", "modulo": "%",
    "^": "**", "to the power of": "**", "raised to the power of": "**",
}  # fmt: skip
_SQUARES = {"²": "**2", "squared": "**2", "³": "**3", "cubed": "**3"}

# `is` alone is missing on purpose: it begins a question for yes or no.
_BEFORE = re.compile(
    r"""\s*+(?:(?:please|kindly|(?:can|could|would|will)\s++you|hello|hi|hey
      |what(?:\s++(?:is|are|does|do)\b|['’]?s\b)?+|how\s++much\s++(?:is|are)
      |(?:tell|give|show|state)(?:\s++me\b)?+|for\s++me|compute|calculate|evaluate|solve|determine
      |work\s++out|figure\s++out|find(?:\s++out\b)?+
      |the\s++(?:(?:exact|final)\s++)?+(?:result|value|answer)(?:\s++(?:of|to|for|is)\b|(?=:))
      |the\s++(?:following\s++)?+(?:expression|calculation|arithmetic\s++problem)|the\s++following
      )\b(?:[,.!?]\s++|:\s*+|\s++))*+""",
    re.VERBOSE | re.IGNORECASE,
)
# No `!` next to a number: that is a factorial. No `...` either: that goes on.
_AFTER = re.compile(
    r"""(?:\s*+=|,?+\s++please\b|\s++(?:is|equals|equal(?:\s++to\b)?+|what|how\s++much|for\s++me)\b)*+
      \s*+(?:\?++|\.)?+(?:,?+\s++(?:please|thanks|thank\s++you)\b[.!?]?+)*+\s*+""",
    re.VERBOSE | re.IGNORECASE,
)

# Spoken forms in which the operator stands before its two numbers.
_SPOKEN = tuple(
    (re.compile(rf"\b{pattern.replace('N', f'({_NUMBER})')}", re.IGNORECASE), form)
    for pattern, form in (
        (r"add N (?:and|to) N", "{0} + {1}"),
        (r"(?:the )?sum of N and N", "{0} + {1}"),
        (r"subtract N from N", "{1} - {0}"),
        (r"(?:the )?difference (?:between|of) N and N", "{0} - {1}"),
        (r"multiply N (?:by|and|with) N", "{0} * {1}"),
        (r"(?:the )?product of N and N", "{0} * {1}"),
        (r"divide N by N", "{0} / {1}"),
    )
)


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


_LONGEST = 8_000
"""Characters of a text that may ask for one expression and nothing else."""


def find_expression(text: str) -> str | None:
    """Find the arithmetic expression in a sentence that asks for nothing else.

    Understands signs (also `×`, `÷`, `−`, `²`, `^`), words (`plus`, `to the power of`, `subtract 3
    from 10`), parentheses, thousands separators and `12% of 80`.

    Args:
        text: A question or an order, such as `What is 17 * (23 + 4)?`.

    Returns:
        The expression in the form `calculate` takes, or `None` if there is none or more than one, if
        it can be read in two ways, or if anything around it is not a usual way to ask for it.
    """
    if len(text) > _LONGEST:
        return None
    whole = re.fullmatch(r"\(\s*([a-z].*)\)\s*", text, re.DOTALL | re.IGNORECASE)
    text = whole.group(1) if whole else text  # `(what is 3 + 4)`
    return _find_spoken(text) or _find_written(text)


def _find_spoken(text: str) -> str | None:
    for pattern, form in _SPOKEN:
        match = pattern.search(text)
        if match is None or not _only_asks(text[: match.start()], text[match.end() :]):
            continue
        first, second = (_plain(number) for number in match.groups())
        if "difference" in match.group().lower() and Decimal(first) < Decimal(second):
            return None  # between 3 and 10, some say 7
        return form.format(first, second)
    return None


def _find_written(text: str) -> str | None:
    tokens = [_Token(each.lastgroup or "", each.group(), *each.span()) for each in _TOKEN.finditer(text)]
    inside = [index for index, token in enumerate(tokens) if token.kind not in _AROUND]
    run = tokens[inside[0] : inside[-1] + 1] if inside else []
    if not run or not _only_asks(text[: run[0].start], text[run[-1].end :]):
        return None
    run = [token for token in run if token.kind != "space"]
    return None if _has_two_readings(run) else _read(run)


def _only_asks(before: str, after: str) -> bool:
    return _BEFORE.fullmatch(before) is not None and _AFTER.fullmatch(after) is not None


def _has_two_readings(run: list[_Token]) -> bool:
    """Whether people would disagree on what is meant, even if Python would not."""
    kinds = [token.kind for token in run]
    if "percent_of" in kinds:  # `100 / 50% of 4`: other operators could take the share or the whole
        signs = {_sign(token) for token in run if token.kind in (*_BETWEEN, "square")}
        return not signs <= {"+", "-", "*"}
    for index, token in enumerate(run):
        before, after = kinds[max(index - 2, 0) : index], kinds[index + 1 : index + 2]
        if token.kind == "named_power" and index + 2 < len(run):
            return True  # `2 to the power of 3 + 1`
        if token.kind == "square" and ("power" in before + after or after == ["square"]):
            return True  # `2 ** 3 squared`, `2²³`
        if token.kind in ("square", "power", "named_power") and index > 1 and _is_sign(run, index - 2):
            return True  # `-3 squared`
        if token.text == "%" and not _is_remainder(run, index):
            return True
    return False


def _sign(token: _Token) -> str:
    return _OPERATORS.get(token.text.lower(), token.text)


def _is_remainder(run: list[_Token], index: int) -> bool:
    """Whether `%` stands evenly between two numbers; `10% -5` is a share."""
    before, after = run[max(index - 1, 0)], run[min(index + 1, len(run) - 1)]
    even = (before.end == run[index].start) == (run[index].end == after.start)
    return even and after.kind == "number"


def _read(run: list[_Token]) -> str | None:
    """Turn tokens into an expression by a two-state machine, or `None` at the first surprise."""
    parts: list[str] = []
    depth, operand_next = 0, True
    for position, token in enumerate(run):
        if token.kind == "number" and operand_next:
            parts.append(_plain(token.text))
            operand_next = False
        elif token.kind == "open" if operand_next else token.kind == "close" and depth:
            parts.append(token.text)
            depth += 1 if token.kind == "open" else -1
        elif token.kind == "square" and not operand_next:
            parts.append(_SQUARES[token.text.lower()])
        elif token.kind == "percent_of" and not operand_next and run[position - 1].kind == "number":
            parts[-1], operand_next = f"({parts[-1]} / 100) * ", True
        elif token.kind in _BETWEEN and not operand_next:
            parts.append(f" {_sign(token)} ")
            operand_next = True
        elif _is_sign(run, position):
            parts.append("-")
        else:
            return None
    # A number that is only mentioned is none.
    asks = any(token.kind not in ("number", "open", "close") for token in run)
    return "".join(parts) if asks and not (operand_next or depth) else None


def _is_sign(run: list[_Token], position: int) -> bool:
    """Whether a minus touches the number it negates; `this - 3 + 4` may be a dash."""
    if run[position].text not in ("-", "−") or position + 1 == len(run):
        return False
    after = run[position + 1]
    starts = position == 0 or run[position - 1].kind not in ("number", "close", "square")
    return starts and after.kind in ("number", "open") and after.start == run[position].end


def _plain(number: str) -> str:
    """Write a number as Python reads it: no separators, no leading zeros."""
    whole, dot, places = number.replace(",", "").partition(".")
    return f"{whole.lstrip('0') or '0'}{dot}{places}"
