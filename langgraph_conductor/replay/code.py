"""What functions, graphs and objects are, as one digest: their code, and the values they hold.

Two that may answer differently must not share a digest; that two which answer alike do not share one only costs
another call. What a function calls in other modules, and what is in files or behind clients, is not seen.
"""

import functools
import hashlib
import inspect
import json
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from types import CodeType, ModuleType
from typing import Any, Final

from langchain_core.runnables import Runnable
from pydantic import BaseModel, SecretStr

_DEEPEST: Final = 80
_PLAIN: Final = str | int | float | bool | None
_DATA: Final = _PLAIN | list | tuple | dict | set | frozenset
_FRAMEWORKS: Final = frozenset(
    {"langchain", "langchain_core", "langgraph", "langgraph_conductor", "pydantic"}
    | sys.stdlib_module_names
)
"""Of these, what objects hold counts and not the code of their classes."""


def digest_of(thing: Any, known: Callable[[Any], Any]) -> str:
    """The digest of `thing`, the same in every process of one version of Python and of its libraries.

    Args:
        thing: Anything.
        known: Gives the identity of what has one of its own (a model, say), else `None`.
    """
    return str(_Walk(known).told(thing, 0))


def kind_of(value: Any) -> str:
    """Module and name of its class."""
    return name_of(type(value))


def name_of(kind: Any) -> str:
    """Module and name of a class or function."""
    return f"{kind.__module__}.{kind.__qualname__}"


class _Walk:
    def __init__(self, known: Callable[[Any], Any]) -> None:
        self._known = known
        self._seen: dict[int, tuple[Any, str]] = {}  # with the object, so that no other gets its number

    def told(self, value: Any, depth: int) -> Any:
        """`value` as JSON, short: what has parts is a digest of theirs."""
        if isinstance(value, _PLAIN):
            return value
        if depth > _DEEPEST:
            return kind_of(value)
        if id(value) not in self._seen:
            self._seen[id(value)] = value, "itself"  # if it is a part of its own
            told = json.dumps(self._composed(value, depth), sort_keys=True)
            self._seen[id(value)] = value, hashlib.sha256(told.encode()).hexdigest()[:32]
        return self._seen[id(value)][1]

    def _composed(self, value: Any, depth: int) -> Any:
        if depth and (identity := self._known(value)) is not None:
            return identity

        def told(part: Any) -> Any:
            return self.told(part, depth + 1)

        if isinstance(value, Mapping):
            return {"items": [[told(name), told(item)] for name, item in value.items()]}
        if isinstance(value, list | tuple):
            return [told(item) for item in value]
        if isinstance(value, set | frozenset):
            return {"any order": sorted(json.dumps(told(item)) for item in value)}
        return {kind_of(value): [told(part) for part in _parts(value)]}


def _parts(value: Any) -> Iterator[Any]:
    """What makes `value` what it is."""
    if isinstance(value, SecretStr | ModuleType):
        return
    if inspect.isclass(value):
        yield from (name_of(value), _methods(value))
        if issubclass(value, BaseModel):
            with suppress(Exception):  # some have no schema
                yield value.model_json_schema()
    elif isinstance(value, functools.partial):
        yield from (value.func, value.args, value.keywords)
    elif inspect.ismethod(value):
        yield from (value.__func__, value.__self__)
    elif inspect.isfunction(value):
        yield from _of_function(value)
    elif isinstance(value, CodeType):
        yield from (value.co_code.hex(), value.co_names, value.co_freevars, value.co_consts)
    elif inspect.isroutine(value):
        yield from (getattr(value, "__qualname__", ""), getattr(value, "__self__", None))
    elif _root(type(value)) in sys.stdlib_module_names:
        yield from _pickled(value)
    elif held := _held(value):
        yield from (held, _methods(type(value)))
    else:
        yield from (_methods(type(value)), *_pickled(value))


def _of_function(function: Any) -> Iterator[Any]:
    yield from (name_of(function), function.__code__, function.__defaults__, function.__kwdefaults__)
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # not filled yet
            yield cell.cell_contents
    if _root(function) in _FRAMEWORKS:
        return
    names = sorted(_names_in(function.__code__) & function.__globals__.keys())
    for name in names:
        held = function.__globals__[name]
        # Of what a module holds: data, models and functions of its own. All else has its own version.
        own = inspect.isfunction(held) and held.__module__ == function.__module__
        if own or isinstance(held, _DATA | Runnable):
            yield [name, held]


def _names_in(code: CodeType) -> set[str]:
    inner = [const for const in code.co_consts if isinstance(const, CodeType)]
    return set(code.co_names).union(*map(_names_in, inner))


def _methods(kind: type) -> list[Any]:
    """The code of a class and its bases, and the data they hold, but for the frameworks' own."""
    return [
        [name, getattr(member, "__func__", getattr(member, "fget", member))]
        for base in kind.__mro__
        if _root(base) not in _FRAMEWORKS
        for name, member in vars(base).items()
        if not (name.startswith("__") and isinstance(member, _DATA))
        if inspect.isfunction(member) or isinstance(member, staticmethod | classmethod | property | _DATA)
    ]


def _root(kind: Any) -> str:
    return str(kind.__module__).partition(".")[0]


def _held(value: Any) -> dict[str, Any]:
    """Attributes of an object, those in slots too."""
    slots = [name for kind in type(value).__mro__ for name in _slots(kind)]
    held = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    private = getattr(value, "__pydantic_private__", None) if isinstance(value, BaseModel) else None
    return {**held, **getattr(value, "__dict__", {}), **(private or {})}


def _slots(kind: type) -> list[str]:
    slots = vars(kind).get("__slots__", ())
    names = [slots] if isinstance(slots, str) else [*slots]
    return [name for name in names if not name.startswith("__")]


def _pickled(value: Any) -> Iterator[Any]:
    """Its bytes, if it has any: numbers, dates, paths, patterns, arrays have; locks and clients have none."""
    with suppress(Exception):
        yield hashlib.sha256(pickle.dumps(value, protocol=5)).hexdigest()
