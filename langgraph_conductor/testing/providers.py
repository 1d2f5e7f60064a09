"""The providers' servers, on loopback."""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from threading import Lock
from types import MappingProxyType, TracebackType
from typing import Any, Final, Self
from urllib.parse import unquote

from langgraph_conductor.testing.answers import FakeReply, worded
from langgraph_conductor.testing.anthropic_wire import ANTHROPIC
from langgraph_conductor.testing.faults import Fault
from langgraph_conductor.testing.gemini_wire import GEMINI
from langgraph_conductor.testing.openai_wire import OPENAI, OPENROUTER
from langgraph_conductor.testing.plans import plan_or_answer
from langgraph_conductor.testing.requests import ProviderRequest, WireName
from langgraph_conductor.testing.responses_wire import RESPONSES
from langgraph_conductor.testing.server import Exchange, LoopbackServer
from langgraph_conductor.testing.wire import Wire

Answer = str | FakeReply | Fault
Reply = Answer | Callable[[ProviderRequest], Answer]
"""What is answered; a text's usage counts words."""

WIRES: Final[Mapping[WireName, Wire]] = MappingProxyType({
    "openai": OPENAI, "responses": RESPONSES, "anthropic": ANTHROPIC, "gemini": GEMINI,
    "openrouter": OPENROUTER,
})  # fmt: skip
PATHS: Final[Mapping[str, WireName]] = MappingProxyType({
    "/v1/chat/completions": "openai", "/v1/responses": "responses", "/v1/messages": "anthropic",
    "/api/v1/chat/completions": "openrouter",
})  # fmt: skip
_GEMINI_PATH = re.compile(r"/v1(?:beta)?/models/(?P<model>[^:]+):(?P<call>generate|streamGenerate)Content")

_AZURE_PATH = re.compile(r"/openai/deployments/(?P<model>[^/]+)/chat/completions")


