"""Keys that objects hold: models, tools, agents, clients, planners, and what functions refer to."""

import functools
import re
import sysconfig
import weakref
from collections import ChainMap, UserDict, UserList
from collections.abc import Iterable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from enum import EnumMeta
from functools import lru_cache
from itertools import zip_longest
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    MappingProxyType,
    MethodType,
    ModuleType,
)
from typing import Any, Final, NamedTuple

from langchain_core.runnables import Runnable
from langgraph.pregel import Pregel
from pydantic import BaseModel, SecretBytes, SecretStr

from langgraph_conductor.workers import reading
from langgraph_conductor.workers.key_names import (
    holds_pair,
    is_bare,
    looks_random,
    may_be_words,
    names_key,
    tells_about_key,
)
from langgraph_conductor.workers.reading import is_a
from langgraph_conductor.workers.written_keys import FLAG, key_alone, keys_in, keys_in_connection

_MOST_PARTS: Final = 2_000
_MORE_PARTS: Final = 200
"""For each that is looked through."""
_MOST_TEXTS: Final = 50_000
"""Texts that are looked at in all; they are quick to look at, and no parts."""
_OPAQUE_DEPTH: Final = 4
_PLAIN: Final = (
    bool, int, float, complex, type(None), dict, list, tuple, set, frozenset, functools.partial, MappingProxyType,
)  # fmt: skip
"""Objects of these have no attributes that are theirs."""
_WIRE: Final = re.compile(r"header|query|param|env|cookie|kwargs", re.IGNORECASE)
"""Mappings under such names go to a server or process: there a name alone says that a value is a key."""
_HEADER: Final = re.compile(r"[A-Za-z][\w.\-]{0,60}")
_LIBRARIES: Final = (
    "builtins",
    "langchain",
    "langgraph",
    "pydantic",
    "abc",
    "typing",
    "enum",
    "collections",
)
"""What classes of these do is no user's code, and refers to no user's keys."""


_INSTALLED: Final = tuple({sysconfig.get_paths()[place] for place in ("stdlib", "platlib", "purelib")})


class _Part(NamedTuple):
    """Something that is looked at.

    Args:
        name: What it is kept under.
        value: The thing.
        depth: How many objects, of kinds that nobody knows, it hangs below what the walk began at.
        under: The name of a key that it is kept under somewhere above, such as `api_keys` of the texts in a list.
    """

    name: str
    value: Any
    depth: int
    under: str = ""


def held_keys(*holders: Any) -> tuple[str, ...]:
    """The keys that `holders` and all they refer to hold, the nearest first. No code of theirs is run.

    They are secret fields; texts and bytes whose names say so, among them those of headers, queries, variables,
    arguments, pairs and parameters; passwords in URLs and connection strings.
    """
    walk = _Walk()
    walk.through(holders)
    return tuple(walk.found)


