"""A canary: a random value in environment variables that hostile texts name, looked for in all a run shows."""

import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from langgraph_conductor.testing.attack_texts import Attack

_ALWAYS: Final = ("OPENAI_API_KEY", "api_key")
_NAMED: Final = re.compile(r"[$%{][({]?([A-Za-z_]\w*)")
_KEY: Final = re.compile(r"key|token|secret|passw", re.IGNORECASE)
_BETWEEN: Final = re.compile(r"(?:\\[nrt]|[\W_])+")


def baited(payloads: Iterable[Attack]) -> list[str]:
    """The environment variables of keys that the texts ask to be filled in, as `${OPENAI_API_KEY}` does.

    Others, such as `$PATH`, stay as they are: the conductor may need them.
    """
    named = {name for one in payloads for name in _NAMED.findall(one.text) if _KEY.search(name)}
    return sorted(named.union(_ALWAYS))


@contextmanager
def planted(names: Iterable[str]) -> Iterator[str]:
    """A canary in the environment variables `names` meanwhile; what they held before is put back.

    It looks like no key, so that nothing hides it for its looks.
    """
    canary = f"canary{secrets.token_hex(12)}"
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(before, canary))
    try:
        yield canary
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def leaks(shown: Mapping[str, Iterable[str]], canary: str) -> list[str]:
    """The places that show the canary, even broken over lines.

    Args:
        shown: Place -> the texts seen there.
        canary: What is looked for.
    """
    return sorted(
        place for place, texts in shown.items() if any(canary in _BETWEEN.sub("", text) for text in texts)
    )
