"""Model strings: `"provider:model"`, or `"provider:model@url"` for a server of one's own.

Models made here leave retries to the worker, so that two layers of them do not multiply, and avoid what
goes wrong with the providers' defaults. A model that is built elsewhere is used as it is.
"""

import os
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit

from langchain_core.language_models import BaseChatModel
from pydantic import ValidationError

from langgraph_conductor.errors import ModelError
from langgraph_conductor.records import FailureKind
from langgraph_conductor.workers.failures import redacted
from langgraph_conductor.workers.wire_watch import hook, hooks

_SERVERS: Final = {
    "vllm": "http://127.0.0.1:8000/v1",
    "sglang": "http://127.0.0.1:30000/v1",
    "llamacpp": "http://127.0.0.1:8080/v1",
    "ollama": "http://127.0.0.1:11434/v1",
    "openai_compatible": "",
}
"""Servers that speak OpenAI's Chat Completions, and where each listens by default."""

_EXTRAS: Final = {
    "openai": "openai",
    "openai_responses": "openai",
    "anthropic": "anthropic",
    "google_genai": "google",
    "openrouter": "openrouter",
    **dict.fromkeys(_SERVERS, "vllm"),
}
"""The extra of this package that a provider needs."""

_FORM: Final = (
    'a model is named "provider:model", such as "openai:gpt-5-mini", "anthropic:claude-sonnet-4-5", '
    '"google_genai:gemini-2.5-pro", "openrouter:qwen/qwen3-32b", or "vllm:my-model@http://gpu:8000/v1"'
)


READ_SECONDS: Final = 300
"""Most seconds of silence of a provider, where the user sets no time limit."""
OWN_READ_SECONDS: Final = 600
"""The same of servers of one's own, which may have to load the model first."""
_TIMEOUTS: Final = ("timeout", "request_timeout", "default_request_timeout")
"""What time limits are called among the options and fields of models."""


def chat_model(model: str, /, what: str = "model", **options: Any) -> BaseChatModel:
    """The chat model a string names.

    Providers: `openai` (Chat Completions), `openai_responses`, `anthropic`, `google_genai`, `openrouter`;
    `vllm`, `sglang`, `llamacpp`, `ollama` and `openai_compatible` for servers that speak OpenAI's API, with the
    base URL behind `@` (by default the one the server has on this machine) and the key, if it asks for one,
    in `VLLM_API_KEY` and so on. Any other provider is left to LangChain's `init_chat_model`.

    Connections have to be made within 10 seconds, and a provider may be silent for 300, a server of one's own
    (which may have to load the model) for 600, unless `timeout` says otherwise: in seconds, OpenRouter's in
    milliseconds.

    Args:
        model: The string.
        what: What the model is for, to begin an error with.
        options: For the model's class, such as `max_tokens`, `temperature`, `base_url`, `api_key`.

    Raises:
        ModelError: If the string names no known provider, or the provider refuses (no key, say).
        ImportError: If the provider's package is missing; names the install line.
    """
    provider, _, name = model.partition(":")
    shown = repr(redacted(model))
    try:
        name, url = _url_of(name)
        if url:
            options.setdefault("base_url", url)
        built = _built(provider, name, model, options)
    except ImportError as error:
        raise ImportError(
            f"{what}: {shown} needs a package that is not installed: {_install(provider, error)}"
        ) from error
    except Exception as error:  # a provider's own, such as a missing key
        why = redacted(_first_line(error))
        raise ModelError(
            f"{what}: {shown} cannot be used: {why}", kind=_kind(provider, name, why)
        ) from error
    if not isinstance(built, BaseChatModel):
        raise TypeError(f"{what}: {shown} did not give a chat model")
    return built


