"""The program of a grading process: JSON lines in, JSON lines out.

It is run as a file, by `processes`, and imports nothing of this package, so that it starts quickly. A request is
`{"call": name, "with": {...}}`; the reply is `{"right": true}` or `{"right": false}`, or `{"error": text}` where the
task itself cannot be graded.
"""

import json
import os
import re
import sys
import warnings
from functools import lru_cache
from typing import Any

_SECONDS = 3
"""Of each parse and each comparison of math-verify."""

_SIGNS = (
    r"<|>|≤|≥|\\[lg]eq?\b|\\[lg]t\b|\\[lg]eqslant\b",
    r"=|\\equiv\b",
    r"≠|\\neq?\b|\\not",
    r"≈|~|\\approx\b|\\sim",
    r"±|\\pm\b|\\mp\b",
    r"\\c[ua]p\b|∪|∩|\\setminus\b|\\big[a-z]*|\\bigc[ua]p\b",
    r"\\in\b|∈|\\ni\b|\\notin\b",
    r"\\\{|\\lbrace\b",
    r"\[|\]|\\lbrack\b",
    r",|;",
    r"\bor\b|\band\b|\bnot\b|\\lor\b|\\land\b|\\vee\b|\\wedge\b|\\lnot\b|\\neg\b|∨|∧|¬",
    r"\\to\b|\\[a-z]*arrow\b|→",
    r"\\begin\b|\\\\|&",
    r"\\mid\b|\||\\lvert\b",
    r"\?|\\text|\\mathrm",
    r"\n",
)
"""Signs that can make one answer out of several. Each line is one kind."""


def math(answer: str, gold: str) -> bool:
    """Whether the answer is equal to the right one, as mathematics, and is of the same form.

    math-verify reads a list of candidates, a relation or a word as something that may well equal the right
    answer, or leaves out what it cannot read. So an answer may only use kinds of signs the right answer uses.
    """
    answer, gold = _plain(answer), _plain(gold)
    if "".join(answer.split()) == "".join(gold.split()):
        return True
    if any(re.search(sign, answer) and not re.search(sign, gold) for sign in _SIGNS):
        return False
    from math_verify import verify

    left, right = _parsed(gold), _parsed(answer)
    if left is None or right is None or not _alike(left, right):
        return False
    return bool(verify(left, right, timeout_seconds=_SECONDS)) and _near(left, right)


def _plain(text: str) -> str:
    """Without dollar signs, units, thousands separators and what stands before `x =`."""
    text = text.strip().strip("$").strip().removesuffix(".").replace("\u2212", "-")
    text = re.sub(r"\\left|\\right|\\[,;!:]|\\displaystyle", " ", text).replace("{,}", ",")
    text = re.sub(r"(?<![\d.,])(\d{1,3})((?:,\d{3})+)(?![\d,])", lambda m: m[0].replace(",", ""), text)
    text = re.sub(
        r"\\(?:text|mathrm|mbox)\s*\{\s*((?!or\b|and\b|not\b)[a-zA-Z. ]{1,20})\}(?:\^\d)?$",
        "",
        text.strip(),
    )
    named = re.fullmatch(r"\s*[A-Za-z](?:_\w|_\{\w+\}|\([a-z]\))?\s*=([^=]*)", text)
    return (named[1] if named else text).strip()


@lru_cache(maxsize=64)
def _parsed(text: str) -> Any:
    """As a SymPy expression, read as a whole; `None` if it cannot be read."""
    from math_verify import LatexExtractionConfig, parse

    found = parse(
        f"\\boxed{{{text}}}",
        [LatexExtractionConfig(boxed_match_priority=0)],
        fallback_mode="no_fallback",
        parsing_timeout=_SECONDS,
    )
    return found[0] if len(found) == 1 and not isinstance(found[0], str) else None


def _alike(gold: Any, answer: Any) -> bool:
    from sympy import Expr, MatrixBase, Set
    from sympy.core.relational import Relational
    from sympy.logic.boolalg import Boolean

    def kind(it: Any) -> Any:
        kinds = (MatrixBase, Set, Relational, Boolean, Expr)
        return next((one for one in kinds if isinstance(it, one)), type(it))

    return kind(gold) is kind(answer) and answer.free_symbols <= gold.free_symbols


def _near(gold: Any, answer: Any) -> bool:
    """Whether two numbers differ by at most a millionth; math-verify looks at six decimals only."""
    from sympy import Expr

    if not (isinstance(gold, Expr) and isinstance(answer, Expr)) or gold.free_symbols:
        return True
    a, b = complex(gold.evalf(15)), complex(answer.evalf(15))
    return a == b or abs(a - b) <= 1e-6 * abs(a)


def gym(family: str, config: dict[str, Any], entry: dict[str, Any], answer: str) -> bool:
    """Whether reasoning-gym's scorer of the family gives the full score."""
    try:
        score = float(_dataset(family, json.dumps(config)).score_answer(answer, entry))
    except Exception:  # noqa: BLE001 - the scorers raise all sorts of errors on a model's text
        return False
    return score >= 1 - 1e-6


@lru_cache(maxsize=128)
def _dataset(family: str, config: str) -> Any:
    import reasoning_gym

    options = json.loads(config)
    return reasoning_gym.create_dataset(family, **{"seed": 0, "size": 1, **options})


def _limit(seconds: int) -> None:
    """Let this process end itself even if nobody is left to end it."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + seconds + 1, hard))


def main() -> None:
    """Answer requests until there are no more."""
    warnings.simplefilter("ignore")
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no reply
    calls = {"math": math, "gym": gym, "ping": lambda: True}
    for line in sys.stdin:
        request = json.loads(line)
        _limit(request["seconds"])
        try:
            right = calls[request["call"]](**request["with"])
        except RecursionError:
            right = False
        out.write(json.dumps({"right": bool(right)}) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
