"""Exact arithmetic, checked against Python's own rational numbers."""
# ruff: noqa: RUF001  (the signs that people type are the subject)

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langgraph_conductor.local.calculator import calculate, find_expression


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("1234 * 5678", "7006652"),
        ("0.1 + 0.2", "0.3"),
        ("0.12345678901234567 * 10", "1.2345678901234567"),  # more digits than a float has
        ("22 / 7", "22/7"),
        ("1/3 + 1/6", "0.5"),
        ("-1/8", "-0.125"),
        ("2 ** 3 ** 2", "512"),
        ("2 ** -3", "0.125"),
        ("-7 // 2", "-4"),
        ("-7 % 3", "2"),
        ("(-1) ** 999999999", "-1"),
        ("0 ** 0", "1"),
        ("(1 + 2) * (3 - 4)", "-3"),
        ("1 / 2 ** 30", "1/1073741824"),  # a decimal of 30 places says less
    ],
)
def test_calculates_exactly(expression, result):
    assert calculate(expression) == result


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("1 / 0", "division by zero"),
        ("0 ** -1", "division by zero"),
        ("5 % 0", "division by zero"),
        ("9 ** 9 ** 9", "too large"),
        ("2 ** 9999 * 2 ** 9999", "too long"),
        ("2 ** 0.5", "not whole"),
        ("1 + " * 200 + "1", "500 characters"),
        ("-" * 499 + "1", "nested too deeply"),
        ("", "not an arithmetic expression"),
        ("1 +", "not an arithmetic expression"),
        ("(1)(2)", "not an arithmetic expression"),
        ("__import__('os')", "not an arithmetic expression"),
        ("x + 1", "not an arithmetic expression"),
        ("1e9", "not an arithmetic expression"),
        ("1, 2", "not an arithmetic expression"),
    ],
)
def test_refuses_and_says_why(expression, reason):
    with pytest.raises(ValueError, match=reason):
        calculate(expression)


NUMBERS = st.integers(0, 10**6).map(str) | st.decimals(
    0, 1000, places=3, allow_nan=False, allow_infinity=False
).map(lambda number: f"{number:f}")


def compound(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(parts, st.sampled_from(["+", "-", "*", "/"]), parts)
    return pair.map(lambda each: f"({each[0]} {each[1]} {each[2]})") | parts.map("-{}".format)


def expected(expression: str) -> Fraction:
    """Work it out by Python itself, with every number spelled as a Fraction."""
    words = expression.replace("(", "( ").replace(")", " )").replace("-", "- ").split()
    spelled = [f"Fraction('{word}')" if word[0].isdigit() else word for word in words]
    return Fraction(eval(" ".join(spelled), {"Fraction": Fraction}))


@given(st.recursive(NUMBERS, compound, max_leaves=8))
def test_agrees_with_fractions(expression):
    try:
        result = expected(expression)
    except ZeroDivisionError:
        with pytest.raises(ValueError, match="division by zero"):
            calculate(expression)
    else:
        assert Fraction(calculate(expression)) == result


@given(st.recursive(NUMBERS, compound, max_leaves=6))
def test_an_expression_in_a_sentence_is_found_whole(expression):
    if not any(sign in expression for sign in "+*/") and " - " not in expression:
        return  # a number alone is not an expression
    found = find_expression(f"Please tell me: what is {expression}? Thank you.")
    if "--" in expression:
        assert found is None or Fraction(calculate(found)) == expected(expression)
        return
    assert found is not None
    try:
        result = expected(expression)
    except ZeroDivisionError:
        return
    assert Fraction(calculate(found)) == result


@given(st.text())
def test_never_fails_on_any_text(text):
    found = find_expression(text)
    try:
        result = calculate(found) if found is not None else ""
    except ValueError as error:
        result = str(error)  # such as a division by zero
    assert "not an arithmetic expression" not in result


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("What is 17 * (23 + 4)?", "459"), ("Compute 12.5% of 80", "10"),
        ("What is 5 percent of 20% of 1,000?", "10"), ("3 plus 4 times 2", "11"),
        ("10 divided by 4 minus 1", "1.5"), ("2 to the power of 10", "1024"), ("3² + 4 squared", "25"),
        ("5 × 6 ÷ 7 − 1", "23/7"), ("1,234,567 + 1", "1234568"), ("007 + 1", "8"), ("3x4", "12"),
        ("17 % 5", "2"), ("-3 + 4", "1"), ("3 - -4", "7"), ("(what is 3 + 4)", "7"),
        ("Subtract 48 from 305.", "257"), ("What is 48 * 271 - 19?", "12989"),
        ("Find 12.5% of 960.", "120"), ("Compute 2 * 17 * 23", "782"), ("48 * 271", "13008"),
        ("How much is 64 times 37?", "2368"), ("Please calculate 9801 / 99.", "99"),
        ("What's 15 * (6 + 7)?", "195"), ("Find 25% of 360.", "90"),
        ("2 to the power of 16 is what?", "65536"), ("Evaluate 0.1 + 0.2.", "0.3"),
        ("What is 1,234 * 5?", "6170"), ("Work out 30% of 90.", "27"), ("Tell me 5000 - 1234.", "3766"),
        ("What is (9 + 3) / 4?", "3"), ("Compute 2 * 391", "782"), ("Add 45 and 67.", "112"),
        ("How much is 300 minus 77?", "223"), ("Compute 15% of 240", "36"),
        ("What is the difference between 10 and 3?", "7"),
        ("Could you tell me what 3 + 4 is, please?", "7"), ("What is the value of 3 + 4?", "7"),
        ("3 + 4 = ?", "7"), ("-3 + 4 squared", "13"), ("What is the product of 312 and 45?", "14040"),
    ],
)  # fmt: skip
def test_finds_the_expression_in_natural_text(text, result):
    found = find_expression(text)
    assert found is not None
    assert calculate(found) == result


