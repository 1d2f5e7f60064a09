"""The program of a grading process: JSON lines in, JSON lines out.

It is run as a file, by `processes`, and imports nothing of this package but for graders of the user's own, so
that it starts quickly. A request is `{"call": name, "with": {...}, "seconds": limit}`; the reply is
`{"right": true}` or `{"right": false}`, a score from 0 to 1 in its place for graders of the user's own,
`{"error": text}` if it is not the answer's fault, or `{"refused": text}` if there is no such grader.
"""

import json
import os
import re
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from typing import Any

_SECONDS = 3
"""Of each parse and each comparison of math-verify."""

_MEMORY = 2 << 30
"""Bytes of address space; 0.2 GB are in use."""

_DEEPEST = 50
"""Braces in braces; more take the parser ever longer."""

_SIGNS = (
    r"<|>|\u2264|\u2265|\\[lg]eq?\b|\\[lg]t\b|\\[lg]eqslant\b",
    r"=|\\equiv\b",
    r"\u2260|\\neq?\b|\\not",
    r"\u2248|~|\\approx\b|\\sim",
    r"\u00b1|\\pm\b|\\mp\b",
    r"\u222a|\u2229|\\c[ua]p\b|\\setminus\b|\\big",
    r"\u2208|\\in\b|\\ni\b|\\notin\b",
    r"\\\{|\\lbrace\b",
    r"\[|\]|\\lbrack\b",
    r",|;",
    r"\bor\b|\band\b|\bnot\b|\\lor\b|\\land\b|\\vee\b|\\wedge\b|\\lnot\b|\\neg\b|\u2228|\u2227|\u00ac",
    r"\u2192|\\to\b|\\[a-zA-Z]*arrow\b|\\implies\b|\\iff\b",
    r"\\begin\b|\\\\|&|\n",
    r"\\[lr]?vert\b|\\mid\b|\|",
    r"\?|\\text|\\mathrm|\\mbox|\\operatorname",
    r"\u2026|\.\.|\\[a-z]?dots[a-z]?\b",
    r"\\i*int\b|\\sum\b|\\prod\b|\\lim\b|\u222b|\u2211|\u220f",
    r"!|\\binom\b",
    r"\\quad|\\qquad|\\hspace|\\phantom",
    r"\d\s+\d",
    r"\\boxed|\\fbox|\$",
    r"'|\u2032|\\prime\b",
)
"""Signs that can make one answer out of several. Each line is one kind."""

_UNICODE = {
    "\u2212": "-", "\u221e": r"\infty ", "\u222a": r"\cup ", "\u2229": r"\cap ", "\u03c0": r"\pi ",
    "\u2264": r"\leq ", "\u2265": r"\geq ",
    "\u2260": r"\neq ", "\u00d7": r"\times ", "\u00b7": r"\cdot ", "\u2208": r"\in ",
}  # fmt: skip
"""Signs as LaTeX writes them."""

_AND = re.compile(r"\$?,?\s?(?:\band\b|\\(?:text|mathrm|mbox)\s?\{\s?,?\s?and\s?\})\s?\$?|\$,\s?\$")
"""Between the parts of a list."""
_RELATION = re.compile(r"[=<>]|\\(?:[lg]eq?|neq?|in)\b|\bor\b")

_SUBSCRIPT = re.compile(r"_\s*+\{?+\s*+(\w+)")
"""Bases of numbers and of logarithms, indices of variables: math-verify may pass over them."""


def math(answer: str, gold: str) -> bool:
    """Whether the answer is equal to the right one, as mathematics, and is of the same form.

    math-verify reads a list of candidates, a relation or a word as something that may well equal the right
    answer, and leaves out what it cannot read. So an answer may only use kinds of signs the right answer uses.
    """
    answer, gold = _plain(answer), _plain(gold)
    if answer == gold:
        return bool(gold)
    if "," in gold and not _RELATION.search(answer):
        answer = _AND.sub(", ", answer)
    if any(re.search(sign, answer) and not re.search(sign, gold) for sign in _SIGNS):
        return False
    if not _paired(answer) or not set(_SUBSCRIPT.findall(answer)) <= set(_SUBSCRIPT.findall(gold)):
        return False
    from math_verify import verify

    try:
        left, right = _parsed(gold), _parsed(answer)
        if left is None or right is None or not _alike(left, right):
            return False
        return bool(verify(left, right, timeout_seconds=_SECONDS)) and _near(left, right)
    except Exception:  # noqa: BLE001 - SymPy raises all sorts of errors on a model's text
        return False


def _paired(text: str) -> bool:
    """Whether braces are in pairs: else a part of the text stands outside of the box it is read from."""
    depth = 0
    for brace in re.findall(r"\\.|[{}]", text):
        depth += {"{": 1, "}": -1}.get(brace, 0)
        if not 0 <= depth <= _DEEPEST:
            return False
    return depth == 0