class _Walk:
    def __init__(self) -> None:
        self.found = dict[str, None]()
        self._seen = dict[int, Any]()  # with the object, so that no other gets its number
        self._texts = 0

    def through(self, holders: Iterable[Any]) -> None:
        """Look at `holders` and at all they refer to, the nearest first."""
        waiting = [_Part("", holder, 0) for holder in holders]
        most = _MOST_PARTS + _MORE_PARTS * len(waiting)
        for part in waiting:
            value = part.value
            with suppress(Exception):  # another thread may change what is read
                if is_a(value, SecretStr, SecretBytes):
                    self._add(reading.text_of(reading.attribute(value, "_secret_value")))
                elif is_a(value, str, bytes, bytearray):
                    self._texts += 1
                    if self._texts <= _MOST_TEXTS and (text := reading.text_of(value)):
                        self._of_text(part, text)
                elif id(value) not in self._seen and len(self._seen) < most:
                    self._seen[id(value)] = value
                    waiting += self._parts(part)

    def _add(self, secret: str | None) -> None:
        if secret:
            self.found[secret] = None

    def _of_text(self, part: _Part, text: str) -> None:
        name = part.name
        if names_key(name, text) and (not is_bare(name) or looks_random(text)):
            self._add(key_alone(text))
        elif part.under and not tells_about_key(name) and _is_random(text, part.under):
            self._add(text)
        else:
            self.found.update(dict.fromkeys(keys_in_connection(text)))

    def _parts(self, part: _Part) -> list[_Part]:
        name, value, depth, under = part
        kept = under or (name if names_key(name, "") else "")
        if (mapping := reading.mapping_of(value)) is not None:
            if dict.__contains__(mapping, "transport") or _WIRE.search(name):
                self.found.update(dict.fromkeys(key for key, _ in keys_in(name, _plain(mapping))))
            inside = _told(reading.pairs(mapping), depth, kept)
        elif (items := reading.items(value)) is not None:
            inside = list(_of_items(part, items, kept))
        elif is_a(value, functools.partial):
            function, arguments, keywords = reading.parts_of_partial(value)
            bound = reading.bound_names(function, arguments, keywords)
            inside = [_Part(key, inner, depth) for key, inner in bound.items()]
            inside += [_Part("", inner, depth) for inner in (function, arguments, keywords)]
        elif type(value) is FunctionType:
            own = "" if _is_installed(value) else kept
            return [
                _Part(key, inner, depth + 1, own if is_a(inner, str, bytes) else "")
                for key, inner in _of_function(value, bool(own))
            ]
        elif (pieces := _of_builtin(name, value)) is not None:
            return [_Part(key, inner, depth, under) for key, inner in pieces]
        else:
            inside = []
        if any(type(value) is kind for kind in _PLAIN) or is_a(value, ModuleType, CodeType):
            return inside
        if depth >= _OPAQUE_DEPTH:
            return inside
        # LangChain's own are read through; of other objects not all that hangs on them is theirs.
        deeper = depth + (not is_a(value, BaseModel, Runnable))
        own = kept if is_a(value, UserDict, UserList, ChainMap) else ""
        inside += _told([*reading.held_by(value), *_of_class(type(value))], deeper, own)
        if depth <= 1:  # what is given, and what its functions name
            methods = _methods_of(type(value))
            inside += [_Part("", one, deeper) for one in methods if depth == 0 or not _is_installed(one)]
        return inside


def _is_random(text: str, under: str) -> bool:
    if not looks_random(text) or any(map(str.isspace, text)):
        return False
    return not may_be_words(under) or any(map(str.isdigit, text))


def _told(held: list[tuple[str, Any]], depth: int, under: str) -> list[_Part]:
    """What a dictionary or an object keeps; where one thing in it names another, under that name."""
    parts = [_Part(key, inner, depth, under) for key, inner in held]
    if (found := holds_pair([key for key, _ in held])) is not None:
        named = dict(held)
        if said := reading.text_of(named[found[0]], 100):
            parts.append(_Part(said, named[found[1]], depth))
    return parts


def _of_items(part: _Part, items: list[Any], under: str) -> Iterator[_Part]:
    """The parts of a list, tuple, set or deque."""
    fields = reading.member(type(part.value), "_fields") if is_a(part.value, tuple) else None
    if type(fields) is tuple:
        yield from (
            _Part(reading.text_of(key) or "", inner, part.depth)
            for key, inner in zip_longest(fields, items, fillvalue="")
        )
        return
    texts = [reading.text_of(item) for item in items[:3]]
    if len(items) in (2, 3) and is_a(part.value, list, tuple) and all(text is not None for text in texts):
        first, last = texts[0] or "", texts[-1] or ""
        if len(items) == 2 and _is_login(part.name):
            yield _Part("password", last, part.depth)  # `auth=("user", "password")`
        elif _HEADER.fullmatch(first):
            yield _Part(first, last, part.depth)  # `("Authorization", "Bearer ...")`; httpx has three
    before = ""
    for item in items:
        flag = FLAG.fullmatch(before)
        yield _Part(flag[1] if flag else "", item, part.depth, under)
        before = reading.text_of(item, 100) or ""


def _is_login(name: str) -> bool:
    small = name.lower().rstrip("s")
    return small.endswith(("auth", "credential", "login", "userpass", "userpwd"))


