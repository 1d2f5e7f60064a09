"""Serving a GGUF file on loopback, inside this process, in the shape of OpenAI's API.

The server is llama.cpp's own C++ one, run by xllamacpp (MIT) in threads of this process. It is
spoken to over HTTP so that the embedded model is called by the same class (`ChatOpenAI`) as any
other server, and so that parallel steps share one model: it batches them.

Source: https://github.com/xorbitsai/xllamacpp
"""

import atexit
import json
import threading
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langgraph_conductor.errors import LocalModelError

DRAIN_SECONDS = 10.0

_lock = threading.Lock()
_running: dict[tuple[Path, int, int, int], tuple[Any, "LocalServer"]] = {}


@dataclass(frozen=True)
class LocalServer:
    """A model served by this process, until it exits.

    Attributes:
        url: The base URL for OpenAI clients, such as `http://127.0.0.1:40123/v1`.
        slots: How many requests it answers at once; more than that wait in its queue.
        context: Tokens of prompt and answer together that one request may have.
    """

    url: str
    slots: int
    context: int


def serve(path: Path, *, slots: int = 4, context: int = 2048, threads: int | None = None) -> LocalServer:
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

    Returns:
        The running server; the same one for the same file and options.

    Raises:
        LocalModelError: xllamacpp is not installed, there is no such file, or llama.cpp cannot
            load it.
        ValueError: A number is below 1.
    """
    threads = 1 if threads is None else threads
    for name, value in (("slots", slots), ("context", context), ("threads", threads)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")
    if not path.is_file():
        raise LocalModelError(f"There is no model file at {path}.")
    key = (path.resolve(), slots, context, threads)
    with _lock:
        if key not in _running:
            _running[key] = _start(*key)
            atexit.register(_drain, _running[key][1].url)
        return _running[key][1]


def _start(path: Path, slots: int, context: int, threads: int) -> tuple[Any, LocalServer]:
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
    params.verbosity = -1  # not a word on stdout or stderr
    params.ui = False  # an API, not a web page
    params.endpoint_slots = True  # for `_drain`; it tells who is busy, not with what
    # By default llama.cpp lets every web page that the user has open read its answers.
    params.cors_origins = "http://127.0.0.1"
    params.cors_origins_explicit = True
    # Its name in answers and traces; by default the path, which has the user's name in it.
    params.model_alias = {path.stem}
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        raise LocalModelError(
            f"llama.cpp cannot load {path} ({error}). Is it a GGUF file, whole, and is there enough memory?"
        ) from error
    return server, LocalServer(url=f"{server.listening_address}/v1", slots=slots, context=context)


def _drain(url: str) -> None:
    """Wait until no request is in flight: llama.cpp's threads crash in an interpreter that ends.

    Requests of ordinary threads are over by now, since Python joins those first. What is left are
    those of daemon threads, and cancelled ones whose closed connection has not been noticed yet.
    """
    end = time.monotonic() + DRAIN_SECONDS
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < end:
        try:
            with direct.open(f"{url.removesuffix('/v1')}/slots", timeout=DRAIN_SECONDS) as response:
                busy = any(slot["is_processing"] for slot in json.load(response))
        except (OSError, ValueError):
            return  # it does not answer any more, so there is nothing to wait for
        time.sleep(0.05)  # also after the last one, so that its answer is sent
        if not busy:
            return
