"""Keys in what is written down: headers, arguments, variables, queries, connection strings."""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import unquote, unquote_plus

from pydantic import SecretStr

from langgraph_conductor.workers.key_names import is_bare, looks_random, names_key

_PASSWORD: Final = re.compile(r"://[^\s/:@\"']*:([^\s/\"']+)@")
_USER: Final = re.compile(r"://([^\s/:@\"']{16,}+)@")
_QUERY: Final = re.compile(r"[?&#]([^\s=&?#\"']{1,100})=([^\s&?#\"']+)")
_PATH: Final = re.compile(r"(?<=[^/:])/([^\s/?&#\"']{16,}+)")
_ASSIGNED: Final = re.compile(
    r"\s*(?:-{1,2}|-[eH]\s)?[\"']?([A-Za-z][\w.\-]{0,99})[\"']?\s{0,9}[=:]\s*+(?!//)(\S.*)", re.DOTALL
)
FLAG: Final = re.compile(r"-{1,2}([A-Za-z][\w.\-]*)")
"""An argument that says what the next one is."""
_SCHEME: Final = re.compile(r"[A-Za-z]+\s+(\S+)")  # "Bearer ..."
_DEEPEST: Final = 5


def keys_in(name: str, value: Any, depth: int = 0) -> Iterator[tuple[str, bool]]:
    """The keys in headers, arguments, variables, queries and other parts of a connection.

    Args:
        name: What `value` stands under.
        value: Texts, lists and mappings.
        depth: How deep it is.

    Yields:
        The text of each, and whether a name says that it is one; else only its look does.
    """
    if depth > _DEEPEST:
        return
    if isinstance(value, SecretStr):
        yield value.get_secret_value(), True
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from keys_in(str(key), inner, depth + 1)
    elif isinstance(value, list | tuple):
        before = ""
        for item in value:
            flag = FLAG.fullmatch(before)
            yield from keys_in(flag[1] if flag else "" if before else name, item, depth + 1)
            before = item if isinstance(item, str) else ""
    elif isinstance(value, str) and value:
        yield from _in_text(name, value, depth)


def _in_text(name: str, value: str, depth: int) -> Iterator[tuple[str, bool]]:
    if "cookie" in name.lower():
        yield from ((part.partition("=")[2].strip() or part.strip(), True) for part in value.split(";"))
    elif names_key(name, value) and not value.startswith("-"):
        yield key_alone(value), True
    elif (assigned := _ASSIGNED.fullmatch(value)) and "://" not in assigned[1]:
        yield from keys_in(assigned[1], assigned[2], depth + 1)
    elif value.lstrip().startswith(("{", "[")):
        with suppress(ValueError, RecursionError):
            yield from keys_in(name, json.loads(value), depth + 1)
    if "://" in value:
        yield from keys_in_url(value)


def key_alone(value: str) -> str:
    """Take off `value` the name of a scheme before it."""
    scheme = _SCHEME.fullmatch(value)
    if scheme is None:
        return value
    assigned = _ASSIGNED.fullmatch(scheme[1])
    return assigned[2].strip("\"'") if assigned else scheme[1]  # `Token token="..."`


def keys_in_url(value: str) -> Iterator[tuple[str, bool]]:
    """The keys in the URLs of a text, as `keys_in` gives them."""
    for password in _PASSWORD.findall(value):
        yield from ((one, True) for one in {password, unquote(password)})
    for user in _USER.findall(value):
        yield from ((one, False) for one in {user, unquote(user)} if looks_random(one))
    for name, given in _QUERY.findall(value):
        named = names_key(unquote_plus(name), given)
        if named or (len(given) >= 16 and looks_random(given)):
            yield from ((one, named) for one in {given, unquote_plus(given)})
    for part in _PATH.findall(value.partition("?")[0]):
        if looks_random(part):
            yield part, False


_BASIC: Final = re.compile(r"(?i:basic)\s+([A-Za-z0-9+/_\-]{4,}+=*)")
_SCHEMED: Final = re.compile(r"(?i:bearer|token|apikey)\s+(\S{8,})")
_PAIR: Final = re.compile(r"\s*([A-Za-z][\w.\-]{0,60}(?: [A-Za-z]{1,20}){0,2})\s{0,9}=\s{0,9}([^\s=].*)")
_TEMPLATE: Final = re.compile(r"\$?\{+[^{}]*\}+|\$\w+|<[^<>]*>|%\(?\w+\)?s?%?|\*+")
_LONGEST: Final = 2_000


def keys_in_connection(text: str) -> Iterator[str]:
    """The keys that a text says by itself, whatever it stands under.

    They are the passwords of URLs and of connection strings (`Server=db;Password=...;`, `host=db password=...`),
    and what stands behind `Basic` or `Bearer` in the value of a header.
    """
    text = text[:_LONGEST].strip()
    if "://" in text:
        yield from (key for key, sure in keys_in_url(text) if sure)
    if (basic := _BASIC.fullmatch(text)) is not None:
        yield from _in_basic(basic[1])
    elif (schemed := _SCHEMED.fullmatch(text)) is not None:
        if looks_random(schemed[1]):
            yield schemed[1]
    elif "=" in text and "\n" not in text:
        yield from _in_pairs(text)


def _in_basic(encoded: str) -> Iterator[str]:
    standard = encoded.rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
    with suppress(binascii.Error, ValueError):
        decoded = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
        name, colon, password = decoded.decode("utf-8").partition(":")
        if colon and name.isprintable():
            yield from (encoded, password)


def _in_pairs(text: str) -> Iterator[str]:
    """The keys of a text that is pairs of a name and a value and little else."""
    between = next((sign for sign in ";," if sign in text), None)
    pieces = [piece for piece in text.split(between) if piece.strip()]
    pairs = [pair for piece in pieces if (pair := _PAIR.fullmatch(piece)) is not None]
    if len(pieces) - len(pairs) > 1 or (len(pieces) == 1 and between is None):
        return
    for name, value in (pair.groups() for pair in pairs):
        own = value.strip().strip("\"'")
        is_one = names_key(name, own) and (not is_bare(name) or looks_random(own))
        if is_one and not _TEMPLATE.fullmatch(own) and not any(map(str.isspace, own)):
            yield own
