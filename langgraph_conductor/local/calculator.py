"""Exact arithmetic for the embedded `calculator` worker.

Two steps: `find_expression` reads the arithmetic out of a sentence, or gives up; `calculate` works
it out with rational numbers, so 0.1 + 0.2 is 0.3 and nothing is ever rounded.

Evaluated by simpleeval (MIT), restricted to numbers and operators:
https://github.com/danthedeckie/simpleeval
"""

import ast
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final

from langgraph_conductor.errors import LocalModelError
from langgraph_conductor.local.arithmetic_text import find_expression

__all__ = ["calculate", "find_expression"]

MAX_CHARACTERS = 500
MAX_BITS = 10_000  # about 3,000 digits: below the length at which Python refuses to print an int
MAX_DECIMAL_PLACES = 20

_ALLOWED = re.compile(r"[0-9.+\-*/% ()]+")


def calculate(text: str) -> str:
    """Work out an arithmetic expression exactly.

    Args:
        text: Numbers, `+ - * / // % **` and parentheses in Python's syntax, at most 500 characters;
            `find_expression` makes this from natural text. `%` is the remainder here.

    Returns:
        An integer (`391`), a terminating decimal of at most 20 places (`0.3`), or a reduced
        fraction (`22/7`).

    Raises:
        ValueError: The text is not such an expression or is too long, it divides by zero, an
            exponent is not whole, or a number has more than 10,000 bits.
        LocalModelError: simpleeval is not installed.
    """
    expression = text.strip()
    if len(expression) > MAX_CHARACTERS:
        raise ValueError(f"the expression has more than {MAX_CHARACTERS} characters")
    if not _ALLOWED.fullmatch(expression):
        raise ValueError(f"not an arithmetic expression: {expression!r}")
    try:
        return _show(_evaluate(expression))
    except ZeroDivisionError as error:
        raise ValueError(f"division by zero in {expression!r}") from error
    except SyntaxError as error:
        raise ValueError(f"not an arithmetic expression: {expression!r} ({error.msg})") from error
    except (RecursionError, MemoryError) as error:
        raise ValueError(f"the expression is nested too deeply: {expression!r}") from error


_NEEDS: Final = "The calculator needs simpleeval: pip install 'langgraph-conductor[local]'"


def check_calculator() -> None:
    """See that what the calculator needs is installed.

    Raises:
        LocalModelError: If simpleeval is not.
    """
    try:
        import simpleeval  # noqa: F401
    except ImportError as error:
        raise LocalModelError(_NEEDS) from error


def _evaluate(expression: str) -> Fraction:
    try:
        from simpleeval import InvalidExpression, SimpleEval
    except ImportError as error:
        raise LocalModelError(_NEEDS) from error
    evaluator = SimpleEval(operators=_OPERATORS, functions={}, names={})

    def number(node: ast.Constant) -> Fraction:
        # From the source text: Python has already rounded `node.value` to a float.
        return Fraction(expression[node.col_offset : node.end_col_offset])

    # Only these four kinds of node exist for us: no calls, attributes, tuples or assignments.
    evaluator.nodes = {kind: handler for kind, handler in evaluator.nodes.items() if kind in _NODES} | {
        ast.Constant: number
    }
    try:
        return Fraction(evaluator.eval(expression))
    except InvalidExpression as error:
        raise ValueError(f"not an arithmetic expression: {expression!r}") from error


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1:
        raise ValueError(f"the exponent {_show(exponent)} is not whole: no exact result")
    size = max(base.numerator.bit_length(), base.denominator.bit_length())
    # The result has at least this many bits: refused before the work is done. 0, 1 and -1 stay
    # small, whatever the exponent.
    if (size - 1) * abs(exponent.numerator) > MAX_BITS:
        raise ValueError("the power is too large to work out")
    # A Fraction to a negative int stays exact, where an int would become a float.
    return base ** (exponent.numerator % 2 if size == 1 and base else exponent.numerator)


def _exact(
    operation: Callable[[Fraction, Fraction], Fraction | int],
) -> Callable[[Fraction, Fraction], Fraction]:
    """Keep every intermediate a Fraction of bounded size (`//` alone returns an int)."""

    def bounded(left: Fraction, right: Fraction) -> Fraction:
        result = Fraction(operation(left, right))
        if max(result.numerator.bit_length(), result.denominator.bit_length()) > MAX_BITS:
            raise ValueError("the numbers become too long to work out")
        return result

    return bounded


_NODES = (ast.Expr, ast.BinOp, ast.UnaryOp)

_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: _exact(lambda left, right: left + right),
    ast.Sub: _exact(lambda left, right: left - right),
    ast.Mult: _exact(lambda left, right: left * right),
    ast.Div: _exact(lambda left, right: left / right),
    ast.FloorDiv: _exact(lambda left, right: left // right),
    ast.Mod: _exact(lambda left, right: left % right),
    ast.Pow: _exact(_power),
    ast.USub: lambda value: -value,
    ast.UAdd: lambda value: value,
}


def _show(value: Fraction) -> str:
    """Write a number without rounding it: integer, terminating decimal, or fraction."""
    if value.denominator == 1:
        return str(value.numerator)
    places = _decimal_places(value.denominator)
    if places is None:
        return f"{value.numerator}/{value.denominator}"
    scaled = abs(value.numerator) * 10**places // value.denominator
    digits = str(scaled).rjust(places + 1, "0")
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def _decimal_places(denominator: int) -> int | None:
    """Return how many places 1/denominator has, or `None` if it repeats or has too many."""
    for places in range(1, MAX_DECIMAL_PLACES + 1):
        if 10**places % denominator == 0:
            return places
    return None
