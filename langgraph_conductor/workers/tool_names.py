"""Names under which a model is shown the tools of MCP servers: one each, and such as every provider takes."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

LONGEST: Final = 64
"""Most characters of a tool's name (OpenAI, Anthropic, Google)."""
_HASHED: Final = 8
_MOST_PARTS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Found:
    """The tools of one server.

    Args:
        given: `"name"` in the server's mapping; its tools are then called `name_tool`.
        said: What the server calls itself.
        tools: LangChain tools, under the server's names.
    """

    given: str | None
    said: str
    tools: list[Any]


def named_tools(
    found: Sequence[Found], own: Iterable[str], middleware: Sequence[Any]
) -> tuple[list[Any], dict[str, str]]:
    """The tools under names of their own, and the names by which a model may also call them.

    Tools of a server with a `"name"` are called `name_tool`. Other tools keep the names they have; where two are
    called alike, those of servers get what the server calls itself before it, and a number if that does not
    tell them apart. The worker's own tools are never renamed.

    Args:
        found: Of each server, in the order they were given.
        own: Names of the worker's other tools.
        middleware: The agent's middleware, which may know tools by name.

    Raises:
        ValueError: If a middleware knows a tool by a name that is not kept: calls would go past it.
    """
    own = list(own)
    plain = [(one, tool, _first_name(one, tool.name, middleware)) for one in found for tool in one.tools]
    times = Counter([*own, *(name for _, _, name in plain)])
    labels = _labels(found)
    taken, tools, renamed = set(own), [], Counter[str]()
    aliases: dict[str, str] = {}
    for one, tool, name in plain:
        final = name
        if times[name] > 1 and one.given is None:
            final = valid(f"{labels[id(one)]}_{tool.name}")
        final = _free(final, taken)
        taken.add(final)
        _check_middleware(one, tool.name, final, middleware, own)
        tools.append(tool if final == tool.name else tool.model_copy(update={"name": final}))
        renamed[tool.name] += 1
        aliases[tool.name] = final
    unclear = taken | {name for name, number in renamed.items() if number > 1}
    return tools, {name: final for name, final in aliases.items() if name not in unclear}


def _first_name(found: Found, name: str, middleware: Sequence[Any]) -> str:
    if found.given is not None:
        return valid(f"{found.given}_{name}")
    return name if _knows(middleware, name) else valid(name)


def _check_middleware(
    found: Found, name: str, final: str, middleware: Sequence[Any], own: Sequence[str]
) -> None:
    if final == name or not _knows(middleware, name) or (found.given is not None and name in own):
        return
    advice = (
        f"write {final!r} there"
        if found.given is not None
        else 'give the servers a "name" in their mappings, and write `name_tool` there'
    )
    raise ValueError(
        f"the tool {name!r} of the MCP server {found.said!r} is called {final!r} here, and a middleware knows it "
        f"as {name!r}: its calls would go past it; {advice}"
    )


def _labels(found: Sequence[Found]) -> dict[int, str]:
    """What stands before a tool's name, by server: what it calls itself, with a number if others do as well."""
    times = Counter(one.said for one in found if one.given is None)
    numbers = Counter[str]()
    labels = {}
    for one in found:
        numbers[one.said] += one.given is None
        labels[id(one)] = f"{one.said}_{numbers[one.said]}" if times[one.said] > 1 else one.said
    return labels


def _free(name: str, taken: set[str]) -> str:
    number = 1
    free = name
    while free in taken:
        number += 1
        free = valid(f"{name}_{number}")
    return free


def valid(name: str) -> str:
    """`name` in the letters and the length that all providers take; what is cut off goes into a hash."""
    letters = re.sub(r"[^A-Za-z0-9_-]", "_", name)
    if not re.match(r"[A-Za-z_]", letters):
        letters = f"_{letters}"
    if len(letters) <= LONGEST:
        return letters
    return f"{letters[: LONGEST - _HASHED - 1]}_{sha256(name.encode()).hexdigest()[:_HASHED]}"


def _knows(middleware: Sequence[Any], name: str) -> bool:
    """Whether a setting of a middleware is this name, or has it among its keys or items."""
    waiting: list[Any] = [value for one in middleware for value in getattr(one, "__dict__", {}).values()]
    for value in waiting[:_MOST_PARTS]:
        names = [value] if isinstance(value, str) else value if isinstance(value, _SEVERAL) else ()
        if any(part == name or getattr(part, "name", None) == name for part in list(names)):
            return True
    return False


_SEVERAL: Final = (Mapping, list, tuple, set, frozenset)