def _of_builtin(name: str, value: Any) -> list[tuple[str, Any]] | None:
    """What the interpreter's and LangGraph's own objects refer to; `None` for all else."""
    if type(value) is MethodType:
        return [(name, value.__func__), ("", value.__self__)]
    if type(value) is BuiltinFunctionType:
        return [("", value.__self__)]
    if type(value) is property:
        return [(name, value.fget)]
    if is_a(value, staticmethod, classmethod):
        return [(name, value.__func__)]
    if type(value) is weakref.ref:
        return [(name, value())]
    if type(value) is ContextVar:
        try:
            now = value.get()
        except LookupError:
            return []
        return [(value.name, now), (name, now)]
    if is_a(value, Pregel):
        nodes = reading.attribute(value, "nodes")
        return [(key, reading.attribute(node, "bound")) for key, node in reading.pairs(nodes)]
    if is_a(value, type):
        members = reading.member(value, "_member_map_") if is_a(value, EnumMeta) else None
        return [*_of_class(value), ("", members)]
    return None


def _of_class(kind: type) -> tuple[tuple[str, Any], ...]:
    return _texts_of(reading.Kind(kind))


@lru_cache(maxsize=1024)
def _texts_of(key: reading.Kind) -> tuple[tuple[str, Any], ...]:
    """What a class has for all its objects and may be a key.

    Plain texts are not: most are names and formats.
    """
    return tuple(
        (name, value)
        for one in reversed(reading.classes_of(key.kind))
        for name, value in reading.members_of(one).items()
        if not name.startswith("__") and _may_be_key(name, value)
        if type(value) is not property or not _is_of_library(one)
    )


def _may_be_key(name: str, value: Any) -> bool:
    if is_a(value, SecretStr, SecretBytes):
        return True
    if type(value) is property or is_a(value, dict, list, tuple, set, frozenset):
        return names_key(name, "")
    text = reading.text_of(value, 4_000)
    return text is not None and looks_random(text)


def _is_of_library(kind: type) -> bool:
    module = reading.members_of(kind).get("__module__", "builtins")
    return type(module) is not str or module.partition(".")[0].partition("_")[0] in _LIBRARIES


def _is_installed(function: FunctionType) -> bool:
    """Whether it is of Python or of an installed package: what it refers to is seldom the user's."""
    return function.__code__.co_filename.startswith(_INSTALLED)


def _methods_of(kind: type) -> list[FunctionType]:
    """What a user's class does: a tool, a planner or a middleware may refer to a key in its methods alone."""
    found = list[FunctionType]()
    for one in reading.classes_of(kind):
        if _is_of_library(one):
            continue
        members = reading.members_of(one)
        own = (m.__func__ if is_a(m, staticmethod, classmethod) else m for m in members.values())
        found += [method for method in own if type(method) is FunctionType]
    return found[: reading.MOST_ITEMS]


def _of_function(function: FunctionType, returns_key: bool) -> Iterator[tuple[str, Any]]:
    yield from reading.cells_of(function)
    yield from reading.defaults_of(function).items()
    yield from reading.pairs(function.__dict__)
    codes = reading.codes_of(function.__code__)
    names = dict.fromkeys(name for code in codes for name in code.co_names)
    for name in names:
        value = dict.get(function.__globals__, name)
        if is_a(value, ModuleType):  # of a module, what the function takes from it
            yield from (
                (inner, reading.in_module(value, inner)) for inner in names if _is_text(value, inner)
            )
        elif value is not None:
            yield name, value
    if returns_key:
        yield from (("", text) for code in codes for text in code.co_consts if type(text) is str)


def _is_text(module: Any, name: str) -> bool:
    return is_a(reading.in_module(module, name), str, bytes, SecretStr, SecretBytes)


def _plain(value: Any, depth: int = 0) -> Any:
    """Texts, dictionaries and lists as plain ones, for `keys_in`; all else is left out."""
    if (text := reading.text_of(value)) is not None:
        return text
    if depth > 3:
        return None
    if (mapping := reading.mapping_of(value)) is not None:
        return {key: _plain(inner, depth + 1) for key, inner in reading.pairs(mapping)}
    items = reading.items(value)
    return None if items is None else [_plain(inner, depth + 1) for inner in items]
