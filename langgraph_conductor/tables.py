"""TOML tables whose every mistake is one `ConfigError`: file, table, key, what is wrong, what is allowed."""

import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from os import PathLike
from typing import Any, Final

from langgraph_conductor.errors import ConfigError
from langgraph_conductor.text_files import read_text
from langgraph_conductor.workflow import brief


@dataclass(frozen=True, slots=True)
class Kind:
    """What a value may be.

    Args:
        name: In words, for errors.
        fits: Tells whether a value is of this kind.
    """

    name: str
    fits: Callable[[Any], bool]


_DEEPEST: Final = 50
"""Tables and lists inside each other that a file may have."""


def _whole(value: Any) -> bool:
    return type(value) is int and abs(value) < 2**63  # more can neither be waited for nor be saved


def _number(value: Any) -> bool:
    return type(value) is float or _whole(value)


def _list_of(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(isinstance(item, kind) for item in value)


TEXT: Final = Kind('text in quotes, such as "this"', lambda value: isinstance(value, str))
TEXTS: Final = Kind('a list of texts, such as ["one", "two"]', _list_of(str))
WHOLE: Final = Kind("a whole number", _whole)
NUMBER: Final = Kind("a number", _number)
MONEY: Final = Kind('US dollars, such as "0.50"', lambda value: isinstance(value, str) or _number(value))
YES_NO: Final = Kind("true or false", lambda value: type(value) is bool)
TABLE: Final = Kind("a table, such as { key = 1 }", lambda value: isinstance(value, dict))
TABLES: Final = Kind("a list of tables", _list_of(dict))

Kinds = Mapping[str, Kind]
"""The keys a table may have."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a TOML file, and where it stands.

    Args:
        file: Name of the file.
        name: How the table is written there, such as `[planner]`; empty for the whole file.
        values: What it holds.
    """

    file: str
    name: str
    values: Mapping[str, Any]

    @classmethod
    def of_file(cls, path: str | PathLike[str]) -> "Table":
        """The whole of a file.

        Raises:
            ConfigError: If it cannot be read.
        """
        file = str(path)
        try:
            text = read_text(path)
        except FileNotFoundError as error:
            raise ConfigError(f"{file}: there is no such file") from error
        except OSError as error:
            raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
        except ValueError as error:  # not UTF-8, which it says; or a path with NUL
            told = str(error) if str(error).startswith(file) else f"{file!r}: cannot be read: {error}"
            raise ConfigError(told) from error
        try:
            values = tomllib.loads(text)
        except ValueError as error:  # a number of too many digits, too
            raise ConfigError(f"{file}: is not TOML: {error}") from error
        except RecursionError as error:
            raise ConfigError(f"{file}: is nested too deeply") from error
        if _is_deeper(values, _DEEPEST):  # by a dotted key: whoever looks through it could not come back
            raise ConfigError(f"{file}: is nested too deeply")
        return cls(file, "", values)

    def error(self, what: str, key: str = "") -> ConfigError:
        """The error that something is wrong here, or with one key."""
        where = ", ".join(part for part in (self.file, self.name, f"`{key}`" if key else "") if part)
        return ConfigError(f"{where}: {what}")

    def check(self, kinds: Kinds, required: Collection[str] = ()) -> None:
        """Refuse unknown keys, wrong types, and missing keys.

        Raises:
            ConfigError: Then.
        """
        for key, value in self.values.items():
            if key not in kinds:
                raise self.error(unknown("key", key, kinds), key)
            if not kinds[key].fits(value):
                raise self.error(f"must be {kinds[key].name}, not {brief(value)}", key)
        for key in required:
            if key not in self.values:
                raise self.error(f"is missing; it must be {kinds[key].name}", key)

    def part(self, key: str, name: str) -> "Table":
        """The table under `key`; empty if it is not there."""
        return Table(self.file, name, self.values.get(key, {}))

    def without(self, *keys: str) -> dict[str, Any]:
        """The values of all other keys."""
        return {key: value for key, value in self.values.items() if key not in keys}

    @contextmanager
    def naming(self, key: str = "") -> Iterator[None]:
        """Say of errors raised inside that the mistake is here.

        Raises:
            ConfigError: In place of a `ValueError`, `TypeError`, `OverflowError` or `RecursionError`, its cause.
        """
        try:
            yield
        except ConfigError:
            raise
        except OverflowError as error:
            raise self.error(f"a number is too large ({error})", key) from error
        except RecursionError as error:
            raise self.error("is nested too deeply", key) from error
        except (ValueError, TypeError) as error:
            raise self.error(str(error), key) from error


def _is_deeper(values: Any, most: int) -> bool:
    level = [values]
    for _ in range(most):
        parts = [one for one in level if isinstance(one, dict | list)]
        level = [inner for one in parts for inner in (one.values() if isinstance(one, dict) else one)]
    return any(isinstance(one, dict | list) for one in level)


def unknown(what: str, word: str, known: Collection[str]) -> str:
    """That `word` is not known, with the nearest that is."""
    near = get_close_matches(word, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"there is no such {what}; {hint}allowed: {', '.join(known) or 'none'}"
