"""Runnables that a function is seen to invoke: read from its code, none of which is run."""

import dis
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Final, NamedTuple

from langchain_core.runnables import Runnable

from langgraph_conductor.workers.reading import (
    attribute,
    cells_of,
    codes_of,
    defaults_of,
    in_module,
    is_a,
    member,
    unwrapped,
)

_INVOKES: Final = frozenset({
    "abatch", "abatch_as_completed", "ainvoke", "astream", "astream_events", "astream_log", "atransform", "batch",
    "batch_as_completed", "invoke", "stream", "stream_events", "transform",
})  # fmt: skip
_SAME: Final = frozenset({"with_config", "with_retry", "with_types", "bind", "map"})
"""What these return invokes what they are methods of."""
_GLOBAL: Final = frozenset({"LOAD_GLOBAL", "LOAD_NAME"})
_DEREF: Final = frozenset({"LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"})
_ATTRIBUTE: Final = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_BESIDE: Final = frozenset({"PUSH_NULL", "CACHE", "EXTENDED_ARG", "NOP", "NOT_TAKEN"})
"""Instructions that may stand between the parts of `a.b.c`."""
_MOST_METHODS: Final = 100


class _Use(NamedTuple):
    """A name that code loads, and the attributes it then takes: `self.graph.invoke`."""

    load: str
    name: str
    attributes: tuple[str, ...]


class _Running(NamedTuple):
    """A function that runs, what some of its names stand for, and the object whose method it is."""

    function: Any
    given: Mapping[str, Any]
    owner: Any = None


def invoked(function: Any, given: Mapping[str, Any]) -> Iterator[Runnable[Any, Any]]:
    """The runnables that `function` invokes where its own code, or that of methods it calls on itself, shows it.

    Args:
        function: A function, a method, or an object that can be called.
        given: What some of its parameters are, by name.
    """
    if (runnable := _by_method(function)) is not None:
        yield runnable
        return
    waiting = list(_running(function, given))
    seen = set[int]()
    for running in waiting:
        if id(running.function) in seen or len(seen) >= _MOST_METHODS:
            continue
        seen.add(id(running.function))
        for use, value in _named(running):
            if (runnable := _invoked_by(value, use.attributes)) is not None:
                yield runnable
            elif value is running.owner and use.attributes:
                waiting += _of_owner(unwrapped(member(type(value), use.attributes[0])), value, {})


def _running(function: Any, given: Mapping[str, Any]) -> Iterator[_Running]:
    if type(function) is MethodType:
        yield from _of_owner(unwrapped(function.__func__), function.__self__, given)
    elif type(function) is FunctionType:
        function = unwrapped(function)
        if type(function) is FunctionType:
            yield _Running(function, given)
    else:
        yield from _of_owner(unwrapped(member(type(function), "__call__")), function, given)


def _of_owner(function: Any, owner: Any, given: Mapping[str, Any]) -> Iterator[_Running]:
    """A function that is called as a method of `owner`."""
    if type(function) is FunctionType and (names := function.__code__.co_varnames[:1]):
        yield _Running(function, {**given, names[0]: owner}, owner)


def _by_method(value: Any) -> Any:
    """The runnable that a bound method of it invokes; `None` if it is none."""
    if type(value) is not MethodType or type(value.__func__) is not FunctionType:
        return None
    return (
        value.__self__ if is_a(value.__self__, Runnable) and value.__func__.__name__ in _INVOKES else None
    )


def _named(running: _Running) -> Iterator[tuple[_Use, Any]]:
    """The names that a function takes from outside, with what they stand for."""
    function = running.function
    around = dict(cells_of(function))
    local = {**defaults_of(function), **running.given}
    for code in codes_of(function.__code__):
        for use in _uses(code):
            if use.load in _GLOBAL:
                value = dict.get(function.__globals__, use.name)
            elif use.load in _DEREF:
                value = around.get(use.name, local.get(use.name))
            else:  # of a function that is written in it, other things may have that name
                value = local.get(use.name) if code is function.__code__ else None
            if value is not None:
                yield use, value


def _uses(code: CodeType) -> Iterator[_Use]:
    use: _Use | None = None
    for instruction in dis.get_instructions(code):
        name, argument = instruction.opname, instruction.argval
        if name in _BESIDE:
            continue
        if name in _ATTRIBUTE and use is not None:
            use = use._replace(attributes=(*use.attributes, str(argument)))
            continue
        if use is not None:
            yield use
        use = None
        if name in _GLOBAL | _DEREF or name.startswith("LOAD_FAST"):
            last = (
                argument[-1] if type(argument) is tuple else argument
            )  # two at once, as Python 3.13 loads them
            use = _Use(name, str(last), ())
    if use is not None:
        yield use


def _invoked_by(value: Any, attributes: tuple[str, ...]) -> Any:
    """The runnable that `value.a.b` invokes; `None` if none is seen to be."""
    for name in attributes:
        if is_a(value, Runnable) and name in _INVOKES | _SAME:
            return value
        value = in_module(value, name) if is_a(value, ModuleType) else attribute(value, name)
    return _by_method(value)
