"""Every regular expression of the package, and texts made from each that drive a bad one to quadratic time or worse.

A pattern is found twice over: compiled, in the globals of its module (also in lists and mappings there), and as
written, in the calls of `re` in its source. How a name is used (`match` at one place, or a scan of the whole text)
is read from the source too.
"""

import ast
import importlib
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from re import _constants as ops
from re import _parser as parser
from types import ModuleType
from typing import Any, Final

from langchain_core.messages import AIMessage, HumanMessage

import langgraph_conductor
from langgraph_conductor import PlanError, Step, StepOutput, Workflow, parse_workflow
from langgraph_conductor.conversation import question_of
from langgraph_conductor.display.markup import in_html
from langgraph_conductor.display.words import printable, short
from langgraph_conductor.evals.report.words import in_markdown
from langgraph_conductor.foreign_text import json_of
from langgraph_conductor.graph.approval_request import approval_request
from langgraph_conductor.local.arithmetic_text import find_expression
from langgraph_conductor.local.labels import in_its_place
from langgraph_conductor.local.wordsmith import transform
from langgraph_conductor.planners.turns import _object_in
from langgraph_conductor.prompts import _WORKER_INTRO, planner_prompt, worker_prompt, worker_request
from langgraph_conductor.replies import drop_thinking, reply_text
from langgraph_conductor.rewards.answers import final_answer
from langgraph_conductor.rewards.choices import readable
from langgraph_conductor.rewards.plain import normal
from langgraph_conductor.special_tokens import without_special_tokens
from langgraph_conductor.tags import escape, escape_question, unescape
from langgraph_conductor.testing import read_worker_prompt
from langgraph_conductor.thoughts import Thoughts
from langgraph_conductor.workers.failures import redacted

ROOT: Final = Path(langgraph_conductor.__file__).parent
_SCANS: Final = {"search", "sub", "subn", "findall", "finditer", "split"}
_CALLS: Final = {"match", "fullmatch", *_SCANS}
_SIZES: Final = (12, 16, 20, 24, 100, 500, 2000)
_SMALL: Final = 0.005
"""Seconds that no linear pattern comes near at 500 characters, also on a slow machine."""
_SUSPECT: Final = 0.0005
"""Seconds at 2000 characters from which on the growth is measured."""
_LONG: Final = 0.2
"""Seconds at 16,000 characters that need no further proof."""
_MOST: Final = 160
"""Inputs tried of one pattern."""


@dataclass(frozen=True)
class Found:
    """A pattern and where it was found.

    Args:
        where: Module and name or line.
        pattern: The pattern, compiled.
        scans: Whether it is looked for anywhere in a text, and not at one place alone.
    """

    where: str
    pattern: re.Pattern[str]
    scans: bool


@cache
def patterns() -> list[Found]:
    """All patterns of the package, each once."""
    found: dict[tuple[str, int, bool], Found] = {}
    for path in sorted(ROOT.rglob("*.py")):
        name = ".".join(("langgraph_conductor", *path.relative_to(ROOT).with_suffix("").parts))
        module = _imported(name.removesuffix(".__init__"))
        for one in (*_held(name, module), *_written(name, path, module)):
            found.setdefault((one.pattern.pattern, one.pattern.flags, one.scans), one)
    return list(found.values())


def _imported(name: str) -> ModuleType | None:
    """A module, unless it needs what is not installed here or runs when it is imported."""
    if name.endswith("__main__"):
        return None
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _uses() -> dict[str, set[str]]:
    """Methods called on each name, anywhere: `_LABEL.finditer(...)`, also handed on, as in `map(_WORD.search, ...)`.

    What a loop takes out of a list counts for the list, in the file where it is taken.
    """
    used: dict[str, set[str]] = {}
    for path in ROOT.rglob("*.py"):
        here: dict[str, set[str]] = {}
        loops: list[tuple[str, set[str]]] = []
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Attribute) and node.attr in _CALLS and isinstance(node.value, ast.Name):
                here.setdefault(node.value.id, set()).add(node.attr)
            elif isinstance(node, ast.comprehension | ast.For) and isinstance(node.iter, ast.Name):
                loops.append(
                    (node.iter.id, {n.id for n in ast.walk(node.target) if isinstance(n, ast.Name)})
                )
        for held, names in loops:
            for name in names & here.keys():
                here.setdefault(held, set()).update(here[name])
        for name, methods in here.items():
            used.setdefault(name, set()).update(methods)
    return used


def _scans(name: str) -> bool:
    return bool(_uses().get(name, _SCANS) & _SCANS)


