"""A loopback server that speaks enough of OpenAI's chat completions to run documents and examples."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

Reply = Callable[[dict[str, Any]], str]


def plan_or_answer(body: dict[str, Any]) -> str:
    """A two-step plan where a schema is asked for, else a short answer."""
    schema = (body.get("response_format") or {}).get("json_schema", {}).get("schema")
    if schema is None:
        return f"An answer of {body['model']}."
    names = schema["properties"]["steps"]["items"]["properties"]["worker"]["enum"]
    steps = [
        {"worker": names[0], "subtask": "Do it.", "access": []},
        {"worker": names[-1], "subtask": "Check it and answer.", "access": "all"},
    ]
    return json.dumps({"reasoning": "Two are enough.", "steps": steps})


@contextmanager
def openai_double(reply: Reply = plan_or_answer) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The base URL of a running double and the list of request bodies it got."""
    bodies: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            bodies.append(body)
            message = {"role": "assistant", "content": reply(body)}
            completion = {
                "id": "c", "object": "chat.completion", "created": 0, "model": body["model"],
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
            }  # fmt: skip
            data = json.dumps(completion).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", bodies
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
