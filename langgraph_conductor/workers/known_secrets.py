"""Keys that are known: those that models, servers and functions hold, and those that came from the environment."""

import base64
import functools
import html
import inspect
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from itertools import zip_longest
from types import CodeType, MemberDescriptorType, ModuleType
from typing import Any, Final
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from langchain_core.runnables import Runnable
from langgraph.pregel import Pregel
from pydantic import BaseModel, SecretBytes, SecretStr

from langgraph_conductor.workers.key_forms import HIDDEN, without_forms
from langgraph_conductor.workers.key_names import is_bare, is_secret, looks_random, names_key

_taken: set[str] = set()
"""What configuration files took from the environment. It is one for the process, as the environment is: an error
of any worker, planner or server may tell it."""


def remember(name: str, value: str) -> None:
    """Keep what a file took from the environment variable `name` out of all that is told from now on.

    Words, numbers, hosts, paths and names of models are no keys, unless `name` says that they are.
    """
    _taken.update(filter(is_secret, _of_variable(name, value)))


def _of_variable(name: str, value: str) -> Iterator[str]:
    has_parts = "://" in value or value.lstrip().startswith(("{", "["))
    if names_key(name, value) or (looks_random(value) and not has_parts):
        yield value
    yield from (key for key, _ in keys_in(name, value))


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without `secrets` and whatever looks like a key; some providers repeat the key in their errors."""
    return without_forms(without(text, secrets))


def without(text: str, secrets: Iterable[str]) -> str:
    """`text` without `secrets` and what was taken from the environment, however it is spelled.

    Those that are too short, or plain words, stay.
    """
    # The longest first: one may be a part of another.
    for secret in sorted(filter(is_secret, {*secrets, *_taken}), key=len, reverse=True):
        for spelled in _spellings(secret):
            text = text.replace(spelled, HIDDEN)
        for inside in _in_base64(secret):
            text = _without_run(text, inside)
    return text


def begun(text: str, secrets: Iterable[str]) -> int:
    """How many characters at the end of `text` may be the beginning of one of `secrets`, which is not over yet."""
    known = [spelled for one in {*secrets, *_taken} if is_secret(one) for spelled in _spellings(one)]
    longest = max(map(len, known), default=1) - 1
    for size in range(min(longest, len(text)), 0, -1):
        if any(spelled.startswith(text[-size:]) for spelled in known):
            return size
    return 0


@lru_cache(maxsize=512)
def _spellings(secret: str) -> tuple[str, ...]:
    """How a text may have it: as it is, quoted for a URL, as JSON, as Python, as HTML; the longest first."""
    raw = secret.encode("utf-8", "surrogatepass")
    quoted = [quote(raw, safe=""), quote(raw), quote_plus(raw)]
    lower = [re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), one) for one in quoted]
    escaped = [json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]]
    escaped += [json.dumps(one)[1:-1] for one in escaped]  # JSON in JSON
    every = {secret, *quoted, *lower, *escaped, html.escape(secret)}
    return tuple(sorted(every, key=len, reverse=True))


@lru_cache(maxsize=512)
def _in_base64(secret: str) -> tuple[str, ...]:
    """What base64 makes of it wherever it stands in what is encoded, such as behind a user's name."""
    found, raw = set[str](), secret.encode("utf-8", "surrogatepass")
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        end = (before + len(raw)) * 8 // 6  # the letter after it also depends on what comes next
        found.add(whole[-(-before * 8 // 6) : end])
    found |= {one.translate({ord("+"): "-", ord("/"): "_"}) for one in found}
    return tuple(one for one in found if len(one) >= 8)


def _without_run(text: str, inside: str) -> str:
    """`text` without the letters of base64 around each `inside`."""
    pieces, place = list[str](), 0
    while (at := text.find(inside, place)) >= 0:
        begin, end = at, at + len(inside)
        while begin > place and _is_base64(text[begin - 1]):
            begin -= 1
        while end < len(text) and (_is_base64(text[end]) or text[end] == "="):
            end += 1
        pieces += [text[place:begin], HIDDEN]
        place = end
    return "".join([*pieces, text[place:]])


def _is_base64(sign: str) -> bool:
    return (sign.isascii() and sign.isalnum()) or sign in "+/-_"


# ---------------------------------------------------------------------- in what is written down

_PASSWORD: Final = re.compile(r"://[^\s/:@\"']*:([^\s/\"']+)@")
_USER: Final = re.compile(r"://([^\s/:@\"']{16,}+)@")
_QUERY: Final = re.compile(r"[?&#]([^\s=&?#\"']{1,100})=([^\s&?#\"']+)")
_PATH: Final = re.compile(r"(?<=[^/:])/([^\s/?&#\"']{16,}+)")
_ASSIGNED: Final = re.compile(
    r"\s*(?:-{1,2}|-[eH]\s)?[\"']?([A-Za-z][\w.\-]{0,99})[\"']?\s{0,9}[=:]\s*+(?!//)(\S.*)", re.DOTALL
)
_FLAG: Final = re.compile(r"-{1,2}([A-Za-z][\w.\-]*)")
_SCHEME: Final = re.compile(r"[A-Za-z]+\s+(\S+)")  # "Bearer ..."
_DEEPEST: Final = 5


def keys_in(name: str, value: Any, depth: int = 0) -> Iterator[tuple[str, bool]]:
    """The keys in headers, arguments, variables, queries and other parts of a connection.

    Args:
        name: What `value` stands under.
        value: Texts, lists and mappings.
        depth: How deep it is.

    Yields:
        The text of each, and whether a name says that it is one; else only its look does.
    """
    if depth > _DEEPEST:
        return
    if isinstance(value, SecretStr):
        yield value.get_secret_value(), True
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from keys_in(str(key), inner, depth + 1)
    elif isinstance(value, list | tuple):
        before = ""
        for item in value:
            flag = _FLAG.fullmatch(before)
            yield from keys_in(flag[1] if flag else "" if before else name, item, depth + 1)
            before = item if isinstance(item, str) else ""
    elif isinstance(value, str) and value:
        yield from _in_text(name, value, depth)


def _in_text(name: str, value: str, depth: int) -> Iterator[tuple[str, bool]]:
    if "cookie" in name.lower():
        yield from ((part.partition("=")[2].strip() or part.strip(), True) for part in value.split(";"))
    elif names_key(name, value) and not value.startswith("-"):
        yield _key_alone(value), True
    elif (assigned := _ASSIGNED.fullmatch(value)) and "://" not in assigned[1]:
        yield from keys_in(assigned[1], assigned[2], depth + 1)
    elif value.lstrip().startswith(("{", "[")):
        with suppress(ValueError, RecursionError):
            yield from keys_in(name, json.loads(value), depth + 1)
    if "://" in value:
        yield from _in_url(value)


def _key_alone(value: str) -> str:
    """`value` without the name of a scheme before it."""
    scheme = _SCHEME.fullmatch(value)
    if scheme is None:
        return value
    assigned = _ASSIGNED.fullmatch(scheme[1])
    return assigned[2].strip("\"'") if assigned else scheme[1]  # `Token token="..."`


def _in_url(value: str) -> Iterator[tuple[str, bool]]:
    for password in _PASSWORD.findall(value):
        yield from ((one, True) for one in {password, unquote(password)})
    for user in _USER.findall(value):
        yield from ((one, False) for one in {user, unquote(user)} if looks_random(one))
    for name, given in _QUERY.findall(value):
        named = names_key(unquote_plus(name), given)
        if named or (len(given) >= 16 and looks_random(given)):
            yield from ((one, named) for one in {given, unquote_plus(given)})
    for part in _PATH.findall(value.partition("?")[0]):
        if looks_random(part):
            yield part, False


# ---------------------------------------------------------------------- in objects

_MOST_PARTS: Final = 2_000
_MORE_PARTS: Final = 200
"""For each that is looked through."""
_MOST_ITEMS: Final = 200
_OPAQUE_DEPTH: Final = 4
_PLAIN: Final = frozenset({
    bool, int, float, complex, bytes, type(None), dict, list, tuple, set, frozenset, deque, functools.partial,
})  # fmt: skip
"""Objects of these have no attributes that are theirs."""
_PLACES: Final = ("__dict__", "__pydantic_private__", "__pydantic_extra__")
_WIRE: Final = re.compile(r"header|query|param|env|cookie|kwargs", re.IGNORECASE)
"""Mappings under such names go to a server or process: there a name alone says that a value is a key."""


def secrets_of(*holders: Any) -> tuple[str, ...]:
    """The keys that workers, models, tools, planners or connections hold, so that they can be kept out of records.

    They are their secret fields; texts whose names say so, among them headers, query values, variables and
    arguments; passwords in URLs. Chains, fallbacks, agents, tools, clients and what functions refer to are looked
    through, objects with `__slots__` and named tuples as others.
    """
    walk = _Walk()
    walk.through(holders)
    return tuple(filter(is_secret, walk.found))


@lru_cache(maxsize=1024)
def slots_of(kind: Any) -> tuple[tuple[str, MemberDescriptorType], ...]:
    """The attributes that objects of a class keep in slots, in place of their `__dict__`."""
    return tuple(
        (name, value)
        for one in kind.__mro__
        for name, value in vars(one).items()
        if isinstance(value, MemberDescriptorType) and not name.startswith("__")
    )


@lru_cache(maxsize=1024)
def _texts_of(kind: Any) -> tuple[tuple[str, str | SecretStr | SecretBytes], ...]:
    """The texts that a class has for all its objects, but for the plain ones: most are names and formats."""
    return tuple(
        (name, value)
        for one in reversed(kind.__mro__)
        for name, value in vars(one).items()
        if isinstance(value, SecretStr | SecretBytes) or (isinstance(value, str) and looks_random(value))
        if not name.startswith("__")
    )


def _held_by(part: Any) -> Iterator[tuple[str, Any]]:
    """What an object keeps in itself and in its class, under the names it is kept under."""
    kind: Any = type(part)
    for place in _PLACES:
        if isinstance(
            held := getattr(part, place, None), dict
        ):  # some objects have an answer to every name
            yield from held.copy().items()
    for name, slot in slots_of(kind):
        with suppress(AttributeError):  # it is not filled yet
            yield name, slot.__get__(part)
    yield from _texts_of(kind)


class _Walk:
    def __init__(self) -> None:
        self.found = dict[str, None]()
        self._seen = dict[int, Any]()  # with the object, so that no other gets its number

    def through(self, holders: Iterable[Any]) -> None:
        """Look at `holders` and at all they refer to, the nearest first."""
        waiting = [("", holder, 0) for holder in holders]
        most = _MOST_PARTS + _MORE_PARTS * len(waiting)
        for name, part, depth in waiting:
            with suppress(Exception):  # whatever odd objects do when they are looked at
                if isinstance(part, SecretStr | SecretBytes):
                    self._add(part.get_secret_value())
                elif isinstance(part, str):
                    self._of_text(name, part)
                elif id(part) not in self._seen and len(self._seen) < most:
                    self._seen[id(part)] = part
                    waiting += self._parts(name, part, depth)

    def _add(self, secret: str | bytes) -> None:
        self.found[secret if isinstance(secret, str) else secret.decode("latin-1")] = None

    def _of_text(self, name: str, text: str) -> None:
        if names_key(name, text) and (not is_bare(name) or looks_random(text)):
            self._add(_key_alone(text))
        elif "://" in text[:2_000]:
            self.found.update((key, None) for key, sure in _in_url(text[:2_000]) if sure)

    def _parts(self, name: str, part: Any, depth: int) -> list[tuple[str, Any, int]]:
        if isinstance(part, Mapping):
            if "transport" in part or _WIRE.search(name):
                self.found.update((key, None) for key, _ in keys_in(name, part))
            inside = [(str(key), value, depth) for key, value in list(part.items())[:_MOST_ITEMS]]
        elif isinstance(part, list | tuple | set | frozenset | deque):
            names = getattr(part, "_fields", ())
            items = list(part)[:_MOST_ITEMS]
            inside = [(str(key), value, depth) for key, value in zip_longest(names, items, fillvalue="")]
        elif isinstance(part, functools.partial):
            inside = [("", value, depth) for value in (part.func, part.args, part.keywords)]
        elif inspect.ismethod(part):
            return [("", part.__func__, depth), ("", part.__self__, depth)]
        elif inspect.isfunction(part):
            return [(key, value, depth + 1) for key, value in _of_function(part)]
        elif isinstance(part, Pregel):
            return [(key, value.bound, depth) for key, value in part.nodes.items()]
        elif isinstance(part, type):
            return [(key, value, depth) for key, value in _texts_of(part)]
        else:
            inside = []
        if isinstance(part, ModuleType | CodeType) or type(part) in _PLAIN or depth >= _OPAQUE_DEPTH:
            return inside
        # LangChain's own are read through; of other objects not all that hangs on them is theirs.
        deeper = depth + (not isinstance(part, BaseModel | Runnable))
        return inside + [(key, value, deeper) for key, value in _held_by(part)]


def _of_function(function: Any) -> Iterator[tuple[str, Any]]:
    code = function.__code__
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=False):
        with suppress(ValueError):  # it is not filled yet
            yield name, cell.cell_contents
    names = code.co_varnames[: code.co_argcount]
    yield from zip(reversed(names), reversed(function.__defaults__ or ()), strict=False)
    yield from (function.__kwdefaults__ or {}).items()
    yield from vars(function).items()
    for name in _globals_of(code):
        if name in function.__globals__:
            yield name, function.__globals__[name]


def _globals_of(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _globals_of(inner)