def _built(provider: str, name: str, model: str, options: dict[str, Any]) -> Any:
    if not provider or (not name and (":" in model or provider in _EXTRAS)):
        raise ValueError(_FORM)
    if twice := {"model", "model_name", "model_provider"} & options.keys():
        raise ValueError(f"the string names the model already; leave out the option {min(twice)!r}")
    if provider in _SERVERS:
        return _compatible(provider, name, options)
    from langchain.chat_models import init_chat_model

    if provider in ("openai", "openai_responses"):
        api = {"use_responses_api": True} if provider == "openai_responses" else {}
        given = {**_of_openai(options, READ_SECONDS), **api, **options}
        return init_chat_model(name, model_provider="openai", **given)
    limited = _is_limited(options)
    if provider == "anthropic":
        given = {"max_retries": 0, **_limit(options, READ_SECONDS), **options}
        return _anthropic(init_chat_model(name, model_provider=provider, **given), limited=limited)
    if provider == "openrouter":
        given = {"max_retries": 0, **_limit(options, READ_SECONDS * 1000), **options}
        return _openrouter(init_chat_model(name, model_provider=provider, **given), limited=limited)
    if provider == "google_genai":
        given = {**_of_google(), **_limit(options, READ_SECONDS), **options}
        return _google(init_chat_model(name, model_provider=provider, **given), limited=limited)
    try:
        return _in_time(init_chat_model(model, **options), model, options)
    except ValueError as error:
        raise ValueError(f"{_first_line(error)}; {_FORM}") from error


# Awaited calls keep no connection open, here and below: an open one belongs to the event loop it was made
# in, and fails in the next one ("Event loop is closed").
_LIMITS: Final[dict[str, Any]] = {"max_connections": 1000, "max_keepalive_connections": 0}


def _is_limited(options: Mapping[str, Any]) -> bool:
    """Whether the user leaves the time limits to us."""
    return not any(name in options for name in _TIMEOUTS)


def _limit(options: Mapping[str, Any], most: int) -> dict[str, Any]:
    return {"timeout": most} if _is_limited(options) else {}


def _in_time(built: Any, model: str, options: Mapping[str, Any]) -> Any:
    """A model of another provider, with a time limit if its class knows one and has none."""
    from langchain.chat_models import init_chat_model

    fields = getattr(type(built), "model_fields", {})
    name = next((name for name in _TIMEOUTS if name in fields), None)
    if name is None or getattr(built, name) is not None or not _is_limited(options):
        return built
    try:
        return init_chat_model(model, timeout=READ_SECONDS, **options)
    except Exception:  # noqa: BLE001 - it takes no such limit
        return built


def _of_openai(options: Mapping[str, Any], most: int) -> dict[str, Any]:
    import httpx2
    import openai

    limited = _is_limited(options)
    client = openai.DefaultAsyncHttpxClient(
        limits=httpx2.Limits(**_LIMITS), event_hooks=hooks(awaited=True, chat=True, limited=limited)
    )
    # With a base URL set, in the environment say, ChatOpenAI asks for no usage while it streams.
    return {
        "max_retries": 0, "stream_usage": True, "http_async_client": client,
        "http_client": _blocking_client_of_openai(limited=limited), **_limit(options, most),
    }  # fmt: skip


@cache
def _blocking_client_of_openai(*, limited: bool) -> Any:
    """One for all models, as LangChain has it: its connections are kept, and any thread may use them."""
    import openai

    return openai.DefaultHttpxClient(event_hooks=hooks(awaited=False, chat=True, limited=limited))


def _of_google() -> dict[str, Any]:
    import httpx

    # LangChain's own temperature of 0.7 would take the place of the model's; `max_retries` counts all
    # tries.
    return {"max_retries": 1, "temperature": None, "client_args": {"limits": httpx.Limits(**_LIMITS)}}


def over_httpx(google: Any) -> Any:
    """A Google model whose awaited calls go over httpx, whatever else is installed.

    With aiohttp installed its client would go over that: with other errors, and sessions it leaves open.
    """
    client = google.client._api_client
    client._http_options.httpx_async_client = client._async_httpx_client
    return google