class FakeProviders:
    """Every provider's API on one loopback port, answering what the test says. A context manager.

    It speaks OpenAI's Chat Completions (with vLLM's `reasoning`, so also for SGLang, llama.cpp and
    Ollama; at Azure's paths too) and Responses, Anthropic's Messages, Google's `generateContent` and
    OpenRouter's chat, each whole and streamed. Real clients connect to it; it needs none of them.

    Args:
        reply: The answer to every request for a model without a script, or a function that gives it.
        latency: Seconds before each reply.
        keep_alive: Whether clients may use a connection again. By default each is closed after one
            reply, because async clients break where a connection outlives its event loop.

    Attributes:
        latency: Seconds before each reply; may be changed at any time.

    Raises:
        Exception: What the reply function raised, when the context ends. The client gets a 500.

    Example:
        ```python
        from langchain_openai import ChatOpenAI

        from langgraph_conductor.testing import FakeProviders, faults

        with FakeProviders(reply="Good day!") as providers:
            providers.script("gpt-x", faults.rate_limited(retry_after=0.1), "At last.")
            model = ChatOpenAI(model="gpt-x", base_url=providers.openai_url, api_key="any")
            assert model.invoke("Hello?").text == "At last."
            assert [request.prompt for request in providers.requests] == ["Hello?", "Hello?"]
        ```
    """

    def __init__(
        self, reply: Reply = plan_or_answer, *, latency: float = 0.0, keep_alive: bool = False
    ) -> None:
        self.latency = latency
        self._reply = reply
        self._scripts: dict[str, list[Reply]] = {}
        self._requests: list[ProviderRequest] = []
        self._failure: Exception | None = None
        self._in_flight = self._peak = 0
        self._lock = Lock()
        self._server = LoopbackServer(self._answer, keep_alive=keep_alive)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()
        if self._failure is not None and kind is None:
            raise self._failure

    @property
    def url(self) -> str:
        """The address, with no path."""
        return self._server.url

    @property
    def openai_url(self) -> str:
        """`base_url` for clients of OpenAI, vLLM, SGLang, llama.cpp and Ollama."""
        return f"{self.url}/v1"

    @property
    def azure_url(self) -> str:
        """`azure_endpoint` for Azure's clients."""
        return self.url

    @property
    def anthropic_url(self) -> str:
        """`base_url` for Anthropic's clients."""
        return self.url

    @property
    def google_url(self) -> str:
        """`base_url` for Google's clients."""
        return self.url

    @property
    def openrouter_url(self) -> str:
        """`base_url` for OpenRouter's clients."""
        return f"{self.url}/api/v1"

    def environment(self) -> dict[str, str]:
        """Environment variables with which model strings such as `openai:gpt-x` reach this server."""
        return {
            "OPENAI_API_KEY": "fake-openai-key", "OPENAI_BASE_URL": self.openai_url,
            "ANTHROPIC_API_KEY": "fake-anthropic-key", "ANTHROPIC_BASE_URL": self.anthropic_url,
            "GOOGLE_API_KEY": "fake-google-key", "GOOGLE_GEMINI_BASE_URL": self.google_url,
            "OPENROUTER_API_KEY": "fake-openrouter-key", "OPENROUTER_API_BASE": self.openrouter_url,
        }  # fmt: skip

    def script(self, model: str, *replies: Reply) -> None:
        """Answer requests for `model` with these replies in order, the last one repeated for ever.

        Raises:
            ValueError: There is no reply.
        """
        if not replies:
            raise ValueError(f"the script of {model!r} has no reply; give at least one")
        with self._lock:
            self._scripts[model] = list(replies)

    @property
    def requests(self) -> tuple[ProviderRequest, ...]:
        """The requests so far, in the order in which they came."""
        return tuple(self._requests)

    @property
    def in_flight_peak(self) -> int:
        """The most requests that were being answered at once."""
        return self._peak

    def _answer(self, exchange: Exchange, path: str, content: bytes) -> None:
        path = path.partition("?")[0]
        if exchange.command == "GET":
            self._answer_get(exchange, path)
            return
        gemini, azure = _GEMINI_PATH.fullmatch(unquote(path)), _AZURE_PATH.fullmatch(unquote(path))
        if path not in PATHS and not gemini and not azure:
            exchange.send_json(404, {"error": {"message": f"nothing is served at {path}"}})
            return
        body = json.loads(content)
        if gemini:
            wire: WireName = "gemini"
            model, stream = gemini["model"], gemini["call"] == "streamGenerate"
        elif azure:
            wire, model, stream = "openai", azure["model"], bool(body.get("stream"))
        else:
            wire, model, stream = PATHS[path], body["model"], bool(body.get("stream"))
        with ExitStack() as exchange.until_last_bytes:
            exchange.until_last_bytes.enter_context(self._counted())
            request, reply = self._register(wire, model, body, dict(exchange.headers), stream=stream)
            self._send(exchange, request, reply)

    def _answer_get(self, exchange: Exchange, path: str) -> None:
        if path == "/health":
            exchange.send_json(200, {"status": "ok"})
        elif path in ("/v1/models", "/api/v1/models"):
            models = [{"id": m, "object": "model", "created": 1, "owned_by": "fake"} for m in self._scripts]
            exchange.send_json(200, {"object": "list", "data": models})
        else:
            exchange.send_json(404, {"error": {"message": f"nothing is served at {path}"}})

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            self._in_flight += 1
            self._peak = max(self._peak, self._in_flight)
        try:
            yield
        finally:
            with self._lock:
                self._in_flight -= 1

    def _register(
        self, wire: WireName, model: str, body: dict[str, Any], headers: dict[str, str], *, stream: bool
    ) -> tuple[ProviderRequest, Reply]:
        """The request, remembered, and the reply it gets: in one step, so that scripts keep their order."""
        messages = list(WIRES[wire].messages(body))
        asked_by_user = [text for role, text in messages if role == "user" and text]
        with self._lock:
            request = ProviderRequest(
                number=len(self._requests),
                wire=wire,
                model=model,
                body=body,
                headers={name.lower(): value for name, value in headers.items()},
                stream=stream,
                prompt=asked_by_user[-1] if asked_by_user else "",
                words=sum(len(text.split()) for _, text in messages),
                asked=WIRES[wire].asked(body),
                at=time.monotonic(),
            )
            self._requests.append(request)
            script = self._scripts.get(model)
            if not script:
                return request, self._reply
            return request, script.pop(0) if len(script) > 1 else script[0]

    def _send(self, exchange: Exchange, request: ProviderRequest, reply: Reply) -> None:
        try:
            answer = reply(request) if callable(reply) else reply
        except Exception as error:  # noqa: BLE001 (raised again where the context ends)
            self._failure = self._failure or error
            exchange.send_json(500, {"error": {"message": f"the reply function raised {error!r}"}})
            return
        fault = answer if isinstance(answer, Fault) else None
        wait = self.latency + (fault.delay if fault else 0.0)
        if wait and self._server.closing.wait(wait):
            exchange.close_connection = True
            return
        wire = WIRES[request.wire]
        if fault and fault.only and not _meets(fault, request, wire):
            answer, fault = fault.reply, None
        if fault and fault.status != 200 and not fault.inside:
            exchange.send_json(wire.status(fault), wire.error(fault, request), fault.headers)
            return
        if fault and fault.body is not None:
            exchange.send_text(fault.body, fault.content_type)
            return
        if isinstance(answer, str):
            answer = worded(answer, request.words)
        said = answer.reply if isinstance(answer, Fault) else answer
        told = wire.failed(fault, request) if fault and fault.inside else None
        nothing = fault is not None and fault.name == "no_reply"
        if request.stream:
            frames = wire.frames(said, request)
            exchange.send_stream(() if nothing else frames, fault, told[0] if told else None)
        else:
            whole = wire.nothing(request) if nothing else wire.plain(said, request)
            exchange.send_reply(told[1] if told else whole, fault)


def _meets(fault: Fault, request: ProviderRequest, wire: Wire) -> bool:
    """Whether a request is one of those that a fault is for."""
    if fault.only == "schema":
        return request.asked is not None
    return any(role in ("system", "developer") for role, _ in wire.messages(request.body))
