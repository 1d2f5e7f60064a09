"""The real server on the real weights."""

import json
import subprocess
import sys
import textwrap
import threading
import urllib.request
from pathlib import Path
from typing import Any

import pytest

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
        headers={"content-type": "application/json"},
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


def test_web_pages_may_not_read_it(server):
    request = urllib.request.Request(f"{server.url}/models", headers={"origin": "http://elsewhere.example"})
    with urllib.request.urlopen(request, timeout=60) as response:
        assert response.headers["access-control-allow-origin"] == "http://127.0.0.1"


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
            head = {"content-type": "application/json"}
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