def _held(name: str, module: ModuleType | None) -> Iterator[Found]:
    for key, value in list(vars(module).items()) if module else ():
        for pattern in _compiled(value, 4):
            yield Found(f"{name}:{key}", pattern, _scans(key))


def _compiled(value: Any, depth: int) -> Iterator[re.Pattern[str]]:
    if isinstance(value, re.Pattern):
        yield value if isinstance(value.pattern, str) else re.compile(as_text(value.pattern), value.flags)
    elif depth and isinstance(value, Mapping):
        for part in (*value.keys(), *value.values()):
            yield from _compiled(part, depth - 1)
    elif depth and isinstance(value, list | tuple | set | frozenset):
        for part in value:
            yield from _compiled(part, depth - 1)


def _written(name: str, path: Path, module: ModuleType | None) -> Iterator[Found]:
    tree = _tree(path)
    named = _named(tree)
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        called = node.func
        if not (
            isinstance(called.value, ast.Name)
            and called.value.id == "re"
            and called.attr in {*_CALLS, "compile"}
        ):
            continue
        if (own := named.get(node)) is not None and module:
            continue  # it is among what the module holds
        text = _text(node.args[0], module)
        if text is None:
            raise AssertionError(
                f"{name}:{node.lineno}: cannot read the pattern {ast.unparse(node.args[0])}"
            )
        scans = _scans(own) if own else called.attr not in ("match", "fullmatch")
        yield Found(f"{name}:{node.lineno}", re.compile(text, _flags(node)), scans)


def _named(tree: ast.Module) -> dict[ast.AST, str]:
    """Calls that make what a global of the module holds, itself or by a function that the module calls for it."""
    named: dict[ast.AST, str] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value:
            target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
            makers = set()
            for node in ast.walk(statement.value):
                named[node] = ast.unparse(target)
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    makers.add(node.func.id)
            for function in tree.body:
                if isinstance(function, ast.FunctionDef) and function.name in makers:
                    named |= {
                        call: ast.unparse(target)
                        for back in ast.walk(function)
                        if isinstance(back, ast.Return) and back.value
                        for call in ast.walk(back.value)
                    }
    return named


def _flags(call: ast.Call) -> int:
    flags = 0
    for node in ast.walk(call):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "re":
            flag = getattr(re, node.attr, 0)
            flags |= flag if isinstance(flag, re.RegexFlag) else 0
    return flags


def as_text(pattern: str | bytes) -> str:
    """A pattern; one for bytes is tried with the characters of their numbers."""
    return pattern if isinstance(pattern, str) else pattern.decode("latin-1")


def _text(node: ast.expr, module: ModuleType | None) -> str | None:
    """The text of a pattern; what only a run would tell in it is taken for a word."""
    if isinstance(node, ast.Constant):
        return as_text(node.value) if isinstance(node.value, str | bytes) else None
    if isinstance(node, ast.JoinedStr):
        parts = [
            part.value if isinstance(part, ast.Constant) else _text(part.value, module) or "word"
            for part in node.values
        ]
        return "".join(map(str, parts))
    try:
        value = eval(ast.unparse(node), dict(vars(module)) if module else {"re": re})
    except Exception:
        return "word" if isinstance(node, ast.Call) else _assigned(node, module)
    return value if isinstance(value, str) else getattr(value, "pattern", None)


def _assigned(node: ast.expr, module: ModuleType | None) -> str | None:
    """A name that a loop gives, such as `sign` of `for sign in _SIGNS`: all of them, as alternatives."""
    if not (isinstance(node, ast.Name) and module and module.__file__):
        return None
    for loop in ast.walk(_tree(Path(module.__file__))):
        if isinstance(loop, ast.comprehension | ast.For) and ast.unparse(loop.target) == node.id:
            values = getattr(module, ast.unparse(loop.iter), None)
            if values:
                return "|".join(f"(?:{value})" for value in values)
    return None


# ---------------------------------------------------------------- inputs


