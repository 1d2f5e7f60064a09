"""Objects of users, read without running their code.

A function or tool may refer to anything: a client that connects when it is first touched, settings that end the
process when they are missing, a mapping in front of a database. `getattr`, `isinstance` and iteration run the code
of such objects. Here their types, dictionaries, slots and built-in containers are read as CPython keeps them.
"""

import functools
import gc
import sys
from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from types import (
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any, Final

MOST_ITEMS: Final = 200
"""Read of each container: what is large is data."""
_SEQUENCES: Final = (list, tuple, set, frozenset, deque)
_HIDDEN_SLOTS: Final = frozenset({"__pydantic_private__", "__pydantic_extra__"})
_MULTIDICTS: Final = ("CIMultiDict", "CIMultiDictProxy", "MultiDict", "MultiDictProxy")
_mro: Final = type.__dict__["__mro__"]
_vars: Final = type.__dict__["__dict__"]
_function: Final = functools.partial.__dict__["func"]
_arguments: Final = functools.partial.__dict__["args"]
_keywords: Final = functools.partial.__dict__["keywords"]


def is_a(value: Any, *kinds: type) -> bool:
    """Whether `value` is an instance of one of `kinds` by its real type, whatever it says of itself."""
    return is_kind(type(value), *kinds)


def is_kind(kind: type, *kinds: type) -> bool:
    """Whether class `kind` derives from one of `kinds`, abstract registrations aside."""
    return any(type.__subclasscheck__(one, kind) for one in kinds)


def classes_of(kind: type) -> tuple[type, ...]:
    """The classes that `kind` derives from, itself first."""
    found: tuple[type, ...] = _mro.__get__(kind)
    return found


def members_of(kind: type) -> dict[str, Any]:
    """What the body of class `kind` defines, by name."""
    return dict(_vars.__get__(kind))


def member(kind: type, name: str) -> Any:
    """What objects of `kind` find in their classes under `name`, as it was written; `None` if nothing."""
    for one in classes_of(kind):
        if name in (held := _vars.__get__(one)):
            return held[name]
    return None


class Kind:
    """A class as the key of a cache: a metaclass may have an `__eq__` and a `__hash__` of its own.

    Args:
        kind: The class.
    """

    __slots__ = ("kind",)

    def __init__(self, kind: type) -> None:
        self.kind = kind

    def __hash__(self) -> int:
        return id(self.kind)

    def __eq__(self, other: object) -> bool:
        return type(other) is Kind and other.kind is self.kind


def slots_of(kind: type) -> tuple[tuple[str, MemberDescriptorType], ...]:
    """The attributes that objects of a class keep in slots, in place of their `__dict__`."""
    return _slots_of(Kind(kind))


@lru_cache(maxsize=1024)
def _slots_of(key: Kind) -> tuple[tuple[str, MemberDescriptorType], ...]:
    return tuple(
        (name, value)
        for one in classes_of(key.kind)
        for name, value in members_of(one).items()
        if type(value) is MemberDescriptorType and (not name.startswith("__") or name in _HIDDEN_SLOTS)
    )


@lru_cache(maxsize=1024)
def _dictionary_of(key: Kind) -> Any:
    """The descriptor of the dictionary that objects of a class have; a property of that name is passed over."""
    for one in classes_of(key.kind):
        found = _vars.__get__(one).get("__dict__")
        if is_a(found, GetSetDescriptorType, MemberDescriptorType) and found.__objclass__ is one:
            return found
    return None


def dictionary(value: Any) -> dict[str, Any] | None:
    """The `__dict__` of `value`; `None` if it has none."""
    if is_a(value, type):
        return None
    place = _dictionary_of(Kind(type(value)))
    held = None if place is None else place.__get__(value)
    return held if is_a(held, dict) else None


def attribute(value: Any, name: str) -> Any:
    """What `value` keeps under `name` in its `__dict__` or a slot; `None` if nothing."""
    held = dictionary(value)
    if held is not None and (found := dict.get(held, name)) is not None:
        return found
    for slot_name, slot in slots_of(type(value)):
        if slot_name == name:
            return _in_slot(slot, value)
    return None


def _in_slot(slot: MemberDescriptorType, value: Any) -> Any:
    try:
        return slot.__get__(value)
    except AttributeError:  # it is not filled yet
        return None


def held_by(value: Any) -> Iterator[tuple[str, Any]]:
    """What an object keeps in its `__dict__` and slots, under the names it is kept under."""
    held = dictionary(value)
    if held is not None:
        yield from pairs(held)
    for name, slot in slots_of(type(value)):
        inner = _in_slot(slot, value)
        if name in _HIDDEN_SLOTS and is_a(inner, dict):
            yield from pairs(inner)
        else:
            yield name, inner


def pairs(value: dict[Any, Any]) -> list[tuple[str, Any]]:
    """The first items of a dictionary, under their names; "" stands for a key that is no text."""
    return [(text_of(key) or "", inner) for key, inner in islice(dict.items(value), MOST_ITEMS)]


def items(value: Any) -> list[Any] | None:
    """The first items of a list, tuple, set or deque, or of what derives from one; `None` for all else."""
    for kind in _SEQUENCES:
        if is_a(value, kind):
            return list(islice(kind.__iter__(value), MOST_ITEMS))
    return None


def mapping_of(value: Any) -> dict[Any, Any] | None:
    """The dictionary that `value` is, or shows; `None` for all else, whatever it can be asked for."""
    if is_a(value, dict):
        return value  # type: ignore[no-any-return]
    if type(value) is MappingProxyType:  # it asks what is behind it, which may be anything
        behind = gc.get_referents(value)
        return mapping_of(behind[0]) if len(behind) == 1 else None
    if any(type(value) is kind for kind in _multidicts()):  # in C, the headers of aiohttp
        return dict(islice(value.items(), MOST_ITEMS))
    return None


def _multidicts() -> tuple[type, ...]:
    module = sys.modules.get("multidict")
    return tuple(kind for name in _MULTIDICTS if is_a(kind := in_module(module, name), type))


def text_of(value: Any, longest: int = 20_000) -> str | None:
    """The text it is, bytes among them; `None` for all else and for what is longer than any key."""
    if is_a(value, str):
        text = value if type(value) is str else str.__str__(value)
        return text if len(text) <= longest else None
    for kind in (bytes, bytearray):
        if is_a(value, kind):
            return kind.decode(value, "latin-1") if kind.__len__(value) <= longest else None
    return None


def parts_of_partial(value: Any) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """The function, the arguments and the keywords of a `functools.partial`."""
    return _function.__get__(value), _arguments.__get__(value), _keywords.__get__(value)


def bound_names(function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> dict[str, Any]:
    """What a partial gives the parameters of `function`, by name; without those of functions that do not tell."""
    given = dict(pairs(keywords))
    skipped = 0
    if type(function) is MethodType:
        function, skipped = function.__func__, 1
    elif is_a(function, type):
        function, skipped = member(function, "__init__"), 1
    if type(function) is FunctionType:
        code = function.__code__
        names = code.co_varnames[skipped : code.co_argcount]
        given |= dict(zip(names, arguments, strict=False))
    return given


def defaults_of(function: FunctionType) -> dict[str, Any]:
    """What the parameters of a function are where nothing is given."""
    code = function.__code__
    names = code.co_varnames[: code.co_argcount]
    found = dict(zip(reversed(names), reversed(function.__defaults__ or ()), strict=False))
    return found | (function.__kwdefaults__ or {})


def cells_of(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """What a function refers to in the functions around it."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            yield name, cell.cell_contents
        except ValueError:  # it is not filled yet
            continue


def codes_of(code: CodeType) -> list[CodeType]:
    """A code and those of the functions and comprehensions that are written in it."""
    codes = [code]
    for one in codes:
        codes += [inner for inner in one.co_consts if type(inner) is CodeType]
    return codes


def unwrapped(function: Any) -> Any:
    """The function behind `functools.wraps`."""
    for _ in range(20):
        if type(function) is not FunctionType or (inner := function.__dict__.get("__wrapped__")) is None:
            break
        function = inner
    return function


def in_module(module: Any, name: str) -> Any:
    """What a module has under `name`; one with a `__getattr__` is not asked for more."""
    held = dictionary(module) if is_a(module, ModuleType) else None
    return None if held is None else dict.get(held, name)
