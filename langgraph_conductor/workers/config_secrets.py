"""Keys stay out of configuration files: they are refused there, and taken from the environment."""

import os
import re
from collections.abc import Iterator
from typing import Any, Final

from langgraph_conductor.errors import ModelError
from langgraph_conductor.tables import Table
from langgraph_conductor.workers.failures import redacted

_SECRET_KEY: Final = re.compile(
    r"(?:^|[-_])(?:key|apikey|token|secret|password|passwd|authorization|credentials?)$", re.IGNORECASE
)
_REFERENCE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_WHOLE_REFERENCE: Final = re.compile(rf"(?:[A-Za-z]+ )?{_REFERENCE.pattern}")  # "Bearer ${NAME}"
_ADVICE: Final = (
    "keys do not belong in this file; providers read them from environment variables such as OPENAI_API_KEY, "
    'and `options` and `tools` may name one: "${MY_KEY}"'
)


def refuse_secrets(table: Table) -> None:
    """Refuse values that are keys, by the name they stand under or by their look.

    Raises:
        ConfigError: Without the value.
    """
    for path, value in _leaves(table.values):
        if not isinstance(value, str) or path[-1] == "description":
            continue
        named = _SECRET_KEY.search(path[-1])
        own = _REFERENCE.sub("", value)  # what stands in the file itself
        if (named and not _WHOLE_REFERENCE.fullmatch(value)) or redacted(own) != own:
            where = ".".join(redacted(word) for word in path)
            raise table.error(_ADVICE, where)


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, path)
    else:
        yield path, value


def filled(value: Any) -> Any:
    """`value` with every `${NAME}` replaced by that environment variable.

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
    return value