@pytest.mark.parametrize(
    "text",
    [
        "What is the capital of France?", "Sort 1,234", "2x + 3 = 7", "2 + 3 and 4 + 5",
        "the square root of 16 + 9", "half of 3 + 5", "2 + 3 million", "3 + 4 plus four", "3 + 5!",
        "3 + 5km", "this - 3 + 4", "200 + 10%", "born on 2026-11-21", "a 24-hour clock", "2 (3 + 4)",
        "add 3 and 4 and 5", "three times a day", "(15 * 6 + 7", "15 * 6) + 7", "1,5 + 2,5",
        "1.234,5 + 1", "0,123 + 1", "9:30 + 2:15", "0x10 + 5", "1/2 of 10", "3/4 of 100", "-3 squared",
        "negative 3 plus 5", "the square of 3 + 4", "3*4, then subtract 5",
        "Subtract 3 from 10 and square the result", "product of 3 and 4 minus two", "5 more than 3 * 2",
        "absolute value of 3 - 10", "|3 - 10|", "last digit of 7 ** 3", "How many digits has 2**100?",
        "4 choose 2 + 1", "101 + 11 in binary", "2 raised to 3 + 1", "multiply 3 by 4 and add five",
        "20 + 5 degrees Celsius in Fahrenheit", "Alice says 2 + 2 is wrong. What is the tip on $40?",
        "Who won the 2018/2019 season?", "Which is larger, 17*23 or 400? Explain.",
        "Compute 15% of 240 and then write one sentence with the result.", "2 to the power of 3 + 1",
        "2²³", "2 ** 3 squared", "100 / 50% of 4", "10% -5", "10%-5", "Is 3 + 4 the answer?",
        "the difference between 3 and 10", "add 3 and 5!", "12/25/2020", "What is,5 + 3", "12\n-5",
        "3 + 4 ...", "1·5 + 2·5",
    ],
)  # fmt: skip
def test_what_it_does_not_understand_is_none(text):
    assert find_expression(text) is None


@pytest.mark.parametrize(
    "part", ["1 + ", "(", "1,234", "1 ", "x 1", "% of ", "-", "\u00d7 ", "add 1 and ", " ", "1.1."]
)
def test_takes_linear_time(part):
    def seconds(size: int) -> float:
        text = part * (size // len(part))
        start = time.process_time()  # what other programs use does not count
        find_expression(text)
        return time.process_time() - start

    # 16 times the text: linear is 16 times the time, quadratic 256 times; 64 is as far from both.
    # The sizes take turns, so that a slow phase of the machine meets both; the best of each counts.
    pairs = [(seconds(5_000), seconds(80_000)) for _ in range(7)]
    small, large = (min(times) for times in zip(*pairs, strict=True))
    assert large < 64 * max(small, 1e-4)
