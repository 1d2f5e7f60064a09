"""Keys that are known: those that models, servers and functions hold, and those that came from the environment."""

import base64
import html
import json
import os
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, quote_plus

from langgraph_conductor.workers.held_keys import held_keys
from langgraph_conductor.workers.key_forms import HIDDEN, without_forms
from langgraph_conductor.workers.key_names import (
    is_secret,
    is_set_key,
    looks_random,
    names_key,
    names_set_key,
)
from langgraph_conductor.workers.written_keys import keys_in as keys_in
from langgraph_conductor.workers.written_keys import keys_in_connection

_LONGEST_VARIABLE: Final = 20_000

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


def secrets_of(*holders: Any) -> tuple[str, ...]:
    """The keys that workers, models, tools, planners or connections hold, so that they can be kept out of records.

    Chains, fallbacks, agents, tools, clients and what functions refer to are looked through, see `held_keys`.
    Functions also read keys from the environment themselves: variables whose names say that they are keys are
    among them, as they are now.
    """
    return with_environment(held_keys(*holders))


def with_environment(held: Iterable[str]) -> tuple[str, ...]:
    """The keys that were found in holders, and those of the environment as it is now."""
    return tuple(filter(is_secret, dict.fromkeys((*held, *_of_environment()))))


def _of_environment() -> tuple[str, ...]:
    # Another thread may change it meanwhile.
    now = {name: value for name in list(os.environ) if (value := os.environ.get(name))}
    return _of_variables(frozenset(now.items()))


@lru_cache(maxsize=8)
def _of_variables(variables: frozenset[tuple[str, str]]) -> tuple[str, ...]:
    found = dict[str, None]()
    for name, value in sorted(variables):
        if len(value) > _LONGEST_VARIABLE:
            continue
        inside = [*keys_in_connection(value), *(key for key, sure in keys_in("", value) if sure)]
        found.update(dict.fromkeys(filter(is_set_key, inside)))
        is_whole = "://" not in value and not value.lstrip().startswith(("{", "["))
        if is_whole and not inside and names_set_key(name, value):
            found[value] = None
    return tuple(found)


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without `secrets` and whatever looks like a key; some providers repeat the key in their errors."""
    return without_forms(without(text, secrets))


def without(text: str, secrets: Iterable[str]) -> str:
    """`text` without `secrets` and what was taken from the environment, however it is spelled.

    Those that are too short, or plain words, stay.
    """
    for spellings, encoded in _hidden_of(frozenset((*secrets, *_taken))):
        for spelled in spellings:
            text = text.replace(spelled, HIDDEN)
        for inside in encoded:
            text = _without_run(text, inside)
    return text


@lru_cache(maxsize=64)
def _hidden_of(secrets: frozenset[str]) -> tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]:
    """What is taken out for each secret: its spellings, and what stands for it in base64."""
    # The longest first: one may be a part of another.
    known = sorted(filter(is_secret, secrets), key=lambda secret: (-len(secret), secret))
    return tuple((_spellings(secret), _in_base64(secret)) for secret in known)


def begun(text: str, secrets: Iterable[str]) -> int:
    """How many characters at the end of `text` may be the beginning of one of `secrets`, which is not over yet."""
    longest = 0
    for spellings, _ in _hidden_of(frozenset((*secrets, *_taken))):
        for spelled in spellings:
            at = text.find(spelled[0], max(0, len(text) - len(spelled) + 1))
            while at >= 0 and len(text) - at > longest:
                if spelled.startswith(text[at:]):
                    longest = len(text) - at
                at = text.find(spelled[0], at + 1)
    return longest


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
