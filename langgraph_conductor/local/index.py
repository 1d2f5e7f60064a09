"""A wheel of a package index, downloaded without pip by the index's simple API, its hash checked.

Source: PEP 503 (HTML) and PEP 691 (JSON).
"""

import base64
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html.parser import HTMLParser
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit
from urllib.request import Request, urlopen

DEFAULT_INDEX: Final = "https://pypi.org/simple"
INDEX_VARIABLES: Final = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
"""Where uv and pip are told an index, in the order they are asked."""

_ACCEPT: Final = (
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
)
_MOST_LISTED: Final = 10 << 20
_SECONDS: Final = 60
_PIECE: Final = 1 << 20


class IndexFailedError(Exception):
    """The index does not give the wheel; the message says why, in a line."""


def index_url(environment: Mapping[str, str] = os.environ) -> str:
    """The index that uv or pip are told by the environment, else PyPI."""
    told = (environment.get(name, "").strip() for name in INDEX_VARIABLES)
    return next(filter(None, told), DEFAULT_INDEX)


def download_wheel(name: str, version: str, folder: Path, most: int, index: str | None = None) -> Path:
    """Download a wheel that fits every machine.

    Args:
        name: Of the package.
        version: Of the package.
        folder: Where the wheel is put.
        most: Most bytes it may have.
        index: Address of the simple API; by default `index_url()`.

    Returns:
        The wheel's file.

    Raises:
        IndexFailedError: If the index cannot be reached, has no such wheel, or sends another one than it lists.
        OSError: If the file cannot be written.
    """
    page = f"{(index or index_url()).rstrip('/')}/{name}/"
    shown = without_login(page)
    wanted = f"{name.replace('-', '_')}-{version}-"
    with _opened(page, page) as answer:
        listed = answer.read(_MOST_LISTED + 1)
        form, base = answer.headers.get_content_type(), answer.geturl()
    if len(listed) > _MOST_LISTED:
        raise IndexFailedError(f"{shown} lists more than {_MOST_LISTED:,} bytes")
    for file, href, digest in _files(listed, form, shown):
        if file.startswith(wanted) and file.endswith("-none-any.whl"):
            return _saved(urljoin(base, href), page, digest, folder / file, most)
    raise IndexFailedError(f"{shown} lists no wheel of {name} {version}")


def without_login(url: str) -> str:
    """An address without the name and password that it may hold."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _saved(url: str, page: str, digest: str, path: Path, most: int) -> Path:
    found, size = hashlib.sha256(), 0
    with _opened(url, page) as answer, path.open("xb") as file:
        while piece := answer.read(_PIECE):
            size += len(piece)
            if size > most:
                raise IndexFailedError(f"{path.name} has more than {most:,} bytes and was not used")
            found.update(piece)
            file.write(piece)
    if digest and found.hexdigest() != digest.lower():
        raise IndexFailedError(f"{path.name} was not used: its SHA-256 is not the one that the index lists")
    return path


@contextmanager
def _opened(url: str, page: str) -> Iterator[Any]:
    """An answer of the index; what fails while it is opened or read is told as an `IndexFailedError`."""
    shown = without_login(url)
    parts, asked = urlsplit(url), urlsplit(page)
    if parts.scheme not in ("http", "https"):
        raise IndexFailedError(f"{shown} is no address of http or https")
    request = Request(shown, headers={"Accept": _ACCEPT})  # noqa: S310 - checked above
    if asked.username and parts.hostname == asked.hostname:
        login = f"{unquote(asked.username)}:{unquote(asked.password or '')}".encode()
        # Of this request alone: another host that it is sent on to is told nothing.
        request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(login).decode()}")
    try:
        with urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310 - checked above
            yield answer
    except (URLError, HTTPException, ConnectionError, TimeoutError) as error:
        raise IndexFailedError(f"{shown} cannot be read: {error}") from error


def _files(listed: bytes, form: str, shown: str) -> Iterator[tuple[str, str, str]]:
    """Name, address and SHA-256 of each file, the last empty where it is not told."""
    if form.endswith("json"):
        try:
            for one in json.loads(listed)["files"]:
                yield str(one["filename"]), str(one["url"]), str(one.get("hashes", {}).get("sha256", ""))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise IndexFailedError(
                f"{shown} answers something else than a list of files: {error!r:.100}"
            ) from error
        return
    links = _Links()
    links.feed(listed.decode("utf-8", "replace"))
    for href in links.found:
        address, fragment = urldefrag(href)
        digest = fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else ""
        yield unquote(urlsplit(address).path.rpartition("/")[2]), address, digest


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if tag == "a" and name == "href" and value]
