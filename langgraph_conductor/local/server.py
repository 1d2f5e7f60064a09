"""Serving a GGUF file on loopback, inside this process, in the shape of OpenAI's API.

The server is llama.cpp's own C++ one, run by xllamacpp (MIT) in threads of this process. It is
spoken to over HTTP so that the embedded model is called by the same class (`ChatOpenAI`) as any
other server, and so that parallel steps share one model: it batches them. Every start has a key of
its own, which is in no file and which every request must bear; `gate` says who is turned away besides.

One model can be many: LoRA adapters (Hu et al. 2021, arXiv 2106.09685) are loaded beside it, and every
request says which one answers it. Two traps of llama.cpp are closed here. A request that says nothing gets
all adapters at once, unless their scale is 0 to begin with. And prompts that were read before are kept
without a note on the adapter that read them, so another adapter would go on from its predecessor's view
of the same prompt and give other answers, silently. So where there are adapters, nothing is kept.

Source: https://github.com/xorbitsai/xllamacpp
"""

import atexit
import json
import secrets
import threading
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from langgraph_conductor.errors import LocalModelError
from langgraph_conductor.local.gate import Gate

DRAIN_SECONDS = 10.0

_Adapters = tuple[tuple[str, Path], ...]

_lock = threading.Lock()
_running: dict[tuple[Path, int, int, int, _Adapters], tuple[Any, "LocalServer"]] = {}


@dataclass(frozen=True)
class LocalServer:
    """A model served by this process, until it exits.

    Attributes:
        url: The base URL for OpenAI clients, such as `http://127.0.0.1:40123/v1`.
        slots: How many requests it answers at once; more than that wait in its queue.
        context: Tokens of prompt and answer together that one request may have.
        adapters: Names of the adapters it can answer with.
        key: The key that every request must bear, as `Authorization: Bearer KEY`; OpenAI clients take it as
            `api_key`.
    """

    url: str
    slots: int
    context: int
    adapters: tuple[str, ...] = ()
    key: str = field(default="", repr=False)

    def choosing(self, adapter: str = "") -> dict[str, Any]:
        """What the body of a request says, beside the usual, to be answered with one adapter.

        Args:
            adapter: Its name; the model alone answers without one.

        Raises:
            LocalModelError: If it serves no adapter of that name.
        """
        if adapter and adapter not in self.adapters:
            served = ", ".join(self.adapters) or "none"
            raise LocalModelError(f"no adapter {adapter!r} is served; there is: {served}")
        scales = [{"id": i, "scale": float(name == adapter)} for i, name in enumerate(self.adapters)]
        return {"lora": scales, "cache_prompt": False} if scales else {}


def serve(
    path: Path,
    *,
    slots: int = 4,
    context: int = 2048,
    threads: int | None = None,
    adapters: Mapping[str, Path] | None = None,
) -> LocalServer:
    """Start the server for a GGUF file, or return the one that already runs in this process.

    It listens on a free port of 127.0.0.1 and ends with the process; nothing has to be stopped.
    The process waits at its end, at most 10 seconds, for requests that are still being answered.

    Args:
        path: The GGUF file.
        slots: Requests answered at once.
        context: Tokens per request, prompt and answer together.
        threads: CPU threads; 1 by default. More is faster only while the cores are idle: with two
            threads on two busy cores llama.cpp was measured to be 20 times slower than with one,
            since its threads wait for each other after every layer.
        adapters: Name -> GGUF file of each LoRA adapter of this model that requests may choose.

    Returns:
        The running server; the same one for the same file and options.

    Raises:
        LocalModelError: xllamacpp is not installed, there is no such file, or llama.cpp cannot
            load one.
        ValueError: A number is below 1.
    """
    threads = 1 if threads is None else threads
    for name, value in (("slots", slots), ("context", context), ("threads", threads)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")
    files = tuple((name, file.resolve()) for name, file in (adapters or {}).items())
    for file in (path, *(file for _, file in files)):
        if not file.is_file():
            raise LocalModelError(f"There is no model file at {file}.")
    key = (path.resolve(), slots, context, threads, files)
    with _lock:
        if key not in _running:
            _running[key] = _start(*key)
            atexit.register(_drain, _running[key][1])
        return _running[key][1]


def _start(
    path: Path, slots: int, context: int, threads: int, adapters: _Adapters
) -> tuple[Any, LocalServer]:
    """Load the model and return llama.cpp's server, which must be kept alive, with its address."""
    try:
        import xllamacpp
    except ImportError as error:
        raise LocalModelError(
            "The embedded model needs xllamacpp: pip install 'langgraph-conductor[local]'"
        ) from error
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.hostnames = ["127.0.0.1"]
    params.port = 0  # any free one
    params.n_parallel = slots
    params.n_ctx = slots * context  # llama.cpp divides it among the slots
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    key = secrets.token_urlsafe(32)
    params.api_keys = [key]  # for whoever finds its own port, which is told to nobody
    params.verbosity = -1  # not a word on stdout or stderr
    params.ui = False  # an API, not a web page
    params.endpoint_slots = True  # for `_drain`; it tells who is busy, not with what
    # By default llama.cpp lets every web page that the user has open read its answers.
    params.cors_origins = "http://127.0.0.1"
    params.cors_origins_explicit = True
    # Its name in answers and traces; by default the path, which has the user's name in it.
    params.model_alias = {path.stem}
    params.lora_adapters = [_loaded(xllamacpp.CommonAdapterLoraInfo(), file) for _, file in adapters]
    if adapters:
        params.lora_init_without_apply = True
        params.cache_prompt = False
        params.cache_ram_mib = 0
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        files = ", ".join(str(file) for file in (path, *(file for _, file in adapters)))
        raise LocalModelError(
            f"llama.cpp cannot load {files} ({error}). Is each a GGUF file, whole, are adapters of this model, "
            "and is there enough memory?"
        ) from error
    behind = urlsplit(server.listening_address).port
    gate = Gate(behind or 0, key)
    names = tuple(name for name, _ in adapters)
    return server, LocalServer(f"http://127.0.0.1:{gate.port}/v1", slots, context, names, key)


def _loaded(adapter: Any, file: Path) -> Any:
    adapter.path = str(file)
    adapter.scale = 0.0  # a request that chooses none is answered by the model alone
    return adapter


def _drain(server: LocalServer) -> None:
    """Wait until no request is in flight: llama.cpp's threads crash in an interpreter that ends.

    Requests of ordinary threads are over by now, since Python joins those first. What is left are
    those of daemon threads, and cancelled ones whose closed connection has not been noticed yet.
    """
    end = time.monotonic() + DRAIN_SECONDS
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    slots = f"{server.url.removesuffix('/v1')}/slots"
    asking = urllib.request.Request(slots, headers={"authorization": f"Bearer {server.key}"})  # noqa: S310 - ours
    while time.monotonic() < end:
        try:
            with direct.open(asking, timeout=DRAIN_SECONDS) as response:
                busy = any(slot["is_processing"] for slot in json.load(response))
        except (OSError, ValueError):
            return  # it does not answer any more, so there is nothing to wait for
        time.sleep(0.05)  # also after the last one, so that its answer is sent
        if not busy:
            return