def pumps(pattern: re.Pattern[str]) -> list[Callable[[int], str]]:
    """What makes texts of about so many characters from the parts of a pattern."""
    tree = parser.parse(pattern.pattern, pattern.flags)
    signs = list(dict.fromkeys((*_signs(tree), " ", "\n", "\t", "a", "1", "<", "\\")))[:40]
    samples = list(dict.fromkeys(filter(None, _samples(tree))))[:60]
    units = list(dict.fromkeys([*signs, *samples]))
    made: dict[tuple[str, str, str], None] = {}
    whole = _sample(tree)
    heads = list(
        dict.fromkeys(("", *(whole[:k] for k in range(1, min(len(whole), 12) + 1)), *samples[:20]))
    )
    # What stands before a repeated part matters most, so every part is tried behind its own beginning first.
    for head, unit in _repeats(tree, ""):
        made |= dict.fromkeys([(head, unit, "\x00"), ("", head + unit, "\x00"), (head, unit, "")])
    made |= dict.fromkeys(("", unit, tail) for unit in units for tail in ("", "\x00"))
    made |= dict.fromkeys(("", one + other, "") for one in signs[:12] for other in signs[:12])
    made |= dict.fromkeys((head, sign, "\x00") for head in heads for sign in signs)
    return [
        lambda size, head=head, unit=unit, tail=tail: head + unit * (size // len(unit)) + tail
        for head, unit, tail in islice((key for key in made if key[1]), _MOST)
    ]


def _nested(op: Any, value: Any) -> list[Any]:
    """The parts of a node that are patterns themselves."""
    if op is ops.BRANCH:
        return list(value[1])
    if op in (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT):
        return [value[2]]
    if op is ops.SUBPATTERN:
        return [value[3]]
    if op in (ops.ASSERT, ops.ASSERT_NOT):
        return [value[1]]
    if op is ops.ATOMIC_GROUP:
        return [value]
    if op is ops.GROUPREF_EXISTS:
        return [part for part in value[1:] if part is not None]
    return []


_OF_CATEGORY: Final = {
    ops.CATEGORY_SPACE: " \n\t", ops.CATEGORY_NOT_SPACE: "a", ops.CATEGORY_DIGIT: "1",
    ops.CATEGORY_NOT_DIGIT: "a", ops.CATEGORY_WORD: "a1_", ops.CATEGORY_NOT_WORD: " .",
}  # fmt: skip


def _members(items: Any) -> str:
    """Some signs of a class, of which the first is in it."""
    negated = any(op is ops.NEGATE for op, _ in items)
    found = ""
    for op, value in items:
        if op is ops.LITERAL:
            found += chr(value)
        elif op is ops.RANGE:
            found += chr(value[0]) + chr(value[1])
        elif op is ops.CATEGORY:
            found += _OF_CATEGORY.get(value, "")
    if not negated:
        return found
    return next(sign for sign in "xa1 .-\u00e9" if sign not in found) + found


def _signs(tree: Any) -> Iterator[str]:
    for op, value in tree:
        if op in (ops.LITERAL, ops.NOT_LITERAL):
            yield chr(value)
        elif op is ops.IN:
            yield from _members(value)
        elif op is ops.ANY:
            yield "x"
        for part in _nested(op, value):
            yield from _signs(part)


def _sample(tree: Any) -> str:
    """A text that the pattern matches, or nearly."""
    made = ""
    for op, value in tree:
        if op is ops.LITERAL:
            made += chr(value)
        elif op is ops.IN:
            made += _members(value)[:1]
        elif op is ops.ANY:
            made += "x"
        elif op is ops.NOT_LITERAL:
            made += "x" if value != ord("x") else "y"
        elif op in (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT):
            made += _sample(value[2]) * max(1, min(value[0], 8))
        elif op is not ops.ASSERT_NOT:
            made += "".join(map(_sample, _nested(op, value)[:1]))
    return made


def _samples(tree: Any) -> Iterator[str]:
    """The samples of a pattern, of its beginnings and of its parts."""
    items = list(tree)
    for end in range(1, len(items) + 1):
        yield _sample(items[:end])
    for op, value in items:
        for part in _nested(op, value):
            yield from _samples(part)


def _repeats(tree: Any, before: str) -> Iterator[tuple[str, str]]:
    """(what stands before, one round) of everything that may be repeated; of classes, each of its signs."""
    head = before
    for op, value in tree:
        if op in (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT) and value[1] > 1:
            yield head, _sample(value[2])
            for sign in dict.fromkeys(islice(_signs(value[2]), 6)):
                yield head, sign
        for part in _nested(op, value):
            yield from _repeats(part, head)
        head += _sample([(op, value)])


# ---------------------------------------------------------------- time


def slow(pattern: re.Pattern[str], *, scans: bool = True, pump: Iterable[Callable[[int], str]] = ()) -> str:
    """A text for which the pattern takes more than linear time, shortened, or nothing."""
    ways: list[Callable[[str], Any]] = [pattern.match, pattern.fullmatch]
    if scans:
        ways = [lambda text: sum(1 for _ in pattern.finditer(text))]
    for make in pump or pumps(pattern):
        for way in ways:
            if told := grows(way, make):
                return told
    return ""


def grows(
    call: Callable[[str], Any], make: Callable[[int], str], small: float = _SMALL, suspect: float = _SUSPECT
) -> str:
    """How `call` fails to be linear in the length of what `make` makes; nothing if it does not.

    Lengths grow in small steps, so that also a call that takes exponential time is given up in time.
    """
    for size in _SIZES:
        last = size == _SIZES[-1]
        text = make(size)
        took = _took(call, text)
        most = suspect if last else small
        if took < most or (took := _least(call, text)) < most:
            continue
        if not last or (took > 6 * _least(call, make(size // 4)) and _grows_on(call, make, took)):
            return f"{took:.3f} s for {len(text)} characters like {text[:40]!r}"
    return ""


def _grows_on(call: Callable[[str], Any], make: Callable[[int], str], took: float) -> bool:
    """Whether four times the length takes far more than four times as long, twice over."""
    for size in (16_000, 64_000):
        longer = _least(call, make(size))
        if longer < 7 * took:
            return False
        if longer > _LONG:
            return True
        took = longer
    return True


def _least(call: Callable[[str], Any], text: str) -> float:
    return min(_took(call, text) for _ in range(3))


def _took(call: Callable[[str], Any], text: str) -> float:
    begun = time.thread_time()  # not the clock: the machine may be busy
    call(text)
    return time.thread_time() - begun


# ------------------------------------------------------------ whole readers

UNITS: Final = (
    "< ", "<", "<\n", "</", "<turn ", "<\u200b", "&lt;", "&#0", "\uff1c /", "<|", "[", "[[", "{", '{"a":', '{"a":[', "(",
    "\\", '"', "'", "\\\"", "`", "#", "%", "%%{", " ", "\n", "\t\n", "<think>", "</think>", "<think>\n</think>",
    "model_id = [", "subtasks: ", "access_list=[", "steps", 'model_id = ["', "model_id: list[", "answer: ", "<answer>",
    "\\boxed{", "\\text{", "words a, ", "please ", "0-9", "1,", "- ", "| ", "=", "http://a:", "Bearer ", "key=", "sk-a",
    "a", "1", "_", "\u202e", "\x1b[", "<step_output>\n", "\n</step_output>", "given", "\nGiven ", "This is a conversation. ",
    "\u0300\u0316",
)  # fmt: skip
"""What texts are pumped from for readers that are more than a pattern."""


def _plan(text: str) -> None:
    with suppress(PlanError):
        parse_workflow(text, ["a"], allow_accept=True)


def _in_pieces(text: str) -> None:
    thoughts = Thoughts()
    for at in range(0, len(text), 5):
        thoughts.more(text[at : at + 5])
    thoughts.more("", over=True)


def _any(read: Callable[[str], Any]) -> Callable[[str], None]:
    def call(text: str) -> None:
        with suppress(ValueError):
            read(text)

    return call


def _both_prompts(text: str) -> None:
    text = text[: len(text) // 8]  # it stands in them eight times
    question = [{"type": "text", "text": text}]
    worker_prompt(question, text, [StepOutput(0, "a", text, text)])
    planner_prompt(question, [text], ["a"], max_steps=3, previous=(text, text))


SCANNERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "parse_workflow": _plan,
    "parse_workflow in a string": lambda text: _plan(
        f"model_id = [0]\nsubtasks = [{text}\naccess_list = [[]]"
    ),
    "TurnsPlanner": _any(_object_in),
    "escape": escape,
    "escape in a tag": lambda text: escape(f"<a{text}"),
    "unescape": unescape,
    "escape_question": escape_question,
    "prompts": _both_prompts,
    "read_worker_prompt": _any(read_worker_prompt),
    "worker_request": lambda text: worker_request(f"{_WORKER_INTRO}\n\n{text}"),
    "approval_request": lambda text: approval_request(
        Workflow((Step("a", f"x{text}"),)), 0, [{"type": "text", "text": text}]
    ),
    "question_of": lambda text: question_of(
        [HumanMessage(text), AIMessage(text), HumanMessage(f"a{text}")]
    ),
    "drop_thinking": drop_thinking,
    "drop_thinking, strict": lambda text: drop_thinking(text, strict=True),
    "thoughts in pieces": _in_pieces,
    "reply_text": reply_text,
    "without_special_tokens": without_special_tokens,
    "in_its_place": in_its_place,
    "printable": printable,
    "short": lambda text: short(text, 80),
    "in_html": in_html,
    "in_markdown": in_markdown,
    "json_of": json_of,
    "to_mermaid": lambda text: Workflow((Step("a", f"x{text}"),)).to_mermaid(),
    "redacted": lambda text: redacted(text, ["a secret of many words"]),
    "final_answer": final_answer,
    "choice": readable,
    "exact": normal,
    "find_expression": find_expression,
    "transform": _any(transform),
}
"""What reads or writes foreign text, by name."""
