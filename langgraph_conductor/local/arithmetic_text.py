"""Reading the one arithmetic expression out of a sentence, or giving up.

A worker that misreads a question is worse than one that says it cannot: everything this does not
fully understand (two expressions, an unknown function, a dangling operator) is `None`. One pass
over the text with a tokenizer, one over the tokens: linear time.
"""
# ruff: noqa: RUF001, RUF002  (the signs that people type are the subject)

import re
from dataclasses import dataclass

# `1,234,567` is one number; the lookahead keeps `1,2345` from being read as 1,234 and a 5.
_NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"

_TOKEN = re.compile(
    rf"""
    (?P<date>[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}(?![0-9]))
  | (?P<number>{_NUMBER})
  | (?P<square>²|³|\b(?:squared|cubed)\b)
  | (?P<percent_of>(?:%|\bper[ ]?cent\b)\s{{1,9}}of\b)
  | (?P<operator>\*\*|//|[-+*/^%×·÷−]|\bplus\b|\bminus\b|\btimes\b|\bmultiplied[ ]by\b
      |\bdivided[ ]by\b|\b(?:raised[ ])?to[ ]the[ ]power[ ]of\b|\bmod(?:ulo)?\b
      |x(?=\s{{0,9}}[0-9(]))
  | (?P<open>\()
  | (?P<close>\))
  | (?P<space>\s+)
  | (?P<word>\w+)
  | (?P<other>.)
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)

_OPERATORS = {
    "×": "*", "·": "*", "x": "*", "times": "*", "multiplied by": "*",
    "÷": "/", "divided by": "/",
    "−": "-", "minus": "-", "plus": "+",
    "^": "**", "to the power of": "**", "raised to the power of": "**",
    "mod": "%", "modulo": "%",
}  # fmt: skip
_SQUARES = {"²": "**2", "squared": "**2", "³": "**3", "cubed": "**3"}

# Words that change what the numbers beside them mean: not understood, so nothing is.
_FOREIGN = re.compile(
    r"\b(?:sqrt|roots?|log|ln|exp|sin|cos|tan|factorial|average|mean|median|half|third|quarter|twice"
    r"|double|triple|dozen|hundred|thousand|million|billion|trillion|per cent more|percent more)\b",
    re.IGNORECASE,
)

# Spoken forms in which the operator stands before its two numbers.
_SPOKEN = tuple(
    (re.compile(rf"\b{pattern.replace('N', f'({_NUMBER})')}", re.IGNORECASE), form)
    for pattern, form in (
        (r"add N (?:and|to) N", "{0} + {1}"),
        (r"sum of N and N", "{0} + {1}"),
        (r"subtract N from N", "{1} - {0}"),
        (r"difference (?:between|of) N and N", "{0} - {1}"),
        (r"multiply N (?:by|and|with) N", "{0} * {1}"),
        (r"product of N and N", "{0} * {1}"),
        (r"divide N by N", "{0} / {1}"),
    )
)


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


def find_expression(text: str) -> str | None:
    """Find the arithmetic expression in natural text.

    Understands operators as signs (also `×`, `÷`, `−`, `²`, `^`) and as words (`plus`, `divided
    by`, `to the power of`, `subtract 3 from 10`), parentheses, thousands separators and
    `12% of 80`.

    Args:
        text: A question or an order, such as `What is 17 * (23 + 4)?`.

    Returns:
        The expression in the form `calculate` takes, or `None` if there is none, more than one, or
        one that is not fully understood.
    """
    if _FOREIGN.search(text):
        return None
    spoken = _find_spoken(text)
    if spoken is not None:
        return spoken
    found = None
    for run in _runs(text):
        if not any(token.kind in ("operator", "square", "percent_of") for token in run):
            continue  # a number that is only mentioned
        if not any(token.kind == "number" for token in run):
            continue  # a dash or a slash between words
        expression = _read(run)
        if expression is None or found is not None:
            return None
        found = expression
    return found


def _find_spoken(text: str) -> str | None:
    for pattern, form in _SPOKEN:
        match = pattern.search(text)
        if match is None:
            continue
        rest = text[: match.start()] + " " + text[match.end() :]
        # More numbers or a letter right after the last: `add 3 and 4 and 5`, `add 3 and 4k`.
        if re.search("[0-9]", rest) or re.match(r"[\w%!]", text[match.end() :]):
            return None
        return form.format(*(_plain(number) for number in match.groups()))
    return None


def _runs(text: str) -> list[list[_Token]]:
    """Split the text into stretches without words; one that ends in `5km` or `5!` is spoilt."""
    runs: list[list[_Token]] = [[]]
    for match in _TOKEN.finditer(text):
        token = _Token(match.lastgroup or "other", match.group(), match.start(), match.end())
        if token.kind == "space":
            continue
        if token.kind in ("word", "other", "date"):
            run = runs[-1]
            glued = bool(run) and run[-1].kind == "number" and run[-1].end == token.start
            if glued and (token.kind == "word" or token.text == "!"):
                run.append(token)
            if run:
                runs.append([])
        else:
            runs[-1].append(token)
    if text.count("(") != text.count(")"):
        return [run for run in runs if run]  # one is missing, and where is a guess
    return [_without_stray_parentheses(run) for run in runs if run]


def _without_stray_parentheses(run: list[_Token]) -> list[_Token]:
    """Drop an outer parenthesis that belongs to the sentence: `(what is 3 + 4)`."""
    surplus = sum((token.kind == "open") - (token.kind == "close") for token in run)
    first, last = 0, len(run)
    while surplus > 0 and first < last and run[first].kind == "open":
        first, surplus = first + 1, surplus - 1
    while surplus < 0 and first < last and run[last - 1].kind == "close":
        last, surplus = last - 1, surplus + 1
    return run[first:last]


def _read(run: list[_Token]) -> str | None:
    """Turn tokens into an expression by a two-state machine, or `None` at the first surprise."""
    parts: list[str] = []
    depth = 0
    operand_next = True
    for position, token in enumerate(run):
        if token.kind == "number" and operand_next:
            parts.append(_plain(token.text))
            operand_next = False
        elif token.kind == "open" and operand_next:
            parts.append("(")
            depth += 1
        elif token.kind == "close" and not operand_next and depth:
            parts.append(")")
            depth -= 1
        elif token.kind == "square" and not operand_next:
            parts.append(_SQUARES[token.text.lower()])
        elif token.kind == "percent_of" and not operand_next and run[position - 1].kind == "number":
            parts[-1] = f"({parts[-1]} / 100) * "
            operand_next = True
        elif token.kind == "operator" and not operand_next:
            parts.append(f" {_OPERATORS.get(token.text.lower(), token.text)} ")
            operand_next = True
        elif _is_sign(run, position):
            parts.append("-")
        else:
            return None
    return None if operand_next or depth else "".join(parts)


def _is_sign(run: list[_Token], position: int) -> bool:
    """Whether a minus touches the number it negates; `this - 3 + 4` may be a dash."""
    token = run[position]
    after = run[position + 1] if position + 1 < len(run) else None
    return (
        token.text in ("-", "−")
        and after is not None
        and after.kind in ("number", "open")
        and after.start == token.end
    )


def _plain(number: str) -> str:
    """Write a number as Python reads it: no separators, no leading zeros."""
    whole, dot, places = number.replace(",", "").partition(".")
    return f"{whole.lstrip('0') or '0'}{dot}{places}"