def _google(built: Any, *, limited: bool) -> Any:
    client = built.client._api_client
    hook(client._httpx_client, hooks(awaited=False, limited=limited))
    # It makes clients for each event loop of what it was built from, and so has to be built with the hooks.
    awaited = {**client._async_httpx_client_args, "event_hooks": hooks(awaited=True, limited=limited)}
    client._async_httpx_client = type(client._async_httpx_client)(**awaited)
    return over_httpx(built)


@cache
def _blocking_client_of_anthropic(base_url: str, *, limited: bool) -> Any:
    import anthropic

    return anthropic.DefaultHttpxClient(
        base_url=base_url, event_hooks=hooks(awaited=False, limited=limited)
    )


def _anthropic(built: Any, *, limited: bool) -> Any:
    import anthropic
    import httpx2

    if not (built.anthropic_api_key.get_secret_value() or os.environ.get("ANTHROPIC_AUTH_TOKEN")):
        raise ValueError("set ANTHROPIC_API_KEY, or give api_key")  # it would fail only when called
    client = anthropic.DefaultAsyncHttpxClient(
        limits=httpx2.Limits(**_LIMITS),
        base_url=built._async_client.base_url,
        event_hooks=hooks(awaited=True, limited=limited),
    )
    blocking = _blocking_client_of_anthropic(str(built._client.base_url), limited=limited)
    built.__dict__["_client"] = built._client.with_options(http_client=blocking)
    built.__dict__["_async_client"] = built._async_client.with_options(http_client=client)
    return built


def _openrouter(built: Any, *, limited: bool) -> Any:
    import httpx

    settings = built.client.sdk_configuration
    settings.async_client = httpx.AsyncClient(
        limits=httpx.Limits(**_LIMITS),
        follow_redirects=True,
        headers=settings.async_client.headers if settings.async_client else None,
        event_hooks=hooks(awaited=True, chat=True, openrouter=True, limited=limited),
    )
    hook(settings.client, hooks(awaited=False, chat=True, openrouter=True, limited=limited))
    if not built.max_retries:
        settings.retry_config = None  # else OpenRouter's own client repeats for an hour
    return built


def _compatible(provider: str, name: str, options: dict[str, Any]) -> BaseChatModel:
    from langgraph_conductor.workers.openai_compatible import CompatibleChat

    options.setdefault("base_url", _SERVERS[provider])
    if not options["base_url"]:
        raise ValueError(f"name its URL: {provider}:{name}@http://host:port/v1")
    # Most such servers ask for no key, but the client insists on one.
    options.setdefault("api_key", os.environ.get(f"{provider.upper()}_API_KEY") or "none")
    return CompatibleChat(
        model=name, server=provider, **{**_of_openai(options, OWN_READ_SECONDS), **options}
    )


def _url_of(name: str) -> tuple[str, str]:
    found = re.fullmatch(r"(.+?)@([A-Za-z][A-Za-z0-9+.-]*:/.*)", name)
    if not found:
        return name, ""
    url = urlsplit(found[2])
    if (
        url.scheme not in ("http", "https") or not url.hostname or url.port == 0
    ):  # `port` raises of a bad one
        raise ValueError("what stands behind @ must be a URL such as http://host:8000/v1")
    return found[1], found[2]


def _install(provider: str, error: ImportError) -> str:
    if extra := _EXTRAS.get(provider):
        return f"pip install 'langgraph-conductor[{extra}]'"
    named = re.search(r"pip install (?:-U )?[a-z0-9-]+", str(error))  # LangChain knows its packages
    return named[0] if named else f"pip install langchain-{provider}"


def _kind(provider: str, name: str, why: str) -> FailureKind | None:
    if re.search(r"api[-_ ]?key|credentials", why, re.IGNORECASE):
        return "no_key"
    return None if name and provider in _EXTRAS else "unknown_model"


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return str(error.errors(include_input=False)[0]["msg"]).removeprefix("Value error, ")
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