def _plain(text: str) -> str:
    """Without dollar signs, thousands separators, a unit at the end, `x =` or `x in` at the start."""
    text = text.strip().strip("$").strip().removesuffix(".")
    for sign, name in _UNICODE.items():
        text = text.replace(sign, name)
    text = re.sub(r"(?<![A-Za-z\\])inf(?:inity)?\b", r"\\infty", text)
    text = re.sub(r"(?<=[)\]]) ?U ?(?=[(\[])", r"\\cup ", text)
    text = re.sub(r"\{[bp]matrix\}", "{pmatrix}", text)
    text = re.sub(r"\\(?:text|mathrm|mbox)\s?\{\s?([ie])\s?\}", r"\1", text)
    text = re.sub(r"\\left\b|\\right\b|(?<!\\)\\[,;!: ]|\\displaystyle", " ", text).replace("{,}", ",")
    text = re.sub(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])", lambda m: m[0].replace(",", ""), text)
    text = re.sub(
        r"(?<=\S)\s*\\(?:text|mathrm|mbox)\s*\{(?!\s*(?:or|and|not)\b)[a-zA-Z. ]{1,20}\}$", "", text
    )
    text = re.sub(r"\u221a\s*(?:(\d+|[a-z])|\(([^()]*)\))", r"\\sqrt{\1\2}", text)
    named = re.fullmatch(r"\s*[A-Za-z](?:_\w|_\{\w+\}|\([a-z]\))?\s*(?:=|\\in\b)([^=]*)", text)
    return " ".join((named[1] if named else text).split())


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
    from sympy import Derivative, Expr, FiniteSet, Interval, MatrixBase, Set
    from sympy.core.relational import Relational
    from sympy.logic.boolalg import Boolean

    def kind(it: Any) -> Any:
        kinds = (MatrixBase, FiniteSet, Interval, Set, Relational, Boolean, Expr)
        return next((one for one in kinds if isinstance(it, one)), type(it))

    if answer.has(Derivative) and not gold.has(Derivative):
        return False
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
    dataset = _dataset(family, json.dumps(config))
    try:
        score = float(dataset.score_answer(answer, entry))
    except Exception:  # noqa: BLE001 - the scorers raise all sorts of errors on a model's text
        dataset.score_answer(entry["answer"], entry)  # fails too if the answer is not to blame
        return False
    return score >= 1 - 1e-6


@lru_cache(maxsize=128)
def _dataset(family: str, config: str) -> Any:
    import reasoning_gym

    options = json.loads(config)
    return reasoning_gym.create_dataset(family, **{"seed": 0, "size": 1, **options})


class _RefusedError(Exception):
    """There is no such grader; the message says why."""


class _OwnError(Exception):
    """A grader of the user's own failed; the message says how."""


def load(grader: str) -> bool:
    """Import a grader of the user's own, and what it is called with."""
    import langgraph_conductor.rewards.task  # noqa: F401

    _function(grader)
    return True


def own(grader: str, answer: str, task: dict[str, Any]) -> float:
    """The score a grader of the user's own gives, whatever it does but end the process."""
    function = _function(grader)
    from langgraph_conductor.rewards.task import Task

    try:
        score = function(answer, Task.from_json(task))
    except BaseException as error:  # noqa: BLE001 - SystemExit too: the process is to go on
        raise _failure(error, function) from None
    if not hasattr(type(score), "__float__"):
        raise _OwnError(f"it gave a {type(score).__name__:.80}; a score is a number from 0 to 1")
    try:
        number = float(score)
    except Exception as error:  # noqa: BLE001 - of any type's own
        raise _failure(error, function) from None
    if not 0 <= number <= 1:
        raise _OwnError(f"it gave {number}; a score is from 0 to 1")
    return number


def _function(grader: str) -> Callable[..., Any]:
    module, _, name = grader.partition(":")
    if module == "__main__":
        raise _RefusedError(
            f"grader {grader!r} cannot be imported: it runs in a process of its own; put it into a module"
        )
    try:
        found = getattr(import_module(module), name)
    except BaseException as error:  # noqa: BLE001 - whatever a module does when it is imported
        raise _RefusedError(
            f"grader {grader!r} cannot be imported: {_failure(error)}; install its module, or put its folder on "
            "PYTHONPATH"
        ) from None
    if not callable(found):
        raise _RefusedError(f"grader {grader!r} is no function")
    return found  # type: ignore[no-any-return]


def _failure(error: BaseException, grader: Any = None) -> "_OwnError":
    """What failed, in a few words, without the keys of `grader`: its text may be long, and may fail itself."""
    try:
        said = str(error)
    except BaseException:  # noqa: BLE001 - of any type's own, and this process is ended from outside
        said = ""
    if grader is not None:
        from langgraph_conductor.workers.known_secrets import redacted, secrets_of

        said = redacted(said, secrets_of(grader))
    return _OwnError(f"{type(error).__name__}: {said[:300]}")


def _limit(seconds: int, memory: bool) -> None:
    """Let this process end itself even if nobody is left to end it, and fail before the memory is full."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    limits = {
        resource.RLIMIT_CPU: int(used.ru_utime + used.ru_stime) + seconds + 1,
    }
    if memory:
        limits[resource.RLIMIT_AS] = _MEMORY
    for what, limit in limits.items():
        hard = resource.getrlimit(what)[1]
        with suppress(OSError, ValueError):  # macOS does not know a limit of memory
            resource.setrlimit(what, (limit if hard < 0 else min(limit, hard), hard))


def _watch(parent: int) -> None:
    """End this process soon after the one that started it: nobody wants the reply."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def main() -> None:
    """Answer requests until there are no more."""
    warnings.simplefilter("ignore")
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()
    # What a library or a grader reads is no request, and what it prints no reply.
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)
    os.dup2(2, 1)
    calls: dict[str, Callable[..., Any]] = {
        "math": math, "gym": gym, "ping": lambda: True, "load": load, "own": own,
    }  # fmt: skip
    for line in requests:
        request = json.loads(line)
        # A user's own grader may need a library that reserves more memory than all ours.
        _limit(request["seconds"], memory=request["call"] not in ("load", "own"))
        try:
            reply: dict[str, Any] = {"right": calls[request["call"]](**request["with"])}
        except _RefusedError as refusal:
            reply = {"refused": str(refusal)}
        except _OwnError as error:
            reply = {"error": str(error)}
        except Exception as error:  # noqa: BLE001 - told, and raised there
            reply = {"error": repr(error)[:1000]}
        out.write(json.dumps(reply) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
