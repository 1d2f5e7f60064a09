"""Names that keys stand under, and values that are no key whatever their name is."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

_WORD: Final = re.compile(r"[A-Z]{2,}(?![a-z])|[A-Z]?[a-z]+|[A-Z]")
_ENDINGS: Final = (
    "apikey", "accesskey", "authkey", "privatekey", "secretkey", "token", "secret", "password", "passwd",
    "passphrase", "credential", "credentials", "authorization", "cookie", "bearer",
)  # fmt: skip
_WHOLE: Final = frozenset({"key", "pwd", "pw", "pat", "jwt"})
_MAYBE: Final = frozenset({"auth", "code", "pass", "sid", "session", "sig", "signature"})
"""Words that name a key only where the value looks like one."""
_KEYS_OF: Final = frozenset({"access", "api", "auth", "private", "secret"})
"""More than one key stands under these words and `keys`; other keys are of tables and mappings."""
_BARE: Final = frozenset({"key", "token", "pat", "cookie", "secret"})
"""Alone, the name of anything in code."""
_ABOUT: Final = frozenset({
    "budget", "column", "count", "dir", "endpoint", "env", "expiry", "field", "file", "id", "length", "limit",
    "max", "name", "path", "prefix", "region", "size", "store", "ttl", "type", "uri", "url", "var", "variable",
})  # fmt: skip
"""What is told about a key under such a name is not the key."""
_OTHER_KEYS: Final = frozenset({
    "cache", "foreign", "group", "idempotency", "index", "object", "partition", "primary", "public", "row",
    "routing", "sort",
})  # fmt: skip
_OTHER_TOKENS: Final = frozenset({
    "bos", "cls", "continuation", "end", "eos", "image", "mask", "max", "min", "new", "next", "pad", "page",
    "sep", "special", "start", "stop", "unk",
})  # fmt: skip

_PLAIN_WORD: Final = re.compile(r"[A-Za-z]{1,8}")
"""Such as "none", "EMPTY", "ollama": stand-ins for a key, but words of messages."""
_STAND_INS: Final = frozenset({
    "", "dummy", "empty", "fake", "false", "lm-studio", "na", "no", "no-key", "no-key-required", "none",
    "not-needed", "not-required", "not-set", "not-used", "null", "off", "ollama", "on", "placeholder", "sk-dummy",
    "sk-no-key-required", "sk-none", "sk-xxx", "token-abc123", "true", "unused", "yes",
})  # fmt: skip
_CROSSED: Final = re.compile(r"x{3,}|\*{3,}")
_COLUMN: Final = re.compile(r"[a-z]{1,20}(?:_[a-z]{1,20}){1,5}")
_VARIABLE: Final = re.compile(
    r"(?:env:)?[A-Z]{1,30}\d{0,2}(?:_[A-Z]{1,30}\d{0,2}){1,8}|env:[A-Za-z_]{1,100}"
)
_PLACE: Final = re.compile(r"(?:~|\.{1,2}|[A-Za-z]:)?[/\\][^/\\].*|[^/\\]+(?:[/\\][^/\\]+){2,}")
_BETWEEN: Final = re.compile(r"[\s\-_./:,@]+")
_PIECE: Final = re.compile(r"[A-Z]?[a-z]*(?:[A-Z][a-z]+){0,3}\d{0,3}|[A-Z]+\d{0,3}|\d{1,8}[A-Za-z]{0,2}")
_NO_KEYS: Final = frozenset({"PWD", "OLDPWD"})
_ROOTED: Final = re.compile(r"(?:~|\.{1,2}|[A-Za-z]:)?[/\\][a-z.]{2,}(?:[/\\]|$)|[A-Za-z]:\\|~[/\\]")
_NUMBER: Final = re.compile(r"[+-]?\d{1,15}(?:[.,]\d{1,15})?%?")
_ADDRESS: Final = re.compile(r"[@/\\:,\s]|\.[A-Za-z]")
_FILLERS: Final = frozenset({
    "", "a", "add", "an", "api", "change", "changeme", "default", "demo", "dev", "development", "dummy", "enter",
    "example", "fake", "fill", "here", "in", "insert", "key", "local", "me", "mock", "my", "needed", "no", "none",
    "not", "paste", "password", "placeholder", "please", "prod", "production", "put", "replace", "required",
    "sample", "secret", "set", "some", "staging", "super", "test", "testing", "the", "this", "to", "todo", "token",
    "unused", "used", "value", "with", "xxx", "your",
})  # fmt: skip
_SHORTEST: Final = 6
_SHORTEST_PHRASE: Final = 16
_SHORT_PIECE, _LONG_PIECE = 5, 16


def names_key(name: str, value: str) -> bool:
    """Whether what stands under `name` (of a header, a query value, a variable, a flag) is a key.

    Args:
        name: In any spelling: `api-key`, `accessToken`, `GITHUB_PAT`.
        value: What stands there; it decides where the name leaves it open, as `auth` does.
    """
    words = _words(name)
    if not words or words[-1] in _ABOUT:
        return False
    for position in range(max(0, len(words) - 2), len(words)):
        before, word = words[position - 1] if position else "", words[position]
        if (word == "key" and before in _OTHER_KEYS) or (word == "token" and before in _OTHER_TOKENS):
            continue
        if word == "key" and len(words) == 1 and _COLUMN.fullmatch(value):
            continue
        if word in _WHOLE or word.endswith(_ENDINGS) or (word == "pass" and before and not value.isdigit()):
            return True
        if _are_keys(before, word) and not value.isdigit():  # else it is how many
            return True
    return words[-1] in _MAYBE and (looks_random(value) or (words[-1] == "auth" and _is_mixed(value)))


def _are_keys(before: str, word: str) -> bool:
    if word == "keys":
        return before in _KEYS_OF
    return word.endswith("s") and word[:-1].endswith(_ENDINGS) and before not in _OTHER_TOKENS


def _is_mixed(value: str) -> bool:
    has_both = any(map(str.isdigit, value)) and any(map(str.isalpha, value))
    return len(value) >= _SHORTEST + 2 and value.isalnum() and has_both


def is_bare(name: str) -> bool:
    """Whether `name` is a word alone that code uses for much else, such as `key`."""
    words = _words(name)
    return len(words) == 1 and words[0] in _BARE


def tells_about_key(name: str) -> bool:
    """Whether `name` is of what is told about a key: who has it, where it is, how long it is."""
    words = _words(name)
    return bool(words) and words[-1] in _ABOUT


def may_be_words(name: str) -> bool:
    """Whether what is in a list under `name` may be pieces of texts, as language models have them."""
    return name.lower().rstrip("s").endswith("token")


def holds_pair(names: Sequence[str]) -> tuple[str, str] | None:
    """Which of `names` has the name of a thing, and which the thing: `{"name": "api_key", "value": ...}`."""
    known = {name.lower().strip("_"): name for name in names}
    value = next(
        (known[word] for word in ("value", "val", "secret_value", "content") if word in known), None
    )
    name = next(
        (known[word] for word in ("name", "key", "header", "field", "variable") if word in known), None
    )
    return (name, value) if name is not None and value is not None else None


def _words(name: str) -> tuple[str, ...]:
    return _words_of(name[:200])


@lru_cache(maxsize=4096)  # the same few attributes, on every object that is looked through
def _words_of(name: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in _WORD.findall(name))


def is_secret(value: str) -> bool:
    """Whether a key can be told from the words of a message: it is long enough, and no plain word."""
    return len(value) >= _SHORTEST and not is_plain_word(value) and not is_stand_in(value)


def is_plain_word(value: str) -> bool:
    """Whether `value` is a short word of letters."""
    return _PLAIN_WORD.fullmatch(value) is not None


def is_stand_in(value: str) -> bool:
    """Whether `value` stands where no key is needed, or says yes or no."""
    small = value.strip().lower().replace("_", "-")
    return small in _STAND_INS or _CROSSED.fullmatch(small) is not None


def is_place(value: str) -> bool:
    """Whether `value` says where a key is: a path, or the name of an environment variable."""
    if _VARIABLE.fullmatch(value):
        return True
    return "://" not in value and _PLACE.fullmatch(value) is not None and not looks_random(value)


def names_set_key(name: str, value: str) -> bool:
    """Whether the environment variable `name` holds a key that a text must not tell.

    Everybody's variables are looked at, and what one holds goes from all that is told: so it has to look like a
    key, or to be a phrase where `name` ends in the word for one.
    """
    words = _words(name)
    if name in _NO_KEYS or not names_key(name, value):
        return False
    return is_set_key(value) and (looks_random(value) or names_key(words[-1], value))


def is_set_key(value: str) -> bool:
    """Whether `value` is no number, path, host, address or word, nor one of the stand-ins of examples."""
    if not is_secret(value) or is_place(value) or _ROOTED.match(value) or _NUMBER.fullmatch(value):
        return False
    if looks_random(value):
        return True
    pieces = {piece.lower() for piece in _BETWEEN.split(value)}
    told = [piece for piece in pieces if not piece.isdigit() and piece.rstrip("0123456789") not in _FILLERS]
    return len(value) >= _SHORTEST_PHRASE and len(told) > 1 and not _ADDRESS.search(value)


def looks_random(value: str) -> bool:
    """Whether `value` looks like no text, number, host, path, or name of a model: a part of it is no word."""
    pieces = _BETWEEN.split(value)
    return len(value) >= _SHORTEST + 2 and any(_is_random(piece) for piece in pieces)


def _is_random(piece: str) -> bool:
    if len(piece) <= _SHORT_PIECE:
        return False
    return len(piece) > _LONG_PIECE or not _PIECE.fullmatch(piece)
