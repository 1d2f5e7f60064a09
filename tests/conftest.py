"""Shared by all tests: no keys, no tracing, and one way to run a graph blocking or awaited."""

import asyncio
import gc
import ssl
from collections.abc import Callable
from typing import Any

import pytest

try:
    from hypothesis import HealthCheck, settings
except ImportError:  # the environment of training has no need of it
    pass
else:  # the same examples each time, however slow the machine is
    settings.register_profile(
        "repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("repeatable")

Run = Callable[..., Any]


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Keep what imports make, which lives as long as the process, out of every garbage collection."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def no_certificates():
    """Load no certificates: clients of loopback speak no TLS, and some load them all twice, 0.1 s each time."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("load_verify_locations", "load_default_certs", "set_default_verify_paths"):
            patch.setattr(ssl.SSLContext, name, lambda *args, **kwargs: None)
        yield


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in (
        "LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2", "OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE",
        "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "ANTHROPIC_API_URL", "GOOGLE_API_KEY", "GEMINI_API_KEY",
        "GOOGLE_GEMINI_BASE_URL", "OPENROUTER_API_KEY", "OPENROUTER_API_BASE",
    ):  # fmt: skip
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["sync", "async"])
def run(request) -> Run:
    """`run(graph, input, config)`: `invoke`, and again as `ainvoke`."""
    if request.param == "sync":
        return lambda graph, *args, **kwargs: graph.invoke(*args, **kwargs)
    return lambda graph, *args, **kwargs: asyncio.run(graph.ainvoke(*args, **kwargs))


@pytest.fixture(params=["sync", "async"])
def plan(request) -> Run:
    """`plan(planner, request)`: `plan`, and again as `aplan`."""
    if request.param == "sync":
        return lambda planner, asked: planner.plan(asked)
    return lambda planner, asked: asyncio.run(planner.aplan(asked))


@pytest.fixture(params=["sync", "async"])
def call(request):
    """A `tests.places.Call`, blocking, and again awaited."""
    from tests.places import Call

    return Call(request.param == "async")


@pytest.fixture(params=["plain", "subgraph", "added", "tool", "worker"])
def place(request):
    """One of the places where users put a conductor; see `tests.places`."""
    from tests import places

    return getattr(places, request.param)
