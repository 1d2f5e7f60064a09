"""The real server on the real weights."""

import json
import socket
import subprocess
import sys
import textwrap
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from langgraph_conductor import local
from langgraph_conductor.errors import LocalModelError
from langgraph_conductor.local import weights
from langgraph_conductor.local.server import LocalServer, serve


@pytest.fixture(scope="module")
def model() -> Path:
    """The weights; `make` has fetched them."""
    return weights.smollm2_path()


@pytest.fixture(scope="module")
def server(model: Path) -> LocalServer:
    return serve(model, slots=2, context=512)


def ask(server: LocalServer, question: str, **options: Any) -> dict[str, Any]:
    body = {"messages": [{"role": "user", "content": question}], "temperature": 0, **options}
    request = urllib.request.Request(
        f"{server.url}/chat/completions",
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json", "authorization": f"Bearer {server.key}"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def test_answers_on_loopback_with_usage(server):
    assert server.url.startswith("http://127.0.0.1:")
    assert server.url.endswith("/v1")
    answer = ask(server, "Say hello.", max_tokens=5)
    assert answer["choices"][0]["message"]["content"]
    assert 0 < answer["usage"]["completion_tokens"] <= 5
    assert answer["usage"]["prompt_tokens"] > 0
    assert answer["model"] == Path(weights.FILE_NAME).stem  # no path, so no user's name


BODY = b'{"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}'


def status(
    server: LocalServer, path: str = "/chat/completions", body: bytes | None = BODY, **headers: str
) -> int:
    """What the server says to headers beside, or in the place of, those a client sends."""
    sent = {"content-type": "application/json", "authorization": f"Bearer {server.key}", **headers}
    request = urllib.request.Request(f"{server.url}{path}", body, {k: v for k, v in sent.items() if v})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code if "error" in json.load(error) else 0


@pytest.mark.parametrize("path", ["/chat/completions", "/models", "/health", "/completions", "/../slots", "/../health", "/nothing"])  # fmt: skip
@pytest.mark.parametrize("key", ["", "Bearer none", "Bearer ", "Bearer {}x", "Basic {}", "{}"])
def test_every_request_needs_the_key_of_this_start(server, path, key):
    body = BODY if "completions" in path else None
    assert status(server, path, body, authorization=key.format(server.key)) == 401


def test_every_start_has_another_key_which_is_not_shown(server, model):
    other = serve(model, slots=1, context=256)
    assert other.key != server.key
    assert len(server.key) >= 40
    assert server.key not in repr(server)
    assert status(server, "/models", None, authorization=f"Bearer {other.key}") == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example", "127.0.0.1@evil.example",
             "0.0.0.0", "192.168.0.7", "127.0.0.1:no", " "]
)  # fmt: skip
def test_a_page_that_points_its_own_name_here_is_turned_away(server, host):
    assert status(server, host=host) == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:1234", "[::1]:80"])
def test_every_name_of_the_machine_itself_is_served(server, host):
    assert status(server, "/models", None, host=host) == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1", "file://"]
)
def test_web_pages_may_neither_read_it_nor_post(server, origin):
    assert status(server, "/models", None, origin=origin) == 403
    assert status(server, origin=origin) == 403
    assert status(server, origin=origin, **{"content-type": "text/plain"}) == 403


def test_a_page_of_its_own_address_is_no_stranger(server):
    assert status(server, "/models", None, origin=server.url.removesuffix("/v1")) == 200


def raw(server: LocalServer, sent: bytes, *, end: bool = False) -> bytes:
    """All that comes back for some bytes."""
    port = int(server.url.removesuffix("/v1").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(sent)
        if end:
            connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def test_a_refusal_reaches_who_sends_much(server):
    assert status(server, body=b"x" * 3_000_000, authorization="Bearer none") == 401


def test_no_second_request_passes_behind_the_first(server):
    good = (
        f"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {server.key}\r\n\r\n".encode()
    )
    bad = b"GET /v1/models HTTP/1.1\r\nHost: evil.example\r\n\r\n"
    assert raw(server, good + bad).count(b"HTTP/1.1 ") == 1
    kept = good.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n")
    assert raw(server, kept + bad).count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    "sent",
    [b"", b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nno header\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
     b"x" * 200_000, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n"],
)  # fmt: skip
def test_what_is_no_request_is_turned_away(server, sent):
    head = raw(server, sent, end=True)
    assert head.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 403 "))


def test_the_embedded_models_have_the_key():
    assert local.model(max_tokens=3).invoke("Hello").text


def test_obeys_a_schema(server):
    schema = {
        "type": "object",
        "properties": {"worker": {"enum": ["calculator", "wordsmith"]}},
        "required": ["worker"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "pick", "schema": schema}}
    answer = ask(server, "Who adds numbers?", max_tokens=40, response_format=form)
    assert json.loads(answer["choices"][0]["message"]["content"])["worker"] in (
        "calculator",
        "wordsmith",
    )


def test_parallel_requests_are_both_answered(server):
    answers: list[dict[str, Any]] = []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(ask(server, f"Hi {n}", max_tokens=8)))
        for n in range(3)  # one more than it has slots: the third waits
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(answers) == 3
    assert all(answer["choices"][0]["message"]["content"] for answer in answers)


def test_one_server_per_file_and_options(server, model):
    assert serve(model, slots=2, context=512) is server
    found: list[LocalServer] = []
    threads = [
        threading.Thread(target=lambda: found.append(serve(model, slots=1, context=256))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert found[0] is found[1]
    assert found[0].url != server.url


def test_is_silent_and_lets_the_interpreter_exit(model):
    """Even with a request in flight: a hang or a crash at exit would fail this."""
    program = textwrap.dedent("""
        import sys, threading, time, urllib.request
        from pathlib import Path
        from langgraph_conductor.local.server import serve
        server = serve(Path(sys.argv[1]), slots=1, context=512)
        def ask():
            body = b'{"messages": [{"role": "user", "content": "Tell a story."}], "max_tokens": 90}'
            head = {"content-type": "application/json", "authorization": f"Bearer {server.key}"}
            request = urllib.request.Request(server.url + "/chat/completions", body, head)
            try:
                urllib.request.urlopen(request).read()
            except OSError:
                pass
        threading.Thread(target=ask, daemon=True).start()
        time.sleep(0.5)
    """)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(model)],
        capture_output=True,
        timeout=60,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(LocalModelError, match=r"nowhere\.gguf"):
        serve(tmp_path / "nowhere.gguf")


def test_a_file_that_is_no_model_is_refused(tmp_path, capfd):
    (tmp_path / "bad.gguf").write_text("not a model")
    with pytest.raises(LocalModelError, match=r"bad\.gguf"):
        serve(tmp_path / "bad.gguf")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("option", ["slots", "context", "threads"])
def test_numbers_below_one_are_refused(tmp_path, option):
    with pytest.raises(ValueError, match=option):
        serve(tmp_path / "any.gguf", **{option: 0})


def test_a_missing_library_names_the_extra(tmp_path, monkeypatch):
    (tmp_path / "any.gguf").write_text("any")
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(LocalModelError, match=r"pip install 'langgraph-conductor\[local\]'"):
        serve(tmp_path / "any.gguf")
