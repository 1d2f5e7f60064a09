"""Keys stay out of configuration files: they are refused there, and taken from the environment."""

import os
import re
from collections.abc import Iterator
from typing import Any, Final

from langgraph_conductor.errors import ModelError
from langgraph_conductor.tables import Table
from langgraph_conductor.workers.key_names import is_place, is_plain_word, is_stand_in, names_key
from langgraph_conductor.workers.known_secrets import keys_in, redacted, remember

_REFERENCE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_PLACE: Final = "\ufffc"
"""Stands for what comes from the environment; no file has it there by chance."""
_VALUE: Final = frozenset({"content", "default", "literal", "plain", "raw", "text", "val", "value"})
"""What stands under such a name has the name of the table around it."""
_SEGMENT: Final = re.compile(r"(?<![/:])/([A-Za-z0-9_=\-]{24,200})(?![^/?#\s\"'])")
_HEX: Final = re.compile(r"[0-9a-f]{32}|[0-9A-F]{32}")
_VARIED: Final = re.compile(r"(?=[^a-z]*[a-z])(?=[^A-Z]*[A-Z])(?=[^0-9]*[0-9])[A-Za-z0-9_]+=*")
_SHORTEST_NUMBER: Final = 6
_MOST_NESTED: Final = 20
_ADVICE: Final = (
    "keys do not belong in this file; providers read them from environment variables such as OPENAI_API_KEY, "
    'and `options` and `tools` may name one: "${MY_KEY}"'
)


def refuse_secrets(table: Table) -> None:
    """Refuse values that are keys, by the name they stand under or by their look.

    Raises:
        ConfigError: Without the value.
    """
    for path, value in _values(table):
        if path[-1] == "description":
            continue
        if _holds_key(path, value):
            raise table.error(_ADVICE, ".".join(redacted(word) for word in path))


def _holds_key(path: tuple[str, ...], value: Any) -> bool:
    name = path[-2] if path[-1].lower() in _VALUE and len(path) > 1 else path[-1]
    if isinstance(value, int):
        return len(str(value)) >= _SHORTEST_NUMBER and names_key(name, str(value))
    texts = value if isinstance(value, list) else [value]
    left = [_REFERENCE.sub(_PLACE, text) for text in texts]
    # One after the other in a list of keys; in arguments, one says what the next is.
    alone = not isinstance(value, list) or names_key(name, "")
    for part in left if alone else [left]:
        for key, sure in keys_in(name, part):
            own = key.replace(_PLACE, "")
            # A cookie has words in it, such as `theme=dark`.
            word = "cookie" in name.lower() and is_plain_word(own)
            if sure and not (is_stand_in(own) or is_place(own) or word):
                return True
    return any(redacted(own) != own or _in_path(own) for own in (text.replace(_PLACE, "") for text in left))


def _in_path(value: str) -> bool:
    """Whether a part of a URL's path is a key: 32 hexadecimal digits (a commit has 40), or long and mixed."""
    if ("http://" not in value and "https://" not in value) or "git+" in value:
        return False
    return any(_HEX.fullmatch(one) or _VARIED.fullmatch(one) for one in _SEGMENT.findall(value))


def _values(table: Table) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The texts and numbers of a table; its lists of texts as a whole: an argument says what the next one is."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((), table.values)]
    while waiting:
        path, value = waiting.pop()
        if len(path) > _MOST_NESTED:
            raise table.error("is nested too deeply", ".".join(redacted(word) for word in path[:3]))
        if isinstance(value, dict):
            waiting += [((*path, key), inner) for key, inner in reversed(value.items())]
        elif isinstance(value, list):
            texts = [item for item in value if isinstance(item, str)]
            if texts:
                yield path, texts
            # An item is as deep as its list, and lists in lists are deeper; names are told, positions not.
            waiting += [((*path, ""), item) for item in reversed(value) if isinstance(item, list)]
            waiting += [(path, item) for item in reversed(value) if isinstance(item, dict)]
        elif isinstance(value, str) or type(value) is int:
            yield path, value


def filled(value: Any) -> Any:
    """`value` with every `${NAME}` replaced by that environment variable, which is a known secret from then on.

    Raises:
        ModelError: If one is not set.
    """
    if isinstance(value, dict):
        return {key: filled(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner) for inner in value]
    return _REFERENCE.sub(_from_environment, value) if isinstance(value, str) else value


def _from_environment(reference: re.Match[str]) -> str:
    value = os.environ.get(reference[1])
    if not value:
        raise ModelError(f"the environment variable {reference[1]} is not set", kind="no_key")
    remember(reference[1], value)
    return value
